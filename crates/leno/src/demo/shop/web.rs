//! The web shop: what visitors see. It asks the others, and passes on what they say.

use std::io;

use super::http::{self, Client, Reply};
use super::{WEB_PORT, dice, work};

/// `GET /`, `POST /cart/WHO/WHAT`, `POST /order/WHO`, and `GET /ledger`, which is not its business.
pub(super) fn serve() -> io::Result<()> {
    let dice = dice();
    let [catalog, cart, checkout, payments] =
        ["catalog", "cart", "checkout", "payments"].map(Client::new);
    http::serve(WEB_PORT, move |request| {
        work(&dice, 1, 2);
        let (method, path) = request.parts();
        let reply = match (method, &path[..]) {
            ("GET", []) => catalog.call("GET", "/")?,
            ("POST", ["cart", who, what]) => cart.call("POST", &format!("/{who}/{what}"))?,
            ("POST", ["order", who]) => checkout.call("POST", &format!("/{who}"))?,
            ("GET", ["ledger"]) => payments.call("GET", "/ledger")?,
            _ => Reply::not_found(),
        };
        Ok(match reply.status {
            500.. => Reply::new(502, reply.text),
            _ => reply,
        })
    })
}
