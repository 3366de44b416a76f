//! Gateway API, as the project publishes it: the structs are made by `cargo xtask generate`, the
//! checks between fields are ours.

mod http_route;
mod reference_grant;
mod rules;

pub use http_route::*;
pub use reference_grant::*;
