//! Real processes for end-to-end tests: a mesh on loopback addresses of its own, its proxies, the
//! applications behind them and the clients in front.
//!
//! Tests run side by side: each [`World`] has a folder and a block of addresses to itself, and takes
//! all of its processes with it. Whatever takes time is asked for again and again, up to a bound.

mod application;
mod client;
mod process;
mod world;

pub use application::{Application, deaf, hash, refuse, serve};
pub use client::{Answer, Client, curl, exchange};
pub use process::{Process, run, until};
pub use world::{ProxyOf, World, binary};
