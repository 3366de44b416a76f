//! What a proxy says of itself.

use std::io;

use leno_admin::Holding;
use leno_model::Code;

use crate::render::moment;
use crate::terminal::{Line, Terminal};

/// Prints what a proxy holds, a line for each thing.
pub(crate) fn print(holding: &Holding, terminal: &mut Terminal) -> io::Result<()> {
    let since = moment(&holding.since, &holding.now);
    let line = Line::new().plain("proxy ").strong(&holding.proxy);
    terminal.line(line.dim(format_args!("  as {}", holding.identity)))?;
    terminal.line(match &holding.why {
        None => good(format!("connected to its control plane since {since}")),
        Some(why) => bad(format!("{} not connected since {since}: {why}", Code::D001)),
    })?;
    terminal.line(match &holding.generation {
        Some(generation) => good(format!("decides by view {generation}")),
        None => bad("holds no view: it refuses all calls".to_owned()),
    })?;
    for certificate in &holding.certificates {
        let ends = certificate.ends.as_deref();
        let until = ends.map_or_else(|| "none".to_owned(), |ends| moment(ends, &holding.now));
        let identity = &certificate.identity;
        terminal.line(match &certificate.failed {
            None => good(format!("certificate of {identity}, until {until}")),
            Some(why) => bad(format!(
                "{} certificate of {identity}, until {until}: {why}",
                Code::T007
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
