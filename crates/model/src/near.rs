//! What was probably meant: the nearest of the names that exist.

use alloc::{format, string::String, vec, vec::Vec};
use core::mem;

/// `did you mean cart-v2?`, where one of `names` is near enough to be a slip of the hand.
pub fn did_you_mean<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(wanted, names).map(|name| format!("did you mean {name}?"))
}

/// The name with the fewest slips from `wanted`, at most one in three characters; case is none. Of
/// equals the one whose characters are nearest: `cart-v2` is nearer to `cart-v3` than `cart-v1` is.
///
/// A word at the end of a name counts as the name: `Prefx` is one slip from `PathPrefix`. Looks at no
/// more than a thousand names.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > LONGEST {
        return None;
    }
    let most = (wanted.chars().count() / 3).max(1);
    names
        .into_iter()
        .take(MOST_NAMES)
        .filter(|name| *name != wanted)
        .flat_map(|name| tails(name).map(move |tail| (tail, name)))
        .filter(|(tail, _)| tail.len().abs_diff(wanted.len()) <= most)
        .map(|(tail, name)| (slips(wanted, tail), tail, name))
        .filter(|(slips, tail, _)| *slips <= most && *slips < tail.len())
        .min_by_key(|(slips, tail, _)| (*slips, apart(wanted, tail)))
        .map(|(_, _, name)| name)
}

/// Names longer than this are not typed, and so not mistyped.
const LONGEST: usize = 64;

/// How many names are compared with a wrong one.
const MOST_NAMES: usize = 1000;

/// The shortest word at the end of a name that counts for it.
const SHORTEST_TAIL: usize = 4;

/// The name, and the words at its end that begin with a capital.
fn tails(name: &str) -> impl Iterator<Item = &str> {
    let capitals = name.char_indices().skip(1);
    let capitals = capitals.filter(|(_, letter)| letter.is_ascii_uppercase());
    let tails = capitals.filter_map(|(at, _)| name.get(at..));
    core::iter::once(name).chain(tails.filter(|tail| tail.len() >= SHORTEST_TAIL))
}

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
    let lower = |letter: char| letter.to_ascii_lowercase();
    let right = right.chars().map(lower).collect::<Vec<_>>();
    let mut before_last = vec![0; right.len() + 1];
    let mut last = (0..=right.len()).collect::<Vec<_>>();
    let mut current = vec![0; right.len() + 1];
    let mut previous = None;
    for (row, char) in left.chars().map(lower).enumerate() {
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
            ("cart", "Carts", 1),
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
        let ask = |wanted| did_you_mean(wanted, names);
        assert_eq!(ask("cart-v3").as_deref(), Some("did you mean cart-v2?"));
        assert_eq!(ask("paymnets").as_deref(), Some("did you mean payments?"));
        assert_eq!(ask("wbe").as_deref(), Some("did you mean web?"));
        assert_eq!(ask("db"), None);
        assert_eq!(ask("checkout"), None);
        assert_eq!(ask(""), None);
    }

    #[test]
    fn a_field_is_found_by_its_last_word_and_in_any_case() {
        let fields = ["matches", "filters", "backendRefs", "timeouts", "name"];
        for (wanted, expect) in [
            ("timeout", Some("timeouts")),
            ("backendrefs", Some("backendRefs")),
            ("macthes", Some("matches")),
            ("refs", Some("backendRefs")),
            ("hostnames", None),
            ("x", None),
        ] {
            assert_eq!(nearest(wanted, fields), expect, "{wanted}");
        }
    }
}
