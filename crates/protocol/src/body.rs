//! A body out of bytes, piece by piece, and the chunked coding the other way (RFC 9112 section 7).

use alloc::vec::Vec;
use core::{fmt::Write, num::NonZeroUsize};

use crate::connection::HEAD_ONLY;
use crate::flaw::Flaw;
use crate::framing::BodyFraming;
use crate::octets::{Text, hex_digit, is_field_value, is_token};

/// Says which bytes belong to a body. It keeps none of them and changes none, so that a body goes
/// through as it came, or as content only.
#[derive(Clone, Debug)]
pub struct BodyReader {
    state: State,
    /// Bytes of chunk extensions that may still come.
    extensions: usize,
    /// Bytes of trailers that may still come.
    trailers: usize,
}

/// What stands at the front of the bytes of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// This many bytes of content.
    Data(usize),
    /// This many bytes that only say where content ends: chunk sizes, extensions, line ends.
    Framing(usize),
    /// This many bytes of trailers. Whoever leaves them out and passes on the framing around them
    /// has a body without trailers.
    Trailer(usize),
    /// Nothing: more bytes are needed.
    Wait,
    /// Nothing: the body is complete, and what follows belongs to the next message.
    End,
}

impl BodyReader {
    /// A reader at the start of a body.
    pub fn new(framing: BodyFraming) -> Self {
        let state = match framing {
            BodyFraming::None | BodyFraming::Length(0) => State::Done,
            BodyFraming::Length(left) => State::Length { left },
            BodyFraming::Chunked => State::Around(Around::SIZE),
            BodyFraming::UntilClose | BodyFraming::Tunnel => State::UntilClose,
        };
        Self {
            state,
            extensions: MOST_EXTENSION_BYTES,
            trailers: MOST_TRAILER_BYTES,
        }
    }

