//! The certificates of a proxy: its own, and those of the workloads it stands in front of. Each is
//! asked for when it is due, and the one that is held stays in use until a better one comes. One whose
//! workload has left is not renewed, and forgotten at its end.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Those of them that are held until they end, and not renewed.
    needless: BTreeSet<SpiffeId>,
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
            needless: BTreeSet::new(),
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

    /// Needs certificates for these from here on, and for nobody else.
    pub(super) fn need(&mut self, ids: &BTreeSet<SpiffeId>, now: Now) {
        let is_held = |state: &State| matches!(state, State::Held(_));
        for (id, _) in self
            .by_id
            .extract_if(.., |id, state| !ids.contains(id) && !is_held(state))
        {
            forget(self.telemetry.as_ref(), &id);
        }
        for id in ids {
            let wanted = || State::Wanted {
                at: now.mono,
                pause: Pause::default(),
            };
            self.by_id.entry(id.clone()).or_insert_with(wanted);
        }
        let needless = self.by_id.keys().filter(|id| !ids.contains(*id));
        self.needless = needless.cloned().collect();
    }

    /// Forgets those that nobody needs and that have ended.
    pub(super) fn forget_ended(
        &mut self,
        keeping: (&Keyring, &Folder),
        now: Now,
        tell: &mut impl FnMut(&Event),
    ) {
        let (keyring, folder) = keeping;
        let needless = self.needless.iter();
        let ended = needless.filter(|id| self.has_ended(id, now)).cloned();
        for id in ended.collect::<Vec<_>>() {
            self.needless.remove(&id);
            self.by_id.remove(&id);
            keyring.remove(&id);
            forget(self.telemetry.as_ref(), &id);
            if let Err(error) = folder.forget(&id) {
                tell(&Event::NotSaved {
                    why: error.to_string(),
                });
            }
            tell(&Event::Forgotten { identity: id });
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
        let held = self.needed().filter_map(|(_, state)| match state {
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
        let due = |(_, state): (_, &State)| match state {
            State::Held(renewal) => Some(renewal.poll_timeout(now)),
            State::Wanted { at, .. } => Some(*at),
            State::Asked { .. } => None,
        };
        self.needed().filter_map(due).min()
    }

    fn needed(&self) -> impl Iterator<Item = (&SpiffeId, &State)> {
        let all = self.by_id.iter();
        all.filter(|(id, _)| !self.needless.contains(*id))
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
            if self.needless.contains(id) {
                continue;
            }
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

    /// Uses what came, and keeps it, if it is needed still.
    pub(super) fn take(
        &mut self,
        (id, asked): Asked,
        keeping: (&Keyring, &Folder),
        now: Now,
        dice: &mut Dice,
        tell: &mut impl FnMut(&Event),
    ) {
        let state = self.by_id.get_mut(&id);
        let Some(state) = state.filter(|_| !self.needless.contains(&id)) else {
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

/// Says nothing of it in metrics any more.
fn forget(telemetry: Option<&Telemetry>, id: &SpiffeId) {
    if let Some(telemetry) = telemetry {
        telemetry.certificates().forgotten(id);
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
        pod: None,
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

#[cfg(test)]
mod tests {
    use leno_identity::{Intermediate, Root};
    use leno_model::TrustDomain;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn id(account: &str) -> SpiffeId {
        let uri = format!("spiffe://shop.local/ns/shop/sa/{account}");
        SpiffeId::parse(&uri).unwrap()
    }

    /// A proxy that has certificates of an hour for `web` and `cart`, and no control plane.
    struct Proxy {
        certificates: Certificates,
        keyring: Keyring,
        folder: Folder,
        telemetry: Telemetry,
        began: Wall,
        dice: Dice,
    }

    impl Proxy {
        fn start(test: &str) -> Self {
            let path = format!("leno-certify-{test}-{}", std::process::id());
            let folder = Folder::make(&std::env::temp_dir().join(path)).unwrap();
            let (began, mut dice) = (leno_channel::wall(), Dice::new(1));
            let domain = TrustDomain::new("shop.local").unwrap();
            let (life, key) = (24 * HOUR, generate_key());
            let root = Root::establish(&domain, generate_key(), life, began, &mut dice).unwrap();
            let signed = root.sign_intermediate(&key.public(), life, began, &mut dice);
            let authority = Intermediate::restore(signed.unwrap(), key).unwrap();
            for account in ["web", "cart"] {
                let key = generate_key();
                let leaf = authority.sign_leaf(&key.public(), &id(account), HOUR, began, &mut dice);
                let credential = Credential::new(leaf.unwrap(), key).unwrap();
                folder.keep(&credential).unwrap();
            }
            let keyring = Keyring::new(leno_channel::Clocks::start().clock());
            let telemetry = Telemetry::new(leno_telemetry::Settings::default());
            let mut certificates = Certificates::of(&folder, &keyring, &mut dice).unwrap();
            certificates.tell_in(&telemetry);
            Self {
                certificates,
                keyring,
                folder,
                telemetry,
                began,
                dice,
            }
        }

        fn after(&self, time: Duration) -> Now {
            Now {
                mono: Mono::since_start(time),
                wall: self.began + time,
            }
        }

        fn need(&mut self, accounts: &[&str], after: Duration) {
            let ids = accounts.iter().map(|account| id(account)).collect();
            let now = self.after(after);
            self.certificates.need(&ids, now);
        }

        /// What it tells when it looks then, who holds a certificate in the keyring, and of how many metrics and
        /// folder tell.
        fn look(&mut self, after: Duration) -> (Vec<String>, Vec<String>, [usize; 2]) {
            let (now, mut told) = (self.after(after), Vec::new());
            let mut tell = |event: &Event| {
                told.push(match event {
                    Event::NotCertified { identity, .. } => {
                        format!("{} was asked for", identity.service_account)
                    }
                    Event::Forgotten { identity } => {
                        format!("{} is forgotten", identity.service_account)
                    }
                    event => event.to_string(),
                });
            };
            let keeping = (&self.keyring, &self.folder);
            self.certificates.forget_ended(keeping, now, &mut tell);
            self.certificates.ask(None, now, &mut self.dice, &mut tell);
            let held = self.keyring.identities();
            let held = held.iter().map(|id| id.service_account.to_string());
            let kept = self.folder.credentials().unwrap().len();
            let metrics = self.telemetry.snapshot().certificates.len();
            (told, held.collect(), [kept, metrics])
        }
    }

    impl Drop for Proxy {
        fn drop(&mut self) {
            // What is left there is in nobody's way.
            drop(std::fs::remove_dir_all(self.folder.path()));
        }
    }

    #[test]
    fn a_certificate_whose_workload_has_left_is_not_renewed_and_forgotten_at_its_end() {
        let check =
            |looked: (Vec<String>, Vec<String>, [usize; 2]), told: &[&str], held: &[&str]| {
                let all = [held.len(), held.len()];
                assert_eq!(
                    (looked.0, looked.1, looked.2),
                    (words(told), words(held), all)
                );
            };
        let mut proxy = Proxy::start("left");
        let minute = HOUR / 60;
        proxy.need(&["cart", "web"], Duration::ZERO);
        check(proxy.look(minute), &[], &["cart", "web"]);
        proxy.need(&["web"], 2 * minute);
        check(
            proxy.look(40 * minute),
            &["web was asked for"],
            &["cart", "web"],
        );
        // It comes back, and leaves for good.
        proxy.need(&["cart", "web"], 41 * minute);
        let both = ["cart was asked for", "web was asked for"];
        check(proxy.look(45 * minute), &both, &["cart", "web"]);
        proxy.need(&["web"], 46 * minute);
        // What is needed stays, also where it has ended.
        let told = ["cart is forgotten", "web was asked for"];
        check(proxy.look(HOUR + minute), &told, &["web"]);
        proxy.need(&["web"], HOUR + minute);
        check(
            proxy.look(HOUR + 2 * minute),
            &["web was asked for"],
            &["web"],
        );
    }

    #[test]
    fn a_first_certificate_is_asked_for_no_more_when_its_workload_has_left() {
        let mut proxy = Proxy::start("first");
        proxy.need(&["cart", "web", "mail"], Duration::ZERO);
        let (told, _, figures) = proxy.look(Duration::ZERO);
        assert_eq!((told, figures), (words(&["mail was asked for"]), [2, 3]));
        proxy.need(&["cart", "web"], Duration::ZERO);
        let (told, _, figures) = proxy.look(HOUR / 60);
        assert_eq!((told, figures), (words(&[]), [2, 2]));
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }
}
