//! Events in; what their readers make of them out.
#![cfg(test)]

mod access_log;
mod allocation;
mod budget;
mod flows;
mod kept;
mod promtool;
mod scrape;
mod signals;
mod spans;
mod tap;
mod workers;
mod world;
