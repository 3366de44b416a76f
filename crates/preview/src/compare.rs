//! What a change would mean for calls of one kind.

use leno_model::{Code, Origin};

use crate::blame::Blame;
use crate::fate::{Fate, Refused, To, Way};
use crate::same::{only_forwards, same_effect};

/// What a change would mean for calls. The worst comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// They were carried, and would be refused.
    Breaks,
    /// They would go another way, or be let in that were refused.
    Changes,
    /// It hangs on something that was not recorded.
    Undecided,
    /// Nothing.
    Same,
}

impl Verdict {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breaks => "breaks",
            Self::Changes => "changes",
            Self::Undecided => "undecided",
            Self::Same => "same",
        }
    }
}

/// What a change would mean for calls of one kind, and who says so.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Outcome {
    /// What it would mean.
    pub verdict: Verdict,
    /// How they would be refused, if they were: a code and a status.
    pub refused: Option<(Code, u16)>,
    /// Why, in half a sentence; empty where nothing changes.
    pub why: String,
    /// The line that says so.
    pub origin: Option<Origin>,
}

impl Outcome {
    pub(crate) const SAME: Self = Self {
        verdict: Verdict::Same,
        refused: None,
        why: String::new(),
        origin: None,
    };

    fn new(verdict: Verdict, why: String, origin: Option<Origin>) -> Self {
        Self {
            verdict,
            refused: None,
            why,
            origin,
        }
    }
}

/// Compares what becomes of calls before and after a change.
pub(crate) fn compare<'g>(
    before: &Fate<'g>,
    after: &Fate<'g>,
    blame: &mut Blame<'g>,
    was_carried: bool,
) -> Outcome {
    match (before, after) {
        (Fate::Carried(one), Fate::Carried(other)) => ways(one, other),
        (Fate::Carried(way), Fate::Refused(refused)) => breaks(Some(way), refused, blame),
        (Fate::Open(_), Fate::Refused(refused)) if was_carried => breaks(None, refused, blame),
        (Fate::Refused(one), Fate::Refused(other)) if one.code == other.code => Outcome::SAME,
        (Fate::Refused(_), Fate::Refused(refused)) => Outcome {
            verdict: Verdict::Changes,
            ..breaks(None, refused, blame)
        },
        (Fate::Refused(refused), Fate::Carried(way)) => {
            let said = way.allowed_by.as_ref().map(|rule| rule.origin.clone());
            let said = said.or_else(|| way.rule.map(|rule| rule.origin.clone()));
            let why = format!(
                "would be let through; refused in force by {} {}",
                refused.code,
                refused.code.slug()
            );
            Outcome::new(Verdict::Changes, why, said)
        }
        (_, Fate::Open(why)) | (Fate::Open(why), _) => {
            Outcome::new(Verdict::Undecided, why.clone(), None)
        }
    }
}

fn breaks<'g>(way: Option<&Way<'g>>, refused: &Refused<'g>, blame: &mut Blame<'g>) -> Outcome {
    let mut outcome = Outcome {
        refused: Some((refused.code, refused.status)),
        ..Outcome::new(
            Verdict::Breaks,
            refused.words.clone(),
            refused.origin.clone(),
        )
    };
    let guessed = refused.access.filter(|_| refused.origin.is_none());
    if let Some(access) = guessed {
        let (before, allowed_by) =
            way.map_or((&[][..], None), |way| (way.over.as_slice(), way.allowed_by));
        if let Some((words, origin)) = blame.name(access, before, allowed_by) {
            outcome.why = words.clone();
            outcome.origin = Some(origin.clone());
        }
    }
    if let Some((part, of)) = refused.part {
        outcome.why = format!("{} ({part} of {of})", outcome.why);
    }
    outcome
}

fn ways(one: &Way<'_>, other: &Way<'_>) -> Outcome {
    let same_rule = match (one.rule, other.rule) {
        (None, None) => true,
        (Some(one), Some(other)) => same_effect(one, other),
        (Some(rule), None) | (None, Some(rule)) => only_forwards(rule),
    };
    if same_rule && one.shares == other.shares {
        return Outcome::SAME;
    }
    let said = other.rule.or(one.rule).map(|rule| rule.origin.clone());
    let share = |way: &Way<'_>, name: &To| {
        let mut shares = way.shares.iter();
        shares
            .find(|(other, _)| other == name)
            .map_or(0.0, |(_, share)| *share)
    };
    let names = other.shares.iter().chain(&one.shares).map(|(name, _)| name);
    let mut moved: Vec<&To> = Vec::new();
    for name in names {
        let differs = (share(one, name) - share(other, name)).abs() > f64::EPSILON;
        if differs && !moved.contains(&name) {
            moved.push(name);
        }
    }
    // What grows says it; what shrinks follows from it.
    let grown = moved
        .iter()
        .filter(|name| share(other, name) > share(one, name));
    let told: Vec<_> = grown
        .map(|name| {
            let percent = percent(share(other, name));
            match share(one, name) {
                0.0 => format!("{percent} % to {name}"),
                was => format!("{percent} % to {name}, which gets {} %", self::percent(was)),
            }
        })
        .collect();
    let why = match (told.is_empty(), other.rule) {
        (false, _) => told.join(", "),
        (true, Some(rule))
            if one
                .rule
                .is_none_or(|was| was.origin.object != rule.origin.object) =>
        {
            format!("{} takes it", rule.origin.object)
        }
        (true, Some(rule)) => format!("{} does something else with it", rule.origin.object),
        (true, None) => "no route takes it any more".to_owned(),
    };
    Outcome::new(Verdict::Changes, why, said)
}

/// `10`, `9.8`
fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).round() / 10.0;
    format!("{tenths}")
}
