//! The calling end.

use std::future::Future;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Request, StatusCode as HttpStatus, Uri, header};
use tokio::io::{AsyncRead, AsyncWrite};

use super::message::{Messages, Sender};
use super::server::GRPC;
use super::status::{Status, StatusCode};
use super::{LARGEST_HEAD, LARGEST_MESSAGE, WINDOW, until_dead};
use crate::words::InWords;

/// A connection to a server. A clone is the same connection.
#[derive(Clone, Debug)]
pub struct Line {
    requests: SendRequest<Bytes>,
    to: To,
}

/// What every call on a line says of whom it is for.
#[derive(Clone, Debug)]
pub struct To {
    /// Whether the connection is encrypted.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// Headers of its own.
    pub headers: HeaderMap,
}

impl To {
    /// The control plane, which is told by its certificate and not by its name.
    fn control() -> Self {
        Self {
            scheme: Scheme::HTTPS,
            authority: Authority::from_static("control"),
            headers: HeaderMap::new(),
        }
    }
}

/// How a message is sent, and how it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// As it is.
    Plain,
    /// It is gzip already.
    Gzip,
}

impl Line {
    /// Opens a connection to the control plane over `stream`. The future beside it moves its bytes:
    /// it must be run, and ends, saying why, when the server is gone or gives no more signs of life.
    pub async fn open<S>(stream: S) -> Result<(Self, impl Future<Output = Status>), Status>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Self::open_to(To::control(), stream).await
    }

    /// Opens a connection to another server, as [`Self::open`] does.
    pub async fn open_to<S>(
        to: To,
        stream: S,
    ) -> Result<(Self, impl Future<Output = Status>), Status>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut builder = Builder::new();
        builder
            .initial_window_size(WINDOW)
            .initial_connection_window_size(2 * WINDOW)
            .max_header_list_size(LARGEST_HEAD)
            .enable_push(false);
        let opened = builder.handshake(InWords(stream)).await;
        let (requests, mut connection) = opened.map_err(|error| Status::gone(&error))?;
        let ping = connection.ping_pong().expect("it is taken once");
        let run = async move {
            tokio::select! {
                ended = connection => match ended {
                    Ok(()) => Status::new(StatusCode::Unavailable, "the connection was closed"),
                    Err(error) => Status::gone(&error),
                },
                () = until_dead(ping) => Status::new(StatusCode::Unavailable, "no sign of life"),
            }
        };
        Ok((Self { requests, to }, run))
    }

    /// Begins a call in which both ends send messages.
    pub async fn call(&self, path: &str) -> Result<(Sender, Incoming), Status> {
        self.begin(path, Packing::Plain).await
    }

    async fn begin(&self, path: &str, packing: Packing) -> Result<(Sender, Incoming), Status> {
        let invalid = |error: http::Error| Status::new(StatusCode::InvalidArgument, error);
        let uri = Uri::builder()
            .scheme(self.to.scheme.clone())
            .authority(self.to.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(invalid)?;
        let mut request = Request::post(uri).body(()).map_err(invalid)?;
        let headers = request.headers_mut();
        headers.clone_from(&self.to.headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(GRPC));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if packing == Packing::Gzip {
            headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
            headers.insert("grpc-accept-encoding", HeaderValue::from_static("gzip"));
        }
        let gone = |error: h2::Error| Status::gone(&error);
        let mut requests = self.requests.clone().ready().await.map_err(gone)?;
        let (response, stream) = requests.send_request(request, false).map_err(gone)?;
        Ok((Sender::new(stream), Incoming::Awaited(response)))
    }

    /// Sends one message and waits for one.
    pub async fn ask(&self, path: &str, message: &[u8]) -> Result<Bytes, Status> {
        match self.ask_packed(path, message, Packing::Plain).await? {
            (Packing::Plain, answer) => Ok(answer),
            (Packing::Gzip, _) => {
                let message = "the answer is compressed, and nobody asked for that";
                Err(Status::new(StatusCode::Unimplemented, message))
            }
        }
    }

    /// Sends one message that is packed so, and waits for one, which may be packed so too.
    pub async fn ask_packed(
        &self,
        path: &str,
        message: &[u8],
        packing: Packing,
    ) -> Result<(Packing, Bytes), Status> {
        let (mut sender, mut incoming) = self.begin(path, packing).await?;
        let sent = match sender.send_packed(message, packing).await {
            Ok(()) => sender.close(),
            failed => failed,
        };
        let nothing = || Status::new(StatusCode::Internal, "the answer has no message");
        // A server that refuses need not read the message; its reason says more than the break.
        let answer = incoming.next_packed().await?.ok_or_else(nothing)?;
        sent?;
        match incoming.next_packed().await? {
            None => Ok(answer),
            Some(_) => Err(Status::new(
                StatusCode::Internal,
                "the answer has two messages",
            )),
        }
    }
}

/// What a server sends in one call.
#[derive(Debug)]
pub enum Incoming {
    /// Nothing has come.
    Awaited(ResponseFuture),
    /// The head of the answer has come.
    Open(Messages),
    /// It ended.
    Over,
}

impl Incoming {
    /// Waits until the server has heard the call.
    pub async fn begun(&mut self) -> Result<(), Status> {
        let Self::Awaited(response) = self else {
            return Ok(());
        };
        let response = response.await.map_err(|error| Status::gone(&error))?;
        let (head, body) = response.into_parts();
        if let Some(Err(status)) = Status::read(&head.headers) {
            return Err(status);
        }
        if head.status != HttpStatus::OK {
            let message = format!("the server answered {}", head.status);
            return Err(Status::new(StatusCode::Unavailable, message));
        }
        *self = Self::Open(Messages::new(body, LARGEST_MESSAGE));
        Ok(())
    }

    /// The next message; `None` once the server has ended the call well.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        self.begun().await?;
        let Self::Open(messages) = self else {
            return Ok(None);
        };
        match messages.next().await? {
            Some(message) => Ok(Some(message)),
            None => self.ended().await.map(|()| None),
        }
    }

    async fn next_packed(&mut self) -> Result<Option<(Packing, Bytes)>, Status> {
        self.begun().await?;
        let Self::Open(messages) = self else {
            return Ok(None);
        };
        match messages.next_packed().await? {
            Some(message) => Ok(Some(message)),
            None => self.ended().await.map(|()| None),
        }
    }

    /// How the server ended the call, once it has sent its last message.
    async fn ended(&mut self) -> Result<(), Status> {
        let Self::Open(messages) = self else {
            return Ok(());
        };
        let trailers = messages.trailers().await?;
        *self = Self::Over;
        match trailers.as_ref().and_then(Status::read) {
            Some(end) => end,
            // The status stood in the head, or the server broke off.
            None => Err(Status::new(
                StatusCode::Unavailable,
                "the call ended without a status",
            )),
        }
    }
}
