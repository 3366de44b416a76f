//! What a request is after, and whether it may come from where it comes from. Said about the head
//! alone; who asks is for [`crate::access`].

use leno_protocol::{BodyFraming, Request};

use crate::access::Secret;
use crate::answer::Reader;
use crate::asking;
use crate::pages::Asset;
use crate::refusal::{NoQuestion, Refusal};

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
    /// The page, by whoever has a visit.
    Page,
    /// A question by a page of ours, of so many bytes.
    Question(usize),
}

/// Understands a request that has such a body, or says why it is not answered.
pub(crate) fn judge<'a>(
    request: &Request<'a>,
    body: BodyFraming,
    place: &Place,
) -> Result<Asked<'a>, Refusal> {
    let port = request.port.unwrap_or(HTTP);
    if let Some(name) = service_of(request.host) {
        return Ok(Asked::Service(name));
    }
    // Also a page elsewhere can give its own name this host's address.
    if port != place.port || !is_own(request.host) {
        return Err(Refusal::ForeignHost);
    }
    judge_origin(request, port)?;
    if let Some(inside) = inside(request, place)
        && inside == QUESTIONS
    {
        return judge_question(request, body).map(Asked::Question);
    }
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
    match inside(request, place) {
        Some("") => Ok(Asked::Page),
        Some(_) | None => Err(Refusal::NotFound),
    }
}

/// The path below the folder of pages.
fn inside<'a>(request: &Request<'a>, place: &Place) -> Option<&'a str> {
    let (folder, rest) = request.path.raw().strip_prefix('/')?.split_once('/')?;
    place.folder.is(folder).then_some(rest)
}

/// Where questions are sent, below the folder of pages.
const QUESTIONS: &str = "ask";

/// Who will read the answer, by the look of the path alone.
pub(crate) fn read_by(request: &Request<'_>) -> Reader {
    match request.path.raw().rsplit_once('/') {
        Some((folder, QUESTIONS)) if !folder.is_empty() => Reader::Page,
        Some(_) | None => Reader::Person,
    }
}

/// How long the question is that a page of ours sends. No other page can: a browser says whose page
/// sends, and asks first before it sends JSON for another.
fn judge_question(request: &Request<'_>, body: BodyFraming) -> Result<usize, Refusal> {
    if request.method != "POST" {
        return Err(Refusal::Method);
    }
    let mut sites = request.header("sec-fetch-site");
    if request.header("origin").count() != 1 || !sites.all(|site| site == b"same-origin") {
        return Err(Refusal::ForeignOrigin);
    }
    let mut media = request.header("content-type");
    if media.next() != Some(b"application/json") || media.next().is_some() {
        return Err(Refusal::NoQuestion(NoQuestion::NotJson));
    }
    match body {
        BodyFraming::Length(length) => usize::try_from(length)
            .ok()
            .filter(|length| *length <= asking::LONGEST)
            .ok_or(Refusal::NoQuestion(NoQuestion::TooLong)),
        _ => Err(Refusal::NoQuestion(NoQuestion::Endless)),
    }
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
    use crate::built;

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
        let read = read.unwrap();
        let told = match judge(&read.request, read.body, &place) {
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
            (built::STYLE_PATH, "Asset(Style)"),
            (built::SCRIPT_PATH, "Asset(Script)"),
            ("/style.css?x", "Asset(PlainStyle)"),
            ("/page.js", "NotFound"),
            ("/icon.svg", "Asset(Icon)"),
            ("/FOLDER/", "Page"),
            ("/FOLDER/?x", "Page"),
            ("/FOLDER/plain", "NotFound"),
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
            ("sec-fetch-site: none", "Page"),
            ("sec-fetch-site: same-origin\nsec-fetch-mode: cors", "Page"),
            ("origin: http://localhost:7070", "Page"),
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
                "Page",
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
    fn only_our_own_page_asks_questions() {
        let ours = "origin: http://localhost:7070\nsec-fetch-site: same-origin";
        let json = "content-type: application/json\ncontent-length: 16";
        let cases = [
            ("POST", "ask", format!("{ours}\n{json}"), "Question(16)"),
            (
                "POST",
                "ask",
                format!("origin: http://localhost:7070\n{json}"),
                "Question(16)",
            ),
            ("GET", "ask", ours.to_owned(), "Method"),
            ("OPTIONS", "ask", ours.to_owned(), "Method"),
            ("POST", "", format!("{ours}\n{json}"), "Method"),
            ("POST", "ask/", format!("{ours}\n{json}"), "Method"),
            ("POST", "ask", json.to_owned(), "ForeignOrigin"),
            (
                "POST",
                "ask",
                format!("origin: null\n{json}"),
                "ForeignOrigin",
            ),
            (
                "POST",
                "ask",
                format!("origin: http://evil.example\n{json}"),
                "ForeignOrigin",
            ),
            (
                "POST",
                "ask",
                format!("origin: http://localhost:3000\n{json}"),
                "ForeignOrigin",
            ),
            (
                "POST",
                "ask",
                format!("sec-fetch-site: none\n{json}"),
                "ForeignOrigin",
            ),
            (
                "POST",
                "ask",
                format!("origin: http://localhost:7070\nsec-fetch-site: same-site\n{json}"),
                "ForeignOrigin",
            ),
            (
                "POST",
                "ask",
                format!("{ours}\ncontent-type: text/plain\ncontent-length: 16"),
                "NoQuestion(NotJson)",
            ),
            (
                "POST",
                "ask",
                format!("{ours}\ncontent-length: 16"),
                "NoQuestion(NotJson)",
            ),
            (
                "POST",
                "ask",
                format!("{ours}\ncontent-type: application/json\ncontent-length: 65537"),
                "NoQuestion(TooLong)",
            ),
            (
                "POST",
                "ask",
                format!("{ours}\ncontent-type: application/json\ntransfer-encoding: chunked"),
                "NoQuestion(Endless)",
            ),
        ];
        for (method, path, headers, expect) in cases {
            let head = format!("{method} /FOLDER/{path} HTTP/1.1\nhost: localhost:7070\n{headers}");
            check(&head, expect);
        }
        let head = format!(
            "POST /{}/ask HTTP/1.1\nhost: localhost:7070\n{ours}\n{json}",
            "0".repeat(32)
        );
        check(&head, "Method");
        let rebound = "origin: http://rebound.example:7070";
        check(
            &format!("POST /FOLDER/ask HTTP/1.1\nhost: rebound.example:7070\n{rebound}\n{json}"),
            "ForeignHost",
        );
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
