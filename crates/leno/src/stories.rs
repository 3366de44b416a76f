//! Stories of calls, told by a control plane of this process to whoever asks it.

use std::rc::Rc;

use leno_admin::{
    At, ConfigurationOf, Failure, KeptCalls, KeptOf, Passed, Silent, Story, StoryOf, Wanted,
    figures,
};
use leno_control::Desk;
use leno_model::flow::Kind;

use crate::happened::{Found, Past, Then, story};

/// Lets the control plane behind `desk` tell what became of calls.
pub(crate) fn give(desk: &Desk) {
    desk.give_stories(tell);
}

async fn tell(desk: Desk, ask: StoryOf) -> Result<Story, Failure> {
    let wanted = Wanted::Named { id: ask.id.clone() };
    let kept = desk.kept(KeptOf { wanted }).await;
    let records = match Found::among(kept.calls.clone()) {
        Found::One(records) => records,
        Found::Nothing => {
            let words = not_kept(&ask.id, &kept).join("; ");
            return Err(advised(words, "leno tap --last 20"));
        }
        Found::Several(calls) => {
            let ids = calls.iter().map(|call| call.id.as_str());
            let ids = ids.collect::<Vec<_>>().join(", ");
            let words = format!("{} begins the id of more than one call: {ids}", ask.id);
            return Err(Failure::plain(words));
        }
    };
    let told = tokio::task::spawn_blocking(move || {
        let mut past = Here {
            desk,
            asked: Vec::new(),
        };
        story(&records, &mut past)
    });
    let told = told.await.ok().flatten();
    told.ok_or_else(|| Failure::plain("what was recorded makes no story"))
}

fn advised(words: String, advice: &str) -> Failure {
    Failure {
        advice: Some(advice.to_owned()),
        ..Failure::plain(words)
    }
}

/// Why nobody remembers the call `id`, as far as that is known, in several sentences.
pub(crate) fn not_kept(id: &str, kept: &KeptCalls) -> Vec<String> {
    if let Some(passed) = passed(kept) {
        return of_passed(id, passed, kept);
    }
    let asked = match kept.asked.len() {
        0 => "no proxy has answered".to_owned(),
        1 => "the one proxy that was asked does not remember it".to_owned(),
        many => format!("none of the {many} proxies that were asked remembers it"),
    };
    let mut words = vec![format!("{id} is not kept: {asked}")];
    if kept.asked.is_empty() {
        words.extend(kept.silent.iter().map(silent));
        return words;
    }
    let since = match &kept.gone {
        None => "has been kept since they began".to_owned(),
        Some(gone) => format!("since {} is kept", figures::moment(gone, gone)),
    };
    let sampled = sampled(kept);
    words.push(match kept.dropped {
        0 => format!(
            "every call that failed {since}: if there was such a call it succeeded, goes on, or is older ({sampled})"
        ),
        dropped => format!(
            "what failed {since}, except {} calls, more than are kept of a second; {sampled}",
            figures::count(dropped)
        ),
    });
    words.extend(kept.silent.iter().map(silent));
    words
}

/// What a call was of which no more is known: by who saw it fail, if one did, else by who knows
/// both ends of it.
pub(crate) fn passed(kept: &KeptCalls) -> Option<&Passed> {
    let is_known = |name: &str| name != Kind::UNKNOWN;
    let knows = |passed: &&Passed| {
        let both = is_known(&passed.from) && is_known(&passed.to);
        (passed.failed, both)
    };
    kept.passed.iter().max_by_key(knows)
}

fn of_passed(id: &str, passed: &Passed, kept: &KeptCalls) -> Vec<String> {
    let became = match passed.failed {
        false => format!("this call succeeded ({})", sampled(kept)),
        true => "this call failed, as more calls did than are kept".to_owned(),
    };
    let answered = match (passed.status, &passed.code) {
        (0, None) => "ended".to_owned(),
        (0, Some(code)) => code.clone(),
        (status, None) => format!("answered {status}"),
        (status, Some(code)) => format!("answered {status} {code}"),
    };
    let went_well = passed.alike.saturating_sub(passed.alike_failed);
    vec![
        format!("{id} is not kept: {became}"),
        format!(
            "its shape: {} → {} {}, {} ok of {} such calls",
            figures::short(&passed.from),
            figures::short(&passed.to),
            passed.asked,
            figures::percent(went_well, passed.alike),
            figures::count(passed.alike),
        ),
        format!("{answered} at {}", passed.time.replace(".000Z", "Z")),
    ]
}

