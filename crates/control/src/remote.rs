//! People and programs that administer the mesh from another host: proven by their certificate, allowed
//! what `Mesh.spec.administration` says of them, for as long as it does.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_admin::{Asker, Failure, remote};
use leno_channel::grpc::{Call, Status, StatusCode};
use leno_model::{Code, Role, SpiffeId};
use tokio::sync::SemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::administer;
use crate::auditing::{self, Asked};
use crate::center::Center;
use crate::serve::Peer;
use crate::sight::Sight;

/// The longest question of who only looks, and of who may send a configuration, in bytes.
const LONGEST_LOOK: usize = 1 << 20;
const LONGEST_CHANGE: usize = 160 << 20;

/// How long what is being answered goes on after a role was taken away: whoever took their own is
/// still told so.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Answers the question of a call of `peer`.
pub(crate) async fn run(center: &Arc<Center>, peer: &Peer, call: Call) {
    let asker = Asker::Peer {
        caller: peer.caller.clone(),
        address: peer.address,
    };
    let sight = Sight::of(center, &asker);
    let longest = match sight.highest() {
        Some(Role::Viewer) => LONGEST_LOOK,
        Some(Role::Editor | Role::Admin) => LONGEST_CHANGE,
        None => {
            // Nothing is read of it.
            let failure = no_role(center, &asker).await;
            return drop(remote::refuse(call.answer, &failure).await);
        }
    };
    let Some(_room) = Room::take(center, peer.caller.id()) else {
        let failure = Failure::plain("too many ask at this moment: try again");
        return drop(remote::refuse(call.answer, &failure).await);
    };
    let stands = until_changed(Arc::clone(center), asker.clone(), sight);
    let shared = Arc::clone(center);
    let answer = |question| administer::answer(shared, asker, question);
    // Whoever went away needs no answer.
    drop(remote::answer(call, longest, answer, stands).await);
}

/// How many questions of one who asks may be under way, taps included.
const MOST_OF_ONE: usize = 8;

/// The questions that are under way, by who asks.
#[derive(Default, Debug)]
pub(crate) struct Rooms(Mutex<BTreeMap<SpiffeId, usize>>);

/// A place among all who ask, and among what one of them asks.
struct Room<'a> {
    rooms: &'a Rooms,
    id: SpiffeId,
    _place: SemaphorePermit<'a>,
}

impl<'a> Room<'a> {
    fn take(center: &'a Center, id: &SpiffeId) -> Option<Self> {
        let place = center.askers.try_acquire().ok()?;
        let mut taken = center.rooms.lock();
        let own = taken.entry(id.clone()).or_default();
        if *own >= MOST_OF_ONE {
            return None;
        }
        *own += 1;
        Some(Self {
            rooms: &center.rooms,
            id: id.clone(),
            _place: place,
        })
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut taken = self.rooms.lock();
        if let Entry::Occupied(mut own) = taken.entry(self.id.clone()) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SpiffeId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses whoever has shown no certificate.
pub(crate) async fn nobody(center: &Arc<Center>, address: IpAddr) -> Status {
    let center = Arc::clone(center);
    let noted = spawn_blocking(move || {
        auditing::refused(&center, &Asked::of_nobody(address), Code::S016);
    });
    // What could not be written down was told.
    drop(noted.await);
    let (code, slug) = (Code::S016, Code::S016.slug());
    let message = format!("{code} {slug}: this takes a certificate and a role");
    Status::new(StatusCode::Unauthenticated, message)
}

async fn no_role(center: &Arc<Center>, asker: &Asker) -> Failure {
    let asked = Asked::new(asker, "ask", "");
    let shared = Arc::clone(center);
    // As above.
    let noted = spawn_blocking(move || auditing::refused(&shared, &asked, Code::S016));
    drop(noted.await);
    let Asker::Peer { caller, .. } = asker else {
        return Failure::plain("nobody asks");
    };
    let why = format!("{} has no role in this mesh", caller.id());
    Failure {
        advice: Some(format!("leno explain {}", Code::S016)),
        ..Failure::coded(Code::S016, why)
    }
}

/// Waits until `asker` may do something else than by `sight`.
fn until_changed(center: Arc<Center>, asker: Asker, sight: Sight) -> impl Future<Output = Failure> {
    let mut editions = center.editions.subscribe();
    async move {
        while Sight::of(&center, &asker) == sight {
            if editions.changed().await.is_err() {
                break;
            }
        }
        sleep(LAST_WORDS).await;
        Failure {
            advice: Some("ask again".to_owned()),
            ..Failure::coded(Code::S017, "what you may do has changed meanwhile")
        }
    }
}
