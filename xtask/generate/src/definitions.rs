//! `CustomResourceDefinition`s of Leno's own kinds, from the fields that are read: what `kubectl` explains,
//! and what an API server refuses before Leno sees it. What takes more than types to judge is told by
//! `leno check` and in the object's status.

use std::error::Error;
use std::fmt::Write as _;

use leno_resources::schema::{Bounds, Field, Schema, Shape};
use leno_resources::{GROUP, Spelling, schema, spellings};
use serde_json::{Map, Value, json};

use crate::monitoring::File;

/// One file with all of them.
pub(super) fn file() -> Result<File, Box<dyn Error>> {
    let mut text = String::from(HEAD);
    for kind in spellings() {
        let Some((GROUP, version)) = kind.api_version.split_once('/') else {
            continue;
        };
        let definition = definition(&kind, version)?;
        writeln!(text, "---\n{}", serde_json::to_string_pretty(&definition)?)?;
    }
    Ok(("deploy/kubernetes/crds.yaml", text))
}

const HEAD: &str = "\
# The kinds of Leno, as a cluster knows them: kubectl apply --server-side -f crds.yaml
# Written by `cargo xtask generate`.
";

fn definition(kind: &Spelling, version: &str) -> Result<Value, Box<dyn Error>> {
    let root = schema(kind.kind).ok_or("a kind that is read has a schema")?;
    let plural = kind.plural;
    // What every object has beside that is the API server's to say.
    let spec = root.field("spec").ok_or("a kind has a spec")?;
    let mut root = json!({
        "type": "object",
        "description": root.doc,
        "properties": {"spec": property(spec)?, "status": status()},
    });
    if spec.required {
        root["required"] = json!(["spec"]);
    }
    let scope = if kind.namespaced {
        "Namespaced"
    } else {
        "Cluster"
    };
    Ok(json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {
                "kind": kind.kind,
                "listKind": format!("{}List", kind.kind),
                "plural": plural,
                "singular": kind.kind.to_ascii_lowercase(),
                "categories": ["leno"],
            },
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": root},
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    {"name": "Accepted", "type": "string",
                     "jsonPath": ".status.conditions[?(@.type=='Accepted')].status"},
                    {"name": "Programmed", "type": "string",
                     "jsonPath": ".status.conditions[?(@.type=='Programmed')].status"},
                    {"name": "Why", "type": "string", "priority": 1,
                     "jsonPath": ".status.conditions[?(@.status=='False')].message"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
            }],
        },
    }))
}

/// What is reported about an object: conditions, as those of Gateway API.
fn status() -> Value {
    json!({
        "type": "object",
        "description": "What is reported about it.",
        "properties": {
            "conditions": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status", "lastTransitionTime", "reason", "message"],
                    "properties": {
                        "type": {"type": "string"},
                        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                        "observedGeneration": {"type": "integer", "format": "int64"},
                        "lastTransitionTime": {"type": "string", "format": "date-time"},
                        "reason": {"type": "string"},
                        "message": {"type": "string"},
                    },
                },
            },
        },
    })
}

fn object(schema: &Schema) -> Result<Value, Box<dyn Error>> {
    let mut properties = Map::new();
    for field in schema.fields {
        properties.insert(field.key.to_owned(), property(field)?);
    }
    let required = schema.fields.iter().filter(|field| field.required);
    let required: Vec<_> = required.map(|field| field.key).collect();
    let mut object = json!({
        "type": "object",
        "description": schema.doc,
        "properties": properties,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    let demands = schema.demands.iter();
    let demands: Vec<_> = demands
        .map(|(rule, message)| json!({"rule": rule, "message": message}))
        .collect();
    if !demands.is_empty() {
        object["x-kubernetes-validations"] = json!(demands);
    }
    Ok(object)
}

fn property(field: &Field) -> Result<Value, Box<dyn Error>> {
    let shape = shape(&field.shape, &field.bounds);
    let mut property = shape.map_err(|why| format!("{}: {why}", field.key))?;
    let doc = match field.default {
        Some(default) => format!("{} Without it: {default}.", field.doc),
        None => field.doc.to_owned(),
    };
    property["description"] = json!(doc);
    Ok(property)
}

fn shape(shape: &Shape, bounds: &Bounds) -> Result<Value, Box<dyn Error>> {
    Ok(match shape {
        Shape::Value(words) => bounded(value(words)?, words, bounds),
        Shape::Choice(words) => {
            let words: Vec<_> = words.iter().map(|(word, _)| word).collect();
            json!({"type": "string", "enum": words})
        }
        Shape::Object(schema) => object(schema)?,
        Shape::List(of) => {
            let mut list = json!({"type": "array", "items": self::shape(of, bounds)?});
            let (least, most) = bounds.items;
            say(&mut list, "minItems", (least > 0).then_some(least));
            say(&mut list, "maxItems", (most < usize::MAX).then_some(most));
            list
        }
        Shape::Map(of) => {
            json!({"type": "object", "additionalProperties": self::shape(of, bounds)?})
        }
    })
}

/// A value within its bounds. What a text must look like beside that, and how long a duration is, Leno itself judges.
fn bounded(mut value: Value, words: &str, bounds: &Bounds) -> Value {
    if value["type"] == "string" {
        let (least, most) = bounds.length;
        say(&mut value, "minLength", (least > 0).then_some(least));
        say(&mut value, "maxLength", (most < usize::MAX).then_some(most));
    }
    if value["type"] == "integer" {
        let (least, most) = bounds.range;
        say(&mut value, "minimum", (least > i64::MIN).then_some(least));
        say(&mut value, "maximum", (most < i64::MAX).then_some(most));
        say(&mut value, "enum", bounds.numbers);
    }
    let form = FORMS.iter().find(|(of, _)| *of == words);
    say(&mut value, "pattern", form.map(|(_, pattern)| *pattern));
    value
}

fn say(of: &mut Value, key: &str, said: Option<impl Into<Value>>) {
    if let Some(said) = said {
        of[key] = said.into();
    }
}

/// What values of their own forms look like, as far as a pattern says it.
const FORMS: &[(&str, &str)] = &[
    ("duration", "^([0-9]{1,5}(h|m|s|ms)){1,4}$"),
    (
        "percentage, like 1% or 0.05%",
        r"^[0-9]{1,3}(\.[0-9]{1,4})?%$",
    ),
    ("block of addresses (CIDR)", "^[0-9a-fA-F:.]+/[0-9]{1,3}$"),
    ("IP address", "^[0-9a-fA-F:.]+$"),
    ("namespace", "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
    ("name", "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"),
];

/// The type that the words for a value mean to an API server.
fn value(words: &str) -> Result<Value, Box<dyn Error>> {
    Ok(match words {
        "whole number" => json!({"type": "integer"}),
        "true or false" => json!({"type": "boolean"}),
        "whole number, or a port's name" => json!({"x-kubernetes-int-or-string": true}),
        "not used by Leno"
        | "text, a whole number, true or false, a list or a mapping"
        | "text, or a list of text" => {
            json!({"x-kubernetes-preserve-unknown-fields": true})
        }
        words if TEXT.contains(&words) => json!({"type": "string"}),
        words => return Err(format!("no type is known for: {words}").into()),
    })
}

/// What is written as text.
const TEXT: &[&str] = &[
    "IP address",
    "IP address and port",
    "block of addresses (CIDR)",
    "duration",
    "name",
    "namespace",
    "namespace/account, or a SPIFFE ID",
    "network",
    "percentage, like 1% or 0.05%",
    "text",
    "trust domain",
];
