//! Our own bundle, as other trust domains get it (SPIFFE Federation, profile `https_spiffe`): public keys and
//! nothing else, told to anybody who comes to `/bundle` of port 15012, for as long as the mesh has a `MeshPeer`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use http::StatusCode;
use leno_federation::{awaited_abroad, next_sequence, publish, refresh_hint};
use leno_identity::Rotation;
use leno_model::Wall;
use leno_store::{Failed, Label, Secret, Store};

use crate::center::Center;
use crate::web::{Said, json, words};

/// The path of the bundle.
pub(crate) const PATH: &str = "/bundle";

/// Which bundle was told to others last.
#[derive(Debug)]
pub(crate) struct Published {
    store: Arc<Store>,
    last: Mutex<Option<Last>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Last {
    sequence: u64,
    /// What tells it from others, but for its sequence.
    hash: String,
}

impl Published {
    /// Takes up which one was told last.
    pub(crate) fn open(store: Arc<Store>) -> Result<Self, Failed> {
        let kept = store.secret(&name())?;
        let text = kept.map(|Secret(bytes)| String::from_utf8_lossy(&bytes).into_owned());
        let last = text.and_then(|text| {
            let (sequence, hash) = text.split_once(' ')?;
            Some(Last {
                sequence: sequence.parse().ok()?,
                hash: hash.to_owned(),
            })
        });
        Ok(Self {
            store,
            last: Mutex::new(last),
        })
    }

    /// The sequence of a bundle that is `text` but for it: a later one if it is another than the last. It is on
    /// disk when this returns, so that none ever stands for two bundles.
    fn sequence(&self, text: &str, now: Wall) -> Result<u64, Failed> {
        let hash = digest(&SHA256, text.as_bytes());
        let hash = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
        let hash: String = hash.collect();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && last.hash == hash
        {
            return Ok(last.sequence);
        }
        let sequence = next_sequence(last.as_ref().map(|last| last.sequence), now);
        let kept = Secret(format!("{sequence} {hash}").into_bytes());
        self.store.keep_secrets(&[(name(), Some(kept))])?;
        *last = Some(Last { sequence, hash });
        Ok(sequence)
    }
}

/// Our bundle as text; `None` while there is no CA.
pub(crate) fn bundle(center: &Center) -> Result<Option<String>, Failed> {
    let Some(told) = center.authority.told() else {
        return Ok(None);
    };
    let hint = hint(&told.rotation);
    let token_keys = center.minter.published();
    let of = |sequence| publish(sequence, hint, &told.roots, token_keys.as_deref());
    let now = center.clocks.now().wall;
    let sequence = center.published.sequence(&of(0), now)?;
    Ok(Some(of(sequence)))
}

/// Until when an announced root must not sign yet because those abroad may not have seen it, where anybody
/// abroad looks.
pub(crate) fn awaited(center: &Center, rotation: &Rotation, now: Wall) -> Option<Wall> {
    let is_looked_at = !center.edition().mesh.peers.is_empty();
    is_looked_at
        .then(|| awaited_abroad(rotation, hint(rotation), now))
        .flatten()
}

/// How often others are to look. It hangs on the root that signs, not on what the `Mesh` asks of the next
/// one: others rest as they were told before.
fn hint(rotation: &Rotation) -> Duration {
    refresh_hint(rotation.active().validity.life())
}

/// What is told of it to anybody who asks.
pub(crate) fn told(center: &Center) -> Said {
    if center.edition().mesh.peers.is_empty() {
        return words(
            StatusCode::NOT_FOUND,
            "this mesh has no MeshPeer, and tells nobody its keys",
        );
    }
    match bundle(center) {
        Ok(Some(text)) => json(text.into_bytes()),
        Ok(None) => words(StatusCode::SERVICE_UNAVAILABLE, "there is no CA yet"),
        Err(failed) => {
            center.trouble(failed.code(), failed);
            words(StatusCode::SERVICE_UNAVAILABLE, "the store failed")
        }
    }
}

fn name() -> Label {
    Label::new("reported/published").expect("a constant that is a label")
}

#[cfg(test)]
mod tests {
    use leno_store::Settings;

    use super::*;

    #[test]
    fn a_sequence_rises_with_each_change_and_outlives_the_process() {
        let folder = std::env::temp_dir().join(format!("leno-published-{}", std::process::id()));
        let open = || {
            let store = Store::open(&folder, Settings::default()).unwrap();
            Published::open(Arc::new(store)).unwrap()
        };
        let at = |seconds| Wall::since_epoch(Duration::from_secs(seconds));
        let published = open();
        assert_eq!(published.sequence("a", at(1000)).unwrap(), 1000);
        assert_eq!(published.sequence("a", at(2000)).unwrap(), 1000);
        assert_eq!(published.sequence("b", at(2000)).unwrap(), 2000);
        // Twice in one second, and with a clock that was set back.
        assert_eq!(published.sequence("c", at(2000)).unwrap(), 2001);
        assert_eq!(published.sequence("d", at(1000)).unwrap(), 2002);
        drop(published);
        let published = open();
        assert_eq!(published.sequence("d", at(1000)).unwrap(), 2002);
        assert_eq!(published.sequence("a", at(1000)).unwrap(), 2003);
        drop(published);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
