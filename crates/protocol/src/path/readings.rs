//! Every way a server could read a path, worked out step by step.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use crate::flaw::Flaw;
use crate::octets::hex_digit;

/// All that the steps make of `raw`, each text once: they are applied to what they have made until
/// there is nothing new.
pub(super) fn others(raw: &str) -> Result<Vec<String>, Flaw> {
    if has_one_reading(raw) {
        return Ok(Vec::new());
    }
    check_escapes(raw)?;
    let mut found = Vec::from([Reading {
        text: raw.to_owned(),
        decoded: false,
    }]);
    let mut bytes = 0usize;
    let mut at = 0;
    while let Some(reading) = found.get(at) {
        let made: Vec<Reading> = STEPS.iter().filter_map(|step| step(reading)).collect();
        for reading in made {
            if found.contains(&reading) {
                continue;
            }
            if found.len() == MOST_READINGS {
                return Err(Flaw::TooManyReadings {
                    limit: MOST_READINGS,
                });
            }
            bytes = bytes.saturating_add(reading.text.len());
            if bytes > MOST_BYTES {
                return Err(Flaw::ReadingsTooLong { limit: MOST_BYTES });
            }
            found.push(reading);
        }
        at = at.saturating_add(1);
    }
    let mut others = Vec::new();
    for Reading { text, .. } in found {
        if text != raw && !others.contains(&text) {
            others.push(text);
        }
    }
    Ok(others)
}

/// Whether no step could change anything: no escape, no `;`, no `\`, and no slash or dot behind a
/// slash. Forms without a slash in front (`*`, the empty one) are no paths to a server.
fn has_one_reading(raw: &str) -> bool {
    let mut before = b'-';
    let plain = raw.bytes().all(|octet| {
        let plain = !matches!(
            (before, octet),
            (_, b'%' | b';' | b'\\') | (b'/', b'/' | b'.')
        );
        before = octet;
        plain
    });
    plain || !raw.starts_with('/')
}

/// A path as somebody could read it.
#[derive(PartialEq, Eq)]
struct Reading {
    text: String,
    /// Whether escapes have been decoded: what looks like one is none.
    decoded: bool,
}

impl Reading {
    /// The reading that a step has made, unless it is this one again.
    fn becomes(&self, text: String, decoded: bool) -> Option<Reading> {
        (self.text != text).then_some(Reading { text, decoded })
    }
}

/// Each makes another reading of one, if there is another. They look before they copy: most
/// paths that have more than one reading give work to one step only.
const STEPS: [fn(&Reading) -> Option<Reading>; 8] = [
    normalise_escapes,
    decode_all,
    decode_all_but_slash,
    turn_backslashes,
    merge_slashes,
    cut_host,
    cut_parameters,
    resolve_dots,
];

fn normalise_escapes(reading: &Reading) -> Option<Reading> {
    if reading.decoded || !reading.text.contains('%') {
        return None;
    }
    let mut out = String::with_capacity(reading.text.len());
    for part in parts(&reading.text) {
        match part {
            Part::Escape(octet, _) if is_unreserved(octet) => out.push(char::from(octet)),
            Part::Escape(_, escape) => {
                out.extend(escape.chars().map(|digit| digit.to_ascii_uppercase()))
            }
            Part::Text(text) => out.push_str(text),
        }
    }
    reading.becomes(out, false)
}

fn decode_all(reading: &Reading) -> Option<Reading> {
    decode(reading, |_| true)
}

fn decode_all_but_slash(reading: &Reading) -> Option<Reading> {
    decode(reading, |octet| octet != b'/')
}

fn decode(reading: &Reading, is_decoded: fn(u8) -> bool) -> Option<Reading> {
    if reading.decoded || !reading.text.contains('%') {
        return None;
    }
    let mut octets = Vec::with_capacity(reading.text.len());
    for part in parts(&reading.text) {
        match part {
            Part::Escape(octet, _) if is_decoded(octet) => octets.push(octet),
            Part::Escape(_, text) | Part::Text(text) => octets.extend_from_slice(text.as_bytes()),
        }
    }
    let mut out = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        out.push_str(chunk.valid());
        for octet in chunk.invalid() {
            let digit = |value: u8| {
                char::from_digit(u32::from(value), 16).map(|digit| digit.to_ascii_uppercase())
            };
            out.push('%');
            out.extend(
                [digit(octet >> 4), digit(octet & 0xf)]
                    .into_iter()
                    .flatten(),
            );
        }
    }
    reading.becomes(out, true)
}

fn turn_backslashes(reading: &Reading) -> Option<Reading> {
    let text = &reading.text;
    let turned = text.contains('\\').then(|| text.replace('\\', "/"))?;
    reading.becomes(turned, reading.decoded)
}

