//! Questions to servers of names: the host's own, as `/etc/resolv.conf` names them, or those of a pod.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
use leno_host::Netns;
use leno_model::view::Resolver;
use leno_traffic::naming;

use super::answer::Question;
use crate::connect::{connect_from, datagrams_from};

/// How long a server has for its answer. An application waits for 5 s before it asks again.
const PATIENCE: Duration = Duration::from_secs(2);

/// The largest datagram that is taken for an answer.
const LONGEST_ANSWER: usize = 4096;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How a question came, and how it goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// Servers, and where they are asked from.
pub(super) struct Servers {
    pub(super) addresses: Vec<IpAddr>,
    /// The network of a workload; ours, if there is none.
    pub(super) netns: Option<Arc<Netns>>,
}

impl Servers {
    /// Those of the host. It is read each time: the host may have joined another network meanwhile.
    pub(super) fn of_host() -> Self {
        Self {
            addresses: servers(),
            netns: None,
        }
    }

    /// Asks them one after the other, under an `id` of our own; the first answer is the one, and carries the id of the
    /// question.
    pub(super) async fn ask(
        &self,
        question: &Question,
        id: [u8; 2],
        transport: Transport,
    ) -> io::Result<Vec<u8>> {
        let mut bytes = question.bytes.clone();
        let theirs = exchange_id(&mut bytes, id)?;
        let netns = self.netns.as_deref();
        for server in &self.addresses {
            let server = SocketAddr::new(*server, PORT);
            let answer = async {
                match transport {
                    Transport::Udp => ask_udp(question, &bytes, id, (netns, server)).await,
                    Transport::Tcp => ask_tcp(question, &bytes, id, (netns, server)).await,
                }
            };
            if let Ok(Ok(mut answer)) = tokio::time::timeout(PATIENCE, answer).await {
                exchange_id(&mut answer, theirs)?;
                return Ok(answer);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

/// Where servers of names are asked.
const PORT: u16 = 53;

async fn ask_udp(
    question: &Question,
    bytes: &[u8],
    id: [u8; 2],
    (netns, server): (Option<&Netns>, SocketAddr),
) -> io::Result<Vec<u8>> {
    // A port of its own for each question is what keeps forged answers out (RFC 5452 section 9.2).
    let socket = datagrams_from(netns, server).await?;
    socket.send(bytes).await?;
    let mut answer = vec![0; LONGEST_ANSWER];
    loop {
        let length = socket.recv(&mut answer).await?;
        let answer = answer.get(..length).unwrap_or_default();
        if answers(question, answer, id) {
            return Ok(answer.to_vec());
        }
    }
}

async fn ask_tcp(
    question: &Question,
    bytes: &[u8],
    id: [u8; 2],
    (netns, server): (Option<&Netns>, SocketAddr),
) -> io::Result<Vec<u8>> {
    let mut tcp = connect_from(netns, server).await?;
    super::write(&mut tcp, bytes).await?;
    let answer = super::read(&mut tcp).await?;
    if answers(question, &answer, id) {
        Ok(answer)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// Whether `answer` is one to this question.
fn answers(question: &Question, answer: &[u8], id: [u8; 2]) -> bool {
    answer.first_chunk() == Some(&id)
        && Message::from_vec(answer).is_ok_and(|message| {
            message.metadata.message_type == MessageType::Response
                && message.queries.first() == question.query()
        })
}

/// Whether an answer had no room for all that there is (RFC 1035 section 4.1.1).
pub(super) fn is_truncated(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|flags| flags & 0b10 != 0)
}

/// Puts `id` into a message and returns the one it had.
fn exchange_id(message: &mut [u8], id: [u8; 2]) -> io::Result<[u8; 2]> {
    let place = message.first_chunk_mut();
    let place = place.ok_or(io::ErrorKind::InvalidData)?;
    Ok(std::mem::replace(place, id))
}

/// Whether the host's resolver is that of a cluster, which knows more names of it than a view holds: those of
/// pods and ports, and what is another name for a host outside.
pub(super) fn is_of_cluster() -> bool {
    searches_cluster(&std::fs::read_to_string(RESOLV_CONF).unwrap_or_default())
}

fn searches_cluster(config: &str) -> bool {
    let mut lines = config.lines().map(str::split_whitespace);
    lines.any(|mut words| words.next() == Some("search") && words.any(naming::is_of_cluster))
}

/// The servers of the host; without any, the one on this machine.
pub(super) fn servers() -> Vec<IpAddr> {
    let config = std::fs::read_to_string(RESOLV_CONF).unwrap_or_default();
    let named = named_in(&config);
    match named.is_empty() {
        true => vec![Ipv4Addr::LOCALHOST.into()],
        false => named,
    }
}

/// The servers that a resolv.conf(5) names.
pub fn named_in(config: &str) -> Vec<IpAddr> {
    let named = config.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        words.next().filter(|_| is_server)?.parse().ok()
    });
    named.take(Resolver::MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_known_by_where_short_names_are_looked_for() {
        let kubelet = "search shop.svc.cluster.local svc.cluster.local cluster.local\n\
             nameserver 10.96.0.10\noptions ndots:5\n";
        assert!(searches_cluster(kubelet));
        assert!(!searches_cluster(
            "# search cluster.local\nsearch example\n"
        ));
        assert!(!searches_cluster(""));
    }

    #[test]
    fn servers_are_those_that_the_file_names() {
        let read = |config| {
            let servers = named_in(config).into_iter();
            servers.map(|server| server.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(read(""), [""; 0]);
        let config = "# nameserver 1.1.1.1\nsearch example\n nameserver 10.0.0.53\n\
             nameserver fd00::53\nnameserver nonsense\nnameserver 10.0.0.54\nnameserver 10.0.0.55";
        assert_eq!(read(config), ["10.0.0.53", "fd00::53", "10.0.0.54"]);
    }
}
