//! The cart: what each visitor owes, in cents. There are two versions of it.

use std::io;

use super::http::{self, Client, Reply};
use super::{PORT, dice, store, work};

/// The two versions.
#[derive(Clone, Copy)]
pub(super) enum Version {
    V1,
    /// Faster; but it keeps a price in 16 bits, and a loom costs more than 655.35.
    V2,
}

/// `GET /WHO` is what is owed, `POST /WHO/WHAT` puts something in, `DELETE /WHO` empties the cart.
pub(super) fn serve(version: Version) -> io::Result<()> {
    let (dice, catalog) = (dice(), Client::new("catalog"));
    http::serve(PORT, move |request| {
        let (shortest, longest) = match version {
            Version::V1 => (3, 8),
            Version::V2 => (1, 4),
        };
        work(&dice, shortest, longest);
        let (method, path) = request.parts();
        match (method, &path[..]) {
            ("GET", [who]) => {
                let owed = store::get(&format!("cart/{who}"))?;
                Ok(Reply::new(200, owed.to_string()))
            }
            ("POST", [who, what]) => add(version, &catalog, who, what),
            ("DELETE", [who]) => {
                let cart = format!("cart/{who}");
                let owed = store::get(&cart)?;
                store::add(&cart, -owed)?;
                Ok(Reply::new(200, owed.to_string()))
            }
            _ => Ok(Reply::not_found()),
        }
    })
}

fn add(version: Version, catalog: &Client, who: &str, what: &str) -> io::Result<Reply> {
    let price = catalog.call("GET", &format!("/{what}"))?;
    if price.status != 200 {
        return Ok(Reply::new(price.status, format!("{what}: {}", price.text)));
    }
    let price = match kept(version, price.number()?) {
        Ok(price) => price,
        Err(why) => return Ok(Reply::new(500, why)),
    };
    let owed = store::add(&format!("cart/{who}"), price)?;
    store::add(&format!("sold/{what}"), 1)?;
    Ok(Reply::new(200, owed.to_string()))
}

/// A price, in cents, as this version of the cart keeps it.
fn kept(version: Version, price: u64) -> Result<i64, String> {
    let fits = match version {
        Version::V1 => i64::try_from(price).ok(),
        Version::V2 => u16::try_from(price).ok().map(i64::from),
    };
    fits.ok_or_else(|| format!("a price of {price} does not fit into 16 bits (cart-v2)"))
}

#[cfg(test)]
mod tests {
    use super::super::catalog::GOODS;
    use super::*;

    #[test]
    fn the_second_version_cannot_hold_a_loom() {
        let fails = |version| {
            let goods = GOODS.iter();
            let fails = goods.filter(|(_, price)| kept(version, *price).is_err());
            fails.map(|(name, _)| *name).collect::<Vec<_>>()
        };
        assert!(fails(Version::V1).is_empty());
        assert_eq!(fails(Version::V2), ["loom"]);
    }
}
