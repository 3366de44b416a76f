//! A route of any kind, as it was written: what all kinds have in common, in one form.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use leno_model::view::Protocol;
use leno_resources::gateway::{
    GrpcRouteFilter, GrpcRouteSpec, HttpCorsFilter, HttpHeaderFilter, HttpRequestMirrorFilter,
    HttpRequestRedirectFilter, HttpRouteFilter, HttpRouteRetry, HttpRouteSpec, HttpRouteTimeouts,
    HttpUrlRewriteFilter, ParentReference, StreamRouteRule, TcpRouteSpec, TlsRouteSpec,
};
use leno_resources::{List, Object, Outline, Part, Resources};

use crate::backends::Reference;

/// The kinds of routes. Of several kinds that are attached to one port for the same callers, the first
/// in this order is used.
//= GEP-1294: "Route type specificity is defined in the following order (first one wins): 1. GRPCRoute
//= 2. HTTPRoute 3. TLSRoute 4. TCPRoute"
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Grpc,
    Http,
    Tls,
    Tcp,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "GRPCRoute",
            Self::Http => "HTTPRoute",
            Self::Tls => "TLSRoute",
            Self::Tcp => "TCPRoute",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let kinds = [Self::Grpc, Self::Http, Self::Tls, Self::Tcp];
        kinds.into_iter().find(|kind| kind.name() == name)
    }

    /// What is spoken where it is attached, if nobody says more.
    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Grpc => Protocol::Grpc,
            Self::Http => Protocol::Http,
            Self::Tls => Protocol::Tls,
            Self::Tcp => Protocol::Tcp,
        }
    }

    /// Whether it can steer what is spoken on a port.
    pub(crate) fn steers(self, protocol: Protocol) -> bool {
        match self {
            Self::Grpc => match protocol {
                Protocol::Http | Protocol::Http2 | Protocol::Grpc => true,
                Protocol::Http1 | Protocol::Tls | Protocol::Tcp | Protocol::Detect => false,
            },
            Self::Http => protocol.is_http(),
            Self::Tls => protocol == Protocol::Tls,
            Self::Tcp => match protocol {
                Protocol::Tls | Protocol::Tcp => true,
                Protocol::Http
                | Protocol::Http1
                | Protocol::Http2
                | Protocol::Grpc
                | Protocol::Detect => false,
            },
        }
    }

    /// Whether a backend that speaks this can take what it steers. Bytes may be anything.
    pub(crate) fn reaches(self, protocol: Protocol) -> bool {
        match self {
            Self::Grpc | Self::Http => self.steers(protocol),
            Self::Tls => !protocol.is_http(),
            Self::Tcp => true,
        }
    }

    /// What it takes, as a reader calls several of them.
    pub(crate) fn takes(self) -> &'static str {
        match self {
            Self::Grpc | Self::Http => "calls",
            Self::Tls | Self::Tcp => "connections",
        }
    }

    /// What it takes, one of them.
    pub(crate) fn takes_one(self) -> &'static str {
        match self {
            Self::Grpc => "call",
            Self::Http => "request",
            Self::Tls | Self::Tcp => "connection",
        }
    }

    /// What happens to several of them that lead nowhere.
    pub(crate) fn fail(self) -> &'static str {
        match self {
            //= GRPCRouteRule backendRefs: "*all* traffic which matches this rule MUST receive an
            //= `UNAVAILABLE` status."
            Self::Grpc => "end with UNAVAILABLE",
            //= HTTPRouteRule backendRefs: "500 status codes MUST be returned"
            Self::Http => "answer 500",
            //= TCPRouteRule backendRefs: "the underlying implementation MUST actively reject
            //= connection attempts to this backend."
            Self::Tls | Self::Tcp => "are refused",
        }
    }

    /// The same of a share.
    pub(crate) fn fails(self) -> &'static str {
        match self {
            Self::Grpc => "ends with UNAVAILABLE",
            Self::Http => "answers 500",
            Self::Tls | Self::Tcp => "is refused",
        }
    }
}

/// `an HTTPRoute`
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let article = match self {
            Self::Http => "an",
            Self::Grpc | Self::Tls | Self::Tcp => "a",
        };
        write!(f, "{article} {}", self.name())
    }
}

/// A route.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    pub(crate) object: Outline<'a>,
    pub(crate) spec: Spec<'a>,
    /// Whether something beside its items was not understood.
    pub(crate) is_flawed: bool,
}

