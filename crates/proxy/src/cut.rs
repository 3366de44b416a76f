//! What had to be cut at the end of a drain, by name.

use std::collections::BTreeMap;

use leno_telemetry::Edge;

/// Calls and streams that lived longer than a drain may last, and were ended with R041.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Cut {
    /// How many, by who called and what was called.
    pub named: BTreeMap<(String, String), u64>,
    /// How many more there were: no further names are kept.
    pub others: u64,
}

/// How many names are kept.
const MOST: usize = 100;

impl Cut {
    /// One more.
    pub(crate) fn count(&mut self, edge: &Edge<'_>) {
        self.add(edge.source.to_string(), edge.destination.to_string(), 1);
    }

    /// Those of another worker too.
    pub(crate) fn merge(&mut self, other: Self) {
        for ((from, to), count) in other.named {
            self.add(from, to, count);
        }
        self.others += other.others;
    }

    fn add(&mut self, from: String, to: String, count: u64) {
        let known = self.named.len();
        match self.named.entry((from, to)) {
            std::collections::btree_map::Entry::Vacant(_) if known >= MOST => self.others += count,
            entry => *entry.or_default() += count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_the_sum_is_exact() {
        let mut all = Cut::default();
        for to in 0..150 {
            let mut cut = Cut::default();
            cut.add("shop/web".to_owned(), format!("shop/s-{to:03}"), 2);
            all.merge(cut);
        }
        all.add("shop/web".to_owned(), "shop/s-000".to_owned(), 5);
        assert_eq!(all.named.len(), MOST);
        assert_eq!(
            all.named[&("shop/web".to_owned(), "shop/s-000".to_owned())],
            7
        );
        assert_eq!(all.others, 100);
    }
}
