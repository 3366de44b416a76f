//! Who may call a port that many policies speak of: what is compiled and asked, against a naive twin.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::sync::Arc;

use leno_compile::{ViewOf, compile};
use leno_model::view::WorkloadId;
use leno_model::{Dice, Name, Namespace, SpiffeId};
use leno_resources::Resources;
use leno_traffic::{Claim, Consent, Fact, Scope, Table, Verdict};

use crate::drawn::below;

const WORLD: &str = "
{apiVersion: leno.dev/v1alpha1, kind: Mesh, metadata: {name: m}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: cart, namespace: shop, labels: {app: cart}},
 spec: {ports: [{name: http, port: 8080, protocol: TCP}, {port: 9090, protocol: TCP}],
        instances: [{address: 10.0.0.1}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: one, namespace: shop},
 spec: {selector: {app: cart}, ports: [{name: web, port: 80, targetPort: 8080}, {name: metrics, port: 90, targetPort: 9090}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: two, namespace: shop},
 spec: {selector: {app: cart}, ports: [{port: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: authz, namespace: trust},
 spec: {selector: {app: authz}, ports: [{port: 80}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: g, namespace: trust},
 spec: {from: [{group: leno.dev, kind: AccessPolicy, namespace: shop},
               {group: leno.dev, kind: AccessPolicy, namespace: other},
               {group: leno.dev, kind: AccessPolicy, namespace: leno-system}],
        to: [{group: '', kind: Service}]}}
";

/// A target that is drawn.
struct Target {
    /// The namespace of a policy about it.
    namespace: &'static str,
    written: &'static str,
    /// How special it is.
    level: u8,
    /// The ports over which it stands.
    ports: &'static [u16],
}

const fn target(
    namespace: &'static str,
    written: &'static str,
    level: u8,
    ports: &'static [u16],
) -> Target {
    Target {
        namespace,
        written,
        level,
        ports,
    }
}

const PORTS: &[u16] = &[8080, 9090, 7070, 6060];

#[rustfmt::skip]
const TARGETS: [Target; 12] = [
    target("leno-system", "[{kind: Mesh, name: m}]", 0, PORTS),
    target("shop", "[{kind: Namespace, name: shop}]", 1, PORTS),
    target("shop", "", 1, PORTS),
    target("other", "", 1, &[]),
    target("shop", "[{kind: Service, name: one}]", 2, &[8080, 9090]),
    target("shop", "[{kind: Service, name: two}]", 2, &[8080]),
    target("shop", "[{kind: MeshWorkload, name: cart}]", 3, PORTS),
    target("shop", "[{kind: Service, name: one, sectionName: web}]", 4, &[8080]),
    target("shop", "[{kind: Service, name: one, port: 90}]", 4, &[9090]),
    target("shop", "[{kind: MeshWorkload, name: cart, sectionName: http}]", 5, &[8080]),
    target("shop", "[{kind: MeshWorkload, name: cart, port: 9090}]", 5, &[9090]),
    target("shop", "[{kind: MeshWorkload, name: cart, port: 7070}]", 5, &[7070]),
];

const CALLERS: [&str; 3] = ["web", "api", "ops"];

/// A policy that is drawn.
struct Drawn {
    target: &'static Target,
    strict: Option<bool>,
    denies: Option<bool>,
    /// Whether it denies, and whom it is about; nobody in particular is everyone.
    rules: Vec<(bool, Option<usize>)>,
    /// Whether it has somebody asked.
    asks: bool,
}

impl Drawn {
    fn new(dice: &mut Dice) -> Self {
        let mut maybe = || match below(dice, 5) {
            0 => Some(true),
            1 => Some(false),
            _ => None,
        };
        let (strict, denies) = (maybe(), maybe());
        let mut rules = Vec::new();
        for _ in 0..below(dice, 3) {
            let denies = below(dice, 3) == 0;
            rules.push((denies, below(dice, 4).checked_sub(1)));
        }
        Self {
            target: &TARGETS[below(dice, TARGETS.len())],
            strict,
            denies,
            rules,
            asks: below(dice, 12) == 0,
        }
    }

    fn write(&self, number: usize, out: &mut String) {
        let Target {
            namespace,
            written,
            level,
            ..
        } = self.target;
        let mut fields = Vec::new();
        if !written.is_empty() {
            fields.push(format!("targetRefs: {written}"));
        }
        let mode = |strict| if strict { "Strict" } else { "Permissive" };
        fields.extend(self.strict.map(|strict| format!("mtls: {}", mode(strict))));
        let stance = |denies| if denies { "Deny" } else { "Allow" };
        fields.extend(
            self.denies
                .map(|denies| format!("default: {}", stance(denies))),
        );
        let rule = |(denies, caller): &(bool, Option<usize>)| match caller {
            None => format!("{{action: {}}}", stance(*denies)),
            Some(caller) => {
                let (action, caller) = (stance(*denies), CALLERS[*caller]);
                format!("{{action: {action}, callers: [{{identity: shop/{caller}}}]}}")
            }
        };
        if !self.rules.is_empty() {
            let rules: Vec<_> = self.rules.iter().map(rule).collect();
            fields.push(format!("rules: [{}]", rules.join(", ")));
        }
        if self.asks {
            let to = "{name: authz, namespace: trust, port: 80}";
            fields.push(format!(
                "externalAuth: {{protocol: HTTP, backendRef: {to}}}"
            ));
        }
        writeln!(
            out,
            "---\n{{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, \
             metadata: {{name: level-{level}-{number}, namespace: {namespace}}},\n spec: {{{}}}}}",
            fields.join(", ")
        )
        .unwrap();
    }
}

/// The definition, in as many words as it has.
fn allows(policies: &[Drawn], port: u16, caller: Option<usize>) -> bool {
    let over = policies.iter().filter(|it| it.target.ports.contains(&port));
    let over: Vec<_> = over.collect();
    // Of the most special that say something, the stricter.
    let says = |said: &dyn Fn(&Drawn) -> Option<bool>| {
        let said = over
            .iter()
            .filter_map(|it| Some((it.target.level, said(it)?)));
        said.max().is_some_and(|(_, stricter)| stricter)
    };
    if says(&|it| it.strict) && caller.is_none() {
        return false;
    }
    // Nobody can be asked about a stream of bytes.
    if over.iter().any(|policy| policy.asks) {
        return false;
    }
    let rules = || over.iter().flat_map(|policy| &policy.rules);
    let speaks = |whom: &Option<usize>| whom.is_none() || *whom == caller;
    if rules().any(|(denies, whom)| *denies && speaks(whom)) {
        return false;
    }
    if rules().any(|(denies, whom)| !*denies && speaks(whom)) {
        return true;
    }
    rules().all(|(denies, _)| *denies) && !says(&|it| it.denies)
}

#[test]
fn the_most_special_policy_holds_and_all_rules_do() {
    let (mut allowed, mut judged) = (0, 0);
    for seed in 0..600 {
        let mut dice = Dice::new(seed);
        let count = 1 + below(&mut dice, 6);
        let policies: Vec<_> = (0..count).map(|_| Drawn::new(&mut dice)).collect();
        let mut text = WORLD.to_owned();
        for (number, policy) in policies.iter().enumerate() {
            policy.write(number, &mut text);
        }
        let home = Namespace::default_namespace();
        let (resources, notes) = Resources::read([("a.yaml", text.as_bytes().to_vec())], &home);
        assert!(notes.is_empty(), "seed {seed}: {notes:#?}\n{text}");
        let (mesh, _) = compile(&resources);
        let id = mesh.instances.keys().next().unwrap().clone();
        let workloads = [id.clone()].into();
        let table = Table::new(
            Arc::new(mesh.view(ViewOf {
                workloads: &workloads,
            })),
            Scope::Whole,
        );
        for port in PORTS {
            assert_eq!(
                asked(&table, &id, *port),
                asks(&policies, *port),
                "seed {seed}\n{text}"
            );
            for caller in [None, Some(0), Some(1), Some(2)] {
                let is_allowed = judge(&table, &id, *port, caller);
                let expect = allows(&policies, *port, caller);
                assert_eq!(is_allowed, expect, "seed {seed} {port} {caller:?}\n{text}");
                allowed += u32::from(is_allowed);
                judged += 1;
            }
        }
    }
    let share = allowed * 100 / judged;
    assert!((20..80).contains(&share), "{share} % say something");
}

/// How special the policies are that have somebody asked, the most special one first.
fn asks(policies: &[Drawn], port: u16) -> Vec<u8> {
    let over = policies.iter().filter(|it| it.target.ports.contains(&port));
    let mut asks: Vec<_> = over
        .filter(|it| it.asks)
        .map(|it| it.target.level)
        .collect();
    asks.sort_unstable_by_key(|level| Reverse(*level));
    asks
}

/// The same of what was compiled.
fn asked(table: &Table, id: &WorkloadId, port: u16) -> Vec<u8> {
    let workload = &table.view().workloads[id];
    let known = workload.ports.get(&port).map(|port| &port.access);
    let access = known.unwrap_or(&workload.other_ports);
    let level = |name: &str| {
        let (level, _) = name
            .strip_prefix("level-")
            .unwrap()
            .split_once('-')
            .unwrap();
        level.parse::<u8>().unwrap()
    };
    let asked = access.external.iter();
    asked
        .map(|external| level(external.origin.object.name.as_str()))
        .collect()
}

fn judge(table: &Table, id: &WorkloadId, port: u16, caller: Option<usize>) -> bool {
    let whom = |caller: usize| SpiffeId {
        trust_domain: table.view().settings.trust_domain.clone(),
        namespace: Namespace::new("shop").unwrap(),
        service_account: Name::new(CALLERS[caller]).unwrap(),
    };
    let who = caller.map(whom);
    let claim = Claim {
        caller: Fact::Known(who.as_ref()),
        address: Fact::Known([10, 0, 0, 9].into()),
        token: leno_traffic::Token::Absent,
        consent: Consent::Given,
    };
    let verdict = table.inbound(id, port).unwrap().judge_stream(&claim);
    matches!(verdict, Verdict::Allow(_))
}
