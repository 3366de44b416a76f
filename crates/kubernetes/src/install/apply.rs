//! What would change in a cluster, and changing it: by server-side apply, so that a field that somebody else has set
//! is never taken from them in silence.

use std::fmt;
use std::time::Duration;

use kube::Error;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::Status;
use leno_model::Code;
use serde_json::Value;

use super::Object;
use crate::cluster::Cluster;
use crate::wanted;
use crate::words::in_words;

/// As whom fields are set.
const MANAGER: &str = "leno-install";

/// A Mesh is made once, and belongs to whoever runs it from then on: its fields are those that `leno apply` sets.
fn manager(object: &Object) -> &'static str {
    match object.kind() {
        "Mesh" => wanted::MANAGER,
        _ => MANAGER,
    }
}

/// What applying an object comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is there as it is to be.
    Nothing,
    /// It is not there.
    Make,
    /// These fields become others: `spec.replicas`.
    Alter(Vec<String>),
}

/// Why an object is not as it is to be.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    /// The cluster does not answer.
    #[error("the cluster does not answer: {why}")]
    Away {
        /// What the network or the system says.
        why: String,
    },
    /// Whoever asks may not do it.
    #[error("{object}: {why}")]
    Forbidden {
        /// The object.
        object: String,
        /// What the API server says.
        why: String,
    },
    /// Somebody else has set fields of it to something else.
    #[error("{object}: {why}")]
    Conflict {
        /// The object.
        object: String,
        /// Which fields, and who.
        why: String,
    },
    /// The cluster does not take it.
    #[error("{object}: {why}")]
    Refused {
        /// The object.
        object: String,
        /// What the API server says.
        why: String,
    },
}

impl NotApplied {
    /// What it is called.
    pub fn code(&self) -> Code {
        match self {
            Self::Away { .. } => Code::K001,
            Self::Forbidden { .. } => Code::K003,
            Self::Conflict { .. } => Code::K005,
            Self::Refused { .. } => Code::K010,
        }
    }

    pub(crate) fn of(object: &impl fmt::Display, why: &Error) -> Self {
        let (object, words) = (object.to_string(), in_words(why));
        match why {
            Error::Api(status) => match status.code {
                // It is the object that some webhook does not want, whoever asks.
                403 if words.starts_with("admission webhook ") => {
                    Self::Refused { object, why: words }
                }
                401 | 403 => Self::Forbidden { object, why: words },
                409 => Self::Conflict {
                    object,
                    why: owners(status).unwrap_or(words),
                },
                _ => Self::Refused { object, why: words },
            },
            _ => Self::Away { why: words },
        }
    }
}

impl Cluster {
    /// What applying an object would change. Nothing is.
    pub async fn compare(&self, object: &Object, force: bool) -> Result<Change, NotApplied> {
        let api = self.api_of(object);
        let there = match api.get(object.name()).await {
            Ok(there) => there,
            // Neither is an object of a kind that is not known.
            Err(Error::Api(status)) if status.code == 404 => return Ok(Change::Make),
            Err(why) => return Err(NotApplied::of(object, &why)),
        };
        let asked = parameters(object, force).dry_run();
        let then = api
            .patch(object.name(), &asked, &Patch::Apply(&object.body))
            .await;
        let then = then.map_err(|why| NotApplied::of(object, &why))?;
        let mut fields = Vec::new();
        differing(&wanted(there), &wanted(then), "", &mut fields);
        Ok(match fields.is_empty() {
            true => Change::Nothing,
            false => Change::Alter(fields),
        })
    }

    /// Makes an object what it is to be. A kind that was defined right before is waited for.
    pub async fn apply(&self, object: &Object, force: bool) -> Result<(), NotApplied> {
        let api = self.api_of(object);
        let asked = parameters(object, force);
        for _ in 0..TRIES {
            let applied = api
                .patch(object.name(), &asked, &Patch::Apply(&object.body))
                .await;
            match applied {
                Ok(_) => return Ok(()),
                Err(Error::Api(status)) if status.code == 404 => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(why) => return Err(NotApplied::of(object, &why)),
            }
        }
        Err(NotApplied::Refused {
            object: object.to_string(),
            why: "the cluster does not know its kind or its namespace".to_owned(),
        })
    }

    /// The objects of an object's kind, in its namespace if it has one.
    pub(super) fn api_of(&self, object: &Object) -> Api<DynamicObject> {
        let client = self.client.clone();
        match object.namespace() {
            Some(namespace) => Api::namespaced_with(client, namespace, &object.resource),
            None => Api::all_with(client, &object.resource),
        }
    }
}

/// How long until an object is tried again whose kind is not known yet, and how often it is tried.
const AGAIN: Duration = Duration::from_millis(500);
const TRIES: u32 = 60;

/// `.spec.rules is set by kubectl`, for each field that somebody else has set.
fn owners(status: &Status) -> Option<String> {
    let causes = &status.details.as_ref()?.causes;
    let conflicts = causes
        .iter()
        .filter(|cause| cause.reason == "FieldManagerConflict");
    let told = conflicts.map(|cause| {
        // `conflict with "kubectl" using leno.dev/v1alpha1`
        let owner = cause.message.split('"').nth(1).unwrap_or(&cause.message);
        format!("{} is set by {owner}", cause.field)
    });
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then(|| told.join(", "))
}

fn parameters(object: &Object, force: bool) -> PatchParams {
    let parameters = PatchParams::apply(manager(object)).validation_strict();
    match force {
        true => parameters.force(),
        false => parameters,
    }
}

/// What of an object says what is wanted: without what the cluster keeps of it.
pub(crate) fn wanted(object: DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    let fields = value.as_object_mut();
    let metadata = fields.and_then(|fields| {
        fields.remove("status");
        fields.get_mut("metadata")?.as_object_mut()
    });
    if let Some(metadata) = metadata {
        for kept in ["managedFields", "resourceVersion", "generation"] {
            metadata.remove(kept);
        }
    }
    value
}

/// The paths at which two values differ, each as deep as both have it.
fn differing(one: &Value, other: &Value, path: &str, into: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let added = other.keys().filter(|name| !one.contains_key(*name));
            for name in one.keys().chain(added) {
                let (one, other) = (one.get(name), other.get(name));
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
                differing(one, other, &path, into);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                differing(one, other, &format!("{path}[{index}]"), into);
            }
        }
        (one, other) if one == other => {}
        _ => into.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_differ_are_named() {
        let one = json!({"spec": {"a": 1, "list": [{"image": "x"}, 2], "gone": true}});
        let other = json!({"spec": {"a": 1, "list": [{"image": "y"}, 2], "new": 1}});
        let mut fields = Vec::new();
        differing(&one, &other, "", &mut fields);
        assert_eq!(fields, ["spec.gone", "spec.list[0].image", "spec.new"]);
        fields.clear();
        differing(&one, &one, "", &mut fields);
        assert_eq!(fields, [""; 0]);
    }

    #[test]
    fn what_a_cluster_keeps_of_an_object_is_no_difference() {
        let object = |version: &str, status: u8| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "a", "resourceVersion": version, "generation": status},
                "spec": {}, "status": {"x": status},
            }))
            .unwrap()
        };
        assert_eq!(wanted(object("1", 1)), wanted(object("2", 2)));
    }
}