/// What was understood of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spec<'a> {
    Grpc(Option<&'a GrpcRouteSpec>),
    Http(Option<&'a HttpRouteSpec>),
    Tls(Option<&'a TlsRouteSpec>),
    Tcp(Option<&'a TcpRouteSpec>),
}

/// Declares how an object becomes a route.
macro_rules! is_route {
    ($($spec:ident as $kind:ident;)+) => {$(
        impl<'a> From<&'a Object<$spec>> for Route<'a> {
            fn from(object: &'a Object<$spec>) -> Self {
                Self {
                    object: object.into(),
                    spec: Spec::$kind(object.spec.partly()),
                    is_flawed: object.spec.is_flawed(),
                }
            }
        }
    )+};
}

is_route! {
    GrpcRouteSpec as Grpc;
    HttpRouteSpec as Http;
    TlsRouteSpec as Tls;
    TcpRouteSpec as Tcp;
}

/// All routes, by kind, namespace and name.
pub fn routes(resources: &Resources) -> impl Iterator<Item = Route<'_>> {
    let grpc = resources.grpc_routes.iter().map(Route::from);
    let http = resources.http_routes.iter().map(Route::from);
    let tls = resources.tls_routes.iter().map(Route::from);
    let tcp = resources.tcp_routes.iter().map(Route::from);
    grpc.chain(http).chain(tls).chain(tcp)
}

impl<'a> Route<'a> {
    /// What it is called, and where its fields stand.
    pub fn outline(&self) -> Outline<'a> {
        self.object
    }

    /// How many parents it names.
    pub fn parent_count(&self) -> usize {
        self.parents().map_or(0, List::len)
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.spec {
            Spec::Grpc(_) => Kind::Grpc,
            Spec::Http(_) => Kind::Http,
            Spec::Tls(_) => Kind::Tls,
            Spec::Tcp(_) => Kind::Tcp,
        }
    }

    /// What it is attached to; nothing if nothing of it was understood.
    pub(crate) fn parents(&self) -> Option<&'a List<ParentReference>> {
        match self.spec {
            Spec::Grpc(spec) => spec.map(|spec| &spec.parent_refs),
            Spec::Http(spec) => spec.map(|spec| &spec.parent_refs),
            Spec::Tls(spec) => spec.map(|spec| &spec.parent_refs),
            Spec::Tcp(spec) => spec.map(|spec| &spec.parent_refs),
        }
    }

    /// Its rules; `None` in the place of one of which nothing was understood.
    pub(crate) fn rules(&self) -> Vec<Option<Rule<'a>>> {
        match self.spec {
            Spec::Grpc(spec) => all(spec.map(|spec| &spec.rules), |part| {
                let rule = part.partly()?;
                Some(Rule {
                    name: &rule.name,
                    is_flawed: part.is_flawed(),
                    filters: filters(&rule.filters),
                    backends: backends(&rule.backend_refs, |backend| {
                        (backend.weight, filters(&backend.filters))
                    }),
                    timeouts: None,
                    retry: None,
                })
            }),
            Spec::Http(spec) => all(spec.map(|spec| &spec.rules), |part| {
                let rule = part.partly()?;
                Some(Rule {
                    name: &rule.name,
                    is_flawed: part.is_flawed(),
                    filters: filters(&rule.filters),
                    backends: backends(&rule.backend_refs, |backend| {
                        (backend.weight, filters(&backend.filters))
                    }),
                    timeouts: rule.timeouts.as_ref(),
                    retry: rule.retry.as_ref(),
                })
            }),
            Spec::Tls(spec) => spec.map_or_else(Vec::new, |spec| stream_rules(&spec.rules)),
            Spec::Tcp(spec) => spec.map_or_else(Vec::new, |spec| stream_rules(&spec.rules)),
        }
    }
}

/// The one rule of a route that takes streams. It takes them, and refuses them, also if nothing of it
/// was understood: which ones it takes is not said there.
fn stream_rules(written: &List<StreamRouteRule>) -> Vec<Option<Rule<'_>>> {
    let unreadable = || Rule {
        name: &None,
        is_flawed: true,
        filters: Vec::new(),
        backends: Vec::new(),
        timeouts: None,
        retry: None,
    };
    let rule = written.iter().next().and_then(stream_rule);
    [Some(rule.unwrap_or_else(unreadable))].into()
}

fn stream_rule(part: &Part<StreamRouteRule>) -> Option<Rule<'_>> {
    let rule = part.partly()?;
    Some(Rule {
        name: &rule.name,
        is_flawed: part.is_flawed(),
        filters: Vec::new(),
        backends: backends(&rule.backend_refs, |backend| (backend.weight, Vec::new())),
        timeouts: None,
        retry: None,
    })
}

