//! `leno explain`: the page of a code, or what a field of a kind says.

mod field;

use anyhow::bail;
use leno_model::Code;
use leno_model::near::did_you_mean;
use leno_resources::{KINDS, schema};

use crate::arguments::{Explain, Output, fleet};
use crate::command::{Answer, why};
use crate::terminal::{Line, Terminal};

/// Prints the page of one code or field, or the list of all codes and kinds.
pub(crate) fn run(options: &Explain, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let Some(what) = &options.what else {
        return list(terminal);
    };
    if let Ok(code) = what.parse::<Code>() {
        return print_page(code, terminal);
    }
    if why::is_id(what) {
        let context = fleet::Context {
            context: None,
            output: Output::Text,
        };
        return why::happened::run(what, &context, terminal);
    }
    let (named, path) = what.split_once('.').unwrap_or((what, ""));
    if let Some(kind) = KINDS.iter().find(|kind| kind.eq_ignore_ascii_case(named)) {
        return field::explain(kind, path, terminal);
    }
    let codes = Code::ALL.iter().map(|code| code.slug());
    let meant = did_you_mean(named, KINDS.iter().copied().chain(codes));
    let meant = meant.map_or_else(String::new, |meant| format!("{meant} "));
    bail!("there is no code or kind {named:?}; {meant}`leno explain` lists all of them");
}

/// Every code with its sentence, then every kind with what it is for.
fn list(terminal: &mut Terminal) -> anyhow::Result<Answer> {
    for code in Code::ALL {
        let line = Line::new().strong(code).column(6, 1).plain(code.slug());
        terminal.line(line.column(32, 1).dim(code.title()))?;
    }
    terminal.gap()?;
    for kind in KINDS {
        let doc = schema(kind).map_or("", |schema| schema.doc);
        terminal.line(Line::new().strong(kind).column(32, 1).dim(doc))?;
    }
    Ok(Answer::Fine)
}

fn print_page(code: Code, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    for line in page(code).lines() {
        let heading = line.trim_start_matches('#');
        if heading.len() < line.len() {
            terminal.line(Line::new().strong(heading.trim_start()))?;
        } else {
            terminal.line(line)?;
        }
    }
    Ok(Answer::Fine)
}

/// Embeds the page of every code.
macro_rules! pages {
    ($($code:ident),+) => {
        fn page(code: Code) -> &'static str {
            match code {
                $(Code::$code => include_str!(concat!(
                    env!("CARGO_MANIFEST_DIR"), "/../../docs/errors/", stringify!($code), ".md"
                )),)+
            }
        }
    };
}

leno_model::for_every_code!(pages);
