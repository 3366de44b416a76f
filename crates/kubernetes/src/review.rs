//! The API server's questions about objects that are to be made or changed, and the form of its answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leno_model::BadName;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The version of questions and answers.
const VERSION: &str = "admission.k8s.io/v1";

/// What was asked is no question that is answered here.
#[derive(Debug, thiserror::Error)]
pub enum Misfit {
    /// It cannot be read.
    #[error("this is no AdmissionReview that is answered here: {0}")]
    Unread(#[from] serde_json::Error),
    /// It is of another version.
    #[error("this is an AdmissionReview of {0:.64?}, and not of {VERSION}")]
    Version(String),
    /// It is about an object of a kind that nobody here reads.
    #[error("this is about a {0:.64?}, which is not read here")]
    Kind(String),
    /// It is about an object that cannot be called so.
    #[error("this is about no object: {0}")]
    Name(#[from] BadName),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<R> {
    api_version: String,
    request: R,
}

/// The question itself.
pub(crate) fn request<R: DeserializeOwned>(bytes: &[u8]) -> Result<R, Misfit> {
    let read: Review<R> = serde_json::from_slice(bytes)?;
    match read.api_version == VERSION {
        true => Ok(read.request),
        false => Err(Misfit::Version(read.api_version)),
    }
}

/// A response that lets an object be made with these changes, and warns whoever makes it.
pub(crate) fn making(uid: &str, changes: &[Value], warnings: &[String]) -> Value {
    let mut response = json!({"uid": uid, "allowed": true});
    if !changes.is_empty() {
        response["patchType"] = "JSONPatch".into();
        response["patch"] = STANDARD.encode(Value::from(changes).to_string()).into();
    }
    if !warnings.is_empty() {
        let warnings = warnings.iter().map(|why| format!("leno: {why}"));
        response["warnings"] = warnings.collect();
    }
    response
}

/// A response that keeps an object from being made, and says why.
pub(crate) fn refusing(uid: &str, why: &str) -> Value {
    let status = json!({"code": 403, "message": format!("leno: {why}")});
    json!({"uid": uid, "allowed": false, "status": status})
}

/// The whole answer.
pub(crate) fn answer(response: &Value) -> Vec<u8> {
    json!({"apiVersion": VERSION, "kind": "AdmissionReview", "response": response})
        .to_string()
        .into_bytes()
}
