//! The listener as a browser meets it: links, visits, names, and what it does with everybody else.

mod visits;
mod world;
