//! Whatever is written, reading it ends soon and without a panic, and so does asking it.

use leno_condition::Condition;
use leno_model::Dice;

use crate::world::Call;

#[test]
fn what_is_large_or_deep_is_refused() {
    let why = |text: String| Condition::new(&text).expect_err("too much").message;
    assert_eq!(
        why(format!("code == '{}'", "x".repeat(1024))),
        "its 1034 bytes are too many: 1024 are read"
    );
    assert_eq!(
        why(format!("{}true{}", "(".repeat(200), ")".repeat(200))),
        "it is nested deeper than 12 levels"
    );
    assert_eq!(
        why(vec!["true"; 120].join("&&")),
        "it has more than 128 parts"
    );
    assert!(
        why("request.path.matches('(a{1000}){1000}')".to_owned()).contains("it needs more than")
    );
}

#[test]
fn words_in_any_order_do_no_harm() {
    const WORDS: &[&str] = &[
        "request",
        ".",
        "path",
        "headers",
        "jwt.claims",
        "(",
        ")",
        "[",
        "]",
        "'",
        "\"",
        "==",
        "&&",
        "||",
        "!",
        "-",
        "in",
        "matches",
        "'a'",
        "1",
        "9223372036854775808",
        "duration",
        "code",
        "?",
        ":",
        "has",
        ",",
        "{",
        "}",
        "\\",
        "\u{0}",
        "\u{1f980}",
        "0x",
        "1.5e999",
        "b'",
        "r'''",
        "//",
        "\n",
        "true",
    ];
    let mut dice = Dice::new(7);
    let mut below = |most: usize| usize::try_from(dice.next_u64() % most as u64).unwrap();
    for _ in 0..3_000 {
        let count = 1 + below(12);
        let words: Vec<_> = (0..count).map(|_| WORDS[below(WORDS.len())]).collect();
        let text = words.join(if below(2) == 0 { " " } else { "" });
        match Condition::new(&text) {
            Ok(condition) => drop(condition.of(&Call {
                unknown: &[],
                has_token: false,
            })),
            Err(flaw) => assert!(flaw.at.0 <= text.chars().count(), "{text:?} {flaw:?}"),
        }
    }
}

#[test]
fn what_is_deepest_is_read_on_a_small_stack() {
    let deepest = format!("{}true{}", "(".repeat(12), ")".repeat(12));
    let chained = vec!["true"; 60].join("&&");
    let read = move || {
        for text in [&deepest, &chained, &"!".repeat(1020)] {
            drop(Condition::new(text));
        }
    };
    let small = std::thread::Builder::new().stack_size(1 << 20);
    small.spawn(read).unwrap().join().unwrap();
}
