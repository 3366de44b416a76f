//! The server's answer: heads as they come, the body behind them, and what the connections are
//! good for afterwards.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ::http::{HeaderMap, Response};
use leno_model::{Code, Mono};
use leno_protocol::{
    BodyFraming, BodyReader, Fields, HeadReader, Limits, Own, Piece, Refused, RequestHead,
    ResponseChanges, ResponseHead, Version, grpc,
};
use leno_telemetry::{Headers, is_grpc_failure};
use leno_traffic::{Ended, Failure, Refusal, Report};

use crate::buffer::Buffer;
use crate::connect::broken_off;
use crate::http::attempt::{Attempt, Tried, Way, unanswered};
use crate::http::body::Body;
use crate::http::client::{Client, Written};
use crate::http::http2::head::block_of;
use crate::http::refuse::Reason;
use crate::http::relay::Relay;
use crate::http::server::{Called, Server};
use crate::http::switch::{Switch, not_switched};
use crate::http::waiting::{Interrupted, Over, Waiting};
use crate::http::{After, Why};
use crate::pump::Pump;
use crate::stream::{Cut, Stream, Taken};
use crate::telling;
use crate::tunnel::LENO_ERROR;
use crate::worker::Worker;

/// What an answer is read with.
pub(super) struct Reply<'a> {
    /// The request that it answers.
    pub(super) head: &'a RequestHead<'a>,
    /// The other protocol that it asks for.
    pub(super) switch: Option<Switch<'a>>,
    /// The try that it answers.
    pub(super) attempt: &'a Attempt<'a>,
    /// Over what that was sent.
    pub(super) way: Way,
    /// What the client sent behind its request.
    pub(super) behind: &'a [u8],
    /// How the call is told.
    pub(super) report: &'a Report,
}

/// What is told of an answer.
#[derive(Default)]
pub(super) struct Carried {
    /// Its status, if it was sent.
    pub(super) status: u16,
    /// What gRPC said of it.
    pub(super) grpc: Option<u16>,
    /// The headers of it that the access log has.
    pub(super) headers: Headers,
    /// Bytes of its body.
    pub(super) received: u64,
    /// Why it was cut short, if that was not the client's own doing.
    pub(super) cut: Option<Reason>,
}

/// A head that has come, written down for the client.
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
    /// What gRPC says of it, if it says that in the head.
    grpc: Option<u16>,
    /// The headers of it that the access log has.
    headers: Headers,
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

impl Final {
    /// Whether it is not what was wanted. What another proxy refuses in the words of gRPC has a status
    /// of HTTP that says nothing of it.
    fn is_failure(&self) -> bool {
        self.status >= 400 || !matches!(self.failure, Failure::Answered(_))
    }
}

/// A server that has begun to answer, and what came of its body.
type Begun = (Server, Buffer, Final);

