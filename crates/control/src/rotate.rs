//! Gives the CA its turns: whenever a step of a rotation may be due, and when people ask for one.

use std::sync::Arc;
use std::time::Duration;

use leno_admin::{
    Failure, NextRoot, RootStage, RootState, RootStep, RotateRoot, Rotated, SilentHolder,
};
use leno_identity::{Rotation, Stage};
use leno_model::{Code, Wall};

use crate::administer::{decided_here, status};
use crate::authority::{NotFounded, Told, Turned};
use crate::center::Center;
use crate::event::Event;
use crate::holders::Silent;
use crate::outside::Troubled;
use crate::published;

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

pub(crate) fn turn(center: &Center) {
    let now = center.clocks.now().wall;
    if let Err(failed) = center.holders.tidy(now) {
        center.trouble(failed.code(), failed);
    }
    if center.authority.told().is_some()
        && let Err(error) = center.minter.turn(now)
    {
        center.trouble(Code::T007, error);
    }
    let edition = center.edition();
    let revoked = &edition.trusted.revoked;
    let abroad = || {
        let rotation = center.authority.told()?.rotation;
        published::awaited(center, &rotation, now)
    };
    let awaited = |bundle| center.holders.awaited(bundle, revoked, now).max(abroad());
    let wanted = (center.has_own_ca(), edition.mesh.lifetimes);
    let mut turned = Vec::new();
    let result = center.authority.turn(awaited, wanted, now, &mut turned);
    turned.into_iter().for_each(|turned| tell(center, turned));
    if let Err(error) = result {
        center.trouble(error.code(), error);
    }
}

/// Tells of a step, and proves itself by what signs from then on.
pub(crate) fn tell(center: &Center, turned: Turned) {
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
    let abroad = published::awaited(center, &told.rotation, now);
    Some(told.rotation.due(awaited.max(abroad), now))
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
    decided_here(center)?;
    let now = center.clocks.now().wall;
    let told = center.authority.told().ok_or_else(|| not_founded(center))?;
    let edition = center.edition();
    let lifetimes = edition.mesh.lifetimes;
    let is_announced = told.rotation.announced().is_some();
    if !ask.force && !center.has_own_ca() {
        return Err(Failure {
            advice: Some("leno certs list".to_owned()),
            ..Failure::plain(
                "another authority's root is replaced there: the control plane takes up what \
                 leads to its next one by itself",
            )
        });
    }
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
    let unseen_abroad = published::awaited(center, &told.rotation, now).is_some();
    let abroad = edition.mesh.peers.keys().filter(|_| unseen_abroad);
    let abroad = abroad.map(ToString::to_string).collect();
    let mut turned = Vec::new();
    let result = match (ask.dry_run, ask.force) {
        (true, _) => Ok(()),
        (false, true) => center.authority.force(lifetimes, now, &mut turned),
        (false, false) => center.authority.hasten(lifetimes, now, &mut turned),
    };
    let done = !turned.is_empty();
    turned.into_iter().for_each(|turned| tell(center, turned));
    result.map_err(|error| not_turned(&error))?;
    if done {
        // Perhaps there is nobody to wait for.
        turn(center);
    }
    let told = center.authority.told().ok_or_else(|| not_founded(center))?;
    Ok(Rotated {
        status: status(center),
        done,
        forced: ask.force,
        roots: roots(&told.rotation),
        next: next(center, &told, now),
        broken: would_break.iter().map(silent_told).collect(),
        abroad,
    })
}

/// Why there is no CA yet, and what to do.
pub(crate) fn not_founded(center: &Center) -> Failure {
    if let Some(Troubled { source, why, .. }) = center.outside.troubled() {
        let message = format_args!("{source} has given nothing yet by which to sign: {why}");
        return Failure::coded(Code::T019, message);
    }
    match center.has_own_ca() {
        true => {
            Failure::plain("there is no CA yet: apply a Mesh, or create a token, and it is founded")
        }
        false => not_turned(&NotFounded::Awaited),
    }
}

fn not_turned(error: &NotFounded) -> Failure {
    Failure::coded(error.code(), error)
}

/// The roots as people may see them.
pub(crate) fn roots(rotation: &Rotation) -> Vec<RootState> {
    let told = rotation.standings().iter().map(|one| {
        let (stage, since) = match one.stage {
            Stage::Announced(since) => (RootStage::Announced, since),
            Stage::Active(since) => (RootStage::Active, since),
            Stage::Leaving(since) => (RootStage::Leaving, since),
        };
        RootState {
            fingerprint: one.root.to_string(),
            stage,
            since: since.to_string(),
            begins: one.validity.begins.to_string(),
            ends: one.validity.ends.to_string(),
            needed_until: one.needed_until.to_string(),
        }
    });
    told.collect()
}

/// What happens next to the roots by itself, if anything does: when an authority outside has another
/// root, nobody here knows.
pub(crate) fn next_by_itself(center: &Center, told: &Told, now: Wall) -> Option<NextRoot> {
    let is_known = told.rotation.announced().is_some() || center.has_own_ca();
    is_known.then(|| next(center, told, now))
}

/// What happens next to the roots, and who is waited for.
fn next(center: &Center, told: &Told, now: Wall) -> NextRoot {
    let silent = match told.rotation.announced() {
        Some(_) => silent(center, told, now),
        None => Vec::new(),
    };
    let holders = center.holders.len();
    let awaited = silent.iter().map(|one| one.ends).max();
    let abroad = published::awaited(center, &told.rotation, now);
    let awaited = awaited.max(abroad);
    let due = match told.rotation.announced() {
        Some(_) => awaited.map_or(now, |ends| ends.max(now)),
        None => told.rotation.announces_at(),
    };
    let step = match told.rotation.announced() {
        Some(_) => RootStep::Activate,
        None => RootStep::Announce,
    };
    NextRoot {
        step,
        due: due.to_string(),
        holders: count(holders),
        confirmed: count(holders.saturating_sub(silent.len())),
        silent: silent.iter().map(silent_told).collect(),
        abroad: abroad.map(|until| until.to_string()),
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
