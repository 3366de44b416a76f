//! How a newer process of a proxy takes the place of an older one, as people meet it.

use std::future::pending;
use std::path::Path;
use std::process::Command;
use std::{env, thread};

use anyhow::{Context as _, bail};
use leno_model::Code;
use leno_proxy::Proxy;
use leno_proxy::succession::{Heir, Predecessor, Succession};

use crate::terminal::{Line, Terminal};

/// The process of the proxy at `place` whose place is to be taken. One that runs although nobody wants
/// to take its place is a mistake: two would share what comes.
pub(super) fn predecessor(place: &Path, take_over: bool) -> anyhow::Result<Option<Predecessor>> {
    let found = Predecessor::find(place)?;
    if let (Some(found), false) = (&found, take_over) {
        let (code, slug) = (Code::H002, Code::H002.slug());
        let process = found.process();
        bail!(
            "{code} {slug}: this proxy runs already, as process {process}; --take-over takes its \
             place without a gap"
        );
    }
    Ok(found)
}

/// Offers `proxy` at `place` to newer processes; that it cannot is told.
pub(super) fn offer(place: &Path, proxy: &Proxy, terminal: &mut Terminal) -> Option<Succession> {
    match Succession::offer(place, proxy) {
        Ok(succession) => Some(succession),
        Err(error) => {
            let told = format!("  nobody can take its place: {}: {error}", place.display());
            terminal.tell(Line::new().doubtful("offers nothing").plain(told));
            None
        }
    }
}

/// Waits until a newer process serves.
pub(super) async fn accepted(succession: &mut Option<Succession>) -> Heir {
    match succession {
        Some(succession) => succession.accepted().await,
        None => pending().await,
    }
}

/// Starts a newer process of this proxy: with the same arguments, from the program that its file holds
/// by this time. It takes the place of this one once it serves; until then, and if it fails, this one
/// goes on.
pub(super) fn start_newer() -> anyhow::Result<()> {
    let mut arguments = env::args_os();
    let program = arguments.next().context("this process has no name")?;
    let mut newer = Command::new(program);
    let mut arguments: Vec<_> = arguments.collect();
    if !arguments.iter().any(|argument| argument == TAKE_OVER) {
        arguments.push(TAKE_OVER.into());
    }
    let mut child = newer.args(arguments).spawn()?;
    // Should it fail, it has said why.
    thread::spawn(move || drop(child.wait()));
    Ok(())
}

const TAKE_OVER: &str = "--take-over";

/// Lets `heir` have what `proxy` has, and says so.
pub(super) fn give_way(proxy: &Proxy, heir: Heir, terminal: &mut Terminal) {
    let process = heir.process();
    proxy.succeeded_by(heir);
    let told = format!("  process {process} serves in its place; what lives here ends in peace");
    terminal.tell(Line::new().good("succeeded").plain(told));
}

/// Says whose place was taken.
pub(super) fn tell_taken(process: u32, terminal: &mut Terminal) {
    let told = format!("  from process {process}, which ends what lives there");
    terminal.tell(Line::new().good("took over").plain(told));
}
