//! Handshakes as they happen: over pipes in memory, over loopback sockets, and with OpenSSL.
#![cfg(test)]

mod files;
mod grpc;
mod hostile;
mod mesh;
mod openssl;
mod outside;
mod peers;
mod refused;
mod replaced;
mod resumed;
