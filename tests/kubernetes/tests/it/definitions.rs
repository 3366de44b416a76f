//! What an API server refuses by the definitions of Leno's kinds alone, before anybody else is asked.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use leno_cluster::{Cluster, Tier};

/// An object of this kind that says so.
fn object(kind: &str, spec: &str) -> String {
    let place = match kind {
        "Mesh" | "MeshPeer" => "",
        _ => ", namespace: default",
    };
    format!(
        "apiVersion: leno.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: cart{place}}}\nspec: {spec}\n"
    )
}

/// What is broken, and what of it the API server says.
const BROKEN: [(&str, &str, &str); 20] = [
    (
        "AccessPolicy",
        "{rules: [{callers: [{}]}]}",
        "one of identity, namespace, trustDomain and ipBlock is expected",
    ),
    (
        "AccessPolicy",
        "{rules: [{requests: [{}]}]}",
        "one of ports, methods, hosts, paths, headers, grpc and claims is expected",
    ),
    (
        "AccessPolicy",
        "{rules: [{requests: [{paths: [{value: /a}], grpc: [{service: a.B}]}]}]}",
        "grpc and paths are both about the path: write two requests",
    ),
    (
        "AccessPolicy",
        "{rules: [{requests: [{ports: [0]}]}]}",
        "should be greater than or equal to 1",
    ),
    (
        "AccessPolicy",
        "{rules: [{callers: []}]}",
        "should have at least 1 items",
    ),
    (
        "AccessPolicy",
        "{rules: [{callers: [{ipBlock: ten}]}]}",
        "should match",
    ),
    (
        "AccessPolicy",
        "{targetRefs: [{kind: Service, name: cart, port: 80, sectionName: http}]}",
        "sectionName and port both say which port: write one",
    ),
    (
        "AccessPolicy",
        "{targetRefs: [{kind: Namespace, name: default, port: 80}]}",
        "only a Service and a MeshWorkload have ports",
    ),
    (
        "AccessPolicy",
        "{outbound: {}}",
        "one of default and rules is expected",
    ),
    (
        "AccessPolicy",
        "{jwt: {issuers: [{issuer: a, audiences: [b], jwks: {inline: '{}', file: /keys}}]}}",
        "one of inline, file and url is expected",
    ),
    ("AccessPolicy", "{mtls: Stricht}", "supported values"),
    (
        "TrafficPolicy",
        "{timeouts: {request: '10'}}",
        "should match",
    ),
    (
        "Mesh",
        "{ca: {files: {chain: /chain, key: /key}, kubernetes: {signer: a.b/c, rootFile: /root}}}",
        "one of files, vault, certManager and kubernetes is expected",
    ),
    (
        "Mesh",
        "{certificates: {intermediateLifetime: 36h}}",
        "intermediateLifetime must be at least 2 times lifetime",
    ),
    (
        "Mesh",
        "{tokenIssuers: [{name: ci, issuer: ci, audiences: [leno]}]}",
        "an issuer that is no URL cannot be asked for its keys",
    ),
    (
        "Mesh",
        "{administration: [{role: Viewer}]}",
        "one of person and identity is expected",
    ),
    (
        "MeshPeer",
        "{trustDomain: bank.example}",
        "one of bundle and endpoint is expected",
    ),
    (
        "MeshPeer",
        "{trustDomain: bank.example, bundle: {inline: '{}'}, \
         endpoint: {url: 'https://bank', profile: Spiffe, spiffeId: 'spiffe://bank.example.org/a'}}",
        "an endpoint is believed to speak for its own trust domain alone",
    ),
    (
        "MeshWorkload",
        "{run: {command: [cart]}, identity: 'spiffe://bank.example/ns/a/sa/b'}",
        "mean nothing for what runs in another mesh",
    ),
    (
        "MeshWorkload",
        "{attestation: {processes: [{path: /bin/cart}]}}",
        "say user or group",
    ),
];

#[test]
fn what_is_broken_is_refused_and_what_people_are_shown_is_not() {
    let cluster = Cluster::start(Tier::Api).unwrap();
    cluster.define_all().unwrap();
    for (kind, spec, message) in BROKEN {
        let refused = cluster.apply(&object(kind, spec)).unwrap_err().to_string();
        assert!(refused.contains(message), "{spec}: {refused}");
    }
    let documents = examples();
    assert!(documents.len() > 20, "only {}", documents.len());
    let namespaces = documents.iter().flat_map(|(_, text)| namespaces(text));
    let namespaces: BTreeSet<_> = namespaces.collect();
    for namespace in namespaces {
        let namespace =
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n");
        cluster.apply(&namespace).unwrap();
    }
    for (file, text) in documents {
        let taken = cluster.apply(&text);
        assert!(taken.is_ok(), "{}: {taken:?}\n{text}", file.display());
    }
}

/// The objects of Leno's kinds that the repository shows to people.
fn examples() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut documents = Vec::new();
    for folder in fs::read_dir(folder).unwrap() {
        let Ok(files) = fs::read_dir(folder.unwrap().path()) else {
            continue;
        };
        let files = files.map(|file| file.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|it| it == "yaml")) {
            let text = fs::read_to_string(&file).unwrap();
            let ours = text
                .split("\n---")
                .filter(|it| it.contains("leno.dev/v1alpha1"));
            documents.extend(ours.map(|it| (file.clone(), it.to_owned())));
        }
    }
    documents
}

/// The namespaces that a text names.
fn namespaces(text: &str) -> impl Iterator<Item = String> {
    let named = text.split("namespace: ").skip(1);
    named.map(|rest| {
        let name = rest.chars();
        let name = name.take_while(|it| it.is_ascii_alphanumeric() || *it == '-');
        name.collect()
    })
}
