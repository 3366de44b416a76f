//! Calls to hosts outside the mesh: rules and what is known of a host in, what becomes of the call out; and
//! a naive twin that asks for each name that the host may have.

use std::net::SocketAddr;
use std::sync::Arc;

use leno_model::view::access::IpBlock;
use leno_model::view::{
    Access, Effect, HostMatch, Outbound, OutboundRule, Stance, Unknown, Workload,
};
use leno_model::{Dice, HostName};
use leno_protocol::{Fields, HeadReader, Limits};
use leno_traffic::{Host, Naming, Said, Scope, Table};

use crate::world::{World, local, origin, workload_id};

/// `web`, of whose calls these lines speak: `allow api.stripe.com *.amazonaws.com :443 in:10.0.0.0/8`,
/// `default deny`, `unknown deny`.
fn table(rules: &str) -> Table {
    let mut world = World::new().workload("web", "10.0.1.1", Access::open());
    let mut outbound = Outbound::default();
    let lines = rules.lines().map(str::trim).filter(|line| !line.is_empty());
    for (place, line) in (0..).zip(lines) {
        let (word, rest) = line.split_once(' ').unwrap();
        let pointer = format!("/spec/outbound/rules/{place}");
        let origin = origin("AccessPolicy", "web", &pointer, place + 1);
        match (word, rest) {
            ("default", "deny") => outbound.default = Some((Stance::Deny, origin)),
            ("default", _) => outbound.default = Some((Stance::Allow, origin)),
            ("unknown", _) => {
                let settings = Arc::make_mut(&mut world.0.settings);
                settings.unknown_destinations = Unknown::Refuse;
            }
            (effect, rest) => {
                let rule = Arc::new(rule(effect, rest, origin));
                match rule.effect {
                    Effect::Audit => outbound.audits.push(rule),
                    _ => outbound.rules.push(rule),
                }
            }
        }
    }
    let web = world.0.workloads.get_mut(&workload_id("web")).unwrap();
    *web = Arc::new(Workload {
        outbound: Arc::new(outbound),
        ..Workload::clone(web)
    });
    Table::new(world.view(), Scope::Whole)
}

fn rule(effect: &str, text: &str, origin: leno_model::Origin) -> OutboundRule {
    let mut rule = OutboundRule {
        origin,
        effect: match effect {
            "allow" => Effect::Allow,
            "deny" => Effect::Deny,
            "audit" => Effect::Audit,
            "lacks" => Effect::NotUnderstood,
            other => panic!("{other}"),
        },
        hosts: Vec::new(),
        blocks: Vec::new(),
        ports: Vec::new(),
    };
    for word in text.split(' ') {
        if let Some(port) = word.strip_prefix(':') {
            rule.ports.push(port.parse().unwrap());
        } else if let Some(block) = word.strip_prefix("in:") {
            let (address, bits) = block.split_once('/').unwrap();
            let block = IpBlock::new(address.parse().unwrap(), bits.parse().unwrap());
            rule.blocks.push(block.unwrap());
        } else {
            rule.hosts.push(match word.strip_prefix('*') {
                Some(suffix) => HostMatch::Suffix(suffix.into()),
                None => HostMatch::Exact(word.into()),
            });
        }
    }
    rule
}

/// `told a.example b.example says a.example`, or `says 10.0.0.1`, which is no name.
fn host(text: &str) -> Host {
    let (told, said) = text.split_once("says ").unwrap_or((text, ""));
    let told = told.strip_prefix("told ").unwrap_or_default();
    let names = told.split(' ').filter(|name| !name.is_empty());
    Host {
        told: names.map(|name| HostName::new(name).unwrap()).collect(),
        said: match said {
            "" => Said::Nothing,
            said => Said::of(said),
        },
    }
}

fn judged(table: &Table, address: &str, host: &Host) -> String {
    let web = workload_id("web");
    let outside = table.outside(&web, address.parse().unwrap()).unwrap();
    match outside.judge(host) {
        Ok(leave) => match (leave.rule(), leave.host()) {
            (Some(_), Some(host)) => format!("allow {host}"),
            (Some(rule), None) => format!("allow {rule}"),
            (None, _) => "allow".to_owned(),
        },
        Err(not) => format!("{} {not}", not.code()),
    }
}

