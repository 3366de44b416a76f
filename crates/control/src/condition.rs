//! Whether what runs is as it should be: proxies, their hosts, sources, collectors, and who is trusted. A function of what was seen
//! at one moment; what is wrong with the configuration itself is in its [`Meaning`](crate::meaning).

mod hosts;
mod told;
mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leno_admin::{Failure, Finding, Since};
use leno_identity::Validity;
use leno_model::view::access::KeyPlace;
use leno_model::view::{Generation, WorkloadId};
use leno_model::{Code, Name, Severity, SpiffeId, Wall};
use leno_wire::troubles::Trouble;

use crate::fleet::Member;
use crate::found::Found;
use crate::holders::Silent;
use crate::issuers;
use crate::jwks::NotGot;
use crate::lacking::held_without;
use crate::outside::Troubled;
use crate::peers::Standing;
use crate::troubled::{NotExported, OfHost};

pub(crate) use told::Failing;

/// What was seen.
pub(crate) struct Seen<'a> {
    pub(crate) now: Wall,
    /// The proxies that are connected.
    pub(crate) members: &'a [Member],
    /// Workloads whose proxy was there and is not.
    pub(crate) away: &'a [Away],
    /// Pods that run and that the proxy of their node is to serve and does not.
    pub(crate) unserved: &'a BTreeMap<Arc<str>, Vec<WorkloadId>>,
    /// The newest state of the mesh.
    pub(crate) newest: &'a Generation,
    /// Since when there is something new for proxies to adopt.
    pub(crate) newest_since: Wall,
    /// How long certificates live.
    pub(crate) lifetime: Duration,
    /// What signs, once there is a CA.
    pub(crate) authority: Option<Authority<'a>>,
    /// Why the authority outside gives nothing that is to sign, if it does not.
    pub(crate) outside: Option<&'a Troubled>,
    /// Since when a root is announced, if one is, and for whom it waits.
    pub(crate) waits: Option<&'a (Wall, Vec<Silent>)>,
    /// Those whose certificates have ended and who ask for others, with when each did last.
    pub(crate) knocking: &'a [(SpiffeId, Wall)],
    /// The sources that are not the store.
    pub(crate) sources: &'a [Found],
    /// Why a collector does not get what is sent from this process.
    pub(crate) not_exported: &'a [NotExported],
    /// What connected proxies say of their hosts.
    pub(crate) hosts: &'a [OfHost],
    /// What the cluster is to be told, or asked for, and cannot be.
    pub(crate) failing: &'a BTreeMap<Code, Failing>,
    /// The places whose keys, which are to prove tokens, were not got.
    pub(crate) not_got: &'a BTreeMap<KeyPlace, NotGot>,
    /// The issuers of tokens whose keys cannot be had.
    pub(crate) issuers: &'a [(Name, issuers::Failed)],
    /// The other trust domains whose identities are believed, or would be.
    pub(crate) peers: &'a [Standing],
    /// What is written and was refused.
    pub(crate) withheld: Option<&'a Withheld>,
    /// What keeps it from the log that it shares with others, if it is one of several.
    pub(crate) apart: Option<&'a (Code, String)>,
    /// The revision that is in force.
    pub(crate) revision: u64,
}

/// What signs.
pub(crate) struct Authority<'a> {
    /// When the root stands.
    pub(crate) root: Validity,
    /// When the intermediate stands.
    pub(crate) intermediate: Validity,
    /// The authority outside that gave it, if one did.
    pub(crate) source: Option<&'a str>,
}

/// A file that is applied when it changes, and was refused as it is.
#[derive(Clone, Debug)]
pub(crate) struct Withheld {
    /// Which, as a person would name it.
    pub(crate) file: String,
    /// Why.
    pub(crate) why: Failure,
    /// Since when.
    pub(crate) since: Wall,
}

/// A workload whose proxy was there and is not.
pub(crate) struct Away {
    pub(crate) workload: WorkloadId,
    /// When the proxy went, if that is known.
    pub(crate) since: Option<Wall>,
    /// Whom it acted as, if that identity is refused.
    pub(crate) revoked: Option<SpiffeId>,
}

/// What to think of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) findings: Vec<Finding>,
    /// What is well, a line each.
    pub(crate) passed: Vec<String>,
}

/// How long a proxy may take to adopt what is new before it counts as behind.
const PATIENCE: Duration = Duration::from_secs(10);

