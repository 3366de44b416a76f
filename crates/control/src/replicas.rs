//! Several control planes of one mesh over one etcd: one acts, the others stand by with the same state
//! and take over by themselves. Who stands by takes no proxies, and tells whoever asks who acts.
//!
//! What acts holds a lease of etcd, and each of its writes is taken only while that lasts. One that
//! cannot reach etcd goes on serving what stands, and changes nothing; one that learns that its
//! lease has gone ends.

mod etcd;
mod log;

use std::convert::Infallible;
use std::fmt;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use leno_admin::{Failure, Reply};
use leno_channel::Clocks;
use leno_model::Code;
use leno_store::{NotFollowed, NotLed, Order, Replication, Standing, Store};
use leno_telemetry::control::{ControlPlane, Following};
use leno_telemetry::door;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::event::Event;
use crate::keys;
use crate::replicas::etcd::Etcd;
use crate::replicas::log::{Acting, Elected, EtcdLog};
use crate::{NotStarted, Settings, metrics};

pub use etcd::{Members, NotUsable};

/// What makes a control plane one of several.
#[derive(Clone, Debug)]
pub struct Replicas {
    /// Where they agree.
    pub etcd: Members,
    /// Below which key: one for each mesh.
    pub prefix: String,
    /// What this one is called. Each has another name.
    pub name: String,
}

/// How often is looked what others wrote, and whether somebody acts.
const LOOK: Duration = Duration::from_millis(500);

/// How often the lease is renewed of the one that acts: often enough that some may fail.
const RENEW: Duration = Duration::from_secs(2);

/// How long one that cannot follow, or take over, lets others try.
const STEP_ASIDE: Duration = Duration::from_secs(3);

/// How long it rests at most before a copy of everything is tried again that was not taken.
const LONGEST_REST: Duration = Duration::from_secs(600);

pub(crate) type Tell = Arc<dyn Fn(&Event) + Send + Sync>;

/// A control plane that stands by.
pub(crate) struct Standby {
    shared: Arc<Shared>,
    administration: leno_admin::Server,
    metrics: Option<TcpListener>,
}

struct Shared {
    store: Arc<Store>,
    log: Arc<EtcdLog>,
    own: Acting,
    seen: Mutex<Seen>,
    tell: Tell,
}

/// What was seen last of the others.
#[derive(Clone, Default)]
struct Seen {
    acting: Option<Acting>,
    /// Why this one does not follow.
    trouble: Option<(Code, String)>,
}

impl Standby {
    /// Opens the store as one of several, and answers whoever asks that this one stands by once
    /// [`Self::wait`] runs. Waits for etcd. Needs a runtime around it.
    pub(crate) fn open(
        settings: &Settings,
        replicas: &Replicas,
        tell: Tell,
    ) -> Result<Self, NotStarted> {
        let secret = settings.seal_keys_with.as_deref();
        let secret = secret.ok_or(NotStarted::NoSecret)?;
        let etcd = Etcd::new(&replicas.etcd, Clocks::start().clock())?;
        let log = Arc::new(EtcdLog::new(etcd, replicas.prefix.clone()));
        let salt = log.salt().map_err(NotFollowed::Away)?;
        let order: Arc<dyn Order> = log.clone();
        let replication = Replication {
            log: replicas.prefix.clone(),
            order,
            key: keys::key_of(secret, &salt).map_err(NotUsable::Secret)?,
        };
        let kept = leno_store::Settings::default();
        let store = Store::open_replica(&settings.data, kept, replication)?;
        let administration = settings.administration()?;
        let metrics = settings.metrics_door()?;
        let own = Acting(replicas.name.clone());
        Ok(Self {
            shared: Arc::new(Shared {
                store: Arc::new(store),
                log,
                own,
                seen: Mutex::default(),
                tell,
            }),
            administration,
            metrics,
        })
    }

    /// Waits until this one acts: then it holds all that was ever written. Whoever asks meanwhile is told
    /// who acts.
    pub(crate) async fn wait(self) -> (Arc<Store>, Tenancy) {
        let Self {
            shared,
            administration,
            metrics,
        } = self;
        let asked = Arc::clone(&shared);
        let answering = administration.run(move |_, _| {
            let failure = asked.refusal();
            async move { Err::<Reply, _>(failure) }
        });
        let told = Arc::clone(&shared);
        let telling = async {
            match metrics {
                Some(listener) => metrics::serve(listener, move |asked| told.answer(asked)).await,
                None => std::future::pending().await,
            }
        };
        let never = async {
            tokio::join!(answering, telling);
            std::future::pending().await
        };
        let renewal = tokio::select! {
            renewal = shared.stand_by() => renewal,
            renewal = never => renewal,
        };
        (shared.tell)(&Event::Acts(shared.own.0.clone()));
        let store = Arc::clone(&shared.store);
        let tenancy = Tenancy {
            shared,
            renewal: Some(renewal),
        };
        (store, tenancy)
    }
}

