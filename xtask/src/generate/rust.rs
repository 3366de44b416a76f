//! Writes the declarations: `object!` and `choice!` of `crates/resources/src/decode`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use leno_resources::yaml::{Meaning, Node, Value};

use super::crds::{Crds, item, number, shape};
use super::table::{File, Type};

/// Which of our types a schema is, by its shape.
type Known<'a> = BTreeMap<String, &'a Type>;

pub(super) fn file(file: &File, crds: &Crds, version: &str) -> Result<String, String> {
    let mut known = Known::new();
    for listed in &file.types {
        if let Some(other) = known.insert(shape(schema_of(listed, crds)?), listed) {
            return Err(format!("{} and {} have one shape", listed.name, other.name));
        }
    }
    let mut body = String::new();
    let mut used = BTreeSet::new();
    for listed in &file.types {
        let schema = schema_of(listed, crds)?;
        let writer = Writer {
            listed,
            schema,
            known: &known,
        };
        body += "\n";
        body += &if schema.get("enum").is_some() {
            writer.choice()?
        } else {
            writer.object()?
        };
        used.insert(&*listed.name);
    }
    Ok(format!("{}{body}", head(file, version, &body)))
}

fn schema_of<'a>(listed: &Type, crds: &'a Crds) -> Result<&'a Node, String> {
    crds.at(&listed.at)
        .ok_or_else(|| format!("{}: there is no {}", listed.name, listed.at))
}

fn head(file: &File, version: &str, body: &str) -> String {
    let uses = |word: &str| body.contains(word);
    let mut head = format!("//! {}\n//!\n", file.doc);
    head += &format!(
        "//! Made by `cargo xtask generate` from Gateway API {version}: not to be edited.\n\n"
    );
    if uses("Arc<") {
        head += "use alloc::sync::Arc;\n";
    }
    if uses("Duration") {
        head += "use core::time::Duration;\n";
    }
    let mut model = Vec::new();
    model.extend(
        uses(": Name ")
            .then_some("Name")
            .or(uses("<Name>").then_some("Name")),
    );
    model.extend((uses(": Namespace ") || uses("<Namespace>")).then_some("Namespace"));
    head += &match model.as_slice() {
        [one] => format!("\nuse leno_model::{one};\n\n"),
        many => format!("\nuse leno_model::{{{}}};\n\n", many.join(", ")),
    };
    head += if uses("choice! {") {
        "use crate::decode::{choice, object};\n"
    } else {
        "use crate::decode::object;\n"
    };
    if uses("form(") {
        head += "use crate::form;\n";
    }
    if uses("checked by ") {
        head += "use crate::gateway::rules;\n";
    }
    head += match (uses("List<"), uses("Part::")) {
        (true, true) => "use crate::part::{List, Part};\n",
        (true, false) => "use crate::part::List;\n",
        (false, _) => "",
    };
    head
}

/// Writes one type.
struct Writer<'a> {
    listed: &'a Type,
    schema: &'a Node,
    known: &'a Known<'a>,
}

