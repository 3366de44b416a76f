//! The API server's question, and the form of its answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;
use serde_json::{Value, json};

/// The version of questions and answers.
const VERSION: &str = "admission.k8s.io/v1";

/// What was asked is no question about a pod.
#[derive(Debug, thiserror::Error)]
pub enum Misfit {
    /// It cannot be read.
    #[error("this is no AdmissionReview about a pod: {0}")]
    Unread(#[from] serde_json::Error),
    /// It is of another version.
    #[error("this is an AdmissionReview of {0:.64?}, and not of {VERSION}")]
    Version(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Review {
    api_version: String,
    request: Asked,
}

#[derive(Deserialize)]
struct Asked {
    uid: String,
    object: Pod,
}

/// A pod that is to be made, and how the question is called.
pub(super) struct Request {
    pub(super) uid: String,
    pub(super) pod: Pod,
}

impl Review {
    pub(super) fn read(bytes: &[u8]) -> Result<Request, Misfit> {
        let read: Self = serde_json::from_slice(bytes)?;
        if read.api_version != VERSION {
            return Err(Misfit::Version(read.api_version));
        }
        let Asked { uid, object: pod } = read.request;
        Ok(Request { uid, pod })
    }
}

/// A response that lets a pod be made with these changes.
pub(super) fn patching(uid: &str, changes: &[Value]) -> Value {
    let patch = STANDARD.encode(Value::from(changes).to_string());
    json!({"uid": uid, "allowed": true, "patchType": "JSONPatch", "patch": patch})
}

/// The whole answer.
pub(super) fn answer(response: &Value) -> Vec<u8> {
    json!({"apiVersion": VERSION, "kind": "AdmissionReview", "response": response})
        .to_string()
        .into_bytes()
}
