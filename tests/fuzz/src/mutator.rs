//! Changes inputs at random, and the same way again for the same seed.

use std::num::NonZeroU32;

use leno_model::Dice;

/// Makes inputs of others.
#[derive(Debug)]
pub struct Mutator {
    dice: Dice,
    words: Vec<&'static str>,
}

/// How long an input may become.
const MOST_BYTES: usize = 16 * 1024;

impl Mutator {
    /// One that puts these words in between, beside those that mean something to many parsers.
    pub fn new(seed: u64, words: &[&'static str]) -> Self {
        Self {
            dice: Dice::new(seed),
            words: [EVERYWHERE, words].concat(),
        }
    }

    /// One of some things.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Changes an input in one to three places; `other` may lend a piece.
    pub fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(3) {
            self.change_once(input, other);
        }
        input.truncate(MOST_BYTES);
    }

    fn change_once(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        let length = 1 << self.below(7);
        let end = (at + self.below(length + 1)).min(input.len());
        match self.below(9) {
            0 if at < input.len() => input[at] = self.byte(),
            1 if at < input.len() => input[at] ^= 1 << self.below(8),
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].repeat(1 + self.below(4));
                input.splice(end..end, again);
            }
            4 => {
                let from = self.below(other.len() + 1);
                let to = (from + length).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            5 => {
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend(&other[from..]);
            }
            6 => {
                let bytes: Vec<_> = (0..length.min(8)).map(|_| self.byte()).collect();
                input.splice(at..end, bytes);
            }
            _ => {
                let word = self.below(self.words.len());
                let word = self.words[word].bytes();
                let to = if self.below(2) == 0 { at } else { end };
                input.splice(at..to, word);
            }
        }
    }

    fn byte(&mut self) -> u8 {
        const NOTABLE: &[u8] = b"\0\r\n\t :;,/.%\\\"'{}[]0179afzAZ\x7f\x80\xc0\xff";
        match self.below(2) {
            0 => *self.one(NOTABLE),
            _ => self.dice.next_u64() as u8,
        }
    }

    /// A number below `limit`, which is above zero.
    fn below(&mut self, limit: usize) -> usize {
        let sides = u32::try_from(limit).ok().and_then(NonZeroU32::new);
        let sides = sides.expect("inputs are short, and there is one");
        self.dice.roll(sides).value as usize
    }
}

/// What means something to many parsers.
const EVERYWHERE: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "\0",
    ":",
    ",",
    ";",
    "/",
    "..",
    "%2F",
    "%00",
    "\u{b}",
    "0",
    "-1",
    "18446744073709551616",
    "é",
    "\u{2028}",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_changes_the_same() {
        let changed = |seed| {
            let mut mutator = Mutator::new(seed, &["word"]);
            let mut input = b"GET / HTTP/1.1".to_vec();
            for _ in 0..50 {
                mutator.change(&mut input, b"other");
            }
            input
        };
        assert_eq!(changed(7), changed(7));
        assert_ne!(changed(7), changed(8));
        assert!(changed(7).len() <= MOST_BYTES);
    }
}
