//! The store at its door: stories, a naive twin, what is refused at opening, and what a kill leaves.
#![cfg(test)]

mod audit;
mod child;
mod crash;
mod flows;
mod folder;
mod opening;
mod overrides;
mod replicas;
mod story;
mod trust;
mod twin;
mod watches;
