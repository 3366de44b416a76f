//! Lets proxies in again whose certificates have all ended, while people let that be: after a control
//! plane that was away for too long, nobody has anything but an ended certificate to show.
//!
//! It is taken for no more than it says: this CA has signed it, remembers it, has not revoked whom
//! it names, and whoever asks holds its key.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_admin::{Failure, ReadmitProxies, Readmitting, Waiting};
use leno_channel::grpc::{Status, StatusCode};
use leno_identity::{Fingerprint, Seal, Validity};
use leno_model::{Code, SpiffeId, Wall};
use leno_wire::certificates::{Readmit, control_plane};

use crate::administer::status;
use crate::center::Center;
use crate::event::Event;
use crate::holders::{PodRef, Whose};
use crate::issue::issue;

/// Until when proxies are let in again, and who waits for that.
#[derive(Default, Debug)]
pub(crate) struct Readmission(Mutex<State>);

#[derive(Default, Debug)]
struct State {
    open_until: Option<Wall>,
    /// When each asked last.
    waiting: BTreeMap<SpiffeId, Wall>,
}

/// How many are remembered who wait.
const MOST_WAITING: usize = 10_000;

/// How long somebody counts as waiting who does not ask again.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// The longest time for which people may let proxies in again, in seconds.
const LONGEST: u64 = 24 * 3600;

impl Readmission {
    /// Those who wait at `now`, with when each asked last.
    pub(crate) fn waiting(&self, now: Wall) -> Vec<(SpiffeId, Wall)> {
        let mut state = self.lock();
        state.waiting.retain(|_, at| now.since(*at) < FORGOTTEN);
        let waiting = state.waiting.iter();
        waiting.map(|(id, at)| (id.clone(), *at)).collect()
    }

    fn is_open(&self, now: Wall) -> bool {
        self.lock().open_until.is_some_and(|until| now < until)
    }

