//! What a change would mean, without making it: for the configuration, for the proxies that are
//! connected, and for the calls that were recorded.

mod imagined;
mod recorded;
mod suggest;

use std::collections::BTreeSet;
use std::time::Duration;

use leno_admin::{
    Becomes, Failure, Foreseen, ForeseenCalls, ForeseenRequest, Means, PlanOf, Planned, Unrecorded,
};
use leno_compile::Mesh;
use leno_model::flow::Kind;
use leno_model::{Code, ObjectRef, RequestFact, Wall};
use leno_preview::{Ground, Outcome, Preview, Row, Seen, Verdict, preview, unread};
use leno_store::flows::Flows;
use leno_store::{
    Change, Deed, Draft, Failed, Label, Message, ObjectChange, Owner, Refused, SOURCE, Upsert,
};

use crate::administer::{label, not_read, status, told};
use crate::apply::{Weighed, not_changed, read_files};
use crate::center::Center;
use crate::clock;
use crate::edition::Edition;
use crate::flows::kept;
use crate::observed;
use crate::overrides;
use crate::sight::Sight;

pub(crate) use recorded::recorded;
pub(crate) use suggest::suggest;

/// How many rows are told of, and requests of each.
const MOST_ROWS: usize = 500;
const MOST_REQUESTS: usize = 8;

/// Says what a change would mean, for the calls that may be seen. What cannot be known of calls is said,
/// and hides nothing else. Who may not look at all of the mesh plans only what may be applied, too.
pub(crate) fn plan(
    center: &Center,
    sight: &Sight,
    who: Label,
    ask: PlanOf,
) -> Result<Planned, Failure> {
    let mut upserts = read_files(ask.files, &ask.namespace)?;
    if !ask.with.is_empty() {
        let edition = center.edition();
        let file = imagined::file(&ask.with, ask.with_in.as_deref(), &edition, center)?;
        upserts.extend(read_files(vec![file], &ask.namespace)?);
    }
    let may_plan = |object: &ObjectRef| match sight.is_whole() {
        true => Ok(()),
        false => sight.may_change(object),
    };
    upserts
        .iter()
        .try_for_each(|upsert| may_plan(&upsert.key))?;
    let own = Owner {
        source: own(),
        set: label("set", &ask.set)?,
    };
    let Owner { source, set } = match ask.prune {
        true => own,
        false => owner(center, own, &upserts)?,
    };
    let deed = Deed::Apply {
        set,
        upserts,
        prune: ask.prune,
    };
    let change = change_of(source, who, deed);
    let mut weighed = None;
    let mut barred = None;
    let done = center.store.rehearse(change, |draft: &Draft<'_>| {
        for key in draft.changes().iter().map(ObjectChange::key) {
            if let Err(failure) = may_plan(key) {
                barred = Some(failure);
                return Err(Refused::Barred(key.clone()));
            }
        }
        weighed = Some(Weighed::of(center, draft)?);
        Ok(())
    });
    let outcome = done.map_err(|refused| match barred {
        Some(failure) => failure,
        None => not_changed(refused, weighed.as_ref()),
    })?;
    // What changes nothing is not even looked at.
    let weighed = weighed.unwrap_or_else(|| Weighed::unchanged(center));
    let errors = weighed.errors();
    let refused = (!errors.is_empty()).then(|| {
        let refused = Refused::HasErrors(errors);
        Failure::coded(refused.code(), refused)
    });
    let then = center.imagined(&weighed.after);
    Ok(Planned {
        status: status(center),
        refused,
        changes: outcome.changes.iter().map(|one| told(one, true)).collect(),
        left: outcome.left.iter().map(ToString::to_string).collect(),
        proxies: center.affected(&then),
        findings: weighed.findings(),
        traffic: foreseen(
            center,
            sight,
            &then,
            Duration::from_secs(ask.seconds.max(1)),
        ),
    })
}

/// Whose objects are planned: those of a cluster that is followed, where none of them was applied here.
fn owner(center: &Center, own: Owner, upserts: &[Upsert]) -> Result<Owner, Failure> {
    if !center.follows_cluster() {
        return Ok(own);
    }
    let objects = center.store.at(center.store.head().revision);
    let objects = objects.map_err(not_read)?;
    let applied = objects.iter().filter(|it| it.owner.source == own.source);
    let applied: BTreeSet<_> = applied.map(|object| &object.key).collect();
    match upserts.iter().any(|upsert| applied.contains(&upsert.key)) {
        true => Ok(own),
        false => Ok(Owner::of_source(&observed::source())),
    }
}

/// The source of what is applied here.
fn own() -> Label {
    Label::new(SOURCE).expect("a constant that is a label")
}

/// A change that is only looked at.
fn change_of(source: Label, who: Label, deed: Deed) -> Change {
    Change {
        source,
        who,
        message: Message::default(),
        at: clock::wall(),
        expected: None,
        deed,
        watch: None,
    }
}

