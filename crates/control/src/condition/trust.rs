//! Whether those who prove who they are will go on doing so: certificates, the CA that signs them, and the keys
//! of others that prove tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_admin::Finding;
use leno_model::view::access::KeyPlace;
use leno_model::{Code, Name, Severity, SpiffeId, Wall};

use super::{Judged, Seen, at, short, span};
use crate::fleet::Failures;
use crate::issuers;
use crate::jwks::NotGot;
use crate::outside::Troubled;
use crate::peers::Standing;

/// Of a certificate's life, so many hundredths may be left before somebody has to look: renewal is
/// due at half, and has failed again and again by then.
const LATE: u32 = 40;

/// The same for what somebody else replaces.
const LATE_OUTSIDE: u32 = 10;

impl Judged {
    /// Certificates are told by identity, however many proxies act as it.
    pub(super) fn certificates(&mut self, seen: &Seen<'_>) {
        let mut by_id = BTreeMap::<&SpiffeId, Vec<Held<'_>>>::new();
        for member in seen.members {
            for (id, certificate) in &member.certificates {
                by_id.entry(id).or_default().push(Held {
                    ends: certificate.ends,
                    failures: certificate.failures.as_ref(),
                    is_late: certificate
                        .ends
                        .is_some_and(|ends| is_late(ends, member.since, seen)),
                });
            }
        }
        for (id, all) in by_id {
            let (late, well): (Vec<_>, Vec<_>) = all
                .iter()
                .partition(|held| held.is_late || held.failures.is_some());
            if late.is_empty() {
                let first = well.iter().filter_map(|held| held.ends).min();
                let until = first.map_or_else(String::new, |ends| format!(", until {ends}"));
                self.passed
                    .push(format!("certificate of {}{until}", short(id)));
                continue;
            }
            self.findings
                .push(not_renewing(id, &late, all.len(), seen.now));
        }
    }

    pub(super) fn authority(&mut self, seen: &Seen<'_>) {
        if let Some(troubled) = seen.outside {
            self.findings.push(not_given(troubled, seen));
        }
        let Some(authority) = &seen.authority else {
            return;
        };
        // What the control plane does not replace by itself is somebody's to replace later than that.
        let (root_late, late) = match authority.source {
            None => (LATE, LATE),
            Some(source) if source.starts_with("files ") => (LATE_OUTSIDE, LATE_OUTSIDE),
            Some(_) => (LATE_OUTSIDE, LATE),
        };
        for (name, validity, late) in [
            ("root", authority.root, root_late),
            ("intermediate", authority.intermediate, late),
        ] {
            let left = validity.left(seen.now);
            if left > validity.life() * late / 100 {
                self.passed.push(format!("{name}, until {}", validity.ends));
                continue;
            }
            if name == "intermediate" && seen.outside.is_some() {
                continue;
            }
            self.findings.push(Finding {
                next: Some("leno certs list · leno explain T007".to_owned()),
                ..Finding::running(
                    Code::T007,
                    Severity::Error,
                    Some(format!("the CA's {name}")),
                    format!("it should have been replaced, and ends in {}", span(left)),
                    "what it has signed, until then",
                )
            });
        }
    }

