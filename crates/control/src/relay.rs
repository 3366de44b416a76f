//! The call on which a connected proxy is asked: questions of people go out, lines of answers come in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use leno_admin::several::Respondent;
use leno_channel::grpc::{Answer, Call, Messages, Status, StatusCode};
use leno_wire::questions::{Asking, Heard, MOST_QUESTIONS, Posed, Told};
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

use crate::center::Center;

/// How many lines of one answer wait at most to be read.
const QUEUE: usize = 16;

/// How long whoever asked may take to read a line, until nothing more of its answer is taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked whether those who asked are still there.
const LOOK: Duration = Duration::from_millis(500);

/// A question, and where the lines of its answer go.
struct Wish {
    question: Vec<u8>,
    lines: mpsc::Sender<Vec<u8>>,
}

/// Lets the proxy behind `peer` be asked until the call ends.
pub(crate) async fn run(center: &Arc<Center>, peer: SocketAddr, call: Call) {
    let Call {
        messages,
        mut answer,
        ..
    } = call;
    let (wish, wishes) = mpsc::channel(MOST_QUESTIONS);
    let respondent: Respondent = Arc::new(move |question| {
        let (lines, told) = mpsc::channel(QUEUE);
        // Where there is no room, who asked hears nothing but the end.
        drop(wish.try_send(Wish { question, lines }));
        told
    });
    let _place = center.fleet.answers(peer, respondent);
    let end = match answer.begin() {
        Ok(()) => carry(messages, &mut answer, wishes).await,
        Err(status) => Err(status),
    };
    // A proxy that is gone needs no answer.
    drop(answer.finish(end));
}

async fn carry(
    mut messages: Messages,
    answer: &mut Answer,
    mut wishes: mpsc::Receiver<Wish>,
) -> Result<(), Status> {
    let mut asking = Asking::default();
    let mut waiting = BTreeMap::<u64, mpsc::Sender<Vec<u8>>>::new();
    let mut looks = interval(LOOK);
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message? else { return Ok(()) };
                let told = Told::decode(&message);
                let told = told.map_err(|misfit| Status::new(StatusCode::InvalidArgument, misfit))?;
                match asking.handle_told(told) {
                    Some(Heard::Line(number, line)) => {
                        let Some(lines) = waiting.get(&number) else { continue };
                        if !matches!(timeout(PATIENCE, lines.send(line)).await, Ok(Ok(()))) {
                            waiting.remove(&number);
                            asking.cease(number);
                        }
                    }
                    Some(Heard::End(number)) => drop(waiting.remove(&number)),
                    None => {}
                }
            }
            Some(Wish { question, lines }) = wishes.recv() => {
                if let Some(number) = asking.ask(question) {
                    waiting.insert(number, lines);
                }
            }
            _ = looks.tick() => {
                for (number, _) in waiting.extract_if(.., |_, lines| lines.is_closed()) {
                    asking.cease(number);
                }
            }
        }
        while let Some(posed) = asking.poll_posed() {
            answer.send(&Posed::encode(&posed)).await?;
        }
    }
}
