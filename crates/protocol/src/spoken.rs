//! What is spoken on a connection, by the first bytes that came of its client.

use crate::client_hello;
use crate::octets::is_token;

/// What first bytes say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spoken {
    /// A request of HTTP/1 begins with its whole first line.
    Http1,
    /// The preface of HTTP/2 begins (RFC 9113 section 3.4).
    Http2,
    /// TLS begins.
    Tls,
    /// Anything else.
    Other,
}

impl Spoken {
    /// What `first`, which came at once, says. Nobody waits for more: whoever sends less than tells what
    /// it is may be waiting for an answer.
    pub fn of(first: &[u8]) -> Self {
        if first.starts_with(PREFACE) {
            Self::Http2
        } else if first.len() >= 6 && client_hello::begins(first) {
            Self::Tls
        } else if is_request_line(first) {
            Self::Http1
        } else {
            Self::Other
        }
    }

    /// What `first` says where something hangs on it; `None` as long as more of them may say more. Whatever a
    /// lenient server may read as TLS or as a request counts as that, for others to refuse: any record, any
    /// method, any white space.
    pub fn surely(first: &[u8]) -> Option<Self> {
        if first.starts_with(PREFACE) {
            return Some(Self::Http2);
        }
        match first {
            [] | [RECORDS_FROM..=RECORDS_TO] => return None,
            [RECORDS_FROM..=RECORDS_TO, 3, ..] => return Some(Self::Tls),
            _ if PREFACE.starts_with(first) => return None,
            _ => {}
        }
        let seen = first.get(..LONGEST_LINE).unwrap_or(first);
        let rest = without_blanks(seen);
        let mut lines = rest.splitn(2, |octet| *octet == b'\n');
        match (lines.next().unwrap_or_default(), lines.next()) {
            (line, Some(_)) if is_whole_line(line) => Some(Self::Http1),
            (line, None) if may_begin_line(line) && seen.len() < LONGEST_LINE => None,
            // Whoever reads requests says what is wrong with it.
            (line, None) if may_begin_line(line) => Some(Self::Http1),
            (_, Some(_) | None) => Some(Self::Other),
        }
    }

    /// The same of a server that speaks before its client has. Of those that speak in requests only one
    /// of HTTP/2 does.
    //= RFC 9113 section 3.4: "The server connection preface consists of a potentially empty SETTINGS frame (Section 6.5) that MUST be the first frame the server sends in the HTTP/2 connection."
    pub fn of_server(first: &[u8; SERVER_FIRST]) -> Self {
        match *first {
            [0, high, low, SETTINGS, 0, 0, 0, 0, 0]
                if u16::from_be_bytes([high, low]).is_multiple_of(SETTING) =>
            {
                Self::Http2
            }
            _ => Self::Other,
        }
    }
}

/// How many bytes tell what a server speaks: the head of a frame of HTTP/2.
pub const SERVER_FIRST: usize = 9;

/// The type of a frame of settings, and how long one of them is (RFC 9113 section 6.5).
const SETTINGS: u8 = 4;
const SETTING: u16 = 6;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// Whether a first line ends as only those of HTTP/1 do (RFC 9112 section 3), behind a method that is in
/// use: other protocols have commands that are spelled like methods.
fn is_request_line(first: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] = [
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"PATCH ",
        b"DELETE ",
        b"OPTIONS ",
        b"TRACE ",
        b"CONNECT ",
    ];
    if !METHODS.iter().any(|method| first.starts_with(method)) {
        return false;
    }
    let line = first.split(|octet| *octet == b'\n').next();
    let line = line.filter(|line| line.len() < first.len());
    line.is_some_and(|line| line.ends_with(b" HTTP/1.1\r") || line.ends_with(b" HTTP/1.0\r"))
}

/// Whether bytes may be the beginning of a request's first line (RFC 9112 section 3): a method, which is a
/// token, then white space of any kind.
//= RFC 9112 section 3: "recipients MAY instead parse on whitespace-delimited word boundaries and, aside
//= from the CRLF terminator, treat any form of whitespace as the SP separator while ignoring preceding or
//= trailing whitespace"
fn may_begin_line(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|octet| !is_token(*octet));
    let behind = end.and_then(|end| bytes.get(end));
    let length = end.unwrap_or(bytes.len());
    length <= LONGEST_METHOD && behind.is_none_or(|octet| length > 0 && is_blank(*octet))
}

/// Whether a line without its end is the first one of a request of HTTP/1.
fn is_whole_line(line: &[u8]) -> bool {
    let words = line.split(|octet| is_blank(*octet));
    let behind = words.filter(|word| !word.is_empty()).skip(1);
    let version = behind.last().and_then(|word| word.get(..5));
    may_begin_line(line) && version.is_some_and(|version| version.eq_ignore_ascii_case(b"HTTP/"))
}

fn without_blanks(bytes: &[u8]) -> &[u8] {
    let begin = bytes.iter().position(|octet| !is_blank(*octet));
    begin
        .and_then(|begin| bytes.get(begin..))
        .unwrap_or_default()
}

/// Whether some server takes an octet for white space: those of ASCII and of ISO 8859-1.
fn is_blank(octet: u8) -> bool {
    matches!(octet, b'\t'..=b'\r' | 0x1c..=b' ' | 0x85 | 0xa0)
}

