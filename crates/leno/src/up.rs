//! The mesh of a folder on this machine, without root: what `leno up`, `run` and `curl` share.
//!
//! Every workload runs in an enclosure of its own; one proxy in this process serves all of them.

mod applications;
mod called;
mod certificates;
mod engine;
mod explicit;
mod greet;
mod log;
mod news;
mod outside;
mod place;
pub(crate) mod process;
pub(crate) mod procfile;
mod program;
mod reporting;
mod screen;
mod source;
mod talk;
mod watcher;
mod witness;

pub(crate) use called::{called, meant, meant_in};
pub(crate) use engine::{Guest, Happened, Opened, Question, Up};
pub(crate) use explicit::{Pin, exports, unclear};
pub(crate) use news::{News, Row, State};
pub(crate) use outside::Outside;
pub(crate) use place::Place;
pub(crate) use screen::{Columns, first_call, introduce, revised, trouble};
pub(crate) use source::{OBJECTS, PROCFILE, Source, name_of};
pub(crate) use talk::{Client, Server};
