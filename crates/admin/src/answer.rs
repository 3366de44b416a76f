//! The answers. Their JSON is what `-o json` prints: fields are added, never renamed.

use leno_model::note::Span;
use leno_model::{Code, Note, ObjectRef, Origin, Place, Severity};
use serde::{Deserialize, Serialize};

use crate::object::read_object;

/// Any answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To [`crate::StatusOf`].
    Status(Status),
    /// To [`crate::Apply`], [`crate::Delete`] and [`crate::Rollback`].
    Applied(Applied),
    /// To [`crate::HistoryOf`].
    History(History),
    /// To [`crate::DiffOf`].
    Diff(Diff),
    /// To [`crate::Check`].
    Checked(Checked),
    /// To [`crate::ProxiesOf`].
    Proxies(Proxies),
    /// To [`crate::CreateToken`].
    TokenMade(TokenMade),
    /// To [`crate::ListTokens`].
    Tokens(Tokens),
    /// To [`crate::DropToken`].
    Forgotten(Forgotten),
    /// To [`crate::OpenDashboard`].
    Link(Link),
    /// To [`crate::TrustOf`].
    Trust(Trust),
    /// To [`crate::Revoke`] and [`crate::Reinstate`].
    Revoked(Revoked),
}

/// How a control plane is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// What people call the mesh.
    pub context: String,
    /// The newest revision.
    pub revision: u64,
    /// How many proxies are connected.
    pub proxies: u64,
    /// How many objects the configuration has.
    pub objects: u64,
    /// How many errors it has.
    pub problems: u64,
}

/// What became of a change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Applied {
    /// How the control plane is after it.
    pub status: Status,
    /// Whether a revision was made. If not, nothing had to be changed.
    pub made: bool,
    /// What changed.
    pub changes: Vec<Change>,
    /// What was asked for and left as it is, in words.
    pub left: Vec<String>,
    /// What does not hold as it was written, of what this change brought.
    pub findings: Vec<Finding>,
}

/// One object that changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// What became of it.
    pub verb: Verb,
    /// Which: `HTTPRoute shop/cart`.
    pub object: String,
    /// Where it was written: `routes/cart.yaml:12`.
    pub place: Option<String>,
    /// As it was; absent in answers to a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// As it is; absent in answers to a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What became of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// It was not there before.
    Added,
    /// Its text is another.
    Changed,
    /// Its text stayed; its place or set is another.
    Moved,
    /// It is not there any more.
    Removed,
}

/// What was changed, when and by whom, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct History {
    /// How the control plane is.
    pub status: Status,
    /// The revisions.
    pub revisions: Vec<Past>,
}

/// One revision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Past {
    /// Its number.
    pub revision: u64,
    /// When, in RFC 3339.
    pub at: String,
    /// By whom.
    pub who: String,
    /// What they did: `apply shop`, `delete`, `rollback to 7`.
    pub what: String,
    /// Why, in their words.
    pub message: String,
    /// How many objects it added.
    pub added: u32,
    /// How many it changed.
    pub changed: u32,
    /// How many it removed.
    pub removed: u32,
}

/// What leads from one revision to another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Diff {
    /// How the control plane is.
    pub status: Status,
    /// The one.
    pub from: u64,
    /// The other.
    pub to: u64,
    /// The objects that differ, with their texts.
    pub changes: Vec<Change>,
}

/// What is wrong with the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// How the control plane is.
    pub status: Status,
    /// What does not hold as it was written.
    pub findings: Vec<Finding>,
}

/// A [`Note`] that travels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of finding: `C113`.
    pub code: String,
    /// The same in words: `backend-not-found`.
    pub slug: String,
    /// `error`, `warning` or `info`.
    pub severity: String,
    /// Whose move it is.
    pub fault: String,
    /// The object: `HTTPRoute shop/cart`.
    pub object: Option<String>,
    /// The field in it.
    pub pointer: Option<String>,
    /// The file.
    pub file: Option<String>,
    /// The line in it, counted from 1.
    pub line: Option<u32>,
    /// The column, counted from 1, in characters.
    pub column: Option<u32>,
    /// How many characters it is about.
    pub width: Option<u32>,
    /// What stands on that line.
    pub text: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// What holds meanwhile.
    pub in_force: String,
}

