//! What became of calls since a change, beside what became of the same ones before it. Only those count
//! that the change can have touched: where nothing differs of what a call meets, it fails for another
//! reason.

use std::collections::HashMap;
use std::net::IpAddr;

use leno_model::flow::{Failure, Kind, What};
use leno_model::{Code, Wall};

use crate::call::{Call, Seen};
use crate::compare::Verdict;
use crate::fate::Fate;
use crate::ground::Ground;
use crate::preview::Judging;

/// What became of calls.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Aftermath {
    /// Those since the change that it can have touched.
    pub since: Ends,
    /// The same in the while before it.
    pub before: Ends,
    /// How many went since that it cannot have touched.
    pub others: u64,
    /// How many kinds of call came before, and have not come since.
    pub silent: usize,
    /// The kinds of which a larger share fails than before: what the change does first, then the most.
    pub worse: Vec<Worse>,
}

/// How many calls there were, and how many of them failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ends {
    /// All.
    pub calls: u64,
    /// Those that a proxy refused or broke off, or that the service answered with its own fault.
    pub failed: u64,
}

/// Calls of one kind of which more fail than before.
#[derive(Clone, PartialEq, Debug)]
pub struct Worse {
    /// Who called.
    pub from: String,
    /// From which address, of a caller that proved nothing.
    pub address: Option<IpAddr>,
    /// Whom.
    pub to: String,
    /// On which port; 0 where nobody knows it.
    pub port: u16,
    /// `POST /refund/{id}`, `tcp`.
    pub asked: String,
    /// Since the change.
    pub since: Ends,
    /// Before it.
    pub before: Ends,
    /// How most of those since failed: a status, 0 for streams of bytes and what could not be answered.
    pub status: u16,
    /// The code, where a proxy refused them or broke them off.
    pub code: Option<Code>,
    /// When the last failed.
    pub last: Wall,
    /// What can be said of it.
    pub weight: Weight,
}

/// What can be said of calls that fail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Weight {
    /// The change refuses them: what stood before it would carry them.
    Refused,
    /// More fail than chance and what is tolerated would let fail.
    Risen,
    /// They are too few to tell them from chance.
    TooFew,
    /// It is within what is tolerated.
    Tolerated,
}

impl Weight {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Risen => "risen",
            Self::TooFew => "too-few",
            Self::Tolerated => "tolerated",
        }
    }

    /// Whether a change is to go back for it.
    pub fn is_beyond(self) -> bool {
        match self {
            Self::Refused | Self::Risen => true,
            Self::TooFew | Self::Tolerated => false,
        }
    }
}

impl Aftermath {
    /// Whether the change is to go back: the first of [`Self::worse`] says why.
    pub fn is_beyond(&self) -> bool {
        self.worse.first().is_some_and(|one| one.weight.is_beyond())
    }
}

/// Looks at the calls `since` a change and at those `earlier`. Of each kind a share more than before of
/// `tolerated` may fail, from 0 to 1.
///
/// Time grows with the kinds of call; only those of which more fail are decided by both configurations.
pub fn aftermath(
    before: &Ground<'_>,
    after: &Ground<'_>,
    earlier: impl IntoIterator<Item = (Kind, Seen)>,
    since: impl IntoIterator<Item = (Kind, Seen)>,
    tolerated: f64,
) -> Aftermath {
    let mut judging = Judging::new(before, after);
    let mut kinds = HashMap::<Call, Both>::new();
    let mut told = Aftermath::default();
    for (kind, seen) in since {
        let call = Call::of(&kind);
        if judging.meet(&call).is_same {
            told.others = told.others.saturating_add(seen.count);
            continue;
        }
        told.since.add(&kind, seen.count);
        let both = kinds.entry(wherever_led(call)).or_default();
        both.since.push((kind, seen));
    }
    for (kind, seen) in earlier {
        let call = Call::of(&kind);
        if !judging.meet(&call).is_same {
            told.before.add(&kind, seen.count);
            let both = kinds.entry(wherever_led(call)).or_default();
            both.before.add(&kind, seen.count);
        }
    }
    told.silent = kinds.values().filter(|both| both.since.is_empty()).count();
    let worse = kinds.into_iter();
    let worse = worse.filter_map(|(call, both)| both.worse(call, &mut judging, tolerated));
    told.worse = worse.collect();
    told.worse.sort_by(|one, other| {
        let of = |it: &Worse| (it.weight, std::cmp::Reverse(it.since.failed));
        let named = |it: &Worse| (it.from.clone(), it.to.clone(), it.asked.clone(), it.address);
        of(one)
            .cmp(&of(other))
            .then_with(|| named(one).cmp(&named(other)))
    });
    told
}

/// The same call, whichever rule of a route took it and whatever of it was kept: a change may bring
/// other rules, and these ask for other facts.
fn wherever_led(call: Call) -> Call {
    Call {
        route: None,
        ..call.without_facts()
    }
}

impl Ends {
    fn add(&mut self, kind: &Kind, count: u64) {
        self.calls = self.calls.saturating_add(count);
        if kind.failure.is_some() {
            self.failed = self.failed.saturating_add(count);
        }
    }

    /// Which share of them failed; none of none.
    fn share(self) -> f64 {
        match self.calls {
            0 => 0.0,
            calls => self.failed as f64 / calls as f64,
        }
    }
}

