//! The keeper's end of a supply of sockets that reach into the enclosure.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use super::{Family, Walls, interior};
use crate::link::Link;

pub(super) struct Supply {
    family: Family,
    walls: Walls,
    link: Link,
    rests: bool,
}

impl Supply {
    /// A supply, and the end to take from.
    pub(super) fn open(family: Family, walls: Walls) -> io::Result<(Self, Link)> {
        let (link, taking) = Link::pair()?;
        socket2::SockRef::from(&link).set_send_buffer_size(STOCK)?;
        let supply = Self {
            family,
            walls,
            link,
            rests: false,
        };
        Ok((supply, taking))
    }

    /// Adds sockets until the stock is full. Where the system has none to give, the supply rests.
    pub(super) fn fill(&mut self) {
        while !self.rests {
            match self.add() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.rests = true,
            }
        }
    }

    fn add(&self) -> io::Result<()> {
        let socket = interior::reaching_in(self.family, self.walls)?;
        self.link.send(&WRAPPING, &[socket.as_fd()])
    }

    /// Tries again from here on.
    pub(super) fn wake(&mut self) {
        self.rests = false;
    }

    pub(super) fn rests(&self) -> bool {
        self.rests
    }
}

impl AsFd for Supply {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

/// What a socket is sent with: a message may not be empty.
const WRAPPING: [u8; 1] = [0];

/// The send buffer, in bytes. The kernel doubles it, and takes about 768 for a message with a
/// socket: some twenty fit, and the supply becomes writable again when a quarter is left.
const STOCK: usize = 8 * 1024;
