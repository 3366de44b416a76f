//! Whether there will be a volume for the control plane's state.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ListParams;
use kube::{Api, Error};
use leno_model::Code;

use super::{Checked, Problem, unseen};
use crate::cluster::Cluster;
use crate::install::{Installation, NAMESPACE, called};

/// Where a class says that it is the default one.
const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

impl Cluster {
    pub(super) async fn storage(&self, chosen: &Installation, checked: &mut Checked) {
        let name = chosen.storage_class.as_deref();
        let claim = called(chosen.name.as_ref());
        let found = match self.volume(&claim, name).await {
            Ok(found) => found,
            Err(why) => {
                return checked
                    .problems
                    .push(unseen("volumes and their classes", &why));
            }
        };
        match found {
            Some(found) => checked.passed.push(("storage", found)),
            None => checked.problems.push(missing(name)),
        }
    }

    /// What the claim will be bound to.
    async fn volume(&self, claim: &str, class: Option<&str>) -> Result<Option<String>, Error> {
        let client = || self.client.clone();
        let claims = Api::<PersistentVolumeClaim>::namespaced(client(), NAMESPACE);
        if claims.get_opt(claim).await?.is_some() {
            let claim = format!("PersistentVolumeClaim {NAMESPACE}/{claim} is there");
            return Ok(Some(claim));
        }
        let all = ListParams::default();
        let classes = Api::<StorageClass>::all(client()).list(&all).await?;
        if let Some(told) = classes.items.iter().find_map(|it| chosen_class(it, class)) {
            return Ok(Some(told));
        }
        let volumes = Api::<PersistentVolume>::all(client()).list(&all).await?;
        Ok(volumes.items.iter().find_map(|it| free_volume(it, class)))
    }
}

/// A class that brings volumes, if it is the one that is asked for.
fn chosen_class(class: &StorageClass, wanted: Option<&str>) -> Option<String> {
    let name = class.metadata.name.as_deref()?;
    let annotations = class.metadata.annotations.as_ref();
    let is_default = annotations
        .and_then(|all| all.get(DEFAULT))
        .is_some_and(|it| it == "true");
    match wanted {
        Some(wanted) => (wanted == name).then(|| format!("StorageClass {name}")),
        None => is_default.then(|| format!("StorageClass {name}, the default one")),
    }
}

/// A volume that somebody has made by hand, if it is free and of the class that is asked for.
fn free_volume(volume: &PersistentVolume, wanted: Option<&str>) -> Option<String> {
    let name = volume.metadata.name.as_deref()?;
    let phase = volume.status.as_ref()?.phase.as_deref()?;
    let spec = volume.spec.as_ref()?;
    let class = spec.storage_class_name.as_deref().unwrap_or_default();
    let is_free = phase == "Available" && class == wanted.unwrap_or_default();
    is_free.then(|| format!("PersistentVolume {name}"))
}

fn missing(class: Option<&str>) -> Problem {
    let message = match class {
        Some(class) => format!("there is no StorageClass {class}, and no free volume of it"),
        None => "no StorageClass is the default one, and no volume is free".to_owned(),
    };
    Problem {
        next: Some("kubectl get storageclass · leno install --storage-class NAME".to_owned()),
        ..Problem::error(Code::K004, message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_class_is_taken_by_its_name_else_the_default_one() {
        let class = |name: &str, default: &str| -> StorageClass {
            let annotations = json!({DEFAULT: default});
            serde_json::from_value(json!({
                "metadata": {"name": name, "annotations": annotations}, "provisioner": "x",
            }))
            .unwrap()
        };
        let (fast, slow) = (class("fast", "false"), class("slow", "true"));
        assert_eq!(chosen_class(&fast, None), None);
        assert!(chosen_class(&slow, None).is_some());
        assert!(chosen_class(&fast, Some("fast")).is_some());
        assert_eq!(chosen_class(&slow, Some("fast")), None);
    }

    #[test]
    fn a_volume_made_by_hand_will_do_if_it_is_free() {
        let volume = |phase: &str, class: &str| -> PersistentVolume {
            serde_json::from_value(json!({
                "metadata": {"name": "disk"}, "spec": {"storageClassName": class},
                "status": {"phase": phase},
            }))
            .unwrap()
        };
        assert!(free_volume(&volume("Available", ""), None).is_some());
        assert_eq!(free_volume(&volume("Bound", ""), None), None);
        assert_eq!(free_volume(&volume("Available", "hand"), None), None);
        assert!(free_volume(&volume("Available", "hand"), Some("hand")).is_some());
    }
}