/// Calls of one kind on both sides of a change.
#[derive(Default)]
struct Both {
    before: Ends,
    since: Vec<(Kind, Seen)>,
}

impl Both {
    fn worse(self, call: Call, judging: &mut Judging<'_>, tolerated: f64) -> Option<Worse> {
        let Self { before, since } = self;
        let mut ends = Ends::default();
        since
            .iter()
            .for_each(|(kind, seen)| ends.add(kind, seen.count));
        if ends.failed == 0 || before.calls > 0 && ends.share() <= before.share() {
            return None;
        }
        let failed = since.iter().filter(|(kind, _)| kind.failure.is_some());
        // The reason of most of them, of however many kinds those are.
        let code_of = |kind: &Kind| kind.failure.as_ref().and_then(|why| why.code);
        let of_code = |code: Option<Code>| {
            let same = failed.clone().filter(|(kind, _)| code_of(kind) == code);
            same.map(|(_, seen)| seen.count)
                .fold(0, u64::saturating_add)
        };
        let (usual, _) = failed
            .clone()
            .max_by_key(|(kind, seen)| (of_code(code_of(kind)), seen.count))?;
        let code = code_of(usual);
        let weight = Deciding {
            judging,
            call: &Call::of(usual),
            before,
            ends,
            tolerated,
        }
        .weigh(since.iter().filter_map(refusal))?;
        Some(Worse {
            from: call.from.to_string(),
            address: call.peer,
            to: call.to.to_string(),
            port: call.port,
            asked: usual.what.to_string(),
            since: ends,
            before,
            status: match usual.what {
                What::Requests { status, .. } => status,
                What::Streams => 0,
            },
            code,
            last: failed.map(|(_, seen)| seen.last).max()?,
            weight,
        })
    }
}

/// How many were refused by a code.
fn refusal((kind, seen): &(Kind, Seen)) -> Option<(Code, u64)> {
    let Failure { code, .. } = kind.failure.as_ref()?;
    Some(((*code)?, seen.count))
}

/// One kind of call that fails more often than before, being weighed.
struct Deciding<'d, 'g> {
    judging: &'d mut Judging<'g>,
    call: &'d Call,
    before: Ends,
    ends: Ends,
    tolerated: f64,
}

impl Deciding<'_, '_> {
    /// What can be said of it; nothing where what stood before would refuse them as well.
    fn weigh(mut self, refusals: impl Iterator<Item = (Code, u64)>) -> Option<Weight> {
        let met = self.judging.meet(self.call);
        let was = self.judging.before.fate_of(self.call, &met.before);
        if matches!(was, Fate::Refused(_)) {
            return None;
        }
        // What the change refuses for sure is no chance.
        let by_change = refusals.filter(|(code, _)| self.is_refused_by(*code));
        let refused: u64 = by_change.map(|(_, count)| count).sum();
        if refused > 0 && refused as f64 > self.tolerated * self.ends.calls as f64 {
            return Some(Weight::Refused);
        }
        // A share that few calls tell of is known as badly as they are few.
        let Ends { calls, failed } = self.before;
        let expected = (failed as f64 + 1.0) / (calls as f64 + 2.0) + self.tolerated;
        let is_tolerated = self.ends.share() <= self.before.share() + self.tolerated;
        Some(match is_beyond_chance(self.ends, expected) {
            true => Weight::Risen,
            false if is_tolerated => Weight::Tolerated,
            false => Weight::TooFew,
        })
    }

    /// Whether the change refuses them by this code, and what stood before it would carry them.
    fn is_refused_by(&mut self, code: Code) -> bool {
        let outcome = self.judging.judge_carried(self.call);
        outcome.verdict == Verdict::Breaks && outcome.refused.is_some_and(|(of, _)| of == code)
    }
}

/// Whether so many fail that chance alone would let them in fewer than one of a thousand cases, were
/// `expected` the share of those that fail: Chernoff's bound, which never says so too early.
fn is_beyond_chance(ends: Ends, expected: f64) -> bool {
    let (calls, share) = (ends.calls as f64, ends.share());
    if share <= expected || expected >= 1.0 {
        return false;
    }
    let rest = match share < 1.0 {
        true => (1.0 - share) * ((1.0 - share) / (1.0 - expected)).ln(),
        false => 0.0,
    };
    let distance = share * (share / expected).ln() + rest;
    calls * distance >= RARE.ln()
}

/// One of so many cases is chance.
const RARE: f64 = 1000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_calls_prove_nothing_and_many_do() {
        for (failed, calls, expected, is_beyond) in [
            (1, 1, 0.02, false),
            (2, 2, 0.02, true),
            (1, 10, 0.02, false),
            (3, 10, 0.02, false),
            (4, 10, 0.02, true),
            (12, 500, 0.016, false),
            (30, 500, 0.016, true),
            (6, 6, 0.26, true),
            (5, 5, 0.26, false),
            (10, 10, 1.01, false),
            (0, 10, 0.5, false),
        ] {
            let ends = Ends { calls, failed };
            assert_eq!(
                is_beyond_chance(ends, expected),
                is_beyond,
                "{ends:?} of {expected}"
            );
        }
    }
}