/// Where `P` is 192.0.2.1:443.
fn check(rules: &str, cases: &[(&str, &str)]) {
    let table = table(rules);
    for (known, expect) in cases {
        let told = judged(&table, "192.0.2.1:443", &host(known));
        assert_eq!(told, *expect, "{known} by{rules}");
    }
}

#[test]
fn a_host_is_let_out_by_the_name_that_it_proved() {
    check(
        "default deny
         allow api.stripe.com *.amazonaws.com :443",
        &[
            (
                "told api.stripe.com says api.stripe.com",
                "allow api.stripe.com",
            ),
            (
                "told api.stripe.com says API.Stripe.COM.",
                "allow api.stripe.com",
            ),
            (
                "told s3.eu.amazonaws.com says s3.eu.amazonaws.com",
                "allow *.amazonaws.com",
            ),
            ("told api.stripe.com", "allow api.stripe.com"),
            // Of the names that share an address, the one that is said counts.
            (
                "told api.stripe.com evil.example says api.stripe.com",
                "allow api.stripe.com",
            ),
            (
                "told api.stripe.com evil.example says evil.example",
                "R067 no outbound rule lets shop/web call evil.example:443 (192.0.2.1)",
            ),
            (
                "told api.stripe.com evil.example",
                "R069 192.0.2.1 has several names, not all of which shop/web may call: api.stripe.com, evil.example; the connection says none of them",
            ),
            (
                "told api.stripe.com s3.amazonaws.com",
                "allow api.stripe.com",
            ),
            // A name that is only said proves nothing.
            (
                "says api.stripe.com",
                "R068 api.stripe.com:443 (192.0.2.1) is allowed by name, and DNS never told that this name has the address 192.0.2.1",
            ),
            (
                "told evil.example says api.stripe.com",
                "R068 api.stripe.com:443 (192.0.2.1) is allowed by name, and DNS never told that this name has the address 192.0.2.1",
            ),
            // Whose certificate or site is another than the one that is allowed (domain fronting).
            (
                "told api.stripe.com says evil.example",
                "R067 no outbound rule lets shop/web call evil.example:443 (192.0.2.1)",
            ),
            (
                "told amazonaws.com says amazonaws.com",
                "R067 no outbound rule lets shop/web call amazonaws.com:443 (192.0.2.1)",
            ),
            (
                "told notamazonaws.com",
                "R067 no outbound rule lets shop/web call notamazonaws.com:443 (192.0.2.1)",
            ),
            (
                "",
                "R067 no outbound rule lets shop/web call 192.0.2.1:443, for which it was told no name",
            ),
            (
                "told api.stripe.com says 192.0.2.1",
                "R067 no outbound rule lets shop/web call 192.0.2.1:443, for which it was told no name",
            ),
        ],
    );
}

#[test]
fn a_host_that_is_denied_is_denied_by_whatever_names_it() {
    check(
        "deny *.evil.example",
        &[
            ("", "allow"),
            ("told a.example says a.example", "allow"),
            (
                "told x.evil.example",
                "R067 x.evil.example:443 (192.0.2.1) is denied to shop/web: AccessPolicy shop/web outbound rule 1 (*.evil.example)",
            ),
            (
                "says x.evil.example",
                "R067 x.evil.example:443 (192.0.2.1) is denied to shop/web: AccessPolicy shop/web outbound rule 1 (*.evil.example)",
            ),
            // Another name that is only said hides it not.
            (
                "told x.evil.example says a.example",
                "R067 x.evil.example:443 (192.0.2.1) is denied to shop/web: AccessPolicy shop/web outbound rule 1 (*.evil.example)",
            ),
            ("told a.example x.evil.example says a.example", "allow"),
            (
                "told a.example x.evil.example",
                "R069 192.0.2.1 has several names, not all of which shop/web may call: a.example, x.evil.example; the connection says none of them",
            ),
        ],
    );
}