fn merge_slashes(reading: &Reading) -> Option<Reading> {
    if !reading.text.contains("//") {
        return None;
    }
    let mut out = String::with_capacity(reading.text.len());
    for character in reading.text.chars() {
        if character != '/' || !out.ends_with('/') {
            out.push(character);
        }
    }
    reading.becomes(out, reading.decoded)
}

/// What becomes of a path that is read as a URL relative to another: RFC 3986 section 4.2 calls it a network-path
/// reference, and the URL Standard takes any number of slashes there for two.
fn cut_host(reading: &Reading) -> Option<Reading> {
    let host = reading.text.strip_prefix("//")?.trim_start_matches('/');
    let path = host.split_once('/').map_or("", |(_, path)| path);
    reading.becomes(join(["", path].into_iter()), reading.decoded)
}

fn cut_parameters(reading: &Reading) -> Option<Reading> {
    if !reading.text.contains(';') {
        return None;
    }
    let segments = reading
        .text
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default());
    reading.becomes(join(segments), reading.decoded)
}

/// RFC 3986 section 5.2.4, with `%2e` for a dot where escapes are still escapes.
fn resolve_dots(reading: &Reading) -> Option<Reading> {
    if !reading.text.contains("/.") && !reading.text.contains("/%2") {
        return None;
    }
    let dots = |segment: &str| {
        let mut rest = segment;
        let mut dots = 0u8;
        while let Some(behind) = strip_dot(rest, reading.decoded) {
            (rest, dots) = (behind, dots.saturating_add(1));
        }
        if rest.is_empty() { dots } else { 0 }
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for segment in reading.text.strip_prefix('/')?.split('/') {
        is_folder = true;
        match dots(segment) {
            1 => {}
            2 => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                is_folder = false;
            }
        }
    }
    if is_folder {
        kept.push("");
    }
    reading.becomes(join(core::iter::once("").chain(kept)), reading.decoded)
}

fn strip_dot(text: &str, decoded: bool) -> Option<&str> {
    let escaped = || {
        text.strip_prefix("%2e")
            .or_else(|| text.strip_prefix("%2E"))
    };
    text.strip_prefix('.')
        .or_else(|| if decoded { None } else { escaped() })
}

fn join<'s>(segments: impl Iterator<Item = &'s str>) -> String {
    let mut out = String::new();
    for (at, segment) in segments.enumerate() {
        if at > 0 {
            out.push('/');
        }
        out.push_str(segment);
    }
    out
}

/// A stretch of a path.
enum Part<'s> {
    Text(&'s str),
    /// An escape: what it stands for, and as it is written.
    Escape(u8, &'s str),
}

/// The escapes and what is between them. A `%` that begins no escape is text.
fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    core::iter::from_fn(move || {
        if let Some(octet) = read_escape(rest) {
            let (escape, behind) = rest.split_at_checked(3)?;
            rest = behind;
            return Some(Part::Escape(octet, escape));
        }
        let own = rest
            .char_indices()
            .skip(1)
            .find(|(_, character)| *character == '%');
        let (text, behind) = rest.split_at_checked(own.map_or(rest.len(), |(at, _)| at))?;
        rest = behind;
        (!text.is_empty()).then_some(Part::Text(text))
    })
}

fn read_escape(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [b'%', high, low, ..] => Some((hex_digit(*high)? << 4) | hex_digit(*low)?),
        _ => None,
    }
}

//= RFC 3986 section 2.3: "ALPHA / DIGIT / "-" / "." / "_" / "~""
fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

/// Refuses escapes that no server should get to read.
fn check_escapes(raw: &str) -> Result<(), Flaw> {
    let mut before = 0;
    for part in parts(raw) {
        let octet = match part {
            Part::Text(text) if text.starts_with('%') => return Err(Flaw::TargetEscape),
            Part::Text(_) => 0,
            Part::Escape(0, _) => return Err(Flaw::TargetOctet),
            Part::Escape(octet, _) => octet,
        };
        if is_overlong(before, octet) {
            return Err(Flaw::TargetUtf8);
        }
        before = octet;
    }
    Ok(())
}

/// Whether two octets begin a character in more octets than it needs (RFC 3629 section 3).
fn is_overlong(first: u8, second: u8) -> bool {
    matches!(
        (first, second),
        (0xc0 | 0xc1, 0x80..=0xbf)
            | (0xe0, 0x80..=0x9f)
            | (0xf0, 0x80..=0x8f)
            | (0xf8, 0x80..=0x87)
            | (0xfc, 0x80..=0x83)
    )
}

/// What a path that people write does not come near to.
const MOST_READINGS: usize = 32;
const MOST_BYTES: usize = 64 * 1024;
