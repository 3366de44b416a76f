//! Buffers that are lent while there is something in them, so that an idle connection holds none.

use std::cell::{Cell, RefCell};
use std::mem;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::pipes::Pipes;
use crate::room::Places;

/// How much a lent buffer has room for before it must grow: a head, one round of a body, or what one
/// TLS record holds.
pub(crate) const ROOM: usize = 16 * 1024;

/// How much a large one has room for: what four TLS records take on the wire.
const LARGE_ROOM: usize = 4 * (ROOM + 32);

/// How much room there is at least for what is read.
pub(crate) const LEAST_ROOM: usize = 4 * 1024;

/// How many idle buffers a worker keeps, and how many large ones.
const KEPT: usize = 256;
const KEPT_LARGE: usize = 16;

/// A worker's buffers, and its pipes for what needs none. A clone is the same.
#[derive(Clone)]
pub(crate) struct Buffers {
    stock: Rc<Stock>,
    pub(crate) pipes: Pipes,
}

struct Stock {
    idle: RefCell<Vec<Vec<u8>>>,
    idle_large: RefCell<Vec<Vec<u8>>>,
    /// How many are lent; a large one counts for four.
    lent: Cell<usize>,
    /// How many may be lent before reading stops.
    most: usize,
    /// Who waits until one comes home.
    waiting: RefCell<Vec<Waker>>,
    /// How often those who wait were woken.
    turn: Cell<u64>,
    /// How often somebody had to wait.
    stopped: Cell<u64>,
}

/// Since which turn somebody waits for a buffer, who is woken once in each.
#[derive(Default)]
pub(crate) struct Waits(Option<u64>);

impl Buffers {
    /// None so far; when as many are lent as fit into `bytes`, reading stops. Pipes take of `places`.
    pub(crate) fn new(bytes: usize, places: Rc<Places>) -> Self {
        Self {
            stock: Rc::new(Stock {
                idle: RefCell::default(),
                idle_large: RefCell::default(),
                lent: Cell::default(),
                most: bytes / ROOM,
                waiting: RefCell::default(),
                turn: Cell::default(),
                stopped: Cell::default(),
            }),
            pipes: Pipes::new(places),
        }
    }

    /// Lends an empty buffer, for what cannot wait: an answer, the rest of what has begun.
    pub(crate) fn lend(&self) -> Buffer {
        self.lend_as(Size::Usual)
    }

    /// The same, of this size.
    pub(crate) fn lend_as(&self, size: Size) -> Buffer {
        let stock = &*self.stock;
        stock.lent.set(stock.lent.get() + size.counts());
        let (idle, room) = match size {
            Size::Usual => (&stock.idle, ROOM),
            Size::Large => (&stock.idle_large, LARGE_ROOM),
        };
        let idle = idle.borrow_mut().pop();
        Buffer {
            bytes: idle.unwrap_or_else(|| Vec::with_capacity(room)),
            size,
            home: self.clone(),
        }
    }

    /// Lends an empty buffer for more to be read, once one may be lent.
    pub(crate) fn poll_lend(&self, context: &Context<'_>, waits: &mut Waits) -> Poll<Buffer> {
        self.poll_lend_as(context, waits, Size::Usual)
    }

    /// The same, of this size.
    pub(crate) fn poll_lend_as(
        &self,
        context: &Context<'_>,
        waits: &mut Waits,
        size: Size,
    ) -> Poll<Buffer> {
        if !self.are_spent() {
            waits.0 = None;
            return Poll::Ready(self.lend_as(size));
        }
        let Stock {
            waiting,
            turn,
            stopped,
            ..
        } = &*self.stock;
        if waits.0.replace(turn.get()) != Some(turn.get()) {
            stopped.set(stopped.get() + 1);
            waiting.borrow_mut().push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Whether as many are lent as may be.
    pub(crate) fn are_spent(&self) -> bool {
        self.stock.lent.get() >= self.stock.most
    }

    /// Counts bytes that are held elsewhere with those in buffers.
    pub(crate) fn hold(&self, bytes: usize) -> Held {
        let count = bytes.div_ceil(ROOM);
        let lent = &self.stock.lent;
        lent.set(lent.get() + count);
        Held {
            count,
            home: self.clone(),
        }
    }

    /// How often reading had to stop since this was asked last.
    pub(crate) fn take_stopped(&self) -> u64 {
        self.stock.stopped.take()
    }

    fn take_back(&self, mut bytes: Vec<u8>, size: Size) {
        let stock = &*self.stock;
        let kept = match bytes.capacity() {
            ROOM..LARGE_ROOM => Some((&stock.idle, KEPT)),
            LARGE_ROOM => Some((&stock.idle_large, KEPT_LARGE)),
            // It was given away, or has grown.
            _ => None,
        };
        if let Some((kept, most)) = kept
            && kept.borrow().len() < most
        {
            bytes.clear();
            kept.borrow_mut().push(bytes);
        }
        self.give_back(size.counts());
    }

    fn give_back(&self, count: usize) {
        let stock = &*self.stock;
        stock.lent.set(stock.lent.get() - count);
        let mut waiting = stock.waiting.borrow_mut();
        if !waiting.is_empty() && !self.are_spent() {
            stock.turn.set(stock.turn.get() + 1);
            waiting.drain(..).for_each(Waker::wake);
        }
    }
}

/// How much a lent buffer has room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Size {
    /// As much as anything needs that is not known to be long.
    Usual,
    /// Several times as much: each read and write of a long stream costs what a short one does.
    Large,
}

impl Size {
    /// For how many it counts.
    fn counts(self) -> usize {
        match self {
            Self::Usual => 1,
            Self::Large => 4,
        }
    }
}

/// A lent buffer. It goes home when it is dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    size: Size,
    home: Buffers,
}

