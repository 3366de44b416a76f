//! What is reported of objects, written into their status.
//!
//! The parents of a route are one list, to which several controllers write: what others say there stays, and
//! whoever writes says which version of the object that was. So it is a merge patch with a version; a
//! server-side apply would own the whole list.

use std::collections::BTreeMap;

use kube::Error;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use leno_compile::{Condition, Report, Says};
use leno_model::Wall;
use leno_resources::gateway::ParentReference;
use leno_resources::{GROUP, Spelling, spellings};
use serde_json::{Map, Value, json};

use crate::cluster::Cluster;
use crate::document;

/// What is reported of each object, by its kind, namespace and name.
pub type Standings = BTreeMap<(&'static str, Option<String>, String), Standing>;

/// What is reported of an object.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Standing {
    /// The version of the object that says so.
    version: String,
    status: Value,
}

/// Whether an object of this kind has a status of ours.
pub(crate) fn is_reported(kind: &Spelling) -> bool {
    let is_own = kind.api_version.starts_with(GROUP);
    is_own || kind.kind.ends_with("Route")
}

/// The kinds whose status is what several say.
pub(crate) fn routes() -> impl Iterator<Item = Spelling> {
    spellings().filter(|kind| is_reported(kind) && !kind.api_version.starts_with(GROUP))
}

/// What others say in the status of a route, if something there is ours.
pub(crate) fn others(status: &Value) -> Option<Vec<Value>> {
    let said = list(status, "parents");
    let others: Vec<_> = said.iter().filter(|it| !is_ours(it)).cloned().collect();
    (others.len() < said.len()).then_some(others)
}

