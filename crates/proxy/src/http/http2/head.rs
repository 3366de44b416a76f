//! Heads between the types of the `http` crate, which `h2` takes and gives, and ours.

use std::iter::Peekable;

use bytes::Bytes;
use h2::ext::Protocol;
use http::header::{self, COOKIE};
use http::uri::{self, Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use leno_model::CallId;
use leno_protocol::{
    Block, Own, Pseudo, RequestChanges, RequestHead, RequestId, TakeField, TraceContext,
    give_request, grpc, new_host, websocket, write_target,
};

/// What the pseudo-header fields of a request say.
pub(in crate::http) fn pseudo_of(head: &Request<()>) -> Pseudo<'_> {
    let uri = head.uri();
    Pseudo {
        method: head.method().as_str(),
        scheme: uri.scheme_str(),
        authority: uri.authority().map(Authority::as_str),
        path: uri.path_and_query().map(PathAndQuery::as_str),
        protocol: head.extensions().get().map(Protocol::as_str),
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

/// Whether it is a call of gRPC.
pub(in crate::http) fn is_grpc<B>(request: &Request<B>) -> bool {
    let mut types = request.headers().get_all(header::CONTENT_TYPE).iter();
    let is_grpc = types.any(|value| grpc::is_content_type(value.as_bytes()));
    // An answer of gRPC, which is one of 200, would open what CONNECT asks for.
    is_grpc && request.method() != Method::CONNECT
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
/// What is passed on of one that `came` in HTTP/2 is shared with it.
pub(in crate::http) fn request_of(
    asked: &RequestHead<'_>,
    came: Option<&Request<()>>,
    changes: &RequestChanges<'_>,
) -> Option<Request<()>> {
    let RequestHead { request, body, .. } = asked;
    let mut fields = Fields::sharing(came.map(Request::headers), changes.own);
    give_request(&mut fields, request, *body, changes);
    let mut head = Request::new(());
    *head.method_mut() = match came {
        Some(came) => came.method().clone(),
        None => Method::from_bytes(request.method.as_bytes()).ok()?,
    };
    *head.uri_mut() = uri_of(request, came.map(Request::uri), changes)?;
    let came = || came.map(Request::headers).cloned();
    *head.headers_mut() = fields.changed().or_else(came).unwrap_or_default();
    if asked.upgrade {
        *head.method_mut() = Method::CONNECT;
        head.extensions_mut()
            .insert(Protocol::from(asked.protocol()?));
        //= RFC 8441 section 5: "Implementations using this extended CONNECT to bootstrap WebSockets do not do the processing of the Sec-WebSocket-Key and Sec-WebSocket-Accept header fields"
        head.headers_mut().remove(websocket::KEY);
    }
    Some(head)
}

fn uri_of(
    request: &leno_protocol::Request<'_>,
    came: Option<&Uri>,
    changes: &RequestChanges<'_>,
) -> Option<Uri> {
    let target = || {
        let mut target = Vec::new();
        write_target(&mut target, request, changes);
        Bytes::from(target)
    };
    let mut parts = uri::Parts::default();
    if request.method == "CONNECT" {
        //= RFC 9113 section 8.5: "The :scheme and :path pseudo-header fields MUST be omitted."
        parts.authority = Some(Authority::from_maybe_shared(target()).ok()?);
        return Uri::from_parts(parts).ok();
    }
    let authority = match came.and_then(Uri::authority) {
        Some(came) if changes.host.is_none() => came.clone(),
        Some(_) | None => Authority::try_from(new_host(request, changes)).ok()?,
    };
    let path = match came.and_then(Uri::path_and_query) {
        Some(came) if changes.path.is_none() => came.clone(),
        Some(_) | None => PathAndQuery::from_maybe_shared(target()).ok()?,
    };
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).ok()
}

/// The head of an answer with these fields.
pub(in crate::http) fn response_of(status: u16, fields: HeaderMap) -> Response<()> {
    let mut head = Response::new(());
    // What is no status was refused where it was read.
    *head.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *head.headers_mut() = fields;
    head
}

/// Fields on their way into a frame. What HTTP/2 says in another way is left out.
pub(in crate::http) struct Fields<'a> {
    /// Those of the head that came, if it was one of HTTP/2.
    came: Option<&'a HeaderMap>,
    /// Those of them that have not gone by.
    behind: Option<Peekable<header::Iter<'a, HeaderValue>>>,
    /// How many of them were taken, of which the first is their first and none was left out between.
    same: usize,
    /// All that were taken, once these are not the same.
    map: Option<HeaderMap>,
    /// How many of our own there may be.
    own: usize,
}

impl<'a> Fields<'a> {
    /// None so far. Those that are passed on of `came`, in its order, are shared with it; others are
    /// copied.
    pub(in crate::http) fn sharing(came: Option<&'a HeaderMap>, own: &[Own<'_>]) -> Self {
        Self {
            came,
            behind: came.map(|came| came.iter().peekable()),
            same: 0,
            map: None,
            own: own.iter().filter(|own| own.value.is_some()).count(),
        }
    }

    /// All of them; `None` if these are just those that came.
    pub(in crate::http) fn changed(self) -> Option<HeaderMap> {
        let is_same = self.came.is_some_and(|came| came.len() == self.same);
        match self.map {
            None if is_same => None,
            None => Some(self.begun()),
            Some(map) => Some(map),
        }
    }

    /// Those that were the same so far, with room for the others.
    fn begun(&self) -> HeaderMap {
        let came = self.came.map_or(0, HeaderMap::len);
        // Between proxies there is one more, which says where it goes.
        let mut map = HeaderMap::with_capacity(came + self.own + 1);
        for (name, value) in self.came.into_iter().flatten().take(self.same) {
            append(&mut map, name.clone(), value.clone());
        }
        map
    }

    /// Whether it is the next of those that came, and all before it were taken, too.
    fn is_same(&mut self, name: &str, value: &[u8]) -> bool {
        let is_it = |field: &(&HeaderName, &HeaderValue)| is_field(field, name, value);
        let behind = self.behind.as_mut().filter(|_| self.map.is_none());
        behind.and_then(|behind| behind.next_if(is_it)).is_some()
    }

    /// The same one of those that came, if it has not gone by.
    fn shared(&mut self, name: &str, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
        let behind = self.behind.as_mut()?;
        let (name, value) = behind.find(|field| is_field(field, name, value))?;
        Some((name.clone(), value.clone()))
    }
}

