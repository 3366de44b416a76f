//! Builds trees from the parser's events, within the bounds.

use alloc::{
    borrow::{Cow, ToOwned},
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec,
    vec::Vec,
};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use leno_model::Code;

use super::split::Piece;
use super::{At, Broken, Entry, MOST_BYTES, MOST_DEPTH, MOST_NODES, Meaning, Node, Value, scalar};

/// The documents of one piece: as a rule one. What follows a broken document in the same piece is
/// lost with it.
pub(super) fn documents(piece: &Piece<'_>) -> Vec<Result<Node, Broken>> {
    let whole = |code, message| Broken {
        code,
        message,
        at: At {
            line: piece.first_line,
            ..At::START
        },
    };
    if piece.bytes.len() > MOST_BYTES {
        let message = format!(
            "it has {} bytes, and {MOST_BYTES} are read",
            piece.bytes.len()
        );
        return vec![Err(whole(Code::C009, message))];
    }
    let text = match core::str::from_utf8(piece.bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = piece.bytes.get(..error.valid_up_to()).unwrap_or_default();
            let mut broken = whole(Code::C001, "it is not UTF-8 text".to_owned());
            let lines = good.iter().filter(|byte| **byte == b'\n').count();
            broken.at.line += u32::try_from(lines).unwrap_or(0);
            return vec![Err(broken)];
        }
    };
    let options = granit_parser::options! {
        flow_nesting_limit: MOST_DEPTH,
        block_nesting_limit: MOST_DEPTH,
        emit_comments: false,
    };
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        lines_above: piece.first_line - 1,
        anchors: BTreeMap::new(),
        open: Vec::new(),
        nodes: 0,
    };
    let mut documents = Vec::new();
    while let Some(document) = builder.document().transpose() {
        let failed = document.is_err();
        documents.push(document);
        if failed {
            break;
        }
    }
    documents.retain(|document| !document.as_ref().is_ok_and(Node::is_null));
    documents
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    lines_above: u32,
    anchors: BTreeMap<usize, Anchored>,
    /// The collections that have begun and not ended, outermost first.
    open: Vec<Open>,
    nodes: usize,
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

/// A collection that has begun.
struct Open {
    kind: OpenKind,
    at: At,
    anchor: usize,
    /// How many nodes there were before it.
    nodes_before: usize,
    /// How deep its contents have gone below it.
    depth: usize,
}

enum OpenKind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        key: Option<(Arc<str>, At)>,
    },
}

