//! The one place of the control plane where clocks are read and chance comes from.

use std::time::{Duration, Instant, SystemTime};

use leno_channel::Clock;
use leno_model::{Dice, Mono, Now, Wall};

/// The host's clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    start: Instant,
}

impl Clocks {
    /// Begins to count.
    #[expect(clippy::disallowed_methods, reason = "here the clock enters")]
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Both clocks, read at one moment.
    #[expect(clippy::disallowed_methods, reason = "here the clock enters")]
    pub(crate) fn now(&self) -> Now {
        Now {
            mono: Mono::since_start(Instant::now().duration_since(self.start)),
            wall: wall(),
        }
    }

    /// When `point` is for a timer.
    pub(crate) fn instant(&self, point: Mono) -> tokio::time::Instant {
        (self.start + point.since(Mono::default())).into()
    }
}

/// Civil time.
#[expect(clippy::disallowed_methods, reason = "here the clock enters")]
pub(crate) fn wall() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Wall::since_epoch(since.unwrap_or(Duration::ZERO))
}

/// Civil time, for judging certificates.
pub(crate) fn wall_clock() -> Clock {
    Clock::new(wall)
}

/// Bytes that nobody can guess.
pub(crate) fn secret<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives chance, or nothing is safe");
    bytes
}

/// Dice that roll differently in each process.
pub(crate) fn dice() -> Dice {
    Dice::new(u64::from_be_bytes(secret()))
}
