//! `leno completion`: what a shell needs to complete the commands.

use crate::arguments::{self, Completion};
use crate::command::Answer;
use crate::terminal::Terminal;

/// Prints the script for a shell.
pub(crate) fn run(options: &Completion, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(
        options.shell,
        &mut arguments::command(),
        "leno",
        &mut script,
    );
    terminal.text(&String::from_utf8(script)?)?;
    Ok(Answer::Fine)
}
