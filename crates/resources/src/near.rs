//! The word that was probably meant.

use alloc::vec::Vec;

/// The candidate that is nearest to `word`, if it is near: at most a third of its letters differ,
/// or one is the end of the other. Case does not count as a difference.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let letters = word.chars().count();
    let is_near = |distance: usize, candidate: &str| {
        distance <= (letters / 3).max(1) && distance < candidate.len()
    };
    candidates
        .into_iter()
        .map(|candidate| (slips(word, candidate), candidate))
        .filter(|(slips, candidate)| is_near(*slips, candidate))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// How far the word is from the candidate, or from its end where that is a word of its own:
/// `Prefx` is one slip from `PathPrefix`.
fn slips(word: &str, candidate: &str) -> usize {
    const SHORTEST: usize = 4;
    let tails = candidate
        .char_indices()
        .skip(1)
        .filter(|(_, letter)| letter.is_ascii_uppercase());
    tails
        .filter_map(|(at, _)| candidate.get(at..))
        .filter(|tail| tail.len() >= SHORTEST)
        .map(|tail| distance(word, tail))
        .chain([distance(word, candidate)])
        .min()
        .unwrap_or(usize::MAX)
}

/// How many letters have to be put in, taken out, replaced or swapped with their neighbour
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let lower = |text: &str| {
        text.chars()
            .map(|letter| letter.to_ascii_lowercase())
            .collect()
    };
    let (a, b): (Vec<char>, Vec<char>) = (lower(a), lower(b));
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(x != y);
            let mut best = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = core::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let fields = [
            "matches",
            "filters",
            "backendRefs",
            "timeouts",
            "retry",
            "name",
        ];
        for (word, expect) in [
            ("timeout", Some("timeouts")),
            ("backendrefs", Some("backendRefs")),
            ("macthes", Some("matches")),
            ("nmae", Some("name")),
            ("filter", Some("filters")),
            ("hostnames", None),
            ("refs", Some("backendRefs")),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, fields), expect, "{word}");
        }
    }

    #[test]
    fn distance_counts_slips() {
        for (a, b, expect) in [
            ("", "", 0),
            ("a", "", 1),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
            ("Name", "name", 0),
        ] {
            assert_eq!(distance(a, b), expect, "{a} {b}");
            assert_eq!(distance(b, a), expect, "{b} {a}");
        }
    }
}
