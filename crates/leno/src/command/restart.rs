//! `leno restart`: ends workloads of the mesh that is up here and starts them again.

use crate::arguments::Restart;
use crate::command::Answer;
use crate::terminal::{Line, Terminal};
use crate::up::{Client, Place, meant};

/// Restarts one after the other.
pub(crate) fn run(options: &Restart, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let mut client = Client::require(&Place::here()?)?;
    for name in &options.names {
        client.restart(&meant(name)?)?;
        let line = Line::new().good("started again ").strong(name);
        terminal.line(line.dim(format_args!("  leno logs {name}")))?;
    }
    Ok(Answer::Fine)
}
