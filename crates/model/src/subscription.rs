//! What a proxy asks to be told about.

use core::{fmt, net::IpAddr};

use crate::name::{Name, Namespace, Network, ServiceName};

/// One question to the control plane; its answer is kept current for as long as it is asked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Subscription {
    /// A service by its name: `service/shop/cart`.
    Service(ServiceName),
    /// Whatever has an address: `address/default/10.0.0.7`.
    Address(Network, IpAddr),
}

impl Subscription {
    /// Reads what it prints as.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        let (scope, name) = rest.split_once('/')?;
        match kind {
            "service" => {
                let namespace = Namespace::new(scope).ok()?;
                let name = Name::new(name).ok()?;
                Some(Self::Service(ServiceName::new(namespace, name)))
            }
            "address" => {
                let network = Network::new(scope).ok()?;
                Some(Self::Address(network, name.parse().ok()?))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service/{name}"),
            Self::Address(network, ip) => write!(f, "address/{network}/{ip}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_reads_and_prints_alike() {
        for text in [
            "service/shop/cart",
            "address/default/10.0.0.7",
            "address/laptop/fd00::1",
        ] {
            assert_eq!(Subscription::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "",
            "service",
            "service/shop",
            "service/Shop/cart",
            "address/default/cart",
            "x/a/b",
        ] {
            assert_eq!(Subscription::parse(bad), None, "{bad}");
        }
    }
}
