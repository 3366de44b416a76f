//! HTTP/2 with clients and with servers. Frames, windows and HPACK are the `h2` crate's; what a head
//! means is `leno-protocol`'s, as with HTTP/1.

pub(super) mod head;
pub(crate) mod serve;
pub(crate) mod shared;
pub(super) mod wire;

/// The first words of a client that speaks HTTP/2 (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much may be on its way in one stream before somebody must have read some of it, and how many
/// streams a connection has. All of them together fit into the window of the connection: one that
/// nobody reads does not hold up the others.
pub(super) const STREAM_WINDOW: u32 = 128 * 1024;
const MOST_STREAMS: u32 = 128;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MOST_STREAMS;

/// How many bytes the fields of a head may have, counted as HTTP/2 counts them.
const HEAD_BYTES: u32 = 64 * 1024;

/// Whether HTTP/2 has ended a connection because its peer makes too much of it for nothing.
pub(crate) fn is_flood(error: &h2::Error) -> bool {
    error.is_library() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
}

/// Whether bytes begin as only those of a client do that speaks HTTP/2. No method of HTTP/1 is `PRI`.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.len() >= b"PRI ".len() && may_begin(bytes)
}

/// Whether they do so as far as they have come.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    let most = bytes.len().min(PREFACE.len());
    bytes.get(..most) == PREFACE.get(..most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_known_by_its_method() {
        for bytes in [
            PREFACE,
            b"PRI ",
            b"PRI * HTTP/2.0\r\n",
            &[PREFACE, b"\0\0"].concat(),
        ] {
            assert!(begins(bytes), "{bytes:?}");
        }
        for bytes in [
            &b""[..],
            b"P",
            b"PRI",
            b"PRI /",
            b"POST / HTTP/1.1",
            b"PRIX",
        ] {
            assert!(!begins(bytes), "{bytes:?}");
        }
    }
}