/// Each backend in its place: of one that was not understood the weight may be known.
fn backends<'a, T>(
    written: &'a List<T>,
    said: impl Fn(&'a T) -> (u32, Vec<Option<Filter<'a>>>),
) -> Vec<Backend<'a>>
where
    Reference<'a>: From<&'a T>,
{
    all(Some(written), |part| {
        let (weight, filters) = part.partly().map_or((1, Vec::new()), &said);
        let sound = part.sound();
        Backend {
            weight,
            reference: sound.map(Reference::from),
            filters: sound.map_or_else(Vec::new, |_| filters),
        }
    })
}

fn all<'a, T, U>(list: Option<&'a List<T>>, each: impl FnMut(&'a Part<T>) -> U) -> Vec<U> {
    list.into_iter().flatten().map(each).collect()
}

/// One rule of a route.
pub(crate) struct Rule<'a> {
    pub(crate) name: &'a Option<Arc<str>>,
    pub(crate) is_flawed: bool,
    pub(crate) filters: Vec<Option<Filter<'a>>>,
    pub(crate) backends: Vec<Backend<'a>>,
    pub(crate) timeouts: Option<&'a HttpRouteTimeouts>,
    pub(crate) retry: Option<&'a HttpRouteRetry>,
}

impl<'a> Rule<'a> {
    /// Everybody to whom it sends something, or copies.
    pub(crate) fn references(&self) -> impl Iterator<Item = Reference<'a>> {
        let of_backends = self.backends.iter().flat_map(|backend| &backend.filters);
        let mirrors = self.filters.iter().chain(of_backends).flatten();
        let mirrors = mirrors.filter_map(|filter| match filter {
            Filter::Mirror(mirror) => Some(Reference::from(&mirror.backend_ref)),
            Filter::RequestHeaders(_)
            | Filter::ResponseHeaders(_)
            | Filter::Redirect(_)
            | Filter::Rewrite(_)
            | Filter::Cors(_)
            | Filter::Extension => None,
        });
        let backends = self.backends.iter().filter_map(|backend| backend.reference);
        backends.chain(mirrors)
    }
}

/// Somebody who gets a share of what a rule takes.
pub(crate) struct Backend<'a> {
    pub(crate) weight: u32,
    /// Who; `None` if that was not understood.
    pub(crate) reference: Option<Reference<'a>>,
    pub(crate) filters: Vec<Option<Filter<'a>>>,
}

/// Something that is changed on the way.
#[derive(Clone, Copy)]
pub(crate) enum Filter<'a> {
    RequestHeaders(&'a HttpHeaderFilter),
    ResponseHeaders(&'a HttpHeaderFilter),
    Redirect(&'a HttpRequestRedirectFilter),
    Rewrite(&'a HttpUrlRewriteFilter),
    Mirror(&'a HttpRequestMirrorFilter),
    Cors(&'a HttpCorsFilter),
    /// A filter of some other API.
    Extension,
}

/// Each filter in its place; `None` for one that was not understood.
fn filters<T: IsFilter>(written: &List<T>) -> Vec<Option<Filter<'_>>> {
    all(Some(written), |part| part.sound().and_then(T::filter))
}

/// A filter as some kind of route spells it.
trait IsFilter {
    /// What it says; nothing if the field that its type needs is not there.
    fn filter(&self) -> Option<Filter<'_>>;
}

impl IsFilter for HttpRouteFilter {
    fn filter(&self) -> Option<Filter<'_>> {
        let HttpRouteFilter {
            type_: _,
            request_header_modifier,
            response_header_modifier,
            request_redirect,
            url_rewrite,
            request_mirror,
            cors,
            extension_ref,
        } = self;
        let request = request_header_modifier.as_ref().map(Filter::RequestHeaders);
        let response = response_header_modifier
            .as_ref()
            .map(Filter::ResponseHeaders);
        request
            .or(response)
            .or(request_redirect.as_ref().map(Filter::Redirect))
            .or(url_rewrite.as_ref().map(Filter::Rewrite))
            .or(request_mirror.as_ref().map(Filter::Mirror))
            .or(cors.as_ref().map(Filter::Cors))
            .or(extension_ref.as_ref().map(|_| Filter::Extension))
    }
}

impl IsFilter for GrpcRouteFilter {
    fn filter(&self) -> Option<Filter<'_>> {
        let GrpcRouteFilter {
            type_: _,
            request_header_modifier,
            response_header_modifier,
            request_mirror,
            extension_ref,
        } = self;
        let request = request_header_modifier.as_ref().map(Filter::RequestHeaders);
        let response = response_header_modifier
            .as_ref()
            .map(Filter::ResponseHeaders);
        request
            .or(response)
            .or(request_mirror.as_ref().map(Filter::Mirror))
            .or(extension_ref.as_ref().map(|_| Filter::Extension))
    }
}
