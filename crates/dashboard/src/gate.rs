//! What a request is after, and whether it may come from where it comes from. Said about the head
//! alone; who asks is for [`crate::access`].

use leno_protocol::Request;

use crate::access::Secret;
use crate::pages::{Asset, Page};
use crate::refusal::Refusal;

/// Where the pages are.
pub(crate) struct Place {
    /// The port of the address.
    pub(crate) port: u16,
    /// The folder of the pages, which nobody can guess.
    ///
    /// A browser sends a cookie to every port of its host, and other programs have ports on this
    /// one. It sends it only below the cookie's path, and that they do not know.
    pub(crate) folder: Secret,
}

/// What a request is after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked<'a> {
    /// The service that is published as `http://NAME.localhost`.
    Service(&'a str),
    /// What anyone may have.
    Asset(Asset),
    /// To come in by a link.
    Enter(&'a str),
    /// A page, by whoever has a visit.
    Page(Page),
}

/// Understands a request, or says why it is not answered.
pub(crate) fn judge<'a>(request: &Request<'a>, place: &Place) -> Result<Asked<'a>, Refusal> {
    let port = request.port.unwrap_or(HTTP);
    if let Some(name) = service_of(request.host) {
        return Ok(Asked::Service(name));
    }
    // Also a page elsewhere can give its own name this host's address.
    if port != place.port || !is_own(request.host) {
        return Err(Refusal::ForeignHost);
    }
    judge_origin(request, port)?;
    if !matches!(request.method, "GET" | "HEAD") {
        return Err(Refusal::Method);
    }
    // A browser that only expects to be asked would use up the link.
    if request.header("sec-purpose").next().is_some() {
        return Err(Refusal::NotAsked);
    }
    let path = request.path.raw();
    if let Some(asset) = Asset::at(path) {
        return Ok(Asked::Asset(asset));
    }
    if path == "/" {
        let token = request.query.and_then(|query| query.strip_prefix("t="));
        return match token {
            Some(_) if request.method == "HEAD" => Err(Refusal::Method),
            Some(token) => Ok(Asked::Enter(token)),
            None => Err(Refusal::NoVisit),
        };
    }
    let inside = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let page = inside
        .filter(|(folder, _)| place.folder.is(folder))
        .and_then(|(_, rest)| Page::at(rest));
    page.map(Asked::Page).ok_or(Refusal::NotFound)
}

/// The proofs of a visit that a request brings, each to be judged.
pub(crate) fn proofs<'a>(request: &Request<'a>) -> impl Iterator<Item = &'a str> {
    let lines = request.header("cookie");
    let lines = lines.filter_map(|line| str::from_utf8(line).ok());
    let pairs = lines.flat_map(|line| line.split(';')).take(MOST_COOKIES);
    pairs.filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// The cookie that proves a visit.
pub(crate) const COOKIE: &str = "leno-visit";

/// More than a browser keeps for one host.
const MOST_COOKIES: usize = 200;

/// The port that `http://` means.
const HTTP: u16 = 80;

fn is_own(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || matches!(host, "127.0.0.1" | "[::1]")
}

/// `cart` of `cart.localhost`.
fn service_of(host: &str) -> Option<&str> {
    let at = host.len().checked_sub(LOCALHOST.len())?;
    let (name, end) = host.split_at_checked(at)?;
    (end.eq_ignore_ascii_case(LOCALHOST) && !name.is_empty()).then_some(name)
}

const LOCALHOST: &str = ".localhost";

/// Only the address bar, a link, and our own pages may ask.
fn judge_origin(request: &Request<'_>, port: u16) -> Result<(), Refusal> {
    let mut origins = request.header("origin");
    let is_ours = |origin: &[u8]| {
        let origin = origin.strip_prefix(b"http://").unwrap_or_default();
        let origin = leno_protocol::Authority::parse(origin);
        origin.is_ok_and(|origin| {
            origin.port.unwrap_or(HTTP) == port && origin.host.eq_ignore_ascii_case(request.host)
        })
    };
    if !origins.all(is_ours) {
        return Err(Refusal::ForeignOrigin);
    }
    let says = |name: &str, word: &[u8]| request.header(name).all(|value| value == word);
    if is_from_us(request) {
        return Ok(());
    }
    // A link on another page leads here as well as one in a terminal; a frame or a script does not.
    let leads = says("sec-fetch-mode", b"navigate") && says("sec-fetch-dest", b"document");
    match leads && request.method == "GET" {
        true => Ok(()),
        false => Err(Refusal::ForeignOrigin),
    }
}

/// Whether nobody led a browser here but its user and our own pages.
pub(crate) fn is_from_us(request: &Request<'_>) -> bool {
    let mut sites = request.header("sec-fetch-site");
    sites.all(|site| matches!(site, b"none" | b"same-origin"))
}

#[cfg(test)]
mod tests {
    use leno_protocol::{Fields, HeadReader};

    use super::*;

    /// What becomes of a request, given as its first line and headers; `FOLDER` is the folder's name.
    #[track_caller]
    fn check(head: &str, expect: &str) {
        let place = Place {
            port: 7070,
            folder: Secret::new(),
        };
        let head = head.replace("FOLDER", &place.folder.to_string());
        let head = format!("{}\r\n\r\n", head.replace('\n', "\r\n"));
        let mut fields = Fields::new();
        let mut reader = HeadReader::default();
        let read = reader.request(head.as_bytes(), &mut fields).unwrap();
        let told = match judge(&read.unwrap().request, &place) {
            Ok(asked) => format!("{asked:?}"),
            Err(refusal) => format!("{refusal:?}"),
        };
        assert_eq!(told, expect, "{head}");
    }

