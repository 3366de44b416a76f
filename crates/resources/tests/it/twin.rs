//! JSON is YAML: what a document says does not depend on how it is laid out.

use std::fmt::Write as _;

use leno_model::{Code, Namespace, Note, Severity};
use leno_resources::yaml::{self, Meaning, Node, Value};
use leno_resources::{Objects, Resources};

#[test]
fn a_document_written_as_json_says_the_same() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            check(&std::fs::read(path).unwrap());
        }
    }
}

fn check(yaml: &[u8]) {
    let mut json = String::new();
    for document in yaml::documents(yaml).flatten() {
        json += "---\n";
        write_json(&document, &mut json);
        json += "\n";
    }
    let (from_yaml, told_of_yaml) = told(yaml);
    let (from_json, told_of_json) = told(json.as_bytes());
    let readable = told_of_yaml
        .into_iter()
        .filter(|told| told.0 != Code::C001)
        .collect::<Vec<_>>();
    assert_eq!(told_of_json, readable);
    same(&from_yaml.meshes, &from_json.meshes);
    same(&from_yaml.services, &from_json.services);
    same(&from_yaml.workloads, &from_json.workloads);
    same(&from_yaml.http_routes, &from_json.http_routes);
    same(&from_yaml.reference_grants, &from_json.reference_grants);
    same(&from_yaml.access_policies, &from_json.access_policies);
    same(&from_yaml.traffic_policies, &from_json.traffic_policies);
}

/// A finding without its place.
type Told = (Code, Option<String>, String);

fn told(text: &[u8]) -> (Resources, Vec<Told>) {
    let files = [("a.yaml", text.to_vec())];
    let (resources, notes) = Resources::read(files, &Namespace::default_namespace());
    let told = |note: &Note| {
        let about = note
            .origin
            .as_ref()
            .map(|origin| format!("{} {}", origin.object, origin.pointer));
        let message = note.message.split(" at a.yaml").next().unwrap().to_owned();
        (note.code, about, message)
    };
    let certain = notes.iter().filter(|note| note.severity != Severity::Info);
    let told = certain.map(told).collect();
    (resources, told)
}

fn same<T: PartialEq + std::fmt::Debug>(a: &Objects<T>, b: &Objects<T>) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b.iter()) {
        assert_eq!(a.meta, b.meta);
        assert_eq!(a.spec, b.spec);
    }
}

fn write_json(node: &Node, json: &mut String) {
    match &node.value {
        Value::Scalar(_, Meaning::Null) => json.push_str("null"),
        Value::Scalar(_, Meaning::Bool(value)) => write!(json, "{value}").unwrap(),
        Value::Scalar(_, Meaning::Integer(value)) => write!(json, "{value}").unwrap(),
        Value::Scalar(text, Meaning::Number) => json.push_str(text),
        Value::Scalar(text, Meaning::Quoted | Meaning::Plain) => write_text(text, json),
        Value::List(items) => {
            json.push('[');
            for (index, item) in items.iter().enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                write_json(item, json);
            }
            json.push(']');
        }
        Value::Map(entries) => {
            json.push('{');
            for (index, entry) in entries.iter().enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                write_text(&entry.key, json);
                json.push(':');
                write_json(&entry.value, json);
            }
            json.push('}');
        }
    }
}

fn write_text(text: &str, json: &mut String) {
    json.push('"');
    for unit in text.encode_utf16() {
        write!(json, "\\u{unit:04x}").unwrap();
    }
    json.push('"');
}