impl Reply<'_> {
    /// Carries the answer from `server` to the client. `again` says whether one that is such a
    /// failure is to be tried again.
    pub(super) async fn carry(
        &self,
        server: Server,
        waiting: &mut Waiting<'_>,
        out: Buffer,
        again: &mut dyn FnMut(Failure, bool) -> Option<Mono>,
    ) -> (Tried, Carried) {
        let mut carried = Carried::default();
        let mut written = waiting.client.paper(out);
        let begun = match server {
            Server::Http1(stream) => self.wait(stream, waiting, &mut written).await,
            Server::Http2(called) => self.wait_http2(called, waiting, &mut written).await,
        };
        let (server, bytes, mut answer) = match begun {
            Ok(begun) => begun,
            Err(tried) => return (tried, carried),
        };
        if let Some(at) = answer
            .is_failure()
            .then(|| again(answer.failure, waiting.is_replayable()))
            .flatten()
        {
            return (Tried::Again(at), carried);
        }
        waiting.release();
        carried.status = answer.status;
        carried.grpc = answer.grpc;
        carried.headers = mem::take(&mut answer.headers);
        waiting.meter.answered(answer.status);
        carried.received = answer.received as u64;
        let ended = answer.body.is_done();
        let limit = waiting.worker.stalled;
        if let Err(gone) = waiting.client.send(&mut written, ended, limit).await {
            let stalled =
                (gone.kind() == io::ErrorKind::TimedOut).then_some(Refusal::CallerStalled(limit));
            carried.cut = stalled.as_ref().map(Reason::from);
            return (Tried::Done(After::Cut(Why::Gone), None), carried);
        }
        drop(written);
        if answer.sent_as == BodyFraming::Tunnel {
            let after = self.switch(server, bytes, waiting, &mut carried).await;
            return (Tried::Done(after, Some(Ended::Answered)), carried);
        }
        let tried = self
            .carry_body(server, waiting, bytes, answer, &mut carried)
            .await;
        (tried, carried)
    }

    /// Waits for the answer of a server that speaks HTTP/1.
    async fn wait(
        &self,
        mut server: Stream,
        waiting: &mut Waiting<'_>,
        written: &mut Written,
    ) -> Result<Begun, Tried> {
        let mut bytes = waiting.worker.buffers.lend();
        let mut reader = HeadReader::new(Limits::default());
        let mut interim = 0;
        loop {
            match self.hear(&mut reader, &bytes, written, waiting)? {
                Heard::More => {}
                Heard::Interim { used } => {
                    bytes.consume(used);
                    interim += 1;
                    // One of HTTP/1 takes them as fast as it reads.
                    if interim > MOST_INTERIM && matches!(waiting.client, Client::Http2(_)) {
                        return Err(self.too_many_interim());
                    }
                    let limit = waiting.worker.stalled;
                    if waiting.client.send(written, false, limit).await.is_err() {
                        return Err(Tried::Done(After::Cut(Why::Gone), None));
                    }
                    continue;
                }
                Heard::Final(answer) => {
                    bytes.consume(answer.used);
                    return Ok((Server::Http1(server), bytes, answer));
                }
            }
            match waiting.reply(&mut server, &mut bytes).await {
                Ok(1..) => {}
                Ok(0) => {
                    let taken = self.taken(&server, true, waiting);
                    return Err(self.no_answer(Cut::There, taken, &bytes, waiting.worker));
                }
                Err(interrupted) => {
                    let taken = self.taken(&server, false, waiting);
                    server.reset(interrupted.why().code());
                    return Err(self.interrupted(&interrupted, taken, &bytes, waiting.worker));
                }
            }
        }
    }

    /// Waits for the answer of a server that speaks HTTP/2.
    async fn wait_http2(
        &self,
        mut called: Called,
        waiting: &mut Waiting<'_>,
        written: &mut Written,
    ) -> Result<Begun, Tried> {
        let mut interim = 0;
        loop {
            let head = match waiting.head(&mut called).await {
                Ok(head) => head,
                Err(interrupted) => {
                    Server::Http2(called).reset(interrupted.why());
                    // A server of HTTP/2 says what it has not looked at.
                    let taken = Taken::Something;
                    return Err(self.interrupted(&interrupted, taken, &[], waiting.worker));
                }
            };
            match self.hear_http2(head, called.has_ended(), written, waiting)? {
                Heard::Final(answer) => {
                    let nothing = waiting.worker.buffers.lend();
                    return Ok((Server::Http2(called), nothing, answer));
                }
                Heard::Interim { .. } | Heard::More => {
                    interim += 1;
                    let mut sending =
                        pin!(waiting.client.send(written, false, waiting.worker.stalled));
                    let sent = poll_fn(|context| match sending.as_mut().poll(context) {
                        Poll::Pending if called.take_in(context, MOST_INTERIM) => Poll::Pending,
                        Poll::Pending => Poll::Ready(None),
                        Poll::Ready(sent) => Poll::Ready(Some(sent)),
                    });
                    match sent.await {
                        Some(Ok(())) if interim <= MOST_INTERIM => {}
                        Some(Ok(())) | None => {
                            Server::Http2(called).reset(Why::For(Code::R024));
                            return Err(self.too_many_interim());
                        }
                        Some(Err(_gone)) => return Err(Tried::Done(After::Cut(Why::Gone), None)),
                    }
                }
            }
        }
    }

    /// Reads the head at the start of `bytes`, and writes down what goes to the client.
    fn hear(
        &self,
        reader: &mut HeadReader,
        bytes: &[u8],
        written: &mut Written,
        waiting: &Waiting<'_>,
    ) -> Result<Heard, Tried> {
        let mut fields = Fields::new();
        let read = reader.response(bytes, &mut fields, self.head.asked());
        let Some(head) = read.map_err(|refused| self.not_http(&refused))? else {
            return Ok(Heard::More);
        };
        let behind = bytes.get(head.length..).unwrap_or_default();
        self.take_head(&head, None, behind, written, waiting)
    }

    /// Reads a head of HTTP/2, behind which the stream may have ended, and writes down what goes to
    /// the client.
    fn hear_http2(
        &self,
        came: Response<()>,
        ended: bool,
        written: &mut Written,
        waiting: &Waiting<'_>,
    ) -> Result<Heard, Tried> {
        let status = came.status();
        let reason = status.canonical_reason().unwrap_or_default();
        let heard = {
            let mut fields = Fields::new();
            let read = HeadReader::default().http2_response(
                (status.as_u16(), reason),
                block_of(came.headers(), ended),
                self.head.asked(),
                &mut fields,
            );
            let head = read.map_err(|refused| self.not_http(&refused))?;
            self.take_head(&head, Some(came.headers()), &[], written, waiting)?
        };
        written.pass_on(came);
        Ok(heard)
    }

    /// Writes down what goes to the client of a head, and of what came `behind` it; `came` are its
    /// fields if it came in HTTP/2.
    fn take_head(
        &self,
        head: &ResponseHead<'_>,
        came: Option<&HeaderMap>,
        behind: &[u8],
        written: &mut Written,
        waiting: &Waiting<'_>,
    ) -> Result<Heard, Tried> {
        let ResponseHead { response, body, .. } = *head;
        // What our own application or somebody outside says in the mesh's name is not believed.
        let forged = [Own {
            name: LENO_ERROR,
            value: None,
        }];
        let tunnelled = self.attempt.hop.target.tunnel.is_some();
        let version = self.head.version;
        let mut changes = ResponseChanges {
            headers: self.attempt.response_headers,
            own: if tunnelled { &[] } else { &forged },
            client: version,
            keep_alive: true,
        };
        if response.is_interim() {
            //= RFC 9110 section 15.2: "a server MUST NOT send a 1xx response to an HTTP/1.0 client"
            if version != Version::Http10 {
                written.write(&response, came, BodyFraming::None, &changes);
            }
            return Ok(Heard::Interim { used: head.length });
        }
        let content_only = body == BodyFraming::Chunked && version == Version::Http10;
        let sent_as = if content_only {
            BodyFraming::UntilClose
        } else {
            body
        };
        changes.keep_alive = self.head.keep_alive
            && waiting.is_sent()
            && sent_as != BodyFraming::UntilClose
            && waiting.client.is_kept(waiting.worker);
        let mut room = Vec::new();
        let response = match (&self.switch, &*written, came) {
            (Some(switch), Written::Http2(_), None) => {
                let endpoint = self.attempt.hop.target.address;
                let turned = switch.in_http2(head, &mut room);
                turned.map_err(|why| not_switched(endpoint, why))?
            }
            (Some(switch), Written::Http1(_), Some(_)) => switch.in_http1(head, &mut room),
            (_, _, _) => response,
        };
        written.write(&response, came, sent_as, &changes);

        let mut reader = BodyReader::new(body);
        let (mut used, mut received) = (0, 0);
        if let Written::Http1(out) = written {
            let before = out.len();
            let taken = take_body(&mut reader, behind, out, content_only);
            used = taken.map_err(|refused| self.not_http(&refused))?;
            received = out.len() - before;
        }
        let mut grpc = response.header(grpc::STATUS);
        Ok(Heard::Final(Final {
            status: response.status,
            failure: match response.header(LENO_ERROR).next() {
                Some(error) if tunnelled => failure_told(error, response.status),
                Some(_) | None => Failure::Answered(response.status),
            },
            grpc: grpc.next().and_then(grpc::status_in),
            headers: telling::of_answer(self.report, &response),
            used: head.length + used,
            received,
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
        mut server: Server,
        waiting: &mut Waiting<'_>,
        bytes: Buffer,
        answer: Final,
        carried: &mut Carried,
    ) -> Tried {
        let mut clean = bytes.is_empty();
        if !answer.body.is_done() {
            let (sent_as, reader) = (answer.sent_as, answer.body);
            let mut down = match (&server, &waiting.client) {
                (Server::Http1(_), Client::Http1(_)) if answer.content_only => {
                    Body::Bytes(Pump::content(reader))
                }
                (Server::Http1(_), Client::Http1(_)) => Body::Bytes(Pump::body(reader)),
                (Server::Http1(_), Client::Http2(_)) => {
                    clean = true;
                    let relay = Relay::from_http1(sent_as, reader).unread(bytes);
                    Body::Content(Box::new(relay))
                }
                (Server::Http2(_), _) => Body::Content(Box::new(Relay::from_http2(sent_as))),
            };
            let finished = waiting.carry(&mut server, &mut down).await;
            carried.received += down.moved();
            if let Some(status) = down.grpc_status() {
                carried.grpc = grpc::status_in(status);
            }
            clean &= down.take_rest().is_none();
            if let Err(interrupted) = finished {
                server.reset(interrupted.why());
                return self.cut(&interrupted, carried);
            }
        }
        if let Server::Http2(called) = &mut server
            && waiting.went_with_head()
        {
            called.give_up_body();
        }
        // An answer that came before all of the request was sent ends both connections.
        let whole = waiting.is_sent();
        let worker = waiting.worker;
        if let (Server::Http1(stream), Some(kept)) = (server, answer.keep_server)
            && clean
            && whole
            && !worker.is_draining()
        {
            let now = worker.mono();
            let target = &self.attempt.hop.target;
            worker.pool.give(target, stream, kept, now);
        }
        let has_failed = answer.status >= 500 || carried.grpc.is_some_and(is_grpc_failure);
        let ended = if has_failed {
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
        mut server: Server,
        bytes: Buffer,
        waiting: &mut Waiting<'_>,
        carried: &mut Carried,
    ) -> After {
        let mut early = waiting
            .take_early()
            .unwrap_or_else(|| waiting.worker.buffers.lend());
        early.extend_from_slice(self.behind);
        let (up, mut down) = match (&waiting.client, &server) {
            (Client::Http1(_), Server::Http1(_)) => (
                Body::Bytes(Pump::bytes().behind(Some(early))),
                Body::Bytes(Pump::bytes()),
            ),
            (client, server) => {
                let up = Relay::bytes(matches!(client, Client::Http2(_)), early);
                let down = Relay::bytes(matches!(server, Server::Http2(_)), bytes);
                (Body::Content(Box::new(up)), Body::Content(Box::new(down)))
            }
        };
        waiting.switch(up);
        let finished = waiting.carry_both(&mut server, &mut down).await;
        carried.received += down.moved();
        match finished {
            Ok(()) => After::Close,
            Err(interrupted) => {
                let why = match interrupted.why() {
                    Why::For(code) => Why::OfStream(code),
                    why => why,
                };
                server.reset(why);
                self.cut(&interrupted, carried);
                interrupted.cut(why)
            }
        }
    }

    /// What came in the place of an answer.
    fn not_http(&self, refused: &Refused) -> Tried {
        let endpoint = self.attempt.hop.target.address;
        let reason = Reason {
            words: format!("{endpoint} answered with something that is not HTTP: {refused}"),
            ..Reason::from(refused)
        };
        Tried::Hopeless(reason, Some(Ended::Failed))
    }

    /// The answer does not come for all that comes before it.
    fn too_many_interim(&self) -> Tried {
        let endpoint = self.attempt.hop.target.address;
        let reason = Reason {
            words: format!("{endpoint} sent more than {MOST_INTERIM} interim answers"),
            ..Reason::from(&Refusal::MalformedResponse(endpoint))
        };
        Tried::Hopeless(reason, Some(Ended::Failed))
    }

    /// What the server has taken of the request; `ended` is whether it closed the connection in order.
    fn taken(&self, server: &Stream, ended: bool, waiting: &Waiting<'_>) -> Taken {
        match waiting.is_untouched() {
            true => server.taken(self.way.begun_with, ended),
            false => Taken::Something,
        }
    }

    /// The server's connection ended before there was an answer.
    fn no_answer(&self, cut: Cut, taken: Taken, bytes: &[u8], worker: &Worker) -> Tried {
        let target = &self.attempt.hop.target;
        let (address, tunnel) = (target.address, target.tunnel);
        let refusal = match cut {
            Cut::Reset(_) => Refusal::ResetBeforeResponse(address),
            Cut::There if bytes.is_empty() => Refusal::ResetBeforeResponse(address),
            Cut::There => Refusal::MalformedResponse(address),
            Cut::Between => match tunnel {
                Some(tunnel) => worker.broken_off(tunnel),
                None if self.way.reused => Refusal::ResetBeforeResponse(address),
                None => Refusal::NotHttp2(address),
            },
            Cut::For(code) => self.cut_for(code),
        };
        let told = matches!(cut, Cut::For(_) | Cut::Reset(_));
        let taken = match told || !bytes.is_empty() {
            true => Taken::Something,
            false => taken,
        };
        let failure = unanswered(self.head, self.way.reused, taken);
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
    fn interrupted(
        &self,
        interrupted: &Interrupted,
        taken: Taken,
        bytes: &[u8],
        worker: &Worker,
    ) -> Tried {
        match interrupted {
            Interrupted::Left => Tried::Left,
            Interrupted::NotTaken => {
                let address = self.attempt.hop.target.address;
                Tried::Failed(Failure::NotSent, Refusal::ResetBeforeResponse(address))
            }
            Interrupted::Server(cut) => self.no_answer(*cut, taken, bytes, worker),
            Interrupted::ClientGone(_) => Tried::Done(interrupted.cut(interrupted.why()), None),
            Interrupted::Body(flaw) => {
                Tried::Hopeless(Reason::from(&Refused::request(*flaw)), None)
            }
            Interrupted::Over(over) => Tried::over(over),
        }
    }

    /// Something ended the exchange while the answer was on its way: the client must see a cut.
    fn cut(&self, interrupted: &Interrupted, carried: &mut Carried) -> Tried {
        let target = &self.attempt.hop.target;
        let refusal = match interrupted {
            Interrupted::Server(Cut::There | Cut::Reset(_))
            | Interrupted::Left
            | Interrupted::NotTaken => Some(Refusal::ResetDuringBody(target.address)),
            Interrupted::Server(Cut::Between) => Some(match target.tunnel {
                Some(tunnel) => broken_off(tunnel.address),
                None => Refusal::ResetDuringBody(target.address),
            }),
            Interrupted::Server(Cut::For(code)) => Some(self.cut_for(*code)),
            Interrupted::ClientGone(cut) => cut.of_client().map(|code| self.cut_for(code)),
            Interrupted::Body(_) | Interrupted::Over(_) => None,
        };
        carried.cut = match (refusal, interrupted) {
            (Some(refusal), _) => Some(Reason::from(&refusal)),
            (None, Interrupted::Body(flaw)) => Some(Reason::from(&Refused::request(*flaw))),
            (None, Interrupted::Over(over)) => Some(over.reason()),
            (None, Interrupted::Server(_) | Interrupted::Left | Interrupted::NotTaken)
            | (None, Interrupted::ClientGone(_)) => None,
        };
        let learned = match interrupted {
            Interrupted::Server(_)
            | Interrupted::Left
            | Interrupted::NotTaken
            | Interrupted::Over(Over::Try(_)) => Some(Ended::Failed),
            Interrupted::ClientGone(_) | Interrupted::Body(_) | Interrupted::Over(Over::All(_)) => {
                None
            }
        };
        Tried::Done(interrupted.cut(interrupted.why()), learned)
    }
}

/// How many interim answers are passed on where one end speaks HTTP/2: there they are subject to no window.
const MOST_INTERIM: usize = 1000;

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
