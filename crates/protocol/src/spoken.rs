//! What is spoken on a connection, by the first bytes that came of its client.

use crate::client_hello;

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
}
