//! What is seen of a change: what becomes of the calls that it can have touched, and which proxies
//! cannot take it.

use std::collections::BTreeSet;
use std::sync::Arc;

use leno_admin::{Aftermath, Failure, WorseCalls};
use leno_compile::Mesh;
use leno_model::role::SYSTEM;
use leno_model::view::Generation;
use leno_model::{Code, Namespace, Wall};
use leno_preview::{Ground, Weight, Worse, aftermath};
use leno_store::{
    Change, Deed, Draft, End, Failed, KeptWatch, Label, Message, NotRead, Refused, SOURCE,
};

use crate::center::Center;
use crate::edition::Edition;
use crate::fleet::Member;
use crate::plan::recorded;
use crate::watching::changes;

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
    match changed_namespaces(center, watch) {
        Ok(namespaces) => {
            let touched = touched(center, watch, &before, &edition);
            let harm = harm(touched, &namespaces, watch.terms.tolerated);
            (seen.unwell, seen.unheard) = (harm.unwell, harm.unheard);
        }
        Err(error) => seen.not_read = Some(Failure::coded(error.code(), error)),
    }
    let members = center.fleet.members().into_iter();
    let behind = members.filter(|(_, member)| !member.current);
    seen.behind = behind.map(|(_, member)| member.name).collect();
    seen.overrides = u64::try_from(center.overrides().len()).unwrap_or(u64::MAX);
    seen
}

/// A proxy that a change touches, and that took its view before it.
struct Touched {
    namespaces: BTreeSet<Namespace>,
    /// Why it cannot take its view now.
    unwell: Option<String>,
}

fn touched(center: &Center, watch: &KeptWatch, before: &Edition, after: &Edition) -> Vec<Touched> {
    let before_it: BTreeSet<_> = watch.terms.unwell.as_str().lines().collect();
    let is_touched = |member: &Member| {
        let parts = |edition: &Edition| {
            edition.target(&member.workloads, member.node.as_deref(), &member.wants)
        };
        parts(before).parts() != parts(after).parts()
    };
    let members = center.fleet.members().into_iter().map(|(_, member)| member);
    let touched = members.filter(|it| !before_it.contains(it.name.as_str()) && is_touched(it));
    touched
        .map(|member| Touched {
            namespaces: namespaces_of(&member),
            unwell: is_unwell(&member).then(|| why_unwell(&member.name, &member)),
        })
        .collect()
}

fn namespaces_of(member: &Member) -> BTreeSet<Namespace> {
    let workloads = member.workloads.iter().map(|id| id.namespace.clone());
    workloads.collect()
}

/// Whose objects a change is about: `None` stands for what is about the whole mesh.
fn changed_namespaces(
    center: &Center,
    watch: &KeptWatch,
) -> Result<BTreeSet<Option<Namespace>>, NotRead> {
    let changes = changes(center, watch.revision)?;
    let namespaces = changes.iter().map(|change| change.key().namespace.clone());
    Ok(namespaces
        .map(|namespace| namespace.filter(|it| it.as_str() != SYSTEM))
        .collect())
}

/// The proxies that cannot take a change, each with why.
#[derive(Default)]
struct Harm {
    /// Those that speak against it.
    unwell: Vec<String>,
    /// Those that are told of alone: no more than are tolerated, or perhaps the doing of somebody else.
    unheard: Vec<String>,
}

/// Which of the proxies that a change touches speak against it.
///
/// A proxy says itself that it is unwell, and whoever runs it may let it say so. So those of a namespace
/// speak for what is theirs; about what is of others or of the whole mesh, no one namespace speaks, but that of
/// the mesh's owners. What becomes of their calls counts either way, and one that refuses its view keeps the
/// one before.
fn harm(touched: Vec<Touched>, changed: &BTreeSet<Option<Namespace>>, tolerated: u32) -> Harm {
    let is_of_mesh = changed.contains(&None);
    let is_its = |one: &Touched| {
        let mut namespaces = one.namespaces.iter();
        is_of_mesh || namespaces.any(|it| changed.contains(&Some(it.clone())))
    };
    let (own, others): (Vec<_>, Vec<_>) = touched.into_iter().partition(is_its);
    let is_alone = namespaces(own.iter()).len() == 1;
    let own_count = !is_of_mesh || is_alone || speak_for_mesh(&own);
    let others_count = speak_for_mesh(&others);
    let mut harm = Harm::default();
    for (proxies, count) in [(own, own_count), (others, others_count)] {
        let told = match count && !is_tolerated(&proxies, tolerated) {
            true => &mut harm.unwell,
            false => &mut harm.unheard,
        };
        told.extend(proxies.into_iter().filter_map(|one| one.unwell));
    }
    harm
}

