//! A shop before and after a change, and calls in it as words.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use leno_compile::{Mesh, compile};
use leno_model::flow::{Facts, Failure, Kind, Side, What};
use leno_model::{Code, Fault, Name, Namespace, Override, Wall};
use leno_preview::{Ground, Outcome, Row, Seen, preview};
use leno_resources::Resources;

/// The mesh where a configuration has none.
const MESH: &str = "{apiVersion: leno.dev/v1alpha1, kind: Mesh, metadata: {name: shop}, spec: {default: Allow, mtls: Permissive}}";

/// What stands in every configuration: `legacy` has no proxy.
const SHOP: &str = "
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: web, namespace: shop},
 spec: {instances: [{address: 10.0.0.1}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: cart, namespace: shop, labels: {app: cart}},
 spec: {ports: [{port: 8080, protocol: HTTP}], instances: [{address: 10.0.0.2}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: cart-v2, namespace: shop},
 spec: {ports: [{port: 8080, protocol: HTTP}], instances: [{address: 10.0.0.3}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: db, namespace: shop},
 spec: {ports: [{port: 5432, protocol: TCP}], instances: [{address: 10.0.0.4}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: legacy, namespace: shop},
 spec: {instances: [{address: 10.0.0.9}]}}
";

/// The mesh that a file means, with proxies before all but those whose names begin with `legacy`.
pub(crate) fn mesh(text: &str) -> Mesh {
    mesh_with(text, &[])
}

/// The same while these measures hold.
pub(crate) fn mesh_with(text: &str, overrides: &[&str]) -> Mesh {
    let mesh = match text.contains("kind: Mesh,") {
        true => "",
        false => MESH,
    };
    let text = format!("{text}\n---\n{mesh}\n---\n{SHOP}");
    let files = [(Arc::from("shop.yaml"), text.into_bytes())];
    let shop = Namespace::new("shop").unwrap();
    let (mut resources, notes) = Resources::read(files, &shop);
    resources.overrides = (1..)
        .zip(overrides)
        .map(|(number, measure)| Override {
            id: Name::new(&format!("o{number}")).unwrap(),
            measure: measure.parse().unwrap(),
        })
        .collect();
    let (mut mesh, more) = compile(&resources);
    let notes: Vec<_> = notes.into_iter().chain(more).collect();
    let is_bad = |note: &&leno_model::Note| note.severity == leno_model::Severity::Error;
    assert_eq!(notes.iter().find(is_bad), None);
    let ids: Vec<_> = mesh.instances.keys().cloned().collect();
    for id in ids
        .iter()
        .filter(|id| !id.name.as_str().starts_with("legacy"))
    {
        mesh.set_tunnel(id, Some(([10, 0, 1, 1], 15008).into()));
    }
    mesh
}

fn at(minute: u64) -> Wall {
    Wall::since_epoch(Duration::from_secs(60 * minute))
}

/// `web > cart:80 GET /items 200 x12`; `web > api.example:443 tcp` left the mesh; `10.0.0.9 > cart:8080 ..` is told by the proxy of cart, as is a health
/// check, `probe@10.8.0.1 > cart:8080 ..`; a code
/// behind the status refused it, and `rule=2` took it.
pub(crate) fn recorded(line: &str) -> (Kind, Seen) {
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let mut next = || words.next().unwrap();
    let from = next();
    assert_eq!(next(), ">");
    let (to, port) = next().split_once(':').unwrap();
    let method = next();
    let what = match method {
        "tcp" => What::Streams,
        method => What::Requests {
            method: method.into(),
            shape: next().into(),
            status: next().parse().unwrap(),
        },
    };
    let rest: Vec<_> = words.collect();
    let code = rest.iter().find_map(|word| word.parse::<Code>().ok());
    let rule = rest.iter().find_map(|word| word.strip_prefix("rule="));
    let count = rest.iter().find_map(|word| word.strip_prefix('x'));
    let count = count.filter(|count| count.bytes().all(|digit| digit.is_ascii_digit()));
    let facts: String = rest
        .iter()
        .filter_map(|word| word.strip_prefix("fact:"))
        .map(|fact| format!("{fact}\n"))
        .collect();
    let (proves_nothing, address) = match from.strip_prefix("probe@") {
        Some(address) => (Kind::PROBE, address),
        None => (Kind::UNKNOWN, from),
    };
    let peer = address.parse().ok();
    let in_shop = |name: &str| match name {
        Kind::UNKNOWN | Kind::OTHER => name.into(),
        // A host outside the mesh has dots.
        name if name.contains(['/', '.']) => name.into(),
        name => format!("shop/{name}").into(),
    };
    let kind = Kind {
        side: match peer {
            Some(_) => Side::Destination,
            None => Side::Source,
        },
        from: match peer {
            Some(_) => proves_nothing.into(),
            None => in_shop(from),
        },
        to: in_shop(to),
        port: port.parse().unwrap(),
        peer,
        route: rule.map(|rule| format!("HTTPRoute shop/cart rule {rule}").into()),
        backend: None,
        security: Kind::MTLS.into(),
        what,
        facts: Facts::read(&facts),
        failure: code.map(|code| Failure {
            fault: Fault::Caller,
            code: Some(code),
            culprit: None,
        }),
    };
    let seen = Seen {
        count: count.map_or(1, |count| count.parse().unwrap()),
        first: at(1),
        last: at(2),
    };
    (kind, seen)
}

/// Calls, a line each.
pub(crate) fn read(lines: &str) -> Vec<(Kind, Seen)> {
    let lines = lines.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(recorded)
        .collect()
}

fn told(row: &Row) -> String {
    let Outcome {
        verdict,
        refused,
        why,
        origin,
    } = &row.outcome;
    let from = match (&row.workload, row.address) {
        (Some(workload), Some(address)) => format!("{workload} ({address})"),
        (None, Some(address)) => address.to_string(),
        (_, None) => row.from.clone(),
    };
    let requests = row.requests.iter().map(|request| match request.status {
        0 => request.asked.clone(),
        status => format!("{} {status}", request.asked),
    });
    let requests = requests.collect::<Vec<_>>().join(", ");
    let (verdict, count, to) = (verdict.as_str(), row.seen.count, &row.to);
    let mut text = format!("{verdict} {count} {from} > {to}:{} {requests}", row.port);
    if let Some((code, status)) = refused {
        write!(text, " -> {status} {code}").unwrap();
    }
    write!(text, ": {why}").unwrap();
    if let Some(origin) = origin {
        write!(text, " [{} {}]", origin.object, origin.pointer).unwrap();
    }
    text
}

/// Two configurations, calls a line each, and what the change means for those that do not stay the same.
pub(crate) fn check(before: &str, after: &str, calls: &str, expect: &str) {
    check_with_earlier(before, after, calls, "", expect);
}

/// The same with calls of earlier; those that did not come again begin with `silent:`.
pub(crate) fn check_with_earlier(
    before: &str,
    after: &str,
    calls: &str,
    earlier: &str,
    expect: &str,
) {
    let (before, after) = (mesh(before), mesh(after));
    let (before, after) = (Ground::new(&before), Ground::new(&after));
    let preview = preview(&before, &after, read(calls), read(earlier));
    let rows = preview.rows.iter().map(told);
    let silent = preview
        .silent
        .iter()
        .map(|row| format!("silent: {}", told(row)));
    let text: Vec<_> = rows.chain(silent).collect();
    let lines = expect.lines().map(str::trim);
    let expect: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    assert_eq!(text, expect, "\n{}", text.join("\n"));
    let judged: u64 = preview.calls.values().sum();
    assert_eq!(
        judged,
        read(calls).iter().map(|(_, seen)| seen.count).sum::<u64>()
    );
}
