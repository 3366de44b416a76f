//! Events about pods, for whoever looks at a pod and not at the mesh (`kubectl describe pod`).

use k8s_openapi::api::core::v1::Event;
use kube::Error;
use kube::api::{Api, PostParams};
use leno_model::{Code, Wall};
use leno_resources::pod::Pod;
use serde_json::json;

use crate::cluster::Cluster;

/// Something that is wrong with a pod.
#[derive(Clone, Copy, Debug)]
pub struct Warning<'a> {
    /// With which.
    pub pod: &'a Pod,
    /// What kind of trouble.
    pub code: Code,
    /// The trouble in words.
    pub why: &'a str,
    /// Since when. One event tells of what began then, however often it is written.
    pub since: Wall,
}

/// An event could not be written.
#[derive(Debug, thiserror::Error)]
#[error("event about {pod}: {why}")]
pub struct NotTold {
    pod: String,
    #[source]
    why: Box<Error>,
}

impl Cluster {
    /// Writes an event that says so, unless it is there already, or its namespace is gone.
    pub async fn warn(&self, warning: &Warning<'_>, now: Wall) -> Result<(), NotTold> {
        let pod = &warning.pod.reference;
        let namespace = pod.namespace.as_ref().map_or("default", |it| it.as_str());
        let api = Api::<Event>::namespaced(self.client.clone(), namespace);
        let not_told = |why| NotTold {
            pod: pod.to_string(),
            why: Box::new(why),
        };
        let event = serde_json::from_value(warning.event(namespace, now));
        let event = event.map_err(|why| not_told(Error::SerdeError(why)))?;
        match api.create(&PostParams::default(), &event).await {
            Ok(_) => Ok(()),
            Err(Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(why) => Err(not_told(why)),
        }
    }
}

impl Warning<'_> {
    fn event(&self, namespace: &str, now: Wall) -> serde_json::Value {
        let (name, code) = (self.pod.reference.name.as_str(), self.code);
        let since = self.since.elapsed_since_epoch().as_millis();
        // A name of an object has 253 bytes at most.
        let short = &name[..name.floor_char_boundary(SHORT)];
        let kind = code.to_string().to_lowercase();
        let why = &self.why[..self.why.floor_char_boundary(LONGEST)];
        json!({
            "metadata": {"name": format!("{short}.leno-{kind}-{since:x}"), "namespace": namespace},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod",
                "namespace": namespace, "name": name, "uid": &*self.pod.uid,
            },
            "type": "Warning",
            "reason": reason(code),
            "message": format!("{code} {}: {}", code.slug(), why),
            "source": {"component": "leno-control"},
            "firstTimestamp": self.since.to_string(),
            "lastTimestamp": now.to_string(),
            "count": 1,
        })
    }
}

const SHORT: usize = 200;
/// How much is told of why, in bytes.
const LONGEST: usize = 900;

/// The slug as reasons of events are written: `CaptureLost`.
fn reason(code: Code) -> String {
    let words = code.slug().split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leno_model::{Name, Namespace};

    use super::*;

    #[test]
    fn what_begins_at_one_time_is_one_event() {
        let (shop, web) = (Namespace::new("shop").unwrap(), Name::new("web-1").unwrap());
        let pod = Pod {
            uid: "a-b".into(),
            ..Pod::named(shop, web)
        };
        let at = |second: u64| Wall::since_epoch(Duration::from_millis(second * 1000 + 1));
        let warning = Warning {
            pod: &pod,
            code: Code::H007,
            why: "nothing came",
            since: at(16),
        };
        let told = warning.event("shop", at(20));
        assert_eq!(told["metadata"]["name"], "web-1.leno-h007-3e81");
        assert_eq!(told["reason"], "CaptureLost");
        assert_eq!(told["message"], "H007 capture-lost: nothing came");
        assert_eq!(told["involvedObject"]["uid"], "a-b");
        let event: Event = serde_json::from_value(told).unwrap();
        assert_eq!(event.involved_object.name.as_deref(), Some("web-1"));
        assert!(event.first_timestamp.is_some());
        let later = warning.event("shop", at(40));
        assert_eq!(later["metadata"]["name"], "web-1.leno-h007-3e81");
    }
}
