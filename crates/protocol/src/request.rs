//! The canonical request: one reading of a head, made once, that everything after it uses.

use memchr::{memchr, memchr_iter};

use crate::flaw::Flaw;
use crate::framing::{Asked, BodyFraming, Version};
use crate::head::{Limits, Role};
use crate::headers::{Fields, Line, Lines, Meaning, is_protocol, read_header};
use crate::host::Authority;
use crate::http2::Pseudo;
use crate::octets::{is_token_text, list};
use crate::path::Path;

/// A request's head after every check that does not depend on configuration.
///
/// Made of the bytes of HTTP/1 or of the fields of HTTP/2, by the same checks; an imagined request
/// of `leno why` is written as bytes and goes through the same parser.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method, as sent: a token without lower-case letters. What asks for another protocol by an extended
    /// CONNECT (RFC 8441) asks by GET, as it would in HTTP/1.1.
    pub method: &'a str,
    /// The one `Host`: without port and trailing dot, case as sent, an IPv6 address in its
    /// brackets. Compare it without regard to ASCII case.
    pub host: &'a str,
    /// The port in `Host`, if it names one; of CONNECT, the port of the target.
    pub port: Option<u16>,
    /// The path of the target: begins with `/`, but for `OPTIONS *` (`*`) and CONNECT (empty).
    pub path: Path<'a>,
    /// What follows the first `?` of the target, without it.
    pub query: Option<&'a str>,
    /// The headers that go to the other end, in order, names and values as sent. What concerns
    /// one connection only (RFC 9110 section 7.6.1) is not among them: nobody decides by what the
    /// application does not get. `Upgrade` and `TE` are among them if they are passed on.
    pub headers: &'a [Header<'a>],
}

impl<'a> Request<'a> {
    /// Every value of one header, in order. `name` is compared without regard to ASCII case.
    pub fn header(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }
}

/// One header field, as sent; the value without surrounding white space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// A token (RFC 9110 section 5.6.2).
    pub name: &'a str,
    /// Visible octets, spaces and tabs; perhaps not UTF-8.
    pub value: &'a [u8],
}

/// A request and what the connection must know to carry it.
#[derive(Clone, Debug)]
pub struct RequestHead<'a> {
    /// What is decided about.
    pub request: Request<'a>,
    /// What the client speaks.
    pub version: Version,
    /// How the target was written. The request itself does not keep it: it says the same in each.
    pub form: Form,
    /// How the body ends. Never [`BodyFraming::UntilClose`]; [`BodyFraming::Tunnel`] is an
    /// answer's to give.
    pub body: BodyFraming,
    /// Whether the client will use the connection for another request.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether the client asks for another protocol on this connection, or in this stream of HTTP/2, and it
    /// is one that is carried. Then `Upgrade` is among the headers.
    pub upgrade: bool,
    /// How many bytes the head took.
    pub length: usize,
}

/// The form of a target (RFC 9112 section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `/items`: what a server is sent.
    Origin,
    /// `http://cart/items`: what a proxy is sent, and what the pseudo-header fields of HTTP/2 say
    /// together.
    Absolute(Scheme),
    /// `cart:8080`: what CONNECT has.
    Authority,
    /// `*`: what OPTIONS may have.
    Asterisk,
}

/// The scheme of an absolute target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// In plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The port of an authority that names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl<'a> RequestHead<'a> {
    /// The other protocol that is asked for; of several, the one that is preferred. `None` too if that is
    /// no name of one.
    pub fn protocol(&self) -> Option<&'a str> {
        if !self.upgrade {
            return None;
        }
        let mut named = self.request.header("upgrade");
        let preferred = named.find_map(|value| list(value).next());
        let preferred = preferred.filter(|protocol| is_protocol(protocol));
        preferred.and_then(|protocol| str::from_utf8(protocol).ok())
    }

    /// Whether bytes that are no message may follow, both ways: it asks for another protocol, or is CONNECT.
    pub fn asks_for_stream(&self) -> bool {
        self.upgrade || self.request.method == "CONNECT"
    }

    /// What must be remembered to read the answer.
    pub fn asked(&self) -> Asked {
        Asked {
            head: self.request.method == "HEAD",
            connect: self.request.method == "CONNECT",
            upgrade: self.upgrade,
        }
    }
}

