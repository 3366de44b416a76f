//! `leno down`: ends the mesh that is up here.

use std::fs;

use anyhow::Context as _;

use crate::arguments::Down;
use crate::command::Answer;
use crate::terminal::{Line, Terminal};
use crate::up::{Client, Place};

/// Ends all of it, and forgets it if that is asked for.
pub(crate) fn run(options: &Down, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let place = Place::here()?;
    let folder = place.folder().display();
    match Client::connect(&place)? {
        Some(mut client) => {
            client.down()?;
            terminal.line(Line::new().good("ended ").plain(folder))?;
        }
        None => terminal.line(Line::new().plain("nothing is up in ").plain(folder))?,
    }
    if options.wipe && place.state().exists() {
        // Nobody may start it meanwhile.
        let _held = place.hold()?;
        let state = place.state();
        fs::remove_dir_all(&state).with_context(|| format!("cannot remove {}", state.display()))?;
        let line = Line::new().good("forgot ").plain(state.display());
        terminal.line(line.dim("  revisions, keys, addresses, logs"))?;
    }
    Ok(Answer::Fine)
}