impl Judged {
    /// Judges what was seen.
    pub(crate) fn of(seen: &Seen<'_>) -> Self {
        let mut judged = Self::default();
        if let Some(withheld) = seen.withheld {
            judged.withheld(withheld, seen.revision);
        }
        for member in seen.members {
            judged.proxy(member, seen);
        }
        for away in seen.away {
            judged.away(away);
        }
        for (node, pods) in seen.unserved {
            judged.unserved(node, pods);
        }
        judged.certificates(seen);
        judged.authority(seen);
        judged.waits(seen);
        judged.knocking(seen);
        if let Some((code, why)) = seen.apart {
            let in_force = "what stands; nothing can be changed, and no certificate is signed";
            judged.findings.push(Finding {
                heads: true,
                ..Finding::running(*code, Severity::Error, None, why.clone(), in_force)
            });
        }
        for found in seen.sources {
            judged.source(found);
        }
        for trouble in seen.not_exported {
            judged.not_exported(trouble);
        }
        judged.hosts(seen.hosts, seen.members.len());
        judged.failing(seen.failing, seen.now);
        for (place, why) in seen.not_got {
            judged.not_got(place, why, seen.now);
        }
        for (name, failed) in seen.issuers {
            judged.issuer(name, failed);
        }
        for peer in seen.peers {
            judged.peer(peer, seen.now);
        }
        judged
    }

    /// Each thing for which a file was refused, or else the one reason.
    fn withheld(&mut self, withheld: &Withheld, revision: u64) {
        let Withheld { file, why, since } = withheld;
        let code = why.code.as_deref().and_then(|code| code.parse().ok());
        let whole = || {
            let subject = Some(file.clone());
            let code = code.unwrap_or(Code::C010);
            Finding::running(code, Severity::Error, subject, why.message.clone(), "")
        };
        let found = match why.findings.as_slice() {
            [] => vec![whole()],
            found => found.to_vec(),
        };
        self.findings
            .extend(found.into_iter().map(|finding| Finding {
                in_force: format!("revision {revision}; nothing of {file} as it stands now"),
                since: at(*since),
                heads: true,
                ..finding
            }));
    }

    fn not_exported(&mut self, told: &NotExported) {
        let Trouble {
            code,
            about,
            why,
            since,
        } = &told.trouble;
        let by = match told.proxies.as_slice() {
            [] => String::new(),
            [one] => format!(", says proxy {one}"),
            [one, other] => format!(", say proxies {one} and {other}"),
            [one, other, rest @ ..] => {
                format!(", say proxies {one}, {other} and {} more", rest.len())
            }
        };
        self.findings.push(Finding {
            since: at(*since),
            next: Some(format!("leno explain {code}")),
            ..Finding::running(
                *code,
                Severity::Warning,
                Some(format!("collector {about}")),
                format!("{why}{by}"),
                "traffic is untouched; what finds no room on its way is lost, and counted",
            )
        });
    }

    fn proxy(&mut self, member: &Member, seen: &Seen<'_>) {
        let subject = Some(format!("proxy {}", member.name));
        match &member.refused {
            Some((code, why)) => self.findings.push(Finding {
                next: Some(format!("leno proxies · leno explain {code}")),
                ..Finding::running(
                    *code,
                    Severity::Error,
                    subject,
                    why.clone(),
                    &format!("the view it had before: {}", member.adopted),
                )
            }),
            None if !seen.newest.follows(&member.adopted) => self.findings.push(Finding {
                next: Some("leno explain D004 · leno control recover".to_owned()),
                ..Finding::running(
                    Code::D004,
                    Severity::Error,
                    subject,
                    format!(
                        "it holds {}, which is later than anything in the store",
                        member.adopted
                    ),
                    "the view it has; what is applied does not reach it",
                )
            }),
            None if member.current => {
                let line = format!("proxy {} holds the newest view", member.name);
                self.passed.push(line);
            }
            None if seen.now.since(seen.newest_since) > PATIENCE => {
                self.findings.push(Finding {
                    since: at(seen.newest_since),
                    next: Some("leno proxies · leno explain D003".to_owned()),
                    ..Finding::running(
                        Code::D003,
                        Severity::Error,
                        subject,
                        "it has not adopted what is in force".to_owned(),
                        &format!("the view it has: {}", member.adopted),
                    )
                });
            }
            None => self
                .passed
                .push(format!("proxy {} is being told what is new", member.name)),
        }
        if !member.lacks.is_empty() {
            let lacks = member.lacks.iter().cloned().collect::<Vec<_>>().join(", ");
            self.findings.push(Finding {
                next: Some("leno proxies · leno explain D007".to_owned()),
                ..Finding::running(
                    Code::D007,
                    Severity::Error,
                    Some(format!("proxy {}", member.name)),
                    format!("it is older than what it is told, and does not understand: {lacks}"),
                    &held_without(&member.lacks),
                )
            });
        }
        for workload in &member.not_entitled {
            self.findings.push(Finding {
                next: Some("leno proxies · leno explain D006".to_owned()),
                ..Finding::running(
                    Code::D006,
                    Severity::Warning,
                    Some(format!("proxy {}", member.name)),
                    format!(
                        "it says that it stands in front of {workload}, which does not exist or \
                         acts as somebody else than {}",
                        short(&member.identity)
                    ),
                    "it is told nothing of that workload",
                )
            });
        }
    }

