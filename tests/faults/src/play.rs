//! Plays a table: each fault is injected, and what is told about it is compared with its row.

use crate::scene::{Miss, Scene};
use crate::table::{Fault, Table};

/// How the playing of a fault came out.
pub struct Played<'t> {
    /// The fault.
    pub fault: &'t Fault,
    /// What was told otherwise than the row says; empty if everything was told.
    pub misses: String,
}

/// Plays those faults of a table whose name `wanted` takes, one after the other in one mesh, and gives
/// each to `played`.
///
/// # Errors
///
/// If the mesh does not start: what its last step said.
pub fn play<'t>(
    table: &'t Table,
    wanted: impl Fn(&str) -> bool,
    mut played: impl FnMut(Played<'t>),
) -> Result<(), String> {
    let mut faults = table.faults.iter().filter(|fault| wanted(&fault.name));
    let Some(first) = faults.next() else {
        return Ok(());
    };
    let mut scene = Scene::new(table);
    if let Err(miss) = scene.act(&table.start) {
        return Err(told(&miss));
    }
    for fault in std::iter::once(first).chain(faults) {
        let misses = inject(&mut scene, fault).iter().map(told).collect();
        played(Played { fault, misses });
    }
    Ok(())
}

/// Breaks it, makes the call, asks, and puts it right again.
fn inject(scene: &mut Scene, fault: &Fault) -> Vec<Miss> {
    let mut misses = Vec::new();
    match scene.act(&fault.broken) {
        Ok(()) => ask(scene, fault, &mut misses),
        Err(miss) => misses.push(miss),
    }
    misses.extend(scene.act(&fault.mended).err());
    misses
}

/// Makes the call, and asks about it.
fn ask(scene: &mut Scene, fault: &Fault, misses: &mut Vec<Miss>) {
    let mut id = None;
    if let Some(call) = &fault.call {
        let answer = scene.say(call);
        id = answer
            .split_once("id=")
            .and_then(|(_, id)| id.get(..8))
            .map(str::to_owned);
        if let Some(expected) = scene.lacks(&fault.answer, &answer) {
            misses.push(scene.miss(call, &expected, answer));
        }
    }
    if let Some(tap) = &fault.tap {
        let said = scene.tapped(tap, id.as_deref());
        match said {
            Ok(line) => id = line.split_whitespace().last().map(str::to_owned),
            Err(miss) => misses.push(miss),
        }
    }
    if let Some(id) = id {
        scene.learn("id", &id);
    }
    for (command, says) in &fault.tells {
        misses.extend(scene.tells(command, says).err());
    }
}

fn told(miss: &Miss) -> String {
    let Miss {
        command,
        expected,
        said,
    } = miss;
    format!(
        "  $ {command}\n    expected\n{}    said\n{}",
        quoted(expected),
        quoted(said)
    )
}

fn quoted(text: &str) -> String {
    text.lines()
        .map(|line| format!("      | {line}\n"))
        .collect()
}
