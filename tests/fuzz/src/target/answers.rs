//! Answers of HTTP/1.

use leno_protocol::{Asked, Fields, HeadReader, ResponseChanges, Version, write_response};

use super::Target;
use super::http1::{WORDS, conversation, pieces, plain, streams};

pub(super) const TARGET: Target = Target {
    name: "response",
    holds: "a stream of answers means the same in every split, and what is passed on is read as it was",
    seeds: || {
        streams(include_str!(
            "../../../../crates/protocol/tests/corpus/responses.txt"
        ))
    },
    words: WORDS,
    check,
};

/// What can have been asked.
const ASKED: [Asked; 4] = {
    let plain = Asked {
        head: false,
        connect: false,
        upgrade: false,
    };
    [
        plain,
        Asked {
            head: true,
            ..plain
        },
        Asked {
            connect: true,
            ..plain
        },
        Asked {
            upgrade: true,
            ..plain
        },
    ]
};

fn check(input: &[u8]) -> bool {
    ASKED
        .iter()
        .filter(|asked| check_answer(input, **asked))
        .count()
        > 0
}

fn check_answer(input: &[u8], asked: Asked) -> bool {
    let whole = conversation::responses(input, &[], asked);
    assert_eq!(whole, conversation::responses(input, &pieces(input), asked));
    let mut fields = Fields::new();
    let Ok(Some(head)) = HeadReader::default().response(input, &mut fields, asked) else {
        return false;
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
    let again = HeadReader::default().response(&written, &mut fields, asked);
    let again = again.expect("what is written is accepted");
    let again = again.expect("what is written is whole");
    assert_eq!(again.length, written.len());
    assert_eq!(again.response.status, head.response.status);
    assert_eq!(again.response.reason, head.response.reason);
    assert_eq!(plain(again.response.headers), plain(head.response.headers));
    assert_eq!(again.body, head.body);
    true
}
