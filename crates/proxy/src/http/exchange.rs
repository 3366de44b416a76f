//! One exchange: read the head, admit, route, pick, forward, carry both bodies, report.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use leno_model::view::HeaderChanges;
use leno_model::{CallId, Code, Mono, Now, Origin};
use leno_protocol::{
    BodyReader, ClientCert, Fields, HeadReader, Limits, NewPath, Own, Refused, Request,
    RequestChanges, RequestHead, RequestId, Version, write_request,
};
use leno_telemetry::{Call, Edge, Event, Party, Security};
use leno_traffic::{
    Admitted, Channel, Direct, Ended, Failure, Forward, Next, Picked, Redirected, Refusal, Routed,
    Table, WhyPlain,
};
use tokio::time::Sleep;

use crate::aim::{Aim, Hop};
use crate::buffer::Buffer;
use crate::connect::connect;
use crate::http::refuse::{Answer, Reason, write_redirect};
use crate::http::reply::Reply;
use crate::http::waiting::Waiting;
use crate::http::{After, HEAD_LIMIT};
use crate::incoming::Incoming;
use crate::news::Reader;
use crate::pump::Pump;
use crate::stream::Stream;
use crate::tcp::CONNECT_LIMIT;
use crate::tunnel::LENO_ERROR;
use crate::worker::Worker;

/// Reads one request from `client`, of which `unread` has come already, and answers it.
pub(super) async fn run(
    worker: &Rc<Worker>,
    client: &mut Stream,
    incoming: &Incoming,
    client_cert: Option<&str>,
    news: &mut Reader,
    unread: Option<Buffer>,
) -> After {
    let mut inbox = unread.unwrap_or_else(|| worker.buffers.lend());
    if inbox.is_empty() {
        match client.read_now(&mut inbox) {
            Poll::Ready(Ok(1..)) => {}
            Poll::Ready(Ok(0) | Err(_)) => return After::Close,
            Poll::Pending => return After::Next(None),
        }
    }
    let mut reader = HeadReader::new(Limits::default());
    let mut late = None;
    loop {
        match read_one(
            worker,
            client,
            incoming,
            client_cert,
            news,
            &mut reader,
            &inbox,
        )
        .await
        {
            Ok(Some((after, used))) => return after.with_rest_of(inbox, used),
            Ok(None) => {}
            Err(refused) => {
                let reason = Reason::from(&refused);
                return refuse_head(worker, client, incoming, &reason).await;
            }
        }
        match more(client, &mut inbox, &mut late).await {
            Some(Ok(1..)) => {}
            Some(Ok(0) | Err(_)) => return After::Close,
            None => return refuse_head(worker, client, incoming, &too_slow()).await,
        }
    }
}