    fn away(&mut self, away: &Away) {
        let Away {
            workload,
            since,
            revoked,
        } = away;
        let subject = Some(format!("proxy of {workload}"));
        if let Some(identity) = revoked {
            let identity = short(identity);
            return self.findings.push(Finding {
                since: since.and_then(at),
                next: Some(format!("leno certs list · leno certs reinstate {identity}")),
                ..Finding::running(
                    Code::T005,
                    Severity::Warning,
                    subject,
                    format!("the identity {identity} is revoked, so it is not let in"),
                    "its calls are refused; it decides by the view it had, if it runs",
                )
            });
        }
        self.findings.push(Finding {
            since: since.and_then(at),
            next: Some("leno proxies · leno explain D005".to_owned()),
            ..Finding::running(
                Code::D005,
                Severity::Error,
                subject,
                "it is not connected".to_owned(),
                "it decides by the view it had, if it runs; others go on calling it",
            )
        });
    }

    fn unserved(&mut self, node: &str, pods: &[WorkloadId]) {
        let told = match pods {
            [] => return,
            [one] => format!("pod {one} is to be served from here and is not"),
            all => {
                let (count, named) = (all.len(), named(all));
                format!("{count} pods are to be served from here and are not ({named})")
            }
        };
        self.findings.push(Finding {
            next: Some(
                "kubectl logs -n leno-system daemonset/leno-node · leno explain D025".to_owned(),
            ),
            ..Finding::running(
                Code::D025,
                Severity::Error,
                Some(format!("node {node}")),
                told,
                "what they call and are called by goes in plain, and no policy holds there",
            )
        });
    }

    fn source(&mut self, found: &Found) {
        let Some(trouble) = &found.trouble else {
            let line = format!("{} is read", found.source);
            return self.passed.push(line);
        };
        self.findings.push(Finding::running(
            match found.is_cluster() {
                true => Code::D012,
                false => Code::C010,
            },
            Severity::Error,
            Some(found.source.to_string()),
            trouble.to_string(),
            "what it held before",
        ));
    }
}

