//! Buffers that are lent while there is something in them, so that an idle connection holds none.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;

use crate::pipes::Pipes;
use crate::room::Room;

/// How much a lent buffer has room for before it must grow: a head, one round of a body, or what one
/// TLS record holds.
pub(crate) const ROOM: usize = 16 * 1024;

/// How much room there is at least for what is read.
pub(crate) const LEAST_ROOM: usize = 4 * 1024;

/// How many idle buffers a worker keeps.
const KEPT: usize = 256;

/// A worker's idle buffers, and its pipes for what needs none.
#[derive(Clone)]
pub(crate) struct Buffers {
    idle: Rc<RefCell<Vec<Vec<u8>>>>,
    pub(crate) pipes: Pipes,
}

impl Buffers {
    /// None so far; there is place for pipes in `room`.
    pub(crate) fn new(room: Arc<Room>) -> Self {
        Self {
            idle: Rc::default(),
            pipes: Pipes::new(room),
        }
    }

    /// Lends an empty buffer.
    pub(crate) fn lend(&self) -> Buffer {
        let bytes = self.idle.borrow_mut().pop();
        Buffer {
            bytes: bytes.unwrap_or_else(|| Vec::with_capacity(ROOM)),
            home: self.clone(),
        }
    }

    fn take_back(&self, mut bytes: Vec<u8>) {
        let mut kept = self.idle.borrow_mut();
        if bytes.capacity() <= 4 * ROOM && kept.len() < KEPT {
            bytes.clear();
            kept.push(bytes);
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

    #[test]
    fn a_buffer_goes_home_empty_and_is_lent_again() {
        let buffers = Buffers::new(Room::new(0));
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
        let buffers = Buffers::new(Room::new(0));
        let mut buffer = buffers.lend();
        buffer.resize(5 * ROOM, 0);
        drop(buffer);
        assert_eq!(buffers.idle.borrow().len(), 0);
    }

    #[test]
    fn consuming_keeps_the_rest() {
        let mut buffer = Buffers::new(Room::new(0)).lend();
        buffer.extend_from_slice(b"abc");
        buffer.consume(2);
        assert_eq!(&**buffer, b"c");
        buffer.consume(9);
        assert!(buffer.is_empty());
    }
}
