//! Talking to a mesh that is up: one line of JSON a message over `.leno/up.sock`, file descriptors
//! beside it. Both ends are the same program of the same user.

mod client;
mod server;
mod words;

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

pub(crate) use client::Client;
pub(crate) use server::Server;

/// The longest message, in bytes.
const LONGEST: usize = 1 << 20;

/// The most file descriptors that wait for the message they belong to.
const MOST_FDS: usize = 16;

/// What came over a socket and is no whole message yet.
#[derive(Default)]
struct Arrived {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Arrived {
    /// The next message, without its end, if it is whole.
    fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n')?;
        let mut line = self.bytes.drain(..=end).collect::<Vec<_>>();
        line.pop();
        Some(line)
    }

    /// Takes what the socket has; `false` when the other end has closed it.
    fn receive(&mut self, socket: impl AsFd) -> io::Result<bool> {
        if self.bytes.len() > LONGEST || self.fds.len() > MOST_FDS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = [0; 16 * 1024];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(socket, &mut parts, &mut control, flags)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                self.fds.extend(passed);
            }
        }
        let bytes = bytes.get(..received.bytes).unwrap_or_default();
        self.bytes.extend_from_slice(bytes);
        Ok(received.bytes > 0)
    }
}

/// Sends one message with file descriptors.
fn send(socket: impl AsFd, line: &str, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let bytes = format!("{line}\n").into_bytes();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let parts = [IoSlice::new(rest)];
        let sent = sendmsg(&socket, &parts, &mut control, SendFlags::NOSIGNAL)?;
        rest = rest.get(sent..).unwrap_or_default();
        control.clear();
    }
    Ok(())
}
