//! Input that means harm: it is refused or read, and never costs more than itself.

use leno_model::{Code, Dice, Namespace, Notes};
use leno_resources::{Resources, Source, yaml};

fn read(text: impl Into<Vec<u8>>) -> (Resources, Notes) {
    Resources::read([("a.yaml", text.into())], &Namespace::default_namespace())
}

/// A sound object that stands behind each hostile document.
const WITNESS: &str = "\n---\n{apiVersion: v1, kind: Service, metadata: {name: witness}}\n";

#[track_caller]
fn check(hostile: impl AsRef<[u8]>, expect: &[Code]) {
    let mut text = hostile.as_ref().to_vec();
    text.extend(WITNESS.as_bytes());
    let (resources, notes) = read(text);
    let found = notes.iter().map(|note| note.code).collect::<Vec<_>>();
    assert_eq!(found, expect);
    assert_eq!(resources.len(), 1, "the document behind it is read");
}

#[test]
fn a_broken_document_costs_only_itself() {
    for broken in [
        "a: [1, 2",
        "a: {b",
        "a: 'x",
        "a: \"x",
        "a: b: c",
        "\ta: 1",
        "*x",
        "a: *x",
        "&",
        "!!",
        "!<",
        "%",
        "%YAML 9",
        "- a\nb: c",
        "a: 1\n b: 2",
        "? [a]\n: b",
        "[a]: b",
        "a: !secret x",
        "a: !!int x",
        "{a: 1}}",
        "]",
        "|",
        "a: &x [*x]",
        "\u{0}",
        "a: \u{1}",
    ] {
        let mut text = format!("kind: X\n{broken}").into_bytes();
        text.extend(WITNESS.as_bytes());
        let (resources, notes) = read(text);
        assert_eq!(resources.len(), 1, "{broken:?}");
        assert!(!notes.is_empty(), "{broken:?}");
    }
}

#[test]
fn what_is_not_text_is_not_read() {
    check(b"a: \xff\xfe\nb: c", &[Code::C001]);
    check(b"\xff\xfea\0:\0", &[Code::C001]);
}

#[test]
fn a_billion_laughs_are_not_laughed() {
    let mut bomb = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    check(bomb, &[Code::C009]);
}

#[test]
fn aliases_do_not_nest_deeper_than_lists_may() {
    let mut tower = String::from("a0: &a0 [x]\n");
    for level in 1..100 {
        tower += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    check(tower, &[Code::C009]);
}

#[test]
fn nesting_has_an_end() {
    check("[".repeat(100_000), &[Code::C009]);
    check("- ".repeat(100_000), &[Code::C009]);
    check("{a: ".repeat(100_000), &[Code::C009]);
    let block = (0..200)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect::<String>();
    check(block, &[Code::C009]);
}

#[test]
fn size_has_an_end() {
    let long = format!("a: {}", "x".repeat(yaml::MOST_BYTES));
    check(long, &[Code::C009]);
    let wide = format!("a: [{}]", "1,".repeat(yaml::MOST_NODES));
    check(wide, &[Code::C009]);
}

#[test]
fn findings_of_one_object_have_an_end() {
    let fields = (0..10_000)
        .map(|field| format!("  f{field}: 1\n"))
        .collect::<String>();
    let mesh = format!(
        "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: m}}\nspec:\n{fields}"
    );
    let (_, notes) = read(mesh);
    assert_eq!(notes.len(), 51);
    assert!(notes.iter().all(|note| note.code == Code::C003));
    let last = &notes.iter().last().unwrap().message;
    assert_eq!(
        last,
        "there is no field f50 in spec, and 9949 more findings in this object"
    );
}

/// Cuts, doubles and swaps bytes of the cases, from fixed seeds. Whatever comes of it, it is read
/// without a panic, and every finding points into the file.
#[test]
fn no_mutation_of_a_case_panics() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut seeds = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect::<Vec<_>>();
    seeds.sort();
    let mut dice = Dice::new(20_261_120);
    for round in 0..3_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=roll(&mut dice, 4) {
            mutate(&mut bytes, &mut dice);
        }
        let source = Source {
            path: "a.yaml".into(),
            bytes: bytes.clone().into(),
        };
        let (_, notes) = read(bytes);
        for note in &notes {
            let span = note.span.as_ref().unwrap();
            assert!(source.line(span.start.line).is_some(), "{note:?}");
            assert!(span.start.column >= 1 && span.width >= 1, "{note:?}");
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    const SPICE: &[u8] = b"\n\t -:?[]{}#&*!|>'\"%@,~\x00\xff9a\r";
    let at = roll(dice, bytes.len());
    match roll(dice, 5) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, SPICE[roll(dice, SPICE.len())]),
        2 => {
            let end = bytes.len().min(at + roll(dice, 20));
            bytes.drain(at..end);
        }
        3 => {
            let end = bytes.len().min(at + roll(dice, 200));
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = SPICE[roll(dice, SPICE.len())];
            }
        }
    }
}

fn roll(dice: &mut Dice, below: usize) -> usize {
    let sides = u32::try_from(below)
        .ok()
        .and_then(std::num::NonZeroU32::new);
    sides.map_or(0, |sides| dice.roll(sides).value as usize)
}
