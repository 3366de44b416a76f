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
        let lower = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 32 || !digits.iter().all(lower) {
            return None;
        }
        let text = core::str::from_utf8(digits).ok()?;
        u128::from_str_radix(text, 16).ok().map(Self)
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
        for (at, digit) in digits.iter_mut().enumerate() {
            let nibble = (self.0 >> (124 - 4 * at)) as usize & 0xf;
            *digit = b"0123456789abcdef"[nibble];
        }
        digits
    }
}

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
