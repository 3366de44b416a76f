//! cert-manager in a cluster: its kinds, its controllers, and its webhook, which the API server asks before one of its objects
//! is made or changed.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::cluster::write;
use crate::programs::{cert_manager, cert_manager_kinds};
use crate::sandbox::Component;
use crate::{Cluster, Failure, authority};

/// Where the webhook listens, at an address of its own.
const PORT: u16 = 10260;

impl Cluster {
    /// Adds cert-manager, `without` some of its controllers, and waits until it answers. What a `ClusterIssuer` signs by is
    /// a secret in the namespace `cert-manager`.
    pub fn add_cert_manager(&mut self, without: &[&str]) -> Result<(), Failure> {
        self.define(&cert_manager_kinds()?)?;
        let address = self.first.block.ip(NAME).to_string();
        let (certificate, key) = authority::self_signed(&address)?;
        let file = |ending| self.folder().join(format!("pki/{NAME}.{ending}"));
        let files = [file("pem"), file("key")];
        write(&files[0], &certificate)?;
        write(&files[1], &key)?;
        let [certificate_file, key_file] = files.map(|file| file.display().to_string());
        let component = Component {
            name: NAME.to_owned(),
            program: cert_manager()?,
            arguments: vec![
                format!("--kubeconfig={}", self.kubeconfig().display()),
                format!("--webhook={address}:{PORT}"),
                format!("--certificate={certificate_file}"),
                format!("--key={key_file}"),
                format!("--without={}", without.join(",")),
            ],
        };
        self.first.sandbox.run(&component)?;
        self.apply(&webhooks(&address, &certificate))?;
        let asked = self.folder().join("asked.yaml");
        write(&asked, ASKED)?;
        let asked = asked.display().to_string();
        let answers = || {
            let asked = ["create", "--dry-run=server", "-f", &asked];
            self.ask(&asked).ok().map(drop)
        };
        let sandbox = &self.first.sandbox;
        sandbox.until(NAME, "cert-manager's webhook answers", answers)
    }
}

/// What it is called, and its namespace.
const NAME: &str = "cert-manager";

/// An issuer that is never made.
const ASKED: &str = "\
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: asked}
spec: {selfSigned: {}}
";

/// What its chart says of its webhook, for one that listens at an address.
fn webhooks(address: &str, certificate: &str) -> String {
    let authority = BASE64_STANDARD.encode(certificate);
    let mut documents = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAME}}}\n");
    for (kind, path, operations, resources) in [
        (
            "ValidatingWebhookConfiguration",
            "validate",
            "CREATE, UPDATE",
            "*/*",
        ),
        (
            "MutatingWebhookConfiguration",
            "mutate",
            "CREATE",
            "certificaterequests",
        ),
    ] {
        documents += &format!(
            "---
apiVersion: admissionregistration.k8s.io/v1
kind: {kind}
metadata: {{name: cert-manager-webhook}}
webhooks:
- name: webhook.cert-manager.io
  clientConfig: {{url: 'https://{address}:{PORT}/{path}', caBundle: {authority}}}
  rules:
  - {{apiGroups: [cert-manager.io, acme.cert-manager.io], apiVersions: [v1], operations: [{operations}], resources: ['{resources}']}}
  admissionReviewVersions: [v1]
  matchPolicy: Equivalent
  failurePolicy: Fail
  sideEffects: None
"
        );
    }
    documents
}
