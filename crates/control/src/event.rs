//! What happens in a control plane that whoever runs it may want to read.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use leno_identity::Fingerprint;
use leno_model::view::{Generation, WorkloadId};
use leno_model::{Code, ControlName, Override, SpiffeId, TrustDomain, Wall};
use leno_store::Revision;

/// Something happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Proxies are taken care of at this address.
    Listening(SocketAddr),
    /// This one, of several, acts from here on.
    Acts(String),
    /// Another one acts, of that name.
    StandsBy(String),
    /// This one acts no more.
    ActsNoMore(String),
    /// A control plane beside this one was given an intermediate that ends then.
    Endorsed {
        /// Which.
        name: ControlName,
        /// Its last second.
        until: Wall,
    },
    /// The CA of a trust domain was made.
    Founded(TrustDomain),
    /// A measure holds from here on, until then.
    Overridden(Override, Wall),
    /// A measure holds no more.
    OverrideEnded(Override),
    /// A root stands in bundles from here on, and is to sign next.
    RootAnnounced(Fingerprint),
    /// A root signs from here on.
    RootActivated(Fingerprint),
    /// A root stands in bundles no more: nothing leads to it.
    RootRemoved(Fingerprint),
    /// The intermediate was replaced by one that ends then.
    IntermediateRenewed(Wall),
    /// The configuration was read anew.
    Compiled {
        /// The newest revision of the store.
        revision: Revision,
        /// How many objects there are, folders included.
        objects: usize,
        /// How many errors.
        problems: usize,
    },
    /// Somebody got its first certificate.
    Joined {
        /// As whom.
        identity: SpiffeId,
        /// From where.
        from: String,
        /// What it showed, without a secret.
        evidence: String,
    },
    /// Somebody was not let in.
    NotJoined {
        /// What kind of reason.
        code: Code,
        /// From where.
        from: String,
        /// What it showed, without a secret.
        evidence: String,
        /// Why.
        why: String,
    },
    /// Somebody whose certificate has ended asks for another, and is not let in yet.
    WaitsForReadmission {
        /// Who it was.
        identity: SpiffeId,
        /// From where.
        address: IpAddr,
    },
    /// Somebody got a certificate for one that had ended.
    Readmitted {
        /// Who it was, and is.
        identity: SpiffeId,
        /// From where.
        address: IpAddr,
    },
    /// Somebody went away for good.
    Left {
        /// Who.
        identity: SpiffeId,
        /// The workloads that nobody calls any more.
        workloads: BTreeSet<WorkloadId>,
    },
    /// A proxy is connected.
    Connected {
        /// What it calls itself.
        proxy: String,
        /// Who it proved to be.
        identity: SpiffeId,
    },
    /// A proxy is not connected any more.
    Gone {
        /// What it called itself.
        proxy: String,
        /// Why.
        why: String,
    },
    /// A proxy did not adopt its view.
    Refused {
        /// What kind of reason.
        code: Code,
        /// What it calls itself.
        proxy: String,
        /// The view it did not adopt.
        generation: Generation,
        /// Why.
        why: String,
    },
    /// A change that was watched went back by itself.
    WentBack {
        /// The revision that it made.
        revision: Revision,
        /// The one that took it back.
        by: Revision,
        /// Why.
        why: String,
    },
    /// Every proxy follows this store from here on, whatever it held.
    Recovered {
        /// The epoch that began.
        epoch: u64,
    },
    /// Another trust domain has other keys than before.
    PeerKeys {
        /// Which.
        domain: TrustDomain,
        /// The sequence that it gives them, if it says one.
        sequence: Option<u64>,
    },
    /// Something should work and does not, and will be tried again.
    Trouble {
        /// What kind.
        code: Code,
        /// In words.
        what: String,
    },
}