/// What came of looking once.
enum Looked {
    Acts(Renewal),
    StandsBy(Option<Acting>),
}

impl Shared {
    async fn stand_by(self: &Arc<Self>) -> Renewal {
        let mut before = None;
        loop {
            let shared = Arc::clone(self);
            let looked = spawn_blocking(move || shared.look()).await;
            let seen = match looked {
                Ok(Ok(Looked::Acts(renewal))) => return renewal,
                Ok(Ok(Looked::StandsBy(acting))) => Seen {
                    acting,
                    trouble: None,
                },
                Ok(Err(why)) => self.troubled(why.code(), why),
                Err(_) => self.troubled(Code::S019, "what follows etcd panicked"),
            };
            let rest = if seen.trouble.is_some() {
                STEP_ASIDE
            } else {
                LOOK
            };
            self.saw(seen, &mut before);
            tokio::time::sleep(rest).await;
        }
    }

    /// Looks once: follows what was written, and takes over if nobody acts.
    fn look(self: &Arc<Self>) -> Result<Looked, NotLed> {
        let acting = self.log.acting().map_err(NotFollowed::Away)?;
        let standing = self.store.catch_up()?;
        if acting.is_some() {
            return Ok(Looked::StandsBy(acting));
        }
        let last = standing.begun.then_some(standing.number);
        match self.log.elect(&self.own, last).map_err(NotFollowed::Away)? {
            Elected::Other(acting) => Ok(Looked::StandsBy(Some(acting))),
            Elected::Elsewhere => Ok(Looked::StandsBy(None)),
            Elected::Acts => match self.lead() {
                Ok(()) => Ok(Looked::Acts(Renewal::start(self))),
                Err(why) => {
                    self.log.resign();
                    Err(why)
                }
            },
        }
    }

    /// Leads; the lease is renewed meanwhile, for the log may have to begin with a large copy.
    fn lead(&self) -> Result<(), NotLed> {
        let (goes_on, ended) = mpsc::channel::<Infallible>();
        thread::scope(|scope| {
            scope.spawn(move || {
                while rests(&ended) {
                    // Whoever has lost it is refused what it puts there.
                    drop(self.log.keep());
                }
            });
            let led = self.store.lead();
            drop(goes_on);
            led
        })
    }

    fn troubled(&self, code: Code, why: impl fmt::Display) -> Seen {
        Seen {
            acting: self.seen().acting,
            trouble: Some((code, why.to_string())),
        }
    }

    /// Remembers what was seen, and tells it if it is news.
    fn saw(&self, seen: Seen, before: &mut Option<Seen>) {
        let told = before.as_ref();
        if told.is_none_or(|told| told.acting != seen.acting)
            && let Some(acting) = &seen.acting
        {
            (self.tell)(&Event::StandsBy(acting.0.clone()));
        }
        let known = told.and_then(|told| told.trouble.as_ref());
        if let Some((code, what)) = seen.trouble.as_ref().filter(|it| Some(*it) != known) {
            (self.tell)(&Event::Trouble {
                code: *code,
                what: what.clone(),
            });
        }
        *lock(&self.seen) = seen.clone();
        *before = Some(seen);
    }

    fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }

    /// What whoever asks is told.
    fn refusal(&self) -> Failure {
        let Seen { acting, trouble } = self.seen();
        let own = &self.own.0;
        let (message, advice) = match acting {
            Some(Acting(name)) => (
                format!("{own} stands by: {name} acts"),
                "ask on its host, or by a context, which finds it: leno context list",
            ),
            None => (
                format!("{own} stands by, and nobody is seen to act"),
                "it takes over by itself as soon as it may: ask again",
            ),
        };
        let standing = self.store.standing().unwrap_or_default();
        let message = match trouble {
            Some((code, what)) => {
                let slug = code.slug();
                format!("{message}; it does not follow: {code} {slug}: {what}")
            }
            None => format!(
                "{message}; it holds entry {} of {}",
                standing.number, standing.last
            ),
        };
        Failure {
            advice: Some(advice.to_owned()),
            ..Failure::coded(Code::S015, message)
        }
    }

    fn answer(self: &Arc<Self>, asked: door::Asked) -> metrics::Answering {
        let shared = Arc::clone(self);
        Box::pin(async move {
            match asked.path.as_str() {
                "/metrics" => {
                    let told = ControlPlane {
                        revision: shared.store.head().revision.0,
                        following: shared.store.standing().map(|it| following(false, it)),
                        ..ControlPlane::default()
                    };
                    let written = asked.format.write(&told.exposition());
                    door::Answer::scrape(asked.format, written)
                }
                "/ready" => door::Answer::ready(false, &shared.refusal().message),
                _ => door::Answer::nothing("there are /metrics and /ready"),
            }
        })
    }
}

/// What is told of how a replica follows, or leads.
pub(crate) fn following(acts: bool, standing: Standing) -> Following {
    Following {
        acts,
        number: standing.number,
        behind: standing.behind(),
    }
}

