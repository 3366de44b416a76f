//! Why calls fail: by code, edge and culprit, since when, and what was changed right before.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use leno_admin::{
    Asked, FailedCall, Failure as Refusal, FailureCount, FailureGroup, Failures, FailuresOf, Past,
    Step,
};
use leno_model::flow::{Failure, Kind, Sum, What};
use leno_model::{Fault, Wall};
use leno_store::Entry;
use leno_store::flows::{Flows, KeptFlows};

use crate::administer::{past, status, store_failed};
use crate::center::Center;
use crate::clock;
use crate::flows::kept;
use crate::flows::moment::Steps;
use crate::flows::once::each_once;
use crate::flows::parties::{Names, refuse_nobody};
use crate::flows::traffic::{counted, service};

/// How far back the beginning of a failure is looked for.
const LOOK_BACK: Duration = Duration::from_secs(24 * 3600);

/// Without any for so long, the next one begins anew.
const QUIET: Duration = Duration::from_secs(600);

/// A revision counts as right before what begins so soon after it.
const RIGHT_BEFORE: Duration = Duration::from_secs(600);

/// Clocks of proxies and control plane agree as well as this.
const CLOCKS: Duration = Duration::from_secs(5);

/// What was seen within this goes on.
const GOES_ON: Duration = Duration::from_secs(60);

/// How many requests are named of a group, and revisions looked at.
const MOST_REQUESTS: usize = 3;
const MOST_REVISIONS: usize = 100;

/// How many calls a glance shows that failed, and how far back it looks.
const MOST_OF_LATE: usize = 20;
const LATE: Duration = Duration::from_secs(600);

/// Answers why calls of a service fail.
pub(crate) fn failures(center: &Center, ask: &FailuresOf) -> Result<Failures, Refusal> {
    let now = clock::wall();
    let length = Duration::from_secs(ask.seconds.max(1));
    let of = ask.service.as_ref();
    let of = of.map(|name| service(name, &ask.namespace));
    let seen = Seen::of(center, of.as_deref(), now, length).map_err(store_failed)?;
    if let (Some(of), true) = (&of, seen.calls.is_empty()) {
        refuse_nobody(center.edition().mesh(), of)?;
    }
    let known = center.ledger.with(Flows::kept).map_err(store_failed)?;
    let begun = seen.begun(center, now, length).map_err(store_failed)?;
    let history = center.store.history(MOST_REVISIONS, None);
    let history = history.map_err(store_failed)?;
    let mut groups: Vec<_> = seen
        .groups
        .iter()
        .map(|(cause, group)| {
            let onset = begun
                .get(cause)
                .map(|times| Onset::of(times, now - length, &known));
            let onset = onset.unwrap_or(Onset {
                first: group.sum.first,
                quiet_before: None,
            });
            let of = seen.calls.get(&cause.edge()).copied().unwrap_or_default();
            group.told(cause, onset, of, &history, now)
        })
        .collect();
    groups.sort_by_key(|group| Reverse(group.failure.count));
    Ok(Failures {
        status: status(center),
        kept: kept(center),
        service: of,
        from: (now - length).to_string(),
        until: now.to_string(),
        calls: seen.calls.values().sum(),
        failed: groups.iter().map(|group| group.failure.count).sum(),
        groups,
    })
}

/// The calls that failed of late, newest first, one of each kind; nothing where they cannot be read.
pub(crate) fn failed_of_late(center: &Center) -> Option<Vec<FailedCall>> {
    let seen = Seen::of(center, None, clock::wall(), LATE).ok()?;
    let mut calls: Vec<_> = seen
        .groups
        .iter()
        .filter_map(|(cause, group)| {
            let FailureCount {
                code,
                why,
                fault,
                count,
                last,
                example,
                ..
            } = counted(&cause.failure, &group.sum);
            let status = group.statuses.first().copied();
            Some(FailedCall {
                id: example?,
                at: last,
                from: cause.from.to_string(),
                to: cause.to.to_string(),
                request: group.requests().into_iter().next()?.request,
                status: status.filter(|status| *status > 0),
                took_us: None,
                fault,
                code,
                why,
                count,
            })
        })
        .collect();
    calls.sort_by(|one, other| other.at.cmp(&one.at));
    calls.truncate(MOST_OF_LATE);
    Some(calls)
}

/// What failures have in common that are told together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    failure: Failure,
    from: Arc<str>,
    to: Arc<str>,
    /// Who answered so, where the service did.
    backend: Option<Arc<str>>,
}

impl Cause {
    fn of(kind: &Kind) -> Option<Self> {
        let failure = kind.failure.clone()?;
        let answered = failure.code.is_none();
        Some(Self {
            failure,
            from: Arc::clone(&kind.from),
            to: Arc::clone(&kind.to),
            backend: kind.backend.clone().filter(|_| answered),
        })
    }

