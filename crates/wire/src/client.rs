//! The proxy's end: stages what comes, adopts a view whole or not at all, and never goes back.

use alloc::{
    borrow::ToOwned, collections::BTreeMap, collections::BTreeSet, string::String,
    string::ToString, vec::Vec,
};
use core::net::SocketAddr;

use leno_model::view::{Generation, View, WorkloadId};
use leno_model::{Code, SpiffeId, Subscription};

use crate::carried::Misfit;
use crate::delta::{Commit, Hello, Request, Response, Verdict, known_version, list_version};
use crate::part::{Encoded, Part, PartName, assemble, understood};

/// The most bytes that may be staged before a commit.
const STAGED_BYTES: usize = 256 << 20;

/// What a proxy knows of a name it asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// It exists, and the view holds it.
    Exists,
    /// It does not exist.
    Absent,
    /// No answer has come.
    NotYet,
}

/// What came of a response.
#[derive(Debug)]
pub enum Received {
    /// It is staged; more is to come.
    Staged,
    /// The view is complete: adopt it.
    Adopt(View),
    /// The update was refused; what was held before still holds.
    Refused(Refused),
    /// The certificates of these should be renewed at once.
    Renew(Vec<SpiffeId>),
}

/// Why an update was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Some of it cannot be understood, or does not belong together.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// It would take back what was adopted before.
    #[error(
        "the control plane stands at {offered}, before {held}, which is held: if its store was put \
         back or made anew, leno control recover"
    )]
    GoesBack {
        /// What was offered.
        offered: Generation,
        /// What is held.
        held: Generation,
    },
}

impl Refused {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::Misfit(_) => Code::D002,
            Self::GoesBack { .. } => Code::D004,
        }
    }
}

/// A proxy's stream to its control plane, across reconnections.
#[derive(Debug)]
pub struct Client {
    proxy: String,
    workloads: BTreeSet<WorkloadId>,
    tunnel: Option<SocketAddr>,
    kept: Kept,
    staged: Staged,
    greeted: bool,
    subscribe: Vec<Subscription>,
    unsubscribe: Vec<Subscription>,
    verdict: Option<Verdict>,
}

/// What outlives the stream and the process.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) held: BTreeMap<PartName, (Encoded, Part)>,
    pub(crate) generation: Generation,
    pub(crate) subscriptions: BTreeSet<Subscription>,
    pub(crate) known: BTreeMap<Subscription, bool>,
    /// The features that parts which are held need and this process lacks.
    pub(crate) lacks: BTreeMap<PartName, BTreeSet<String>>,
    /// The commit of all that, if it is sealed.
    pub(crate) commit: Option<Commit>,
}

/// An update that has not been committed.
#[derive(Debug, Default)]
struct Staged {
    nonce: u64,
    parts: BTreeMap<PartName, (Encoded, Part)>,
    lacks: BTreeMap<PartName, BTreeSet<String>>,
    removed: BTreeSet<String>,
    bytes: usize,
    misfit: Option<Misfit>,
}

impl Client {
    /// A proxy of this name that holds nothing.
    pub fn new(proxy: &str) -> Self {
        Self::with(proxy, Kept::default())
    }

    pub(crate) fn with(proxy: &str, kept: Kept) -> Self {
        Self {
            proxy: proxy.to_owned(),
            workloads: BTreeSet::new(),
            tunnel: None,
            kept,
            staged: Staged::default(),
            greeted: false,
            subscribe: Vec::new(),
            unsubscribe: Vec::new(),
            verdict: None,
        }
    }

    /// Says from here on that the proxy stands in front of `workloads` and takes mesh calls for them at
    /// `tunnel`. A control plane that was told something else is greeted once more.
    pub fn announce(&mut self, workloads: BTreeSet<WorkloadId>, tunnel: Option<SocketAddr>) {
        let is_news = self.workloads != workloads || self.tunnel != tunnel;
        self.greeted &= !is_news;
        self.workloads = workloads;
        self.tunnel = tunnel;
    }

    /// In front of whom the proxy says that it stands.
    pub fn announced(&self) -> &BTreeSet<WorkloadId> {
        &self.workloads
    }

    /// Begins a new stream: whatever was under way on the old one is forgotten, what was adopted stays.
    pub fn reconnect(&mut self) {
        self.staged = Staged::default();
        self.greeted = false;
        self.verdict = None;
        self.unsubscribe.clear();
        self.subscribe = self.kept.subscriptions.iter().cloned().collect();
    }

    /// Asks to be told about something from now on.
    pub fn subscribe(&mut self, subscription: Subscription) {
        if self.kept.subscriptions.insert(subscription.clone()) {
            self.unsubscribe.retain(|other| *other != subscription);
            self.subscribe.push(subscription);
        }
    }

    /// Needs to be told about something no longer.
    pub fn unsubscribe(&mut self, subscription: &Subscription) {
        if self.kept.subscriptions.remove(subscription) {
            if self.kept.known.remove(subscription).is_some() {
                // It is over more than what is known now; the next one will fit.
                self.kept.commit = None;
            }
            self.subscribe.retain(|other| other != subscription);
            self.unsubscribe.push(subscription.clone());
        }
    }

