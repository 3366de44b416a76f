//! Everything that was recorded in a while, as a change would have it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use leno_model::Code;
use leno_model::flow::{Kind, Side, What};

use crate::blame::Blame;
use crate::call::{Call, Seen};
use crate::compare::{Outcome, Verdict, compare};
use crate::fate::Precedent;
use crate::ground::Ground;
use crate::met::Met;
use crate::same::{Alike, Sameness, same_matches};

/// What a change would mean for what was recorded.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// How many calls were judged, by what it means for them.
    pub calls: BTreeMap<Verdict, u64>,
    /// How many kinds of call were told apart.
    pub kinds: usize,
    /// What does not stay the same: the worst first, then the most frequent.
    pub rows: Vec<Row>,
    /// The same of what was recorded earlier, and not in the while that is asked about.
    pub silent: Vec<Row>,
}

/// Calls of one caller for which a change means the same.
#[derive(Clone, Debug)]
pub struct Row {
    /// Who called: `shop/web`, or `unknown`.
    pub from: String,
    /// From which address, of a caller that proved nothing.
    pub address: Option<IpAddr>,
    /// The workload that has that address: nobody proves to call for it.
    pub workload: Option<String>,
    /// Whom they called.
    pub to: String,
    /// On which port; 0 where nobody knows it.
    pub port: u16,
    /// What they asked, the most frequent first.
    pub requests: Vec<Request>,
    /// How many, and when.
    pub seen: Seen,
    /// What it means for them, and who says so.
    pub outcome: Outcome,
}

/// What calls asked that were alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The method and the shape of the path: `POST /refund/{id}`; `tcp` of a stream.
    pub asked: String,
    /// How they were answered most often; 0 for streams of bytes and what could not be answered.
    pub status: u16,
    /// What refused them, if something did.
    pub code: Option<Code>,
    /// How many.
    pub count: u64,
}

impl Preview {
    /// Who would be refused that is carried: by name, or by an address that proves nothing.
    pub fn broken_callers(&self) -> BTreeSet<(&str, Option<IpAddr>)> {
        let rows = self.rows.iter();
        let broken = rows.filter(|row| row.outcome.verdict == Verdict::Breaks);
        broken.map(|row| (row.from.as_str(), row.address)).collect()
    }
}

/// Judges what was recorded by the configuration in force, and by another one. What was recorded
/// `earlier` is judged where nothing like it was recorded since.
pub fn preview(
    before: &Ground<'_>,
    after: &Ground<'_>,
    recorded: impl IntoIterator<Item = (Kind, Seen)>,
    earlier: impl IntoIterator<Item = (Kind, Seen)>,
) -> Preview {
    let recorded = groups(recorded);
    let mut silent = groups(earlier);
    if !silent.is_empty() {
        // What was kept of them may differ: rules asked for something else then.
        let known: HashSet<Call> = recorded.keys().map(Call::without_facts).collect();
        silent.retain(|call, _| !known.contains(&call.without_facts()));
    }
    let kinds = recorded.len();
    let mut judging = Judging::new(before, after);
    let recorded = Judged::of(&mut judging, recorded);
    let silent = Judged::of(&mut judging, silent);
    Preview {
        kinds,
        rows: recorded.rows.told(before, after),
        calls: recorded.calls,
        silent: silent.rows.told(before, after),
    }
}

/// What became of kinds of call.
#[derive(Default)]
struct Judged {
    calls: BTreeMap<Verdict, u64>,
    rows: Rows,
}

impl Judged {
    /// Judges the calls of each edge together: all of them meet the same.
    fn of(judging: &mut Judging<'_>, groups: HashMap<Call, Group>) -> Self {
        let mut edges = HashMap::<Edge, Vec<_>>::new();
        for (call, group) in groups {
            edges.entry(edge(&call)).or_default().push((call, group));
        }
        let mut judged = Self::default();
        for calls in edges.into_values() {
            judged.judge(judging, calls);
        }
        judged
    }

