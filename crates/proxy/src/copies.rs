//! Copies of a request's body, made while it is read: for another try, and for mirrors. Each holds
//! as much as it may and no more, and none of them holds the request up.

use std::cell::{Cell, RefCell};
use std::mem;
use std::ops::Range;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// How much of one body is held for another try.
pub(crate) const MOST_REPLAYED: usize = 64 * 1024;

/// How much of one body is held that is read before the request goes on.
pub(crate) const MOST_AHEAD: usize = 256 * 1024;

/// By how much a mirror may lag behind: it has a connection of its own to open, while the body comes.
pub(crate) const MOST_LAG: usize = 1024 * 1024;

/// By how much it may lag behind before it gets a turn of its worker.
const TURN: usize = 16 * 1024;

/// How many reads of a body that is held before it goes on are made in one turn of its worker.
pub(crate) const MOST_AT_ONCE: u8 = 64;

/// How much a worker holds of all of them.
pub(crate) const MOST: usize = 16 * 1024 * 1024;

/// Who gets what is read of a body.
#[derive(Default)]
pub(crate) struct Copies {
    /// All that was read, as long as it is wanted and not too much.
    replay: Option<Held>,
    mirrors: Vec<Feed>,
    /// Whether mirrors that lag behind have had their turn since more was read.
    yielded: bool,
}

impl Copies {
    /// Holds what is read from here on, in `space`, so that it can be sent again.
    pub(crate) fn hold(&mut self, space: &Space) {
        self.replay = Some(Held::new(MOST_REPLAYED, space));
    }

    /// The same of a body that is read before the request goes on.
    pub(crate) fn hold_ahead(&mut self, space: &Space) {
        self.replay = Some(Held::new(MOST_AHEAD, space));
    }

    /// Holds it no longer.
    pub(crate) fn release(&mut self) {
        self.replay = None;
    }

    /// All that was read, if all of it is held.
    pub(crate) fn held(&self) -> Option<&[u8]> {
        self.replay.as_ref().map(|held| &*held.bytes)
    }

    /// Feeds a mirror, too.
    pub(crate) fn feed(&mut self, mirror: Feed) {
        self.mirrors.push(mirror);
    }

    /// Whether nobody wants what is read.
    pub(crate) fn are_unwanted(&self) -> bool {
        self.replay.is_none() && self.mirrors.is_empty()
    }

    /// Copies what was read.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if self.replay.as_mut().is_some_and(|held| !held.add(bytes)) {
            self.replay = None;
        }
        self.mirrors.retain(|mirror| mirror.give(bytes));
    }

    /// Ready when more may be read: a mirror that lags behind has one turn of its worker before that.
    pub(crate) fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let lags = |Feed(food): &Feed| food.held.borrow().bytes.len() >= TURN;
        if self.mirrors.iter().any(lags) && !mem::replace(&mut self.yielded, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.yielded = false;
        Poll::Ready(())
    }

    /// All of the body has been read.
    pub(crate) fn end(&mut self) {
        for mirror in mem::take(&mut self.mirrors) {
            mirror.0.finish(Last::End);
        }
    }
}

/// Ready as long as there are turns left, of which it takes one; then the worker has others to do first.
pub(crate) fn poll_left(context: &mut Context<'_>, turns: &mut Range<u8>) -> Poll<()> {
    if turns.next().is_some() {
        return Poll::Ready(());
    }
    context.waker().wake_by_ref();
    Poll::Pending
}

/// Room for what a worker holds of bodies.
#[derive(Clone, Default)]
pub(crate) struct Space(Rc<Cell<usize>>);

/// Bytes that are held, of at most so many.
struct Held {
    most: usize,
    bytes: Vec<u8>,
    space: Space,
}

impl Held {
    fn new(most: usize, space: &Space) -> Self {
        Self {
            most,
            bytes: Vec::new(),
            space: space.clone(),
        }
    }

    /// Adds to them; `false`, and nothing added, if that would be too much.
    fn add(&mut self, bytes: &[u8]) -> bool {
        let Space(taken) = &self.space;
        let each = self.bytes.len() + bytes.len();
        let all = taken.get() + bytes.len();
        if each > self.most || all > MOST {
            return false;
        }
        taken.set(all);
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// Gives away what is held.
    fn take(&mut self) -> Vec<u8> {
        let Space(taken) = &self.space;
        taken.set(taken.get() - self.bytes.len());
        mem::take(&mut self.bytes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.take();
    }
}

/// A body on its way to one mirror: the end that is fed. Dropped before the body's end, it cuts the
/// copy short.
pub(crate) struct Feed(Rc<Food>);

/// The end that the mirror eats from.
pub(crate) struct Eater(Rc<Food>);

struct Food {
    held: RefCell<Held>,
    last: Cell<Option<Last>>,
    waker: RefCell<Option<Waker>>,
}

/// Why no more comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Last {
    /// It was all.
    End,
    /// The mirror was too slow for it.
    Behind,
    /// The request itself was cut short.
    Cut,
}

/// A way for a body to one mirror.
pub(crate) fn feed(space: &Space) -> (Feed, Eater) {
    let food = Rc::new(Food {
        held: RefCell::new(Held::new(MOST_LAG, space)),
        last: Cell::new(None),
        waker: RefCell::default(),
    });
    (Feed(food.clone()), Eater(food))
}

impl Feed {
    /// Gives more; `false` if the mirror takes none, or cannot have any more.
    fn give(&self, bytes: &[u8]) -> bool {
        let Self(food) = self;
        let is_wanted = Rc::strong_count(food) > 1;
        if is_wanted && !food.held.borrow_mut().add(bytes) {
            food.finish(Last::Behind);
            return false;
        }
        food.wake();
        is_wanted
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.finish(Last::Cut);
    }
}

impl Eater {
    /// Fails when not all of the body will come; whoever waits for something else is woken, too.
    pub(crate) fn watch(&self, context: &mut Context<'_>) -> Result<(), Last> {
        let Self(food) = self;
        match food.last.get() {
            Some(last @ (Last::Behind | Last::Cut)) => Err(last),
            Some(Last::End) => Ok(()),
            None => {
                *food.waker.borrow_mut() = Some(context.waker().clone());
                Ok(())
            }
        }
    }

