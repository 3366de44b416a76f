//! A change of an object that a mesh is made of, about which the API server asks before it is made. A question is read,
//! and an answer written; whether the change is a good one, whoever compiles the mesh knows.

use kube::api::DynamicObject;
use leno_model::{Name, Namespace, ObjectRef};
use leno_resources::{GROUP, Spelling, spellings};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::review::{self, Misfit};
use crate::watch::Document;

/// The path below which it is asked. What follows is known to the API server alone: look-ups tell of what others wrote.
pub const VALIDATE: &str = "/validate/";

/// A change that somebody wants to make.
#[derive(Debug)]
pub struct Proposed {
    uid: String,
    replaced: Option<Replaced>,
}

/// What an object says, and what it is to say.
#[derive(PartialEq, Debug)]
pub struct Replaced {
    /// What it is called.
    pub object: ObjectRef,
    /// Its document as a watch tells it; none of one that is to be made, or to become one of the mesh's.
    pub before: Option<Document>,
    /// The same as it is to be; none of one that is to go.
    pub after: Option<Document>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    uid: String,
    kind: Kind,
    #[serde(default)]
    user_info: User,
    object: Option<DynamicObject>,
    old_object: Option<DynamicObject>,
}

#[derive(Deserialize)]
struct Kind {
    group: String,
    kind: String,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

impl Proposed {
    /// Reads an `AdmissionReview`.
    pub fn read(asked: &[u8]) -> Result<Self, Misfit> {
        let asked: Asked = review::request(asked)?;
        let mut known = kinds();
        let spelling = known.find(|it| it.kind == asked.kind.kind && group(it) == asked.kind.group);
        let Some(kind) = spelling else {
            return Err(Misfit::Kind(asked.kind.kind));
        };
        let objects = [asked.old_object, asked.object];
        let is_asked = is_answerable(&objects, &asked.user_info);
        let replaced = is_asked.then(|| Replaced::of(&kind, objects)).transpose()?;
        Ok(Self {
            uid: asked.uid,
            replaced: replaced.flatten(),
        })
    }

    /// What would change of what is read; nothing where it is to be made without a look.
    pub fn replaced(&self) -> Option<&Replaced> {
        self.replaced.as_ref()
    }

    /// The answer: why it is not to be made, else that it is, and of what whoever makes it is warned.
    pub fn answer(&self, refused: &[String], warned: &[String]) -> Vec<u8> {
        let mut response = match refused {
            [] => json!({"uid": self.uid, "allowed": true}),
            refused => review::refusing(&self.uid, &refused.join("\nleno: ")),
        };
        if !warned.is_empty() {
            response["warnings"] = in_lines(warned).into();
        }
        review::answer(&response)
    }
}

impl Replaced {
    /// None where nothing of the mesh is another than before, or is to be none of it any more.
    fn of(
        kind: &Spelling,
        [before, after]: [Option<DynamicObject>; 2],
    ) -> Result<Option<Self>, Misfit> {
        let Some(any) = after.as_ref().or(before.as_ref()) else {
            return Ok(None);
        };
        if !is_ours(any, kind) {
            return Ok(None);
        }
        let namespace = any.metadata.namespace.as_deref().map(Namespace::new);
        let object = ObjectRef {
            kind: kind.kind.into(),
            namespace: namespace.transpose()?,
            name: Name::new(any.metadata.name.as_deref().unwrap_or_default())?,
        };
        // What was wrong with it as long as others judged it, nobody was told.
        let before = before.filter(|it| is_ours(it, kind));
        let [before, after] = [before, after].map(|it| it.map(|it| Document::of(kind, it)));
        let is_another = before != after;
        Ok(is_another.then_some(Self {
            object,
            before,
            after,
        }))
    }
}

/// The group of routes and grants.
const GATEWAY_API: &str = "gateway.networking.k8s.io";

fn group(kind: &Spelling) -> &str {
    kind.api_version
        .split_once('/')
        .map_or("", |(group, _)| group)
}

/// Whether it makes a difference what is answered. What is being deleted is let go, in whatever state; and nobody
/// reads of what a controller is warned that clears away.
fn is_answerable([before, after]: &[Option<DynamicObject>; 2], user: &User) -> bool {
    let is_ending = |object: &DynamicObject| object.metadata.deletion_timestamp.is_some();
    match (before, after) {
        (_, Some(after)) => !is_ending(after),
        (_, None) => !user.username.starts_with(CLEARING),
    }
}

/// As whom the cluster's own controllers clear away.
const CLEARING: &str = "system:serviceaccount:kube-system:";

/// Whether an object is for the mesh: of a route, that it has a Service for a parent. Others are for whoever serves their
/// Gateways.
fn is_ours(object: &DynamicObject, kind: &Spelling) -> bool {
    let parents = match object.data.pointer("/spec/parentRefs") {
        Some(Value::Array(parents)) => parents.as_slice(),
        _ => &[],
    };
    let is_route = group(kind) != GROUP && kind.kind.ends_with("Route");
    !is_route || parents.iter().any(|parent| parent["kind"] == "Service")
}

/// The kinds about whose objects the API server asks: those of the mesh alone, and none that a cluster runs by.
pub(crate) fn kinds() -> impl Iterator<Item = Spelling> {
    spellings().filter(|kind| matches!(group(kind), GROUP | GATEWAY_API))
}

/// As a header takes them: a line each, not too many and none too long.
fn in_lines(warned: &[String]) -> Vec<String> {
    let more = warned.len().saturating_sub(MOST_WARNINGS);
    let more = (more > 0).then(|| format!("leno: and {more} more: leno check"));
    let told = warned.iter().take(MOST_WARNINGS).map(|line| {
        let plain = line
            .chars()
            .map(|it| if it.is_control() { ' ' } else { it });
        format!("leno: {}", plain.take(LONGEST).collect::<String>())
    });
    told.chain(more).collect()
}

/// An API server shortens warnings that come to more than 4 KiB.
const MOST_WARNINGS: usize = 8;
const LONGEST: usize = 480;

#[cfg(test)]
mod tests;
