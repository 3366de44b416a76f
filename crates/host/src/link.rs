//! Sockets that carry whole messages and file descriptors between two processes: a pair that both were
//! given, or one end that connected to the other.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

use rustix::{
    cmsg_space,
    event::{PollFd, PollFlags, Timespec},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
        SocketType, accept_with, bind, connect, listen, socket_with, sockopt::socket_peercred,
    },
};

use crate::files;

/// The longest message, in bytes.
pub(crate) const MESSAGE_MAX: usize = 32 * 1024;
/// The most file descriptors in a message.
const FDS_MAX: usize = 8;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 8;
/// How long accepting rests when no file descriptor is left.
const REST: Duration = Duration::from_millis(50);

/// One end.
#[derive(Debug)]
pub struct Link(OwnedFd);

/// What came in one message.
#[derive(Debug)]
pub struct Received {
    /// Its bytes: at least one.
    pub bytes: Vec<u8>,
    /// The file descriptors that it carried.
    pub fds: Vec<OwnedFd>,
}

/// Who is at the other end of a link that was connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The number of its process.
    pub process: u32,
    /// The user id that the kernel vouches for.
    pub user: u32,
}

/// A path at which others connect.
#[derive(Debug)]
pub struct Landing(OwnedFd);

impl Landing {
    /// Binds to `path` and listens.
    pub fn open(path: &Path) -> io::Result<Self> {
        let socket = unconnected()?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, BACKLOG)?;
        Ok(Self(socket))
    }

    /// Waits until somebody connects. Blocks.
    pub fn accept(&self) -> io::Result<Link> {
        loop {
            // Who waits in accept(2) holds the number of a file meanwhile.
            wait(&mut [PollFd::new(&self.0, PollFlags::IN)], None)?;
            let accepted = accept_with(&self.0, SocketFlags::CLOEXEC).map_err(io::Error::from);
            match accepted {
                Ok(socket) => return Ok(Link(socket)),
                Err(error) if files::is_limit(&error) => wait(&mut [], Some(REST))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn unconnected() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

impl Link {
    /// Two ends. How much one may send unread is bounded by its send buffer.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(one), Self(other)))
    }

    /// Connects to who listens at `path`.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = unconnected()?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self(socket))
    }

    /// Who is at the other end.
    pub fn peer(&self) -> io::Result<Peer> {
        let peer = socket_peercred(&self.0)?;
        Ok(Peer {
            process: u32::try_from(peer.pid.as_raw_pid()).unwrap_or_default(),
            user: peer.uid.as_raw(),
        })
    }

    /// Sends one message that is not empty, once the other end has room for it: `TimedOut` if that
    /// takes longer than `limit`. Blocks.
    pub fn send_within(
        &self,
        limit: Duration,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        wait(&mut [PollFd::new(&self.0, PollFlags::OUT)], Some(limit))?;
        late(self.send(bytes, fds))
    }

    /// The next message; `None` if the other end is closed, `TimedOut` if none comes for so long.
    /// Blocks.
    pub fn receive_within(&self, limit: Duration) -> io::Result<Option<Received>> {
        wait(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(limit))?;
        late(self.receive_now())
    }

    /// Sends one message that is not empty. Never blocks: `WouldBlock` if the other end does not
    /// read.
    pub(crate) fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fits = fds.len() <= FDS_MAX;
        if !fits || !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, flags)?;
        Ok(())
    }

    /// The next message; `None` if the other end is closed. Blocks until there is one.
    pub fn receive(&self) -> io::Result<Option<Received>> {
        wait(&mut [PollFd::new(&self.0, PollFlags::IN)], None)?;
        self.receive_now()
    }

    /// The next message; `None` if the other end is closed, `WouldBlock` if there is none.
    pub fn receive_now(&self) -> io::Result<Option<Received>> {
        match self.receive_once() {
            // The other end closed before it had read everything; what it sent is still here.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.receive_once(),
            received => received,
        }
    }

    fn receive_once(&self) -> io::Result<Option<Received>> {
        let mut bytes = vec![0; MESSAGE_MAX];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::net::recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC,
        )?;
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                fds.extend(passed);
            }
        }
        if received
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
        {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        bytes.truncate(received.bytes);
        Ok(Some(Received { bytes, fds }))
    }

    /// The same end once more.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Its file descriptor.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Link {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

/// What would have to wait after it was waited for is late.
fn late<T>(done: io::Result<T>) -> io::Result<T> {
    done.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    })
}

/// Blocks until one of `fds` is ready, or the time is over.
pub(crate) fn wait(fds: &mut [PollFd<'_>], limit: Option<Duration>) -> io::Result<()> {
    let limit = limit.map(timespec);
    rustix::io::retry_on_intr(|| rustix::event::poll(fds, limit.as_ref()))?;
    Ok(())
}

/// A duration as the kernel takes it.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_bounds_and_carry_descriptors() {
        let (ours, theirs) = Link::pair().unwrap();
        ours.send(b"one", &[ours.as_fd(), theirs.as_fd()]).unwrap();
        ours.send(b"two", &[]).unwrap();
        let one = theirs.receive().unwrap().unwrap();
        assert_eq!((one.bytes.as_slice(), one.fds.len()), (&b"one"[..], 2));
        drop(one);
        let two = theirs.receive().unwrap().unwrap();
        assert_eq!((two.bytes.as_slice(), two.fds.len()), (&b"two"[..], 0));
        let nothing = theirs.receive_now().unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_closed_end_is_the_end() {
        let (ours, theirs) = Link::pair().unwrap();
        drop(ours);
        assert!(theirs.receive().unwrap().is_none());
        let broken = theirs.send(b"one", &[]).unwrap_err();
        assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_last_word_is_heard_from_one_who_did_not_listen() {
        let (ours, theirs) = Link::pair().unwrap();
        ours.send(b"question", &[]).unwrap();
        theirs.send(b"farewell", &[]).unwrap();
        drop(theirs);
        assert_eq!(ours.receive().unwrap().unwrap().bytes, b"farewell");
        assert!(ours.receive().unwrap().is_none());
    }

    #[test]
    fn too_much_is_refused_by_both_ends() {
        let (ours, theirs) = Link::pair().unwrap();
        assert!(ours.send(b"x", &[theirs.as_fd(); FDS_MAX + 1]).is_err());
        ours.send(&vec![1; MESSAGE_MAX + 1], &[]).unwrap();
        let cut = theirs.receive().unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn an_end_that_does_not_read_never_blocks_the_other() {
        let (ours, _theirs) = Link::pair().unwrap();
        let full = (0..10_000)
            .find_map(|_| ours.send(b"x", &[]).err())
            .unwrap();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    }
}
