//! `leno capture`: packet rules that lead what goes in and out of a network namespace through the proxy
//! that runs in it.

use std::fmt::Display;
use std::io;

use anyhow::anyhow;
use leno_host::nft::{Difference, LoadError, Netfilter, NotRepaired, Ruleset};
use leno_host::{DNS_PORT, INBOUND_PORT, OUTBOUND_PORT, PodCapture};
use leno_model::Code;

use crate::arguments::capture::Capture;
use crate::command::Answer;
use crate::command::ending::EndSignals;
use crate::terminal::{Line, Terminal};
use crate::upkeep::{Repair, Upkeep};

/// Loads the rules, looks at those that hold, or takes them away.
pub(crate) fn run(options: &Capture, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let capture = options.capture();
    let rules = capture.rules();
    if options.print {
        terminal.text(&rules.to_string())?;
        return Ok(Answer::Fine);
    }
    let netfilter = Netfilter::open().map_err(|error| not_seen(&error))?;
    if options.remove {
        return remove(&netfilter, &rules, terminal);
    }
    let differences = netfilter.differences(&rules);
    let differences = differences.map_err(|error| not_seen(&error))?;
    if options.check && !differences.is_empty() {
        return tell_differences(&differences, terminal);
    }
    let held_already = differences.is_empty();
    if !held_already {
        netfilter.replace(&rules).map_err(|why| not_loaded(&why))?;
    }
    terminal.line(captured(&capture, held_already))?;
    match options.watch {
        true => keep(rules, terminal),
        false => Ok(Answer::Fine),
    }
}

/// Puts the rules back whenever they are changed, until this process is told to end.
fn keep(rules: Ruleset, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = EndSignals::new()?;
        let mut upkeep = Upkeep::begin(rules).map_err(|error| not_seen(&error))?;
        loop {
            tokio::select! {
                () = signals.next() => return Ok(Answer::Fine),
                repaired = upkeep.repaired() => tell_repaired(repaired, terminal),
            }
        }
    })
}

fn tell_repaired(repaired: Result<Repair, NotRepaired>, terminal: &mut Terminal) {
    let code = Code::H005;
    match repaired {
        Ok(repair) => {
            let number = repair.number;
            let line = Line::new()
                .doubtful("put back")
                .plain(format_args!("  {code} {}", code.slug()));
            terminal.tell(line.dim(format_args!(" · {number} so far")));
            for difference in repair.differences {
                terminal.tell(Line::new().plain("    ").plain(difference));
            }
        }
        Err(why) => {
            let line = Line::new().bad("not put back").plain("  ");
            terminal.tell(line.plain(refused(&why, why.errno())));
        }
    }
}

fn remove(
    netfilter: &Netfilter,
    rules: &Ruleset,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let was_there = netfilter.remove(rules.table);
    terminal.line(match was_there.map_err(|why| not_loaded(&why))? {
        true => "released  nothing is captured here any more",
        false => "released  nothing was captured here",
    })?;
    Ok(Answer::Fine)
}

fn captured(capture: &PodCapture, held_already: bool) -> Line {
    let line = Line::new().good("captured").plain(format_args!(
        "  TCP out to {OUTBOUND_PORT} · TCP in to {INBOUND_PORT} · DNS to {DNS_PORT} · UDP {}",
        if capture.refuse_udp {
            "refused"
        } else {
            "passes"
        }
    ));
    match held_already {
        true => line.dim(" · it was so already"),
        false => line,
    }
}

fn tell_differences(differences: &[Difference], terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let code = Code::H005;
    let line = Line::new().bad("✗ ").strong(code).plain(" ");
    terminal.line(line.plain(code.slug()))?;
    for difference in differences {
        terminal.line(Line::new().plain("    ").plain(difference))?;
    }
    let meanwhile = "what no rule takes goes past the proxy: not encrypted, not judged";
    terminal.line(Line::new().dim("    In force  ").plain(meanwhile))?;
    let next = "leno capture, with the same options · leno explain H005";
    terminal.line(Line::new().dim("    Next      ").plain(next))?;
    Ok(Answer::Bad)
}

fn not_seen(error: &io::Error) -> anyhow::Error {
    refused(error, error.raw_os_error())
}

fn not_loaded(error: &LoadError) -> anyhow::Error {
    refused(error, Some(error.errno))
}

/// The kernel does not let us; whoever lacks the right is told which.
fn refused(why: impl Display, errno: Option<i32>) -> anyhow::Error {
    let (code, slug) = (Code::H006, Code::H006.slug());
    let is_right =
        |errno| io::Error::from_raw_os_error(errno).kind() == io::ErrorKind::PermissionDenied;
    let takes = match errno.is_some_and(is_right) {
        true => "; it takes CAP_NET_ADMIN",
        false => "",
    };
    anyhow!("{code} {slug}: {why}{takes}")
}
