//! What happens between a proxy and its control plane that whoever runs the proxy may want to read.

use std::fmt;

use leno_identity::{BadRoot, ClockOff, NotBelieved, NotRenewing, StoodStill};
use leno_model::view::Generation;
use leno_model::{Code, SpiffeId, Wall};
use leno_wire::{NotRestored, Refused};

use crate::reports::Told;

/// Something happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The control plane is there.
    Connected,
    /// The control plane cannot be reached; what is held stays in use.
    Away {
        /// Why.
        why: String,
    },
    /// A view was adopted.
    Adopted {
        /// Which.
        generation: Generation,
        /// How many workloads are in it.
        workloads: usize,
        /// How many services.
        services: usize,
    },
    /// A view was not adopted; what was held stays in use.
    Refused(Refused),
    /// What was saved by an earlier process is not used.
    NotRestored(NotRestored),
    /// A certificate came and is in use.
    Certified {
        /// Whose.
        identity: SpiffeId,
        /// Its last second.
        ends: Wall,
    },
    /// A certificate should have come and did not.
    NotCertified {
        /// Whose.
        identity: SpiffeId,
        /// Why, and what is in force meanwhile; `None` for one that was never had.
        trouble: Option<NotRenewing>,
        /// What the control plane said, or what was in the way.
        why: String,
    },
    /// A certificate has ended that was not renewed, for no workload here needs it.
    Forgotten {
        /// Whose.
        identity: SpiffeId,
    },
    /// A root cannot be used.
    BadRoot(BadRoot),
    /// The host's wall clock began to differ from mesh time.
    ClockOff(ClockOff),
    /// The host's wall clock shows mesh time again.
    ClockRight,
    /// The machine did not run for a while.
    StoodStill(StoodStill),
    /// The control plane told a time that cannot be right.
    TimeNotBelieved(NotBelieved),
    /// Something is amiss with the reports of what goes through the proxy.
    Report(Told),
    /// Something could not be kept on disk.
    NotSaved {
        /// Why.
        why: String,
    },
}

impl Event {
    /// The code of what is wrong, if something is.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Connected
            | Self::Adopted { .. }
            | Self::Certified { .. }
            | Self::Forgotten { .. }
            | Self::ClockRight => None,
            Self::ClockOff(off) => Some(off.code()),
            Self::StoodStill(stood) => Some(stood.code()),
            Self::TimeNotBelieved(_) => Some(Code::T013),
            Self::Away { .. } => Some(Code::D001),
            Self::Refused(why) => Some(why.code()),
            Self::NotRestored(why) => Some(why.code()),
            Self::NotCertified { .. } => Some(Code::T007),
            Self::BadRoot(root) => Some(root.code()),
            Self::NotSaved { .. } => Some(Code::D003),
            Self::Report(_) => Some(Code::D009),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.code() {
            write!(f, "{code} {}: ", code.slug())?;
        }
        match self {
            Self::Connected => f.write_str("connected to the control plane"),
            Self::Away { why } => write!(f, "{why}; what is held stays in force"),
            Self::Adopted {
                generation,
                workloads,
                services,
            } => {
                write!(
                    f,
                    "adopted view {generation}: {}, {}",
                    count(*workloads, "workload"),
                    count(*services, "service")
                )
            }
            Self::Refused(why) => write!(f, "{why}; the view before stays in force"),
            Self::NotRestored(why) => write!(
                f,
                "the view that was kept is not used: {why}; it stands in view.refused, and another is \
                 waited for"
            ),
            Self::Certified { identity, ends } => {
                write!(f, "certificate of {identity}, until {ends}")
            }
            Self::Forgotten { identity } => write!(
                f,
                "the certificate of {identity} has ended, and no workload here needs another"
            ),
            Self::NotCertified {
                identity,
                trouble: Some(trouble),
                ..
            } => {
                write!(f, "{identity}: {trouble}")
            }
            Self::NotCertified {
                identity,
                trouble: None,
                why,
            } => {
                write!(f, "{identity} has no certificate: {why}")
            }
            Self::BadRoot(root) => write!(f, "{root}"),
            Self::ClockOff(off) => write!(f, "{off}; certificates are judged by mesh time"),
            Self::ClockRight => f.write_str("the host's clock shows mesh time again"),
            Self::StoodStill(stood) => write!(f, "{stood}; certificates are judged again"),
            Self::TimeNotBelieved(why) => write!(f, "{why}; mesh time goes on as it was"),
            Self::NotSaved { why } => write!(f, "not kept on disk: {why}"),
            Self::Report(Told::Refused(why)) => {
                write!(
                    f,
                    "the control plane refused a report of this proxy's calls: {why}"
                )
            }
            Self::Report(Told::Lost(calls)) => write!(
                f,
                "{calls} calls are in no report: there was no room for them while the control plane \
                 took none"
            ),
        }
    }
}

/// `1 workload`, `2 workloads`.
fn count(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}
