//! Heads between the types of the `http` crate, which `h2` takes and gives, and ours.

use bytes::Bytes;
use http::header::{COOKIE, HOST, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use leno_protocol::{
    Block, BodyFraming, Pseudo, RequestChanges, TakeField, give_request, new_host, write_target,
};

/// What the pseudo-header fields of a request say.
pub(in crate::http) fn pseudo_of(head: &Request<()>) -> Pseudo<'_> {
    let uri = head.uri();
    Pseudo {
        method: head.method().as_str(),
        scheme: uri.scheme_str(),
        authority: uri.authority().map(Authority::as_str),
        path: uri.path_and_query().map(PathAndQuery::as_str),
    }
}

/// The fields of a head, behind which the stream may have ended.
pub(in crate::http) fn block_of(
    fields: &HeaderMap,
    ended: bool,
) -> Block<impl Iterator<Item = (&str, &[u8])>> {
    let fields = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    Block { fields, ended }
}

/// Joins the crumbs of a cookie.
//= RFC 9113 section 8.2.3: "If there are multiple Cookie header fields after decompression, these MUST be concatenated into a single octet string using the two-octet delimiter of 0x3b, 0x20 (the ASCII string "; ") before being passed into a non-HTTP/2 context"
pub(in crate::http) fn join_cookies(fields: &mut HeaderMap) {
    let mut crumbs = fields.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else {
        return;
    };
    let mut cookie = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        cookie.extend_from_slice(b"; ");
        cookie.extend_from_slice(crumb.as_bytes());
    }
    if let Ok(cookie) = HeaderValue::from_maybe_shared(Bytes::from(cookie)) {
        fields.insert(COOKIE, cookie);
    }
}

/// A request's head, as a server that speaks HTTP/2 is sent it; `None` if it cannot be said there.
pub(in crate::http) fn request_of(
    request: &leno_protocol::Request<'_>,
    body: BodyFraming,
    changes: &RequestChanges<'_>,
) -> Option<Request<()>> {
    let mut target = Vec::new();
    write_target(&mut target, request, changes);
    let path = PathAndQuery::from_maybe_shared(Bytes::from(target)).ok()?;
    let authority = Authority::try_from(new_host(request, changes)).ok()?;
    let uri = Uri::builder().scheme(Scheme::HTTP).authority(authority);
    let mut fields = Fields::default();
    give_request(&mut fields, request, body, changes);
    let mut head = Request::new(());
    *head.method_mut() = Method::from_bytes(request.method.as_bytes()).ok()?;
    *head.uri_mut() = uri.path_and_query(path).build().ok()?;
    *head.headers_mut() = fields.0;
    Some(head)
}

/// The head of an answer with these fields.
pub(in crate::http) fn response_of(status: u16, fields: Fields) -> Response<()> {
    let mut head = Response::new(());
    // What is no status was refused where it was read.
    *head.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *head.headers_mut() = fields.0;
    head
}

/// Fields on their way into a frame. What HTTP/2 says in another way is left out.
#[derive(Default)]
pub(in crate::http) struct Fields(HeaderMap);

impl TakeField for Fields {
    fn take_field(&mut self, name: &str, value: &[u8]) {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return;
        };
        if name != HOST && name != UPGRADE {
            // There are as many as one head may have, and those of ours.
            drop(self.0.try_append(name, value));
        }
    }
}
