//! What the control plane is to tell the cluster that it follows, or to be told by it, and cannot be for longer than a moment.

use std::collections::BTreeMap;

use leno_admin::Finding;
use leno_model::{Code, Severity, Wall};

use super::{Judged, PATIENCE, at};

/// Something that is tried again and again, and fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failing {
    pub(crate) why: String,
    pub(crate) since: Wall,
}

impl Judged {
    /// What fails by `now`, each kind of it once.
    pub(super) fn failing(&mut self, failing: &BTreeMap<Code, Failing>, now: Wall) {
        let lasts = |(_, it): &(&Code, &Failing)| now.since(it.since) > PATIENCE;
        let found = failing
            .iter()
            .filter(lasts)
            .map(|(code, Failing { why, since })| {
                let (severity, in_force) = in_force(*code);
                Finding {
                    since: at(*since),
                    next: Some(format!("leno explain {code}")),
                    ..Finding::running(
                        *code,
                        severity,
                        Some("the cluster".to_owned()),
                        why.clone(),
                        in_force,
                    )
                }
            });
        self.findings.extend(found);
    }
}

/// How bad it is, and what holds meanwhile.
fn in_force(code: Code) -> (Severity, &'static str) {
    match code {
        Code::D014 => (
            Severity::Error,
            "what the API server was told last: pods get no proxy, or are not made, where that proves us no more, and changes \
             are made without a look",
        ),
        Code::D013 => (
            Severity::Warning,
            "all that the objects say; their status is older than that",
        ),
        Code::D015 => (
            Severity::Warning,
            "everything else; what is wrong with the pods is told here",
        ),
        Code::K019 => (
            Severity::Warning,
            "what it said before; proxies of nodes that are new may not find the mesh",
        ),
        _ => (
            Severity::Warning,
            "what was known before; who has joined goes on",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_fails_for_longer_than_a_moment_is_found() {
        let second = |seconds| Wall::since_epoch(Duration::from_secs(seconds));
        let failing = [(Code::D014, 100), (Code::D013, 105)].map(|(code, since)| {
            let why = "forbidden".to_owned();
            let since = second(since);
            (code, Failing { why, since })
        });
        let check = |now, expect: &[(&str, Severity)]| {
            let mut judged = Judged::default();
            judged.failing(&failing.clone().into(), second(now));
            let told = judged.findings.iter();
            let told = told.map(|it| (it.code.as_str(), it.severity()));
            assert_eq!(told.collect::<Vec<_>>(), expect);
        };
        check(110, &[]);
        check(111, &[("D014", Severity::Error)]);
        let both = [("D013", Severity::Warning), ("D014", Severity::Error)];
        check(200, &both);
    }
}