impl TakeField for Fields<'_> {
    fn take_field(&mut self, name: &str, value: &[u8]) {
        if name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case("upgrade") {
            return;
        }
        let of_one_call = of_one_call(name);
        if of_one_call.is_none() && self.is_same(name, value) {
            self.same += 1;
            return;
        }
        let field = self.shared(name, value).or_else(|| {
            let name = match of_one_call {
                Some(known) => known.clone(),
                None => HeaderName::from_bytes(name.as_bytes()).ok()?,
            };
            Some((name, HeaderValue::from_bytes(value).ok()?))
        });
        if self.map.is_none() {
            self.map = Some(self.begun());
        }
        if let (Some(map), Some((name, mut value))) = (&mut self.map, field) {
            if of_one_call.is_some() {
                value.set_sensitive(true);
            }
            append(map, name, value);
        }
    }
}

fn is_field(field: &(&HeaderName, &HeaderValue), name: &str, value: &[u8]) -> bool {
    field.0.as_str() == name && field.1.as_bytes() == value
}

/// There are as many as one head may have, and those of ours.
fn append(map: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    drop(map.try_append(name, value));
}

/// A field that has another value in each call. HPACK keeps none that is said to be sensitive in its
/// table, where they would displace those that come again, and be compared with each other.
fn of_one_call(name: &str) -> Option<&'static HeaderName> {
    static KNOWN: [HeaderName; 4] = [
        HeaderName::from_static(RequestId::HEADER),
        HeaderName::from_static(CallId::HEADER),
        HeaderName::from_static(TraceContext::HEADER),
        HeaderName::from_static(grpc::TIMEOUT),
    ];
    KNOWN.iter().find(|known| known.as_str() == name)
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use leno_protocol::HeadReader;

    use super::*;

    /// What a server is sent of a request that came so, after changes: each field, with `shared` if it
    /// is the very one that came, and `once` if it is kept out of the table.
    fn check(fields: &[(&'static str, &str)], changes: &RequestChanges<'_>, expect: &[&str]) {
        let mut came = Request::get("http://cart/items?of=2");
        for (name, value) in fields {
            came = came.header(*name, *value);
        }
        let came = came.body(()).unwrap();
        let mut room = leno_protocol::Fields::new();
        let block = block_of(came.headers(), true);
        let reader = HeadReader::default();
        let read = reader.http2_request(&pseudo_of(&came), block, &mut room);
        let head = read.unwrap();
        let sent = request_of(&head, Some(&came), changes).unwrap();
        let mut told = vec![sent.uri().to_string()];
        for (name, value) in sent.headers() {
            let is_shared = |held: &HeaderValue| ptr::eq(held.as_bytes(), value.as_bytes());
            let shared = match came.headers().get_all(name).iter().any(is_shared) {
                true => " shared",
                false => "",
            };
            let once = if value.is_sensitive() { " once" } else { "" };
            told.push(format!("{name}: {}{shared}{once}", value.to_str().unwrap()));
        }
        assert_eq!(told, expect);
        let copied = request_of(&head, None, changes).unwrap();
        assert_eq!(
            (copied.uri(), copied.headers()),
            (sent.uri(), sent.headers())
        );
    }

    #[test]
    fn what_is_passed_on_is_shared_with_what_came() {
        let fields = [
            ("accept", "text/html"),
            ("x-request-id", "7"),
            ("leno-id", "forged"),
            ("x-empty", ""),
            ("content-length", "0"),
            ("accept", "*/*"),
            ("x-also-empty", ""),
        ];
        let own = |value| Own {
            name: CallId::HEADER,
            value: Some(value),
        };
        let changes = RequestChanges {
            host: Some("cart.shop"),
            own: &[own(b"0123456789")],
            ..RequestChanges::default()
        };
        check(
            &fields,
            &changes,
            &[
                "http://cart.shop/items?of=2",
                "accept: text/html shared",
                "accept: */* shared",
                "x-request-id: 7 shared once",
                "x-empty:  shared",
                "content-length: 0 shared",
                "x-also-empty:  shared",
                "leno-id: 0123456789 once",
            ],
        );
    }

    type Given = &'static [(&'static str, &'static str)];

    fn map(fields: Given) -> HeaderMap {
        HeaderMap::from_iter(fields.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        }))
    }

    #[test]
    fn what_is_given_just_as_it_came_is_not_made_anew() {
        const SERVER: (&str, &str) = ("server", "cart");
        const DATE: (&str, &str) = ("date", "today");
        const NEW: (&str, &str) = ("x-new", "1");
        const ID: (&str, &str) = (RequestId::HEADER, "7");
        let cases: [(Given, Given, bool); 7] = [
            (&[], &[], true),
            (&[SERVER, DATE], &[SERVER, DATE], true),
            (&[SERVER, DATE], &[SERVER], false),
            (&[SERVER, DATE], &[DATE], false),
            (&[SERVER, DATE], &[SERVER, DATE, NEW], false),
            (&[SERVER, DATE], &[SERVER, NEW, DATE], false),
            // It is to stay out of HPACK's table.
            (&[SERVER, ID, DATE], &[SERVER, ID, DATE], false),
        ];
        for (came, given, is_same) in cases {
            let came = map(came);
            let mut fields = Fields::sharing(Some(&came), &[]);
            for (name, value) in given {
                fields.take_field(name, value.as_bytes());
            }
            let expect = (!is_same).then(|| map(given));
            assert_eq!(fields.changed(), expect, "{given:?} of {came:?}");
        }
    }
}
