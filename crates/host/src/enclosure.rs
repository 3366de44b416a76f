//! An enclosure: a network, a file system view and a process tree of their own for one workload,
//! in which every connection it makes arrives at listeners that somebody outside holds.
//!
//! Three processes take part, all of them this program. The one that calls [`Enclosure::open`]
//! starts a *guard*, which makes the namespaces, and that starts the *keeper*, process 1 inside.
//! The keeper lays everything out, passes the listeners to the caller, starts the application and
//! watches it. All of it lives exactly as long as the caller's end of one socket: when that closes,
//! however the caller ended, the keeper and the guard end, and the kernel ends whatever ran inside.
//!
//! Sockets that belong to no network are not enclosed: those of the Unix family with a path, and
//! those to the hypervisor of a virtual machine.
//!
//! Where namespaces are forbidden there is an enclosure without walls ([`Enclosure::open_bare`]): the
//! same two processes around an application that stays in this machine's network, uncaptured.

mod application;
mod descendants;
mod guard;
mod interior;
mod keeper;
mod message;
mod mounts;
mod outbox;
mod refusal;
mod rules;
mod supply;

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs, io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags},
    process::Signal,
};

pub use self::refusal::{OpenError, Step};
use self::{
    guard::Guard,
    message::{Launch, Order, Report},
};
use crate::link::{self, Link, Received};

/// What an enclosure looks like from inside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The workload's own IPv4 address.
    pub v4: Ipv4Addr,
    /// The workload's own IPv6 address.
    pub v6: Ipv6Addr,
    /// The name server that `/etc/resolv.conf` names; what is asked there arrives at the DNS
    /// listeners. Any address will do, since nothing is ever sent to it.
    pub resolver: IpAddr,
    /// The domains that `/etc/resolv.conf` tells the application to try.
    pub search: Vec<String>,
}

/// What to run in an enclosure.
#[derive(Debug)]
pub struct Program {
    /// The command and its arguments. A name without a slash is looked up in the `PATH` of `env`.
    pub command: Vec<OsString>,
    /// The whole environment; nothing is added to it.
    pub env: Vec<(OsString, OsString)>,
    /// The directory to start in.
    pub cwd: PathBuf,
    /// Standard input, output and error, in this order.
    pub stdio: [OwnedFd; 3],
    /// Whether the terminal's signals reach it.
    pub session: Session,
    /// The soft limit on open files to start with; `None` leaves the caller's.
    pub open_files: Option<u64>,
}

/// Who the application shares a terminal with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Session {
    /// It stays in the caller's process group: Ctrl-C reaches both.
    Shared,
    /// It leads a session of its own, and only [`Enclosure::signal`] reaches it.
    Own,
}

/// The sockets that take what the application sends: one of each over IPv4, then one over IPv6 where
/// the kernel has it. They were made inside, do not block, and stay usable outside;
/// [`original_destination`](crate::original_destination) says where a connection was meant to go.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Every connection out.
    pub outbound: Vec<TcpListener>,
    /// DNS over UDP, whatever server was asked. An answer leaves by the socket on which the question
    /// came, to the address it came from.
    pub dns_udp: Vec<UdpSocket>,
    /// DNS over TCP, whatever server was asked.
    pub dns_tcp: Vec<TcpListener>,
}

/// What happened inside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The application runs.
    Started {
        /// Its process id, as the caller's process namespace counts; `None` if it has ended since.
        pid: Option<u32>,
    },
    /// The application could not be started, and the enclosure has ended. Nothing follows.
    NotStarted {
        /// What the system said, as [`io::Error::from_raw_os_error`] takes it: not found, not
        /// permitted.
        errno: i32,
    },
    /// The application listens on exactly these TCP addresses.
    Listening {
        /// The addresses as the application bound them, wildcards included.
        addresses: BTreeSet<SocketAddr>,
        /// How many more there are than the 512 that a report holds.
        omitted: u32,
    },
    /// So many datagrams have been refused, because only DNS is carried over UDP.
    UdpRefused {
        /// Counted since the enclosure was opened.
        datagrams: u64,
    },
    /// The application has ended, and the enclosure with it. Nothing follows.
    Exited(Exit),
}

/// How the application ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It never ran, or the keeper was killed and took it along.
    Lost,
}

impl Exit {
    /// The exit code for a program that stands for the application, as a shell counts: the code
    /// itself, or 128 and the signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
            Self::Lost => 128 + Signal::KILL.as_raw(),
        }
    }
}

/// An open enclosure, readable as a file descriptor when [`Self::try_event`] has something to say.
///
/// Dropping it ends everything inside, and blocks until that has gone: some milliseconds, at most
/// one second.
#[derive(Debug)]
pub struct Enclosure {
    // Fields are dropped in this order: the closed link is what lets the guard go.
    link: Link,
    _guard: Guard,
    supplies: Vec<Sockets>,
    launched: bool,
    ended: bool,
}

