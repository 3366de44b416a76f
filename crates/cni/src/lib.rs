//! The plugin that a node's container runtime calls for each pod (CNI, the Container Network Interface), and what keeps it
//! in the node's network configuration.
//!
//! The plugin is the last of a chain: when it is called, the pod has its network, and none of its containers runs. It asks
//! the node's proxy, which puts itself before that pod or leaves it alone, and passes on what the plugins before it have
//! made ([`run()`]). Without an answer the pod does not start, so that none runs uncaptured, unless the mesh wants it
//! otherwise ([`WhileAway`]). [`Keeper`] puts it there and looks whether it still is.

mod ask;
mod ended;
mod given;
mod keep;
mod message;
mod options;
mod place;
mod run;

pub use ask::{NotAsked, ask};
pub use ended::Ended;
pub use keep::{Change, Keeper, NotKept, Places};
pub use message::{Answer, MOST, Pod, Question};
pub use options::{Options, SOCKET, WhileAway};
pub use run::{Called, run};

/// What the plugin is called: the file of its program, and its type in a list of plugins.
pub const PLUGIN: &str = "leno-cni";
