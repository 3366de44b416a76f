//! Messages on an HTTP/2 stream: a flag, a length, the bytes.

use std::future::poll_fn;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue};

use super::client::Packing;
use super::status::{Status, StatusCode};

/// The flag and the length.
const PREFIX: usize = 5;

/// Messages as they come in.
#[derive(Debug)]
pub struct Messages {
    /// What stands at the head of the call, for its server.
    head: HeaderMap,
    body: RecvStream,
    buffer: BytesMut,
    largest: usize,
}

impl Messages {
    pub(super) fn new(body: RecvStream, largest: usize) -> Self {
        Self::behind(HeaderMap::new(), body, largest)
    }

    pub(super) fn behind(head: HeaderMap, body: RecvStream, largest: usize) -> Self {
        Self {
            head,
            body,
            buffer: BytesMut::new(),
            largest,
        }
    }

    /// What a client says beside its messages, by a name of lower-case letters.
    pub fn metadata(&self, name: &str) -> Option<&[u8]> {
        self.head.get(name).map(HeaderValue::as_bytes)
    }

    /// The next message; `None` once the peer has sent its last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        match self.next_packed().await? {
            Some((Packing::Plain, message)) => Ok(Some(message)),
            Some((Packing::Gzip, _)) => {
                let message = "compressed messages are not read";
                Err(Status::new(StatusCode::Unimplemented, message))
            }
            None => Ok(None),
        }
    }

    /// The next message as it came; `None` once the peer has sent its last.
    pub(super) async fn next_packed(&mut self) -> Result<Option<(Packing, Bytes)>, Status> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(message));
            }
            let Some(data) = self.body.data().await else {
                let cut_off = || Status::new(StatusCode::Unavailable, "a message is cut off");
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(cut_off())
                };
            };
            let data = data.map_err(|error| Status::gone(&error))?;
            let released = self.body.flow_control().release_capacity(data.len());
            released.map_err(|error| Status::gone(&error))?;
            self.buffer.extend_from_slice(&data);
        }
    }

    /// The trailers, once the last message has come.
    pub(super) async fn trailers(&mut self) -> Result<Option<HeaderMap>, Status> {
        self.body
            .trailers()
            .await
            .map_err(|error| Status::gone(&error))
    }

    fn buffered(&mut self) -> Result<Option<(Packing, Bytes)>, Status> {
        let Some(&[flag, length @ ..]) = self.buffer.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let packing = match flag {
            0 => Packing::Plain,
            _ => Packing::Gzip,
        };
        let length = u32::from_be_bytes(length) as usize;
        if length > self.largest {
            let message = format!(
                "a message has {length} bytes, and {} are read",
                self.largest
            );
            return Err(Status::new(StatusCode::ResourceExhausted, message));
        }
        if self.buffer.len() < PREFIX + length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some((packing, self.buffer.split_to(length).freeze())))
    }
}

/// Messages as they go out.
#[derive(Debug)]
pub struct Sender(SendStream<Bytes>);

impl Sender {
    pub(super) fn new(stream: SendStream<Bytes>) -> Self {
        Self(stream)
    }

    /// Sends a message; returns when the transport has taken all of it.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), Status> {
        self.send_packed(message, Packing::Plain).await
    }

    pub(super) async fn send_packed(
        &mut self,
        message: &[u8],
        packing: Packing,
    ) -> Result<(), Status> {
        let length = u32::try_from(message.len());
        let length = length
            .map_err(|_| Status::new(StatusCode::ResourceExhausted, "a message is too large"))?;
        let mut rest = BytesMut::with_capacity(PREFIX + message.len());
        rest.put_u8(u8::from(packing == Packing::Gzip));
        rest.put_u32(length);
        rest.put_slice(message);
        while !rest.is_empty() {
            self.0.reserve_capacity(rest.len());
            let room = poll_fn(|context| self.0.poll_capacity(context)).await;
            let room = room.unwrap_or(Err(h2::Reason::CANCEL.into()));
            let room = room.map_err(|error| Status::gone(&error))?;
            let piece = rest.split_to(room.min(rest.len())).freeze();
            let sent = self.0.send_data(piece, false);
            sent.map_err(|error| Status::gone(&error))?;
        }
        Ok(())
    }

    /// Waits until the other end wants no more.
    pub(super) async fn broken_off(&mut self) -> Result<h2::Reason, h2::Error> {
        poll_fn(|context| self.0.poll_reset(context)).await
    }

    /// Sends no more messages.
    pub fn close(&mut self) -> Result<(), Status> {
        let closed = self.0.send_data(Bytes::new(), true);
        closed.map_err(|error| Status::gone(&error))
    }

    pub(super) fn close_with(&mut self, trailers: HeaderMap) -> Result<(), Status> {
        let closed = self.0.send_trailers(trailers);
        closed.map_err(|error| Status::gone(&error))
    }
}
