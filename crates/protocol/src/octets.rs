//! Which octets may stand where, and small steps over them.

use alloc::vec::Vec;
use core::fmt;

/// Whether `octet` may stand in a token: methods, header names, connection options.
//= RFC 9110 section 5.6.2: "any VCHAR, except delimiters"
pub(crate) const fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(
            octet,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether `octets` is a token: not empty, and nothing else in it.
pub(crate) fn is_token_text(octets: &[u8]) -> bool {
    !octets.is_empty() && octets.iter().all(|octet| is_token(*octet))
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
