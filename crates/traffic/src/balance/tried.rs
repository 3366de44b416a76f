//! The endpoints that one call has tried, and the places that a draw leaves out.

use crate::balance::Picked;
use crate::balance::pool::EndpointKey;

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

    pub(super) fn keys(&self) -> &[Option<EndpointKey>] {
        &self.keys[..self.count.min(MOST_TRIED)]
    }
}

/// Places that are not to be drawn, in rising order.
#[derive(Default)]
pub(super) struct Without {
    places: [usize; MOST_TRIED + 1],
    count: usize,
}

impl Without {
    pub(super) fn places(&self) -> &[usize] {
        &self.places[..self.count]
    }

    /// Adds a place; those beyond the limit may be drawn.
    pub(super) fn add(&mut self, place: usize) {
        if self.count == self.places.len() {
            return;
        }
        let at = self.places().partition_point(|held| *held < place);
        self.places[at..=self.count].rotate_right(1);
        self.places[at] = place;
        self.count += 1;
    }
}
