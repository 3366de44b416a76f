//! HTML that is being written. What comes from outside can only be put in as text, so that nothing
//! of it is ever markup.

use std::fmt::{self, Display, Write};

use leno_admin::hides;

/// A document.
#[derive(Default)]
pub(crate) struct Html(String);

impl Html {
    /// Markup, which is always our own.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, of whatever origin; also for the inside of a quoted attribute.
    pub(crate) fn text(&mut self, text: impl Display) -> &mut Self {
        write!(Escaped(&mut self.0), "{text}").expect("a String takes any text");
        self
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(character),
                _ if hides(character) => {
                    self.0.push(char::REPLACEMENT_CHARACTER);
                }
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        for (text, expect) in [
            ("shop/cart", "shop/cart"),
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            ("\" onclick='x'", "&quot; onclick=&#39;x&#39;"),
            ("a & b &amp; c", "a &amp; b &amp;amp; c"),
            ("für → µs", "für → µs"),
            ("a\0b\u{1b}[31m", "a\u{fffd}b\u{fffd}[31m"),
            ("evil\u{202e}txt.exe", "evil\u{fffd}txt.exe"),
        ] {
            let mut html = Html::default();
            html.text(text);
            assert_eq!(html.into_string(), expect);
        }
    }
}
