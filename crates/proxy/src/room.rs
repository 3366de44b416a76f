//! How many connections a process holds at most: exact for all of its workers together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The places for connections and streams.
#[derive(Debug)]
pub(crate) struct Room {
    places: usize,
    taken: AtomicUsize,
}

/// One place, taken until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Room>);

impl Room {
    /// So many, and none is taken.
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            places,
            taken: AtomicUsize::new(0),
        })
    }

    /// Takes a place; with `spare`, also one of so many more.
    pub(crate) fn take(self: &Arc<Self>, spare: usize) -> Option<Seat> {
        let most = self.places.saturating_add(spare);
        let next = |taken| (taken < most).then_some(taken + 1);
        let taken = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.is_ok().then(|| Seat(self.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_once_and_free_again() {
        let room = Room::new(1);
        let seat = room.take(0).unwrap();
        assert!(room.take(0).is_none());
        let spare = room.take(1).unwrap();
        assert!(room.take(1).is_none());
        drop((seat, spare));
        assert!(room.take(0).is_some());
    }
}
