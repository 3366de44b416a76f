//! From where calls come to which ports of pods that many policies select: what is compiled and asked, against a naive
//! twin that reads the policies as their definition does, pod by pod.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use leno_compile::{Mesh, ViewOf, compile};
use leno_model::view::WorkloadId;
use leno_model::{Code, Dice, Name, Namespace, Notes, Origin, SpiffeId};
use leno_resources::Resources;
use leno_resources::pod::{Pod, Pods};
use leno_traffic::{Claim, Consent, Fact, Missing, Scope, Story, Table, Token, Verdict};

use crate::drawn::below;

const WORLD: &str = "
{apiVersion: leno.dev/v1alpha1, kind: Mesh, metadata: {name: m}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a, leno.dev/dataplane-mode: sidecar}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: bank, labels: {team: b}}}
";

const NAMESPACES: [&str; 3] = ["shop", "bank", "web"];
const APPS: [&str; 3] = ["cart", "web", "api"];
const PORTS: [u16; 4] = [8080, 9090, 9095, 53];

/// A pod that is drawn.
#[derive(Debug)]
struct Drawn {
    namespace: &'static str,
    app: &'static str,
    is_front: bool,
    account: &'static str,
    last: u8,
}

impl Drawn {
    fn new(dice: &mut Dice, last: u8) -> Self {
        let app = APPS[below(dice, 3)];
        Self {
            namespace: NAMESPACES[below(dice, 3)],
            app,
            is_front: below(dice, 2) == 0,
            account: if below(dice, 2) == 0 { "default" } else { app },
            last,
        }
    }

    fn address(&self) -> Ipv4Addr {
        [10, 1, u8::from(self.is_front), self.last].into()
    }

    /// The number of its port of this name.
    fn port(&self, name: &str) -> Option<u16> {
        (name == "http").then_some(if self.app == "api" { 9090 } else { 8080 })
    }

    fn label(&self, key: &str) -> Option<&'static str> {
        match key {
            "app" => Some(self.app),
            "tier" => self.is_front.then_some("front"),
            _ => None,
        }
    }

    fn pod(&self) -> Pod {
        let namespace = Namespace::new(self.namespace).unwrap();
        let name = Name::new(&format!("{}-{}", self.app, self.last)).unwrap();
        let mut pod = Pod {
            workload: Name::new(self.app).unwrap(),
            service_account: Name::new(self.account).unwrap(),
            ports: self
                .port("http")
                .map(|it| (it, vec!["http".into()]))
                .into_iter()
                .collect(),
            addresses: vec![self.address().into()],
            has_proxy: true,
            ..Pod::named(namespace, name)
        };
        let labels = ["app", "tier"].into_iter();
        let labels = labels.filter_map(|key| Some((key.into(), self.label(key)?.into())));
        pod.meta.labels = labels.collect();
        pod
    }

    fn id(&self) -> WorkloadId {
        WorkloadId {
            namespace: Namespace::new(self.namespace).unwrap(),
            name: Name::new(&format!("{}-{}", self.app, self.last)).unwrap(),
        }
    }

    fn identity(&self) -> SpiffeId {
        let text = format!("spiffe://m.local/ns/{}/sa/{}", self.namespace, self.account);
        SpiffeId::parse(&text).unwrap()
    }
}

/// What something has as the value of a label.
type Label<'a> = &'a dyn Fn(&str) -> Option<&'static str>;