impl Event {
    /// What went wrong, if something did.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. }
            | Self::Trouble { code, .. }
            | Self::NotJoined { code, .. } => Some(*code),
            Self::WaitsForReadmission { .. } => Some(Code::T016),
            Self::WentBack { .. } => Some(Code::S013),
            Self::ActsNoMore(_) => Some(Code::S020),
            Self::Acts(_) | Self::StandsBy(_) => None,
            Self::Listening(_)
            | Self::Endorsed { .. }
            | Self::Founded(_)
            | Self::Overridden(..)
            | Self::OverrideEnded(_)
            | Self::RootAnnounced(_)
            | Self::RootActivated(_)
            | Self::RootRemoved(_)
            | Self::IntermediateRenewed(_)
            | Self::Compiled { .. }
            | Self::Joined { .. }
            | Self::Readmitted { .. }
            | Self::Left { .. }
            | Self::Connected { .. }
            | Self::Gone { .. }
            | Self::PeerKeys { .. }
            | Self::Recovered { .. } => None,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acts(own) => write!(f, "{own} acts from here on"),
            Self::StandsBy(acting) => write!(f, "standing by: {acting} acts"),
            Self::ActsNoMore(own) => {
                let (code, slug) = (Code::S020, Code::S020.slug());
                write!(
                    f,
                    "{code} {slug}: {own} acts no more, and stands by from here on"
                )
            }
            Self::Listening(address) => write!(f, "listening on {address}"),
            Self::Endorsed { name, until } => {
                write!(
                    f,
                    "gave the control plane {name} an intermediate until {until}"
                )
            }
            Self::Founded(domain) => write!(f, "founded the CA of {domain}"),
            Self::Overridden(Override { id, measure }, until) => {
                write!(f, "override {id} holds until {until}: {measure}")
            }
            Self::OverrideEnded(Override { id, measure }) => {
                write!(f, "override {id} holds no more: {measure}")
            }
            Self::RootAnnounced(root) => write!(
                f,
                "root {} is announced, and signs once all who could meet it hold it",
                brief(root)
            ),
            Self::RootActivated(root) => write!(f, "root {} signs", brief(root)),
            Self::RootRemoved(root) => {
                write!(f, "root {} is gone: nothing leads to it", brief(root))
            }
            Self::IntermediateRenewed(ends) => write!(f, "a new intermediate signs, until {ends}"),
            Self::Compiled {
                revision,
                objects,
                problems,
            } => {
                write!(
                    f,
                    "revision {revision}: {objects} objects, {problems} problems"
                )
            }
            Self::Joined {
                identity,
                from,
                evidence,
            } => {
                write!(f, "{identity} joined from {from} by {evidence}")
            }
            Self::NotJoined {
                code,
                from,
                evidence,
                why,
            } => {
                let slug = code.slug();
                write!(
                    f,
                    "{code} {slug}: from {from}, who showed {evidence}: {why}"
                )
            }
            Self::WaitsForReadmission { identity, address } => {
                let (code, slug) = (Code::T016, Code::T016.slug());
                write!(
                    f,
                    "{code} {slug}: {identity} at {address}, whose certificate has ended, asks to be \
                     let in: leno certs readmit"
                )
            }
            Self::Readmitted { identity, address } => {
                write!(
                    f,
                    "{identity} at {address}, whose certificate had ended, was let in again"
                )
            }
            Self::Left {
                identity,
                workloads,
            } => {
                let workloads: Vec<_> = workloads.iter().map(ToString::to_string).collect();
                write!(f, "{identity} has left, with {}", workloads.join(", "))
            }
            Self::Connected { proxy, identity } => {
                write!(f, "proxy {proxy:?} connected as {identity}")
            }
            Self::Gone { proxy, why } => write!(f, "proxy {proxy:?} is gone: {why}"),
            Self::Refused {
                code,
                proxy,
                generation,
                why,
            } => {
                write!(
                    f,
                    "{code} {}: proxy {proxy:?} did not adopt {generation}: {why}",
                    code.slug()
                )
            }
            Self::WentBack { revision, by, why } => {
                let (code, slug) = (Code::S013, Code::S013.slug());
                write!(
                    f,
                    "{code} {slug}: revision {revision} by revision {by}: {why}"
                )
            }
            Self::PeerKeys { domain, sequence } => {
                write!(
                    f,
                    "identities of {domain} are proven by the keys that it told"
                )?;
                match sequence {
                    Some(sequence) => write!(f, ", sequence {sequence}"),
                    None => Ok(()),
                }
            }
            Self::Recovered { epoch } => write!(f, "recovered: epoch {epoch} begins"),
            Self::Trouble { code, what } => write!(f, "{code} {}: {what}", code.slug()),
        }
    }
}

/// The first digits, by which people tell roots apart.
fn brief(root: &Fingerprint) -> String {
    root.to_string().chars().take(8).collect()
}
