//! Which requests a rule takes: its matches, with defaults and doubled names settled.

use alloc::{format, string::String, string::ToString, sync::Arc, vec::Vec};

use leno_model::view::{HeaderMatch, HostMatch, HttpMatch, PathMatch, TextMatch};
use leno_model::{Code, Notes, Pattern};
use leno_resources::gateway::{
    GrpcMethodMatch, GrpcRouteMatch, HttpHeaderMatch, HttpRouteMatch, PathMatchType, TextMatchType,
};
use leno_resources::{List, Outline, Part};

use crate::finding::{self, Complete};
use crate::precedence::Rank;
use crate::route::{Kind, Route, Spec};

/// One match of a rule.
pub(crate) struct Match {
    /// Its index in the rule; for a TLSRoute, that of the host in the route.
    pub(crate) index: usize,
    pub(crate) host: HostMatch,
    /// What it asks for; of a flawed one, what can be read of it.
    pub(crate) matches: HttpMatch,
    pub(crate) rank: Rank,
    pub(crate) is_flawed: bool,
}

/// The matches of the rule at this place in the route. One of which nothing can be read is left out.
pub(crate) fn matches(route: Route<'_>, rule: usize, notes: &mut Notes) -> Vec<Match> {
    let pointer = format!("/spec/rules/{rule}");
    match route.spec {
        Spec::Http(spec) => {
            let written = spec.and_then(|spec| spec.rules.iter().nth(rule)?.partly());
            let written = written.map(|rule| &rule.matches);
            let read = |reader: &mut Reader<'_>, part: &Part<HttpRouteMatch>| reader.http(part);
            each(route, &pointer, written, &read, notes)
        }
        Spec::Grpc(spec) => {
            let written = spec.and_then(|spec| spec.rules.iter().nth(rule)?.partly());
            let written = written.map(|rule| &rule.matches);
            let read = |reader: &mut Reader<'_>, part: &Part<GrpcRouteMatch>| reader.grpc(part);
            each(route, &pointer, written, &read, notes)
        }
        Spec::Tls(spec) => {
            let names = spec.into_iter().flat_map(|spec| spec.hostnames.iter());
            let named = names.enumerate().filter_map(|(index, name)| {
                let host = host(name.sound()?);
                Some((index, host))
            });
            named.map(|(index, host)| stream(index, host)).collect()
        }
        Spec::Tcp(_) => [stream(0, HostMatch::Any)].into(),
    }
}

