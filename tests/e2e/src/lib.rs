//! Real processes for end-to-end tests: a mesh on loopback addresses of its own, its proxies, the
//! applications behind them and the clients in front.
//!
//! Tests run side by side: each [`World`] has a [`Block`] of addresses with a folder to itself, and takes
//! all of its processes with it. Whatever takes time is asked for again and again, up to a bound.

mod application;
mod authorizer;
mod block;
mod certificates;
mod client;
mod collector;
pub mod control;
pub mod frames;
mod go;
mod grpc;
pub mod hbone;
mod http2;
pub mod made;
mod process;
mod reader;
mod spiffe;
mod websocket;
mod world;

pub use application::{Application, deaf, hash, refuse, serve};
pub use authorizer::{authorize_by_grpc, authorize_by_http};
pub use block::Block;
pub use certificates::{issue_earlier, let_expire, prove};
pub use client::{Answer, Client, curl, exchange};
pub use collector::Collector;
pub use grpc::{Grpc, grpcio};
pub use http2::ask_by_http2;
pub use process::{Ended, Process, ended, ended_within, memory, run, run_within, until, within};
pub use reader::{READERS, Read, reader};
pub use spiffe::Spiffe;
pub use websocket::{haproxy, websocket};
pub use world::{ProxyOf, World, binary, built};
