//! Which endpoint takes a call: the better of two drawn by weight, by how fast it answered
//! (peak EWMA), how much it has in flight, and how often it failed.

mod draw;
mod load;

use alloc::{format, rc::Rc, string::String, sync::Arc, vec::Vec};
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use leno_model::view::{Endpoint, EndpointSlice, PortRef, State};
use leno_model::{Dice, Mono, Roll};

use crate::balance::draw::Weights;
use crate::balance::load::{Load, Reading};
use crate::destination::Direct;
use crate::index::Key;
use crate::refusal::Refusal;
use crate::story::{Detail, Known, Outcome, Step, StepKind, Story};
use crate::table::{Port, Table};

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
            before => Rc::new(Pool::new(port, before.map(|pool| &**pool))),
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
            story.steps.push(step(port, pool, &picked));
        }
        picked
    }

    /// Takes the endpoint that the caller named by its address, whatever its state.
    pub fn direct(&self, to: &Direct<'_>, now: Mono) -> Picked {
        let key = EndpointKey::of(to.endpoint);
        let place = self.pool(to.of).and_then(|pool| {
            let place = pool.members.iter().position(|member| member.key == key)?;
            Some((pool.clone(), place))
        });
        let (pool, place) = place.unwrap_or_else(|| {
            let slice = EndpointSlice::new(Vec::from([to.endpoint.clone()]));
            let slices = slice.into_iter().map(Arc::new).collect();
            (Rc::new(Pool::of(to.of.name().clone(), slices, None)), 0)
        });
        let reading = pool.members[place].load.read(now);
        pool.begin(now, Candidate::new(place, None, reading), None)
    }

    /// The pool of a port, also of one that another table gave.
    fn pool(&self, port: &Port) -> Option<&Rc<Pool>> {
        let here = self.pools.get(port.place() as usize);
        if let Some(pool) = here
            && pool.port == *port.name()
        {
            return Some(pool);
        }
        let place = self
            .pools
            .binary_search_by(|pool| pool.port.cmp(port.name()));
        Some(&self.pools[place.ok()?])
    }
}

/// The endpoints of one port. Never changed: a call in flight keeps the one it was picked from.
#[derive(Debug)]
struct Pool {
    port: PortRef,
    slices: Vec<Arc<EndpointSlice>>,
    members: Vec<Member>,
    /// Places in `members` that may be drawn.
    usable: Vec<u32>,
    /// Of those in `usable`.
    weights: Weights,
}

#[derive(Debug)]
struct Member {
    slice: Arc<EndpointSlice>,
    index: usize,
    key: EndpointKey,
    load: Rc<Load>,
}

impl Member {
    fn endpoint(&self) -> &Endpoint {
        &self.slice.endpoints()[self.index]
    }
}

impl Pool {
    fn new(port: &Port, before: Option<&Self>) -> Self {
        Self::of(port.name().clone(), port.slices().to_vec(), before)
    }

    fn of(port: PortRef, slices: Vec<Arc<EndpointSlice>>, before: Option<&Self>) -> Self {
        let known = before.map(Self::loads).unwrap_or_default();
        let mut members = Vec::new();
        for slice in &slices {
            for (index, endpoint) in slice.endpoints().iter().enumerate() {
                let key = EndpointKey::of(endpoint);
                let load = known.binary_search_by_key(&key, |(key, _)| *key);
                members.push(Member {
                    slice: slice.clone(),
                    index,
                    key,
                    load: load.map_or_else(|_| Rc::default(), |place| known[place].1.clone()),
                });
            }
        }
        let in_state = |state: State| -> Vec<u32> {
            let places = (0..).zip(&members);
            let places = places.filter(|(_, member)| member.endpoint().state == state);
            places.map(|(place, _)| place).collect()
        };
        let mut usable = in_state(State::Ready);
        if usable.is_empty() {
            usable = in_state(State::Unknown);
        }
        let weights = usable
            .iter()
            .map(|place| members[*place as usize].endpoint().weight);
        Self {
            port,
            slices,
            weights: Weights::new(&weights.collect::<Vec<_>>()),
            usable,
            members,
        }
    }

    /// What is known, in order of keys.
    fn loads(&self) -> Vec<(EndpointKey, Rc<Load>)> {
        let loads = self
            .members
            .iter()
            .map(|member| (member.key, member.load.clone()));
        let mut loads = loads.collect::<Vec<_>>();
        loads.sort_unstable_by_key(|(key, _)| *key);
        loads
    }

    fn is_of(&self, slices: &[Arc<EndpointSlice>]) -> bool {
        self.slices.len() == slices.len()
            && self
                .slices
                .iter()
                .zip(slices)
                .all(|(ours, theirs)| Arc::ptr_eq(ours, theirs))
    }

