//! Which of the records that proxies tell are those of the call that was made.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use leno_admin::{Recorded, Side};

/// How long the records of a call that is over may be on their way.
const ON_THE_WAY: Duration = Duration::from_millis(600);

/// What `records` tell of the call that came from this address. The caller may make many others
/// meanwhile: it is waited for both sides of this one, and never longer than they may take.
pub(super) fn of(from: &str, records: &Receiver<Recorded>) -> Vec<Recorded> {
    let until = now() + ON_THE_WAY;
    let mut gathered = Gathered::default();
    while !gathered.is_whole(from) {
        let rest = until.saturating_duration_since(now());
        let Ok(told) = records.recv_timeout(rest) else {
            break;
        };
        gathered.0.push(told);
        if rest.is_zero() {
            break;
        }
    }
    gathered.call(from)
}

/// Records in the order in which they came: either side of a call may be the first.
#[derive(Default)]
struct Gathered(Vec<Recorded>);

impl Gathered {
    fn id(&self, from: &str) -> Option<&str> {
        let own =
            |told: &&Recorded| told.reporter == Side::Source && told.peer.as_deref() == Some(from);
        self.0.iter().find(own).map(|told| told.id.as_str())
    }

    fn is_whole(&self, from: &str) -> bool {
        let Some(id) = self.id(from) else {
            return false;
        };
        let mut told = self.0.iter().filter(|told| told.id == id);
        told.any(|told| told.reporter == Side::Destination)
    }

    fn call(self, from: &str) -> Vec<Recorded> {
        let Some(id) = self.id(from).map(str::to_owned) else {
            return Vec::new();
        };
        self.0.into_iter().filter(|told| told.id == id).collect()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what other processes tell is waited for"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is told by words like `7 source :41000`.
    fn told(word: &str) -> Recorded {
        let fields: Vec<_> = word.split(' ').collect();
        let told = json!({
            "event": "call",
            "id": fields[0],
            "time": "2026-11-20T02:00:00.000Z",
            "reporter": fields[1],
            "peer": fields[2],
            "security": "mtls",
        });
        serde_json::from_value(told).unwrap()
    }

    /// Of how many of `words` both sides of the call from `:41000` are known, and what is told of it.
    fn check(words: &[&str], whole_after: Option<usize>, expect: usize) {
        let mut gathered = Gathered::default();
        let mut whole = None;
        for (index, word) in words.iter().enumerate() {
            gathered.0.push(told(word));
            if gathered.is_whole(":41000") {
                whole = whole.or(Some(index + 1));
            }
        }
        assert_eq!(whole, whole_after, "{words:?}");
        assert_eq!(gathered.call(":41000").len(), expect, "{words:?}");
    }

    #[test]
    fn a_call_is_known_by_both_its_sides_in_whatever_order() {
        check(&["7 source :41000", "7 destination :9"], Some(2), 2);
        check(&["7 destination :9", "7 source :41000"], Some(2), 2);
        check(&["7 source :41000", "8 destination :9"], None, 1);
        check(&["8 source :9", "8 destination :9"], None, 0);
    }

    #[test]
    fn a_caller_that_never_rests_does_not_hold_up_the_end() {
        let (tell, records) = std::sync::mpsc::channel();
        let talking = std::thread::spawn(move || while tell.send(told("8 source :9")).is_ok() {});
        assert!(of(":41000", &records).is_empty());
        drop(records);
        talking.join().unwrap();
    }
}
