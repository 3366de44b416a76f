//! Heads into bytes: from parsed pieces only, with the changes that routes make.

use alloc::vec::Vec;

use leno_model::view::HeaderChanges;

use crate::framing::{BodyFraming, Version};
use crate::path::NewPath;
use crate::request::Request;
use crate::response::Response;

/// A header that is the mesh's own: no value that came from outside passes, and configuration does
/// not reach it.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Its name, in lower case.
    pub name: &'a str,
    /// What it says on this side; `None` if it is only taken away.
    pub value: Option<&'a [u8]>,
}

/// What changes in a request's head when it is passed on.
#[derive(Clone, Copy, Default, Debug)]
pub struct RequestChanges<'a> {
    /// The new `Host`.
    pub host: Option<&'a str>,
    /// The new path; the query stays.
    pub path: Option<NewPath<'a>>,
    /// The header changes of the rule, then those of the backend, each applied to what the one
    /// before it left.
    pub headers: &'a [&'a HeaderChanges],
    /// The mesh's own headers, which stand last.
    pub own: &'a [Own<'a>],
}

/// What changes in a response's head when it is passed on.
#[derive(Clone, Copy, Debug)]
pub struct ResponseChanges<'a> {
    /// The header changes of the backend, then those of the rule.
    pub headers: &'a [&'a HeaderChanges],
    /// The mesh's own headers, which stand last.
    pub own: &'a [Own<'a>],
    /// How the body that is sent ends, where it is not framed as it came.
    pub body: Option<BodyFraming>,
    /// What the client speaks.
    pub client: Version,
    /// Whether the connection to the client stays open behind this response.
    pub keep_alive: bool,
}

/// Writes the head that is sent to the server, behind what `out` holds. It asks the server to keep
/// the connection; the framing of the body stays as it came.
pub fn write_request(_out: &mut Vec<u8>, _request: &Request<'_>, _changes: &RequestChanges<'_>) {
    unimplemented!("the door comes first")
}

/// Writes the head that is sent to the client, behind what `out` holds.
pub fn write_response(
    _out: &mut Vec<u8>,
    _response: &Response<'_>,
    _changes: &ResponseChanges<'_>,
) {
    unimplemented!("the door comes first")
}
