//! A control plane's refusal, and its findings, as people read them.

use std::io;

use leno_admin::{Failure, Finding};
use leno_model::Code;

use super::{head, note};
use crate::terminal::{Line, Terminal};

/// Prints why something was refused, what was found, and what to do about it.
pub(crate) fn print(failure: &Failure, terminal: &mut Terminal) -> io::Result<()> {
    if let Some(status) = &failure.status {
        terminal.line(head(status))?;
    }
    let code = failure
        .code
        .as_deref()
        .and_then(|code| code.parse::<Code>().ok());
    let line = Line::new().bad("✗ ");
    let line = match code {
        Some(code) => line.strong(code).plain(" ").plain(code.slug()).plain("  "),
        None => line,
    };
    terminal.line(line.plain(&failure.message))?;
    findings(&failure.findings, "", terminal)?;
    let explain = || code.map(|code| format!("leno explain {code}"));
    if let Some(next) = failure.advice.clone().or_else(explain) {
        if !failure.findings.is_empty() {
            terminal.gap()?;
        }
        terminal.line(Line::new().dim("Next  ").plain(next))?;
    }
    Ok(())
}

/// Prints findings, each with the line that it is about; `now` is the control plane's time.
pub(crate) fn findings(findings: &[Finding], now: &str, terminal: &mut Terminal) -> io::Result<()> {
    for finding in findings {
        terminal.gap()?;
        note::print_finding(finding, now, terminal)?;
    }
    Ok(())
}
