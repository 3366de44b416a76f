//! Those of a cluster who sign requests for certificates: a signer of its own API, or an issuer of cert-manager. Whoever
//! asks waits until somebody approved it, which may be a person.

use std::time::Duration;

use k8s_openapi::ByteString;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, PostParams};
use kube::core::Status;
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::install::NAMESPACE;
use crate::words::in_words;

/// Who is to sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signer {
    /// A signer of the API `certificates.k8s.io`, by its name.
    Cluster(String),
    /// An issuer of cert-manager, which is where the control plane is or of the whole cluster.
    CertManager {
        /// Its API group.
        group: String,
        /// Its kind: `ClusterIssuer`, `Issuer`.
        kind: String,
        /// Its name.
        name: String,
    },
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Nobody has said anything, or a signer that it goes on. In words.
    Waits(String),
    /// Somebody has decided that it is not to be signed, in these words.
    Denied(String),
    /// Who signs could not sign it, in these words, and will not try again.
    Failed(String),
    /// It is not there any more.
    Gone,
    /// It was signed.
    Signed {
        /// The certificate and those above it, as far as the signer tells, in PEM.
        chain: Vec<u8>,
        /// The root in PEM, if the signer tells it.
        root: Option<Vec<u8>>,
    },
}

/// Why the cluster did not take a question about certificates.
#[derive(Debug, thiserror::Error)]
pub enum NotAsked {
    /// It knows no such requests.
    #[error("it knows no CertificateRequest: cert-manager is not installed in this cluster")]
    Unknown,
    /// It says no, or does not answer.
    #[error("{}", in_words(.0))]
    Refused(Box<Error>),
}

impl Cluster {
    /// Asks `signer` for a certificate of an authority that stands for `life`, by a request (PKCS #10) in PEM. Says what the
    /// request is called.
    pub async fn request(
        &self,
        signer: &Signer,
        request: &str,
        life: Duration,
    ) -> Result<String, NotAsked> {
        let object = serde_json::from_value(signer.object(request, life));
        let object: DynamicObject = object.map_err(|why| not_asked(Error::SerdeError(why)))?;
        let made = signer.requests(&self.client);
        let made = made.create(&PostParams::default(), &object).await;
        Ok(made.map_err(not_asked)?.metadata.name.unwrap_or_default())
    }

    /// What became of a request.
    pub async fn requested(&self, signer: &Signer, name: &str) -> Result<Progress, NotAsked> {
        let found = signer.requests(&self.client).get_opt(name).await;
        let found = found.map_err(not_asked)?;
        Ok(found.map_or(Progress::Gone, |found| {
            signer.progress(&found.data["status"])
        }))
    }

    /// Clears away a request of which something came, where nobody else does so. One that is not there is no failure.
    pub async fn clear(&self, signer: &Signer, name: &str) -> Result<(), NotAsked> {
        if matches!(signer, Signer::Cluster(_)) {
            return Ok(());
        }
        let requests = signer.requests(&self.client);
        match requests.delete(name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(Error::Api(status)) if status.code == 404 => Ok(()),
            Err(why) => Err(not_asked(why)),
        }
    }
}

fn not_asked(why: Error) -> NotAsked {
    match &why {
        // A namespace or an object that is not there is named.
        Error::Api(status) if status.code == 404 && is_nameless(status) => NotAsked::Unknown,
        _ => NotAsked::Refused(Box::new(why)),
    }
}

fn is_nameless(status: &Status) -> bool {
    let details = status.details.as_ref();
    details.is_none_or(|details| details.name.is_empty())
}

