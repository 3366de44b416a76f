//! Streams of bytes: admitted, connected, and then carried in both directions until both have ended.

mod outside;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use leno_model::view::{Check, HostMatch, Protocol};
use leno_model::{CallId, Code, Now, Origin};
use leno_protocol::{SERVER_FIRST, Spoken};
use leno_telemetry::{Bytes, Edge, Event, Flow, Party, Security};
use leno_traffic::{
    AdmittedStream, Allowed, Attempts, Denied, Ended, Fact, Failure, Next, Permit, Picked, Port,
    Refusal, Said, Table, Verdict, WhyPlain,
};

use crate::aim::{Aim, Hop};
use crate::both::{Both, Broken};
use crate::buffer::Buffer;
use crate::connect::connect;
use crate::decision::{Basis, Decision};
use crate::first;
use crate::http;
use crate::incoming::{Incoming, Opening, find_out};
use crate::meter::Meter;
use crate::news::Reader;
use crate::pool::{self, Target};
use crate::stream::Stream;
use crate::telling;
use crate::worker::Worker;

/// How long a connection may take where no policy says how long.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A stream at whose first bytes it turned out that requests are spoken on it.
pub(crate) type Requests = (Stream, Buffer);

/// Serves a captured connection. One that is not carried is cut: bytes have no other answer.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    client: Stream,
    incoming: &Incoming,
    came: Option<Buffer>,
) -> Option<Requests> {
    carry(
        worker,
        Client::Here(client, came),
        incoming,
        worker.new_id(),
    )
    .await
}

/// Cuts a connection that is not even judged.
pub(crate) fn turn_away(
    worker: &Rc<Worker>,
    client: Stream,
    incoming: &Incoming,
    refusal: &Refusal,
) {
    client.reset(None);
    tell_refused(worker, incoming, refusal);
}

/// Tells of a connection that it was refused as a whole.
pub(crate) fn tell_refused(worker: &Rc<Worker>, incoming: &Incoming, refusal: &Refusal) {
    let table = worker.table();
    Carrying::new(worker, incoming, &table, worker.new_id()).refuse(refusal);
}

/// Serves a stream that somebody asks for, who learns the reason if it is not carried.
pub(crate) async fn serve_opening(
    worker: &Rc<Worker>,
    opening: Opening,
    incoming: &Incoming,
    id: CallId,
) -> Option<Requests> {
    carry(worker, Client::Asking(opening), incoming, id).await
}

/// Carries a stream on that an older process opened, if it may be here.
pub(crate) async fn take_over(
    worker: Rc<Worker>,
    client: Stream,
    (server, address): (Stream, SocketAddr),
    incoming: Incoming,
    id: CallId,
) {
    Box::pin(find_out(&worker, || incoming.question(&worker))).await;
    let news = worker.news.subscribe();
    let table = worker.table();
    let carrying = Carrying::new(&worker, &incoming, &table, id);
    match carrying.adopt(address) {
        Ok((target, permit, picked)) => {
            let opened = Opened {
                server,
                target,
                permit,
                picked,
                stays: false,
            };
            carrying.relay(client, None, opened, news, true).await;
        }
        Err(refusal) => {
            client.reset(Some(refusal.code()));
            server.reset(Some(refusal.code()));
            carrying.refuse(&refusal);
        }
    }
}

async fn carry(
    worker: &Rc<Worker>,
    client: Client,
    incoming: &Incoming,
    id: CallId,
) -> Option<Requests> {
    // What is asked for in words of HTTP or in a tunnel is not found again by where it came in.
    let may_leave = matches!(client, Client::Here(..));
    // From here on no change of policy goes unnoticed.
    let mut news = worker.news.subscribe();
    let table = worker.table();
    let carrying = Carrying::new(worker, incoming, &table, id);
    // Opening needs much room, and a stream that is open none of it.
    let begun = Box::pin(carrying.begin(client, &mut news)).await;
    match begun {
        Begun::Stream(stream) => {
            let (client, came, opened) = *stream;
            carrying.relay(client, came, opened, news, may_leave).await;
            None
        }
        Begun::Requests(requests) => Some(requests),
        Begun::Over => None,
    }
}