    /// Judges calls of one edge.
    fn judge(&mut self, judging: &mut Judging<'_>, calls: Vec<(Call, Group)>) {
        let Some((first, _)) = calls.first() else {
            return;
        };
        let met = judging.both(first);
        let mut blame = Blame::new(met.before.caller.as_ref());
        for (call, group) in calls {
            let outcome = judging.judge(&call, &met, &mut blame, group.end());
            let calls = self.calls.entry(outcome.verdict).or_default();
            *calls = calls.saturating_add(group.seen.count);
            self.rows.add(call, &group, outcome);
        }
    }
}

fn groups(recorded: impl IntoIterator<Item = (Kind, Seen)>) -> HashMap<Call, Group> {
    let mut groups = HashMap::<Call, Group>::new();
    for (kind, seen) in recorded {
        let group = groups.entry(Call::of(&kind));
        group.or_insert_with(|| Group::new(seen)).add(&kind, seen);
    }
    groups
}

/// Two configurations that are asked about one call after the other.
pub(crate) struct Judging<'g> {
    pub(crate) before: &'g Ground<'g>,
    after: &'g Ground<'g>,
    sameness: Sameness<'g>,
    met: HashMap<Edge, Rc<Both<'g>>>,
}

/// What calls have in common that differ only in what they ask.
type Edge = (Side, Arc<str>, Arc<str>, u16, Option<IpAddr>, bool);

fn edge(call: &Call) -> Edge {
    let Call {
        side,
        from,
        to,
        port,
        peer,
        route: _,
        asked,
        facts: _,
    } = call;
    let (from, to) = (from.clone(), to.clone());
    (*side, from, to, *port, *peer, asked.is_some())
}

/// What they meet in both configurations.
pub(crate) struct Both<'g> {
    pub(crate) before: Met<'g>,
    after: Met<'g>,
    /// Whether nothing of that differs.
    pub(crate) is_same: bool,
    /// Whether what one takes by a rule, the other takes by the rule in the same place.
    takes_alike: bool,
    /// What stands the same before the ports.
    gates: Alike,
}

impl<'g> Judging<'g> {
    pub(crate) fn new(before: &'g Ground<'g>, after: &'g Ground<'g>) -> Self {
        Self {
            before,
            after,
            sameness: Sameness::new(before, after),
            met: HashMap::new(),
        }
    }

    /// What the change means for calls that were carried before it.
    pub(crate) fn judge_carried(&mut self, call: &Call) -> Outcome {
        let met = self.meet(call);
        let mut blame = Blame::new(met.before.caller.as_ref());
        self.judge(call, &met, &mut blame, End::CARRIED)
    }

    /// What it means for calls that ended so before it.
    fn judge<'b>(&self, call: &Call, met: &Both<'g>, blame: &mut Blame<'b>, end: End) -> Outcome
    where
        'g: 'b,
    {
        if met.is_same {
            return Outcome::SAME;
        }
        let taken = met.before.taken(call);
        let precedent = Precedent::new(met.gates, end.code);
        let before = self.before.fate(call, &met.before, taken, precedent);
        let still_taken = taken.filter(|_| met.takes_alike);
        let after = self.after.fate(call, &met.after, still_taken, precedent);
        compare(&before, &after, blame, end.was_carried)
    }

    /// What a call meets, as all do of its edge.
    pub(crate) fn meet(&mut self, call: &Call) -> Rc<Both<'g>> {
        let edge = edge(call);
        if let Some(met) = self.met.get(&edge) {
            return Rc::clone(met);
        }
        let met = Rc::new(self.both(call));
        self.met.insert(edge, Rc::clone(&met));
        met
    }

    fn both(&mut self, call: &Call) -> Both<'g> {
        let (before, after) = (self.before.meet(call), self.after.meet(call));
        Both {
            is_same: self.sameness.of(call),
            gates: self.sameness.gates(call),
            takes_alike: before
                .routes
                .zip(after.routes)
                .is_some_and(|(one, other)| same_matches(one, other)),
            before,
            after,
        }
    }
}

/// Rows, by what they have in common.
#[derive(Default)]
struct Rows(HashMap<Common, (Seen, Vec<Request>)>);

