//! A pipe between two sockets: what goes through it stays in the kernel (`splice(2)`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::retry_on_intr;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// A pipe, and how much is in it. Nothing here waits.
#[derive(Debug)]
pub struct Pipe {
    entry: OwnedFd,
    exit: OwnedFd,
    held: usize,
}

impl Pipe {
    /// How much it has room for, unless this user has so many pipes that the kernel makes it smaller.
    pub const ROOM: usize = 1 << 20;

    /// An empty one. Takes two files.
    pub fn new() -> io::Result<Self> {
        let (exit, entry) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A smaller one moves less at a time.
        fcntl_setpipe_size(&entry, Self::ROOM).ok();
        Ok(Self {
            entry,
            exit,
            held: 0,
        })
    }

    /// How many bytes are in it.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Moves at most `most` bytes that have come at the socket `from` into it, and says how many; 0
    /// is the end of the stream. [`io::ErrorKind::WouldBlock`]: nothing has come, or the pipe is full.
    pub fn fill(&mut self, from: impl AsFd, most: usize) -> io::Result<usize> {
        let moved = move_bytes(from, &self.entry, most.min(Self::ROOM))?;
        self.held += moved;
        Ok(moved)
    }

    /// Moves bytes out of it into the socket `to`, and says how many.
    /// [`io::ErrorKind::WouldBlock`]: the socket takes none.
    pub fn drain(&mut self, to: impl AsFd) -> io::Result<usize> {
        let moved = move_bytes(&self.exit, to, self.held)?;
        self.held -= moved;
        Ok(moved)
    }
}

fn move_bytes(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    let moved = retry_on_intr(|| splice(&from, None, &to, None, most, flags))?;
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    /// The two ends of a connection; the second one does not wait.
    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (other, _) = listener.accept().unwrap();
        other.set_nonblocking(true).unwrap();
        (one, other)
    }

    #[test]
    fn bytes_go_from_socket_to_socket_and_are_counted() {
        let ((mut client, from), (mut server, to)) = (connection(), connection());
        let mut pipe = Pipe::new().unwrap();
        let nothing = pipe.fill(&from, 10).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        client.write_all(b"hello, world").unwrap();
        // What was written on loopback has come.
        assert_eq!(pipe.fill(&from, 5).unwrap(), 5);
        assert_eq!(pipe.fill(&from, usize::MAX).unwrap(), 7);
        assert_eq!(pipe.held(), 12);
        assert_eq!(pipe.drain(&to).unwrap(), 12);
        assert_eq!(pipe.held(), 0);
        let mut word = [0; 12];
        server.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"hello, world");
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(pipe.fill(&from, 10).unwrap(), 0);
    }
}
