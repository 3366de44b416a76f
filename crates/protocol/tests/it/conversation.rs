//! Reads a stream as a proxy would and tells what it saw.

use std::time::Duration;

use leno_protocol::{
    Asked, BodyFraming, BodyReader, Fields, Flaw, HeadReader, Header, Piece, Refused, RequestHead,
    ResponseHead, Version,
};

/// What `stream` says to a server, if it comes in pieces of these lengths (the last one repeats).
pub(crate) fn requests(stream: &[u8], pieces: &[usize]) -> String {
    Conversation::default().hear(stream, pieces, |reader, bytes| {
        let mut fields = Fields::new();
        let head = reader.request(bytes, &mut fields)?;
        Ok(head.map(|head| (head.length, head.body, tell_request(&head))))
    })
}

/// What `stream`, which ends with its connection, answers to `asked`.
pub(crate) fn responses(stream: &[u8], pieces: &[usize], asked: Asked) -> String {
    let mut told = Conversation {
        closes: true,
        ..Conversation::default()
    };
    told.hear(stream, pieces, |reader, bytes| {
        let mut fields = Fields::new();
        let head = reader.response(bytes, &mut fields, asked)?;
        Ok(head.map(|head| (head.length, head.body, tell_response(&head))))
    })
}

#[derive(Default)]
struct Conversation {
    told: Vec<String>,
    /// Content and trailers of the body that is being read.
    content: Vec<u8>,
    trailers: Vec<u8>,
    /// Whether the sender closes the connection at the end of the stream.
    closes: bool,
}

type Head = Option<(usize, BodyFraming, Vec<String>)>;

impl Conversation {
    fn hear(
        &mut self,
        stream: &[u8],
        pieces: &[usize],
        mut read_head: impl FnMut(&mut HeadReader, &[u8]) -> Result<Head, Refused>,
    ) -> String {
        let mut reader = HeadReader::default();
        let mut body = None::<BodyReader>;
        let (mut done, mut come) = (0, 0);
        let mut pieces = pieces.iter().copied();
        let mut piece = stream.len().max(1);
        while come < stream.len() {
            piece = pieces.next().unwrap_or(piece).max(1);
            come = come.saturating_add(piece).min(stream.len());
            loop {
                let bytes = &stream[done..come];
                let Some(reading) = &mut body else {
                    match read_head(&mut reader, bytes) {
                        Ok(Some((length, framing, told))) => {
                            assert!(length <= bytes.len());
                            done += length;
                            self.told.extend(told);
                            body = Some(BodyReader::new(framing));
                            continue;
                        }
                        Ok(None) => break,
                        Err(refused) => return self.refuse(refused),
                    }
                };
                match reading.next(bytes) {
                    Ok(Piece::Wait) => break,
                    Ok(Piece::End) => {
                        self.tell_body("");
                        body = None;
                        if bytes.is_empty() {
                            break;
                        }
                    }
                    Ok(Piece::Data(length)) => {
                        self.content.extend(&bytes[..length]);
                        done += length;
                    }
                    Ok(Piece::Trailer(length)) => {
                        self.trailers.extend(&bytes[..length]);
                        done += length;
                    }
                    Ok(Piece::Framing(length)) => {
                        assert!(length > 0);
                        done += length;
                    }
                    Err(flaw) => return self.refuse_body(flaw),
                }
            }
        }
        match body {
            Some(body) if self.closes => match body.finish() {
                Ok(()) => self.tell_body(", closed"),
                Err(flaw) => return self.refuse_body(flaw),
            },
            Some(body) if body.is_done() => self.tell_body(""),
            Some(_) => self.tell_body(", and waits"),
            None if done < come => self.told.push("waits for a head".to_owned()),
            None => {}
        }
        self.told.join("\n")
    }

    fn tell_body(&mut self, end: &str) {
        let (content, trailers) = (
            std::mem::take(&mut self.content),
            std::mem::take(&mut self.trailers),
        );
        if !content.is_empty() || !end.is_empty() {
            self.told
                .push(format!("  body \"{}\"{end}", content.escape_ascii()));
        }
        if !trailers.is_empty() {
            self.told
                .push(format!("  trailers \"{}\"", trailers.escape_ascii()));
        }
    }

    fn refuse(&mut self, refused: Refused) -> String {
        let Refused { code, status, flaw } = refused;
        self.told.push(format!("{code} {status}: {flaw}"));
        self.told.join("\n")
    }

    fn refuse_body(&mut self, flaw: Flaw) -> String {
        self.trailers.clear();
        self.tell_body("");
        self.refuse(if self.closes {
            Refused::response(flaw)
        } else {
            Refused::request(flaw)
        })
    }
}

fn tell_request(head: &RequestHead<'_>) -> Vec<String> {
    let RequestHead {
        request,
        version,
        body,
        keep_alive,
        expects_continue,
        upgrade,
        ..
    } = head;
    let mut line = format!("{} {}", request.method, request.host);
    if let Some(port) = request.port {
        line += &format!(":{port}");
    }
    let readings: Vec<_> = request
        .path
        .readings()
        .filter(|reading| !reading.is_empty())
        .collect();
    if !readings.is_empty() {
        line += &format!(" {}", readings.join(" or "));
    }
    if let Some(query) = request.query {
        line += &format!(" ?{query}");
    }
    line += &tell_connection(*version, *body, *keep_alive);
    line += if *expects_continue {
        ", waits for 100"
    } else {
        ""
    };
    line += if *upgrade { ", upgrades" } else { "" };
    [line]
        .into_iter()
        .chain(tell_headers(request.headers))
        .collect()
}

fn tell_response(head: &ResponseHead<'_>) -> Vec<String> {
    let ResponseHead {
        response,
        version,
        body,
        keep_alive,
        ..
    } = head;
    let mut line = response.status.to_string();
    if !response.reason.is_empty() {
        line += &format!(" {}", response.reason.escape_ascii());
    }
    line += &tell_connection(*version, *body, keep_alive.is_some());
    if let Some(idle) = keep_alive.filter(|idle| *idle != Duration::MAX) {
        line += &format!(", idle for {idle:?}");
    }
    [line]
        .into_iter()
        .chain(tell_headers(response.headers))
        .collect()
}

fn tell_connection(version: Version, body: BodyFraming, keep_alive: bool) -> String {
    let version = if version == Version::Http10 {
        ", HTTP/1.0"
    } else {
        ""
    };
    let body = match body {
        BodyFraming::None => String::new(),
        BodyFraming::Length(length) => format!(", body of {length}"),
        BodyFraming::Chunked => ", body in chunks".to_owned(),
        BodyFraming::UntilClose => ", body until close".to_owned(),
        BodyFraming::Tunnel => ", tunnel".to_owned(),
    };
    format!(
        "{version}{body}{}",
        if keep_alive { "" } else { ", then close" }
    )
}

fn tell_headers(headers: &[Header<'_>]) -> impl Iterator<Item = String> {
    let tell = |header: &Header<'_>| {
        format!("  {}: {}", header.name, header.value.escape_ascii())
            .trim_end()
            .to_owned()
    };
    headers.iter().map(tell)
}
