//! The certificates that applications hold: one for each identity that somebody asked for, with a key that
//! is not the proxy's, renewed for as long as the identity is served here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_channel::Clocks;
use leno_identity::{Credential, Renewal};
use leno_model::{Dice, Pause, SpiffeId};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::Authority;
use crate::served::Served;

/// How long the authority may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most time between two looks at a certificate: timers stand still while the machine sleeps.
const LOOK: Duration = Duration::from_secs(10);

/// The certificates.
pub(crate) struct Certificates {
    authority: Arc<dyn Authority>,
    served: watch::Receiver<Arc<Served>>,
    clocks: Clocks,
    state: Mutex<State>,
    /// Rises when there is another certificate, or a reason why there is none.
    news: watch::Sender<u64>,
}

struct State {
    held: BTreeMap<SpiffeId, Held>,
    dice: Dice,
}

/// What is known of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) credential: Option<Arc<Credential>>,
    /// Why the last try failed, if it did.
    pub(crate) failed: Option<String>,
}

impl Certificates {
    pub(crate) fn new(
        authority: Arc<dyn Authority>,
        served: watch::Receiver<Arc<Served>>,
        clocks: Clocks,
        seed: u64,
    ) -> Self {
        Self {
            authority,
            served,
            clocks,
            state: Mutex::new(State {
                held: BTreeMap::new(),
                dice: Dice::new(seed),
            }),
            news: watch::Sender::new(0),
        }
    }

    /// Hears whenever there is another certificate.
    pub(crate) fn hear(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// What is held of `id`, which is served here. Who asks first sets off that one is asked for.
    pub(crate) fn of(self: &Arc<Self>, id: &SpiffeId) -> Held {
        let mut state = self.lock();
        if let Some(held) = state.held.get(id) {
            return held.clone();
        }
        state.held.insert(id.clone(), Held::default());
        let dice = Dice::new(state.dice.next_u64());
        tokio::spawn(Arc::clone(self).keep(id.clone(), dice));
        Held::default()
    }

    /// Keeps the certificate of `id` young for as long as it is served here.
    async fn keep(self: Arc<Self>, id: SpiffeId, mut dice: Dice) {
        let mut served = self.served.clone();
        let mut renewal: Option<Renewal> = None;
        let mut pause = Pause::default();
        while is_served(&served.borrow_and_update(), &id) {
            let is_due = match &mut renewal {
                None => true,
                Some(renewal) => renewal.handle_timeout(self.clocks.now(), &mut dice),
            };
            let mut rest = Duration::ZERO;
            if is_due {
                let given = self.ask(&id).await;
                let (now, failed) = (self.clocks.now(), given.as_ref().err().cloned());
                match (given, &mut renewal) {
                    (Ok(credential), _) => {
                        renewal = Some(Renewal::new(credential.validity(), &mut dice));
                        self.note(&id, |held| held.credential = Some(Arc::new(credential)));
                    }
                    (Err(why), Some(renewal)) => renewal.handle_failed(why, now, &mut dice),
                    (Err(_), None) => rest = pause.next(&mut dice),
                }
                self.note(&id, |held| held.failed = failed);
            }
            if let Some(renewal) = &renewal {
                let now = self.clocks.now();
                rest = renewal.poll_timeout(now).since(now.mono).min(LOOK);
            }
            tokio::select! {
                () = sleep(rest) => {}
                changed = served.changed(), if renewal.is_some() => if changed.is_err() {
                    break;
                }
            }
        }
        self.lock().held.remove(&id);
    }

    async fn ask(&self, id: &SpiffeId) -> Result<Credential, String> {
        let given = timeout(PATIENCE, self.authority.certificate(id)).await;
        let given = given.unwrap_or_else(|_| Err("the authority has not answered".to_owned()))?;
        match given.id() == id {
            true => Ok(given),
            false => Err(format!("a certificate of {} came", given.id())),
        }
    }

    fn note(&self, id: &SpiffeId, change: impl FnOnce(&mut Held)) {
        if let Some(held) = self.lock().held.get_mut(id) {
            change(held);
        }
        self.news.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_served(served: &Served, id: &SpiffeId) -> bool {
    let mut workloads = served.workloads.iter();
    workloads.any(|workload| workload.identity == *id)
}
