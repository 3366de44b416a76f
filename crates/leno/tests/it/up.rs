//! Meshes that run: real programs in enclosures, asked from outside and from inside.
//!
//! They need user namespaces, as Debian 12 has them; those that look at the wire or become another
//! user need root. python3, nginx and redis are Debian's own.

mod capture;
mod explained;
mod explicit;
mod lifecycle;
mod mesh;
mod outbound;
mod outside;
mod page;
mod programs;
pub(crate) mod world;
