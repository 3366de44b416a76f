//! What a rule changes on the way: its filters, or why they cannot be carried out.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use core::num::NonZeroU32;

use leno_model::view::{Cors, HeaderChanges, Mirror, PathRewrite, Redirect, Rewrite};
use leno_model::{Code, Notes, Origin};
use leno_resources::List;
use leno_resources::gateway::{
    HttpHeader, HttpHeaderFilter, HttpPathModifier, HttpRequestMirrorFilter, PathModifierType,
};

use crate::backends::{self, Referrer, Referring};
use crate::cors;
use crate::finding::{self, Complete};
use crate::parents::Role;
use crate::route::{Filter, Route};
use crate::rules::Surroundings;

/// What the filters of a rule, or of a backend reference, do.
#[derive(Default)]
pub(crate) struct Filters {
    pub(crate) request_headers: HeaderChanges,
    pub(crate) response_headers: HeaderChanges,
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) redirect: Option<Redirect>,
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) cors: Option<Cors>,
    /// Why not all of it can be done. Then nothing is forwarded.
    pub(crate) refused: Option<(Code, Origin)>,
}

/// What filters belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Rule,
    Backend,
}

/// Where filters stand.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) route: Route<'a>,
    /// The rule, or the backend reference.
    pub(crate) pointer: &'a str,
    pub(crate) level: Level,
    pub(crate) role: Role,
    pub(crate) surroundings: Surroundings<'a>,
}

