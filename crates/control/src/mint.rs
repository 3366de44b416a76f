//! JWT-SVIDs: tokens that say who somebody is, signed by keys of the trust domain that replace each
//! other. `identity` decides when; the keys lie in the store as the CA's do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_channel::generate_key;
use leno_channel::grpc::{Status, StatusCode};
use leno_identity::{Key, KeyStep, TOKEN_LIFE, key_step, signing_key};
use leno_jwt::{BadSigningKey, Claims, Map, Signer, Value};
use leno_model::{SpiffeId, Wall};
use leno_store::{Failed, Label, Secret, Store};
use leno_wire::tokens::{Mint, Minted};

use crate::center::Center;
use crate::entitled::Entitled;
use crate::issue::prove_for;
use crate::keys::{Keys, NotUnsealed};

/// The keys that sign tokens.
#[derive(Debug)]
pub(crate) struct Minter {
    store: Arc<Store>,
    keys: Arc<Keys>,
    held: Mutex<Vec<Held>>,
}

/// A key, and when it was made: no two are of one second.
#[derive(Clone, Debug)]
struct Held {
    made: Wall,
    signer: Signer,
}

impl Minter {
    /// Takes up the keys that the store holds. There need be none before [`Self::turn`].
    pub(crate) fn open(store: Arc<Store>, keys: Arc<Keys>) -> Result<Self, NotMinting> {
        let mut held = Vec::new();
        for made in list(&store)? {
            if let Some((key, _)) = keys.read(&store, &name_of(made))? {
                let signer = Signer::new(key.secret())?;
                held.push(Held { made, signer });
            }
        }
        Ok(Self {
            store,
            keys,
            held: Mutex::new(held),
        })
    }

    /// Makes and forgets what is due.
    pub(crate) fn turn(&self, now: Wall) -> Result<(), NotMinting> {
        let now = Wall::since_epoch(Duration::from_secs(now.elapsed_since_epoch().as_secs()));
        let mut held = self.lock();
        loop {
            let made: Vec<_> = held.iter().map(|held| held.made).collect();
            let mut next = held.clone();
            let secret = match key_step(&made, now) {
                None => return Ok(()),
                Some(KeyStep::Make) => {
                    let key: Key = generate_key();
                    let signer = Signer::new(key.secret())?;
                    next.push(Held { made: now, signer });
                    self.keys.kept(name_of(now), &key)
                }
                Some(KeyStep::Forget) => (name_of(next.remove(0).made), None),
            };
            let list = next.iter().map(|held| seconds(held.made).to_string());
            let list = list.collect::<Vec<_>>().join("\n").into_bytes();
            let secrets = [secret, (label(LIST), Some(Secret(list)))];
            // Whoever hears of it from the store waits for the lock before it reads.
            self.store.keep_secrets(&secrets)?;
            *held = next;
        }
    }

    /// What proves its tokens: a JWK Set, with the uses that SPIFFE has for it. `None` while there are
    /// no keys.
    pub(crate) fn published(&self) -> Option<Arc<str>> {
        let held = self.lock();
        let keys: Vec<_> = held
            .iter()
            .map(|held| held.signer.jwk("jwt-svid"))
            .collect();
        if keys.is_empty() {
            return None;
        }
        let set = Map::from_iter([("keys".to_owned(), Value::Array(keys))]);
        Some(Value::Object(set).to_string().into())
    }

    /// A token of `id` for `audiences`.
    //= JWT-SVID section 3: "sub", "aud" and "exp" are required.
    fn sign(&self, id: &SpiffeId, audiences: &[String], now: Wall) -> Option<String> {
        let held = self.lock();
        let made: Vec<_> = held.iter().map(|held| held.made).collect();
        let held = held.get(signing_key(&made, now)?)?;
        let audiences = audiences.iter().map(|audience| audience.as_str().into());
        let claims = Map::from_iter([
            ("sub".to_owned(), id.to_string().into()),
            ("aud".to_owned(), Value::Array(audiences.collect())),
            ("iat".to_owned(), seconds(now).into()),
            ("exp".to_owned(), seconds(now + TOKEN_LIFE).into()),
        ]);
        Some(held.signer.sign(&Claims::from(claims)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives somebody a token, of itself or of one that it is `entitled` to act as.
pub(crate) fn mint(center: &Center, entitled: &Entitled<'_>, ask: &Mint) -> Result<Minted, Status> {
    let id = &ask.identity;
    prove_for(center, entitled, id)?;
    let token = center
        .minter
        .sign(id, &ask.audiences, center.clocks.now().wall);
    let none = || {
        Status::new(
            StatusCode::Unavailable,
            "there is no key to sign tokens yet",
        )
    };
    token.map(|token| Minted { token }).ok_or_else(none)
}

/// The name under which the store keeps when each key was made.
const LIST: &str = "ca/token/keys";

fn list(store: &Store) -> Result<Vec<Wall>, Failed> {
    let kept = store.secret(&label(LIST))?;
    let text = kept.map(|Secret(bytes)| String::from_utf8_lossy(&bytes).into_owned());
    let seconds = |line: &str| line.parse().ok().map(Duration::from_secs);
    let text = text.unwrap_or_default();
    Ok(text
        .lines()
        .filter_map(seconds)
        .map(Wall::since_epoch)
        .collect())
}

fn name_of(made: Wall) -> Label {
    label(&format!("ca/token/key/{}", seconds(made)))
}

fn label(name: &str) -> Label {
    Label::new(name).expect("a name of ours is a label")
}

fn seconds(wall: Wall) -> u64 {
    wall.elapsed_since_epoch().as_secs()
}

/// Why there are no keys for tokens.
#[derive(Debug, thiserror::Error)]
pub enum NotMinting {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Failed),
    /// A key cannot be used as it lies there.
    #[error(transparent)]
    Keys(#[from] NotUnsealed),
    /// A key is not one for tokens.
    #[error(transparent)]
    Key(#[from] BadSigningKey),
}
