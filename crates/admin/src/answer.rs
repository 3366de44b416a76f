//! The answers. Their JSON is what `-o json` prints: fields are added, never renamed.

use std::collections::BTreeMap;

use leno_model::{Code, Note, ObjectRef, Severity};
use serde::{Deserialize, Serialize};

use crate::audited::AuditedOf;
use crate::calls::KeptCalls;
use crate::figures;
use crate::held::Viewed;
use crate::overrides::{OverrideChanged, OverrideTold, Overrides};
use crate::overview::Overview;
use crate::plan::Planned;
use crate::probe::{Probed, Reached};
use crate::served::{Served, Services};
use crate::story::Story;
use crate::suggested::Suggested;
use crate::traffic::{Carried, Failures};
use crate::trusted::{CertificateState, OwnBundle, Readmitting, Renewed, Revoked, Rotated, Trust};
use crate::watched::{WatchedChange, Watches};

/// Any answer.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To [`crate::StatusOf`].
    Status(Status),
    /// To [`crate::OverviewOf`].
    Overview(Box<Overview>),
    /// To [`crate::Apply`], [`crate::Delete`], [`crate::Rollback`] and [`crate::WeighOf`].
    Applied(Applied),
    /// To [`crate::TakenOf`].
    Taken(Taken),
    /// To [`crate::WatchesOf`] and [`crate::EndWatch`].
    Watches(Watches),
    /// To [`crate::PlanOf`].
    Planned(Box<Planned>),
    /// To [`crate::SuggestOf`].
    Suggested(Box<Suggested>),
    /// To [`crate::HistoryOf`].
    History(History),
    /// To [`crate::AuditOf`].
    Audited(AuditedOf),
    /// To [`crate::DiffOf`].
    Diff(Diff),
    /// To [`crate::ServicesOf`].
    Services(Services),
    /// To [`crate::ServiceOf`].
    Served(Served),
    /// To [`crate::Check`].
    Checked(Checked),
    /// To [`crate::ConfigurationOf`].
    Configuration(Configuration),
    /// To [`crate::ProxiesOf`].
    Proxies(Proxies),
    /// To [`crate::ViewOf`].
    Viewed(Viewed),
    /// To [`crate::Recover`].
    Recovered(Recovered),
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
    /// To [`crate::BundleOf`].
    OwnBundle(OwnBundle),
    /// To [`crate::Revoke`] and [`crate::Reinstate`].
    Revoked(Revoked),
    /// To [`crate::AddOverride`] and [`crate::DropOverride`].
    OverrideChanged(OverrideChanged),
    /// To [`crate::ListOverrides`].
    Overrides(Overrides),
    /// To [`crate::RenewCertificate`].
    Renewed(Renewed),
    /// To [`crate::ReadmitProxies`].
    Readmitting(Readmitting),
    /// To [`crate::RotateRoot`].
    Rotated(Rotated),
    /// To [`crate::StoryOf`].
    Story(Box<Story>),
    /// To [`crate::KeptOf`].
    Kept(KeptCalls),
    /// To [`crate::ProbeOf`].
    Probed(Probed),
    /// To [`crate::ReachOf`].
    Reached(Reached),
    /// To [`crate::HoldingOf`].
    Holding(Holding),
    /// To [`crate::PartsOf`].
    Parts(Parts),
    /// To [`crate::End`].
    Ending(Ending),
    /// To [`crate::TrafficOf`].
    Carried(Box<Carried>),
    /// To [`crate::FailuresOf`].
    Failures(Box<Failures>),
}

/// How a control plane is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// What people call the mesh.
    pub context: String,
    /// What its clock says, in RFC 3339.
    pub now: String,
    /// The newest revision.
    pub revision: u64,
    /// How many proxies are connected.
    pub proxies: u64,
    /// How many objects the configuration has.
    pub objects: u64,
    /// How many errors it has.
    pub problems: u64,
    /// How many measures hold over it.
    #[serde(default, skip_serializing_if = "nothing")]
    pub overrides: u64,
    /// How many changes are watched, and may go back by themselves.
    #[serde(default, skip_serializing_if = "nothing")]
    pub watches: u64,
    /// Which cluster it follows, if it does: the UID of the namespace `kube-system` there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

