//! What a question about a name is answered, as far as the view knows. Bytes in, bytes out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use leno_model::{HostName, Namespace, Network, Subscription};
use leno_traffic::naming::is_of_cluster;
use leno_traffic::{Named, Table};

use super::host::Transport;

/// How long an answer may be kept, in seconds. Virtual addresses stay; endpoints of headless
/// services come and go.
const TTL: u32 = 30;

/// The largest datagram that is announced: it passes everywhere in one piece.
const PAYLOAD: u16 = 1232;

/// The names that one workload can ask for.
pub(super) struct Names<'a> {
    pub(super) table: &'a Table,
    pub(super) network: &'a Network,
    /// The namespace that short names are looked for in.
    pub(super) from: &'a Namespace,
}

/// What becomes of a question.
pub(super) enum Asked {
    /// It has this answer.
    Answered(Vec<u8>),
    /// It is about a name that the control plane must be asked about first.
    NotKnownYet(Question, Subscription),
    /// It is about a name of ours that has no address.
    NoAddress(Question),
    /// It is about a name that would be ours, and is none that we know.
    Nothing(Question),
    /// It is about a name that is not ours.
    OfOthers(Question),
    /// It is none.
    Ignored,
}

/// A question that was understood.
pub(super) struct Question {
    /// As it came.
    pub(super) bytes: Vec<u8>,
    message: Message,
}

/// Answers `bytes`, which came by `transport`.
pub(super) fn answer(bytes: &[u8], names: &Names<'_>, transport: Transport) -> Asked {
    let Ok(message) = Message::from_vec(bytes) else {
        return match bytes.first_chunk() {
            Some(id) => Asked::Answered(malformed(u16::from_be_bytes(*id))),
            None => Asked::Ignored,
        };
    };
    if message.metadata.message_type != MessageType::Query {
        return Asked::Ignored;
    }
    let question = Question {
        bytes: bytes.to_vec(),
        message,
    };
    let query = match (question.message.metadata.op_code, question.query()) {
        (OpCode::Query, Some(query)) => query,
        (OpCode::Query, None) => {
            return Asked::Answered(question.refused(ResponseCode::FormErr));
        }
        _ => return Asked::Answered(question.refused(ResponseCode::NotImp)),
    };
    match names.find(query) {
        Found::Addresses(addresses) if addresses.is_empty() => Asked::NoAddress(question),
        Found::Addresses(addresses) => Asked::Answered(question.answered(&addresses, transport)),
        Found::NotKnownYet(subscription) => Asked::NotKnownYet(question, subscription),
        Found::Nothing => Asked::Nothing(question),
        Found::OfOthers => Asked::OfOthers(question),
    }
}

/// What a name is.
#[derive(PartialEq, Eq, Debug)]
enum Found {
    /// It is known, with all of its addresses.
    Addresses(Vec<IpAddr>),
    /// Whoever is asked this knows.
    NotKnownYet(Subscription),
    /// It would be ours, and does not exist.
    Nothing,
    /// Others know.
    OfOthers,
}

impl Names<'_> {
    fn find(&self, query: &Query) -> Found {
        if query.query_class() != DNSClass::IN {
            return Found::OfOthers;
        }
        let name = query.name().to_ascii().to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        match self.table.named(name, self.from) {
            Named::Service(service) => {
                Found::Addresses(self.table.addresses_of(service, self.network))
            }
            Named::Loopback => {
                let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                Found::Addresses(loopback.into())
            }
            Named::Nothing => Found::Nothing,
            // Where short names are looked for, their resolvers make these of them.
            Named::Needs(question) if is_of_cluster(name) => Found::NotKnownYet(question),
            Named::Needs(_) | Named::OfOthers => Found::OfOthers,
        }
    }
}

impl Question {
    /// The question for addresses of `name` of the same version as `like`; `None` if no question could
    /// carry the name.
    pub(super) fn new(name: &HostName, like: IpAddr) -> Option<Self> {
        let kind = match like.to_canonical() {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::AAAA,
        };
        let name = Name::from_ascii(format!("{name}.")).ok()?;
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name, kind));
        let bytes = message.to_vec().ok()?;
        Some(Self { bytes, message })
    }

    /// What is asked, if it is one thing.
    pub(super) fn query(&self) -> Option<&Query> {
        match self.message.queries.as_slice() {
            [query] => Some(query),
            _ => None,
        }
    }

    /// The answer that whoever knows could not be asked.
    pub(super) fn failed(&self) -> Vec<u8> {
        self.refused(ResponseCode::ServFail)
    }

    /// The answer that the name has no address.
    pub(super) fn no_address(&self) -> Vec<u8> {
        encode(&self.respond())
    }

    /// The answer that there is no such name.
    pub(super) fn nothing(&self) -> Vec<u8> {
        self.refused(ResponseCode::NXDomain)
    }

    fn refused(&self, code: ResponseCode) -> Vec<u8> {
        let mut answer = self.respond();
        answer.metadata.response_code = code;
        encode(&answer)
    }

    /// Those of `addresses` that are of the type that is asked for; a name that has none of them
    /// exists all the same.
    fn answered(&self, addresses: &[IpAddr], transport: Transport) -> Vec<u8> {
        let mut answer = self.respond();
        for query in &self.message.queries {
            let records = addresses.iter().filter_map(|address| {
                let data = match (query.query_type(), address) {
                    (RecordType::A, IpAddr::V4(ip)) => RData::A((*ip).into()),
                    (RecordType::AAAA, IpAddr::V6(ip)) => RData::AAAA((*ip).into()),
                    _ => return None,
                };
                Some(Record::from_rdata(query.name().clone(), TTL, data))
            });
            answer.add_answers(records);
        }
        let bytes = encode(&answer);
        let most = self.message.max_payload().clamp(512, PAYLOAD);
        if transport == Transport::Udp && bytes.len() > usize::from(most) {
            return encode(&answer.truncate());
        }
        bytes
    }

    fn respond(&self) -> Message {
        let asked = &self.message.metadata;
        let mut answer = Message::response(asked.id, asked.op_code);
        answer.metadata.authoritative = true;
        answer.metadata.recursion_desired = asked.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.add_queries(self.message.queries.iter().cloned());
        //= RFC 6891 section 6.1.1: "If an OPT record is present in a received request, compliant
        //= responders MUST include an OPT record in their respective responses."
        if self.message.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(PAYLOAD);
            answer.set_edns(edns);
        }
        answer
    }
}

fn malformed(id: u16) -> Vec<u8> {
    encode(&Message::error_msg(
        id,
        OpCode::Query,
        ResponseCode::FormErr,
    ))
}

/// Nothing of it is longer than what was read, so that it can always be written.
fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap_or_default()
}

#[cfg(test)]
mod tests;
