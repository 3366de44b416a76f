//! The door of the crate: files in, objects and findings out.

mod cases;
mod decoded;
mod hostile;
