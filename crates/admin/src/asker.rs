//! Who asks: proven by the kernel, or by a handshake.

use std::fmt;
use std::net::SocketAddr;

use leno_identity::Caller;

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asker {
    /// A user of this host, by the id that the kernel vouches for.
    User(u32),
    /// The same, by the page that is shown on this host.
    Visitor(u32),
    /// Somebody elsewhere, who proved who it is.
    Peer {
        /// Who.
        caller: Caller,
        /// From where.
        address: SocketAddr,
    },
}

/// From where, as the audit log says it.
impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(_) => f.write_str("socket"),
            Self::Visitor(_) => f.write_str("dashboard"),
            Self::Peer { address, .. } => {
                let ip = address.ip().to_canonical();
                write!(f, "{}", SocketAddr::new(ip, address.port()))
            }
        }
    }
}
