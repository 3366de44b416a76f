//! What a field's type does not say: lengths, ranges, forms.

use crate::form::Form;
use crate::schema::Bounds;

/// The bounds of one field. For a list or a map of values, `length`, `range`, `numbers` and `form` are
/// those of each value.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) items: (usize, usize),
    pub(crate) required: bool,
    pub(crate) whole: bool,
    pub(crate) unique: Option<&'static str>,
    pub(crate) length: (usize, usize),
    pub(crate) range: (i64, i64),
    pub(crate) numbers: Option<&'static [i64]>,
    pub(crate) form: Option<Form>,
}

impl Rules {
    /// No bounds.
    pub(crate) const NONE: Self = Self {
        items: (0, usize::MAX),
        required: false,
        whole: false,
        unique: None,
        length: (0, usize::MAX),
        range: (i64::MIN, i64::MAX),
        numbers: None,
        form: None,
    };

    /// Those of them that can be told as numbers.
    pub(crate) const fn bounds(self) -> Bounds {
        Bounds {
            items: self.items,
            length: self.length,
            range: self.range,
            numbers: self.numbers,
        }
    }

    /// How many items a list may have.
    pub(crate) const fn items(self, least: usize, most: usize) -> Self {
        Self {
            items: (least, most),
            ..self
        }
    }

    /// That a list must be there.
    pub(crate) const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    /// That a map counts as empty unless all of it was understood.
    pub(crate) const fn whole(self) -> Self {
        Self {
            whole: true,
            ..self
        }
    }

    /// That no two items of a list have the same value under `key`; without a key, are the same.
    pub(crate) const fn unique(self, key: &'static str) -> Self {
        Self {
            unique: Some(key),
            ..self
        }
    }

    /// Which numbers there are.
    pub(crate) const fn one_of(self, numbers: &'static [i64]) -> Self {
        Self {
            numbers: Some(numbers),
            ..self
        }
    }

    /// How long a text may be, in characters.
    pub(crate) const fn length(self, least: usize, most: usize) -> Self {
        Self {
            length: (least, most),
            ..self
        }
    }

    /// How large a number may be.
    pub(crate) const fn range(self, least: i64, most: i64) -> Self {
        Self {
            range: (least, most),
            ..self
        }
    }

    /// What a text must look like.
    pub(crate) const fn form(self, form: Form) -> Self {
        Self {
            form: Some(form),
            ..self
        }
    }
}