/// Reads what comes next of a head; `None` if that takes too long. A head that comes whole needs no
/// timer.
async fn more(
    client: &mut Stream,
    inbox: &mut Buffer,
    late: &mut Option<Pin<Box<Sleep>>>,
) -> Option<io::Result<usize>> {
    poll_fn(|context| {
        if let Poll::Ready(read) = client.poll_read_into(context, inbox) {
            return Poll::Ready(Some(read));
        }
        let late = late.get_or_insert_with(|| Box::pin(tokio::time::sleep(HEAD_LIMIT)));
        late.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Carries the request at the start of `bytes`, if all of its head has come; says what follows and
/// how many of the bytes it was.
async fn read_one(
    worker: &Rc<Worker>,
    client: &mut Stream,
    incoming: &Incoming,
    client_cert: Option<&str>,
    news: &mut Reader,
    reader: &mut HeadReader,
    bytes: &[u8],
) -> Result<Option<(After, usize)>, Refused> {
    let mut fields = Fields::new();
    let Some(head) = reader.request(bytes, &mut fields)? else {
        return Ok(None);
    };
    let table = worker.table();
    let exchange = Exchange::new(worker, incoming, client_cert, &table, &head);
    let behind = bytes.get(head.length..).unwrap_or_default();
    let (after, used) = exchange.run(client, news, behind).await;
    Ok(Some((after, head.length + used)))
}

impl After {
    /// Keeps what came behind a request for the next one.
    fn with_rest_of(self, mut inbox: Buffer, used: usize) -> Self {
        inbox.consume(used);
        match self {
            Self::Next(None) if !inbox.is_empty() => Self::Next(Some(inbox)),
            other => other,
        }
    }
}

/// One request on its way.
struct Exchange<'a> {
    worker: &'a Rc<Worker>,
    incoming: &'a Incoming,
    client_cert: Option<&'a str>,
    table: &'a Table,
    head: &'a RequestHead<'a>,
    id: CallId,
    began: Now,
    told: Told<'a>,
}

/// What is told of an exchange in the end.
struct Told<'a> {
    destination: Party<'a>,
    security: Security,
    route: Option<&'a Origin>,
    endpoint: Option<SocketAddr>,
    tries: u8,
    status: u16,
    refused: Option<Code>,
    sent: u64,
    received: u64,
}

impl Default for Told<'_> {
    fn default() -> Self {
        Self {
            destination: Party::Unknown,
            security: Security::None,
            route: None,
            endpoint: None,
            tries: 0,
            status: 0,
            refused: None,
            sent: 0,
            received: 0,
        }
    }
}

/// What was decided about a request.
enum Decided<'a> {
    /// To an endpoint of a service.
    Forward(Forward<'a>, Option<Direct<'a>>),
    /// Elsewhere, says a route.
    Redirect(Redirected<'a>),
    /// To one place that is settled: our own application, or somebody outside the mesh.
    Straight(Admitted<'a>, Hop<'a>),
}

/// What became of one try.
pub(super) enum Tried {
    /// The client has its answer, or as much of it as there was; and what was learned of the endpoint.
    Done(After, Option<Ended>),
    /// An answer came that is to be tried again, at this moment.
    Again(Mono),
    /// The client has heard nothing yet.
    Failed(Failure, Refusal),
    /// The client has heard nothing yet, and another try would not help.
    Hopeless(Reason, Option<Ended>),
}

impl Tried {
    /// It is too late for an answer, or no longer permitted.
    pub(super) fn given_up(refusal: &Refusal) -> Self {
        let late = matches!(refusal, Refusal::ResponseTimeout(_));
        Self::Hopeless(Reason::from(refusal), late.then_some(Ended::Failed))
    }
}

impl<'a> Exchange<'a> {
    fn new(
        worker: &'a Rc<Worker>,
        incoming: &'a Incoming,
        client_cert: Option<&'a str>,
        table: &'a Table,
        head: &'a RequestHead<'a>,
    ) -> Self {
        Self {
            worker,
            incoming,
            head,
            table,
            client_cert,
            id: id_of(worker, incoming, &head.request),
            began: worker.now(),
            told: Told::default(),
        }
    }

    /// Carries the request; says what follows and how many bytes of `behind`, which came with the
    /// head, belonged to its body.
    async fn run(
        mut self,
        client: &mut Stream,
        news: &mut Reader,
        behind: &'a [u8],
    ) -> (After, usize) {
        let mut body = BodyReader::new(self.head.body);
        let used = match body.take(behind) {
            Ok(used) => used,
            Err(flaw) => {
                let reason = Reason::from(&Refused::request(flaw));
                let after = self.answer(client, &reason, false).await;
                self.report();
                return (after, behind.len());
            }
        };
        self.told.sent = used as u64;
        let sending = Sending {
            client,
            news,
            here: behind.get(..used).unwrap_or_default(),
            behind: behind.get(used..).unwrap_or_default(),
            body,
            streamed: false,
            deadline: None,
        };
        let after = match self.decide() {
            Err(refusal) => self.give_up(sending, &Reason::from(&refusal)).await,
            Ok(Decided::Redirect(redirected)) => self.redirect(sending, &redirected).await,
            Ok(Decided::Forward(forward, direct)) => self.forward(&forward, direct, sending).await,
            Ok(Decided::Straight(admitted, hop)) => self.straight(&admitted, hop, sending).await,
        };
        self.report();
        (after, used)
    }

