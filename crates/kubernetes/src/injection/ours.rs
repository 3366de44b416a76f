//! Whether a container of a pod is one that was added here before. A pod is asked about once more when somebody else has
//! changed it, and by then its containers have defaults, and what others give to all containers; a name proves nothing.

use k8s_openapi::api::core::v1::{Container, EnvVar, VolumeMount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::Value;

use super::Injection;
use crate::webhook::says;

/// Where clusters put tokens and certificates into all containers.
const SECRETS: &str = "/var/run/secrets/";

/// How the names of variables begin by which a program could be made another one.
const STEERING: [&str; 2] = ["LD_", "LENO_"];

impl Injection {
    /// Whether it runs what an added container does, as that does, and with the same rights.
    pub(super) fn is_added(&self, meta: &ObjectMeta, container: &Container) -> bool {
        let added = self.containers(meta).into_iter();
        let added = added.filter_map(|added| serde_json::from_value::<Container>(added).ok());
        let mut same_name = added.filter(|added| added.name == container.name);
        same_name.any(|added| runs_the_same(container, &added))
    }
}

fn runs_the_same(one: &Container, added: &Container) -> bool {
    let rights = |container: &Container| {
        let context = container.security_context.clone().unwrap_or_default();
        (
            context.run_as_user,
            context.run_as_group,
            context.privileged,
            context.allow_privilege_escalation,
            context.capabilities,
        )
    };
    let asked = |container: &Container| {
        let Container {
            startup_probe,
            readiness_probe,
            ..
        } = container;
        (value(startup_probe), value(readiness_probe))
    };
    let ((started, ready), (added_started, added_ready)) = (asked(one), asked(added));
    one.image == added.image
        && one.command.is_none()
        && one.working_dir.is_none()
        && one.args == added.args
        && one.restart_policy == added.restart_policy
        && one.lifecycle.is_none()
        && one.liveness_probe.is_none()
        && one.env_from.is_none()
        && rights(one) == rights(added)
        && says(&started, &added_started)
        && says(&ready, &added_ready)
        && are_harmless(&one.env, &added.env, is_other_variable)
        && are_harmless(&one.volume_mounts, &added.volume_mounts, is_secret)
}

/// Whether all that was added is there, and what is there beside it is harmless.
fn are_harmless<T: Serialize>(
    there: &Option<Vec<T>>,
    added: &Option<Vec<T>>,
    is_harmless: impl Fn(&T) -> bool,
) -> bool {
    let (there, added) = (there.iter().flatten(), added.iter().flatten());
    let same = |one: &T, added: &T| says(&value(one), &value(added));
    added
        .clone()
        .all(|added| there.clone().any(|one| same(one, added)))
        && there
            .clone()
            .all(|one| is_harmless(one) || added.clone().any(|added| same(one, added)))
}

fn is_other_variable(variable: &EnvVar) -> bool {
    !STEERING
        .iter()
        .any(|begin| variable.name.starts_with(begin))
}

fn is_secret(mount: &VolumeMount) -> bool {
    mount.mount_path.starts_with(SECRETS) && !mount.mount_path.contains("..")
}

fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}