/// What is asked of labels.
struct Selector {
    written: &'static str,
    matches: fn(Label<'_>) -> bool,
}

#[rustfmt::skip]
const OF_PODS: [Selector; 7] = [
    Selector { written: "{}", matches: |_| true },
    Selector { written: "{matchLabels: {app: cart}}", matches: |label| label("app") == Some("cart") },
    Selector { written: "{matchLabels: {app: web, tier: front}}",
               matches: |label| label("app") == Some("web") && label("tier") == Some("front") },
    Selector { written: "{matchExpressions: [{key: tier, operator: Exists}]}",
               matches: |label| label("tier").is_some() },
    Selector { written: "{matchExpressions: [{key: tier, operator: DoesNotExist}], matchLabels: {app: web}}",
               matches: |label| label("tier").is_none() && label("app") == Some("web") },
    Selector { written: "{matchExpressions: [{key: app, operator: In, values: [web, api]}]}",
               matches: |label| ["web", "api"].contains(&label("app").unwrap_or_default()) },
    Selector { written: "{matchExpressions: [{key: tier, operator: NotIn, values: [front]}]}",
               matches: |label| label("tier") != Some("front") },
];

#[rustfmt::skip]
const OF_NAMESPACES: [Selector; 4] = [
    Selector { written: "{}", matches: |_| true },
    Selector { written: "{matchLabels: {team: a}}", matches: |label| label("team") == Some("a") },
    Selector { written: "{matchExpressions: [{key: team, operator: NotIn, values: [b]}]}",
               matches: |label| label("team") != Some("b") },
    Selector { written: "{matchLabels: {kubernetes.io/metadata.name: web}}",
               matches: |label| label("kubernetes.io/metadata.name") == Some("web") },
];

fn of_namespace(namespace: &'static str, key: &str) -> Option<&'static str> {
    match (namespace, key) {
        (name, "kubernetes.io/metadata.name") => Some(name),
        ("shop", "team") => Some("a"),
        ("bank", "team") => Some("b"),
        _ => None,
    }
}

/// An end of a call, as a rule names it.
enum Peer {
    Pods(&'static Selector),
    PodsOf(Option<&'static Selector>, &'static Selector),
    /// Those with the tier, and not the first four; or everybody.
    Front,
    All,
}

impl Peer {
    fn new(dice: &mut Dice) -> Self {
        let pods = &OF_PODS[below(dice, OF_PODS.len())];
        let namespaces = &OF_NAMESPACES[below(dice, OF_NAMESPACES.len())];
        match below(dice, 7) {
            0..3 => Self::Pods(pods),
            3 => Self::PodsOf(None, namespaces),
            4 => Self::PodsOf(Some(pods), namespaces),
            5 => Self::Front,
            _ => Self::All,
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Pods(pods) => format!("{{podSelector: {}}}", pods.written),
            Self::PodsOf(None, of) => format!("{{namespaceSelector: {}}}", of.written),
            Self::PodsOf(Some(pods), of) => format!(
                "{{podSelector: {}, namespaceSelector: {}}}",
                pods.written, of.written
            ),
            Self::Front => "{ipBlock: {cidr: 10.1.1.0/24, except: [10.1.1.0/30]}}".to_owned(),
            Self::All => "{ipBlock: {cidr: 0.0.0.0/0}}".to_owned(),
        }
    }

    fn is(&self, own: &str, caller: &Drawn) -> bool {
        let pod = |selector: &Selector| (selector.matches)(&|key| caller.label(key));
        let namespace =
            |selector: &Selector| (selector.matches)(&|key| of_namespace(caller.namespace, key));
        match self {
            Self::Pods(selector) => caller.namespace == own && pod(selector),
            Self::PodsOf(pods, of) => namespace(of) && pods.is_none_or(pod),
            Self::Front => caller.is_front && caller.last >= 4,
            Self::All => true,
        }
    }
}

const SOME_PORTS: [&str; 8] = [
    "{port: 8080}",
    "{port: http}",
    "{port: 9000, endPort: 9094}",
    "{protocol: TCP}",
    "{port: 8080, protocol: UDP}",
    "{port: metrics}",
    "{port: 15008}",
    "{port: 9095, endPort: 15010}",
];

/// Where calls of the mesh arrive: what the network of a cluster sees of them.
const TUNNEL: u16 = 15008;

fn is_port(written: &str, called: &Drawn, port: u16) -> bool {
    match written {
        "{port: 8080}" => port == 8080,
        "{port: http}" => called.port("http") == Some(port),
        "{port: 9000, endPort: 9094}" => (9000..=9094).contains(&port),
        "{port: 15008}" => port == TUNNEL,
        "{port: 9095, endPort: 15010}" => (9095..=15010).contains(&port),
        "{protocol: TCP}" => true,
        _ => false,
    }
}

struct Rule {
    others: Vec<Peer>,
    ports: Vec<&'static str>,
}

impl Rule {
    /// Some rules, of which every other one that names ports names the mesh's, too.
    fn some(dice: &mut Dice, at_most: usize) -> Vec<Self> {
        let mut rules = Vec::new();
        for _ in 0..below(dice, at_most + 1) {
            let others = (0..below(dice, 3)).map(|_| Peer::new(dice)).collect();
            let ports = (0..below(dice, 3)).map(|_| SOME_PORTS[below(dice, SOME_PORTS.len())]);
            let mut ports: Vec<_> = ports.collect();
            if !ports.is_empty() && below(dice, 2) == 0 {
                ports.push("{port: 15008}");
            }
            rules.push(Self { others, ports });
        }
        rules
    }

    fn written(&self, others: &str) -> String {
        let peers: Vec<_> = self.others.iter().map(Peer::written).collect();
        let ports = self.ports.join(", ");
        format!("{{{others}: [{}], ports: [{ports}]}}", peers.join(", "))
    }

    fn means(&self, own: &str, other: &Drawn) -> bool {
        self.others.is_empty() || self.others.iter().any(|it| it.is(own, other))
    }

    fn has(&self, called: &Drawn, port: u16) -> bool {
        let is_port = |it: &&str| is_port(it, called, port);
        self.ports.is_empty() || self.ports.iter().any(is_port)
    }
}

struct Policy {
    namespace: &'static str,
    selects: &'static Selector,
    types: &'static str,
    ingress: Vec<Rule>,
    egress: Vec<Rule>,
}

impl Policy {
    fn new(dice: &mut Dice) -> Self {
        Self {
            namespace: NAMESPACES[below(dice, 3)],
            selects: &OF_PODS[below(dice, OF_PODS.len())],
            types: ["", "[Ingress]", "[Ingress, Egress]", "[Egress]"][below(dice, 4)],
            ingress: Rule::some(dice, 2),
            egress: Rule::some(dice, 3),
        }
    }

    fn write(&self, number: usize, out: &mut String) {
        let rules = |rules: &[Rule], others| {
            let rules: Vec<_> = rules.iter().map(|it| it.written(others)).collect();
            rules.join(", ")
        };
        let (ingress, egress) = (rules(&self.ingress, "from"), rules(&self.egress, "to"));
        let types = match self.types {
            "" => String::new(),
            types => format!(", policyTypes: {types}"),
        };
        let (namespace, selects) = (self.namespace, self.selects.written);
        writeln!(
            out,
            "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, \
             metadata: {{name: p{number}, namespace: {namespace}}},\n \
             spec: {{podSelector: {selects}, ingress: [{ingress}], egress: [{egress}]{types}}}}}"
        )
        .unwrap();
    }

    fn holds_ingress(&self) -> bool {
        self.types != "[Egress]"
    }

    fn holds_egress(&self) -> bool {
        self.types.contains("Egress") || self.types.is_empty() && !self.egress.is_empty()
    }

    fn selects(&self, pod: &Drawn) -> bool {
        let matches = (self.selects.matches)(&|key| pod.label(key));
        pod.namespace == self.namespace && matches
    }

    fn lets_in(&self, caller: &Drawn, called: &Drawn, port: u16) -> bool {
        let mut rules = self.ingress.iter();
        rules.any(|rule| rule.means(self.namespace, caller) && rule.has(called, port))
    }

    fn lets_out(&self, called: &Drawn, port: u16) -> bool {
        let mut rules = self.egress.iter();
        rules.any(|rule| rule.means(self.namespace, called) && rule.has(called, port))
    }
}

/// The definition, in as many words as it has.
fn lets_in(policies: &[Policy], caller: &Drawn, called: &Drawn, port: u16) -> bool {
    let selecting = policies
        .iter()
        .filter(|it| it.holds_ingress() && it.selects(called));
    let selecting: Vec<_> = selecting.collect();
    selecting.is_empty() || selecting.iter().any(|it| it.lets_in(caller, called, port))
}

/// The same of calls that go out.
fn lets_out(policies: &[Policy], caller: &Drawn, called: &Drawn, port: u16) -> bool {
    let selecting = policies
        .iter()
        .filter(|it| it.holds_egress() && it.selects(caller));
    let selecting: Vec<_> = selecting.collect();
    selecting.is_empty() || selecting.iter().any(|it| it.lets_out(called, port))
}

fn mesh(text: &str, pods: impl IntoIterator<Item = Pod>) -> (Mesh, Notes) {
    let file = (Arc::from("mesh.yaml"), text.as_bytes().to_vec());
    let (mut resources, found) = Resources::read([file], &Namespace::default_namespace());
    assert!(found.is_empty(), "{found:?}\n{text}");
    let named = |pod: Pod| {
        let namespace = pod.meta.namespace.clone().unwrap();
        ((namespace, pod.meta.name.clone()), Arc::new(pod))
    };
    resources.pods = Arc::new(pods.into_iter().map(named).collect::<Pods>());
    compile(&resources)
}

/// What the proxy of one workload decides by.
fn table(mesh: &Mesh, id: WorkloadId) -> Table {
    let workloads = [id].into();
    let view = mesh.view(ViewOf {
        workloads: &workloads,
    });
    Table::new(Arc::new(view), Scope::Whole)
}

fn claim<'a>(identity: &'a SpiffeId, address: Fact<Ipv4Addr>) -> Claim<'a> {
    Claim {
        caller: Fact::Known(Some(identity)),
        address: match address {
            Fact::Known(address) => Fact::Known(address.into()),
            Fact::Unknown => Fact::Unknown,
        },
        token: Token::Absent,
        consent: Consent::NOT_ASKED,
    }
}

#[test]
fn who_comes_in_by_the_mesh_is_who_the_policies_let_in() {
    let (mut allowed, mut kept, mut judged) = (0, 0, 0);
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let pods: Vec<_> = (0..8).map(|last| Drawn::new(&mut dice, last)).collect();
        let count = 2 + below(&mut dice, 6);
        let policies: Vec<_> = (0..count).map(|_| Policy::new(&mut dice)).collect();
        let mut text = WORLD.to_owned();
        for (number, policy) in policies.iter().enumerate() {
            policy.write(number, &mut text);
        }
        let (mesh, _) = mesh(&text, pods.iter().map(Drawn::pod));
        for called in &pods {
            let table = table(&mesh, called.id());
            for (caller, port) in pods.iter().flat_map(|it| PORTS.map(|port| (it, port))) {
                let identity = caller.identity();
                let policy = table.inbound(&called.id(), port).unwrap();
                let verdict = policy.judge_stream(&claim(&identity, Fact::Known(caller.address())));
                let is_let_in = matches!(verdict, Verdict::Allow(_));
                let is_let_out = lets_out(&policies, caller, called, port);
                let is_itself = std::ptr::eq(caller, called);
                let expect = is_itself || lets_in(&policies, caller, called, port) && is_let_out;
                kept += usize::from(!is_let_out);
                assert_eq!(
                    is_let_in, expect,
                    "seed {seed}: {caller:?} to {called:?} {port}\n{text}"
                );
                // What is said without an address is never said otherwise with one.
                match policy.judge_stream(&claim(&identity, Fact::Unknown)) {
                    Verdict::Allow(_) => assert!(expect),
                    Verdict::Deny(_) => assert!(!expect),
                    Verdict::Undecided(missing) => assert_eq!(missing, Missing::CallerAddress),
                }
                judged += 1;
                allowed += usize::from(expect);
            }
        }
    }
    assert!(
        allowed * 5 > judged && allowed * 10 < judged * 9,
        "{allowed} of {judged}"
    );
    assert!(kept * 20 > judged, "{kept} of {judged} are kept in");
}

