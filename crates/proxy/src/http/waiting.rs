//! Waiting in the middle of an exchange, while everything that could end it is listened to: the
//! other end, the client, the deadline, a change of policy.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use leno_protocol::Flaw;
use leno_traffic::{Admitted, Refusal};
use tokio::time::Sleep;

use crate::news::Reader;
use crate::pump::{Pump, Stopped};
use crate::stream::Stream;
use crate::worker::Worker;

/// What both directions of an exchange share.
pub(super) struct Waiting<'a> {
    pub(super) worker: &'a Worker,
    pub(super) client: &'a mut Stream,
    pub(super) news: &'a mut Reader,
    /// The permission the exchange lives by.
    pub(super) admitted: &'a Admitted<'a>,
    /// When it must be over, and how long that was in all.
    pub(super) deadline: &'a mut Option<(Pin<Box<Sleep>>, Duration)>,
    /// The rest of the request's body, while some of it is to come.
    pub(super) up: Option<Pump>,
    /// Bytes that the client sent behind its request.
    pub(super) early: Option<crate::buffer::Buffer>,
    /// What [`Self::sent`] was when `up` was done.
    pub(super) sent: u64,
    /// Whether the server has stopped taking the request's body. It may still answer.
    pub(super) up_failed: bool,
    /// Whether it is worth looking whether the client is still there.
    pub(super) watching: bool,
}

/// Why waiting ended without what was waited for.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// The server's connection broke.
    Server,
    /// The client has gone.
    ClientGone,
    /// The client's body is not what its head says.
    Body(Flaw),
    /// It is too late, or no longer permitted.
    Refused(Refusal),
}

impl From<Refusal> for Interrupted {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<'a> Waiting<'a> {
    /// While nothing of the request's body goes up.
    pub(super) fn new(
        worker: &'a Worker,
        admitted: &'a Admitted<'a>,
        client: &'a mut Stream,
        news: &'a mut Reader,
        deadline: &'a mut Option<(Pin<Box<Sleep>>, Duration)>,
    ) -> Self {
        Self {
            worker,
            client,
            news,
            admitted,
            deadline,
            up: None,
            early: None,
            sent: 0,
            up_failed: false,
            watching: true,
        }
    }

    /// Waits for something else of the exchange, before the server is listened to.
    pub(super) async fn meanwhile<T>(
        &mut self,
        other: impl Future<Output = T>,
    ) -> Result<T, Refusal> {
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
                return read.map_err(|_| Interrupted::Server);
            }
            self.poll_interrupts(context)?;
            self.poll_up(context, server)?;
            Poll::Pending
        })
        .await
    }

    /// Carries the response's body down, while the request's body goes up.
    pub(super) async fn carry(
        &mut self,
        server: &mut Stream,
        down: &mut Pump,
    ) -> Result<(), Interrupted> {
        std::future::poll_fn(|context| {
            self.poll_interrupts(context)?;
            self.poll_up(context, server)?;
            let buffers = &self.worker.buffers;
            down.poll(context, server, self.client, buffers)
                .map_err(|stopped| match stopped {
                    Stopped::Write => Interrupted::ClientGone,
                    Stopped::Read | Stopped::Body(_) => Interrupted::Server,
                })
        })
        .await
    }

    /// Carries bytes both ways until both directions have ended.
    pub(super) async fn carry_both(
        &mut self,
        server: &mut Stream,
        down: &mut Pump,
    ) -> Result<(), Interrupted> {
        self.carry(server, down).await?;
        std::future::poll_fn(|context| {
            self.poll_interrupts(context)?;
            self.poll_up(context, server)?;
            match self.up {
                Some(_) => Poll::Pending,
                None => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    /// Whether all of the request has been sent.
    pub(super) fn is_sent(&self) -> bool {
        self.up.is_none() && !self.up_failed
    }

    /// Bytes of the request's body that went up after those that came with its head.
    pub(super) fn sent(&self) -> u64 {
        self.up.as_ref().map_or(self.sent, Pump::moved)
    }

    fn poll_interrupts(&mut self, context: &mut Context<'_>) -> Result<(), Refusal> {
        if let Some((deadline, limit)) = self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Err(Refusal::ResponseTimeout(*limit));
        }
        while self.news.poll_changed(context).is_ready() {
            self.worker.still_carries(&self.admitted.permit())?;
        }
        Ok(())
    }

    fn poll_up(
        &mut self,
        context: &mut Context<'_>,
        server: &mut Stream,
    ) -> Result<(), Interrupted> {
        let Some(pump) = &mut self.up else {
            return self.watch_client(context);
        };
        let moved = pump.poll(context, self.client, server, &self.worker.buffers);
        match moved {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                let pump = self.up.take();
                self.sent = pump.as_ref().map_or(0, Pump::moved);
                self.early = pump.and_then(Pump::into_rest);
            }
            Poll::Ready(Err(Stopped::Write)) => {
                self.sent = pump.moved();
                self.up = None;
                self.up_failed = true;
            }
            Poll::Ready(Err(Stopped::Read | Stopped::Body(Flaw::CutShort))) => {
                return Err(Interrupted::ClientGone);
            }
            Poll::Ready(Err(Stopped::Body(flaw))) => return Err(Interrupted::Body(flaw)),
        }
        Ok(())
    }

    /// Looks whether the client has gone. One that sends its next request early is still there.
    fn watch_client(&mut self, context: &mut Context<'_>) -> Result<(), Interrupted> {
        if !self.watching {
            return Ok(());
        }
        match self.client.poll_gone(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(true) => Err(Interrupted::ClientGone),
            Poll::Ready(false) => {
                self.watching = false;
                Ok(())
            }
        }
    }
}
