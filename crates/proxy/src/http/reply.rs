//! The server's answer: heads as they come, the body behind them, and what the connections are
//! good for afterwards.

use std::time::Duration;

use leno_model::{Code, Mono};
use leno_protocol::{
    BodyFraming, BodyReader, Fields, HeadReader, Limits, Own, Piece, Refused, RequestHead,
    ResponseChanges, ResponseHead, Version, write_response,
};
use leno_traffic::{Ended, Failure, Refusal};

use crate::buffer::Buffer;
use crate::connect::broken_off;
use crate::http::After;
use crate::http::attempt::{Attempt, Tried};
use crate::http::refuse::Reason;
use crate::http::waiting::{Interrupted, Over, Waiting};
use crate::pump::Pump;
use crate::stream::{Cut, Stream};
use crate::tunnel::LENO_ERROR;
use crate::worker::Worker;

/// What an answer is read with.
pub(super) struct Reply<'a> {
    /// The request that it answers.
    pub(super) head: &'a RequestHead<'a>,
    /// The try that it answers.
    pub(super) attempt: &'a Attempt<'a>,
    /// Whether the server's connection had been used before.
    pub(super) reused: bool,
    /// What the client sent behind its request.
    pub(super) behind: &'a [u8],
}

/// What is told of an answer.
#[derive(Default)]
pub(super) struct Carried {
    /// Its status, if it was sent.
    pub(super) status: u16,
    /// Bytes of its body.
    pub(super) received: u64,
    /// Why it was cut short, if that was not the client's own doing.
    pub(super) cut: Option<Reason>,
}

/// A head that has come, with what came of its body, written down for the client.
enum Heard {
    /// It is not complete.
    More,
    /// Another one follows.
    Interim { used: usize },
    /// The answer.
    Final(Final),
}

struct Final {
    status: u16,
    /// What it is if it is not what was wanted.
    failure: Failure,
    /// Bytes of head and body that were read.
    used: usize,
    /// Bytes of the body that were written.
    received: usize,
    body: BodyReader,
    /// How the body is sent to the client.
    sent_as: BodyFraming,
    content_only: bool,
    /// For how long the server takes another request.
    keep_server: Option<Duration>,
    keep_client: bool,
}

