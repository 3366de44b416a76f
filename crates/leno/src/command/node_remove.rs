//! `leno node-remove`: leaves a node as it was before its proxy came.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use anyhow::Context as _;
use leno_cni::{Keeper, Options, PLUGIN, Places};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::arguments::cluster::NodeRemove;
use crate::command::Answer;
use crate::command::ending::EndSignals;
use crate::command::joined::lasting;
use crate::terminal::{Line, Terminal};

/// How long until it is tried again, and how long somebody at the socket has to be one.
const AGAIN: Duration = Duration::from_secs(1);

/// Takes away what the node's proxy has put there, once that one has ended.
pub(crate) fn run(options: &NodeRemove, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = EndSignals::new()?;
        tokio::select! {
            removed = remove(options, terminal) => removed?,
            () = signals.next() => return Ok(Answer::Bad),
        }
        if options.stay {
            signals.next().await;
        }
        Ok(Answer::Fine)
    })
}

async fn remove(options: &NodeRemove, terminal: &mut Terminal) -> anyhow::Result<()> {
    let mut keeper = Keeper::new(
        Places {
            program: Path::new("/").join(PLUGIN),
            plugins: options.cni_bin.clone(),
            configurations: options.cni_conf.clone(),
        },
        Options::default(),
    );
    let mut told = None;
    while let Some(why) = not_removed(&mut keeper, options, terminal).await {
        if told.as_ref() != Some(&why) {
            terminal.tell(Line::new().doubtful("waiting ").plain(&why));
        }
        told = Some(why);
        sleep(AGAIN).await;
    }
    let socket = options.cni_socket.as_path();
    unless_gone(fs::remove_file(socket)).with_context(|| socket.display().to_string())?;
    let released = leno_host::release_pods().context("the network namespaces of pods")?;
    if released > 0 {
        terminal.tell(format!("{released} pods are captured no more"));
    }
    Ok(terminal.line(
        Line::new()
            .good("clear")
            .plain("  nothing of Leno is on this node"),
    )?)
}

/// Takes the plugin away; why that has to wait, if it has to.
async fn not_removed(
    keeper: &mut Keeper,
    options: &NodeRemove,
    terminal: &mut Terminal,
) -> Option<String> {
    let socket = options.cni_socket.as_path();
    // One that is too busy to take a call lives, too.
    if !matches!(
        timeout(AGAIN, UnixStream::connect(socket)).await,
        Ok(Err(_))
    ) {
        return Some(format!("a proxy answers at {}", socket.display()));
    }
    // Before anything else goes: a proxy that ends serves what it has to its end.
    match lasting::remove(&options.node_state) {
        Ok(true) => {}
        Ok(false) => return Some("a proxy has not ended".to_owned()),
        Err(why) => return Some(format!("{}: {why}", options.node_state.display())),
    }
    let (changes, missing) = keeper.remove();
    for change in changes {
        terminal.tell(change.to_string());
    }
    missing.map(|why| format!("{} {}: {why}", why.code(), why.code().slug()))
}

fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