/// Who wants a stream.
enum Client {
    /// Its connection was captured, and some of it has come.
    Here(Stream, Option<Buffer>),
    /// It waits for an answer before it says anything.
    Asking(Opening),
}

impl Client {
    /// Whether it is told what becomes of its stream before it says anything in it.
    fn waits(&self) -> bool {
        matches!(self, Self::Asking(_))
    }

    /// Its stream, and what came of it; `None` if it has gone.
    async fn here(self) -> Option<(Stream, Option<Buffer>)> {
        match self {
            Self::Here(stream, came) => Some((stream, came)),
            Self::Asking(opening) => opening.grant().await.ok(),
        }
    }
}

/// What became of a client.
enum Begun {
    /// It is carried from here on.
    Stream(Box<(Stream, Option<Buffer>, Opened)>),
    /// It speaks in requests, each of which is judged by itself.
    Requests(Requests),
    /// It is served, or has gone.
    Over,
}

/// One stream and what is told of it in the end.
struct Carrying<'a> {
    worker: &'a Rc<Worker>,
    incoming: &'a Incoming,
    id: CallId,
    began: Now,
    table: &'a Table,
    /// The rule that takes it.
    route: Cell<Option<&'a Origin>>,
    endpoint: Cell<Option<SocketAddr>>,
    /// The entry of a rule that a host outside the mesh matches.
    host: Cell<Option<&'a HostMatch>>,
    security: Cell<Security>,
    /// Whether it is let in as a health check from outside.
    is_check: Cell<bool>,
    decision: RefCell<Decision<'a>>,
}

/// A stream that may be, and where it wants to go.
struct Judged<'a> {
    admitted: AdmittedStream<'a>,
    aim: Aim<'a>,
}

/// The other half of a stream, and the permission it lives by.
struct Opened {
    server: Stream,
    /// What it was opened to.
    target: Target,
    permit: Permit,
    /// The endpoint, which is busy for as long as the stream lives.
    picked: Option<Picked>,
    /// Whether it lives by what no other process knows: which host it is for.
    stays: bool,
}

impl<'a> Carrying<'a> {
    fn new(worker: &'a Rc<Worker>, incoming: &'a Incoming, table: &'a Table, id: CallId) -> Self {
        Self {
            worker,
            incoming,
            id,
            began: worker.now(),
            table,
            route: Cell::new(None),
            endpoint: Cell::new(None),
            host: Cell::new(None),
            security: Cell::new(incoming.proven()),
            is_check: Cell::new(false),
            decision: RefCell::default(),
        }
    }

    /// Judges who wants a stream, asks it for no more than is needed to know where it goes, and opens the
    /// other half.
    async fn begin(&self, client: Client, news: &mut Reader) -> Begun {
        let (worker, buffers) = (self.worker, &self.worker.buffers);
        let judged = match self.admit() {
            Ok(judged) => judged,
            Err(refusal) if self.requests_decide() => return self.ask(client, &refusal).await,
            Err(refusal) => return self.turn_down(client, &refusal).await,
        };
        if let Aim::Outside(outside) = judged.aim
            && outside.hangs_on_name()
        {
            return self.go_out(client, judged.admitted, outside, news).await;
        }
        let client = match judged.admitted.allowed() {
            Allowed::Probe(probe) => match self.hear_check(client, &probe.check).await {
                Ok(client) => client,
                Err(begun) => return begun,
            },
            Allowed::ByRule(_) | Allowed::ByDefault | Allowed::Outbound => client,
        };
        let (client, hello) = if self.name_decides(&judged) {
            let Some((mut client, mut came)) = client.here().await else {
                return self.gone();
            };
            let hello = first::hello(&mut client, &mut came, buffers).await;
            let client = Client::Here(client, came);
            match hello {
                Ok(hello) => (client, Some(hello)),
                Err(refusal) => return self.turn_down(client, &refusal).await,
            }
        } else {
            (client, None)
        };
        let name = hello
            .as_ref()
            .and_then(|hello| hello.server_name.as_deref());
        let mut opened = match self.open(judged, name).await {
            Ok(opened) => opened,
            Err(refusal) => match (hello, client) {
                (Some(_), Client::Here(client, _)) => {
                    self.refuse(&refusal);
                    alert(client).await;
                    return Begun::Over;
                }
                (_, client) => return self.turn_down(client, &refusal).await,
            },
        };
        let Some((mut client, mut came)) = client.here().await else {
            return self.gone();
        };
        if !self.detects() {
            return Begun::Stream(Box::new((client, came, opened)));
        }
        let heard = self.listen(&mut client, &mut came, &mut opened, news).await;
        match (heard, came) {
            (Ok(Spoken::Http1), Some(came)) => {
                // What is opened is there for the first of them.
                let Opened { server, target, .. } = opened;
                let now = worker.mono();
                worker
                    .pool
                    .give(&target.borrowed(), server, pool::IDLE, now);
                Begun::Requests((client, came))
            }
            (Ok(Spoken::Http2), Some(came)) => Begun::Requests((client, came)),
            (Ok(_), came) => Begun::Stream(Box::new((client, came, opened))),
            (Err(refusal), _) => {
                client.reset(Some(refusal.code()));
                opened.server.reset(Some(refusal.code()));
                self.refuse(&refusal);
                Begun::Over
            }
        }
    }