    fn edge(&self) -> (Arc<str>, Arc<str>) {
        (Arc::clone(&self.from), Arc::clone(&self.to))
    }

    /// What did it, and where that is written.
    fn culprit(&self) -> (String, Option<String>) {
        if let Some(culprit) = &self.failure.culprit {
            let place = culprit.place.as_ref().map(|place| place.to_string());
            return (culprit.object.to_string(), place);
        }
        let told = match self.failure.fault {
            Fault::Service => {
                let service = self.backend.as_ref().unwrap_or(&self.to);
                format!("the service {service}")
            }
            Fault::Caller => format!("the caller {}", self.from),
            Fault::Configuration => format!("the configuration of {}", self.to),
            Fault::Mesh => format!("the mesh before {}", self.to),
        };
        (told, None)
    }
}

/// What went in the time that was asked about.
struct Seen {
    groups: BTreeMap<Cause, Group>,
    /// How many calls went over each edge.
    calls: BTreeMap<(Arc<str>, Arc<str>), u64>,
}

#[derive(Default)]
struct Group {
    sum: Sum,
    statuses: BTreeSet<u16>,
    requests: BTreeMap<String, u64>,
}

impl Seen {
    fn of(
        center: &Center,
        of: Option<&str>,
        now: Wall,
        length: Duration,
    ) -> Result<Self, leno_store::Failed> {
        let names = Names::of(center.edition().mesh());
        let is_asked = |kind: &Kind| of.is_none_or(|of| *kind.from == *of || *kind.to == *of);
        let told = center.ledger.with(|flows| {
            let group = |kind: &Kind| Some(alike(names.tell(kind))).filter(is_asked);
            let mut told = BTreeMap::new();
            let Steps { from, step, count } = Steps::one(now, length);
            flows.totals(from, step, count, group, |_, sums| told = each_once(sums))?;
            Ok(told)
        })?;
        let mut seen = Self {
            groups: BTreeMap::new(),
            calls: BTreeMap::new(),
        };
        for (kind, sum) in told {
            let edge = (Arc::clone(&kind.from), Arc::clone(&kind.to));
            *seen.calls.entry(edge).or_default() += sum.count;
            if let Some(cause) = Cause::of(&kind)
                && sum.count > 0
            {
                seen.groups.entry(cause).or_default().add(&kind, &sum);
            }
        }
        Ok(seen)
    }

    /// The times at which each was seen, by the minute, also before what was asked about.
    fn begun(
        &self,
        center: &Center,
        now: Wall,
        length: Duration,
    ) -> Result<BTreeMap<Cause, Vec<(Wall, Wall)>>, leno_store::Failed> {
        let edges: BTreeSet<_> = self.groups.keys().map(Cause::edge).collect();
        if edges.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names = Names::of(center.edition().mesh());
        let is_theirs = |kind: &Kind| {
            let edge = (Arc::clone(&kind.from), Arc::clone(&kind.to));
            edges.contains(&edge)
        };
        let minute = Duration::from_secs(60);
        let minutes = LOOK_BACK.max(length).as_secs() / minute.as_secs() + 1;
        let steps = u32::try_from(minutes).unwrap_or(u32::MAX);
        center.ledger.with(|flows| {
            let group = |kind: &Kind| {
                let kind = alike(names.tell(kind)).without_request();
                Some(kind).filter(is_theirs)
            };
            let mut times = BTreeMap::<Cause, Vec<_>>::new();
            let from = now - minute * steps;
            let steps = usize::try_from(steps).unwrap_or(usize::MAX);
            flows.totals(from, minute, steps, group, |_, sums| {
                for (kind, sum) in each_once(sums) {
                    if let Some(cause) = Cause::of(&kind)
                        && sum.count > 0
                    {
                        times.entry(cause).or_default().push((sum.first, sum.last));
                    }
                }
            })?;
            Ok(times)
        })
    }
}

/// A kind without what says nothing about why it failed.
fn alike(mut kind: Kind) -> Kind {
    kind.port = 0;
    kind.route = None;
    kind.peer = None;
    kind.facts = None;
    kind
}

impl Group {
    fn add(&mut self, kind: &Kind, sum: &Sum) {
        self.sum.add(sum);
        if let What::Requests { status, .. } = kind.what {
            self.statuses.insert(status);
        }
        *self.requests.entry(kind.what.to_string()).or_default() += sum.count;
    }

    /// What was asked, the most frequent first.
    fn requests(&self) -> Vec<Asked> {
        let asked = self.requests.iter().map(|(request, count)| Asked {
            request: request.clone(),
            count: *count,
        });
        let mut asked: Vec<_> = asked.collect();
        asked.sort_by_key(|asked| Reverse(asked.count));
        asked.truncate(MOST_REQUESTS);
        asked
    }

