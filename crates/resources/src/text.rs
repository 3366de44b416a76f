//! An object's own text: its document, or what of a document of many (a `List`) is about it alone.

use alloc::{string::String, vec::Vec};

use crate::object::{Source, Written};
use crate::yaml::{self, At, Node, Value, lines};

/// The text of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    /// The line of its file that it begins at, counted from 1.
    pub line: u32,
    /// A document that says the same as the object, in the same lines.
    pub document: String,
}

/// The text of `written`; `None` if it cannot be told apart from what it stands among, as where an
/// alias of one item refers to another.
pub(crate) fn text(written: &Written) -> Option<Text> {
    let (file, at) = (&written.source, written.root.at);
    let candidates: [Option<Text>; 2] = match written.is_item {
        true => [of_block(&file.bytes, at), of_flow(&file.bytes, at)],
        false => [of_document(file, at), None],
    };
    let is_it = |text: &Text| says_only(&text.document, &written.root);
    candidates.into_iter().flatten().find(is_it)
}

fn of_document(file: &Source, at: At) -> Option<Text> {
    let (line, document) = file.document(at.line)?;
    let document = core::str::from_utf8(document).ok()?.into();
    Some(Text { line, document })
}

/// Whether a text says what `root` says, and nothing else.
fn says_only(text: &str, root: &Node) -> bool {
    let mut documents = yaml::documents(text.as_bytes());
    let first = documents.next();
    first.is_some_and(|read| read.is_ok_and(|read| is_same(&read, root)))
        && documents.next().is_none()
}

/// An item whose first entry stands at `at`, after the dash of a list: the lines down to the first
/// one that is not indented as far, all moved to the left by as much.
fn of_block(file: &[u8], at: At) -> Option<Text> {
    let indent = usize::try_from(at.column).ok()?.checked_sub(1)?;
    let mut rest = lines(file).skip(usize::try_from(at.line).ok()?.checked_sub(1)?);
    let (before, first) = rest.next()?.split_at_checked(indent)?;
    if !before.iter().all(|byte| matches!(byte, b' ' | b'-')) {
        return None;
    }
    let mut document = Vec::from(first);
    for line in rest {
        let is_blank = line.trim_ascii().is_empty();
        match line.split_at_checked(indent) {
            Some((before, own)) if before.iter().all(|byte| *byte == b' ') => document.extend(own),
            Some(_) | None if is_blank => document.push(b'\n'),
            Some(_) | None => break,
        }
    }
    let document = String::from_utf8(document).ok()?;
    let line = at.line;
    Some(Text { line, document })
}

/// An item in braces whose first entry stands at `at`: all from its brace to the one that closes it.
fn of_flow(file: &[u8], at: At) -> Option<Text> {
    let line = usize::try_from(at.line).ok()?.checked_sub(1)?;
    let above: usize = lines(file).take(line).map(<[u8]>::len).sum();
    let own = core::str::from_utf8(file.get(above..)?).ok()?;
    let column = usize::try_from(at.column).ok()?.checked_sub(1)?;
    let (inner, _) = own.char_indices().nth(column)?;
    let entry = above.checked_add(inner)?;
    let begin = match file.get(entry)? {
        b'{' => entry,
        _ => file.get(..entry)?.trim_ascii_end().len().checked_sub(1)?,
    };
    let own = file.get(begin..)?;
    let own = own.get(..braces(own)?)?;
    let line = lines(file.get(..begin)?).filter(|line| line.ends_with(b"\n"));
    Some(Text {
        line: u32::try_from(line.count()).ok()?.checked_add(1)?,
        document: String::from_utf8(own.to_vec()).ok()?,
    })
}

/// How many bytes there are from an opening brace to the one that closes it.
fn braces(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut is_escaped = false;
    for (index, byte) in text.iter().enumerate() {
        match (quote, byte) {
            _ if is_escaped => is_escaped = false,
            (Some(b'"'), b'\\') => is_escaped = true,
            (Some(open), byte) if open == *byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'{') => depth = depth.checked_add(1)?,
            (None, b'}') => depth = depth.checked_sub(1)?,
            (None, _) => {}
        }
        if depth == 0 {
            return index.checked_add(1);
        }
    }
    None
}

/// Whether two nodes say the same, wherever they stand.
fn is_same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Scalar(one, means), Value::Scalar(other, meant)) => one == other && means == meant,
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len()
                && pairs
                    .all(|(one, other)| one.key == other.key && is_same(&one.value, &other.value))
        }
        (Value::Scalar(..) | Value::List(_) | Value::Map(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use leno_model::Namespace;

    use crate::Resources;

    /// The objects of a file, each with its line and its own text.
    fn check(file: &str, expect: &[(&str, u32, &str)]) {
        let files = [("a.yaml", file.as_bytes().to_vec())];
        let (resources, _) = Resources::read(files, &Namespace::default_namespace());
        let told = resources.texts().map(|(origin, text)| {
            let text = text.expect("it has a text");
            (origin.object.name.to_string(), text.line, text.document)
        });
        let told: Vec<_> = told.collect();
        let expect = expect
            .iter()
            .map(|(name, line, text)| (name.to_string(), *line, text.to_string()));
        assert_eq!(told, expect.collect::<Vec<_>>());
    }

    #[test]
    fn an_item_of_a_list_is_a_document_of_its_own() {
        check(
            "\
apiVersion: v1
items:
- apiVersion: v1
  kind: Service
  metadata:
    name: a

    # what it is called
  spec: {ports: [{port: 80}]}
-
  apiVersion: v1
  kind: Service
  metadata: {name: b}
kind: List
",
            &[
                (
                    "a",
                    3,
                    "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n\n  # what it is called\n\
                     spec: {ports: [{port: 80}]}\n",
                ),
                (
                    "b",
                    11,
                    "apiVersion: v1\nkind: Service\nmetadata: {name: b}\n",
                ),
            ],
        );
    }

    #[test]
    fn so_is_one_in_braces() {
        check(
            "\
{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [
    {\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"a\"}},
    {
        \"apiVersion\": \"v1\", \"kind\": \"Service\",
        \"metadata\": {\"name\": \"b\", \"annotations\": {\"x\": \"}\\\"'\"}}
    }
]}
",
            &[
                (
                    "a",
                    2,
                    r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}"#,
                ),
                (
                    "b",
                    3,
                    "{\n    \"apiVersion\": \"v1\", \"kind\": \"Service\",\n    \
                     \"metadata\": {\"name\": \"b\", \"annotations\": {\"x\": \"}\\\"'\"}}\n}\n",
                ),
            ],
        );
    }

    #[test]
    fn what_rests_on_another_item_has_no_text_of_its_own() {
        let item = |name: &str, ports: &str| {
            format!(
                "- {{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{ports: {ports}}}}}\n"
            )
        };
        let file = format!(
            "apiVersion: v1\nkind: List\nitems:\n{}{}",
            item("a", "&p [{port: 80}]"),
            item("b", "*p")
        );
        let files = [("a.yaml", file.into_bytes())];
        let (resources, _) = Resources::read(files, &Namespace::default_namespace());
        let told: Vec<_> = resources.texts().map(|(_, text)| text.is_some()).collect();
        assert_eq!(told, [true, false]);
    }
}
