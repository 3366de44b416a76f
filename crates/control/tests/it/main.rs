//! A control plane in one process with the people who ask it and the proxies that follow it.
#![cfg(test)]

mod attest;
mod fleet;
mod flows;
mod follow;
mod looks;
mod metrics;
mod outside;
mod overrides;
mod peers;
mod people;
mod roles;
mod rotation;
mod services;
mod views;
mod world;
