//! The addresses that an answer gives to the name that was asked for.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{Name, RData};
use leno_model::HostName;

/// How many addresses of one answer are taken.
const MOST: usize = 64;

/// How many names an answer may go over from one to the next (CNAME).
const LONGEST_WAY: usize = 16;

/// The name that `answer` is about, and its addresses, each for the shortest time on the way there: records
/// of other names, which nobody asked for, say nothing.
pub(super) fn addresses(answer: &[u8]) -> Option<(HostName, Vec<(IpAddr, Duration)>)> {
    let message = Message::from_vec(answer).ok()?;
    let is_answer = message.metadata.message_type == MessageType::Response
        && message.metadata.response_code == ResponseCode::NoError;
    let [query] = message.queries.as_slice() else {
        return None;
    };
    let asked = HostName::new(&query.name().to_ascii()).filter(|_| is_answer)?;
    let (mut names, mut shortest) = (BTreeSet::from([query.name().clone()]), u32::MAX);
    for _ in 0..LONGEST_WAY {
        let before = names.len();
        for record in &message.answers {
            if let RData::CNAME(other) = &record.data
                && is_one(&names, &record.name)
            {
                shortest = shortest.min(record.ttl);
                names.insert(other.0.clone());
            }
        }
        if names.len() == before {
            break;
        }
    }
    let of_name = message
        .answers
        .iter()
        .filter(|record| is_one(&names, &record.name));
    let addresses = of_name.filter_map(|record| {
        let ip = match &record.data {
            RData::A(ip) => IpAddr::V4(ip.0),
            RData::AAAA(ip) => IpAddr::V6(ip.0),
            _ => return None,
        };
        Some((ip, Duration::from_secs(shortest.min(record.ttl).into())))
    });
    Some((asked, addresses.take(MOST).collect()))
}

/// Names are compared without case.
fn is_one(names: &BTreeSet<Name>, name: &Name) -> bool {
    names.iter().any(|known| known.eq_ignore_root(name))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::op::{OpCode, Query};
    use hickory_proto::rr::rdata::CNAME;
    use hickory_proto::rr::{Record, RecordType};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    /// An answer about `asked`, each record as `NAME TTL CNAME OTHER` or `NAME TTL A ADDRESS`.
    fn answer(asked: &str, records: &[&str]) -> Message {
        let mut message = Message::response(7, OpCode::Query);
        message.add_query(Query::query(name(asked), RecordType::A));
        for record in records {
            let words: Vec<_> = record.split(' ').collect();
            let [owner, ttl, kind, value] = words.as_slice() else {
                panic!("{record}")
            };
            let data = match *kind {
                "CNAME" => RData::CNAME(CNAME(name(value))),
                "A" => RData::A(value.parse::<Ipv4Addr>().unwrap().into()),
                _ => RData::AAAA(value.parse::<std::net::Ipv6Addr>().unwrap().into()),
            };
            let record = Record::from_rdata(name(owner), ttl.parse().unwrap(), data);
            message.add_answer(record);
        }
        message
    }

    fn told(message: &Message) -> String {
        let Some((name, addresses)) = addresses(&message.to_vec().unwrap()) else {
            return "nothing".to_owned();
        };
        let addresses = addresses.iter();
        let addresses = addresses.map(|(ip, ttl)| format!(" {ip} {}s", ttl.as_secs()));
        format!("{name}{}", addresses.collect::<String>())
    }

    #[test]
    fn the_addresses_are_those_of_the_name_that_was_asked_for() {
        for (records, expect) in [
            (
                &["API.example. 60 A 192.0.2.1", "api.example. 60 A 192.0.2.2"][..],
                "api.example 192.0.2.1 60s 192.0.2.2 60s",
            ),
            (
                &["api.example. 60 AAAA 2001:db8::1"],
                "api.example 2001:db8::1 60s",
            ),
            // However the records stand, and for the shortest time on the way.
            (
                &[
                    "cdn.example. 300 A 192.0.2.1",
                    "edge.example. 20 CNAME cdn.example.",
                    "api.example. 60 CNAME edge.example.",
                ],
                "api.example 192.0.2.1 20s",
            ),
            // Nobody asked for these.
            (
                &[
                    "api.example. 60 A 192.0.2.1",
                    "evil.example. 60 A 192.0.2.9",
                ],
                "api.example 192.0.2.1 60s",
            ),
            (
                &[
                    "evil.example. 60 CNAME api.example.",
                    "evil.example. 60 A 192.0.2.9",
                ],
                "api.example",
            ),
            (&["api.example. 60 CNAME api.example."], "api.example"),
            (&[], "api.example"),
        ] {
            assert_eq!(
                told(&answer("Api.Example.", records)),
                expect,
                "{records:?}"
            );
        }
    }

    #[test]
    fn what_is_no_good_answer_says_nothing() {
        let record = "api.example. 60 A 192.0.2.1";
        let mut failed = answer("api.example.", &[record]);
        failed.metadata.response_code = ResponseCode::NXDomain;
        assert_eq!(told(&failed), "nothing");
        let mut question = answer("api.example.", &[record]);
        question.metadata.message_type = MessageType::Query;
        assert_eq!(told(&question), "nothing");
        let mut two = answer("api.example.", &[record]);
        two.add_query(Query::query(name("b.example."), RecordType::A));
        assert_eq!(told(&two), "nothing");
        assert!(addresses(b"\0\x01").is_none());
        // More names on the way than anybody has, and more addresses than are taken.
        let way: Vec<_> = (0..40)
            .rev()
            .map(|n| format!("n{n}. 60 CNAME n{}.", n + 1))
            .collect();
        let way: Vec<_> = way
            .iter()
            .map(String::as_str)
            .chain(["n40. 60 A 192.0.2.1"])
            .collect();
        assert_eq!(told(&answer("n0.", &way)), "n0");
        let many: Vec<_> = (0..200).map(|n| format!("m. 60 A 192.0.2.{n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(
            addresses(&answer("m.", &many).to_vec().unwrap())
                .unwrap()
                .1
                .len(),
            MOST
        );
    }
}