    /// What came since, or why no more comes.
    pub(crate) fn poll_more(&self, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, Last>> {
        self.watch(context)?;
        let Self(food) = self;
        let bytes = food.held.borrow_mut().take();
        match food.last.get() {
            _ if !bytes.is_empty() => Poll::Ready(Ok(bytes)),
            Some(last) => Poll::Ready(Err(last)),
            None => Poll::Pending,
        }
    }
}

impl Food {
    fn finish(&self, last: Last) {
        if self.last.get().is_none() {
            self.last.set(Some(last));
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eaten(eater: &Eater) -> Poll<Result<Vec<u8>, Last>> {
        eater.poll_more(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_is_read_is_held_until_it_is_too_much() {
        let space = Space::default();
        let mut copies = Copies::default();
        copies.take(b"not wanted");
        assert_eq!(copies.held(), None);
        copies.hold(&space);
        assert_eq!(copies.held(), Some(&b""[..]));
        copies.take(b"one ");
        copies.take(b"two");
        assert_eq!(copies.held(), Some(&b"one two"[..]));
        assert_eq!(space.0.get(), 7);
        copies.take(&[0; MOST_REPLAYED - 7]);
        assert_eq!(copies.held().map(<[u8]>::len), Some(MOST_REPLAYED));
        copies.take(b"!");
        assert_eq!(copies.held(), None);
        assert_eq!(space.0.get(), 0);
    }

    #[test]
    fn all_bodies_of_a_worker_share_one_space() {
        let space = Space::default();
        let full = [0; MOST_REPLAYED];
        let mut all = Vec::new();
        for _ in 0..MOST / MOST_REPLAYED {
            let mut copies = Copies::default();
            copies.hold(&space);
            copies.take(&full);
            assert!(copies.held().is_some());
            all.push(copies);
        }
        let mut late = Copies::default();
        late.hold(&space);
        late.take(b"!");
        assert_eq!(late.held(), None);
        all.pop();
        late.hold(&space);
        late.take(b"!");
        assert!(late.held().is_some());
    }

    #[test]
    fn a_mirror_eats_what_it_is_fed_to_the_end() {
        let space = Space::default();
        let (feed, eater) = feed(&space);
        let mut copies = Copies::default();
        copies.feed(feed);
        assert_eq!(eaten(&eater), Poll::Pending);
        copies.take(b"one ");
        copies.take(b"two");
        assert_eq!(eaten(&eater), Poll::Ready(Ok(b"one two".to_vec())));
        assert_eq!(eaten(&eater), Poll::Pending);
        copies.take(b" three");
        copies.end();
        drop(copies);
        assert_eq!(eaten(&eater), Poll::Ready(Ok(b" three".to_vec())));
        assert_eq!(eaten(&eater), Poll::Ready(Err(Last::End)));
        assert_eq!(space.0.get(), 0);
    }

    #[test]
    fn a_mirror_that_lags_behind_or_is_cut_gets_no_more() {
        let space = Space::default();
        let mut copies = Copies::default();
        let (slow, slow_eater) = feed(&space);
        let (quick, quick_eater) = feed(&space);
        let (gone, _) = feed(&space);
        for mirror in [slow, quick, gone] {
            copies.feed(mirror);
        }
        copies.take(&vec![0; MOST_LAG]);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(copies.poll_turn(&mut context), Poll::Pending);
        assert_eq!(copies.poll_turn(&mut context), Poll::Ready(()));
        assert!(eaten(&quick_eater).is_ready());
        copies.take(b"!");
        // It hears of that also while it waits for its connection to take more.
        assert_eq!(slow_eater.watch(&mut context), Err(Last::Behind));
        assert_eq!(eaten(&slow_eater), Poll::Ready(Err(Last::Behind)));
        assert_eq!(eaten(&quick_eater), Poll::Ready(Ok(b"!".to_vec())));
        assert_eq!(copies.mirrors.len(), 1);
        assert_eq!(copies.poll_turn(&mut context), Poll::Ready(()));
        drop(copies);
        assert_eq!(eaten(&quick_eater), Poll::Ready(Err(Last::Cut)));
    }
}
