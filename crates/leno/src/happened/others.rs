//! What other revisions would have done with a call: the present one, and the latest one before the
//! call's own that would have carried it.

use leno_admin::{At, HowKnown, Other};
use leno_model::Code;
use leno_telemetry::is_cut;

use super::decided::{Again, Way, again, again_received};
use super::recorded::{ACCESS, CORS, ENDPOINT, MTLS, NAME, ROUTE, SPLIT, code_of, ended_at};
use super::{Call, Past, Then};

/// How many earlier revisions are asked.
const FURTHEST: u64 = 12;

/// What is known of other revisions.
#[derive(Default)]
pub(super) struct Others {
    pub(super) revisions: Vec<Other>,
    /// Why nothing is.
    pub(super) not_compared: Option<String>,
    /// The revision to go back to, if that would help.
    pub(super) rollback: Option<u64>,
}

/// What was decided about the call.
enum Was {
    /// It was refused for this.
    Refused(Code),
    /// None of the endpoints of this backend could take it.
    Nobody(Option<String>),
    /// It got to this backend, whatever came of it there.
    Reached(Option<String>),
}

pub(super) fn others(call: &Call<'_>, past: &mut dyn Past) -> Others {
    let not = |why: &str| Others {
        not_compared: Some(why.to_owned()),
        ..Others::default()
    };
    if call.sender.is_none() && call.receiver.is_none() {
        return Others::default();
    }
    let Some(now) = past.at(None) else {
        return not("what the revision in force would do is not known: no control plane was asked");
    };
    let Some(way) = decide(call, &now) else {
        let path = call.begin().path.as_deref();
        return not(match path.is_some_and(is_cut) {
            true => {
                "what another revision would do is not known: only the begin of its path was kept"
            }
            false => "what another revision would do is not known: too little was recorded of it",
        });
    };
    let was = was(call);
    let present = other(now.told().revision, true, &was, &way);
    let is_still_so = present.same;
    let mut others = Others {
        revisions: vec![present],
        ..Others::default()
    };
    let own = call.begin().decided.generation.clone();
    let own = own.and_then(|own| past.at(Some(At::Generation(own))));
    let Some(own) = own.filter(|_| is_bad(call)) else {
        return others;
    };
    let own = own.told().revision;
    for revision in (own.saturating_sub(FURTHEST).max(1)..own).rev() {
        let Some(then) = past.at(Some(At::Revision(revision))) else {
            break;
        };
        let Some(way) = decide(call, &then) else {
            break;
        };
        let told = other(revision, false, &was, &way);
        let carries = matches!(way, Way::Reaches { .. } | Way::Answered(_));
        if !told.same && carries {
            others.rollback = is_still_so.then_some(revision);
            others.revisions.push(told);
            break;
        }
    }
    others
}

fn is_bad(call: &Call<'_>) -> bool {
    let both = [call.sender, call.receiver];
    both.into_iter().flatten().any(|told| told.fault.is_some())
}

fn was(call: &Call<'_>) -> Was {
    let end = call.end();
    let decided = [NAME, ROUTE, CORS, SPLIT, ENDPOINT, MTLS, ACCESS];
    let backend = call.begin().decided.backend.clone();
    match code_of(end) {
        Some(Code::R014) => Was::Nobody(backend),
        Some(code) if decided.contains(&ended_at(code, end.reporter)) => Was::Refused(code),
        Some(_) | None => Was::Reached(backend),
    }
}

fn decide(call: &Call<'_>, then: &Then) -> Option<Way> {
    match (call.sender, call.receiver) {
        (Some(sender), _) => again(sender, then).map(|Again { way, .. }| way),
        (None, Some(receiver)) => again_received(receiver, then).map(|(_, way)| way),
        (None, None) => None,
    }
}

fn other(revision: u64, now: bool, was: &Was, way: &Way) -> Other {
    let same = is_same(was, way);
    let text = match way {
        _ if same => "same".to_owned(),
        Way::Refused { code, status } => format!("{status} {code} {}", code.slug()),
        Way::Answered(how) => how.clone(),
        Way::Reaches { backend, endpoints } => {
            let backend = leno_admin::figures::short(backend);
            format!("{backend}, {endpoints} of {endpoints} usable")
        }
        Way::Undecided(why) => format!("undecided: {why}"),
    };
    Other {
        revision,
        now,
        same,
        text,
        known: match way {
            Way::Reaches { .. } if !same => HowKnown::Assumed,
            _ => HowKnown::Replayed,
        },
    }
}

fn is_same(was: &Was, way: &Way) -> bool {
    match (was, way) {
        (Was::Refused(was), Way::Refused { code, .. }) => was == code,
        (Was::Nobody(_), Way::Refused { code, .. }) => *code == Code::R013,
        (Was::Reached(Some(was)) | Was::Nobody(Some(was)), Way::Reaches { backend, .. }) => {
            was == backend
        }
        (Was::Reached(None), Way::Reaches { .. } | Way::Answered(_)) => true,
        _ => false,
    }
}