impl Enclosure {
    /// Makes the namespaces, lays out the network and the rules, and opens the listeners.
    ///
    /// `program` is started as guard and keeper; its `main` must begin with [`run_if_called`]. For
    /// the running program that is `/proc/self/exe`. Blocks until the enclosure stands: some tens of
    /// milliseconds, at most ten seconds.
    pub fn open(program: &Path, layout: &Layout) -> Result<(Self, Listeners), OpenError> {
        let (mut enclosure, mut fds) = Self::begin(program, Some(layout))?;
        let listeners = Listeners::take(&mut fds);
        enclosure.supplies = fds.into_iter().map(Sockets::from).collect();
        Ok((enclosure, listeners))
    }

    /// An enclosure without walls, for where namespaces are forbidden: the application stays in this
    /// machine's network and process tree, with its user's rights, and nothing of it is captured.
    /// Its [`Event::Listening`] tells of its own sockets only, and its [`Sockets`] reach this machine.
    ///
    /// It and all that it starts still end with the caller, however that ends. Only if somebody kills
    /// the guard itself may a process survive that the application has left behind.
    pub fn open_bare(program: &Path) -> Result<Self, OpenError> {
        let (mut enclosure, fds) = Self::begin(program, None)?;
        enclosure.supplies = fds.into_iter().map(Sockets::from).collect();
        Ok(enclosure)
    }

    /// Starts the guard, and waits for what the keeper passes out.
    fn begin(program: &Path, layout: Option<&Layout>) -> Result<(Self, Vec<OwnedFd>), OpenError> {
        let (link, theirs) = Link::pair().map_err(OpenError::Spawn)?;
        let walls = Walls::of(layout);
        let guard = Guard::start(program, theirs, walls).map_err(OpenError::Spawn)?;
        // A guard that was refused may have gone by now, and its report is still to be read.
        let asked = link.send(&Order::Open(layout.cloned()).encode(), &[]);
        link::wait(&mut [PollFd::new(&link, PollFlags::IN)], Some(OPENING))
            .map_err(OpenError::Lost)?;
        let Some(Received { bytes, fds }) = link.receive_now().map_err(OpenError::Lost)? else {
            let closed = asked
                .err()
                .unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
            return Err(OpenError::Lost(closed));
        };
        match Report::decode(&bytes) {
            Ok(Report::Ready) => {}
            Ok(Report::Failed { step, errno, what }) => {
                return Err(OpenError::Refused { step, errno, what });
            }
            _ => return Err(OpenError::Lost(io::ErrorKind::InvalidData.into())),
        }
        let per_family = match walls {
            Walls::Namespaces => 4,
            Walls::None => 1,
        };
        if fds.is_empty() || fds.len() % per_family != 0 {
            return Err(OpenError::Lost(io::ErrorKind::InvalidData.into()));
        }
        let enclosure = Self {
            link,
            _guard: guard,
            supplies: Vec::new(),
            launched: false,
            ended: false,
        };
        Ok((enclosure, fds))
    }

    /// Starts the application; [`Event::Started`] or [`Event::NotStarted`] tells how that went. An
    /// enclosure runs one application, once: an error of kind `AlreadyExists` the next time.
    pub fn launch(&mut self, program: Program) -> io::Result<()> {
        if mem::replace(&mut self.launched, true) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let [stdin, stdout, stderr] = &program.stdio;
        let launch = Launch {
            command: program.command,
            env: program.env,
            cwd: program.cwd,
            own_session: program.session == Session::Own,
            open_files: program.open_files,
        };
        let sheet = launch.into_file()?;
        let fds = [stdin, stdout, stderr, &sheet].map(AsFd::as_fd);
        self.link.send(&Order::Launch.encode(), &fds)
    }

    /// The supply of sockets of one family that reach into the enclosure. Each worker may have its
    /// own: what one takes, no other gets. An error where the kernel lacks IPv6.
    pub fn sockets(&self, family: Family) -> io::Result<Sockets> {
        let supply = self.supplies.get(family as usize);
        supply.ok_or(io::ErrorKind::Unsupported)?.try_clone()
    }

    /// Sends a signal by its number: to the application's whole process group if it leads a session
    /// of its own, else to the application alone.
    pub fn signal(&self, number: u8) -> io::Result<()> {
        self.link.send(&Order::Signal(number).encode(), &[])
    }

    /// Asks the keeper to look at once which ports the application listens on. By itself it looks
    /// again after a tenth of the time since something last changed, between 10 ms and 1 s.
    pub fn look(&self) -> io::Result<()> {
        self.link.send(&Order::Look.encode(), &[])
    }

