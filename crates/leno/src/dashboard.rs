//! What the dashboard is told of a mesh: of one that a control plane serves, or of one that is up in
//! a folder.

mod fleet;

use std::io;

use anyhow::anyhow;
use leno_dashboard::{Dashboard, Port};
use leno_model::Code;

pub(crate) use fleet::Fleet;

/// Listens, or says who is in the way.
pub(crate) fn open(port: Port) -> anyhow::Result<Dashboard> {
    Dashboard::open(port).map_err(|error| match (error.kind(), port) {
        (io::ErrorKind::AddrInUse, Port::Exactly(port)) => {
            let code = Code::H002;
            let slug = code.slug();
            anyhow!("{code} {slug}: another program listens on port {port} of the loopback")
        }
        _ => anyhow!("the dashboard has no place: {error}"),
    })
}