/// A pod of the shop, or of another namespace.
fn pod(namespace: &'static str, app: &'static str, last: u8) -> Drawn {
    Drawn {
        namespace,
        app,
        is_front: false,
        account: app,
        last,
    }
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: shop}},\n \
         spec: {spec}}}\n"
    )
}

#[test]
fn it_is_told_which_policy_keeps_whom_out_and_where() {
    let cart = policy(
        "cart",
        "{podSelector: {matchLabels: {app: cart}},\n  \
         ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]},\n            \
         {from: [{ipBlock: {cidr: 10.7.0.0/16}}, {podSelector: {matchLabels: {app: mail}}}]}]}",
    );
    let out = policy(
        "out",
        "{podSelector: {matchLabels: {app: mail}}, policyTypes: [Egress],\n  \
         egress: [{to: [{podSelector: {matchLabels: {app: cart}}}], ports: [{port: 8080}, {port: 15008}]}]}",
    );
    // It lets nobody out by itself.
    let nobody = policy(
        "nobody",
        "{podSelector: {matchLabels: {app: mail}}, policyTypes: [Egress]}",
    );
    let pods = [
        pod("shop", "cart", 1),
        pod("shop", "web", 2),
        pod("shop", "api", 3),
        pod("shop", "mail", 4),
    ];
    let (mesh, _) = mesh(
        &format!("{WORLD}{cart}{out}{nobody}"),
        pods.iter().map(Drawn::pod),
    );
    let table = table(&mesh, pods[0].id());
    let told = |caller: Option<&Drawn>, port: u16| {
        let identity = caller.map(Drawn::identity);
        let address = caller.map_or(Ipv4Addr::new(10, 1, 0, 9), Drawn::address);
        let claim = Claim {
            caller: Fact::Known(identity.as_ref()),
            address: Fact::Known(address.into()),
            token: Token::Absent,
            consent: Consent::NOT_ASKED,
        };
        let mut story = Story::default();
        let policy = table.inbound(&pods[0].id(), port).unwrap();
        let verdict = policy.explain(&claim, None, &mut story);
        let code = match verdict {
            Verdict::Deny(denied) => denied.code().as_str(),
            Verdict::Allow(_) => "allowed",
            Verdict::Undecided(_) => "undecided",
        };
        let access = story.steps.last().unwrap();
        let at = |origin: &Option<Origin>| {
            let place = origin.as_ref().and_then(|origin| origin.place.clone());
            place.map_or_else(String::new, |place| {
                format!(" ({}:{})", place.file, place.line)
            })
        };
        let details = access.details.iter();
        let details = details.map(|it| format!("\n  {}{}", it.text, at(&it.origin)));
        let details = details.collect::<String>();
        format!("{code}: {}{}{details}", access.text, at(&access.origin))
    };
    assert_eq!(
        told(Some(&pods[1]), 8080),
        "allowed: no rule speaks of it, and the default is to allow\n  \
         NetworkPolicy shop/cart rule 1 lets it in (mesh.yaml:10)\n  \
         NetworkPolicy shop/cart rule 2 no: it does not name the caller (mesh.yaml:11)"
    );
    assert_eq!(
        told(Some(&pods[1]), 9090),
        "R003: NetworkPolicy shop/cart lets in others, or to other ports, alone (mesh.yaml:9)\n  \
         NetworkPolicy shop/cart rule 1 no: it is not about port 9090 (mesh.yaml:10)\n  \
         NetworkPolicy shop/cart rule 2 no: it does not name the caller (mesh.yaml:11)"
    );
    assert!(told(Some(&pods[2]), 8080).starts_with("R003: NetworkPolicy shop/cart"));
    assert_eq!(
        told(Some(&pods[3]), 9090),
        "R003: NetworkPolicy shop/nobody and 1 more let the caller out to others, or to other ports, alone (mesh.yaml:18)\n  \
         NetworkPolicy shop/cart rule 1 no: it is not about port 9090 (mesh.yaml:10)\n  \
         NetworkPolicy shop/cart rule 2 lets it in (mesh.yaml:11)\n  \
         NetworkPolicy shop/out rule 1 no: it is not about port 9090 (mesh.yaml:15)"
    );
    assert!(told(Some(&pods[3]), 8080).contains("shop/out rule 1 lets it out (mesh.yaml:15)"));
    // Who came in plain, came through the network of the cluster, which saw the port.
    assert_eq!(
        told(None, 9090),
        "allowed: no rule speaks of it, and the default is to allow"
    );
}

