//! What hostile peers do to a real proxy, and what it does with them.
#![cfg(test)]

mod connect;
mod corpus;
mod http2;
mod http2_server;
mod slow;
mod stalled;
