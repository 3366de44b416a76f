//! Gateway API, as the project publishes it: the structs are made by `cargo xtask generate`, the
//! checks between fields are ours.

mod grpc_route;
mod http_route;
mod reference_grant;
mod rules;
mod tcp_route;
mod tls_route;

pub use grpc_route::*;
pub use http_route::*;
pub use reference_grant::*;
pub use tcp_route::*;
pub use tls_route::*;
