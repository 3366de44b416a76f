//! cert-manager itself gives the control plane its intermediate: its controllers and its webhook, as its module has them.

use std::fs;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use leno_cluster::{Cluster, Placement, Tier};
use leno_e2e::{Process, World, until, within};
use leno_identity::Fingerprint;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose};

use crate::beside::root;
use crate::control::{start, told, until_told};
use crate::install::{PATIENCE, inside};
use crate::sidecar::{check, get, shop, until_ready};

const GUIDE: &str = include_str!("../../../../docs/guides/certificates.md");

/// The YAML of the guide that holds these words.
fn guide(words: &str) -> &'static str {
    let mut blocks = GUIDE.split("```yaml\n").skip(1);
    let blocks = blocks.by_ref().filter_map(|block| block.split_once("```"));
    let mut blocks = blocks.map(|(yaml, _)| yaml);
    blocks
        .find(|yaml| yaml.contains(words))
        .expect("it is there")
}

/// A mesh that says this as well.
fn mesh(spec: &str) -> String {
    format!("apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: shop}}\n{spec}")
}

fn asks(issuer: &str) -> String {
    mesh(&format!(
        "spec: {{ca: {{certManager: {{issuer: {issuer}}}}}}}\n"
    ))
}

/// An issuer that signs by this secret.
fn issuer(name: &str, secret: &str) -> String {
    format!(
        "{{apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {{name: {name}}}, spec: {{ca: {{secretName: {secret}}}}}}}\n"
    )
}

/// Whether `leno check` finds nothing of the authority outside.
fn is_well(world: &World) -> bool {
    let checked = told(world, &["check"]);
    let codes = ["T007", "T018", "T019"];
    !codes.iter().any(|code| checked.contains(code))
}

/// The requests that are there.
fn requests(cluster: &Cluster) -> Vec<String> {
    let get = [
        "get",
        "certificaterequests",
        "-n",
        "leno-system",
        "-o",
        "name",
    ];
    let names = cluster.ask(&get).unwrap();
    names.lines().map(str::to_owned).collect()
}

/// Says of a request what whoever decides on it says; `None` where it is not there any more.
fn decide(cluster: &Cluster, namespace: &str, name: &str, kind: &str) -> Option<()> {
    let status = format!(
        r#"{{"status": {{"conditions": [{{"type": "{kind}", "status": "True", "reason": "policy.example", "message": "as ever"}}]}}}}"#
    );
    let patch = ["patch", name, "-n", namespace, "--subresource=status"];
    let patch = [&patch[..], &["--type=merge", "-p", &status]].concat();
    cluster.ask(&patch).ok().map(drop)
}

/// Lets the control plane ask this issuer, and approves what it asks, until that has led to what is expected.
fn until_given(cluster: &Cluster, issuer: &str, is_it: impl Fn() -> bool) {
    cluster.apply(&asks(issuer)).unwrap();
    let mut approved = Vec::new();
    until(&format!("what comes of {issuer}"), || {
        let of = "{.spec.issuerRef.name}";
        let get = ["get", "certificaterequests", "-n", "leno-system", "-o"];
        let lines = format!("jsonpath={{range .items[*]}}{of} {{.metadata.name}}{{'\\n'}}{{end}}");
        let lines = cluster.ask(&[&get[..], &[&lines]].concat()).unwrap();
        for name in lines.lines().filter_map(|line| line.strip_prefix(issuer)) {
            let name = format!("certificaterequest/{}", name.trim());
            if !approved.contains(&name)
                && decide(cluster, "leno-system", &name, "Approved").is_some()
            {
                approved.push(name);
            }
        }
        is_it().then_some(())
    });
}

/// The certificate in a secret of cert-manager.
fn secret(cluster: &Cluster, name: &str) -> Option<Vec<u8>> {
    let data = "jsonpath={.data.tls\\.crt}";
    let get = ["get", "secret", name, "-n", "cert-manager", "-o", data];
    BASE64_STANDARD.decode(cluster.ask(&get).ok()?).ok()
}

/// The same as Leno names a root.
fn kept(cluster: &Cluster, name: &str) -> Option<String> {
    let root = pem::parse(secret(cluster, name)?).ok()?;
    Some(Fingerprint::of(root.contents()).to_string())
}

