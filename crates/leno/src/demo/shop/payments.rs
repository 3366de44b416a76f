//! The payments: ask a bank, which takes its time.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::http::{self, Reply};
use super::{PORT, dice, work};

/// `POST /charge` charges, `GET /ledger` says how often that was done.
pub(super) fn serve() -> io::Result<()> {
    let (dice, charges) = (dice(), AtomicU64::new(0));
    http::serve(PORT, move |request| {
        Ok(match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/charge") => {
                work(&dice, 8, 20);
                let charges = charges.fetch_add(1, Ordering::Relaxed) + 1;
                Reply::new(200, format!("charge {charges}"))
            }
            ("GET", "/ledger") => {
                let charges = charges.load(Ordering::Relaxed);
                Reply::new(200, format!("{charges} charges"))
            }
            _ => Reply::not_found(),
        })
    })
}
