//! What bytes say: heads of HTTP/1 and HTTP/2, framing, and the canonical [`Request`] that policy, routing
//! and the application all see; the first bytes of TLS and of the PROXY protocol. Bytes in, values out; nothing here reads or writes.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;

pub mod body;
pub mod client_cert;
pub mod client_hello;
mod connection;
pub mod flaw;
pub mod framing;
pub mod grpc;
pub mod head;
pub mod headers;
pub mod host;
pub mod http2;
mod octets;
pub mod path;
pub mod proxy_protocol;
pub mod request;
pub mod request_id;
pub mod response;
mod spoken;
pub mod trace;
pub mod websocket;
pub mod write;

pub use body::{BodyReader, Piece};
pub use client_cert::ClientCert;
pub use client_hello::{ClientHello, NoHello};
pub use flaw::{Flaw, Refused};
pub use framing::{Asked, BodyFraming, Version};
pub use head::{HeadReader, Limits};
pub use headers::Fields;
pub use host::Authority;
pub use http2::{Block, Pseudo};
pub use path::{NewPath, Path};
pub use proxy_protocol::{NoProxyHead, ProxyHead, write_proxy_head};
pub use request::{Form, Header, Request, RequestHead, Scheme};
pub use request_id::RequestId;
pub use response::{Response, ResponseHead};
pub use spoken::{SERVER_FIRST, Spoken};
pub use trace::TraceContext;
pub use write::{
    Own, RequestChanges, ResponseChanges, TakeField, give_request, give_response, new_host,
    write_request, write_response, write_target,
};
