//! What a server remembers of earlier handshakes, so that they can be resumed: few, each once, and
//! for less than half of its certificate's life.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use leno_model::Wall;
use rustls::server::StoresServerSessions;

use crate::clock::Clock;

/// The most sessions that one identity remembers; one takes about 2 kB.
const MOST: usize = 256;

/// The sessions of one credential. They end with it: a renewed one begins with none.
pub(crate) struct Sessions {
    clock: Clock,
    /// When the server's certificate ends.
    ends: Wall,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<Vec<u8>, Session>,
    /// Keys by age. One that was taken stays here until its turn comes.
    order: VecDeque<Vec<u8>>,
}

struct Session {
    until: Wall,
    secret: Vec<u8>,
}

impl Sessions {
    pub(crate) fn new(clock: Clock, ends: Wall) -> Self {
        Self {
            clock,
            ends,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoresServerSessions for Sessions {
    /// A session lasts for half of what is left of the certificate: a client that resumes brings
    /// the old certificate back, and it must still be valid then.
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let now = self.clock.now();
        let session = Session {
            until: now + self.ends.since(now) / 2,
            secret: value,
        };
        let mut kept = self.kept();
        if kept.order.len() >= MOST
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.by_key.remove(&oldest);
        }
        kept.order.push_back(key.clone());
        kept.by_key.insert(key, session);
        true
    }

    /// Only TLS 1.2 asks this way.
    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let session = self.kept().by_key.remove(key)?;
        (self.clock.now() < session.until).then_some(session.secret)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// Sessions are secrets: only their number is shown.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({})", self.kept().by_key.len())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    use super::*;

    fn at(second: u64) -> Wall {
        Wall::since_epoch(Duration::from_secs(second))
    }

    /// Sessions of a certificate that ends at second 100, and the clock's hand.
    fn sessions() -> (Sessions, Arc<AtomicU64>) {
        let hand = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&hand);
        let clock = Clock::new(move || at(read.load(Ordering::Relaxed)));
        (Sessions::new(clock, at(100)), hand)
    }

    #[test]
    fn a_session_is_given_out_once() {
        let (sessions, _) = sessions();
        assert!(sessions.put(b"key".to_vec(), b"secret".to_vec()));
        assert_eq!(sessions.take(b"key"), Some(b"secret".to_vec()));
        assert_eq!(sessions.take(b"key"), None);
    }

    #[test]
    fn a_session_lasts_for_half_of_what_is_left() {
        for (put, last) in [(0, 49), (50, 74), (98, 98)] {
            let (sessions, hand) = sessions();
            for (moment, kept) in [(last, true), (last + 1, false)] {
                hand.store(put, Ordering::Relaxed);
                sessions.put(b"key".to_vec(), Vec::new());
                hand.store(moment, Ordering::Relaxed);
                assert_eq!(sessions.take(b"key").is_some(), kept, "{put} {moment}");
            }
        }
    }

    #[test]
    fn the_oldest_gives_way_and_nothing_grows() {
        let (sessions, _) = sessions();
        let key = |number: usize| number.to_be_bytes().to_vec();
        for number in 0..10 * MOST {
            sessions.put(key(number), Vec::new());
        }
        let kept = (0..10 * MOST).filter(|number| sessions.take(&key(*number)).is_some());
        assert!(kept.eq(9 * MOST..10 * MOST));
        for number in 0..10 * MOST {
            sessions.put(key(number), Vec::new());
            sessions.take(&key(number));
        }
        assert_eq!(sessions.kept().order.len(), MOST);
    }
}
