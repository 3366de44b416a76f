//! Whether a request meets a condition: one predicate per kind of condition, which answers with
//! what does not match. The index, the plain scan and the story all ask these.

use core::fmt;

use leno_model::view::{HeaderMatch, HostMatch, PathMatch, Route, TextMatch};
use leno_protocol::{Header, Request};

/// The part of a condition that a request does not meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mismatch<'t> {
    Host(&'t HostMatch),
    Path(&'t PathMatch),
    Method(&'t str),
    HeaderAbsent(&'t HeaderMatch),
    HeaderDiffers(&'t HeaderMatch),
    QueryAbsent(&'t HeaderMatch),
    QueryDiffers(&'t HeaderMatch),
}

/// What of a route `request`, with its path read as `path`, does not meet.
pub(crate) fn route_mismatch<'t>(
    route: &'t Route,
    request: &Request<'_>,
    path: &str,
) -> Option<Mismatch<'t>> {
    let matches = &route.matches;
    if !host_matches(&route.host, request.host) {
        return Some(Mismatch::Host(&route.host));
    }
    if !path_matches(&matches.path, path) {
        return Some(Mismatch::Path(&matches.path));
    }
    if let Some(method) = &matches.method
        && **method != *request.method
    {
        return Some(Mismatch::Method(method));
    }
    let headers = matches
        .headers
        .iter()
        .find_map(|expected| header_mismatch(expected, request.headers));
    headers.or_else(|| {
        matches
            .query
            .iter()
            .find_map(|expected| query_mismatch(expected, request.query.unwrap_or_default()))
    })
}

/// Whether a stream that asks for `server_name` is one of a route's. Who asks for nobody is only of those
/// that are about all.
pub(crate) fn stream_matches(route: &Route, server_name: Option<&str>) -> bool {
    match server_name {
        Some(name) => host_matches(&route.host, name),
        None => route.host == HostMatch::Any,
    }
}

pub(crate) fn host_matches(expected: &HostMatch, host: &str) -> bool {
    match expected {
        HostMatch::Any => true,
        HostMatch::Exact(name) => name.eq_ignore_ascii_case(host),
        HostMatch::Suffix(suffix) => {
            let before = host.len().checked_sub(suffix.len());
            before.is_some_and(|before| {
                before > 0 && host.as_bytes()[before..].eq_ignore_ascii_case(suffix.as_bytes())
            })
        }
    }
}

pub(crate) fn path_matches(expected: &PathMatch, path: &str) -> bool {
    match expected {
        PathMatch::Exact(exact) => **exact == *path,
        PathMatch::Prefix(prefix) => {
            // The root takes everything, also the `*` of OPTIONS, which is below nothing.
            prefix.is_empty()
                || path
                    .strip_prefix(&**prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        PathMatch::Regex(pattern) => pattern.matches(path.bytes()),
        PathMatch::Template(template) => template.matches(path),
    }
}

pub(crate) fn header_mismatch<'t>(
    expected: &'t HeaderMatch,
    headers: &[Header<'_>],
) -> Option<Mismatch<'t>> {
    let Some(list) = header(headers, &expected.name) else {
        return Some(Mismatch::HeaderAbsent(expected));
    };
    (!text_matches(&expected.value, list)).then_some(Mismatch::HeaderDiffers(expected))
}

pub(crate) fn query_mismatch<'t>(expected: &'t HeaderMatch, query: &str) -> Option<Mismatch<'t>> {
    let Some(value) = parameter(query, &expected.name) else {
        return Some(Mismatch::QueryAbsent(expected));
    };
    (!text_matches(&expected.value, value)).then_some(Mismatch::QueryDiffers(expected))
}

/// What a header says, if it is there. Several fields of one name are one list (RFC 9110 section 5.3).
pub(crate) fn header<'r>(
    headers: &'r [Header<'_>],
    name: &'r str,
) -> Option<impl Iterator<Item = u8> + 'r> {
    let is_named = move |it: &&Header<'_>| it.name.eq_ignore_ascii_case(name);
    let named = headers.iter().filter(is_named);
    let mut values = named.map(|it| it.value);
    let first = values.next()?;
    let others = values.flat_map(|value| b", ".iter().chain(value));
    Some(first.iter().chain(others).copied())
}

/// What a parameter of a query says, if it is there. Names and values are compared with their
/// percent-escapes undone.
//= HTTPRoute queryParams: "it is *recommended* that implementations should match against the
//= first value of the param"
pub(crate) fn parameter<'r>(query: &'r str, name: &str) -> Option<impl Iterator<Item = u8> + 'r> {
    query.split('&').find_map(|entry| {
        let (named, value) = entry.split_once('=').unwrap_or((entry, ""));
        unescaped(named).eq(name.bytes()).then(|| unescaped(value))
    })
}

fn text_matches(expected: &TextMatch, bytes: impl Iterator<Item = u8>) -> bool {
    match expected {
        TextMatch::Exact(text) => bytes.eq(text.bytes()),
        TextMatch::Regex(pattern) => pattern.matches(bytes),
    }
}

/// The bytes of `text` with `%62` read as `b`; an escape that is none stands for itself.
fn unescaped(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    core::iter::from_fn(move || {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            rest = after;
            return Some(high * 16 + low);
        }
        let (first, after) = rest.split_first()?;
        rest = after;
        Some(*first)
    })
}

