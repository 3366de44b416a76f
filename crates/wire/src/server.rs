//! The control plane's end of one stream: sends a proxy what its view differs by, one update at a
//! time, and knows what it holds.

use alloc::{
    boxed::Box, collections::BTreeMap, collections::BTreeSet, string::String, string::ToString,
    sync::Arc, vec::Vec,
};
use core::mem;

use leno_model::view::{Generation, View};
use leno_model::{SpiffeId, Subscription};

use crate::carried::Misfit;
use crate::delta::{Commit, Hello, Request, Response, known_version, list_version};
use crate::part::{Encoded, Part, PartName, Version, parts_of};

/// The most bytes of parts in one response; a larger part travels alone.
const RESPONSE_BYTES: usize = 1 << 20;

/// The most that one proxy may subscribe to.
const MOST_SUBSCRIPTIONS: usize = 100_000;

/// A view ready to be sent: its parts as bytes, and what its subscriptions came to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Target {
    generation: Generation,
    parts: BTreeMap<PartName, Encoded>,
    answers: BTreeMap<Subscription, bool>,
}

impl Target {
    /// Encodes `view`. Of the subscriptions it was made for, `answers` says which name something
    /// that exists; one it does not hold is not known yet.
    pub fn new(view: &View, answers: BTreeMap<Subscription, bool>) -> Self {
        let encoded = |part: Part| (part.name(), Encoded::new(part.encode()));
        let parts = parts_of(view).into_iter().map(encoded).collect();
        Self::of_parts(view.generation.clone(), parts, answers)
    }

    /// The same for a view whose parts are encoded already, by their names: views of several
    /// proxies share most of them.
    pub fn of_parts(
        generation: Generation,
        parts: BTreeMap<PartName, Encoded>,
        answers: BTreeMap<Subscription, bool>,
    ) -> Self {
        Self {
            generation,
            parts,
            answers,
        }
    }

    /// Where the view stands in the order of views.
    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Its parts.
    pub fn parts(&self) -> &BTreeMap<PartName, Encoded> {
        &self.parts
    }

    /// What of it a proxy with these features knows: of a kind of part that it does not, it is told
    /// nothing.
    fn known_with(self: Arc<Self>, features: &[String]) -> Arc<Self> {
        let is_known = |name: &PartName| match name.feature() {
            Some(feature) => features.iter().any(|it| it == feature),
            None => true,
        };
        if self.parts.keys().all(is_known) {
            return self;
        }
        let mut known = Self::clone(&self);
        known.parts.retain(|name, _| is_known(name));
        Arc::new(known)
    }

    /// The features that a proxy with these lacks, and without which it is not told some of it.
    fn withheld_from(&self, features: &[String]) -> BTreeSet<String> {
        let needed = self.parts.keys().filter_map(PartName::feature);
        let lacked = needed.filter(|need| !features.iter().any(|it| it == need));
        lacked.map(String::from).collect()
    }

    /// The commit without its seal, of which the holder of a key knows.
    fn commit(&self, answers: Vec<Subscription>, told: &BTreeMap<Subscription, bool>) -> Commit {
        Commit {
            generation: self.generation.clone(),
            count: u64::try_from(self.parts.len()).unwrap_or(u64::MAX),
            list: list_version(self.parts.iter().map(|(name, part)| (name, part.version()))),
            answers,
            known: known_version(told),
            seal: None,
        }
    }
}

/// One proxy, as its control plane sees it.
#[derive(Debug, Default)]
pub struct Server {
    hello: Option<Hello>,
    subscriptions: BTreeSet<Subscription>,
    holds: Holds,
    generation: Generation,
    told: BTreeMap<Subscription, bool>,
    wanted: Option<Wanted>,
    sending: Option<Sending>,
    nonce: u64,
    refused: Option<(Arc<Target>, String)>,
    renew: BTreeSet<SpiffeId>,
    lacks: BTreeSet<String>,
    withheld: BTreeSet<String>,
}

/// The parts that a proxy holds. A clone shares them.
#[derive(Clone, Debug)]
pub enum Holds {
    /// Those that it says it holds.
    Said(Arc<BTreeMap<PartName, Version>>),
    /// Those that it was sent and has adopted.
    Adopted(Arc<Target>),
}

