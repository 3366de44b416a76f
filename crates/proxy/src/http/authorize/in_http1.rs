//! A question in HTTP/1.1, and the whole answer.

use leno_authorizer::{Answer, Garbled, HttpQuestion, LARGEST_BODY, read_http, too_long};
use leno_model::CallId;
use leno_protocol::{Asked, BodyFraming, BodyReader, Fields, HeadReader, Limits};
use std::time::Duration;

use crate::aim::Hop;
use crate::buffer::Buffer;
use crate::connect::connect;
use crate::http::authorize::ask::{Asking, Failed};
use crate::http::relay::framed::Gathered;
use crate::stream::Stream;

impl Asking<'_> {
    pub(super) async fn ask_in_http1(
        &self,
        hop: &Hop<'_>,
        question: &HttpQuestion,
    ) -> Result<Answer, Failed> {
        let (worker, target) = (self.worker, &hop.target);
        let told_id = target.tunnel.is_some().then_some(self.id);
        let written = written(question, told_id);
        let asked = Asked {
            head: question.method == "HEAD",
            ..Asked::default()
        };
        // A server may have closed a connection that lay idle: such a question was not heard.
        if let Some(mut kept) = worker.pool.take(target, worker.mono()) {
            match self.talk(&mut kept, &written, asked).await {
                Err(Failed::Broken) => {}
                heard => return self.done(hop, kept, heard),
            }
        }
        let opened = connect(worker, target, self.id, self.connect_limit()).await;
        let mut server = opened.map_err(|why| Failed::Unreached(why.to_string().into()))?;
        let heard = self.talk(&mut server, &written, asked).await;
        self.done(hop, server, heard)
    }

    fn done(
        &self,
        hop: &Hop<'_>,
        server: Stream,
        heard: Result<Heard, Failed>,
    ) -> Result<Answer, Failed> {
        let heard = heard?;
        if let (Some(kept), false) = (heard.kept, self.worker.is_draining()) {
            let now = self.worker.mono();
            self.worker.pool.give(&hop.target, server, kept, now);
        }
        let headers = heard.headers.iter();
        let headers = headers.map(|(name, value)| (&**name, &**value));
        Ok(read_http(heard.status, headers, heard.body)?)
    }

    async fn talk(
        &self,
        server: &mut Stream,
        written: &[u8],
        asked: Asked,
    ) -> Result<Heard, Failed> {
        let sent = server.write_all(written).await;
        sent.map_err(|_broken| Failed::Broken)?;
        let mut bytes = self.worker.buffers.lend();
        let mut reader = HeadReader::new(Limits::default());
        let mut heard = loop {
            match head(&mut reader, &mut bytes, asked)? {
                Some(heard) => break heard,
                None => more(server, &mut bytes).await?,
            }
        };
        let mut body = BodyReader::new(heard.framing);
        let mut gathered = Gathered::default();
        loop {
            let used = gathered.add(&mut body, &bytes);
            let used = used.map_err(|_flaw| Garbled::Unreadable)?;
            bytes.consume(used);
            if gathered.content.len() > LARGEST_BODY || gathered.lines.len() > LARGEST_BODY {
                return Err(too_long(heard.status).into());
            }
            if body.is_done() {
                break;
            }
            match server.read_into(&mut bytes).await {
                Ok(1..) => {}
                Ok(0) if body.finish().is_ok() => {
                    heard.kept = None;
                    break;
                }
                Ok(0) | Err(_) => return Err(Failed::Broken),
            }
        }
        if !bytes.is_empty() {
            heard.kept = None;
        }
        heard.body = gathered.content;
        Ok(heard)
    }
}

/// An answer.
struct Heard {
    status: u16,
    headers: Vec<(Box<str>, Box<[u8]>)>,
    framing: BodyFraming,
    body: Vec<u8>,
    /// For how long another request may follow.
    kept: Option<Duration>,
}

/// The head of the answer, if it has come; what stands before it is passed over.
fn head(
    reader: &mut HeadReader,
    bytes: &mut Buffer,
    asked: Asked,
) -> Result<Option<Heard>, Garbled> {
    loop {
        let mut fields = Fields::new();
        let read = reader.response(bytes, &mut fields, asked);
        let Some(head) = read.map_err(|_flaw| Garbled::Unreadable)? else {
            return Ok(None);
        };
        let response = &head.response;
        let is_interim = response.is_interim();
        let named = response.headers.iter();
        let heard = Heard {
            status: response.status,
            headers: named
                .map(|header| (header.name.into(), header.value.into()))
                .collect(),
            framing: head.body,
            body: Vec::new(),
            kept: head.keep_alive,
        };
        let length = head.length;
        drop(fields);
        bytes.consume(length);
        if !is_interim {
            return Ok(Some(heard));
        }
    }
}

async fn more(server: &mut Stream, bytes: &mut Buffer) -> Result<(), Failed> {
    match server.read_into(bytes).await {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => Err(Failed::Broken),
    }
}

/// The question as it is sent. What it is made of was read as parts of heads.
fn written(question: &HttpQuestion, id: Option<CallId>) -> Vec<u8> {
    let HttpQuestion {
        method,
        target,
        host,
        headers,
        body,
    } = question;
    let mut out = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n").into_bytes();
    let mut say = |name: &str, value: &[u8]| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    };
    for (name, value) in headers {
        say(name, value);
    }
    if let Some(id) = id {
        say(CallId::HEADER, &id.digits());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}
