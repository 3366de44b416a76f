//! What the caller of an enclosure and its keeper say to each other.
//!
//! A message is a version byte, a kind byte and the fields of that kind in order. Both ends are the
//! same program, except after a hand-over to a newer one: so a version that is not ours is refused.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::PathBuf,
};

use rustix::fs::MemfdFlags;

use super::{Exit, Layout, Step};

const VERSION: u8 = 1;
/// The most addresses in one report; with 19 bytes each they fit a message.
pub(super) const ADDRESSES_MAX: usize = 512;
/// The largest launch sheet; the kernel lets a command and its environment have less.
const SHEET_MAX: u64 = 16 * 1024 * 1024;

/// What the caller asks of the keeper.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// Lay this out; without walls, nothing. The first order, once.
    Open(Option<Layout>),
    /// Start the application: its standard streams and its [`Launch`] sheet come with it.
    Launch,
    /// Look at once where the application listens.
    Look,
    /// Send the application this signal.
    Signal(u8),
}

/// What the keeper says to the caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Report {
    /// The enclosure stands; its sockets come with it.
    Ready,
    /// It could not be made.
    Failed {
        step: Step,
        errno: i32,
        what: String,
    },
    /// The application runs; its pidfd comes with it.
    Started,
    /// It could not be started.
    NotStarted { errno: i32 },
    /// It listens on these addresses.
    Listening {
        addresses: BTreeSet<SocketAddr>,
        omitted: u32,
    },
    /// So many datagrams were refused.
    UdpRefused { datagrams: u64 },
    /// It has ended.
    Exited(Exit),
}

/// What to start, written to a file of its own because it may be long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Launch {
    pub(super) command: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) cwd: PathBuf,
    pub(super) own_session: bool,
    pub(super) open_files: Option<u64>,
}

/// The bytes are not a message that this version speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Malformed;

impl Order {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Open(None) => message(5, |_| {}),
            Self::Open(Some(layout)) => message(1, |to| {
                put_ip(to, layout.v4.into());
                put_ip(to, layout.v6.into());
                put_ip(to, layout.resolver);
                put_count(to, layout.search.len());
                for domain in &layout.search {
                    put_text(to, domain.as_bytes());
                }
            }),
            Self::Launch => message(2, |_| {}),
            Self::Look => message(3, |_| {}),
            Self::Signal(number) => message(4, |to| to.push(*number)),
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        let order = match from.kind()? {
            1 => {
                let (IpAddr::V4(v4), IpAddr::V6(v6)) = (from.ip()?, from.ip()?) else {
                    return Err(Malformed);
                };
                let resolver = from.ip()?;
                let mut search = Vec::new();
                for _ in 0..from.count()? {
                    search.push(from.string()?);
                }
                Self::Open(Some(Layout {
                    v4,
                    v6,
                    resolver,
                    search,
                }))
            }
            5 => Self::Open(None),
            2 => Self::Launch,
            3 => Self::Look,
            4 => Self::Signal(from.byte()?),
            _ => return Err(Malformed),
        };
        from.end(order)
    }
}

impl Report {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ready => message(1, |_| {}),
            Self::Failed { step, errno, what } => message(2, |to| {
                to.push(*step as u8);
                to.extend(errno.to_be_bytes());
                put_text(to, what.as_bytes());
            }),
            Self::Started => message(3, |_| {}),
            Self::NotStarted { errno } => message(4, |to| to.extend(errno.to_be_bytes())),
            Self::Listening { addresses, omitted } => message(5, |to| {
                to.extend(omitted.to_be_bytes());
                put_count(to, addresses.len());
                for address in addresses {
                    put_ip(to, address.ip());
                    to.extend(address.port().to_be_bytes());
                }
            }),
            Self::UdpRefused { datagrams } => message(6, |to| to.extend(datagrams.to_be_bytes())),
            Self::Exited(exit) => message(7, |to| {
                let (how, number) = match *exit {
                    Exit::Code(code) => (0, code),
                    Exit::Signal(signal) => (1, signal),
                    Exit::Lost => (2, 0),
                };
                to.push(how);
                to.extend(number.to_be_bytes());
            }),
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        let report = match from.kind()? {
            1 => Self::Ready,
            2 => {
                let step = Step::ALL.get(usize::from(from.byte()?));
                Self::Failed {
                    step: *step.ok_or(Malformed)?,
                    errno: from.int()?,
                    what: from.string()?,
                }
            }
            3 => Self::Started,
            4 => Self::NotStarted { errno: from.int()? },
            5 => {
                let omitted = u32::from_be_bytes(from.array()?);
                let mut addresses = BTreeSet::new();
                for _ in 0..from.count()? {
                    let (ip, port) = (from.ip()?, u16::from_be_bytes(from.array()?));
                    addresses.insert(SocketAddr::new(ip, port));
                }
                Self::Listening { addresses, omitted }
            }
            6 => Self::UdpRefused {
                datagrams: u64::from_be_bytes(from.array()?),
            },
            7 => Self::Exited(match (from.byte()?, from.int()?) {
                (0, code) => Exit::Code(code),
                (1, signal) => Exit::Signal(signal),
                (2, _) => Exit::Lost,
                _ => return Err(Malformed),
            }),
            _ => return Err(Malformed),
        };
        from.end(report)
    }
}

