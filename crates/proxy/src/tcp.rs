//! Streams of bytes: admitted, connected, and then carried in both directions until both have ended.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use leno_model::{CallId, Code, Now};
use leno_telemetry::{Bytes, Edge, Event, Flow, Security};
use leno_traffic::{
    Attempts, Ended, Fact, Failure, Next, Permit, Picked, Port, Refusal, Table, WhyPlain,
};

use crate::aim::{Aim, Hop};
use crate::buffer::Buffer;
use crate::connect::connect;
use crate::decision::{Basis, Decision};
use crate::incoming::{Incoming, Opening};
use crate::meter::Meter;
use crate::news::Reader;
use crate::pump::{Pump, Stopped};
use crate::stream::Stream;
use crate::telling;
use crate::worker::Worker;

/// How long a connection may take where no policy says how long.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Serves a captured connection. One that is not carried is cut: bytes have no other answer.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    client: Stream,
    incoming: &Incoming,
    came: Option<Buffer>,
) {
    // From here on no change of policy goes unnoticed.
    let news = worker.news.subscribe();
    let table = worker.table();
    let carrying = Carrying::new(worker, incoming, &table, worker.new_id());
    // Opening needs much room, and a stream that is open none of it.
    match Box::pin(carrying.open()).await {
        Ok(opened) => carrying.relay(client, came, opened, news).await,
        Err(refusal) => {
            client.reset(None);
            carrying.refuse(&refusal);
        }
    }
}

/// Cuts a connection for which there is no place.
pub(crate) fn turn_away(worker: &Rc<Worker>, client: Stream, incoming: &Incoming) {
    let table = worker.table();
    let carrying = Carrying::new(worker, incoming, &table, worker.new_id());
    client.reset(None);
    carrying.refuse(&Refusal::TooManyConnections);
}

/// Serves a stream that somebody asks for, who learns the reason if it is not carried.
pub(crate) async fn serve_opening(
    worker: &Rc<Worker>,
    opening: Opening,
    incoming: &Incoming,
    id: CallId,
) {
    let news = worker.news.subscribe();
    let table = worker.table();
    let carrying = Carrying::new(worker, incoming, &table, id);
    match Box::pin(carrying.open()).await {
        Ok(opened) => match opening.grant().await {
            Ok((client, came)) => carrying.relay(client, came, opened, news).await,
            Err(_gone) => carrying.report(None, None),
        },
        Err(refusal) => {
            opening.refuse(worker, &refusal, id).await;
            carrying.refuse(&refusal);
        }
    }
}

/// One stream and what is told of it in the end.
struct Carrying<'a> {
    worker: &'a Rc<Worker>,
    incoming: &'a Incoming,
    id: CallId,
    began: Now,
    table: &'a Table,
    endpoint: Cell<Option<SocketAddr>>,
    security: Cell<Security>,
    decision: RefCell<Decision<'a>>,
}

/// The other half of a stream, and the permission it lives by.
struct Opened {
    server: Stream,
    permit: Permit,
    /// The endpoint, which is busy for as long as the stream lives.
    picked: Option<Picked>,
}

impl<'a> Carrying<'a> {
    fn new(worker: &'a Rc<Worker>, incoming: &'a Incoming, table: &'a Table, id: CallId) -> Self {
        Self {
            worker,
            incoming,
            id,
            began: worker.now(),
            table,
            endpoint: Cell::new(None),
            security: Cell::new(incoming.proven()),
            decision: RefCell::default(),
        }
    }

