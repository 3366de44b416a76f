//! The shop: seven programs and its visitors, which call each other by name and know of no mesh.
//! Each is a face of this binary; each takes a little time to do a little work.

mod cart;
mod catalog;
mod checkout;
mod http;
mod payments;
mod store;
mod visitors;
mod web;

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use leno_model::Dice;

use crate::command::seed;

/// One program of the shop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Face {
    /// Keeps numbers under names, by a line protocol of its own.
    Store,
    /// Knows the goods and their prices.
    Catalog,
    /// Keeps carts.
    CartV1,
    /// Keeps carts, rewritten; with a mistake in it.
    CartV2,
    /// Charges for what is in a cart.
    Checkout,
    /// Takes the money.
    Payments,
    /// What visitors see.
    Web,
    /// Look, buy, and ask for what is none of their business.
    Visitors,
}

impl Face {
    /// Does this program's work until it is ended.
    pub(crate) fn run(self) -> io::Result<()> {
        match self {
            Self::Store => store::serve(),
            Self::Catalog => catalog::serve(),
            Self::CartV1 => cart::serve(cart::Version::V1),
            Self::CartV2 => cart::serve(cart::Version::V2),
            Self::Checkout => checkout::serve(),
            Self::Payments => payments::serve(),
            Self::Web => web::serve(),
            Self::Visitors => visitors::visit(),
        }
    }
}

/// The port on which a service speaks HTTP.
const PORT: u16 = 8080;

/// The one on which the web shop does, so that it can be published there beside the others.
const WEB_PORT: u16 = 3000;

/// Where this program listens whose port is `port`, unless it is told otherwise.
fn own_port(port: u16) -> u16 {
    told("PORT")
        .and_then(|told| told.parse().ok())
        .unwrap_or(port)
}

/// Where `service` is called: by its name, unless it is told otherwise.
fn address_of(service: &str, port: u16) -> String {
    let name = service.replace('-', "_").to_ascii_uppercase();
    let host = told(&format!("{name}_SERVICE_HOST")).unwrap_or_else(|| service.to_owned());
    let port = told(&format!("{name}_SERVICE_PORT")).unwrap_or_else(|| port.to_string());
    format!("{host}:{port}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "these programs go by their environment, as others do"
)]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Takes about as long as such work takes: between the two, in milliseconds, and seldom far longer.
fn work(dice: &Mutex<Dice>, shortest: u64, longest: u64) {
    let roll = dice
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .next_u64();
    let micros = shortest * 1000 + roll % ((longest - shortest) * 1000 + 1);
    let seldom = (roll >> 32).is_multiple_of(100);
    pause(Duration::from_micros(micros * if seldom { 4 } else { 1 }));
}

#[expect(
    clippy::disallowed_methods,
    reason = "programs that wait for disks and banks wait"
)]
fn pause(time: Duration) {
    thread::sleep(time);
}

/// Chance of this process's own.
fn dice() -> Mutex<Dice> {
    Mutex::new(Dice::new(seed()))
}
