//! What people expect of their resources: the tests that `leno test` runs, from `*.test.yaml`.
//!
//! Each document is a list of cases: a call, and what must become of it.

use alloc::{
    borrow::ToOwned,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;
use core::net::IpAddr;

use leno_model::note::Span;
use leno_model::{Code, Name, Namespace, Note, Notes, Place, Severity};

use crate::decode::{Decode, Reader, Rules, Subject, choice, object, text};
use crate::mesh::Loose;
use crate::object::span;
use crate::part::List;
use crate::policy::Identity;
use crate::schema::Shape;
use crate::yaml::{self, At, Meaning, Node, Value};

/// One case, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Test {
    /// Its first line.
    pub place: Place,
    /// What it says.
    pub case: Case,
}

object! {
    /// A call, and what must become of it.
    pub struct Case {
        /// What is shown, in words.
        pub name: Option<Arc<str>> = "name" [length(1, 500)];
        /// Who calls.
        pub from: From = "from";
        /// What is asked for.
        pub request: Call = "request";
        /// The request's headers.
        pub headers: BTreeMap<Arc<str>, Loose> = "headers";
        /// What its token says, which is taken for one that is accepted. Without it, it carries none.
        pub claims: Option<BTreeMap<Arc<str>, Claimed>> = "claims";
        /// What external authorizers say of it, where they are asked. Without it, nobody knows.
        pub authorizer: Option<Verdict> = "authorizer";
        /// What must become of it; at least one thing.
        pub expect: Expect = "expect";
    }

    /// What must become of a call. What is not said is not asked.
    pub struct Expect checked by expects_something {
        /// Whether it is let through.
        pub verdict: Option<Verdict> = "verdict";
        /// The code with which it is refused, or its words.
        pub code: Option<ExpectedCode> = "code";
        /// The status that Leno answers with.
        pub status: Option<u16> = "status" [range(100, 599)];
        /// The route that takes it.
        pub route: Option<ExpectedRoute> = "route";
        /// The rule of the route that takes it.
        pub rule: Option<ExpectedRule> = "rule";
        /// The backends it may go to, and how often each of a hundred times.
        pub backends: Option<BTreeMap<Arc<str>, u8>> = "backends" [range(0, 100)];
        /// Where the caller is sent.
        pub redirect: Option<Arc<str>> = "redirect";
        /// The request that the backend gets.
        pub request: Option<ExpectedRequest> = "request";
        /// The AccessPolicy that says what becomes of it, perhaps with its rule.
        pub policy: Option<ExpectedPolicy> = "policy";
        /// The rules with `Audit` that tell of it: these, and no others.
        pub audited: Option<List<ExpectedPolicy>> = "audited";
        /// Whether its two ends prove themselves to each other.
        pub security: Option<Security> = "security";
    }

    /// A request as a backend gets it. What is not said is not asked.
    pub struct ExpectedRequest {
        /// Its path, with its query.
        pub path: Option<Arc<str>> = "path";
        /// Its host.
        pub host: Option<Arc<str>> = "host";
        /// Headers that it has.
        pub headers: BTreeMap<Arc<str>, Loose> = "headers";
        /// Headers that it has not.
        pub without: List<Arc<str>> = "without";
    }

    /// A caller that is no workload.
    pub struct Somebody {
        /// Who he proves to be; without it, he comes in plain.
        pub identity: Option<Identity> = "identity";
        /// The address he calls from.
        pub address: Option<IpAddr> = "address";
    }
}

choice! {
    /// Whether the two ends of a call prove themselves to each other.
    pub enum Security {
        /// They do.
        Mtls = "mtls",
        /// They do not.
        Plain = "plain",
    }

    /// Whether a call is let through.
    pub enum Verdict {
        /// It is.
        Allow = "allow",
        /// It is not.
        Deny = "deny",
    }
}

/// What a token says under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claimed {
    /// A text.
    Text(Arc<str>),
    /// A whole number.
    Number(i64),
    /// True or false.
    Truth(bool),
    /// A list.
    List(Vec<Self>),
    /// More, by name.
    Map(BTreeMap<Arc<str>, Self>),
}

