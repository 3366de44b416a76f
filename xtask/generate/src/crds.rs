//! The CRDs, as schemas that one can walk.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use leno_resources::yaml::{self, Meaning, Node, Value};

/// The Go module as it lies in the module cache.
pub(super) struct Module {
    folder: PathBuf,
    pub(super) version: String,
}

/// The schemas of the kinds' version `v1`, by kind.
pub(super) struct Crds(BTreeMap<&'static str, Node>);

/// Where the standard channel's CRDs lie, by kind.
const STANDARD: &[(&str, &str)] = &[
    (
        "GRPCRoute",
        "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml",
    ),
    (
        "HTTPRoute",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ),
    (
        "ReferenceGrant",
        "config/crd/standard/gateway.networking.k8s.io_referencegrants.yaml",
    ),
    (
        "TCPRoute",
        "config/crd/standard/gateway.networking.k8s.io_tcproutes.yaml",
    ),
    (
        "TLSRoute",
        "config/crd/standard/gateway.networking.k8s.io_tlsroutes.yaml",
    ),
];

/// Fields that only the experimental channel has, and that are taken from there.
const EXPERIMENTAL: &[(&str, &str)] = &[(
    "HTTPRoute.spec.rules.retry",
    "config/crd/experimental/gateway.networking.k8s.io_httproutes.yaml",
)];

const MODULE: &str = "sigs.k8s.io/gateway-api";

/// Fetches the module that `go.mod` in `folder` names. `None` if Go is not installed.
pub(super) fn module(folder: &Path) -> Result<Option<Module>, Box<dyn Error>> {
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", MODULE])
        .current_dir(folder);
    let output = match go.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let said = |key: &str| {
        answer
            .get(key)
            .and_then(serde_json::Value::as_str)
            .map(str::to_owned)
    };
    match (said("Dir"), said("Version")) {
        (Some(folder), Some(version)) if output.status.success() => Ok(Some(Module {
            folder: folder.into(),
            version,
        })),
        _ => {
            let why =
                said("Error").unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).into());
            Err(format!("`go mod download {MODULE}` failed: {why}").into())
        }
    }
}

pub(super) fn read(module: &Module) -> Result<Crds, Box<dyn Error>> {
    let mut crds = BTreeMap::new();
    for (kind, file) in STANDARD {
        crds.insert(*kind, schema(&module.folder.join(file))?);
    }
    for (path, file) in EXPERIMENTAL {
        let (kind, fields) = path.split_once('.').ok_or("a path begins with its kind")?;
        let (holder, key) = fields.rsplit_once('.').ok_or("a path has two fields")?;
        let from = schema(&module.folder.join(file))?;
        let field = walk(&from, fields).ok_or_else(|| format!("there is no {path} any more"))?;
        let into = crds
            .get_mut(kind)
            .and_then(|schema| walk_mut(schema, holder));
        add(
            into.ok_or_else(|| format!("nothing holds {path}"))?,
            key,
            field.clone(),
        )
        .ok_or_else(|| format!("{path} is in the standard channel as well"))?;
    }
    Ok(Crds(crds))
}

impl Crds {
    /// The schema at `HTTPRoute.spec.rules`: an item's where there is a list.
    pub(super) fn at(&self, path: &str) -> Option<&Node> {
        let (kind, fields) = path.split_once('.')?;
        walk(self.0.get(kind)?, fields)
    }
}

/// The schema of version `v1` in a CRD's file.
fn schema(file: &Path) -> Result<Node, Box<dyn Error>> {
    let bytes = fs::read(file)?;
    for document in yaml::documents(&bytes) {
        let crd = document.map_err(|broken| format!("{}: {}", file.display(), broken.message))?;
        let versions = crd.get("spec").and_then(|spec| spec.get("versions"));
        let mut versions = versions.and_then(Node::as_list).unwrap_or_default().iter();
        let v1 = versions.find(|version| {
            version
                .get("name")
                .and_then(Node::as_text)
                .is_some_and(|name| &**name == "v1")
        });
        let schema = v1.and_then(|v1| v1.get("schema")?.get("openAPIV3Schema"));
        if let Some(schema) = schema {
            return Ok(schema.clone());
        }
    }
    Err(format!("{} has no version v1", file.display()).into())
}

fn walk<'a>(schema: &'a Node, fields: &str) -> Option<&'a Node> {
    fields.split('.').try_fold(schema, |schema, field| {
        let schema = schema.get("properties")?.get(field)?;
        Some(item(schema))
    })
}

fn walk_mut<'a>(schema: &'a mut Node, fields: &str) -> Option<&'a mut Node> {
    fields.split('.').try_fold(schema, |schema, field| {
        let schema = get_mut(get_mut(schema, "properties")?, field)?;
        if schema.get("items").is_some() {
            get_mut(schema, "items")
        } else {
            Some(schema)
        }
    })
}

fn get_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Value::Map(entries) = &mut node.value else {
        return None;
    };
    entries
        .iter_mut()
        .find(|entry| &*entry.key == key)
        .map(|entry| &mut entry.value)
}

/// Adds a property to a schema that lacks it.
fn add(schema: &mut Node, key: &str, field: Node) -> Option<()> {
    let properties = get_mut(schema, "properties")?;
    if properties.get(key).is_some() {
        return None;
    }
    let Value::Map(entries) = &mut properties.value else {
        return None;
    };
    let key_at = field.at;
    entries.push(yaml::Entry {
        key: key.into(),
        key_at,
        repeated: false,
        value: field,
    });
    Some(())
}

/// The schema of a list's items, else the schema itself.
pub(super) fn item(schema: &Node) -> &Node {
    schema.get("items").unwrap_or(schema)
}

/// A whole number.
pub(super) fn number(node: &Node) -> Option<i64> {
    match node.value {
        Value::Scalar(_, Meaning::Integer(number)) => Some(number),
        Value::Scalar(..) | Value::List(_) | Value::Map(_) => None,
    }
}

/// A schema without its texts and places: what makes two of them the same type.
pub(super) fn shape(node: &Node) -> String {
    match &node.value {
        Value::Scalar(text, meaning) => format!("{text:?} {meaning:?}"),
        Value::List(items) => format!("{:?}", items.iter().map(shape).collect::<Vec<_>>()),
        Value::Map(entries) => {
            let told = entries.iter().filter(|entry| &*entry.key != "description");
            format!(
                "{:?}",
                told.map(|entry| (&entry.key, shape(&entry.value)))
                    .collect::<Vec<_>>()
            )
        }
    }
}
