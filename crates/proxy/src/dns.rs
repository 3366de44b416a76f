//! Names for captured workloads: those of the mesh are answered here, all others are asked of the
//! host's own resolver.

mod addresses;
mod answer;
mod host;

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use leno_model::HostName;
use leno_model::view::WorkloadId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use self::answer::{Asked, Names};
use self::host::Transport;
use crate::worker::Worker;

/// The longest question that is read, in bytes.
const LONGEST_QUESTION: usize = 4096;

/// How many questions a worker has open at the host's resolver at most.
const MOST_FORWARDED: usize = 256;

/// How long a connection may wait for its next question.
const IDLE: Duration = Duration::from_secs(10);

/// How long to rest after a socket failed to receive.
const REST: Duration = Duration::from_millis(50);

/// What bounds the questions of one worker.
pub(crate) struct Forwarding(Semaphore);

impl Default for Forwarding {
    fn default() -> Self {
        Self(Semaphore::new(MOST_FORWARDED))
    }
}

/// Answers the datagrams of a workload until the task is ended.
pub(crate) async fn serve(worker: Rc<Worker>, socket: UdpSocket, workload: WorkloadId) {
    let socket = Rc::new(socket);
    let mut question = vec![0; LONGEST_QUESTION];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut question).await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let question = question.get(..length).unwrap_or_default();
        match ask(&worker, question, &workload, Transport::Udp) {
            Asked::Answered(answer) => drop(socket.try_send_to(&answer, from)),
            Asked::Ignored => {}
            Asked::OfOthers(forwarded) => {
                let (socket, asking, of) = (socket.clone(), worker.clone(), workload.clone());
                let Some(seat) = worker.seat(0) else {
                    continue;
                };
                worker.spawn(seat, from, async move {
                    let answer = forward(&asking, &forwarded, Transport::Udp).await;
                    remember(&asking, &of, &answer);
                    // Whoever does not hear the answer asks again.
                    drop(socket.send_to(&answer, from).await);
                });
            }
        }
    }
}

/// Answers the questions that come over one connection, one after the other.
pub(crate) async fn serve_stream(worker: Rc<Worker>, mut tcp: TcpStream, workload: WorkloadId) {
    // A connection that ends or breaks has no more questions.
    while let Ok(Ok(question)) = tokio::time::timeout(IDLE, read(&mut tcp)).await {
        let answer = match ask(&worker, &question, &workload, Transport::Tcp) {
            Asked::Answered(answer) => answer,
            Asked::Ignored => return,
            Asked::OfOthers(forwarded) => {
                let answer = forward(&worker, &forwarded, Transport::Tcp).await;
                remember(&worker, &workload, &answer);
                answer
            }
        };
        if write(&mut tcp, &answer).await.is_err() {
            return;
        }
    }
}

fn ask(worker: &Worker, question: &[u8], workload: &WorkloadId, transport: Transport) -> Asked {
    let table = worker.table();
    let names = Names {
        table: &table,
        network: &worker.network,
        from: &workload.namespace,
    };
    answer::answer(question, &names, transport)
}

/// Asks the host's resolver, and answers that it failed if it does, or too many ask already.
async fn forward(worker: &Worker, question: &answer::Question, transport: Transport) -> Vec<u8> {
    let id = worker.roll_id();
    let answered = match worker.forwarding.0.try_acquire() {
        Ok(_permit) => host::ask(question, id, transport).await,
        Err(_) => Err(io::ErrorKind::ResourceBusy.into()),
    };
    answered.unwrap_or_else(|_| question.failed())
}

/// Remembers what `workload` is told of a host outside the mesh, if rules about its calls ask for names.
fn remember(worker: &Worker, workload: &WorkloadId, answer: &[u8]) {
    let is_asked = worker.table().asks_names_of(workload);
    if is_asked && let Some((name, addresses)) = addresses::addresses(answer) {
        for address in addresses {
            worker.was_told(workload, &name, address);
        }
    }
}

/// Asks the host's resolver whether `name` has an address like `ip`, as if `workload` had.
pub(crate) async fn look_up(worker: &Worker, workload: &WorkloadId, name: &HostName, ip: IpAddr) {
    let Some(question) = answer::Question::new(name, ip) else {
        return;
    };
    for transport in [Transport::Udp, Transport::Tcp] {
        let answer = forward(worker, &question, transport).await;
        remember(worker, workload, &answer);
        if !host::is_truncated(&answer) {
            return;
        }
    }
}

/// Reads a message with its length before it (RFC 1035 section 4.2.2).
async fn read(tcp: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = tcp.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    tcp.read_exact(&mut message).await?;
    Ok(message)
}

async fn write(tcp: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    tcp.write_all(&[&length.to_be_bytes(), message].concat())
        .await
}