/// The types of records of TLS (RFC 8446 section 5.1), each of which some servers pass over.
const RECORDS_FROM: u8 = 0x14;
const RECORDS_TO: u8 = 0x17;

/// How much of a first line is waited for, and how long a method may be: longer ones nobody serves.
const LONGEST_LINE: usize = 8192;
const LONGEST_METHOD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_is_spoken() {
        for (first, expect) in [
            (&b"GET / HTTP/1.1\r\nhost: cart\r\n\r\n"[..], Spoken::Http1),
            (b"POST /order HTTP/1.0\r\n", Spoken::Http1),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Spoken::Http2),
            (b"\x16\x03\x01\x02\x00\x01\x00", Spoken::Tls),
            // Redis, RTSP and SIP have such words too.
            (b"GET key\r\n", Spoken::Other),
            (b"OPTIONS rtsp://camera RTSP/1.0\r\n", Spoken::Other),
            (b"GET / HTTP/1.1", Spoken::Other),
            (b"BREW / HTTP/1.1\r\n", Spoken::Other),
            (b"GE", Spoken::Other),
            (b"PRI", Spoken::Other),
            (b"\x16\x03\x01\x02", Spoken::Other),
            (b"\x16\x03\x01\x02\x00\x02\x00", Spoken::Other),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Spoken::Other),
            (b"", Spoken::Other),
        ] {
            assert_eq!(Spoken::of(first), expect, "{first:?}");
        }
    }

    #[test]
    fn a_server_that_speaks_first_tells_what_it_speaks() {
        for (first, expect) in [
            (b"\0\0\0\x04\0\0\0\0\0", Spoken::Http2),
            (b"\0\0\x12\x04\0\0\0\0\0", Spoken::Http2),
            // An answer to settings, a frame that is none, a ping; MariaDB, SSH.
            (b"\0\0\0\x04\x01\0\0\0\0", Spoken::Other),
            (b"\0\0\x13\x04\0\0\0\0\0", Spoken::Other),
            (b"\0\0\x08\x06\0\0\0\0\0", Spoken::Other),
            (b"\x5a\0\0\0\x0a5.5.", Spoken::Other),
            (b"SSH-2.0-O", Spoken::Other),
        ] {
            assert_eq!(Spoken::of_server(first), expect, "{first:?}");
        }
    }

    #[test]
    fn where_something_hangs_on_it_the_first_bytes_are_waited_for() {
        for (first, expect) in [
            (&b""[..], None),
            (b"G", None),
            (b"\r\n", None),
            (b"GET / HTTP/1.", None),
            (b"GET / HTTP/1.1\r\n", Some(Spoken::Http1)),
            (b"\r\n\r\nGET / HTTP/1.1\n", Some(Spoken::Http1)),
            (b"FETCH /x HTTP/1.0\r\n", Some(Spoken::Http1)),
            // White space as lenient servers take it.
            (b"GET\t/\tHTTP/1.1\r\n", Some(Spoken::Http1)),
            (b" GET\x0b/\x0cHTTP/1.1 \r\n", Some(Spoken::Http1)),
            (b"GET\xa0/\x85http/1.1\n", Some(Spoken::Http1)),
            (b"GET\t", None),
            // What no method is, is none at once: XMPP waits for an answer.
            (
                b"<?xml version='1.0'?><stream:stream to='a.example'>",
                Some(Spoken::Other),
            ),
            (b"a=b", Some(Spoken::Other)),
            (b"G\0T / HTTP/1.1\r\n", Some(Spoken::Other)),
            (b"HTTP/1.1\r\n", Some(Spoken::Other)),
            (b"GET /\r\n", Some(Spoken::Other)),
            (b"EHLO me\r\n", Some(Spoken::Other)),
            (b"SSH-2.0-x", None),
            (b"SSH-2.0-x\r\n", Some(Spoken::Other)),
            (b"PRI * HT", None),
            (b"PRI * HTTP/2.0\r\n", Some(Spoken::Http2)),
            (b"\x16", None),
            (b"\x16\x03", Some(Spoken::Tls)),
            (b"\x16\x03\x01\x02\x00\x02", Some(Spoken::Tls)),
            // An alert, a change of cipher, data: OpenSSL passes over some of them before a ClientHello.
            (b"\x15\x03\x01\x00\x02\x01\x00\x16", Some(Spoken::Tls)),
            (b"\x14\x03\x03\x00\x01\x01", Some(Spoken::Tls)),
            (b"\x17\x03\x03", Some(Spoken::Tls)),
            (b"\x15", None),
            (b"\x18\x03\x03", Some(Spoken::Other)),
            (b"\x16\x04", Some(Spoken::Other)),
            (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Some(Spoken::Other)),
        ] {
            assert_eq!(Spoken::surely(first), expect, "{first:?}");
        }
        let long = [b"GET /".as_slice(), &[b'x'; LONGEST_LINE]].concat();
        assert_eq!(Spoken::surely(&long), Some(Spoken::Http1));
        assert_eq!(Spoken::surely(&[b'\n'; LONGEST_LINE - 1]), None);
        assert_eq!(Spoken::surely(&[b'\n'; LONGEST_LINE]), Some(Spoken::Http1));
    }
}
