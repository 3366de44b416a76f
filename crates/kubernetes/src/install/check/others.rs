//! Whether another mesh puts its proxies into pods here. Two of them in one pod would take each other's calls.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::Api;
use kube::api::ListParams;
use leno_model::Code;

use super::{Checked, Problem, unseen};
use crate::cluster::Cluster;

/// What the webhooks of other meshes have in their names.
const OTHERS: [(&str, &str); 5] = [
    ("istio-sidecar-injector", "Istio"),
    ("istio-revision-tag", "Istio"),
    ("linkerd-proxy-injector", "Linkerd"),
    ("connect-injector", "Consul"),
    ("kuma-admission", "Kuma"),
];

impl Cluster {
    pub(super) async fn other_meshes(&self, checked: &mut Checked) {
        let api = Api::<MutatingWebhookConfiguration>::all(self.client.clone());
        let webhooks = match api.list_metadata(&ListParams::default()).await {
            Ok(webhooks) => webhooks.items,
            Err(why) => {
                let what = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
                return checked.problems.push(unseen(what, &why));
            }
        };
        for webhook in webhooks {
            let name = webhook.metadata.name.unwrap_or_default();
            let Some(mesh) = of(&name) else {
                continue;
            };
            let message = format!("{mesh} puts proxies into pods of this cluster");
            checked.problems.push(Problem {
                object: Some(format!("MutatingWebhookConfiguration {name}")),
                ..Problem::warning(Code::K007, message, "each mesh has its own namespaces")
            });
        }
    }
}

/// Whose webhook it is, by its name.
fn of(webhook: &str) -> Option<&'static str> {
    let mut others = OTHERS.iter();
    let found = others.find(|(part, _)| webhook.contains(part));
    found.map(|(_, mesh)| *mesh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_meshes_are_known_by_their_webhooks() {
        for (webhook, mesh) in [
            ("istio-sidecar-injector", Some("Istio")),
            ("istio-revision-tag-default", Some("Istio")),
            ("linkerd-proxy-injector-webhook-config", Some("Linkerd")),
            ("consul-connect-injector", Some("Consul")),
            (
                "kuma-admission-mutating-webhook-configuration",
                Some("Kuma"),
            ),
            ("cert-manager-webhook", None),
            ("leno", None),
        ] {
            assert_eq!(of(webhook), mesh, "{webhook}");
        }
    }
}
