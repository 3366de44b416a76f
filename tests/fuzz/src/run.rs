//! Runs a target, and makes what it finds small.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::mutator::Mutator;
use crate::target::Target;

/// How a run went that found nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ran {
    /// How many inputs were tried.
    pub inputs: u64,
    /// How many of them were understood.
    pub understood: u64,
}

/// An input of which something does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The input, as small as it could be made.
    pub input: Vec<u8>,
    /// What was said about it.
    pub said: String,
}

/// Tries the seeds of a target, then `inputs` changed ones; what is understood is changed further.
///
/// # Errors
///
/// The first input of which something does not hold. Whoever calls keeps the panic quiet, if it should be.
pub fn run(target: &Target, seed: u64, inputs: u64) -> Result<Ran, Finding> {
    let mut corpus = (target.seeds)();
    let mut ran = Ran {
        inputs: 0,
        understood: 0,
    };
    for input in &corpus {
        ran.inputs += 1;
        ran.understood += u64::from(tried(target, input)?);
    }
    let mut mutator = Mutator::new(seed, target.words);
    for _ in 0..inputs {
        let mut input = mutator.one(&corpus).clone();
        let other = mutator.one(&corpus).clone();
        mutator.change(&mut input, &other);
        ran.inputs += 1;
        if tried(target, &input)? {
            ran.understood += 1;
            if corpus.len() < MOST_KEPT {
                corpus.push(input);
            }
        }
    }
    Ok(ran)
}

/// How many inputs are kept to be changed further.
const MOST_KEPT: usize = 2000;

fn tried(target: &Target, input: &[u8]) -> Result<bool, Finding> {
    check(target, input).map_err(|_| {
        let input = made_small(input.to_vec(), |input| check(target, input).is_err());
        let said = check(target, &input).err().unwrap_or_default();
        Finding { input, said }
    })
}

/// Whether it was understood, or what was said of what does not hold.
fn check(target: &Target, input: &[u8]) -> Result<bool, String> {
    catch_unwind(AssertUnwindSafe(|| (target.check)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        text.unwrap_or_default()
    })
}

/// The input without what it fails without.
fn made_small(mut input: Vec<u8>, fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut size = input.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < input.len() {
            let mut without = input.clone();
            without.drain(at..(at + size).min(input.len()));
            if fails(&without) {
                input = without;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_small() {
        let input = b"aaaaaaaaaaaaXbbbbbbbbbbbYccc".to_vec();
        let fails = |input: &[u8]| input.contains(&b'X') && input.contains(&b'Y');
        assert_eq!(made_small(input, fails), b"XY");
    }
}