fn nothing(count: &u64) -> bool {
    *count == 0
}

/// What became of a change.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Applied {
    /// How the control plane is after it.
    pub status: Status,
    /// Whether it is only said what would change: nothing did.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether a revision was made. If not, nothing had to be changed.
    pub made: bool,
    /// What changed.
    pub changes: Vec<Change>,
    /// The proxies that are connected and would decide by something else, by name, where it is only
    /// said what would change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<String>,
    /// What was asked for and left as it is, in words.
    pub left: Vec<String>,
    /// What helps with what was left, if something does: a command, and what it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// What others own and is served as it was, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<Held>>,
    /// What does not hold as it was written, of what this change brought.
    pub findings: Vec<Finding>,
    /// How it is watched, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Box<WatchedChange>>,
}

/// Whether a cluster's objects are in force as somebody has written them there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Taken {
    /// How the control plane is.
    pub status: Status,
    /// The revision that has all of them so; `None` if none did in time.
    pub revision: Option<u64>,
}

/// What others own and is served as a revision had it, for a time. They own it as before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// What it is called, once it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Until when, in RFC 3339.
    pub until: String,
    /// What is served otherwise than its owners say by now.
    pub changes: Vec<Change>,
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
    /// Whether it is the cluster's that is followed: it was seen there, and is not kept here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observed: bool,
    /// As it was; absent in answers to a change that was made.
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
    /// Whether somebody else owns what it changed: it was seen, and was not asked for here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observed: bool,
    /// What came of its watch, if it was watched: `stayed`, `went-back`; `watched` while that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<String>,
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

/// What is wrong with the mesh: with its configuration, its proxies, its certificates.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// How the control plane is.
    pub status: Status,
    /// What is wrong, or worth knowing.
    pub findings: Vec<Finding>,
    /// What was looked at and is well, a line each.
    pub passed: Vec<String>,
}

/// Something that was found: in what people wrote, or in what runs.
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
    /// What it is about: `HTTPRoute shop/cart`.
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
    /// Since when it is so, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// The commands to go on with; without them, those that follow from the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Whether it stands before all others: what was written with it is refused as a whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heads: bool,
}

/// Since when something is so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Since {
    /// The moment, in RFC 3339.
    pub at: String,
    /// The revision that brought it, if one did.
    pub revision: Option<u64>,
    /// Who made that revision.
    pub who: Option<String>,
}

impl Since {
    /// It in words, to people whose clock says `now`: `since 02:38 UTC, revision 417 (ops)`.
    pub fn told(&self, now: &str) -> String {
        let at = figures::moment(&self.at, now);
        match (self.revision, &self.who) {
            (None, _) => format!("since {at}"),
            (Some(revision), None) => format!("since {at}, revision {revision}"),
            (Some(revision), Some(who)) => format!("since {at}, revision {revision} ({who})"),
        }
    }
}

impl Finding {
    /// The commands to go on with: what the revision that brought it changed, and how to take it
    /// back.
    pub fn commands(&self) -> Vec<String> {
        if let Some(next) = &self.next {
            return next.split(" · ").map(str::to_owned).collect();
        }
        let brought = self.since.as_ref().and_then(|since| since.revision);
        match brought.map(|revision| (revision.saturating_sub(1), revision)) {
            Some((before @ 1.., revision)) => vec![
                format!("leno diff {before} {revision}"),
                format!("leno rollback {before}"),
            ],
            Some((0, _)) | None => vec![format!("leno explain {}", self.code)],
        }
    }

    /// A note as it travels; `text` is what stands on its line.
    pub fn of(note: &Note, text: Option<String>) -> Self {
        let start = note.span.as_ref().map(|span| &span.start);
        let written = note
            .origin
            .as_ref()
            .and_then(|origin| origin.place.as_ref());
        let place = start.or(written);
        Self {
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
            suggestion: note.suggestion.clone(),
            ..Self::running(
                note.code,
                note.severity,
                None,
                note.message.clone(),
                &note.in_force,
            )
        }
    }

