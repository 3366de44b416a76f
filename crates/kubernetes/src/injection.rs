//! Sidecars: what is added to a pod before it is made, so that a proxy carries all that goes to it and from it. A
//! function of the pod and of what every sidecar has in common; nothing is asked and nothing kept.
//!
//! The API server asks (`admission.k8s.io/v1`) about pods of namespaces, and pods, with the label
//! `leno.dev/dataplane-mode: sidecar`.

mod added;
mod asked;
mod unfit;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

pub use asked::Misfit;

use asked::{Request, Review};

/// The name of the proxy's container.
pub const PROXY: &str = "leno-proxy";
/// The name of the container that makes connections go there, before any other begins.
pub const CAPTURE: &str = "leno-capture";
/// Whom the proxy runs as. What it sends is not captured.
const UID: i64 = 15008;

/// What all sidecars have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Injection {
    /// The image of `leno`.
    pub image: String,
    /// Where the mesh is, and what proves it: `leno-mesh:...`.
    pub mesh: String,
    /// Whether datagrams other than DNS are refused: nothing carries them.
    pub refuses_datagrams: bool,
}

impl Injection {
    /// Answers what the API server asks about a pod that is to be made: one `AdmissionReview` for another.
    pub fn review(&self, asked: &[u8]) -> Result<Vec<u8>, Misfit> {
        let Request { uid, pod } = Review::read(asked)?;
        let response = match self.judge(&pod) {
            Verdict::Left(why) => {
                json!({"uid": uid, "allowed": true, "warnings": [format!("leno: {why}")]})
            }
            Verdict::Asis => json!({"uid": uid, "allowed": true}),
            Verdict::Refused(why) => {
                json!({"uid": uid, "allowed": false, "status": {"code": 403, "message": format!("leno: {why}")}})
            }
            Verdict::Changed(changes) => asked::patching(&uid, &changes),
        };
        Ok(asked::answer(&response))
    }

    fn judge(&self, pod: &Pod) -> Verdict {
        let Some(spec) = &pod.spec else {
            return Verdict::Asis;
        };
        if let Some(why) = unfit::left_out(spec) {
            return Verdict::Left(why);
        }
        if let Some(why) = unfit::refused(&pod.metadata, spec) {
            return Verdict::Refused(why);
        }
        match added::is_there(spec) {
            true => Verdict::Asis,
            false => Verdict::Changed(self.added(&pod.metadata, spec)),
        }
    }
}

/// What becomes of a pod.
enum Verdict {
    /// It is made as it is, and has no part in the mesh.
    Left(String),
    /// It is made as it is.
    Asis,
    /// It is not made.
    Refused(String),
    /// It is made with these changes (RFC 6902).
    Changed(Vec<Value>),
}

#[cfg(test)]
mod tests;
