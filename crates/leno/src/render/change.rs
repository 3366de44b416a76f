//! What leads from one revision to another, as people read it.

use leno_admin::{Change, Verb};
use similar::{ChangeTag, TextDiff};

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

/// How many lines that stay are shown around those that differ: in them stands what a weight is of.
const AROUND: usize = 2;

/// The lines that differ, with what stands around them.
fn differing(change: &Change, lines: &mut Vec<Line>) {
    let [before, after] =
        [&change.before, &change.after].map(|text| text.as_deref().unwrap_or_default());
    let diff = TextDiff::from_lines(before, after);
    for (group, near) in diff.grouped_ops(AROUND).iter().enumerate() {
        if group > 0 {
            lines.push(Line::new().dim("      …"));
        }
        for line in near.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = line.value().trim_end_matches(['\r', '\n']);
            let begun = Line::new().plain("    ");
            lines.push(match line.tag() {
                ChangeTag::Equal => begun.plain("  ").dim(text),
                ChangeTag::Delete => begun.bad("- ").plain(text),
                ChangeTag::Insert => begun.good("+ ").plain(text),
            });
        }
    }
}
