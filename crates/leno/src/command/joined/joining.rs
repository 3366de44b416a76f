//! A proxy that nobody has let in yet: it shows what proves it until somebody does.

use std::path::Path;
use std::time::Duration;

use leno_proxy::Clocks;
use leno_proxy::follow::{self, TokenFile};

use crate::command::ending::EndSignals;
use crate::command::joined::lasting::Lasting;
use crate::terminal::{Line, Terminal};

/// How long until it is tried again: at first, and at most.
const AGAIN: Duration = Duration::from_millis(500);
const AT_MOST: Duration = Duration::from_secs(10);

/// Joins the mesh, showing `token`, unless that was done in `folder` before, or what an earlier proxy of this node left
/// can be taken up. Says why that fails, whenever the reason is another one; `false` if the proxy is told to end meanwhile.
pub(super) async fn join(
    token: &TokenFile,
    folder: &Path,
    mut lasting: Option<&mut Lasting>,
    clocks: &Clocks,
    terminal: &mut Terminal,
) -> anyhow::Result<bool> {
    if follow::Folder::open(folder).is_ok() {
        return Ok(true);
    }
    let mut signals = EndSignals::new()?;
    let (mut again, mut told) = (AGAIN, None);
    loop {
        // Who has left it may end at any time.
        let taken = lasting.as_mut().map(|it| it.take_up(&token.mesh));
        if taken.transpose()? == Some(true) {
            let line = Line::new().good("takes up");
            terminal.tell(line.plain("  what an earlier proxy of this node left"));
            return Ok(true);
        }
        let tried = tokio::select! {
            tried = token.join(folder, clocks.clone()) => tried,
            () = signals.next() => return Ok(false),
        };
        let Err(why) = tried else {
            terminal.tell(Line::new().good("joined ").strong(&token.mesh.trust_domain));
            return Ok(true);
        };
        let why = format!("{} {}: {why}", why.code(), why.code().slug());
        if told.as_ref() != Some(&why) {
            terminal.tell(
                Line::new()
                    .bad("✗ ")
                    .plain(&why)
                    .dim("  tried again until it succeeds"),
            );
        }
        told = Some(why);
        tokio::select! {
            () = tokio::time::sleep(again) => again = (again * 2).min(AT_MOST),
            () = signals.next() => return Ok(false),
        }
    }
}