impl Writer<'_> {
    fn choice(&self) -> Result<String, String> {
        let words = words(self.schema)?;
        self.same_parts(words.iter().map(String::as_str))?;
        let mut text = format!(
            "choice! {{\n    /// {}\n    pub enum {} {{\n",
            self.listed.doc, self.listed.name
        );
        for (word, doc) in &self.listed.parts {
            write!(
                text,
                "        /// {doc}\n        {} = {word:?},\n",
                variant(word)
            )
            .expect("a String");
        }
        Ok(text + "    }\n}\n")
    }

    fn object(&self) -> Result<String, String> {
        let Type {
            name,
            doc,
            checks,
            parts,
            ..
        } = self.listed;
        let properties = self.properties()?;
        self.same_parts(properties.iter().map(|(key, _)| *key))?;
        let mut found = validations(self.schema);
        for (_, schema) in &properties {
            let own = self.known.contains_key(&shape(schema));
            found += if own { 0 } else { validations(schema) };
        }
        if found != *checks {
            return Err(format!(
                "{name}: the schema has {found} validations, the table says {checks}"
            ));
        }
        let mut text = format!("object! {{\n    /// {doc}\n    pub struct {name}");
        if *checks > 0 {
            write!(text, " checked by rules::{}", snake(name)).expect("a String");
        }
        text += " {\n";
        for (key, doc) in parts {
            let (_, schema) = properties
                .iter()
                .find(|(property, _)| property == key)
                .ok_or("checked above")?;
            write!(
                text,
                "        /// {doc}\n        {};\n",
                self.field(key, schema)?
            )
            .expect("a String");
        }
        Ok(text + "    }\n}\n")
    }

    /// `pub weight: u32 = "weight" [range(0, 1000000)] or 1, as "1"`
    fn field(&self, key: &str, schema: &Node) -> Result<String, String> {
        let required = self.required().contains(key);
        let (plain, mut rules) = self.type_of(key, schema)?;
        let default = schema.get("default");
        let is_list = schema.get("items").is_some();
        let type_ = match default {
            None if !required && !is_list => format!("Option<{plain}>"),
            _ => plain,
        };
        if is_list && required {
            rules.push("required()".to_owned());
        }
        let mut field = format!("pub {}: {type_} = {key:?}", snake(key));
        if !rules.is_empty() {
            write!(field, " [{}]", rules.join(", ")).expect("a String");
        }
        if let Some(default) = default {
            let value = self.value(schema, default)?;
            write!(field, "\n            or {value}, as {:?}", flow(default)).expect("a String");
        }
        Ok(field)
    }

    /// The type of a field that is there, and its rules.
    fn type_of(&self, key: &str, schema: &Node) -> Result<(String, Vec<String>), String> {
        if let Some(known) = self.known.get(&shape(schema)) {
            return Ok((known.name.clone(), Vec::new()));
        }
        let here = || format!("{}.{key}", self.listed.at);
        match text(schema, "type") {
            Some("array") => {
                let (of, mut rules) = self.type_of(key, item(schema))?;
                let least = bound(schema, "minItems").unwrap_or(0);
                let most = bound(schema, "maxItems")
                    .map_or("usize::MAX".to_owned(), |most| most.to_string());
                rules.insert(0, format!("items({least}, {most})"));
                match text(schema, "x-kubernetes-list-type") {
                    Some("set") => rules.push("unique(\"\")".to_owned()),
                    Some("map") => {
                        rules.push(format!("unique({:?})", list_key(schema).ok_or_else(here)?))
                    }
                    _ => {}
                }
                Ok((format!("List<{of}>"), rules))
            }
            Some("boolean") => Ok(("bool".to_owned(), Vec::new())),
            Some("integer") => Ok(integer(schema)),
            Some("string") => {
                string(schema).ok_or_else(|| format!("{}: a pattern without a form", here()))
            }
            _ => Err(format!("{}: the table has no type for it", here())),
        }
    }

    /// A default as a Rust expression.
    fn value(&self, schema: &Node, default: &Node) -> Result<String, String> {
        let (type_, _) = self.type_of("", schema)?;
        let known = self.known.get(&shape(schema));
        match &default.value {
            Value::Scalar(word, _) if schema.get("enum").is_some() && known.is_some() => {
                Ok(format!("{type_}::{}", variant(word)))
            }
            Value::Scalar(number, Meaning::Integer(_) | Meaning::Bool(_)) => Ok(number.to_string()),
            Value::Scalar(text, _) => Ok(format!("{text:?}.into()")),
            Value::List(items) => {
                let items = items
                    .iter()
                    .map(|one| Ok(format!("Part::whole({})", self.value(item(schema), one)?)));
                let items = items.collect::<Result<Vec<_>, String>>()?;
                Ok(format!("[{}].into_iter().collect()", items.join(", ")))
            }
            Value::Map(_) => {
                let listed = known
                    .ok_or_else(|| format!("{}: a default without a type", self.listed.name))?;
                let inner = Writer {
                    listed,
                    schema,
                    known: self.known,
                };
                let mut fields = Vec::new();
                for (key, schema) in inner.properties()? {
                    let written = default.get(key).or_else(|| schema.get("default"));
                    let value = match written {
                        Some(written) => inner.value(schema, written)?,
                        None if schema.get("items").is_some() => "List::default()".to_owned(),
                        None => "None".to_owned(),
                    };
                    fields.push(format!("{}: {value}", snake(key)));
                }
                Ok(format!("{type_} {{ {} }}", fields.join(", ")))
            }
        }
    }

    fn properties(&self) -> Result<Vec<(&str, &Node)>, String> {
        let properties = self.schema.get("properties").and_then(Node::as_map);
        let properties = properties.ok_or_else(|| format!("{} has no fields", self.listed.name))?;
        Ok(properties
            .iter()
            .map(|entry| (&*entry.key, &entry.value))
            .collect())
    }

    fn required(&self) -> BTreeSet<&str> {
        let required = self
            .schema
            .get("required")
            .and_then(Node::as_list)
            .unwrap_or_default();
        required
            .iter()
            .filter_map(Node::as_text)
            .map(|key| &**key)
            .collect()
    }

    /// Fails unless the table has a text for each part of the schema, and no other.
    fn same_parts<'a>(&self, schema: impl Iterator<Item = &'a str>) -> Result<(), String> {
        let schema: BTreeSet<_> = schema.collect();
        let table: BTreeSet<_> = self
            .listed
            .parts
            .iter()
            .map(|(part, _)| part.as_str())
            .collect();
        let name = &self.listed.name;
        if let Some(part) = schema.difference(&table).next() {
            return Err(format!("the table has no text for {name}.{part}"));
        }
        if let Some(part) = table.difference(&schema).next() {
            return Err(format!("the schema has no {name}.{part}"));
        }
        Ok(())
    }
}

/// How many validations a schema has itself, its fields' not counted.
fn validations(schema: &Node) -> usize {
    let own = |schema: &Node| {
        schema
            .get("x-kubernetes-validations")
            .and_then(Node::as_list)
            .map_or(0, <[_]>::len)
    };
    own(schema)
        + schema
            .get("items")
            .filter(|item| item.get("properties").is_none())
            .map_or(0, own)
}

