//! The door of the crate: files in, objects and findings out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;
mod decoded;
mod hostile;
mod nodes;
mod twin;
