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
    let mut carried = Carried::default();
    let mut looks = interval(LOOK);
    loop {
        tokio::select! {
            message = messages.next() => match message? {
                Some(message) => carried.hear(&message).await?,
                None => return Ok(()),
            },
            Some(wish) = wishes.recv() => carried.ask(wish),
            _ = looks.tick() => carried.look(),
        }
        while let Some(posed) = carried.asking.poll_posed() {
            answer.send(&Posed::encode(&posed)).await?;
        }
    }
}

/// The questions that are under way on one call.
#[derive(Default)]
struct Carried {
    asking: Asking,
    /// Where the lines of each answer go.
    waiting: BTreeMap<u64, mpsc::Sender<Vec<u8>>>,
}

impl Carried {
    /// Takes what the proxy told. Who does not read its answer gets no more of it.
    async fn hear(&mut self, message: &[u8]) -> Result<(), Status> {
        let told = Told::decode(message);
        let told = told.map_err(|misfit| Status::new(StatusCode::InvalidArgument, misfit))?;
        match self.asking.handle_told(told) {
            Some(Heard::Line(number, line)) => {
                let Some(lines) = self.waiting.get(&number) else {
                    return Ok(());
                };
                if !matches!(timeout(PATIENCE, lines.send(line)).await, Ok(Ok(()))) {
                    self.waiting.remove(&number);
                    self.asking.cease(number);
                }
            }
            Some(Heard::End(number)) => drop(self.waiting.remove(&number)),
            None => {}
        }
        Ok(())
    }

    fn ask(&mut self, Wish { question, lines }: Wish) {
        if let Some(number) = self.asking.ask(question) {
            self.waiting.insert(number, lines);
        }
    }

    /// Lets go of the questions of those who have gone.
    fn look(&mut self) {
        let gone = self.waiting.extract_if(.., |_, lines| lines.is_closed());
        for (number, _) in gone {
            self.asking.cease(number);
        }
    }
}