    /// Says whether it is the first time that it asks.
    fn waits(&self, id: &SpiffeId, now: Wall) -> bool {
        let waiting = &mut self.lock().waiting;
        let has_room = waiting.len() < MOST_WAITING || waiting.contains_key(id);
        has_room && waiting.insert(id.clone(), now).is_none()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives somebody whose certificate has ended another one.
pub(crate) fn readmit(center: &Center, address: IpAddr, ask: &Readmit) -> Result<Vec<u8>, Status> {
    let not_believed = |why: &dyn ToString| {
        let why = format!("the ended certificate is not believed: {}", why.to_string());
        Status::new(StatusCode::Unauthenticated, why)
    };
    let leaf = ask.chain.first();
    let leaf = leaf.ok_or_else(|| not_believed(&"there is none"))?;
    let validity = Validity::of(leaf).ok_or_else(|| not_believed(&"it is none"))?;
    let now = center.clocks.now().wall;
    if !validity.is_over(now) {
        let message = "the certificate has not ended: renew it";
        return Err(Status::new(StatusCode::InvalidArgument, message));
    }
    let seal = Seal {
        chain: ask.chain.clone(),
        at: validity.ends,
        signature: ask.signature.clone(),
    };
    let proven = seal.verify(&ask.request, &center.keyring.trust());
    let proven = proven.map_err(|broken| not_believed(&broken))?;
    let id = proven.id();
    if *id == control_plane(&id.trust_domain) {
        return Err(not_believed(&"it is the control plane's own"));
    }
    let holder = center.store.holder_of(Fingerprint::of(leaf));
    let holder = holder.map_err(|failed| {
        center.trouble(failed.code(), &failed);
        Status::new(StatusCode::Unavailable, "the store failed")
    })?;
    let (holder, pod) = holder
        .ok_or_else(|| not_believed(&"the CA remembers none such, or its holder has left"))?;
    if !center.readmission.is_open(now) {
        if center.readmission.waits(id, now) {
            center.tell(&Event::WaitsForReadmission {
                identity: id.clone(),
                address,
            });
        }
        let (code, slug) = (Code::T016, Code::T016.slug());
        let message =
            format!("{code} {slug}: leno certs readmit, at the control plane, lets it in");
        return Err(Status::new(StatusCode::PermissionDenied, message));
    }
    let whose = Whose {
        holder: Some(holder),
        pod: pod.and_then(|pod| PodRef::read(pod.as_str())),
    };
    let issued = issue(center, &whose, id, &ask.request, "readmitted")?;
    center.readmission.lock().waiting.remove(id);
    center.tell(&Event::Readmitted {
        identity: id.clone(),
        address,
    });
    Ok(issued.encode())
}

/// Lets proxies in again for a while.
pub(crate) fn open(center: &Center, ask: &ReadmitProxies) -> Result<Readmitting, Failure> {
    if ask.seconds > LONGEST {
        return Err(Failure::plain(
            "proxies can be let in again for at most a day",
        ));
    }
    let now = center.clocks.now().wall;
    let until = (ask.seconds > 0).then(|| now + Duration::from_secs(ask.seconds));
    center.readmission.lock().open_until = until;
    let waiting = center.readmission.waiting(now).into_iter();
    Ok(Readmitting {
        status: status(center),
        until: until.map(|until| until.to_string()),
        waiting: waiting
            .map(|(identity, asked)| Waiting {
                identity: identity.to_string(),
                asked: asked.to_string(),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use leno_channel::generate_key;
    use leno_identity::{Credential, Key};
    use leno_model::TrustDomain;
    use leno_store::{Label, Message, Revocation, Settings, Store};

    use super::*;
    use crate::center::Start;
    use crate::found::First;
    use crate::jwks::Jwks;
    use crate::keys::Keys;
    use crate::{LocalKeys, clock};

    /// A control plane whose CA was founded an hour ago.
    struct World {
        center: Center,
        folder: PathBuf,
        id: SpiffeId,
    }

    impl World {
        fn new(name: &str) -> Self {
            let folder = format!("leno-readmit-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            let store = Arc::new(Store::open(&folder, Settings::default()).unwrap());
            let address = "127.0.0.1:15012".to_owned();
            let keys = Arc::new(Keys::open(&store, None).unwrap());
            let jwks = Jwks::open(Arc::clone(&store), LocalKeys::default()).unwrap();
            let center = Center::open(
                store,
                keys,
                jwks,
                Start {
                    beside: None,
                    address,
                    mesh: None,
                    sidecar: None,
                    node_capture: false,
                },
                First::default(),
                Box::new(|_| {}),
            );
            let center = center.unwrap();
            let domain = TrustDomain::new("shop.local").unwrap();
            let lifetimes = center.edition().mesh.lifetimes;
            let founded = center.authority.found(&domain, lifetimes, an_hour_ago());
            founded.unwrap();
            center.renew().unwrap();
            let id = SpiffeId::parse("spiffe://shop.local/ns/shop/sa/web").unwrap();
            Self { center, folder, id }
        }

        /// A certificate that ended long since, remembered or not.
        fn ended(&self, is_remembered: bool) -> Credential {
            self.ended_of(&self.id, is_remembered)
        }

        fn ended_of(&self, id: &SpiffeId, is_remembered: bool) -> Credential {
            let (key, life) = (generate_key(), Duration::from_secs(60));
            let authority = &self.center.authority;
            let signed = authority.issue(&key.request(), id, life, an_hour_ago());
            let signed = signed.unwrap();
            if is_remembered {
                let holders = &self.center.holders;
                let remembered = holders.remember(&signed, &Whose::default(), id, "test");
                remembered.unwrap();
            }
            Credential::new(signed.what.chain, key).unwrap()
        }

        fn check(&self, ask: &Readmit, expect: &str) {
            let address = "10.0.0.1".parse().unwrap();
            let told = match readmit(&self.center, address, ask) {
                Ok(_) => "let in".to_owned(),
                Err(status) => status.to_string(),
            };
            assert!(told.contains(expect), "{told}");
        }

        fn open(&self) {
            open(&self.center, &ReadmitProxies { seconds: 60 }).unwrap();
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            // A folder of this test alone; what is left of it is the system's to clear.
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }

    fn an_hour_ago() -> Wall {
        clock::wall() - Duration::from_secs(3600)
    }

    fn ask(ended: &Credential, new: &Key) -> Readmit {
        let request = new.request();
        let seal = ended.seal(&request, ended.validity().ends).unwrap();
        Readmit {
            chain: ended.chain().to_vec(),
            signature: seal.signature,
            request,
        }
    }

    #[test]
    fn who_has_an_ended_certificate_is_let_in_while_people_let_it_be() {
        let world = World::new("open");
        let asks = ask(&world.ended(true), &generate_key());
        world.check(&asks, "T016 readmission-awaited: leno certs readmit");
        let waiting = world.center.readmission.waiting(clock::wall());
        assert_eq!(waiting.len(), 1);
        world.open();
        world.check(&asks, "let in");
        assert_eq!(world.center.readmission.waiting(clock::wall()), []);
        open(&world.center, &ReadmitProxies { seconds: 0 }).unwrap();
        world.check(&asks, "T016");
    }

    #[test]
    fn nobody_else_is_let_in() {
        let world = World::new("nobody");
        world.open();
        let ended = world.ended(true);
        let good = ask(&ended, &generate_key());
        // Another request than the one that was sealed, as from somebody who has seen the chain.
        let stolen = Readmit {
            request: generate_key().request(),
            ..good.clone()
        };
        world.check(&stolen, "it was changed after it was signed");
        let forgotten = ask(&world.ended(false), &generate_key());
        world.check(&forgotten, "the CA remembers none such");
        let left = world.ended(true);
        let holder = Fingerprint::of(&left.chain()[0]);
        world.center.holders.seat_of(holder).leave().unwrap();
        world.check(&ask(&left, &generate_key()), "its holder has left");
        let own = world.ended_of(&control_plane(&world.id.trust_domain), true);
        world.check(&ask(&own, &generate_key()), "the control plane's own");
        let nothing = Readmit {
            chain: Vec::new(),
            ..good.clone()
        };
        world.check(&nothing, "there is none");
        let revoked = world.center.store.revoke(&Revocation {
            identity: world.id.clone(),
            at: clock::wall(),
            who: Label::new("ops").unwrap(),
            reason: Message::default(),
        });
        assert!(revoked.unwrap());
        world.center.renew().unwrap();
        world.check(&good, "has been revoked");
        let life = Duration::from_secs(3600);
        let (key, authority) = (generate_key(), &world.center.authority);
        let signed = authority.issue(&key.request(), &world.id, life, clock::wall());
        let young = Credential::new(signed.unwrap().what.chain, key).unwrap();
        world.check(&ask(&young, &generate_key()), "has not ended");
    }
}
