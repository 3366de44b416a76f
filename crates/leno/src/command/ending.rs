//! How a running proxy is told to end, and what is said when it has.

use std::io;

use leno_model::Code;
use leno_proxy::{Cut, Proxy};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::terminal::{Line, Terminal};

/// The signals by which a process is told to end.
pub(crate) struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    /// Hears them from here on. Needs a runtime around it.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Lets `proxy` end in peace; told so once more, at once.
pub(crate) async fn end(proxy: &Proxy, signals: &mut EndSignals) {
    proxy.drain();
    tokio::select! {
        () = proxy.ended() => return,
        () = signals.next() => proxy.end(),
    }
    proxy.ended().await;
}

/// Says what had to be cut, by name.
pub(crate) fn tell_cut(cut: &Cut, terminal: &mut Terminal) -> io::Result<()> {
    let (code, slug) = (Code::R041, Code::R041.slug());
    for ((from, to), count) in &cut.named {
        let told = format!("  {from} -> {to}  {count} that still lived  {code} {slug}");
        terminal.line(Line::new().bad("cut").plain(told))?;
    }
    if cut.others > 0 {
        let others = format!("  {} more that still lived  {code} {slug}", cut.others);
        terminal.line(Line::new().bad("cut").plain(others))?;
    }
    Ok(())
}