    #[test]
    fn a_path_means_one_thing() {
        for (path, expect) in [
            ("/?t=abc", "Enter(\"abc\")"),
            ("/", "NoVisit"),
            ("/?u=abc", "NoVisit"),
            ("/?", "NoVisit"),
            ("/style.css", "Asset(Style)"),
            ("/live.js?x", "Asset(Script)"),
            ("/icon.svg", "Asset(Icon)"),
            ("/FOLDER/", "Page(Status)"),
            ("/FOLDER/?x", "Page(Status)"),
            ("/FOLDER", "NotFound"),
            ("/FOLDER/other", "NotFound"),
            ("/FOLDER/style.css", "NotFound"),
            ("/FOLDER//", "NotFound"),
            ("/%2e/FOLDER/", "NotFound"),
            ("//FOLDER/", "NotFound"),
            ("/00000000000000000000000000000000/", "NotFound"),
            ("/favicon.ico", "NotFound"),
        ] {
            check(
                &format!("GET {path} HTTP/1.1\nhost: localhost:7070"),
                expect,
            );
        }
        check("HEAD / HTTP/1.1\nhost: localhost:7070", "NoVisit");
        check("HEAD /?t=abc HTTP/1.1\nhost: localhost:7070", "Method");
        check("POST /?t=abc HTTP/1.1\nhost: localhost:7070", "Method");
        check("OPTIONS * HTTP/1.1\nhost: localhost:7070", "Method");
        check(
            "CONNECT localhost:7070 HTTP/1.1\nhost: localhost:7070",
            "Method",
        );
    }

    #[test]
    fn only_this_hosts_own_names_are_answered() {
        for (host, expect) in [
            ("localhost:7070", "NoVisit"),
            ("LocalHost:7070", "NoVisit"),
            ("127.0.0.1:7070", "NoVisit"),
            ("[::1]:7070", "NoVisit"),
            ("localhost", "ForeignHost"),
            ("localhost:7071", "ForeignHost"),
            ("127.0.0.2:7070", "ForeignHost"),
            ("[::2]:7070", "ForeignHost"),
            ("rebound.example:7070", "ForeignHost"),
            ("localhost.example:7070", "ForeignHost"),
            ("127.0.0.1.example:7070", "ForeignHost"),
            ("notlocalhost:7070", "ForeignHost"),
            ("cart.localhost:7070", "Service(\"cart\")"),
            ("Cart.Shop.LOCALHOST:7070", "Service(\"Cart.Shop\")"),
            ("cart.localhost", "Service(\"cart\")"),
        ] {
            check(&format!("GET / HTTP/1.1\nhost: {host}"), expect);
        }
        check(
            "GET http://localhost:7070/ HTTP/1.1\nhost: localhost:7070",
            "NoVisit",
        );
    }

    #[test]
    fn only_navigation_and_our_own_pages_ask() {
        for (headers, expect) in [
            ("sec-fetch-site: none", "Page(Status)"),
            (
                "sec-fetch-site: same-origin\nsec-fetch-mode: cors",
                "Page(Status)",
            ),
            ("origin: http://localhost:7070", "Page(Status)"),
            ("origin: http://localhost:3000", "ForeignOrigin"),
            ("origin: http://localhost", "ForeignOrigin"),
            ("origin: https://localhost:7070", "ForeignOrigin"),
            ("origin: http://127.0.0.1:7070", "ForeignOrigin"),
            ("origin: null", "ForeignOrigin"),
            ("origin:", "ForeignOrigin"),
            (
                "origin: http://localhost:7070\norigin: null",
                "ForeignOrigin",
            ),
            (
                "sec-fetch-site: cross-site\nsec-fetch-mode: navigate\nsec-fetch-dest: document",
                "Page(Status)",
            ),
            (
                "sec-fetch-site: cross-site\nsec-fetch-mode: navigate\nsec-fetch-dest: iframe",
                "ForeignOrigin",
            ),
            (
                "sec-fetch-site: same-site\nsec-fetch-mode: cors\nsec-fetch-dest: empty",
                "ForeignOrigin",
            ),
            (
                "sec-fetch-site: cross-site\nsec-fetch-mode: no-cors\nsec-fetch-dest: image",
                "ForeignOrigin",
            ),
            (
                "sec-fetch-site: none\nsec-fetch-mode: navigate\nsec-purpose: prefetch",
                "NotAsked",
            ),
        ] {
            let head = format!("GET /FOLDER/ HTTP/1.1\nhost: localhost:7070\n{headers}");
            check(&head, expect);
        }
    }

    #[test]
    fn a_visit_is_proven_by_its_own_cookie() {
        let read = |cookies: &str| {
            let head = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{cookies}\r\n");
            let mut fields = Fields::new();
            let mut reader = HeadReader::default();
            let read = reader.request(head.as_bytes(), &mut fields).unwrap();
            let request = read.unwrap().request;
            proofs(&request).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(read(""), "");
        assert_eq!(read("cookie: leno-visit=ab\r\n"), "ab");
        assert_eq!(
            read("cookie: theme=dark; leno-visit=ab;leno-visit=cd\r\nCookie: leno-visit=ef\r\n"),
            "ab cd ef"
        );
        assert_eq!(
            read("cookie: xleno-visit=ab; leno-visits=cd; leno-visit\r\n"),
            ""
        );
    }
}
