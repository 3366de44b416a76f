//! One connection: requests written, answers read, one after another.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use leno_channel::words;
use leno_protocol::{Asked, BodyFraming, BodyReader, Fields, HeadReader, Limits, Piece};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::ask::{Answer, Ask};
use crate::way::Stream;
use crate::{NotFetched, Url};

/// An open connection to a server that speaks HTTP/1.1.
pub struct Open {
    stream: Stream,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open")
    }
}

/// The head of an answer.
const HEAD: Limits = Limits {
    head_bytes: 16 * 1024,
    target_bytes: 1024,
    headers: 64,
};

/// Bytes that are read at once.
const READ: usize = 8 * 1024;

impl Open {
    /// A connection over which nothing was said yet.
    pub fn over(stream: Stream) -> Self {
        Self { stream }
    }

    /// Asks for `url`, and gives itself back with the answer if it is fit for another question. At most
    /// `most` bytes of content are taken. It waits for as long as it is polled.
    pub async fn ask(
        mut self,
        url: &Url,
        ask: &Ask<'_>,
        most: usize,
    ) -> (Option<Self>, Result<Answer, NotFetched>) {
        match self.asked(&ask.written(url), most).await {
            Ok((answer, stays)) => (stays.then_some(self), Ok(answer)),
            Err(why) => (None, Err(why)),
        }
    }

    /// The answer to a request, and whether the server takes another.
    async fn asked(&mut self, request: &[u8], most: usize) -> Result<(Answer, bool), NotFetched> {
        let written = self.stream.write_all(request).await;
        written.map_err(|error| NotFetched::Away(words(&error)))?;
        let mut bytes = Vec::new();
        let mut heads = HeadReader::new(HEAD);
        loop {
            self.read_more(&mut bytes).await?;
            while let Some(head) = read_head(&mut heads, &bytes)? {
                bytes.drain(..head.length);
                if head.is_final {
                    let (status, stays) = (head.answer.status, head.stays);
                    let body = self.body(head.framing, bytes, most).await?;
                    let body = body.ok_or(NotFetched::TooLong { status, most })?;
                    return Ok((
                        Answer {
                            body,
                            ..head.answer
                        },
                        stays,
                    ));
                }
            }
        }
    }

    /// The content that begins with `bytes`; `None` if it has more than `most`.
    async fn body(
        &mut self,
        framing: BodyFraming,
        mut bytes: Vec<u8>,
        most: usize,
    ) -> Result<Option<Vec<u8>>, NotFetched> {
        let mut reader = BodyReader::new(framing);
        let mut body = Vec::new();
        loop {
            let mut rest = bytes.as_slice();
            loop {
                let piece = reader.next(rest);
                match piece.map_err(|flaw| NotFetched::Garbled(flaw.to_string()))? {
                    Piece::End => return Ok(Some(body)),
                    Piece::Wait => break,
                    Piece::Data(length) => {
                        let (data, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                        body.extend_from_slice(data);
                        rest = after;
                    }
                    Piece::Framing(length) | Piece::Trailer(length) => {
                        rest = rest.get(length..).unwrap_or_default();
                    }
                }
                if body.len() > most {
                    return Ok(None);
                }
            }
            bytes = rest.to_vec();
            let is_more = self.read(&mut bytes).await? > 0;
            if !is_more {
                let cut = reader.finish();
                return match cut {
                    Ok(()) => Ok(Some(body)),
                    Err(_) => Err(NotFetched::Away(CLOSED.to_owned())),
                };
            }
        }
    }

    async fn read_more(&mut self, bytes: &mut Vec<u8>) -> Result<(), NotFetched> {
        match self.read(bytes).await? {
            0 => Err(NotFetched::Away(CLOSED.to_owned())),
            _ => Ok(()),
        }
    }

    async fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, NotFetched> {
        bytes.reserve(READ);
        let read = self.stream.read_buf(bytes).await;
        read.map_err(|error| NotFetched::Away(words(&error)))
    }
}

const CLOSED: &str = "the other end closed the connection without a word";

/// What a head says.
struct Head {
    answer: Answer,
    framing: BodyFraming,
    stays: bool,
    /// Whether no other head follows it.
    is_final: bool,
    length: usize,
}

fn read_head(heads: &mut HeadReader, bytes: &[u8]) -> Result<Option<Head>, NotFetched> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields::new();
    let head = heads.response(bytes, &mut fields, Asked::default());
    let head = head.map_err(|refused| NotFetched::Garbled(refused.to_string()))?;
    let Some(head) = head else {
        return Ok(None);
    };
    let headers = head.response.headers.iter().filter_map(|header| {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(header.value).ok()?))
    });
    Ok(Some(Head {
        answer: Answer {
            status: head.response.status,
            headers: headers.collect::<HeaderMap>(),
            body: Vec::new(),
        },
        framing: head.body,
        stays: head.keep_alive.is_some() && head.body != BodyFraming::UntilClose,
        is_final: !head.response.is_interim(),
        length: head.length,
    }))
}

#[cfg(test)]
mod tests;
