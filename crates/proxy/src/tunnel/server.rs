//! The called end: takes handshakes on the tunnel port and hands each stream to the workload it
//! names, with the caller that was proven.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Connection, SendResponse};
use http::{Method, Request, Response, StatusCode};
use leno_channel::Accepted;
use leno_identity::Caller;
use leno_model::view::Workload;
use leno_model::{CallId, Code, SpiffeId};
use leno_telemetry::{Event, Handshake, Reporter};
use leno_traffic::{Channel, Peer};
use tokio::net::TcpStream;

use crate::coalesce::Coalesced;
use crate::incoming::{Incoming, Way};
use crate::tunnel::{CONNECTION_WINDOW, LENO_ERROR, MOST_STREAMS, STREAM_WINDOW, TunnelStream};
use crate::worker::Worker;

/// The most bytes that the headers of a CONNECT may have.
const HEADER_BYTES: u32 = 16 * 1024;

/// Serves one connection to the tunnel port.
pub(crate) async fn serve(worker: Rc<Worker>, tcp: TcpStream, from: SocketAddr) {
    match worker.keyring.accept(tcp).await {
        Ok(accepted) => serve_accepted(&worker, accepted, from).await,
        Err(failure) => worker.report(&Event::Handshake(Handshake {
            reporter: Reporter::Destination,
            peer: from,
            at: worker.now().wall,
            code: failure.code(),
            why: &failure.to_string(),
        })),
    }
}

async fn serve_accepted(worker: &Rc<Worker>, accepted: Accepted<TcpStream>, from: SocketAddr) {
    let Accepted {
        stream,
        caller,
        own,
        ..
    } = accepted;
    let handshake = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .max_send_buffer_size(STREAM_WINDOW as usize)
        .handshake(Coalesced::new(stream, worker.buffers.clone()));
    // Whoever proved itself and then speaks no HTTP/2 has said nothing that could be answered.
    let Ok(Ok(mut connection)) =
        tokio::time::timeout(leno_channel::HANDSHAKE_LIMIT, handshake).await
    else {
        return;
    };
    let ends = worker.until(caller.ends());
    let mut ended = std::pin::pin!(tokio::time::sleep(ends));
    let counted = Rc::new(());
    let mut news = worker.news.subscribe();
    loop {
        tokio::select! {
            request = connection.accept() => {
                let Some(Ok((request, answer))) = request else { return };
                let arrival = Arrival { worker, caller: &caller, own: &own, from, counted: &counted };
                arrival.take(request, answer);
            }
            () = news.changed() => {
                if worker.keyring.trust().is_revoked(caller.id()) {
                    return abort(&mut connection, &mut ended).await;
                }
                if worker.is_draining() {
                    connection.graceful_shutdown();
                }
            }
            () = &mut ended => return,
        }
    }
}

/// Says that the connection is cut, as far as that can be written.
async fn abort(
    connection: &mut Connection<Coalesced<leno_channel::ServerStream<TcpStream>>, Bytes>,
    ended: &mut std::pin::Pin<&mut tokio::time::Sleep>,
) {
    connection.abrupt_shutdown(h2::Reason::INADEQUATE_SECURITY);
    let closed = std::future::poll_fn(|context| connection.poll_closed(context));
    tokio::select! {
        _ = closed => {}
        () = ended => {}
    }
}

/// A stream that somebody asks for.
struct Arrival<'a> {
    worker: &'a Rc<Worker>,
    caller: &'a Caller,
    own: &'a SpiffeId,
    from: SocketAddr,
    counted: &'a Rc<()>,
}

impl Arrival<'_> {
    /// Hands the stream to its workload, in a task of its own, or answers why not.
    fn take(self, request: Request<RecvStream>, mut answer: SendResponse<Bytes>) {
        let (incoming, id) = match self.incoming(&request) {
            Ok(incoming) => incoming,
            Err((status, code)) => return refuse(&mut answer, status, code),
        };
        let worker = self.worker.clone();
        let counted = self.counted.clone();
        let opening = Opening {
            answer,
            receive: request.into_body(),
            counted,
        };
        self.worker.spawn(async move {
            crate::incoming::serve_tunnelled(worker, opening, incoming, id).await
        });
    }

    fn incoming(
        &self,
        request: &Request<RecvStream>,
    ) -> Result<(Incoming, CallId), (StatusCode, Option<Code>)> {
        if request.method() != Method::CONNECT {
            return Err((StatusCode::MISDIRECTED_REQUEST, None));
        }
        if self.worker.is_draining() {
            return Err((StatusCode::SERVICE_UNAVAILABLE, Some(Code::R041)));
        }
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        let target: Option<SocketAddr> = authority.and_then(|authority| authority.parse().ok());
        let target = target.ok_or((StatusCode::BAD_REQUEST, Some(Code::R032)))?;
        let workload = self.workload(target.ip());
        let workload = workload.ok_or((StatusCode::NOT_FOUND, Some(Code::R001)))?;
        let digits = request.headers().get(CallId::HEADER);
        let id = digits.and_then(|digits| CallId::parse(digits.as_bytes()));
        let incoming = Incoming {
            peer: Peer {
                channel: Channel::Mtls(self.caller.clone()),
                address: self.from.ip(),
            },
            from: self.from,
            way: Way::Inbound {
                workload: workload.id.clone(),
                port: target.port(),
                application: target,
            },
        };
        Ok((incoming, id.unwrap_or_else(|| self.worker.new_id())))
    }

    /// The workload at `address`, if it has the identity that the caller asked for in the
    /// handshake: what was proven for one workload opens no other.
    fn workload(&self, address: IpAddr) -> Option<Rc<Workload>> {
        let table = self.worker.table();
        let network = &self.worker.network;
        let workload = table.workload_at(network, address)?;
        (workload.identity == *self.own).then(|| Rc::new(workload.clone()))
    }
}

/// A stream that has been asked for and not been granted.
pub(crate) struct Opening {
    answer: SendResponse<Bytes>,
    receive: RecvStream,
    counted: Rc<()>,
}

impl Opening {
    /// Opens the stream.
    pub(crate) fn grant(mut self) -> io::Result<TunnelStream> {
        let response = Response::new(());
        let send = self.answer.send_response(response, false);
        let send = send.map_err(super::into_io)?;
        Ok(TunnelStream::new(send, self.receive, self.counted))
    }

    /// Does not open it.
    pub(crate) fn refuse(mut self, status: u16, code: Code) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        refuse(&mut self.answer, status, Some(code));
    }
}

fn refuse(answer: &mut SendResponse<Bytes>, status: StatusCode, code: Option<Code>) {
    let mut response = Response::new(());
    *response.status_mut() = status;
    if let Some(code) = code {
        let reason = http::HeaderValue::try_from(format!("{code} {}", code.slug()));
        let reason = reason.expect("a code and its slug are visible ASCII");
        response.headers_mut().insert(LENO_ERROR, reason);
    }
    // A peer that has gone needs no answer.
    drop(answer.send_response(response, true));
}
