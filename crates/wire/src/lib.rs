//! What travels between control plane and proxy: a [`Part`] of a view as bytes, and the delta
//! protocol as two state machines, [`Server`] and [`Client`], that know nothing of sockets.
//!
//! The transport is delta xDS with one type of ours. A part's version is the hash of its bytes, so
//! that a proxy that comes back, to whichever replica, is sent only what differs. Beside it stand
//! what joins and renews say ([`certificates`]), what control planes of one mesh say to each other ([`beside`]), what a proxy is asked ([`questions`]), who
//! asks it by its own socket ([`looks`]), which pods the proxy of a node is to serve ([`pods`]), what goes wrong at it beside its calls ([`troubles`]), and the
//! names of all calls ([`call`]).
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]
#![deny(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

extern crate alloc;

/// The gRPC paths of all calls.
pub mod call {
    /// `DeltaAggregatedResources` of `envoy.service.discovery.v3`: streams of [`crate::Request`] and
    /// [`crate::Response`].
    pub const DISTRIBUTE: &str =
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
    /// Streams of [`crate::questions::Posed`] from the control plane, and of
    /// [`crate::questions::Told`] from the proxy that began the call.
    pub const ANSWER: &str = "/leno.dev.v1alpha1.Questions/Answer";
    /// Takes a [`crate::beside::Endorse`] of a control plane beside the default one and gives a
    /// [`crate::beside::Endorsed`].
    pub const ENDORSE: &str = "/leno.dev.v1alpha1.ControlPlanes/Endorse";
    /// Streams of [`crate::beside::Follow`] from a control plane beside the default one, and of
    /// [`crate::beside::Lead`] from that one.
    pub const FOLLOW: &str = "/leno.dev.v1alpha1.ControlPlanes/Follow";
    /// Takes a [`crate::certificates::Join`] and gives a [`crate::certificates::Joined`].
    pub const JOIN: &str = "/leno.dev.v1alpha1.Certificates/Join";
    /// Get a certificate for one that has ended, while people let that be.
    pub const READMIT: &str = "/leno.dev.v1alpha1.Certificates/Readmit";
    /// Takes a [`crate::certificates::Leave`] and gives nothing back.
    pub const LEAVE: &str = "/leno.dev.v1alpha1.Certificates/Leave";
    /// Takes a [`crate::looks::Look`], writes it down and gives nothing back.
    pub const LOOK: &str = "/leno.dev.v1alpha1.Audit/Look";
    /// Takes a [`crate::tokens::Mint`] and gives a [`crate::tokens::Minted`].
    pub const MINT: &str = "/leno.dev.v1alpha1.Certificates/Mint";
    /// Takes a [`crate::pods::Arriving`] of the proxy of a node and gives a [`crate::pods::Placed`].
    pub const PLACE: &str = "/leno.dev.v1alpha1.Pods/Place";
    /// Takes a [`crate::flows::Report`] and gives a [`crate::flows::Taken`].
    pub const REPORT: &str = "/leno.dev.v1alpha1.Flows/Report";
    /// Takes a [`crate::certificates::Renew`] and gives a [`crate::certificates::Issued`].
    pub const RENEW: &str = "/leno.dev.v1alpha1.Certificates/Renew";
    /// Takes nothing and gives a [`crate::certificates::Time`].
    pub const TIME: &str = "/leno.dev.v1alpha1.Certificates/Time";
    /// A stream of [`crate::troubles::Troubles`] from the proxy that began the call.
    pub const TROUBLES: &str = "/leno.dev.v1alpha1.Troubles/Tell";
}

pub mod beside;
mod carried;
pub mod certificates;
pub mod client;
pub mod delta;
pub mod flows;
pub mod looks;
pub mod part;
pub mod pods;
pub mod questions;
mod saved;
pub mod server;
mod token;
pub mod tokens;
pub mod troubles;

pub use carried::Misfit;
pub use client::{Client, Known, Received, Refused};
pub use delta::{Holder, Request, Response};
pub use part::{Encoded, Part, PartName, Version};
pub use saved::NotRestored;
pub use server::{Holds, Server, Target};
pub use token::{JoinToken, MeshAddress, NotAToken, NotAnAddress};
