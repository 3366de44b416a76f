//! Policies that let in what was recorded, checked by the plan that they would be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leno_admin::{Failure, File, LeftOut, SuggestOf, Suggested, SuggestedPolicy};
use leno_compile::Mesh;
use leno_model::{Name, Namespace, ServiceName};
use leno_preview::{Seen, Suggestion, Verdict};
use leno_store::flows::Flows;
use leno_store::{Change, Deed, Draft, Failed, Label};

use crate::administer::{label, status, store_failed};
use crate::apply::{Weighed, not_changed, read_files};
use crate::center::Center;
use crate::clock;
use crate::edition::Edition;
use crate::flows::{Names, kept, refuse_nobody};
use crate::plan::{change_of, judged, own, recorded};
use crate::sight::Sight;

/// How much of what is left out is told of one policy.
const MOST_LEFT: usize = 200;

/// Suggests policies for services that may be seen: whoever may look at a service sees all calls to it.
pub(crate) fn suggest(
    center: &Center,
    sight: &Sight,
    who: Label,
    ask: &SuggestOf,
) -> Result<Suggested, Failure> {
    let now = clock::wall();
    let from = now - Duration::from_secs(ask.seconds.max(1));
    let known = center.ledger.with(Flows::kept).unwrap_or_default();
    let edition = center.edition();
    let mesh = edition.mesh();
    let wanted = ask
        .service
        .as_ref()
        .map(|name| service(name, &ask.namespace))
        .transpose()?;
    let told = center.ledger.with(|flows| recorded(flows, mesh, from, now));
    let told = told.map_err(store_failed)?;
    // Who was called is told as a service, also where only its own proxy tells.
    let names = Names::of(mesh);
    let told = told.into_iter().filter_map(|(kind, seen)| {
        let kind = sight.shown_kind(names.tell(&kind))?;
        Some((kind, seen))
    });
    let told: Vec<_> = told.collect();
    let is_wanted = |service: &ServiceName| {
        mesh.services.contains_key(service)
            && sight.sees(&service.to_string())
            && wanted.as_ref().is_none_or(|it| it == service)
    };
    let suggestions = leno_preview::suggest(&told, ask.at_least, is_wanted);
    // What was probably meant may be somebody else's.
    if let (Some(wanted), true) = (&wanted, suggestions.is_empty() && sight.is_whole()) {
        refuse_nobody(mesh, &wanted.to_string())?;
    }
    let then = imagined(center, who, &suggestions)?;
    let unforeseen = match then {
        Some(then) => unforeseen(center, sight, &then, &suggestions, from, now),
        None => Ok(0),
    };
    Ok(Suggested {
        status: status(center),
        from: from.max(known.from).to_string(),
        until: now.to_string(),
        kept: kept(center),
        policies: suggestions.iter().map(|one| policy(one, mesh)).collect(),
        unforeseen: unforeseen.map_err(store_failed)?,
    })
}

fn service(name: &str, namespace: &str) -> Result<ServiceName, Failure> {
    let (namespace, name) = name.split_once('/').unwrap_or((namespace, name));
    let namespace = Namespace::new(namespace).map_err(Failure::plain)?;
    Ok(ServiceName::new(
        namespace,
        Name::new(name).map_err(Failure::plain)?,
    ))
}

/// The mesh with all that is suggested; none if nothing is.
fn imagined(
    center: &Center,
    who: Label,
    suggestions: &[Suggestion],
) -> Result<Option<Edition>, Failure> {
    if suggestions.is_empty() {
        return Ok(None);
    }
    let text: Vec<_> = suggestions.iter().map(Suggestion::yaml).collect();
    let file = File {
        path: SUGGESTED.to_owned(),
        text: text.join("---\n"),
    };
    let deed = Deed::Apply {
        set: label("set", SUGGESTED)?,
        upserts: read_files(vec![file], "default")?,
        prune: false,
    };
    let change: Change = change_of(own(), who, deed);
    let mut weighed = None;
    let done = center.store.rehearse(change, |draft: &Draft<'_>| {
        weighed = Some(Weighed::of(center, draft)?);
        Ok(())
    });
    match done {
        // One of that name stands in a set of somebody's: what it would be is not known.
        Err(refused) => Err(not_changed(refused, weighed.as_ref())),
        Ok(_) => {
            let weighed = weighed.unwrap_or_else(|| Weighed::unchanged(center));
            Ok(Some(center.imagined(&weighed.after)))
        }
    }
}

const SUGGESTED: &str = "suggested";

/// How many calls would break that no suggestion leaves out.
fn unforeseen(
    center: &Center,
    sight: &Sight,
    then: &Edition,
    suggestions: &[Suggestion],
    from: leno_model::Wall,
    until: leno_model::Wall,
) -> Result<u64, Failed> {
    let left = suggestions.iter().flat_map(|one| &one.left);
    let left: BTreeSet<_> = left.map(|left| (&*left.from, &*left.asked)).collect();
    let preview = judged(center, sight, then, from, until)?.preview;
    let rows = preview.rows.iter();
    let broken = rows.filter(|row| row.outcome.verdict == Verdict::Breaks);
    let requests = broken.flat_map(|row| row.requests.iter().map(move |it| (&*row.from, it)));
    // What was refused anyway was no reason to let it in.
    let beyond = requests.filter(|(from, request)| {
        request.code.is_none() && !left.contains(&(*from, &*request.asked))
    });
    Ok(beyond.map(|(_, request)| request.count).sum())
}

fn policy(suggestion: &Suggestion, mesh: &Mesh) -> SuggestedPolicy {
    let Suggestion {
        service,
        callers,
        left,
        calls,
        covered,
    } = suggestion;
    let mut left: Vec<_> = left.iter().collect();
    left.sort_by_key(|left| std::cmp::Reverse(left.seen.count));
    let told = left.into_iter().take(MOST_LEFT).map(|left| {
        let Seen { count, last, .. } = left.seen;
        LeftOut {
            from: left.from.to_string(),
            address: left.address.map(|address| address.to_string()),
            request: left.asked.clone(),
            count,
            last: last.to_string(),
            why: left.why.to_owned(),
        }
    });
    SuggestedPolicy {
        service: service.to_string(),
        object: format!("AccessPolicy {}/{}", service.namespace, suggestion.name()),
        yaml: suggestion.yaml(),
        calls: *calls,
        covered: *covered,
        callers: callers.keys().map(ToString::to_string).collect(),
        left: told.collect(),
        beside: beside(service, mesh),
    }
}

/// The policies whose rules stand over a service already.
fn beside(service: &ServiceName, mesh: &Mesh) -> Vec<String> {
    let ports = mesh
        .services
        .get(service)
        .into_iter()
        .flat_map(|named| named.ports.keys());
    let mut objects = BTreeMap::new();
    for port in ports {
        let port = leno_model::view::PortRef {
            service: service.clone(),
            port: *port,
        };
        for (instance, number) in mesh.answering(&port) {
            let declared = instance.workload.ports.get(&number);
            let rules = declared.map_or(&instance.workload.other_ports, |port| &port.access);
            for rule in &rules.rules {
                let place = rule
                    .origin
                    .place
                    .as_ref()
                    .map(|place| format!(" ({place})"));
                objects.insert(rule.origin.object.to_string(), place.unwrap_or_default());
            }
        }
    }
    objects
        .into_iter()
        .map(|(object, place)| object + &place)
        .collect()
}
