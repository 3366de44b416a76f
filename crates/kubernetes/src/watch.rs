//! All that a mesh is made of, kept as the cluster has it.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SelectAll, Stream, StreamExt};
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta, Resource, ResourceExt as _};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Client, Error};
use leno_model::view::Locality;
use leno_resources::pod::{Pod, Pods};
use leno_resources::{Spelling, spellings};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::shelf::{Key, Shelf, Step};
use crate::{document, pod};

/// What of a cluster a mesh is made of, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Objects that are to be read, in order of kind, namespace and name. The same value for as long as none of
    /// them is another.
    pub documents: Arc<Vec<Document>>,
    /// The pods that have not ended. The same value for as long as none of them is another.
    pub pods: Arc<Pods>,
    /// Why it may be older than what the cluster has by now, a line for each kind.
    pub troubles: Vec<String>,
}

/// An object that is to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// What it is called: `HTTPRoute shop/cart`.
    pub name: Arc<str>,
    /// Its text, as JSON.
    pub text: Arc<[u8]>,
}

/// Watches a cluster. What was seen last stays while the cluster does not answer.
pub struct Watch {
    told: SelectAll<Pin<Box<dyn Stream<Item = News> + Send>>>,
    documents: Vec<(Spelling, Shelf<Document>)>,
    pods: Shelf<Pod>,
    nodes: Shelf<Locality>,
    stale: Stale,
    /// When what has changed is seen.
    due: Option<Instant>,
    seen: Seen,
}

/// What one of the watches tells.
enum News {
    Document(usize, Step<Document>),
    Pod(Step<Pod>),
    Node(Step<Locality>),
}

/// What may be another than it was seen.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Stale {
    documents: bool,
    pods: bool,
    troubles: bool,
}

/// So long further changes are waited for once there is one: changes come by the dozen.
const GATHER: Duration = Duration::from_millis(50);

impl Watch {
    pub(crate) fn new(client: &Client) -> Self {
        let mut told = SelectAll::new();
        let mut documents = Vec::new();
        for (index, kind) in spellings().enumerate() {
            let read = move |object: DynamicObject| Some(read(&kind, object));
            let steps = steps(client, &document::resource(&kind), read);
            let news = steps.map(move |step| News::Document(index, step));
            told.push(news.boxed());
            documents.push((kind, Shelf::default()));
        }
        let pods = steps(client, &pod::pods(), pod::pod);
        told.push(pods.map(News::Pod).boxed());
        let place = |node: PartialObjectMeta<DynamicObject>| Some(pod::place(&node.metadata));
        let nodes = steps(client, &pod::nodes(), place);
        told.push(nodes.map(News::Node).boxed());
        Self {
            told,
            documents,
            pods: Shelf::default(),
            nodes: Shelf::default(),
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
                Some(news) = self.told.next() => self.take(news),
            }
        }
        self.due = None;
        self.see();
        &self.seen
    }

    /// Why nothing was seen yet, a line for each kind that the cluster does not tell of.
    pub fn troubles(&self) -> Vec<String> {
        let documents = self.documents.iter();
        let documents = documents.map(|(kind, shelf)| (kind.kind, shelf.trouble()));
        let all = documents.chain([("Pod", self.pods.trouble()), ("Node", self.nodes.trouble())]);
        all.filter_map(|(kind, trouble)| Some(format!("{kind}: {}", trouble?)))
            .collect()
    }

    fn is_complete(&self) -> bool {
        let mut documents = self.documents.iter();
        documents.all(|(_, shelf)| shelf.is_complete())
            && self.pods.is_complete()
            && self.nodes.is_complete()
    }

    fn take(&mut self, news: News) {
        let troubles = self.troubles();
        let stale = &mut self.stale;
        match news {
            News::Document(kind, step) => {
                if let Some((_, shelf)) = self.documents.get_mut(kind) {
                    stale.documents |= shelf.take(step);
                }
            }
            News::Pod(step) => stale.pods |= self.pods.take(step),
            News::Node(step) => stale.pods |= self.nodes.take(step),
        }
        self.stale.troubles |= self.troubles() != troubles;
        if self.stale != Stale::default() && self.is_complete() && self.due.is_none() {
            self.due = Some(Instant::now() + GATHER);
        }
    }

    fn see(&mut self) {
        let stale = std::mem::take(&mut self.stale);
        self.seen.troubles = self.troubles();
        if stale.documents {
            let all = self.documents.iter().flat_map(|(_, shelf)| shelf.iter());
            self.seen.documents = Arc::new(all.map(|(_, document)| document.clone()).collect());
        }
        if stale.pods {
            let all = self.pods.iter().map(|(_, pod)| self.placed(pod));
            let named = |pod: Pod| {
                let name = (pod.meta.namespace.clone()?, pod.meta.name.clone());
                Some((name, pod))
            };
            self.seen.pods = Arc::new(all.filter_map(named).collect());
        }
    }

    /// A pod, where its node is.
    fn placed(&self, pod: &Pod) -> Pod {
        let mut pod = pod.clone();
        let node = pod.locality.node.as_ref();
        if let Some(place) = node.and_then(|node| self.nodes.get(&(None, node.to_string()))) {
            pod.locality = place.clone();
        }
        pod
    }
}

/// Watches the objects of one kind. What `read` makes nothing of counts as gone.
fn steps<K, V, F>(
    client: &Client,
    resource: &ApiResource,
    read: F,
) -> impl Stream<Item = Step<V>> + Send + use<K, V, F>
where
    F: Fn(K) -> Option<V> + Send + 'static,
    K: Resource<DynamicType = ApiResource> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api = Api::<K>::all_with(client.clone(), resource);
    let events = watcher(api, Config::default().page_size(PAGE)).default_backoff();
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

/// How many objects one answer lists.
const PAGE: u32 = 500;

fn key<K: Resource>(object: &K) -> Key {
    (object.namespace(), object.name_any())
}

/// Whether the cluster does not have the kind at all.
fn is_unknown(why: &watcher::Error) -> bool {
    matches!(why, watcher::Error::InitialListFailed(Error::Api(status)) if status.code == 404)
}

/// An error with all its causes, each once.
fn in_words(why: &watcher::Error) -> String {
    let mut words = why.to_string();
    let mut cause = std::error::Error::source(why);
    while let Some(why) = cause {
        let more = why.to_string();
        if !words.ends_with(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        cause = why.source();
    }
    words
}

fn read(kind: &Spelling, object: DynamicObject) -> Document {
    let name = match object.namespace() {
        Some(namespace) => format!("{} {namespace}/{}", kind.kind, object.name_any()),
        None => format!("{} {}", kind.kind, object.name_any()),
    };
    Document {
        name: name.into(),
        text: document::text(kind, object).into(),
    }
}