    fn pick(self: &Rc<Self>, tried: &Tried, now: Mono, dice: &mut Dice) -> Result<Picked, Refusal> {
        let mut without = self.without(tried);
        let Some((first, roll)) = self.weights.draw(without.places(), dice) else {
            return Err(self.nobody());
        };
        let first = self.drawn(first, roll, now);
        without.add(first.place);
        let Some((second, roll)) = self.weights.draw(without.places(), dice) else {
            return Ok(self.begin(now, first.candidate(), None));
        };
        let second = self.drawn(second, roll, now);
        let (chosen, other) = if second.is_clearly_better_than(&first) {
            (second, first)
        } else {
            (first, second)
        };
        Ok(self.begin(now, chosen.candidate(), Some(other.candidate())))
    }

    /// The places of those that had a try, unless no other would be left.
    fn without(&self, tried: &Tried) -> Without {
        let mut without = Without::default();
        if tried.keys().is_empty() {
            return without;
        }
        for (place, member) in self.usable.iter().enumerate() {
            if tried
                .keys()
                .contains(&Some(self.members[*member as usize].key))
            {
                without.add(place);
            }
        }
        if without.count == self.usable.len() {
            return Without::default();
        }
        without
    }

    fn nobody(&self) -> Refusal {
        if self.members.is_empty() {
            return Refusal::NoEndpoint(self.port.clone());
        }
        Refusal::NoEndpointUsable {
            port: self.port.clone(),
            known: self.members.len(),
        }
    }

    fn drawn(&self, place: usize, roll: Roll, now: Mono) -> Drawn {
        let member = self.usable[place] as usize;
        Drawn {
            place,
            member,
            share: self.weights.share(place),
            roll,
            reading: self.members[member].load.read(now),
        }
    }

    fn begin(self: &Rc<Self>, now: Mono, chosen: Candidate, other: Option<Candidate>) -> Picked {
        let picked = Picked {
            draw: Draw {
                known: narrow(self.members.len()),
                usable: narrow(self.usable.len()),
                chosen,
                other,
            },
            pool: self.clone(),
            began: now,
        };
        picked.member().load.begin();
        picked
    }
}

/// An endpoint that was drawn, as it is compared.
#[derive(Clone, Copy, Debug)]
struct Drawn {
    /// Among those that can be drawn.
    place: usize,
    /// Among all.
    member: usize,
    /// Its weight beside the average one.
    share: f64,
    roll: Roll,
    reading: Reading,
}

impl Drawn {
    /// Between two that are about as good the first draw stands, so that weights hold.
    fn is_clearly_better_than(&self, first: &Self) -> bool {
        // Nothing is known of how fast a cold endpoint is: it is taken to be as fast as the other.
        let (ours, theirs) = match (self.reading.latency, first.reading.latency) {
            (Some(ours), Some(theirs)) => (ours, theirs),
            (None, _) | (_, None) => (AS_FAST_AS_ANY, AS_FAST_AS_ANY),
        };
        self.cost(ours) * CLEARLY < first.cost(theirs)
    }

    /// How long an answer would take behind those that wait already, over the square of the chance
    /// to get a good one: an endpoint that fails is not cheap for failing fast.
    fn cost(&self, latency: f64) -> f64 {
        let waiting = 1.0 + f64::from(self.reading.in_flight) / self.share;
        let success = (1.0 - self.reading.failing).max(0.01);
        latency.max(AS_FAST_AS_ANY) * waiting / (success * success)
    }

    fn candidate(&self) -> Candidate {
        Candidate::new(self.member, Some(self.roll), self.reading)
    }
}

/// How much lower a cost must be to be taken for lower.
const CLEARLY: f64 = 9.0 / 8.0;
/// In seconds: what differs below this is noise.
const AS_FAST_AS_ANY: f64 = 0.001;

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// An endpoint with a call in flight to it. Give it back with [`Self::finish`]; one that is
/// dropped, because its task was cancelled, is no longer in flight either, and teaches nothing.
#[derive(Debug)]
#[must_use]
pub struct Picked {
    draw: Draw,
    pool: Rc<Pool>,
    began: Mono,
}

impl Picked {
    /// Who it is.
    pub fn endpoint(&self) -> &Endpoint {
        self.member().endpoint()
    }

    /// How it was chosen.
    pub fn draw(&self) -> &Draw {
        &self.draw
    }

    /// The endpoint accepted a stream of bytes. How long that took is learned; the stream is in
    /// flight for as long as this value lives.
    pub fn connected(&mut self, now: Mono) {
        let took = now.since(self.began);
        self.member().load.learn(Ended::Answered, took, now);
    }

