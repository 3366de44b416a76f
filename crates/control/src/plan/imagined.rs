//! A change that nobody wrote down: `mtls=Strict` in a namespace, or everywhere.

use leno_admin::{Failure, File};

use crate::center::Center;
use crate::edition::Edition;

/// What can be imagined, with the values that it has.
const FIELDS: [(&str, [&str; 2]); 3] = [
    ("mtls", ["Strict", "Permissive"]),
    ("default", ["Allow", "Deny"]),
    ("outbound.default", ["Allow", "Deny"]),
];

/// What stands as the file in what is told of it.
const FILE: &str = "--with";

/// The `AccessPolicy` that says so, of a namespace, or of the mesh.
pub(super) fn file(
    with: &[String],
    namespace: Option<&str>,
    edition: &Edition,
    center: &Center,
) -> Result<File, Failure> {
    let mut fields = Vec::new();
    for text in with {
        fields.push(field(text)?);
    }
    let (namespace, target) = match namespace {
        Some(namespace) => (namespace.to_owned(), String::new()),
        None => {
            let written = edition.written().meshes.iter().next();
            let name = written.map(|mesh| mesh.meta.name.to_string());
            let name = name.or_else(|| center.mesh.as_ref().map(ToString::to_string));
            let name = name.unwrap_or_else(|| "mesh".to_owned());
            let target = format!("  targetRefs: [{{kind: Mesh, name: {name}}}]\n");
            (SYSTEM.to_owned(), target)
        }
    };
    let fields: String = fields
        .iter()
        .map(|(field, value)| match field.split_once('.') {
            Some((part, field)) => format!("  {part}: {{{field}: {value}}}\n"),
            None => format!("  {field}: {value}\n"),
        })
        .collect();
    Ok(File {
        path: FILE.to_owned(),
        text: format!(
            "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\n\
             metadata: {{name: imagined, namespace: {namespace}}}\nspec:\n{target}{fields}"
        ),
    })
}

/// The namespace whose policies may be about the mesh.
const SYSTEM: &str = "leno-system";

fn field(text: &str) -> Result<(&'static str, &'static str), Failure> {
    let known = || {
        let known = FIELDS.map(|(field, values)| format!("{field}={}", values.join("|")));
        known.join(" or ")
    };
    let bad = || Failure::plain(format_args!("--with {text}: it takes {}", known()));
    let (name, wanted) = text.split_once('=').ok_or_else(bad)?;
    let (field, values) = FIELDS
        .into_iter()
        .find(|(field, _)| *field == name)
        .ok_or_else(bad)?;
    let value = values
        .into_iter()
        .find(|value| value.eq_ignore_ascii_case(wanted));
    Ok((field, value.ok_or_else(bad)?))
}