    /// What is known of something that was asked about.
    pub fn known(&self, subscription: &Subscription) -> Known {
        match self.kept.known.get(subscription) {
            Some(true) => Known::Exists,
            Some(false) => Known::Absent,
            None => Known::NotYet,
        }
    }

    /// The generation that was adopted last.
    pub fn generation(&self) -> &Generation {
        &self.kept.generation
    }

    /// How many things it asks to be told about.
    pub fn subscriptions(&self) -> usize {
        self.kept.subscriptions.len()
    }

    /// What was asked about and is known: what the view holds or the mesh does not have.
    pub fn answered(&self) -> impl Iterator<Item = &Subscription> {
        self.kept.known.keys()
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The next request to send.
    pub fn poll_request(&mut self) -> Option<Request> {
        let hello = (!self.greeted).then(|| Hello {
            proxy: self.proxy.clone(),
            features: understood().map(ToString::to_string).collect(),
            generation: self.kept.generation.clone(),
            holds: self
                .kept
                .held
                .iter()
                .map(|(name, (part, _))| (name.clone(), part.version()))
                .collect(),
            workloads: self.workloads.clone(),
            tunnel: self.tunnel,
        });
        let tells = hello.is_some() || self.verdict.is_some();
        let lacks = self.kept.lacks.values().flatten().filter(|_| tells);
        let request = Request {
            lacks: lacks.cloned().collect(),
            hello,
            subscribe: core::mem::take(&mut self.subscribe),
            unsubscribe: core::mem::take(&mut self.unsubscribe),
            verdict: self.verdict.take(),
        };
        self.greeted = true;
        (request != Request::default()).then_some(request)
    }

    /// Takes what the control plane sent.
    pub fn handle_response(&mut self, response: Response) -> Received {
        if !response.renew.is_empty() {
            return Received::Renew(response.renew);
        }
        if response.nonce != self.staged.nonce {
            self.staged = Staged {
                nonce: response.nonce,
                ..Staged::default()
            };
        }
        for (name, part) in response.parts {
            self.staged.add(name, &part);
        }
        self.staged.removed.extend(response.removed);
        let Some(commit) = response.commit else {
            return Received::Staged;
        };
        let staged = core::mem::take(&mut self.staged);
        let nonce = staged.nonce;
        let adopted = self.adopt(staged, &commit);
        let refused = adopted.as_ref().err().map(ToString::to_string);
        self.verdict = Some(Verdict { nonce, refused });
        match adopted {
            Ok(view) => Received::Adopt(view),
            Err(refused) => Received::Refused(refused),
        }
    }

    /// Puts what was staged in its place; nothing is changed unless all of it fits.
    fn adopt(&mut self, staged: Staged, commit: &Commit) -> Result<View, Refused> {
        if let Some(misfit) = staged.misfit {
            return Err(misfit.into());
        }
        if !commit.generation.follows(&self.kept.generation) {
            return Err(Refused::GoesBack {
                offered: commit.generation.clone(),
                held: self.kept.generation.clone(),
            });
        }
        let mut held = self.kept.held.clone();
        held.retain(|name, _| !staged.removed.contains(name.as_str()));
        let mut lacks = self.kept.lacks.clone();
        lacks.retain(|name, _| {
            !staged.removed.contains(name.as_str()) && !staged.parts.contains_key(name)
        });
        lacks.extend(staged.lacks);
        held.extend(staged.parts);
        let list = list_version(held.iter().map(|(name, (part, _))| (name, part.version())));
        if u64::try_from(held.len()) != Ok(commit.count) || list != commit.list {
            let why = "the parts that came are not those that it names";
            return Err(Misfit::new("commit", why).into());
        }
        let parts = held.values().map(|(_, part)| part.clone());
        let view = assemble(commit.generation.clone(), parts)?;
        self.kept.held = held;
        self.kept.lacks = lacks;
        self.kept.generation = commit.generation.clone();
        let absent = staged
            .removed
            .iter()
            .filter_map(|name| Subscription::parse(name));
        let answers = commit
            .answers
            .iter()
            .cloned()
            .map(|subscription| (subscription, true));
        for (subscription, exists) in absent.map(|absent| (absent, false)).chain(answers) {
            if self.kept.subscriptions.contains(&subscription) {
                self.kept.known.insert(subscription, exists);
            }
        }
        // It is over more than that if something is asked no more since the update began.
        let is_sealed = commit.seal.is_some() && commit.known == known_version(&self.kept.known);
        self.kept.commit = is_sealed.then(|| Commit {
            answers: Vec::new(),
            ..commit.clone()
        });
        Ok(view)
    }
}

impl Staged {
    fn add(&mut self, name: PartName, encoded: &Encoded) {
        self.bytes = self.bytes.saturating_add(encoded.bytes().len());
        if self.misfit.is_some() {
            return;
        }
        let part = match Part::decode_with_lacks(encoded.bytes()) {
            _ if self.bytes > STAGED_BYTES => Err(Misfit::new("update", "it is too large")),
            Ok((part, _)) if part.name() != name => {
                Err(Misfit::new("part", "it is not what its name says"))
            }
            other => other,
        };
        match part {
            Ok((part, lacks)) => {
                if !lacks.is_empty() {
                    self.lacks.insert(name.clone(), lacks);
                }
                self.parts.insert(name, (encoded.clone(), part));
            }
            Err(misfit) => self.misfit = Some(misfit),
        }
    }
}
