//! Parts survive the wire, hostile bytes do not harm, and the two ends of the delta protocol agree
//! over a link that breaks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod bytes;
mod flows;
mod kept;
mod pair;
mod views;
