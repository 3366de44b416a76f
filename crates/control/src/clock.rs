//! Where time and chance come from in the control plane. Mesh time is its host's wall clock: that is
//! what it signs by, and what it tells proxies.

use leno_model::Dice;

pub(crate) use leno_channel::{Clocks, wall};

/// Bytes that nobody can guess.
pub(crate) fn secret<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives chance, or nothing is safe");
    bytes
}

/// Dice that roll differently in each process.
pub(crate) fn dice() -> Dice {
    Dice::new(u64::from_be_bytes(secret()))
}