#[test]
fn blocks_and_ports_need_no_name_and_what_denies_wins() {
    let allows = "default deny
        allow in:192.0.2.0/24 :443";
    check(
        allows,
        &[
            ("", "allow in 192.0.2.0/24 :443"),
            ("says b.example", "allow in 192.0.2.0/24 :443"),
        ],
    );
    let other = judged(&table(allows), "192.0.2.1:80", &Host::default());
    assert!(other.starts_with("R067"), "{other}");
    check(
        "allow in:192.0.2.0/24
         deny b.example",
        &[
            ("", "allow in 192.0.2.0/24"),
            (
                "says b.example",
                "R067 b.example:443 (192.0.2.1) is denied to shop/web: AccessPolicy shop/web outbound rule 2 (b.example)",
            ),
        ],
    );
    check(
        "allow b.example
         lacks :443",
        &[(
            "told b.example says b.example",
            "R005 b.example:443 (192.0.2.1): AccessPolicy shop/web outbound rule 2 needs a feature that this proxy lacks, or could not be read",
        )],
    );
}

#[test]
fn where_no_policy_speaks_of_a_caller_the_mesh_does() {
    check(
        "unknown pass",
        &[(
            "",
            "R001 192.0.2.1:443 is not in the mesh, and the mesh lets no unknown destination pass",
        )],
    );
    check("default allow\nunknown deny", &[("", "allow")]);
    check(
        "unknown deny\nallow a.example",
        &[("told a.example", "allow a.example")],
    );
}

#[test]
fn a_leave_stands_as_long_as_it_would_be_given_again() {
    let old = table("default deny\nallow api.stripe.com");
    let web = workload_id("web");
    let address = "192.0.2.1:443".parse().unwrap();
    let outside = old.outside(&web, address).unwrap();
    let leave = outside
        .judge(&host("told api.stripe.com says api.stripe.com"))
        .unwrap();
    let peer = local("web");
    let permit = old
        .outbound()
        .admit_stream(&peer)
        .unwrap()
        .permit_out(&leave);
    let still = |rules: &str| {
        let verdict = table(rules).still_permits(&permit);
        verdict.err().map(|denied| denied.code().to_string())
    };
    assert_eq!(still("default deny\nallow *.stripe.com :443"), None);
    assert_eq!(
        still("default deny\nallow *.stripe.com :80").as_deref(),
        Some("R067")
    );
    assert_eq!(still("deny api.stripe.com").as_deref(), Some("R067"));
    assert_eq!(still("unknown deny").as_deref(), Some("R001"));
    assert_eq!(still("default allow"), None);
}

#[test]
fn what_is_denied_by_address_stays_denied_whoever_declares_it_of_the_mesh() {
    let plain = |rules: &str, address: &str| {
        let judged = table(rules).lets_call_plain(&workload_id("web"), address.parse().unwrap());
        judged.map_or_else(
            |not| format!("{} {not}", not.code()),
            |()| "goes".to_owned(),
        )
    };
    for (rules, address, expect) in [
        (
            "deny in:0.0.0.0/0",
            "203.0.113.5:443",
            "R067 203.0.113.5:443 is denied to shop/web: AccessPolicy shop/web outbound rule 1 (in 0.0.0.0/0)",
        ),
        (
            "allow in:203.0.113.0/24
             deny :25",
            "203.0.113.5:25",
            "R067 203.0.113.5:25 is denied to shop/web: AccessPolicy shop/web outbound rule 2 (:25)",
        ),
        (
            "lacks in:203.0.113.0/24",
            "203.0.113.5:443",
            "R005 203.0.113.5:443: AccessPolicy shop/web outbound rule 1 needs a feature that this proxy lacks, or could not be read",
        ),
        ("deny in:203.0.113.0/24 :25", "203.0.113.5:443", "goes"),
        ("deny in:198.51.100.0/24", "203.0.113.5:443", "goes"),
        ("audit in:0.0.0.0/0", "203.0.113.5:443", "goes"),
        // These are about hosts that nobody declares.
        ("default deny", "203.0.113.5:443", "goes"),
        ("unknown deny", "203.0.113.5:443", "goes"),
        ("deny evil.example :443", "203.0.113.5:443", "goes"),
        ("", "203.0.113.5:443", "goes"),
    ] {
        assert_eq!(plain(rules, address), expect, "{address} by {rules}");
    }
    // A stream that is open to such an address is cut when the rule comes.
    let old = table("");
    let peer = local("web");
    let permit = old.outbound().admit_stream(&peer).unwrap();
    let permit = permit.permit_plain(&workload_id("web"), "203.0.113.5:443".parse().unwrap());
    assert_eq!(old.still_permits(&permit), Ok(()));
    let denied = table("deny in:203.0.113.0/24").still_permits(&permit);
    assert_eq!(denied.unwrap_err().code().to_string(), "R067");
}

