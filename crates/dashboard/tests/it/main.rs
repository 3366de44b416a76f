//! The listener as a browser meets it: links, visits, names, questions, and what it does with
//! everybody else.

mod questions;
mod visits;
mod world;
