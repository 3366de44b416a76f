//! Several control planes of one mesh over one etcd: one acts, the others stand by with the same state
//! and take over by themselves. Who stands by takes no proxies, and tells whoever asks who acts.
//!
//! What acts holds a lease of etcd, and each of its writes is taken only while that lasts. One that
//! cannot reach etcd goes on serving what stands, and changes nothing; one that learns that its
//! lease has gone ends.

mod etcd;
mod log;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leno_admin::{Failure, Reply};
use leno_channel::Clocks;
use leno_model::Code;
use leno_store::{NotFollowed, NotLed, Order, Replication, Standing, Store};
use leno_telemetry::control::{ControlPlane, Following};
use leno_telemetry::door;
use tokio::net::TcpListener;
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
        tokio::select! {
            () = shared.stand_by() => {}
            () = answering => {}
            () = telling => {}
        }
        (shared.tell)(&Event::Acts(shared.own.0.clone()));
        let store = Arc::clone(&shared.store);
        (store, Tenancy(shared))
    }
}

impl Shared {
    async fn stand_by(self: &Arc<Self>) {
        let mut before = None;
        loop {
            let shared = Arc::clone(self);
            let looked = spawn_blocking(move || shared.look()).await;
            let (acts, seen) = match looked {
                Ok(Ok((acts, acting))) => (
                    acts,
                    Seen {
                        acting,
                        trouble: None,
                    },
                ),
                Ok(Err(why)) => (false, self.troubled(why.code(), why)),
                Err(_) => (
                    false,
                    self.troubled(Code::S019, "what follows etcd panicked"),
                ),
            };
            let rest = if seen.trouble.is_some() {
                STEP_ASIDE
            } else {
                LOOK
            };
            self.saw(seen, &mut before);
            if acts {
                return;
            }
            tokio::time::sleep(rest).await;
        }
    }

    /// Looks once: follows what was written, and takes over if nobody acts. Says whether this one
    /// acts now, or else who does.
    fn look(&self) -> Result<(bool, Option<Acting>), NotLed> {
        let acting = self.log.acting().map_err(NotFollowed::Away)?;
        self.store.catch_up()?;
        if acting.is_some() {
            return Ok((false, acting));
        }
        match self.log.elect(&self.own).map_err(NotFollowed::Away)? {
            Elected::Other(acting) => Ok((false, Some(acting))),
            Elected::Acts => match self.store.lead() {
                Ok(()) => Ok((true, None)),
                Err(why) => {
                    self.log.resign();
                    Err(why)
                }
            },
        }
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
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen.clone();
        *before = Some(seen);
    }

    fn seen(&self) -> Seen {
        let seen = self.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
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

/// The time for which a control plane acts that is one of several.
pub(crate) struct Tenancy(Arc<Shared>);

impl Tenancy {
    /// Keeps the lease; ends once this control plane acts no more. What keeps it from etcd meanwhile is told
    /// to `part`, and that nothing does any more.
    pub(crate) async fn keep(self, part: impl Fn(Option<(Code, String)>)) {
        loop {
            tokio::time::sleep(RENEW).await;
            let shared = Arc::clone(&self.0);
            match spawn_blocking(move || shared.keep()).await {
                Ok(Ok(true)) => part(None),
                Ok(Err(why)) => part(Some((why.code(), why.to_string()))),
                Ok(Ok(false)) | Err(_) => break,
            }
        }
        self.0.store.stop_leading();
        (self.0.tell)(&Event::ActsNoMore(self.0.own.0.clone()));
    }
}

/// Another takes over at once.
impl Drop for Tenancy {
    fn drop(&mut self) {
        self.0.store.stop_leading();
        self.0.log.resign();
    }
}

impl fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tenancy({})", self.0.own.0)
    }
}

impl Shared {
    /// Renews the lease; says whether this one still acts. A lease that ended while etcd was away is taken
    /// again, if nobody else had it meanwhile.
    fn keep(&self) -> Result<bool, NotLed> {
        if !self.store.leads() {
            return Ok(false);
        }
        let away = NotFollowed::Away;
        if !self.log.keep().map_err(away)? {
            let Elected::Acts = self.log.elect(&self.own).map_err(away)? else {
                return Ok(false);
            };
            let number = self.store.standing().unwrap_or_default().number;
            if self.log.read(number).map_err(away)?.last != Some(number) {
                self.log.resign();
                return Ok(false);
            }
        }
        self.store.copy_if_due()?;
        Ok(true)
    }
}
