//! Whether whoever asks may make the objects.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Error};
use leno_model::Code;

use super::{Checked, Problem, unseen};
use crate::cluster::Cluster;
use crate::install::Object;

/// What applying an object takes.
const VERBS: [&str; 3] = ["create", "get", "patch"];

/// A right: a verb, and the group, the resource and the namespace that it is about.
type Right = (&'static str, String, String, Option<String>);

impl Cluster {
    pub(super) async fn rights(&self, objects: &[Object], checked: &mut Checked) {
        let rights = needed(objects);
        let answers = join_all(rights.iter().map(|right| self.may(right))).await;
        let mut missing = Vec::new();
        for ((verb, group, resource, namespace), may) in rights.iter().zip(answers) {
            match may {
                Ok(true) => {}
                Ok(false) => {
                    let group = if group.is_empty() {
                        ""
                    } else {
                        &format!(".{group}")
                    };
                    let place = match namespace {
                        Some(namespace) => format!(" in {namespace}"),
                        None => String::new(),
                    };
                    missing.push(format!("{verb} {resource}{group}{place}"));
                }
                Err(why) => return checked.problems.push(unseen("your rights", &why)),
            }
        }
        if missing.is_empty() {
            let all = "to make all that is needed".to_owned();
            return checked.passed.push(("allowed", all));
        }
        let message = format!("you may not {}", missing.join(", "));
        checked.problems.push(Problem {
            next: Some("kubectl auth whoami".to_owned()),
            ..Problem::error(Code::K003, message)
        });
    }

    async fn may(&self, right: &Right) -> Result<bool, Error> {
        let (verb, group, resource, namespace) = right.clone();
        let asked = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(verb.to_owned()),
                    group: Some(group),
                    resource: Some(resource),
                    namespace,
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let api = Api::<SelfSubjectAccessReview>::all(self.client.clone());
        let answered = api.create(&PostParams::default(), &asked).await?;
        Ok(answered.status.is_some_and(|status| status.allowed))
    }
}

fn needed(objects: &[Object]) -> BTreeSet<Right> {
    let of = |object: &Object| {
        let resource = object.resource.clone();
        let namespace = object.namespace().map(str::to_owned);
        VERBS.map(|verb| {
            let (group, plural) = (resource.group.clone(), resource.plural.clone());
            (verb, group, plural, namespace.clone())
        })
    };
    objects.iter().flat_map(of).collect()
}
