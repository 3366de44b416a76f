//! Both proxies of a call tell of it; people are shown it once, by the one that knows more.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use leno_model::Mono;

use crate::recorded::{Happening, Recorded, Side};

/// Calls as they happen, each once.
///
/// The proxy of the caller is believed, except where the other one refused or cut the call: that one
/// knows the reason. Records may come in any order; one of the caller's proxy that leaves open whose
/// answer it was waits a moment for what the other proxy has to say.
#[derive(Default, Debug)]
pub struct Once {
    /// Calls of which a refusal was shown: the other proxy will tell of them, too.
    refused: VecDeque<String>,
    /// Calls that may yet be told by who knows more, each with how long that is waited for.
    waiting: VecDeque<(Mono, Recorded)>,
}

/// How long who knows less of a call waits for who knows more.
const PATIENCE: Duration = Duration::from_millis(250);

/// How many calls are remembered whose other proxy has not told of them yet.
const MOST: usize = 1024;

impl Once {
    /// Takes what a proxy told, and gives what is to be shown of it at once.
    pub fn take(&mut self, told: Recorded, now: Mono) -> Option<Recorded> {
        let is_stream = match told.event {
            Happening::Call => false,
            Happening::Stream => true,
            Happening::Opened => {
                return (told.reporter == Side::Source || alone(&told)).then_some(told);
            }
            Happening::Handshake | Happening::Accept => return Some(told),
        };
        if let Some(known) = self.refused.iter().position(|known| *known == told.id) {
            self.refused.remove(known);
            return None;
        }
        if told.code.is_some() {
            self.waiting.retain(|(_, waiting)| waiting.id != told.id);
            if !alone(&told) {
                self.refused.truncate(MOST - 1);
                self.refused.push_front(told.id.clone());
            }
            return Some(told);
        }
        if told.reporter == Side::Destination {
            return alone(&told).then_some(told);
        }
        let failed = told.status.is_some_and(|status| status >= 400);
        if !(told.is_mtls() && (is_stream || failed)) {
            return Some(told);
        }
        self.waiting.push_back((now + PATIENCE, told));
        match self.waiting.len() > MOST {
            true => self.waiting.pop_front().map(|(_, first)| first),
            false => None,
        }
    }

    /// When [`Self::handle_timeout`] has something to show.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.waiting.front().map(|(until, _)| *until)
    }

    /// The next one that has waited long enough.
    pub fn handle_timeout(&mut self, now: Mono) -> Option<Recorded> {
        let is_due = self.poll_timeout().is_some_and(|until| until <= now);
        let due = is_due.then(|| self.waiting.pop_front())?;
        due.map(|(_, told)| told)
    }
}

/// Whether no other proxy tells of it: its caller is not in the mesh.
fn alone(told: &Recorded) -> bool {
    told.source.as_deref() == Some("unknown")
}

/// Each call once, told by the proxy that knows more of it; in the order in which they began. A handshake that came to
/// nothing is told beside the call for which it was made, which may have gone on without.
pub fn each_once(told: impl IntoIterator<Item = Recorded>) -> Vec<Recorded> {
    let knows = |told: &Recorded| (told.code.is_some(), told.reporter == Side::Source);
    let mut best = BTreeMap::<(String, bool), Recorded>::new();
    for told in told {
        let key = (told.id.clone(), told.event == Happening::Handshake);
        let known = best.get(&key);
        if known.is_none_or(|known| knows(&told) > knows(known)) {
            best.insert(key, told);
        }
    }
    let mut calls: Vec<_> = best.into_values().collect();
    calls.sort_by(|one, other| one.time.cmp(&other.time));
    calls
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is told by words like `7 source 403 R003`, a millisecond after each other, and `wait`;
    /// the answer says what is shown, and after which word.
    fn check(words: &[&str], expect: &[&str]) {
        let mut once = Once::default();
        let (mut now, mut shown) = (Mono::default(), Vec::new());
        for word in words {
            now = now + Duration::from_millis(1);
            if *word == "wait" {
                now = now + PATIENCE;
            } else {
                shown.extend(once.take(told(word), now));
            }
            while let Some(told) = once.handle_timeout(now) {
                shown.push(told);
            }
        }
        let shown = shown.iter().map(in_words);
        assert_eq!(shown.collect::<Vec<_>>(), expect, "{words:?}");
    }

    fn in_words(told: &Recorded) -> String {
        let code = told.code.as_deref().unwrap_or("-");
        format!("{} {:?} {code}", told.id, told.reporter)
    }

    fn told(word: &str) -> Recorded {
        let mut fields = word.split(' ');
        let (id, reporter) = (fields.next().unwrap(), fields.next().unwrap());
        let status = fields.next().unwrap();
        let (source, reporter) = match reporter {
            "alone" => ("unknown", "destination"),
            reporter => ("shop/web", reporter),
        };
        let event = match status {
            "stream" | "handshake" => status,
            _ => "call",
        };
        let told = json!({
            "event": event,
            "id": id,
            "time": format!("2026-11-20T02:00:0{id}.000Z"),
            "reporter": reporter,
            "source": source,
            "security": "mtls",
            "status": status.parse::<u64>().ok(),
            "code": fields.next(),
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn what_went_well_is_told_by_its_callers_proxy() {
        let expect = ["7 Source -"];
        check(&["7 source 200", "7 destination 200"], &expect);
        check(&["7 destination 200", "7 source 200"], &expect);
        check(&["7 alone 200"], &["7 Destination -"]);
    }

    #[test]
    fn what_was_refused_is_told_by_who_refused_it_in_whatever_order() {
        let expect = ["7 Destination R003"];
        check(&["7 destination 403 R003", "7 source 403", "wait"], &expect);
        check(&["7 source 403", "7 destination 403 R003", "wait"], &expect);
        check(
            &["7 source stream", "7 destination stream R006", "wait"],
            &["7 Destination R006"],
        );
        check(
            &["7 source 504 R041", "7 destination 499 R041"],
            &["7 Source R041"],
        );
        check(
            &["7 alone 403 R002", "8 source 200"],
            &["7 Destination R002", "8 Source -"],
        );
    }

    #[test]
    fn what_a_service_answered_is_told_once_nobody_knows_better() {
        check(&["7 source 500", "7 destination 500"], &[]);
        check(
            &["7 source 500", "7 destination 500", "wait"],
            &["7 Source -"],
        );
    }

    #[test]
    fn of_calls_that_are_over_each_is_told_by_who_knows_more() {
        let words = [
            "2 source 403",
            "2 destination 403 R003",
            "1 destination 200",
            "1 source 200",
        ];
        let calls = each_once(words.map(told));
        let calls = calls.iter().map(in_words);
        let expect = ["1 Source -", "2 Destination R003"];
        assert_eq!(calls.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn a_handshake_that_failed_hides_no_call() {
        let words = [
            "1 source handshake T011",
            "1 source 502 R025",
            "2 source handshake T011",
            "2 source 200",
        ];
        let calls = each_once(words.map(told));
        let calls = calls.iter().map(in_words);
        let expect = [
            "1 Source R025",
            "1 Source T011",
            "2 Source -",
            "2 Source T011",
        ];
        assert_eq!(calls.collect::<Vec<_>>(), expect);
    }
}
