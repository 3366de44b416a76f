//! The certificates of a proxy: its own, and those of the workloads it stands in front of. Each is
//! asked for when it is due, and the one that is held stays in use until a better one comes.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_channel::grpc::Line;
use leno_channel::{Keyring, generate_key};
use leno_identity::{Credential, Renewal};
use leno_model::{Dice, Mono, Now, Pause, SpiffeId, Wall};
use leno_telemetry::Telemetry;
use leno_wire::call;
use leno_wire::certificates::{Issued, Renew};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::follow::event::Event;
use crate::follow::folder::{Folder, NotJoinedYet};

/// How long the control plane may take to sign: less than a [`Renewal`] waits, so that its silence is told like any
/// other failure.
const PATIENCE: Duration = Duration::from_secs(9);

/// The certificates, and what is asked for.
#[derive(Debug)]
pub(super) struct Certificates {
    by_id: BTreeMap<SpiffeId, State>,
    asked: JoinSet<Asked>,
    /// Whose metrics say how each stands.
    telemetry: Option<Telemetry>,
}

/// What came of a question.
type Asked = (SpiffeId, Result<Credential, String>);

#[derive(Debug)]
enum State {
    /// There is one.
    Held(Renewal),
    /// There has never been one; it is asked for at that moment.
    Wanted { at: Mono, pause: Pause },
    /// The first one is asked for.
    Asked { pause: Pause },
}

impl Certificates {
    /// Takes up what is on disk.
    pub(super) fn of(
        folder: &Folder,
        keyring: &Keyring,
        dice: &mut Dice,
    ) -> Result<Self, NotJoinedYet> {
        let mut by_id = BTreeMap::new();
        for credential in folder.credentials()? {
            keyring.install(&credential)?;
            let renewal = Renewal::new(credential.validity(), dice);
            by_id.insert(credential.id().clone(), State::Held(renewal));
        }
        Ok(Self {
            by_id,
            asked: JoinSet::new(),
            telemetry: None,
        })
    }

    /// Lets the metrics of `telemetry` say how each stands, from here on.
    pub(super) fn tell_in(&mut self, telemetry: &Telemetry) {
        for (id, ends) in self.held() {
            telemetry.certificates().held(&id, ends);
        }
        self.telemetry = Some(telemetry.clone());
    }