/// The smallest integer that holds every value, and its rules.
fn integer(schema: &Node) -> (String, Vec<String>) {
    if let Some(numbers) = schema.get("enum").and_then(Node::as_list) {
        let numbers = numbers
            .iter()
            .filter_map(number)
            .map(|number| number.to_string());
        let list = numbers.collect::<Vec<_>>().join(", ");
        return ("u16".to_owned(), vec![format!("one_of(&[{list}])")]);
    }
    let least = bound(schema, "minimum").unwrap_or(i64::from(i32::MIN));
    let most = bound(schema, "maximum").unwrap_or(i64::from(i32::MAX));
    let type_ = match (least, most) {
        (0.., ..=0xff) => "u8",
        (0.., ..=0xffff) => "u16",
        (0.., ..=0xffff_ffff) => "u32",
        _ => "i64",
    };
    (type_.to_owned(), vec![format!("range({least}, {most})")])
}

/// The type of a text, and its rules. `None` if nobody has given its pattern a form.
fn string(schema: &Node) -> Option<(String, Vec<String>)> {
    let pattern = text(schema, "pattern");
    let length = (bound(schema, "minLength"), bound(schema, "maxLength"));
    match (pattern, length) {
        (Some(DURATION), _) => return Some(("Duration".to_owned(), Vec::new())),
        (Some(LABEL), (Some(1), Some(63))) => return Some(("Namespace".to_owned(), Vec::new())),
        (None, (Some(1), Some(253))) => return Some(("Name".to_owned(), Vec::new())),
        _ => {}
    }
    let mut rules = Vec::new();
    if let (least, Some(most)) = length {
        rules.push(format!("length({}, {most})", least.unwrap_or(0)));
    }
    if let Some(pattern) = pattern {
        let (_, form) = FORMS.iter().find(|(known, _)| *known == pattern)?;
        rules.push(format!("form(form::{form})"));
    }
    Some(("Arc<str>".to_owned(), rules))
}

const DURATION: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// The checks in `crates/resources/src/form.rs` that stand for the patterns.
const FORMS: &[(&str, &str)] = &[
    (
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "subdomain",
    ),
    (
        r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "group",
    ),
    (
        r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "hostname",
    ),
    (r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$", "kind"),
    (r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$", "token"),
    (
        r"(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)",
        "cors_origin",
    ),
];

fn words(schema: &Node) -> Result<Vec<String>, String> {
    let words = schema
        .get("enum")
        .and_then(Node::as_list)
        .unwrap_or_default();
    let word = |word: &Node| {
        word.as_text()
            .map(ToString::to_string)
            .ok_or("a word is no text".to_owned())
    };
    words.iter().map(word).collect()
}

fn text<'a>(schema: &'a Node, key: &str) -> Option<&'a str> {
    schema.get(key).and_then(Node::as_text).map(|text| &**text)
}

fn bound(schema: &Node, key: &str) -> Option<i64> {
    schema.get(key).and_then(number)
}

fn list_key(schema: &Node) -> Option<&str> {
    let keys = schema.get("x-kubernetes-list-map-keys")?.as_list()?;
    match keys {
        [key] => key.as_text().map(|key| &**key),
        _ => None,
    }
}

/// `backendRefs` to `backend_refs`, `HttpPathMatch` to `http_path_match`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    if snake == "type" {
        "type_".to_owned()
    } else {
        snake
    }
}

/// `URLRewrite` to `UrlRewrite`, `GET` to `Get`, `*` to `Any`.
fn variant(word: &str) -> String {
    if word == "*" {
        return "Any".to_owned();
    }
    let letters: Vec<char> = word.chars().collect();
    let is_lower = |letter: Option<&char>| letter.is_some_and(char::is_ascii_lowercase);
    let mut variant = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let begins =
            letter.is_ascii_uppercase() && (is_lower(before) || is_lower(letters.get(at + 1)));
        let upper = before.is_none() || begins;
        variant.push(if upper {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        });
    }
    variant
}

/// A default as one would write it.
fn flow(node: &Node) -> String {
    match &node.value {
        Value::Scalar(text, _) if text.is_empty() => "\"\"".to_owned(),
        Value::Scalar(text, _) => text.to_string(),
        Value::List(items) => format!(
            "[{}]",
            items.iter().map(flow).collect::<Vec<_>>().join(", ")
        ),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|entry| format!("{}: {}", entry.key, flow(&entry.value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_rust() {
        for (word, expect) in [
            ("URLRewrite", "UrlRewrite"),
            ("GET", "Get"),
            ("CORS", "Cors"),
            ("ReplaceFullPath", "ReplaceFullPath"),
            ("https", "Https"),
            ("*", "Any"),
        ] {
            assert_eq!(variant(word), expect);
        }
        assert_eq!(snake("backendRefs"), "backend_refs");
        assert_eq!(snake("HttpUrlRewriteFilter"), "http_url_rewrite_filter");
        assert_eq!(snake("type"), "type_");
    }
}
