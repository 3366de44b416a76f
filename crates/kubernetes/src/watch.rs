//! All that a mesh is made of, kept as the cluster has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, SelectAll, Stream, StreamExt};
use kube::api::{
    Api, ApiResource, DynamicObject, ListParams, Resource, ResourceExt as _, WatchParams,
};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Client, Error};
use leno_model::view::Locality;
use leno_model::{Name, Namespace, ObjectRef};
use leno_resources::pod::{Pod, Pods};
use leno_resources::{Spelling, spellings};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::pod::Place;
use crate::shelf::{Key, Shelf, Step};
use crate::status::{self, Standing, Standings};
use crate::words::in_words;
use crate::{document, pod};

/// What of a cluster a mesh is made of, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Objects that are to be read, in order of kind, namespace and name. The same value for as long as none of
    /// them is another.
    pub documents: Arc<Vec<Document>>,
    /// The pods that have not ended. The same value for as long as none of them is another.
    pub pods: Arc<Pods>,
    /// What is reported of each object that has a status of ours. The same value for as long as none of it is another.
    pub standings: Arc<Standings>,
    /// What tells this cluster from all others: [`Cluster::uid`](crate::Cluster::uid).
    pub cluster: Option<Arc<str>>,
    /// Why it may be older than what the cluster has by now: [`Watch::troubles`].
    pub troubles: Vec<String>,
}

/// An object that is to be read. Two are equal if they say the same, whoever wrote them.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it is called: `HTTPRoute shop/cart`.
    pub name: Arc<str>,
    /// Its text, as JSON.
    pub text: Arc<str>,
    /// Which it is, if it says what somebody wants, and not who runs where.
    pub wanted: Option<Arc<ObjectRef>>,
    /// Who has changed last what it says, by the name that they give themselves.
    pub author: Option<Arc<str>>,
    /// Why, in the words of whoever changed it by Leno.
    pub why: Option<Arc<str>>,
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.text == other.text
    }
}

impl Document {
    pub(crate) fn of(kind: &Spelling, object: DynamicObject) -> Self {
        let name = match object.namespace() {
            Some(namespace) => format!("{} {namespace}/{}", kind.kind, object.name_any()),
            None => format!("{} {}", kind.kind, object.name_any()),
        };
        let wanted = reference(kind, &object).filter(|_| document::is_wanted(kind));
        let author = document::author(&object.metadata).map(Arc::from);
        let why = document::why(&object.metadata).map(Arc::from);
        Self {
            name: name.into(),
            text: document::text(kind, object).into(),
            wanted: wanted.map(Arc::new),
            author,
            why,
        }
    }
}

/// An object, and what is reported of it.
#[derive(Clone, PartialEq, Debug)]
struct Item {
    document: Document,
    standing: Standing,
    /// Its UID, if that tells the cluster from others.
    cluster: Option<Arc<str>>,
}

/// Watches a cluster. What was seen last stays while the cluster does not answer.
pub struct Watch {
    client: Client,
    told: SelectAll<Pin<Box<dyn Stream<Item = News> + Send>>>,
    documents: Vec<(Spelling, Shelf<Item>)>,
    pods: Shelf<Placed>,
    nodes: Shelf<Place>,
    /// Ask for those kinds of which nothing could be told whether something can again.
    probes: FuturesUnordered<Pin<Box<dyn Future<Output = Topic> + Send>>>,
    stale: Stale,
    /// When what has changed is seen.
    due: Option<Instant>,
    seen: Seen,
}

/// A pod, where its node is.
#[derive(Clone, PartialEq, Debug)]
struct Placed {
    pod: Arc<Pod>,
    /// How many of its hosts it said itself; the others are its node's.
    hosts: usize,
}

/// What one of the watches tells.
enum News {
    Document(usize, Step<Item>),
    Pod(Box<Step<Pod>>),
    Node(Step<Place>),
}

/// Which kind is watched.
#[derive(Clone, Copy)]
enum Topic {
    /// One of those that are read.
    Document(usize),
    Pods,
    Nodes,
}

impl News {
    /// Of which kind nothing can be told.
    fn troubled(&self) -> Option<Topic> {
        match self {
            Self::Document(kind, Step::Trouble(_)) => Some(Topic::Document(*kind)),
            Self::Pod(step) => matches!(**step, Step::Trouble(_)).then_some(Topic::Pods),
            Self::Node(Step::Trouble(_)) => Some(Topic::Nodes),
            Self::Document(..) | Self::Node(_) => None,
        }
    }