    /// Admits the stream and opens its other half.
    async fn open(&self) -> Result<Opened, Refusal> {
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
        let admitted = policy
            .admit_stream(&incoming.peer)
            .map_err(Refusal::Denied)?;
        self.decision.borrow_mut().allowed(admitted.allowed());
        let permit = admitted.permit();
        let (hop, limit) = match aim? {
            Aim::Application(address) => (incoming.last_hop(address), CONNECT_LIMIT),
            Aim::Pass(address) => {
                let hop = incoming.plain_hop(address, WhyPlain::DestinationUnknown);
                (hop, CONNECT_LIMIT)
            }
            Aim::Direct(direct) => {
                self.decision.borrow_mut().goes_to(direct.of);
                let hop = incoming.hop(table, direct.endpoint, direct.address)?;
                (hop, direct.of.tuning().connect_timeout)
            }
            Aim::Port(port) => {
                let forward = {
                    let dice = &mut self.worker.dice.borrow_mut();
                    table.route_stream(admitted, port, None, dice, None)?
                };
                let attempts = forward.attempts(self.began.mono);
                let (server, picked) = self.connect_any(forward.port(), attempts).await?;
                return Ok(Opened {
                    server,
                    permit,
                    picked: Some(picked),
                });
            }
        };
        Ok(Opened {
            server: self.connect(hop, limit).await?,
            permit,
            picked: None,
        })
    }

    /// Tries the endpoints of `port` until one takes the connection.
    async fn connect_any(
        &self,
        port: &'a Port,
        mut attempts: Attempts<'_>,
    ) -> Result<(Stream, Picked), Refusal> {
        let worker = self.worker;
        self.decision.borrow_mut().goes_to(port);
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
            let connected = self.connect(hop, port.tuning().connect_timeout).await;
            let now = worker.mono();
            let refusal = match connected {
                Ok(stream) => {
                    picked.connected(now);
                    return Ok((stream, picked));
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
    /// first those that came of the client already.
    async fn relay(
        &self,
        mut client: Stream,
        came: Option<Buffer>,
        opened: Opened,
        mut news: Reader,
    ) {
        let Opened {
            mut server,
            permit,
            picked: _picked,
        } = opened;
        let told =
            |decision: &Decision<'_>| self.worker.report(&Event::Opened(self.told(decision)));
        told(&self.decision.borrow());
        let (mut up, mut down) = (Pump::bytes().behind(came), Pump::bytes());
        let mut meter = Meter::new(Flow {
            edge: self.edge(),
            route: None,
            status: None,
            bytes: Bytes::default(),
        });
        let buffers = &self.worker.buffers;
        let broken = std::future::poll_fn(|context: &mut Context<'_>| {
            while news.poll_changed(context).is_ready() {
                if let Err(refusal) = self.worker.still_carries(&permit) {
                    self.decision.borrow_mut().refused(&refusal);
                    return Poll::Ready(Broken::By(Some(refusal.code())));
                }
            }
            let polled = (
                up.poll(context, &mut client, &mut server, buffers),
                down.poll(context, &mut server, &mut client, buffers),
            );
            meter.poll(context, self.worker, moved(&up, &down));
            match polled {
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Broken::No),
                (Poll::Ready(Err(Stopped::Write(cut))), _)
                | (_, Poll::Ready(Err(Stopped::Read(cut)))) => {
                    Poll::Ready(Broken::By(Some(cut.of_server())))
                }
                (Poll::Ready(Err(Stopped::Read(cut))), _)
                | (_, Poll::Ready(Err(Stopped::Write(cut)))) => {
                    Poll::Ready(Broken::By(cut.of_client()))
                }
                (Poll::Ready(Err(Stopped::Body(_))), _)
                | (_, Poll::Ready(Err(Stopped::Body(_)))) => {
                    unreachable!("bare bytes have no flaw")
                }
                (Poll::Pending, _) | (_, Poll::Pending) => Poll::Pending,
            }
        })
        .await;
        let carried = Carried {
            moved: moved(&up, &down),
            counted: meter.counted(),
        };
        let Broken::By(refused) = broken else {
            return self.report(None, Some(carried));
        };
        // Whoever broke it off, the other end learns it by a reset.
        client.reset(refused);
        server.reset(refused);
        self.report(refused, Some(carried));
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
        let report = self.incoming.report(self.table, decision.called(), None);
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
        Edge {
            reporter: self.incoming.way.reporter(),
            source: self.incoming.source(self.table),
            destination: self.incoming.destination(self.table, &aim),
            security: self.security.get(),
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

fn moved(up: &Pump, down: &Pump) -> Bytes {
    Bytes {
        sent: up.moved(),
        received: down.moved(),
    }
}

/// Whether a stream ended before its end, and what that is called if it was not who opened it.
enum Broken {
    No,
    By(Option<Code>),
}