/// A view that was offered.
#[derive(Debug)]
struct Wanted {
    target: Arc<Target>,
    /// Whether it is told to the proxy even if that will refuse it.
    insist: bool,
}

/// An update under way: what is left to send, and what follows once it is adopted.
#[derive(Debug)]
struct Sending {
    target: Arc<Target>,
    told: BTreeMap<Subscription, bool>,
    queue: Vec<Response>,
}

impl Default for Holds {
    fn default() -> Self {
        Self::Said(Arc::default())
    }
}

impl Holds {
    /// The version that is held of a part, if it is.
    pub fn version(&self, name: &PartName) -> Option<Version> {
        match self {
            Self::Said(versions) => versions.get(name).copied(),
            Self::Adopted(target) => target.parts.get(name).map(Encoded::version),
        }
    }

    fn names(&self) -> Box<dyn Iterator<Item = &PartName> + '_> {
        match self {
            Self::Said(versions) => Box::new(versions.keys()),
            Self::Adopted(target) => Box::new(target.parts.keys()),
        }
    }

    /// Whether these are the parts of `target` and no others.
    fn all_of(&self, target: &Target) -> bool {
        let parts = &target.parts;
        let same = |(name, part): (&PartName, &Encoded)| self.version(name) == Some(part.version());
        self.names().count() == parts.len() && parts.iter().all(same)
    }
}

impl Server {
    /// Takes what the proxy sent. A misfit ends the stream.
    pub fn handle_request(&mut self, request: Request) -> Result<(), Misfit> {
        let is_greeting = request.hello.is_some();
        if let Some(hello) = request.hello {
            self.holds = Holds::Said(Arc::new(hello.holds.clone()));
            self.generation.clone_from(&hello.generation);
            self.hello = Some(hello);
        } else if self.hello.is_none() {
            return Err(Misfit::missing("hello"));
        }
        if request.verdict.is_some() || is_greeting {
            self.lacks = request.lacks;
        }
        for subscription in request.unsubscribe {
            self.subscriptions.remove(&subscription);
            self.told.remove(&subscription);
        }
        self.subscriptions.extend(request.subscribe);
        if self.subscriptions.len() > MOST_SUBSCRIPTIONS {
            return Err(Misfit::new(
                "subscriptions",
                "they are more than a proxy may have",
            ));
        }
        let Some(verdict) = request
            .verdict
            .filter(|verdict| verdict.nonce == self.nonce)
        else {
            return Ok(());
        };
        let Some(sent) = self.sending.take_if(|sending| sending.queue.is_empty()) else {
            return Ok(());
        };
        match verdict.refused {
            None => {
                self.generation.clone_from(&sent.target.generation);
                self.holds = Holds::Adopted(sent.target);
                self.told = sent.told;
                self.refused = None;
            }
            Some(why) => self.refused = Some((sent.target, why)),
        }
        Ok(())
    }

    /// Who the proxy says it is, once it has spoken.
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// What the proxy wants to know about: the view that is offered next should answer these.
    pub fn subscriptions(&self) -> &BTreeSet<Subscription> {
        &self.subscriptions
    }

    /// The generation that the proxy has adopted.
    pub fn adopted(&self) -> &Generation {
        &self.generation
    }

    /// The parts that the proxy has adopted.
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// The generation that the proxy did not adopt, and why, until it adopts another.
    pub fn refused(&self) -> Option<(&Generation, &str)> {
        self.refused
            .as_ref()
            .map(|(target, why)| (&target.generation, why.as_str()))
    }

    /// The features that the view needs and the proxy lacks: as it says of what it holds, and those without
    /// which it is not told some of what was offered.
    pub fn lacks(&self) -> BTreeSet<String> {
        self.lacks.union(&self.withheld).cloned().collect()
    }

    /// The features that the proxy says to understand; none before its first words.
    pub fn features(&self) -> BTreeSet<String> {
        let told = self.hello.iter().flat_map(|hello| &hello.features);
        told.cloned().collect()
    }

    /// Offers a view. It replaces one that was offered before and is not yet under way.
    pub fn offer(&mut self, target: Arc<Target>) {
        let insist = false;
        self.wanted = Some(Wanted { target, insist });
    }

    /// Offers a view that comes before the one that the proxy holds, of which it is told no more
    /// than that: it refuses, and says so. For a control plane that knows that nobody else will
    /// offer a later one.
    pub fn insist(&mut self, target: Arc<Target>) {
        let insist = true;
        self.wanted = Some(Wanted { target, insist });
    }

