//! What the two ends say to each other: delta xDS requests and responses, and the commit that
//! makes a pile of parts one view.
//!
//! Field numbers are those of `envoy.service.discovery.v3`, so that any tool for delta xDS can
//! read along.

use alloc::{
    borrow::ToOwned, collections::BTreeMap, collections::BTreeSet, string::String,
    string::ToString, vec::Vec,
};
use core::net::SocketAddr;
use core::time::Duration;

use leno_identity::Seal;
use leno_model::view::{Generation, WorkloadId};
use leno_model::{SpiffeId, Subscription, Wall};
use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::carried::{Carried, Misfit, from_option};
use crate::part::word::{NamedMessage, SocketMessage};
use crate::part::{Encoded, PartName, Version};

/// The one type of resource.
const TYPE_URL: &str = "type.googleapis.com/leno.dev.v1alpha1.Part";

/// The name of the resource that ends an update.
const COMMIT: &str = "commit";

/// What a proxy sends.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Request {
    /// Who is speaking; in the first request of a stream.
    pub hello: Option<Hello>,
    /// What it wants to know from now on.
    pub subscribe: Vec<Subscription>,
    /// What it no longer needs.
    pub unsubscribe: Vec<Subscription>,
    /// What became of the update that ended with this nonce.
    pub verdict: Option<Verdict>,
    /// With a hello or a verdict: the features that the view which is held needs, and that the proxy
    /// lacks. It refuses what needs them.
    pub lacks: BTreeSet<String>,
}

/// The first words of a proxy.
#[derive(Clone, PartialEq, Debug)]
pub struct Hello {
    /// What the proxy calls itself, for people; who it is was proven by its certificate.
    pub proxy: String,
    /// The features it understands ([`crate::part::FEATURES`]).
    pub features: Vec<String>,
    /// The generation it holds: it adopts none that does not follow.
    pub generation: Generation,
    /// The parts it holds.
    pub holds: BTreeMap<PartName, Version>,
    /// The workloads it says it stands in front of. It is told of those that its identity entitles
    /// it to.
    pub workloads: BTreeSet<WorkloadId>,
    /// Where it takes mesh calls for them, once it listens there.
    pub tunnel: Option<SocketAddr>,
}

/// A proxy's answer to an update.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Which update.
    pub nonce: u64,
    /// Why it was not adopted; the proxy still holds what it held before.
    pub refused: Option<String>,
}

/// What a control plane sends: some of an update; the last one of it carries the commit.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Response {
    /// Which update this belongs to.
    pub nonce: u64,
    /// Parts that are new or changed.
    pub parts: Vec<(PartName, Encoded)>,
    /// Names of parts and subscriptions that do not exist: never "not known yet".
    pub removed: Vec<String>,
    /// The end of the update.
    pub commit: Option<Commit>,
    /// Identities whose certificates the proxy should renew at once. They belong to no update.
    pub renew: Vec<SpiffeId>,
}

/// What the whole view is, once everything sent before has been put in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Where the view stands in the order of views.
    pub generation: Generation,
    /// How many parts it has.
    pub count: u64,
    /// The version of its list of parts: see [`list_version`].
    pub list: Version,
    /// Subscriptions that the view answers and that have not been answered on this stream before.
    pub answers: Vec<Subscription>,
    /// The version of all that the proxy knows of what it asked about: see [`known_version`].
    pub known: Version,
    /// The control plane's signature for the proxy that it is sent to, over [`Self::statement`].
    pub seal: Option<Seal>,
}

/// The one proxy that a view is made for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// What it calls itself.
    pub proxy: String,
    /// Who it has proven to be.
    pub identity: SpiffeId,
}

/// The version of a view's list of parts: of each name, its length before it, and version.
pub fn list_version<'a>(parts: impl Iterator<Item = (&'a PartName, Version)>) -> Version {
    let mut digest = Sha256::new();
    for (name, version) in parts {
        let name = name.as_str();
        digest.update((name.len() as u64).to_be_bytes());
        digest.update(name);
        digest.update(version.bytes());
    }
    Version::of_digest(digest)
}

