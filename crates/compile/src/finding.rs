//! How this crate words its findings.

use alloc::{format, string::String};

use leno_model::{Code, Name, Namespace, Note, Severity};
use leno_resources::Outline;

/// The namespace of an object of a kind that has one.
pub(crate) fn namespace<'a>(object: impl Into<Outline<'a>>) -> Namespace {
    let namespace = object.into().meta.namespace.clone();
    namespace.unwrap_or_else(Namespace::default_namespace)
}

/// A finding about the field at `pointer` of `object`, which makes something that was written not hold.
pub(crate) fn error<'a>(
    object: impl Into<Outline<'a>>,
    pointer: &str,
    code: Code,
    message: String,
) -> Note {
    finding(object.into(), pointer, code, Severity::Error, message)
}

/// A finding about the field at `pointer` of `object`, which probably does not do what was meant.
pub(crate) fn warning<'a>(
    object: impl Into<Outline<'a>>,
    pointer: &str,
    code: Code,
    message: String,
) -> Note {
    finding(object.into(), pointer, code, Severity::Warning, message)
}

/// A finding about the field at `pointer` of `object`, which is worth knowing.
pub(crate) fn information<'a>(
    object: impl Into<Outline<'a>>,
    pointer: &str,
    code: Code,
    message: String,
) -> Note {
    finding(object.into(), pointer, code, Severity::Info, message)
}

fn finding(
    object: Outline<'_>,
    pointer: &str,
    code: Code,
    severity: Severity,
    message: String,
) -> Note {
    Note {
        code,
        severity,
        origin: Some(object.origin(pointer)),
        span: object.span(pointer),
        message,
        suggestion: None,
        in_force: String::new(),
    }
}

/// A finding about an expression at `pointer` of `object`, at the part of it that is wrong where that
/// can be pointed at.
pub(crate) fn not_cel<'a>(
    object: impl Into<Outline<'a>>,
    pointer: &str,
    written: &str,
    flaw: leno_condition::Flaw,
) -> Note {
    let mut note = error(object, pointer, Code::C007, flaw.message).suggest(flaw.suggestion);
    let characters = written.chars().count();
    if let Some(span) = &mut note.span
        && let Ok(quotes) = usize::try_from(span.width).map(|width| width.wrapping_sub(characters))
        && matches!(quotes, 0 | 2)
        && let (first, length) = flaw.at
        && let Ok(before) = u32::try_from(first.saturating_add(quotes / 2))
    {
        // As it stands, or in quotes and without escapes: each character is one of the file's.
        span.start.column = span.start.column.saturating_add(before);
        span.width = u32::try_from(length.max(1)).unwrap_or(1);
    }
    note
}

/// Completes a finding.
pub(crate) trait Complete {
    /// Says what holds meanwhile.
    fn in_force(self, text: impl Into<String>) -> Self;
    /// Says what the writer probably meant.
    fn suggest(self, text: Option<String>) -> Self;
}

impl Complete for Note {
    fn in_force(mut self, text: impl Into<String>) -> Self {
        self.in_force = text.into();
        self
    }

    fn suggest(mut self, text: Option<String>) -> Self {
        self.suggestion = text;
        self
    }
}

/// Why a reference leads nowhere.
pub(crate) struct Flaw {
    /// The field of the reference that is wrong: `/name`.
    field: &'static str,
    pub(crate) code: Code,
    message: String,
    suggestion: Option<String>,
    severity: Severity,
}

impl Flaw {
    pub(crate) fn new(field: &'static str, code: Code, message: String) -> Self {
        Self {
            field,
            code,
            message,
            suggestion: None,
            severity: Severity::Error,
        }
    }

    /// A reference to the Service of a workload that `leno up` starts, and that has opened no port yet:
    /// nothing is wrong with what is written.
    pub(crate) fn unopened(code: Code, name: &Name) -> Self {
        let message =
            format!("the workload {name} says no ports, and is not known to have one open");
        Self {
            severity: Severity::Warning,
            ..Self::new("/name", code, message)
        }
    }

    /// Says what the writer probably meant.
    pub(crate) fn suggest(self, suggestion: Option<String>) -> Self {
        Self { suggestion, ..self }
    }

    /// The finding about the reference at `pointer` of `object`.
    pub(crate) fn note<'a>(
        self,
        object: impl Into<Outline<'a>>,
        pointer: &str,
        in_force: impl Into<String>,
    ) -> Note {
        finding(
            object.into(),
            &format!("{pointer}{}", self.field),
            self.code,
            self.severity,
            self.message,
        )
        .suggest(self.suggestion)
        .in_force(in_force)
    }
}
