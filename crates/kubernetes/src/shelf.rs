//! What is known of the objects of one kind, while its watch goes on, breaks off and begins anew.

use std::collections::BTreeMap;

/// What an object is called: its namespace, if its kind has one, and its name.
pub(crate) type Key = (Option<String>, String);

/// What a watch tells.
pub(crate) enum Step<V> {
    /// All objects there are will be listed.
    Begin,
    /// One that is listed.
    Listed(Key, V),
    /// All were listed.
    Listing,
    /// One that is new, or another than before.
    Put(Key, V),
    /// One is gone.
    Gone(Key),
    /// Nothing can be told for now.
    Trouble(String),
    /// What happens is told again.
    Well,
    /// The cluster does not have this kind.
    Unknown,
}

impl<V> Step<V> {
    /// The same of what its object is turned into.
    pub(crate) fn map<W>(self, turn: impl FnOnce(V) -> W) -> Step<W> {
        match self {
            Self::Begin => Step::Begin,
            Self::Listed(key, value) => Step::Listed(key, turn(value)),
            Self::Listing => Step::Listing,
            Self::Put(key, value) => Step::Put(key, turn(value)),
            Self::Gone(key) => Step::Gone(key),
            Self::Trouble(why) => Step::Trouble(why),
            Self::Well => Step::Well,
            Self::Unknown => Step::Unknown,
        }
    }

    /// The one object that is another from here on, if it is about one.
    pub(crate) fn key(&self) -> Option<&Key> {
        match self {
            Self::Put(key, _) | Self::Gone(key) => Some(key),
            Self::Listed(..)
            | Self::Begin
            | Self::Listing
            | Self::Trouble(_)
            | Self::Well
            | Self::Unknown => None,
        }
    }
}

/// The objects of one kind.
pub(crate) struct Shelf<V> {
    held: BTreeMap<Key, V>,
    /// What a list that is not at its end has told.
    listed: BTreeMap<Key, V>,
    is_complete: bool,
    trouble: Option<String>,
}

impl<V> Default for Shelf<V> {
    fn default() -> Self {
        Self {
            held: BTreeMap::new(),
            listed: BTreeMap::new(),
            is_complete: false,
            trouble: None,
        }
    }
}

impl<V: PartialEq> Shelf<V> {
    /// Takes what was told, and says whether something else is known than before. While nothing can be told, and
    /// while objects are listed anew, what was known last stays.
    pub(crate) fn take(&mut self, step: Step<V>) -> bool {
        let is_trouble = matches!(step, Step::Trouble(_));
        let well = !is_trouble && self.trouble.take().is_some();
        well | match step {
            Step::Begin => {
                self.listed.clear();
                false
            }
            Step::Well => false,
            Step::Listed(key, value) => {
                self.listed.insert(key, value);
                false
            }
            Step::Listing => {
                let listed = std::mem::take(&mut self.listed);
                let is_news = !self.is_complete || self.held != listed;
                self.held = listed;
                self.is_complete = true;
                is_news
            }
            Step::Put(key, value) => {
                let before = self.held.get(&key);
                let is_news = before != Some(&value);
                if is_news {
                    self.held.insert(key, value);
                }
                is_news
            }
            Step::Gone(key) => self.held.remove(&key).is_some(),
            Step::Trouble(why) => {
                let is_news = self.trouble.as_ref() != Some(&why);
                self.trouble = Some(why);
                is_news
            }
            // Of what does not exist there is no object.
            Step::Unknown => !std::mem::replace(&mut self.is_complete, true),
        }
    }

    /// Whether all objects were listed at least once.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Why nothing can be told for now.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The object of this name.
    pub(crate) fn get(&self, key: &Key) -> Option<&V> {
        self.held.get(key)
    }

    /// Changes what is known of each object, also of those that a list has told so far.
    pub(crate) fn change_each(&mut self, change: impl FnMut(&mut V)) {
        let all = self.held.values_mut().chain(self.listed.values_mut());
        all.for_each(change);
    }

    /// The objects, in order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &V)> {
        self.held.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        (None, name.to_owned())
    }

    fn held(shelf: &Shelf<u8>) -> Vec<(&str, u8)> {
        shelf
            .iter()
            .map(|((_, name), value)| (&**name, *value))
            .collect()
    }

    #[test]
    fn what_was_known_stays_until_a_list_is_at_its_end() {
        let mut shelf = Shelf::default();
        assert!(!shelf.take(Step::Begin));
        assert!(!shelf.take(Step::Listed(key("a"), 1)));
        assert!(!shelf.is_complete());
        assert!(shelf.take(Step::Listing));
        assert!(shelf.is_complete());
        assert!(shelf.take(Step::Put(key("b"), 2)));
        assert!(!shelf.take(Step::Put(key("b"), 2)), "nothing new");

        assert!(shelf.take(Step::Trouble("away".to_owned())));
        assert!(!shelf.take(Step::Trouble("away".to_owned())), "known");
        assert_eq!(held(&shelf), [("a", 1), ("b", 2)]);
        assert!(shelf.take(Step::Begin), "it is well again");
        assert!(!shelf.take(Step::Listed(key("b"), 3)));
        assert_eq!(held(&shelf), [("a", 1), ("b", 2)]);
        assert!(shelf.take(Step::Listing));
        assert_eq!(held(&shelf), [("b", 3)]);

        // A list that breaks off, and one that says what is known.
        shelf.take(Step::Begin);
        shelf.take(Step::Listed(key("x"), 9));
        shelf.take(Step::Begin);
        shelf.take(Step::Listed(key("b"), 3));
        assert!(!shelf.take(Step::Listing));
        assert_eq!(held(&shelf), [("b", 3)]);
        assert!(shelf.take(Step::Gone(key("b"))));
        assert!(!shelf.take(Step::Gone(key("b"))));
    }

    #[test]
    fn a_kind_that_does_not_exist_has_no_objects_and_loses_none() {
        let mut shelf = Shelf::default();
        assert!(shelf.take(Step::Unknown));
        assert!(!shelf.take(Step::Unknown));
        assert!(shelf.is_complete());
        shelf.take(Step::Put(key("a"), 1));
        assert!(!shelf.take(Step::Unknown));
        assert_eq!(held(&shelf), [("a", 1)]);
    }
}
