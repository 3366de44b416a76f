//! The demo: a shop of small programs, its mesh, and the story of its traffic.

mod folder;
mod heard;
mod shop;
mod story;
mod traffic;

pub(crate) use folder::Folder;
pub(crate) use shop::Face;
pub(crate) use story::{Story, Words};
pub(crate) use traffic::Total;
