//! Every parser of bytes from outside, with what must hold of it whatever comes: targets for a fuzzer.
//!
//! `cargo xtask fuzz` changes their seeds at random, from a seed that repeats the run; `libfuzzer/` runs the
//! same targets where coverage steers (`cargo fuzz`). Ordinary tests run the seeds and some changes.

mod mutator;
mod run;
mod target;

pub use mutator::Mutator;
pub use run::{Finding, Ran, run};
pub use target::{TARGETS, Target, find};
