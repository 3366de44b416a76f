//! Faults that are really injected into meshes of real processes, and what Leno tells about each: a
//! table (`table/*.yaml`) whose rows anybody can read and add to, and what plays it.
//!
//! `cargo test -p leno-faults` plays all of it, `cargo test -p leno-faults -- 'no endpoint'` the rows
//! whose fault has these words.

mod play;
mod scene;
mod table;

pub use play::{Played, play};
pub use table::{Fault, Flawed, Step, Table, read};
