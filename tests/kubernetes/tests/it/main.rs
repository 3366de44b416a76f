//! Clusters as tests start them, use them and leave them behind. `cargo xtask kubernetes --test` runs these: the plain
//! suite does not wait for a Kubernetes to be built.
#![cfg(test)]

mod api;
mod beside;
mod cert_manager;
mod changed;
mod chaos;
mod control;
mod cri_o;
mod definitions;
mod helm;
mod injected;
mod install;
mod ipv6;
mod isolated;
mod kept;
mod killed;
mod lasting;
mod names;
mod node;
mod node_proxy;
mod nodes;
mod policies;
mod rest;
mod restarted;
mod sidecar;
mod signers;
mod static_pods;
mod two_nodes;
mod unreachable;
mod validated;
