//! What there is to tell about a mesh that runs on this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use leno_host::Exit;
use leno_model::view::Protocol;
use leno_model::{Name, Notes};
use leno_telemetry::Record;

/// Something that a person may want to know when it happens.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A workload has this address, to the others.
    Placed(Name, Ipv4Addr),
    /// A workload is up or has ended, or did something else worth a line.
    Changed(Row),
    /// The first call from one workload to another has ended.
    FirstCall(Record),
    /// Something else is written.
    Written {
        /// What does not hold as it was written.
        notes: Notes,
        /// Whether it is in force, as far as it holds.
        in_force: bool,
    },
    /// Something is wrong that costs no call yet.
    Trouble(String),
}

/// A workload as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    /// What it is called.
    pub(crate) name: String,
    /// Its command, as a person would type it.
    pub(crate) typed: String,
    /// The line that says so.
    pub(crate) place: String,
    /// Whether it runs.
    pub(crate) state: State,
    /// Where its ports are reached from this machine.
    pub(crate) published: Vec<Published>,
    /// Its process id.
    pub(crate) pid: Option<u32>,
    /// How many datagrams it sent that were refused.
    pub(crate) udp_refused: u64,
}

/// Whether a workload runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// It has been started and does not listen yet.
    Starting,
    /// It runs; it took so long to listen.
    Up(Duration),
    /// It does not run.
    Ended {
        /// After so long.
        after: Duration,
        /// How.
        how: Ended,
        /// The last that it said.
        last_line: String,
    },
}

/// How a workload ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// It could not be started at all, for this reason.
    NotStarted(String),
    /// It ended.
    Exit(Exit),
}

/// A port of a workload on this machine's loopback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Published {
    /// As the workload has it.
    pub(crate) port: u16,
    /// What is spoken there.
    pub(crate) protocol: Protocol,
    /// Where it is reached.
    pub(crate) at: SocketAddr,
    /// Whether the port that was wanted for it is another program's.
    pub(crate) taken: bool,
}

impl Row {
    /// Whether it ended in a way that it should not.
    pub(crate) fn has_failed(&self) -> bool {
        match &self.state {
            State::Starting | State::Up(_) => false,
            State::Ended { how, .. } => how.is_failure(),
        }
    }

    /// A workload of which nothing is known but that it was started.
    pub(crate) fn starting(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            typed: String::new(),
            place: String::new(),
            state: State::Starting,
            published: Vec::new(),
            pid: None,
            udp_refused: 0,
        }
    }
}

impl Ended {
    /// Whether something went wrong.
    pub(crate) fn is_failure(&self) -> bool {
        match self {
            Self::NotStarted(_) => true,
            Self::Exit(exit) => *exit != Exit::Code(0),
        }
    }
}
