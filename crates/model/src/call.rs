//! The name of one call, the same at both of its proxies.

use core::fmt;

use crate::dice::Dice;

/// 128 random bits, made by the first proxy that sees a call and carried to the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u128);

impl CallId {
    /// The header that carries it from proxy to proxy, inside a tunnel only.
    pub const HEADER: &str = "leno-id";

    /// A new name.
    pub fn roll(dice: &mut Dice) -> Self {
        let high = u128::from(dice.next_u64());
        Self(high << 64 | u128::from(dice.next_u64()))
    }

    /// Reads what [`Self::digits`] wrote.
    pub fn parse(digits: &[u8]) -> Option<Self> {
        let digits: &[u8; 32] = digits.try_into().ok()?;
        let (high, low) = digits.split_at(16);
        Some(Self(u128::from(half(high)?) << 64 | u128::from(half(low)?)))
    }

    /// The name that has these bits.
    pub fn of_number(number: u128) -> Self {
        Self(number)
    }

    /// Its bits as a number, by which calls are chosen alike wherever they are seen.
    pub fn number(self) -> u128 {
        self.0
    }

    /// All of it, as it travels: 32 hexadecimal digits.
    pub fn digits(self) -> [u8; 32] {
        let mut digits = [0; 32];
        let bytes = self.0.to_be_bytes();
        for (two, byte) in digits.as_chunks_mut().0.iter_mut().zip(bytes) {
            *two = [byte >> 4, byte & 0xf].map(|nibble| DIGITS[usize::from(nibble)]);
        }
        digits
    }
}

/// Half of a name. It is read for every call: which digits come cannot be foreseen, so nothing branches on them.
fn half(digits: &[u8]) -> Option<u64> {
    let (number, seen) = digits.iter().fold((0, 0), |(number, seen), digit| {
        let nibble = NIBBLES[usize::from(*digit)];
        (number << 4 | u64::from(nibble & 0xf), seen | nibble)
    });
    (seen <= 0xf).then_some(number)
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What each digit stands for, and more than a digit can for what is none.
const NIBBLES: [u8; 256] = {
    let mut nibbles = [u8::MAX; 256];
    let mut nibble = 0;
    while nibble < 16 {
        nibbles[DIGITS[nibble as usize] as usize] = nibble;
        nibble += 1;
    }
    nibbles
};

/// The first eight digits: what people see and type.
impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 96)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_travels_whole_and_is_shown_short() {
        let id = CallId::roll(&mut Dice::new(1));
        assert_eq!(CallId::parse(&id.digits()), Some(id));
        assert_eq!(format!("{id:?}").as_bytes(), id.digits());
        assert!(format!("{id:?}").starts_with(&id.to_string()));
        assert_eq!(id.to_string().len(), 8);
    }

    #[test]
    fn nothing_else_is_a_name() {
        for bad in [
            "",
            "7c1e4b02",
            &"g".repeat(32),
            &"A".repeat(32),
            &"0".repeat(33),
        ] {
            assert_eq!(CallId::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
