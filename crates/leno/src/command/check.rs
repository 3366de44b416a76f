//! `leno check`: is the configuration valid? Problems first.

use std::cmp::Reverse;

use leno_model::{Note, Severity};
use serde_json::{Value, json};

use crate::arguments::{Check, Output};
use crate::command::Answer;
use crate::offline::{Offline, count};
use crate::render;
use crate::terminal::Terminal;

/// Checks what the files say.
pub(crate) fn run(options: &Check, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let offline = Offline::read(&options.input)?;
    let mut notes: Vec<&Note> = offline.notes.iter().collect();
    notes.sort_by_key(|note| {
        (
            Reverse(note.severity),
            note.span.as_ref().map(|span| &span.start),
        )
    });
    let of = |severity| {
        notes
            .iter()
            .filter(|note| note.severity == severity)
            .count()
    };
    let (problems, warnings, remarks) = (
        of(Severity::Error),
        of(Severity::Warning),
        of(Severity::Info),
    );
    if options.output == Output::Json {
        let notes: Vec<Value> = notes.iter().map(|note| render::note::json(note)).collect();
        let answer = json!({ "objects": offline.objects, "notes": notes });
        terminal.text(&serde_json::to_string_pretty(&answer)?)?;
    } else {
        let line = offline.context().column(72, 6);
        let line = match problems {
            0 => line.good("no problem"),
            _ => line.bad(count(problems, "problem")),
        };
        let line = match warnings {
            0 => line,
            _ => line.plain(", ").doubtful(count(warnings, "warning")),
        };
        let hidden = remarks > 0 && !options.verbose;
        terminal.line(if hidden {
            line.dim(format_args!(", {} (-v)", count(remarks, "remark")))
        } else {
            line
        })?;
        let texts = offline.texts();
        for note in notes {
            if note.severity > Severity::Info || options.verbose {
                terminal.gap()?;
                render::note::print(note, &texts, terminal)?;
            }
        }
    }
    Ok(if problems == 0 {
        Answer::Fine
    } else {
        Answer::Bad
    })
}
