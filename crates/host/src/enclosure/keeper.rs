//! The keeper: process 1 of an enclosure, or a process like others where it has no walls. It lays the
//! enclosure out, starts the application, and then waits: for orders, for a place in the supplies of
//! sockets, for the application's end, and for the time to look again where it listens.

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
    process::{DumpableBehavior, Pid, Signal, WaitOptions},
    thread::CapabilitySet,
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags},
};

use super::{
    Family, Layout, Step, Walls,
    application::{self, Application, Bounds, give_up_capabilities},
    descendants, interior,
    message::{Launch, Order, Report},
    mounts,
    outbox::Outbox,
    rules::Rules,
    supply::Supply,
};
use crate::{
    link::{self, Link, Received},
    listening::{Listening, Watch},
    nft::LoadError,
};

/// The keeper's whole life. Its standard input is the link to the caller.
pub(super) fn run() -> ExitCode {
    let Ok(link) = io::stdin().as_fd().try_clone_to_owned().map(Link::from) else {
        return ExitCode::FAILURE;
    };
    match open(&link) {
        Ok(keeper) => keeper.serve(link),
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
    let (keeper, fds) = match layout {
        Some(layout) => Keeper::lay_out(&layout)?,
        None => Keeper::step_beside()?,
    };
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let told = link.send(&Report::Ready.encode(), &fds);
    told.map_err(at(Step::Sockets))?;
    Ok(keeper)
}

struct Keeper {
    timer: OwnedFd,
    watch: Watch,
    inside: Inside,
    supplies: Vec<Supply>,
    application: Option<Application>,
    /// What the last look saw.
    listening: BTreeSet<SocketAddr>,
    refused: u64,
    pause: Duration,
    outbox: Outbox,
}

/// What the application is inside of.
enum Inside {
    /// Namespaces, in which everything is its own.
    Walls {
        rules: Box<Rules>,
        /// But for the listeners that were passed out.
        ours: BTreeSet<u32>,
    },
    /// This machine, where only its own processes' sockets are its own. Its terminal is that of this
    /// process group.
    Machine { group: Pid },
}

impl Keeper {
    /// Lays everything out, and returns what the caller is to hold of it.
    fn lay_out(layout: &Layout) -> Result<(Self, Vec<OwnedFd>), Report> {
        mounts::separate().map_err(at(Step::Mounts))?;
        mounts::resolver(layout).map_err(at(Step::Resolver))?;
        mounts::proc().map_err(at(Step::Mounts))?;

        let families = interior::families();
        interior::lay_out(layout, &families).map_err(|refused| {
            failed(Step::Network, refused.errno.raw_os_error(), &refused.part)
        })?;
        interior::free_low_ports();
        let rules = Box::new(Rules::load(layout)?);

        let mut fds = interior::listeners(&families).map_err(at(Step::Sockets))?;
        let ours = fds.iter().filter_map(inode).collect();
        let inside = Inside::Walls { rules, ours };
        let keeper = Self::new(inside, &families, &mut fds).map_err(at(Step::Sockets))?;
        Ok((keeper, fds))
    }

    /// Prepares for an application without walls, and returns what the caller is to hold.
    fn step_beside() -> Result<(Self, Vec<OwnedFd>), Report> {
        descendants::adopt_orphans().map_err(at(Step::Keeper))?;
        // The terminal's signals are for the application, which goes back to this group.
        let group = rustix::process::getpgrp();
        rustix::process::setpgid(None, None).map_err(at(Step::Keeper))?;
        let (inside, mut fds) = (Inside::Machine { group }, Vec::new());
        let keeper = Self::new(inside, &interior::families(), &mut fds);
        Ok((keeper.map_err(at(Step::Sockets))?, fds))
    }

    /// A keeper with a supply for each family, whose other ends are added to `fds`.
    fn new(inside: Inside, families: &[Family], fds: &mut Vec<OwnedFd>) -> io::Result<Self> {
        let mut supplies = Vec::new();
        for family in families {
            let (supply, taking) = Supply::open(*family, inside.walls())?;
            supplies.push(supply);
            fds.push(taking.into_fd());
        }
        Ok(Self {
            timer: timer()?,
            watch: Watch::open()?,
            inside,
            supplies,
            application: None,
            listening: BTreeSet::new(),
            refused: 0,
            pause: PAUSE_MIN,
            outbox: Outbox::default(),
        })
    }

    /// Serves until the application has ended and the caller knows it, or the caller has gone.
    /// What still runs inside is killed by the kernel when process 1 ends, or else by the guard.
    fn serve(mut self, link: Link) -> ExitCode {
        // From here on the application may not look into this process or change it.
        _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
        loop {
            match self.turn(&link) {
                Ok(Turn::Again) => {}
                Ok(Turn::Over) => return ExitCode::SUCCESS,
                Err(_) => return ExitCode::FAILURE,
            }
        }
    }

    fn turn(&mut self, link: &Link) -> io::Result<Turn> {
        let ready = self.wait(link)?;
        if ready.order {
            match link.receive_now() {
                Ok(Some(order)) => self.obey(order)?,
                Ok(None) => return Ok(Turn::Over),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if ready.time {
            self.pause = (self.pause + self.pause / 10).min(PAUSE_MAX);
            self.supplies.iter_mut().for_each(Supply::wake);
            self.look();
            self.set_timer()?;
        }
        for index in ready.supplies {
            self.supplies[index].fill();
        }
        self.reap()?;
        match self.outbox.flush(link, self.application.as_ref())? {
            true => Ok(Turn::Over),
            false => Ok(Turn::Again),
        }
    }

    /// Blocks until there is something to do.
    fn wait(&self, link: &Link) -> io::Result<Ready> {
        let nothing_to_tell = self.outbox.is_empty();
        let order = if nothing_to_tell {
            PollFlags::IN
        } else {
            PollFlags::IN | PollFlags::OUT
        };
        let mut fds = vec![
            PollFd::new(link, order),
            PollFd::new(&self.timer, PollFlags::IN),
        ];
        for supply in &self.supplies {
            let room = if supply.rests() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            fds.push(PollFd::new(supply, room));
        }
        if let Some(application) = self
            .application
            .as_ref()
            .filter(|_| !self.outbox.holds_end())
        {
            fds.push(PollFd::from_borrowed_fd(application.end(), PollFlags::IN));
        }
        link::wait(&mut fds, None)?;
        let [link, timer, rest @ ..] = &fds[..] else {
            unreachable!("the link and the timer were put there");
        };
        let supplies = rest.iter().take(self.supplies.len()).enumerate();
        Ok(Ready {
            order: !(link.revents() - PollFlags::OUT).is_empty(),
            time: !timer.revents().is_empty(),
            supplies: supplies
                .filter(|(_, supply)| supply.revents().contains(PollFlags::OUT))
                .map(|(index, _)| index)
                .collect(),
        })
    }

    fn obey(&mut self, received: Received) -> io::Result<()> {
        let order = Order::decode(&received.bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        match order {
            Order::Open(_) => Err(io::ErrorKind::InvalidData.into()),
            Order::Launch => self.launch(received.fds),
            Order::Look => {
                self.look();
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
        let bounds = match self.inside {
            Inside::Walls { .. } => Bounds::Walls,
            Inside::Machine { group } => Bounds::Keeper { group },
        };
        match Application::start(launch, [stdin, stdout, stderr], bounds) {
            Ok(application) => {
                self.application = Some(application);
                self.outbox.started();
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error());
                self.outbox.end(Report::NotStarted { errno });
            }
        }
        if let Inside::Walls { .. } = self.inside {
            // What is left to do is to keep the rules.
            give_up_capabilities(CapabilitySet::NET_ADMIN)?;
        }
        self.pause = PAUSE_MIN;
        self.set_timer()
    }

    /// Looks where the application listens and how many datagrams were refused. What cannot be seen
    /// this time is looked for the next time; the rules stay as they are until then.
    fn look(&mut self) {
        if let Some(refused) = self.inside.refused()
            && refused != self.refused
        {
            self.refused = refused;
            self.outbox.refused(refused);
        }
        let Ok(listening) = self.watch.look() else {
            return;
        };
        let listening = self.inside.theirs(listening);
        if listening != self.listening && self.inside.keep_rules(&listening).is_ok() {
            self.outbox.listening(&listening);
            self.listening = listening;
            self.pause = PAUSE_MIN;
        }
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
                self.look();
                self.outbox.end(Report::Exited(application::exit(status)));
            }
        }
    }

    fn set_timer(&self) -> io::Result<()> {
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: link::timespec(self.pause),
        };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

impl Inside {
    fn walls(&self) -> Walls {
        match self {
            Self::Walls { .. } => Walls::Namespaces,
            Self::Machine { .. } => Walls::None,
        }
    }

    /// How many datagrams were refused, if any are.
    fn refused(&self) -> Option<u64> {
        match self {
            Self::Walls { rules, .. } => rules.refused(),
            Self::Machine { .. } => None,
        }
    }

    /// Where the application listens, of all that is listened on.
    fn theirs(&self, listening: Listening) -> BTreeSet<SocketAddr> {
        let owned = match self {
            Self::Walls { .. } => BTreeSet::new(),
            Self::Machine { .. } => descendants::sockets(),
        };
        let theirs = listening.into_iter().filter(|(_, inode)| match self {
            Self::Walls { ours, .. } => !ours.contains(inode),
            Self::Machine { .. } => owned.contains(inode),
        });
        theirs.map(|(address, _)| address).collect()
    }

    fn keep_rules(&mut self, listening: &BTreeSet<SocketAddr>) -> Result<(), LoadError> {
        match self {
            Self::Walls { rules, .. } => rules.keep(listening),
            Self::Machine { .. } => Ok(()),
        }
    }
}

/// What there is to do.
struct Ready {
    order: bool,
    time: bool,
    /// The supplies with room, by their position.
    supplies: Vec<usize>,
}

enum Turn {
    Again,
    Over,
}

/// Turns the error of a step that has no parts into the report of it.
pub(super) fn at<E: Into<io::Error>>(step: Step) -> impl FnOnce(E) -> Report {
    move |error| {
        let errno = error.into().raw_os_error();
        failed(step, errno.unwrap_or(Errno::IO.raw_os_error()), "")
    }
}

pub(super) fn failed(step: Step, errno: i32, part: &str) -> Report {
    let what = match part {
        "" => String::new(),
        part => format!(": {part}"),
    };
    Report::Failed { step, errno, what }
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
const PAUSE_MAX: Duration = Duration::from_secs(1);
