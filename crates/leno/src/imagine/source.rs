//! Who calls.

use std::net::IpAddr;
use std::sync::Arc;

use leno_compile::Instance;
use leno_model::{Namespace, Network, SpiffeId};
use leno_traffic::{Claim, Consent, Fact, Token};

/// Who calls.
pub(crate) enum Source {
    /// A workload of the mesh.
    Workload(Arc<Instance>),
    /// Somebody of the mesh who is not among the files, perhaps from this address.
    Identity(SpiffeId, Option<IpAddr>),
    /// Somebody without a proxy, perhaps from this address.
    Outside(Option<IpAddr>),
}

impl Source {
    /// The namespace in which its names are looked up.
    pub(super) fn namespace<'a>(&'a self, home: &'a Namespace) -> &'a Namespace {
        match self {
            Self::Workload(instance) => &instance.workload.id.namespace,
            Self::Identity(id, _) => &id.namespace,
            Self::Outside(_) => home,
        }
    }

    pub(super) fn network(&self) -> Network {
        match self {
            Self::Workload(instance) => instance.workload.network.clone(),
            Self::Identity(..) | Self::Outside(_) => Network::default_network(),
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Workload(instance) => instance.workload.id.name.to_string(),
            Self::Identity(id, _) => format!("{}/{}", id.namespace, id.service_account),
            Self::Outside(None) => "outside".into(),
            Self::Outside(Some(address)) => address.to_string(),
        }
    }

    /// What a receiver would know of it.
    pub(super) fn claim(&self) -> Claim<'_> {
        let known = |address: Option<IpAddr>| address.map_or(Fact::Unknown, Fact::Known);
        match self {
            Self::Workload(instance) => Claim {
                caller: Fact::Known(Some(&instance.workload.identity)),
                address: known(instance.workload.addresses.first().copied()),
                token: Token::Absent,
                consent: Consent::Unknown,
            },
            Self::Identity(id, address) => Claim {
                caller: Fact::Known(Some(id)),
                address: known(*address),
                token: Token::Absent,
                consent: Consent::Unknown,
            },
            Self::Outside(address) => Claim {
                caller: Fact::Known(None),
                address: known(*address),
                token: Token::Absent,
                consent: Consent::Unknown,
            },
        }
    }
}