    /// A finding about something that runs: `proxy shop/cart-1`.
    pub fn running(
        code: Code,
        severity: Severity,
        subject: Option<String>,
        message: String,
        in_force: &str,
    ) -> Self {
        Self {
            code: code.as_str().to_owned(),
            slug: code.slug().to_owned(),
            severity: match severity {
                Severity::Info => "info",
                Severity::Warning => "warning",
                Severity::Error => "error",
            }
            .to_owned(),
            fault: code.fault().as_str().to_owned(),
            object: subject,
            pointer: None,
            file: None,
            line: None,
            column: None,
            width: None,
            text: None,
            message,
            suggestion: None,
            in_force: in_force.to_owned(),
            since: None,
            next: None,
            heads: false,
        }
    }

    /// How bad it is. What another build calls by a word that this one does not know is an error.
    pub fn severity(&self) -> Severity {
        match self.severity.as_str() {
            "info" => Severity::Info,
            "warning" => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

/// What is in force, or was, as it was written, and all that it is completed by: that is always what
/// proxies report at present.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Configuration {
    /// How the control plane is.
    pub status: Status,
    /// Which Leno it is; unknown of an older one.
    #[serde(default)]
    pub version: Option<String>,
    /// Its revision.
    pub revision: u64,
    /// Whether everything that was written is as it was then: a watched folder has no past.
    #[serde(default)]
    pub exact: bool,
    /// What the mesh is called where nobody has written a `Mesh`.
    pub mesh: Option<String>,
    /// The trust domain of the CA, once there is one.
    pub trust_domain: Option<String>,
    /// The files: each object stands where it stood when it was applied or read.
    pub files: Vec<InForce>,
    /// What runs in the care of the control plane's own process.
    pub running: Vec<Running>,
    /// What runs in the cluster that it follows.
    #[serde(default)]
    pub pods: Vec<RunningPod>,
    /// The virtual addresses of services.
    pub addresses: Vec<Addressed>,
    /// Where mesh calls are taken for workloads, as their proxies reported.
    pub tunnels: Vec<Tunnel>,
    /// Workloads whose proxy has left: nobody calls them.
    pub left: Vec<String>,
    /// The identities that nobody believes any more; none are told of another time, because no
    /// revision holds them.
    #[serde(default)]
    pub revoked: Vec<String>,
    /// The measures that hold over what is written; none are told of another time.
    #[serde(default)]
    pub overrides: Vec<OverrideTold>,
    /// The proxies that are connected, by name.
    pub proxies: Vec<ProxyState>,
}

/// A pod that has not ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunningPod {
    /// Which: `shop/cart-7d9f8bc5d-x2x4k`.
    pub pod: String,
    /// The workload it is an instance of: `cart`.
    pub of: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whom it acts as.
    pub service_account: String,
    /// The ports that it declares, with the names of each.
    pub ports: BTreeMap<u16, Vec<String>>,
    /// The annotations that leave something out of its capture.
    pub annotations: BTreeMap<String, String>,
    /// Whether it was made with a proxy in it.
    pub has_proxy: bool,
    /// Why it would not have been made, had somebody been asked.
    pub unfit: Option<String>,
    /// Whether the proxy of its node carries its calls, whatever its labels say.
    #[serde(default)]
    pub served: bool,
    /// Whether it has the network of its node.
    pub on_host: bool,
    /// The health checks that its node makes: the port, the path (`tls` or `tcp` for one that asks for none), and where the
    /// pod says so.
    pub probes: Vec<(u16, String, String)>,
    /// The addresses from which its node calls it.
    pub hosts: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// The region, zone and node it runs in, as far as they are known.
    pub locality: [Option<String>; 3],
    /// Whether it takes calls; absent: it does not.
    pub takes_calls: Option<TakesCalls>,
}

/// Whether a pod takes calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakesCalls {
    /// It is ready.
    Yes,
    /// It ends and still serves, or nobody hears of its node.
    IfNobodyElse,
}

/// Something that runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Running {
    /// Which: `shop/cart-1`.
    pub workload: String,
    /// The `MeshWorkload` it is an instance of.
    pub of: String,
    /// Where it is.
    pub address: String,
    /// The ports that it was found to listen on.
    pub found: Vec<RunningPort>,
    /// Where its proxy takes mesh calls for it, unless it only calls.
    pub tunnel: Option<String>,
}

