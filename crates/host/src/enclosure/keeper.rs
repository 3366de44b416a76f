//! The keeper: process 1 of an enclosure. It lays the enclosure out, starts the application, and
//! then waits: for orders, for a place in the supplies of sockets, for the application's end, and
//! for the time to look again where it listens.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    process::ExitCode,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    process::{DumpableBehavior, Signal, WaitOptions},
    thread::CapabilitySet,
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags},
};

use super::{
    Family, Layout, Step,
    application::{self, Application, give_up_capabilities},
    interior,
    link::{self, Link, Received},
    message::{ADDRESSES_MAX, Launch, Order, Report},
    mounts,
};
use crate::{
    capture::{LOCAL_PORTS, LOCAL_PORTS_6, UDP_REFUSED, capture_rules, local_ports},
    listening::Watch,
    nft::{Netfilter, Ruleset},
};

/// The keeper's whole life. Its standard input is the link to the caller.
pub(super) fn run() -> ExitCode {
    let Ok(link) = io::stdin().as_fd().try_clone_to_owned().map(Link::from) else {
        return ExitCode::FAILURE;
    };
    match open(&link) {
        Ok(keeper) => keeper.serve(),
        Err(report) => {
            // If nobody hears it, nobody waits for it.
            _ = link.send(&report.encode(), &[]);
            ExitCode::FAILURE
        }
    }
}

fn open(link: &Link) -> Result<Keeper, Report> {
    let kill = Some(Signal::KILL);
    rustix::process::set_parent_process_death_signal(kill).map_err(at(Step::Keeper))?;
    let order = link.receive().map_err(at(Step::Keeper))?;
    let order = order.map(|received| Order::decode(&received.bytes));
    let Some(Ok(Order::Open(layout))) = order else {
        return Err(at(Step::Keeper)(Errno::PROTO));
    };
    Keeper::lay_out(link, &layout)
}

struct Keeper {
    link: Link,
    timer: OwnedFd,
    watch: Watch,
    netfilter: Netfilter,
    ruleset: Ruleset,
    /// The listeners that were passed out; they are not the application's.
    ours: BTreeSet<u32>,
    supplies: Vec<(Family, Link)>,
    application: Option<Application>,
    /// What the last look saw.
    listening: BTreeSet<SocketAddr>,
    refused: u64,
    /// What the rules take for the application's loopback ports.
    local: [BTreeSet<u16>; 2],
    pause: Duration,
    outbox: Outbox,
}

impl Keeper {
    fn lay_out(link: &Link, layout: &Layout) -> Result<Self, Report> {
        mounts::separate().map_err(at(Step::Mounts))?;
        mounts::resolver(layout).map_err(at(Step::Resolver))?;
        mounts::proc().map_err(at(Step::Mounts))?;

        let families = interior::families();
        interior::lay_out(layout, &families)
            .map_err(|refused| failed(Step::Network, refused.errno, &refused.part))?;
        interior::free_low_ports();
        let ruleset = capture_rules(layout);
        let netfilter = Netfilter::open().map_err(at(Step::Rules))?;
        netfilter.load(&ruleset).map_err(|refused| {
            let errno = Errno::from_raw_os_error(refused.errno());
            failed(Step::Rules, errno, &refused.part)
        })?;

        let mut fds = interior::listeners(layout, &families).map_err(at(Step::Sockets))?;
        let ours = fds.iter().filter_map(inode).collect();
        let mut supplies = Vec::new();
        for family in families {
            let (giving, taking) = Link::pair().map_err(at(Step::Sockets))?;
            socket2::SockRef::from(&giving)
                .set_send_buffer_size(STOCK)
                .map_err(at(Step::Sockets))?;
            supplies.push((family, giving));
            fds.push(taking.into_fd());
        }
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let told = link.send(&Report::Ready.encode(), &fds);
        told.map_err(at(Step::Sockets))?;
        Ok(Self {
            link: link.try_clone().map_err(at(Step::Sockets))?,
            timer: timer().map_err(at(Step::Sockets))?,
            watch: Watch::open().map_err(at(Step::Sockets))?,
            netfilter,
            ruleset,
            ours,
            supplies,
            application: None,
            listening: BTreeSet::new(),
            refused: 0,
            local: Default::default(),
            pause: PAUSE_MIN,
            outbox: Outbox::default(),
        })
    }