    fn well(topic: Topic) -> Self {
        match topic {
            Topic::Document(kind) => Self::Document(kind, Step::Well),
            Topic::Pods => Self::Pod(Box::new(Step::Well)),
            Topic::Nodes => Self::Node(Step::Well),
        }
    }
}

/// What may be another than it was seen, or has a trouble that is.
#[derive(Clone, PartialEq, Eq, Default)]
struct Stale {
    documents: bool,
    pods: Pending,
}

/// The pods that may be others than they were seen.
#[derive(Clone, PartialEq, Eq, Default)]
enum Pending {
    #[default]
    Nothing,
    Some(BTreeSet<Key>),
    All,
}

impl Pending {
    fn add(&mut self, key: Key) {
        match self {
            Self::Nothing => *self = Self::Some([key].into()),
            Self::Some(keys) => drop(keys.insert(key)),
            Self::All => {}
        }
    }
}

/// So long further changes are waited for once there is one: changes come by the dozen.
const GATHER: Duration = Duration::from_millis(50);

impl Watch {
    pub(crate) fn new(client: &Client) -> Self {
        let mut told = SelectAll::new();
        let mut documents = Vec::new();
        for (index, kind) in spellings().enumerate() {
            let read = move |object: DynamicObject| Some(read(&kind, object));
            let resource = document::resource(&kind);
            let steps = steps(client, &resource, document::wanted(&kind), read);
            let news = steps.map(move |step| News::Document(index, step));
            told.push(news.boxed());
            documents.push((kind, Shelf::default()));
        }
        let pods = steps(client, &pod::pods(), "", pod::pod);
        told.push(pods.map(|step| News::Pod(Box::new(step))).boxed());
        let place = |node: pod::ToldNode| Some(pod::place(&node));
        let nodes = steps(client, &pod::nodes(), "", place);
        told.push(nodes.map(News::Node).boxed());
        Self {
            client: client.clone(),
            told,
            documents,
            pods: Shelf::default(),
            nodes: Shelf::default(),
            probes: FuturesUnordered::new(),
            stale: Stale::default(),
            due: None,
            seen: Seen::default(),
        }
    }

