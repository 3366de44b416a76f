//! The way to a control plane: its addresses, and a connection at which both ends have proven who they are.

use std::{io, time::Duration};

use leno_identity::Validity;
use leno_model::SpiffeId;
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};

use super::Line;
use crate::{Alpn, Keyring, words};

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How many addresses of a control plane are tried.
const MOST_ADDRESSES: usize = 8;

/// Connects to a host and port; of several, with commas between them, to the first where somebody
/// listens: a control plane that stands by for another does not.
pub async fn connect(addresses: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses.split(',').take(MOST_ADDRESSES) {
        match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

/// Connects to the control plane at `address` as `own`; gives also when its certificate stands, and the
/// task that moves the connection's bytes. Says in words why it cannot be reached.
pub async fn open_line(
    keyring: &Keyring,
    own: &SpiffeId,
    address: &str,
) -> Result<(Line, Validity, JoinHandle<()>), String> {
    let stream = connect(address).await;
    let stream = stream.map_err(|error| format!("{address}: {}", words(&error)))?;
    let expected = [SpiffeId::control_plane(&own.trust_domain)];
    let connected = keyring
        .connect(stream, own, &expected, &[Alpn::Hbone])
        .await;
    let connected = connected.map_err(|failure| failure.to_string())?;
    let stands = connected.peer.stands();
    let (line, run) = Line::open(connected.stream)
        .await
        .map_err(|status| status.to_string())?;
    // Why it ended is told by the call that ends with it.
    let run = tokio::spawn(async { drop(run.await) });
    Ok((line, stands, run))
}
