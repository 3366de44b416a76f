//! The door of traffic: views and calls in, decisions and stories out.
#![cfg(test)]

mod access;
mod allocation;
mod asks;
mod attempts;
mod balance;
mod cors;
mod destinations;
mod external;
mod mirrors;
mod naming;
mod outside;
mod probes;
mod reports;
mod rewrites;
mod routes;
mod stories;
mod streams;
mod tokens;
mod twins;
mod world;