    /// Admits the request and says where it goes.
    fn decide(&mut self) -> Result<Decided<'a>, Refusal> {
        let (worker, incoming, table) = (self.worker, self.incoming, self.table);
        let aim = incoming.aim(worker, table);
        self.told.destination = incoming.destination(table, aim.as_ref().ok().copied());
        let policy = incoming.policy(table)?;
        let admitted = policy
            .admit(&incoming.peer, self.head.request.clone())
            .map_err(Refusal::Denied)?;
        Ok(match aim? {
            Aim::Application(address) => Decided::Straight(admitted, incoming.last_hop(address)),
            Aim::Pass(address) => {
                let hop = incoming.plain_hop(address, WhyPlain::DestinationUnknown);
                Decided::Straight(admitted, hop)
            }
            Aim::Direct(direct) => {
                Decided::Forward(table.route_direct(admitted, &direct), Some(direct))
            }
            Aim::Port(port) => {
                let dice = &mut worker.dice.borrow_mut();
                match table.route(admitted, port, dice, None)? {
                    Routed::Forward(forward) => {
                        self.told.route = forward.route().map(|(_, rule)| &rule.origin);
                        Decided::Forward(forward, None)
                    }
                    Routed::Redirect(redirected) => {
                        self.told.route = Some(&redirected.route().1.origin);
                        Decided::Redirect(redirected)
                    }
                }
            }
        })
    }

    /// Tries the endpoints of a service until one answers, or it is not worth another try.
    async fn forward(
        &mut self,
        forward: &Forward<'_>,
        direct: Option<Direct<'_>>,
        mut sending: Sending<'_>,
    ) -> After {
        let worker = self.worker;
        let mut attempts = forward.attempts(self.began.mono);
        sending.deadline = attempts.deadline().poll_timeout().map(|end| {
            let limit = forward.request_timeout().unwrap_or_default();
            (Box::pin(worker.sleep_until(end)), limit)
        });
        let request_headers = forward.request_headers();
        let response_headers = forward.response_headers();
        let mut now = self.began.mono;
        loop {
            let picked = match &direct {
                Some(direct) => Ok(worker.balancer.borrow().direct(direct, now)),
                None => worker.pick(forward.port(), attempts.tried(), now),
            };
            let picked = match picked {
                Ok(picked) => picked,
                Err(refusal) => return self.give_up(sending, &Reason::from(&refusal)).await,
            };
            let endpoint = picked.endpoint();
            let address = direct.map_or(endpoint.address, |direct| direct.address);
            let hop = match self.incoming.hop(self.table, endpoint, address) {
                Ok(hop) => hop,
                Err(refusal) => return self.give_up(sending, &Reason::from(&refusal)).await,
            };
            let attempt = Attempt {
                hop,
                limit: forward.connect_timeout(),
                number: attempts.made(),
                admitted: forward.admitted(),
                host: forward.host(),
                path: forward.path(),
                request_headers: &request_headers,
                response_headers: &response_headers,
            };
            let mut again = |failure: Failure, replayable: bool| {
                let now = worker.mono();
                let dice = &mut worker.dice.borrow_mut();
                match attempts.after(&picked, failure, replayable, now, dice) {
                    Next::Again(at) => Some(at),
                    Next::Stop(_) => None,
                }
            };
            let tried = self.attempt(&attempt, &mut sending, &mut again).await;
            now = worker.mono();
            let at = match tried {
                Tried::Done(after, learned) => {
                    learn(picked, learned, now);
                    return after;
                }
                Tried::Hopeless(reason, learned) => {
                    learn(picked, learned, now);
                    return self.give_up(sending, &reason).await;
                }
                Tried::Again(at) => {
                    learn(picked, Some(Ended::Failed), now);
                    at
                }
                Tried::Failed(failure, refusal) => {
                    let replayable = !sending.streamed;
                    let next = {
                        let dice = &mut worker.dice.borrow_mut();
                        attempts.after(&picked, failure, replayable, now, dice)
                    };
                    let ended = match failure {
                        Failure::NotSent => Ended::Unreached,
                        Failure::NoAnswer | Failure::Answered(_) => Ended::Failed,
                    };
                    learn(picked, Some(ended), now);
                    match next {
                        Next::Again(at) => at,
                        Next::Stop(_) => {
                            let reason = Reason::from(&refusal);
                            return self.give_up(sending, &reason).await;
                        }
                    }
                }
            };
            worker.sleep_until(at).await;
            now = worker.mono();
        }
    }

    /// Sends the request to the one place there is. A connection that had been closed before is
    /// replaced once.
    async fn straight(
        &mut self,
        admitted: &Admitted<'_>,
        hop: Hop<'_>,
        mut sending: Sending<'_>,
    ) -> After {
        let mut attempt = Attempt {
            hop,
            limit: CONNECT_LIMIT,
            number: 1,
            admitted,
            host: None,
            path: None,
            request_headers: &[],
            response_headers: &[],
        };
        loop {
            let tried = self.attempt(&attempt, &mut sending, &mut |_, _| None).await;
            let reason = match tried {
                Tried::Done(after, _) => return after,
                Tried::Failed(Failure::NotSent, Refusal::ResetBeforeResponse(_))
                    if attempt.number == 1 && !sending.streamed =>
                {
                    attempt.number = 2;
                    continue;
                }
                Tried::Failed(_, refusal) => Reason::from(&refusal),
                Tried::Hopeless(reason, _) => reason,
                Tried::Again(_) => unreachable!("no status is tried again"),
            };
            return self.give_up(sending, &reason).await;
        }
    }

    /// Sends the request over one hop and carries the answer back.
    async fn attempt(
        &mut self,
        attempt: &Attempt<'_>,
        sending: &mut Sending<'_>,
        again: &mut dyn FnMut(Failure, bool) -> Option<Mono>,
    ) -> Tried {
        let worker = self.worker;
        let target = &attempt.hop.target;
        self.told.security = attempt.hop.security;
        self.told.endpoint = Some(target.address);
        self.told.tries = attempt.number;
        let mut waiting = Waiting {
            worker,
            client: &mut *sending.client,
            news: &mut *sending.news,
            admitted: attempt.admitted,
            deadline: &mut sending.deadline,
            up: None,
            early: None,
            sent: 0,
            up_failed: false,
            watching: sending.behind.is_empty(),
        };
        let (mut server, reused) = match worker.pool.take(target) {
            Some(server) => (server, true),
            None => {
                // Large, and of no use to a request that finds a connection.
                let connecting = Box::pin(connect(worker, target, self.id, attempt.limit));
                match waiting.meanwhile(connecting).await {
                    Ok(Ok(server)) => (server, false),
                    Ok(Err(refusal)) if refusal.is_final() => {
                        return Tried::Hopeless(Reason::from(&refusal), Some(Ended::Answered));
                    }
                    Ok(Err(refusal)) => return Tried::Failed(Failure::NotSent, refusal),
                    Err(refusal) => return Tried::given_up(&refusal),
                }
            }
        };
        let mut out = worker.buffers.lend();
        self.write_request(&mut out, attempt);
        out.extend_from_slice(sending.here);
        match waiting.meanwhile(server.write_all(&out)).await {
            Ok(Ok(())) => out.clear(),
            Ok(Err(_)) => {
                let failure = if reused {
                    Failure::NotSent
                } else {
                    Failure::NoAnswer
                };
                return Tried::Failed(failure, Refusal::ResetBeforeResponse(target.address));
            }
            Err(refusal) => return Tried::given_up(&refusal),
        }
        if !sending.body.is_done() {
            waiting.up = Some(Pump::body(sending.body.clone()));
            sending.streamed = true;
        }
        let replayable = !sending.streamed;
        let reply = Reply {
            head: self.head,
            attempt,
            reused,
            behind: sending.behind,
        };
        let (tried, carried) = reply
            .carry(server, &mut waiting, out, &mut |failure| {
                again(failure, replayable)
            })
            .await;
        self.told.sent += waiting.sent();
        self.told.received = carried.received;
        self.told.status = carried.status;
        self.told.refused = carried.cut;
        tried
    }

    /// Writes the head as it is sent over one hop.
    fn write_request(&self, out: &mut Vec<u8>, attempt: &Attempt<'_>) {
        let request = &self.head.request;
        let digits = self.id.digits();
        let tunnelled = attempt.hop.target.tunnel.is_some();
        let number = [b'0' + attempt.number.min(9)];
        let number = match self.incoming.peer.channel {
            // The caller's proxy counts.
            Channel::Mtls(_) => request.header(ATTEMPT).next(),
            Channel::Local(_) | Channel::Plain(_) => (attempt.number > 1).then_some(&number[..]),
        };
        // The id that the caller gave is kept if the caller is of the mesh.
        let proven = !matches!(self.incoming.peer.channel, Channel::Plain(_));
        let kept = proven && RequestId::of(request).is_some();
        let own = |name, value| Own { name, value };
        let headers = [
            own(CallId::HEADER, tunnelled.then_some(&digits[..])),
            own(ATTEMPT, number),
            own(LENO_ERROR, None),
            own(ClientCert::HEADER, self.client_cert.map(str::as_bytes)),
            own(RequestId::HEADER, Some(&digits[..])),
        ];
        let own = headers.get(..if kept { 4 } else { 5 }).unwrap_or(&headers);
        let changes = RequestChanges {
            host: attempt.host,
            path: attempt.path,
            headers: attempt.request_headers,
            own,
        };
        write_request(out, request, self.head.body, &changes);
    }

    /// Sends the caller elsewhere.
    async fn redirect(&mut self, sending: Sending<'_>, redirected: &Redirected<'_>) -> After {
        let keep_alive = self.keeps_alive(&sending);
        let mut out = self.worker.buffers.lend();
        write_redirect(&mut out, redirected, self.head.version, keep_alive);
        self.told.status = redirected.status();
        sent_all(sending.client, &out, keep_alive).await
    }

    /// Answers that the request is not carried.
    async fn give_up(&mut self, sending: Sending<'_>, reason: &Reason) -> After {
        let keep_alive = self.keeps_alive(&sending);
        self.answer(sending.client, reason, keep_alive).await
    }

    /// Whether another request may follow an answer of our own: all of this one has come.
    fn keeps_alive(&self, sending: &Sending<'_>) -> bool {
        let whole = sending.body.is_done() && !sending.streamed;
        whole && self.head.keep_alive && !self.worker.is_draining()
    }

    async fn answer(&mut self, client: &mut Stream, reason: &Reason, keep_alive: bool) -> After {
        self.told.status = reason.status;
        self.told.refused = Some(reason.code);
        let request = &self.head.request;
        let (method, path) = (request.method, request.path.raw());
        let source = self.incoming.source(self.table);
        let destination = self.told.destination;
        let asked = match reason.code {
            Code::R002 | Code::R003 | Code::R004 | Code::R005 => {
                format!("{source} may not {method} {path} on {destination}")
            }
            _ => format!("{method} {path} from {source} to {destination}"),
        };
        let mut out = self.worker.buffers.lend();
        Answer {
            proxy_of: self.incoming.way.workload().name.as_str(),
            id: self.id,
            asked: &asked,
            version: self.head.version,
            head_only: method == "HEAD",
            keep_alive,
        }
        .write(&mut out, reason);
        sent_all(client, &out, keep_alive).await
    }

    fn report(&self) {
        let request = &self.head.request;
        let took = self.worker.mono().since(self.began.mono);
        self.worker.report(&Event::Call(Call {
            id: self.id,
            edge: Edge {
                reporter: self.incoming.way.reporter(),
                source: self.incoming.source(self.table),
                destination: self.told.destination,
                security: self.told.security,
            },
            route: self.told.route,
            peer: self.incoming.from,
            endpoint: self.told.endpoint,
            began: self.began.wall,
            took,
            method: request.method,
            host: request.host,
            path: request.path.raw(),
            status: self.told.status,
            refused: self.told.refused,
            tries: self.told.tries,
            sent: self.told.sent,
            received: self.told.received,
        }));
    }
}

