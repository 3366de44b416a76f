//! `tests/cases/NAME.yaml` is read, and what came of it is told in `NAME.txt` beside it.
//! `UPDATE_CASES=1 cargo test -p leno-resources` writes the stories anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use leno_model::{Namespace, Note};
use leno_resources::case::{self, Test};
use leno_resources::{Object, Resources, Source};

#[test]
fn every_case_reads_as_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut names = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".txt"))
        .collect::<Vec<_>>();
    names.sort();
    assert!(!names.is_empty());
    for name in names {
        let input = fs::read(folder.join(&name)).unwrap();
        let stem = name.rsplit_once('.').unwrap().0;
        check(&name, input, &folder.join(format!("{stem}.txt")));
    }
}

fn check(name: &str, input: Vec<u8>, expected: &Path) {
    let told = story(name, input);
    #[expect(clippy::disallowed_methods, reason = "the one setting of this test")]
    let update = std::env::var_os("UPDATE_CASES").is_some();
    if update {
        fs::write(expected, told).unwrap();
        return;
    }
    let expect = fs::read_to_string(expected).unwrap_or_default();
    assert_eq!(told, expect, "{name}: see tests/it/cases.rs");
}

fn story(name: &str, input: Vec<u8>) -> String {
    let mut story = String::new();
    let source = Source {
        path: name.into(),
        bytes: input.clone().into(),
    };
    let notes = if name.ends_with(".test.yaml") {
        let (tests, notes) = case::read(name, &input);
        for Test { place, case } in tests {
            writeln!(story, "{place}  {case:?}").unwrap();
        }
        notes
    } else {
        let shop = Namespace::new("shop").unwrap();
        let (resources, notes) = Resources::read([(name, input)], &shop);
        objects(&resources, &mut story);
        notes
    };
    for note in &notes {
        story.push('\n');
        tell(note, &source, &mut story);
    }
    story
}

fn objects(resources: &Resources, story: &mut String) {
    fn line<T>(object: &Object<T>, story: &mut String) {
        let state = match (object.spec.sound(), object.spec.partly()) {
            (Some(_), _) => "sound",
            (None, Some(_)) => "flawed",
            (None, None) => "not readable",
        };
        let origin = object.origin("");
        writeln!(story, "{origin}  {} {state}", object.reference()).unwrap();
    }
    resources
        .meshes
        .iter()
        .for_each(|object| line(object, story));
    resources
        .namespaces
        .iter()
        .for_each(|object| line(object, story));
    resources
        .services
        .iter()
        .for_each(|object| line(object, story));
    resources
        .workloads
        .iter()
        .for_each(|object| line(object, story));
    resources
        .http_routes
        .iter()
        .for_each(|object| line(object, story));
    resources
        .reference_grants
        .iter()
        .for_each(|object| line(object, story));
    resources
        .access_policies
        .iter()
        .for_each(|object| line(object, story));
    resources
        .traffic_policies
        .iter()
        .for_each(|object| line(object, story));
}

fn tell(note: &Note, source: &Source, story: &mut String) {
    let code = note.code;
    write!(story, "{:?} {code} {}", note.severity, code.slug()).unwrap();
    if let Some(origin) = &note.origin {
        write!(story, "  {} {}", origin.object, origin.pointer).unwrap();
    }
    let span = note.span.as_ref().unwrap();
    let (line, column) = (span.start.line, span.start.column);
    let text = source.line(line).unwrap_or_default();
    let marks = "^".repeat(span.width as usize);
    let gutter = line.to_string().len();
    writeln!(story, "\n    {line} | {text}").unwrap();
    writeln!(
        story,
        "    {:gutter$} | {:2$}{marks}",
        "",
        "",
        column as usize - 1
    )
    .unwrap();
    writeln!(story, "    {}", note.message).unwrap();
    if let Some(suggestion) = &note.suggestion {
        writeln!(story, "    {suggestion}").unwrap();
    }
    writeln!(story, "    In force: {}", note.in_force).unwrap();
}