    /// Whether the identities of another trust domain are believed, and will be.
    pub(super) fn peer(&mut self, peer: &Standing, now: Wall) {
        let (domain, from) = (&peer.domain, &peer.from);
        let subject = || Some(format!("MeshPeer {}", peer.name));
        let next = |code: Code| Some(format!("leno certs list · leno explain {code}"));
        let ends = peer.believed.as_ref().and_then(|believed| believed.ends);
        let is_over = ends.is_some_and(|ends| ends < now);
        let is_nothing = peer.believed.is_none() || is_over;
        let in_force = match (&peer.believed, ends) {
            (Some(_), Some(ends)) if is_over => {
                format!(
                    "the roots that are held of {domain} ended at {ends}: its calls are refused (T001)"
                )
            }
            (Some(_), Some(ends)) => format!(
                "its keys {}; the last of its roots ends in {}",
                peer.got.map_or_else(
                    || "as they are written".to_owned(),
                    |got| format!("as of {got}")
                ),
                span(ends.since(now))
            ),
            (Some(_), None) => "its keys for tokens; it has no roots".to_owned(),
            (None, _) => format!("nobody of {domain} is believed: its calls are refused (T003)"),
        };
        if let Some((trouble, code)) = peer.trouble.as_ref().zip(peer.code()) {
            let severity = match is_nothing {
                true => Severity::Error,
                false => Severity::Warning,
            };
            let message = format!("{} ({from})", trouble.why);
            self.findings.push(Finding {
                since: at(trouble.since),
                next: next(code),
                ..Finding::running(code, severity, subject(), message, &in_force)
            });
        } else if is_over {
            let message = format!("no newer keys of {domain} have come ({from})");
            self.findings.push(Finding {
                next: next(Code::T023),
                ..Finding::running(Code::T023, Severity::Error, subject(), message, &in_force)
            });
        } else if peer.believed.is_some() {
            let until = ends.map_or_else(String::new, |ends| format!(", until {ends}"));
            self.passed.push(format!("keys of {domain}{until}"));
        } else {
            self.passed
                .push(format!("keys of {domain} are being asked for"));
        }
        let left_out = peer.believed.iter().flat_map(|it| &it.left_out);
        for why in left_out {
            self.findings.push(Finding {
                next: next(Code::T024),
                ..Finding::running(
                    Code::T024,
                    Severity::Warning,
                    subject(),
                    format!("{why} ({from})"),
                    &format!("the other keys of {domain}"),
                )
            });
        }
    }

    /// Those for whom a root waits that is announced. They have a while to hear of it.
    pub(super) fn waits(&mut self, seen: &Seen<'_>) {
        let Some((since, silent)) = seen.waits else {
            return;
        };
        let Some(last) = silent.iter().map(|one| one.ends).max() else {
            return;
        };
        if seen.now.since(*since) < HEARING {
            return;
        }
        let names = silent.iter().take(3).map(|one| match one.name.as_str() {
            "" => short(&one.identity),
            name => name.to_owned(),
        });
        let names = names.collect::<Vec<_>>().join(", ");
        let others = match silent.len().saturating_sub(3) {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        let waited = span(last.since(seen.now));
        self.findings.push(Finding {
            since: at(*since),
            next: Some("leno certs list · leno certs rotate --force --dry-run".to_owned()),
            ..Finding::running(
                Code::T015,
                Severity::Warning,
                Some("the next root".to_owned()),
                format!("it waits for {names}{others}, for {waited} at the longest"),
                "the root before; no call fails",
            )
        });
    }

    /// Those who can only be let in again by people.
    pub(super) fn knocking(&mut self, seen: &Seen<'_>) {
        let names = seen.knocking.iter().take(3).map(|(id, _)| short(id));
        let names = names.collect::<Vec<_>>().join(", ");
        let others = match seen.knocking.len() {
            0 => return,
            all @ 4.. => format!(" and {} more", all - 3),
            _ => String::new(),
        };
        self.findings.push(Finding {
            next: Some("leno certs readmit".to_owned()),
            ..Finding::running(
                Code::T016,
                Severity::Error,
                Some(format!("{names}{others}")),
                "the certificate has ended, and its proxy asks for another".to_owned(),
                "nothing of it: calls to and from it fail",
            )
        });
    }

    pub(super) fn issuer(&mut self, name: &Name, failed: &issuers::Failed) {
        self.findings.push(Finding {
            since: at(failed.since),
            next: Some(format!("leno explain {}", Code::T022)),
            ..Finding::running(
                Code::T022,
                Severity::Warning,
                Some(format!("token issuer {name}")),
                format!("its keys cannot be had: {}", failed.why),
                "its last keys, for a day; who has joined is not touched",
            )
        });
    }

    pub(super) fn not_got(&mut self, place: &KeyPlace, told: &NotGot, now: Wall) {
        let NotGot { why, since, until } = told;
        let (severity, in_force) = match until.filter(|until| now < *until) {
            Some(until) => (
                Severity::Warning,
                format!("the keys that were got before, until {until}"),
            ),
            None => (
                Severity::Error,
                "every token that they should prove is refused (R063)".to_owned(),
            ),
        };
        let subject = Some(format!("keys {place}"));
        self.findings.push(Finding {
            since: at(*since),
            next: Some("leno explain C151".to_owned()),
            ..Finding::running(Code::C151, severity, subject, why.clone(), &in_force)
        });
    }
}

/// A certificate of one proxy.
struct Held<'a> {
    ends: Option<Wall>,
    failures: Option<&'a Failures>,
    is_late: bool,
}