impl Reply<'_> {
    /// Carries the answer from `server` to the client. `again` says whether one that is such a
    /// failure is to be tried again.
    pub(super) async fn carry(
        &self,
        mut server: Stream,
        waiting: &mut Waiting<'_>,
        mut out: Buffer,
        again: &mut dyn FnMut(Failure, bool) -> Option<Mono>,
    ) -> (Tried, Carried) {
        let mut carried = Carried::default();
        let mut bytes = waiting.worker.buffers.lend();
        let mut reader = HeadReader::new(Limits::default());
        let answer = loop {
            let heard = match self.hear(&mut reader, &bytes, &mut out, waiting) {
                Ok(heard) => heard,
                Err(refused) => {
                    let reason = self.not_http(&refused);
                    return (Tried::Hopeless(reason, Some(Ended::Failed)), carried);
                }
            };
            match heard {
                Heard::Final(answer) => break answer,
                Heard::Interim { used } => {
                    bytes.consume(used);
                    if !out.is_empty() && waiting.client.write_all(&out).await.is_err() {
                        return (Tried::Done(After::Cut(None), None), carried);
                    }
                    out.clear();
                    continue;
                }
                Heard::More => {}
            }
            match waiting.reply(&mut server, &mut bytes).await {
                Ok(1..) => {}
                Ok(0) => return (self.no_answer(Cut::There, &bytes, waiting.worker), carried),
                Err(interrupted) => {
                    server.reset(interrupted.code());
                    return (
                        self.interrupted(&interrupted, &bytes, waiting.worker),
                        carried,
                    );
                }
            }
        };
        if let Some(at) = (answer.status >= 400)
            .then(|| again(answer.failure, waiting.is_replayable()))
            .flatten()
        {
            return (Tried::Again(at), carried);
        }
        waiting.release();
        carried.status = answer.status;
        waiting.meter.answered(answer.status);
        carried.received = answer.received as u64;
        if waiting.client.write_all(&out).await.is_err() {
            return (Tried::Done(After::Cut(None), None), carried);
        }
        drop(out);
        bytes.consume(answer.used);
        if answer.sent_as == BodyFraming::Tunnel {
            let after = self.switch(server, waiting, &mut carried).await;
            return (Tried::Done(after, Some(Ended::Answered)), carried);
        }
        let tried = self
            .carry_body(server, waiting, bytes, answer, &mut carried)
            .await;
        (tried, carried)
    }

    /// Reads the head at the start of `bytes`, and writes what goes to the client behind `out`.
    fn hear(
        &self,
        reader: &mut HeadReader,
        bytes: &[u8],
        out: &mut Vec<u8>,
        waiting: &Waiting<'_>,
    ) -> Result<Heard, Refused> {
        let mut fields = Fields::new();
        let Some(head) = reader.response(bytes, &mut fields, self.head.asked())? else {
            return Ok(Heard::More);
        };
        let ResponseHead { response, body, .. } = head;
        // What our own application or somebody outside says in the mesh's name is not believed.
        let forged = [Own {
            name: LENO_ERROR,
            value: None,
        }];
        let tunnelled = self.attempt.hop.target.tunnel.is_some();
        let mut changes = ResponseChanges {
            headers: self.attempt.response_headers,
            own: if tunnelled { &[] } else { &forged },
            client: self.head.version,
            keep_alive: true,
        };
        if response.is_interim() {
            //= RFC 9110 section 15.2: "a server MUST NOT send a 1xx response to an HTTP/1.0 client"
            if self.head.version == Version::Http11 {
                write_response(out, &response, BodyFraming::None, &changes);
            }
            return Ok(Heard::Interim { used: head.length });
        }
        let content_only = body == BodyFraming::Chunked && self.head.version == Version::Http10;
        let sent_as = if content_only {
            BodyFraming::UntilClose
        } else {
            body
        };
        let whole = waiting.is_sent();
        changes.keep_alive = self.head.keep_alive
            && whole
            && sent_as != BodyFraming::UntilClose
            && waiting.worker.keeps(waiting.client);
        write_response(out, &response, sent_as, &changes);

        let mut reader = BodyReader::new(body);
        let behind = bytes.get(head.length..).unwrap_or_default();
        let written = out.len();
        let used = take_body(&mut reader, behind, out, content_only)?;
        Ok(Heard::Final(Final {
            status: response.status,
            failure: match response.header(LENO_ERROR).next() {
                Some(error) if tunnelled => failure_told(error, response.status),
                Some(_) | None => Failure::Answered(response.status),
            },
            used: head.length + used,
            received: out.len() - written,
            body: reader,
            sent_as,
            content_only,
            keep_server: head.keep_alive,
            keep_client: changes.keep_alive,
        }))
    }

    /// Carries the rest of the body, and says what both connections are good for.
    async fn carry_body(
        &self,
        mut server: Stream,
        waiting: &mut Waiting<'_>,
        bytes: Buffer,
        answer: Final,
        carried: &mut Carried,
    ) -> Tried {
        let mut clean = bytes.is_empty();
        if !answer.body.is_done() {
            let mut down = if answer.content_only {
                Pump::content(answer.body)
            } else {
                Pump::body(answer.body)
            };
            let finished = waiting.carry(&mut server, &mut down).await;
            carried.received += down.moved();
            clean &= down.take_rest().is_none();
            if let Err(interrupted) = finished {
                server.reset(interrupted.code());
                return self.cut(&interrupted, carried);
            }
        }
        // An answer that came before all of the request was sent ends both connections.
        let whole = waiting.is_sent();
        let worker = waiting.worker;
        if let Some(kept) = answer.keep_server
            && clean
            && whole
            && !worker.is_draining()
        {
            let now = worker.mono();
            let target = &self.attempt.hop.target;
            worker.pool.give(target, server, kept, now);
        }
        let ended = if answer.status >= 500 {
            Ended::Failed
        } else {
            Ended::Answered
        };
        let after = if answer.keep_client && whole {
            After::Next(waiting.take_early())
        } else {
            After::Close
        };
        Tried::Done(after, Some(ended))
    }

    /// Carries bytes after a switch of protocols, until both directions have ended.
    async fn switch(
        &self,
        mut server: Stream,
        waiting: &mut Waiting<'_>,
        carried: &mut Carried,
    ) -> After {
        let mut early = waiting
            .take_early()
            .unwrap_or_else(|| waiting.worker.buffers.lend());
        early.extend_from_slice(self.behind);
        let Ok(up) = Pump::bytes().unread(early) else {
            unreachable!("bare bytes have no flaw");
        };
        waiting.switch(up);
        let mut down = Pump::bytes();
        let finished = waiting.carry_both(&mut server, &mut down).await;
        carried.received += down.moved();
        match finished {
            Ok(()) => After::Close,
            Err(interrupted) => {
                server.reset(interrupted.code());
                self.cut(&interrupted, carried);
                After::Cut(interrupted.code())
            }
        }
    }

    /// What came in the place of an answer.
    fn not_http(&self, refused: &Refused) -> Reason {
        let endpoint = self.attempt.hop.target.address;
        Reason {
            words: format!("{endpoint} answered with something that is not HTTP: {refused}"),
            ..Reason::from(refused)
        }
    }

    /// The server's connection ended before there was an answer.
    fn no_answer(&self, cut: Cut, bytes: &[u8], worker: &Worker) -> Tried {
        let target = &self.attempt.hop.target;
        let (address, tunnel) = (target.address, target.tunnel);
        let refusal = match cut {
            Cut::There if bytes.is_empty() => Refusal::ResetBeforeResponse(address),
            Cut::There => Refusal::MalformedResponse(address),
            Cut::Between => match tunnel {
                Some(tunnel) => worker.broken_off(tunnel),
                None => broken_off(address),
            },
            Cut::For(code) => self.cut_for(code),
        };
        // A server closes an idle connection whenever it likes. Whether it read the request first
        // cannot be known; a safe one does nothing that could be done twice (RFC 9110 section 9.2.1).
        let safe = matches!(
            self.head.request.method,
            "GET" | "HEAD" | "OPTIONS" | "TRACE"
        );
        let told = matches!(cut, Cut::For(_));
        let failure = if self.reused && safe && bytes.is_empty() && !told {
            Failure::NotSent
        } else {
            Failure::NoAnswer
        };
        Tried::Failed(failure, refusal)
    }

    /// The proxy of the endpoint cut the stream for this reason.
    fn cut_for(&self, code: Code) -> Refusal {
        let target = &self.attempt.hop.target;
        let proxy = target.tunnel.map(|tunnel| tunnel.address);
        let proxy = proxy.unwrap_or(target.address);
        match code {
            Code::R022 => Refusal::ResetBeforeResponse(target.address),
            Code::R026 => Refusal::ResetDuringBody(target.address),
            code => Refusal::StreamRefused { proxy, code },
        }
    }

    /// Something ended the exchange before the client heard anything.
    fn interrupted(&self, interrupted: &Interrupted, bytes: &[u8], worker: &Worker) -> Tried {
        match interrupted {
            Interrupted::Server(cut) => self.no_answer(*cut, bytes, worker),
            Interrupted::ClientGone(_) => Tried::Done(After::Cut(None), None),
            Interrupted::Body(flaw) => {
                Tried::Hopeless(Reason::from(&Refused::request(*flaw)), None)
            }
            Interrupted::Over(over) => Tried::over(over),
        }
    }

    /// Something ended the exchange while the answer was on its way: the client must see a cut.
    fn cut(&self, interrupted: &Interrupted, carried: &mut Carried) -> Tried {
        let target = &self.attempt.hop.target;
        let proxy = target.tunnel.map(|tunnel| tunnel.address);
        let refusal = match interrupted {
            Interrupted::Server(Cut::There) => Some(Refusal::ResetDuringBody(target.address)),
            Interrupted::Server(Cut::Between) => Some(broken_off(proxy.unwrap_or(target.address))),
            Interrupted::Server(Cut::For(code)) => Some(self.cut_for(*code)),
            Interrupted::ClientGone(cut) => cut.of_client().map(|code| self.cut_for(code)),
            Interrupted::Body(_) | Interrupted::Over(_) => None,
        };
        carried.cut = match (refusal, interrupted) {
            (Some(refusal), _) => Some(Reason::from(&refusal)),
            (None, Interrupted::Body(flaw)) => Some(Reason::from(&Refused::request(*flaw))),
            (None, Interrupted::Over(over)) => Some(over.reason()),
            (None, Interrupted::Server(_) | Interrupted::ClientGone(_)) => None,
        };
        let learned = match interrupted {
            Interrupted::Server(_) | Interrupted::Over(Over::Try(_)) => Some(Ended::Failed),
            Interrupted::ClientGone(_) | Interrupted::Body(_) | Interrupted::Over(Over::All(_)) => {
                None
            }
        };
        Tried::Done(After::Cut(interrupted.code()), learned)
    }
}

