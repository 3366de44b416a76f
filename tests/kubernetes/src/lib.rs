//! A real Kubernetes for tests: etcd, API server, controllers, scheduler, kubelet, kube-proxy and containerd or CRI-O,
//! started and ended by a test. It takes neither Docker nor systemd, fetches no image and reaches no network but its own.
//!
//! A [`Cluster`] lives in a sandbox: one kill ends every process of it, and nothing remains of it, however it ends.

mod authority;
mod cert_manager;
mod cgroups;
mod cluster;
mod component;
pub mod conformance;
mod door;
mod failure;
mod families;
pub mod figures;
mod host;
mod images;
pub mod inside;
pub mod keeper;
mod mesh;
mod node;
mod nodes;
pub mod outside;
mod policies;
mod programs;
mod runtime;
mod sandbox;

pub use cluster::{Cluster, Tier};
pub use failure::Failure;
pub use families::{Families, before_port};
pub use images::{LENO, POD, of_leno, of_program, plugin};
pub use mesh::Placement;
pub use node::Node;
pub use nodes::Nodes;
pub use programs::{Programs, helm};
pub use runtime::Runtime;