#[test]
fn what_the_network_of_a_cluster_would_drop_of_the_mesh_is_told() {
    let told = |policies: &[(&str, &str)]| {
        let policies = policies.iter().map(|(name, spec)| policy(name, spec));
        let text = format!("{WORLD}{}", policies.collect::<String>());
        let pods = [pod("shop", "cart", 1), pod("bank", "web", 2)];
        let (_, notes) = mesh(&text, pods.iter().map(Drawn::pod));
        let ours = notes
            .iter()
            .filter(|it| [Code::C205, Code::C206].contains(&it.code));
        let told = ours.map(|note| {
            let origin = note.origin.as_ref().unwrap();
            format!(
                "{} {} {}: {}",
                note.code, origin.object.name, origin.pointer, note.message
            )
        });
        told.collect::<Vec<_>>().join("\n")
    };
    let web = "{ingress: [{from: [{podSelector: {}}], ports: [{port: 8080}]}]}";
    let shut = "C205 web /spec/ingress/0/ports: it is about pods of the mesh, and does not allow ingress to port 15008";
    assert_eq!(told(&[("web", web)]), shut);
    // What another policy about the same pods lets through comes through.
    let tunnel = "{podSelector: {}, ingress: [{ports: [{port: 15008}]}]}";
    assert_eq!(told(&[("web", web), ("tunnel", tunnel)]), "");
    let others = "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 15008}]}]}";
    assert_eq!(told(&[("web", web), ("tunnel", others)]), shut);
    let some =
        "{ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 15008}]}]}";
    assert_eq!(told(&[("web", web), ("tunnel", some)]), shut);
    // So it does where several policies do so together, and where one asks less of whom it lets through.
    let two = "{ingress: [{from: [{podSelector: {matchLabels: {app: web, tier: a}}}, \
               {namespaceSelector: {matchLabels: {team: b}}}], ports: [{port: 8080}]}]}";
    let team = "{ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}}], ports: [{port: 15008}]}]}";
    assert_eq!(told(&[("web", two), ("tunnel", some), ("team", team)]), "");
    assert_eq!(told(&[("web", two), ("tunnel", some)]), shut);
    for open in [
        "{}",
        "{ingress: [{}]}",
        "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 8080}]}]}",
        "{ingress: [{ports: [{port: 53, protocol: UDP}]}, {ports: [{port: 15000, endPort: 15010}]}]}",
        "{policyTypes: [Egress], egress: [{}], ingress: [{ports: [{port: 8080}]}]}",
    ] {
        assert_eq!(told(&[("open", open)]), "", "{open}");
    }
    assert_eq!(
        told(&[(
            "out",
            "{ingress: [{}], egress: [{ports: [{port: 53}]}, {ports: [{port: 5432}]}]}"
        )]),
        "C205 out /spec/egress/1/ports: it is about pods of the mesh, and does not allow egress to port 15008, \
         egress to port 15012 of leno-system"
    );
    // Who calls nobody has a proxy all the same.
    let nobody = "{policyTypes: [Egress]}";
    let cut = |name: &str, pointer: &str| {
        format!(
            "C205 {name} {pointer}: it is about pods of the mesh, and does not allow egress to port 15012 of leno-system"
        )
    };
    assert_eq!(told(&[("nobody", nobody)]), cut("nobody", "/spec"));
    let dns = "{policyTypes: [Egress], egress: [{ports: [{port: 53}, {port: 53, protocol: UDP}]}]}";
    assert_eq!(
        told(&[("dns", dns), ("nobody", nobody)]),
        cut("dns", "/spec/egress/0/ports")
    );
    let mesh = "{policyTypes: [Egress], egress: [{ports: [{port: 15012}]}]}";
    assert_eq!(told(&[("nobody", nobody), ("mesh", mesh)]), "");
}

