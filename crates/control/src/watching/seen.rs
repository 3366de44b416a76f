//! What is seen of a change: what becomes of the calls that it can have touched, and which proxies
//! cannot take it.

use std::sync::Arc;

use leno_admin::{Aftermath, Failure, WorseCalls};
use leno_compile::Mesh;
use leno_model::view::Generation;
use leno_model::{Code, Wall};
use leno_preview::{Ground, Weight, Worse, aftermath};
use leno_store::{
    Change, Deed, Draft, End, Failed, KeptWatch, Label, Message, NotRead, Refused, SOURCE,
};

use crate::center::Center;
use crate::edition::Edition;
use crate::fleet::Member;
use crate::plan::recorded;

/// How many kinds of call are told of that fail.
const MOST_WORSE: usize = 20;

/// Pieces of what was recorded are this long: one that lies over the moment of the change counts for
/// what came after it, and for nothing before.
const PIECE: std::time::Duration = std::time::Duration::from_secs(10);

/// The mesh as it would be without a change, at a generation.
#[derive(Clone, Debug)]
pub(super) struct Before {
    at: Generation,
    edition: Arc<Edition>,
}

/// Looks at what a change has done until `now`.
pub(super) fn look(center: &Center, watch: &KeptWatch, now: Wall) -> Aftermath {
    let edition = center.edition();
    let before = match before(center, watch, &edition) {
        Ok(before) => before,
        Err(error) => {
            let not_read = Some(Failure::coded(error.code(), error));
            return Aftermath {
                not_read,
                ..Aftermath::default()
            };
        }
    };
    let mut seen = match calls(center, watch, [&before, &edition], now) {
        Ok(found) => told(found),
        Err(failed) => Aftermath {
            not_read: Some(Failure {
                advice: Some(failed.advice().to_owned()),
                ..Failure::coded(Code::S010, failed)
            }),
            ..Aftermath::default()
        },
    };
    let before_it: Vec<_> = watch.terms.unwell.as_str().lines().collect();
    let is_touched = |member: &Member| {
        let parts = |edition: &Edition| edition.target(&member.workloads, &member.wants);
        parts(&before).parts() != parts(&edition).parts()
    };
    seen.unwell = unwell(center)
        .filter(|(name, member)| !before_it.contains(&name.as_str()) && is_touched(member))
        .map(|(name, member)| why_unwell(&name, &member))
        .collect();
    let members = center.fleet.members().into_iter();
    let behind = members.filter(|(_, member)| !member.current);
    seen.behind = behind.map(|(_, member)| member.name).collect();
    seen.overrides = u64::try_from(center.overrides().len()).unwrap_or(u64::MAX);
    seen
}

/// The proxies that refuse their view, or lack what it needs, by name.
pub(super) fn unwell(center: &Center) -> impl Iterator<Item = (String, Member)> {
    let members = center.fleet.members().into_iter();
    let unwell = members.filter(|(_, it)| it.refused.is_some() || !it.lacks.is_empty());
    unwell.map(|(_, member)| (member.name.clone(), member))
}

fn why_unwell(name: &str, member: &Member) -> String {
    match &member.refused {
        Some((code, why)) => format!(
            "proxy {name} refuses its view: {code} {}: {why}",
            code.slug()
        ),
        None => {
            let lacks: Vec<_> = member.lacks.iter().map(String::as_str).collect();
            format!(
                "proxy {name} is too old for it: it lacks {}",
                lacks.join(", ")
            )
        }
    }
}

/// The mesh that is in force, but for the change: what going back would lead to.
fn before(center: &Center, watch: &KeptWatch, now: &Edition) -> Result<Arc<Edition>, NotRead> {
    let known = center.watching.lock().before.get(&watch.revision).cloned();
    if let Some(known) = known.filter(|known| known.at == now.generation) {
        return Ok(known.edition);
    }
    let change = Change {
        source: Label::new(SOURCE).expect("a constant that is a label"),
        who: watch.who.clone(),
        message: Message::default(),
        at: watch.at,
        expected: None,
        deed: Deed::Undo {
            of: watch.revision,
            end: End::WentBack,
        },
        watch: None,
    };
    let mut objects = None;
    let rehearsed = center.store.rehearse(change, |draft: &Draft<'_>| {
        objects = Some(draft.after()?);
        Ok(())
    });
    match (rehearsed, objects) {
        (Ok(_), Some(objects)) => {
            let meaning = Arc::new(center.supposed(&objects));
            let edition = Arc::new(center.imagined(&meaning));
            let before = Before {
                at: now.generation.clone(),
                edition: Arc::clone(&edition),
            };
            center.watching.lock().before.insert(watch.revision, before);
            Ok(edition)
        }
        // Nothing of it stands any more.
        (Ok(_), None) => Ok(center.edition()),
        (Err(Refused::NoSuchRevision(gone)), _) => Err(NotRead::NoSuchRevision(gone)),
        (Err(Refused::Failed(failed)), _) => Err(NotRead::Failed(failed)),
        (Err(other), _) => Err(NotRead::Failed(Failed::Damaged(other.to_string()))),
    }
}

fn calls(
    center: &Center,
    watch: &KeptWatch,
    [before, after]: [&Arc<Edition>; 2],
    now: Wall,
) -> Result<leno_preview::Aftermath, Failed> {
    let meshes = [before, after].map(|edition| Mesh {
        revoked: edition.trusted.revoked.clone(),
        ..edition.mesh.clone()
    });
    let [ground, then] = [&meshes[0], &meshes[1]].map(Ground::new);
    let mesh = after.mesh();
    let (at, length) = (watch.at, watch.terms.until.since(watch.at));
    let recorded = |from, until| {
        let ledger = &center.ledger;
        ledger.with(|flows| recorded(flows, mesh, from, until))
    };
    let earlier = recorded(at - length - PIECE, at - PIECE)?;
    let since = recorded(at, now + PIECE)?;
    let tolerated = f64::from(watch.terms.tolerated) / 1e6;
    Ok(aftermath(&ground, &then, earlier, since, tolerated))
}

fn told(found: leno_preview::Aftermath) -> Aftermath {
    let more = found.worse.len().saturating_sub(MOST_WORSE);
    Aftermath {
        calls: found.since.calls,
        failed: found.since.failed,
        calls_before: found.before.calls,
        failed_before: found.before.failed,
        others: found.others,
        silent: u64::try_from(found.silent).unwrap_or(u64::MAX),
        worse: found
            .worse
            .into_iter()
            .take(MOST_WORSE)
            .map(worse)
            .collect(),
        more: u64::try_from(more).unwrap_or(u64::MAX),
        ..Aftermath::default()
    }
}

fn worse(one: Worse) -> WorseCalls {
    WorseCalls {
        weight: match one.weight {
            Weight::Refused => leno_admin::Weight::Refused,
            Weight::Risen => leno_admin::Weight::Risen,
            Weight::TooFew => leno_admin::Weight::TooFew,
            Weight::Tolerated => leno_admin::Weight::Tolerated,
        },
        from: one.from,
        address: one.address.map(|address| address.to_string()),
        to: one.to,
        port: one.port,
        request: one.asked,
        status: Some(one.status).filter(|status| *status > 0),
        code: one.code.map(|code| code.as_str().to_owned()),
        why: match one.code {
            Some(code) => code.slug().to_owned(),
            None => "the service answered so".to_owned(),
        },
        failed: one.since.failed,
        calls: one.since.calls,
        failed_before: one.before.failed,
        calls_before: one.before.calls,
        last: one.last.to_string(),
    }
}
