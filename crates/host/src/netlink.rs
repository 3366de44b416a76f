//! Netlink: how one asks the kernel about its network. Messages and nested attributes are written
//! and read here; what they mean is their users' business.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind,
        netlink::{self, SocketAddrNetlink},
        recv, send, socket_with,
    },
};

/// Message flags (`linux/netlink.h`).
pub(crate) const REQUEST: u16 = 0x1;
pub(crate) const ACK: u16 = 0x4;
pub(crate) const EXCLUSIVE: u16 = 0x200;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const APPEND: u16 = 0x800;
pub(crate) const DUMP: u16 = 0x300;

/// The subsystems.
pub(crate) const ROUTE: Option<Protocol> = None;
pub(crate) const SOCK_DIAG: Option<Protocol> = Some(netlink::SOCK_DIAG);
pub(crate) const NETFILTER: Option<Protocol> = Some(netlink::NETFILTER);

const ERROR: u16 = 2;
const DONE: u16 = 3;
/// What was asked for has changed while it was told.
const INTERRUPTED: u16 = 0x10;
const NESTED: u16 = 0x8000;
const HEADER: usize = 16;
/// Where the flags of a message stand.
const FLAGS: usize = 6;
const ATTRIBUTE_HEADER: usize = 4;

/// Messages to the kernel, one after the other.
#[derive(Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Adds a message.
    pub(crate) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        body: impl FnOnce(&mut Self),
    ) {
        let start = self.bytes.len();
        self.put(&[0; 4]);
        self.put(&kind.to_ne_bytes());
        self.put(&flags.to_ne_bytes());
        self.put(&sequence.to_ne_bytes());
        self.put(&[0; 4]);
        body(self);
        let length = u32::try_from(self.bytes.len() - start).expect("our messages are short");
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.pad();
    }

    /// What was written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds an attribute.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.sized(kind, |to| to.put(value));
    }

    /// Adds an attribute that holds attributes.
    pub(crate) fn nested(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        self.sized(kind | NESTED, body);
    }

    /// Adds an attribute that holds a text, which the kernel wants to end in a zero byte.
    pub(crate) fn text(&mut self, kind: u16, text: &str) {
        self.sized(kind, |to| {
            to.put(text.as_bytes());
            to.put(&[0]);
        });
    }

    /// Adds bytes as they are, as the fixed part of a message.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    fn sized(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.put(&[0; 2]);
        self.put(&kind.to_ne_bytes());
        body(self);
        let length = u16::try_from(self.bytes.len() - start).expect("our attributes are short");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// A message from the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

/// The messages in `bytes`, up to the first that is not whole.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header: &[u8; HEADER] = bytes.first_chunk()?;
        let length = usize::try_from(u32::from_ne_bytes(*header.first_chunk()?)).ok()?;
        let message = Message {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            flags: u16::from_ne_bytes([header[6], header[7]]),
            sequence: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
            body: bytes.get(HEADER..length)?,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in `bytes`, up to the first that is not whole.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    marked_attributes(bytes).map(|(kind, value)| (kind & !NESTED, value))
}

/// The same, with the mark of those that hold attributes.
fn marked_attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let &[l0, l1, k0, k1] = bytes.first_chunk::<ATTRIBUTE_HEADER>()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = bytes.get(ATTRIBUTE_HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]), value))
    })
}

/// The value of the first attribute of that kind.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(found, value)| (found == kind).then_some(value))
}

/// Whether each attribute that we `said` is among those that are `held`, with the same value. What may be
/// held beside it is not looked at. No kind may stand twice in what was said.
pub(crate) fn holds(held: &[u8], said: &[u8]) -> bool {
    marked_attributes(said).all(|(kind, said)| {
        let held = attribute(held, kind & !NESTED);
        held.is_some_and(|held| match kind & NESTED {
            0 => held == said,
            _ => holds_only(held, said),
        })
    })
}

/// The same, where whatever else is held is zero: what the kernel adds by itself.
pub(crate) fn holds_only(held: &[u8], said: &[u8]) -> bool {
    let is_ours =
        |kind, value: &[u8]| attribute(said, kind).is_some() || value.iter().all(|byte| *byte == 0);
    holds(held, said) && attributes(held).all(|(kind, value)| is_ours(kind, value))
}