impl Buffer {
    /// Gives away what is in it, with the room that it has.
    pub(crate) fn into_bytes(mut self) -> Bytes {
        mem::take(&mut self.bytes).into()
    }

    /// Forgets the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        if count >= self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.drain(..count);
        }
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.take_back(mem::take(&mut self.bytes), self.size);
    }
}

/// Bytes that are held elsewhere, counted until this is dropped.
pub(crate) struct Held {
    /// As how many buffers they count.
    count: usize,
    home: Buffers,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.home.give_back(self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::tests::places;

    #[test]
    fn whoever_reads_waits_while_all_is_lent_and_is_woken_once_a_turn() {
        let buffers = Buffers::new(2 * ROOM, places(0));
        let context = Context::from_waker(Waker::noop());
        let [mut one, mut other] = [Waits::default(), Waits::default()];
        let lend = |waits: &mut Waits| buffers.poll_lend(&context, waits);
        let first = lend(&mut one);
        let answer = buffers.lend();
        assert!(first.is_ready() && buffers.are_spent());
        for _ in 0..9 {
            assert!(lend(&mut one).is_pending() && lend(&mut other).is_pending());
        }
        assert_eq!(buffers.stock.waiting.borrow().len(), 2);
        assert_eq!(buffers.take_stopped(), 2);
        // What cannot wait gets one all the same.
        let more = buffers.lend();
        drop(answer);
        assert!(buffers.are_spent());
        assert_eq!(buffers.stock.waiting.borrow().len(), 2);
        drop(more);
        assert_eq!(buffers.stock.waiting.borrow().len(), 0);
        let second = lend(&mut other);
        assert!(second.is_ready() && lend(&mut one).is_pending());
        assert_eq!(buffers.take_stopped(), 1);
    }

    #[test]
    fn a_buffer_goes_home_empty_and_is_lent_again() {
        let buffers = Buffers::new(usize::MAX, places(0));
        let mut buffer = buffers.lend();
        buffer.extend_from_slice(b"GET / HTTP/1.1");
        let place = buffer.as_ptr();
        drop(buffer);
        let again = buffers.lend();
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), place);
    }

    #[test]
    fn what_is_held_elsewhere_counts_as_if_it_were_lent() {
        let buffers = Buffers::new(4 * ROOM, places(0));
        let context = Context::from_waker(Waker::noop());
        let held = buffers.hold(3 * ROOM + 1);
        let mut waits = Waits::default();
        assert!(buffers.poll_lend(&context, &mut waits).is_pending());
        drop(held);
        assert_eq!(buffers.stock.waiting.borrow().len(), 0);
        assert!(buffers.poll_lend(&context, &mut waits).is_ready());
    }

    #[test]
    fn each_size_is_kept_by_itself_and_what_grew_beyond_it_or_was_given_away_is_not() {
        let buffers = Buffers::new(usize::MAX, places(0));
        let kept = || {
            let Stock {
                idle, idle_large, ..
            } = &*buffers.stock;
            (idle.borrow().len(), idle_large.borrow().len())
        };
        let mut buffer = buffers.lend();
        buffer.resize(5 * ROOM, 0);
        drop(buffer);
        let mut large = buffers.lend_as(Size::Large);
        large.push(0);
        let place = large.as_ptr();
        let given = large.into_bytes();
        assert_eq!((kept(), given.as_ptr()), ((0, 0), place));
        let both = [Size::Usual, Size::Large].map(|size| buffers.lend_as(size));
        assert_eq!(buffers.stock.lent.get(), 5);
        drop(both);
        assert_eq!((kept(), buffers.stock.lent.get()), ((1, 1), 0));
        let large = buffers.lend_as(Size::Large);
        assert_eq!((kept(), large.capacity()), ((1, 0), LARGE_ROOM));
    }

    #[test]
    fn consuming_keeps_the_rest() {
        let mut buffer = Buffers::new(usize::MAX, places(0)).lend();
        buffer.extend_from_slice(b"abc");
        buffer.consume(2);
        assert_eq!(&**buffer, b"c");
        buffer.consume(9);
        assert!(buffer.is_empty());
    }
}
