//! A line in the making. Whatever a stranger could choose is cut and escaped, so that a line is
//! ASCII, ends where it ends, and cannot pass for another.

use std::fmt::Display;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};

use leno_model::Wall;
use leno_model::view::LogFields;

use crate::event::{Party, cut};

/// A line in the making. It is used again for the next one, and remembers the time of the last.
#[derive(Debug)]
pub(super) struct Line {
    text: Vec<u8>,
    /// The fields that stand in it; `None` is all.
    chosen: Option<LogFields>,
    second: u64,
    /// The text of `second`, with some milliseconds.
    time: String,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            text: Vec::new(),
            chosen: None,
            second: 0,
            time: Wall::default().to_string(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
    }

    /// Which fields stand in it from here on.
    pub(super) fn choose(&mut self, chosen: Option<LogFields>) {
        self.chosen = chosen;
    }

    /// Whether a field stands in it.
    pub(super) fn has(&self, field: &str) -> bool {
        self.chosen.is_none_or(|chosen| chosen.has(field))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// A text of ours.
    pub(super) fn add(&mut self, text: &str) {
        self.ascii(text.as_bytes());
    }

    /// Letters of ours that come as bytes.
    pub(super) fn ascii(&mut self, letters: &[u8]) {
        self.text.extend_from_slice(letters);
    }

    /// A value of ours for which there is no quicker way.
    pub(super) fn show(&mut self, value: impl Display) {
        write!(self.text, "{value}").expect("a Vec takes every byte");
    }

    pub(super) fn number(&mut self, number: u64) {
        self.add(itoa::Buffer::new().format(number));
    }

    /// A number of thousandths as a decimal: `2.104`.
    pub(super) fn thousandths(&mut self, thousandths: u64) {
        self.number(thousandths / 1000);
        let rest = thousandths % 1000;
        self.text.push(b'.');
        self.three_digits(rest);
    }

    /// A time as [`Wall`] prints it. All of one second share their first letters.
    pub(super) fn time(&mut self, time: Wall) {
        let elapsed = time.elapsed_since_epoch();
        if elapsed.as_secs() != self.second {
            self.second = elapsed.as_secs();
            self.time = time.to_string();
        }
        let begin = self.time.len() - ".000Z".len();
        self.text.extend_from_slice(&self.time.as_bytes()[..begin]);
        self.text.push(b'.');
        self.three_digits(elapsed.subsec_millis().into());
        self.text.push(b'Z');
    }

    pub(super) fn address(&mut self, address: SocketAddr) {
        match address {
            SocketAddr::V4(address) => {
                self.ipv4(*address.ip());
                self.text.push(b':');
                self.number(address.port().into());
            }
            SocketAddr::V6(address) => self.show(address),
        }
    }

    pub(super) fn party(&mut self, party: Party<'_>) {
        match party {
            Party::Known { namespace, name } => {
                self.add(namespace);
                self.text.push(b'/');
                self.add(name);
            }
            Party::Peer { .. } | Party::Outside(_) | Party::Probe | Party::Unknown => {
                self.show(party)
            }
        }
    }

    /// As much of a text from outside as is kept: bytes that are `plain` as they are, other letters
    /// by `escaped`.
    pub(super) fn outside(
        &mut self,
        text: &str,
        plain: fn(u8) -> bool,
        escaped: fn(&mut Self, char),
    ) {
        let (mut rest, is_cut) = cut(text);
        loop {
            // What is plain is ASCII, so that a run never ends inside a letter.
            let run = rest.bytes().take_while(|byte| plain(*byte)).count();
            let (good, bad) = rest.split_at(run);
            self.add(good);
            let mut letters = bad.chars();
            match letters.next() {
                Some(letter) => escaped(self, letter),
                None => break,
            }
            rest = letters.as_str();
        }
        if is_cut {
            self.add("...");
        }
    }

    /// Spaces up to a length; at least one.
    pub(super) fn pad(&mut self, length: usize) {
        let length = length.max(self.text.len() + 1);
        self.text.resize(length, b' ');
    }

    fn ipv4(&mut self, address: Ipv4Addr) {
        let [first, rest @ ..] = address.octets();
        self.number(first.into());
        for octet in rest {
            self.text.push(b'.');
            self.number(octet.into());
        }
    }

    fn three_digits(&mut self, number: u64) {
        let digits = [number / 100, number / 10 % 10, number % 10];
        self.text.extend(digits.map(|digit| b'0' + digit as u8));
    }
}

/// Whether a byte may stand between quotes as it is.
pub(super) fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leno_model::Dice;

    use super::*;

    fn check(write: impl FnOnce(&mut Line), expect: &str) {
        let mut line = Line::new();
        write(&mut line);
        assert_eq!(str::from_utf8(line.as_bytes()).unwrap(), expect);
    }

    #[test]
    fn values_read_as_they_print() {
        let mut dice = Dice::new(1);
        let mut line = Line::new();
        for _ in 0..1_000 {
            let millis = 1_795_170_718_250 + dice.next_u64() % 2_000;
            let time = Wall::since_epoch(Duration::from_millis(millis));
            line.clear();
            line.time(time);
            assert_eq!(line.as_bytes(), time.to_string().as_bytes());
        }
        for address in ["10.2.0.255:8080", "0.0.0.0:0", "[fd00::1]:65535"] {
            check(|line| line.address(address.parse().unwrap()), address);
        }
        check(|line| line.thousandths(2_004), "2.004");
        check(|line| line.party(Party::Unknown), "unknown");
    }

    #[test]
    fn a_text_from_outside_is_cut_between_letters() {
        let escaped = |line: &mut Line, letter: char| line.show(letter.escape_unicode());
        let long = "a".repeat(1023) + "é" + "b";
        check(
            |line| line.outside(&long, is_plain, escaped),
            &("a".repeat(1023) + "..."),
        );
        let fits = "a".repeat(1024);
        check(|line| line.outside(&fits, is_plain, escaped), &fits);
        check(
            |line| line.outside("\u{0}a\u{202e}", is_plain, escaped),
            "\\u{0}a\\u{202e}",
        );
    }
}
