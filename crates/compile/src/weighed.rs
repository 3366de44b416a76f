//! What a change of one object does to what is found: whether it is to be made, and what whoever makes it is told.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use leno_model::{Code, Note, Notes, ObjectRef, Severity};

/// What a change of one object does to what is found.
#[derive(PartialEq, Eq, Debug)]
pub struct Weighed<'a> {
    /// What is wrong with the object itself and was not before: why the change is not to be made.
    pub refused: Vec<&'a Note>,
    /// What else does not hold of it as it is written, or probably not as it was meant.
    pub warned: Vec<&'a Note>,
    /// What other objects have said until now, and would not hold any more.
    pub of_others: Vec<&'a Note>,
}

/// Compares what is found with what was found before `object` was made, changed or taken away.
///
/// An error that was there before stays a warning, wherever in the object it stands by now, so that an object can be
/// repaired one error at a time. So does one that another object may mend, which comes a moment later or has not been
/// seen yet: where several are written at once, nobody promises an order.
pub fn weigh<'a>(object: &ObjectRef, before: &Notes, after: &'a Notes) -> Weighed<'a> {
    let mut known = BTreeMap::<_, usize>::new();
    for note in before.iter() {
        *known.entry(gist(note)).or_default() += 1;
    }
    let mut weighed = Weighed {
        refused: Vec::new(),
        warned: Vec::new(),
        of_others: Vec::new(),
    };
    for note in after.iter() {
        let left = known.get_mut(&gist(note)).filter(|left| **left > 0);
        let is_new = left.map(|left| *left -= 1).is_none();
        let is_own = note.object().map_or(is_new, |it| it == object);
        match note.severity {
            Severity::Error if is_own && is_new && !may_be_mended_elsewhere(note) => {
                weighed.refused.push(note);
            }
            Severity::Error | Severity::Warning if is_own => weighed.warned.push(note),
            Severity::Error if is_new => weighed.of_others.push(note),
            Severity::Error | Severity::Warning | Severity::Info => {}
        }
    }
    weighed
}

/// What makes two findings the same one, wherever in a list it stands.
fn gist(note: &Note) -> (Code, Severity, Option<&ObjectRef>, String, &str) {
    let pointer = note.origin.as_ref().map_or("", |origin| &*origin.pointer);
    let steps = pointer.split('/').map(|step| match step.parse::<usize>() {
        Ok(_) => "-",
        Err(_) => step,
    });
    let field = steps.collect::<Vec<_>>().join("/");
    (
        note.code,
        note.severity,
        note.object(),
        field,
        &note.message,
    )
}

/// Whether something else than the object could mend it: what it refers to, or whoever its parent belongs to.
fn may_be_mended_elsewhere(note: &Note) -> bool {
    let pointer = note.origin.as_ref().map_or("", |origin| &*origin.pointer);
    let is_reference = matches!(
        note.code,
        Code::C101
            | Code::C103
            | Code::C104
            | Code::C105
            | Code::C110
            | Code::C113
            | Code::C130
            | Code::C159
            | Code::C180
    );
    is_reference || pointer.starts_with("/spec/parentRefs")
}
