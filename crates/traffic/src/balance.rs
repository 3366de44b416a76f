//! Which endpoint takes a call: the better of two drawn by weight, by how fast it answered
//! (peak EWMA), how much it has in flight, and how often it failed.

use core::marker::PhantomData;

use leno_model::view::Endpoint;
use leno_model::{Dice, Mono, Roll};

use crate::destination::Direct;
use crate::refusal::Refusal;
use crate::story::Story;
use crate::table::{Port, Table};

/// One worker's knowledge of the endpoints it calls. Not shared: each worker measures for itself.
#[derive(Debug)]
pub struct Balancer {
    alone: PhantomData<*const ()>,
}

impl Balancer {
    /// Knows nothing yet of the endpoints of `table`.
    pub fn new(_table: &Table) -> Self {
        unimplemented!("the door comes first")
    }

    /// Goes over to the endpoints of `table`. What is known of those that stay is kept, and what
    /// is in flight goes on counting.
    pub fn adopt(&mut self, _table: &Table) {
        unimplemented!("the door comes first")
    }

    /// Picks an endpoint for one try: ready ones; those of unknown state only if none is ready;
    /// one that was tried only if no other is left.
    pub fn pick(
        &self,
        _port: &Port,
        _tried: &Tried,
        _now: Mono,
        _dice: &mut Dice,
        _story: Option<&mut Story>,
    ) -> Result<Picked, Refusal> {
        unimplemented!("the door comes first")
    }

    /// Takes the endpoint that the caller named by its address, whatever its state.
    pub fn direct(&self, _to: &Direct<'_>, _now: Mono) -> Picked {
        unimplemented!("the door comes first")
    }
}

/// An endpoint with a call in flight to it. Give it back with [`Self::finish`]; one that is
/// dropped, because its task was cancelled, is no longer in flight either, and teaches nothing.
#[derive(Debug)]
#[must_use]
pub struct Picked {
    draw: Draw,
    endpoint: Endpoint,
}

impl Picked {
    /// Who it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How it was chosen.
    pub fn draw(&self) -> &Draw {
        &self.draw
    }

    /// The call is over; what is learned of it changes the next picks.
    pub fn finish(self, _ended: Ended, _now: Mono) {
        unimplemented!("the door comes first")
    }
}

/// How a call to an endpoint ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It was answered well; a stream of bytes was carried.
    Answered,
    /// It was answered with an error of the service (5xx), or cut, or too late.
    Failed,
    /// The endpoint could not be reached or proven.
    Unreached,
}

/// How an endpoint was chosen.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Draw {
    /// How many endpoints the port has.
    pub known: u32,
    /// How many of them could be drawn.
    pub usable: u32,
    /// The one that was chosen.
    pub chosen: Candidate,
    /// The one that was drawn beside it; `None` if there was no second.
    pub other: Option<Candidate>,
}

/// An endpoint that was drawn.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Candidate {
    /// Its place among the port's endpoints.
    pub index: u32,
    /// The roll that drew it; `None` if it was the only one.
    pub roll: Option<Roll>,
    /// Calls in flight to it.
    pub in_flight: u32,
    /// How long it takes to answer, as measured; `None` if it never did.
    pub latency: Option<core::time::Duration>,
    /// The share of its calls that fail, between 0 and 1.
    pub failing: f32,
}

/// The endpoints that had a try for one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tried {}
