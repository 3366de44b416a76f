//! Heads out of bytes: lines, then headers, then what they mean together.

use crate::flaw::Refused;
use crate::framing::Asked;
use crate::request::{Header, RequestHead};
use crate::response::ResponseHead;

/// How much a head may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes in all, from the first line to the empty one.
    pub head_bytes: usize,
    /// Bytes of a request's target.
    pub target_bytes: usize,
    /// Headers; never more than [`Fields::MOST`].
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            target_bytes: 16 * 1024,
            headers: Fields::MOST,
        }
    }
}

/// Room for the headers of one head, so that none is allocated. 4 KiB: keep it on the stack of a
/// function that does not wait.
pub struct Fields<'a> {
    #[expect(dead_code, reason = "the door comes first")]
    fields: [Header<'a>; MOST_HEADERS],
}

impl Fields<'_> {
    /// How many headers there is room for.
    pub const MOST: usize = MOST_HEADERS;

    /// Empty room.
    pub fn new() -> Self {
        let none = Header {
            name: "",
            value: b"",
        };
        Self {
            fields: [none; MOST_HEADERS],
        }
    }
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads the heads of one side of a connection, one after another.
///
/// It keeps no bytes: the caller calls with everything that has come since the last head (or body)
/// ended, and again with the same and more until the head is complete. It remembers how far it
/// has looked, so that a head in many pieces costs no more than twice one in a single piece, and
/// the outcome is the same for every split.
#[derive(Clone, Debug)]
pub struct HeadReader {
    #[expect(dead_code, reason = "the door comes first")]
    limits: Limits,
}

impl HeadReader {
    /// A reader at the start of a head.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// The request at the start of `bytes`; `None` if it is not complete. After a head, the next
    /// call begins another one; after a refusal, the connection has no further head.
    pub fn request<'f, 'a: 'f>(
        &mut self,
        _bytes: &'a [u8],
        _fields: &'f mut Fields<'a>,
    ) -> Result<Option<RequestHead<'f>>, Refused> {
        unimplemented!("the door comes first")
    }

    /// The response at the start of `bytes`; `None` if it is not complete. `asked` is the request
    /// that it answers.
    pub fn response<'f, 'a: 'f>(
        &mut self,
        _bytes: &'a [u8],
        _fields: &'f mut Fields<'a>,
        _asked: Asked,
    ) -> Result<Option<ResponseHead<'f>>, Refused> {
        unimplemented!("the door comes first")
    }
}

const MOST_HEADERS: usize = 128;
