//! Regular expressions that have been checked: whoever holds one can match in one pass over the
//! text, without allocating and whatever the text, and need not ask whether it is valid.

use alloc::{format, string::String, string::ToString as _, sync::Arc, vec::Vec};
use core::fmt;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind, nfa::thompson};

/// A regular expression, compiled to a table with one step per byte. It speaks of bytes: `.`,
/// `\w`, `\d` and classes are ASCII, other characters stand for their UTF-8.
#[derive(Clone)]
pub struct Pattern {
    text: Arc<str>,
    steps: Arc<dense::DFA<Vec<u32>>>,
}

impl Pattern {
    /// How much one compiled pattern may hold, in bytes; patterns that people write need a few thousand.
    pub const MOST_BYTES: usize = 256 * 1024;

    /// Reads the syntax of the `regex` crate (RE2's, for most purposes).
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        let bad = |why: String| BadPattern {
            text: text.into(),
            why,
        };
        let too_large = || bad(format!("it needs more than {} bytes", Self::MOST_BYTES));
        let parsed = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(text)
            .map_err(|error| bad(reason(&error)))?;
        let machine = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(4 * Self::MOST_BYTES)),
            )
            .build_from_hir(&parsed)
            .map_err(|_| too_large())?;
        let steps = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Anchored)
                    .match_kind(MatchKind::All)
                    .dfa_size_limit(Some(Self::MOST_BYTES))
                    .determinize_size_limit(Some(4 * Self::MOST_BYTES)),
            )
            .build_from_nfa(&machine)
            .map_err(|_| too_large())?;
        Ok(Self {
            text: text.into(),
            steps: Arc::new(steps),
        })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern matches these bytes as a whole.
    pub fn matches(&self, bytes: impl IntoIterator<Item = u8>) -> bool {
        let anchored = start::Config::new().anchored(Anchored::Yes);
        let Ok(mut state) = self.steps.start_state(&anchored) else {
            return false;
        };
        for byte in bytes {
            state = self.steps.next_state(state, byte);
            if self.steps.is_dead_state(state) {
                return false;
            }
        }
        // Every alternative is kept alive (`MatchKind::All`), so that a match state behind the last
        // byte means that one of them ends there.
        self.steps.is_match_state(self.steps.next_eoi_state(state))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a pattern: {why}")]
pub struct BadPattern {
    text: String,
    why: String,
}

impl BadPattern {
    /// The rule that was broken, as half a sentence.
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// What the parser says, without its picture of the text.
fn reason(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(text.bytes())
    }

    #[test]
    fn a_pattern_matches_as_a_whole() {
        assert!(matches("/v[0-9]+/items", "/v12/items"));
        assert!(!matches("/v[0-9]+/items", "/v12/items/7"));
        assert!(!matches("/v[0-9]+/items", "x/v12/items"));
        assert!(matches("a|ab|abc", "ab"));
        assert!(matches("a|ab|abc", "abc"));
        assert!(!matches("a|ab|abc", "abcd"));
        assert!(matches("", ""));
        assert!(!matches("", "a"));
        assert!(matches("^/a$", "/a"));
        assert!(matches("(?x) /a # a comment", "/a"));
        assert!(matches(".*", "/anything/at/all"));
        assert!(!matches("/a.b", "/a\nb"));
    }

    #[test]
    fn a_pattern_speaks_of_bytes() {
        assert!(matches("käse", "käse"));
        assert!(matches("k..se", "käse"));
        assert!(!matches(r"\w+", "käse"));
        assert!(Pattern::new(".").unwrap().matches([0xff]));
        assert!(matches("(?i)CART", "cart"));
        assert!(matches(r"\bcart\b", "cart"));
    }

    #[test]
    fn what_cannot_be_a_pattern_says_why() {
        let why = |text: &str| Pattern::new(text).unwrap_err().why().to_owned();
        assert_eq!(why("/v[0-9"), "unclosed character class");
        assert_eq!(why("(a"), "unclosed group");
        assert!(why("(?:a|b)*a(?:a|b){20}").starts_with("it needs more than"));
        assert!(why("((a{1000}){1000}){1000}").starts_with("it needs more than"));
        assert!(!why(r"\p{Greek}").is_empty());
    }
}