/// The version of what a proxy knows of what it asked about: of each name, its length before it, and
/// whether it exists.
pub fn known_version(known: &BTreeMap<Subscription, bool>) -> Version {
    let mut digest = Sha256::new();
    for (subscription, exists) in known {
        let name = subscription.to_string();
        digest.update((name.len() as u64).to_be_bytes());
        digest.update(name);
        digest.update([u8::from(*exists)]);
    }
    Version::of_digest(digest)
}

/// How many features are named of those that a proxy lacks: one is enough to look for a newer one.
const MOST_LACKS: usize = 16;

/// Whether people may be shown this as the name of a feature.
fn is_feature(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// How many features a proxy may say to understand.
const MOST_FEATURES: usize = 256;

/// The features that people may be shown.
fn known(features: Vec<String>) -> Vec<String> {
    let features = features.into_iter().filter(|name| is_feature(name));
    features.take(MOST_FEATURES).collect()
}

impl Request {
    /// Its bytes on the stream.
    pub fn encode(&self) -> Vec<u8> {
        let names = |list: &[Subscription]| list.iter().map(ToString::to_string).collect();
        let hello = self.hello.as_ref();
        let verdict = self.verdict.as_ref();
        RequestMessage {
            node: hello.map(|hello| NodeMessage {
                id: hello.proxy.clone(),
                generation: Some(hello.generation.to_message()),
                features: hello.features.clone(),
                workloads: hello.workloads.iter().map(Carried::to_message).collect(),
                tunnel: hello.tunnel.as_ref().map(Carried::to_message),
            }),
            type_url: TYPE_URL.to_owned(),
            subscribe: names(&self.subscribe),
            unsubscribe: names(&self.unsubscribe),
            versions: hello
                .into_iter()
                .flat_map(|hello| &hello.holds)
                .map(|(name, version)| (name.to_string(), version.to_string()))
                .collect(),
            lacks: self.lacks.iter().take(MOST_LACKS).cloned().collect(),
            nonce: verdict.map_or_else(String::new, |verdict| verdict.nonce.to_string()),
            error: verdict
                .and_then(|verdict| verdict.refused.clone())
                .map(|message| StatusMessage {
                    code: INVALID_ARGUMENT,
                    message,
                }),
        }
        .encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message =
            RequestMessage::decode(bytes).map_err(|error| Misfit::new("request", error))?;
        let names = |list: Vec<String>| {
            list.into_iter()
                .map(Subscription::from_message)
                .collect::<Result<Vec<_>, _>>()
        };
        let holds = message.versions.into_iter().map(|(name, version)| {
            let version = Version::parse(&version);
            Ok((
                name.into(),
                version.ok_or_else(|| Misfit::new("version", "it is none"))?,
            ))
        });
        let holds = holds.collect::<Result<BTreeMap<PartName, _>, Misfit>>()?;
        let verdict = match message.nonce.as_str() {
            "" => None,
            nonce => Some(Verdict {
                nonce: nonce.parse().map_err(|error| Misfit::new("nonce", error))?,
                refused: message.error.map(|error| error.message),
            }),
        };
        let hello = message.node.map(|node| {
            let generation = node.generation.map(Generation::from_message).transpose()?;
            Ok(Hello {
                proxy: node.id,
                features: known(node.features),
                generation: generation.unwrap_or_default(),
                holds,
                workloads: node
                    .workloads
                    .into_iter()
                    .map(WorkloadId::from_message)
                    .collect::<Result<_, _>>()?,
                tunnel: node.tunnel.map(SocketAddr::from_message).transpose()?,
            })
        });
        Ok(Self {
            hello: hello.transpose()?,
            subscribe: names(message.subscribe)?,
            unsubscribe: names(message.unsubscribe)?,
            verdict,
            lacks: message
                .lacks
                .into_iter()
                .take(MOST_LACKS)
                .filter(|name| is_feature(name))
                .collect(),
        })
    }
}

impl Response {
    /// Its bytes on the stream.
    pub fn encode(&self) -> Vec<u8> {
        let resource = |name: String, version: String, value: Vec<u8>| ResourceMessage {
            version,
            resource: Some(AnyMessage {
                type_url: TYPE_URL.to_owned(),
                value,
            }),
            name,
        };
        let mut resources: Vec<_> = self
            .parts
            .iter()
            .map(|(name, part)| {
                let version = part.version().to_string();
                resource(name.to_string(), version, part.bytes().to_vec())
            })
            .collect();
        if let Some(commit) = &self.commit {
            let bytes = commit.to_message().encode_to_vec();
            resources.push(resource(COMMIT.to_owned(), String::new(), bytes));
        }
        ResponseMessage {
            resources,
            type_url: TYPE_URL.to_owned(),
            nonce: self.nonce.to_string(),
            removed: self.removed.clone(),
            renew: self.renew.iter().map(Carried::to_message).collect(),
        }
        .encode_to_vec()
    }

    /// Reads what a control plane sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message =
            ResponseMessage::decode(bytes).map_err(|error| Misfit::new("response", error))?;
        let nonce = message
            .nonce
            .parse()
            .map_err(|error| Misfit::new("nonce", error))?;
        let mut response = Self {
            nonce,
            removed: message.removed,
            renew: message
                .renew
                .into_iter()
                .map(SpiffeId::from_message)
                .collect::<Result<_, _>>()?,
            ..Self::default()
        };
        for resource in message.resources {
            let bytes = resource
                .resource
                .ok_or_else(|| Misfit::missing("resource"))?
                .value;
            if resource.name == COMMIT {
                let message = CommitMessage::decode(&*bytes);
                let message = message.map_err(|error| Misfit::new("commit", error))?;
                response.commit = Some(Commit::from_message(message)?);
                continue;
            }
            let part = Encoded::new(bytes);
            if Version::parse(&resource.version) != Some(part.version()) {
                return Err(Misfit::new("part", "its version is not that of its bytes"));
            }
            response.parts.push((resource.name.into(), part));
        }
        Ok(response)
    }
}

