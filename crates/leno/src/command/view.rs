//! `leno view`: what a proxy holds, each value with who said so; and in what that differs from what is
//! in force.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use leno_admin::figures::count;
use leno_admin::{Difference, Item, NotAsked, Parts, ProxyView, ViewOf, Viewed};
use leno_model::Namespace;
use leno_wire::part::parts_of;
use serde_json::json;

use crate::arguments::Output;
use crate::arguments::fleet::View;
use crate::command::asking::instead;
use crate::command::context::Context;
use crate::command::tap::silent;
use crate::command::{Answer, fleet};
use crate::hosted;
use crate::render;
use crate::terminal::{Line, Terminal};
use crate::up::meant_in;

/// How far what belongs to something is indented.
const STEP: usize = 2;

/// What stands between two columns.
const GAP: usize = 2;

/// The widest that names or values are waited for with what stands behind them.
const WIDEST: usize = 60;

/// Asks what the proxies hold that are meant.
pub(crate) fn run(options: &View, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let json = options.context.output == Output::Json;
    let question = ViewOf {
        name: options.name.clone(),
        namespace: options.namespace.clone(),
        diff: options.diff,
    };
    let control = Context::choose(options.context.context.as_deref())?;
    let told = match control.try_ask(question)? {
        Ok(told) => told,
        Err(NotAsked::Refused(failure)) => return fleet::refused(&failure, json, terminal),
        Err(away @ NotAsked::Away { .. }) => {
            return by_neighbours(options, &away, &control, terminal);
        }
        Err(misfit @ NotAsked::Misfit(_)) => return Err(misfit.into()),
    };
    if json {
        terminal.text(&serde_json::to_string_pretty(&told)?)?;
    } else {
        print(&told, terminal)?;
    }
    let differs = |proxy: &ProxyView| {
        let differences = proxy.differences.as_ref();
        differences.is_some_and(|all| !all.is_empty())
    };
    Ok(match told.proxies.iter().any(differs) {
        true => Answer::Bad,
        false => Answer::Fine,
    })
}

/// Says what the proxies of this host hold that are meant, because no control plane answers.
fn by_neighbours(
    options: &View,
    away: &NotAsked,
    control: &Context,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (held, not_heard) = runtime.block_on(hosted::views());
    if held.is_empty() && not_heard.is_empty() {
        bail!("{away}; {}", control.advice());
    }
    if options.diff {
        bail!("{away}; what is in force, to compare with, only it knows");
    }
    let namespace = Namespace::new(&options.namespace).context("-n")?;
    let id = meant_in(&options.name, &namespace).ok();
    let is_meant = |(told, view): &&(Parts, Arc<leno_model::view::View>)| {
        told.proxy == options.name
            || id
                .as_ref()
                .is_some_and(|id| view.workloads.contains_key(id))
    };
    let meant: Vec<_> = held.iter().filter(is_meant).collect();
    if meant.is_empty() {
        let names = held.iter().map(|(told, _)| told.proxy.as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        bail!(
            "no proxy of this host is {} or stands before it; there are {names}",
            options.name
        );
    }
    let items = |view| leno_control::items_of(parts_of(view));
    if options.context.output == Output::Json {
        let proxies = meant.iter().map(|(told, view)| {
            json!({ "proxy": told.proxy, "generation": told.generation, "items": items(view) })
        });
        let told = json!({ "proxies": proxies.collect::<Vec<_>>(), "silent": not_heard });
        terminal.text(&serde_json::to_string_pretty(&told)?)?;
        return Ok(Answer::Fine);
    }
    for line in instead(away, control.advice()) {
        terminal.line(line)?;
    }
    for (told, view) in meant {
        terminal.gap()?;
        let line = Line::new().plain("proxy ").strong(&told.proxy);
        terminal.line(line.dim(format_args!("  view {}", told.generation)))?;
        print_items(&items(view), terminal)?;
    }
    for line in silent(&not_heard) {
        terminal.line(line)?;
    }
    Ok(Answer::Fine)
}

fn print(told: &Viewed, terminal: &mut Terminal) -> anyhow::Result<()> {
    terminal.line(render::head(&told.status))?;
    for proxy in &told.proxies {
        terminal.gap()?;
        terminal.line(title(proxy, &told.status.context))?;
        for part in &proxy.unknown {
            let why = "held since before it connected, and not as it is in force: only it knows";
            let line = Line::new().doubtful("! ").plain(part);
            terminal.line(line.plain("  ").dim(why))?;
        }
        match &proxy.differences {
            Some(differences) => print_differences(differences, proxy, terminal)?,
            None => print_items(&proxy.items, terminal)?,
        }
    }
    Ok(())
}

fn title(proxy: &ProxyView, context: &str) -> Line {
    let line = Line::new().plain("proxy ").strong(&proxy.proxy);
    let line = line.plain(format_args!(
        "  acts as {}  ",
        render::short(&proxy.identity, context)
    ));
    let lacks = proxy.lacks.join(", ");
    let line = match (&proxy.refused, proxy.current) {
        (Some(why), _) => line.bad(format_args!("refuses what is in force: {why}")),
        (None, _) if !lacks.is_empty() => {
            line.doubtful(format_args!("refuses what needs {lacks} (D007)"))
        }
        (None, true) => line.good("holds what is in force"),
        (None, false) => line.doubtful("is behind"),
    };
    line.dim(format_args!("  view {}", proxy.generation))
}

/// A row: a name with its value and who said so.
struct Row<'a> {
    depth: usize,
    item: &'a Item,
}