#[test]
fn it_is_told_that_nobody_holds_ports_in_another_mesh() {
    let peer = "---\n{apiVersion: leno.dev/v1alpha1, kind: MeshPeer, metadata: {name: bank},\n \
                spec: {trustDomain: bank.example, endpoint: {url: 'https://bank.example/', profile: Web}}}\n";
    let out = policy(
        "out",
        "{policyTypes: [Egress], egress: [{ports: [{port: 5432}, {port: 15008}]}, {ports: [{port: 15012}]}]}",
    );
    for (peer, expect) in [("", &[][..]), (peer, &[Code::C206])] {
        let text = format!("{WORLD}{out}{peer}");
        let (_, notes) = mesh(&text, [pod("shop", "cart", 1).pod()]);
        let told = notes.iter().map(|note| note.code);
        let told: Vec<_> = told
            .filter(|code| [Code::C205, Code::C206].contains(code))
            .collect();
        assert_eq!(told, expect);
    }
}

#[test]
fn who_refuses_is_not_taken_for_a_policy_that_selects_the_caller_if_nobody_says_so() {
    let out = |app: &str| {
        let spec =
            format!("{{podSelector: {{matchLabels: {{app: {app}}}}}, policyTypes: [Egress]}}");
        policy(app, &spec)
    };
    let pods = [
        pod("bank", "cart", 1),
        pod("shop", "api", 2),
        pod("shop", "web", 3),
    ];
    let refused = |policies: &[String]| {
        let text = format!("{WORLD}{}", policies.concat());
        let (mesh, _) = mesh(&text, pods.iter().map(Drawn::pod));
        let table = table(&mesh, pods[0].id());
        let identity = pods[2].identity();
        let policy = table.inbound(&pods[0].id(), 8080).unwrap();
        match policy.judge_stream(&claim(&identity, Fact::Known(pods[2].address()))) {
            Verdict::Deny(denied) => denied.to_string(),
            Verdict::Allow(_) | Verdict::Undecided(_) => "let in".into(),
        }
    };
    let alone = "the caller out to others, or to other ports, alone";
    let one = format!("NetworkPolicy shop/web lets {alone}");
    assert_eq!(refused(&[out("web")]), one);
    let like = format!("policies like NetworkPolicy shop/api let {alone}");
    assert_eq!(refused(&[out("api"), out("web")]), like);
    let all = policy("all", "{policyTypes: [Egress]}");
    let every = format!("NetworkPolicy shop/all lets {alone}");
    assert_eq!(refused(&[out("api"), out("web"), all]), every);
}