#[test]
fn of_a_name_that_no_rule_lets_out_nothing_is_looked_up() {
    let wanted = |rules: &str, target: &str| {
        let head = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
        let mut fields = Fields::new();
        let mut reader = HeadReader::of_proxy(Limits::default());
        let head = reader.request(head.as_bytes(), &mut fields);
        let head = head.unwrap().unwrap();
        match table(rules).wanted(&head, Naming::Target, &workload_id("web")) {
            Ok(wanted) => format!("{wanted:?}"),
            Err(refusal) => format!("{} {refusal}", refusal.code()),
        }
    };
    let closed = "default deny\nallow api.stripe.com :443";
    for (rules, target, expect) in [
        (
            closed,
            "api.stripe.com:443",
            "Name(\"api.stripe.com\", 443)",
        ),
        (
            closed,
            "secret.evil.example:443",
            "R067 no outbound rule lets shop/web call secret.evil.example:443",
        ),
        (
            closed,
            "api.stripe.com:80",
            "R067 no outbound rule lets shop/web call api.stripe.com:80",
        ),
        (
            "deny *.evil.example",
            "x.evil.example:443",
            "R067 x.evil.example:443 is denied to shop/web: AccessPolicy shop/web outbound rule 1 (*.evil.example)",
        ),
        // It may have an address that may be called.
        (
            "default deny\nallow in:192.0.2.0/24",
            "a.example:443",
            "Name(\"a.example\", 443)",
        ),
        (
            "deny in:0.0.0.0/0",
            "a.example:443",
            "Name(\"a.example\", 443)",
        ),
    ] {
        assert_eq!(wanted(rules, target), expect, "{target} by {rules}");
    }
}

const NAMES: [&str; 5] = [
    "a.example",
    "b.example",
    "x.a.example",
    "y.x.a.example",
    "c.test",
];
const ENTRIES: [&str; 6] = [
    "a.example",
    "b.example",
    "*.a.example",
    "*.example",
    "c.test",
    "x.a.example",
];
const BLOCKS: [&str; 3] = ["in:192.0.2.0/24", "in:192.0.2.1/32", "in:198.51.100.0/24"];
const ADDRESSES: [&str; 3] = ["192.0.2.1:443", "192.0.2.1:80", "198.51.100.1:443"];

struct Words(Dice);

impl Words {
    fn below(&mut self, of: usize) -> usize {
        let of = u32::try_from(of).unwrap();
        self.0.roll(of.try_into().unwrap()).value as usize
    }

    fn some<'a>(&mut self, from: &[&'a str], most: usize) -> Vec<&'a str> {
        let count = self.below(most + 1);
        (0..count).map(|_| from[self.below(from.len())]).collect()
    }

    fn rules(&mut self) -> String {
        let mut lines = Vec::new();
        for _ in 0..self.below(5) {
            let effect = ["allow", "allow", "deny", "lacks"][self.below(4)];
            let mut words = self.some(&ENTRIES, 2);
            words.extend(self.some(&BLOCKS, 1));
            words.extend(self.some(&[":443", ":80"], 1));
            if words.is_empty() {
                words.push(":443");
            }
            lines.push(format!("{effect} {}", words.join(" ")));
        }
        lines.extend(
            self.some(&["default deny", "default allow", "unknown deny"], 2)
                .into_iter()
                .map(str::to_owned),
        );
        lines.join("\n")
    }

    fn host(&mut self) -> Host {
        let mut told = self.some(&NAMES, 3);
        told.sort_unstable();
        told.dedup();
        let said = match self.below(3) {
            0 => String::new(),
            1 => format!("says {}", NAMES[self.below(NAMES.len())]),
            _ => "says 192.0.2.1".to_owned(),
        };
        host(&format!("told {} {said}", told.join(" ")))
    }
}

