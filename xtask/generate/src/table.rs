//! Our own words, from `table.yaml`.

use leno_resources::yaml::{self, Node};

/// What `table.yaml` holds.
pub(super) struct Table {
    pub(super) files: Vec<File>,
}

/// One generated file.
pub(super) struct File {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) types: Vec<Type>,
}

/// One struct or enum.
pub(super) struct Type {
    pub(super) name: String,
    /// The kind, and the way from there, past lists: `HTTPRoute.spec.rules`.
    pub(super) at: String,
    pub(super) doc: String,
    /// How many of the schema's validations our check carries out, if there is one. It may check more.
    pub(super) checks: Option<usize>,
    /// Each field or word, and what it says.
    pub(super) parts: Vec<(String, String)>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Table, String> {
    let root = yaml::documents(bytes).next().ok_or("table.yaml is empty")?;
    let root =
        root.map_err(|broken| format!("table.yaml:{}: {}", broken.at.line, broken.message))?;
    let mut files = Vec::new();
    for entry in root.as_map().ok_or("table.yaml is no mapping")? {
        let mut types = Vec::new();
        let listed = entry.value.get("types").and_then(Node::as_map);
        for entry in listed.ok_or_else(|| format!("{} has no types", entry.key))? {
            types.push(read_type(&entry.key, &entry.value)?);
        }
        files.push(File {
            name: entry.key.to_string(),
            doc: text(&entry.value, "doc")?,
            types,
        });
    }
    Ok(Table { files })
}

fn read_type(name: &str, node: &Node) -> Result<Type, String> {
    let parts = node
        .get("fields")
        .or_else(|| node.get("words"))
        .and_then(Node::as_map);
    let parts = parts.ok_or_else(|| format!("{name} has neither fields nor words"))?;
    let mut read = Vec::new();
    for entry in parts {
        let doc = entry
            .value
            .as_text()
            .ok_or_else(|| format!("{name}.{} has no text", entry.key))?;
        read.push((entry.key.to_string(), doc.to_string()));
    }
    let checks = node.get("checks").map(|checks| {
        let number = super::crds::number(checks).and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| format!("{name}.checks is no number"))
    });
    Ok(Type {
        name: name.to_owned(),
        at: text(node, "at")?,
        doc: text(node, "doc")?,
        checks: checks.transpose()?,
        parts: read,
    })
}

fn text(node: &Node, key: &str) -> Result<String, String> {
    let text = node.get(key).and_then(Node::as_text);
    Ok(text
        .ok_or_else(|| format!("table.yaml:{}: {key} is missing", node.at.line))?
        .to_string())
}
