//! A Unix socket whose callers the kernel names. A bounded number of them is served at once, of one user
//! less than of all.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leno_host::{Peer, Reach, SocketFile};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How many callers are served at once, and how many of one user.
const MOST_CALLERS: usize = 1024;
const MOST_OF_ONE_USER: usize = 256;

/// How long accepting rests when no file descriptor is left.
const REST: Duration = Duration::from_millis(50);

/// A socket that everybody may open who may enter its folder.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    _file: SocketFile,
}

impl Door {
    /// Listens at `path`. A socket that nobody listens on any more is replaced; anything else there is
    /// left alone.
    pub fn open(path: &Path) -> io::Result<Self> {
        if SocketFile::is_taken(path)? {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Self::open_instead(path)
    }

    /// The same, in the place of whoever listens at `path`.
    pub fn open_instead(path: &Path) -> io::Result<Self> {
        let bind = |path: &Path| UnixListener::bind(path);
        let (listener, file) = SocketFile::put(path, Reach::Everybody, bind)?;
        Ok(Self {
            listener,
            _file: file,
        })
    }

    /// Hands each connection to `serve`, with who made it, for as long as it is polled. Who comes when
    /// there is no room is hung up on.
    pub async fn run<F>(self, serve: impl Fn(UnixStream, Peer) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let seats = Arc::new(Seats::default());
        let mut callers = JoinSet::new();
        loop {
            while callers.try_join_next().is_some() {}
            let Ok((stream, _)) = self.listener.accept().await else {
                sleep(REST).await;
                continue;
            };
            let Ok(peer) = Peer::of(&stream) else {
                continue;
            };
            if let Some(seat) = Seat::take(&seats, peer.user()) {
                let served = serve(stream, peer);
                callers.spawn(async move {
                    let _seat = seat;
                    served.await;
                });
            }
        }
    }
}

/// How many callers of each user there are.
#[derive(Debug, Default)]
struct Seats(Mutex<BTreeMap<u32, usize>>);

/// One caller's place, for as long as it is held.
#[derive(Debug)]
struct Seat {
    seats: Arc<Seats>,
    user: u32,
}

impl Seat {
    fn take(seats: &Arc<Seats>, user: u32) -> Option<Self> {
        let mut taken = seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.entry(user).or_default();
        if all >= MOST_CALLERS || *own >= MOST_OF_ONE_USER {
            return None;
        }
        *own += 1;
        Some(Self {
            seats: Arc::clone(seats),
            user,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_does_not_take_the_places_of_others() {
        let seats = Arc::new(Seats::default());
        let held: Vec<_> = (0..MOST_OF_ONE_USER)
            .map(|_| Seat::take(&seats, 1001).unwrap())
            .collect();
        assert!(Seat::take(&seats, 1001).is_none());
        assert!(Seat::take(&seats, 1002).is_some());
        drop(held);
        assert!(Seat::take(&seats, 1001).is_some());
        assert!(seats.0.lock().unwrap().is_empty());
    }
}
