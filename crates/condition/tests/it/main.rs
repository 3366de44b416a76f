//! Expressions in, answers or findings out.
#![cfg(test)]

mod answers;
mod findings;
mod hostile;
mod world;