impl Finding {
    /// A note as it travels; `text` is what stands on its line.
    pub fn of(note: &Note, text: Option<String>) -> Self {
        let start = note.span.as_ref().map(|span| &span.start);
        let written = note
            .origin
            .as_ref()
            .and_then(|origin| origin.place.as_ref());
        let place = start.or(written);
        Self {
            code: note.code.as_str().to_owned(),
            slug: note.code.slug().to_owned(),
            severity: severity(note.severity).to_owned(),
            fault: note.fault().as_str().to_owned(),
            object: note.object().map(ObjectRef::to_string),
            pointer: note
                .origin
                .as_ref()
                .map(|origin| origin.pointer.to_string()),
            file: place.map(|place| place.file.to_string()),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            width: note.span.as_ref().map(|span| span.width),
            text,
            message: note.message.clone(),
            suggestion: note.suggestion.clone(),
            in_force: note.in_force.clone(),
        }
    }

    /// The note again; `None` if it is of a kind that this build does not know.
    pub fn note(&self) -> Option<Note> {
        let place = || {
            Some(Place {
                file: self.file.as_deref()?.into(),
                line: self.line?,
                column: self.column?,
            })
        };
        let object = self
            .object
            .as_deref()
            .and_then(|text| read_object(text).ok());
        let all = [Severity::Info, Severity::Warning, Severity::Error];
        Some(Note {
            code: self.code.parse::<Code>().ok()?,
            severity: all
                .into_iter()
                .find(|one| severity(*one) == self.severity)?,
            origin: object.map(|object| Origin {
                object: object.into(),
                pointer: self.pointer.as_deref().unwrap_or_default().into(),
                place: place(),
            }),
            span: place()
                .zip(self.width)
                .map(|(start, width)| Span { start, width }),
            message: self.message.clone(),
            suggestion: self.suggestion.clone(),
            in_force: self.in_force.clone(),
        })
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// The proxies that are connected.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proxies {
    /// How the control plane is.
    pub status: Status,
    /// The proxies, by name.
    pub proxies: Vec<ProxyState>,
}

/// One proxy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProxyState {
    /// What it calls itself.
    pub name: String,
    /// Who it proved to be.
    pub identity: String,
    /// Where it came from.
    pub address: String,
    /// Where it takes mesh calls.
    pub tunnel: Option<String>,
    /// The workloads it stands in front of.
    pub workloads: Vec<String>,
    /// Workloads it asked for and is not entitled to, or that do not exist.
    pub not_entitled: Vec<String>,
    /// The generation of the view it decides by.
    pub generation: String,
    /// Whether that is the newest one.
    pub current: bool,
    /// Why it did not adopt the newest one, if it did not.
    pub refused: Option<String>,
    /// Since when it is connected, in RFC 3339.
    pub since: String,
    /// When the certificate ends that it proved itself with, in RFC 3339.
    pub ends: String,
}

/// A join token that was made. This is the only time its secret is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TokenMade {
    /// How the control plane is.
    pub status: Status,
    /// The token without its secret.
    pub token: Token,
    /// The text to take to the host that joins.
    pub text: String,
}

/// The join tokens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tokens {
    /// How the control plane is.
    pub status: Status,
    /// The tokens, spent and lately expired ones included.
    pub tokens: Vec<Token>,
}

/// A join token, without its secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Token {
    /// How it is found.
    pub id: String,
    /// Whom it lets join: `shop/cart`, `node of shop`.
    pub grants: String,
    /// How many more times it can be used.
    pub uses: u32,
    /// Until when it is good, in RFC 3339.
    pub expires: String,
    /// By whom it was made.
    pub made_by: String,
}

/// Whether something was there to be dropped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Forgotten {
    /// How the control plane is.
    pub status: Status,
    /// Whether it was there.
    pub was_there: bool,
}

/// A way to the dashboard. It is good once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Link {
    /// How the control plane is.
    pub status: Status,
    /// The address to open in a browser on this host.
    pub url: String,
}

/// Whom the mesh trusts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trust {
    /// How the control plane is.
    pub status: Status,
    /// The mesh's own trust domain.
    pub trust_domain: String,
    /// SHA-256 of the root, in hex.
    pub root: String,
    /// When the root ends, in RFC 3339.
    pub root_ends: String,
    /// When the intermediate ends, in RFC 3339; it is renewed long before.
    pub intermediate_ends: String,
    /// How long a workload's certificate lives, in seconds.
    pub lifetime_seconds: u64,
    /// Identities that are refused.
    pub revoked: Vec<RevokedIdentity>,
}

/// An identity that is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RevokedIdentity {
    /// Which.
    pub identity: String,
    /// Since when, in RFC 3339.
    pub at: String,
    /// By whom.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// What became of a revocation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// How the control plane is.
    pub status: Status,
    /// Whom it is about.
    pub identity: String,
    /// Whether anything changed.
    pub changed: bool,
}
