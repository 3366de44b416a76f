//! Texts that people choose and other people's terminals print: bounded, and free of control
//! characters.

use std::fmt;
use std::sync::Arc;

/// One short line: the name of a set, a source or a person. 1 to 255 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Arc<str>);

impl Label {
    /// Checks `text` and keeps it.
    pub fn new(text: &str) -> Result<Self, BadText> {
        if text.is_empty() {
            return Err(BadText::Empty);
        }
        check(text, 255, |_| false)?;
        Ok(Self(text.into()))
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why somebody did something, in their own words (`-m`). At most 4 KiB; may be empty and may have
/// several lines.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message(Arc<str>);

impl Message {
    /// Checks `text` and keeps it.
    pub fn new(text: &str) -> Result<Self, BadText> {
        check(text, 4096, |char| matches!(char, '\n' | '\t'))?;
        Ok(Self(text.into()))
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// A name needs at least one character.
    #[error("it is empty")]
    Empty,
    /// It is longer than this kind of text may be.
    #[error("it has {found} bytes, and at most {most} are kept")]
    TooLong {
        /// How many it has.
        found: usize,
        /// How many it may have.
        most: usize,
    },
    /// It could move a terminal's cursor or forge a line of a log.
    #[error("it holds the control character U+{:04X}", u32::from(*.0))]
    Control(char),
}

fn check(text: &str, most: usize, allowed: impl Fn(char) -> bool) -> Result<(), BadText> {
    if text.len() > most {
        return Err(BadText::TooLong {
            found: text.len(),
            most,
        });
    }
    match text
        .chars()
        .find(|char| char.is_control() && !allowed(*char))
    {
        Some(char) => Err(BadText::Control(char)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_one_visible_line() {
        assert_eq!(Label::new("Käse & Co").unwrap().as_str(), "Käse & Co");
        assert_eq!(Label::new(""), Err(BadText::Empty));
        assert_eq!(Label::new("a\nb"), Err(BadText::Control('\n')));
        assert_eq!(
            Label::new("\u{1b}[2J").unwrap_err().to_string(),
            "it holds the control character U+001B"
        );
        let (found, most) = (256, 255);
        assert_eq!(
            Label::new(&"a".repeat(256)),
            Err(BadText::TooLong { found, most })
        );
    }

    #[test]
    fn a_message_may_be_empty_and_have_lines() {
        assert!(Message::new("").is_ok());
        assert!(Message::new("canary to 10 %\n\tsee the runbook").is_ok());
        assert_eq!(Message::new("a\rb"), Err(BadText::Control('\r')));
        assert!(Message::new(&"a".repeat(4097)).is_err());
    }
}