#[test]
fn nobody_is_kept_from_itself() {
    let none = policy("none", "{policyTypes: [Ingress, Egress]}");
    let pods = [pod("shop", "web", 1), pod("shop", "web", 2)];
    let (mesh, _) = mesh(&format!("{WORLD}{none}"), pods.iter().map(Drawn::pod));
    let table = table(&mesh, pods[0].id());
    let policy = table.inbound(&pods[0].id(), 8080).unwrap();
    let is_let_in = |caller: &Drawn, address: Ipv4Addr| {
        let identity = caller.identity();
        let verdict = policy.judge_stream(&claim(&identity, Fact::Known(address)));
        matches!(verdict, Verdict::Allow(_))
    };
    let [own, other] = [&pods[0], &pods[1]];
    assert!(is_let_in(own, own.address()));
    assert!(!is_let_in(other, other.address()));
    let stranger = pod("shop", "api", 1);
    assert!(!is_let_in(&stranger, own.address()));
}

/// Workloads that each call the next, by a policy of their own, and are let out to the mesh's port wherever it is.
fn each_calls_the_next(count: usize) -> String {
    let mut text = WORLD.to_owned();
    for number in 0..count {
        let next = (number + 1) % count;
        writeln!(
            text,
            "---\n{{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {{name: w{number}, namespace: shop, \
             labels: {{app: w{number}}}}}, spec: {{instances: [{{address: 10.1.0.{number}}}]}}}}"
        )
        .unwrap();
        let spec = format!(
            "{{podSelector: {{matchLabels: {{app: w{number}}}}}, policyTypes: [Egress], egress: [{{ports: [{{port: 15008}}]}},\n \
             {{to: [{{podSelector: {{matchLabels: {{app: w{next}}}}}}}], ports: [{{port: 8080}}]}}]}}"
        );
        text.push_str(&policy(&format!("w{number}"), &spec));
    }
    text
}

