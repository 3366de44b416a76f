//! Requests of HTTP/1.

use leno_model::Dice;
use leno_protocol::{
    BodyFraming, Fields, HeadReader, Header, RequestChanges, RequestHead, write_request,
};

use super::Target;

/// The same as the parser's own tests tell it.
#[path = "../../../../crates/protocol/tests/it/conversation.rs"]
pub(super) mod conversation;
#[path = "../../../attacks/src/escapes.rs"]
mod escapes;

pub(super) const REQUEST: Target = Target {
    name: "request",
    holds: "a stream of requests means the same in every split, another parser takes what is accepted for the \
            same, and what is passed on is read as it was",
    seeds: || {
        streams(include_str!(
            "../../../../crates/protocol/tests/corpus/requests.txt"
        ))
    },
    words: WORDS,
    check,
};

/// What smugglers write.
pub(super) const WORDS: &[&str] = &[
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: web\r\n",
    "Connection: close\r\n",
    "Connection: Host\r\n",
    "Upgrade: websocket\r\nConnection: upgrade\r\n",
    "Expect: 100-continue\r\n",
    "Keep-Alive: timeout=1\r\n",
    "chunked",
    "identity",
    " HTTP/1.0\r\n",
    "http://",
    "0\r\n\r\n",
    "\r\n ",
];

/// The byte streams of a corpus.
pub(super) fn streams(corpus: &str) -> Vec<Vec<u8>> {
    let cases = corpus.split("# ").skip(1);
    let streams = cases.map(|case| {
        let lines = case.lines().skip(1);
        let sent = lines.filter(|line| !line.starts_with(['>', '?']));
        escapes::unescaped(&sent.collect::<String>())
    });
    streams.filter(|stream| stream.len() < 2000).collect()
}

/// Lengths of pieces, of which an input comes in, that the input itself decides.
pub(super) fn pieces(input: &[u8]) -> Vec<usize> {
    let seed = input.iter().fold(0, |seed: u64, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    let mut dice = Dice::new(seed);
    (0..8)
        .map(|_| (dice.next_u64() % 40 + 1) as usize)
        .collect()
}

fn check(input: &[u8]) -> bool {
    let whole = conversation::requests(input, &[]);
    assert_eq!(whole, conversation::requests(input, &pieces(input)));
    let mut fields = Fields::new();
    let Ok(Some(head)) = HeadReader::default().request(input, &mut fields) else {
        return false;
    };
    compare(&head, input);
    let mut written = Vec::new();
    let changes = RequestChanges::default();
    write_request(&mut written, &head.request, head.body, &changes);
    let mut fields = Fields::new();
    let again = HeadReader::default().request(&written, &mut fields);
    let again = again.expect("what is written is accepted");
    let again = again.expect("what is written is whole");
    assert_eq!(again.length, written.len());
    assert_eq!(facts(&again), facts(&head));
    true
}

/// Another parser accepts the head, and understands the same; and the framing is what the plainest reading of
/// the headers says.
fn compare(head: &RequestHead<'_>, input: &[u8]) {
    let mut room = [httparse::EMPTY_HEADER; Fields::MOST];
    let mut other = httparse::Request::new(&mut room);
    let length = other.parse(input);
    assert_eq!(length, Ok(httparse::Status::Complete(head.length)));
    assert_eq!(other.method, Some(head.request.method));
    assert_eq!(other.version, Some(head.version as u8));
    let query = head.request.query.unwrap_or_default();
    assert!(other.path.is_some_and(|path| path.contains(query)));
    let mut theirs = other.headers.iter();
    for header in head.request.headers {
        let same = theirs.any(|other| other.name == header.name && other.value == header.value);
        assert!(same, "{} is not there, or not in its place", header.name);
    }
    assert_eq!(plain_framing(other.headers), head.body);
}

/// All that is decided by. Lengths are compared as numbers, not as they are written.
fn facts(head: &RequestHead<'_>) -> impl PartialEq + std::fmt::Debug {
    let request = &head.request;
    let named = (
        request.method.to_owned(),
        request.host.to_owned(),
        request.port,
    );
    let query = request.query.map(str::to_owned);
    let asked = (request.path.raw().to_owned(), query, plain(request.headers));
    (named, asked, head.body, head.upgrade)
}

pub(super) fn plain(headers: &[Header<'_>]) -> Vec<(String, Vec<u8>)> {
    let is_length = |header: &&Header<'_>| header.name.eq_ignore_ascii_case("content-length");
    let others = headers.iter().filter(|header| !is_length(header));
    let owned = others.map(|header| (header.name.to_owned(), header.value.to_owned()));
    owned.collect()
}

fn plain_framing(headers: &[httparse::Header<'_>]) -> BodyFraming {
    let values = |name: &str| -> Vec<_> {
        let named = headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        let lower = |value: &[u8]| String::from_utf8_lossy(value).to_ascii_lowercase();
        named.map(|header| lower(header.value)).collect()
    };
    assert_eq!(values("host").len(), 1);
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => BodyFraming::None,
        ([length], []) => match length.parse().expect("a number") {
            0 => BodyFraming::None,
            length => BodyFraming::Length(length),
        },
        ([], [coding]) if coding == "chunked" => BodyFraming::Chunked,
        others => panic!("accepted {others:?}"),
    }
}
