//! OTLP/HTTP: a POST of protobuf over HTTP/1.1.

use ::http::HeaderMap;
use leno_channel::words;
use leno_protocol::{Asked, BodyFraming, BodyReader, Fields, HeadReader, Limits, Piece};
use leno_telemetry::export::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::batch::Batch;
use crate::dial::{Endpoint, Stream};
use crate::verdict::Verdict;

/// An open connection.
pub(crate) struct Open {
    stream: Stream,
}

pub(crate) fn open(stream: Stream) -> Open {
    Open { stream }
}

/// The head of an answer.
const HEAD: Limits = Limits {
    head_bytes: 16 * 1024,
    target_bytes: 1024,
    headers: 64,
};

/// As much of an answer's body as is read.
const LARGEST_BODY: usize = 64 * 1024;

/// What a server answered.
struct Answer {
    status: u16,
    retry_after: Option<String>,
    content_type: Option<String>,
    body: Vec<u8>,
    /// Whether it takes another request.
    stays: bool,
}

impl Open {
    /// Sends a batch; gives itself back if it is fit for another.
    pub(crate) async fn send(
        mut self,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        signal: Signal,
        batch: &Batch,
    ) -> (Option<Self>, Verdict) {
        let request = request(endpoint, headers, signal, batch);
        match self.asked(&request).await {
            Ok(answer) => {
                let verdict = answer.verdict();
                (answer.stays.then_some(self), verdict)
            }
            Err(why) => (None, Verdict::away(why)),
        }
    }

    async fn asked(&mut self, request: &[u8]) -> Result<Answer, String> {
        self.stream
            .write_all(request)
            .await
            .map_err(|error| words(&error))?;
        let mut bytes = Vec::new();
        let mut heads = HeadReader::new(HEAD);
        loop {
            self.read_more(&mut bytes).await?;
            while let Some(head) = read_head(&mut heads, &bytes)? {
                bytes.drain(..head.length);
                if head.is_final {
                    return self.read_body(head, bytes).await;
                }
            }
        }
    }

    async fn read_body(&mut self, head: Head, mut bytes: Vec<u8>) -> Result<Answer, String> {
        let mut reader = BodyReader::new(head.framing);
        let mut answer = Answer {
            status: head.status,
            retry_after: head.retry_after,
            content_type: head.content_type,
            body: Vec::new(),
            stays: head.stays,
        };
        loop {
            let piece = reader.next(&bytes).map_err(|flaw| flaw.to_string())?;
            match piece {
                Piece::End => return Ok(answer),
                Piece::Wait if head.framing == BodyFraming::UntilClose => {
                    answer.stays = false;
                    if self.read_more(&mut bytes).await.is_err() {
                        return Ok(answer);
                    }
                }
                Piece::Wait => self.read_more(&mut bytes).await?,
                Piece::Data(length) => answer.body.extend(bytes.drain(..length)),
                Piece::Framing(length) | Piece::Trailer(length) => drop(bytes.drain(..length)),
            }
            if answer.body.len() > LARGEST_BODY {
                answer.stays = false;
                return Ok(answer);
            }
        }
    }

    async fn read_more(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        bytes.reserve(4096);
        match self.stream.read_buf(bytes).await {
            Ok(1..) => Ok(()),
            Ok(0) => Err("the other end closed the connection without a word".to_owned()),
            Err(error) => Err(words(&error)),
        }
    }
}

impl Answer {
    fn verdict(&self) -> Verdict {
        match &self.content_type {
            Some(kind) if kind.starts_with("text/") && (200..300).contains(&self.status) => {
                Verdict::of_page(self.status, kind)
            }
            _ => Verdict::of_http(self.status, self.retry_after.as_deref(), &self.body),
        }
    }
}

/// What a head says.
struct Head {
    status: u16,
    retry_after: Option<String>,
    content_type: Option<String>,
    framing: BodyFraming,
    stays: bool,
    /// Whether no other head follows it.
    is_final: bool,
    length: usize,
}

fn read_head(heads: &mut HeadReader, bytes: &[u8]) -> Result<Option<Head>, String> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields::new();
    let head = heads.response(bytes, &mut fields, Asked::default());
    let Some(head) = head.map_err(|refused| refused.to_string())? else {
        return Ok(None);
    };
    let header = |name| {
        let value = head.response.header(name).next();
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    Ok(Some(Head {
        status: head.response.status,
        retry_after: header("retry-after"),
        content_type: header("content-type"),
        framing: head.body,
        stays: head.keep_alive.is_some(),
        is_final: !head.response.is_interim(),
        length: head.length,
    }))
}

fn request(endpoint: &Endpoint, headers: &HeaderMap, signal: Signal, batch: &Batch) -> Vec<u8> {
    let mut request = format!(
        "POST {}/v1/{} HTTP/1.1\r\n\
         host: {}\r\n\
         user-agent: leno/{}\r\n\
         content-type: application/x-protobuf\r\n\
         content-encoding: gzip\r\n\
         content-length: {}\r\n",
        endpoint.path,
        signal.as_str(),
        endpoint.authority,
        env!("CARGO_PKG_VERSION"),
        batch.body.len(),
    )
    .into_bytes();
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            request.extend_from_slice(part);
        }
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(&batch.body);
    request
}

#[cfg(test)]
mod tests;
