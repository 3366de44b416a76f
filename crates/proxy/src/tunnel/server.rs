//! The called end: takes handshakes on the tunnel port and hands each stream to the workload it
//! names, with the caller that was proven.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Method, Request, Response, StatusCode};
use leno_channel::Accepted;
use leno_identity::{Caller, Trust};
use leno_model::view::Workload;
use leno_model::{CallId, Code, SpiffeId};
use leno_telemetry::{Event, Handshake, Reporter};
use leno_traffic::{Channel, Peer};
use tokio::net::TcpStream;

use crate::coalesce::Coalesced;
use crate::incoming::{Incoming, Way};
use crate::news::Reader;
use crate::tunnel::{
    CONNECTION_WINDOW, LENO_ERROR, MOST_STREAMS, STREAM_WINDOW, TunnelStream, Within, open_for,
};
use crate::worker::Worker;

/// The most bytes that the headers of a CONNECT may have.
const HEADER_BYTES: u32 = 16 * 1024;

/// How long a connection that is cut may take to be told so.
const ABORT_LIMIT: Duration = Duration::from_secs(1);

/// Serves one connection to the tunnel port.
pub(crate) async fn serve(worker: Rc<Worker>, tcp: TcpStream, from: SocketAddr) {
    // From here on no change of trust goes unnoticed.
    let (news, trust) = (worker.news.subscribe(), worker.keyring.trust());
    match worker.keyring.accept(tcp).await {
        Ok(accepted) => serve_accepted(&worker, accepted, from, news, trust).await,
        Err(failure) => worker.report(&Event::Handshake(Handshake {
            reporter: Reporter::Destination,
            peer: from,
            at: worker.now().wall,
            code: failure.code(),
            why: &failure.to_string(),
        })),
    }
}

async fn serve_accepted(
    worker: &Rc<Worker>,
    accepted: Accepted<TcpStream>,
    from: SocketAddr,
    mut news: Reader,
    mut trust: Arc<Trust>,
) {
    let Accepted {
        stream,
        caller,
        own,
        proof,
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
    let left = worker.until(caller.ends());
    let mut closing = std::pin::pin!(tokio::time::sleep(open_for(left)));
    let mut is_closing = false;
    let mut ended = std::pin::pin!(tokio::time::sleep(left));
    let counted = Rc::new(());
    let distrust = loop {
        tokio::select! {
            request = connection.accept() => {
                let Some(Ok((request, answer))) = request else { return };
                let arrival = Arrival { worker, caller: &caller, own: &own, from, counted: &counted };
                arrival.take(request, answer);
            }
            () = news.changed() => {
                if worker.is_draining() {
                    connection.graceful_shutdown();
                }
                let latest = worker.keyring.trust();
                if !Arc::ptr_eq(&trust, &latest) {
                    trust = latest;
                    if let Err(distrust) = worker.keyring.judge(&proof) {
                        break distrust;
                    }
                }
            }
            () = &mut closing, if !is_closing => {
                is_closing = true;
                connection.graceful_shutdown();
            }
            () = &mut ended => match worker.keyring.judge(&proof) {
                // The clock was set back meanwhile.
                Ok(caller) => ended.set(tokio::time::sleep(worker.until(caller.ends()))),
                Err(distrust) => break distrust,
            },
        }
    };
    worker.report(&Event::Handshake(Handshake {
        reporter: Reporter::Destination,
        peer: from,
        at: worker.now().wall,
        code: distrust.code(),
        why: &distrust.to_string(),
    }));
    connection.abrupt_shutdown(h2::Reason::INADEQUATE_SECURITY);
    let told = std::future::poll_fn(|context| connection.poll_closed(context));
    // Whoever does not read it is cut without a word.
    drop(tokio::time::timeout(ABORT_LIMIT, told).await);
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
        let Some(seat) = self.worker.seat(0) else {
            return refuse(
                &mut answer,
                StatusCode::SERVICE_UNAVAILABLE,
                Some(Code::R040),
            );
        };
        let worker = self.worker.clone();
        let counted = self.counted.clone();
        let opening = Opening {
            answer,
            receive: request.into_body(),
            counted,
        };
        self.worker.spawn(seat, self.from, async move {
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
        Ok(TunnelStream::new(
            send,
            self.receive,
            Within::Theirs(self.counted),
        ))
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
