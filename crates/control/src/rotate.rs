//! Gives the CA its turns: whenever a step of a rotation may be due, and when people ask for one.

use std::sync::Arc;
use std::time::Duration;

use leno_admin::{Failure, NextRoot, RootState, RotateRoot, Rotated, SilentHolder};
use leno_identity::{Rotation, Stage};
use leno_model::{Code, Wall};

use crate::administer::status;
use crate::authority::{NotFounded, Told, Turned};
use crate::center::Center;
use crate::event::Event;
use crate::holders::Silent;

/// The most time between two looks: timers stand still while the machine sleeps.
const LOOK: Duration = Duration::from_secs(10);

/// Takes each step when it is due, for as long as it is polled.
pub(crate) async fn run(center: Arc<Center>) {
    let mut news = center.holders.hear();
    loop {
        let shared = Arc::clone(&center);
        if tokio::task::spawn_blocking(move || turn(&shared))
            .await
            .is_err()
        {
            return;
        }
        let now = center.clocks.now();
        let due = due(&center, now.wall).map_or(LOOK, |due| due.since(now.wall));
        let due = now.mono + due.clamp(LEAST, LOOK);
        tokio::select! {
            _ = news.changed() => drop(news.borrow_and_update()),
            () = tokio::time::sleep_until(center.clocks.instant(due)) => {}
        }
    }
}

/// The least time between two looks.
const LEAST: Duration = Duration::from_millis(200);

fn turn(center: &Center) {
    let now = center.clocks.now().wall;
    if let Err(failed) = center.holders.tidy(now) {
        center.trouble(failed.code(), failed);
    }
    let edition = center.edition();
    let revoked = &edition.trusted.revoked;
    let awaited = |bundle| center.holders.awaited(bundle, revoked, now);
    match center.authority.turn(awaited, edition.mesh.lifetimes, now) {
        Ok(turned) => turned.into_iter().for_each(|turned| tell(center, turned)),
        Err(error) => center.trouble(Code::T007, error),
    }
}

/// Tells of a step, and proves itself by what signs from then on.
fn tell(center: &Center, turned: Turned) {
    center.tell(&match turned {
        Turned::Announced(root) => Event::RootAnnounced(root),
        Turned::Activated(root) => Event::RootActivated(root),
        Turned::Removed(root) => Event::RootRemoved(root),
        Turned::Intermediate(ends) => Event::IntermediateRenewed(ends),
    });
    if matches!(turned, Turned::Activated(_) | Turned::Intermediate(_))
        && let Err(why) = center.prove()
    {
        center.trouble(Code::T007, why);
    }
}

fn due(center: &Center, now: Wall) -> Option<Wall> {
    let told = center.authority.told()?;
    let awaited = silent(center, &told, now).into_iter();
    let awaited = awaited.map(|silent| silent.ends).max();
    Some(told.rotation.due(awaited, now))
}

fn silent(center: &Center, told: &Told, now: Wall) -> Vec<Silent> {
    let revoked = &center.edition().trusted.revoked;
    center.holders.silent(told.bundle().1, revoked, now)
}

/// Those for whom an announced root waits, if one is announced, and since when.
pub(crate) fn waits(center: &Center, now: Wall) -> Option<(Wall, Vec<Silent>)> {
    let told = center.authority.told()?;
    match told.rotation.announced()?.stage {
        Stage::Announced(since) => Some((since, silent(center, &told, now))),
        Stage::Active(_) | Stage::Leaving(_) => None,
    }
}

/// Announces the next root at once, or lets the announced one sign at once.
pub(crate) fn rotate(center: &Center, ask: &RotateRoot) -> Result<Rotated, Failure> {
    let now = center.clocks.now().wall;
    let told = center.authority.told().ok_or_else(not_founded)?;
    let lifetimes = center.edition().mesh.lifetimes;
    let is_announced = told.rotation.announced().is_some();
    if ask.force && !is_announced {
        return Err(Failure {
            advice: Some("leno certs rotate (announces it)".to_owned()),
            ..Failure::plain("no root is announced: whoever is not asked first cannot confirm it")
        });
    }
    let would_break = match is_announced {
        true => silent(center, &told, now),
        false => Vec::new(),
    };
    let turned = match (ask.dry_run, ask.force) {
        (true, _) => Ok(None),
        (false, true) => center.authority.force(lifetimes, now),
        (false, false) => center.authority.hasten(lifetimes, now),
    };
    let turned = turned.map_err(|error| not_turned(&error))?;
    if let Some(turned) = turned {
        tell(center, turned);
        // Perhaps there is nobody to wait for.
        turn(center);
    }
    let told = center.authority.told().ok_or_else(not_founded)?;
    Ok(Rotated {
        status: status(center),
        done: turned.is_some(),
        forced: ask.force,
        roots: roots(&told.rotation),
        next: next(center, &told, now),
        broken: would_break.iter().map(silent_told).collect(),
    })
}

fn not_founded() -> Failure {
    Failure::plain("there is no CA yet: apply a Mesh, or create a token, and it is founded")
}

fn not_turned(error: &NotFounded) -> Failure {
    match error {
        NotFounded::Store(failed) => Failure::coded(failed.code(), failed),
        NotFounded::Nothing | NotFounded::NoKey | NotFounded::CannotSign(_) => {
            Failure::coded(Code::T007, error)
        }
    }
}

/// The roots as people may see them.
pub(crate) fn roots(rotation: &Rotation) -> Vec<RootState> {
    let told = rotation.standings().iter().map(|one| {
        let (stage, since) = match one.stage {
            Stage::Announced(since) => ("announced", since),
            Stage::Active(since) => ("active", since),
            Stage::Leaving(since) => ("leaving", since),
        };
        RootState {
            fingerprint: one.root.to_string(),
            stage: stage.to_owned(),
            since: since.to_string(),
            begins: one.validity.begins.to_string(),
            ends: one.validity.ends.to_string(),
            needed_until: one.needed_until.to_string(),
        }
    });
    told.collect()
}

/// What happens next to the roots, and who is waited for.
pub(crate) fn next(center: &Center, told: &Told, now: Wall) -> NextRoot {
    let silent = match told.rotation.announced() {
        Some(_) => silent(center, told, now),
        None => Vec::new(),
    };
    let holders = center.holders.len();
    let awaited = silent.iter().map(|one| one.ends).max();
    let due = match told.rotation.announced() {
        Some(_) => awaited.map_or(now, |ends| ends.max(now)),
        None => told.rotation.announces_at(),
    };
    let step = match told.rotation.announced() {
        Some(_) => "activate",
        None => "announce",
    };
    NextRoot {
        step: step.to_owned(),
        due: due.to_string(),
        holders: count(holders),
        confirmed: count(holders.saturating_sub(silent.len())),
        silent: silent.iter().map(silent_told).collect(),
    }
}

fn silent_told(silent: &Silent) -> SilentHolder {
    SilentHolder {
        name: silent.name.clone(),
        identity: silent.identity.to_string(),
        seen: silent.seen.to_string(),
        ends: silent.ends.to_string(),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
