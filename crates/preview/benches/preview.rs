//! How long it takes to judge what was recorded by another configuration. Run it by
//! `cargo bench -p leno-preview --bench preview`. Times are medians.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leno_compile::{Mesh, compile};
use leno_model::flow::{Kind, Side, What};
use leno_model::{Namespace, Wall};
use leno_preview::{Ground, Seen, Verdict, preview};
use leno_resources::Resources;

/// How many services there are, each called by so many others in so many ways.
const SERVICES: usize = 200;
const CALLERS: usize = 50;
const REQUESTS: [usize; 2] = [10, 100];

/// How often each is judged.
const TIMES: usize = 3;

fn main() {
    let (before, after) = (mesh(false), mesh(true));
    println!("kinds of call  ms  undecided %  breaks %");
    for requests in REQUESTS {
        let mut times = Vec::new();
        let mut shares = (0.0, 0.0);
        for _ in 0..TIMES {
            #[expect(clippy::disallowed_methods, reason = "this measures")]
            let began = Instant::now();
            let grounds = [&before, &after].map(Ground::new);
            let told = preview(&grounds[0], &grounds[1], kinds(requests), []);
            times.push(began.elapsed());
            let share = |verdict| {
                let calls = told.calls.get(&verdict).copied().unwrap_or_default();
                calls as f64 * 100.0 / told.kinds as f64
            };
            shares = (share(Verdict::Undecided), share(Verdict::Breaks));
        }
        times.sort_unstable();
        let millis = times[TIMES / 2].as_secs_f64() * 1e3;
        let kinds = SERVICES * CALLERS * requests;
        let (undecided, breaks) = shares;
        println!("{kinds}  {millis:.0}  {undecided:.1}  {breaks:.1}");
    }
}

/// Services with a route of two rules and a policy of ten each; a `change` takes a caller and a path
/// from every policy, and lets every tenth ask for a header that nobody recorded.
fn mesh(change: bool) -> Mesh {
    let mut text = String::from(
        "{apiVersion: leno.dev/v1alpha1, kind: Mesh, metadata: {name: bench}, spec: {default: Deny}}\n",
    );
    for number in 0..SERVICES {
        let name = format!("service-{number}");
        let mut rules = String::new();
        for rule in usize::from(change)..10 {
            let callers = (0..CALLERS / 10).map(|caller| {
                let caller = (number + 1 + rule * (CALLERS / 10) + caller) % SERVICES;
                format!("{{identity: shop/service-{caller}}}")
            });
            let callers = callers.collect::<Vec<_>>().join(", ");
            let header = match change && number % 10 == 0 {
                true => ", headers: [{name: x-role, value: clerk}]",
                false => "",
            };
            let paths = match rule {
                0 => "[{value: /v1}]".to_owned(),
                _ => "[{value: /v1}, {type: Template, value: '/v2/{id}/**'}]".to_owned(),
            };
            write!(
                rules,
                "{{callers: [{callers}], requests: [{{paths: {paths}{header}}}]}}, "
            )
            .expect("a text takes text");
        }
        write!(
            text,
            "---\n{{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {{name: {name}, namespace: shop}}, \
             spec: {{ports: [{{port: 8080, protocol: HTTP}}], instances: [{{address: 10.0.{}.{}}}]}}}}\n\
             ---\n{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: {name}, namespace: shop}}, \
             spec: {{parentRefs: [{{group: '', kind: Service, name: {name}}}], rules: [\
             {{matches: [{{path: {{value: /v2}}}}], backendRefs: [{{name: {name}, port: 8080}}]}}, \
             {{backendRefs: [{{name: {name}, port: 8080}}]}}]}}}}\n\
             ---\n{{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {{name: {name}, namespace: shop}}, \
             spec: {{targetRefs: [{{kind: MeshWorkload, name: {name}}}], rules: [{rules}]}}}}\n",
            number / 250,
            number % 250 + 1,
        )
        .expect("a text takes text");
    }
    let shop = Namespace::new("shop").expect("it is a name");
    let (resources, _) = Resources::read([(Arc::from("bench.yaml"), text.into_bytes())], &shop);
    let (mut mesh, _) = compile(&resources);
    for id in mesh.instances.keys().cloned().collect::<Vec<_>>() {
        mesh.set_tunnel(&id, Some(([10, 0, 0, 1], 15008).into()));
    }
    mesh
}

/// So many requests of each caller to each service, all different.
fn kinds(requests: usize) -> impl Iterator<Item = (Kind, Seen)> {
    let name = |number: usize| Arc::<str>::from(format!("shop/service-{}", number % SERVICES));
    let names: Vec<_> = (0..SERVICES).map(name).collect();
    let shapes = (0..requests).map(|number| match number % 2 {
        0 => Arc::<str>::from(format!("/v1/items/part-{{id}}/kind{number}")),
        _ => Arc::<str>::from(format!("/v2/{{id}}/kind{number}")),
    });
    let shapes: Vec<_> = shapes.collect();
    let (get, mtls) = (Arc::<str>::from("GET"), Arc::<str>::from(Kind::MTLS));
    let at = Wall::since_epoch(Duration::from_secs(1));
    let seen = Seen {
        count: 1,
        first: at,
        last: at,
    };
    (0..SERVICES * CALLERS * requests).map(move |number| {
        let (edge, request) = (number / requests, number % requests);
        let (to, caller) = (edge / CALLERS, edge % CALLERS);
        let kind = Kind {
            side: Side::Source,
            from: names[(to + 1 + caller) % SERVICES].clone(),
            to: names[to].clone(),
            port: 8080,
            peer: None,
            route: None,
            backend: None,
            security: mtls.clone(),
            what: What::Requests {
                method: get.clone(),
                shape: shapes[request].clone(),
                status: 200,
            },
            facts: None,
            failure: None,
        };
        (kind, seen)
    })
}
