//! The targets.

mod answers;
mod certificates;
mod condition;
mod delta;
mod documents;
mod http1;
mod http2;
mod hyper;
mod names;
mod paths;
mod peeks;
mod plugin;
mod questions;
mod tokens;
mod wire;

/// A parser, and what must hold of it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// How it is asked for.
    pub name: &'static str,
    /// What must hold, in a sentence.
    pub holds: &'static str,
    /// Inputs to begin with; most of them are understood.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What is put in between, beside what is put there anyway.
    pub words: &'static [&'static str],
    /// Tries an input, and says whether it was understood.
    ///
    /// # Panics
    ///
    /// If something does not hold.
    pub check: fn(&[u8]) -> bool,
}

/// All of them, by name.
pub const TARGETS: &[Target] = &[
    questions::TARGET,
    condition::TARGET,
    certificates::TARGET,
    plugin::TARGET,
    delta::CLIENT,
    delta::SERVER,
    documents::TARGET,
    http2::TARGET,
    hyper::TARGET,
    names::TARGET,
    paths::TARGET,
    peeks::TARGET,
    http1::REQUEST,
    answers::TARGET,
    tokens::TARGET,
    wire::MESSAGE,
    wire::PART,
];

/// The target of this name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
