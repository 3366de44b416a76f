//! Connections of HTTP/2 that many streams share, by what they are to: one carries only that for which
//! it was opened.

use std::cell::{Cell, RefCell};
use std::hash::Hash;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use hashbrown::{Equivalent, HashMap};
use leno_model::Mono;
use rustc_hash::FxBuildHasher;
use tokio::sync::Mutex;

use crate::settings::Settings;
use crate::worker::Worker;

/// A connection that streams share. A clone is the same.
pub(crate) trait Shared: Clone {
    /// Whether it carries so few streams that there may be another one.
    fn has_room(&self) -> bool;

    /// The same for another stream, if its other end takes any.
    fn lend(&self, now: Mono) -> Option<Self>;

    /// Whether it carries nothing, as its other end lets it carry nothing.
    fn is_barred(&self) -> bool;

    /// Whether it may be of use for later streams.
    fn is_wanted(&self, now: Mono) -> bool;
}

/// A worker's connections, by what they are to.
pub(crate) struct Groups<K, C>(RefCell<HashMap<K, Rc<Group<C>>, FxBuildHasher>>);

/// Those that are to the same.
pub(crate) struct Group<C> {
    open: RefCell<Vec<C>>,
    /// Held while a connection is opened, so that those who come meanwhile wait for it.
    opening: Mutex<()>,
}

impl<K, C> Default for Groups<K, C> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<C> Default for Group<C> {
    fn default() -> Self {
        Self {
            open: RefCell::default(),
            opening: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash, C: Shared> Groups<K, C> {
    /// A connection that is open and has room for another stream.
    pub(crate) fn open_to<Q>(&self, key: &Q, now: Mono) -> Option<C>
    where
        Q: Equivalent<K> + Hash + ?Sized,
    {
        self.0.borrow().get(key)?.with_room(now)
    }

    /// Those that are to `key`, which `keep` makes one to hold.
    pub(crate) fn group<Q>(&self, key: &Q, keep: impl FnOnce(&Q) -> K) -> Rc<Group<C>>
    where
        Q: Equivalent<K> + Hash + ?Sized,
    {
        let mut groups = self.0.borrow_mut();
        if let Some(group) = groups.get(key) {
            return group.clone();
        }
        groups.entry(keep(key)).or_default().clone()
    }

    /// Closes those that had no stream for long, and forgets those that have ended.
    pub(crate) fn sweep(&self, now: Mono) {
        self.0.borrow_mut().retain(|_, group| {
            let mut open = group.open.borrow_mut();
            open.retain(|connection| connection.is_wanted(now));
            !open.is_empty() || Rc::strong_count(group) > 1
        });
    }

    /// Uses only those for further streams that are to what `keep` says.
    pub(crate) fn retain(&self, keep: impl Fn(&K) -> bool) {
        self.0.borrow_mut().retain(|key, _| keep(key));
    }
}

impl<C: Shared> Group<C> {
    /// A connection with room for another stream, opened by `open` if there is none.
    pub(crate) async fn connection<E>(
        &self,
        worker: &Worker,
        open: impl Future<Output = Result<C, E>>,
    ) -> Result<C, E> {
        if let Some(open) = self.with_room(worker.mono()) {
            return Ok(open);
        }
        let _alone = self.opening.lock().await;
        if let Some(open) = self.with_room(worker.mono()) {
            return Ok(open);
        }
        let connection = open.await?;
        self.open.borrow_mut().push(connection.clone());
        Ok(connection)
    }

    /// The first with room: fuller connections are fewer, and send more at once. Those on which none is to be
    /// expected are closed: another one is opened for each that is kept.
    fn with_room(&self, now: Mono) -> Option<C> {
        let mut open = self.open.borrow_mut();
        let mut place = 0;
        while let Some(connection) = open.get(place) {
            if !connection.has_room() {
                match connection.is_barred() {
                    true => drop(open.remove(place)),
                    false => place += 1,
                }
                continue;
            }
            let lent = connection.lend(now);
            if lent.is_some() {
                return lent;
            }
            open.remove(place);
        }
        None
    }
}

/// A stream that was opened: the answer that is to come, and the way of the body.
pub(crate) type Opened = (ResponseFuture, SendStream<Bytes>);

/// What opens the streams of one connection, and counts them.
#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) requests: SendRequest<Bytes>,
    /// One count for each stream, and one for the list.
    pub(crate) counted: Rc<()>,
    pub(crate) settings: Settings,
    /// When it last was seen with a stream.
    used: Rc<Cell<Mono>>,
}

impl Streams {
    /// None so far.
    pub(crate) fn new(requests: SendRequest<Bytes>, settings: Settings, now: Mono) -> Self {
        Self {
            requests,
            counted: Rc::default(),
            settings,
            used: Rc::new(Cell::new(now)),
        }
    }

    /// Whether there are fewer than `most`.
    pub(crate) fn are_fewer_than(&self, most: usize) -> bool {
        Rc::strong_count(&self.counted) <= most
    }

    /// The same for another one, if the other end takes any.
    pub(crate) fn lend(&self) -> Option<Self> {
        let mut lent = self.clone();
        takes_streams(&mut lent.requests).then_some(lent)
    }

    /// Whether there was one within the last `idle`, and the other end takes further ones.
    pub(crate) fn are_wanted(&self, now: Mono, idle: Duration) -> bool {
        if Rc::strong_count(&self.counted) > 1 {
            self.used.set(now);
        }
        now.since(self.used.get()) < idle && self.lend().is_some()
    }
}

/// Whether the other end takes further streams, now or later.
pub(crate) fn takes_streams(requests: &mut SendRequest<Bytes>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    !matches!(requests.poll_ready(&mut context), Poll::Ready(Err(_)))
}