/// How many of the calls that go well are kept.
fn sampled(kept: &KeptCalls) -> String {
    match kept.succeeded.checked_div(kept.succeeded_kept) {
        Some(of @ 2..) => format!("of those that succeed 1 in {} is kept", figures::count(of)),
        Some(_) => "of those that succeed all are kept so far".to_owned(),
        None => "no call has succeeded yet".to_owned(),
    }
}

fn silent(silent: &Silent) -> String {
    format!("{} may remember it: {}", silent.proxy, silent.why)
}

/// What the control plane of this process has of the past. Each is asked for once.
struct Here {
    desk: Desk,
    asked: Vec<(Option<At>, Option<Rc<Then>>)>,
}

impl Past for Here {
    fn at(&mut self, at: Option<At>) -> Option<Rc<Then>> {
        if let Some((_, told)) = self.asked.iter().find(|(asked, _)| *asked == at) {
            return told.clone();
        }
        let told = self.desk.configuration(&ConfigurationOf { at: at.clone() });
        let told = told.ok().and_then(Then::of).map(Rc::new);
        self.asked.push((at, told.clone()));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kept: KeptCalls, expect: &[&str]) {
        assert_eq!(not_kept("7c1e", &kept), expect);
    }

    #[test]
    fn what_can_be_said_of_a_call_that_nobody_remembers() {
        let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let kept = KeptCalls {
            asked: of(&["web"]),
            succeeded: 120_000,
            succeeded_kept: 120,
            ..KeptCalls::default()
        };
        check(
            kept.clone(),
            &[
                "7c1e is not kept: the one proxy that was asked does not remember it",
                "every call that failed has been kept since they began: if there was such a call it \
                 succeeded, goes on, or is older (of those that succeed 1 in 1,000 is kept)",
            ],
        );
        check(
            KeptCalls {
                asked: of(&["cart", "web"]),
                gone: Some("2026-11-20T02:38:11.000Z".to_owned()),
                dropped: 1204,
                silent: vec![Silent {
                    proxy: "pay".to_owned(),
                    why: "no answer within 3 s".to_owned(),
                }],
                ..kept
            },
            &[
                "7c1e is not kept: none of the 2 proxies that were asked remembers it",
                "what failed since 02:38 UTC is kept, except 1,204 calls, more than are kept of a \
                 second; of those that succeed 1 in 1,000 is kept",
                "pay may remember it: no answer within 3 s",
            ],
        );
        check(
            KeptCalls::default(),
            &["7c1e is not kept: no proxy has answered"],
        );
    }

    #[test]
    fn a_call_whose_kind_is_remembered_is_told_by_it() {
        let passed = |from: &str, failed| Passed {
            time: "2026-11-20T02:51:07.000Z".to_owned(),
            from: from.to_owned(),
            to: "default/cart".to_owned(),
            asked: "GET /items/{id}".to_owned(),
            status: if failed { 503 } else { 200 },
            code: failed.then(|| "R014".to_owned()),
            failed,
            alike: 12_000,
            alike_failed: 12,
        };
        let kept = |passed| KeptCalls {
            asked: vec!["web".to_owned()],
            succeeded: 120_000,
            succeeded_kept: 120,
            passed,
            ..KeptCalls::default()
        };
        check(
            kept(vec![passed("unknown", false), passed("default/web", false)]),
            &[
                "7c1e is not kept: this call succeeded (of those that succeed 1 in 1,000 is kept)",
                "its shape: web → cart GET /items/{id}, 99.9 % ok of 12,000 such calls",
                "answered 200 at 2026-11-20T02:51:07Z",
            ],
        );
        check(
            kept(vec![passed("shop/web", true), passed("unknown", false)]),
            &[
                "7c1e is not kept: this call failed, as more calls did than are kept",
                "its shape: shop/web → cart GET /items/{id}, 99.9 % ok of 12,000 such calls",
                "answered 503 R014 at 2026-11-20T02:51:07Z",
            ],
        );
    }
}