#[derive(PartialEq, Eq, Hash)]
struct Common {
    from: Arc<str>,
    address: Option<IpAddr>,
    to: Arc<str>,
    port: u16,
    outcome: Outcome,
}

impl Rows {
    fn add(&mut self, call: Call, group: &Group, outcome: Outcome) {
        if outcome.verdict == Verdict::Same {
            return;
        }
        let (status, code) = group.usual_end();
        let request = Request {
            asked: match &call.asked {
                Some((_, shape)) if **shape == *Kind::OTHER => Kind::OTHER.to_owned(),
                Some((method, shape)) => format!("{method} {shape}"),
                None => "tcp".to_owned(),
            },
            status,
            code,
            count: group.seen.count,
        };
        let common = Common {
            from: call.from,
            address: call.peer,
            to: call.to,
            port: call.port,
            outcome,
        };
        let (seen, requests) = self.0.entry(common).or_insert((group.seen, Vec::new()));
        if !requests.is_empty() {
            seen.add(&group.seen);
        }
        // Calls that only a rule of a route tells apart.
        let alike = requests.iter_mut().find(|known| {
            known.asked == request.asked
                && known.status == request.status
                && known.code == request.code
        });
        match alike {
            Some(known) => known.count = known.count.saturating_add(request.count),
            None => requests.push(request),
        }
    }

    fn told(self, before: &Ground<'_>, after: &Ground<'_>) -> Vec<Row> {
        let workload_at = |address| {
            let at = before.workload_at(address);
            Some(at.or_else(|| after.workload_at(address))?.to_string())
        };
        let rows = self.0.into_iter().map(|(common, (seen, mut requests))| {
            requests
                .sort_by(|one, other| (other.count, &one.asked).cmp(&(one.count, &other.asked)));
            Row {
                from: common.from.to_string(),
                address: common.address,
                workload: common.address.and_then(workload_at),
                to: common.to.to_string(),
                port: common.port,
                requests,
                seen,
                outcome: common.outcome,
            }
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_cached_key(|row| {
            let Outcome { verdict, why, .. } = &row.outcome;
            let of = (row.from.clone(), row.address, row.to.clone(), row.port);
            (*verdict, Reverse(row.seen.count), of, why.clone())
        });
        rows
    }
}

/// How calls ended.
#[derive(Clone, Copy)]
struct End {
    /// Whether some of them got to whom they were for.
    was_carried: bool,
    /// What refused them; nothing if some were carried.
    code: Option<Code>,
}

impl End {
    const CARRIED: Self = Self {
        was_carried: true,
        code: None,
    };
}

/// How calls that a configuration cannot tell apart went.
struct Group {
    seen: Seen,
    /// How often each status and code: few of them.
    ends: Vec<((u16, Option<Code>), u64)>,
}

impl Group {
    /// One with nothing in it, of the time of `seen`.
    fn new(seen: Seen) -> Self {
        Self {
            seen: Seen { count: 0, ..seen },
            ends: Vec::new(),
        }
    }

    fn add(&mut self, kind: &Kind, seen: Seen) {
        let status = match kind.what {
            What::Requests { status, .. } => status,
            What::Streams => 0,
        };
        let code = kind.failure.as_ref().and_then(|failure| failure.code);
        let end = (status, code);
        match self.ends.iter_mut().find(|(known, _)| *known == end) {
            Some((_, count)) => *count = count.saturating_add(seen.count),
            None => self.ends.push((end, seen.count)),
        }
        self.seen.add(&seen);
    }

    /// Whether some of them got to whom they were for.
    fn was_carried(&self) -> bool {
        self.ends.iter().any(|((_, code), _)| code.is_none())
    }

    fn end(&self) -> End {
        let was_carried = self.was_carried();
        let code = self.usual_end().1.filter(|_| !was_carried);
        End { was_carried, code }
    }

    fn usual_end(&self) -> (u16, Option<Code>) {
        let usual = self.ends.iter().max_by_key(|(_, count)| *count);
        usual.map(|(end, _)| *end).unwrap_or_default()
    }
}