/// `shop/web, shop/cart and 3 more`
fn named(pods: &[WorkloadId]) -> String {
    let names = pods.iter().take(MOST_NAMED).map(ToString::to_string);
    let names = names.collect::<Vec<_>>().join(", ");
    match pods.len().saturating_sub(MOST_NAMED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// How many pods of a node are told by their names.
const MOST_NAMED: usize = 10;

/// `shop/cart`.
fn short(id: &SpiffeId) -> String {
    format!("{}/{}", id.namespace, id.service_account)
}

fn at(moment: Wall) -> Option<Since> {
    Some(Since {
        at: moment.to_string(),
        revision: None,
        who: None,
    })
}

/// A time in the two units that matter: `1 h 52 min`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use leno_model::{Name, Namespace};

    use super::*;
    use crate::fleet::{Certificate, Failures};

    const HOUR: u64 = 3600;

    fn hour(hours: u64) -> Wall {
        Wall::since_epoch(Duration::from_secs(hours * HOUR))
    }

    fn identity(name: &str) -> SpiffeId {
        SpiffeId::parse(&format!("spiffe://shop.local/ns/shop/sa/{name}")).unwrap()
    }

    fn away(name: &str, since: Option<Wall>, revoked: Option<SpiffeId>) -> Away {
        Away {
            workload: workload(name),
            since,
            revoked,
        }
    }

    fn workload(name: &str) -> WorkloadId {
        WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new(name).unwrap(),
        }
    }

    /// A proxy of `name` that is well: connected at hour 0, with a certificate until hour 24.
    fn proxy(name: &str) -> Member {
        let identity = identity(name);
        let certificate = Certificate {
            ends: Some(hour(24)),
            ..Certificate::default()
        };
        let (peer, renew) = (
            "10.0.0.1:4000".parse().unwrap(),
            tokio::sync::mpsc::channel(1).0,
        );
        Member {
            certificates: BTreeMap::from([(identity.clone(), certificate)]),
            since: hour(0),
            workloads: BTreeSet::from([workload(name)]),
            current: true,
            ..Member::new(name.to_owned(), identity, peer, renew)
        }
    }

    fn failing(mut member: Member, count: u32, since: u64) -> Member {
        let failures = Failures {
            count,
            since: hour(since),
            why: "the store failed".to_owned(),
        };
        for certificate in member.certificates.values_mut() {
            certificate.failures = Some(failures.clone());
        }
        member
    }

    /// What is told at hour `now` of these proxies, a line for each thing.
    fn check(now: u64, members: &[Member], expect: &[&str]) {
        let judged = Judged::of(&Seen {
            now: hour(now),
            members,
            away: &[],
            unserved: &BTreeMap::new(),
            newest: &Generation::default(),
            newest_since: hour(0),
            lifetime: Duration::from_secs(24 * HOUR),
            authority: None,
            outside: None,
            waits: None,
            knocking: &[],
            sources: &[],
            not_exported: &[],
            hosts: &[],
            failing: &BTreeMap::new(),
            not_got: &BTreeMap::new(),
            issuers: &[],
            peers: &[],
            withheld: None,
            apart: None,
            revision: 2,
        });
        assert_eq!(lines(&judged), expect);
    }

    fn lines(judged: &Judged) -> Vec<String> {
        let found = judged.findings.iter().map(|finding| {
            let since = finding.since.as_ref();
            let since = since.map_or_else(String::new, |since| format!(" since {}", since.at));
            format!(
                "{} {}{since}: {}",
                finding.code,
                finding.object.as_deref().unwrap_or("-"),
                finding.message
            )
        });
        let passed = judged.passed.iter().map(|line| format!("ok {line}"));
        found.chain(passed).collect()
    }

    #[test]
    fn who_holds_the_newest_view_and_renews_is_well() {
        check(
            12,
            &[proxy("web"), proxy("web")],
            &[
                "ok proxy web holds the newest view",
                "ok proxy web holds the newest view",
                "ok certificate of shop/web, until 1970-01-02T00:00:00.000Z",
            ],
        );
    }

    #[test]
    fn who_is_too_old_for_a_rule_is_named() {
        let mut old = proxy("cart");
        old.lacks.insert("moon-phase".to_owned());
        check(
            1,
            &[old, proxy("web")],
            &[
                "D007 proxy cart: it is older than what it is told, and does not understand: moon-phase",
                "ok proxy cart holds the newest view",
                "ok proxy web holds the newest view",
                "ok certificate of shop/cart, until 1970-01-02T00:00:00.000Z",
                "ok certificate of shop/web, until 1970-01-02T00:00:00.000Z",
            ],
        );
    }

    #[test]
    fn who_refuses_a_view_or_stays_behind_is_named() {
        let mut refusing = proxy("cart");
        refusing.current = false;
        refusing.refused = Some((
            Code::D002,
            "part services/x has a kind that is not known".to_owned(),
        ));
        let mut behind = proxy("web");
        behind.current = false;
        behind.not_entitled.insert(workload("mail"));
        check(
            1,
            &[refusing, behind],
            &[
                "D002 proxy cart: part services/x has a kind that is not known",
                "D003 proxy web since 1970-01-01T00:00:00.000Z: it has not adopted what is in force",
                "D006 proxy web: it says that it stands in front of shop/mail, which does not exist \
                 or acts as somebody else than shop/web",
                "ok certificate of shop/cart, until 1970-01-02T00:00:00.000Z",
                "ok certificate of shop/web, until 1970-01-02T00:00:00.000Z",
            ],
        );
        let mut slow = proxy("web");
        slow.current = false;
        check(
            0,
            &[slow],
            &[
                "ok proxy web is being told what is new",
                "ok certificate of shop/web, until 1970-01-02T00:00:00.000Z",
            ],
        );
    }

    #[test]
    fn who_is_ahead_of_the_store_is_named() {
        let mut ahead = proxy("web");
        ahead.adopted.positions.insert("store".into(), 7);
        check(
            0,
            &[ahead],
            &[
                "D004 proxy web: it holds 0 store:7, which is later than anything in the store",
                "ok certificate of shop/web, until 1970-01-02T00:00:00.000Z",
            ],
        );
    }

    #[test]
    fn a_certificate_that_does_not_renew_is_told_once_for_all_who_have_it() {
        check(
            13,
            &[failing(proxy("web"), 14, 12), proxy("web")],
            &[
                "T007 shop/web, 1 of 2 proxies since 1970-01-01T12:00:00.000Z: Ends in 11 h 0 min. \
                 14 renewals failed: the store failed.",
                "ok proxy web holds the newest view",
                "ok proxy web holds the newest view",
            ],
        );
        check(
            15,
            &[proxy("web")],
            &[
                "T007 shop/web, 1 of 1 proxy: Ends in 9 h 0 min. Nobody has asked for the next one.",
                "ok proxy web holds the newest view",
            ],
        );
    }

    #[test]
    fn how_long_a_certificate_lived_before_the_connection_is_not_guessed() {
        let mut late = proxy("web");
        late.since = hour(14);
        check(
            15,
            &[late],
            &[
                "ok proxy web holds the newest view",
                "ok certificate of shop/web, until 1970-01-02T00:00:00.000Z",
            ],
        );
    }

    #[test]
    fn a_file_that_is_refused_stands_first() {
        let refused = |why| Withheld {
            file: "leno.yaml".to_owned(),
            why,
            since: hour(12),
        };
        let typo = Finding {
            file: Some("leno.yaml".to_owned()),
            line: Some(4),
            ..Finding::running(
                Code::C003,
                Severity::Error,
                None,
                "no field run".to_owned(),
                "",
            )
        };
        let errors = Failure {
            findings: vec![typo],
            ..Failure::coded(Code::S005, "nothing was changed")
        };
        let gone = Failure::plain("leno.yaml and Procfile are gone");
        for (why, told) in [
            (errors, "C003 leno.yaml:4 no field run"),
            (gone, "C010 - leno.yaml and Procfile are gone"),
        ] {
            let mut judged = Judged::default();
            judged.withheld(&refused(why), 3);
            let found = &judged.findings[0];
            let place = match (&found.file, found.line) {
                (Some(file), Some(line)) => format!("{file}:{line}"),
                _ => "-".to_owned(),
            };
            assert_eq!(format!("{} {place} {}", found.code, found.message), told);
            assert_eq!(
                found.in_force,
                "revision 3; nothing of leno.yaml as it stands now"
            );
            assert!(found.heads);
        }
    }

    #[test]
    fn who_is_away_and_what_cannot_be_read_is_told_with_its_time() {
        let folder = Found {
            source: "watched folder mesh".into(),
            position: 1,
            files: Default::default(),
            trouble: Some("Permission denied".into()),
        };
        let span = |begins, ends| Validity {
            begins: hour(begins),
            ends: hour(ends),
        };
        let judged = Judged::of(&Seen {
            now: hour(70),
            members: &[],
            away: &[
                away("web", Some(hour(3)), None),
                away("cart", None, None),
                away("thief", None, Some(identity("thief"))),
            ],
            unserved: &[("n1".into(), vec![workload("web"), workload("cart")])].into(),
            newest: &Generation::default(),
            newest_since: hour(0),
            lifetime: Duration::from_secs(24 * HOUR),
            authority: Some(Authority {
                root: span(0, 100_000),
                intermediate: span(0, 100),
                source: None,
            }),
            outside: None,
            waits: None,
            knocking: &[],
            sources: &[folder],
            not_exported: &[],
            hosts: &[],
            failing: &BTreeMap::new(),
            not_got: &BTreeMap::new(),
            issuers: &[],
            peers: &[],
            withheld: None,
            apart: None,
            revision: 2,
        });
        assert_eq!(
            lines(&judged),
            [
                "D005 proxy of shop/web since 1970-01-01T03:00:00.000Z: it is not connected",
                "D005 proxy of shop/cart: it is not connected",
                "T005 proxy of shop/thief: the identity shop/thief is revoked, so it is not let in",
                "D025 node n1: 2 pods are to be served from here and are not (shop/web, shop/cart)",
                "T007 the CA's intermediate: it should have been replaced, and ends in 1 d 6 h",
                "C010 watched folder mesh: Permission denied",
                "ok root, until 1981-05-29T16:00:00.000Z",
            ]
        );
    }

    #[test]
    fn a_collector_that_proxies_do_not_reach_is_told_once_with_who_says_so() {
        let check = |proxies: &[&str], expect: &str| {
            let told = NotExported {
                trouble: Trouble {
                    code: Code::X001,
                    about: "http://otel:4317".into(),
                    why: "the connection was refused".to_owned(),
                    since: hour(3),
                },
                proxies: proxies.iter().map(|&name| name.to_owned()).collect(),
            };
            let mut judged = Judged::default();
            judged.not_exported(&told);
            assert_eq!(lines(&judged), [expect]);
        };
        let since = "X001 collector http://otel:4317 since 1970-01-01T03:00:00.000Z";
        let refused = format!("{since}: the connection was refused");
        check(&[], &refused);
        check(&["web"], &format!("{refused}, says proxy web"));
        check(
            &["web", "cart"],
            &format!("{refused}, say proxies web and cart"),
        );
        let many = ["web", "cart", "pay", "store"];
        check(
            &many,
            &format!("{refused}, say proxies web, cart and 2 more"),
        );
    }

    #[test]
    fn hosts_whose_clocks_are_wrong_are_told_one_by_one_while_they_are_few() {
        let told = |code: Code, proxy: &str| OfHost {
            proxy: proxy.to_owned(),
            node: None,
            trouble: Trouble {
                code,
                about: proxy.into(),
                why: format!("as {proxy} says"),
                since: hour(3),
            },
        };
        let check = |told: &[OfHost], connected: usize, expect: &[&str]| {
            let mut judged = Judged::default();
            judged.hosts(told, connected);
            assert_eq!(lines(&judged), expect);
        };
        let since = "since 1970-01-01T03:00:00.000Z";
        let clock = |proxy| told(Code::T013, proxy);
        check(&[], 9, &[]);
        check(
            &[clock("web"), told(Code::T029, "cart"), clock("pay")],
            3,
            &[
                &format!("T013 proxy web {since}: as web says"),
                &format!("T013 proxy pay {since}: as pay says"),
                &format!("T029 proxy cart {since}: as cart says"),
            ],
        );
        check(
            &[told(Code::H007, "shop/web")],
            3,
            &[&format!("H007 proxy shop/web {since}: as shop/web says")],
        );
        let of_node = |code, pod: &str| OfHost {
            proxy: "node/n1".to_owned(),
            ..told(code, pod)
        };
        check(
            &[
                of_node(Code::H019, "shop/web-1"),
                of_node(Code::H007, "shop/web-1"),
            ],
            3,
            &[
                &format!("H007 pod shop/web-1 (proxy node/n1) {since}: as shop/web-1 says"),
                &format!("H019 pod shop/web-1 (proxy node/n1) {since}: as shop/web-1 says"),
            ],
        );
        let at_node = |code| OfHost {
            node: Some("n1".into()),
            ..of_node(code, "host")
        };
        check(
            &[
                at_node(Code::H020),
                at_node(Code::H015),
                at_node(Code::H016),
                of_node(Code::H018, "shop/web-1"),
            ],
            3,
            &[
                &format!("H018 pod shop/web-1 (proxy node/n1) {since}: as shop/web-1 says"),
                &format!("H015 node n1 {since}: as host says"),
                &format!("H016 node n1 {since}: as host says"),
                &format!("H020 node n1 {since}: as host says"),
            ],
        );
        let many = ["web", "cart", "pay", "store", "mail"].map(clock);
        let named = format!("T013 proxies web, cart, pay and 2 more {since}: as web says");
        check(&many, 50, &[&named]);
        let all = " (as most say so: compare the clock of the control plane's own host)";
        check(&many, 6, &[&format!("{named}{all}")]);
    }
}
