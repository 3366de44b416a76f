//! `leno proxies`: who follows the control plane; where none answers, what the proxies of this host say
//! of themselves.

use leno_admin::figures::moment;
use leno_admin::{Follows, Holding, ProxiesOf, Silent};
use leno_model::Code;
use serde_json::json;

use super::{refused, tell};
use crate::arguments::Output;
use crate::arguments::fleet::Context;
use crate::command::Answer;
use crate::command::asking::{Ground, holdings, not_asked, not_asked_line};
use crate::command::context::Context as Chosen;
use crate::command::tap::silent;
use crate::render::short;
use crate::render::table::Table;
use crate::terminal::{Line, Terminal};

/// The exit code of what could not be found out.
const UNKNOWN: u8 = 3;

/// Lists the proxies.
pub(super) fn run(options: &Context, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let json = options.output == Output::Json;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ground = runtime.block_on(Ground::choose(options.context.as_deref()))?;
    if let Ground::Control { .. } = ground {
        let chosen = Chosen::choose(options.context.as_deref())?;
        return match chosen.ask(ProxiesOf {})? {
            Ok(told) if json => {
                terminal.text(&serde_json::to_string_pretty(&told)?)?;
                Ok(Answer::Fine)
            }
            Ok(told) => tell::proxies(&told, terminal),
            Err(failure) => refused(&failure, json, terminal),
        };
    }
    let (told, not_heard) = runtime.block_on(holdings());
    let others = not_asked(&told);
    if json {
        let told = json!({ "holdings": told, "silent": not_heard, "not_asked": others });
        terminal.text(&serde_json::to_string_pretty(&told)?)?;
    } else {
        tell_holdings(&ground, &told, &not_heard, &others, terminal)?;
    }
    let well = |one: &Holding| matches!(one.follows, Follows::Files | Follows::ControlPlane);
    Ok(match told.is_empty() {
        true => Answer::Exit(UNKNOWN),
        false if told.iter().all(well) => Answer::Fine,
        // Changes do not arrive.
        false => Answer::Bad,
    })
}

fn tell_holdings(
    ground: &Ground,
    told: &[Holding],
    not_heard: &[Silent],
    others: &[String],
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    for line in ground.head() {
        terminal.line(line)?;
    }
    if told.is_empty() {
        terminal.line("no proxy of this host answers either")?;
    } else {
        let mut table = Table::new(&["PROXY", "ACTS AS", "HOLDS", "CONTROL PLANE"]);
        for holding in told {
            table.row(row(holding));
        }
        table.print(terminal)?;
    }
    let others = not_asked_line(others);
    let mut lines = silent(not_heard).chain(others);
    Ok(lines.try_for_each(|line| terminal.line(line))?)
}

fn row(holding: &Holding) -> [Line; 4] {
    let since = moment(&holding.since, &holding.now);
    let domain = holding.identity.strip_prefix("spiffe://");
    let domain = domain.and_then(|rest| rest.split('/').next());
    [
        Line::new().strong(&holding.proxy),
        short(&holding.identity, domain.unwrap_or_default()).into(),
        match &holding.generation {
            Some(generation) => format!("view {generation}").into(),
            None => Line::new().bad("no view: it refuses all calls"),
        },
        match &holding.follows {
            Follows::ControlPlane => Line::new().good(format_args!("connected since {since}")),
            Follows::Away(why) => {
                let (code, slug) = (Code::D001, Code::D001.slug());
                Line::new().bad(format_args!("{code} {slug}, since {since}: {why}"))
            }
            Follows::Files => format!("none: by files alone, since {since}").into(),
        },
    ]
}
