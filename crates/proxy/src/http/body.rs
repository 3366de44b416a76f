//! What moves a body from one end of an exchange to the other: as it came between two ends of HTTP/1,
//! else as content that is framed anew.

use std::task::{Context, Poll};

use crate::buffer::{Buffer, Buffers};
use crate::copies::Copies;
use crate::http::relay::{Relay, Sink, Spring};
use crate::pump::{Pump, Stopped};

/// One direction of an exchange.
#[expect(
    clippy::large_enum_variant,
    reason = "between two ends of HTTP/1 nothing is allocated for it"
)]
pub(super) enum Body {
    /// Both ends speak HTTP/1: not a byte is changed.
    Bytes(Pump),
    /// One of them speaks HTTP/2.
    Content(Box<Relay>),
}

impl Body {
    /// Who else gets what is moved.
    pub(super) fn copies(&mut self) -> &mut Copies {
        match self {
            Self::Bytes(pump) => &mut pump.copies,
            Self::Content(relay) => &mut relay.copies,
        }
    }

    /// Whether all that was read can be had again.
    pub(super) fn is_replayable(&self) -> bool {
        match self {
            Self::Bytes(pump) => pump.is_replayable(),
            Self::Content(relay) => relay.is_replayable(),
        }
    }

    /// Whether all of it came with the head.
    pub(super) fn has_come(&self) -> bool {
        match self {
            Self::Bytes(_) => false,
            Self::Content(relay) => relay.has_come(),
        }
    }

    /// How many bytes have been written that did not come with the head.
    pub(super) fn moved(&self) -> u64 {
        match self {
            Self::Bytes(pump) => pump.moved(),
            Self::Content(relay) => relay.moved(),
        }
    }

    /// Bytes behind it, which belong to the next message.
    pub(super) fn take_rest(&mut self) -> Option<Buffer> {
        match self {
            Self::Bytes(pump) => pump.take_rest(),
            Self::Content(relay) => relay.take_rest(),
        }
    }

    /// What gRPC says behind it of what became of the call, once all of it has been read and it was
    /// looked at.
    pub(super) fn grpc_status(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(_) => None,
            Self::Content(relay) => relay.grpc_status(),
        }
    }

    /// Begins to send it, after `here`, which came with the head.
    pub(super) fn begin(&mut self, here: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Bytes(pump) => {
                out.extend_from_slice(here);
                out.extend_from_slice(pump.copies.held().unwrap_or_default());
                pump.skip();
            }
            Self::Content(relay) => relay.begin(here),
        }
    }

    /// Whether some of it has come that the other end did not take.
    pub(super) fn is_held_up(&self) -> bool {
        match self {
            Self::Bytes(pump) => pump.is_held_up(),
            Self::Content(relay) => relay.is_held_up(),
        }
    }

    /// Whether all of it has been written.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Bytes(pump) => pump.is_done(),
            Self::Content(relay) => relay.is_done(),
        }
    }

    /// Whether all of it was sent with the head, for which the other end may never have had room.
    pub(super) fn went_with_head(&self) -> bool {
        match self {
            Self::Bytes(_) => false,
            Self::Content(relay) => relay.went_with_head(),
        }
    }

    /// Reads what is held for another try, without writing it; ready when that `is_enough`, all of it was
    /// read, or no more of it can be held.
    pub(super) fn poll_ahead(
        &mut self,
        context: &mut Context<'_>,
        mut spring: Spring<'_>,
        buffers: &Buffers,
        is_enough: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Poll<Result<(), Stopped>> {
        match (self, &mut spring) {
            (Self::Bytes(pump), Spring::Http1(from)) => {
                pump.poll_ahead(context, from, buffers, is_enough)
            }
            (Self::Content(relay), spring) => relay.poll_ahead(context, spring, buffers, is_enough),
            (Self::Bytes(_), Spring::Http2(_)) => {
                unreachable!("bytes stay as they are between two ends of HTTP/1 only")
            }
        }
    }

    /// Moves what can be moved; ready when all of it has been written.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        mut spring: Spring<'_>,
        mut sink: Sink<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<(), Stopped>> {
        match (self, &mut spring, &mut sink) {
            (Self::Bytes(pump), Spring::Http1(from), Sink::Http1(to)) => {
                pump.poll(context, from, to, buffers)
            }
            (Self::Content(relay), spring, sink) => relay.poll(context, spring, sink, buffers),
            (Self::Bytes(_), Spring::Http2(_), _) | (Self::Bytes(_), _, Sink::Http2(_)) => {
                unreachable!("bytes stay as they are between two ends of HTTP/1 only")
            }
        }
    }
}
