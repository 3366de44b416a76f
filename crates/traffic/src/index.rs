//! Lookup tables that only propose: they hold hashes and no names, so that whatever they propose
//! must be asked whether it matches. Two names with one hash cost a question, never a wrong answer.

use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::num::NonZeroU64;

/// What something is filed under: the hash of its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Key(NonZeroU64);

impl Key {
    /// The key of nothing, to which parts are added.
    pub(crate) const START: Self = Self(NonZeroU64::new(0x243f_6a88_85a3_08d3).unwrap());

    /// A key that stands for itself, to tell things of one name apart.
    pub(crate) const OTHER: Self = Self(NonZeroU64::new(0x1319_8a2e_0370_7344).unwrap());

    /// The key of what this one stands for, followed by `text`.
    pub(crate) fn then(self, text: &[u8]) -> Self {
        self.fold(hash(text, 0))
    }

    /// The same without regard to ASCII case, and to a little more than that: a few other
    /// characters share a key too.
    pub(crate) fn then_in_any_case(self, text: &[u8]) -> Self {
        self.fold(hash(text, CASE_BITS))
    }

    /// The key of both.
    pub(crate) fn and(self, other: Self) -> Self {
        self.fold(other.0.get())
    }

    fn fold(self, bits: u64) -> Self {
        let mixed = mix(self.0.get(), bits);
        Self(NonZeroU64::new(mixed).unwrap_or(NonZeroU64::MIN))
    }
}

/// The bit by which the cases of an ASCII letter differ, in each of eight bytes.
const CASE_BITS: u64 = 0x2020_2020_2020_2020;

fn hash(text: &[u8], set: u64) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let mut state = text.len() as u64;
    for word in words {
        state = mix(state, u64::from_le_bytes(*word) | set);
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    mix(state, u64::from_le_bytes(last) | set)
}

/// Multiplies to twice the width and folds the halves, so that every bit in moves every bit out.
fn mix(one: u64, other: u64) -> u64 {
    let wide = u128::from(one ^ 0x9e37_79b9_7f4a_7c15) * u128::from(other ^ 0xd6e8_feb8_6659_fd93);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
    let (low, high) = (wide as u64, (wide >> 64) as u64);
    low ^ high
}

/// Positions by key, each key's in rising order. It can be asked and not listed, so that the
/// order of hashes decides nothing.
#[derive(Debug)]
pub(crate) struct Index {
    /// Open addressing: a power of two of slots, at least a quarter of them free.
    slots: Vec<Option<(Key, u32, u32)>>,
    positions: Vec<u32>,
}

impl Index {
    pub(crate) fn new(filed: BTreeMap<Key, Vec<u32>>) -> Self {
        let size = (filed.len() * 4 / 3 + 1).next_power_of_two();
        let mut index = Self {
            slots: vec![None; size],
            positions: Vec::new(),
        };
        for (key, mut positions) in filed {
            positions.sort_unstable();
            positions.dedup();
            let start = index.positions.len();
            index.positions.append(&mut positions);
            let end = index.positions.len();
            let mut at = index.home(key);
            while index.slots[at].is_some() {
                at = (at + 1) % size;
            }
            let narrow = |n| u32::try_from(n).expect("a view is smaller than four billion rules");
            index.slots[at] = Some((key, narrow(start), narrow(end)));
        }
        index
    }

    /// The positions filed under `key`, in rising order.
    pub(crate) fn get(&self, key: Key) -> &[u32] {
        let mut at = self.home(key);
        while let Some((held, start, end)) = self.slots[at] {
            if held == key {
                return &self.positions[start as usize..end as usize];
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        &[]
    }

    fn home(&self, key: Key) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
        let bits = key.0.get() as usize;
        bits & (self.slots.len() - 1)
    }
}

/// The first of the positions so far for which a question was answered with yes.
pub(crate) struct First<F> {
    best: u32,
    asks: F,
}

impl<F: FnMut(u32) -> bool> First<F> {
    pub(crate) fn new(asks: F) -> Self {
        Self {
            best: u32::MAX,
            asks,
        }
    }

    /// Asks about `positions`, which rise, until one is answered with yes or none can be better.
    pub(crate) fn try_all(&mut self, positions: &[u32]) {
        for &position in positions {
            if position >= self.best {
                return;
            }
            if (self.asks)(position) {
                self.best = position;
                return;
            }
        }
    }

    pub(crate) fn found(self) -> Option<usize> {
        (self.best != u32::MAX).then_some(self.best as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::START.then(text.as_bytes())
    }

    #[test]
    fn what_was_filed_is_found() {
        let filed = (0..1000u32)
            .map(|n| (key(&n.to_string()), vec![n + 5000, n]))
            .collect();
        let index = Index::new(filed);
        for n in 0..1000u32 {
            assert_eq!(index.get(key(&n.to_string())), [n, n + 5000]);
        }
        assert_eq!(index.get(key("nothing")), [0u32; 0]);
        assert_eq!(Index::new(BTreeMap::new()).get(key("a")), [0u32; 0]);
    }

    #[test]
    fn keys_differ_where_names_do() {
        let parts = |parts: &[&str]| {
            parts
                .iter()
                .fold(Key::START, |key, part| key.then(part.as_bytes()))
        };
        let all = [
            parts(&[]),
            parts(&[""]),
            parts(&["", ""]),
            parts(&["a"]),
            parts(&["a", ""]),
            parts(&["", "a"]),
            parts(&["a\0"]),
            parts(&["abcdefgh"]),
            parts(&["abcd", "efgh"]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
        let loud = Key::START.then_in_any_case(b"CART.Shop.Example");
        assert_eq!(loud, Key::START.then_in_any_case(b"cart.shop.example"));
    }

    #[test]
    fn the_first_yes_wins_whatever_the_order_of_lists() {
        let mut first = First::new(|position| position % 10 == 0);
        first.try_all(&[7, 30, 40]);
        first.try_all(&[11, 20]);
        first.try_all(&[25, 50]);
        assert_eq!(first.found(), Some(20));
        assert_eq!(First::new(|_| true).found(), None);
    }
}
