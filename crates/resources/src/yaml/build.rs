//! Builds trees from the parser's events, within the bounds.

use alloc::{
    borrow::ToOwned,
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec,
    vec::Vec,
};

use granit_parser::{
    ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle, Tag,
};
use leno_model::Code;

use super::split::{Piece, lines};
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
            let ended = lines(good).filter(|line| line.ends_with(b"\n") || line.ends_with(b"\r"));
            broken.at.line += u32::try_from(ended.count()).unwrap_or(0);
            return vec![Err(broken)];
        }
    };
    let options = granit_parser::options! {
        flow_nesting_limit: MOST_DEPTH,
        block_nesting_limit: MOST_DEPTH,
        emit_comments: false,
    };
    let mut builder = Builder {
        text,
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
    text: &'a str,
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
    contents: Contents,
    /// Whether it is written in brackets or braces.
    is_flow: bool,
    at: At,
    anchor: usize,
    /// How many nodes there were before it.
    nodes_before: usize,
    /// How many levels it has.
    depth: usize,
}

enum Contents {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<(Arc<str>, At)>),
}

impl<'a> Builder<'a> {
    /// The next document, or `None` at the end.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum may grow; what is not known is refused"
    )]
    fn document(&mut self) -> Result<Option<Node>, Broken> {
        self.anchors.clear();
        self.open.clear();
        self.nodes = 0;
        let mut root = None;
        while let Some(next) = self.parser.next_event() {
            let (event, span) = next.map_err(|error| self.not_yaml(&error))?;
            let at = self.at(&span);
            let complete = match event {
                Event::StreamStart | Event::DocumentStart(..) => None,
                Event::DocumentEnd => break,
                Event::StreamEnd => return Ok(None),
                Event::Scalar(text, style, anchor, tag) => {
                    self.count(1, at)?;
                    let meaning = meaning(&text, style, tag.as_deref(), at)?;
                    let value = Value::Scalar(text.into(), meaning);
                    self.finish(Node { value, at }, anchor, 1, 0)?
                }
                Event::SequenceStart(style, anchor, tag) => {
                    self.begin(
                        Contents::List(Vec::new()),
                        style,
                        anchor,
                        tag.as_deref(),
                        at,
                    )?;
                    None
                }
                Event::MappingStart(style, anchor, tag) => {
                    let contents = Contents::Map(Vec::new(), None);
                    self.begin(contents, style, anchor, tag.as_deref(), at)?;
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(at)?,
                Event::Alias(anchor) => self.alias(anchor, at)?,
                other => return Err(not_yaml(at, format!("{other:?} is not read"))),
            };
            root = complete.or(root);
        }
        Ok(root)
    }

    fn begin(
        &mut self,
        contents: Contents,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: At,
    ) -> Result<(), Broken> {
        let expected = match contents {
            Contents::List(_) => "seq",
            Contents::Map(..) => "map",
        };
        if let Some(tag) = tag
            && tag.core_suffix() != Some(expected)
        {
            return Err(not_yaml(
                at,
                format!("the tag {} is not read here", tag.original()),
            ));
        }
        if self.open.len() >= MOST_DEPTH {
            return Err(too_deep(at));
        }
        let nodes_before = self.nodes;
        self.count(1, at)?;
        self.open.push(Open {
            contents,
            is_flow: style == StructureStyle::Flow,
            at,
            anchor,
            nodes_before,
            depth: 1,
        });
        Ok(())
    }

    fn end(&mut self, end: At) -> Result<Option<Node>, Broken> {
        let Some(open) = self.open.pop() else {
            return Err(not_yaml(end, "it ends more than it began".to_owned()));
        };
        let (value, first) = match open.contents {
            Contents::List(mut items) => {
                items.shrink_to_fit();
                let first = items.first().map(|item| item.at);
                (Value::List(items), first)
            }
            Contents::Map(mut entries, _) => {
                entries.shrink_to_fit();
                mark_repeated(&mut entries);
                let first = entries.first().map(|entry| entry.key_at);
                (Value::Map(entries), first)
            }
        };
        let last = if open.is_flow { Some(end) } else { first };
        let width = match last.filter(|last| last.line == open.at.line) {
            Some(last) => (last.column + last.width).saturating_sub(open.at.column),
            None => 1,
        };
        let at = At {
            width: width.max(1),
            ..open.at
        };
        let nodes = self.nodes - open.nodes_before;
        self.finish(Node { value, at }, open.anchor, nodes, open.depth)
    }

    fn alias(&mut self, anchor: usize, at: At) -> Result<Option<Node>, Broken> {
        let Some(Anchored { node, nodes, depth }) = self.anchors.get(&anchor) else {
            return Err(not_yaml(
                at,
                "an alias stands inside what it refers to".to_owned(),
            ));
        };
        let (node, nodes, depth) = (node.clone(), *nodes, *depth);
        self.count(nodes, at)?;
        if self.open.len() + depth > MOST_DEPTH {
            return Err(too_deep(at));
        }
        self.place(node, depth)
    }

    /// Keeps a complete node for its aliases, and puts it where it belongs.
    fn finish(
        &mut self,
        node: Node,
        anchor: usize,
        nodes: usize,
        depth: usize,
    ) -> Result<Option<Node>, Broken> {
        if anchor != 0 {
            self.count(nodes, node.at)?;
            let anchored = Anchored {
                node: node.clone(),
                nodes,
                depth,
            };
            self.anchors.insert(anchor, anchored);
        }
        self.place(node, depth)
    }

    /// Puts a node into the innermost collection; gives it back if there is none.
    fn place(&mut self, node: Node, depth: usize) -> Result<Option<Node>, Broken> {
        let Some(open) = self.open.last_mut() else {
            return Ok(Some(node));
        };
        open.depth = open.depth.max(depth + 1);
        match &mut open.contents {
            Contents::List(items) => items.push(node),
            Contents::Map(entries, key) => match (key.take(), node.value) {
                (Some((key, key_at)), value) => {
                    let value = Node { value, at: node.at };
                    entries.push(Entry {
                        key,
                        key_at,
                        repeated: false,
                        value,
                    });
                }
                (None, Value::Scalar(text, _)) => *key = Some((text, node.at)),
                (None, Value::List(_) | Value::Map(_)) => {
                    let message = "a list or mapping cannot be a key".to_owned();
                    return Err(not_yaml(node.at, message));
                }
            },
        }
        Ok(None)
    }

    /// Takes `nodes` from the budget.
    fn count(&mut self, nodes: usize, at: At) -> Result<(), Broken> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            let message = format!("it has more than {MOST_NODES} nodes, aliases expanded");
            return Err(Broken {
                code: Code::C009,
                message,
                at,
            });
        }
        Ok(())
    }

    /// What the parser says; of what ends too soon, at the last line.
    fn not_yaml(&self, error: &ScanError) -> Broken {
        let mut at = self.at(&Span::empty(*error.marker()));
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let lines = lines(self.text.as_bytes());
        let last = self.lines_above + number(lines.count()).max(1);
        if at.line > last {
            at = At {
                line: last,
                ..At::START
            };
        }
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            return too_deep(at);
        }
        not_yaml(at, error.info())
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

