//! Questions over an authenticated call, for who administers a mesh from another host: both ends.
//!
//! The lines are those of the socket. They go as a stream of bytes in messages of at most 256 KiB,
//! because neither a question nor an answer has the size of a message.

use std::future::Future;
use std::io;
use std::time::Duration;

use leno_channel::grpc::{Call, Incoming, Line, Messages, Sender, Status};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, duplex};
use tokio::time::timeout;

use crate::client::Spoken;
use crate::failure::Failure;
use crate::lines::{Reply, Told, answer_in_lines};
use crate::question::Question;

/// The path of the call.
pub const ADMINISTER: &str = "/leno.dev.v1alpha1.Administration/Ask";

/// How much of a line goes into one message.
const PIECE: usize = 256 << 10;

/// How long a question may take to come in, and a piece of its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends the line of a question, and gives the lines of its answer. Whatever `keeps` the connection
/// is held for as long as somebody listens. Needs a runtime around it.
pub async fn ask<K: Send + 'static>(
    line: Line,
    mut asked: Vec<u8>,
    keeps: K,
) -> Result<Spoken, Status> {
    let (mut sender, mut incoming) = line.call(ADMINISTER).await?;
    asked.push(b'\n');
    // A server that refuses need not read the question; its answer says more than the break.
    drop(say(&mut sender, &asked).await);
    incoming.begun().await?;
    let (ours, theirs) = duplex(PIECE);
    tokio::spawn(async move {
        // Kept until then: an answer ends with the connection.
        let _keeps = (keeps, line, sender);
        let (listener, heard) = tokio::io::split(ours);
        tokio::select! {
            // Whoever finds the stream cut off says so.
            _ = pass_on(&mut incoming, heard) => {}
            () = has_gone(listener) => {}
        }
    });
    Ok(Box::new(BufReader::new(theirs)))
}

async fn say(sender: &mut Sender, line: &[u8]) -> Result<(), Status> {
    for piece in line.chunks(PIECE) {
        sender.send(piece).await?;
    }
    Ok(())
}

async fn pass_on(incoming: &mut Incoming, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    while let Some(piece) = incoming.next().await.map_err(io::Error::other)? {
        to.write_all(&piece).await?;
    }
    to.shutdown().await
}

/// Waits until nobody listens any more: whoever does says nothing.
async fn has_gone(mut listener: impl AsyncRead + Unpin) {
    // One end of a pipe in memory is read until the other is dropped.
    drop(tokio::io::copy(&mut listener, &mut tokio::io::sink()).await);
}

/// Reads the question of a call, of at most `longest` bytes, and answers it by `answer` for as long
/// as `stands` does not say otherwise: that failure ends it then.
pub async fn answer<F, R>(
    call: Call,
    longest: usize,
    answer: impl FnOnce(Question) -> F,
    stands: impl Future<Output = Failure>,
) -> Result<(), Status>
where
    F: Future<Output = Result<R, Failure>> + Send + 'static,
    R: Into<Reply>,
{
    let Call {
        mut messages,
        answer: mut told,
        ..
    } = call;
    let asked = timeout(PATIENCE, question(&mut messages, longest)).await;
    let asked = asked.unwrap_or_else(|_| Err(Failure::plain("the question did not come in time")));
    let mut lines = match asked {
        Ok(asked) => answer_in_lines(&asked, answer),
        Err(failure) => return refuse(told, &failure).await,
    };
    told.begin()?;
    let mut last = None;
    tokio::pin!(stands);
    loop {
        let mut line = tokio::select! {
            line = lines.recv() => match line {
                Some(line) => line,
                None => break,
            },
            failure = &mut stands => {
                last = Some(failure);
                break;
            }
            // Whoever has gone wants to hear no more.
            () = gone(&mut messages) => return Ok(()),
        };
        line.push(b'\n');
        for piece in line.chunks(PIECE) {
            let sent = timeout(PATIENCE, told.send(piece)).await;
            sent.unwrap_or_else(|_| Err(late()))?;
        }
    }
    match last {
        Some(failure) => refuse(told, &failure).await,
        None => told.finish(Ok(())),
    }
}

/// Answers a call with a refusal.
pub async fn refuse(
    mut answer: leno_channel::grpc::Answer,
    failure: &Failure,
) -> Result<(), Status> {
    let told = Told::<()>::Failure(failure.clone());
    let mut line = serde_json::to_vec(&told).expect("a refusal is a map of plain values");
    line.push(b'\n');
    for piece in line.chunks(PIECE) {
        answer.send(piece).await?;
    }
    answer.finish(Ok(()))
}

fn late() -> Status {
    let code = leno_channel::grpc::StatusCode::DeadlineExceeded;
    Status::new(code, "the answer was not taken in time")
}

/// The line of a question, with its end.
async fn question(messages: &mut Messages, longest: usize) -> Result<Vec<u8>, Failure> {
    let broken = |status: Status| Failure::plain(status);
    let mut line = Vec::new();
    while let Some(piece) = messages.next().await.map_err(broken)? {
        if line.len().saturating_add(piece.len()) > longest {
            let message = format!("the question has more than {longest} bytes");
            return Err(Failure::plain(message));
        }
        line.extend_from_slice(&piece);
        if line.ends_with(b"\n") {
            return Ok(line);
        }
    }
    Err(Failure::plain("the question is cut off"))
}

/// Waits until the asker breaks off; what it says beside its question is dropped.
async fn gone(messages: &mut Messages) {
    while let Ok(Some(_)) = messages.next().await {}
}