    /// Wants certificates for these too.
    pub(super) fn want<'a>(&mut self, ids: impl IntoIterator<Item = &'a SpiffeId>, now: Now) {
        for id in ids {
            let wanted = || State::Wanted {
                at: now.mono,
                pause: Pause::default(),
            };
            if !self.by_id.contains_key(id) {
                self.by_id.insert(id.clone(), wanted());
            }
        }
    }

    /// Those that are held, each with its last second.
    pub(super) fn held(&self) -> BTreeMap<SpiffeId, Wall> {
        let held = self.by_id.iter().filter_map(|(id, state)| match state {
            State::Held(renewal) => Some((id.clone(), renewal.validity().ends)),
            State::Wanted { .. } | State::Asked { .. } => None,
        });
        held.collect()
    }

    /// Whether that of `id` is held and has ended.
    pub(super) fn has_ended(&self, id: &SpiffeId, now: Now) -> bool {
        match self.by_id.get(id) {
            Some(State::Held(renewal)) => renewal.validity().is_over(now.wall),
            Some(State::Wanted { .. } | State::Asked { .. }) | None => false,
        }
    }

    /// The longest time until the control plane is to be looked for again, for all to be renewed before
    /// they end.
    pub(super) fn patience(&self, now: Now) -> Duration {
        let held = self.by_id.values().filter_map(|state| match state {
            State::Held(renewal) => Some(renewal.patience(now)),
            State::Wanted { .. } | State::Asked { .. } => None,
        });
        held.min().unwrap_or(Duration::MAX)
    }

    /// Wants new certificates for these at once, whatever the old ones are good for.
    pub(super) fn hasten(&mut self, ids: &[SpiffeId]) {
        for id in ids {
            if let Some(State::Held(renewal)) = self.by_id.get_mut(id) {
                renewal.hasten();
            }
        }
    }

    /// When [`Self::ask`] should be called next.
    pub(super) fn poll_timeout(&self, now: Now) -> Option<Mono> {
        let due = |state: &State| match state {
            State::Held(renewal) => Some(renewal.poll_timeout(now)),
            State::Wanted { at, .. } => Some(*at),
            State::Asked { .. } => None,
        };
        self.by_id.values().filter_map(due).min()
    }

    /// Asks for what is due. Without a line, that has failed already.
    pub(super) fn ask(
        &mut self,
        line: Option<&Line>,
        now: Now,
        dice: &mut Dice,
        tell: &mut impl FnMut(&Event),
    ) {
        const AWAY: &str = "the control plane is away";
        for (id, state) in &mut self.by_id {
            let due = match state {
                State::Held(renewal) => renewal.handle_timeout(now, dice),
                State::Wanted { at, .. } => *at <= now.mono,
                State::Asked { .. } => false,
            };
            if !due {
                continue;
            }
            let Some(line) = line else {
                note(&self.telemetry, id, None);
                fail(id, state, AWAY.to_owned(), now, dice, tell);
                continue;
            };
            if let State::Wanted { pause, .. } = state {
                *state = State::Asked {
                    pause: std::mem::take(pause),
                };
            }
            self.asked.spawn(certify(line.clone(), id.clone()));
        }
    }

    /// What came of a question; pending while none is under way.
    pub(super) async fn asked(&mut self) -> Option<Asked> {
        match self.asked.join_next().await {
            // A question that panicked is one that was never answered: silence counts as failure.
            Some(asked) => asked.ok(),
            None => std::future::pending().await,
        }
    }

    /// Uses what came, and keeps it.
    pub(super) fn take(
        &mut self,
        (id, asked): Asked,
        keeping: (&Keyring, &Folder),
        now: Now,
        dice: &mut Dice,
        tell: &mut impl FnMut(&Event),
    ) {
        let Some(state) = self.by_id.get_mut(&id) else {
            return;
        };
        let (keyring, folder) = keeping;
        let usable = asked.and_then(|credential| {
            let installed = keyring
                .install(&credential)
                .map_err(|error| error.to_string());
            installed.map(|()| credential)
        });
        match usable {
            Ok(credential) => {
                let validity = credential.validity();
                note(&self.telemetry, &id, Some(validity.ends));
                *state = State::Held(Renewal::new(validity, dice));
                tell(&Event::Certified {
                    identity: id,
                    ends: validity.ends,
                });
                if let Err(error) = folder.keep(&credential) {
                    tell(&Event::NotSaved {
                        why: error.to_string(),
                    });
                }
            }
            Err(why) => {
                note(&self.telemetry, &id, None);
                fail(&id, state, why, now, dice, tell);
            }
        }
    }
}

/// Counts what came of a try: the end of what is held from here on, or nothing.
fn note(telemetry: &Option<Telemetry>, id: &SpiffeId, ends: Option<Wall>) {
    let certificates = telemetry.as_ref().map(Telemetry::certificates);
    match (certificates, ends) {
        (Some(certificates), Some(ends)) => certificates.held(id, ends),
        (Some(certificates), None) => certificates.failed(id),
        (None, _) => {}
    }
}

fn fail(
    id: &SpiffeId,
    state: &mut State,
    why: String,
    now: Now,
    dice: &mut Dice,
    tell: &mut impl FnMut(&Event),
) {
    let trouble = match state {
        State::Held(renewal) => {
            renewal.handle_failed(why.clone(), now, dice);
            renewal.trouble()
        }
        State::Wanted { pause, .. } | State::Asked { pause } => {
            let at = now.mono + pause.next(dice);
            *state = State::Wanted {
                at,
                pause: std::mem::take(pause),
            };
            None
        }
    };
    tell(&Event::NotCertified {
        identity: id.clone(),
        trouble,
        why,
    });
}

/// Asks for a certificate for a new key.
async fn certify(line: Line, id: SpiffeId) -> Asked {
    let issued = timeout(PATIENCE, issued(&line, &id)).await;
    let issued = issued.unwrap_or_else(|_| Err("no answer came".to_owned()));
    (id, issued.map(|(credential, _)| credential))
}

/// A certificate for a new key, and the roots that its issuer tells beside it.
pub(super) async fn issued(
    line: &Line,
    id: &SpiffeId,
) -> Result<(Credential, Vec<Vec<u8>>), String> {
    let key = generate_key();
    let renew = Renew {
        identity: id.clone(),
        request: key.request(),
    };
    let answered = line.ask(call::RENEW, &renew.encode()).await;
    let answered = answered.map_err(|status| status.to_string())?;
    let issued = Issued::decode(&answered).map_err(|misfit| misfit.to_string())?;
    let credential = Credential::new(issued.chain, key).map_err(|error| error.to_string())?;
    match credential.id() == id {
        true => Ok((credential, issued.roots)),
        false => Err(format!("a certificate of {} came", credential.id())),
    }
}
