//! Path templates: paths in which some segments may be anything.

use alloc::{format, string::String, sync::Arc};
use core::fmt;

/// A path in which some segments may be anything, as `google.api.http` writes it: `*` and `{name}`
/// stand for one segment that is not empty, `**` and `{name=**}` at the end for any number of them,
/// also for none. So the paths of an OpenAPI document are templates as they stand.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PathTemplate(Arc<str>);

impl PathTemplate {
    /// Reads a template.
    pub fn new(text: &str) -> Result<Self, BadTemplate> {
        let bad = |why: String| BadTemplate {
            text: text.into(),
            why,
        };
        let Some(inside) = text.strip_prefix('/') else {
            return Err(bad("it does not begin with /".into()));
        };
        let mut segments = inside.split('/').peekable();
        while let Some(segment) = segments.next() {
            match Segment::of(segment) {
                Segment::Rest if segments.peek().is_some() => {
                    return Err(bad(format!("{segment} stands only at the end")));
                }
                Segment::Exactly(_) if segment.contains(['*', '{', '}']) => {
                    let why = "is not a segment: write *, **, {name} or {name=**}";
                    return Err(bad(format!("{segment} {why}")));
                }
                Segment::Exactly(_) | Segment::Any | Segment::Rest => {}
            }
        }
        Ok(Self(text.into()))
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path` is one of those that are meant.
    pub fn matches(&self, path: &str) -> bool {
        let (mut expected, mut given) = (self.segments(), path.split('/'));
        loop {
            match (expected.next(), given.next()) {
                (Some(Segment::Rest), _) | (None, None) => return true,
                (Some(Segment::Exactly(text)), Some(segment)) if text == segment => {}
                (Some(Segment::Any), Some(segment)) if !segment.is_empty() => {}
                (Some(Segment::Exactly(_) | Segment::Any) | None, _) => return false,
            }
        }
    }

    /// What its segments stand for, beginning with the nothing before its first slash.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.0.split('/').map(Segment::of)
    }

    /// The path that all those which are meant begin with, by whole segments, without a slash at its
    /// end: `/items` of `/items/{id}/orders`.
    pub fn fixed(&self) -> &str {
        let mut fixed = 0;
        for segment in self.0.split('/').skip(1) {
            match Segment::of(segment) {
                Segment::Exactly(_) => fixed += 1 + segment.len(),
                Segment::Any | Segment::Rest => break,
            }
        }
        self.0.get(..fixed).unwrap_or_default()
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a segment of a template stands for.
pub(crate) enum Segment<'a> {
    /// Itself.
    Exactly(&'a str),
    /// One segment that is not empty.
    Any,
    /// All that follow.
    Rest,
}

impl<'a> Segment<'a> {
    fn of(text: &'a str) -> Self {
        let variable = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        let stands_for = match variable {
            None => text,
            Some(variable) => match variable.split_once('=') {
                Some((name, stands_for)) if is_name(name) => stands_for,
                None if is_name(variable) => "*",
                None if matches!(variable, "*" | "**") => variable,
                Some(_) | None => return Self::Exactly(text),
            },
        };
        match stands_for {
            "*" => Self::Any,
            "**" => Self::Rest,
            _ => Self::Exactly(text),
        }
    }
}

/// Letters, digits and `_ - .`, at least one.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

/// Why a text is not a template.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text:?} is not a path template: {why}")]
pub struct BadTemplate {
    text: Arc<str>,
    why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_for_one_segment_and_stars_at_the_end_for_any_number() {
        for (template, path, expect) in [
            ("/items/{id}/orders/**", "/items/7/orders", true),
            ("/items/{id}/orders/**", "/items/7/orders/", true),
            ("/items/{id}/orders/**", "/items/7/orders/9/lines", true),
            ("/items/{id}/orders/**", "/items//orders/9", false),
            ("/items/{id}/orders/**", "/items/7/8/orders", false),
            ("/items/{id}/orders/**", "/items/7", false),
            ("/items/*", "/items/7", true),
            ("/items/*", "/items/", false),
            ("/items/*", "/items", false),
            ("/items/{item.id}", "/items/7/", false),
            ("/items/{rest=**}", "/items", true),
            ("/items/{*}/{**}", "/items/7/a/b", true),
            ("/items/{id=*}", "/items/7", true),
            ("/**", "/", true),
            ("/**", "*", false),
            ("/", "/", true),
            ("/", "", false),
        ] {
            let read = PathTemplate::new(template).unwrap();
            assert_eq!(read.matches(path), expect, "{template} {path}");
        }
    }

    #[test]
    fn what_all_paths_begin_with_is_known() {
        for (template, expect) in [
            ("/items/{id}/orders", "/items"),
            ("/items/list", "/items/list"),
            ("/a/b/**", "/a/b"),
            ("/{id}", ""),
            ("/", "/"),
        ] {
            assert_eq!(PathTemplate::new(template).unwrap().fixed(), expect);
        }
    }

    #[test]
    fn what_is_no_template_says_why() {
        let why = |text: &str| PathTemplate::new(text).unwrap_err().to_string();
        assert_eq!(
            why("/a/**/b"),
            "\"/a/**/b\" is not a path template: ** stands only at the end"
        );
        assert_eq!(
            why("/v{n}/a"),
            "\"/v{n}/a\" is not a path template: v{n} is not a segment: write *, **, {name} or {name=**}"
        );
        assert_eq!(
            why("items"),
            "\"items\" is not a path template: it does not begin with /"
        );
    }
}