impl Decode for Claimed {
    const SHAPE: Shape = Shape::Value("text, a whole number, true or false, a list or a mapping");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(_, Meaning::Bool(truth)) => Some(Self::Truth(*truth)),
            Value::Scalar(_, Meaning::Integer(number)) => Some(Self::Number(*number)),
            Value::Scalar(text, Meaning::Quoted | Meaning::Plain) => Some(Self::Text(text.clone())),
            Value::Scalar(_, Meaning::Null | Meaning::Number) => {
                reader.wrong_type(node, "text, a whole number, or true or false");
                None
            }
            Value::List(items) => {
                let items = items
                    .iter()
                    .map(|item| Self::decode(item, &Rules::NONE, reader));
                items.collect::<Option<_>>().map(Self::List)
            }
            Value::Map(entries) => {
                let entries = entries.iter().map(|entry| {
                    let value = Self::decode(&entry.value, &Rules::NONE, reader)?;
                    Some((entry.key.clone(), value))
                });
                entries.collect::<Option<_>>().map(Self::Map)
            }
        }
    }
}

/// Who calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum From {
    /// A workload: `web`, or `shop/web`.
    Workload(Option<Namespace>, Name),
    /// Somebody else: `outside`, or `{identity: shop/web, address: 10.0.0.9}`.
    Somebody(Somebody),
}

impl Decode for From {
    const SHAPE: Shape = Shape::Value("a workload, outside, or {identity, address}");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        if node.as_map().is_some() {
            return reader.value(node, &Rules::NONE).map(Self::Somebody);
        }
        let text = text(node, reader)?;
        if &**text == "outside" {
            return Some(Self::Somebody(Somebody {
                identity: None,
                address: None,
            }));
        }
        let named = named(text).map(|(namespace, name)| Self::Workload(namespace, name));
        if named.is_none() {
            reader.invalid(node, format!("{text:?} is not a workload, nor outside"));
        }
        named
    }
}

/// What is asked for: `POST http://cart:8080/items`, `grpc://cart:9090/shop.Cart/Get`,
/// `tcp://redis:6379` or `tls://db:5433/orders.example`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The method; `GET` if none is said.
    pub method: Arc<str>,
    /// The URL, as it was written.
    pub url: Arc<str>,
}

impl Decode for Call {
    const SHAPE: Shape = Shape::Value("[METHOD] URL");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text(node, reader)?;
        let (method, url) = text.split_once(' ').unwrap_or(("GET", text));
        let is_token = crate::form::token(method).is_ok();
        if !is_token || url.contains(' ') || !url.contains("://") {
            reader.invalid(
                node,
                format!("{text:?} is not like POST http://cart:8080/items"),
            );
            return None;
        }
        Some(Self {
            method: method.into(),
            url: url.into(),
        })
    }
}

/// A code, by its letter and digits or by its words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpectedCode(pub Code);

impl Decode for ExpectedCode {
    const SHAPE: Shape = Shape::Value("a code, or its words");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text(node, reader)?;
        let code = text.parse().map(Self);
        code.map_err(|_| reader.invalid(node, format!("there is no code {text}")))
            .ok()
    }
}

/// A route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExpectedRoute {
    /// No route takes it.
    None,
    /// This one: `cart`, or `shop/cart`.
    Named(Option<Namespace>, Name),
}

impl Decode for ExpectedRoute {
    const SHAPE: Shape = Shape::Value("a route's name, or none");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text(node, reader)?;
        if &**text == "none" {
            return Some(Self::None);
        }
        let named = named(text).map(|(namespace, name)| Self::Named(namespace, name));
        if named.is_none() {
            reader.invalid(node, format!("{text:?} is not a route's name, nor none"));
        }
        named
    }
}

/// An `AccessPolicy`, perhaps with one of its rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExpectedPolicy {
    /// None says anything: what holds where nobody does.
    None,
    /// This one: `cart`, `shop/cart`, `shop/cart rule 2`.
    Of {
        /// Its namespace; without one, any.
        namespace: Option<Namespace>,
        /// Its name.
        name: Name,
        /// The rule, counted from 1; without one, any of them, or the policy as a whole.
        rule: Option<u32>,
    },
}

