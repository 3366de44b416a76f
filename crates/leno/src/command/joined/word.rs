//! What the proxy of a node and the process of one of its pods say to each other, over a link that the process finds as its
//! standard input.

use std::io;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram as StdUnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use leno_host::PodListeners;
use leno_host::link::{Link, Received};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// How long either waits until the other has taken a word.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// To the process: what it is to be; its pod's network comes with it.
    Begin(Begin),
    /// To the process: sockets of its pod, which come with it.
    Sockets(Sockets),
    /// To the process: that is all.
    All,
    /// To the node's proxy: a request for a certificate.
    Request(Vec<u8>),
    /// To the process: what came of that.
    Vouched(Vec<u8>),
    /// To the process: nothing came of that, and why.
    NotVouched(String),
    /// To the node's proxy: it takes what arrives at the sockets.
    Serves,
    /// To the process: it is to end in peace.
    End,
}

/// What the process of a pod is to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Begin {
    /// Folders in which it is to see nothing.
    pub(super) hidden: Vec<PathBuf>,
    /// The most memory that it may take, in MiB.
    pub(super) memory_mib: u32,
    /// The most time of processors that it may take, in thousandths of one.
    pub(super) cpu_milli: Option<u32>,
    /// The name servers of the node.
    pub(super) node_servers: Vec<IpAddr>,
}

/// What arrives at sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sockets {
    Outbound,
    Inbound,
    Tunnel,
    DnsUdp,
    DnsTcp,
    Metrics,
}

impl Sockets {
    const ALL: [Self; 6] = [
        Self::Outbound,
        Self::Inbound,
        Self::Tunnel,
        Self::DnsUdp,
        Self::DnsTcp,
        Self::Metrics,
    ];
}

impl Word {
    /// Its bytes: a letter, and what it carries.
    fn encode(&self) -> io::Result<Vec<u8>> {
        let (letter, rest) = match self {
            Self::Begin(begin) => (b'B', serde_json::to_vec(begin)?),
            Self::Sockets(sockets) => {
                let place = Sockets::ALL.iter().position(|one| one == sockets);
                let place = place.and_then(|place| u8::try_from(place).ok());
                (b'S', place.into_iter().collect())
            }
            Self::All => (b'A', Vec::new()),
            Self::Request(request) => (b'R', request.clone()),
            Self::Vouched(vouched) => (b'V', vouched.clone()),
            Self::NotVouched(why) => (b'N', why.clone().into_bytes()),
            Self::Serves => (b'O', Vec::new()),
            Self::End => (b'E', Vec::new()),
        };
        Ok([vec![letter], rest].concat())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (letter, rest) = bytes.split_first()?;
        Some(match letter {
            b'B' => Self::Begin(serde_json::from_slice(rest).ok()?),
            b'S' => {
                let [place] = rest else { return None };
                Self::Sockets(*Sockets::ALL.get(usize::from(*place))?)
            }
            b'A' if rest.is_empty() => Self::All,
            b'R' => Self::Request(rest.to_vec()),
            b'V' => Self::Vouched(rest.to_vec()),
            b'N' => Self::NotVouched(String::from_utf8_lossy(rest).into_owned()),
            b'O' if rest.is_empty() => Self::Serves,
            b'E' if rest.is_empty() => Self::End,
            _ => return None,
        })
    }

    /// Says it, with these files.
    pub(super) fn send(&self, link: &Link, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        link.send_within(PATIENCE, &self.encode()?, files)
    }

    /// Reads what came.
    pub(super) fn read(received: Received) -> io::Result<(Self, Vec<OwnedFd>)> {
        let word = Self::decode(&received.bytes);
        let word = word.ok_or_else(|| io::Error::other("what came is no word of ours"))?;
        Ok((word, received.fds))
    }
}

/// One end, at which words of the other are awaited.
pub(super) struct Hearing {
    link: Link,
    /// The same socket, on which to wait.
    ready: UnixDatagram,
}

impl Hearing {
    /// Needs a runtime around it.
    pub(super) fn new(link: Link) -> io::Result<Self> {
        let ready = StdUnixDatagram::from(link.as_fd().try_clone_to_owned()?);
        ready.set_nonblocking(true)?;
        let ready = UnixDatagram::from_std(ready)?;
        Ok(Self { link, ready })
    }

    /// Where to answer.
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// The next word; nothing if the other end is closed. A word that is not waited for to its end is not lost.
    pub(super) async fn next(&self) -> io::Result<Option<Word>> {
        let receive = || self.link.receive_now();
        let received = self.ready.async_io(Interest::READABLE, receive).await?;
        let word = received.map(Word::read).transpose()?;
        Ok(word.map(|(word, _)| word))
    }
}

