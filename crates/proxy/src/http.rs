//! HTTP on one connection: of HTTP/1.1 one exchange after another, and nothing held in between; of
//! HTTP/2 each stream in a task of its own.

mod asked;
mod attempt;
pub(crate) mod authorize;
mod body;
mod client;
mod exchange;
mod forward;
mod head;
pub(crate) mod http2;
mod mirror;
mod refuse;
mod relay;
mod reply;
mod server;
mod switch;
mod told;
mod tracing;
mod waiting;

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use h2::Reason;
use leno_model::Code;
use leno_protocol::ClientCert;
use leno_traffic::{Channel, Refusal};

pub(crate) use self::asked::Asked;
use self::asked::Wish;
use self::client::Client;
use crate::buffer::{Buffer, Waits};
use crate::first;
use crate::http::http2::wire::Wire;
use crate::incoming::{Incoming, Way};
use crate::linger;
use crate::news::Reader;
use crate::stream::Stream;
use crate::tunnel;
use crate::worker::Worker;

/// How long a client may take for a head once its first byte has come.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// How long a client is listened to after an answer that ends its connection, so that the answer reaches it
/// before the end does.
const LINGER: Duration = Duration::from_secs(1);

/// How long an idle connection waits for one more request when a drain begins.
const LAST_CALL: Duration = Duration::from_millis(500);

/// What follows an exchange.
enum After {
    /// Another one; some of it may have come.
    Next(Option<Buffer>),
    /// The end of the connection.
    Close,
    /// A cut, at once: what was sent is not whole, and the client must see that.
    Cut(Why),
    /// The same because the server broke off: the client gets what that said before.
    BrokenOff(Why),
    /// HTTP/2: so much of it has come.
    Http2(Buffer),
    /// A stream of bytes, which the client asks for.
    Stream(Box<Wish>),
}

/// Why one side of an exchange is cut; its peer may be told.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// Nobody waits for the rest.
    Gone,
    /// For this reason, which another proxy understands.
    For(Code),
    /// The same of a stream that is no message.
    OfStream(Code),
    /// The other side was reset with this error code of HTTP/2.
    Reset(Reason),
}

impl Why {
    /// What another proxy is told.
    fn code(self) -> Option<Code> {
        match self {
            Self::For(code) | Self::OfStream(code) => Some(code),
            Self::Gone | Self::Reset(_) => None,
        }
    }

    /// The error code of HTTP/2 that says it, to another proxy or to somebody else.
    fn reason(self, is_proxy: bool) -> Reason {
        match self {
            Self::Gone => Reason::CANCEL,
            Self::For(code) | Self::OfStream(code) if is_proxy => tunnel::reason::of(Some(code)),
            Self::For(Code::R023 | Code::R053 | Code::R054) => Reason::CANCEL,
            //= RFC 8441 section 5: "RST exceptions are represented with the RST_STREAM frame"
            Self::OfStream(_) => Reason::CANCEL,
            Self::For(_) => Reason::INTERNAL_ERROR,
            Self::Reset(reason) => reason,
        }
    }
}

/// What all exchanges of a connection have in common.
#[derive(Clone, Copy)]
struct Connection<'a> {
    worker: &'a Rc<Worker>,
    incoming: &'a Incoming,
    /// What our application is told about the caller.
    client_cert: Option<&'a str>,
}

/// Serves requests until the connection ends, or is to become a stream of bytes. Some may have come
/// already.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    mut client: Stream,
    incoming: &Incoming,
    mut unread: Option<Buffer>,
) -> Option<Box<Asked>> {
    let told = client_cert(worker, incoming);
    let connection = Connection {
        worker,
        incoming,
        client_cert: told.as_deref(),
    };
    let mut news = worker.news.subscribe();
    let mut is_first = true;
    loop {
        if unread.is_none() && !is_more(worker, &mut client, &mut news).await {
            worker.let_go(client, incoming.from);
            return None;
        }
        // What an exchange needs is large: an idle connection holds none of it, and it is made where it
        // stays.
        if unread.is_none() && worker.buffers.are_spent() {
            match in_turn(worker).await {
                Some(buffer) => unread = Some(buffer),
                None => {
                    let refusal = Refusal::BuffersFull;
                    Box::pin(turn_away(worker, client, incoming, &refusal)).await;
                    return None;
                }
            }
        }
        let room = Box::new_uninit();
        let one = head::serve_one(
            connection,
            &mut client,
            &mut news,
            unread.take(),
            &mut is_first,
        );
        match Box::into_pin(Box::write(room, one)).await {
            After::Next(rest) => unread = rest,
            After::Http2(came) => {
                drop(news);
                Box::pin(http2::serve::serve(worker, client, incoming, told, came)).await;
                return None;
            }
            After::Stream(wish) => return Some(wish.of(client)),
            After::Close => {
                Box::pin(linger(client)).await;
                return None;
            }
            After::Cut(why) => {
                client.reset(why.code());
                return None;
            }
            After::BrokenOff(why) => {
                Box::pin(client.break_off(why.code())).await;
                return None;
            }
        }
    }
}

/// Answers that there is no place for the connection.
pub(crate) async fn turn_away(
    worker: &Rc<Worker>,
    mut client: Stream,
    incoming: &Incoming,
    refusal: &Refusal,
) {
    let mut came = None;
    let spoken = first::read(&mut client, &mut came, &worker.buffers, |bytes| {
        let begins = http2::begins(bytes);
        (begins || !http2::may_begin(bytes)).then_some(begins)
    });
    let spoken = tokio::time::timeout(LINGER, spoken).await;
    match spoken {
        Ok(Some(true)) => http2::serve::turn_away(worker, client, incoming, refusal, came).await,
        Ok(Some(false)) => {
            let reason = refuse::Reason::from(refusal);
            let asking = Client::Http1(&mut client);
            head::refuse_head(worker, asking, incoming, &reason, false).await;
            linger(client).await;
        }
        // There is nobody to be told.
        Ok(None) | Err(_) => {}
    }
}

/// Waits for a buffer where all are lent, while nothing is read; `None` if that takes too long.
async fn in_turn(worker: &Worker) -> Option<Buffer> {
    let mut waits = Waits::default();
    let lent = poll_fn(|context| worker.buffers.poll_lend(context, &mut waits));
    tokio::time::timeout(HEAD_LIMIT, lent).await.ok()
}

/// Waits for the first byte of a request; `false` if none will come, or another process takes it.
async fn is_more(worker: &Worker, client: &mut Stream, news: &mut Reader) -> bool {
    while !worker.is_draining() {
        tokio::select! {
            biased;
            more = client.readable() => return more.is_ok(),
            () = news.changed() => {}
        }
    }
    if worker.keeps(client) {
        return false;
    }
    // A request may be on its way, whose client knows of the end only by the answer to it.
    let more = tokio::time::timeout(LAST_CALL, client.readable()).await;
    matches!(more, Ok(Ok(())))
}

/// Ends a connection so that what was sent last still arrives.
pub(crate) async fn linger(client: Stream) {
    linger::linger(Wire::new(client, None), LINGER).await;
}

/// What our application is told about the caller of this connection.
fn client_cert(worker: &Worker, incoming: &Incoming) -> Option<String> {
    let (Way::Inbound { .. }, Channel::Mtls(caller)) = (&incoming.way, &incoming.peer.channel)
    else {
        return None;
    };
    let table = worker.table();
    let workload = incoming.workload(&table)?;
    let told = ClientCert {
        by: &workload.identity,
        uri: caller.id(),
    };
    Some(told.to_string())
}
