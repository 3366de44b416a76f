//! Stories of calls, told by a control plane of this process to whoever asks it.

use std::rc::Rc;

use leno_admin::{
    At, ConfigurationOf, Failure, KeptCalls, KeptOf, Silent, Story, StoryOf, Wanted, figures,
};
use leno_control::Desk;

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
    let sampled = match kept.succeeded.checked_div(kept.succeeded_kept) {
        Some(2..) => {
            let of = figures::count(kept.succeeded / kept.succeeded_kept);
            format!("of those that succeed 1 in {of} is kept")
        }
        Some(_) => "of those that succeed all are kept so far".to_owned(),
        None => "no call has succeeded yet".to_owned(),
    };
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
}
