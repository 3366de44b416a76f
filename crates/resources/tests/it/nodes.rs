//! YAML as trees: each line of the story is a path, what stands there, and where.

use std::fmt::Write as _;

use leno_resources::yaml::{self, Meaning, Node, Value};

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let mut story = Vec::new();
    for document in yaml::documents(text.as_bytes()) {
        match document {
            Ok(root) => tell("", &root, &mut story),
            Err(broken) => story.push(format!(
                "{} {}:{}",
                broken.code, broken.at.line, broken.at.column
            )),
        }
    }
    assert_eq!(story, expect, "{text}");
}

fn tell(path: &str, node: &Node, story: &mut Vec<String>) {
    let mut line = format!(
        "{}:{}+{} {path} ",
        node.at.line, node.at.column, node.at.width
    );
    match &node.value {
        Value::Scalar(text, Meaning::Quoted | Meaning::Plain) => write!(line, "{text:?}").unwrap(),
        Value::Scalar(text, meaning) => write!(line, "{text} {meaning:?}").unwrap(),
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                tell(&format!("{path}/{index}"), item, story);
            }
            return;
        }
        Value::Map(entries) => {
            for entry in entries {
                let again = if entry.repeated { "(again)" } else { "" };
                tell(&format!("{path}/{}{again}", entry.key), &entry.value, story);
            }
            return;
        }
    }
    story.push(line);
}

#[test]
fn scalars_stand_where_they_are_written() {
    check(
        "a: b\nkäse: 'größe'\n",
        &["1:4+1 /a \"b\"", "2:7+7 /käse \"größe\""],
    );
    check(
        "a: 1\nb: true\nc: ~\nd: 1.5\n",
        &[
            "1:4+1 /a 1 Integer(1)",
            "2:4+4 /b true Bool(true)",
            "3:4+1 /c ~ Null",
            "4:4+3 /d 1.5 Number",
        ],
    );
    check(
        "a: |\n  x\n  y\nb: >-\n  x\n  y\n",
        &["2:3+1 /a \"x\\ny\\n\"", "5:3+1 /b \"x y\""],
    );
    check("a: 'b\n  c'\n", &["1:4+1 /a \"b c\""]);
}

#[test]
fn keys_are_text() {
    check(
        "1: a\ntrue: b\n~: c\n? d\n: e\n",
        &[
            "1:4+1 /1 \"a\"",
            "2:7+1 /true \"b\"",
            "3:4+1 /~ \"c\"",
            "5:3+1 /d \"e\"",
        ],
    );
    check(
        "a: 1\na: 2\n",
        &["1:4+1 /a 1 Integer(1)", "2:4+1 /a(again) 2 Integer(2)"],
    );
    check("[a]: 1\n", &["C001 1:1"]);
}

#[test]
fn aliases_stand_for_what_they_name() {
    check(
        "a: &x {b: 1}\nc: *x\nd: [*x]\n",
        &[
            "1:11+1 /a/b 1 Integer(1)",
            "1:11+1 /c/b 1 Integer(1)",
            "1:11+1 /d/0/b 1 Integer(1)",
        ],
    );
    check(
        "a: &x 1\na: &x 2\nb: *x\n",
        &[
            "1:7+1 /a 1 Integer(1)",
            "2:7+1 /a(again) 2 Integer(2)",
            "2:7+1 /b 2 Integer(2)",
        ],
    );
    check(
        "a: &x 1\n---\nb: *x\n",
        &["1:7+1 /a 1 Integer(1)", "C001 3:4"],
    );
    check("a: &x [*x]\n", &["C001 1:8"]);
}

#[test]
fn tags_of_the_core_schema_are_read() {
    check(
        "a: !!str 1\nb: !!int 1\nc: !!map {}\n",
        &["1:10+1 /a \"1\"", "2:10+1 /b 1 Integer(1)"],
    );
    check("a: !!int x\n", &["C001 1:10"]);
    check("a: !secret x\n", &["C001 1:12"]);
}

#[test]
fn layout_does_not_matter() {
    check(
        "\u{feff}a: b\r\nc: d\r\n",
        &["1:4+1 /a \"b\"", "2:4+1 /c \"d\""],
    );
    check(
        "{\n\t\"a\": [\n\t\t1\n\t]\n}\n",
        &["3:3+1 /a/0 1 Integer(1)"],
    );
    check("# only a comment\n", &[]);
    check("---\n---\n...\n", &[]);
    check("%YAML 1.2\n---\na: b\n", &["3:4+1 /a \"b\""]);
}

#[test]
fn a_document_that_breaks_is_where_it_breaks() {
    check(
        "a: [1\n---\nb: c\n---\nd: {\n",
        &["C001 1:4", "3:4+1 /b \"c\"", "C001 5:4"],
    );
    check("a: b\n\tc: d\n", &["C001 1:4"]);
}
