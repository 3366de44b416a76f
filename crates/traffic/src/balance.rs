//! Which endpoint takes a call: the better of two drawn by weight, by how fast it answered
//! (peak EWMA), how much it has in flight, and how often it failed.

mod draw;
mod load;
mod pool;
mod telling;
mod tried;

use alloc::{rc::Rc, sync::Arc, vec::Vec};
use core::fmt;
use core::time::Duration;

use leno_model::view::{Endpoint, EndpointSlice};
use leno_model::{Dice, Mono, Roll};

use crate::balance::load::Reading;
use crate::balance::pool::{EndpointKey, Member, Pool};
use crate::destination::Direct;
use crate::refusal::Refusal;
use crate::story::Story;
use crate::table::{Port, Table};

pub use crate::balance::tried::Tried;

/// One worker's knowledge of the endpoints it calls. Not shared: each worker measures for itself.
#[derive(Debug)]
pub struct Balancer {
    /// In order of their ports' names, as the ports of the table are.
    pools: Vec<Rc<Pool>>,
}

impl Balancer {
    /// Knows nothing yet of the endpoints of `table`.
    pub fn new(table: &Table) -> Self {
        let mut balancer = Self { pools: Vec::new() };
        balancer.adopt(table);
        balancer
    }

    /// Goes over to the endpoints of `table`. What is known of those that stay is kept, and what
    /// is in flight goes on counting.
    pub fn adopt(&mut self, table: &Table) {
        let pools = table.ports().iter().map(|port| match self.pool(port) {
            Some(pool) if pool.is_of(port.slices()) => pool.clone(),
            before => Rc::new(Pool::new(
                port.name().clone(),
                port.slices().to_vec(),
                before.map(|pool| &**pool),
            )),
        });
        self.pools = pools.collect();
    }

    /// Picks an endpoint for one try: ready ones; those of unknown state only if none is ready;
    /// one that was tried only if no other is left.
    pub fn pick(
        &self,
        port: &Port,
        tried: &Tried,
        now: Mono,
        dice: &mut Dice,
        story: Option<&mut Story>,
    ) -> Result<Picked, Refusal> {
        let picked = match self.pool(port) {
            Some(pool) => pool.pick(tried, now, dice),
            None => Err(Refusal::NoEndpoint(port.name().clone())),
        };
        if let Some(story) = story {
            let pool = self.pool(port).map(|pool| &**pool);
            story.steps.push(telling::step(port, pool, &picked));
        }
        picked
    }

    /// All endpoints of a port, whether they can be picked or not.
    pub fn endpoints(&self, port: &Port) -> impl Iterator<Item = &Endpoint> {
        let pool = self.pool(port).map(|pool| pool.members());
        pool.unwrap_or_default().iter().map(Member::endpoint)
    }

    /// Takes the endpoint that the caller named by its address, whatever its state.
    pub fn direct(&self, to: &Direct<'_>, now: Mono) -> Picked {
        let key = EndpointKey::of(to.endpoint);
        let held = self.pool(to.of).and_then(|pool| pool.take(key, now));
        held.unwrap_or_else(|| {
            let slice = EndpointSlice::new(Vec::from([to.endpoint.clone()]));
            let slices = slice.into_iter().map(Arc::new).collect();
            let pool = Rc::new(Pool::new(to.of.name().clone(), slices, None));
            pool.take(key, now)
                .expect("the pool was made of the endpoint")
        })
    }

    /// The pool of a port, also of one that another table gave.
    fn pool(&self, port: &Port) -> Option<&Rc<Pool>> {
        let here = self.pools.get(port.place() as usize);
        if let Some(pool) = here
            && *pool.port() == *port.name()
        {
            return Some(pool);
        }
        let place = self
            .pools
            .binary_search_by(|pool| pool.port().cmp(port.name()));
        Some(&self.pools[place.ok()?])
    }
}

/// An endpoint with a call in flight to it. Give it back with [`Self::finish`]. One that is
/// dropped, because its task was cancelled, is no longer in flight either; it teaches only that
/// the answer had not come until then.
#[derive(Debug)]
#[must_use]
pub struct Picked {
    draw: Draw,
    pool: Rc<Pool>,
    began: Mono,
    taught: bool,
}

impl Picked {
    /// Who it is.
    pub fn endpoint(&self) -> &Endpoint {
        self.member().endpoint()
    }

    /// The one that was drawn beside it, if there was a second.
    pub fn beside(&self) -> Option<(&Endpoint, &Candidate)> {
        let other = self.draw.other.as_ref()?;
        Some((self.pool.member(other.index).endpoint(), other))
    }

    /// How it was chosen.
    pub fn draw(&self) -> &Draw {
        &self.draw
    }

    /// The endpoint accepted a stream of bytes. How long that took is learned; the stream is in
    /// flight for as long as this value lives.
    pub fn connected(&mut self, now: Mono) {
        self.teach(Ended::Answered, now);
    }

    /// The call is over; what is learned of it changes the next picks.
    pub fn finish(mut self, ended: Ended, now: Mono) {
        self.teach(ended, now);
    }

    fn teach(&mut self, ended: Ended, now: Mono) {
        self.taught = true;
        self.pool.heard(now);
        let took = now.since(self.began);
        self.member().load.learn(ended, took, now);
    }

    fn member(&self) -> &Member {
        self.pool.member(self.draw.chosen.index)
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        let load = &self.member().load;
        load.end();
        if !self.taught {
            let now = self.pool.latest();
            load.learn_waiting(now.since(self.began), now);
        }
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

/// An endpoint that was drawn, as it was seen then.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Candidate {
    /// Its place among the port's endpoints.
    pub index: u32,
    /// The roll that drew it; `None` if the caller named it.
    pub roll: Option<Roll>,
    /// Calls in flight to it.
    pub in_flight: u32,
    /// How long it takes to answer, as measured; `None` if it never did.
    pub latency: Option<Duration>,
    /// The share of its calls that fail, between 0 and 1.
    pub failing: f32,
}

impl Candidate {
    fn new(member: u32, roll: Option<Roll>, reading: Reading) -> Self {
        let duration = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Self {
            index: member,
            roll,
            in_flight: reading.in_flight,
            latency: reading.latency.map(duration),
            failing: reading.failing as f32,
        }
    }
}

/// `3 in flight, 20ms`.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in flight", self.in_flight)?;
        match self.latency {
            Some(latency) => write!(f, ", {latency:.1?}")?,
            None => f.write_str(", never answered yet")?,
        }
        if self.failing >= 0.005 {
            write!(f, ", {:.0} % failing", self.failing * 100.0)?;
        }
        Ok(())
    }
}
