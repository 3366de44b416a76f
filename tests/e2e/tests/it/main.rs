//! Two proxies and what lies between them, as users meet them: real processes, real clients.
#![cfg(test)]

mod applications;
mod asked;
mod attestation;
mod authorizer;
mod bytes;
mod changes;
mod collector;
mod failures;
mod federation;
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
mod overrides;
mod pair;
mod policy;
mod prometheus;
mod readers;
mod readmission;
mod recorded;
mod reference;
mod renewals;
mod replicas;
mod revocation;
mod routes;
mod store;
mod strangers;
mod streams;
mod succession;
mod telemetry;
mod tokens;
mod watched;
mod websocket;
mod workload_api;

use leno_e2e::control;
