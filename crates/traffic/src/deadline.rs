//! When an exchange must be over, and what of it a time is for.

use core::time::Duration;

use leno_model::Mono;

/// A point in time after which nobody waits for the answer, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline(Option<Mono>);

impl Deadline {
    /// `limit` after `start`; `None` is no limit.
    pub fn after(start: Mono, limit: Option<Duration>) -> Self {
        Self(limit.map(|limit| start + limit))
    }

    /// This one, or `end` if that is sooner.
    pub fn or_sooner(self, end: Mono) -> Self {
        Self(Some(self.0.map_or(end, |own| own.min(end))))
    }

    /// When to wake up and ask [`Self::has_passed`]; `None` is never.
    pub fn poll_timeout(self) -> Option<Mono> {
        self.0
    }

    /// Whether it is over.
    pub fn has_passed(self, now: Mono) -> bool {
        self.0.is_some_and(|end| end <= now)
    }
}

/// What a time is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timed {
    /// The whole exchange.
    Request,
    /// One try of it.
    Try,
    /// One attempt to connect.
    Connect,
}

impl Timed {
    /// As the field is called that sets it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Try => "backendRequest",
            Self::Connect => "connect",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_at_its_moment() {
        let at = |millis| Mono::since_start(Duration::from_millis(millis));
        let deadline = Deadline::after(at(100), Some(Duration::from_millis(50)));
        assert_eq!(deadline.poll_timeout(), Some(at(150)));
        assert!(!deadline.has_passed(at(149)));
        assert!(deadline.has_passed(at(150)));
        let endless = Deadline::after(at(100), None);
        assert_eq!(endless.poll_timeout(), None);
        assert!(!endless.has_passed(at(u64::MAX)));
        for (one, sooner) in [(deadline, 120), (deadline, 150), (endless, 7)] {
            let end = one.or_sooner(at(sooner)).poll_timeout();
            assert_eq!(end, Some(at(sooner)));
        }
        assert_eq!(deadline.or_sooner(at(200)), deadline);
    }
}
