//! Bodies as HTTP/1 frames them: content and trailers taken out of it, and the end put behind.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use leno_protocol::body::{BodyReader, Piece};
use leno_protocol::{Flaw, TakeField as _};

/// What is gathered of a body that HTTP/1 framed.
#[derive(Default)]
pub(in crate::http) struct Gathered {
    pub(in crate::http) content: Vec<u8>,
    /// The lines of its trailers.
    pub(in crate::http) lines: Vec<u8>,
}

impl Gathered {
    /// Takes `bytes` apart; says how many of them belonged to the body.
    pub(in crate::http) fn add(
        &mut self,
        reader: &mut BodyReader,
        bytes: &[u8],
    ) -> Result<usize, Flaw> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let part = |count: usize| rest.get(..count).unwrap_or_default();
            used += match reader.next(rest)? {
                Piece::Data(count) => {
                    self.content.extend_from_slice(part(count));
                    count
                }
                Piece::Trailer(count) => {
                    self.lines.extend_from_slice(part(count));
                    count
                }
                Piece::Framing(count) => count,
                Piece::Wait | Piece::End => return Ok(used),
            };
        }
    }
}

/// Trailers as fields, of the lines that HTTP/1 has.
pub(in crate::http) fn trailers_of(lines: &[u8]) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    for line in lines.split(|octet| *octet == b'\n') {
        let mut parts = line.splitn(2, |octet| *octet == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            // As many as there are bytes for.
            drop(trailers.try_append(name, value));
        }
    }
    trailers
}

/// Writes the last chunk, and the trailers behind it.
pub(super) fn write_last_chunk(out: &mut Vec<u8>, trailers: &HeaderMap) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        out.take_field(name.as_str(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}
