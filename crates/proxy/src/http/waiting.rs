//! Waiting in the middle of an exchange, while everything that could end it is listened to: the
//! other end, the client, the deadline, a change of policy.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::Response;

use leno_model::{Code, Mono};
use leno_protocol::{Flaw, Refused};
use leno_telemetry::{Bytes, Flow};
use leno_traffic::{Admitted, Refusal};
use tokio::time::Sleep;

use crate::buffer::Buffer;
use crate::http::body::Body;
use crate::http::client::Client;
use crate::http::refuse::Reason;
use crate::http::relay::Sink;
use crate::http::server::{Called, Server};
use crate::http::{After, Why};
use crate::meter::Meter;
use crate::news::Reader;
use crate::patience::{Patience, Stall};
use crate::pump::Stopped;
use crate::stream::{Cut, Sign, Stream};
use crate::worker::Worker;

/// What both directions of an exchange share.
pub(super) struct Waiting<'a> {
    pub(super) worker: &'a Worker,
    pub(super) client: Client<'a>,
    pub(super) news: &'a mut Reader,
    /// The permission the exchange lives by.
    pub(super) admitted: &'a Admitted<'a>,
    /// When it must be over, and how long that was in all.
    pub(super) deadline: &'a mut Option<Limit>,
    /// When this try of it must be over.
    pub(super) try_limit: Option<Limit>,
    /// What moves the request's body, if not all of it came with the head.
    pub(super) up: &'a mut Option<Body>,
    /// What that had moved before this try.
    moved_before: u64,
    /// What had been sent when the protocol was switched.
    switched: u64,
    /// Whether some of the body is still to be sent.
    pub(super) going_up: bool,
    /// Whether the server has stopped taking the request's body. It may still answer.
    pub(super) up_failed: bool,
    /// Whether it is worth looking whether the client is still there.
    watching: bool,
    /// Counts the bytes of both bodies.
    pub(super) meter: Meter<'a>,
    /// With a client that sends nothing more. It may have gone altogether, which shows only when something
    /// is written to it.
    patience: Option<Patience>,
    /// With either end, once it does not take what is ready for it; `None` where nobody asks that of it.
    stall: Option<Stall>,
    /// Bytes of the answer's body that were written to the client.
    moved: u64,
}

/// A time that something may take.
pub(super) struct Limit {
    end: Pin<Box<Sleep>>,
    span: Duration,
    of_caller: bool,
}

impl Limit {
    /// One that is over at `end`, and was so long in all.
    pub(super) fn new(worker: &Worker, end: Mono, span: Duration) -> Self {
        Self {
            end: Box::pin(worker.sleep_until(end)),
            span,
            of_caller: false,
        }
    }

    /// The same, set by the caller.
    pub(super) fn of_caller(worker: &Worker, end: Mono, span: Duration) -> Self {
        Self {
            of_caller: true,
            ..Self::new(worker, end, span)
        }
    }

    /// How long it was, once it is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Duration> {
        self.end.as_mut().poll(context).map(|()| self.span)
    }
}

/// Why nothing more is waited for.
#[derive(Debug)]
pub(super) enum Over {
    /// The time that one try has has passed.
    Try(Duration),
    /// It is too late for an answer, or no longer permitted.
    All(Refusal),
}

impl From<Refusal> for Over {
    fn from(refusal: Refusal) -> Self {
        Self::All(refusal)
    }
}

impl Over {
    /// What kind of failure it is.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Try(limit) => Refusal::TryTimeout(*limit).code(),
            Self::All(refusal) => refusal.code(),
        }
    }

    /// The same as whoever called is told it.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Try(limit) => Reason::from(&Refusal::TryTimeout(*limit)),
            Self::All(refusal) => Reason::from(refusal),
        }
    }
}