fn digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'a'..=b'f' => Some(octet - b'a' + 10),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

/// Half a sentence: `header x-canary absent`.
impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(HostMatch::Any) => f.write_str("host is not any"),
            Self::Host(HostMatch::Exact(name)) => write!(f, "host is not {name}"),
            Self::Host(HostMatch::Suffix(suffix)) => write!(f, "host is not *{suffix}"),
            Self::Path(PathMatch::Exact(path)) => write!(f, "path is not {path}"),
            Self::Path(PathMatch::Prefix(prefix)) => write!(f, "path is not below {prefix}/"),
            Self::Path(PathMatch::Regex(pattern)) => write!(f, "path does not match {pattern}"),
            Self::Path(PathMatch::Template(template)) => write!(f, "path does not fit {template}"),
            Self::Method(method) => write!(f, "method is not {method}"),
            Self::HeaderAbsent(header) => write!(f, "header {} absent", header.name),
            Self::HeaderDiffers(header) => write!(f, "header {} {}", header.name, Not(header)),
            Self::QueryAbsent(query) => write!(f, "query {} absent", query.name),
            Self::QueryDiffers(query) => write!(f, "query {} {}", query.name, Not(query)),
        }
    }
}

/// What a value is not.
struct Not<'t>(&'t HeaderMatch);

impl fmt::Display for Not<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.value {
            TextMatch::Exact(text) => write!(f, "is not {text}"),
            TextMatch::Regex(pattern) => write!(f, "does not match {pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use leno_model::Pattern;
    use leno_protocol::Path;

    use super::*;

    #[test]
    fn hosts_match_without_regard_to_case_and_suffixes_need_a_label() {
        let exact = HostMatch::Exact("shop.example".into());
        assert!(host_matches(&exact, "Shop.EXAMPLE"));
        assert!(!host_matches(&exact, "www.shop.example"));
        let suffix = HostMatch::Suffix(".shop.example".into());
        for (host, expect) in [
            ("www.shop.example", true),
            ("a.b.Shop.Example", true),
            ("shop.example", false),
            (".shop.example", false),
            ("myshop.example", false),
            ("example", false),
        ] {
            assert_eq!(host_matches(&suffix, host), expect, "{host}");
        }
    }

    #[test]
    fn prefixes_match_whole_segments() {
        let below =
            |prefix: &str, path: &str| path_matches(&PathMatch::Prefix(prefix.into()), path);
        for (prefix, path, expect) in [
            ("", "/", true),
            ("", "/anything", true),
            ("", "*", true),
            ("/abc", "/abc", true),
            ("/abc", "/abc/", true),
            ("/abc", "/abc/def", true),
            ("/abc", "/abcd", false),
            ("/abc", "/ab", false),
            ("/abc", "/ABC", false),
        ] {
            assert_eq!(below(prefix, path), expect, "{prefix} {path}");
        }
        let pattern = PathMatch::Regex(Pattern::new("/v[0-9]").unwrap());
        assert!(path_matches(&pattern, "/v1"));
        assert!(!path_matches(&pattern, "/v1/x"));
    }

    fn expected(name: &str, value: &str) -> HeaderMatch {
        HeaderMatch {
            name: name.into(),
            value: TextMatch::Exact(value.into()),
        }
    }

    #[test]
    fn fields_of_one_name_are_one_list() {
        let check = |fields: &[(&'static str, &'static str)], value: &str| {
            let headers: Vec<_> = fields
                .iter()
                .map(|(name, value)| Header {
                    name,
                    value: value.as_bytes(),
                })
                .collect();
            let request = Request {
                method: "GET",
                host: "cart",
                port: None,
                path: Path::new("/").unwrap(),
                query: None,
                headers: &headers,
            };
            let expected = expected("x-user", value);
            header_mismatch(&expected, request.headers).map(|mismatch| mismatch.to_string())
        };
        assert_eq!(check(&[("X-User", "beta")], "beta"), None);
        assert_eq!(check(&[("x-user", "a"), ("x-user", "b")], "a, b"), None);
        assert_eq!(
            check(&[("x-user", "a"), ("x-user", "b")], "a").unwrap(),
            "header x-user is not a"
        );
        assert_eq!(check(&[("x", "a")], "a").unwrap(), "header x-user absent");
    }

    #[test]
    fn the_first_parameter_of_a_name_counts() {
        let check = |query: &str, value: &str| {
            query_mismatch(&expected("user", value), query).map(|mismatch| mismatch.to_string())
        };
        assert_eq!(check("a=1&user=beta", "beta"), None);
        assert_eq!(check("%75ser=b%65ta", "beta"), None);
        assert_eq!(check("user", ""), None);
        assert_eq!(check("user=beta&user=x", "beta"), None);
        assert_eq!(
            check("user=x&user=beta", "beta").unwrap(),
            "query user is not beta"
        );
        assert_eq!(check("user=%zz", "%zz"), None);
        assert_eq!(check("xuser=beta", "beta").unwrap(), "query user absent");
        assert_eq!(check("", "").unwrap(), "query user absent");
    }
}
