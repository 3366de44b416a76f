//! The families of addresses that a cluster has.

use std::net::IpAddr;

/// Which families the nodes, pods and Services of a cluster have addresses of.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Families {
    /// Both, IPv4 first.
    #[default]
    Both,
    /// Both, IPv6 first.
    BothSixFirst,
    /// IPv6 alone.
    Six,
}

impl Families {
    /// Of what there is of each family, that of those which there are, the first one first.
    pub(crate) fn of<T>(self, v4: T, v6: T) -> Vec<T> {
        match self {
            Self::Both => vec![v4, v6],
            Self::BothSixFirst => vec![v6, v4],
            Self::Six => vec![v6],
        }
    }

    /// That of the first one.
    pub(crate) fn first<T>(self, v4: T, v6: T) -> T {
        match self {
            Self::Both => v4,
            Self::BothSixFirst | Self::Six => v6,
        }
    }
}

/// An address as it stands before a port.
pub fn before_port(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(_)) => format!("[{address}]"),
        Ok(IpAddr::V4(_)) | Err(_) => address.to_owned(),
    }
}
