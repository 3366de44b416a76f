//! What is added to a pod before it is made, so that a proxy carries all that goes to it and from it: a sidecar, or what
//! the proxy of its node needs. A function of the pod and of what every sidecar has in common; nothing is asked and
//! nothing kept.
//!
//! The API server asks (`admission.k8s.io/v1`) about pods of namespaces, and pods, with the label
//! `leno.dev/dataplane-mode: sidecar` or `node`, each at a path of its own; and about containers that are added to such a
//! pod while it runs (`pods/ephemeralcontainers`), to which nothing is added.

mod added;
mod other;
mod ours;
mod resources;
pub(crate) mod unfit;

use k8s_openapi::api::core::v1::{Container, Pod};
use leno_model::view::WhileAway;
use leno_model::{ControlName, Namespace};
use serde::Deserialize;
use serde_json::Value;

pub use self::other::{OTHER, beside, review_other};
use crate::review::{self, Misfit};

/// The name of the proxy's container.
pub const PROXY: &str = "leno-proxy";
/// The name of the container that makes connections go there, before any other begins.
pub const CAPTURE: &str = "leno-capture";
/// The part of a pod by which it gets containers while it runs.
pub(crate) const EPHEMERAL: &str = "ephemeralcontainers";
/// Whom the proxy runs as. What it sends is not captured.
const UID: i64 = 15008;

/// Where the proxy of a pod is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// In the pod.
    Sidecar,
    /// On its node, from where it reaches into the pod's network.
    Node,
}

impl Placement {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Sidecar, Self::Node];

    /// The path at which pods are asked about whose proxy is there.
    pub fn path(self) -> &'static str {
        match self {
            Self::Sidecar => "/inject",
            Self::Node => "/inject/node",
        }
    }

    /// What is asked about at a path.
    pub fn asked_at(path: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|placement| placement.path() == path)
    }
}

/// What all sidecars have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Injection {
    /// What the control plane is called, if it stands beside the default one.
    pub name: Option<ControlName>,
    /// The image of `leno`.
    pub image: String,
    /// Where the mesh is, and what proves it: `leno-mesh:...`.
    pub mesh: String,
    /// Where that is which loads their packet rules: a container that comes first in them and has the right to, or the
    /// proxy of their node. Until the latter has, nothing of a pod starts but its sidecar.
    pub captured_by: Placement,
    /// Whether datagrams other than DNS are refused: nothing carries them.
    pub refuses_datagrams: bool,
    /// What becomes of pods while nobody answers: whether they start though the proxy of their node has loaded nothing.
    pub while_away: WhileAway,
}

/// What is seen of the cluster around a pod that is to be made.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Around {
    /// Whether Istio is asked to carry the calls of all pods of its namespace from their nodes.
    pub is_ambient: bool,
    /// Whether no node has a proxy.
    pub is_without_nodes: bool,
}

impl Injection {
    /// Answers what the API server asks about a pod that is to be made, or to get a container while it runs, and whose
    /// proxy is to be there: one `AdmissionReview` for another. What is seen of its namespace and beyond tells `around`.
    pub fn review(
        &self,
        placement: Placement,
        around: impl FnOnce(&Namespace) -> Around,
        asked: &[u8],
    ) -> Result<Vec<u8>, Misfit> {
        let Asked {
            uid,
            namespace,
            object: pod,
            sub_resource,
        } = review::request(asked)?;
        let namespace = Namespace::new(&namespace)?;
        let verdict = match sub_resource.as_deref() {
            Some(EPHEMERAL) => judge_running(placement, &pod),
            _ => self.judge(placement, &namespace, around(&namespace), &pod),
        };
        let response = match verdict {
            Verdict::Made { changes, warnings } => review::making(&uid, &changes, &warnings),
            Verdict::Refused(why) => review::refusing(&uid, &why),
        };
        Ok(review::answer(&response))
    }

    fn judge(
        &self,
        placement: Placement,
        namespace: &Namespace,
        around: Around,
        pod: &Pod,
    ) -> Verdict {
        let Some(spec) = &pod.spec else {
            return Verdict::ASIS;
        };
        if let Some(why) = unfit::left_out(placement, &pod.metadata, spec) {
            return Verdict::Made {
                changes: Vec::new(),
                warnings: vec![why],
            };
        }
        let is_ours = |container: &Container| {
            placement == Placement::Sidecar && self.is_added(&pod.metadata, container)
        };
        if let Some(why) = unfit::refused(placement, &pod.metadata, spec, is_ours) {
            return Verdict::Refused(why);
        }
        let by_namespace = unfit::in_ambient(&pod.metadata, namespace);
        if let Some(why) = by_namespace.filter(|_| around.is_ambient) {
            return Verdict::Refused(why);
        }
        let resources = resources::resources(&pod.metadata).err();
        if let Some(why) = resources.filter(|_| placement == Placement::Sidecar) {
            return Verdict::Refused(why);
        }
        let changes = match placement {
            _ if unfit::is_mirror(&pod.metadata) => Vec::new(),
            Placement::Sidecar if added::is_there(spec) => added::first_again(spec),
            Placement::Sidecar => self.added(&pod.metadata, spec),
            Placement::Node => added::waiting(&pod.metadata, spec),
        };
        let unserved = placement == Placement::Node && around.is_without_nodes;
        let unserved = unserved.then(unfit::unserved);
        let warnings = unserved
            .into_iter()
            .chain(added::unheld(&pod.metadata, spec));
        Verdict::Made {
            changes,
            warnings: warnings.collect(),
        }
    }
}

/// What becomes of a pod that runs, with the containers that it is to have then. No other field of it can change.
fn judge_running(placement: Placement, pod: &Pod) -> Verdict {
    let Some(spec) = &pod.spec else {
        return Verdict::ASIS;
    };
    let is_captured = match placement {
        Placement::Sidecar => added::is_there(spec),
        Placement::Node => unfit::left_out(placement, &pod.metadata, spec).is_none(),
    };
    let why = is_captured.then(|| unfit::refused_running(placement, spec));
    why.flatten().map_or(Verdict::ASIS, Verdict::Refused)
}

/// A pod that is to be made, or the containers of one that runs, and how the question is called.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    uid: String,
    #[serde(default)]
    namespace: String,
    object: Pod,
    #[serde(default)]
    sub_resource: Option<String>,
}

/// What becomes of a pod.
enum Verdict {
    /// It is made with these changes (RFC 6902), and whoever makes it is warned.
    Made {
        changes: Vec<Value>,
        warnings: Vec<String>,
    },
    /// It is not made.
    Refused(String),
}

impl Verdict {
    /// It is made as it is.
    const ASIS: Self = Self::Made {
        changes: Vec::new(),
        warnings: Vec::new(),
    };
}

#[cfg(test)]
mod tests;
