//! Both ends of an errand over HTTP/2: many at once on one connection, streams that are reset, and a
//! server that goes away in the open.

mod client;
mod server;

use std::io;

use bytes::Bytes;
use h2::{RecvStream, SendStream};

pub(super) use client::errands;
pub(super) use server::serve;

/// A runtime for the thread that asks.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Sends the bytes as far as the other end has room for them, and ends the stream if this is all.
async fn send(stream: &mut SendStream<Bytes>, mut rest: Bytes, end: bool) -> Result<(), h2::Error> {
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room.ok_or(h2::Reason::CANCEL)??;
        let part = rest.split_to(room.min(rest.len()));
        stream.send_data(part, end && rest.is_empty())?;
    }
    Ok(())
}

/// The next bytes, for which room is given back.
async fn next(stream: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let bytes = stream.data().await?;
    Some(bytes.and_then(|bytes| {
        stream.flow_control().release_capacity(bytes.len())?;
        Ok(bytes)
    }))
}

/// What ends an answer in chunks: the errand's id.
const TRAILER: &str = "x-end";
