//! What travels between control plane and proxy.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use leno_compile::{ViewOf, compile};
use leno_model::view::{View, WorkloadId};
use leno_model::{Name, Namespace, SpiffeId, TrustDomain, Wall};
use leno_resources::Resources;
use leno_wire::certificates::{Evidence, Issued, Join, Leave, Readmit, Renew, Time};
use leno_wire::flows::{Report, Taken};
use leno_wire::part::parts_of;
use leno_wire::questions::{Posed, Told};
use leno_wire::{Client, Misfit, Part, Request, Response};

use super::Target;

pub(super) const PART: Target = Target {
    name: "wire-part",
    holds: "a part of a view that is understood is written in one way, and read again as the same",
    seeds: || parts_of(&view()).iter().map(Part::encode).collect(),
    words: WORDS,
    check: |input| is_canonical(Part::decode, Part::encode, input),
};

pub(super) const MESSAGE: Target = Target {
    name: "wire-message",
    holds: "a message that is understood is written in one way, and read again as the same",
    seeds: messages,
    words: WORDS,
    check: |input| {
        [
            is_canonical(Request::decode, Request::encode, input),
            is_canonical(Response::decode, Response::encode, input),
            is_canonical(Posed::decode, Posed::encode, input),
            is_canonical(Told::decode, Told::encode, input),
            is_canonical(Report::decode, Report::encode, input),
            is_canonical(Taken::decode, |taken| taken.encode(), input),
            is_canonical(Renew::decode, Renew::encode, input),
            is_canonical(Readmit::decode, Readmit::encode, input),
            is_canonical(Leave::decode, Leave::encode, input),
            is_canonical(Issued::decode, Issued::encode, input),
            is_canonical(Time::decode, |time| time.encode(), input),
            Join::decode(input)
                .is_ok_and(|join| Join::decode(&join.encode()).is_ok_and(|again| again == join)),
        ]
        .contains(&true)
    },
};

/// Lengths, tags and numbers as protobuf has them.
pub(super) const WORDS: &[&str] = &[
    "\u{8}",
    "\u{a}",
    "\u{12}",
    "\u{1a}",
    "\u{7f}",
    "shop",
    "cart",
    "cluster.local",
    "(^a+)+$",
    "spiffe://shop.local/ns/shop/sa/web",
    "part/",
    "commit",
];

fn is_canonical<T: PartialEq + Debug>(
    decode: impl Fn(&[u8]) -> Result<T, Misfit>,
    encode: impl Fn(&T) -> Vec<u8>,
    input: &[u8],
) -> bool {
    let Ok(value) = decode(input) else {
        return false;
    };
    let bytes = encode(&value);
    let again = decode(&bytes).expect("what is written is understood");
    assert_eq!(again, value);
    assert_eq!(encode(&again), bytes, "one value, one text");
    true
}

/// The view of the proxy of one workload in an ordinary mesh.
pub(super) fn view() -> View {
    let files = [("mesh.yaml", MESH.as_bytes().to_vec())];
    let (resources, _) = Resources::read(files, &Namespace::default_namespace());
    let (mesh, _) = compile(&resources);
    let workload = WorkloadId {
        namespace: Namespace::new("shop").expect("a label"),
        name: Name::new("cart").expect("a name"),
    };
    let workloads = BTreeSet::from([workload]);
    mesh.view(ViewOf {
        workloads: &workloads,
    })
}

fn messages() -> Vec<Vec<u8>> {
    let identity = SpiffeId::parse("spiffe://shop.local/ns/shop/sa/web").expect("an identity");
    let trust_domain = TrustDomain::new("shop.local").expect("a name");
    let mut client = Client::new("web");
    let hello = client.poll_request().expect("it greets");
    let join = Join {
        evidence: Evidence::Token {
            id: "a1".to_owned(),
            secret: vec![7; 16],
        },
        namespace: None,
        service_account: Some("web".to_owned()),
        request: vec![0x30, 0],
    };
    let renew = Renew {
        identity,
        request: vec![0x30, 0],
        pod: None,
    };
    let issued = Issued {
        chain: vec![vec![0x30, 0], vec![0x30, 1, 0]],
        trust_domain,
        roots: vec![vec![0x30, 0]],
    };
    let posed = Posed::Ask {
        number: 7,
        question: b"{}".to_vec(),
    };
    let told = Told::Line {
        number: 7,
        line: b"{}".to_vec(),
    };
    let taken = Taken {
        sequence: 7,
        refused: 1,
        pause: Duration::from_secs(10),
    };
    let answers = super::delta::answers();
    let answers = answers.iter().map(Response::encode);
    let others = [
        hello.encode(),
        join.encode(),
        renew.encode(),
        issued.encode(),
        posed.encode(),
        told.encode(),
        taken.encode(),
        Time(Wall::since_epoch(Duration::from_secs(1_795_168_800))).encode(),
    ];
    answers.chain(others).collect()
}

pub(super) const MESH: &str = "
kind: Mesh
apiVersion: leno.dev/v1alpha1
metadata: {name: shop}
spec: {trustDomain: shop.local, mtls: Strict, default: Deny}
---
kind: MeshWorkload
apiVersion: leno.dev/v1alpha1
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {instances: [{address: 10.0.0.2}]}
---
kind: MeshWorkload
apiVersion: leno.dev/v1alpha1
metadata: {name: cart, namespace: shop, labels: {app: cart}}
spec: {ports: [{port: 8080, protocol: HTTP}, {port: 6379, protocol: TCP}], instances: [{address: 10.0.0.3}, {address: 'fd00::3'}]}
---
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  rules: [{callers: [{identity: shop/web}], requests: [{methods: [GET], paths: [{value: /items}]}]}]
---
kind: TrafficPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: cart, namespace: shop}
spec: {targetRefs: [{kind: Service, name: cart}], timeouts: {connect: 1s, request: 4s}}
---
kind: HTTPRoute
apiVersion: gateway.networking.k8s.io/v1
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{kind: Service, group: '', name: cart, port: 8080}]
  rules:
  - matches: [{path: {type: RegularExpression, value: '/v[0-9]+/.*'}, headers: [{name: x-user, value: ann}]}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: b}]}}]
    backendRefs: [{name: cart, port: 8080}]
";
