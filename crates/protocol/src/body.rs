//! A body out of bytes, piece by piece, and the chunked coding the other way.

use alloc::vec::Vec;

use crate::flaw::Flaw;
use crate::framing::BodyFraming;

/// What stands at the front of the bytes of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// This many bytes of content.
    Data(usize),
    /// This many bytes that only say where content ends: chunk sizes, extensions, line ends.
    Framing(usize),
    /// This many bytes of trailers, without the empty line behind them.
    Trailer(usize),
    /// Nothing: more bytes are needed.
    Wait,
    /// Nothing: the body is complete, and what follows belongs to the next message.
    End,
}

/// Says which bytes belong to a body. It keeps none of them and changes none, so that a body goes
/// through as it came, or as content only.
#[derive(Clone, Debug)]
pub struct BodyReader {}

impl BodyReader {
    /// A reader at the start of a body.
    pub fn new(_framing: BodyFraming) -> Self {
        Self {}
    }

    /// The piece at the front of `bytes`, which are those behind the pieces told before.
    pub fn next(&mut self, _bytes: &[u8]) -> Result<Piece, Flaw> {
        unimplemented!("the door comes first")
    }

    /// How many bytes at the front of `bytes` belong to the body, content or not: for passing a
    /// body on as it came.
    pub fn take(&mut self, _bytes: &[u8]) -> Result<usize, Flaw> {
        unimplemented!("the door comes first")
    }

    /// Whether the body is complete. One that ends with the connection, and a tunnel, never is.
    pub fn is_done(&self) -> bool {
        unimplemented!("the door comes first")
    }

    /// The connection has closed: whether that is where the body ends.
    pub fn finish(&self) -> Result<(), Flaw> {
        unimplemented!("the door comes first")
    }
}

/// What stands before a chunk of `length` bytes of content, at least one.
pub fn begin_chunk(_out: &mut Vec<u8>, _length: usize) {
    unimplemented!("the door comes first")
}

/// What stands behind the content of each chunk.
pub const END_CHUNK: &[u8] = b"\r\n";

/// What ends a chunked body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