/// Reads a complete head of `length` bytes.
pub(crate) fn read_request<'f, 'a: 'f>(
    head: &'a [u8],
    length: usize,
    fields: &'f mut Fields<'a>,
    limits: &Limits,
    reader: Role,
) -> Result<RequestHead<'f>, Flaw> {
    let mut lines = Lines::new(head);
    let line = lines.next().ok_or(Flaw::RequestLine)?;
    let (method, target, version) = read_line(line, limits)?;
    let meaning = Meaning::read(lines.map(read_header), fields, version, limits, reader)?;
    let body = meaning.declared.of_request(method)?;
    let head = finish_request(method, target, version, meaning, body)?;
    Ok(RequestHead { length, ..head })
}

/// A request of which everything has been read: what its parts say together.
pub(crate) fn finish_request<'f, 'a: 'f>(
    method: &'a str,
    target: Target<'a>,
    version: Version,
    meaning: Meaning<'f, 'a>,
    body: BodyFraming,
) -> Result<RequestHead<'f>, Flaw> {
    let host = meaning.host.ok_or(Flaw::NoHost)?;
    if meaning.repeated_host {
        return Err(Flaw::RepeatedHost);
    }
    let authority = match target.authority {
        // It stands among the headers as it was named.
        Some((named, _)) if version == Version::Http2 => named,
        Some((named, default_port)) => {
            let authority = Authority::parse(host)?;
            if !named.is_same(&authority, default_port) {
                return Err(Flaw::HostDiffers);
            }
            authority
        }
        None => Authority::parse(host)?,
    };
    let port = match target.authority {
        Some((named, _)) if method == "CONNECT" => named.port,
        _ => authority.port,
    };
    let keep_alive = meaning.options.keeps_alive(version);
    let expects_continue = meaning.expects_continue && body != BodyFraming::None;
    // A server could switch in the middle of a body, and what is left of it would be taken for the other
    // protocol. Without `Upgrade` it goes on in HTTP/1.1, as it may (RFC 9110 section 7.8).
    let upgrade = meaning.upgrade && body == BodyFraming::None;
    Ok(RequestHead {
        request: Request {
            method,
            host: authority.host,
            port,
            path: Path::new(target.path)?,
            query: target.query,
            headers: meaning.headers(upgrade, true),
        },
        version,
        form: target.form,
        body,
        keep_alive,
        expects_continue,
        upgrade,
        length: 0,
    })
}

fn read_line<'a>(line: Line<'a>, limits: &Limits) -> Result<(&'a str, Target<'a>, Version), Flaw> {
    let octets = line.octets;
    let mut spaces = memchr_iter(b' ', octets);
    let (Some(first), Some(second), None) = (spaces.next(), spaces.next(), spaces.next()) else {
        return Err(line.blame(Flaw::RequestLine));
    };
    let (start, behind) = (first.saturating_add(1), second.saturating_add(1));
    let method = octets.get(..first).filter(|method| is_token_text(method));
    let method = method.ok_or_else(|| line.blame(Flaw::Method))?;
    let version = octets.get(behind..).unwrap_or_default();
    let version = Version::read(version, Flaw::RequestLine).map_err(|flaw| line.blame(flaw))?;
    if method.iter().any(u8::is_ascii_lowercase) {
        return Err(Flaw::MethodCase);
    }
    let limit = limits.target_bytes;
    if second.saturating_sub(start) > limit {
        return Err(Flaw::TargetTooLong { limit });
    }
    let method = line.text(0, first).ok_or(Flaw::Method)?;
    let target = line.text(start, second).ok_or(Flaw::TargetUtf8);
    let target = target.and_then(|target| Target::read(target, method));
    Ok((method, target.map_err(|flaw| line.blame(flaw))?, version))
}

