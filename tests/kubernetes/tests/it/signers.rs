//! Who signs in a cluster gives the control plane its intermediate. The API is real; who approves and signs stands in for a person, for
//! a company's signer, and for an issuer of its own that cert-manager knows of. cert-manager itself is in `cert_manager.rs`.

use std::fs;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use leno_channel::{files, generate_key, wall};
use leno_cluster::{Cluster, Tier};
use leno_e2e::{World, until};
use leno_identity::{PublicKey, Root};
use leno_model::{Dice, TrustDomain};

use crate::control::{start, told, until_told};

const DAY: Duration = Duration::from_secs(24 * 3600);

const NAMESPACE: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: leno-system}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: certificaterequests.cert-manager.io}
spec:
  group: cert-manager.io
  scope: Namespaced
  names: {kind: CertificateRequest, plural: certificaterequests, singular: certificaterequest}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

fn mesh(ca: &str) -> String {
    format!(
        "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: shop}}\nspec: {{trustDomain: shop.local, ca: {ca}}}\n"
    )
}

/// A company's authority.
struct Company {
    root: Root,
    folder: std::path::PathBuf,
}

impl Company {
    fn new(world: &World) -> Self {
        let domain = TrustDomain::new("shop.local").unwrap();
        let root = Root::establish(
            &domain,
            generate_key(),
            365 * DAY,
            wall(),
            &mut Dice::new(7),
        );
        let company = Self {
            root: root.unwrap(),
            folder: world.folder().to_owned(),
        };
        let root = company.root.certificate().to_vec();
        files::write_certificates(&company.root_file(), &[root]).unwrap();
        company
    }

    fn root_file(&self) -> std::path::PathBuf {
        self.folder.join("root.pem")
    }

    /// What it gives for a request in PEM, in PEM itself, as an API server takes it: in base64.
    fn sign(&self, request: &str) -> String {
        let request = pem::parse(request).unwrap();
        let key = PublicKey::of_request(request.contents()).unwrap();
        let (mut dice, path) = (Dice::new(8), self.folder.join("signed.pem"));
        let signed = self
            .root
            .sign_intermediate(&key, 30 * DAY, wall(), &mut dice);
        files::write_certificates(&path, &[signed.unwrap()]).unwrap();
        BASE64_STANDARD.encode(fs::read(path).unwrap())
    }
}

/// The request that waits, by its name, and what is asked in it.
fn asked(cluster: &Cluster, kind: &[&str]) -> (String, String) {
    let request = || {
        let names = cluster
            .ask(&[&["get"], kind, &["-o", "name"]].concat())
            .unwrap();
        let name = names.lines().next()?.rsplit('/').next()?.to_owned();
        let text = [
            "get",
            kind[0],
            &name,
            "-o",
            "go-template={{.spec.request | base64decode}}",
        ];
        let text = cluster.ask(&[&text, &kind[1..]].concat()).unwrap();
        Some((name, text))
    };
    until("a request for an authority", request)
}

#[test]
fn who_signs_in_a_cluster_gives_the_control_plane_its_intermediate() {
    let cluster = Cluster::start(Tier::Api).unwrap();
    cluster.define_all().unwrap();
    cluster.apply(NAMESPACE).unwrap();
    let world = World::new("");
    let company = Company::new(&world);
    let root = company.root_file().display().to_string();
    let signer = mesh(&format!(
        "{{kubernetes: {{signer: shop.example/mesh, rootFile: {root}}}}}"
    ));
    cluster.apply(&signer).unwrap();
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let process = start(&world, &kubeconfig, &[]);
    process.until_says(&["listening on"]);

    // It waits for as long as nobody says anything, and says so.
    let (name, request) = asked(&cluster, &["csr"]);
    assert!(request.contains("BEGIN CERTIFICATE REQUEST"), "{request}");
    let waits = format!("certificatesigningrequest {name}: nobody has approved it");
    until_told(
        &world,
        &["check"],
        &["T019", "signer shop.example/mesh", &waits],
    );
    cluster.ask(&["certificate", "approve", &name]).unwrap();
    until_told(&world, &["check"], &["it is approved, and not signed"]);
    let status = format!(
        r#"{{"status": {{"certificate": "{}"}}}}"#,
        company.sign(&request)
    );
    let patch = [
        "patch",
        "csr",
        &name,
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ];
    cluster.ask(&patch).unwrap();
    until_told(&world, &["certs", "list"], &["signer shop.example/mesh"]);
    until("nothing is found", || {
        (!told(&world, &["check"]).contains("T019")).then_some(())
    });

    // An issuer of cert-manager tells the root itself; what it refuses is told in its words.
    cluster
        .apply(&mesh("{certManager: {issuer: mesh}}"))
        .unwrap();
    let requests = ["certificaterequests", "-n", "leno-system"];
    let (name, _) = asked(&cluster, &requests);
    let decide = |name: &str, status: &str| {
        let patch = [
            "patch",
            requests[0],
            name,
            "-n",
            "leno-system",
            "--subresource=status",
            "--type=merge",
        ];
        cluster
            .ask(&[&patch[..], &["-p", status]].concat())
            .unwrap();
    };
    decide(
        &name,
        r#"{"status": {"conditions": [{"type": "Denied", "status": "True", "reason": "policy.cert-manager.io", "message": "no authorities"}]}}"#,
    );
    let denied = format!(
        "certificaterequest {name}: policy.cert-manager.io: no authorities; delete it to have another made"
    );
    until_told(
        &world,
        &["check"],
        &["T007", "cert-manager ClusterIssuer mesh", &denied],
    );
    cluster
        .ask(&["delete", requests[0], &name, "-n", "leno-system"])
        .unwrap();
    let (name, request) = asked(&cluster, &requests);
    let root = BASE64_STANDARD.encode(fs::read(company.root_file()).unwrap());
    let signed = company.sign(&request);
    decide(
        &name,
        &format!(r#"{{"status": {{"certificate": "{signed}", "ca": "{root}"}}}}"#),
    );
    until_told(
        &world,
        &["certs", "list"],
        &["cert-manager ClusterIssuer mesh"],
    );
    until("what was asked is cleared away", || {
        let left = cluster
            .ask(&[&["get"], &requests[..], &["-o", "name"]].concat())
            .unwrap();
        left.trim().is_empty().then_some(())
    });
}