/// One try: over which hop, and what changes on it.
pub(super) struct Attempt<'a> {
    pub(super) hop: Hop<'a>,
    limit: Duration,
    number: u8,
    admitted: &'a Admitted<'a>,
    host: Option<&'a str>,
    path: Option<NewPath<'a>>,
    request_headers: &'a [&'a HeaderChanges],
    pub(super) response_headers: &'a [&'a HeaderChanges],
}

/// The client's side of an exchange while it is tried.
struct Sending<'a> {
    client: &'a mut Stream,
    news: &'a mut Reader,
    /// What has come of the request's body.
    here: &'a [u8],
    /// What has come behind it.
    behind: &'a [u8],
    /// Where the body stands behind `here`.
    body: BodyReader,
    /// Whether more of the body than `here` was sent on: it cannot be sent again.
    streamed: bool,
    deadline: Option<(Pin<Box<Sleep>>, Duration)>,
}

/// Sends an answer of our own.
async fn sent_all(client: &mut Stream, out: &[u8], keep_alive: bool) -> After {
    match client.write_all(out).await {
        Ok(()) if keep_alive => After::Next(None),
        Ok(()) => After::Close,
        Err(_gone) => After::Cut,
    }
}

fn learn(picked: Picked, learned: Option<Ended>, now: Mono) {
    match learned {
        Some(ended) => picked.finish(ended, now),
        None => drop(picked),
    }
}