/// How often callers of workloads are told of, and how many accounts are named in all lists of them together.
fn size(mesh: &Mesh) -> (usize, usize) {
    let isolations = mesh.instances.values().map(|it| &it.workload.isolation);
    let told: Vec<_> = isolations.flatten().flat_map(|it| &it.egress).collect();
    let lists = told
        .iter()
        .map(|egress| (Arc::as_ptr(&egress.callers), &egress.callers));
    let lists: BTreeMap<_, _> = lists.collect();
    let accounts = lists.values().map(|callers| callers.accounts.len());
    (told.len(), accounts.sum())
}

#[test]
fn what_is_told_of_callers_grows_with_those_whom_a_rule_lets_out_to_who_is_called() {
    let text = each_calls_the_next(200);
    let (without, _) = mesh(&text, []);
    assert_eq!(size(&without), (400, 200));

    // Where one lets a caller out to each of them by its address, all of them are told apart: the other callers are not.
    let blocks: Vec<_> = (0..200)
        .map(|last| format!("{{ipBlock: {{cidr: 10.1.0.{last}/32}}}}"))
        .collect();
    let rules = blocks
        .chunks(40)
        .map(|some| format!("{{to: [{}], ports: [{{port: 9090}}]}}", some.join(", ")));
    let spec = format!(
        "{{podSelector: {{matchLabels: {{app: w0}}}}, policyTypes: [Egress], egress: [{}]}}",
        rules.collect::<Vec<_>>().join(", ")
    );
    let (with, _) = mesh(&format!("{text}{}", policy("blocks", &spec)), []);
    assert_eq!(size(&with), (599, 200));

    // Nor are they where each of the policies means all pods but some by their addresses.
    let spec = |number| {
        format!(
            "{{podSelector: {{matchLabels: {{app: w{number}}}}}, policyTypes: [Egress],\n \
             egress: [{{to: [{{ipBlock: {{cidr: 10.1.0.0/16, except: [10.1.0.{number}/32]}}}}], ports: [{{port: 9090}}]}}]}}"
        )
    };
    let but: String = (0..200)
        .map(|number| policy(&format!("but-{number}"), &spec(number)))
        .collect();
    let (with, _) = mesh(&format!("{text}{but}"), []);
    assert_eq!(size(&with), (600, 200));
}

#[test]
fn who_is_not_known_yet_is_held_by_the_policies_about_everybody() {
    let all = policy(
        "all",
        "{policyTypes: [Egress], egress: [{ports: [{port: 8080}, {port: 15008}]}]}",
    );
    let web = policy(
        "web",
        "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 9090}]}]}",
    );
    let pods = [pod("shop", "cart", 1), pod("shop", "web", 2)];
    let (mesh, _) = mesh(&format!("{WORLD}{all}{web}"), pods.iter().map(Drawn::pod));
    let table = table(&mesh, pods[0].id());
    let lets = |caller: &Drawn, port: u16| {
        let identity = caller.identity();
        let policy = table.inbound(&pods[0].id(), port).unwrap();
        let verdict = policy.judge_stream(&claim(&identity, Fact::Known(caller.address())));
        matches!(verdict, Verdict::Allow(_))
    };
    let ports = [8080, 9090, 22];
    let new = [pod("shop", "new", 3), pod("bank", "new", 4)];
    assert_eq!(ports.map(|port| lets(&pods[1], port)), [true, true, false]);
    assert_eq!(ports.map(|port| lets(&new[0], port)), [true, false, false]);
    assert_eq!(ports.map(|port| lets(&new[1], port)), [true; 3]);
}
