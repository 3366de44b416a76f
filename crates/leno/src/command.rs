//! The commands, one module each.

pub(crate) mod asking;
pub(crate) mod bundle;
pub(crate) mod capture;
pub(crate) mod certs;
pub(crate) mod check;
mod cluster;
mod collecting;
pub(crate) mod completion;
pub(crate) mod context;
pub(crate) mod contexts;
pub(crate) mod control;
pub(crate) mod curl;
pub(crate) mod demo;
mod doorkeeper;
pub(crate) mod down;
mod ending;
pub(crate) mod explain;
pub(crate) mod explicit;
pub(crate) mod fleet;
pub(crate) mod host;
pub(crate) mod init;
pub(crate) mod install;
pub(crate) mod join;
pub(crate) mod joined;
pub(crate) mod leave;
pub(crate) mod logs;
pub(crate) mod node_remove;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod probe;
pub(crate) mod proxy;
pub(crate) mod ps;
pub(crate) mod relay;
pub(crate) mod restart;
pub(crate) mod run;
mod service;
pub(crate) mod stat;
pub(crate) mod status;
mod succeeding;
pub(crate) mod tap;
pub(crate) mod test;
pub(crate) mod top;
pub(crate) mod uninstall;
pub(crate) mod up;
pub(crate) mod upgrade;
pub(crate) mod view;
pub(crate) mod watch;
pub(crate) mod why;

/// What a command found, when it could find out at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// All is well.
    Fine,
    /// There is a finding, a refused request, a failing test.
    Bad,
    /// A program was run and ended with this code.
    Exit(u8),
}

/// Where dice begin: different in each process.
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}