    /// What happened next inside. Never blocks: an error of kind `WouldBlock` if nothing did, and
    /// `UnexpectedEof` after the last event.
    pub fn try_event(&mut self) -> io::Result<Event> {
        if self.ended {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let event = match self.link.receive_now()? {
            Some(received) => event(received)?,
            None => Event::Exited(Exit::Lost),
        };
        self.ended = matches!(event, Event::Exited(_) | Event::NotStarted { .. });
        Ok(event)
    }

    /// Blocks until something happens inside. `None` if the time is over, or nothing will.
    pub fn next_event(&mut self, limit: Option<Duration>) -> io::Result<Option<Event>> {
        if !self.ended {
            link::wait(&mut [PollFd::new(&self.link, PollFlags::IN)], limit)?;
        }
        match self.try_event() {
            Ok(event) => Ok(Some(event)),
            Err(error) if self.ended || error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Blocks until the application has ended, and drops every other event.
    pub fn wait(&mut self) -> io::Result<Exit> {
        while !self.ended {
            if let Some(Event::Exited(exit)) = self.next_event(None)? {
                return Ok(exit);
            }
        }
        Ok(Exit::Lost)
    }
}

impl AsFd for Enclosure {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

impl AsRawFd for Enclosure {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// The two versions of IP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A supply of TCP sockets that were made inside the enclosure and are not connected yet. A
/// connection made with one reaches the application and is never captured, wherever it goes.
///
/// The keeper keeps about twenty in stock. Readable as a file descriptor when there is one to take.
#[derive(Debug)]
pub struct Sockets(Link);

impl Sockets {
    /// Takes one, which does not block. Never blocks: an error of kind `WouldBlock` if the keeper has
    /// not refilled the stock yet, and `BrokenPipe` when the enclosure has ended.
    pub fn take(&self) -> io::Result<OwnedFd> {
        let received = self.0.receive_now()?;
        let socket = received.and_then(|mut received| received.fds.pop());
        socket.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }
}

impl AsFd for Sockets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Sockets {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// A supply that another process passed on.
impl From<OwnedFd> for Sockets {
    fn from(fd: OwnedFd) -> Self {
        Self(Link::from(fd))
    }
}

/// Where an application that listens on `bound` is reached with one of the [`Sockets`].
pub fn reach(bound: SocketAddr, layout: &Layout) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => layout.v4.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => layout.v6.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// Does what this process was started for if it was started as a guard or a keeper; the first thing
/// that `main` calls, while the process has one thread. `main` returns the code it gets.
pub fn run_if_called() -> Option<ExitCode> {
    let name = env::args_os().next()?;
    if name == GUARD {
        Some(guard::run(Walls::Namespaces))
    } else if name == BARE_GUARD {
        Some(guard::run(Walls::None))
    } else if name == KEEPER {
        Some(keeper::run())
    } else {
        None
    }
}

/// What lies between an application and this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Walls {
    /// Namespaces of its own.
    Namespaces,
    /// Nothing.
    None,
}

impl Walls {
    fn of(layout: Option<&Layout>) -> Self {
        match layout {
            Some(_) => Self::Namespaces,
            None => Self::None,
        }
    }
}

impl Listeners {
    /// Takes them out of what the keeper has passed, in this order: outbound, DNS over UDP, DNS over
    /// TCP, then the supplies, each for one family after the other.
    fn take(fds: &mut Vec<OwnedFd>) -> Self {
        let families = fds.len() / 4;
        let mut listeners = fds.drain(..3 * families);
        Self {
            outbound: listeners.by_ref().take(families).map(Into::into).collect(),
            dns_udp: listeners.by_ref().take(families).map(Into::into).collect(),
            dns_tcp: listeners.map(Into::into).collect(),
        }
    }
}

/// What the keeper reported.
fn event(received: Received) -> io::Result<Event> {
    let nonsense = || io::Error::from(io::ErrorKind::InvalidData);
    match Report::decode(&received.bytes).map_err(|_| nonsense())? {
        Report::Started => {
            let process = received.fds.first().ok_or_else(nonsense)?;
            let pid = pid_of(process)?;
            Ok(Event::Started { pid })
        }
        Report::NotStarted { errno } => Ok(Event::NotStarted { errno }),
        Report::Listening { addresses, omitted } => Ok(Event::Listening { addresses, omitted }),
        Report::UdpRefused { datagrams } => Ok(Event::UdpRefused { datagrams }),
        Report::Exited(exit) => Ok(Event::Exited(exit)),
        Report::Ready | Report::Failed { .. } => Err(nonsense()),
    }
}

/// The process id behind a pidfd, as this process's namespace counts; -1 there means that it ended.
fn pid_of(process: &OwnedFd) -> io::Result<Option<u32>> {
    let path = format!("/proc/self/fdinfo/{}", process.as_raw_fd());
    let info = fs::read_to_string(path)?;
    let line = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok(line.and_then(|pid| pid.trim().parse().ok()))
}

/// How long an enclosure may take to open.
const OPENING: Duration = Duration::from_secs(10);

/// The names under which this program runs as guard and as keeper.
const GUARD: &str = "leno-guard";
const BARE_GUARD: &str = "leno-guard-bare";
const KEEPER: &str = "leno-keeper";