/// Reads the filters that stand there. None is ever skipped: a rule that cannot be carried out as it
/// is written is refused.
//= HTTPRouteFilter type: "If a reference to a custom filter type cannot be resolved, the filter MUST
//= NOT be skipped. Instead, requests that would have been processed by that filter MUST receive a
//= HTTP error response."
pub(crate) fn filters(
    place: Place<'_>,
    written: &[Option<Filter<'_>>],
    notes: &mut Notes,
) -> Filters {
    let mut filters = Filters::default();
    for (index, filter) in written.iter().enumerate() {
        let mut reader = Reader {
            place,
            pointer: format!("{}/filters/{index}", place.pointer),
            notes,
        };
        match filter {
            Some(filter) => reader.add(*filter, &mut filters),
            None => reader.refuse("", Code::C007, &mut filters),
        }
    }
    filters
}

struct Reader<'a, 'n> {
    place: Place<'a>,
    pointer: String,
    notes: &'n mut Notes,
}

impl Reader<'_, '_> {
    fn add(&mut self, filter: Filter<'_>, filters: &mut Filters) {
        match (filter, self.place.level) {
            (Filter::RequestHeaders(changes), _) => {
                let changes = self.header_changes("requestHeaderModifier", changes, filters);
                filters.request_headers = changes;
            }
            (Filter::ResponseHeaders(changes), _) => {
                let changes = self.header_changes("responseHeaderModifier", changes, filters);
                filters.response_headers = changes;
            }
            (Filter::Redirect(written), Level::Rule) => {
                filters.redirect = Some(Redirect {
                    scheme: written.scheme.map(|scheme| scheme.as_str().into()),
                    host: written.hostname.clone(),
                    port: written.port,
                    path: self.path("requestRedirect", written.path.as_ref(), filters),
                    status: written.status_code,
                });
            }
            (Filter::Rewrite(written), _) => {
                filters.rewrite = Some(Rewrite {
                    host: written.hostname.clone(),
                    path: self.path("urlRewrite", written.path.as_ref(), filters),
                });
            }
            (Filter::Mirror(written), _) => filters.mirrors.extend(self.mirror(written)),
            (Filter::Cors(written), Level::Rule) => {
                let pointer = format!("{}/cors", self.pointer);
                filters.cors = cors::cors(self.place.route.object, &pointer, written, self.notes);
                if filters.cors.is_none() {
                    self.refuse("/cors", Code::C007, filters);
                }
            }
            (Filter::Cors(_), Level::Backend) => {
                let message = "a browser asks before a backend is chosen, so CORS is not enforced \
                               for one of them";
                let suggestion = Some("let the filter stand at the rule".to_string());
                let note = self.finding("/type", Code::C114, message.to_string());
                self.notes.push(note.suggest(suggestion));
                self.refuse("", Code::C114, filters);
            }
            (Filter::Extension, _) => {
                let message = "no filter of another API is known".to_string();
                self.note("/type", Code::C114, message);
                self.refuse("", Code::C114, filters);
            }
            (Filter::Redirect(_), Level::Backend) => {
                let message = "who is sent elsewhere reaches no backend, so RequestRedirect is not \
                               enforced for one of them";
                let suggestion = Some("let the filter stand at a rule".to_string());
                let note = self.finding("/type", Code::C114, message.to_string());
                self.notes.push(note.suggest(suggestion));
                self.refuse("", Code::C114, filters);
            }
        }
    }

    /// Who gets copies; nobody if the reference is not valid.
    //= HTTPRequestMirrorFilter backendRef: "If the referent cannot be found, this BackendRef is invalid
    //= and must be dropped from the Gateway."
    fn mirror(&mut self, written: &HttpRequestMirrorFilter) -> Option<Mirror> {
        let Place {
            route,
            role,
            surroundings: Surroundings { routed, grants },
            ..
        } = self.place;
        let referring = Referring {
            by: Referrer::Route(route.kind()),
            own: &finding::namespace(route.object),
            role,
        };
        let found = backends::port((&written.backend_ref).into(), referring, routed, grants);
        let to = match found {
            Ok(to) => to,
            Err(flaw) => {
                let pointer = format!("{}/requestMirror/backendRef", self.pointer);
                let in_force = "no copies are made; the requests themselves go on".to_string();
                self.notes.push(flaw.note(route.object, &pointer, in_force));
                return None;
            }
        };
        let (share, of) = match (written.percent, &written.fraction) {
            (Some(percent), _) => (percent.into(), 100),
            (None, Some(fraction)) => (fraction.numerator, fraction.denominator),
            //= HTTPRequestMirrorFilter percent: "If neither field is specified, 100% of requests will
            //= be mirrored."
            (None, None) => (1, 1),
        };
        Some(Mirror {
            to,
            share,
            of: NonZeroU32::new(of).unwrap_or(NonZeroU32::MIN),
            origin: route.object.origin(&self.pointer),
        })
    }

    fn path(
        &mut self,
        field: &str,
        written: Option<&HttpPathModifier>,
        filters: &mut Filters,
    ) -> Option<PathRewrite> {
        let written = written?;
        let (key, value) = match written.type_ {
            PathModifierType::ReplaceFullPath => ("replaceFullPath", &written.replace_full_path),
            PathModifierType::ReplacePrefixMatch => {
                ("replacePrefixMatch", &written.replace_prefix_match)
            }
        };
        let value = value.clone()?;
        let is_prefix = written.type_ == PathModifierType::ReplacePrefixMatch;
        let is_nothing = is_prefix && value.is_empty();
        if !is_nothing && !is_path(&value) {
            let pointer = format!("/{field}/path/{key}");
            let message = format!("{value:?} is not a path that everybody reads alike");
            self.note(&pointer, Code::C007, message);
            self.refuse(&pointer, Code::C007, filters);
        }
        Some(if is_prefix {
            PathRewrite::Prefix(value)
        } else {
            PathRewrite::Full(value)
        })
    }

    fn header_changes(
        &mut self,
        field: &str,
        written: &HttpHeaderFilter,
        filters: &mut Filters,
    ) -> HeaderChanges {
        let mut named = Vec::new();
        let set = self.headers(&format!("/{field}/set"), &written.set, &mut named, filters);
        let add = self.headers(&format!("/{field}/add"), &written.add, &mut named, filters);
        let mut remove = Vec::new();
        for (index, name) in written.remove.iter().enumerate() {
            let pointer = format!("/{field}/remove/{index}");
            let Some(name) = name.sound() else {
                self.refuse(&pointer, Code::C007, filters);
                continue;
            };
            let name = Arc::<str>::from(name.to_ascii_lowercase());
            if self.may_change(&pointer, &name, &named, filters) && !remove.contains(&name) {
                remove.push(name);
            }
        }
        HeaderChanges { set, add, remove }
    }

    /// Reads one list of headers. `named` are the names of the lists before it.
    fn headers(
        &mut self,
        pointer: &str,
        written: &List<HttpHeader>,
        named: &mut Vec<Arc<str>>,
        filters: &mut Filters,
    ) -> Vec<(Arc<str>, Arc<str>)> {
        let mut headers = Vec::new();
        let mut own = Vec::new();
        for (index, header) in written.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let Some(HttpHeader { name, value }) = header.sound() else {
                self.refuse(&pointer, Code::C007, filters);
                continue;
            };
            if !is_field_value(value) {
                let pointer = format!("{pointer}/value");
                let message = "a header's value has no control characters".to_string();
                self.note(&pointer, Code::C007, message);
                self.refuse(&pointer, Code::C007, filters);
                continue;
            }
            let lower = Arc::<str>::from(name.to_ascii_lowercase());
            //= HTTPHeader name: "If multiple entries specify equivalent header names, the first entry
            //= with an equivalent name MUST be considered for a match."
            if own.contains(&lower) {
                self.repeated(&format!("{pointer}/name"), &lower);
            } else if self.may_change(&format!("{pointer}/name"), &lower, named, filters) {
                own.push(lower);
                headers.push((name.clone(), value.clone()));
            }
        }
        named.extend(own);
        headers
    }

    /// Whether the header may be changed, and is not changed in another way already.
    fn may_change(
        &mut self,
        pointer: &str,
        name: &str,
        named: &[Arc<str>],
        filters: &mut Filters,
    ) -> bool {
        if FRAMING.contains(&name) {
            let message = format!("{name} belongs to the connection, a route cannot change it");
            self.note(pointer, Code::C007, message);
            self.refuse(pointer, Code::C007, filters);
            return false;
        }
        if name == "host" {
            let message = "a header filter cannot change host".to_string();
            let suggestion = Some("URLRewrite has a field hostname".to_string());
            let note = self
                .finding(pointer, Code::C007, message)
                .suggest(suggestion);
            self.notes.push(note);
            self.refuse(pointer, Code::C007, filters);
            return false;
        }
        //= HTTPHeaderFilter: "Filters specifying multiple actions of the same or different type for
        //= any one header name are invalid."
        if named.iter().any(|other| **other == *name) {
            let message = format!("{name} is changed in two ways");
            self.note(pointer, Code::C115, message);
            self.refuse(pointer, Code::C115, filters);
            return false;
        }
        true
    }

    fn refuse(&self, pointer: &str, code: Code, filters: &mut Filters) {
        let origin = || {
            self.place
                .route
                .object
                .origin(&format!("{}{pointer}", self.pointer))
        };
        filters.refused.get_or_insert_with(|| (code, origin()));
    }

    fn note(&mut self, pointer: &str, code: Code, message: String) {
        let note = self.finding(pointer, code, message);
        self.notes.push(note);
    }

    fn finding(&self, pointer: &str, code: Code, message: String) -> leno_model::Note {
        let pointer = format!("{}{pointer}", self.pointer);
        let Place { route, level, .. } = self.place;
        let kind = route.kind();
        let (one, fail, fails) = (kind.takes_one(), kind.fail(), kind.fails());
        finding::error(route.object, &pointer, code, message).in_force(match level {
            Level::Rule => format!("the {one}s that this rule matches {fail}"),
            Level::Backend => format!("this backend's share of the rule's {one}s {fails}"),
        })
    }

    fn repeated(&mut self, pointer: &str, name: &str) {
        let pointer = format!("{}{pointer}", self.pointer);
        let message = format!("{name} stands further up already");
        let note = finding::warning(self.place.route.object, &pointer, Code::C109, message);
        self.notes.push(note.in_force("the first of them"));
    }
}

/// The value of a header that may be sent: text that cannot end the line it stands in.
//= RFC 9110 section 5.5: "Field values containing CR, LF, or NUL characters are invalid and dangerous"
fn is_field_value(value: &str) -> bool {
    !value
        .bytes()
        .any(|byte| byte.is_ascii_control() && byte != b'\t')
}

/// A path that means the same to everybody who reads it.
fn is_path(text: &str) -> bool {
    const ALLOWED: &[u8] = b"-/._~!$&'()*+,:@=%";
    let lower = text.to_ascii_lowercase();
    let parts = || lower.split('/');
    text.starts_with('/')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || ALLOWED.contains(&byte))
        && !lower.contains("//")
        && !lower.contains("%2f")
        && parts().all(|part| part != "." && part != "..")
        && lower.split('%').skip(1).all(starts_with_two_hex_digits)
}

fn starts_with_two_hex_digits(text: &str) -> bool {
    text.len() >= 2 && text.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
}

/// Headers that say where a message ends and what becomes of its connection. Who could change them
/// could make two readers see two different requests.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