    /// Serves until the application has ended and the caller knows it, or the caller has gone.
    /// What still runs inside is killed by the kernel when process 1 ends.
    fn serve(mut self) -> ExitCode {
        // From here on the application may not look into this process or change it.
        _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
        loop {
            match self.turn() {
                Ok(Turn::Again) => {}
                Ok(Turn::Over) => return ExitCode::SUCCESS,
                Err(_) => return ExitCode::FAILURE,
            }
        }
    }

    fn turn(&mut self) -> io::Result<Turn> {
        let ready = self.wait()?;
        if ready.order {
            match self.link.receive_now() {
                Ok(Some(order)) => self.obey(order)?,
                Ok(None) => return Ok(Turn::Over),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if ready.time {
            self.look()?;
            self.pause = (self.pause + self.pause / 10).min(PAUSE_MAX);
            self.set_timer()?;
        }
        self.reap()?;
        for index in ready.supplies {
            self.supply(index)?;
        }
        match self.outbox.flush(&self.link, self.application.as_ref())? {
            true => Ok(Turn::Over),
            false => Ok(Turn::Again),
        }
    }

    /// Blocks until there is something to do.
    fn wait(&self) -> io::Result<Ready> {
        let link = match self.outbox.is_empty() {
            true => PollFlags::IN,
            false => PollFlags::IN | PollFlags::OUT,
        };
        let mut fds = vec![
            PollFd::new(&self.link, link),
            PollFd::new(&self.timer, PollFlags::IN),
        ];
        for (_, supply) in &self.supplies {
            fds.push(PollFd::new(supply, PollFlags::OUT));
        }
        if let Some(application) = &self.application {
            fds.push(PollFd::from_borrowed_fd(application.end(), PollFlags::IN));
        }
        link::wait(&mut fds, None)?;
        let [link, timer, rest @ ..] = &fds[..] else {
            unreachable!("the link and the timer were put there");
        };
        let wanting = rest.iter().take(self.supplies.len()).enumerate();
        Ok(Ready {
            order: !(link.revents() - PollFlags::OUT).is_empty(),
            time: !timer.revents().is_empty(),
            supplies: wanting
                .filter_map(|(index, supply)| (!supply.revents().is_empty()).then_some(index))
                .collect(),
        })
    }

    fn obey(&mut self, received: Received) -> io::Result<()> {
        let order = Order::decode(&received.bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        match order {
            Order::Open(_) => Err(io::ErrorKind::InvalidData.into()),
            Order::Launch => self.launch(received.fds),
            Order::Look => {
                self.look()?;
                self.set_timer()
            }
            Order::Signal(number) => {
                let signal = Signal::from_named_raw(number.into());
                if let (Some(application), Some(signal)) = (&self.application, signal) {
                    // It may have ended just now, and its end is what the caller will hear.
                    _ = application.signal(signal);
                }
                Ok(())
            }
        }
    }

    fn launch(&mut self, fds: Vec<OwnedFd>) -> io::Result<()> {
        let (None, Ok([stdin, stdout, stderr, sheet])) =
            (&self.application, <[_; 4]>::try_from(fds))
        else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let launch = Launch::from_file(sheet)?;
        match Application::start(launch, [stdin, stdout, stderr]) {
            Ok(application) => {
                self.application = Some(application);
                self.outbox.started = true;
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error());
                self.outbox.end = Some(Report::NotStarted { errno });
            }
        }
        // What is left to do is to keep the rules.
        give_up_capabilities(CapabilitySet::NET_ADMIN)?;
        self.pause = PAUSE_MIN;
        self.set_timer()
    }

    /// Looks where the application listens and how many datagrams were refused.
    fn look(&mut self) -> io::Result<()> {
        let refused = self.netfilter.packets(&self.ruleset, UDP_REFUSED)?;
        if refused != self.refused {
            self.refused = refused;
            self.outbox.refused = Some(Report::UdpRefused { datagrams: refused });
        }
        let listening = self.watch.look()?;
        let theirs = listening
            .into_iter()
            .filter(|(_, inode)| !self.ours.contains(inode));
        let listening: BTreeSet<_> = theirs.map(|(address, _)| address).collect();
        if listening != self.listening {
            self.keep_rules(local_ports(&listening))?;
            self.outbox.listening = Some(listening_report(&listening));
            self.listening = listening;
            self.pause = PAUSE_MIN;
        }
        Ok(())
    }

    fn keep_rules(&mut self, local: [BTreeSet<u16>; 2]) -> io::Result<()> {
        let sets = [LOCAL_PORTS, LOCAL_PORTS_6];
        for ((set, held), wanted) in sets.iter().zip(&mut self.local).zip(local) {
            let add = wanted.difference(held).copied().collect();
            let remove = held.difference(&wanted).copied().collect();
            self.netfilter
                .change_set(&self.ruleset, set, &add, &remove)
                .map_err(|refused| io::Error::from_raw_os_error(refused.errno()))?;
            *held = wanted;
        }
        Ok(())
    }

    /// Takes note of every process that has ended: the application, and those it left behind.
    fn reap(&mut self) -> io::Result<()> {
        loop {
            let (pid, status) = match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(ended)) => ended,
                Ok(None) | Err(Errno::CHILD) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            };
            if self.application.as_ref().is_some_and(|it| it.pid() == pid) {
                self.look()?;
                self.outbox.end = Some(Report::Exited(application::exit(status)));
            }
        }
    }