/// Everything that a process listens at for its pod.
#[derive(Default, Debug)]
pub(super) struct Listening {
    pub(super) pod: PodListeners,
    /// Where its metrics are read; nothing where the pod itself listens there.
    pub(super) metrics: Vec<TcpListener>,
}

impl Listening {
    /// Gives the other process the same sockets.
    pub(super) fn send(&self, link: &Link) -> io::Result<()> {
        for sockets in Sockets::ALL {
            let files = match sockets {
                Sockets::Outbound => files(&self.pod.outbound),
                Sockets::Inbound => files(&self.pod.inbound),
                Sockets::Tunnel => files(&self.pod.tunnel),
                Sockets::DnsUdp => files(&self.pod.dns_udp),
                Sockets::DnsTcp => files(&self.pod.dns_tcp),
                Sockets::Metrics => files(&self.metrics),
            };
            if !files.is_empty() {
                Word::Sockets(sockets).send(link, &files)?;
            }
        }
        Word::All.send(link, &[])
    }

    /// Takes what the other process gives.
    pub(super) fn receive(link: &Link) -> io::Result<Self> {
        let mut taken = Self::default();
        loop {
            let received = link.receive_within(PATIENCE)?;
            let received = received.ok_or(io::ErrorKind::UnexpectedEof)?;
            let (word, files) = Word::read(received)?;
            let streams = match word {
                Word::All => return Ok(taken),
                Word::Sockets(Sockets::DnsUdp) => {
                    let files = files.into_iter().map(UdpSocket::from);
                    taken.pod.dns_udp.extend(files);
                    continue;
                }
                Word::Sockets(Sockets::Outbound) => &mut taken.pod.outbound,
                Word::Sockets(Sockets::Inbound) => &mut taken.pod.inbound,
                Word::Sockets(Sockets::Tunnel) => &mut taken.pod.tunnel,
                Word::Sockets(Sockets::DnsTcp) => &mut taken.pod.dns_tcp,
                Word::Sockets(Sockets::Metrics) => &mut taken.metrics,
                _ => return Err(io::Error::other("another word than sockets came")),
            };
            streams.extend(files.into_iter().map(TcpListener::from));
        }
    }
}

fn files<T: AsFd>(sockets: &[T]) -> Vec<BorrowedFd<'_>> {
    sockets.iter().map(AsFd::as_fd).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_as_they_were_said() {
        let begin = Begin {
            hidden: vec!["/var/run/secrets".into()],
            memory_mib: 128,
            cpu_milli: Some(500),
            node_servers: vec![[10, 0, 0, 2].into()],
        };
        let mut words = vec![
            Word::Begin(begin),
            Word::All,
            Word::Request(vec![0x30, 0]),
            Word::Vouched(vec![1]),
            Word::NotVouched("it is away".to_owned()),
            Word::Serves,
            Word::End,
        ];
        words.extend(Sockets::ALL.map(Word::Sockets));
        for word in words {
            assert_eq!(Word::decode(&word.encode().unwrap()), Some(word));
        }
        for bytes in [&b""[..], b"S", b"S\x09", b"S\0\0", b"B{}", b"X", b"Ex"] {
            assert_eq!(Word::decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn sockets_come_as_what_they_are() {
        let (one, other) = Link::pair().unwrap();
        let stream = || TcpListener::bind("127.0.0.1:0").unwrap();
        let pod = PodListeners {
            outbound: vec![stream()],
            inbound: vec![stream(), stream()],
            dns_udp: vec![UdpSocket::bind("127.0.0.1:0").unwrap()],
            ..PodListeners::default()
        };
        let listening = Listening {
            pod,
            metrics: vec![stream()],
        };
        listening.send(&one).unwrap();
        let taken = Listening::receive(&other).unwrap();
        let at = |listening: &Listening| {
            let pod = &listening.pod;
            let all = [&pod.outbound, &pod.inbound, &pod.tunnel, &pod.dns_tcp];
            let all = all.into_iter().chain([&listening.metrics]);
            all.map(|sockets| {
                let ports = sockets.iter().map(|it| it.local_addr().unwrap().port());
                ports.collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(at(&taken), at(&listening));
        let port = |listening: &Listening| listening.pod.dns_udp[0].local_addr().unwrap().port();
        assert_eq!(port(&taken), port(&listening));
        Word::End.send(&one, &[]).unwrap();
        assert!(Listening::receive(&other).is_err());
    }
}
