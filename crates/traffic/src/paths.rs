//! Positions by path: exact paths and prefixes by the hash of their segments, everything else in a
//! list that is always proposed.

use alloc::{collections::BTreeMap, vec::Vec};

use leno_model::view::PathMatch;

use crate::index::{First, Index, Key};

/// Proposes positions for a path. Several groups of positions share one index, told apart by a
/// seed of their own.
#[derive(Debug)]
pub(crate) struct PathIndex {
    index: Index,
}

/// One group of positions in a [`PathIndex`].
#[derive(Debug)]
pub(crate) struct Group {
    seed: Key,
    /// How many segments the longest prefix has; `None` if there is no prefix.
    deepest: Option<usize>,
    /// Whether there is an exact path.
    exact: bool,
    /// What no path can exclude.
    others: Vec<u32>,
}

/// Collects what a [`PathIndex`] is made of.
#[derive(Default)]
pub(crate) struct Filing(BTreeMap<Key, Vec<u32>>);

impl Filing {
    pub(crate) fn finish(self) -> PathIndex {
        PathIndex {
            index: Index::new(self.0),
        }
    }
}

impl Group {
    pub(crate) fn new(seed: Key) -> Self {
        Self {
            seed,
            deepest: None,
            exact: false,
            others: Vec::new(),
        }
    }

    /// Files `position` under the path it needs.
    pub(crate) fn file(&mut self, filing: &mut Filing, path: &PathMatch, position: u32) {
        let key = match path {
            PathMatch::Exact(path) => {
                self.exact = true;
                chain(path).fold(Key::START, |_, key| key).and(EXACT)
            }
            PathMatch::Prefix(prefix) => self.below(prefix),
            PathMatch::Template(template) => self.below(template.fixed().trim_end_matches('/')),
            PathMatch::Regex(_) => {
                self.others.push(position);
                return;
            }
        };
        filing
            .0
            .entry(self.seed.and(key))
            .or_default()
            .push(position);
    }

    /// The key of what is below `prefix`, which has no slash at its end.
    fn below(&mut self, prefix: &str) -> Key {
        let (depth, key) = if prefix.is_empty() {
            (0, Key::START)
        } else {
            chain(prefix).fold((0, Key::START), |(depth, _), key| (depth + 1, key))
        };
        self.deepest = Some(self.deepest.unwrap_or_default().max(depth));
        key
    }

    /// Files `position` where every path proposes it.
    pub(crate) fn file_for_all(&mut self, position: u32) {
        self.others.push(position);
    }
}

impl PathIndex {
    /// Proposes the positions of `group` that `path` does not exclude.
    pub(crate) fn propose<F: FnMut(u32) -> bool>(
        &self,
        group: &Group,
        path: &str,
        first: &mut First<F>,
    ) {
        let deepest = group.deepest.unwrap_or_default();
        if group.deepest.is_some() {
            first.try_all(self.index.get(group.seed.and(Key::START)));
        }
        if deepest > 0 || group.exact {
            let mut whole = Key::START;
            for (depth, prefix) in chain(path).enumerate() {
                if depth < deepest {
                    first.try_all(self.index.get(group.seed.and(prefix)));
                } else if !group.exact {
                    break;
                }
                whole = prefix;
            }
            if group.exact {
                first.try_all(self.index.get(group.seed.and(whole.and(EXACT))));
            }
        }
        first.try_all(&group.others);
    }
}

/// Tells an exact path from the prefix of the same segments.
const EXACT: Key = Key::OTHER;

/// The keys of the path's first segment, of its first two, and so on to all of them.
fn chain(path: &str) -> impl Iterator<Item = Key> {
    let segments = path.strip_prefix('/').unwrap_or(path).split('/');
    segments.scan(Key::START, |key, segment| {
        *key = key.then(segment.as_bytes());
        Some(*key)
    })
}
