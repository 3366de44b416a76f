//! `leno explain`: the page of a code.

use anyhow::bail;
use leno_model::Code;

use crate::arguments::Explain;
use crate::command::Answer;
use crate::terminal::{Line, Terminal};

/// Prints the page of one code, or the list of all.
pub(crate) fn run(options: &Explain, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let Some(what) = &options.what else {
        for code in Code::ALL {
            let line = Line::new().strong(code).column(6, 1).plain(code.slug());
            terminal.line(line.column(32, 1).dim(code.title()))?;
        }
        return Ok(Answer::Fine);
    };
    let Ok(code) = what.parse::<Code>() else {
        bail!("there is no code {what:?}; `leno explain` lists all of them");
    };
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
