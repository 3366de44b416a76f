//! Container images as files, without a registry and without Docker: an OCI image layout in a tar archive, which
//! `ctr images import`, `docker load` and `skopeo` read. The same image is the same bytes, whoever writes it and when.

mod image;
mod leno;
mod plugin;
mod tar;

pub use image::{Image, Part};
pub use leno::{NotMade, of_leno};
pub use plugin::{folder, plugin};
