//! The one place of the proxy where clocks are read.

use std::time::{Duration, Instant, SystemTime};

use leno_channel::Clock;
use leno_model::{Mono, Now, Wall};

/// The host's clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    start: Instant,
}

impl Clocks {
    /// Begins to count.
    #[expect(clippy::disallowed_methods, reason = "here the clock enters")]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Both clocks, read at one moment.
    pub fn now(&self) -> Now {
        Now {
            mono: self.mono(),
            wall: wall(),
        }
    }

    /// The clock that only goes forward.
    #[expect(clippy::disallowed_methods, reason = "here the clock enters")]
    pub(crate) fn mono(&self) -> Mono {
        Mono::since_start(Instant::now().duration_since(self.start))
    }

    /// Civil time, for judging certificates.
    pub fn wall_clock(&self) -> Clock {
        Clock::new(wall)
    }

    /// When `point` is for a timer.
    pub(crate) fn instant(&self, point: Mono) -> tokio::time::Instant {
        (self.start + point.since(Mono::default())).into()
    }
}

#[expect(clippy::disallowed_methods, reason = "here the clock enters")]
fn wall() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Wall::since_epoch(since.unwrap_or(Duration::ZERO))
}
