//! Streams that nobody wrote: the corpus, changed at random from a fixed seed.

use leno_model::Dice;
use leno_protocol::{
    BodyFraming, Fields, HeadReader, Header, RequestChanges, RequestHead, ResponseChanges, Version,
    write_request, write_response,
};

use crate::{conversation, corpus};

/// What smugglers write.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b":",
    b",",
    b";",
    b"/",
    b"%2F",
    b"..",
    b"\x0b",
    b"\xff",
    b"0",
    b"-1",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: web\r\n",
    b"Connection: close\r\n",
    b"Connection: Host\r\n",
    b"chunked",
    b"identity",
    b" HTTP/1.0\r\n",
    b"http://",
    b"0\r\n\r\n",
    b"\r\n ",
];

#[test]
fn a_stream_means_the_same_in_every_split() {
    each_mutation(|case, stream, dice| {
        let pieces: Vec<usize> = (0..8).map(|_| roll(dice, 40) + 1).collect();
        let (whole, split) = (
            (
                conversation::requests(stream, &[]),
                conversation::responses(stream, &[], case.asked),
            ),
            (
                conversation::requests(stream, &pieces),
                conversation::responses(stream, &pieces, case.asked),
            ),
        );
        assert_eq!(
            whole,
            split,
            "{}, in pieces {pieces:?}",
            stream.escape_ascii()
        );
    });
}

/// What is accepted, another parser must accept too, and understand the same; and its framing must
/// be what the plainest reading of the headers says.
#[test]
fn another_parser_understands_the_same() {
    let mut compared = 0;
    each_mutation(|_, stream, _| {
        let mut fields = Fields::new();
        let Ok(Some(head)) = HeadReader::default().request(stream, &mut fields) else {
            return;
        };
        let mut room = [httparse::EMPTY_HEADER; Fields::MOST];
        let mut other = httparse::Request::new(&mut room);
        let length = other.parse(stream);
        assert_eq!(
            length,
            Ok(httparse::Status::Complete(head.length)),
            "{}",
            stream.escape_ascii()
        );
        assert_eq!(other.method, Some(head.request.method));
        assert_eq!(other.version, Some(head.version as u8));
        assert!(
            other
                .path
                .unwrap()
                .contains(head.request.query.unwrap_or_default())
        );
        let mut theirs = other.headers.iter();
        for header in head.request.headers {
            let same = theirs.any(|other| other.name == header.name && other.value == header.value);
            assert!(same, "{} of {}", header.name, stream.escape_ascii());
        }
        assert_eq!(
            plain_framing(other.headers),
            head.body,
            "{}",
            stream.escape_ascii()
        );
        compared += 1;
    });
    assert!(compared > 2_000, "{compared}");
}

#[test]
fn what_is_passed_on_is_read_as_it_was() {
    let mut compared = 0;
    each_mutation(|_, stream, _| {
        let mut fields = Fields::new();
        let Ok(Some(head)) = HeadReader::default().request(stream, &mut fields) else {
            return;
        };
        let mut written = Vec::new();
        write_request(
            &mut written,
            &head.request,
            head.body,
            &RequestChanges::default(),
        );
        let mut fields = Fields::new();
        let again = HeadReader::default().request(&written, &mut fields);
        let again = again.unwrap().expect("a whole head");
        assert_eq!(again.length, written.len());
        assert_eq!(facts(&again), facts(&head), "{}", stream.escape_ascii());
        compared += 1;
    });
    assert!(compared > 2_000, "{compared}");
}

#[test]
fn what_is_answered_is_read_as_it_was() {
    let mut compared = 0;
    each_mutation(|case, stream, _| {
        let mut fields = Fields::new();
        let Ok(Some(head)) = HeadReader::default().response(stream, &mut fields, case.asked) else {
            return;
        };
        let changes = ResponseChanges {
            headers: &[],
            own: &[],
            client: Version::Http11,
            keep_alive: true,
        };
        let mut written = Vec::new();
        write_response(&mut written, &head.response, head.body, &changes);
        let mut fields = Fields::new();
        let again = HeadReader::default().response(&written, &mut fields, case.asked);
        let again = again.unwrap().expect("a whole head");
        assert_eq!(again.length, written.len());
        assert_eq!(again.response.status, head.response.status);
        assert_eq!(again.response.reason, head.response.reason);
        assert_eq!(plain(again.response.headers), plain(head.response.headers));
        assert_eq!(again.body, head.body, "{}", stream.escape_ascii());
        compared += 1;
    });
    assert!(compared > 1_000, "{compared}");
}

/// All that is decided by. Lengths are compared as numbers, not as they are written.
fn facts(head: &RequestHead<'_>) -> impl PartialEq + std::fmt::Debug {
    let request = &head.request;
    let headers = plain(request.headers);
    (
        (
            request.method.to_owned(),
            request.host.to_owned(),
            request.port,
        ),
        (
            request.path.raw().to_owned(),
            request.query.map(str::to_owned),
            headers,
        ),
        (head.body, head.upgrade),
    )
}

fn plain(headers: &[Header<'_>]) -> Vec<(String, Vec<u8>)> {
    let others = headers
        .iter()
        .filter(|header| !header.name.eq_ignore_ascii_case("content-length"));
    others
        .map(|header| (header.name.to_owned(), header.value.to_owned()))
        .collect()
}

fn plain_framing(headers: &[httparse::Header<'_>]) -> BodyFraming {
    let values = |name: &str| -> Vec<_> {
        let named = headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        named
            .map(|header| String::from_utf8_lossy(header.value).to_ascii_lowercase())
            .collect()
    };
    assert_eq!(values("host").len(), 1);
    match (
        &values("content-length")[..],
        &values("transfer-encoding")[..],
    ) {
        ([], []) => BodyFraming::None,
        ([length], []) => match length.parse().unwrap() {
            0 => BodyFraming::None,
            length => BodyFraming::Length(length),
        },
        ([], [coding]) if coding == "chunked" => BodyFraming::Chunked,
        others => panic!("accepted {others:?}"),
    }
}

fn each_mutation(mut check: impl FnMut(&corpus::Case, &[u8], &mut Dice)) {
    let mut cases = corpus::read("requests.txt");
    cases.extend(corpus::read("responses.txt"));
    cases.retain(|case| case.bytes.len() < 1_000);
    let mut dice = Dice::new(5);
    for case in &cases {
        for _ in 0..200 {
            let mut stream = case.bytes.clone();
            for _ in 0..=roll(&mut dice, 2) {
                let other = &cases[roll(&mut dice, cases.len())].bytes;
                mutate(&mut stream, other, &mut dice);
            }
            check(case, &stream, &mut dice);
        }
    }
}

fn mutate(stream: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let at = roll(dice, stream.len() + 1);
    let end = (at + roll(dice, 12)).min(stream.len());
    match roll(dice, 6) {
        0 if at < stream.len() => stream[at] = roll(dice, 256) as u8,
        1 => drop(stream.drain(at..end)),
        2 => {
            let again = stream[at..end].to_vec();
            stream.splice(end..end, again);
        }
        3 => {
            let cut = roll(dice, other.len() + 1);
            stream.truncate(at);
            stream.extend(&other[cut..]);
        }
        _ => {
            let word = WORDS[roll(dice, WORDS.len())];
            stream.splice(at..at, word.iter().copied());
        }
    }
}

fn roll(dice: &mut Dice, sides: usize) -> usize {
    let sides = u32::try_from(sides).unwrap().try_into().unwrap();
    dice.roll(sides).value as usize
}
