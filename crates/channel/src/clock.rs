//! Mesh time, as the shell knows it. Certificates and sessions are judged by it and nothing else.

use std::{fmt, sync::Arc};

use leno_model::Wall;
use rustls::{pki_types::UnixTime, time_provider::TimeProvider};

/// A handle on mesh time that the shell provides. A clone is the same clock.
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