impl<'a> Builder<'a> {
    /// The next document, or `None` at the end.
    fn document(&mut self) -> Result<Option<Node>, Broken> {
        self.anchors.clear();
        self.open.clear();
        self.nodes = 0;
        let mut root = None;
        while let Some(next) = self.parser.next_event() {
            let (event, span) = next.map_err(|error| self.not_yaml(&error))?;
            let done = match event {
                Event::StreamStart | Event::DocumentStart(..) => continue,
                Event::DocumentEnd => break,
                Event::StreamEnd => return Ok(None),
                Event::Scalar(text, style, anchor, tag) => {
                    let node = self.scalar(text, style, tag.as_deref(), &span)?;
                    self.finish(node, anchor, 1, 0)?
                }
                Event::SequenceStart(_, anchor, tag) => {
                    self.begin(OpenKind::List(Vec::new()), anchor, tag.as_deref(), &span)?;
                    continue;
                }
                Event::MappingStart(_, anchor, tag) => {
                    let kind = OpenKind::Map {
                        entries: Vec::new(),
                        key: None,
                    };
                    self.begin(kind, anchor, tag.as_deref(), &span)?;
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(&span)?,
                Event::Alias(anchor) => self.alias(anchor, &span)?,
                other => return Err(self.broken(&span, format!("{other:?} is not read"))),
            };
            root = done.or(root);
        }
        Ok(root)
    }

    fn begin(
        &mut self,
        kind: OpenKind,
        anchor: usize,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<(), Broken> {
        let expected = match kind {
            OpenKind::List(_) => "seq",
            OpenKind::Map { .. } => "map",
        };
        if let Some(tag) = tag
            && tag.core_suffix() != Some(expected)
        {
            return Err(self.broken(span, format!("the tag {} is not read", tag.original())));
        }
        if self.open.len() >= MOST_DEPTH {
            return Err(self.too_deep(span));
        }
        let nodes_before = self.nodes;
        self.count(1, span)?;
        let at = self.at(span);
        self.open.push(Open {
            kind,
            at,
            anchor,
            nodes_before,
            depth: 1,
        });
        Ok(())
    }

    fn end(&mut self, span: &Span) -> Result<Option<Node>, Broken> {
        let Some(Open {
            kind,
            at,
            anchor,
            nodes_before,
            depth,
        }) = self.open.pop()
        else {
            return Err(self.broken(span, "it ends more than it began".to_owned()));
        };
        let (value, first) = match kind {
            OpenKind::List(items) => {
                let first = items.first().map(|item| item.at);
                (Value::List(items), first)
            }
            OpenKind::Map { entries, .. } => {
                let first = entries.first().map(|entry| entry.key_at);
                (Value::Map(mark_repeated(entries)), first)
            }
        };
        let at = self.collection_at(at, span, first);
        let nodes = self.nodes - nodes_before;
        self.finish(Node { value, at }, anchor, nodes, depth)
    }

    /// Where a collection stands: all of it on one line, else its first entry.
    fn collection_at(&self, begun: At, end: &Span, first: Option<At>) -> At {
        let end = self.at(end);
        let flow = begun.width > 1 || first.is_none_or(|first| first.column != begun.column);
        match first {
            _ if flow && end.line == begun.line => At {
                width: (end.column + end.width).saturating_sub(begun.column).max(1),
                ..begun
            },
            Some(first) if first.line == begun.line => At {
                width: (first.column + first.width)
                    .saturating_sub(begun.column)
                    .max(1),
                ..begun
            },
            Some(_) | None => begun,
        }
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<Option<Node>, Broken> {
        let Some(Anchored { node, nodes, depth }) = self.anchors.get(&anchor) else {
            return Err(self.broken(span, "an alias stands inside what it refers to".to_owned()));
        };
        let (node, nodes, depth) = (node.clone(), *nodes, *depth);
        if self.open.len() + depth > MOST_DEPTH {
            return Err(self.too_deep(span));
        }
        self.count(nodes, span)?;
        self.place(node, depth, span)
    }

    /// Puts a complete node where it belongs; gives it back if it is the document.
    fn finish(
        &mut self,
        node: Node,
        anchor: usize,
        nodes: usize,
        depth: usize,
    ) -> Result<Option<Node>, Broken> {
        let span = Span::default();
        if anchor != 0 {
            self.count(nodes, &span)?;
            let anchored = Anchored {
                node: node.clone(),
                nodes,
                depth,
            };
            self.anchors.insert(anchor, anchored);
        }
        self.place(node, depth, &span)
    }

    fn place(&mut self, node: Node, depth: usize, span: &Span) -> Result<Option<Node>, Broken> {
        let Some(open) = self.open.last_mut() else {
            return Ok(Some(node));
        };
        open.depth = open.depth.max(depth + 1);
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { entries, key } => match key.take() {
                Some((key, key_at)) => {
                    entries.push(Entry {
                        key,
                        key_at,
                        repeated: false,
                        value: node,
                    });
                }
                None => match node.value {
                    Value::Scalar(text, _) => *key = Some((text, node.at)),
                    Value::List(_) | Value::Map(_) => {
                        let message = "a list or mapping cannot be a key".to_owned();
                        return Err(self.broken_at(node.at, span, message));
                    }
                },
            },
        }
        Ok(None)
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<Node, Broken> {
        self.count(1, span)?;
        let meaning = match (style, tag) {
            (ScalarStyle::Plain, None) => scalar::meaning(&text),
            (_, None) => Meaning::Quoted,
            (_, Some(tag)) => {
                let read = scalar::meaning(&text);
                match (tag.core_suffix(), read) {
                    (Some("str"), _) => Meaning::Quoted,
                    (Some("null"), Meaning::Null)
                    | (Some("bool"), Meaning::Bool(_))
                    | (Some("int"), Meaning::Integer(_))
                    | (Some("float"), Meaning::Number | Meaning::Integer(_)) => read,
                    _ => {
                        let message = format!("the tag {} is not read here", tag.original());
                        return Err(self.broken(span, message));
                    }
                }
            }
        };
        Ok(Node {
            value: Value::Scalar(text.into(), meaning),
            at: self.at(span),
        })
    }

    /// Takes `nodes` from the budget.
    fn count(&mut self, nodes: usize, span: &Span) -> Result<(), Broken> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            let message = format!("it has more than {MOST_NODES} nodes, aliases expanded");
            return Err(Broken {
                code: Code::C009,
                message,
                at: self.at(span),
            });
        }
        Ok(())
    }

    fn too_deep(&self, span: &Span) -> Broken {
        let message = format!("it is nested deeper than {MOST_DEPTH}");
        Broken {
            code: Code::C009,
            message,
            at: self.at(span),
        }
    }

    fn broken(&self, span: &Span, message: String) -> Broken {
        Broken {
            code: Code::C001,
            message,
            at: self.at(span),
        }
    }

    fn broken_at(&self, at: At, _: &Span, message: String) -> Broken {
        Broken {
            code: Code::C001,
            message,
            at,
        }
    }

    fn not_yaml(&self, error: &ScanError) -> Broken {
        let span = Span::empty(*error.marker());
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => self.too_deep(&span),
            _ => self.broken(&span, error.info()),
        }
    }

    fn at(&self, span: &Span) -> At {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let width = if span.start.line() == span.end.line() {
            span.end.col().saturating_sub(span.start.col()).max(1)
        } else {
            1
        };
        At {
            line: number(span.start.line().max(1)).saturating_add(self.lines_above),
            column: number(span.start.col()).saturating_add(1),
            width: number(width),
        }
    }
}

/// Marks each key that stands further up in the same mapping.
fn mark_repeated(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut seen = BTreeSet::new();
    for entry in &mut entries {
        entry.repeated = !seen.insert(entry.key.clone());
    }
    entries
}