impl Row<'_> {
    fn names(&self) -> usize {
        self.depth * STEP + Line::new().plain(&self.item.name).width()
    }

    fn values(&self) -> usize {
        Line::new().plain(&self.item.value).width()
    }
}

fn print_items(items: &[Item], terminal: &mut Terminal) -> anyhow::Result<()> {
    for item in items {
        terminal.gap()?;
        let mut rows = Vec::new();
        collect(item, 0, &mut rows);
        let below = || rows.iter().filter(|row| row.depth > 0);
        let narrow = |width: &usize| *width <= WIDEST;
        let names = below().map(Row::names).filter(narrow).max();
        let values = below().map(Row::values).filter(narrow).max();
        let values_at = names.unwrap_or_default() + GAP;
        let origins_at = values_at + values.unwrap_or_default() + GAP;
        for row in &rows {
            terminal.line(line(row, values_at, origins_at))?;
        }
    }
    Ok(())
}

fn collect<'a>(item: &'a Item, depth: usize, rows: &mut Vec<Row<'a>>) {
    rows.push(Row { depth, item });
    for below in &item.items {
        collect(below, depth + 1, rows);
    }
}

fn line(row: &Row<'_>, values_at: usize, origins_at: usize) -> Line {
    let Item {
        name,
        value,
        origin,
        ..
    } = row.item;
    let line = Line::new().column(row.depth * STEP, 0);
    let line = match row.depth {
        0 => line.strong(name),
        _ => line.plain(name),
    };
    let line = match value.is_empty() {
        true => line,
        false => line.column(values_at, GAP).plain(value),
    };
    match origin {
        Some(origin) => line.column(origins_at, GAP).dim(format_args!("({origin})")),
        None => line,
    }
}

fn print_differences(
    differences: &[Difference],
    proxy: &ProxyView,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    if differences.is_empty() {
        let line = match proxy.unknown.is_empty() {
            true => Line::new()
                .good("✓ ")
                .plain("nothing differs from what is in force"),
            false => Line::new().plain("nothing else differs from what is in force"),
        };
        return Ok(terminal.line(line)?);
    }
    let many = u64::try_from(differences.len()).unwrap_or(u64::MAX);
    let values = if many == 1 {
        "value differs"
    } else {
        "values differ"
    };
    let head = format!("{} {values} from what is in force", count(many));
    terminal.line(Line::new().bad("✗ ").plain(head))?;
    for difference in differences {
        let (sign, held, in_force) = match (&difference.held, &difference.in_force) {
            (Some(held), Some(in_force)) => ("~", Some(held), Some(in_force)),
            (None, in_force) => ("+", None, in_force.as_ref()),
            (held, None) => ("-", held.as_ref(), None),
        };
        terminal.line(format!("  {sign} {}", difference.path.join(", ")))?;
        let sides = [("holds     ", held), ("in force  ", in_force)];
        for (side, value) in sides {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                terminal.line(Line::new().plain("      ").dim(side).plain(value))?;
            }
        }
    }
    terminal.gap()?;
    let next = "leno proxies · leno check";
    terminal.line(Line::new().dim("Next  ").plain(next))?;
    Ok(())
}
