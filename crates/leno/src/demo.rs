//! The demo: a shop of small programs, and its mesh.

mod shop;

pub(crate) use shop::Face;
