//! `CustomResourceDefinition`s of Leno's own kinds, from the fields that are read: what `kubectl` explains,
//! and what an API server refuses before Leno sees it. What takes more than types to judge is told by
//! `leno check` and in the object's status.

use std::error::Error;
use std::fmt::Write as _;

use leno_resources::schema::{Field, Schema, Shape};
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
    Ok(object)
}

fn property(field: &Field) -> Result<Value, Box<dyn Error>> {
    let mut property = shape(&field.shape).map_err(|why| format!("{}: {why}", field.key))?;
    let doc = match field.default {
        Some(default) => format!("{} Without it: {default}.", field.doc),
        None => field.doc.to_owned(),
    };
    property["description"] = json!(doc);
    Ok(property)
}

fn shape(shape: &Shape) -> Result<Value, Box<dyn Error>> {
    Ok(match shape {
        Shape::Value(words) => value(words)?,
        Shape::Choice(words) => {
            let words: Vec<_> = words.iter().map(|(word, _)| word).collect();
            json!({"type": "string", "enum": words})
        }
        Shape::Object(schema) => object(schema)?,
        Shape::List(of) => json!({"type": "array", "items": self::shape(of)?}),
        Shape::Map(of) => json!({"type": "object", "additionalProperties": self::shape(of)?}),
    })
}

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
