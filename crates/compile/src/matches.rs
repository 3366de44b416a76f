//! Which requests a rule takes: its matches, with defaults and doubled names settled.

use alloc::{format, string::String, string::ToString, sync::Arc, vec::Vec};

use leno_model::view::{HeaderMatch, HttpMatch, PathMatch, TextMatch};
use leno_model::{Code, Notes, Pattern};
use leno_resources::gateway::{HttpRouteMatch, HttpRouteSpec, PathMatchType, TextMatchType};
use leno_resources::{List, Object, Part};

use crate::finding::{self, Complete};

/// One match of a rule.
pub(crate) struct Match {
    /// Its index in the rule.
    pub(crate) index: usize,
    /// What it asks for; of a flawed one, what can be read of it.
    pub(crate) matches: HttpMatch,
    pub(crate) is_flawed: bool,
}

/// The matches of the rule at `pointer`. One of which nothing can be read is left out.
pub(crate) fn matches(
    route: &Object<HttpRouteSpec>,
    pointer: &str,
    written: &List<HttpRouteMatch>,
    notes: &mut Notes,
) -> Vec<Match> {
    //= HTTPRouteRule matches: "If no matches are specified, the default is a prefix path match on "/""
    if written.is_empty() {
        return [Match {
            index: 0,
            matches: everything(),
            is_flawed: false,
        }]
        .into();
    }
    let mut matches = Vec::new();
    for (index, part) in written.iter().enumerate() {
        let pointer = format!("{pointer}/matches/{index}");
        matches.extend(
            Reader {
                route,
                pointer,
                notes,
            }
            .one(index, part),
        );
    }
    matches
}

/// Whether a match takes every request.
pub(crate) fn is_everything(matches: &HttpMatch) -> bool {
    *matches == everything()
}

fn everything() -> HttpMatch {
    HttpMatch {
        path: PathMatch::Prefix("".into()),
        method: None,
        headers: Vec::new(),
        query: Vec::new(),
    }
}

struct Reader<'a> {
    route: &'a Object<HttpRouteSpec>,
    pointer: String,
    notes: &'a mut Notes,
}

/// A header or a query parameter of a match.
struct Named<'a> {
    type_: TextMatchType,
    name: &'a Arc<str>,
    value: &'a Arc<str>,
}

impl Reader<'_> {
    fn one(&mut self, index: usize, part: &Part<HttpRouteMatch>) -> Option<Match> {
        let written = part.partly()?;
        let path = self.path(written)?;
        let mut is_flawed = part.is_flawed();
        let headers = written.headers.iter().map(|part| {
            part.sound().map(|one| Named {
                type_: one.type_,
                name: &one.name,
                value: &one.value,
            })
        });
        let headers = headers.collect::<Vec<_>>();
        //= HTTPHeaderMatch name: "Name matching MUST be case-insensitive."
        let headers = self.named("headers", &headers, str::to_ascii_lowercase, &mut is_flawed);
        let query = written.query_params.iter().map(|part| {
            part.sound().map(|one| Named {
                type_: one.type_,
                name: &one.name,
                value: &one.value,
            })
        });
        let query = query.collect::<Vec<_>>();
        //= HTTPQueryParamMatch name: "This must be an exact string match."
        let query = self.named("queryParams", &query, str::to_string, &mut is_flawed);
        let matches = HttpMatch {
            path,
            method: written.method.map(|method| method.as_str().into()),
            headers,
            query,
        };
        Some(Match {
            index,
            matches,
            is_flawed,
        })
    }

    fn path(&mut self, written: &HttpRouteMatch) -> Option<PathMatch> {
        let value = &written.path.value;
        match written.path.type_ {
            PathMatchType::Exact => Some(PathMatch::Exact(value.clone())),
            //= PathMatchPathPrefix: "When specified, a trailing `/` is ignored."
            PathMatchType::PathPrefix => {
                let prefix = value.strip_suffix('/').unwrap_or(value);
                Some(PathMatch::Prefix(prefix.into()))
            }
            PathMatchType::RegularExpression => {
                let pattern = self.pattern("/path/value", value, "no request takes this match");
                Some(PathMatch::Regex(pattern?))
            }
        }
    }

    fn named(
        &mut self,
        field: &str,
        written: &[Option<Named<'_>>],
        spelling: impl Fn(&str) -> String,
        is_flawed: &mut bool,
    ) -> Vec<HeaderMatch> {
        let mut matches = Vec::<HeaderMatch>::new();
        for (index, one) in written.iter().enumerate() {
            let pointer = format!("/{field}/{index}");
            let Some(Named { type_, name, value }) = one else {
                *is_flawed = true;
                continue;
            };
            let name = spelling(name);
            //= HTTPHeaderMatch name: "If multiple entries specify equivalent header names, only the
            //= first entry with an equivalent name MUST be considered for a match."
            if matches.iter().any(|other| *other.name == *name) {
                self.repeated(&format!("{pointer}/name"), &name);
                continue;
            }
            let value = match type_ {
                TextMatchType::Exact => Some(TextMatch::Exact((*value).clone())),
                TextMatchType::RegularExpression => {
                    let pointer = format!("{pointer}/value");
                    self.pattern(&pointer, value, REFUSED).map(TextMatch::Regex)
                }
            };
            match value {
                Some(value) => matches.push(HeaderMatch {
                    name: name.into(),
                    value,
                }),
                None => *is_flawed = true,
            }
        }
        matches
    }

    fn pattern(&mut self, pointer: &str, text: &str, in_force: &str) -> Option<Pattern> {
        let read = Pattern::new(text);
        if let Err(bad) = &read {
            let pointer = format!("{}{pointer}", self.pointer);
            let note = finding::error(self.route, &pointer, Code::C007, bad.to_string());
            self.notes.push(note.in_force(in_force));
        }
        read.ok()
    }

    fn repeated(&mut self, pointer: &str, name: &str) {
        let pointer = format!("{}{pointer}", self.pointer);
        let message = format!("{name} stands further up already");
        let note = finding::warning(self.route, &pointer, Code::C109, message);
        self.notes.push(note.in_force("the first of them"));
    }
}

const REFUSED: &str = "the requests that the readable parts of this match take answer 500";
