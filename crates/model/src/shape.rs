//! What a path has in common with others that ask for the same: `/items/{id}`.
//!
//! What is asked for is the client's choice and may be anything; a shape is short and plain, and the
//! segments that look like identifiers are all alike in it.

use crate::template::{PathTemplate, Segment};

/// A path with its identifiers folded: a short text of visible ASCII.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    text: [u8; Shape::LONGEST],
    length: usize,
}

impl Shape {
    /// In bytes.
    const LONGEST: usize = 96;

    /// How many segments are told apart.
    const DEEPEST: usize = 8;

    /// What stands for an identifier.
    const ID: &str = "{id}";

    /// What stands for everything beyond the depth or the length.
    const REST: &str = "/...";

    /// The shape of a path without its query.
    pub fn of(path: &str) -> Self {
        let mut shape = Self {
            text: [0; Self::LONGEST],
            length: 0,
        };
        let Some(path) = path.strip_prefix('/') else {
            // `*`, or an authority.
            shape.push(if path == "*" { path } else { Self::ID });
            return shape;
        };
        for (depth, segment) in path.split('/').enumerate() {
            let (word, id) = folded(segment);
            let length = 1 + word.len() + id.len();
            let fits = shape.length + length + Self::REST.len() <= Self::LONGEST;
            if depth == Self::DEEPEST || !fits {
                shape.push(Self::REST);
                break;
            }
            shape.push("/");
            shape.push(word);
            shape.push(id);
        }
        shape
    }

    /// It as text.
    pub fn as_str(&self) -> &str {
        let text = str::from_utf8(&self.text[..self.length]);
        text.expect("only whole texts were put into it")
    }

    fn push(&mut self, text: &str) {
        let end = self.length + text.len();
        self.text[self.length..end].copy_from_slice(text.as_bytes());
        self.length = end;
    }
}

/// A path of which only the shape was recorded.
///
/// What is asked about it has three answers: all paths of this shape are so, none is, or some may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shaped<'s>(&'s str);

impl<'s> Shaped<'s> {
    /// The text of a shape.
    pub fn new(shape: &'s str) -> Self {
        Self(shape)
    }

    /// The shape as text.
    pub fn as_str(self) -> &'s str {
        self.0
    }

    /// The path, if there is only one of this shape.
    pub fn only(self) -> Option<&'s str> {
        let folds = |segment: &str| segment.ends_with(Shape::ID) || segment == REST;
        let is_path = self.0.starts_with('/') && !self.0.split('/').any(folds);
        (is_path || self.0 == "*").then_some(self.0)
    }

    /// Whether it is this path.
    pub fn is(self, path: &str) -> Option<bool> {
        self.fits(path.split('/').map(Segment::Exactly))
    }

    /// Whether it is this path or below it. The root is the empty text.
    pub fn is_below(self, prefix: &str) -> Option<bool> {
        let segments = prefix.split('/').map(Segment::Exactly);
        self.fits(segments.chain([Segment::Rest]))
    }

    /// Whether the template means it.
    pub fn is_meant_by(self, template: &PathTemplate) -> Option<bool> {
        self.fits(template.segments())
    }

    fn fits<'e>(self, expected: impl Iterator<Item = Segment<'e>>) -> Option<bool> {
        let mut given = self.0.split('/');
        let mut surely = true;
        for segment in expected {
            let given = match (segment, given.next()) {
                (Segment::Rest, _) => return surely.then_some(true),
                // What was cut off may be anything.
                (_, Some(REST)) => return None,
                (Segment::Exactly(_) | Segment::Any, None) => return Some(false),
                (Segment::Any, Some("")) => return Some(false),
                (Segment::Any, Some(_)) => continue,
                (Segment::Exactly(text), Some(given)) => (text, given),
            };
            let (text, given) = given;
            let (word, id) = folded(text);
            let has_shape = given.strip_prefix(word) == Some(id);
            match text == given {
                true => {}
                false if has_shape => surely = false,
                false => return Some(false),
            }
        }
        match given.next() {
            None => surely.then_some(true),
            Some(_) => Some(false),
        }
    }
}

/// The segment that stands for everything beyond the depth or the length.
const REST: &str = "...";

/// What stands for a segment: a word that is kept, and what is folded after it.
fn folded(segment: &str) -> (&str, &'static str) {
    match (numbered(segment), is_identifier(segment)) {
        (Some(word), _) => (word, Shape::ID),
        (None, true) => ("", Shape::ID),
        (None, false) => (segment, ""),
    }
}

/// The word of `order-10023` with its dash, which says what is numbered.
fn numbered(segment: &str) -> Option<&str> {
    let (word, number) = segment.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let says_what = !word.is_empty() && !is_identifier(word);
    (is_number && says_what).then(|| &segment[..=word.len()])
}

/// Whether a segment names one thing among many rather than a kind of thing.
fn is_identifier(segment: &str) -> bool {
    let mut seen = Seen::default();
    if segment.len() > LONGEST_WORD || !segment.bytes().all(|byte| seen.takes(byte)) {
        return true;
    }
    let all_digits = seen.digits == segment.len() && !segment.is_empty();
    let numbered = seen.longest_run >= 4;
    let hexadecimal = seen.is_hex && seen.digits > 0 && segment.len() >= 8;
    let mixed = seen.upper && seen.lower && seen.digits > 0 && segment.len() >= 10;
    let long = seen.digits >= 3 && segment.len() >= 16;
    all_digits || numbered || hexadecimal || mixed || long
}

/// Nobody writes a longer word into a path by hand.
const LONGEST_WORD: usize = 40;

/// What was seen of a segment.
struct Seen {
    digits: usize,
    run: usize,
    longest_run: usize,
    is_hex: bool,
    upper: bool,
    lower: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            digits: 0,
            run: 0,
            longest_run: 0,
            is_hex: true,
            upper: false,
            lower: false,
        }
    }
}