/// Why waiting ended without what was waited for.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// The server's connection broke.
    Server(Cut),
    /// The server says that it did not look at the request,
    NotTaken,
    /// nor at any that came later on the connection, which it is leaving.
    Left,
    /// The client has gone.
    ClientGone(Cut),
    /// The client's body is not what its head says.
    Body(Flaw),
    /// Its time is over.
    Over(Over),
}

impl Interrupted {
    /// What either side is told of it.
    pub(super) fn why(&self) -> Why {
        match self {
            Self::Server(Cut::Reset(reason)) | Self::ClientGone(Cut::Reset(reason)) => {
                Why::Reset(*reason)
            }
            Self::Server(cut) => Why::For(cut.of_server()),
            Self::NotTaken | Self::Left => Why::For(Cut::There.of_server()),
            Self::ClientGone(cut) => cut.of_client().map_or(Why::Gone, Why::For),
            Self::Body(flaw) => Why::For(Refused::request(*flaw).code),
            Self::Over(over) => Why::For(over.code()),
        }
    }

    /// What follows for the client, which is told `why`.
    pub(super) fn cut(&self, why: Why) -> After {
        match self {
            Self::Server(_) | Self::NotTaken | Self::Left => After::BrokenOff(why),
            Self::ClientGone(_) | Self::Body(_) | Self::Over(_) => After::Cut(why),
        }
    }
}

impl Interrupted {
    /// By this error of a request, before its answer began.
    //= RFC 9113 section 8.7: "The REFUSED_STREAM error code can be included in a RST_STREAM frame to indicate that the stream is being closed prior to any processing having occurred."
    fn of_http2(error: h2::Error) -> Self {
        //= RFC 9113 section 6.8: "Once the GOAWAY is sent, the sender will ignore frames sent on streams initiated by the receiver if the stream has an identifier higher than the included last stream identifier."
        if error.is_remote() && error.is_go_away() {
            return Self::Left;
        }
        if error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM) {
            return Self::NotTaken;
        }
        Self::Server(Cut::of_http2(&error))
    }
}

impl From<Over> for Interrupted {
    fn from(over: Over) -> Self {
        Self::Over(over)
    }
}

impl<'a> Waiting<'a> {
    /// While nothing of the request's body goes up.
    pub(super) fn new(
        worker: &'a Worker,
        admitted: &'a Admitted<'a>,
        client: Client<'a>,
        news: &'a mut Reader,
        deadline: &'a mut Option<Limit>,
        up: &'a mut Option<Body>,
        flow: Flow<'a>,
    ) -> Self {
        Self {
            worker,
            client,
            news,
            admitted,
            deadline,
            try_limit: None,
            moved_before: up.as_ref().map_or(0, Body::moved),
            switched: 0,
            up,
            going_up: false,
            up_failed: false,
            watching: true,
            meter: Meter::new(flow),
            patience: None,
            stall: Some(Stall::new(worker.stalled)),
            moved: 0,
        }
    }

    /// Waits for something else of the exchange, before the server is listened to.
    pub(super) async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> Result<T, Over> {
        let mut other = std::pin::pin!(other);
        std::future::poll_fn(|context| {
            self.poll_interrupts(context)?;
            other.as_mut().poll(context).map(Ok)
        })
        .await
    }

    /// Reads what the server sends next, while the request's body goes up; 0 is its end.
    pub(super) async fn reply(
        &mut self,
        server: &mut Stream,
        bytes: &mut Vec<u8>,
    ) -> Result<usize, Interrupted> {
        std::future::poll_fn(|context| {
            let read = server.poll_read_into(context, bytes);
            if read.is_ready() {
                return read.map_err(|error| Interrupted::Server(Cut::of(&error)));
            }
            self.poll_interrupts(context)?;
            self.poll_up(context, Sink::Http1(server))?;
            self.count(context);
            self.poll_stall(context, None)?;
            Poll::Pending
        })
        .await
    }

