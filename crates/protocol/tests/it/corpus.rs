//! The cases of `tests/corpus`: what is sent, and what is understood.
//!
//! A case begins with `# ` and its title. Its bytes follow, with the escapes of Rust and no line
//! ends of their own; a line `? HEAD`, `? CONNECT` or `? upgrade` says what a response answers. Lines
//! with `> ` tell what is understood.

use std::{fs, path::Path};

use leno_protocol::Asked;

use crate::conversation;
use crate::escapes::unescaped;

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
            _ => case.bytes.extend(unescaped(line)),
        }
    }
    cases
}
