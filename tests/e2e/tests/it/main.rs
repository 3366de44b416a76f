//! Two proxies and what lies between them, as users meet them: real processes, real clients.
#![cfg(test)]

mod applications;
mod bytes;
mod changes;
mod collector;
mod failures;
mod filters;
mod grpc;
mod hbone;
mod hostile;
mod http;
mod http2;
mod identity;
mod life;
mod limits;
mod load;
mod named;
mod pair;
mod policy;
mod prometheus;
mod readers;
mod reference;
mod routes;
mod store;
mod strangers;
mod streams;
mod succession;
mod telemetry;
mod websocket;
