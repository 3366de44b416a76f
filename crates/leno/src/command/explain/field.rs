//! What a field says, from the tables that documents are read by: nothing is explained that is not
//! read, and nothing read that is not explained.

use anyhow::bail;
use leno_model::near::did_you_mean;
use leno_resources::schema;
use leno_resources::schema::{Field, Schema, Shape};

use crate::command::Answer;
use crate::terminal::{Line, Terminal};

/// Prints what `kind` is, or the field of it at `path`, and what stands below.
pub(super) fn explain(kind: &str, path: &str, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let Some(root) = schema(kind) else {
        bail!("{kind} is not a kind that Leno reads");
    };
    let below = if path.is_empty() {
        terminal.line(Line::new().strong(kind))?;
        tell(root.doc, terminal)?;
        whole(root)
    } else {
        let (path, field) = find(kind, root, path)?;
        let line = Line::new().strong(format_args!("{kind}.{path}"));
        terminal.line(line.plain("   ").dim(held(field)))?;
        tell(&said(field), terminal)?;
        below(&field.shape)
    };
    if !below.is_empty() {
        terminal.gap()?;
        print(&below, terminal)?;
    }
    Ok(Answer::Fine)
}

fn tell(doc: &str, terminal: &mut Terminal) -> anyhow::Result<()> {
    terminal.gap()?;
    for line in wrap(doc, WIDTH) {
        terminal.line(line)?;
    }
    Ok(())
}

/// The field at `path`, with its whole path: people leave out `spec`.
fn find(kind: &str, root: &Schema, path: &str) -> anyhow::Result<(String, &'static Field)> {
    let path = match path.split('.').next().and_then(|key| root.field(key)) {
        Some(_) => path.to_owned(),
        None => format!("spec.{path}"),
    };
    if let Some(field) = root.at(&path) {
        return Ok((path, field));
    }
    let (mut known, mut at) = (root, kind.to_owned());
    for key in path.split('.') {
        let Some(field) = known.field(key) else {
            let keys = known.fields.iter().map(|field| field.key);
            let meant =
                did_you_mean(key, keys).map_or_else(String::new, |meant| format!("{meant} "));
            bail!("{at} has no field {key:?}; {meant}`leno explain {at}` lists them");
        };
        at = format!("{at}.{key}");
        match field.shape.schema() {
            Some(below) => known = below,
            None => break,
        }
    }
    bail!("nothing stands below {at}");
}

/// One line of a list: a name, what it holds, what it says.
struct Row {
    name: String,
    holds: String,
    doc: String,
}

/// The fields of a kind, those of `spec` in its place.
fn whole(root: &Schema) -> Vec<Row> {
    let mut rows = Vec::new();
    for field in root.fields {
        match field.shape {
            Shape::Object(spec) if field.key == "spec" => {
                rows.extend(spec.fields.iter().map(|field| Row {
                    name: format!("spec.{}", field.key),
                    ..row(field)
                }));
            }
            _ => rows.push(row(field)),
        }
    }
    rows
}

/// What stands below a field: fields, or the words that it may hold.
fn below(shape: &Shape) -> Vec<Row> {
    match shape {
        Shape::List(of) | Shape::Map(of) => below(of),
        Shape::Object(schema) => schema.fields.iter().map(row).collect(),
        Shape::Choice(words) => {
            let words = words.iter().map(|(word, doc)| Row {
                name: (*word).to_owned(),
                holds: String::new(),
                doc: (*doc).to_owned(),
            });
            words.collect()
        }
        Shape::Value(_) => Vec::new(),
    }
}

fn row(field: &Field) -> Row {
    Row {
        name: field.key.to_owned(),
        holds: held(field),
        doc: said(field),
    }
}

/// What a field holds, in words: `text, required`, `list of mappings`, `Allow | Deny`.
fn held(field: &Field) -> String {
    let shape = words(&field.shape, false);
    if field.required && field.default.is_none() {
        return format!("{shape}, required");
    }
    shape
}

/// What a field says, and what it says where it is absent.
fn said(field: &Field) -> String {
    match field.default {
        Some(default) => format!("{} Default: {default}", field.doc),
        None => field.doc.to_owned(),
    }
}

fn words(shape: &Shape, many: bool) -> String {
    match shape {
        Shape::Value(words) => (*words).to_owned(),
        Shape::Choice(words) if words.len() > MOST_WORDS => "one of these words".to_owned(),
        Shape::Choice(words) => {
            let words = words.iter().map(|(word, _)| *word);
            words.collect::<Vec<_>>().join(" | ")
        }
        Shape::Object(_) if many => "mappings".to_owned(),
        Shape::Object(_) => "mapping".to_owned(),
        Shape::List(of) => format!("list of {}", words(of, true)),
        Shape::Map(of) => format!("mapping of names to {}", words(of, true)),
    }
}

fn print(rows: &[Row], terminal: &mut Terminal) -> anyhow::Result<()> {
    let widest = |width: fn(&Row) -> usize| rows.iter().map(width).max().unwrap_or_default();
    let second = MARGIN + widest(|row| row.name.len()) + GUTTER;
    let third = match widest(|row| row.holds.len()) {
        0 => second,
        width => second + width + GUTTER,
    };
    for Row { name, holds, doc } in rows {
        let mut line = Line::new().column(MARGIN, 0).strong(name);
        if !holds.is_empty() {
            line = line.column(second, GUTTER).dim(holds);
        }
        for text in wrap(doc, WIDTH - third) {
            terminal.line(line.column(third, GUTTER).plain(text))?;
            line = Line::new();
        }
    }
    Ok(())
}

/// Lines of at most `width` characters; a longer word stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let longer = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && longer > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// How wide the text is set, in columns, and its columns within.
const WIDTH: usize = 110;
const MARGIN: usize = 2;
const GUTTER: usize = 2;

/// How many words are named on the line of the field that holds one of them.
const MOST_WORDS: usize = 4;
