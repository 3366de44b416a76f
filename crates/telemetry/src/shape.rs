//! What a path has in common with others that ask for the same: `/items/{id}`.
//!
//! What is asked for is the client's choice and may be anything; a shape is short and plain, and the
//! segments that look like identifiers are all alike in it.

/// A path with its identifiers folded: at most so many bytes of visible ASCII.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
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
    pub(crate) fn of(path: &str) -> Self {
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
            let (word, id) = match (numbered(segment), is_identifier(segment)) {
                (Some(word), _) => (word, Self::ID),
                (None, true) => ("", Self::ID),
                (None, false) => (segment, ""),
            };
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

    pub(crate) fn as_str(&self) -> &str {
        let text = std::str::from_utf8(&self.text[..self.length]);
        text.expect("only whole texts were put into it")
    }

    fn push(&mut self, text: &str) {
        let end = self.length + text.len();
        self.text[self.length..end].copy_from_slice(text.as_bytes());
        self.length = end;
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
    use leno_model::Dice;

    use super::*;

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
}