impl Seen {
    /// Takes one more byte, unless it is one that no plain word has.
    fn takes(&mut self, byte: u8) -> bool {
        //= RFC 3986 section 3.3: "pchar = unreserved / pct-encoded / sub-delims / ":" / "@""
        if !(byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(&byte)) {
            return false;
        }
        match byte.is_ascii_digit() {
            true => {
                self.digits += 1;
                self.run += 1;
                self.longest_run = self.longest_run.max(self.run);
            }
            false => self.run = 0,
        }
        self.is_hex &= byte.is_ascii_hexdigit() || byte == b'-';
        self.upper |= byte.is_ascii_uppercase();
        self.lower |= byte.is_ascii_lowercase();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dice;

    fn check(path: &str, expect: &str) {
        assert_eq!(Shape::of(path).as_str(), expect, "{path}");
    }

    #[test]
    fn identifiers_are_folded_and_words_are_not() {
        for same in [
            "/",
            "/items",
            "/api/v1/items",
            "/items/",
            "/oauth2/token",
            "/index.html",
            "/static/app.min.js",
            "/a//b",
            "*",
            "/facade",
            "/blue-green-v2",
        ] {
            check(same, same);
        }
        check("/items/7", "/items/{id}");
        check("/items/7/parts/8", "/items/{id}/parts/{id}");
        check("/o/order-10023", "/o/order-{id}");
        check("/cart/visitor-7/loom", "/cart/visitor-{id}/loom");
        check("/t/2026-11-20", "/t/{id}");
        check("/u/7c1e4b02-d41e-8a77-10aa-3c9e0f52b6d8", "/u/{id}");
        check("/c/7c1e4b02", "/c/{id}");
        check("/s/V1StGXR8zT", "/s/{id}");
        check("/f/quarterly-2a7b9c1f", "/f/{id}");
        check("/mail/anna@example.org", "/mail/{id}");
        check("/caf%C3%A9", "/{id}");
        check("/\u{1b}[31m", "/{id}");
        check("example.org:443", "{id}");
    }

    #[test]
    fn what_is_deep_or_long_ends_early() {
        check("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h/...");
        let word = "w".repeat(30);
        check(
            &format!("/{word}/{word}/{word}"),
            &format!("/{word}/{word}/..."),
        );
    }

    #[test]
    fn any_path_has_a_short_plain_shape() {
        let mut dice = Dice::new(7);
        for _ in 0..20_000 {
            let length = dice.next_u64() % 300;
            let letters = b"/ab0-%\x1b\xc3\xa99Z.~{";
            let path: Vec<_> = (0..length)
                .map(|_| letters[dice.next_u64() as usize % letters.len()])
                .collect();
            let path = String::from_utf8_lossy(&path);
            let shape = Shape::of(&path);
            let shape = shape.as_str();
            assert!(shape.len() <= Shape::LONGEST, "{path}");
            assert!(shape.bytes().all(|byte| byte.is_ascii_graphic()), "{path}");
        }
    }

    #[test]
    fn what_is_asked_of_a_shape_has_three_answers() {
        let check = |shape: &str, expected: &str, expect: Option<bool>| {
            let shaped = Shaped::new(shape);
            let told = match expected.strip_suffix("/..") {
                Some(prefix) => shaped.is_below(prefix),
                None if expected.contains(['{', '*']) => {
                    shaped.is_meant_by(&PathTemplate::new(expected).unwrap())
                }
                None => shaped.is(expected),
            };
            assert_eq!(told, expect, "{shape} {expected}");
        };
        check("/items", "/items", Some(true));
        check("/items", "/items/7", Some(false));
        check("/items/{id}", "/items/7", None);
        // Its own shape would be another one.
        check("/items/{id}", "/items/new", Some(false));
        check("/items/{id}", "/items/{item}", Some(true));
        check("/items/{id}", "/items/{item}/orders", Some(false));
        check("/items/{id}/orders", "/items/**", Some(true));
        check("/o/order-{id}", "/o/order-7", None);
        check("/o/order-{id}", "/o/visitor-7", Some(false));
        check("/items/{id}", "/items/..", Some(true));
        check("/items/{id}/orders", "/items/7/..", None);
        check("/items", "/..", Some(true));
        check("/itemsx", "/items/..", Some(false));
        check("/a/...", "/a/..", Some(true));
        check("/a/...", "/a/b/..", None);
        check("/a/...", "/a/b", None);
        check("/a/...", "/b", Some(false));
    }

    #[test]
    fn a_shape_answers_for_each_of_its_paths() {
        let mut dice = Dice::new(11);
        let words = ["", "a", "items", "7", "order-7", "V1StGXR8zT", "..."];
        let mut path = || {
            let length = 1 + dice.next_u64() % 10;
            let word = |_| words[dice.next_u64() as usize % words.len()];
            let segments: Vec<&str> = (0..length).map(word).collect();
            format!("/{}", segments.join("/"))
        };
        let mut known = 0;
        for _ in 0..20_000 {
            let (asked, expected) = (path(), path());
            let shape = Shape::of(&asked);
            let shaped = Shaped::new(shape.as_str());
            if let Some(only) = shaped.only() {
                assert_eq!(only, asked);
            }
            let below = asked == expected
                || asked
                    .strip_prefix(&expected)
                    .is_some_and(|rest| rest.starts_with('/'));
            for (told, is) in [
                (shaped.is(&expected), asked == expected),
                (shaped.is_below(&expected), below),
            ] {
                known += usize::from(told.is_some());
                assert!(told.is_none_or(|told| told == is), "{asked} {expected}");
            }
        }
        assert!(known > 20_000, "{known}");
    }
}