impl Launch {
    /// Writes it into a file in memory, to be passed on.
    pub(super) fn into_file(self) -> io::Result<OwnedFd> {
        let fd = rustix::fs::memfd_create("leno-launch", MemfdFlags::CLOEXEC)?;
        let mut file = File::from(fd);
        file.write_all(&self.encode())?;
        Ok(file.into())
    }

    /// Reads it from the file that was passed.
    pub(super) fn from_file(fd: OwnedFd) -> io::Result<Self> {
        let mut file = File::from(fd);
        let mut bytes = Vec::new();
        file.rewind()?;
        file.take(SHEET_MAX).read_to_end(&mut bytes)?;
        Self::decode(&bytes).map_err(|Malformed| io::ErrorKind::InvalidData.into())
    }

    fn encode(&self) -> Vec<u8> {
        message(1, |to| {
            put_count(to, self.command.len());
            for word in &self.command {
                put_text(to, word.as_bytes());
            }
            put_count(to, self.env.len());
            for (name, value) in &self.env {
                put_text(to, name.as_bytes());
                put_text(to, value.as_bytes());
            }
            put_text(to, self.cwd.as_os_str().as_bytes());
            to.push(self.own_session.into());
            to.push(self.open_files.is_some().into());
            to.extend(self.open_files.unwrap_or_default().to_be_bytes());
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        let 1 = from.kind()? else {
            return Err(Malformed);
        };
        let mut command = Vec::new();
        for _ in 0..from.count()? {
            command.push(from.os_string()?);
        }
        let mut env = Vec::new();
        for _ in 0..from.count()? {
            env.push((from.os_string()?, from.os_string()?));
        }
        let cwd = from.os_string()?.into();
        let own_session = from.bool()?;
        let limited = from.bool()?;
        let limit = u64::from_be_bytes(from.array()?);
        from.end(Self {
            command,
            env,
            cwd,
            own_session,
            open_files: limited.then_some(limit),
        })
    }
}

fn message(kind: u8, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![VERSION, kind];
    body(&mut bytes);
    bytes
}

/// A length or a number of things. Too many for 32 bits do not fit any message either, and are
/// refused by the reader.
fn put_count(to: &mut Vec<u8>, count: usize) {
    to.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_text(to: &mut Vec<u8>, text: &[u8]) {
    put_count(to, text.len());
    to.extend(text);
}

fn put_ip(to: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            to.push(4);
            to.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            to.push(6);
            to.extend(ip.octets());
        }
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn kind(&mut self) -> Result<u8, Malformed> {
        let [VERSION, kind] = self.array()? else {
            return Err(Malformed);
        };
        Ok(kind)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn bool(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn int(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    /// A number of things that follow; each takes a byte at least, so more than there are bytes left
    /// cannot be.
    fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| Malformed)?;
        (count <= self.0.len()).then_some(count).ok_or(Malformed)
    }

    fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.count()?;
        self.take(count)
    }

    fn os_string(&mut self) -> Result<OsString, Malformed> {
        Ok(OsString::from_vec(self.text()?.to_vec()))
    }

    fn string(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.text()?.to_vec()).map_err(|_| Malformed)
    }

    fn ip(&mut self) -> Result<IpAddr, Malformed> {
        match self.byte()? {
            4 => Ok(Ipv4Addr::from(self.array::<4>()?).into()),
            6 => Ok(Ipv6Addr::from(self.array::<16>()?).into()),
            _ => Err(Malformed),
        }
    }

    /// The value, if nothing follows it.
    fn end<T>(self, value: T) -> Result<T, Malformed> {
        self.0.is_empty().then_some(value).ok_or(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders() -> Vec<Order> {
        vec![
            Order::Open(Some(Layout {
                v4: Ipv4Addr::new(10, 0, 0, 7),
                v6: "fd00::7".parse().unwrap(),
                resolver: "10.0.0.53".parse().unwrap(),
                search: vec!["default.svc.cluster.local".into(), String::new()],
            })),
            Order::Open(None),
            Order::Launch,
            Order::Look,
            Order::Signal(15),
        ]
    }

    fn reports() -> Vec<Report> {
        vec![
            Report::Ready,
            Report::Failed {
                step: Step::Rules,
                errno: 2,
                what: ": chain capture".into(),
            },
            Report::Started,
            Report::NotStarted { errno: 13 },
            Report::Listening {
                addresses: ["0.0.0.0:80", "[::1]:8080"]
                    .map(|a| a.parse().unwrap())
                    .into(),
                omitted: 3,
            },
            Report::UdpRefused { datagrams: 1 << 40 },
            Report::Exited(Exit::Code(127)),
            Report::Exited(Exit::Signal(9)),
            Report::Exited(Exit::Lost),
        ]
    }

    fn launch() -> Launch {
        Launch {
            command: vec!["./web".into(), OsString::from_vec(vec![0xff, b'x'])],
            env: vec![("PATH".into(), "/bin".into()), ("EMPTY".into(), "".into())],
            cwd: "/srv".into(),
            own_session: true,
            open_files: Some(1024),
        }
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        for order in orders() {
            assert_eq!(Order::decode(&order.encode()), Ok(order));
        }
        for report in reports() {
            assert_eq!(Report::decode(&report.encode()), Ok(report));
        }
        assert_eq!(
            Launch::from_file(launch().into_file().unwrap()).unwrap(),
            launch()
        );
    }

    #[test]
    fn every_step_has_its_own_byte() {
        for (index, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, index);
        }
    }

    #[test]
    fn a_message_cut_short_or_too_long_is_refused() {
        let messages = orders().iter().map(Order::encode).collect::<Vec<_>>();
        for bytes in &messages {
            for end in 0..bytes.len() {
                assert_eq!(
                    Order::decode(&bytes[..end]),
                    Err(Malformed),
                    "{bytes:?} to {end}"
                );
            }
            assert_eq!(Order::decode(&[&bytes[..], &[0]].concat()), Err(Malformed));
        }
        for bytes in reports().iter().map(Report::encode) {
            for end in 0..bytes.len() {
                assert_eq!(
                    Report::decode(&bytes[..end]),
                    Err(Malformed),
                    "{bytes:?} to {end}"
                );
            }
        }
        let sheet = launch().encode();
        for end in 0..sheet.len() {
            assert_eq!(Launch::decode(&sheet[..end]), Err(Malformed), "to {end}");
        }
    }

    #[test]
    fn another_version_and_wild_counts_are_refused() {
        assert_eq!(Order::decode(&[2, 3]), Err(Malformed));
        assert_eq!(Order::decode(&[1, 99]), Err(Malformed));
        assert_eq!(
            Report::decode(&[1, 5, 0, 0, 0, 0, 255, 255, 255, 255]),
            Err(Malformed)
        );
        assert_eq!(Launch::decode(&[1, 1, 255, 255, 255, 255]), Err(Malformed));
    }

    #[test]
    fn the_longest_report_fits_a_message() {
        let address = |index: usize| {
            let port = u16::try_from(index).unwrap();
            SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)
        };
        let report = Report::Listening {
            addresses: (0..ADDRESSES_MAX).map(address).collect(),
            omitted: 0,
        };
        assert!(report.encode().len() <= crate::link::MESSAGE_MAX);
    }
}
