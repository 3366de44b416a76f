//! The narrowest policy that lets in what was recorded: who called a service, and what for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use leno_model::flow::Kind;
use leno_model::{ServiceName, Shaped};

use crate::call::{Call, Seen};

/// What is suggested for one service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suggestion {
    /// Which service.
    pub service: ServiceName,
    /// Who may call, and what for; in order of their names.
    pub callers: BTreeMap<Arc<str>, Caller>,
    /// What is left out.
    pub left: Vec<Left>,
    /// How many calls were carried.
    pub calls: u64,
    /// How many of these the suggestion lets in.
    pub covered: u64,
}

/// What one caller may do.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Caller {
    /// How many calls of it were recorded that are let in.
    pub calls: u64,
    /// The paths of each method.
    pub requests: BTreeMap<Arc<str>, BTreeSet<Allowed>>,
    /// Whether it opens streams of bytes: these ask for nothing that could be narrowed.
    pub streams: bool,
}

/// A path that is allowed, or many.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Allowed {
    /// This one.
    Exact(String),
    /// Those that fit.
    Template(String),
}

/// Calls that a suggestion leaves out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// Who called.
    pub from: Arc<str>,
    /// From which address, of a caller that proved nothing.
    pub address: Option<IpAddr>,
    /// What it asked: `POST /refund/{id}`, `tcp`.
    pub asked: String,
    /// How many, and when.
    pub seen: Seen,
    /// Why.
    pub why: &'static str,
}

/// Suggests a policy for each service that was called, of which `is_wanted` says so. What was carried less
/// than `at_least` times is too rare to be trusted. What was refused is no reason to let it in.
pub fn suggest(
    recorded: &[(Kind, Seen)],
    at_least: u64,
    is_wanted: impl Fn(&ServiceName) -> bool,
) -> Vec<Suggestion> {
    let mut calls = BTreeMap::<(ServiceName, Call), Seen>::new();
    for (kind, seen) in recorded {
        let was_refused = kind.failure.as_ref().is_some_and(|why| why.code.is_some());
        let call = Call {
            route: None,
            ..Call::of(kind)
        };
        let Some(service) = call.service().filter(|_| !was_refused) else {
            continue;
        };
        if is_wanted(&service) {
            let known = calls.entry((service, call));
            known.and_modify(|known| known.add(seen)).or_insert(*seen);
        }
    }
    let mut suggestions = BTreeMap::<ServiceName, Suggestion>::new();
    for ((service, call), seen) in calls {
        let suggestion = suggestions.entry(service.clone());
        let suggestion = suggestion.or_insert_with(|| Suggestion {
            service,
            callers: BTreeMap::new(),
            left: Vec::new(),
            calls: 0,
            covered: 0,
        });
        suggestion.add(call, seen, at_least);
    }
    suggestions.into_values().collect()
}

impl Suggestion {
    fn add(&mut self, call: Call, seen: Seen, at_least: u64) {
        self.calls = self.calls.saturating_add(seen.count);
        let why = match &call.asked {
            _ if !call.from.contains('/') => {
                Some("its caller proves nothing that a rule could name")
            }
            _ if seen.count < at_least => Some("too rare to be trusted"),
            Some((method, shape)) if **shape == *Kind::OTHER || **method == *Kind::OTHER => {
                Some("what it asks was not told apart")
            }
            Some(_) | None => None,
        };
        if let Some(why) = why {
            self.left.push(Left {
                address: call.peer,
                asked: match &call.asked {
                    Some((_, shape)) if **shape == *Kind::OTHER => Kind::OTHER.to_owned(),
                    Some((method, shape)) => format!("{method} {shape}"),
                    None => "tcp".to_owned(),
                },
                from: call.from,
                seen,
                why,
            });
            return;
        }
        self.covered = self.covered.saturating_add(seen.count);
        let caller = self.callers.entry(call.from).or_default();
        caller.calls = caller.calls.saturating_add(seen.count);
        match call.asked {
            Some((method, shape)) => {
                caller
                    .requests
                    .entry(method)
                    .or_default()
                    .insert(allowed(&shape));
            }
            None => caller.streams = true,
        }
    }

    /// The name of the suggested policy: that of the service, and what it is about.
    pub fn name(&self) -> String {
        format!("{}-callers", self.service.name)
    }

    /// The policy, as a document that can be applied.
    pub fn yaml(&self) -> String {
        let ServiceName { namespace, name } = &self.service;
        let mut text = format!(
            "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\n\
             metadata: {{name: {}, namespace: {namespace}}}\nspec:\n  \
             targetRefs:\n  - {{kind: Service, name: {name}}}\n",
            self.name()
        );
        // Without a rule nobody would be refused.
        text.push_str(match self.callers.is_empty() {
            true => "  default: Deny\n",
            false => "  rules:\n",
        });
        for (identity, caller) in &self.callers {
            self.write_caller(&mut text, identity, caller)
                .expect("a text takes text");
        }
        text
    }

    fn write_caller(&self, text: &mut String, identity: &str, caller: &Caller) -> std::fmt::Result {
        let Caller {
            calls,
            requests,
            streams,
        } = caller;
        writeln!(
            text,
            "  # {calls} calls recorded\n  - callers: [{{identity: {identity}}}]"
        )?;
        if *streams || requests.is_empty() {
            return Ok(());
        }
        writeln!(text, "    requests:")?;
        for (method, paths) in requests {
            writeln!(text, "    - methods: [{method}]\n      paths:")?;
            for path in paths {
                let (kind, value) = match path {
                    Allowed::Exact(value) => ("Exact", value),
                    Allowed::Template(value) => ("Template", value),
                };
                writeln!(text, "      - {{type: {kind}, value: \"{value}\"}}")?;
            }
        }
        Ok(())
    }
}

/// The paths of a shape: what was folded in it may be anything.
fn allowed(shape: &str) -> Allowed {
    if let Some(path) = Shaped::new(shape).only() {
        return Allowed::Exact(path.to_owned());
    }
    let segments = shape.split('/').map(|segment| match segment {
        "..." => "**",
        "{id}" => "{id}",
        // A template knows no part of a segment, and no star as itself.
        segment if segment.contains(['{', '*']) => "*",
        segment => segment,
    });
    Allowed::Template(segments.collect::<Vec<_>>().join("/"))
}