/// What the rules say of one name alone, or of an address without one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Denied,
    Allowed,
    Unsaid,
}

fn own(rules: &[Arc<OutboundRule>], address: SocketAddr, name: Option<&str>) -> Own {
    let is_below = |suffix: &str, name: &str| name.len() > suffix.len() && name.ends_with(suffix);
    let speaks = |rule: &&Arc<OutboundRule>| {
        let hosts = rule.hosts.iter().any(|entry| match (entry, name) {
            (HostMatch::Exact(exact), Some(name)) => **exact == *name,
            (HostMatch::Suffix(suffix), Some(name)) => is_below(suffix, name),
            (HostMatch::Any, _) | (_, None) => false,
        });
        (rule.hosts.is_empty() || hosts)
            && (rule.ports.is_empty() || rule.ports.contains(&address.port()))
            && (rule.blocks.is_empty() || rule.blocks.iter().any(|it| it.contains(address.ip())))
    };
    let speaking = || rules.iter().filter(speaks);
    match speaking().any(|rule| rule.effect != Effect::Allow) {
        true => Own::Denied,
        false if speaking().next().is_some() => Own::Allowed,
        false => Own::Unsaid,
    }
}

/// Each name that the host may have is judged alone, and all must agree. A name that nobody told is not one
/// that lets out.
fn naive(table: &Table, address: SocketAddr, host: &Host) -> bool {
    let view = table.view();
    let outbound = &view.workloads[&workload_id("web")].outbound;
    let is_open = match &outbound.default {
        Some((stance, _)) => *stance == Stance::Allow,
        None => view.settings.unknown_destinations == Unknown::Pass,
    };
    let own = |name: Option<&str>| own(&outbound.rules, address, name);
    let is_let_out = |name: Option<&str>| match own(name) {
        Own::Denied => false,
        Own::Allowed => true,
        Own::Unsaid => is_open,
    };
    let mut told = host.told.iter().map(|name| Some(name.as_str()));
    match &host.said {
        Said::Name(name) if host.told.contains(name) => is_let_out(Some(name.as_str())),
        Said::Nothing if !host.told.is_empty() => told.all(is_let_out),
        Said::Nothing => is_let_out(None),
        Said::Name(name) => {
            is_let_out(None)
                && own(Some(name.as_str())) != Own::Denied
                && told.all(|name| own(name) != Own::Denied)
        }
        Said::NoName => is_let_out(None) && told.all(|name| own(name) != Own::Denied),
    }
}

#[test]
fn the_verdict_is_that_of_the_naive_twin() {
    let (mut let_out, mut by_name) = (0, 0);
    for seed in 0..3_000 {
        let mut words = Words(Dice::new(seed));
        let rules = words.rules();
        let table = table(&rules);
        let address: SocketAddr = ADDRESSES[words.below(ADDRESSES.len())].parse().unwrap();
        let web = workload_id("web");
        let outside = table.outside(&web, address).unwrap();
        let unheard = outside.judge(&Host::default()).is_ok();
        for _ in 0..4 {
            let host = words.host();
            let judged = outside.judge(&host);
            let told = format!("seed {seed}: {host:?} at {address} by\n{rules}\n{judged:?}");
            assert_eq!(judged.is_ok(), naive(&table, address, &host), "{told}");
            if !outside.hangs_on_name() {
                assert_eq!(judged.is_ok(), unheard, "{told}");
            }
            let_out += u32::from(judged.is_ok());
            by_name += u32::from(judged.is_ok_and(|leave| leave.host().is_some()));
        }
    }
    assert!(let_out > 2_000 && by_name > 200, "{let_out} {by_name}");
}