    /// Waits for the next head of an answer of HTTP/2, while the request's body goes up.
    pub(super) async fn head(&mut self, called: &mut Called) -> Result<Response<()>, Interrupted> {
        std::future::poll_fn(|context| {
            let head = called.poll_head(context);
            if head.is_ready() {
                return head.map_err(|error| match Interrupted::of_http2(error) {
                    Interrupted::Server(cut) => Interrupted::Server(called.believed(cut)),
                    other => other,
                });
            }
            self.poll_interrupts(context)?;
            self.poll_up(context, Sink::Http2(called.up()))?;
            self.count(context);
            self.poll_stall(context, None)?;
            Poll::Pending
        })
        .await
    }

    /// Carries the response's body down, while the request's body goes up.
    pub(super) async fn carry(
        &mut self,
        server: &mut Server,
        down: &mut Body,
    ) -> Result<(), Interrupted> {
        std::future::poll_fn(|context| {
            self.poll_interrupts(context)?;
            self.poll_up(context, server.sink())?;
            let (Some(spring), Some(sink)) = (server.spring(), self.client.sink()) else {
                unreachable!("the head of the answer has come, and was sent");
            };
            let polled = down.poll(context, spring, sink, &self.worker.buffers);
            self.moved = down.moved();
            if polled.is_pending() {
                self.count(context);
                self.poll_stall(context, Some(down))?;
            }
            polled.map_err(|stopped| match stopped {
                Stopped::Write(cut) => Interrupted::ClientGone(self.client.believed(cut)),
                Stopped::Read(cut) => Interrupted::Server(server.believed(cut)),
                Stopped::Body(_) => Interrupted::Server(Cut::There),
            })
        })
        .await
    }

