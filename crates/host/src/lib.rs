//! The kernel: namespaces without root, capture rules over netlink, file descriptors passed
//! between processes, and what this machine allows.
//!
//! Nothing here is asynchronous: calls that block say so, and what has to be waited for is a file
//! descriptor.

mod blocker;
mod blocks;
mod capture;
mod confined;
pub mod cpu;
pub mod enclosure;
pub mod files;
mod groups;
mod guard;
pub mod link;
mod listening;
mod memory;
mod netlink;
mod netns;
pub mod nft;
mod original;
mod peer;
mod pipe;
mod pod_listeners;
mod pods;
mod socket_file;
mod unacknowledged;

pub use blocker::{Blocker, probe};
pub use blocks::{Blocks, KeptBlocks, keep_blocks};
pub use capture::{
    DNS_PORT, INBOUND_PORT, KnownBy, METRICS_PORT, OUTBOUND_PORT, PROOFS, PROXY_MARK, PROXY_USER,
    PodCapture, TUNNEL_PORT, capture_rules,
};
pub use confined::{Confined, give_up_rights};
pub use enclosure::{
    Enclosure, Event, Exit, Family, Layout, Listeners, OpenError, Program, Session, Sockets, Step,
    reach, run_if_called,
};
pub use groups::{Bounds, Group, Groups};
pub use guard::{Guard, Veth, sign, veths};
pub use memory::{give_back_freed, keep_freed, release_code, share_heaps};
pub use netns::Netns;
pub use original::original_destination;
pub use peer::{NetworkId, Peer};
pub use pipe::Pipe;
pub use pod_listeners::PodListeners;
pub use pods::{networks_of_pods, release_pods};
pub use socket_file::{Reach, SocketFile, through_folder};
pub use unacknowledged::unacknowledged;
