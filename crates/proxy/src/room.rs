//! How many connections a process holds at most, and whether it has files for them: exact for all of
//! its workers together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leno_model::Mono;

/// The places for connections and streams.
#[derive(Debug)]
pub(crate) struct Room {
    places: usize,
    taken: AtomicUsize,
    /// When it was said last that no file is left.
    starved: Mutex<Option<Mono>>,
}

/// How long it is not said again that no file is left.
const SAID: Duration = Duration::from_secs(60);

/// One place, taken until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Room>);

impl Room {
    /// So many, and none is taken.
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            places,
            taken: AtomicUsize::new(0),
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

    #[test]
    fn that_no_file_is_left_is_said_once_a_minute() {
        let room = Room::new(1);
        let said = |seconds| {
            let now = Mono::since_start(Duration::from_secs(seconds));
            room.notes_starved(now)
        };
        let told = [0, 1, 59, 60, 61, 119, 120].map(said);
        assert_eq!(told, [true, false, false, true, false, false, true]);
    }
}
