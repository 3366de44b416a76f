//! Heads as they come from a client: read within a limit, handed on whole, or answered for what they
//! are not.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use leno_model::Code;
use leno_model::view::HeaderChanges;
use leno_protocol::{Fields, Form, HeadReader, Refused, Spoken, Version};
use leno_telemetry::{Bytes, Call, Decided, Edge, Event, Headers};
use leno_traffic::{NotSpoken, Refusal};
use tokio::time::Sleep;

use crate::buffer::Buffer;
use crate::http::asked::Wish;
use crate::http::client::Client;
use crate::http::exchange::Exchange;
use crate::http::http2;
use crate::http::refuse::{Answer, Reason};
use crate::http::{After, Connection, HEAD_LIMIT};
use crate::incoming::Incoming;
use crate::news::Reader;
use crate::stream::Stream;
use crate::telling;
use crate::worker::Worker;

/// Reads one request from `client`, of which `unread` has come already, and answers it. The first one
/// may show that HTTP/2 is spoken.
pub(super) async fn serve_one(
    connection: Connection<'_>,
    client: &mut Stream,
    news: &mut Reader,
    unread: Option<Buffer>,
    is_first: &mut bool,
) -> After {
    let Connection {
        worker, incoming, ..
    } = connection;
    let mut inbox = unread.unwrap_or_else(|| worker.buffers.lend());
    if inbox.is_empty() {
        match client.read_now(&mut inbox) {
            Poll::Ready(Ok(1..)) => {}
            Poll::Ready(Ok(0) | Err(_)) => return After::Close,
            Poll::Pending => return After::Next(None),
        }
    }
    let mut reader = incoming.head_reader();
    let mut late = None;
    loop {
        if *is_first && http2::begins(&inbox) {
            return After::Http2(inbox);
        }
        match carry_one(connection, client, news, &mut reader, &inbox).await {
            Ok(Some((after, used))) => {
                *is_first = false;
                return after.with_rest_of(inbox, used);
            }
            Ok(None) => {}
            Err(refused) => {
                let reason = match Spoken::of(&inbox) {
                    Spoken::Tls => Reason::from(&Refusal::NotSpoken(NotSpoken::Http)),
                    Spoken::Http1 | Spoken::Http2 | Spoken::Other => Reason::from(&refused),
                };
                return refuse_head(worker, Client::Http1(client), incoming, &reason, false).await;
            }
        }
        match more(client, &mut inbox, &mut late).await {
            Some(Ok(1..)) => {}
            Some(Ok(0) | Err(_)) => return After::Close,
            None => {
                let client = Client::Http1(client);
                return refuse_head(worker, client, incoming, &too_slow(), false).await;
            }
        }
    }
}

/// Reads what comes next of a head; `None` if that takes too long. A head that comes whole needs no
/// timer.
async fn more(
    client: &mut Stream,
    inbox: &mut Buffer,
    late: &mut Option<Pin<Box<Sleep>>>,
) -> Option<io::Result<usize>> {
    poll_fn(|context| {
        if let Poll::Ready(read) = client.poll_read_into(context, inbox) {
            return Poll::Ready(Some(read));
        }
        let late = late.get_or_insert_with(|| Box::pin(tokio::time::sleep(HEAD_LIMIT)));
        late.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Carries the request at the start of `bytes`, if all of its head has come; says what follows and
/// how many of the bytes it was.
async fn carry_one(
    connection: Connection<'_>,
    client: &mut Stream,
    news: &mut Reader,
    reader: &mut HeadReader,
    bytes: &[u8],
) -> Result<Option<(After, usize)>, Refused> {
    let mut fields = Fields::new();
    let Some(head) = reader.request(bytes, &mut fields)? else {
        return Ok(None);
    };
    let Connection {
        worker, incoming, ..
    } = connection;
    let named = incoming.named_by(worker, &head).await;
    if let Some(named) = &named
        && head.form == Form::Authority
    {
        return Ok(Some((
            After::Stream(Wish::of_head(named, &head)),
            head.length,
        )));
    }
    let connection = Connection {
        incoming: named.as_ref().unwrap_or(incoming),
        ..connection
    };
    let table = worker.table();
    let exchange = Exchange::new(connection, &table, &head);
    let behind = bytes.get(head.length..).unwrap_or_default();
    let client = Client::Http1(client);
    let (after, used) = exchange.run(client, news, behind).await;
    Ok(Some((after, head.length + used)))
}

impl After {
    /// Keeps what came behind a request for the next one.
    fn with_rest_of(self, mut inbox: Buffer, used: usize) -> Self {
        inbox.consume(used);
        match self {
            Self::Next(None) if !inbox.is_empty() => Self::Next(Some(inbox)),
            Self::Stream(wish) if !inbox.is_empty() => Self::Stream(wish.behind(inbox)),
            other => other,
        }
    }
}

/// Answers a head that is no request; `is_grpc` says that it is one of gRPC's, and so is the answer.
pub(super) async fn refuse_head(
    worker: &Worker,
    client: Client<'_>,
    incoming: &Incoming,
    reason: &Reason,
    is_grpc: bool,
) -> After {
    let began = worker.now();
    let id = worker.new_id();
    let table = worker.table();
    let (source, workload) = (incoming.source(&table), incoming.way.workload());
    let destination = incoming.destination(&table, &incoming.aim(worker, &table));
    let answer = Answer {
        proxy_of: workload.name.as_str(),
        id,
        asked: &format!("what {source} sent to {destination} is no request that is carried"),
        version: Version::Http11,
        head_only: false,
        is_grpc,
        keep_alive: false,
        headers: &HeaderChanges::default(),
    };
    let after = answer.send(client, worker, reason).await;
    let call = Call {
        id,
        edge: Edge {
            reporter: incoming.way.reporter(),
            source,
            destination,
            security: incoming.proven(),
        },
        route: None,
        peer: incoming.from,
        endpoint: None,
        began: began.wall,
        took: Duration::ZERO,
        method: "",
        host: "",
        path: "",
        status: reason.status,
        grpc: is_grpc.then(|| reason.grpc_status()),
        refused: Some(reason.code),
        tries: 0,
        copy_of: None,
        sent: 0,
        received: 0,
        counted: Bytes::default(),
        traced: None,
        logged: None,
        decided: Decided {
            generation: Some(&table.view().generation),
            workload: Some(workload),
            application: incoming.way.application(),
            why: &reason.words,
            ..Decided::default()
        },
    };
    let report = incoming.report(&table, None, None);
    let logged = telling::of_call(report, &call, None, &Headers::default());
    worker.report(&Event::Call(Call {
        logged: logged.as_ref(),
        ..call
    }));
    after
}

/// Why a head that does not come is answered.
fn too_slow() -> Reason {
    Reason {
        words: format!("the head was not complete within {HEAD_LIMIT:?}"),
        ..Reason::new(408, Code::R034)
    }
}
