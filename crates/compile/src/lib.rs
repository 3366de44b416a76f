//! Says what resources mean: [`compile`] makes a [`Mesh`] of them, and a note of everything that
//! does not hold as it was written; [`Mesh::view`] cuts out what one proxy needs.
//!
//! Understanding never fails as a whole, and one bad resource never hides another. The same
//! resources in any order mean the same mesh.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;

mod access;
mod addresses;
mod answers;
mod assemble;
mod backends;
mod everywhere;
mod filters;
mod finding;
mod matches;
mod mesh;
mod parents;
mod precedence;
mod rules;
mod services;
mod shadow;
mod spoken;
mod status;
mod suggest;
mod targets;
mod tuning;
mod workloads;

pub use assemble::compile;
pub use mesh::{AddressOwner, Answer, Destination, Instance, Mesh, NotFound, ViewOf};
pub use status::{Condition, ConditionKind, conditions};
