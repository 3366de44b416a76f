//! The cases of `tests/corpus`: what is sent, and what is understood.
//!
//! A case begins with `# ` and its title. Its bytes follow, with the escapes of Rust and no line
//! ends of their own; a line `? HEAD`, `? CONNECT` or `? upgrade` says what a response answers. Lines
//! with `> ` tell what is understood.

use std::{fs, path::Path};

use leno_protocol::Asked;

use crate::conversation;

pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) asked: Asked,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expect: String,
    lines: Vec<String>,
}

#[test]
fn requests() {
    check("requests.txt", |case, pieces| {
        conversation::requests(&case.bytes, pieces)
    });
}

#[test]
fn responses() {
    check("responses.txt", |case, pieces| {
        conversation::responses(&case.bytes, pieces, case.asked)
    });
}

/// Compares every case, in one piece and in other splits. If one differs, the file as it would be
/// right is written beside the test's binary.
fn check(file: &str, story: impl Fn(&Case, &[usize]) -> String) {
    let (mut wrong, mut right) = (Vec::new(), String::new());
    for case in read(file) {
        let told = story(&case, &[]);
        if told != case.expect {
            wrong.push(format!(
                "{}\nexpected\n{}\ntold\n{told}\n",
                case.title, case.expect
            ));
        }
        for split in (1..case.bytes.len()).step_by(case.bytes.len() / 500 + 1) {
            assert_eq!(
                story(&case, &[split]),
                told,
                "{}, in pieces of {split}",
                case.title
            );
            assert_eq!(
                story(&case, &[split, usize::MAX]),
                told,
                "{}, split at {split}",
                case.title
            );
        }
        right += &format!("# {}\n{}\n", case.title, case.lines.join("\n"));
        right.extend(told.lines().map(|line| format!("> {line}\n")));
        right += "\n";
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    if !wrong.is_empty() {
        fs::write(&place, right).unwrap();
        panic!(
            "{}\nIf this is right: cp {} tests/corpus/{file}",
            wrong.join("\n"),
            place.display()
        );
    }
}

pub(crate) fn read(file: &str) -> Vec<Case> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(file);
    let text = fs::read_to_string(place).unwrap();
    let mut cases = Vec::<Case>::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix("# ") {
            cases.push(Case {
                title: title.to_owned(),
                asked: Asked::default(),
                bytes: Vec::new(),
                expect: String::new(),
                lines: Vec::new(),
            });
            continue;
        }
        let case = cases.last_mut().expect("a title comes first");
        if let Some(told) = line.strip_prefix("> ") {
            case.expect += if case.expect.is_empty() { "" } else { "\n" };
            case.expect += told;
            continue;
        }
        case.lines.push(line.to_owned());
        match line {
            "? HEAD" => case.asked.head = true,
            "? CONNECT" => case.asked.connect = true,
            "? upgrade" => case.asked.upgrade = true,
            _ => case.bytes.extend(unescape(line)),
        }
    }
    cases
}

/// `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN`, and `\{N text}` for N times the text, in which
/// `~` is CRLF.
fn unescape(line: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), line);
    while let Some((text, escape)) = rest.split_once('\\') {
        out.extend(text.as_bytes());
        let mut behind = escape.chars();
        match behind.next().expect("an escape") {
            'r' => out.push(b'\r'),
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            '0' => out.push(0),
            '\\' => out.push(b'\\'),
            'x' => {
                out.push(u8::from_str_radix(&escape[1..3], 16).unwrap());
                behind = escape[3..].chars();
            }
            '{' => {
                let (inside, after) = escape[1..].split_once('}').expect("a closing brace");
                let (count, text) = inside.split_once(' ').expect("a count and a text");
                out.extend(
                    text.replace('~', "\r\n")
                        .repeat(count.parse().unwrap())
                        .as_bytes(),
                );
                behind = after.chars();
            }
            other => panic!("no escape: \\{other}"),
        }
        rest = behind.as_str();
    }
    out.extend(rest.as_bytes());
    out
}
