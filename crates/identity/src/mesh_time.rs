//! Mesh time: what certificates are judged by on every host, whatever its own clock says.
//!
//! It is the host's boot clock, which counts sleep and is set by nobody, plus an offset that the
//! control plane has told; until it has, it is the host's wall clock.

use core::fmt;
use core::time::Duration;

use leno_model::{Code, Mono, Now, Wall};

use crate::certificate::Validity;

/// The longest that the control plane may take to tell the time: an answer is off by half of it at
/// most.
pub const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(2);

/// How far a host's wall clock may be from mesh time before people are told.
pub const WALL_CLOCK_BOUND: Duration = Duration::from_secs(5);

/// How much two good quartz clocks drift apart, as a share of time: 100 in a million each.
const DRIFT: (u32, u32) = (200, 1_000_000);

/// A point on a host's boot clock, counted from when it booted. It means nothing after the next boot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Boot(pub Duration);

impl Boot {
    /// The time from `earlier` to this point; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// What the control plane answered when it was asked for the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// When it was asked.
    pub asked: Boot,
    /// When its answer came.
    pub came: Boot,
    /// What it said.
    pub told: Wall,
    /// When the certificate stands by which it proved itself. Its clock cannot be right outside.
    pub stands: Validity,
}

/// What a process knows of mesh time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MeshTime {
    /// Nothing: the host's wall clock stands in for it.
    #[default]
    Unknown,
    /// It follows the boot clock.
    Told(Told),
}

/// An offset that was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// Mesh time when the boot clock began.
    pub began: Wall,
    /// How far that was off at most, when it was told.
    pub error: Duration,
    /// When it was told.
    pub at: Boot,
}

impl MeshTime {
    /// What time it is, by the host's two clocks.
    pub fn now(&self, boot: Boot, wall: Wall) -> Wall {
        match self {
            Self::Unknown => wall,
            Self::Told(told) => told.now(boot),
        }
    }

    /// What is known once an answer has come: the answer counts from the middle of its round trip.
    /// One that says less than what is known already, because it was longer on its way, changes
    /// nothing. One that contradicts it tells that the control plane's clock was set, and wins.
    pub fn learn(&self, answer: Answer) -> Result<Self, NotBelieved> {
        let Answer {
            asked,
            came,
            told,
            stands,
        } = answer;
        let took = came.since(asked);
        if took > LONGEST_ROUND_TRIP {
            return Err(NotBelieved::TooSlow { took });
        }
        if !stands.has_begun(told) || stands.is_over(told) {
            return Err(NotBelieved::OutsideItsCertificate { told, stands });
        }
        let middle = asked.0 + took / 2;
        let news = Told {
            began: told - middle,
            error: took / 2,
            at: came,
        };
        match self {
            Self::Told(held) if held.is_closer_than(&news) => Ok(*self),
            Self::Told(_) | Self::Unknown => Ok(Self::Told(news)),
        }
    }

    /// How the host's wall clock differs from mesh time, if that is worth telling.
    pub fn wall_clock_off(&self, boot: Boot, wall: Wall) -> Option<ClockOff> {
        let mesh = self.now(boot, wall);
        let (by, is_ahead) = (apart(mesh, wall), mesh < wall);
        (by > WALL_CLOCK_BOUND).then_some(ClockOff { by, is_ahead })
    }
}

impl Told {
    /// What time it is.
    pub fn now(&self, boot: Boot) -> Wall {
        self.began + boot.0
    }

    /// Whether it still says more than `news`, and agrees with it.
    fn is_closer_than(&self, news: &Self) -> bool {
        let (share, of) = DRIFT;
        let error = self.error + news.at.since(self.at) * share / of;
        error < news.error && apart(self.began, news.began) <= error + news.error
    }
}

/// A host's wall clock that differs from mesh time. Certificates are not judged by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockOff {
    /// By how much.
    pub by: Duration,
    /// Whether it is ahead.
    pub is_ahead: bool,
}

impl ClockOff {
    /// The code of every such finding.
    pub fn code(&self) -> Code {
        Code::T013
    }
}

/// `the host's clock is 312.4 s ahead of mesh time`
impl fmt::Display for ClockOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.is_ahead { "ahead of" } else { "behind" };
        let seconds = self.by.as_secs_f64();
        write!(
            f,
            "the host's clock is {seconds:.1} s {direction} mesh time"
        )
    }
}

