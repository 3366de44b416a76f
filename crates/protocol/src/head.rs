//! Heads out of bytes: where one ends, and what it is.

use memchr::memchr_iter;

use crate::flaw::{Flaw, Refused};
use crate::framing::Asked;
use crate::headers::Fields;
use crate::octets::is_token;
use crate::request::{RequestHead, read_request};
use crate::response::{ResponseHead, read_response};

/// How much a head may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes in all, from the first line to the empty one.
    pub head_bytes: usize,
    /// Bytes of a request's target.
    pub target_bytes: usize,
    /// Header lines; never more than [`Fields::MOST`].
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

/// Reads the heads of one direction of a connection, one after another.
///
/// It keeps no bytes: the caller calls with everything that has come since the last message ended,
/// and again with the same and more until the head is complete. It remembers how far it has
/// looked, so that a head in many pieces is looked through once; the outcome is the same for every
/// split. A head is judged when it is complete; only a bare LF, a first octet that begins no head
/// and the limit of bytes end it sooner.
#[derive(Clone, Debug, Default)]
pub struct HeadReader {
    limits: Limits,
    role: Role,
    /// How many bytes are known to hold no end of a head.
    looked: usize,
    /// Where the last line among them begins.
    line: usize,
}

/// What the client takes the reader for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Role {
    /// The server, or somebody in its place.
    #[default]
    Gateway,
    /// A proxy that it was told to use.
    Proxy,
}

impl HeadReader {
    /// A reader at the start of a head.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            role: Role::Gateway,
            looked: 0,
            line: 0,
        }
    }

    /// The same for requests whose clients know that they speak to a proxy: what they tell the proxy
    /// itself (`Proxy-Authorization`, `Proxy-..`) and `Proxy`, which servers take for a setting of
    /// theirs, go no further.
    pub fn of_proxy(limits: Limits) -> Self {
        Self {
            role: Role::Proxy,
            ..Self::new(limits)
        }
    }

    /// The request at the start of `bytes`; `None` if it is not complete. After a head, the next
    /// call begins another one; after a refusal the connection has no further head.
    ///
    /// One empty line before a request is skipped and counts as part of its head.
    //= RFC 9112 section 2.2: "SHOULD ignore at least one empty line (CRLF) received prior to the request-line"
    pub fn request<'f, 'a: 'f>(
        &mut self,
        bytes: &'a [u8],
        fields: &'f mut Fields<'a>,
    ) -> Result<Option<RequestHead<'f>>, Refused> {
        let message = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
        let skipped = bytes.len().saturating_sub(message.len());
        if message == b"\r" && skipped == 0 {
            return Ok(None);
        }
        if message.first().is_some_and(|octet| !is_token(*octet)) {
            return Err(Refused::request(Flaw::Method));
        }
        let Some(length) = self.find_end(message).map_err(Refused::request)? else {
            return Ok(None);
        };
        let lines = message.get(..length).unwrap_or_default();
        let length = length.saturating_add(skipped);
        read_request(lines, length, fields, &self.limits, self.role)
            .map(Some)
            .map_err(Refused::request)
    }

    /// The response at the start of `bytes`; `None` if it is not complete. `asked` is the request
    /// that it answers.
    pub fn response<'f, 'a: 'f>(
        &mut self,
        bytes: &'a [u8],
        fields: &'f mut Fields<'a>,
        asked: Asked,
    ) -> Result<Option<ResponseHead<'f>>, Refused> {
        if bytes.first().is_some_and(|octet| *octet != b'H') {
            return Err(Refused::response(Flaw::StatusLine));
        }
        let Some(length) = self.find_end(bytes).map_err(Refused::response)? else {
            return Ok(None);
        };
        let lines = bytes.get(..length).unwrap_or_default();
        read_response(lines, fields, &self.limits, asked)
            .map(Some)
            .map_err(Refused::response)
    }

    /// How much a head may hold.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the client takes the reader for.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// How long the head at the start of `bytes` is, its empty line with it.
    fn find_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Flaw> {
        let limit = self.limits.head_bytes;
        let within = bytes.get(..limit).unwrap_or(bytes);
        let fresh = within.get(self.looked..).unwrap_or_default();
        for found in memchr_iter(b'\n', fresh) {
            let end = self.looked.saturating_add(found);
            let line = within.get(self.line..end).unwrap_or_default();
            let next = end.saturating_add(1);
            if !line.ends_with(b"\r") {
                return Err(Flaw::BareLineFeed);
            }
            if line.len() == 1 {
                (self.looked, self.line) = (0, 0);
                return Ok(Some(next));
            }
            self.line = next;
        }
        self.looked = within.len();
        if within.len() == limit {
            return Err(Flaw::HeadTooLarge { limit });
        }
        Ok(None)
    }
}
