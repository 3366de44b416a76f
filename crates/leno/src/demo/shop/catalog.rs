//! The catalog: what there is to buy, for how much, and how well it sells.

use std::io;

use super::http::{self, Reply};
use super::{PORT, dice, store, work};

/// The goods, with their prices in cents.
pub(super) const GOODS: [(&str, u64); 4] = [
    ("needle", 120),
    ("thread", 250),
    ("shuttle", 1_890),
    ("loom", 89_900),
];

/// `GET /` lists the goods, `GET /NAME` is the price of one.
pub(super) fn serve() -> io::Result<()> {
    let dice = dice();
    http::serve(PORT, move |request| {
        work(&dice, 1, 3);
        let (method, path) = request.parts();
        Ok(match (method, &path[..]) {
            ("GET", []) => Reply::new(200, list()?),
            ("GET", [name]) => match price(name) {
                Some(cents) => Reply::new(200, cents.to_string()),
                None => Reply::not_found(),
            },
            _ => Reply::not_found(),
        })
    })
}

fn list() -> io::Result<String> {
    let sold = store::get("sold/loom")?;
    let goods = GOODS.map(|(name, cents)| format!("{name} {}.{:02}", cents / 100, cents % 100));
    Ok(format!("{}; {sold} looms sold", goods.join(", ")))
}

fn price(wanted: &str) -> Option<u64> {
    let found = GOODS.iter().find(|(name, _)| *name == wanted);
    found.map(|(_, cents)| *cents)
}
