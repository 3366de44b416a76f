//! Pipes that are lent while there is something in them, so that large streams between two sockets
//! pass through the kernel only; and which streams those are.

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use leno_host::Pipe;

use crate::room::{Places, Seat};

/// How many pipes of a worker may be lent, each with up to [`Pipe::ROOM`] bytes. One is lent for longer
/// than a moment only where a reader is slower than its writer, and where none is left, bytes are
/// copied.
const MOST: usize = 64;

/// How many idle pipes a worker keeps.
const KEPT: usize = 16;

/// A worker's pipes. Each takes the place of one connection: it needs two files as well.
#[derive(Clone)]
pub(crate) struct Pipes(Rc<Inner>);

struct Inner {
    places: Rc<Places>,
    idle: RefCell<Vec<Seated>>,
    lent: Cell<usize>,
}

struct Seated {
    pipe: Pipe,
    #[expect(dead_code, reason = "it is held")]
    seat: Seat,
}

impl Pipes {
    /// None so far; they take of `places`.
    pub(crate) fn new(places: Rc<Places>) -> Self {
        Self(Rc::new(Inner {
            places,
            idle: RefCell::default(),
            lent: Cell::default(),
        }))
    }

    /// Lends an empty pipe, if there is one left or one can be made.
    pub(crate) fn lend(&self) -> Option<Lent> {
        let Self(inner) = self;
        if inner.lent.get() >= MOST {
            return None;
        }
        let idle = inner.idle.borrow_mut().pop();
        let seated = idle.or_else(|| {
            let seat = inner.places.take(0)?;
            let pipe = Pipe::new().ok()?;
            Some(Seated { pipe, seat })
        })?;
        inner.lent.set(inner.lent.get() + 1);
        Some(Lent {
            seated: Some(seated),
            home: self.clone(),
        })
    }

    /// Closes those that are idle.
    pub(crate) fn sweep(&self) {
        self.0.idle.borrow_mut().clear();
    }
}

/// A lent pipe. It goes home when it is dropped empty, else it is closed with what is in it.
pub(crate) struct Lent {
    seated: Option<Seated>,
    home: Pipes,
}

const LENT: &str = "it is there until it is dropped";

impl Deref for Lent {
    type Target = Pipe;

    fn deref(&self) -> &Pipe {
        &self.seated.as_ref().expect(LENT).pipe
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Pipe {
        &mut self.seated.as_mut().expect(LENT).pipe
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Pipes(home) = &self.home;
        home.lent.set(home.lent.get() - 1);
        let mut idle = home.idle.borrow_mut();
        if let Some(seated) = self.seated.take()
            && seated.pipe.held() == 0
            && idle.len() < KEPT
        {
            idle.push(seated);
        }
    }
}

/// How much one direction moves at a time.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Stride {
    bytes: usize,
    steps: usize,
    is_long: bool,
}

impl Stride {
    /// After how many bytes it is looked at again.
    const WINDOW: usize = 256 * 1024;

    /// From how many bytes at a time on a pipe costs less than a buffer.
    pub(crate) const LONG: usize = 8 * 1024;

    /// Notes that so many bytes were moved at once.
    pub(crate) fn step(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.steps += 1;
        if self.bytes >= Self::WINDOW {
            let is_long = self.bytes / self.steps >= Self::LONG;
            *self = Self {
                is_long,
                ..Self::default()
            };
        }
    }

    /// Whether it moved much at a time of late.
    pub(crate) fn is_long(self) -> bool {
        self.is_long
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::tests::places;

    #[test]
    fn pipes_are_lent_again_and_bounded() {
        let pipes = Pipes::new(places(MOST + 1));
        let all = || std::iter::from_fn(|| pipes.lend()).collect::<Vec<_>>();
        let idle = || pipes.0.idle.borrow().len();
        let lent = all();
        assert_eq!(lent.len(), MOST);
        drop(lent);
        assert_eq!(idle(), KEPT);
        drop(pipes.lend().unwrap());
        assert_eq!(idle(), KEPT);
        pipes.sweep();
        assert_eq!(idle(), 0);
        assert_eq!(all().len(), MOST);
    }

    #[test]
    fn a_pipe_takes_the_place_of_a_connection() {
        let places = places(2);
        let pipes = Pipes::new(places.clone());
        let connection = places.take(0);
        let pipe = pipes.lend();
        assert!(pipe.is_some() && pipes.lend().is_none());
        drop((connection, pipe));
        assert!(places.take(0).is_some_and(|_| pipes.lend().is_some()));
    }

    #[test]
    fn who_moves_much_at_a_time_has_a_long_stride() {
        let mut stride = Stride::default();
        let mut after = |times, bytes| {
            for _ in 0..times {
                stride.step(bytes);
            }
            stride.is_long()
        };
        assert!(!after(15, 16 * 1024));
        assert!(after(1, 16 * 1024));
        // It talks in small pieces from here on, which is known a window later.
        assert!(after(255, 1024));
        assert!(!after(1, 1024));
        assert!(!after(1000, 100));
        assert!(after(60, 64 * 1024));
    }
}