/// What the clocks of a host show, read at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown {
    /// The clock that timers go by, which stands still while the machine sleeps.
    pub mono: Mono,
    /// The clock that goes on then, and stands still while the machine is paused from outside.
    pub boot: Boot,
    /// The clock that people and their programs set.
    pub wall: Wall,
}

/// Notices between two looks that the machine slept, and that its wall clock left the boot clock.
#[derive(Clone, Copy, Debug)]
pub struct Lookout(Shown);

/// What has happened between two looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Looked {
    /// For how long the machine slept.
    pub slept: Option<Duration>,
    /// Whether the wall clock went on by another measure than the boot clock: somebody set it, or the
    /// machine was paused, or is a copy of what it was. Whoever can tell the time should be asked for it.
    pub is_doubtful: bool,
}

impl Lookout {
    /// Begins to look.
    pub fn new(shown: Shown) -> Self {
        Self(shown)
    }

    /// What has happened since the last look.
    pub fn look(&mut self, shown: Shown) -> Looked {
        let Self(last) = core::mem::replace(self, Self(shown));
        let awake = shown.mono.since(last.mono);
        let asleep = shown.boot.since(last.boot).saturating_sub(awake);
        let began = |shown: Shown| shown.wall - shown.boot.0;
        Looked {
            slept: (asleep > STEADY).then_some(asleep),
            is_doubtful: apart(began(last), began(shown)) > STEADY,
        }
    }
}

/// A machine that did not run for a while. What ended meanwhile is judged anew, and renewed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoodStill {
    /// It slept for so long, and counted that.
    Slept(Duration),
    /// It had counted so much less than the control plane.
    Behind(Duration),
}

impl StoodStill {
    /// What is learned from mesh time that was known as `held` before the control plane told `told`, if that is worth
    /// telling: a machine that is paused, or set back to a snapshot, counts less.
    pub fn between(held: &MeshTime, told: &MeshTime) -> Option<Self> {
        let (MeshTime::Told(held), MeshTime::Told(told)) = (held, told) else {
            return None;
        };
        let behind = told.began.since(held.began);
        (behind > WALL_CLOCK_BOUND).then_some(Self::Behind(behind))
    }

    /// The code of every such finding.
    pub fn code(&self) -> Code {
        Code::T029
    }
}

/// `the machine slept for 3600 s`
impl fmt::Display for StoodStill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slept(time) => write!(f, "the machine slept for {} s", time.as_secs()),
            Self::Behind(time) => write!(
                f,
                "the machine had counted {} s too few: it was paused or set back to a snapshot, or the control \
                 plane's clock was set",
                time.as_secs()
            ),
        }
    }
}

/// Notices that the machine slept, or that a clock was set: mesh time went on by another measure than
/// the clock that timers go by.
#[derive(Clone, Copy, Debug)]
pub struct Pace(Now);

impl Pace {
    /// Begins to watch.
    pub fn new(now: Now) -> Self {
        Self(now)
    }

    /// Whether time has jumped since the last look. Whatever waits for a moment of mesh time must
    /// count anew then.
    pub fn has_jumped(&mut self, now: Now) -> bool {
        let Self(last) = core::mem::replace(self, Self(now));
        let expected = last.wall + now.mono.since(last.mono);
        apart(expected, now.wall) > STEADY
    }
}

/// How unevenly two clocks may go between two looks without anybody having set one.
const STEADY: Duration = Duration::from_millis(500);

fn apart(one: Wall, other: Wall) -> Duration {
    one.since(other).max(other.since(one))
}

/// Why an answer is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotBelieved {
    /// It was too long on its way to say anything.
    #[error("the time was {took:?} on its way, and {LONGEST_ROUND_TRIP:?} is the limit")]
    TooSlow {
        /// How long.
        took: Duration,
    },
    /// Whoever told it could not have proven itself at that time.
    #[error(
        "the control plane says it is {told}, and proves itself by a certificate from {} to {}", stands.begins, stands.ends
    )]
    OutsideItsCertificate {
        /// What it said.
        told: Wall,
        /// When its certificate stands.
        stands: Validity,
    },
}
