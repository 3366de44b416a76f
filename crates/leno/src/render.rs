//! How values of the lower layers look to people and to programs.

pub(crate) mod edges;
pub(crate) mod note;
pub(crate) mod story;
