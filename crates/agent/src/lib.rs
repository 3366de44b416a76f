//! Gives applications identities of their own: the SPIFFE Workload API on a Unix socket.
//!
//! Who asks is known from the kernel, and [`Served`] says who that is; an application shows nothing. Its
//! keys are its own: a proxy's never leave it. An [`Authority`] signs.

mod answer;
mod attest;
mod certificates;
mod door;
mod messages;
mod serve;
mod served;
mod tokens;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use leno_channel::Clocks;
use leno_identity::Credential;
use leno_model::{Code, SpiffeId};
use tokio::sync::watch;

pub use door::Door;
pub use served::{Served, Workload};

use crate::certificates::Certificates;
use crate::serve::Calls;
use crate::tokens::Tokens;

/// The variable that tells an application where the SPIFFE Workload API is (SPIFFE Workload Endpoint,
/// section 4).
pub const VARIABLE: &str = "SPIFFE_ENDPOINT_SOCKET";

/// The longest path of a socket to which every client can connect (`sun_path`).
pub const LONGEST_PATH: usize = 107;

/// What an authority gives, in time.
pub type Given<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// Signs for applications.
pub trait Authority: Send + Sync + 'static {
    /// A certificate of `id` for a new key.
    fn certificate(&self, id: &SpiffeId) -> Given<Credential>;

    /// A JWT-SVID of `id` for `audiences`.
    fn token(&self, id: &SpiffeId, audiences: &[String]) -> Given<String>;
}

/// Serves the SPIFFE Workload API.
pub struct Agent {
    door: Door,
    calls: Arc<Calls>,
}

impl Agent {
    /// Answers those who come to `door` once it runs, by the newest of `served`; `tell` is called with
    /// what happens.
    pub fn new(
        door: Door,
        served: watch::Receiver<Arc<Served>>,
        authority: Arc<dyn Authority>,
        clocks: Clocks,
        seed: u64,
        tell: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Self {
        let certificates =
            Certificates::new(Arc::clone(&authority), served.clone(), clocks.clone(), seed);
        Self {
            door,
            calls: Arc::new(Calls {
                served,
                certificates: Arc::new(certificates),
                tokens: Tokens::new(authority, clocks.clone()),
                clocks,
                told: Mutex::default(),
                tell: Box::new(tell),
            }),
        }
    }

    /// Answers for as long as it is polled.
    pub async fn run(self) {
        let Self { door, calls } = self;
        door.run(move |stream, peer| serve::connection(Arc::clone(&calls), stream, peer))
            .await;
    }
}

/// Something happened that whoever runs an agent may want to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A process got certificates or a token.
    Given {
        /// The process.
        to: String,
        /// Who it is.
        identity: SpiffeId,
        /// What it asked for.
        what: &'static str,
    },
    /// A process got nothing.
    Refused {
        /// The process.
        to: String,
        /// Why.
        why: String,
    },
}

impl Event {
    /// What went wrong, if something did.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Given { .. } => None,
            Self::Refused { .. } => Some(Code::T021),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given { to, identity, what } => write!(f, "{to} got {what} of {identity}"),
            Self::Refused { to, why } => {
                let (code, slug) = (Code::T021, Code::T021.slug());
                write!(f, "{code} {slug}: {to}: {why}")
            }
        }
    }
}
