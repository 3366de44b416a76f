//! What was understood of a part of an object. Whoever wants the value has to say what happens
//! where not all of it was understood.

use alloc::vec::Vec;

/// A part of an object that stands or falls by itself: a list's item, or a `spec`.
///
/// Everything that was wrong inside has been noted. A flaw in an item is the item's alone and does not
/// make its list flawed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part<T> {
    value: Option<T>,
    flawed: bool,
}

impl<T> Part<T> {
    /// A part that was understood as written.
    pub fn whole(value: T) -> Self {
        Self {
            value: Some(value),
            flawed: false,
        }
    }

    /// What was read, and whether anything in it was not understood.
    pub(crate) fn read(value: Option<T>, flawed: bool) -> Self {
        Self {
            flawed: flawed || value.is_none(),
            value,
        }
    }

    /// The value, if all of it was understood.
    pub fn sound(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| !self.flawed)
    }

    /// Whatever was understood: optional fields that were not are absent, lists that were not have
    /// one flawed item. It may allow more, or speak of less, than what was written; only for finding out
    /// what a flawed part was about, and for kinds whose fields stand by themselves.
    pub fn partly(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Whether anything in it was not understood.
    pub fn is_flawed(&self) -> bool {
        self.flawed
    }
}

/// A list as it was written: each item at its own index, flawed or not. A list that is absent is
/// empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List<T>(Vec<Part<T>>);

impl<T> List<T> {
    /// A list of which no item could be read: one item that is not understood. It is not empty,
    /// because an absent list often means everything.
    pub(crate) fn unreadable() -> Self {
        Self([Part::read(None, true)].into())
    }

    /// The items in order; an item's place is its index in the JSON pointer.
    pub fn iter(&self) -> core::slice::Iter<'_, Part<T>> {
        self.0.iter()
    }

    /// All items, if each of them was understood.
    pub fn sound(&self) -> Option<Vec<&T>> {
        self.iter().map(Part::sound).collect()
    }

    /// How many items were written.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no item was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<Part<T>> for List<T> {
    fn from_iter<I: IntoIterator<Item = Part<T>>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a Part<T>;
    type IntoIter = core::slice::Iter<'a, Part<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
