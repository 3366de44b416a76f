//! Answers what the control plane asks, on a call that this proxy holds open.

use std::collections::BTreeMap;

use leno_admin::several::Respondent;
use leno_channel::grpc::{Line, Sender, Status, StatusCode};
use leno_wire::call;
use leno_wire::questions::{Answering, Order, Posed, Told};
use tokio::sync::mpsc;

use crate::follow::stream::EndWith;

/// How many lines of answers wait at most to be sent.
const QUEUE: usize = 16;

/// The longest line of an answer that is sent, in bytes: less than a message may have.
const LONGEST_LINE: usize = 7 << 20;

/// Answers by `way` for as long as the connection lasts; an older control plane has no questions.
pub(super) async fn serve(line: Line, way: Respondent) {
    // Why it ended is told by the connection that ends with it.
    drop(answer(&line, &way).await);
}

async fn answer(line: &Line, way: &Respondent) -> Result<(), Status> {
    let (mut sender, mut incoming) = line.call(call::ANSWER).await?;
    incoming.begun().await?;
    let mut answering = Answering::default();
    let mut under_way = BTreeMap::new();
    let (tell, mut told) = mpsc::channel::<(u64, Option<Vec<u8>>)>(QUEUE);
    loop {
        tokio::select! {
            message = incoming.next() => {
                let Some(message) = message? else { return Ok(()) };
                let invalid = |misfit| Status::new(StatusCode::InvalidArgument, misfit);
                let posed = Posed::decode(&message).map_err(invalid)?;
                match answering.handle_posed(posed).map_err(invalid)? {
                    Some(Order::Answer(number, question)) => {
                        let lines = way(question);
                        let passing = tokio::spawn(pass_on(number, lines, tell.clone()));
                        under_way.insert(number, EndWith(passing));
                    }
                    Some(Order::TurnAway(told)) => send(&mut sender, &told).await?,
                    Some(Order::Cease(number)) => drop(under_way.remove(&number)),
                    None => {}
                }
            }
            Some((number, line)) = told.recv() => {
                if line.is_none() {
                    under_way.remove(&number);
                }
                if let Some(told) = answering.tell(number, line) {
                    send(&mut sender, &told).await?;
                }
            }
        }
    }
}

async fn send(sender: &mut Sender, told: &Told) -> Result<(), Status> {
    sender.send(&told.encode()).await
}

/// Passes on each line of an answer, and then that it is complete. One that is too long ends it.
async fn pass_on(
    number: u64,
    mut lines: mpsc::Receiver<Vec<u8>>,
    tell: mpsc::Sender<(u64, Option<Vec<u8>>)>,
) {
    while let Some(line) = lines.recv().await {
        if line.len() > LONGEST_LINE || tell.send((number, Some(line))).await.is_err() {
            break;
        }
    }
    // Who does not hear it has ended.
    drop(tell.send((number, None)).await);
}