    /// Says whether the stream may be, and where it wants to go.
    fn admit(&self) -> Result<Judged<'a>, Refusal> {
        let (admitted, aim) = self.judge()?;
        Ok(Judged {
            admitted,
            aim: aim?,
        })
    }

    /// Says whether the stream may be; and where it wants to go, if that is known.
    fn judge(&self) -> Result<(AdmittedStream<'a>, Result<Aim<'a>, Refusal>), Refusal> {
        let Self {
            incoming, table, ..
        } = *self;
        let policy = incoming.policy(table)?;
        if let Fact::Known(caller) = policy.claim(&incoming.peer).caller {
            self.decision.borrow_mut().comes_from(caller);
        }
        let aim = incoming.aim(self.worker, table);
        if let Ok(Aim::Port(port)) = aim {
            self.decision.borrow_mut().calls(port);
        }
        let audits = policy.audits(&policy.claim(&incoming.peer), None);
        self.decision.borrow_mut().audited(&audits);
        let admitted = policy
            .admit_stream(&incoming.peer)
            .map_err(Refusal::Denied)?;
        self.decision.borrow_mut().allowed(admitted.allowed());
        let is_check = matches!(admitted.allowed(), Allowed::Probe(_));
        self.is_check.set(is_check);
        Ok((admitted, aim))
    }

    /// Says whether a stream may be that is open already, in plain to `address`.
    fn adopt(&self, address: SocketAddr) -> Result<(Target, Permit, Option<Picked>), Refusal> {
        let Self {
            worker,
            incoming,
            table,
            ..
        } = *self;
        let (admitted, aim) = self.judge()?;
        let hop = match aim {
            Ok(Aim::Application(application)) => incoming.last_hop(table, application),
            Ok(Aim::Outside(_)) => incoming.plain_hop(address, WhyPlain::DestinationUnknown),
            Ok(Aim::Port(_) | Aim::Direct(_)) | Err(_) => incoming.hop_unproven(table, address)?,
        };
        let target = hop.target.keep();
        self.endpoint.set(Some(address));
        self.security.set(hop.security);
        let picked = match aim {
            Ok(Aim::Port(port)) => worker.busy_with(port, address),
            Ok(Aim::Application(_) | Aim::Outside(_) | Aim::Direct(_)) | Err(_) => None,
        };
        let permit = match aim {
            // One whose leave hangs on a name is not passed on.
            Ok(Aim::Outside(outside)) => admitted.permit_out(&self.leave(&outside)?),
            Ok(Aim::Application(_) | Aim::Port(_) | Aim::Direct(_)) | Err(_) => {
                permit_to(admitted, &target)
            }
        };
        Ok((target, permit, picked))
    }

    /// Whether nobody said what is spoken, and no route is made for streams.
    fn detects(&self) -> bool {
        let Self {
            incoming, table, ..
        } = *self;
        let routes_streams = match incoming.aim(self.worker, table) {
            Ok(Aim::Port(port)) => port.routes_streams(incoming.namespace(table)),
            Ok(Aim::Application(_) | Aim::Direct(_) | Aim::Outside(_)) | Err(_) => false,
        };
        incoming.protocol(self.worker, table) == Protocol::Detect && !routes_streams
    }

    /// Whether who may not open a stream may still make some requests.
    fn requests_decide(&self) -> bool {
        let policy = self.incoming.policy(self.table);
        self.detects() && policy.is_ok_and(|policy| policy.asks_requests())
    }

    /// Whether the name of the server that the client asks for says where it goes.
    fn name_decides(&self, judged: &Judged<'_>) -> bool {
        match judged.aim {
            Aim::Port(port) => port.asks_server_name(self.incoming.namespace(self.table)),
            Aim::Application(_) | Aim::Direct(_) | Aim::Outside(_) => false,
        }
    }

    /// Hears whether who is let in as a health check alone does what that does: says nothing, or begins TLS where that is
    /// how it asks. Requests are judged each by itself; whatever else is said, is refused as from anybody.
    async fn hear_check(&self, client: Client, check: &Check) -> Result<Client, Begun> {
        let Some((mut client, mut came)) = client.here().await else {
            return Err(self.gone());
        };
        let buffers = &self.worker.buffers;
        let look = |bytes: &[u8]| (!bytes.is_empty()).then(|| Spoken::of(bytes));
        let heard = first::read(&mut client, &mut came, buffers, look);
        let heard = tokio::time::timeout(first::LIMIT, heard).await;
        match (heard, came) {
            (Ok(None), _) => Err(self.gone()),
            (Ok(Some(Spoken::Http1 | Spoken::Http2)), Some(came)) if self.detects() => {
                Err(Begun::Requests((client, came)))
            }
            (Ok(Some(_)), Some(came)) if *check == Check::Tls && begins_tls(&came) => {
                Ok(Client::Here(client, Some(came)))
            }
            (_, came) => {
                self.is_check.set(false);
                let client = Client::Here(client, came);
                Err(self.turn_down(client, &self.denial()).await)
            }
        }
    }

    /// What denies who would be let in as a health check alone.
    fn denial(&self) -> Refusal {
        let policy = match self.incoming.policy(self.table) {
            Ok(policy) => policy,
            Err(refusal) => return refusal,
        };
        match policy.judge_bytes(&policy.claim(&self.incoming.peer)) {
            Verdict::Deny(denied) => Refusal::Denied(denied),
            Verdict::Allow(_) | Verdict::Undecided(_) => Refusal::Denied(Denied::NoAllowRule),
        }
    }

    /// Hears whether who may open no stream speaks in requests.
    async fn ask(&self, client: Client, refusal: &Refusal) -> Begun {
        let Some((mut client, mut came)) = client.here().await else {
            return self.gone();
        };
        let buffers = &self.worker.buffers;
        let look = |bytes: &[u8]| (!bytes.is_empty()).then(|| Spoken::of(bytes));
        let heard = first::read(&mut client, &mut came, buffers, look);
        let heard = tokio::time::timeout(first::LIMIT, heard).await;
        match (heard, came) {
            (Ok(Some(Spoken::Http1 | Spoken::Http2)), Some(came)) => {
                Begun::Requests((client, came))
            }
            (_, came) => self.turn_down(Client::Here(client, came), refusal).await,
        }
    }

    /// Hears what is spoken on a stream that is open: whoever speaks first says it, and nobody waits for
    /// the other. Fails when the stream may be no longer.
    async fn listen(
        &self,
        client: &mut Stream,
        came: &mut Option<Buffer>,
        opened: &mut Opened,
        news: &mut Reader,
    ) -> Result<Spoken, Refusal> {
        let Opened { server, permit, .. } = opened;
        let (mut first, mut server_waits) = ([0; SERVER_FIRST], false);
        std::future::poll_fn(|context| {
            while news.poll_changed(context).is_ready() {
                self.worker.still_carries(permit)?;
            }
            if let Some(came) = came {
                return Poll::Ready(Ok(Spoken::of(came)));
            }
            if !server_waits && let Poll::Ready(said) = server.poll_peek(context, &mut first) {
                let is_whole = said.is_ok_and(|count| count == first.len());
                if !is_whole || Spoken::of_server(&first) != Spoken::Http2 {
                    return Poll::Ready(Ok(Spoken::Other));
                }
                // Its client does not wait for that.
                server_waits = true;
            }
            // What is broken or ended is found so by who carries it.
            if ready!(client.poll_read_ready(context)).is_err() {
                return Poll::Ready(Ok(Spoken::Other));
            }
            let mut buffer = self.worker.buffers.lend();
            match ready!(client.poll_read_into(context, &mut buffer)) {
                Ok(0) | Err(_) => Poll::Ready(Ok(Spoken::Other)),
                Ok(_) => Poll::Ready(Ok(Spoken::of(came.insert(buffer)))),
            }
        })
        .await
    }

    /// Refuses a client, and tells it if it can be told.
    async fn turn_down(&self, client: Client, refusal: &Refusal) -> Begun {
        match client {
            Client::Here(client, Some(came)) if refusal.is_of_outside() && begins_tls(&came) => {
                alert(client).await;
            }
            Client::Here(client, _) => client.reset(None),
            Client::Asking(opening) => opening.refuse(self.worker, refusal, self.id).await,
        }
        self.refuse(refusal);
        Begun::Over
    }

    /// The client left before anything was carried.
    fn gone(&self) -> Begun {
        self.report(None, None);
        Begun::Over
    }

    /// Opens the other half.
    async fn open(&self, judged: Judged<'a>, name: Option<&str>) -> Result<Opened, Refusal> {
        let Self {
            incoming, table, ..
        } = *self;
        let Judged { admitted, aim } = judged;
        let (hop, limit) = match aim {
            Aim::Application(address) => (incoming.last_hop(table, address), CONNECT_LIMIT),
            Aim::Outside(outside) => {
                self.tell_audits(&outside, Said::Nothing);
                let leave = self.leave(&outside)?;
                return self.open_out(admitted, &leave).await;
            }
            Aim::Direct(direct) => {
                self.decision.borrow_mut().goes_to(direct.of);
                let hop = incoming.hop(table, direct.endpoint, direct.address)?;
                (hop, direct.of.tuning().connect_timeout)
            }
            Aim::Port(port) => {
                let forward = {
                    let dice = &mut self.worker.dice.borrow_mut();
                    table.route_stream(admitted, port, name, dice, None)?
                };
                self.decision.borrow_mut().forwarded(&forward);
                self.route
                    .set(forward.route().map(|(_, rule)| &rule.origin));
                let attempts = forward.attempts(self.began.mono);
                let (server, target, picked) = self.connect_any(forward.port(), attempts).await?;
                return Ok(Opened {
                    server,
                    permit: permit_to(admitted, &target),
                    target,
                    picked: Some(picked),
                    stays: false,
                });
            }
        };
        let target = hop.target.keep();
        Ok(Opened {
            server: self.connect(hop, limit).await?,
            permit: permit_to(admitted, &target),
            target,
            picked: None,
            stays: false,
        })
    }

    /// Tries the endpoints of `port` until one takes the connection.
    async fn connect_any(
        &self,
        port: &'a Port,
        mut attempts: Attempts<'_>,
    ) -> Result<(Stream, Target, Picked), Refusal> {
        let worker = self.worker;
        loop {
            let now = worker.mono();
            let picked = worker.pick(port, attempts.tried(), now);
            let mut picked = picked.inspect_err(|_| {
                let (known, unusable) = worker.unusable(port);
                self.decision.borrow_mut().none_usable(known, unusable);
            })?;
            self.decision.borrow_mut().picked(&picked);
            let endpoint = picked.endpoint();
            let hop = self.incoming.hop(self.table, endpoint, endpoint.address)?;
            let target = hop.target.keep();
            let connected = self.connect(hop, port.tuning().connect_timeout).await;
            let now = worker.mono();
            let refusal = match connected {
                Ok(stream) => {
                    picked.connected(now);
                    return Ok((stream, target, picked));
                }
                Err(refusal) if refusal.is_final() => {
                    picked.finish(Ended::Answered, now);
                    return Err(refusal);
                }
                Err(refusal) => refusal,
            };
            let (address, code) = (endpoint.address, refusal.code());
            let after = now.since(self.began.mono);
            let decision = &self.decision;
            decision.borrow_mut().failed_at(address, code, after);
            let next = {
                let dice = &mut worker.dice.borrow_mut();
                attempts.after(&picked, Failure::NotSent, true, now, dice)
            };
            picked.finish(Ended::Unreached, now);
            match next {
                Next::Again(at) => worker.sleep_until(at).await,
                Next::Stop(why) => {
                    self.decision.borrow_mut().not_retried(why);
                    return Err(refusal);
                }
            }
        }
    }

    async fn connect(&self, hop: Hop<'_>, limit: Duration) -> Result<Stream, Refusal> {
        self.endpoint.set(Some(hop.target.address));
        self.security.set(hop.security);
        connect(self.worker, &hop.target, self.id, limit).await
    }

    /// Carries bytes until both directions have ended, one has broken, or the permission is gone;
    /// first those that came of the client already. One that `may_leave` and is plain on both sides goes
    /// on in a newer process as soon as there is one.
    async fn relay(
        &self,
        mut client: Stream,
        came: Option<Buffer>,
        opened: Opened,
        mut news: Reader,
        may_leave: bool,
    ) {
        let Opened {
            mut server,
            permit,
            picked,
            stays,
            ..
        } = opened;
        let told =
            |decision: &Decision<'_>| self.worker.report(&Event::Opened(self.told(decision)));
        told(&self.decision.borrow());
        let mut both = Both::new(came);
        let mut meter = Meter::new(Flow {
            edge: self.edge(),
            route: self.route.get(),
            status: None,
            bytes: Bytes::default(),
        });
        let (buffers, limit) = (&self.worker.buffers, self.worker.stalled);
        // Asked while it is open: a socket whose both directions have ended does not know any more.
        let reached = server.socket().and_then(|server| server.peer_addr().ok());
        let may_leave = may_leave && !stays && client.socket().is_some();
        let reached = reached.filter(|_| may_leave);
        let over = std::future::poll_fn(|context: &mut Context<'_>| {
            while news.poll_changed(context).is_ready() {
                if let Err(refusal) = self.worker.still_carries(&permit) {
                    self.decision.borrow_mut().refused(&refusal);
                    return Poll::Ready(Over::Refused(refusal.code()));
                }
            }
            let leaves = reached.filter(|_| self.worker.is_succeeded());
            if leaves.is_some() {
                both.rest();
            }
            let ends = (&mut client, &mut server);
            let polled = both.poll(context, ends, buffers, limit);
            meter.poll(context, self.worker, both.moved());
            match (polled, leaves) {
                (Poll::Ready(Ok(())), _) => Poll::Ready(Over::Ended),
                (Poll::Ready(Err(broken)), _) => Poll::Ready(Over::Broken(broken)),
                (Poll::Pending, Some(reached)) if both.holds_nothing() => {
                    Poll::Ready(Over::Left(reached))
                }
                (Poll::Pending, Some(_) | None) => Poll::Pending,
            }
        })
        .await;
        let carried = Carried {
            moved: both.moved(),
            counted: meter.counted(),
        };
        let report = |refused| self.report(refused, Some(carried));
        drop((both, picked));
        // Whoever broke it off, the other end learns it by a reset.
        match over {
            Over::Ended => report(None),
            Over::Left(reached) => {
                report(None);
                let client = (client, self.incoming.from);
                self.worker.pass_on(self.id, client, (server, reached));
            }
            Over::Refused(code) => {
                client.reset(Some(code));
                server.reset(Some(code));
                report(Some(code));
            }
            Over::Broken(Broken::Client(cut)) => {
                let why = cut.of_client();
                client.reset(why);
                report(why);
                Box::pin(server.break_off(why)).await;
            }
            Over::Broken(Broken::Server(cut)) => {
                let why = Some(cut.of_server());
                server.reset(why);
                report(why);
                Box::pin(client.break_off(why)).await;
            }
        }
    }

    /// Says that it was not carried, and why.
    fn refuse(&self, refusal: &Refusal) {
        let mut decision = self.decision.borrow_mut();
        decision.refused(refusal);
        let called = decision.called();
        decision.limited_by(|_| called.and_then(Port::connect_limited_by));
        drop(decision);
        self.report(Some(refusal.code()), None);
    }

    /// Says how it ended, with what was carried if it was opened.
    fn report(&self, refused: Option<Code>, carried: Option<Carried>) {
        let opened = carried.is_some();
        let Carried { moved, counted } = carried.unwrap_or_default();
        let decision = self.decision.borrow();
        let stream = leno_telemetry::Stream {
            took: self.worker.mono().since(self.began.mono),
            opened,
            refused,
            sent: moved.sent,
            received: moved.received,
            counted,
            ..self.told(&decision)
        };
        let report = self
            .incoming
            .report(self.table, decision.called(), stream.route);
        let logged = telling::of_stream(report, &stream);
        self.worker.report(&Event::Stream(leno_telemetry::Stream {
            logged: logged.as_ref(),
            ..stream
        }));
    }

    /// What is told of it before anything is carried.
    fn told<'d>(&'d self, decision: &'d Decision<'_>) -> leno_telemetry::Stream<'d> {
        leno_telemetry::Stream {
            id: self.id,
            edge: self.edge(),
            route: self.route.get().or_else(|| decision.taken_by()),
            peer: self.incoming.from,
            endpoint: self.endpoint.get(),
            began: self.began.wall,
            took: Duration::ZERO,
            opened: false,
            refused: None,
            sent: 0,
            received: 0,
            counted: Bytes::default(),
            logged: None,
            decided: decision.decided(&Basis {
                generation: &self.table.view().generation,
                way: &self.incoming.way,
                facts: None,
            }),
        }
    }

    fn edge(&self) -> Edge<'_> {
        let aim = self.incoming.aim(self.worker, self.table);
        let inside = || self.incoming.destination(self.table, &aim);
        let (source, security) = match self.is_check.get() {
            true => (Party::Probe, Security::Plain(WhyPlain::Probe.as_str())),
            false => (self.incoming.source(self.table), self.security.get()),
        };
        Edge {
            reporter: self.incoming.way.reporter(),
            source,
            destination: self.host.get().map_or_else(inside, Party::Outside),
            security,
        }
    }
}

