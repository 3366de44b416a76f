//! Whether the cluster has Gateway API's kinds. They are not ours to bring: other controllers use them too.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use leno_model::Code;

use super::{Checked, Problem, unseen, watched};
use crate::cluster::Cluster;

const GROUP: &str = "gateway.networking.k8s.io";

/// The release whose kinds are read.
const RELEASE: &str = "v1.6.3";

/// Where a definition says which release it is of.
const BUNDLE: &str = "gateway.networking.k8s.io/bundle-version";

/// What holds without them.
const WITHOUT: &str = "the mesh works; nobody can write routes";

impl Cluster {
    pub(super) async fn gateway_api(&self, checked: &mut Checked) {
        let api = Api::<CustomResourceDefinition>::all(self.client.clone());
        let (mut missing, mut releases) = (Vec::new(), Vec::new());
        for kind in watched(GROUP) {
            match api.get_metadata_opt(&format!("{kind}.{GROUP}")).await {
                Ok(None) => missing.push(kind),
                Ok(Some(definition)) => {
                    let annotations = definition.metadata.annotations.unwrap_or_default();
                    releases.extend(annotations.get(BUNDLE).cloned());
                }
                Err(why) => {
                    let what = "customresourcedefinitions.apiextensions.k8s.io";
                    return checked.problems.push(unseen(what, &why));
                }
            }
        }
        releases.sort();
        releases.dedup();
        if missing.is_empty() {
            checked.passed.push(("Gateway API", releases.join(", ")));
            return;
        }
        let message = match releases.as_slice() {
            [] => "the cluster has no kinds of Gateway API".to_owned(),
            some => format!(
                "of Gateway API {} it lacks {}",
                some.join(", "),
                missing.join(", ")
            ),
        };
        checked.problems.push(Problem {
            next: Some(format!(
                "kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/\
                 download/{RELEASE}/standard-install.yaml"
            )),
            ..Problem::warning(Code::K006, message, WITHOUT)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_the_one_whose_kinds_are_read() {
        let generated = include_str!("../../../../resources/src/gateway/http_route.rs");
        assert!(generated.contains(&format!("from Gateway API {RELEASE}.")));
    }
}
