//! Calls that a proxy makes to find out how far they get: through its own doors, as a workload of its
//! own would, and to an endpoint alone.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use leno_admin::{Failure, ProbeOf, Probed, ReachOf, Reached, Requested, Tried};
use leno_channel::Alpn;
use leno_model::view::{Endpoint, PortRef, View, WorkloadId};
use leno_model::{Code, Name, Namespace, ServiceName, SpiffeId};
use leno_telemetry::{Event, Filter, Tap, Telemetry};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::Door;
use crate::hands::Hands;

/// How long a connection may take, and the head of an answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How long the first byte is waited for of who was not asked anything.
const GREETING: Duration = Duration::from_millis(500);

/// How long the record of a call is waited for.
const RECORD_LIMIT: Duration = Duration::from_secs(1);

/// The longest head of an answer that is read.
const LONGEST_HEAD: usize = 16 << 10;

/// Makes a call as a workload of this proxy does.
pub(super) async fn probe(
    hands: &Hands,
    telemetry: &Telemetry,
    ask: &ProbeOf,
) -> Result<Probed, Failure> {
    let table = hands.table();
    let view = table.view();
    let (id, _) = ours(view, &ask.workload)?;
    let service = service(&ask.service)?;
    let port = PortRef {
        service,
        port: ask.port,
    };
    let authority = format!("{}:{}", port.service.name, port.port);
    let head = ask
        .request
        .as_ref()
        .map(|request| head(request, &authority));
    let head = head.transpose()?;
    let tap = telemetry.tap(Filter::default(), MOST_RECORDS);
    let made = make(hands, Door::Upstream(id, port), head).await;
    let mut probed = made.map_err(|error| Failure::plain(format_args!("no loopback: {error}")))?;
    let from = probed.from.as_ref().and_then(|from| from.parse().ok());
    if let Some(from) = from {
        probed.id = recorded(tap, from).await;
    }
    Ok(probed)
}

/// More than a proxy records while one call is made.
const MOST_RECORDS: u32 = 10_000;

fn head(request: &Requested, authority: &str) -> Result<String, Failure> {
    let head = request.head(authority);
    head.ok_or_else(|| Failure::plain("the request has a space or a line's end where none may be"))
}

async fn make(hands: &Hands, door: Door, head: Option<String>) -> io::Result<Probed> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let begin = Instant::now();
    let mut stream = TcpStream::connect(listener.local_addr()?).await?;
    let from = stream.local_addr()?;
    let (taken, peer) = listener.accept().await?;
    if peer != from {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    hands.take(taken.into_std()?, door)?;
    let mut probed = Probed {
        connect: Some(Tried::well(begin.elapsed())),
        from: Some(from.to_string()),
        ..Probed::default()
    };
    let begin = Instant::now();
    let limit = match &head {
        Some(head) => {
            timeout(CONNECT_LIMIT, stream.write_all(head.as_bytes())).await??;
            ANSWER_LIMIT
        }
        None => GREETING,
    };
    let until = Instant::now() + limit;
    let mut answer = vec![0; LONGEST_HEAD];
    let mut length = 0;
    while !answer[..length].windows(4).any(|end| end == b"\r\n\r\n") && length < LONGEST_HEAD {
        let read = timeout_at(until, stream.read(&mut answer[length..])).await;
        let first = length == 0;
        match read {
            Ok(Ok(count)) if count > 0 => {
                length += count;
                if first {
                    probed.first_byte = Some(Tried::well(begin.elapsed()));
                }
            }
            _ if !first => break,
            // Who waits to be asked has nothing to say first.
            Err(_) if head.is_none() => return Ok(probed),
            Ok(Ok(_)) => {
                let why = "the connection was closed without a word";
                probed.first_byte = Some(Tried::failed(begin.elapsed(), None, why));
                break;
            }
            Ok(Err(error)) => {
                probed.first_byte = Some(Tried::failed(begin.elapsed(), None, error));
                break;
            }
            Err(_) => {
                // So that the call is over for all who take part in it, and they tell how far it got.
                stream.set_zero_linger()?;
                let why = format!("no answer within {limit:?}");
                probed.first_byte = Some(Tried::failed(begin.elapsed(), None, why));
                break;
            }
        }
        if head.is_none() {
            break;
        }
    }
    if head.is_some() && length > 0 {
        probed.hear(&answer[..length]);
    }
    Ok(probed)
}