/// Writes a change into the status of an object, unless that, or the object, is another one by now.
pub(crate) async fn write(
    api: &Api<DynamicObject>,
    name: &str,
    change: &Value,
) -> Result<bool, Error> {
    let by = PatchParams::apply(CONTROLLER);
    match api.patch_status(name, &by, &Patch::Merge(change)).await {
        Ok(_) => Ok(true),
        Err(Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
        Err(why) => Err(why),
    }
}

/// Whether an entry of a route's status is ours.
fn is_ours(entry: &Value) -> bool {
    entry["controllerName"] == CONTROLLER
}

/// What writes it, among several that write to one object.
const CONTROLLER: &str = "leno.dev/mesh";

impl Standing {
    /// Takes the status out of an object: nobody else reads it.
    pub(crate) fn of(object: &mut DynamicObject) -> Self {
        let data = object.data.as_object_mut();
        Self {
            version: object.metadata.resource_version.take().unwrap_or_default(),
            status: data
                .and_then(|data| data.remove("status"))
                .unwrap_or_default(),
        }
    }

    /// Whether it says of each parent, or of the object itself, that proxies have what is judged as `generation`.
    fn is_programmed(&self, generation: Option<i64>) -> bool {
        let parents = list(&self.status, "parents").iter();
        let ours = parents.filter(|entry| is_ours(entry));
        let mut lists: Vec<_> = ours.map(|entry| list(entry, "conditions")).collect();
        if lists.is_empty() {
            lists.push(list(&self.status, "conditions"));
        }
        let has = |conditions: &&[Value]| {
            let mut conditions = conditions.iter();
            conditions.any(|it| {
                it["type"] == "Programmed"
                    && it["status"] == "True"
                    && it["observedGeneration"] == generation.unwrap_or_default()
            })
        };
        lists.iter().all(has)
    }

    /// What would have to be written so that it says what `report` does; `None` if it does already.
    pub(crate) fn change(&self, report: &Report<'_>, now: Wall) -> Option<Value> {
        let (field, wanted) = match &report.says {
            Says::Parents(parents) => {
                let before = list(&self.status, "parents");
                let others = before.iter().filter(|entry| !is_ours(entry)).cloned();
                let ours = parents.iter().map(|(parent, conditions)| {
                    let parent = parent_ref(parent);
                    let mut ours = before.iter().filter(|entry| is_ours(entry));
                    let known = ours.find(|entry| entry["parentRef"] == parent);
                    let known = known.map_or(&[][..], |entry| list(entry, "conditions"));
                    let conditions = said(conditions, known, report.generation, now);
                    json!({"parentRef": parent, "controllerName": CONTROLLER, "conditions": conditions})
                });
                ("parents", others.chain(ours).collect())
            }
            Says::Itself(conditions) => {
                let known = list(&self.status, "conditions");
                (
                    "conditions",
                    said(conditions, known, report.generation, now),
                )
            }
        };
        let before = list(&self.status, field);
        (before != wanted).then(|| {
            let status = Map::from_iter([(field.to_owned(), Value::Array(wanted))]);
            json!({"metadata": {"resourceVersion": self.version}, "status": status})
        })
    }
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// Conditions as the API writes them. When one began to hold, or not to, is kept from what is `known`.
fn said(
    conditions: &[Condition],
    known: &[Value],
    generation: Option<i64>,
    now: Wall,
) -> Vec<Value> {
    let one = |condition: &Condition| {
        let kind = condition.kind.to_string();
        let status = if condition.holds { "True" } else { "False" };
        let mut known = known.iter();
        let same = known.find(|known| known["type"] == *kind && known["status"] == status);
        let since = same.map(|known| known["lastTransitionTime"].clone());
        json!({
            "type": kind,
            "status": status,
            "reason": condition.reason,
            "message": condition.message,
            "observedGeneration": generation.unwrap_or_default(),
            "lastTransitionTime": since.unwrap_or_else(|| seconds(now).into()),
        })
    };
    conditions.iter().map(one).collect()
}

/// A time as the API writes it: whole seconds.
fn seconds(now: Wall) -> String {
    let text = now.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

/// A parent as the route says it.
fn parent_ref(parent: &ParentReference) -> Value {
    let mut said = Map::new();
    let mut put = |field: &str, value: Value| said.insert(field.to_owned(), value);
    put("group", json!(&*parent.group));
    put("kind", json!(&*parent.kind));
    put("name", json!(parent.name.as_str()));
    if let Some(namespace) = &parent.namespace {
        put("namespace", json!(namespace.as_str()));
    }
    if let Some(section) = &parent.section_name {
        put("sectionName", json!(&**section));
    }
    if let Some(port) = parent.port {
        put("port", json!(port));
    }
    Value::Object(said)
}

/// Why a status is not written.
#[derive(Debug, thiserror::Error)]
#[error("the status of {object} is not written: {why}")]
pub struct NotWritten {
    object: String,
    why: Box<Error>,
}

/// What is reported of an object already.
fn standing<'a>(standings: &'a Standings, report: &Report<'_>) -> Option<&'a Standing> {
    let object = report.object;
    let kind = spellings().find(|kind| *kind.kind == *object.kind)?;
    let namespace = object.namespace.as_ref().map(ToString::to_string);
    standings.get(&(kind.kind, namespace, object.name.to_string()))
}

/// Whether it stands in the status of the object that every proxy has taken what it says.
pub fn is_programmed(standings: &Standings, report: &Report<'_>) -> bool {
    standing(standings, report).is_some_and(|it| it.is_programmed(report.generation))
}

impl Cluster {
    /// Writes what is reported of one object, if that is something else than what `standings` have, and
    /// says whether it was written. Where the object has changed meanwhile, or is gone, nothing is: what it is
    /// by now will be reported.
    pub async fn report(
        &self,
        report: &Report<'_>,
        standings: &Standings,
        now: Wall,
    ) -> Result<bool, NotWritten> {
        let object = report.object;
        let mut kinds = spellings();
        let Some(kind) = kinds.find(|kind| *kind.kind == *object.kind) else {
            return Ok(false);
        };
        let standing = standing(standings, report);
        let Some(change) = standing.and_then(|standing| standing.change(report, now)) else {
            return Ok(false);
        };
        let (client, resource) = (self.client.clone(), document::resource(&kind));
        let api: Api<DynamicObject> = match &object.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace.as_str(), &resource),
            None => Api::all_with(client, &resource),
        };
        let written = write(&api, object.name.as_str(), &change).await;
        written.map_err(|why| NotWritten {
            object: object.to_string(),
            why: why.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use leno_compile::{compile, reports};
    use leno_model::Namespace;
    use leno_resources::Resources;

    use super::*;

    const ROUTE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop, generation: 7}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 80}]
  rules: [{backendRefs: [{name: cart, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {ports: [{port: 80}]}
";

    /// What is written where an object has this status.
    fn change(written: &str, status: Value, seconds: u64) -> Option<Value> {
        let file = (Arc::from("a.yaml"), written.as_bytes().to_vec());
        let (resources, mut notes) = Resources::read([file], &Namespace::default_namespace());
        notes.extend(compile(&resources).1);
        let report = reports(&resources, &notes).remove(0);
        let standing = Standing {
            version: "41".to_owned(),
            status,
        };
        let now = Wall::default() + std::time::Duration::from_secs(seconds);
        standing.change(&report, now)
    }

    #[test]
    fn what_others_say_stays_and_what_is_said_already_is_not_written() {
        let others = json!({"parentRef": {"name": "gate"}, "controllerName": "other.example/x", "conditions": []});
        let change_of = |status: Value| change(ROUTE, status, 60);
        let written = change_of(json!({"parents": [others]})).unwrap();
        assert_eq!(written["metadata"]["resourceVersion"], "41");
        let parents = &written["status"]["parents"];
        assert_eq!(parents[0], others);
        assert_eq!(
            parents[1],
            json!({
                "parentRef": {"group": "", "kind": "Service", "name": "cart", "port": 80},
                "controllerName": "leno.dev/mesh",
                "conditions": [
                    {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                     "observedGeneration": 7, "lastTransitionTime": "1970-01-01T00:01:00Z"},
                    {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs", "message": "",
                     "observedGeneration": 7, "lastTransitionTime": "1970-01-01T00:01:00Z"},
                ],
            })
        );
        assert_eq!(change(ROUTE, written["status"].clone(), 99), None);
        // Whoever takes back what is said leaves them too.
        assert_eq!(
            super::others(&written["status"]),
            Some(vec![others.clone()])
        );
        assert_eq!(super::others(&json!({"parents": [others]})), None);
    }

    #[test]
    fn a_condition_keeps_the_time_since_when_it_holds() {
        let first = change(ROUTE, Value::Null, 60).unwrap();
        let broken = ROUTE.replace("[{name: cart, port: 80}]", "[{name: nobody, port: 80}]");
        let then = change(&broken, first["status"].clone(), 99).unwrap();
        let conditions = &then["status"]["parents"][0]["conditions"];
        assert_eq!(conditions[0]["lastTransitionTime"], "1970-01-01T00:01:00Z");
        assert_eq!(conditions[1]["reason"], "BackendNotFound");
        assert_eq!(conditions[1]["lastTransitionTime"], "1970-01-01T00:01:39Z");
    }

    #[test]
    fn an_object_of_ours_says_what_is_wrong_in_it() {
        let policy = "
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart, namespace: shop}
spec: {targetRefs: [{kind: Service, name: nobody}], default: Deny}
";
        let written = change(policy, Value::Null, 0).unwrap();
        let condition = &written["status"]["conditions"][0];
        assert_eq!(condition["status"], "False");
        assert_eq!(condition["message"], "no Service nobody in shop");
    }
}