/// What a scalar means, by its tag if it has one.
fn meaning(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: At) -> Result<Meaning, Broken> {
    let plain = scalar::meaning(text);
    let Some(tag) = tag else {
        return Ok(if style == ScalarStyle::Plain {
            plain
        } else {
            Meaning::Quoted
        });
    };
    let fits = match plain {
        Meaning::Null => "null",
        Meaning::Bool(_) => "bool",
        Meaning::Integer(_) => "int",
        Meaning::Number => "float",
        Meaning::Quoted | Meaning::Plain => "str",
    };
    match tag.core_suffix() {
        Some("str") => Ok(Meaning::Quoted),
        Some(core) if core == fits => Ok(plain),
        _ => Err(not_yaml(
            at,
            format!("the tag {} is not read here", tag.original()),
        )),
    }
}

fn too_deep(at: At) -> Broken {
    let message = format!("it is nested deeper than {MOST_DEPTH}");
    Broken {
        code: Code::C009,
        message,
        at,
    }
}

fn not_yaml(at: At, message: String) -> Broken {
    Broken {
        code: Code::C001,
        message,
        at,
    }
}

/// Marks each key that stands further up in the same mapping.
fn mark_repeated(entries: &mut [Entry]) {
    const FEW: usize = 16;
    let few = entries.len() <= FEW;
    let mut seen = BTreeSet::new();
    for index in 0..entries.len() {
        let (above, rest) = entries.split_at_mut(index);
        if let Some(entry) = rest.first_mut() {
            entry.repeated = if few {
                above.iter().any(|other| other.key == entry.key)
            } else {
                !seen.insert(entry.key.clone())
            };
        }
    }
}
