//! The table as it is written: one file for each mesh that faults can share, a row for each fault.

use std::fmt;

use leno_resources::yaml::{self, Entry, Node, Value};

/// What one file says.
#[derive(Debug)]
pub struct Table {
    /// The files of the mesh's folder, by name.
    pub files: Vec<(String, String)>,
    /// Variables of everything that runs.
    pub environment: Vec<(String, String)>,
    /// What starts it.
    pub start: Vec<Step>,
    /// What is broken in it, in this order.
    pub faults: Vec<Fault>,
}

/// One row.
#[derive(Debug)]
pub struct Fault {
    /// Its line in the file.
    pub line: u32,
    /// What is wrong, in words.
    pub name: String,
    /// What breaks it.
    pub broken: Vec<Step>,
    /// The call that is made; `web$ curl ..` is made by the workload web.
    pub call: Option<String>,
    /// Words of what the caller sees.
    pub answer: Vec<String>,
    /// Words of the call's line in `leno tap`, in order.
    pub tap: Option<String>,
    /// Commands, and words that each must say.
    pub tells: Vec<(String, Vec<String>)>,
    /// What puts it right again.
    pub mended: Vec<Step>,
}

/// Something that is done, and waited for.
#[derive(Debug)]
pub enum Step {
    /// A command runs to its end, and succeeds.
    Run(String),
    /// A process begins, and says these words. Its number stands in `NAME.pid`, what it says in `NAME.log`.
    Start {
        /// What it is called.
        name: String,
        /// What is run.
        command: String,
        /// Words of one of its lines.
        says: Vec<String>,
    },
    /// A command is asked until it says these words.
    Until {
        /// What is asked.
        command: String,
        /// Words of its answer.
        says: Vec<String>,
    },
}

/// What cannot be read in a table.
#[derive(Debug)]
pub struct Flawed {
    line: u32,
    message: String,
}

impl fmt::Display for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Reads a file.
pub fn read(file: &[u8]) -> Result<Table, Flawed> {
    let empty = Flawed {
        line: 1,
        message: "nothing is in it".to_owned(),
    };
    let document = yaml::documents(file).next().ok_or(empty)?;
    let document = document.map_err(|broken| Flawed {
        line: broken.at.line,
        message: broken.message,
    })?;
    let known = ["files", "environment", "start", "faults"];
    Ok(Table {
        files: pairs(&document, "files", text)?,
        environment: pairs(&document, "environment", text)?,
        start: list(&document, "start", step)?,
        faults: list(only(&document, &known)?, "faults", fault)?,
    })
}

fn fault(node: &Node) -> Result<Fault, Flawed> {
    let known = [
        "fault", "broken", "call", "answer", "tap", "tells", "mended",
    ];
    only(node, &known)?;
    Ok(Fault {
        line: node.at.line,
        name: required(node, "fault")?,
        broken: list(node, "broken", step)?,
        call: optional(node, "call")?,
        answer: list(node, "answer", text)?,
        tap: optional(node, "tap")?,
        tells: pairs(node, "tells", texts)?,
        mended: list(node, "mended", step)?,
    })
}

fn step(node: &Node) -> Result<Step, Flawed> {
    if let Ok(command) = text(node) {
        return Ok(Step::Run(command));
    }
    if node.get("until").is_some() {
        only(node, &["until", "says"])?;
        return Ok(Step::Until {
            command: required(node, "until")?,
            says: list(node, "says", text)?,
        });
    }
    only(node, &["start", "command", "says"])?;
    Ok(Step::Start {
        name: required(node, "start")?,
        command: required(node, "command")?,
        says: list(node, "says", text)?,
    })
}

/// The node, if it is a mapping without any other key, and none twice.
fn only<'n>(node: &'n Node, known: &[&str]) -> Result<&'n Node, Flawed> {
    let entries = node.as_map().ok_or_else(|| flawed(node, "a mapping"))?;
    let strange = |entry: &&Entry| entry.repeated || !known.contains(&&*entry.key);
    match entries.iter().find(strange) {
        None => Ok(node),
        Some(entry) => Err(Flawed {
            line: entry.key_at.line,
            message: format!("{} is unknown here, or written twice", entry.key),
        }),
    }
}

fn required(node: &Node, key: &str) -> Result<String, Flawed> {
    let found = optional(node, key)?;
    found.ok_or_else(|| flawed(node, &format!("a mapping with {key}")))
}

fn optional(node: &Node, key: &str) -> Result<Option<String>, Flawed> {
    node.get(key).map(text).transpose()
}

/// The items under a key; a single one needs no list.
fn list<T>(
    node: &Node,
    key: &str,
    item: impl Fn(&Node) -> Result<T, Flawed>,
) -> Result<Vec<T>, Flawed> {
    match node.get(key) {
        None => Ok(Vec::new()),
        Some(found) => match found.as_list() {
            Some(items) => items.iter().map(item).collect(),
            None => Ok(vec![item(found)?]),
        },
    }
}

/// The entries of the mapping under a key, in the order they are written.
fn pairs<T>(
    node: &Node,
    key: &str,
    value: impl Fn(&Node) -> Result<T, Flawed>,
) -> Result<Vec<(String, T)>, Flawed> {
    let Some(found) = node.get(key) else {
        return Ok(Vec::new());
    };
    let entries = found.as_map().ok_or_else(|| flawed(found, "a mapping"))?;
    let pair = |entry: &Entry| Ok((entry.key.to_string(), value(&entry.value)?));
    entries.iter().map(pair).collect()
}

fn texts(node: &Node) -> Result<Vec<String>, Flawed> {
    match node.as_list() {
        Some(items) => items.iter().map(text).collect(),
        None => Ok(vec![text(node)?]),
    }
}

fn text(node: &Node) -> Result<String, Flawed> {
    match &node.value {
        Value::Scalar(text, _) => Ok(text.to_string()),
        Value::List(_) | Value::Map(_) => Err(flawed(node, "a text")),
    }
}

fn flawed(node: &Node, expected: &str) -> Flawed {
    Flawed {
        line: node.at.line,
        message: format!("{expected} is expected"),
    }
}