impl Commit {
    /// What the control plane signs: that this view is what `holder` should hold.
    pub fn statement(&self, holder: &Holder) -> Vec<u8> {
        StatementMessage {
            proxy: holder.proxy.clone(),
            identity: holder.identity.to_message(),
            generation: Some(self.generation.to_message()),
            count: self.count,
            list: self.list.to_string(),
            known: self.known.to_string(),
        }
        .encode_to_vec()
    }
}

impl Carried for Commit {
    type Message = CommitMessage;

    fn to_message(&self) -> CommitMessage {
        CommitMessage {
            generation: Some(self.generation.to_message()),
            count: self.count,
            list: self.list.to_string(),
            answers: self.answers.iter().map(ToString::to_string).collect(),
            known: self.known.to_string(),
            seal: self.seal.as_ref().map(Seal::to_message),
        }
    }

    fn from_message(message: CommitMessage) -> Result<Self, Misfit> {
        let generation = message
            .generation
            .ok_or_else(|| Misfit::missing("generation"))?;
        Ok(Self {
            generation: Generation::from_message(generation)?,
            count: message.count,
            list: Version::parse(&message.list)
                .ok_or_else(|| Misfit::new("commit", "its list has no version"))?,
            answers: message
                .answers
                .into_iter()
                .map(Subscription::from_message)
                .collect::<Result<_, _>>()?,
            known: Version::parse(&message.known)
                .ok_or_else(|| Misfit::new("commit", "its answers have no version"))?,
            seal: from_option(message.seal)?,
        })
    }
}

impl Carried for Seal {
    type Message = SealMessage;

    fn to_message(&self) -> SealMessage {
        let millis = self.at.elapsed_since_epoch().as_millis();
        SealMessage {
            chain: self.chain.clone(),
            at: u64::try_from(millis).unwrap_or(u64::MAX),
            signature: self.signature.clone(),
        }
    }

    fn from_message(message: SealMessage) -> Result<Self, Misfit> {
        Ok(Self {
            chain: message.chain,
            at: Wall::since_epoch(Duration::from_millis(message.at)),
            signature: message.signature,
        })
    }
}

