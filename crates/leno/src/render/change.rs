//! What leads from one revision to another, as people read it.

use leno_admin::{Change, Verb};

use crate::terminal::Line;

/// A line for each object that changed; with `texts` also the lines of it that did.
pub(crate) fn lines(changes: &[Change], texts: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for change in changes {
        let line = match change.verb {
            Verb::Added => Line::new().good("+ "),
            Verb::Changed => Line::new().doubtful("~ "),
            Verb::Moved => Line::new().dim("≈ "),
            Verb::Removed => Line::new().bad("- "),
        };
        let line = line.strong(&change.object).plain("  ");
        lines.push(line.dim(change.place.as_deref().unwrap_or_default()));
        if texts && change.verb != Verb::Moved {
            differing(change, &mut lines);
        }
    }
    lines
}

/// `1 changed, 2 added, 0 deleted`; a line that moved is no change.
pub(crate) fn counted(changes: &[Change]) -> String {
    let of = |verb: Verb| changes.iter().filter(|change| change.verb == verb).count();
    let [changed, added, deleted] = [Verb::Changed, Verb::Added, Verb::Removed].map(of);
    format!("{changed} changed, {added} added, {deleted} deleted")
}

/// The lines that differ, between what both texts begin and end with.
fn differing(change: &Change, lines: &mut Vec<Line>) {
    let split = |text: &Option<String>| -> Vec<String> {
        text.iter()
            .flat_map(|text| text.lines())
            .map(str::to_owned)
            .collect()
    };
    let (before, after) = (split(&change.before), split(&change.after));
    let same = before
        .iter()
        .zip(&after)
        .take_while(|(one, other)| one == other)
        .count();
    let (old, new) = (
        before.get(same..).unwrap_or_default(),
        after.get(same..).unwrap_or_default(),
    );
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(one, other)| one == other)
        .count();
    for line in old.iter().take(old.len() - tail) {
        lines.push(Line::new().plain("    ").bad("- ").plain(line));
    }
    for line in new.iter().take(new.len() - tail) {
        lines.push(Line::new().plain("    ").good("+ ").plain(line));
    }
}
