//! What may be asked over HTTP of whoever tells metrics, or publishes keys: one GET a connection, and its answer.

use leno_protocol::{Fields, HeadReader, Limits};

use crate::prometheus::Format;

/// A question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// How a scrape is to be written.
    pub format: Format,
}

/// What came is no question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoQuestion;

/// Reads a question as its bytes come.
#[derive(Debug)]
pub struct Reader(HeadReader);

impl Default for Reader {
    fn default() -> Self {
        Self(HeadReader::new(HEAD))
    }
}

/// A question is short.
const HEAD: Limits = Limits {
    head_bytes: 8 * 1024,
    target_bytes: 1024,
    headers: 64,
};

impl Reader {
    /// The question at the start of `bytes`; `None` while it is not complete.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<Asked>, NoQuestion> {
        let mut fields = Fields::new();
        let head = self.0.request(bytes, &mut fields).map_err(|_| NoQuestion)?;
        let Some(head) = head else {
            return Ok(None);
        };
        if head.request.method != "GET" {
            return Err(NoQuestion);
        }
        let accept: Vec<_> = head.request.header("accept").collect();
        let accept = accept.join(&b","[..]);
        Ok(Some(Asked {
            path: head.request.path.raw().into(),
            format: Format::asked(&String::from_utf8_lossy(&accept)),
        }))
    }
}

/// An answer, after which the connection ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    status: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

impl Answer {
    /// Metrics, written so.
    pub fn scrape(format: Format, body: Vec<u8>) -> Self {
        Self {
            status: "200 OK",
            kind: format.content_type(),
            body,
        }
    }

    /// Words: a yes, or else that it is not ready.
    pub fn ready(is_ready: bool, words: &str) -> Self {
        let status = match is_ready {
            true => "200 OK",
            false => "503 Service Unavailable",
        };
        Self::words(status, words)
    }

    /// A document of JSON.
    pub fn json(body: Vec<u8>) -> Self {
        Self {
            status: "200 OK",
            kind: "application/json",
            body,
        }
    }

    /// There is nothing at that path; `words` say where there is something.
    pub fn nothing(words: &str) -> Self {
        Self::words("404 Not Found", words)
    }

    fn words(status: &'static str, words: &str) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            body: format!("{words}\n").into_bytes(),
        }
    }

    /// As it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let Self { status, kind, body } = self;
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_get() {
        let check = |bytes: &str, expect: Result<Option<(&str, Format)>, NoQuestion>| {
            let asked = Reader::default().read(bytes.as_bytes());
            let asked = asked.as_ref().map(|asked| {
                let asked = asked.as_ref();
                asked.map(|asked| (asked.path.as_str(), asked.format))
            });
            assert_eq!(asked, expect.as_ref().copied(), "{bytes:?}");
        };
        check("GET /metrics HTTP/1.1\r\nHost: x\r\n", Ok(None));
        check(
            "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
            Ok(Some(("/metrics", Format::Text))),
        );
        let open = "Accept: application/openmetrics-text;version=1.0.0";
        check(
            &format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{open}\r\n\r\n"),
            Ok(Some(("/metrics", Format::OpenMetrics))),
        );
        check("POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Err(NoQuestion));
        check("\u{16}\u{3}\u{1}", Err(NoQuestion));
    }
}
