//! What a proxy says of itself.

use std::io;

use leno_admin::{Follows, Holding};
use leno_model::Code;

use crate::render::moment;
use crate::terminal::{Line, Terminal};

/// Prints what a proxy holds, a line for each thing.
pub(crate) fn print(holding: &Holding, terminal: &mut Terminal) -> io::Result<()> {
    const D001: Code = Code::D001;
    let (since, slug) = (moment(&holding.since, &holding.now), D001.slug());
    let line = Line::new().plain("proxy ").strong(&holding.proxy);
    terminal.line(line.dim(format_args!("  as {}", holding.identity)))?;
    terminal.line(match &holding.follows {
        Follows::ControlPlane => good(format!("connected to its control plane since {since}")),
        Follows::Away(why) => bad(format!("{D001} {slug}: since {since}: {why}")),
        Follows::Files => good(format!("goes by files alone since {since}")),
    })?;
    terminal.line(match &holding.generation {
        Some(generation) => good(format!("decides by view {generation}")),
        None => bad("holds no view: it refuses all calls".to_owned()),
    })?;
    if let Some(clock) = &holding.clock {
        terminal.line(bad(clock.clone()))?;
    }
    for certificate in &holding.certificates {
        let ends = certificate.ends.as_deref();
        let until = ends.map_or_else(|| "none".to_owned(), |ends| moment(ends, &holding.now));
        let identity = &certificate.identity;
        terminal.line(match &certificate.failed {
            None => good(format!("certificate of {identity}, until {until}")),
            Some(why) => bad(format!(
                "{} {}: {identity}, until {until}: {why}",
                Code::T007,
                Code::T007.slug()
            )),
        })?;
    }
    Ok(())
}

fn good(text: String) -> Line {
    Line::new().good("  ✓ ").plain(text)
}

fn bad(text: String) -> Line {
    Line::new().bad("  ✗ ").plain(text)
}