/// A cluster that has cert-manager and a control plane, which asks for an authority.
fn begin(asked: &str, without: &[&str]) -> (Cluster, World, Process) {
    let mut cluster = Cluster::start(Tier::Api).unwrap();
    cluster.define_all().unwrap();
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: leno-system}}";
    cluster
        .apply(&format!("{namespace}\n---\n{asked}"))
        .unwrap();
    let world = World::new("");
    let process = start(&world, &cluster.kubeconfig().display().to_string(), &[]);
    process.until_says(&["listening on"]);
    let missing = [
        "T019",
        "cert-manager ClusterIssuer mesh",
        "cert-manager is not installed in this cluster",
    ];
    until_told(&world, &["check"], &missing);
    cluster.add_cert_manager(without).unwrap();
    (cluster, world, process)
}

#[test]
fn cert_manager_is_the_authority_of_a_mesh() {
    let short = "spec:\n  certificates: {lifetime: 1m, intermediateLifetime: 2m}\n";
    let asked = guide("certManager:").replacen("spec:\n", short, 1);
    let (cluster, world, _process) = begin(&mesh(&asked), &[]);

    // Each of what is missing is told, until it is there: the issuer, what the issuer signs by.
    let check = |words: &[&str]| until_told(&world, &["check"], words);
    check(&["T019", "certificaterequest leno-", "not found"]);
    cluster.apply(&issuer("mesh", "mesh-root")).unwrap();
    check(&["T019", "does not have a Ready status condition"]);
    cluster.apply(guide("kind: Certificate\n")).unwrap();
    until("it is in use", || is_well(&world).then_some(()));
    let first = kept(&cluster, "mesh-root").unwrap();
    assert_eq!(root(&world), Some(first.clone()));
    let listed = told(&world, &["certs", "list"]);
    assert!(
        listed.contains("by cert-manager ClusterIssuer mesh"),
        "{listed}"
    );
    until("what was asked is cleared away", || {
        requests(&cluster).is_empty().then_some(())
    });

    // cert-manager replaces the root, as it does when that is old; the next intermediate is of the new one.
    let issuing = r#"{"status": {"conditions": [{"type": "Issuing", "status": "True", "reason": "Renewed", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}"#;
    let patch = ["patch", "certificate", "mesh-root", "-n", "cert-manager"];
    let patch = [
        &patch[..],
        &["--subresource=status", "--type=merge", "-p", issuing],
    ]
    .concat();
    cluster.ask(&patch).unwrap();
    let next = until("another root", || {
        kept(&cluster, "mesh-root").filter(|next| *next != first)
    });
    let signs = within(PATIENCE, || (root(&world)? == next).then_some(()));
    assert_eq!(signs, Some(()), "the next root signs");
    until("it is in use", || is_well(&world).then_some(()));
}

/// Makes a root that may have no authority below it, as a secret of cert-manager.
fn lay_narrow_root(cluster: &Cluster, world: &World) {
    let key = KeyPair::generate().unwrap();
    let mut narrow = CertificateParams::default();
    narrow.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    narrow.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let certificate = narrow.self_signed(&key).unwrap();
    let [certificate_file, key_file] =
        ["narrow.pem", "narrow.key"].map(|file| world.folder().join(file));
    let text = |label, bytes: &[u8]| pem::encode(&pem::Pem::new(label, bytes));
    fs::write(&certificate_file, text("CERTIFICATE", certificate.der())).unwrap();
    fs::write(&key_file, text("PRIVATE KEY", key.serialized_der())).unwrap();
    let files = [("cert", certificate_file), ("key", key_file)];
    let [certificate, key] = files.map(|(option, file)| format!("--{option}={}", file.display()));
    let create = ["create", "secret", "tls", "narrow", "-n", "cert-manager"];
    let create = [&create[..], &[&certificate, &key]].concat();
    cluster.ask(&create).unwrap();
}

