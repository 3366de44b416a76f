//! What is said where namespaces are forbidden: what forbids them, what to do about it, and what a
//! mesh without capture does not do.

use std::io;
use std::path::Path;

use leno_host::Blocker;

use crate::terminal::{Line, Terminal};

/// What forbids enclosures here, if something does: found out by making one, with its rules.
pub(crate) fn blocker() -> Option<Blocker> {
    leno_host::probe(Path::new("/proc/self/exe")).err()
}

/// Says what forbids enclosures, what to do about it, and which `command` does without.
pub(crate) fn print_blocker(
    blocker: &Blocker,
    command: &str,
    terminal: &mut Terminal,
) -> io::Result<()> {
    print_cause(blocker, terminal)?;
    terminal.gap()?;
    for line in blocker.remedy().lines() {
        terminal.line(Line::new().plain("    ").plain(line))?;
    }
    terminal.gap()?;
    let line = Line::new().dim("    Or without capture  ");
    terminal.line(line.plain(command))
}

/// Says what forbids enclosures.
pub(crate) fn print_cause(blocker: &Blocker, terminal: &mut Terminal) -> io::Result<()> {
    let code = blocker.code();
    let line = Line::new().bad("✗ ").strong(code).plain(" ");
    terminal.line(line.plain(code.slug()))?;
    terminal.line(Line::new().plain("    ").plain(blocker))
}

/// How calls come into the mesh, as the first line of its output says it.
pub(crate) fn capture(is_explicit: bool) -> &'static str {
    match is_explicit {
        false => "capture: network namespaces",
        true => "capture: none (--explicit)",
    }
}

/// What a mesh without capture does not do.
pub(crate) fn caveats() -> [Line; 4] {
    let line = |text: &str| Line::new().column(12, 0).plain(text);
    [
        Line::new().doubtful("  Explicit").column(12, 1).plain(
            "only calls by the variables above go through the mesh: encrypted, proven, judged;",
        ),
        line("a call that ignores them goes around it, in plain, and UDP is left alone."),
        line("Whoever is on this machine reaches each application's own port in plain, and calls"),
        line("as a workload by its variables.   More: docs/guides/explicit.md"),
    ]
}
