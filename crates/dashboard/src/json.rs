//! JSON for the page: in bounds, and with nothing in it that is not seen as itself.

use std::io::{self, Write};

use leno_admin::hides;
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

/// The longest answer, in bytes.
const LONGEST: usize = 32 << 20;

/// `value` as JSON; `None` if that is longer than a page can take. Of its strings only the ends of
/// lines and tabs stay as they are; what else hides is told by its escape.
pub(crate) fn json(value: &impl Serialize) -> Option<String> {
    within(LONGEST, value)
}

fn within(most: usize, value: &impl Serialize) -> Option<String> {
    let mut bounded = Bounded {
        bytes: Vec::new(),
        most,
    };
    let mut serializer = Serializer::with_formatter(&mut bounded, Plain);
    value.serialize(&mut serializer).ok()?;
    String::from_utf8(bounded.bytes).ok()
}

/// Bytes that end where they become too many.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what hides as its escape.
struct Plain;

impl Formatter for Plain {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, next)| hides(*next)) {
            let (seen, after) = rest.split_at(at);
            writer.write_all(seen.as_bytes())?;
            escape(writer, hidden)?;
            rest = after.get(hidden.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escaped: CharEscape,
    ) -> io::Result<()> {
        match escaped {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::Backspace => escape(writer, '\u{8}'),
            CharEscape::FormFeed => escape(writer, '\u{c}'),
            CharEscape::CarriageReturn => escape(writer, '\r'),
            CharEscape::AsciiControl(byte) => escape(writer, byte.into()),
        }
    }
}

/// Writes a character as its escape, the backslash of which JSON escapes once more.
fn escape(writer: &mut (impl Write + ?Sized), hidden: char) -> io::Result<()> {
    write!(writer, "\\{}", hidden.escape_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_say_what_they_show() {
        for (text, expect) in [
            ("shop/cart", r#""shop/cart""#),
            ("für → µs", r#""für → µs""#),
            ("a: 1\n\tb: \"2\\\"", r#""a: 1\n\tb: \"2\\\"""#),
            ("a\0b\u{1b}[31m\r", r#""a\\u{0}b\\u{1b}[31m\\r""#),
            ("evil\u{202e}txt.exe", r#""evil\\u{202e}txt.exe""#),
            ("\u{7f}\u{9b}2J\u{200b}", r#""\\u{7f}\\u{9b}2J\\u{200b}""#),
        ] {
            let told = json(&text).unwrap();
            assert_eq!(told, expect);
            let read: String = serde_json::from_str(&told).unwrap();
            assert!(
                !read.chars().any(|c| hides(c) && c != '\n' && c != '\t'),
                "{read}"
            );
        }
    }

    #[test]
    fn what_is_too_long_is_not_told() {
        assert_eq!(within(6, &"cart").as_deref(), Some(r#""cart""#));
        assert_eq!(within(5, &"cart"), None);
    }
}