    /// Asks the proxy to renew its certificate of `identity` at once.
    pub fn renew(&mut self, identity: SpiffeId) {
        self.renew.insert(identity);
    }

    /// The next response to send. An update begins only when the one before it has been answered.
    pub fn poll_response(&mut self) -> Option<Response> {
        if !self.renew.is_empty() {
            return Some(Response {
                nonce: self.nonce,
                renew: mem::take(&mut self.renew).into_iter().collect(),
                ..Response::default()
            });
        }
        if self.sending.is_none() {
            self.begin();
        }
        let sending = self.sending.as_mut()?;
        (!sending.queue.is_empty()).then(|| sending.queue.remove(0))
    }

    /// Begins the update to what is wanted, if that differs from what the proxy holds.
    fn begin(&mut self) {
        let Some(hello) = &self.hello else {
            return;
        };
        // The proxy would not adopt it: it has seen a later view. Another offer will come.
        let follows = |wanted: &Wanted| wanted.target.generation.follows(&self.generation);
        let wanted = self
            .wanted
            .take_if(|wanted| wanted.insist || follows(wanted));
        let Some(wanted) = wanted else {
            return;
        };
        let is_later = follows(&wanted);
        self.withheld = wanted.target.withheld_from(&hello.features);
        let target = wanted.target.known_with(&hello.features);
        if !is_later {
            return self.begin_in_vain(target);
        }
        // It would be refused again.
        if matches!(&self.refused, Some((refused, _)) if *refused == target) {
            return;
        }
        let news: BTreeMap<_, _> = target
            .answers
            .iter()
            .filter(|(subscription, exists)| {
                self.subscriptions.contains(*subscription)
                    && self.told.get(*subscription) != Some(*exists)
            })
            .map(|(subscription, exists)| (subscription.clone(), *exists))
            .collect();
        let same = self.generation == target.generation && self.holds.all_of(&target);
        if same && news.is_empty() {
            return;
        }
        self.nonce = self.nonce.saturating_add(1);
        let mut told = self.told.clone();
        told.extend(news.clone());
        let queue = self.responses(&target, &news, &told);
        self.sending = Some(Sending {
            target,
            told,
            queue,
        });
    }

    /// Tells the proxy where a view stands that it will refuse for that.
    fn begin_in_vain(&mut self, target: Arc<Target>) {
        let refused = self.refused.as_ref();
        if refused.is_some_and(|(refused, _)| refused.generation == target.generation) {
            return;
        }
        self.nonce = self.nonce.saturating_add(1);
        let told = self.told.clone();
        let commit = Some(target.commit(Vec::new(), &told));
        let queue = Vec::from([Response {
            nonce: self.nonce,
            commit,
            ..Response::default()
        }]);
        self.sending = Some(Sending {
            target,
            told,
            queue,
        });
    }

    fn responses(
        &self,
        target: &Target,
        news: &BTreeMap<Subscription, bool>,
        told: &BTreeMap<Subscription, bool>,
    ) -> Vec<Response> {
        let mut responses = Vec::new();
        let empty = || Response {
            nonce: self.nonce,
            ..Response::default()
        };
        let mut response = empty();
        let mut bytes = 0usize;
        for (name, part) in &target.parts {
            if self.holds.version(name) == Some(part.version()) {
                continue;
            }
            let size = part.bytes().len();
            if bytes.saturating_add(size) > RESPONSE_BYTES && !response.parts.is_empty() {
                responses.push(mem::replace(&mut response, empty()));
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            response.parts.push((name.clone(), part.clone()));
        }
        let gone = self
            .holds
            .names()
            .filter(|name| !target.parts.contains_key(*name));
        let absent = news.iter().filter(|(_, exists)| !**exists);
        let removed: BTreeSet<String> = gone
            .map(ToString::to_string)
            .chain(absent.map(|(subscription, _)| subscription.to_string()))
            .collect();
        response.removed = removed.into_iter().collect();
        let answers = news.iter().filter(|(_, exists)| **exists);
        let answers = answers.map(|(subscription, _)| subscription.clone());
        response.commit = Some(target.commit(answers.collect(), told));
        responses.push(response);
        responses
    }
}