    /// The piece at the front of `bytes`, which are those behind the pieces told before. After a
    /// flaw it is not known where the body ends: both connections must close.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Piece, Flaw> {
        if bytes.is_empty() && !self.is_done() {
            return Ok(Piece::Wait);
        }
        match self.state {
            State::Done => Ok(Piece::End),
            State::UntilClose => Ok(Piece::Data(bytes.len())),
            State::Length { left } | State::Chunk { left } => {
                let data = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.pass(data);
                Ok(Piece::Data(data))
            }
            State::Around(around) => self.take_around(around, bytes),
        }
    }

    /// How many bytes at the front of `bytes` belong to the body, content or not: for passing a
    /// body on as it came. Fewer than all of them only once [it is done](Self::is_done).
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Flaw> {
        let mut rest = bytes;
        loop {
            let length = match self.next(rest)? {
                Piece::Data(length) | Piece::Framing(length) | Piece::Trailer(length) => length,
                Piece::Wait | Piece::End => return Ok(bytes.len().saturating_sub(rest.len())),
            };
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// How many bytes come next that are content, whatever they are: who moves no more than these
    /// need not look at them.
    pub fn ahead(&self) -> u64 {
        match self.state {
            State::Length { left } | State::Chunk { left } => left,
            State::UntilClose => u64::MAX,
            State::Done | State::Around(_) => 0,
        }
    }

    /// So many bytes of content went by unseen, of those that were [ahead](Self::ahead).
    pub fn pass(&mut self, count: usize) {
        let rest = |left: u64| left.saturating_sub(count as u64);
        self.state = match self.state {
            State::Length { left } if rest(left) == 0 => State::Done,
            State::Length { left } => State::Length { left: rest(left) },
            State::Chunk { left } if rest(left) == 0 => State::Around(Around::ChunkCr),
            State::Chunk { left } => State::Chunk { left: rest(left) },
            State::Done | State::UntilClose | State::Around(_) => self.state,
        };
    }

    /// Whether the body is complete. One that ends with the connection, and a tunnel, never is.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The connection has closed: whether the body may end there.
    pub fn finish(&self) -> Result<(), Flaw> {
        match self.state {
            State::Done | State::UntilClose => Ok(()),
            State::Length { .. } | State::Chunk { .. } | State::Around(_) => Err(Flaw::CutShort),
        }
    }

    /// Takes octets up to the next content, or to where trailers begin or end.
    fn take_around(&mut self, mut around: Around, bytes: &[u8]) -> Result<Piece, Flaw> {
        let is_trailer = bytes.first().is_some_and(|first| around.is_trailer(*first));
        let piece = |length| {
            if is_trailer {
                Piece::Trailer(length)
            } else {
                Piece::Framing(length)
            }
        };
        for (length, octet) in bytes.iter().enumerate() {
            if around.is_trailer(*octet) != is_trailer {
                return Ok(piece(length));
            }
            self.state = self.take_octet(around, *octet)?;
            match self.state {
                State::Around(next) => around = next,
                State::Done | State::UntilClose | State::Length { .. } | State::Chunk { .. } => {
                    return Ok(piece(length.saturating_add(1)));
                }
            }
        }
        Ok(piece(bytes.len()))
    }

    fn take_octet(&mut self, around: Around, octet: u8) -> Result<State, Flaw> {
        Ok(State::Around(match around {
            Around::Size { size, digits } => match (octet, hex_digit(octet)) {
                (_, Some(digit)) if digits < MOST_SIZE_DIGITS => Around::Size {
                    size: (size << 4) | u64::from(digit),
                    digits: digits.saturating_add(1),
                },
                (b'\r', _) if digits > 0 => Around::SizeLf { size },
                (b';', _) if digits > 0 => Around::Extension { size },
                (b' ' | b'\t', _) if digits > 0 => Around::BeforeExtension { size },
                _ => return Err(Flaw::ChunkSize),
            },
            Around::BeforeExtension { size } => {
                self.extensions = spend(self.extensions, EXTENSION)?;
                match octet {
                    b';' => Around::Extension { size },
                    b' ' | b'\t' => around,
                    _ => return Err(EXTENSION),
                }
            }
            Around::Extension { size } => {
                self.extensions = spend(self.extensions, EXTENSION)?;
                match octet {
                    b'\r' => Around::SizeLf { size },
                    _ if is_field_value(&[octet]) => around,
                    _ => return Err(EXTENSION),
                }
            }
            Around::SizeLf { size } => match (octet, size) {
                (b'\n', 0) => Around::TrailerOrEnd,
                (b'\n', left) => return Ok(State::Chunk { left }),
                _ => return Err(Flaw::ChunkSize),
            },
            Around::ChunkCr if octet == b'\r' => Around::ChunkLf,
            Around::ChunkLf if octet == b'\n' => Around::SIZE,
            Around::ChunkCr | Around::ChunkLf => return Err(Flaw::ChunkEnd),

            Around::TrailerOrEnd if octet == b'\r' => Around::LastLf,
            Around::LastLf if octet == b'\n' => return Ok(State::Done),
            Around::TrailerOrEnd => self.take_trailer(Name::default(), octet)?,
            Around::TrailerName(name) => self.take_trailer(name, octet)?,
            Around::TrailerValue => {
                self.trailers = spend(self.trailers, TRAILERS)?;
                match octet {
                    b'\r' => Around::TrailerLf,
                    _ if is_field_value(&[octet]) => around,
                    _ => return Err(Flaw::Trailer),
                }
            }
            Around::TrailerLf if octet == b'\n' => Around::TrailerOrEnd,
            Around::TrailerLf | Around::LastLf => return Err(Flaw::Trailer),
        }))
    }

    fn take_trailer(&mut self, mut name: Name, octet: u8) -> Result<Around, Flaw> {
        self.trailers = spend(self.trailers, TRAILERS)?;
        match octet {
            b':' if name.length == 0 => Err(Flaw::Trailer),
            b':' if name.is_head_only() => Err(Flaw::ForbiddenTrailer),
            b':' => Ok(Around::TrailerValue),
            _ if is_token(octet) => {
                name.push(octet);
                Ok(Around::TrailerName(name))
            }
            _ => Err(Flaw::Trailer),
        }
    }
}

/// What is expected next.
#[derive(Clone, Copy, Debug)]
enum State {
    Done,
    UntilClose,
    Length { left: u64 },
    Chunk { left: u64 },
    Around(Around),
}

/// What is expected next around the content of chunks.
#[derive(Clone, Copy, Debug)]
enum Around {
    Size {
        size: u64,
        digits: u8,
    },
    /// White space behind the size: it must lead to an extension.
    BeforeExtension {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    ChunkCr,
    ChunkLf,
    TrailerOrEnd,
    TrailerName(Name),
    TrailerValue,
    TrailerLf,
    LastLf,
}

impl Around {
    const SIZE: Self = Self::Size { size: 0, digits: 0 };

    /// Whether `octet`, which comes next, belongs to a trailer.
    fn is_trailer(&self, octet: u8) -> bool {
        matches!(
            self,
            Self::TrailerName(_) | Self::TrailerValue | Self::TrailerLf
        ) || (matches!(self, Self::TrailerOrEnd) && octet != b'\r')
    }
}

/// The start of a trailer's name, in lower case: as much as tells whether it may be one.
#[derive(Clone, Copy, Default, Debug)]
struct Name {
    start: [u8; 20],
    length: usize,
}

impl Name {
    fn push(&mut self, octet: u8) {
        if let Some(free) = self.start.get_mut(self.length) {
            *free = octet.to_ascii_lowercase();
        }
        self.length = self.length.saturating_add(1);
    }

    fn is_head_only(&self) -> bool {
        is_head_only(self.start.get(..self.length).unwrap_or(&self.start))
    }
}

/// Whether a name in lower case, of which this is the start, has its meaning in the head only: a server
/// that merges trailers into the headers would read another message than the one that was decided
/// about.
pub(crate) fn is_head_only(start: &[u8]) -> bool {
    HEAD_ONLY.iter().any(|name| name.as_bytes() == start)
        || HEAD_ONLY_FAMILIES
            .iter()
            .any(|family| start.starts_with(family.as_bytes()))
}

fn spend(left: usize, flaw: Flaw) -> Result<usize, Flaw> {
    left.checked_sub(1).ok_or(flaw)
}

/// Writes what stands before a chunk of this much content. [`END_CHUNK`] stands behind it.
pub fn begin_chunk(out: &mut Vec<u8>, length: NonZeroUsize) {
    write!(Text(out), "{length:x}\r\n").expect("a Vec takes any text");
}

/// What stands behind the content of each chunk.
pub const END_CHUNK: &[u8] = b"\r\n";

/// What ends a chunked body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Fewer than 64 bits hold, so that no server's arithmetic overflows.
const MOST_SIZE_DIGITS: u8 = 15;

/// Over all chunks of one body.
const MOST_EXTENSION_BYTES: usize = 4 * 1024;
const EXTENSION: Flaw = Flaw::ChunkExtension {
    limit: MOST_EXTENSION_BYTES,
};

const MOST_TRAILER_BYTES: usize = 16 * 1024;
const TRAILERS: Flaw = Flaw::TrailersTooLarge {
    limit: MOST_TRAILER_BYTES,
};

/// Beginnings of names that only proxies write.
const HEAD_ONLY_FAMILIES: &[&str] = &["leno-", "traceparent", "x-forwarded-", "x-request-id"];

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of `bytes`, given at once, as a story; then the flaw, or what is left over.
    fn story(framing: BodyFraming, bytes: &str) -> String {
        let mut reader = BodyReader::new(framing);
        let mut rest = bytes;
        let mut told = Vec::new();
        loop {
            let (word, length) = match reader.next(rest.as_bytes()) {
                Ok(Piece::Data(length)) => ("data", length),
                Ok(Piece::Framing(length)) => ("framing", length),
                Ok(Piece::Trailer(length)) => ("trailer", length),
                Ok(Piece::Wait) => break told.push("wait".to_owned()),
                Ok(Piece::End) => break told.push(format!("end, then {rest:?}")),
                Err(flaw) => break told.push(flaw.to_string()),
            };
            let (piece, behind) = rest.split_at(length);
            told.push(format!("{word} {piece:?}"));
            rest = behind;
        }
        told.join(", ")
    }

    fn chunked(bytes: &str, expect: &str) {
        assert_eq!(story(BodyFraming::Chunked, bytes), expect, "{bytes:?}");
    }

    #[test]
    fn a_length_counts_bytes() {
        let story = |length, bytes| story(BodyFraming::Length(length), bytes);
        assert_eq!(story(0, "GET"), r#"end, then "GET""#);
        assert_eq!(story(3, "abcGET"), r#"data "abc", end, then "GET""#);
        assert_eq!(story(4, "abc"), r#"data "abc", wait"#);
        assert_eq!(story(u64::MAX, "abc"), r#"data "abc", wait"#);
    }

    #[test]
    fn chunks_are_told_from_what_stands_around_them() {
        chunked("0\r\n\r\n", r#"framing "0\r\n\r\n", end, then """#);
        chunked(
            "3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\n\r\nGET",
            r#"framing "3\r\n", data "abc", framing "\r\n0A;x=\"y\"\r\n", data "0123456789", framing "\r\n0\r\n\r\n", end, then "GET""#,
        );
        chunked(
            "0\r\nGrpc-Status: 0\r\nB:\r\n\r\n",
            r#"framing "0\r\n", trailer "Grpc-Status: 0\r\nB:\r\n", framing "\r\n", end, then """#,
        );
        chunked(
            "1 ; a\r\nx\r\n",
            r#"framing "1 ; a\r\n", data "x", framing "\r\n", wait"#,
        );
    }

    #[test]
    fn anything_that_could_be_read_otherwise_is_a_flaw() {
        let size = "a chunk does not begin with its size";
        for bad in [
            "\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "g\r\n",
            "1\n",
            "1\rx",
            ";x\r\n",
            "\n1\r\n",
            "1\0\r\n",
            "1000000000000000\r\n",
            "0000000000000001\r\n",
        ] {
            chunked(bad, size);
        }
        let extension = "a chunk's extension is malformed or longer than 4096 bytes";
        for bad in ["1 \r\n", "1 2\r\n", "1;a\nb\r\n", "1;a\0\r\n", "1\t\r\n"] {
            chunked(bad, extension);
        }
        chunked(&format!("1;{}\r\n", "a".repeat(4096)), extension);
        let end = "a chunk is not as long as it says";
        for bad in ["1\r\nab\r\n", "1\r\na\n", "1\r\na\rb", "1\r\na0\r\n"] {
            chunked(bad, &format!(r#"framing "1\r\n", data "a", {end}"#));
        }
        for bad in [
            "0\r\nA\r\n\r\n",
            "0\r\n A: b\r\n",
            "0\r\n:b\r\n",
            "0\r\nA : b\r\n",
            "0\r\nA: b\n\n",
            "0\r\nA: b\r\r\n",
            "0\r\nA: \0\r\n",
        ] {
            assert!(
                story(BodyFraming::Chunked, bad).ends_with("a trailer is malformed"),
                "{bad:?}"
            );
        }
        chunked("0\r\n\rx", "a trailer is malformed");
    }

    #[test]
    fn a_trailer_cannot_pose_as_a_header_that_was_decided_by() {
        for name in [
            "Content-Length",
            "TRANSFER-ENCODING",
            "host",
            "Authorization",
            "Cookie",
            "X-Forwarded-Client-Cert",
            "X-Forwarded-For",
            "traceparent",
            "X-Request-Id",
            "leno-attempt",
        ] {
            let story = story(BodyFraming::Chunked, &format!("0\r\n{name}: 1\r\n\r\n"));
            assert!(
                story.ends_with("a trailer has a name that belongs into the head"),
                "{name}: {story}"
            );
        }
        let long = format!("0\r\n{}: 1\r\n\r\n", "content-length".repeat(9));
        assert!(story(BodyFraming::Chunked, &long).ends_with(r#"end, then """#));
    }

    #[test]
    fn trailers_have_a_bound() {
        let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(4096));
        assert!(
            story(BodyFraming::Chunked, &trailers)
                .ends_with("the trailers are larger than 16384 bytes")
        );
    }

    #[test]
    fn a_closed_connection_ends_only_a_body_that_ends_so() {
        let after = |framing, bytes: &[u8]| {
            let mut reader = BodyReader::new(framing);
            reader.take(bytes).unwrap();
            reader.finish()
        };
        assert_eq!(after(BodyFraming::UntilClose, b"abc"), Ok(()));
        assert_eq!(after(BodyFraming::Length(3), b"abc"), Ok(()));
        assert_eq!(after(BodyFraming::Length(4), b"abc"), Err(Flaw::CutShort));
        assert_eq!(after(BodyFraming::Chunked, b"0\r\n\r\n"), Ok(()));
        assert_eq!(after(BodyFraming::Chunked, b"0\r\n"), Err(Flaw::CutShort));
        assert_eq!(after(BodyFraming::Chunked, b"3\r\nab"), Err(Flaw::CutShort));
    }

    #[test]
    fn what_is_written_in_chunks_is_read_as_content() {
        let mut out = Vec::new();
        for content in ["a", "0123456789abcdef0"] {
            begin_chunk(&mut out, NonZeroUsize::new(content.len()).unwrap());
            out.extend_from_slice(content.as_bytes());
            out.extend_from_slice(END_CHUNK);
        }
        out.extend_from_slice(LAST_CHUNK);
        chunked(
            str::from_utf8(&out).unwrap(),
            r#"framing "1\r\n", data "a", framing "\r\n11\r\n", data "0123456789abcdef0", framing "\r\n0\r\n\r\n", end, then """#,
        );
    }
}
