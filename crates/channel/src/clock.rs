//! The one place where a process reads clocks. All that judges certificates reads the same mesh time
//! here: verification, sessions, renewal, whatever ends a connection.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use leno_identity::{Answer, Boot, ClockOff, MeshTime, NotBelieved, Shown, Told};
use leno_model::{Mono, Now, Wall};
use rustix::time::{ClockId, clock_gettime};
use rustls::{pki_types::UnixTime, time_provider::TimeProvider};

/// The clocks of a process. A clone reads the same ones.
#[derive(Clone, Debug)]
pub struct Clocks {
    start: Instant,
    wall: fn() -> Wall,
    boot: fn() -> Boot,
    mesh: Arc<ArcSwap<MeshTime>>,
}

impl Clocks {
    /// Begins to count. Until it is told mesh time, the host's wall clock stands in for it.
    pub fn start() -> Self {
        Self::with_wall(wall)
    }

    /// The same on a host whose wall clock shows something else.
    pub fn with_wall(wall: fn() -> Wall) -> Self {
        Self::with(wall, boot)
    }

    /// The same on a host whose clock since its boot does, too.
    #[expect(clippy::disallowed_methods, reason = "here the clock enters")]
    pub fn with(wall: fn() -> Wall, boot: fn() -> Boot) -> Self {
        Self {
            start: Instant::now(),
            wall,
            boot,
            mesh: Arc::default(),
        }
    }

    /// The clock that only goes forward, and mesh time, read at one moment.
    pub fn now(&self) -> Now {
        Now {
            mono: self.mono(),
            wall: self.mesh(),
        }
    }

    /// The clock that only goes forward and stands still while the machine sleeps, as timers do.
    #[expect(clippy::disallowed_methods, reason = "here the clock enters")]
    pub fn mono(&self) -> Mono {
        Mono::since_start(Instant::now().duration_since(self.start))
    }

    /// Mesh time, for judging certificates.
    pub fn clock(&self) -> Clock {
        let clocks = self.clone();
        Clock::new(move || clocks.mesh())
    }

    /// When `point` is for a timer.
    pub fn instant(&self, point: Mono) -> tokio::time::Instant {
        (self.start + point.since(Mono::default())).into()
    }

    /// The clock that counts from the boot of the host, sleep included.
    pub fn boot(&self) -> Boot {
        (self.boot)()
    }

    /// All that the host's own clocks show.
    pub fn shown(&self) -> Shown {
        Shown {
            mono: self.mono(),
            boot: self.boot(),
            wall: (self.wall)(),
        }
    }

    /// The later of mesh time and the host's wall clock. A machine that was paused is late by the one and,
    /// once it was set, right by the other; it takes the time from no certificate that has ended by either.
    pub fn later(&self) -> Clock {
        let clocks = self.clone();
        Clock::new(move || clocks.mesh().max((clocks.wall)()))
    }

    /// What is known of mesh time.
    pub fn known(&self) -> MeshTime {
        **self.mesh.load()
    }

    /// Goes by what the control plane `answer`ed, if that says more than what is known; gives what
    /// is known then.
    pub fn learn(&self, answer: Answer) -> Result<MeshTime, NotBelieved> {
        let learned = self.mesh.load().learn(answer)?;
        self.mesh.store(Arc::new(learned));
        Ok(learned)
    }

    /// Goes by what was told to an earlier process since the host was booted.
    pub fn take_up(&self, told: Told) {
        self.mesh.store(Arc::new(MeshTime::Told(told)));
    }

    /// Whether mesh time was told.
    pub fn is_told(&self) -> bool {
        matches!(**self.mesh.load(), MeshTime::Told(_))
    }

    /// How the host's wall clock differs from mesh time, if that is worth telling.
    pub fn wall_clock_off(&self) -> Option<ClockOff> {
        self.mesh.load().wall_clock_off(self.boot(), (self.wall)())
    }

    fn mesh(&self) -> Wall {
        match &**self.mesh.load() {
            MeshTime::Unknown => (self.wall)(),
            MeshTime::Told(told) => told.now(self.boot()),
        }
    }
}

/// The time since the host's boot, sleep included.
pub fn boot() -> Boot {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Boot(Duration::new(seconds, nanos))
}

/// The host's civil time.
#[expect(clippy::disallowed_methods, reason = "here the clock enters")]
pub fn wall() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Wall::since_epoch(since.unwrap_or(Duration::ZERO))
}

/// A handle on mesh time. A clone is the same clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Wall + Send + Sync>);

impl Clock {
    /// A clock that asks `read` each time.
    pub fn new(read: impl Fn() -> Wall + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// What time it is.
    pub fn now(&self) -> Wall {
        (self.0)()
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.now().elapsed_since_epoch()))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