/// Requests that are sent together, each with a name for people.
#[derive(Default)]
pub(crate) struct Batch {
    messages: Writer,
    /// In order of their sequence numbers, which count from 1.
    parts: Vec<String>,
    /// Where the last request begins.
    last: usize,
}

impl Batch {
    /// Adds a request.
    pub(crate) fn request(
        &mut self,
        part: impl Into<String>,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Writer),
    ) {
        self.parts.push(part.into());
        self.last = self.messages.bytes.len();
        let sequence = self.sequence();
        self.messages.message(kind, REQUEST | flags, sequence, body);
    }

    /// The number of the last request.
    fn sequence(&self) -> u32 {
        u32::try_from(self.parts.len()).expect("our batches are short")
    }

    /// What is sent. A request that is refused is answered in any case; of the others only the last is, so
    /// that the answers to a long batch fit the socket's buffer.
    fn sent(&self) -> Vec<u8> {
        let mut bytes = self.messages.bytes.clone();
        let flags = self.last + FLAGS;
        if let Some(flags) = bytes.get_mut(flags..flags + 2) {
            let asked = u16::from_ne_bytes([flags[0], flags[1]]) | ACK;
            flags.copy_from_slice(&asked.to_ne_bytes());
        }
        bytes
    }

    /// Adds a message that the kernel does not answer.
    pub(crate) fn remark(&mut self, kind: u16, body: impl FnOnce(&mut Writer)) {
        self.messages.message(kind, REQUEST, 0, body);
    }

    fn refused(&self, sequence: u32, errno: Errno) -> Refused {
        let index = usize::try_from(sequence)
            .ok()
            .and_then(|sequence| sequence.checked_sub(1));
        let part = index.and_then(|index| self.parts.get(index));
        Refused {
            part: part.cloned().unwrap_or_else(|| "all of it".to_owned()),
            errno,
        }
    }
}

/// The kernel refused a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    /// Which one.
    pub(crate) part: String,
    /// Why.
    pub(crate) errno: Errno,
}