/// Whether a certificate should have been renewed. How long it lived is not known of one that was
/// there before the connection; it has lived at least from then on.
fn is_late(ends: Wall, connected: Wall, seen: &Seen<'_>) -> bool {
    let life = seen.lifetime.min(ends.since(connected));
    ends.since(seen.now) < life * LATE / 100
}

fn not_renewing(id: &SpiffeId, late: &[&Held<'_>], all: usize, now: Wall) -> Finding {
    let failures = late.iter().filter_map(|held| held.failures);
    let failures: Vec<_> = failures.collect();
    let ends = late.iter().filter_map(|held| held.ends).min();
    let ends = ends.map_or_else(
        || "There is none".to_owned(),
        |ends| format!("Ends in {}", span(ends.since(now))),
    );
    let tries: u32 = failures.iter().map(|failures| failures.count).sum();
    let why = match failures.last() {
        None => "Nobody has asked for the next one".to_owned(),
        Some(last) if tries == 1 => format!("The renewal failed: {}", last.why),
        Some(last) => format!("{tries} renewals failed: {}", last.why),
    };
    let proxies = if all == 1 { "proxy" } else { "proxies" };
    let short = short(id);
    Finding {
        since: failures
            .iter()
            .map(|failures| failures.since)
            .min()
            .and_then(at),
        next: Some(format!("leno certs renew {short} --dry-run")),
        ..Finding::running(
            Code::T007,
            Severity::Error,
            Some(format!("{short}, {} of {all} {proxies}", late.len())),
            format!("{ends}. {why}."),
            "the valid certificates; no call has failed",
        )
    }
}

/// The authority outside gives nothing that is to sign.
fn not_given(troubled: &Troubled, seen: &Seen<'_>) -> Finding {
    let Troubled { code, why, .. } = troubled;
    let tries = match troubled.failures {
        1 => "The first try failed".to_owned(),
        tries => format!("{tries} tries failed"),
    };
    let (code, message, in_force) = match &seen.authority {
        None => (
            match code {
                Code::T026 => Code::T026,
                _ => Code::T019,
            },
            format!("{} has given nothing yet. {tries}: {why}.", troubled.source),
            "nothing is signed: nobody can join",
        ),
        Some(authority) => {
            let left = span(authority.intermediate.left(seen.now));
            let message = format!("Ends in {left}. {}: {tries}: {why}.", troubled.source);
            let in_force = match code {
                Code::T026 => {
                    "what it said last of roots and revocations; while it is gone, nobody writes status and events"
                }
                _ => "the valid certificates; no call has failed",
            };
            (*code, message, in_force)
        }
    };
    let place = troubled.origin.place.as_ref();
    Finding {
        since: at(troubled.since),
        next: Some(format!("leno certs list · leno explain {code}")),
        file: place.map(|place| place.file.to_string()),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        ..Finding::running(
            code,
            Severity::Error,
            Some("the CA's intermediate".to_owned()),
            message,
            in_force,
        )
    }
}

/// How long those who are connected may take to hear of a root.
const HEARING: Duration = Duration::from_secs(60);