/// A request's target, in whichever of the four forms (RFC 9112 section 3.2).
pub(crate) struct Target<'a> {
    form: Form,
    /// The authority that an absolute form or CONNECT names, and the port it has without saying so.
    authority: Option<(Authority<'a>, u16)>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn read(text: &'a str, method: &str) -> Result<Self, Flaw> {
        check_target(text)?;
        if method == "CONNECT" {
            let authority = Authority::parse(text.as_bytes())?;
            let port = authority.port.ok_or(Flaw::TargetForm)?;
            return Ok(Self {
                form: Form::Authority,
                authority: Some((authority, port)),
                path: "",
                query: None,
            });
        }
        if text.starts_with('/') {
            return Ok(Self::origin(text));
        }
        if text == "*" && method == "OPTIONS" {
            return Ok(Self {
                form: Form::Asterisk,
                authority: None,
                path: text,
                query: None,
            });
        }
        let (scheme, rest) = text.split_once("://").ok_or(Flaw::TargetForm)?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return Err(Flaw::TargetForm),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end).ok_or(Flaw::TargetForm)?;
        let authority = Authority::parse(authority.as_bytes())?;
        let Self { path, query, .. } = Self::origin(rest);
        //= RFC 9112 section 3.2.4: "the last proxy on the request chain MUST send a request-target of "*" when it forwards the request to the indicated origin server"
        let path = match (path, query) {
            ("", None) if method == "OPTIONS" => "*",
            ("", _) => "/",
            (path, _) => path,
        };
        Ok(Self {
            form: Form::Absolute(scheme),
            authority: Some((authority, scheme.default_port())),
            path,
            query,
        })
    }

    /// What the pseudo-header fields of HTTP/2 say.
    pub(crate) fn of_pseudo(pseudo: &Pseudo<'a>) -> Result<Self, Flaw> {
        let authority = pseudo
            .authority
            .map(|text| Authority::parse(text.as_bytes()));
        let authority = authority.transpose()?;
        if pseudo.protocol.is_some() != (pseudo.method == "CONNECT" && pseudo.path.is_some()) {
            return Err(Flaw::TargetForm);
        }
        let Some(path) = pseudo.path else {
            //= RFC 9113 section 8.5: "The :scheme and :path pseudo-header fields MUST be omitted."
            let authority = authority.filter(|_| pseudo.method == "CONNECT");
            let authority = authority.ok_or(Flaw::TargetForm)?;
            let port = authority.port.ok_or(Flaw::TargetForm)?;
            return Ok(Self {
                form: Form::Authority,
                authority: Some((authority, port)),
                path: "",
                query: None,
            });
        };
        check_target(path)?;
        let scheme = match pseudo.scheme {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            Some(scheme) if !scheme.eq_ignore_ascii_case("http") => return Err(Flaw::TargetForm),
            Some(_) | None => Scheme::Http,
        };
        let authority = authority.map(|authority| (authority, scheme.default_port()));
        //= RFC 9113 section 8.3.1: "OPTIONS request for an "http" or "https" URI that does not include a path component [..] MUST include a ":path" pseudo-header field with a value of "*""
        let (form, target) = match path {
            "*" if pseudo.method == "OPTIONS" => (Form::Asterisk, Self::origin("*")),
            _ if path.starts_with('/') => (Form::Absolute(scheme), Self::origin(path)),
            _ => return Err(Flaw::TargetForm),
        };
        Ok(Self {
            form,
            authority,
            ..target
        })
    }

    fn origin(text: &'a str) -> Self {
        let (path, query) =
            match memchr(b'?', text.as_bytes()).and_then(|at| text.split_at_checked(at)) {
                Some((path, query)) => (path, query.get(1..)),
                None => (text, None),
            };
        Self {
            form: Form::Origin,
            authority: None,
            path,
            query,
        }
    }
}

/// Refuses what may not stand in a target: controls, spaces and `#`.
fn check_target(text: &str) -> Result<(), Flaw> {
    let ordinary = |octet: u8| octet > b' ' && octet < 0x7f && octet != b'#';
    if text.bytes().fold(true, |all, octet| all & ordinary(octet)) && !text.is_empty() {
        return Ok(());
    }
    match text {
        "" => Err(Flaw::RequestLine),
        _ if text.contains(|letter: char| letter.is_control() || letter == ' ') => {
            Err(Flaw::TargetOctet)
        }
        _ if text.contains('#') => Err(Flaw::TargetFragment),
        _ => Ok(()),
    }
}