/// A socket to one subsystem of the kernel.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Socket {
    pub(crate) fn open(protocol: Option<Protocol>) -> Result<Self, Errno> {
        Self::bound(protocol, SocketFlags::empty(), 0)
    }

    /// Opens one that is told, unasked, what is told to the group of that number. It never waits.
    pub(crate) fn listen(protocol: Option<Protocol>, group: u32) -> Result<Self, Errno> {
        Self::bound(protocol, SocketFlags::NONBLOCK, 1 << (group - 1))
    }

    fn bound(protocol: Option<Protocol>, flags: SocketFlags, groups: u32) -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | flags;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self(socket))
    }

    /// Takes one datagram of what was told to a group, whatever it says. Fails with [`Errno::AGAIN`] if there is none.
    pub(crate) fn take(&self) -> Result<(), Errno> {
        match recv(&self.0, &mut [0; HEADER][..], RecvFlags::empty()) {
            // There was more than fits.
            Ok(_) | Err(Errno::NOBUFS) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Sends all requests of a batch and reads what became of each; tells the first that was
    /// refused. Whether the others hold is the subsystem's business.
    ///
    /// The kernel carries requests out while they are being sent, so its answers are there at once.
    pub(crate) fn carry_out(&self, batch: &Batch) -> Result<(), Refused> {
        if batch.parts.is_empty() {
            return Ok(());
        }
        let whole = |errno| batch.refused(0, errno);
        send(&self.0, &batch.sent(), SendFlags::empty()).map_err(whole)?;
        let mut buffer = vec![0; ANSWER_MAX];
        let mut told = None;
        loop {
            let count = match recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((count, _)) => count,
                Err(Errno::AGAIN) => return told.unwrap_or(Err(whole(Errno::PROTO))),
                Err(errno) => return Err(whole(errno)),
            };
            for answer in messages(&buffer[..count]).filter(|answer| answer.kind == ERROR) {
                match refusal(answer.body) {
                    Ok(()) if answer.sequence == batch.sequence() => told = told.or(Some(Ok(()))),
                    Ok(()) => {}
                    Err(errno) => told = told.or(Some(Err(batch.refused(answer.sequence, errno)))),
                }
            }
        }
    }

    /// Sends one request with [`DUMP`] or [`ACK`] and shows each message of the answer to `each`. Fails with
    /// [`Errno::INTR`] if what is told has changed meanwhile.
    pub(crate) fn dump(
        &self,
        request: &Writer,
        mut each: impl FnMut(Message<'_>),
    ) -> Result<(), Errno> {
        send(&self.0, &request.bytes, SendFlags::empty())?;
        let mut buffer = vec![0; ANSWER_MAX];
        let mut is_interrupted = false;
        loop {
            let (count, _) = recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
            for answer in messages(&buffer[..count]) {
                is_interrupted |= answer.flags & INTERRUPTED != 0;
                match answer.kind {
                    DONE if is_interrupted => return Err(Errno::INTR),
                    DONE => return Ok(()),
                    ERROR => return refusal(answer.body),
                    _ => each(answer),
                }
            }
        }
    }
}

/// Enough for what the kernel puts into one datagram.
const ANSWER_MAX: usize = 64 * 1024;

/// What an error message says; the number 0 is an acknowledgement.
fn refusal(body: &[u8]) -> Result<(), Errno> {
    let number = body.first_chunk().copied().map(i32::from_ne_bytes);
    match number {
        Some(0) => Ok(()),
        Some(number) => Err(Errno::from_raw_os_error(number.saturating_neg())),
        None => Err(Errno::PROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut to = Writer::default();
        to.message(7, REQUEST, 1, |to| {
            to.put(&[1, 2, 3, 4]);
            to.text(3, "leno");
            to.nested(4, |to| to.attribute(1, &[9]));
        });
        to.message(8, 0, 2, |_| {});
        let read: Vec<_> = messages(&to.bytes).collect();
        let kinds: Vec<_> = read.iter().map(|m| (m.kind, m.sequence)).collect();
        assert_eq!(kinds, [(7, 1), (8, 2)]);
        let (fixed, rest) = read[0].body.split_at(4);
        assert_eq!(fixed, [1, 2, 3, 4]);
        assert_eq!(attribute(rest, 3), Some(&b"leno\0"[..]));
        assert_eq!(attribute(attribute(rest, 4).unwrap(), 1), Some(&[9][..]));
        assert_eq!(attribute(rest, 5), None);
        assert_eq!(read[1].body, []);
    }

    #[test]
    fn what_is_not_whole_is_not_read() {
        let mut to = Writer::default();
        to.message(7, 0, 1, |to| to.attribute(1, &[1; 8]));
        for end in 0..to.bytes.len() {
            assert_eq!(messages(&to.bytes[..end]).count(), 0, "to {end}");
            let body = to.bytes[..end].get(HEADER..).unwrap_or_default();
            assert_eq!(attributes(body).count(), 0, "to {end}");
        }
        assert_eq!(
            messages(&[0; 64]).count(),
            0,
            "a length of zero never advances"
        );
        assert_eq!(attributes(&[0; 64]).count(), 0);
    }

    #[test]
    fn what_was_said_is_found_in_what_is_held() {
        let said = |value: &[u8], more: bool| {
            let mut to = Writer::default();
            to.attribute(2, &[7]);
            to.nested(4, |to| {
                to.attribute(1, value);
                if more {
                    to.attribute(3, &[0; 4]);
                }
            });
            to
        };
        let ours = said(&[9], false);
        let mut more = said(&[9], true);
        assert!(holds_only(more.bytes(), ours.bytes()));
        assert!(!holds(more.bytes(), said(&[8], false).bytes()));
        assert!(!holds(ours.bytes(), more.bytes()));
        more.attribute(5, &[1]);
        assert!(holds(more.bytes(), ours.bytes()));
        assert!(!holds_only(more.bytes(), ours.bytes()));
        assert!(!holds(&[], ours.bytes()));
    }

    #[test]
    fn a_refusal_names_the_request_and_the_reason() {
        let mut batch = Batch::default();
        batch.request("the first", GET_LINK, 0, |to| put_device(to, 1));
        batch.request("the second", SET_LINK, 0, |to| put_device(to, i32::MAX));
        let refused = Socket::open(ROUTE).unwrap().carry_out(&batch).unwrap_err();
        assert_eq!(refused.part, "the second");
        assert!(
            matches!(refused.errno, Errno::NODEV | Errno::PERM),
            "{refused:?}"
        );
    }

    const GET_LINK: u16 = 18;
    const SET_LINK: u16 = 19;

    /// `struct ifinfomsg`.
    fn put_device(to: &mut Writer, device: i32) {
        to.put(&[0; 4]);
        to.put(&device.to_ne_bytes());
        to.put(&[0; 8]);
    }
}
