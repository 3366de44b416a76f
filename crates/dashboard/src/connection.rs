//! One connection: heads in, answers out, each in bounded time and room.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use leno_protocol::{BodyFraming, Fields, HeadReader, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::access::Visitor;
use crate::answer::{Answer, Manner, Reader};
use crate::asking;
use crate::gate::{Asked, is_from_us, judge, proofs, read_by};
use crate::pages;
use crate::refusal::Refusal;
use crate::{Arrived, Mesh, Site};

/// How long a head may take to come in, and an answer to go out.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long what a client still sends is taken after the last answer, so that it gets to read it.
const LINGER: Duration = Duration::from_secs(1);

/// Answers what comes until one side has had enough.
pub(crate) async fn serve<M: Mesh>(
    mut stream: TcpStream,
    site: Arc<Site>,
    mesh: Arc<M>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut is_first = true;
    loop {
        let mut turn = match timeout(PATIENCE, read(&mut stream, &mut bytes, &site)).await {
            Ok(Ok(Some(turn))) => turn,
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) if bytes.is_empty() => return Ok(()),
            Err(_) => Turn::last(&Refusal::TooSlow),
        };
        if let Some(attempt) = turn.kept_out.take() {
            mesh.kept_out(attempt).await;
        }
        let answer = match turn.wants {
            Wants::Answer(answer) => answer,
            Wants::Question(visitor, end) => {
                let rest = timeout(PATIENCE, read_to(&mut stream, &mut bytes, end)).await;
                let Some(question) = rest??.then(|| bytes.get(turn.length..end)).flatten() else {
                    return Ok(());
                };
                let answer = asking::answer(visitor, question, &*mesh).await;
                turn.length = end;
                answer
            }
            Wants::Service if is_first => return hand_on(stream, bytes, &*mesh).await,
            // A connection belongs to whom its first request named.
            Wants::Service => Answer::refusal(&Refusal::ForeignHost, Reader::Person),
        };
        let told = answer.bytes(&turn.manner);
        if !turn.manner.keep_alive {
            return finish(stream, &told).await;
        }
        timeout(PATIENCE, stream.write_all(&told)).await??;
        bytes.drain(..turn.length);
        is_first = false;
    }
}

/// What one head leads to.
struct Turn {
    wants: Wants,
    manner: Manner,
    /// How many bytes the head took.
    length: usize,
    /// What somebody tried who is kept out, in a line.
    kept_out: Option<String>,
}

enum Wants {
    Answer(Answer),
    /// A question that ends at this byte.
    Question(Visitor, usize),
    Service,
}

impl Turn {
    /// After which the connection closes.
    fn last(refusal: &Refusal) -> Self {
        Self {
            wants: Wants::Answer(Answer::refusal(refusal, Reader::Person)),
            manner: Manner::LAST,
            length: 0,
            kept_out: None,
        }
    }
}

/// Lets a service have the connection that its first request is for.
async fn hand_on(stream: TcpStream, bytes: Vec<u8>, mesh: &impl Mesh) -> io::Result<()> {
    let stream = stream.into_std()?;
    let Err(Arrived { stream, .. }) = mesh.carry(Arrived { stream, bytes }).await else {
        return Ok(());
    };
    let answer = Answer::refusal(&Refusal::NoServices, Reader::Person);
    finish(TcpStream::from_std(stream)?, &answer.bytes(&Manner::LAST)).await
}

/// Reads until there is a head; `None` if the client has closed before.
async fn read(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    site: &Site,
) -> io::Result<Option<Turn>> {
    let mut reader = HeadReader::default();
    loop {
        if let Some(turn) = understand(&mut reader, bytes, site) {
            return Ok(Some(turn));
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// Reads until there are so many bytes; false if the client has closed before.
async fn read_to(stream: &mut TcpStream, bytes: &mut Vec<u8>, end: usize) -> io::Result<bool> {
    while bytes.len() < end {
        if stream.read_buf(bytes).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What the head at the start of `bytes` leads to, if all of it has come.
fn understand(reader: &mut HeadReader, bytes: &[u8], site: &Site) -> Option<Turn> {
    let mut fields = Fields::new();
    let head = match reader.request(bytes, &mut fields) {
        Ok(head) => head?,
        Err(refused) => return Some(Turn::last(&Refusal::Malformed(refused))),
    };
    let request = &head.request;
    let visitor = || match site.admit(proofs(request)) {
        Some(visitor) => Ok(visitor),
        None if is_from_us(request) => Err(Refusal::Unproven),
        None => Err(Refusal::Detour),
    };
    let wants = match judge(request, head.body, &site.place) {
        Ok(Asked::Service(_)) => Ok(Wants::Service),
        Ok(Asked::Asset(asset)) => Ok(Wants::Answer(Answer::asset(asset))),
        Ok(Asked::Enter(token)) => site.enter(token).map(Wants::Answer),
        Ok(Asked::Page) => visitor().map(|visitor| Wants::Answer(pages::page(visitor))),
        Ok(Asked::Question(length)) => {
            let end = head.length + length;
            visitor().map(|visitor| Wants::Question(visitor, end))
        }
        Err(refusal) => Err(refusal),
    };
    let refusal = wants.as_ref().err().filter(|refusal| refusal.keeps_out());
    let kept_out = refusal.map(|refusal| attempt(request, *refusal));
    let refused = |refusal| Wants::Answer(Answer::refusal(&refusal, read_by(request)));
    let wants = wants.unwrap_or_else(refused);
    // Of a body that is not read nobody knows where the next head would begin.
    let is_read = head.body == BodyFraming::None || matches!(wants, Wants::Question(..));
    Some(Turn {
        wants,
        manner: Manner {
            version: head.version,
            keep_alive: head.keep_alive && is_read,
            head_only: request.method == "HEAD",
        },
        length: head.length,
        kept_out,
    })
}

/// What was tried, without its path: that may hold a link, or lead to the pages.
fn attempt(request: &Request<'_>, refusal: Refusal) -> String {
    let said = match refusal {
        Refusal::ForeignHost => format!(" for {}", request.host),
        Refusal::ForeignOrigin => {
            let origin = request.header("origin").next().unwrap_or_default();
            format!(" of {}", String::from_utf8_lossy(origin))
        }
        _ => String::new(),
    };
    format!("{}{said}: {}", request.method, refusal.title())
}

/// Sends the last answer.
async fn finish(mut stream: TcpStream, told: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, stream.write_all(told)).await??;
    stream.shutdown().await?;
    let mut rest = stream.take(MOST_REST);
    // Closing on unread bytes would take back the answer.
    match timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await {
        Ok(read) => read.map(drop),
        Err(_) => Ok(()),
    }
}

/// How many bytes of a body that nobody wants are taken.
const MOST_REST: u64 = 1 << 20;
