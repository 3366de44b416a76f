//! The door of traffic: views and calls in, decisions and stories out.
#![cfg(test)]

mod access;
mod allocation;
mod asks;
mod attempts;
mod balance;
mod cors;
mod destinations;
mod mirrors;
mod naming;
mod reports;
mod rewrites;
mod routes;
mod stories;
mod streams;
mod twins;
mod world;