/// The matches of requests that a rule writes; all requests where it writes none.
fn each<T>(
    route: Route<'_>,
    pointer: &str,
    written: Option<&List<T>>,
    read: &dyn Fn(&mut Reader<'_>, &Part<T>) -> Option<Requests>,
    notes: &mut Notes,
) -> Vec<Match> {
    let Some(written) = written else {
        return Vec::new();
    };
    let one = |index, requests| {
        let Requests {
            matches,
            rank,
            is_flawed,
        } = requests;
        Match {
            index,
            host: HostMatch::Any,
            matches,
            rank,
            is_flawed,
        }
    };
    //= HTTPRouteRule matches: "If no matches are specified, the default is a prefix path match on "/""
    //= GRPCRouteRule matches: "If no matches are specified, the implementation MUST match every gRPC
    //= request."
    if written.is_empty() {
        let (matches, rank) = match route.kind() {
            Kind::Grpc => (every_call(), Rank::of_call(None, &every_call())),
            Kind::Http | Kind::Tls | Kind::Tcp => (everything(), Rank::of(&everything())),
        };
        let is_flawed = false;
        return [one(
            0,
            Requests {
                matches,
                rank,
                is_flawed,
            },
        )]
        .into();
    }
    let mut matches = Vec::new();
    for (index, part) in written.iter().enumerate() {
        let mut reader = Reader {
            route: route.object,
            pointer: format!("{pointer}/matches/{index}"),
            notes,
        };
        matches.extend(read(&mut reader, part).map(|read| one(index, read)));
    }
    matches
}

/// What one match of requests says.
struct Requests {
    matches: HttpMatch,
    rank: Rank,
    is_flawed: bool,
}

/// All streams that ask for a server.
fn stream(index: usize, host: HostMatch) -> Match {
    Match {
        index,
        rank: Rank::of_host(&host),
        host,
        matches: everything(),
        is_flawed: false,
    }
}

//= TLSRouteSpec hostnames: "A hostname may be prefixed with a wildcard label (`*.`)."
fn host(name: &str) -> HostMatch {
    match name.strip_prefix('*') {
        Some(suffix) => HostMatch::Suffix(suffix.into()),
        None => HostMatch::Exact(name.into()),
    }
}

impl Match {
    /// Whether it takes everything that a route of its kind could take.
    pub(crate) fn is_everything(&self) -> bool {
        self.host == HostMatch::Any
            && (self.matches == everything() || self.matches == every_call())
    }
}

fn everything() -> HttpMatch {
    HttpMatch {
        path: PathMatch::Prefix("".into()),
        method: None,
        headers: Vec::new(),
        query: Vec::new(),
    }
}

/// Every request that is a call of gRPC: `POST /service/method`.
fn every_call() -> HttpMatch {
    HttpMatch {
        method: Some("POST".into()),
        ..everything()
    }
}

struct Reader<'a> {
    route: Outline<'a>,
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
    fn http(&mut self, part: &Part<HttpRouteMatch>) -> Option<Requests> {
        let written = part.partly()?;
        let path = self.path(written)?;
        let mut is_flawed = part.is_flawed();
        let headers = self.headers(&written.headers, &mut is_flawed);
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
        let rank = Rank::of(&matches);
        Some(Requests {
            matches,
            rank,
            is_flawed,
        })
    }

    fn grpc(&mut self, part: &Part<GrpcRouteMatch>) -> Option<Requests> {
        let written = part.partly()?;
        let mut is_flawed = part.is_flawed();
        let method = written.method.as_ref();
        let path = match method {
            Some(method) => self.called(method)?,
            None => everything().path,
        };
        let matches = HttpMatch {
            path,
            headers: self.headers(&written.headers, &mut is_flawed),
            ..every_call()
        };
        let rank = Rank::of_call(method, &matches);
        Some(Requests {
            matches,
            rank,
            is_flawed,
        })
    }

    /// The paths of the calls that are meant.
    fn called(&mut self, written: &GrpcMethodMatch) -> Option<PathMatch> {
        //= GRPCMethodMatch service: "If left empty or omitted, will match any service."
        let said = |text: &'_ Option<Arc<str>>| text.clone().filter(|text| !text.is_empty());
        let (service, method) = (said(&written.service), said(&written.method));
        let pattern = match (written.type_, &service, &method) {
            (TextMatchType::Exact, Some(service), Some(method)) => {
                return Some(PathMatch::Exact(format!("/{service}/{method}").into()));
            }
            (TextMatchType::Exact, Some(service), None) => {
                return Some(PathMatch::Prefix(format!("/{service}").into()));
            }
            (TextMatchType::Exact, None, Some(method)) => format!("/[^/]+/{method}"),
            (TextMatchType::RegularExpression, _, _) => {
                let part = |text: &Option<Arc<str>>| match text {
                    Some(text) => format!("(?:{text})"),
                    None => "[^/]+".to_string(),
                };
                for (field, text) in [("service", &service), ("method", &method)] {
                    if let Some(text) = text {
                        self.pattern(&format!("/method/{field}"), text, NOTHING)?;
                    }
                }
                format!("/{}/{}", part(&service), part(&method))
            }
            (TextMatchType::Exact, None, None) => return None,
        };
        let pattern = self.pattern("/method", &pattern, NOTHING);
        Some(PathMatch::Regex(pattern?))
    }

    fn headers(
        &mut self,
        written: &List<HttpHeaderMatch>,
        is_flawed: &mut bool,
    ) -> Vec<HeaderMatch> {
        let headers = written.iter().map(|part| {
            part.sound().map(|one| Named {
                type_: one.type_,
                name: &one.name,
                value: &one.value,
            })
        });
        let headers = headers.collect::<Vec<_>>();
        //= HTTPHeaderMatch name: "Name matching MUST be case-insensitive."
        self.named("headers", &headers, str::to_ascii_lowercase, is_flawed)
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
                let pattern = self.pattern("/path/value", value, NOTHING);
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

const NOTHING: &str = "no request takes this match";

const REFUSED: &str = "the requests that the readable parts of this match take answer 500";