/// The id under which the proxy recorded the call that came from this address.
async fn recorded(mut tap: Tap, from: SocketAddr) -> Option<String> {
    let search = async {
        loop {
            let record = tap.next().await;
            let event = record.event();
            let peer = match &event {
                Event::Call(call) => Some(call.peer),
                Event::Opened(stream) | Event::Stream(stream) => Some(stream.peer),
                Event::Handshake(_) | Event::Accept(_) => None,
            };
            if peer == Some(from) {
                return format!("{:?}", event.id());
            }
        }
    };
    timeout(RECORD_LIMIT, search).await.ok()
}

/// Connects to an endpoint as a workload of this proxy does, and proves itself to its proxy.
pub(super) async fn reach(hands: &Hands, ask: &ReachOf) -> Result<Reached, Failure> {
    let table = hands.table();
    let view = table.view();
    let (id, own) = ours(view, &ask.workload)?;
    let address = ask.endpoint.parse::<SocketAddr>();
    let address = address.map_err(|error| Failure::plain(format_args!("the endpoint: {error}")))?;
    let endpoint = endpoint(view, address);
    let tunnel = endpoint.and_then(|endpoint| endpoint.tunnel);
    let to = tunnel.unwrap_or(address);
    let socket = hands.socket_for(&id, to).await.map_err(Failure::plain)?;
    let begin = Instant::now();
    let connected = timeout(CONNECT_LIMIT, socket.connect(to)).await;
    let took = begin.elapsed();
    let mut reached = Reached {
        tunnel: tunnel.map(|tunnel| tunnel.to_string()),
        tcp: Tried::well(took),
        tls: None,
        peer: None,
        resumed: false,
    };
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            let code = match error.kind() {
                io::ErrorKind::ConnectionRefused => Code::R020,
                _ => Code::R027,
            };
            reached.tcp = Tried::failed(took, Some(code), leno_channel::words(&error));
            return Ok(reached);
        }
        Err(_) => {
            let why = format!("no connection within {CONNECT_LIMIT:?}");
            reached.tcp = Tried::failed(took, Some(Code::R021), why);
            return Ok(reached);
        }
    };
    let (Some(endpoint), Some(_)) = (endpoint, tunnel) else {
        return Ok(reached);
    };
    let begin = Instant::now();
    let expected = &endpoint.identities;
    let connected = hands
        .keyring()
        .connect(stream, &own, expected, &[Alpn::Hbone]);
    match connected.await {
        Ok(connected) => {
            reached.tls = Some(Tried::well(begin.elapsed()));
            reached.peer = Some(connected.peer.id().to_string());
            reached.resumed = connected.resumed;
        }
        Err(failure) => {
            let code = Some(failure.code());
            reached.tls = Some(Tried::failed(begin.elapsed(), code, failure));
        }
    }
    Ok(reached)
}

/// The endpoint that listens there, or whose proxy does.
fn endpoint(view: &View, address: SocketAddr) -> Option<&Endpoint> {
    let slices = view.endpoints.values().flatten();
    let mut endpoints = slices.flat_map(|slice| slice.endpoints());
    endpoints.find(|one| one.address == address || one.tunnel == Some(address))
}

/// One of the workloads that this proxy stands in front of, and who it is.
fn ours(view: &View, name: &str) -> Result<(WorkloadId, SpiffeId), Failure> {
    let mut workloads = view.workloads.iter();
    let found = workloads.find(|(id, _)| id.to_string() == name);
    let found = found.map(|(id, workload)| (id.clone(), workload.identity.clone()));
    found
        .ok_or_else(|| Failure::plain(format_args!("this proxy does not stand in front of {name}")))
}

fn service(name: &str) -> Result<ServiceName, Failure> {
    let read = || {
        let (namespace, name) = name.split_once('/')?;
        let (namespace, name) = (Namespace::new(namespace).ok()?, Name::new(name).ok()?);
        Some(ServiceName::new(namespace, name))
    };
    read().ok_or_else(|| Failure::plain(format_args!("{name:?} names no service")))
}
