//! The endpoints of one port, as one worker sees them, and the draw between two of them.

use alloc::{rc::Rc, sync::Arc, vec::Vec};
use core::cell::Cell;
use core::net::IpAddr;

use leno_model::view::{Endpoint, EndpointSlice, PortRef, State};
use leno_model::{Dice, Mono, Roll};

use crate::balance::draw::Weights;
use crate::balance::load::{AS_FAST_AS_ANY, Load, Reading};
use crate::balance::tried::{Tried, Without};
use crate::balance::{Candidate, Draw, Picked};
use crate::index::Key;
use crate::refusal::Refusal;

/// The endpoints of one port. Never changed: a call in flight keeps the one it was picked from.
#[derive(Debug)]
pub(super) struct Pool {
    port: PortRef,
    slices: Vec<Arc<EndpointSlice>>,
    members: Vec<Member>,
    /// Places in `members` that may be drawn.
    usable: Vec<u32>,
    /// Of those in `usable`.
    weights: Weights,
    /// The latest moment that a call told: a call that is dropped cannot read a clock.
    latest: Cell<Mono>,
}

/// One of the endpoints, and what is known of it.
#[derive(Debug)]
pub(super) struct Member {
    slice: Arc<EndpointSlice>,
    index: usize,
    pub(super) key: EndpointKey,
    pub(super) load: Rc<Load>,
}

impl Member {
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.slice.endpoints()[self.index]
    }
}

impl Pool {
    /// The endpoints of `slices`; what is known of those that stood in the pool `before` is kept.
    pub(super) fn new(
        port: PortRef,
        slices: Vec<Arc<EndpointSlice>>,
        before: Option<&Self>,
    ) -> Self {
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
            latest: before.map(|pool| pool.latest.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn port(&self) -> &PortRef {
        &self.port
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(super) fn member(&self, index: u32) -> &Member {
        &self.members[index as usize]
    }

    pub(super) fn latest(&self) -> Mono {
        self.latest.get()
    }

    pub(super) fn heard(&self, now: Mono) {
        self.latest.set(now.max(self.latest.get()));
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

    /// Whether the endpoints are the very same values.
    pub(super) fn is_of(&self, slices: &[Arc<EndpointSlice>]) -> bool {
        self.slices.len() == slices.len()
            && self
                .slices
                .iter()
                .zip(slices)
                .all(|(ours, theirs)| Arc::ptr_eq(ours, theirs))
    }

    /// The better of two that are drawn.
    pub(super) fn pick(
        self: &Rc<Self>,
        tried: &Tried,
        now: Mono,
        dice: &mut Dice,
    ) -> Result<Picked, Refusal> {
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

    /// The endpoint of this key, whatever its state.
    pub(super) fn take(self: &Rc<Self>, key: EndpointKey, now: Mono) -> Option<Picked> {
        let place = self.members.iter().position(|member| member.key == key)?;
        let reading = self.members[place].load.read(now);
        let chosen = Candidate::new(narrow(place), None, reading);
        Some(self.begin(now, chosen, None))
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
        if without.places().len() == self.usable.len() {
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
        let member = self.usable[place];
        Drawn {
            place,
            member,
            share: self.weights.share(place),
            roll,
            reading: self.member(member).load.read(now),
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
            taught: false,
        };
        self.heard(now);
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
    member: u32,
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

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Stands for an endpoint in all views: who it is and where.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct EndpointKey(Key);

impl EndpointKey {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
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
