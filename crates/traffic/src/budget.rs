//! How many retries there may be beside first tries. Exact for the whole process: all workers
//! share one budget per service port, and it takes no lock.

use core::sync::atomic::{AtomicU64, Ordering};

use leno_model::Mono;
use leno_model::view::Budget;

/// The first tries and retries of one service port over the last ten seconds.
///
/// Time is cut into ticks. A tick that lies only partly in the window counts with its retries and
/// without its first tries, so that no retry is ever granted that the exact window would not.
#[derive(Debug)]
pub struct RetryBudget {
    limits: Budget,
    /// Ticks by their number modulo [`TICKS`], each packed as [`Tick`] says.
    ticks: [AtomicU64; TICKS as usize],
}

impl RetryBudget {
    /// A budget of which nothing is spent.
    pub fn new(limits: Budget) -> Self {
        Self {
            limits,
            ticks: [const { AtomicU64::new(0) }; TICKS as usize],
        }
    }

    /// Counts a first try.
    pub fn deposit(&self, now: Mono) {
        self.change(tick_at(now), |tick| Tick {
            tries: tick.tries.saturating_add(1).min(Tick::MOST_TRIES),
            ..tick
        });
    }

    /// Takes one retry out; `false` if none is left.
    pub fn withdraw(&self, now: Mono) -> bool {
        let number = tick_at(now);
        // Taken before it is counted: of two workers that want the last one, both may go without,
        // and never do both get it.
        let before = self.change(number, |tick| Tick {
            retries: (tick.retries + 1).min(Tick::MOST_RETRIES),
            ..tick
        });
        if before.retries == Tick::MOST_RETRIES {
            return false;
        }
        if self.is_within(number) {
            return true;
        }
        self.change(number, |tick| Tick {
            retries: tick.retries - u16::from(tick.number == number),
            ..tick
        });
        false
    }

    fn is_within(&self, number: u64) -> bool {
        let (mut tries, mut retries) = (0u64, 0u64);
        for tick in &self.ticks {
            let tick = Tick::unpack(tick.load(Ordering::Acquire));
            match number.checked_sub(tick.number) {
                None | Some(0..WHOLE_TICKS) => {
                    tries += u64::from(tick.tries);
                    retries += u64::from(tick.retries);
                }
                Some(WHOLE_TICKS) => retries += u64::from(tick.retries),
                Some(_) => {}
            }
        }
        let share = tries * u64::from(self.limits.percent) / 100;
        let least = u64::from(self.limits.at_least_per_second) * WINDOW_SECONDS;
        retries <= share + least
    }

    /// Changes the counts of a tick, beginning it if another held its place, and says what they
    /// were. A worker whose clock was read a little earlier counts in the tick that has begun.
    fn change(&self, number: u64, to: impl Fn(Tick) -> Tick) -> Tick {
        let place = usize::try_from(number % TICKS).expect("less than the number of ticks");
        let cell = &self.ticks[place];
        let mut held = cell.load(Ordering::Acquire);
        loop {
            let mut tick = Tick::unpack(held);
            if tick.number < number {
                tick = Tick {
                    number,
                    tries: 0,
                    retries: 0,
                };
            }
            let changed = to(tick).pack();
            match cell.compare_exchange_weak(held, changed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return tick,
                Err(other) => held = other,
            }
        }
    }
}

const WINDOW_SECONDS: u64 = 10;
const TICK_MILLIS: u64 = 250;
/// How many ticks lie wholly in the window, the running one included.
const WHOLE_TICKS: u64 = WINDOW_SECONDS * 1000 / TICK_MILLIS;
/// Those, and the one that lies partly in it.
const TICKS: u64 = WHOLE_TICKS + 1;

/// Which tick a moment lies in. It begins at [`TICKS`], so that a cell of zeros is long over.
fn tick_at(now: Mono) -> u64 {
    let elapsed = now.since(Mono::default()).as_millis() / u128::from(TICK_MILLIS);
    u64::try_from(elapsed)
        .unwrap_or(u64::MAX)
        .saturating_add(TICKS)
        .min(Tick::MOST_NUMBER)
}

/// The counts of one tick: its number in 30 bits (eight years), first tries in 19, retries in 15.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Tick {
    number: u64,
    tries: u32,
    retries: u16,
}

impl Tick {
    const MOST_NUMBER: u64 = (1 << 30) - 1;
    const MOST_TRIES: u32 = (1 << 19) - 1;
    const MOST_RETRIES: u16 = (1 << 15) - 1;

    fn pack(self) -> u64 {
        self.number << 34 | u64::from(self.tries) << 15 | u64::from(self.retries)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "each part is masked to its width"
    )]
    fn unpack(packed: u64) -> Self {
        Self {
            number: packed >> 34,
            tries: (packed >> 15) as u32 & Self::MOST_TRIES,
            retries: packed as u16 & Self::MOST_RETRIES,
        }
    }
}
