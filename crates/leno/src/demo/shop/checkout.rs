//! The checkout: charges for what is in a cart.

use std::io;

use super::http::{self, Client, Reply};
use super::{PORT, dice, work};

/// `POST /WHO` charges for a cart, and empties it.
pub(super) fn serve() -> io::Result<()> {
    let (dice, cart, payments) = (dice(), Client::new("cart"), Client::new("payments"));
    http::serve(PORT, move |request| {
        work(&dice, 1, 4);
        let (method, path) = request.parts();
        let ("POST", [who]) = (method, &path[..]) else {
            return Ok(Reply::not_found());
        };
        let owed = cart.call("GET", &format!("/{who}"))?;
        if owed.status != 200 {
            return Ok(Reply::new(502, owed.text));
        }
        if owed.number()? == 0 {
            return Ok(Reply::new(409, format!("the cart of {who} is empty")));
        }
        let charged = payments.call("POST", &format!("/charge?who={who}&cents={}", owed.text))?;
        if charged.status != 200 {
            return Ok(Reply::new(502, charged.text));
        }
        cart.call("DELETE", &format!("/{who}"))
    })
}
