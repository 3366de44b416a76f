//! Enclosures, tried with real namespaces and real traffic. Every test runs as the user who runs
//! the tests, and once more as `nobody`, because that is the promise.

#[cfg(test)]
mod agent;
#[cfg(test)]
mod bare;
#[cfg(test)]
mod blockers;
#[cfg(test)]
mod capture;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod inbound;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod rootless;
#[cfg(test)]
mod selinux;
#[cfg(test)]
mod world;
