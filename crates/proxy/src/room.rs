//! How many connections a process holds at most, of all peers and of each, and whether it has files
//! for them.
//!
//! The bounds hold for all workers together. A worker takes places in advance while there are many, so
//! that what comes and goes touches nothing that another worker writes.

use std::cell::Cell;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_model::{Mono, SpiffeId};
use rustc_hash::FxHashMap;

/// The places of a process, for connections and streams.
#[derive(Debug)]
pub(crate) struct Room {
    places: usize,
    of_peer: usize,
    taken: AtomicUsize,
    /// What each peer holds. It has no more entries than there are connections.
    peers: Mutex<FxHashMap<Peer, usize>>,
    /// When it was said last that no file is left.
    starved: Mutex<Option<Mono>>,
}

/// Whose connections are counted together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Peer {
    /// Whoever comes from an address, and has proven nothing.
    Address(IpAddr),
    /// Whoever has proven to be somebody.
    Identity(SpiffeId),
}

/// How long it is not said again that no file is left.
const SAID: Duration = Duration::from_secs(60);

/// How many places a worker takes in advance.
const BATCH: usize = 32;

impl Room {
    /// So many, of which one peer may take `of_peer`, and none is taken.
    pub(crate) fn new(places: usize, of_peer: usize) -> Arc<Self> {
        Arc::new(Self {
            places,
            of_peer,
            taken: AtomicUsize::new(0),
            peers: Mutex::default(),
            starved: Mutex::default(),
        })
    }

    /// Takes note that no file is left; whether that is to be said.
    pub(crate) fn notes_starved(&self, now: Mono) -> bool {
        let mut said = self.starved.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = said.is_none_or(|said| now.since(said) >= SAID);
        if fresh {
            *said = Some(now);
        }
        fresh
    }

    /// One more connection of `peer`, unless it holds as many as one may.
    pub(crate) fn join(self: &Arc<Self>, peer: Peer) -> Option<Share> {
        let mut peers = self.peers();
        let held = peers.entry(peer.clone()).or_default();
        if *held >= self.of_peer {
            return None;
        }
        *held += 1;
        drop(peers);
        Some(Share {
            room: self.clone(),
            peer,
        })
    }

    fn peers(&self) -> MutexGuard<'_, FxHashMap<Peer, usize>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, count: usize, spare: usize) -> bool {
        let most = self.places.saturating_add(spare);
        let next = |taken: usize| (taken + count <= most).then_some(taken + count);
        let taken = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.is_ok()
    }

    fn give_back(&self, count: usize) {
        self.taken.fetch_sub(count, Ordering::Relaxed);
    }

    /// Whether so many are free that workers may take some in advance.
    fn is_wide(&self) -> bool {
        let taken = self.taken.load(Ordering::Relaxed);
        self.places > 32 * BATCH && taken < self.places / 4 * 3
    }
}

/// One of the connections of a peer, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    room: Arc<Room>,
    peer: Peer,
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Entry::Occupied(mut held) = self.room.peers().entry(self.peer.clone()) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

/// A worker's way to the places of its process.
#[derive(Debug)]
pub(crate) struct Places {
    room: Arc<Room>,
    /// Taken in advance, and free.
    ahead: Cell<usize>,
}

/// One place, taken until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    places: Rc<Places>,
    /// Whose it is, where that is counted.
    share: Option<Share>,
}

impl Places {
    pub(crate) fn new(room: Arc<Room>) -> Rc<Self> {
        Rc::new(Self {
            room,
            ahead: Cell::new(0),
        })
    }

    /// The places of the process.
    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Takes a place; with `spare`, also one of so many more.
    pub(crate) fn take(self: &Rc<Self>, spare: usize) -> Option<Seat> {
        let seat = || {
            let places = self.clone();
            Some(Seat {
                places,
                share: None,
            })
        };
        if let Some(rest) = self.ahead.get().checked_sub(1) {
            self.ahead.set(rest);
            return seat();
        }
        if self.room.is_wide() && self.room.take(BATCH, 0) {
            self.ahead.set(BATCH - 1);
            return seat();
        }
        self.room.take(1, spare).then(seat).flatten()
    }
}

impl Seat {
    /// The same, of a peer whose connections are counted.
    pub(crate) fn of(mut self, share: Option<Share>) -> Self {
        self.share = share;
        self
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Self { places, .. } = self;
        let ahead = places.ahead.get() + 1;
        if ahead < 2 * BATCH && places.room.is_wide() {
            return places.ahead.set(ahead);
        }
        places.ahead.set(0);
        places.room.give_back(ahead);
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.room.give_back(self.ahead.get());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A worker's way to so many places.
    pub(crate) fn places(count: usize) -> Rc<Places> {
        Places::new(Room::new(count, count))
    }

    #[test]
    fn a_place_is_taken_once_and_free_again() {
        let places = places(1);
        let seat = places.take(0).unwrap();
        assert!(places.take(0).is_none());
        let spare = places.take(1).unwrap();
        assert!(places.take(1).is_none());
        drop((seat, spare));
        assert!(places.take(0).is_some());
    }

    #[test]
    fn workers_never_take_more_together_than_there_are() {
        const MANY: usize = 2000;
        let room = Room::new(MANY, MANY);
        let workers = [(); 3].map(|()| Places::new(room.clone()));
        let mut seats = Vec::new();
        for turn in 0..3 {
            for places in workers.iter().cycle().skip(turn) {
                match places.take(0) {
                    Some(seat) => seats.push(seat),
                    None => break,
                }
            }
            assert!(seats.len() <= MANY);
            // What a worker has in advance it may keep for itself, and no more.
            assert!(seats.len() >= MANY - 2 * BATCH * workers.len());
            seats.truncate(MANY / 2);
        }
        drop(seats);
        drop(workers);
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_peer_holds_no_more_than_its_share_and_no_name_outlives_its_connections() {
        let room = Room::new(10, 2);
        let peer = |last| Peer::Address(IpAddr::from([10, 0, 0, last]));
        let two = [(); 2].map(|()| room.join(peer(1)).unwrap());
        assert!(room.join(peer(1)).is_none());
        let other = room.join(peer(2)).unwrap();
        let [one, _two] = two;
        drop(one);
        let again = room.join(peer(1));
        assert!(again.is_some());
        drop((again, other, _two));
        assert!(room.peers().is_empty());
    }

    #[test]
    fn that_no_file_is_left_is_said_once_a_minute() {
        let room = Room::new(1, 1);
        let said = |seconds| {
            let now = Mono::since_start(Duration::from_secs(seconds));
            room.notes_starved(now)
        };
        let told = [0, 1, 59, 60, 61, 119, 120].map(said);
        assert_eq!(told, [true, false, false, true, false, false, true]);
    }
}
