//! `leno leave`: this host goes away from its mesh for good.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use leno_admin::{Client, End, Ending, HoldingOf, NotAsked};
use leno_model::Code;
use leno_model::view::WorkloadId;
use leno_proxy::Clocks;
use leno_proxy::follow::{Folder, NotLeft, leave};
use tokio::time::sleep;

use crate::arguments::fleet;
use crate::command::{Answer, host};
use crate::terminal::{Line, Terminal};

/// Tells the control plane, ends the proxy, and removes what is kept.
pub(crate) fn run(options: &fleet::Leave, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let path = options.state.clone().map_or_else(host::identity, Ok)?;
    let folder = Folder::open(&path)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match runtime.block_on(leave(&folder, &Clocks::start())) {
        Ok(workloads) => tell_left(&workloads, terminal)?,
        Err(error @ NotLeft::NotTold(_)) if !options.force => return not_told(&error, terminal),
        Err(error) if options.force => {
            let line = Line::new().doubtful("! ").plain(error);
            terminal.line(line.plain("; it goes on calling what was here"))?;
        }
        Err(error) => return Err(error.into()),
    }
    let proxy = Client::new(&host::proxy_socket(&path));
    match runtime.block_on(proxy.ask(End {})) {
        Ok(Ending {}) => {
            runtime.block_on(no_longer_answers(&proxy));
            terminal.line("the proxy ends as soon as what lives there has ended")?;
        }
        // None runs.
        Err(NotAsked::Away { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let removed = folder.remove();
    removed.with_context(|| format!("cannot remove what is in {}", path.display()))?;
    terminal.line(format!(
        "removed keys, certificates and views from {}",
        path.display()
    ))?;
    Ok(Answer::Fine)
}

/// Waits for a bounded time until the proxy follows nobody any more, and thus keeps nothing more.
async fn no_longer_answers(proxy: &Client) {
    for _ in 0..MOST_LOOKS {
        if matches!(proxy.ask(HoldingOf {}).await, Err(NotAsked::Away { .. })) {
            return;
        }
        sleep(LOOK).await;
    }
}

const LOOK: Duration = Duration::from_millis(20);
const MOST_LOOKS: u32 = 250;

fn tell_left(workloads: &BTreeSet<WorkloadId>, terminal: &mut Terminal) -> anyhow::Result<()> {
    let line = Line::new().good("left");
    let names: Vec<_> = workloads.iter().map(ToString::to_string).collect();
    terminal.line(match names.is_empty() {
        true => line.plain("  it stood in front of nothing"),
        false => line.plain(format_args!("  nobody calls {} any more", names.join(", "))),
    })?;
    Ok(())
}

fn not_told(error: &NotLeft, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let code = Code::D001;
    let line = Line::new().bad("✗ ").strong(code).plain(" ");
    terminal.line(line.plain(code.slug()).plain("  ").plain(error))?;
    let meanwhile = "this host is as it was, and others go on calling it";
    terminal.line(Line::new().dim("    In force  ").plain(meanwhile))?;
    let next = "leno leave --force (goes without a word) · leno explain D001";
    terminal.line(Line::new().dim("    Next      ").plain(next))?;
    Ok(Answer::Bad)
}