    /// The call is over; what is learned of it changes the next picks.
    pub fn finish(self, ended: Ended, now: Mono) {
        let took = now.since(self.began);
        self.member().load.learn(ended, took, now);
    }

    fn member(&self) -> &Member {
        &self.pool.members[self.draw.chosen.index as usize]
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.member().load.end();
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
    fn new(member: usize, roll: Option<Roll>, reading: Reading) -> Self {
        let duration = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Self {
            index: narrow(member),
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

/// Stands for an endpoint in all views: who it is and where.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct EndpointKey(Key);

impl EndpointKey {
    fn of(endpoint: &Endpoint) -> Self {
        let ip = match endpoint.address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let key = Key::START
            .then(endpoint.cluster.as_str().as_bytes())
            .then(endpoint.workload.namespace.as_str().as_bytes())
            .then(endpoint.workload.name.as_str().as_bytes())
            .then(endpoint.network.as_str().as_bytes())
            .then(&ip.octets())
            .then(&endpoint.address.port().to_be_bytes());
        Self(key)
    }
}

/// The endpoints that had a try for one call; the latest of them, if they are many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tried {
    keys: [Option<EndpointKey>; MOST_TRIED],
    count: usize,
}

const MOST_TRIED: usize = 15;

impl Tried {
    /// Remembers that `picked` had a try.
    pub fn add(&mut self, picked: &Picked) {
        let key = picked.member().key;
        if !self.keys().contains(&Some(key)) {
            self.keys[self.count % MOST_TRIED] = Some(key);
            self.count += 1;
        }
    }

    fn keys(&self) -> &[Option<EndpointKey>] {
        &self.keys[..self.count.min(MOST_TRIED)]
    }
}

/// Places that are not to be drawn, in rising order.
#[derive(Default)]
struct Without {
    places: [usize; MOST_TRIED + 1],
    count: usize,
}

impl Without {
    fn places(&self) -> &[usize] {
        &self.places[..self.count]
    }

    /// Adds a place; those beyond the limit may be drawn.
    fn add(&mut self, place: usize) {
        if self.count == self.places.len() {
            return;
        }
        let at = self.places().partition_point(|held| *held < place);
        self.places[at..=self.count].rotate_right(1);
        self.places[at] = place;
        self.count += 1;
    }
}

/// How many endpoints that cannot be used are told one by one.
const MOST_DETAILS: usize = 20;

/// The step endpoint, told after the pick.
fn step(port: &Port, pool: Option<&Pool>, picked: &Result<Picked, Refusal>) -> Step {
    let (outcome, text, details) = match picked {
        Ok(picked) => (Outcome::Yes, chosen(picked), passed_over(picked)),
        Err(_) => (Outcome::No, nobody(port, pool), unusable(pool)),
    };
    // An endpoint that is alone is what would be picked at any time.
    let known = match picked {
        Ok(Picked {
            draw: Draw { usable: 2.., .. },
            ..
        }) => Known::Assumed,
        Ok(_) | Err(_) => Known::Replayed,
    };
    Step {
        kind: StepKind::Endpoint,
        outcome,
        known,
        text,
        origin: None,
        details,
    }
}

fn chosen(picked: &Picked) -> String {
    let Draw { known, usable, .. } = picked.draw;
    let Endpoint {
        address, workload, ..
    } = picked.endpoint();
    format!("{address} ({workload}), {usable} of {known} usable")
}

fn nobody(port: &Port, pool: Option<&Pool>) -> String {
    match pool {
        Some(pool) if !pool.members.is_empty() => format!("0 of {} usable", pool.members.len()),
        Some(_) | None => format!("{} has none", port.name()),
    }
}

fn passed_over(picked: &Picked) -> Vec<Detail> {
    let detail = |candidate: &Candidate, how: &str| {
        let member = &picked.pool.members[candidate.index as usize];
        Detail {
            text: format!("{} {how}: {candidate}", member.endpoint().address),
            origin: None,
        }
    };
    let chosen = detail(&picked.draw.chosen, "taken");
    let other = picked.draw.other.as_ref();
    [chosen]
        .into_iter()
        .chain(other.map(|other| detail(other, "not taken")))
        .collect()
}

fn unusable(pool: Option<&Pool>) -> Vec<Detail> {
    let members = pool.map_or(&[][..], |pool| &pool.members);
    let told = members.iter().take(MOST_DETAILS).map(|member| Detail {
        text: format!("{} draining", member.endpoint().address),
        origin: None,
    });
    told.collect()
}
