//! Buffers that are lent while there is something in them, so that an idle connection holds none.

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::pipes::Pipes;
use crate::room::Places;

/// How much a lent buffer has room for before it must grow: a head, one round of a body, or what one
/// TLS record holds.
pub(crate) const ROOM: usize = 16 * 1024;

/// How much room there is at least for what is read.
pub(crate) const LEAST_ROOM: usize = 4 * 1024;

/// How many idle buffers a worker keeps.
const KEPT: usize = 256;

/// A worker's buffers, and its pipes for what needs none. A clone is the same.
#[derive(Clone)]
pub(crate) struct Buffers {
    stock: Rc<Stock>,
    pub(crate) pipes: Pipes,
}

struct Stock {
    idle: RefCell<Vec<Vec<u8>>>,
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
        let Stock { idle, lent, .. } = &*self.stock;
        lent.set(lent.get() + 1);
        Buffer {
            bytes: idle
                .borrow_mut()
                .pop()
                .unwrap_or_else(|| Vec::with_capacity(ROOM)),
            home: self.clone(),
        }
    }

    /// Lends an empty buffer for more to be read, once one may be lent.
    pub(crate) fn poll_lend(&self, context: &Context<'_>, waits: &mut Waits) -> Poll<Buffer> {
        if !self.are_spent() {
            waits.0 = None;
            return Poll::Ready(self.lend());
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

    /// How often reading had to stop since this was asked last.
    pub(crate) fn take_stopped(&self) -> u64 {
        self.stock.stopped.take()
    }

    fn take_back(&self, mut bytes: Vec<u8>) {
        let stock = &*self.stock;
        stock.lent.set(stock.lent.get() - 1);
        let mut kept = stock.idle.borrow_mut();
        if bytes.capacity() <= 4 * ROOM && kept.len() < KEPT {
            bytes.clear();
            kept.push(bytes);
        }
        let mut waiting = stock.waiting.borrow_mut();
        if !waiting.is_empty() && !self.are_spent() {
            stock.turn.set(stock.turn.get() + 1);
            waiting.drain(..).for_each(Waker::wake);
        }
    }
}

/// A lent buffer. It goes home when it is dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Buffers,
}

impl Buffer {
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
        self.home.take_back(std::mem::take(&mut self.bytes));
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
    fn a_buffer_that_grew_large_is_not_kept() {
        let buffers = Buffers::new(usize::MAX, places(0));
        let mut buffer = buffers.lend();
        buffer.resize(5 * ROOM, 0);
        drop(buffer);
        assert_eq!(buffers.stock.idle.borrow().len(), 0);
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
