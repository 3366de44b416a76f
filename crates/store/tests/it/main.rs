//! The store at its door: stories, a naive twin, what is refused at opening, and what a kill leaves.
#![cfg(test)]

mod folder;
mod story;