    /// Waits until something else is seen than before. Nothing is seen before all kinds have been listed once:
    /// what is half known would take away what proxies hold.
    ///
    /// Nothing is lost if it is not waited for to the end.
    pub async fn next(&mut self) -> &Seen {
        loop {
            let due = self.due;
            let gathered = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = gathered => break,
                Some(topic) = self.probes.next() => self.take(News::well(topic)),
                Some(news) = self.told.next() => self.take(news),
            }
        }
        self.due = None;
        self.see();
        &self.seen
    }

    /// Why what was seen may be old, or nothing was: a line for each reason, with the kinds that it keeps
    /// from being told.
    pub fn troubles(&self) -> Vec<String> {
        let documents = self.documents.iter();
        let documents = documents.map(|(kind, shelf)| (kind.kind, shelf.trouble()));
        let all = documents.chain([("Pod", self.pods.trouble()), ("Node", self.nodes.trouble())]);
        in_lines(all.filter_map(|(kind, trouble)| Some((kind, trouble?))))
    }

    fn is_complete(&self) -> bool {
        let mut documents = self.documents.iter();
        documents.all(|(_, shelf)| shelf.is_complete())
            && self.pods.is_complete()
            && self.nodes.is_complete()
    }

    /// The trouble of a kind, if there is one.
    fn trouble(&self, topic: Topic) -> Option<&str> {
        match topic {
            Topic::Document(kind) => self.documents.get(kind)?.1.trouble(),
            Topic::Pods => self.pods.trouble(),
            Topic::Nodes => self.nodes.trouble(),
        }
    }

    /// A watch that goes on after it failed says nothing until something happens. So it is tried, of each kind
    /// whose trouble begins, whether it would.
    fn probe(&self, topic: Topic) {
        let resource = match topic {
            Topic::Document(kind) => match self.documents.get(kind) {
                Some((kind, _)) => document::resource(kind),
                None => return,
            },
            Topic::Pods => pod::pods(),
            Topic::Nodes => pod::nodes(),
        };
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
        let probe = async move {
            loop {
                tokio::time::sleep(PROBE).await;
                if goes_on(&api).await.is_ok() {
                    return topic;
                }
            }
        };
        self.probes.push(Box::pin(probe));
    }

    fn take(&mut self, news: News) {
        let begins = news
            .troubled()
            .filter(|topic| self.trouble(*topic).is_none());
        if let Some(topic) = begins {
            self.probe(topic);
        }
        let stale = &mut self.stale;
        match news {
            News::Document(kind, step) => {
                if let Some((_, shelf)) = self.documents.get_mut(kind) {
                    stale.documents |= shelf.take(step);
                }
            }
            News::Pod(step) => {
                let step = step.map(|pod| placed(pod, &self.nodes));
                let one = step.key().cloned();
                let is_news = self.pods.take(step);
                match one.filter(|_| is_news) {
                    Some(key) => stale.pods.add(key),
                    None if is_news => stale.pods = Pending::All,
                    None => {}
                }
            }
            News::Node(step) => {
                if self.nodes.take(step) {
                    self.place_anew();
                    self.stale.pods = Pending::All;
                }
            }
        }
        if self.stale != Stale::default() && self.is_complete() && self.due.is_none() {
            self.due = Some(Instant::now() + GATHER);
        }
    }

    fn see(&mut self) {
        let stale = std::mem::take(&mut self.stale);
        self.seen.troubles = self.troubles();
        if stale.documents {
            let items = || self.documents.iter().flat_map(|(_, shelf)| shelf.iter());
            let cluster = items().find_map(|(_, item)| item.cluster.as_ref());
            self.seen.cluster = cluster.cloned();
            let all: Vec<_> = items().map(|(_, item)| item.document.clone()).collect();
            // What is reported of an object, or keeps it from being told, changes nothing of what it says.
            if *self.seen.documents != all {
                self.seen.documents = Arc::new(all);
            }
            let kinds = self
                .documents
                .iter()
                .filter(|(kind, _)| status::is_reported(kind));
            let standings = kinds.flat_map(|(kind, shelf)| {
                let named = |((namespace, name), item): (&Key, &Item)| {
                    let name = (kind.kind, namespace.clone(), name.clone());
                    (name, item.standing.clone())
                };
                shelf.iter().map(named)
            });
            self.seen.standings = Arc::new(standings.collect());
        }
        match stale.pods {
            Pending::Nothing => {}
            Pending::Some(keys) => keys.iter().for_each(|key| self.see_pod(key)),
            Pending::All => {
                let all = self.pods.iter().map(|(_, placed)| &placed.pod);
                let all: Pods = all
                    .filter_map(|pod| Some((name(pod)?, pod.clone())))
                    .collect();
                if *self.seen.pods != all {
                    self.seen.pods = Arc::new(all);
                }
            }
        }
    }

    /// Sees one pod as it is by now. Who holds what was seen before keeps that.
    fn see_pod(&mut self, key: &Key) {
        let now = self.pods.get(key).map(|placed| placed.pod.clone());
        let (Some(namespace), name) = key else {
            return;
        };
        let named = Namespace::new(namespace).ok().zip(Name::new(name).ok());
        let Some(named) = named else {
            return;
        };
        if self.seen.pods.get(&named) == now.as_ref() {
            return;
        }
        let pods = Arc::make_mut(&mut self.seen.pods);
        match now {
            Some(pod) => drop(pods.insert(named, pod)),
            None => drop(pods.remove(&named)),
        }
    }

    /// Looks where each pod is, once nodes are others.
    fn place_anew(&mut self) {
        let nodes = &self.nodes;
        self.pods.change_each(|placed| {
            if let Some(other) = placed.moved(nodes) {
                *placed = other;
            }
        });
    }
}

fn name(pod: &Pod) -> Option<(Namespace, Name)> {
    Some((pod.meta.namespace.clone()?, pod.meta.name.clone()))
}

/// A pod, where its node is.
fn placed(mut pod: Pod, nodes: &Shelf<Place>) -> Placed {
    let hosts = pod.hosts.len();
    if let Some(place) = node(&pod, nodes) {
        pod.locality = place.locality.clone();
        pod.hosts.extend(&place.gateways);
    }
    Placed {
        pod: Arc::new(pod),
        hosts,
    }
}

fn node<'a>(pod: &Pod, nodes: &'a Shelf<Place>) -> Option<&'a Place> {
    let node = pod.locality.node.as_ref()?;
    nodes.get(&(None, node.to_string()))
}

impl Placed {
    /// The same pod, if its node is another than it was.
    fn moved(&self, nodes: &Shelf<Place>) -> Option<Self> {
        let place = node(&self.pod, nodes);
        let (own, of_node) = self.pod.hosts.split_at_checked(self.hosts)?;
        let unknown = Locality {
            node: self.pod.locality.node.clone(),
            ..Locality::default()
        };
        let locality = place.map_or(&unknown, |place| &place.locality);
        let gateways = place.map_or(&[][..], |place| &place.gateways);
        if self.pod.locality == *locality && of_node == gateways {
            return None;
        }
        let mut pod = Pod::clone(&self.pod);
        pod.locality = locality.clone();
        pod.hosts = [own, gateways].concat();
        Some(Self {
            pod: Arc::new(pod),
            hosts: self.hosts,
        })
    }
}