impl Signer {
    /// How people ask after a request.
    pub fn resource(&self) -> &'static str {
        match self {
            Self::Cluster(_) => "certificatesigningrequest",
            Self::CertManager { .. } => "certificaterequest",
        }
    }

    fn requests(&self, client: &Client) -> Api<DynamicObject> {
        let kind = |group: &str, kind: &str, plural: &str| ApiResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            api_version: format!("{group}/v1"),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        match self {
            Self::Cluster(_) => {
                let (group, name) = ("certificates.k8s.io", "CertificateSigningRequest");
                Api::all_with(
                    client.clone(),
                    &kind(group, name, "certificatesigningrequests"),
                )
            }
            Self::CertManager { .. } => {
                let of = kind(
                    "cert-manager.io",
                    "CertificateRequest",
                    "certificaterequests",
                );
                Api::namespaced_with(client.clone(), NAMESPACE, &of)
            }
        }
    }

    fn object(&self, request: &str, life: Duration) -> Value {
        let metadata = json!({"generateName": "leno-"});
        let request = ByteString(request.as_bytes().to_vec());
        let usages = ["cert sign", "crl sign"];
        let life = life.as_secs();
        match self {
            Self::Cluster(name) => json!({
                "apiVersion": "certificates.k8s.io/v1",
                "kind": "CertificateSigningRequest",
                "metadata": metadata,
                "spec": {
                    "request": request,
                    "signerName": name,
                    // The API takes no less.
                    "expirationSeconds": life.max(600),
                    "usages": usages,
                },
            }),
            Self::CertManager { group, kind, name } => json!({
                "apiVersion": "cert-manager.io/v1",
                "kind": "CertificateRequest",
                "metadata": metadata,
                "spec": {
                    "request": request,
                    "issuerRef": {"group": group, "kind": kind, "name": name},
                    "duration": format!("{life}s"),
                    "isCA": true,
                    "usages": usages,
                },
            }),
        }
    }

    fn progress(&self, status: &Value) -> Progress {
        let conditions = status["conditions"].as_array();
        let conditions = || conditions.into_iter().flatten();
        let is = |condition: &&Value, kind: &str| condition["type"] == kind;
        if let Some(denied) = conditions().find(|it| is(it, "Denied") && it["status"] == "True") {
            return Progress::Denied(words(denied));
        }
        let failed = conditions().find(|it| match self {
            Self::Cluster(_) => is(it, "Failed"),
            Self::CertManager { .. } => {
                let is_invalid = is(it, "InvalidRequest") && it["status"] == "True";
                is_invalid || (is(it, "Ready") && it["reason"] == "Failed")
            }
        });
        if let Some(failed) = failed {
            return Progress::Failed(words(failed));
        }
        if let Some(chain) = bytes(&status["certificate"]) {
            let root = bytes(&status["ca"]);
            return Progress::Signed { chain, root };
        }
        let is_approved = conditions().any(|it| is(&it, "Approved") && it["status"] == "True");
        let ready = conditions().find(|it| is(it, "Ready"));
        Progress::Waits(match (is_approved, ready) {
            (false, _) => "nobody has approved it".to_owned(),
            (true, Some(ready)) => words(ready),
            (true, None) => "it is approved, and not signed".to_owned(),
        })
    }
}

/// Letters of what a signer says that are told on.
const LONGEST: usize = 300;

/// `Denied: the mesh is none of ours`.
fn words(condition: &Value) -> String {
    let text = |field: &str| condition[field].as_str().unwrap_or_default();
    let both = format!("{}: {}", text("reason"), text("message"));
    let both: String = both.chars().take(LONGEST).collect();
    let words = both.split_whitespace().collect::<Vec<_>>().join(" ");
    words.trim_end_matches(':').to_owned()
}

fn bytes(base64: &Value) -> Option<Vec<u8>> {
    let ByteString(bytes) = serde_json::from_value(base64.clone()).ok()?;
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> Signer {
        Signer::CertManager {
            group: "cert-manager.io".to_owned(),
            kind: "ClusterIssuer".to_owned(),
            name: "mesh".to_owned(),
        }
    }

    #[test]
    fn a_request_waits_is_denied_has_failed_or_is_signed() {
        let cluster = Signer::Cluster("shop.example/mesh".to_owned());
        let told = |signer: &Signer, status: Value| match signer.progress(&status) {
            Progress::Waits(why) => format!("waits: {why}"),
            Progress::Denied(why) => format!("denied: {why}"),
            Progress::Failed(why) => format!("failed: {why}"),
            Progress::Gone => "gone".to_owned(),
            Progress::Signed { chain, root } => format!("{chain:?} {root:?}"),
        };
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({"conditions": [
                {"type": kind, "status": status, "reason": reason, "message": message},
            ]})
        };
        let mut signed = condition("Approved", "True", "Kubectl", "");
        let approved = "waits: it is approved, and not signed";
        assert_eq!(told(&cluster, json!({})), "waits: nobody has approved it");
        assert_eq!(told(&cluster, Value::Null), "waits: nobody has approved it");
        assert_eq!(told(&cluster, signed.clone()), approved);
        signed["certificate"] = json!("AQI=");
        assert_eq!(told(&cluster, signed.clone()), "[1, 2] None");
        signed["ca"] = json!("Aw==");
        assert_eq!(told(&issuer(), signed.clone()), "[1, 2] Some([3])");
        signed["certificate"] = json!("no base64!");
        assert_eq!(told(&cluster, signed), approved);

        let denied = condition("Denied", "True", "Policy", "not\nours");
        assert_eq!(told(&cluster, denied.clone()), "denied: Policy: not ours");
        assert_eq!(told(&issuer(), denied), "denied: Policy: not ours");
        let failed = condition("Ready", "False", "Failed", "no such key");
        assert_eq!(told(&issuer(), failed), "failed: Failed: no such key");
        let failed = condition("Failed", "True", "Signer", "");
        assert_eq!(told(&cluster, failed), "failed: Signer");
    }

    #[test]
    fn an_authority_is_asked_for() {
        let (text, life) = ("pem", Duration::from_secs(7200));
        let asked = issuer().object(text, life);
        assert_eq!(asked["spec"]["isCA"], true);
        assert_eq!(asked["spec"]["duration"], "7200s");
        assert_eq!(asked["spec"]["request"], "cGVt");
        let short = Signer::Cluster("a/b".to_owned()).object(text, Duration::from_secs(60));
        assert_eq!(short["spec"]["expirationSeconds"], 600);
        assert_eq!(short["spec"]["signerName"], "a/b");
    }
}