/// What a stream carried.
#[derive(Clone, Copy, Default)]
struct Carried {
    moved: Bytes,
    /// How much of it was counted while it lived.
    counted: Bytes,
}

/// Why a stream is no longer carried here.
enum Over {
    /// Both directions have ended.
    Ended,
    /// It goes on in a newer process; its server was reached here.
    Left(SocketAddr),
    /// It may not be any more.
    Refused(Code),
    /// One of its ends broke it off.
    Broken(Broken),
}

/// What a stream lives by that goes there: in plain into the mesh also by what rules about outbound calls say.
fn permit_to(admitted: AdmittedStream<'_>, target: &Target) -> Permit {
    match (&target.tunnel, &target.caller) {
        (None, Some(caller)) => admitted.permit_plain(caller, target.address),
        (Some(_), _) | (None, None) => admitted.permit(),
    }
}

fn begins_tls(came: &[u8]) -> bool {
    Spoken::of(came) == Spoken::Tls
}

/// Ends a connection of TLS that asks for a server whom nobody is: with an alert, so that its client can
/// say so.
async fn alert(mut client: Stream) {
    //= RFC 6066 section 3: "the server SHOULD take one of two actions: either abort the handshake by
    //= sending a fatal-level unrecognized_name(112) alert or continue the handshake."
    const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
    if client.write_all(&UNRECOGNIZED_NAME).await.is_ok() {
        http::linger(client).await;
    }
}