impl fmt::Debug for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Standby({})", self.shared.own.0)
    }
}

/// Waits until the lease is to be renewed; says whether it is, or nobody wants it any more.
fn rests(ended: &mpsc::Receiver<Infallible>) -> bool {
    matches!(ended.recv_timeout(RENEW), Err(RecvTimeoutError::Timeout))
}

/// What came of renewing the lease.
#[derive(Clone)]
enum Renewed {
    Acts,
    /// Why it is not known.
    Apart(Code, String),
    ActsNoMore,
}

/// Renews the lease from a thread of its own, whatever else waits for etcd, until it is dropped.
struct Renewal {
    renewed: watch::Receiver<Renewed>,
    /// It ends when nobody holds the other end any more.
    goes_on: Option<mpsc::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Renewal {
    fn start(shared: &Arc<Shared>) -> Self {
        let (goes_on, ended) = mpsc::channel();
        let (told, renewed) = watch::channel(Renewed::Acts);
        let shared = Arc::clone(shared);
        let renew = move || {
            while rests(&ended) {
                told.send_replace(shared.renew());
            }
        };
        Self {
            renewed,
            goes_on: Some(goes_on),
            thread: Some(thread::spawn(renew)),
        }
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        drop(self.goes_on.take());
        if let Some(thread) = self.thread.take() {
            // What it panicked with, it has told.
            drop(thread.join());
        }
    }
}

/// The time for which a control plane acts that is one of several.
pub(crate) struct Tenancy {
    shared: Arc<Shared>,
    /// There until it is dropped.
    renewal: Option<Renewal>,
}

impl Tenancy {
    /// Ends once this control plane acts no more. What keeps it from etcd meanwhile is told to `part`, and
    /// that nothing does any more.
    pub(crate) async fn keep(self, part: impl Fn(Option<(Code, String)>)) {
        let uncopied = Mutex::default();
        tokio::select! {
            () = self.renewed(&uncopied, part) => {}
            () = self.copy(&uncopied) => {}
        }
        self.shared.store.stop_leading();
        (self.shared.tell)(&Event::ActsNoMore(self.shared.own.0.clone()));
    }

    async fn renewed(&self, uncopied: &Uncopied, part: impl Fn(Option<(Code, String)>)) {
        let Some(mut renewed) = self.renewal.as_ref().map(|it| it.renewed.clone()) else {
            return;
        };
        while renewed.changed().await.is_ok() {
            let now = renewed.borrow_and_update().clone();
            match now {
                Renewed::Acts => part(lock(uncopied).clone()),
                Renewed::Apart(code, why) => part(Some((code, why))),
                Renewed::ActsNoMore => return,
            }
        }
    }

    /// Copies everything into etcd: what it took over, then again and again. Never ends.
    async fn copy(&self, uncopied: &Uncopied) {
        let (mut all, mut rest) = (true, RENEW);
        loop {
            let store = Arc::clone(&self.shared.store);
            let copied = spawn_blocking(move || match all {
                true => store.copy_all(),
                false => store.copy_if_due(),
            });
            let trouble = match copied.await {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some((why.code(), format!("it is not copied into etcd: {why}"))),
                Err(_) => Some((Code::S019, "what copies into etcd panicked".to_owned())),
            };
            rest = match trouble {
                None => RENEW,
                Some(_) => LONGEST_REST.min(rest * 2),
            };
            all &= trouble.is_some();
            *lock(uncopied) = trouble;
            tokio::time::sleep(rest).await;
        }
    }
}

/// Why what is held is not copied into etcd.
type Uncopied = Mutex<Option<(Code, String)>>;

/// Another takes over at once, and of another release, too: it has a copy of all there is.
impl Drop for Tenancy {
    fn drop(&mut self) {
        let Shared { store, log, .. } = &*self.shared;
        let renewal = self.renewal.take();
        let acts = |it: &Renewal| matches!(*it.renewed.borrow(), Renewed::Acts);
        if renewal.as_ref().is_some_and(acts) {
            // What it cannot put there now, it has told before.
            drop(store.copy_all());
        }
        drop(renewal);
        store.stop_leading();
        log.resign();
    }
}

impl fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tenancy({})", self.shared.own.0)
    }
}

impl Shared {
    fn renew(&self) -> Renewed {
        match self.keeps() {
            Ok(true) => Renewed::Acts,
            Ok(false) => Renewed::ActsNoMore,
            Err(why) => Renewed::Apart(why.code(), why.to_string()),
        }
    }

    /// Renews the lease; says whether this one still acts. A lease that ended while etcd was away is taken
    /// again, if nobody else had it meanwhile, or wrote nothing.
    fn keeps(&self) -> Result<bool, NotFollowed> {
        if !self.store.leads() {
            return Ok(false);
        }
        if !self.log.keep()? {
            let last = self.store.standing().map(|it| it.number);
            let Elected::Acts = self.log.elect(&self.own, last)? else {
                return Ok(false);
            };
        }
        Ok(self.store.make_sure()?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