/// `Mesh, Service and 12 more: connection refused`
fn in_lines<'a>(troubles: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut kinds = BTreeMap::<_, Vec<_>>::new();
    for (kind, why) in troubles {
        kinds.entry(why).or_default().push(kind);
    }
    let line = |(why, kinds): (&str, Vec<&str>)| match kinds.as_slice() {
        [first, second, _, _, ..] => {
            let more = kinds.len() - 2;
            format!("{first}, {second} and {more} more: {why}")
        }
        few => format!("{}: {why}", few.join(", ")),
    };
    kinds.into_iter().map(line).collect()
}

/// Watches those objects of one kind that have these labels. What `read` makes nothing of counts as gone.
fn steps<K, V, F>(
    client: &Client,
    resource: &ApiResource,
    labels: &str,
    read: F,
) -> impl Stream<Item = Step<V>> + Send + use<K, V, F>
where
    F: Fn(K) -> Option<V> + Send + 'static,
    K: Resource<DynamicType = ApiResource> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api = Api::<K>::all_with(client.clone(), resource);
    let config = Config::default().page_size(PAGE).labels(labels);
    let events = watcher(api, config).default_backoff();
    events.map(move |event| match event {
        Ok(Event::Init) => Step::Begin,
        Ok(Event::InitDone) => Step::Listing,
        Ok(Event::InitApply(object)) => {
            let key = key(&object);
            match read(object) {
                Some(value) => Step::Listed(key, value),
                None => Step::Gone(key),
            }
        }
        Ok(Event::Apply(object)) => {
            let key = key(&object);
            match read(object) {
                Some(value) => Step::Put(key, value),
                None => Step::Gone(key),
            }
        }
        Ok(Event::Delete(object)) => Step::Gone(key(&object)),
        Err(why) if is_unknown(&why) => Step::Unknown,
        Err(why) => Step::Trouble(in_words(&why)),
    })
}

/// How long until it is tried again whether a watch would go on.
const PROBE: Duration = Duration::from_secs(1);

/// Begins a watch of what happens from now on, and lets go of it.
async fn goes_on(api: &Api<DynamicObject>) -> Result<(), Error> {
    let few = ListParams::default().limit(1);
    let version = api.list_metadata(&few).await?.metadata.resource_version;
    let short = WatchParams::default().timeout(1);
    let watch = api
        .watch_metadata(&short, &version.unwrap_or_default())
        .await;
    watch.map(drop)
}

/// How many objects one answer lists.
const PAGE: u32 = 500;

fn key<K: Resource>(object: &K) -> Key {
    (object.namespace(), object.name_any())
}

/// Whether the cluster does not have the kind at all.
fn is_unknown(why: &watcher::Error) -> bool {
    matches!(why, watcher::Error::InitialListFailed(Error::Api(status)) if status.code == 404)
}

fn read(kind: &Spelling, mut object: DynamicObject) -> Item {
    let standing = match status::is_reported(kind) {
        true => Standing::of(&mut object),
        false => Standing::default(),
    };
    let is_system = kind.kind == "Namespace" && object.name_any() == "kube-system";
    let cluster = object.metadata.uid.as_deref().filter(|_| is_system);
    Item {
        cluster: cluster.map(Arc::from),
        document: Document::of(kind, object),
        standing,
    }
}

/// Which object it is; `None` if its names are none of ours.
fn reference(kind: &Spelling, object: &DynamicObject) -> Option<ObjectRef> {
    let namespace = object.namespace().map(|it| Namespace::new(&it));
    Some(ObjectRef {
        kind: kind.kind.into(),
        namespace: namespace.transpose().ok()?,
        name: Name::new(&object.name_any()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_with_the_kinds_it_is_about() {
        let of = |kinds: &[&'static str], why: &'static str| {
            let troubles = kinds.iter().map(|kind| (*kind, why));
            in_lines(troubles).join("\n")
        };
        assert_eq!(of(&[], "away"), "");
        assert_eq!(of(&["Pod"], "away"), "Pod: away");
        assert_eq!(
            of(&["Mesh", "Pod", "Node"], "away"),
            "Mesh, Pod, Node: away"
        );
        let many = ["Mesh", "Service", "Pod", "Node"];
        assert_eq!(of(&many, "away"), "Mesh, Service and 2 more: away");
        let two = [
            ("Pod", "forbidden"),
            ("Mesh", "away"),
            ("Node", "forbidden"),
        ];
        assert_eq!(
            in_lines(two.into_iter()),
            ["Mesh: away", "Pod, Node: forbidden"]
        );
    }
}
