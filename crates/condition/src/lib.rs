//! What a CEL expression says of a call: read and type-checked when configuration is, asked of facts
//! when a call is there.
//!
//! The `cel` crate parses; what it parsed is made into a small tree of ours. So an expression costs
//! what its text shows, allocates nothing, and has three answers: a fact may be unknown where a call is
//! replayed or imagined. A claim is taken for what it is compared with, and has no value if it is of another
//! type. Read are comparisons, `in`, logic, arithmetic, `? :`, `size`, `startsWith`,
//! `endsWith`, `contains`, `matches`, `duration` and `has`; everything else of CEL is refused with a
//! reason.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]
#![deny(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects
)]

extern crate alloc;

mod claims;
mod facts;
mod read;
mod tree;

use alloc::{collections::BTreeSet, string::String, sync::Arc};
use core::fmt;

pub use claims::{NamedClaim, Scalar, listed};
pub use facts::{ClaimSaid, Fact, Facts, Value};

/// An expression about a call that is true or false of it.
#[derive(Clone, Debug)]
pub struct Condition {
    text: Arc<str>,
    root: Arc<tree::Truth>,
    reads: Arc<Reads>,
}

impl Condition {
    /// How many bytes an expression may have.
    pub const MOST_BYTES: usize = 1024;

    /// How many parts an expression may have: names, values, operators.
    pub const MOST_PARTS: usize = 128;

    /// Reads an expression, and checks that its types fit.
    pub fn new(text: &str) -> Result<Self, Flaw> {
        let (root, reads) = read::read(text)?;
        Ok(Self {
            text: text.into(),
            root: Arc::new(root),
            reads: Arc::new(reads),
        })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it reads.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Whether it holds.
    pub fn of(&self, facts: &dyn Facts) -> Answer {
        match self.root.of(facts) {
            Ok(true) => Answer::Yes,
            Ok(false) => Answer::No,
            Err(tree::Stop::Unknown(fact)) => Answer::Unknown(fact),
            Err(tree::Stop::Failed(why)) => Answer::Failed(why),
        }
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Condition {}

/// What an expression reads of a call, whether or not that decides.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reads {
    /// The facts, [`Fact::Headers`] and [`Fact::Claims`] among them.
    pub facts: BTreeSet<Fact>,
    /// The headers whose names are written out.
    pub headers: BTreeSet<Arc<str>>,
    /// Whether the name of a header is itself found out by asking.
    pub any_header: bool,
    /// The claims of a token, by name or JSON pointer.
    pub claims: BTreeSet<Arc<str>>,
}

/// What an expression says of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It holds.
    Yes,
    /// It does not hold.
    No,
    /// It depends on this, which is not known. Where the rest decides alone, there is an answer.
    Unknown(Fact),
    /// It has no value for this call.
    Failed(Failure),
}

/// Why an expression has no value for a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A header that it looks into is not there. `"name" in request.headers` asks first.
    NoSuchHeader,
    /// It looks into claims, and the request carries no token that makes any.
    NoToken,
    /// A claim that it looks into is not there. `has(jwt.claims.name)` asks first.
    NoSuchClaim,
    /// A claim that it looks into is not of the type that it asks for.
    ClaimOfOtherType,
    /// It divides by zero.
    DivisionByZero,
    /// A number is too large.
    Overflow,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchHeader => "the header it looks into is not there",
            Self::NoToken => "it looks into claims, and there is no token that makes any",
            Self::NoSuchClaim => "the claim it looks into is not there",
            Self::ClaimOfOtherType => "the claim it looks into is of another type",
            Self::DivisionByZero => "it divides by zero",
            Self::Overflow => "a number is too large",
        })
    }
}

/// Why a text is not an expression about a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flaw {
    /// Where in the text it stands, counted in characters, and how many of them it is.
    pub at: (usize, usize),
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}
