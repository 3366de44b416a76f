//! CONNECT: a client asks for a stream of bytes, and its connection, or its stream of HTTP/2, becomes one when it
//! is granted.

use std::io;

use leno_model::CallId;
use leno_model::view::HeaderChanges;
use leno_protocol::{RequestHead, Version};
use leno_traffic::Refusal;

use super::After;
use super::client::{Asker, Client};
use super::refuse::{Answer, Reason};
use crate::buffer::Buffer;
use crate::incoming::Incoming;
use crate::stream::Stream;
use crate::worker::Worker;

/// The answer that grants a stream. It has no body and no length (RFC 9110 section 9.3.6).
const GRANTED: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// What a client wishes for.
pub(super) struct Wish {
    incoming: Incoming,
    version: Version,
    /// The destination as it was named.
    target: String,
    /// What has come behind the head: the client did not wait.
    came: Option<Buffer>,
}

/// A stream that a client has asked for and not been granted.
pub(crate) struct Asked {
    by: By,
    wish: Wish,
}

/// By what it is asked for, and what becomes of that.
enum By {
    /// A connection of HTTP/1.
    Connection(Stream),
    /// A stream of HTTP/2.
    Stream(Asker),
}

impl Wish {
    /// The wish of a head, on its way to where it says.
    pub(super) fn of_head(incoming: &Incoming, head: &RequestHead<'_>) -> Box<Self> {
        let (host, port) = (head.request.host, head.request.port.unwrap_or_default());
        Box::new(Self {
            incoming: incoming.clone(),
            version: head.version,
            target: format!("{host}:{port}"),
            came: None,
        })
    }

    /// The same, with what came behind the head.
    pub(super) fn behind(mut self: Box<Self>, came: Buffer) -> Box<Self> {
        self.came = Some(came);
        self
    }

    /// The same, of the client at this connection.
    pub(super) fn of(self: Box<Self>, client: Stream) -> Box<Asked> {
        Box::new(Asked {
            by: By::Connection(client),
            wish: *self,
        })
    }

    /// The same, of the client at this stream.
    pub(super) fn of_stream(self: Box<Self>, client: Asker) -> Box<Asked> {
        Box::new(Asked {
            by: By::Stream(client),
            wish: *self,
        })
    }
}

impl Asked {
    /// Who asks, and what for.
    pub(crate) fn incoming(&self) -> &Incoming {
        &self.wish.incoming
    }

    /// Opens the stream; some of it may have come already.
    pub(crate) async fn grant(self) -> io::Result<(Stream, Option<Buffer>)> {
        let client = match self.by {
            By::Connection(mut client) => {
                client.write_all(GRANTED).await?;
                client
            }
            By::Stream(client) => Stream::Tunnel(Box::new(client.grant()?)),
        };
        Ok((client, self.wish.came))
    }

    /// Says why there is none, and ends a connection of HTTP/1: nobody can tell whether what comes behind
    /// is another request or the beginning of the stream.
    pub(crate) async fn refuse(self, worker: &Worker, refusal: &Refusal, id: CallId) {
        let incoming = &self.wish.incoming;
        let source = incoming.source(&worker.table()).to_string();
        let answer = Answer {
            proxy_of: incoming.way.workload().name.as_str(),
            id,
            asked: &format!("CONNECT {} from {source}", self.wish.target),
            version: self.wish.version,
            head_only: false,
            is_grpc: false,
            keep_alive: false,
            headers: &HeaderChanges::default(),
        };
        let reason = Reason::from(refusal);
        match self.by {
            By::Connection(mut client) => {
                let asking = Client::Http1(&mut client);
                if let After::Close = answer.send(asking, worker, &reason).await {
                    super::linger(client).await;
                }
            }
            By::Stream(mut client) => {
                let asking = Client::Http2(&mut client);
                answer.send(asking, worker, &reason).await;
            }
        }
    }
}