    fn told(
        &self,
        cause: &Cause,
        onset: Onset,
        of: u64,
        history: &[Entry],
        now: Wall,
    ) -> FailureGroup {
        let (culprit, place) = cause.culprit();
        let before = history
            .iter()
            .find(|entry| entry.at <= onset.first + CLOCKS);
        let before = before.filter(|entry| onset.first.since(entry.at) <= RIGHT_BEFORE);
        let before = before.map(past);
        let failure = FailureCount {
            first: onset.first.to_string(),
            ..counted(&cause.failure, &self.sum)
        };
        FailureGroup {
            next: next(&failure, before.as_ref(), history),
            from: cause.from.to_string(),
            to: cause.to.to_string(),
            culprit,
            place,
            statuses: self
                .statuses
                .iter()
                .copied()
                .filter(|status| *status > 0)
                .collect(),
            requests: self.requests(),
            of,
            goes_on: now.since(self.sum.last) <= GOES_ON,
            quiet_before: onset.quiet_before.map(|quiet| quiet.as_secs()),
            before,
            failure,
        }
    }
}

/// What to do next: look at an example, at what was changed, undo it.
fn next(failure: &FailureCount, before: Option<&Past>, history: &[Entry]) -> Vec<Step> {
    let mut next = Vec::new();
    let mut add = |command: String, shows: String| next.push(Step { command, shows });
    if let Some(example) = &failure.example {
        add(
            format!("leno why {example}"),
            "one of them, step by step".to_owned(),
        );
    }
    if let Some(Past {
        revision, observed, ..
    }) = before
        && let Some(earlier @ 1..) = revision.checked_sub(1)
    {
        add(
            format!("leno diff {earlier} {revision}"),
            format!("what revision {revision} changed"),
        );
        let newest = history.first().map_or(*revision, |entry| entry.revision.0);
        let after = match newest.saturating_sub(*revision) {
            0 => String::new(),
            1 => format!(", and revision {newest} with it"),
            more => format!(", and the {more} revisions after it"),
        };
        add(
            match observed {
                true => format!("leno rollback {earlier} --hold 1h"),
                false => format!("leno rollback {earlier}"),
            },
            format!("undoes revision {revision}{after}"),
        );
    }
    if let Some(code) = &failure.code {
        add(
            format!("leno explain {code}"),
            "what it means and what to do".to_owned(),
        );
    }
    next
}

/// Since when something fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Onset {
    first: Wall,
    /// For how long nothing of the kind was seen before; nothing if what is kept does not tell.
    quiet_before: Option<Duration>,
}

impl Onset {
    /// The beginning of what was seen from `asked` on: earlier times belong to it as long as no quiet
    /// lies between.
    fn of(times: &[(Wall, Wall)], asked: Wall, known: &KeptFlows) -> Self {
        let place = times.iter().position(|(_, last)| *last >= asked);
        let place = place.unwrap_or(times.len().saturating_sub(1));
        let (earlier, _) = times.split_at(place);
        let mut first = times.get(place).map_or(asked, |(first, _)| *first);
        let mut last_before = known.from;
        for (begin, end) in earlier.iter().rev() {
            if first.since(*end) >= QUIET {
                last_before = last_before.max(*end);
                break;
            }
            first = first.min(*begin);
        }
        let quiet = first.since(last_before);
        Self {
            first,
            quiet_before: (quiet >= CLOCKS * 2).then_some(quiet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen at these minutes, asked from this one on, kept since this one: first, quiet before it.
    fn check(seen: &[u64], asked: u64, kept: u64, expect: (u64, Option<u64>)) {
        let at = |minute: u64| Wall::since_epoch(Duration::from_secs(minute * 60));
        let times: Vec<_> = seen
            .iter()
            .map(|minute| (at(*minute), at(*minute)))
            .collect();
        let known = KeptFlows {
            from: at(kept),
            ..KeptFlows::default()
        };
        let onset = Onset::of(&times, at(asked), &known);
        let quiet = onset.quiet_before.map(|quiet| quiet.as_secs() / 60);
        let first = onset.first.elapsed_since_epoch().as_secs() / 60;
        assert_eq!((first, quiet), expect, "{seen:?} from {asked}");
    }

    #[test]
    fn a_failure_begins_after_a_quiet_while() {
        check(&[100, 101, 105], 90, 10, (100, Some(90)));
        check(&[100, 101, 105], 103, 10, (100, Some(90)));
        check(&[20, 100, 101], 90, 10, (100, Some(80)));
        check(&[20, 100, 101], 15, 10, (20, Some(10)));
        check(&[10, 19, 28, 37], 30, 10, (10, None));
        check(&[10, 40], 30, 10, (40, Some(30)));
    }
}
