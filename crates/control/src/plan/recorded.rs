//! The calls of a while, each kind once: those of whose caller a proxy tells as that one tells of them,
//! the others as the proxies of those that were called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_compile::Mesh;
use leno_model::Wall;
use leno_model::flow::{Facts, Failure, Kind, Side, What};
use leno_preview::Seen;
use leno_store::Failed;
use leno_store::flows::Flows;

use crate::flows::Names;

/// What went from `from` until `until`. The proxy of who was called knows why it refused what to the
/// caller's proxy is an answer like others.
pub(crate) fn recorded(
    flows: &Flows,
    mesh: &Mesh,
    from: Wall,
    until: Wall,
) -> Result<Vec<(Kind, Seen)>, Failed> {
    let mut told = Vec::new();
    flows.seen(from, until, |kind, count, first, last| {
        // Bytes of requests that go on have been asked for nothing yet.
        let is_open = matches!(&kind.what, What::Requests { shape, .. } if shape.is_empty());
        if !is_open {
            told.push((kind.clone(), Seen { count, first, last }));
        }
    })?;
    Ok(each_once(told, &Names::of(mesh)))
}

fn each_once(told: Vec<(Kind, Seen)>, names: &Names) -> Vec<(Kind, Seen)> {
    let sources = told.iter().filter(|(kind, _)| kind.side == Side::Source);
    let named = sources.filter(|(kind, _)| kind.from.contains('/'));
    let tell: BTreeSet<Arc<str>> = named.map(|(kind, _)| kind.from.clone()).collect();
    let is_told = |kind: &Kind| kind.side == Side::Destination && tell.contains(&kind.from);
    let mut reasons = BTreeMap::<Edge, Failure>::new();
    for (kind, _) in told.iter().filter(|(kind, _)| is_told(kind)) {
        let coded = kind
            .failure
            .as_ref()
            .filter(|failure| failure.code.is_some());
        if let (Some(failure), Some(edge)) = (coded, edge(&names.tell(kind))) {
            reasons.insert(edge, failure.clone());
        }
    }
    let mut facts = facts(told.iter().filter(|(kind, _)| is_told(kind)), names);
    let once = told.into_iter().filter(|(kind, _)| !is_told(kind));
    let mut once: Vec<_> = once.flat_map(|one| with_facts(one, &mut facts)).collect();
    for (kind, _) in &mut once {
        let is_answer = kind.failure.as_ref().is_none_or(|why| why.code.is_none());
        let reason = edge(kind).and_then(|edge| reasons.get(&edge));
        if let Some(reason) = reason.filter(|_| is_answer) {
            kind.failure = Some(reason.clone());
        }
    }
    once
}

/// What the proxies of those that were called kept that rules ask there, each with how many calls.
fn facts<'k>(
    told: impl Iterator<Item = &'k (Kind, Seen)>,
    names: &Names,
) -> BTreeMap<Edge, Vec<(Facts, u64)>> {
    let mut facts = BTreeMap::<_, Vec<_>>::new();
    for (kind, seen) in told {
        if let Some(kept) = &kind.facts {
            let to = names.tell(kind).to;
            let edge = (kind.from.clone(), to, kind.what.clone());
            facts
                .entry(edge)
                .or_default()
                .push((kept.clone(), seen.count));
        }
    }
    facts
}

/// Calls as the caller's proxy tells of them, told apart by what the other's kept of as many of them. Its
/// last report may be on its way: a few that it has not told of are taken for such as most are.
fn with_facts(
    (kind, mut seen): (Kind, Seen),
    facts: &mut BTreeMap<Edge, Vec<(Facts, u64)>>,
) -> Vec<(Kind, Seen)> {
    let edge = (kind.from.clone(), kind.to.clone(), kind.what.clone());
    let all = seen.count;
    let mut apart = Vec::<(Kind, Seen)>::new();
    for (kept, left) in facts.get_mut(&edge).into_iter().flatten() {
        let count = seen.count.min(*left);
        if count == 0 {
            continue;
        }
        *left -= count;
        seen.count -= count;
        let facts = match &kind.facts {
            Some(own) => own.and(kept),
            None => Some(kept.clone()),
        };
        let told = Kind {
            facts,
            ..kind.clone()
        };
        apart.push((told, Seen { count, ..seen }));
    }
    let most = apart.iter_mut().max_by_key(|(_, seen)| seen.count);
    match most {
        Some((_, most)) if seen.count <= all / FEW => most.count += seen.count,
        _ if seen.count > 0 => apart.push((kind, seen)),
        _ => {}
    }
    apart
}

/// One of so many is few.
const FEW: u64 = 10;

/// Who called whom, what it asked, and how it was answered.
type Edge = (Arc<str>, Arc<str>, What);

/// That of an answer that a proxy may have given itself.
fn edge(kind: &Kind) -> Option<Edge> {
    let is_refused = matches!(kind.what, What::Requests { status, .. } if status >= 400);
    is_refused.then(|| (kind.from.clone(), kind.to.clone(), kind.what.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What went, as `COUNT FACTS`, of the caller's proxy and of the other's; how it is told apart.
    fn check(source: &str, destination: &[&str], expect: &[&str]) {
        let read = |text: &str, side| {
            let (count, facts) = text.split_once(' ').unwrap_or((text, ""));
            let kind = Kind {
                side,
                from: "shop/web".into(),
                to: "shop/cart".into(),
                port: 80,
                peer: None,
                route: None,
                backend: None,
                security: Kind::MTLS.into(),
                what: What::Requests {
                    method: "GET".into(),
                    shape: "/".into(),
                    status: 200,
                },
                facts: Facts::read(&facts.replace(' ', "\n")),
                failure: None,
            };
            let seen = Seen {
                count: count.parse().unwrap(),
                first: Wall::default(),
                last: Wall::default(),
            };
            (kind, seen)
        };
        let mut told = vec![read(source, Side::Source)];
        told.extend(destination.iter().map(|text| read(text, Side::Destination)));
        let (mesh, _) = leno_compile::compile(&leno_resources::Resources::default());
        let once = each_once(told, &Names::of(&mesh));
        let told = once.iter().map(|(kind, seen)| {
            let facts = kind.facts.as_ref().map_or("", Facts::as_str);
            format!("{} {}", seen.count, facts.replace('\n', " "))
        });
        let told: Vec<_> = told.map(|text| text.trim_end().to_owned()).collect();
        assert_eq!(told, expect);
    }

    #[test]
    fn what_the_other_proxy_kept_tells_calls_apart() {
        check("9", &[], &["9"]);
        check("9", &["9"], &["9"]);
        check("9", &["3 hx=1", "4 hx=2"], &["3 hx=1", "4 hx=2", "2"]);
        check("5", &["3 hx=1", "4 hx=2"], &["3 hx=1", "2 hx=2"]);
        check("70", &["30 hx=1", "35 hx=2"], &["30 hx=1", "40 hx=2"]);
        check("5 @=cart", &["9 hx=1"], &["5 @=cart hx=1"]);
    }
}