    /// Fills a supply of sockets as far as it takes them.
    fn supply(&self, index: usize) -> io::Result<()> {
        let (family, supply) = &self.supplies[index];
        loop {
            let socket = interior::reaching_in(*family)?;
            match supply.send(&SOCKET, &[socket.as_fd()]) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn set_timer(&self) -> io::Result<()> {
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: 0,
                tv_nsec: self.pause.subsec_nanos().into(),
            },
        };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

/// What there is to do.
struct Ready {
    order: bool,
    time: bool,
    /// The supplies that want filling, by their position.
    supplies: Vec<usize>,
}

enum Turn {
    Again,
    Over,
}

/// What the caller is still to be told. A caller that does not listen makes nothing grow.
#[derive(Default)]
struct Outbox {
    started: bool,
    listening: Option<Report>,
    refused: Option<Report>,
    end: Option<Report>,
}

impl Outbox {
    fn is_empty(&self) -> bool {
        !self.started && self.listening.is_none() && self.refused.is_none() && self.end.is_none()
    }

    /// Tells what the caller takes at once. True when it has been told the end.
    fn flush(&mut self, link: &Link, application: Option<&Application>) -> io::Result<bool> {
        match self.tell(link, application) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            told => told,
        }
    }

    fn tell(&mut self, link: &Link, application: Option<&Application>) -> io::Result<bool> {
        if let (true, Some(application)) = (self.started, application) {
            link.send(&Report::Started.encode(), &[application.end()])?;
            self.started = false;
        }
        for report in [&mut self.listening, &mut self.refused] {
            if let Some(news) = report {
                link.send(&news.encode(), &[])?;
                *report = None;
            }
        }
        if let Some(end) = &self.end {
            link.send(&end.encode(), &[])?;
            return Ok(true);
        }
        Ok(false)
    }
}

/// The report of as many addresses as fit.
fn listening_report(listening: &BTreeSet<SocketAddr>) -> Report {
    let addresses: BTreeSet<_> = listening.iter().copied().take(ADDRESSES_MAX).collect();
    let omitted = u32::try_from(listening.len() - addresses.len()).unwrap_or(u32::MAX);
    Report::Listening { addresses, omitted }
}

/// Turns the error of a step that has no parts into the report of it.
fn at<E: Into<io::Error>>(step: Step) -> impl FnOnce(E) -> Report {
    move |error| {
        let errno = error.into().raw_os_error();
        failed(step, errno.map_or(Errno::IO, Errno::from_raw_os_error), "")
    }
}

fn failed(step: Step, errno: Errno, part: &str) -> Report {
    let what = match part {
        "" => String::new(),
        part => format!(": {part}"),
    };
    Report::Failed {
        step,
        errno: errno.raw_os_error(),
        what,
    }
}

/// The number by which the kernel lists a socket.
fn inode(socket: &OwnedFd) -> Option<u32> {
    rustix::fs::fstat(socket).ok()?.st_ino.try_into().ok()
}

fn timer() -> io::Result<OwnedFd> {
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    Ok(rustix::time::timerfd_create(
        TimerfdClockId::Monotonic,
        flags,
    )?)
}

/// The time between two looks begins here whenever something changes, and grows by a tenth.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// What a socket is wrapped in: a message may not be empty.
const SOCKET: [u8; 1] = [0];

/// The send buffer of a supply, in bytes. The kernel doubles it, and takes about 768 for a message
/// with a socket: some twenty fit, and a supply is filled again when a quarter is left.
const STOCK: usize = 8 * 1024;