impl Carried for Generation {
    type Message = GenerationMessage;

    fn to_message(&self) -> GenerationMessage {
        GenerationMessage {
            epoch: self.epoch,
            positions: self
                .positions
                .iter()
                .map(|(source, at)| (source.to_string(), *at))
                .collect(),
        }
    }

    fn from_message(message: GenerationMessage) -> Result<Self, Misfit> {
        let positions = message.positions.into_iter();
        Ok(Self {
            epoch: message.epoch,
            positions: positions.map(|(source, at)| (source.into(), at)).collect(),
        })
    }
}

/// The gRPC status of an update that was refused.
const INVALID_ARGUMENT: i32 = 3;

/// `envoy.service.discovery.v3.DeltaDiscoveryRequest`.
#[derive(Clone, PartialEq, Message)]
struct RequestMessage {
    #[prost(message, optional, tag = "1")]
    node: Option<NodeMessage>,
    #[prost(string, tag = "2")]
    type_url: String,
    #[prost(string, repeated, tag = "3")]
    subscribe: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    unsubscribe: Vec<String>,
    #[prost(btree_map = "string, string", tag = "5")]
    versions: BTreeMap<String, String>,
    #[prost(string, tag = "6")]
    nonce: String,
    #[prost(message, optional, tag = "7")]
    error: Option<StatusMessage>,
    #[prost(string, repeated, tag = "1001")]
    lacks: Vec<String>,
}

/// `envoy.config.core.v3.Node`: the fields we use, and ours at numbers it leaves free.
#[derive(Clone, PartialEq, Message)]
struct NodeMessage {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, repeated, tag = "10")]
    features: Vec<String>,
    #[prost(message, optional, tag = "1001")]
    generation: Option<GenerationMessage>,
    #[prost(message, repeated, tag = "1002")]
    workloads: Vec<NamedMessage>,
    #[prost(message, optional, tag = "1003")]
    tunnel: Option<SocketMessage>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct StatusMessage {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// `envoy.service.discovery.v3.DeltaDiscoveryResponse`, and ours at a number it leaves free.
#[derive(Clone, PartialEq, Message)]
struct ResponseMessage {
    #[prost(message, repeated, tag = "2")]
    resources: Vec<ResourceMessage>,
    #[prost(string, tag = "4")]
    type_url: String,
    #[prost(string, tag = "5")]
    nonce: String,
    #[prost(string, repeated, tag = "6")]
    removed: Vec<String>,
    #[prost(string, repeated, tag = "1001")]
    renew: Vec<String>,
}

/// `envoy.service.discovery.v3.Resource`.
#[derive(Clone, PartialEq, Message)]
struct ResourceMessage {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(message, optional, tag = "2")]
    resource: Option<AnyMessage>,
    #[prost(string, tag = "3")]
    name: String,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct AnyMessage {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CommitMessage {
    #[prost(message, optional, tag = "1")]
    generation: Option<GenerationMessage>,
    #[prost(uint64, tag = "2")]
    count: u64,
    #[prost(string, tag = "3")]
    list: String,
    #[prost(string, repeated, tag = "4")]
    answers: Vec<String>,
    #[prost(string, tag = "5")]
    known: String,
    #[prost(message, optional, tag = "6")]
    seal: Option<SealMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SealMessage {
    #[prost(bytes = "vec", repeated, tag = "1")]
    chain: Vec<Vec<u8>>,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[prost(uint64, tag = "2")]
    at: u64,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct StatementMessage {
    #[prost(string, tag = "1")]
    proxy: String,
    #[prost(string, tag = "2")]
    identity: String,
    #[prost(message, optional, tag = "3")]
    generation: Option<GenerationMessage>,
    #[prost(uint64, tag = "4")]
    count: u64,
    #[prost(string, tag = "5")]
    list: String,
    #[prost(string, tag = "6")]
    known: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GenerationMessage {
    #[prost(uint64, tag = "1")]
    epoch: u64,
    #[prost(btree_map = "string, uint64", tag = "2")]
    positions: BTreeMap<String, u64>,
}