    /// Carries bytes both ways until both directions have ended.
    pub(super) async fn carry_both(
        &mut self,
        server: &mut Server,
        down: &mut Body,
    ) -> Result<(), Interrupted> {
        self.carry(server, down).await?;
        std::future::poll_fn(|context| {
            self.poll_interrupts(context)?;
            self.poll_up(context, server.sink())?;
            self.count(context);
            match self.going_up {
                true => Poll::Pending,
                false => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    /// Whether all of the request has been sent.
    pub(super) fn is_sent(&self) -> bool {
        !self.going_up && !self.up_failed
    }

    /// Whether nothing of the request's body went up after what was sent with its head.
    pub(super) fn is_untouched(&self) -> bool {
        self.sent() == 0 && !self.up_failed
    }

    /// Whether all of the request's body was sent with its head, for which the server may never have had room.
    pub(super) fn went_with_head(&self) -> bool {
        self.up.as_ref().is_some_and(Body::went_with_head)
    }

    /// Whether all of the request can be sent again.
    pub(super) fn is_replayable(&self) -> bool {
        self.up.as_ref().is_none_or(Body::is_replayable)
    }

    /// Bytes of the request's body that went up on this try, after those that came with its head.
    pub(super) fn sent(&self) -> u64 {
        let moved = self.up.as_ref().map_or(0, Body::moved);
        self.switched + moved.saturating_sub(self.moved_before)
    }

    /// Moves what `up` moves from here on, in the place of the request's body.
    pub(super) fn switch(&mut self, up: Body) {
        self.switched = self.sent();
        self.moved_before = 0;
        *self.up = Some(up);
        self.going_up = true;
        // Of a stream of HTTP/2 it shows whether its client breaks off, also while nothing of it is read.
        self.watching = matches!(self.client, Client::Http2(_));
        // What was asked has been answered: for what follows nobody set a limit.
        *self.deadline = None;
        self.try_limit = None;
        self.stall = None;
    }

    fn count(&mut self, context: &mut Context<'_>) {
        let bytes = Bytes {
            sent: self.sent(),
            received: self.moved,
        };
        self.meter.poll(context, self.worker, bytes);
    }

    /// Finds out whether one end has taken nothing for too long of what is ready for it, while nothing
    /// went the other way either. If both are so, the client is waited for: the server cannot go on.
    fn poll_stall(&mut self, context: &mut Context<'_>, down: Option<&Body>) -> Result<(), Over> {
        let client_waits = down.is_some_and(Body::is_held_up);
        let up = self.up.as_ref().filter(|_| self.going_up);
        if !client_waits && !up.is_some_and(Body::is_held_up) {
            return Ok(());
        }
        let moved = self.sent() + self.moved;
        let Some(stall) = &mut self.stall else {
            return Ok(());
        };
        match stall.poll_over(context, moved) {
            Poll::Pending => Ok(()),
            Poll::Ready(limit) if client_waits => Err(Refusal::CallerStalled(limit).into()),
            Poll::Ready(limit) => Err(Refusal::ServerStalled(limit).into()),
        }
    }

    /// Says that it will not be.
    pub(super) fn release(&mut self) {
        if let Some(up) = self.up {
            up.copies().release();
        }
    }

    /// What the client sent behind its request.
    pub(super) fn take_early(&mut self) -> Option<Buffer> {
        self.up.as_mut().and_then(Body::take_rest)
    }

    fn poll_interrupts(&mut self, context: &mut Context<'_>) -> Result<(), Over> {
        if let Some(deadline) = self.deadline
            && let Poll::Ready(limit) = deadline.poll(context)
        {
            return Err(Over::All(match deadline.of_caller {
                true => Refusal::CallerTimeout(limit),
                false => Refusal::ResponseTimeout(limit),
            }));
        }
        if let Some(limit) = &mut self.try_limit
            && let Poll::Ready(limit) = limit.poll(context)
        {
            return Err(Over::Try(limit));
        }
        while self.news.poll_changed(context).is_ready() {
            self.worker.still_carries(&self.admitted.permit())?;
        }
        Ok(())
    }

    fn poll_up(&mut self, context: &mut Context<'_>, sink: Sink<'_>) -> Result<(), Interrupted> {
        let Some(up) = self.up.as_mut().filter(|_| self.going_up) else {
            return self.watch_client(context);
        };
        let moved = up.poll(context, self.client.spring(), sink, &self.worker.buffers);
        match moved {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.going_up = false,
            Poll::Ready(Err(Stopped::Write(_))) => {
                self.going_up = false;
                self.up_failed = true;
            }
            Poll::Ready(Err(Stopped::Read(cut))) => {
                return Err(Interrupted::ClientGone(self.client.believed(cut)));
            }
            Poll::Ready(Err(Stopped::Body(Flaw::CutShort))) => {
                return Err(Interrupted::ClientGone(Cut::There));
            }
            Poll::Ready(Err(Stopped::Body(flaw))) => return Err(Interrupted::Body(flaw)),
        }
        match self.client {
            // It shows there, however long the body is not read.
            Client::Http2(_) => self.watch_client(context),
            Client::Http1(_) => Ok(()),
        }
    }

    /// Looks whether the client has gone. One that sends its next request early is still there; one
    /// that sends nothing more may be, and has some time.
    fn watch_client(&mut self, context: &mut Context<'_>) -> Result<(), Interrupted> {
        if self.watching {
            match self.client.poll_sign(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Sign::Broken(cut)) => {
                    return Err(Interrupted::ClientGone(self.client.believed(cut)));
                }
                Poll::Ready(Sign::Spoke) => {}
                Poll::Ready(Sign::Ended) => {
                    self.patience = Some(Patience::new(PATIENCE, self.moved));
                }
            }
            self.watching = false;
        }
        let Some(patience) = &mut self.patience else {
            return Ok(());
        };
        match patience.poll_over(context, self.moved) {
            Poll::Pending => Ok(()),
            Poll::Ready(_) => Err(Interrupted::ClientGone(Cut::There)),
        }
    }
}

/// How long a client that sends nothing more is given the benefit of the doubt while nothing can be
/// written to it.
const PATIENCE: Duration = Duration::from_secs(30);
