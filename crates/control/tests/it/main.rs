//! A control plane in one process with the people who ask it and the proxies that follow it.
#![cfg(test)]

mod fleet;
mod flows;
mod follow;
mod metrics;
mod people;
mod rotation;
mod services;
mod world;