impl Decode for ExpectedPolicy {
    const SHAPE: Shape =
        Shape::Value("an AccessPolicy (shop/cart), one of its rules (shop/cart rule 2), or none");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text(node, reader)?;
        if &**text == "none" {
            return Some(Self::None);
        }
        let (policy, rule) = match text.split_once(" rule ") {
            Some((policy, rule)) => (policy, Some(rule.parse::<u32>().ok().filter(|it| *it > 0))),
            None => (&**text, None),
        };
        let named = named(policy).filter(|_| rule != Some(None));
        if named.is_none() {
            let message = format!("{text:?} is not like shop/cart, shop/cart rule 2, or none");
            reader.invalid(node, message);
        }
        named.map(|(namespace, name)| Self::Of {
            namespace,
            name,
            rule: rule.flatten(),
        })
    }
}

/// As it is written.
impl fmt::Display for ExpectedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Of {
            namespace,
            name,
            rule,
        } = self
        else {
            return f.write_str("none");
        };
        if let Some(namespace) = namespace {
            write!(f, "{namespace}/")?;
        }
        write!(f, "{name}")?;
        rule.map_or(Ok(()), |rule| write!(f, " rule {rule}"))
    }
}

/// A rule of a route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExpectedRule {
    /// By its place, counted from 1.
    Number(u32),
    /// By its name.
    Named(Arc<str>),
}

impl Decode for ExpectedRule {
    const SHAPE: Shape = Shape::Value("a number counted from 1, or a rule's name");

    fn decode(node: &Node, rules: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Scalar(_, Meaning::Integer(_)) => reader
                .value(node, &rules.range(1, i64::from(u32::MAX)))
                .map(Self::Number),
            Value::Scalar(..) | Value::List(_) | Value::Map(_) => {
                reader.value(node, rules).map(Self::Named)
            }
        }
    }
}

/// Reads a file of tests. A case that cannot be understood is left out and noted.
pub fn read(path: &str, bytes: &[u8]) -> (Vec<Test>, Notes) {
    let path = Arc::from(path);
    let (mut tests, mut notes) = (Vec::new(), Notes::default());
    for document in yaml::documents(bytes) {
        let root = match document {
            Ok(root) => root,
            Err(broken) => {
                notes.push(malformed(
                    broken.code,
                    broken.message,
                    span(&path, broken.at),
                ));
                continue;
            }
        };
        let Some(cases) = root.as_list() else {
            let message = "a list of cases is expected".to_owned();
            notes.push(malformed(Code::C140, message, span(&path, root.at)));
            continue;
        };
        tests.extend(
            cases
                .iter()
                .filter_map(|case| read_case(case, &path, &mut notes)),
        );
    }
    (tests, notes)
}

fn read_case(root: &Node, path: &Arc<str>, notes: &mut Notes) -> Option<Test> {
    let subject = Subject {
        object: None,
        kind: "Case",
        root,
        path,
    };
    let mut reader = Reader::new(subject, notes);
    let case = reader.value::<Case>(root, &Rules::NONE);
    let case = case.filter(|_| reader.errors() == 0);
    reader.close();
    let At { line, column, .. } = root.at;
    let place = Place {
        file: path.clone(),
        line,
        column,
    };
    case.map(|case| Test { place, case })
}

fn malformed(code: Code, message: String, span: Span) -> Note {
    Note {
        code,
        severity: Severity::Error,
        origin: None,
        span: Some(span),
        message,
        suggestion: None,
        in_force: "no test of this document runs".to_string(),
    }
}

/// `name`, or `namespace/name`.
fn named(text: &str) -> Option<(Option<Namespace>, Name)> {
    match text.split_once('/') {
        Some((namespace, name)) => {
            Some((Some(Namespace::new(namespace).ok()?), Name::new(name).ok()?))
        }
        None => Some((None, Name::new(text).ok()?)),
    }
}

fn expects_something(expect: &Expect, reader: &mut Reader<'_>) {
    let nothing = Expect {
        verdict: None,
        code: None,
        status: None,
        route: None,
        rule: None,
        backends: None,
        redirect: None,
        request: None,
        policy: None,
        audited: None,
        security: None,
    };
    if *expect == nothing {
        let message = format!(
            "one of {} is expected",
            Expect::SCHEMA
                .fields
                .iter()
                .map(|field| field.key)
                .collect::<Vec<_>>()
                .join(", ")
        );
        reader.contradiction(Code::C140, "", message);
    }
}
