//! What there is to tell about a mesh that runs on this machine.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use leno_admin::{Change, Failure, Finding, Past};
use leno_host::Exit;
use leno_model::Code;
use leno_model::view::{Protocol, WorkloadId};
use leno_telemetry::Record;

use super::called;

/// Something that a person may want to know when it happens.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A workload has this address, to the others.
    Placed(WorkloadId, Ipv4Addr),
    /// A workload that is not captured finds this in its environment.
    Told(WorkloadId, Vec<(String, String)>),
    /// A workload is up or has ended, or did something else worth a line.
    Changed(Row),
    /// The first call from one workload to another that went well has ended.
    FirstCall(Record),
    /// The first call has failed, and none has gone well before.
    FirstFailure(Record),
    /// Another revision is in force.
    Revised(Revised),
    /// Something else is written and means what is in force already: this revision.
    Same(u64),
    /// Something else is written and is not in force.
    NotInForce {
        /// Why.
        why: Failure,
        /// The revision that is in force meanwhile.
        meanwhile: u64,
    },
    /// Something is wrong that costs no call yet.
    Trouble(String),
}

/// A revision that came in force.
#[derive(Clone, Debug)]
pub(crate) struct Revised {
    /// Its number.
    pub(crate) revision: u64,
    /// Who made it, how and why.
    pub(crate) past: Option<Past>,
    /// What leads to it from the one that was in force.
    pub(crate) changes: Vec<Change>,
    /// What does not hold as it was written, of what it brought.
    pub(crate) findings: Vec<Finding>,
    /// What became of programs.
    pub(crate) programs: Vec<(WorkloadId, Followed)>,
    /// The file that does not say this; what it says is applied again when it changes.
    pub(crate) until: Option<&'static str>,
}

/// What became of a program when something else was written of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Followed {
    /// It is new.
    Started,
    /// It runs in another way: this has changed.
    Restarted(&'static str),
    /// Nobody asks for it any more.
    Ended,
}

/// A workload as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    /// Which one.
    pub(crate) id: WorkloadId,
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
    /// It could not be started at all, for this reason of the system's: its number.
    NotStarted(i32),
    /// It ended.
    Exit(Exit),
}

/// A port of a workload on this machine's loopback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Published {
    /// As the workload has it.
    pub(crate) port: u16,
    /// What is spoken there.
    pub(crate) protocol: Protocol,
    /// Where it is reached.
    pub(crate) at: SocketAddr,
    /// The host by which it is told from others there, if it shares the address.
    pub(crate) host: Option<String>,
    /// Whether the port that was wanted for it is another program's.
    pub(crate) taken: bool,
}

/// What to open or connect to: `http://localhost:3000`, `localhost:5432`.
impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.host.as_deref().unwrap_or("localhost"), self.at.port());
        match self.protocol.is_http() {
            true => write!(f, "http://{host}:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

impl Row {
    /// What people call it.
    pub(crate) fn called(&self) -> String {
        called(&self.id)
    }

    /// Whether it ended in a way that it should not.
    pub(crate) fn has_failed(&self) -> bool {
        match &self.state {
            State::Starting | State::Up(_) => false,
            State::Ended { how, .. } => how.is_failure(),
        }
    }

    /// A workload of which nothing is known but that it was started.
    pub(crate) fn starting(id: WorkloadId) -> Self {
        Self {
            id,
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
        self.code().is_some()
    }

    /// What kind of failure it is, if it is one.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::NotStarted(errno) => Some(match io::Error::from_raw_os_error(*errno).kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => Code::U001,
                _ => Code::H003,
            }),
            // So a shell says that it did not find a program, or may not run it.
            Self::Exit(Exit::Code(126 | 127)) => Some(Code::U001),
            Self::Exit(Exit::Code(0)) => None,
            Self::Exit(Exit::Lost) => Some(Code::H003),
            Self::Exit(Exit::Code(_) | Exit::Signal(_)) => Some(Code::U002),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_end_has_its_code() {
        for (how, code) in [
            (Ended::NotStarted(2), Some(Code::U001)),
            (Ended::NotStarted(13), Some(Code::U001)),
            (Ended::NotStarted(24), Some(Code::H003)),
            (Ended::Exit(Exit::Code(0)), None),
            (Ended::Exit(Exit::Code(127)), Some(Code::U001)),
            (Ended::Exit(Exit::Code(1)), Some(Code::U002)),
            (Ended::Exit(Exit::Signal(9)), Some(Code::U002)),
            (Ended::Exit(Exit::Lost), Some(Code::H003)),
        ] {
            assert_eq!(how.code(), code, "{how:?}");
        }
    }
}
