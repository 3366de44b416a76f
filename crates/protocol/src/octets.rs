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

/// Whether every octet may stand in a header's value: visible, space, tab, or above ASCII.
///
/// One pass without an early end, which compilers turn into vector instructions.
pub(crate) fn is_field_value(octets: &[u8]) -> bool {
    let bad = |octet: u8| (octet < b' ' && octet != b'\t') || octet == 0x7f;
    !octets.iter().fold(false, |any, octet| any | bad(*octet))
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
