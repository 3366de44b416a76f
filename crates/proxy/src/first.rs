//! The first bytes of a connection: read where something hangs on them, and kept for whoever gets them.

use std::net::SocketAddr;
use std::time::Duration;

use leno_protocol::{ClientHello, NoHello, ProxyHead};
use leno_traffic::{NotSpoken, Refusal};
use tokio::time::timeout;

use crate::buffer::{Buffer, Buffers};
use crate::stream::Stream;

/// How long they may take where nothing goes on without them.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Reads the first message of TLS from `client`, of which `came` has come already and gets the rest.
pub(crate) async fn hello(
    client: &mut Stream,
    came: &mut Option<Buffer>,
    buffers: &Buffers,
) -> Result<ClientHello, Refusal> {
    let read = read(client, came, buffers, |bytes| {
        ClientHello::read(bytes).transpose()
    });
    let refusal = |why| Refusal::NotSpoken(why);
    match timeout(LIMIT, read).await {
        Ok(Some(Ok(hello))) => Ok(hello),
        Ok(Some(Err(NoHello::NotTls))) => Err(refusal(NotSpoken::Tls)),
        Ok(Some(Err(no))) => Err(refusal(NotSpoken::Flawed(no.to_string().into()))),
        Ok(None) => Err(refusal(NotSpoken::Ended)),
        Err(_late) => Err(refusal(NotSpoken::Late(LIMIT))),
    }
}

/// Takes from `client` what `peer` says before the first byte: for whom it made the connection.
pub(crate) async fn proxied(
    client: &mut Stream,
    came: &mut Option<Buffer>,
    buffers: &Buffers,
    peer: SocketAddr,
) -> Result<ProxyHead, Refusal> {
    let read = read(client, came, buffers, |bytes| {
        ProxyHead::read(bytes).transpose()
    });
    let refusal = |why: String| Refusal::NotProxied(peer, why.into());
    let (proxied, taken) = match timeout(LIMIT, read).await {
        Ok(Some(Ok(read))) => read,
        Ok(Some(Err(no))) => return Err(refusal(no.to_string())),
        Ok(None) => return Err(refusal("the connection ended".to_owned())),
        Err(_late) => return Err(refusal(format!("nothing came within {LIMIT:?}"))),
    };
    *came = came.take().and_then(|mut buffer| {
        buffer.consume(taken);
        (!buffer.is_empty()).then_some(buffer)
    });
    Ok(proxied)
}

/// Reads from `client` into `came` until `look` has seen enough of it; `None` if it ends before that.
pub(crate) async fn read<T>(
    client: &mut Stream,
    came: &mut Option<Buffer>,
    buffers: &Buffers,
    look: impl Fn(&[u8]) -> Option<T>,
) -> Option<T> {
    loop {
        let seen = came.as_deref().and_then(|bytes| look(bytes));
        if seen.is_some() {
            return seen;
        }
        // No buffer is lent to who says nothing.
        client.readable().await.ok()?;
        let buffer = came.get_or_insert_with(|| buffers.lend());
        if client.read_into(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