/// A port that something was found to listen on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunningPort {
    /// Its number.
    pub port: u16,
    /// Whether HTTP is spoken there; else bytes.
    pub is_http: bool,
}

/// A service and one of its virtual addresses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Addressed {
    /// The service: `shop/cart`.
    pub service: String,
    /// The address.
    pub address: String,
}

/// A file of what is in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InForce {
    /// Its path, as people know it.
    pub path: String,
    /// The namespace of objects in it that name none.
    pub namespace: String,
    /// What stands in it.
    pub text: String,
}

/// Where mesh calls are taken for a workload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tunnel {
    /// The workload: `shop/cart-1`.
    pub workload: String,
    /// The address.
    pub address: String,
}

/// The proxies that are connected.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proxies {
    /// How the control plane is.
    pub status: Status,
    /// The proxies, by name.
    pub proxies: Vec<ProxyState>,
    /// Workloads whose proxy was there and is not connected.
    pub away: Vec<Away>,
}

/// A workload whose proxy is not connected. Others go on calling it where it last took calls.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Away {
    /// The workload: `shop/cart-1`.
    pub workload: String,
    /// Where its proxy took mesh calls.
    pub tunnel: String,
    /// Since when, in RFC 3339; unknown if it has not been there since the control plane started.
    pub since: Option<String>,
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
    /// The node of a cluster that it serves, if it serves one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Workloads it asked for and is not entitled to, or that do not exist.
    pub not_entitled: Vec<String>,
    /// The generation of the view it decides by.
    pub generation: String,
    /// Whether that is the newest one.
    pub current: bool,
    /// Why it did not adopt the newest one, if it did not.
    pub refused: Option<String>,
    /// The code of that reason.
    #[serde(default)]
    pub code: Option<String>,
    /// The features that its view needs and that it lacks.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// The features that it understands; unknown where an older control plane does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// Since when it is connected, in RFC 3339.
    pub since: String,
    /// When the last certificate of its own identity ends that it is known to have, in RFC 3339.
    pub ends: String,
}

/// A mesh that follows its store again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recovered {
    /// How the control plane is.
    pub status: Status,
    /// The epoch that began.
    pub epoch: u64,
    /// The proxies that were ahead, and what they held.
    pub ahead: Vec<Ahead>,
}

/// A proxy that held a later view than the store knew of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ahead {
    /// What it calls itself.
    pub name: String,
    /// The generation of that view.
    pub generation: String,
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
    /// What leads to the mesh and lets nobody in, where tokens of others are taken: whoever joins by one
    /// needs it.
    pub mesh: Option<String>,
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

/// What a proxy holds, by itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holding {
    /// What it calls itself.
    pub proxy: String,
    /// Who it proves to be.
    pub identity: String,
    /// What its clock says, in RFC 3339.
    pub now: String,
    /// The workloads that it says it stands in front of.
    pub workloads: Vec<String>,
    /// The generation of the view it decides by, if it holds one.
    pub generation: Option<String>,
    /// Whom it follows.
    pub follows: Follows,
    /// Since when that is so, in RFC 3339.
    pub since: String,
    /// Its certificates.
    pub certificates: Vec<CertificateState>,
    /// The workloads of others that it may call, each with where its proxy takes mesh calls.
    #[serde(default)]
    pub peers: Vec<Tunnel>,
    /// What is wrong with its host's clock, with its code, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
}

/// The view that a proxy decides by, for whoever decides by it again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Parts {
    /// What it calls itself.
    pub proxy: String,
    /// The generation of the view.
    pub generation: String,
    /// The parts of the view as a control plane sends them, each in base64 (RFC 4648 section 4).
    pub parts: Vec<String>,
    /// Whether the view was asked to hold every service. Else it holds those that were called.
    pub is_whole: bool,
}

/// Whom a proxy follows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Follows {
    /// A control plane, to which it is connected.
    ControlPlane,
    /// A control plane that it cannot reach, for this reason.
    Away(String),
    /// Files alone: no control plane is missing.
    Files,
}

/// A proxy ends as soon as what lives there has ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ending {}