/// What another state of the mesh would mean for those calls of the last `length` that may be seen.
fn foreseen(center: &Center, sight: &Sight, then: &Edition, length: Duration) -> Foreseen {
    let now = clock::wall();
    let from = now - length;
    let known = center.ledger.with(Flows::kept).unwrap_or_default();
    let told = |preview: Preview, not_read: Option<Failure>| {
        let of = |verdict| preview.calls.get(&verdict).copied().unwrap_or_default();
        let more = |rows: &[Row]| u64::try_from(rows.len().saturating_sub(MOST_ROWS)).unwrap_or(0);
        Foreseen {
            from: from.max(known.from).to_string(),
            until: now.to_string(),
            seconds: now.since(known.from.max(from)).as_secs_f64().max(1.0),
            kept: kept(center),
            not_read,
            calls: preview.calls.values().sum(),
            kinds: u64::try_from(preview.kinds).unwrap_or(u64::MAX),
            breaks: of(Verdict::Breaks),
            changes: of(Verdict::Changes),
            undecided: of(Verdict::Undecided),
            same: of(Verdict::Same),
            broken_callers: u64::try_from(preview.broken_callers().len()).unwrap_or(u64::MAX),
            more: more(&preview.rows),
            more_silent: more(&preview.silent),
            recording: overrides::recording(center, sight),
            unrecorded: Vec::new(),
            rows: preview
                .rows
                .into_iter()
                .filter_map(calls)
                .take(MOST_ROWS)
                .collect(),
            silent: preview
                .silent
                .into_iter()
                .filter_map(calls)
                .take(MOST_ROWS)
                .collect(),
        }
    };
    match judged(center, sight, then, from, now) {
        Ok(judged) => Foreseen {
            unrecorded: judged.unrecorded,
            ..told(judged.preview, None)
        },
        Err(failed) => {
            let not_read = Failure {
                advice: Some(failed.advice().to_owned()),
                ..Failure::coded(Code::S010, failed)
            };
            told(Preview::default(), Some(not_read))
        }
    }
}

/// Calls as a change would have them.
struct Judged {
    preview: Preview,
    /// What it reads of them and nobody records.
    unrecorded: Vec<Unrecorded>,
}

fn judged(
    center: &Center,
    sight: &Sight,
    then: &Edition,
    from: Wall,
    until: Wall,
) -> Result<Judged, Failed> {
    let edition = center.edition();
    let meshes = [&*edition, then].map(|edition| Mesh {
        revoked: edition.trusted.revoked.clone(),
        ..edition.mesh.clone()
    });
    let [before, after] = [&meshes[0], &meshes[1]].map(Ground::new);
    let known = center.ledger.with(Flows::kept)?;
    let mesh = edition.mesh();
    let window = center
        .ledger
        .with(|flows| recorded(flows, mesh, from, until))?;
    let earlier = known.from.min(from);
    let earlier = center
        .ledger
        .with(|flows| recorded(flows, mesh, earlier, from))?;
    let seen = |recorded: Vec<(Kind, Seen)>| {
        let recorded = recorded.into_iter();
        recorded.filter_map(|(kind, seen)| Some((sight.shown_kind(kind)?, seen)))
    };
    Ok(Judged {
        preview: preview(&before, &after, seen(window), seen(earlier)),
        unrecorded: unrecorded(sight, &before, &after),
    })
}

/// What is read of calls to the services that may be seen, and nobody records.
fn unrecorded(sight: &Sight, before: &Ground<'_>, after: &Ground<'_>) -> Vec<Unrecorded> {
    let unread = unread(before, after).into_iter();
    let told = unread.map(|(service, facts)| {
        let (secrets, facts): (Vec<_>, _) =
            facts.iter().partition(|it| overrides::names_secret(it));
        let texts = |facts: Vec<&RequestFact>| facts.into_iter().map(ToString::to_string).collect();
        Unrecorded {
            service: service.to_string(),
            facts: texts(facts),
            secrets: texts(secrets),
        }
    });
    told.filter(|one| sight.sees(&one.service)).collect()
}

/// A row as it travels; none for calls for which nothing changes.
fn calls(row: Row) -> Option<ForeseenCalls> {
    let Outcome {
        verdict,
        refused,
        why,
        origin,
    } = row.outcome;
    let means = match verdict {
        Verdict::Breaks => Means::Breaks,
        Verdict::Changes => Means::Changes,
        Verdict::Undecided => Means::Undecided,
        Verdict::Same => return None,
    };
    let is_stream = row.requests.iter().all(|request| request.asked == "tcp");
    let more = row.requests.len().saturating_sub(MOST_REQUESTS);
    let requests = row.requests.into_iter().take(MOST_REQUESTS);
    let requests = requests.map(|request| ForeseenRequest {
        request: request.asked,
        status: Some(request.status).filter(|status| *status > 0),
        code: request.code.map(|code| code.as_str().to_owned()),
        count: request.count,
    });
    let becomes = |(code, status): (Code, u16)| Becomes {
        code: code.as_str().to_owned(),
        slug: code.slug().to_owned(),
        status: (!is_stream).then_some(status),
    };
    Some(ForeseenCalls {
        means,
        from: row.from,
        address: row.address.map(|address| address.to_string()),
        workload: row.workload,
        to: row.to,
        port: row.port,
        count: row.seen.count,
        first: row.seen.first.to_string(),
        last: row.seen.last.to_string(),
        requests: requests.collect(),
        more: u64::try_from(more).unwrap_or(u64::MAX),
        becomes: refused.map(becomes),
        why,
        object: origin.as_ref().map(|origin| origin.object.to_string()),
        place: origin
            .and_then(|origin| origin.place)
            .map(|place| place.to_string()),
    })
}