/// The name of a call: the one that the caller's proxy gave it, else a new one.
fn id_of(worker: &Worker, incoming: &Incoming, request: &Request<'_>) -> CallId {
    let told = match incoming.peer.channel {
        Channel::Mtls(_) => request.header(CallId::HEADER).next(),
        Channel::Local(_) | Channel::Plain(_) => None,
    };
    told.and_then(CallId::parse)
        .unwrap_or_else(|| worker.new_id())
}

/// Answers a head that is no request.
pub(super) async fn refuse_head(
    worker: &Worker,
    client: &mut Stream,
    incoming: &Incoming,
    reason: &Reason,
) -> After {
    let began = worker.now();
    let id = worker.new_id();
    let table = worker.table();
    let (source, workload) = (incoming.source(&table), incoming.way.workload());
    let mut out = worker.buffers.lend();
    Answer {
        proxy_of: workload.name.as_str(),
        id,
        asked: &format!("a request from {source} that is not one"),
        version: Version::Http11,
        head_only: false,
        keep_alive: false,
    }
    .write(&mut out, reason);
    let after = sent_all(client, &out, false).await;
    worker.report(&Event::Call(Call {
        id,
        edge: Edge {
            reporter: incoming.way.reporter(),
            source,
            destination: incoming.destination(&table, incoming.aim(worker, &table).ok()),
            security: Security::None,
        },
        route: None,
        peer: incoming.from,
        endpoint: None,
        began: began.wall,
        took: Duration::ZERO,
        method: "",
        host: "",
        path: "",
        status: reason.status,
        refused: Some(reason.code),
        tries: 0,
        sent: 0,
        received: 0,
    }));
    after
}

/// Why a head that does not come is answered.
fn too_slow() -> Reason {
    Reason {
        status: 408,
        code: Code::R034,
        words: format!("the head was not complete within {HEAD_LIMIT:?}"),
    }
}

/// The header that tells a server how often a request was tried.
const ATTEMPT: &str = "leno-attempt";