#[test]
fn what_cert_manager_does_not_give_or_not_well_is_told() {
    // Who approves is somebody else, as where a policy does.
    let (cluster, world, _process) = begin(&asks("mesh"), &["certificaterequests-approver"]);
    let made = guide("kind: Certificate\n");
    cluster.apply(made).unwrap();
    lay_narrow_root(&cluster, &world);
    let short = made.replace("87600h", "1h").replace("mesh-root", "short");
    cluster
        .apply(&short.replace("name: mesh}", "name: short}"))
        .unwrap();
    cluster.apply(&issuer("narrow", "narrow")).unwrap();
    for root in ["mesh-root", "short"] {
        let name = format!("certificaterequest/{root}-1");
        until("cert-manager asks for a root", || {
            decide(&cluster, "cert-manager", &name, "Approved")
        });
    }

    // It waits for as long as nobody decides. A denied one stands until somebody deletes it.
    let asked = || until("a request", || requests(&cluster).first().cloned());
    let name = asked();
    until_told(&world, &["check"], &["T019", "nobody has approved it"]);
    decide(&cluster, "leno-system", &name, "Denied").unwrap();
    let denied = "policy.example: as ever; delete it to have another made";
    until_told(&world, &["check"], &["T019", denied]);
    cluster
        .ask(&["delete", &name, "-n", "leno-system"])
        .unwrap();
    let another = asked();
    assert_ne!(another, name);

    // What is given and cannot be used; what cannot be given, which is asked for again.
    for (issuer, said) in [
        (
            "narrow",
            "its root is not fit: more authorities stand below it than its path length allows",
        ),
        ("short", "it, or an authority above it, ends at"),
        ("selfsigned", "Failed: Annotation"),
    ] {
        until_given(&cluster, issuer, || told(&world, &["check"]).contains(said));
    }
    let told_of = || {
        let checked = told(&world, &["check"]);
        let (_, name) = checked.split_once("certificaterequest ")?;
        Some(name.split_once(':')?.0.to_owned())
    };
    let failed = until("it is named", told_of);
    until("another is made in its place", || {
        told_of().filter(|name| *name != failed)
    });

    // Of Kubernetes' own requests cert-manager makes authorities only where an annotation says so.
    let root_file = world.folder().join("root.pem");
    fs::write(&root_file, secret(&cluster, "mesh-root").unwrap()).unwrap();
    let signer = "clusterissuers.cert-manager.io/mesh";
    let spec = format!(
        "{{kubernetes: {{signer: {signer}, rootFile: {}}}}}",
        root_file.display()
    );
    cluster
        .apply(&mesh(&format!("spec: {{ca: {spec}}}\n")))
        .unwrap();
    until("it is no authority", || {
        let names = cluster.ask(&["get", "csr", "-o", "name"]).unwrap();
        let names: Vec<_> = names.lines().collect();
        let approve = [&["certificate", "approve"], &names[..]].concat();
        drop(cluster.ask(&approve));
        let said = "the certificate is not an authority's";
        told(&world, &["check"]).contains(said).then_some(())
    });

    let signs = kept(&cluster, "mesh-root").unwrap();
    until_given(&cluster, "mesh", || {
        root(&world).is_some_and(|root| root == signs)
    });
    until("it is in use", || is_well(&world).then_some(()));
}

/// Two pods whose proxies prove themselves by what cert-manager's root has signed, with what the guide says alone.
#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn pods_prove_themselves_below_a_root_of_cert_manager() {
    let mut cluster = Cluster::for_leno().unwrap();
    cluster.add_cert_manager(&[]).unwrap();
    cluster.install_leno(Placement::Sidecar).unwrap();
    cluster.apply(&shop(Placement::Sidecar)).unwrap();
    for deployment in ["cart", "web"] {
        until_ready(&cluster, "shop", deployment);
    }
    let is_got = || get(&cluster, "shop", "web", "http://cart:80/items").starts_with("cart-");
    cluster
        .until("web gets it", || is_got().then_some(()))
        .unwrap();
    let told = |arguments: &[&str], words: &str| {
        let told = || Some(inside(&cluster, arguments)).filter(|told| told.contains(words));
        cluster.until(words, told).unwrap()
    };

    // The mesh changes from its own root to the issuer's, once the control plane may ask; nothing is restarted.
    cluster.apply(guide("kind: Certificate\n")).unwrap();
    let mesh = mesh(guide("certManager:")).replace("name: shop", "name: default");
    cluster.apply(&mesh).unwrap();
    let forbidden = "certificaterequests.cert-manager.io is forbidden";
    let is_said = || check(&cluster).contains(forbidden).then_some(());
    cluster.until("it may not ask", is_said).unwrap();
    cluster
        .apply(guide("resources: [certificaterequests]"))
        .unwrap();
    told(&["certs", "list"], "by cert-manager ClusterIssuer mesh");
    let signs = kept(&cluster, "mesh-root").unwrap();
    told(&["certs", "list"], &format!("{signs}  signs"));
    for workload in ["shop/cart", "shop/web"] {
        inside(&cluster, &["certs", "renew", workload]);
    }
    assert!(is_got());
    told(&["check", "-n", "shop"], "no problem");
}
