//! A proxy that nobody has let in yet: it shows what proves it until somebody does.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use leno_proxy::{Clocks, follow};
use leno_wire::MeshAddress;

use crate::command::ending::EndSignals;
use crate::terminal::{Line, Terminal};

/// How long until it is tried again: at first, and at most.
const AGAIN: Duration = Duration::from_millis(500);
const AT_MOST: Duration = Duration::from_secs(10);

/// Joins the mesh, showing the token in `file`, unless that was done in `folder` before. Says why that fails, whenever
/// the reason is another one; `false` if the proxy is told to end meanwhile.
pub(super) async fn join(
    mesh: &MeshAddress,
    file: &Path,
    folder: &Path,
    clocks: &Clocks,
    terminal: &mut Terminal,
) -> anyhow::Result<bool> {
    if follow::Folder::open(folder).is_ok() {
        return Ok(true);
    }
    let mut signals = EndSignals::new()?;
    let (mut again, mut told) = (AGAIN, None);
    loop {
        let tried = tokio::select! {
            tried = try_once(mesh, file, folder, clocks) => tried,
            () = signals.next() => return Ok(false),
        };
        let Err(why) = tried else {
            terminal.tell(Line::new().good("joined ").strong(&mesh.trust_domain));
            return Ok(true);
        };
        let why = format!("{why:#}");
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

async fn try_once(
    mesh: &MeshAddress,
    file: &Path,
    folder: &Path,
    clocks: &Clocks,
) -> anyhow::Result<()> {
    let token = fs::read_to_string(file);
    let token = token.with_context(|| format!("cannot read {}", file.display()))?;
    let shown = follow::Shown::Jwt(mesh, token.trim());
    let joined = follow::join(shown, &follow::Wanted::default(), folder, clocks.clone()).await;
    let joined = joined.map_err(|why| {
        let code = why.code();
        anyhow::anyhow!("{code} {}: {why}", code.slug())
    });
    joined.map(drop)
}
