//! Which octets may stand where, and small steps over them.

use alloc::vec::Vec;
use core::fmt;

/// Whether `octet` may stand in a token: methods, header names, connection options.
pub(crate) fn is_token(octet: u8) -> bool {
    TOKENS.get(usize::from(octet)).copied().unwrap_or_default()
}

//= RFC 9110 section 5.6.2: "any VCHAR, except delimiters"
#[expect(clippy::indexing_slicing, reason = "as many places as octets")]
const TOKENS: [bool; 256] = {
    let mut tokens = [false; 256];
    let mut octet = 0u8;
    while octet < 0x7f {
        tokens[octet as usize] = octet.is_ascii_graphic()
            && !matches!(
                octet,
                b'"' | b'('
                    | b')'
                    | b','
                    | b'/'
                    | b':'
                    | b';'
                    | b'<'
                    | b'='
                    | b'>'
                    | b'?'
                    | b'@'
                    | b'['
                    | b'\\'
                    | b']'
                    | b'{'
                    | b'}'
            );
        octet = octet.saturating_add(1);
    }
    tokens
};

/// Whether `octets` is a token without a letter in upper case.
pub(crate) fn is_lower_token_text(octets: &[u8]) -> bool {
    let is_lower = |octet: u8| LOWER_TOKENS.get(usize::from(octet)).copied();
    octets.iter().fold(!octets.is_empty(), |all, octet| {
        all & is_lower(*octet).unwrap_or_default()
    })
}

#[expect(clippy::indexing_slicing, reason = "as many places as octets")]
const LOWER_TOKENS: [bool; 256] = {
    let mut tokens = TOKENS;
    let mut upper = b'A';
    while upper <= b'Z' {
        tokens[upper as usize] = false;
        upper = upper.saturating_add(1);
    }
    tokens
};

/// Whether `octets` is a token: not empty, and nothing else in it.
pub(crate) fn is_token_text(octets: &[u8]) -> bool {
    octets
        .iter()
        .fold(!octets.is_empty(), |all, octet| all & is_token(*octet))
}

/// Whether every octet may stand in a header's value: visible, space, tab, or above ASCII. Most values have
/// nothing but what is visible, which eight octets at a time show.
pub(crate) fn is_field_value(octets: &[u8]) -> bool {
    let (eights, rest) = octets.as_chunks();
    eights
        .iter()
        .all(|eight| are_visible(*eight) || eight.iter().copied().all(is_of_value))
        && rest.iter().copied().all(is_of_value)
}

fn is_of_value(octet: u8) -> bool {
    (octet >= b' ' || octet == b'\t') && octet != 0x7f
}

/// Whether none of them is a control character; a tab is one here. Each octet has the highest bit of its place
/// to itself: it is set below a space by what is borrowed, and at DEL by what is carried.
fn are_visible(eight: [u8; 8]) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    let word = u64::from_ne_bytes(eight);
    let below = word.wrapping_sub(EACH.wrapping_mul(0x20)) & !word;
    let last = word.wrapping_add(EACH);
    (below | last) & EACH.wrapping_mul(0x80) & !(word & EACH.wrapping_mul(0x80)) == 0
}

/// `octets` without spaces and tabs at both ends.
pub(crate) fn trim(mut octets: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = octets {
        octets = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = octets {
        octets = rest;
    }
    octets
}

/// The members of a comma-separated list, trimmed; empty ones are left out.
//= RFC 9110 section 5.6.1.2: "A recipient MUST parse and ignore a reasonable number of empty list elements"
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|octet| *octet == b',')
        .map(trim)
        .filter(|member| !member.is_empty())
}

/// The value of a hexadecimal digit.
pub(crate) const fn hex_digit(octet: u8) -> Option<u8> {
    Some(match octet {
        b'0'..=b'9' => octet.wrapping_sub(b'0'),
        b'a'..=b'f' => octet.wrapping_sub(b'a').wrapping_add(10),
        b'A'..=b'F' => octet.wrapping_sub(b'A').wrapping_add(10),
        _ => return None,
    })
}

/// Takes text behind the bytes it holds.
pub(crate) struct Text<'a>(pub(crate) &'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_octets_at_a_time_say_of_a_value_what_each_of_them_says() {
        for octet in 0..=u8::MAX {
            for (length, place) in [(1, 0), (8, 0), (8, 3), (8, 7), (9, 8), (20, 11)] {
                for around in [b'a', b' ', b'~', 0x7e, 0x80, 0xff, b'\t'] {
                    let mut value = [around; 20];
                    value[place] = octet;
                    let told = is_field_value(&value[..length]);
                    assert_eq!(told, is_of_value(octet), "{octet} at {place} of {length}");
                }
            }
        }
    }
}
