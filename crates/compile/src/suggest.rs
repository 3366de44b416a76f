//! What the writer probably meant: the nearest of the names that exist.

use alloc::{format, string::String, vec, vec::Vec};
use core::mem;

use leno_model::{Namespace, ServiceName};

/// `did you mean cart-v2?`, where one of the names is near enough to be a slip of the hand.
pub(crate) fn did_you_mean<'a>(
    wanted: &str,
    names: impl Iterator<Item = &'a str>,
) -> Option<String> {
    nearest(wanted, names).map(|name| format!("did you mean {name}?"))
}

/// The service of the asker's namespace that was probably meant. What others have is not told.
pub(crate) fn service<'a>(
    wanted: &ServiceName,
    asker: &Namespace,
    known: impl Iterator<Item = &'a ServiceName>,
) -> Option<String> {
    let own = known.filter(|other| other.namespace == *asker && wanted.namespace == *asker);
    did_you_mean(wanted.name.as_str(), own.map(|other| other.name.as_str()))
}

/// The name with the fewest slips from `wanted`, at most one in three characters. Of equals the one
/// whose characters are nearest: `cart-v2` is nearer to `cart-v3` than `cart-v1` is.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > LONGEST {
        return None;
    }
    let most = (wanted.len() / 3).max(1);
    names
        .take(MOST_NAMES)
        .filter(|name| name.len().abs_diff(wanted.len()) <= most)
        .map(|name| (slips(wanted, name), name))
        .filter(|(slips, _)| (1..=most).contains(slips))
        .min_by_key(|(slips, name)| (*slips, apart(wanted, name)))
        .map(|(_, name)| name)
}

/// Names longer than this are not typed, and so not mistyped.
const LONGEST: usize = 64;

/// How many names are compared with a wrong one.
const MOST_NAMES: usize = 1000;

/// How far the characters at equal places are from each other.
fn apart(left: &str, right: &str) -> u32 {
    let pairs = left.chars().zip(right.chars());
    pairs
        .map(|(left, right)| u32::from(left).abs_diff(u32::from(right)))
        .sum()
}

/// How many characters were inserted, left out, mistaken or swapped with their neighbour (optimal
/// string alignment). Time grows with the product of the lengths.
fn slips(left: &str, right: &str) -> usize {
    let right = right.chars().collect::<Vec<_>>();
    let mut before_last = vec![0; right.len() + 1];
    let mut last = (0..=right.len()).collect::<Vec<_>>();
    let mut current = vec![0; right.len() + 1];
    let mut previous = None;
    for (row, char) in left.chars().enumerate() {
        current[0] = row + 1;
        for (column, other) in right.iter().enumerate() {
            let mistaken = last[column] + usize::from(char != *other);
            current[column + 1] = mistaken.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = column > 0 && previous == Some(*other) && right[column - 1] == char;
            if swapped {
                current[column + 1] = current[column + 1].min(before_last[column - 1] + 1);
            }
        }
        previous = Some(char);
        mem::swap(&mut before_last, &mut last);
        mem::swap(&mut last, &mut current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (left, right, expect) in [
            ("cart", "cart", 0),
            ("cart", "carts", 1),
            ("cart", "crat", 1),
            ("cart", "art", 1),
            ("cart", "card", 1),
            ("", "ab", 2),
            ("ab", "", 2),
            ("sunday", "saturday", 3),
        ] {
            assert_eq!(slips(left, right), expect, "{left} {right}");
        }
    }

    #[test]
    fn only_a_slip_of_the_hand_is_suggested() {
        let names = ["cart-v1", "cart-v2", "payments", "web"];
        let ask = |wanted| did_you_mean(wanted, names.into_iter());
        assert_eq!(ask("cart-v3").as_deref(), Some("did you mean cart-v2?"));
        assert_eq!(ask("paymnets").as_deref(), Some("did you mean payments?"));
        assert_eq!(ask("wbe").as_deref(), Some("did you mean web?"));
        assert_eq!(ask("db"), None);
        assert_eq!(ask("checkout"), None);
    }
}
