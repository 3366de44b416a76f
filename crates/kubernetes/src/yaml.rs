//! Objects as people read them: YAML, a field a line.

use std::fmt::Write as _;

use leno_resources::yaml::{self, Meaning, Node};
use serde_json::{Number, Value};

/// What the first document of a text says; `None` if it is no YAML.
pub fn read(text: &str) -> Option<Value> {
    let node = yaml::documents(text.as_bytes()).next()?.ok()?;
    Some(value(&node))
}

fn value(node: &Node) -> Value {
    match &node.value {
        yaml::Value::Scalar(_, Meaning::Null) => Value::Null,
        yaml::Value::Scalar(_, Meaning::Bool(value)) => (*value).into(),
        yaml::Value::Scalar(_, Meaning::Integer(value)) => (*value).into(),
        yaml::Value::Scalar(text, Meaning::Number) => match text.parse::<Number>() {
            Ok(number) => Value::Number(number),
            Err(_) => (&**text).into(),
        },
        yaml::Value::Scalar(text, Meaning::Quoted | Meaning::Plain) => (&**text).into(),
        yaml::Value::List(items) => items.iter().map(value).collect(),
        yaml::Value::Map(entries) => {
            let first = entries.iter().filter(|entry| !entry.repeated);
            let fields = first.map(|entry| (entry.key.to_string(), value(&entry.value)));
            Value::Object(fields.collect())
        }
    }
}

/// A document, with a line's end behind the last line. [`read()`] says of it what it was written from.
pub fn written(document: &Value) -> String {
    let mut out = String::new();
    put(&mut out, document, 0);
    out
}

/// Writes a value that begins on a line of its own, `depth` levels deep.
fn put(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                indent(out, depth);
                out.push_str(&scalar(name));
                out.push(':');
                put_behind(out, value, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(out, depth);
                out.push('-');
                put_item(out, item, depth);
            }
        }
        other => {
            indent(out, depth);
            writeln!(out, "{}", flat(other)).expect("a string takes any text");
        }
    }
}

/// Writes the value of a field behind its name.
fn put_behind(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            put(out, value, depth + 1);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            put(out, value, depth);
        }
        other => writeln!(out, " {}", flat(other)).expect("a string takes any text"),
    }
}

/// Writes an item behind its dash: the first field of one that has some stands on the same line.
fn put_item(out: &mut String, item: &Value, depth: usize) {
    let mut nested = String::new();
    put(&mut nested, item, depth + 1);
    let margin = INDENT.len() * (depth + 1);
    out.push(' ');
    out.push_str(&nested[margin..]);
}

const INDENT: &str = "  ";

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str(INDENT);
    }
}

/// A value on one line.
fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text: as it is where every reader takes it for that text, else quoted as JSON is.
fn scalar(text: &str) -> String {
    match is_plain(text) {
        true => text.to_owned(),
        false => Value::from(text).to_string(),
    }
}

fn is_plain(text: &str) -> bool {
    let bare = text.strip_prefix("--").unwrap_or(text);
    let starts_well = bare.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let is_word = |it: char| it.is_ascii_alphanumeric() || "-_./:".contains(it);
    // Readers of YAML 1.1 take these for something else.
    let others = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let is_other = others.iter().any(|word| text.eq_ignore_ascii_case(word));
    starts_well && bare.chars().all(is_word) && !text.ends_with(':') && !is_other
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_reads_as_people_write_it() {
        let object = json!({
            "apiVersion": "v1",
            "metadata": {"labels": {}, "name": "a"},
            "list": [{"name": "x", "args": ["--listen", "[::]:15012", "no", "1"]}, [1, [2]], [], "a: b"],
            "on": true,
            "text": "two\nlines \u{1b} #",
            "none": null,
        });
        let expect = "\
apiVersion: v1
list:
- args:
  - --listen
  - \"[::]:15012\"
  - \"no\"
  - \"1\"
  name: x
- - 1
  - - 2
- []
- \"a: b\"
metadata:
  labels: {}
  name: a
none: null
\"on\": true
text: \"two\\nlines \\u001b #\"
";
        assert_eq!(written(&object), expect);
        assert_eq!(read(expect), Some(object));
    }
}