/// Whether those of them that are unwell are of several namespaces, or of the mesh's owners.
fn speak_for_mesh(proxies: &[Touched]) -> bool {
    let unwell = proxies.iter().filter(|one| one.unwell.is_some());
    let unwell = namespaces(unwell);
    unwell.len() > 1 || unwell.iter().any(|it| it.as_str() == SYSTEM)
}

fn namespaces<'t>(proxies: impl Iterator<Item = &'t Touched>) -> BTreeSet<&'t Namespace> {
    proxies.flat_map(|one| &one.namespaces).collect()
}

fn is_tolerated(proxies: &[Touched], tolerated: u32) -> bool {
    let unwell = proxies.iter().filter(|one| one.unwell.is_some()).count();
    unwell as u64 * MILLION <= proxies.len() as u64 * u64::from(tolerated)
}

/// All of them, in millionths.
const MILLION: u64 = 1_000_000;

fn is_unwell(member: &Member) -> bool {
    member.refused.is_some() || !member.lacks.is_empty()
}

/// The proxies that refuse their view, or lack what it needs, by name.
pub(super) fn unwell(center: &Center) -> impl Iterator<Item = (String, Member)> {
    let members = center.fleet.members().into_iter();
    let unwell = members.filter(|(_, it)| is_unwell(it));
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
            let meaning = Arc::new(center.supposed(&objects, &center.sources()));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The proxies by their namespaces, those in capitals unwell; what a change is about, `*` for the mesh;
    /// how many speak against it.
    #[track_caller]
    fn check(proxies: &str, about: &str, tolerated: u32, expect: usize) {
        let namespace = |name: &str| Namespace::new(name).unwrap();
        let touched = proxies.split(' ').map(|name| Touched {
            namespaces: [namespace(&name.to_lowercase())].into(),
            unwell: name
                .starts_with(char::is_uppercase)
                .then(|| name.to_owned()),
        });
        let changed = about.split(' ').map(|name| match name {
            "*" => None,
            name => Some(namespace(name)),
        });
        let harm = harm(touched.collect(), &changed.collect(), tolerated);
        assert_eq!(harm.unwell.len(), expect, "{proxies} {about}");
        let unwell = proxies
            .split(' ')
            .filter(|it| it.starts_with(char::is_uppercase));
        let told = harm.unwell.len() + harm.unheard.len();
        assert_eq!(told, unwell.count(), "each is told of: {proxies} {about}");
    }

    #[test]
    fn proxies_of_a_namespace_speak_for_what_is_theirs() {
        check("SHOP shop bank", "shop", 10_000, 1);
        check("shop shop BANK", "shop", 10_000, 0);
        check("shop shop BANK", "shop bank", 10_000, 1);
        // As many as are tolerated.
        check("SHOP shop shop shop", "shop", 250_000, 0);
        check("SHOP SHOP shop shop", "shop", 250_000, 2);
    }

    #[test]
    fn those_of_several_others_speak_for_themselves() {
        check("shop BANK PAY", "shop", 10_000, 2);
        check("BANK PAY WEB", "shop", 10_000, 3);
        check("shop BANK BANK", "shop", 10_000, 0);
        check("SHOP BANK", "shop", 10_000, 1);
        // As many as are tolerated.
        check("BANK PAY web web", "shop", 500_000, 0);
        // Gateways of one namespace, unless it is that of the mesh's owners.
        check("shop bank EDGE EDGE", "*", 10_000, 0);
        check("shop bank LENO-SYSTEM", "*", 10_000, 1);
        check("shop LENO-SYSTEM", "shop", 10_000, 1);
    }

    #[test]
    fn no_one_namespace_speaks_for_the_whole_mesh() {
        check("shop MALLORY MALLORY", "*", 10_000, 0);
        check("SHOP MALLORY bank", "*", 10_000, 2);
        // There is nobody else.
        check("SHOP shop", "*", 10_000, 1);
    }
}
