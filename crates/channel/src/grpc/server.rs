//! The serving end.

use std::future::{Future, poll_fn};

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header::CONTENT_TYPE};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::message::{Messages, Sender};
use super::status::{Status, StatusCode};
use super::{LARGEST_HEAD, MOST_CALLS, WINDOW, until_dead};

/// One call.
#[derive(Debug)]
pub struct Call {
    /// Its path.
    pub path: String,
    /// What the client sends.
    pub messages: Messages,
    /// What it is answered.
    pub answer: Answer,
}

/// Serves the calls of one connection, each by what `handle` makes of it, until the client is gone
/// or gives no more signs of life. With the connection, its calls end; a call that panics ends
/// the connection. No message larger than `largest` is taken.
pub async fn serve<S, F>(
    stream: S,
    largest: usize,
    mut handle: impl FnMut(Call) -> F,
) -> Result<(), Status>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = ()> + Send + 'static,
{
    let mut builder = Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW)
        .max_concurrent_streams(MOST_CALLS)
        .max_header_list_size(LARGEST_HEAD);
    let gone = |error: h2::Error| Status::gone(&error);
    let mut connection = builder.handshake(stream).await.map_err(gone)?;
    let ping = connection.ping_pong().expect("it is taken once");
    let dead = until_dead(ping);
    tokio::pin!(dead);
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                None => return Ok(()),
                Some(accepted) => {
                    let (request, response) = accepted.map_err(gone)?;
                    if let Some(call) = Call::of(request, response, largest) {
                        calls.spawn(handle(call));
                    }
                }
            },
            Some(ended) = calls.join_next() => {
                if ended.is_err() {
                    return Err(Status::new(StatusCode::Internal, "a call panicked"));
                }
            }
            () = &mut dead => {
                return Err(Status::new(StatusCode::Unavailable, "no sign of life"));
            }
        }
    }
}

impl Call {
    /// What is no call of gRPC is answered at once.
    fn of(
        request: Request<h2::RecvStream>,
        mut response: SendResponse<Bytes>,
        largest: usize,
    ) -> Option<Self> {
        let kind = request.headers().get(CONTENT_TYPE);
        let spoken = kind.is_some_and(|kind| kind.as_bytes().starts_with(GRPC.as_bytes()));
        if request.method() != Method::POST || !spoken {
            let refusal = Response::builder().status(415).body(());
            let refusal = refusal.expect("a constant status makes a response");
            // The stream is over either way.
            drop(response.send_response(refusal, true));
            return None;
        }
        let (head, body) = request.into_parts();
        Some(Self {
            path: head.uri.path().to_owned(),
            messages: Messages::behind(head.headers, body, largest),
            answer: Answer(State::Silent(response)),
        })
    }
}

/// The answer to one call. Dropped unfinished, it breaks the call off.
#[derive(Debug)]
pub struct Answer(State);

#[derive(Debug)]
enum State {
    /// Nothing has been sent.
    Silent(SendResponse<Bytes>),
    /// The head has been sent.
    Speaking(Sender),
}

impl Answer {
    /// Tells the client that it is heard, before there is anything else to tell.
    pub fn begin(&mut self) -> Result<(), Status> {
        if let State::Silent(response) = &mut self.0 {
            let stream = response.send_response(head(), false);
            let stream = stream.map_err(|error| Status::gone(&error))?;
            self.0 = State::Speaking(Sender::new(stream));
        }
        Ok(())
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), Status> {
        self.begin()?;
        match &mut self.0 {
            State::Speaking(sender) => sender.send(message).await,
            State::Silent(_) => unreachable!("the head was sent above"),
        }
    }

    /// Waits until the client wants no more of it.
    pub async fn broken_off(&mut self) {
        // Whatever comes of it, nobody listens any more.
        drop(match &mut self.0 {
            State::Silent(response) => poll_fn(|context| response.poll_reset(context)).await,
            State::Speaking(sender) => sender.broken_off().await,
        });
    }

    /// Ends the call, well or with a failure.
    pub fn finish(self, end: Result<(), Status>) -> Result<(), Status> {
        let failure = end.err();
        match self.0 {
            State::Silent(mut response) => {
                let mut head = head();
                Status::write(failure.as_ref(), head.headers_mut());
                let sent = response.send_response(head, true);
                sent.map(drop).map_err(|error| Status::gone(&error))
            }
            State::Speaking(mut sender) => {
                let mut trailers = HeaderMap::new();
                Status::write(failure.as_ref(), &mut trailers);
                sender.close_with(trailers)
            }
        }
    }

    /// Answers with one message, or a failure.
    pub async fn reply(mut self, reply: Result<Vec<u8>, Status>) -> Result<(), Status> {
        match reply {
            Ok(message) => {
                self.send(&message).await?;
                self.finish(Ok(()))
            }
            Err(status) => self.finish(Err(status)),
        }
    }
}

fn head() -> Response<()> {
    let mut head = Response::new(());
    let kind = HeaderValue::from_static(GRPC);
    head.headers_mut().insert(CONTENT_TYPE, kind);
    head
}

pub(super) const GRPC: &str = "application/grpc";
