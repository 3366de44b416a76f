//! Names for captured workloads: those of the mesh are answered here, once the control plane has told what
//! the view was never asked to hold; all others are asked of the host's own resolver, or of the one that a pod names.

mod addresses;
mod answer;
pub(crate) mod host;

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
use self::host::{Servers, Transport};
use crate::incoming;
use crate::worker::Worker;

/// The longest question that is read, in bytes.
const LONGEST_QUESTION: usize = 4096;

/// How many questions a worker has open at the host's resolver and the control plane at most.
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
        let asked = match ask(&worker, question, &workload, Transport::Udp) {
            Asked::Answered(answer) => {
                drop(socket.try_send_to(&answer, from));
                continue;
            }
            Asked::Ignored => continue,
            asked => asked,
        };
        let Some(seat) = worker.seat(0) else {
            continue;
        };
        let (socket, asking, of) = (socket.clone(), worker.clone(), workload.clone());
        worker.spawn(seat, from, async move {
            if let Some(answer) = find_out(&asking, asked, &of, Transport::Udp).await {
                // Whoever does not hear the answer asks again.
                drop(socket.send_to(&answer, from).await);
            }
        });
    }
}

/// Answers the questions that come over one connection, one after the other.
pub(crate) async fn serve_stream(worker: Rc<Worker>, mut tcp: TcpStream, workload: WorkloadId) {
    // A connection that ends or breaks has no more questions.
    while let Ok(Ok(question)) = tokio::time::timeout(IDLE, read(&mut tcp)).await {
        let asked = ask(&worker, &question, &workload, Transport::Tcp);
        let Some(answer) = find_out(&worker, asked, &workload, Transport::Tcp).await else {
            return;
        };
        if write(&mut tcp, &answer).await.is_err() {
            return;
        }
    }
}

/// The answer to what was asked, from whoever knows it; `None` where none is due.
async fn find_out(
    worker: &Worker,
    asked: Asked,
    workload: &WorkloadId,
    transport: Transport,
) -> Option<Vec<u8>> {
    let asked = match asked {
        Asked::NotKnownYet(question, _) => ask_control(worker, question, workload, transport).await,
        asked => asked,
    };
    let forwarded = match asked {
        Asked::Answered(answer) => return Some(answer),
        Asked::Ignored => return None,
        // That there is no such name is not known either.
        Asked::NotKnownYet(question, _) => return Some(question.failed()),
        Asked::NoAddress(question) if !host::is_of_cluster() => return Some(question.no_address()),
        Asked::Nothing(question) if !host::is_of_cluster() => return Some(question.nothing()),
        Asked::NoAddress(question) | Asked::Nothing(question) | Asked::OfOthers(question) => {
            question
        }
    };
    let answer = forward(worker, workload, &forwarded, transport).await;
    remember(worker, workload, &answer);
    Some(answer)
}

/// Asks the control plane what the view must hold to answer a question, and then the view again.
async fn ask_control(
    worker: &Worker,
    question: answer::Question,
    workload: &WorkloadId,
    transport: Transport,
) -> Asked {
    let ask = || ask(worker, &question.bytes, workload, transport);
    let Ok(_permit) = worker.forwarding.0.try_acquire() else {
        return Asked::Answered(question.failed());
    };
    incoming::find_out(worker, || match ask() {
        Asked::NotKnownYet(_, subscription) => Some(subscription),
        Asked::Answered(_)
        | Asked::NoAddress(_)
        | Asked::Nothing(_)
        | Asked::OfOthers(_)
        | Asked::Ignored => None,
    })
    .await;
    ask()
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

/// Whom `workload` asks for names that are not ours: the servers that its pod's own spec says, from its own network, or
/// those of the host. What a container finds in its file is anybody's to write who is in it.
fn servers(worker: &Worker, workload: &WorkloadId) -> Servers {
    let table = worker.table();
    let pod = table.view().workloads.get(workload);
    let pod = pod.and_then(|workload| workload.pod.as_ref());
    match pod.and_then(|pod| pod.resolver.as_ref()) {
        None => Servers::of_host(),
        Some(resolver) => Servers {
            addresses: resolver.servers(&host::servers(), &worker.node_servers),
            netns: worker.netns(workload),
        },
    }
}

/// Asks the resolver of `workload`, and answers that it failed if it does, or too many ask already.
async fn forward(
    worker: &Worker,
    workload: &WorkloadId,
    question: &answer::Question,
    transport: Transport,
) -> Vec<u8> {
    let id = worker.roll_id();
    let answered = match worker.forwarding.0.try_acquire() {
        Ok(_permit) => {
            let servers = servers(worker, workload);
            servers.ask(question, id, transport).await
        }
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

/// Asks the resolver of `workload` whether `name` has an address like `ip`, as if that had.
pub(crate) async fn look_up(worker: &Worker, workload: &WorkloadId, name: &HostName, ip: IpAddr) {
    let Some(question) = answer::Question::new(name, ip) else {
        return;
    };
    for transport in [Transport::Udp, Transport::Tcp] {
        let answer = forward(worker, workload, &question, transport).await;
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