/// What the proxy of the endpoint says has become of the request.
fn failure_told(error: &[u8], status: u16) -> Failure {
    let code = error.get(..4).and_then(|code| str::from_utf8(code).ok());
    match code.and_then(|code| code.parse().ok()) {
        Some(
            Code::R020
            | Code::R021
            | Code::R027
            | Code::R040
            | Code::R041
            | Code::R050
            | Code::R051,
        ) => Failure::NotSent,
        Some(Code::R022 | Code::R024) => Failure::Unanswered(status),
        Some(_) | None => Failure::Answered(status),
    }
}

/// Moves what has come of a body behind `out`; says how many bytes that were.
fn take_body(
    reader: &mut BodyReader,
    bytes: &[u8],
    out: &mut Vec<u8>,
    content_only: bool,
) -> Result<usize, Refused> {
    if !content_only {
        let used = reader.take(bytes).map_err(Refused::response)?;
        out.extend_from_slice(bytes.get(..used).unwrap_or_default());
        return Ok(used);
    }
    let mut used = 0;
    loop {
        let rest = bytes.get(used..).unwrap_or_default();
        match reader.next(rest).map_err(Refused::response)? {
            Piece::Data(count) => {
                out.extend_from_slice(rest.get(..count).unwrap_or_default());
                used += count;
            }
            Piece::Framing(count) | Piece::Trailer(count) => used += count,
            Piece::Wait | Piece::End => return Ok(used),
        }
    }
}
