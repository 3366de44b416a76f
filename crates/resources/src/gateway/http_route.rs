//! `HTTPRoute`: where HTTP requests to a Service go.
//!
//! Made by `cargo xtask generate` from Gateway API v1.6.3: not to be edited.

use alloc::sync::Arc;
use core::time::Duration;

use leno_model::{Name, Namespace};

use crate::decode::{choice, object};
use crate::form;
use crate::gateway::rules;
use crate::part::{List, Part};

object! {
    /// Where HTTP requests go.
    pub struct HttpRouteSpec checked by rules::http_route_spec {
        /// What the route is attached to. In a mesh, the Services whose callers it steers.
        pub parent_refs: List<ParentReference> = "parentRefs" [items(0, 32)];
        /// The hosts whose requests it takes, by the `Host` header; `*.` in front means every name below. Without it, all.
        pub hostnames: List<Arc<str>> = "hostnames" [items(0, 16), length(1, 253), form(form::hostname)];
        /// What happens to the requests. Of several rules that match, the more exact one takes the request.
        pub rules: List<HttpRouteRule> = "rules" [items(1, 16)]
            or [Part::whole(HttpRouteRule { backend_refs: List::default(), filters: List::default(), matches: [Part::whole(HttpRouteMatch { headers: List::default(), method: None, path: HttpPathMatch { type_: PathMatchType::PathPrefix, value: "/".into() }, query_params: List::default() })].into_iter().collect(), name: None, timeouts: None, retry: None })].into_iter().collect(), as "[{matches: [{path: {type: PathPrefix, value: /}}]}]";
    }
}

object! {
    /// Something that a route is attached to.
    pub struct ParentReference {
        /// The API group of its kind; empty for a Service.
        pub group: Arc<str> = "group" [length(0, 253), form(form::group)]
            or "gateway.networking.k8s.io".into(), as "gateway.networking.k8s.io";
        /// Its kind.
        pub kind: Arc<str> = "kind" [length(1, 63), form(form::kind)]
            or "Gateway".into(), as "Gateway";
        /// Its namespace; without it, the route's own.
        pub namespace: Option<Namespace> = "namespace";
        /// Its name.
        pub name: Name = "name";
        /// One named part of it, such as a listener. A Service has none.
        pub section_name: Option<Arc<str>> = "sectionName" [length(1, 253), form(form::subdomain)];
        /// The one of its ports that is meant; without it, all of them.
        pub port: Option<u16> = "port" [range(1, 65535)];
    }
}

object! {
    /// Some of the route's requests, and what happens to them.
    pub struct HttpRouteRule checked by rules::http_route_rule {
        /// What the rule is called, once in the route.
        pub name: Option<Arc<str>> = "name" [length(1, 253), form(form::subdomain)];
        /// Which requests it takes. One of these must match.
        pub matches: List<HttpRouteMatch> = "matches" [items(0, 64)]
            or [Part::whole(HttpRouteMatch { headers: List::default(), method: None, path: HttpPathMatch { type_: PathMatchType::PathPrefix, value: "/".into() }, query_params: List::default() })].into_iter().collect(), as "[{path: {type: PathPrefix, value: /}}]";
        /// What is changed on the way. Each kind of filter stands at most once.
        pub filters: List<HttpRouteFilter> = "filters" [items(0, 16)];
        /// Who gets the requests, by weight. Without any, the answer is 500, unless a filter redirects.
        pub backend_refs: List<HttpBackendRef> = "backendRefs" [items(0, 16)];
        /// How long things may take.
        pub timeouts: Option<HttpRouteTimeouts> = "timeouts";
        /// What is tried again.
        pub retry: Option<HttpRouteRetry> = "retry";
    }
}

object! {
    /// Which requests; all that is said must hold.
    pub struct HttpRouteMatch {
        /// What their path must be.
        pub path: HttpPathMatch = "path"
            or HttpPathMatch { type_: PathMatchType::PathPrefix, value: "/".into() }, as "{type: PathPrefix, value: /}";
        /// What their method must be.
        pub method: Option<HttpMethod> = "method";
        /// What their headers must be, each of them.
        pub headers: List<HttpHeaderMatch> = "headers" [items(0, 16), unique("name")];
        /// What their query parameters must be, each of them.
        pub query_params: List<HttpQueryParamMatch> = "queryParams" [items(0, 16), unique("name")];
    }
}

object! {
    /// What a path must be.
    pub struct HttpPathMatch checked by rules::http_path_match {
        /// How it is compared.
        pub type_: PathMatchType = "type"
            or PathMatchType::PathPrefix, as "PathPrefix";
        /// What it is compared with.
        pub value: Arc<str> = "value" [length(0, 1024)]
            or "/".into(), as "/";
    }
}

choice! {
    /// How a path is compared.
    pub enum PathMatchType {
        /// It is the value.
        Exact = "Exact",
        /// It is the value or below it, by whole segments.
        PathPrefix = "PathPrefix",
        /// The value, a regular expression, matches all of it.
        RegularExpression = "RegularExpression",
    }
}

choice! {
    /// The method of a request (RFC 9110 section 9).
    pub enum HttpMethod {
        /// Asks for what is there.
        Get = "GET",
        /// Asks for the head of what is there.
        Head = "HEAD",
        /// Gives something to be processed.
        Post = "POST",
        /// Puts something in the place of what is there.
        Put = "PUT",
        /// Takes away what is there.
        Delete = "DELETE",
        /// Asks for a tunnel.
        Connect = "CONNECT",
        /// Asks what can be done.
        Options = "OPTIONS",
        /// Asks to have the request back.
        Trace = "TRACE",
        /// Changes a part of what is there.
        Patch = "PATCH",
    }
}

object! {
    /// What a header must be.
    pub struct HttpHeaderMatch {
        /// How its value is compared.
        pub type_: TextMatchType = "type"
            or TextMatchType::Exact, as "Exact";
        /// Its name, in any case.
        pub name: Arc<str> = "name" [length(1, 256), form(form::token)];
        /// What its value is compared with.
        pub value: Arc<str> = "value" [length(1, 4096)];
    }
}

choice! {
    /// How a header or a query parameter is compared.
    pub enum TextMatchType {
        /// It is the value.
        Exact = "Exact",
        /// The value, a regular expression, matches all of it.
        RegularExpression = "RegularExpression",
    }
}

object! {
    /// What a query parameter must be.
    pub struct HttpQueryParamMatch {
        /// How its value is compared.
        pub type_: TextMatchType = "type"
            or TextMatchType::Exact, as "Exact";
        /// Its name, in exactly this spelling.
        pub name: Arc<str> = "name" [length(1, 256), form(form::token)];
        /// What its value is compared with.
        pub value: Arc<str> = "value" [length(1, 1024)];
    }
}

object! {
    /// Something that is changed on the way. The field that belongs to the type must be there, and no other.
    pub struct HttpRouteFilter checked by rules::http_route_filter {
        /// What kind of change it is.
        pub type_: HttpRouteFilterType = "type";
        /// Changes to the request's headers.
        pub request_header_modifier: Option<HttpHeaderFilter> = "requestHeaderModifier";
        /// Changes to the response's headers.
        pub response_header_modifier: Option<HttpHeaderFilter> = "responseHeaderModifier";
        /// Answers by sending the caller elsewhere.
        pub request_redirect: Option<HttpRequestRedirectFilter> = "requestRedirect";
        /// Changes to the request's host and path.
        pub url_rewrite: Option<HttpUrlRewriteFilter> = "urlRewrite";
        /// Sends a copy to somebody else.
        pub request_mirror: Option<HttpRequestMirrorFilter> = "requestMirror";
        /// Answers browsers that ask whether pages of other sites may call.
        pub cors: Option<HttpCorsFilter> = "cors";
        /// A filter of some other API.
        pub extension_ref: Option<LocalObjectReference> = "extensionRef";
    }
}

choice! {
    /// What kind of change a filter makes.
    pub enum HttpRouteFilterType {
        /// It changes the request's headers.
        RequestHeaderModifier = "RequestHeaderModifier",
        /// It changes the response's headers.
        ResponseHeaderModifier = "ResponseHeaderModifier",
        /// It sends the caller elsewhere.
        RequestRedirect = "RequestRedirect",
        /// It changes the request's host and path.
        UrlRewrite = "URLRewrite",
        /// It sends a copy to somebody else.
        RequestMirror = "RequestMirror",
        /// It answers browsers that ask whether pages of other sites may call.
        Cors = "CORS",
        /// It is a filter of some other API.
        ExtensionRef = "ExtensionRef",
    }
}

object! {
    /// Changes to headers, made in this order.
    pub struct HttpHeaderFilter {
        /// Headers that are put in the place of what is there.
        pub set: List<HttpHeader> = "set" [items(0, 16), unique("name")];
        /// Headers that are added to what is there.
        pub add: List<HttpHeader> = "add" [items(0, 16), unique("name")];
        /// Headers that are taken away, by name, in any case.
        pub remove: List<Arc<str>> = "remove" [items(0, 16), unique("")];
    }
}

object! {
    /// A header.
    pub struct HttpHeader {
        /// Its name, in any case.
        pub name: Arc<str> = "name" [length(1, 256), form(form::token)];
        /// Its value.
        pub value: Arc<str> = "value" [length(1, 4096)];
    }
}

object! {
    /// Sends the caller elsewhere. What is not said stays as it was asked.
    pub struct HttpRequestRedirectFilter {
        /// The scheme.
        pub scheme: Option<RedirectScheme> = "scheme";
        /// The host.
        pub hostname: Option<Arc<str>> = "hostname" [length(1, 253), form(form::subdomain)];
        /// The path.
        pub path: Option<HttpPathModifier> = "path";
        /// The port. Without it, that of the scheme if one is said.
        pub port: Option<u16> = "port" [range(1, 65535)];
        /// The status of the answer.
        pub status_code: u16 = "statusCode" [one_of(&[301, 302, 303, 307, 308])]
            or 302, as "302";
    }
}

choice! {
    /// The scheme that a caller is sent to.
    pub enum RedirectScheme {
        /// Plain HTTP.
        Http = "http",
        /// HTTP over TLS.
        Https = "https",
    }
}

object! {
    /// What becomes of a path. The field that belongs to the type must be there, and no other.
    pub struct HttpPathModifier checked by rules::http_path_modifier {
        /// What is replaced.
        pub type_: PathModifierType = "type";
        /// What stands in the place of the whole path.
        pub replace_full_path: Option<Arc<str>> = "replaceFullPath" [length(0, 1024)];
        /// What stands in the place of the prefix that matched.
        pub replace_prefix_match: Option<Arc<str>> = "replacePrefixMatch" [length(0, 1024)];
    }
}

choice! {
    /// What is replaced in a path.
    pub enum PathModifierType {
        /// All of it.
        ReplaceFullPath = "ReplaceFullPath",
        /// The prefix that matched.
        ReplacePrefixMatch = "ReplacePrefixMatch",
    }
}

object! {
    /// Changes to the request's host and path before it is forwarded.
    pub struct HttpUrlRewriteFilter {
        /// The host that the backend sees.
        pub hostname: Option<Arc<str>> = "hostname" [length(1, 253), form(form::subdomain)];
        /// What becomes of the path.
        pub path: Option<HttpPathModifier> = "path";
    }
}

object! {
    /// Sends a copy of requests to somebody else, whose answers are dropped.
    pub struct HttpRequestMirrorFilter checked by rules::http_request_mirror_filter {
        /// Who gets the copies.
        pub backend_ref: BackendObjectReference = "backendRef";
        /// How many of a hundred requests are copied; without it and `fraction`, all.
        pub percent: Option<u8> = "percent" [range(0, 100)];
        /// Which fraction of the requests is copied.
        pub fraction: Option<Fraction> = "fraction";
    }
}

object! {
    /// Somebody who takes requests.
    pub struct BackendObjectReference checked by rules::backend_object_reference {
        /// The API group of its kind; empty for a Service.
        pub group: Arc<str> = "group" [length(0, 253), form(form::group)]
            or "".into(), as "\"\"";
        /// Its kind.
        pub kind: Arc<str> = "kind" [length(1, 63), form(form::kind)]
            or "Service".into(), as "Service";
        /// Its namespace; without it, the route's own.
        pub namespace: Option<Namespace> = "namespace";
        /// Its name.
        pub name: Name = "name";
        /// Its port; must be said for a Service.
        pub port: Option<u16> = "port" [range(1, 65535)];
    }
}

object! {
    /// A share of a whole.
    pub struct Fraction checked by rules::fraction {
        /// How many parts.
        pub numerator: u32 = "numerator" [range(0, 2147483647)];
        /// How many parts are the whole.
        pub denominator: u32 = "denominator" [range(1, 2147483647)]
            or 100, as "100";
    }
}

object! {
    /// What browsers are told when pages of other sites want to call.
    pub struct HttpCorsFilter checked by rules::http_cors_filter {
        /// The sites whose pages may call.
        pub allow_origins: List<Arc<str>> = "allowOrigins" [items(0, 64), length(1, 253), form(form::cors_origin), unique("")];
        /// Whether they may call in the name of the person at the browser.
        pub allow_credentials: Option<bool> = "allowCredentials";
        /// The methods with which they may call.
        pub allow_methods: List<CorsMethod> = "allowMethods" [items(0, 9), unique("")];
        /// The headers that they may send.
        pub allow_headers: List<Arc<str>> = "allowHeaders" [items(0, 64), length(1, 256), form(form::token), unique("")];
        /// The headers of answers that they may read.
        pub expose_headers: List<Arc<str>> = "exposeHeaders" [items(0, 64), length(1, 256), form(form::token), unique("")];
        /// How many seconds a browser may remember all this.
        pub max_age: u32 = "maxAge" [range(1, 2147483647)]
            or 5, as "5";
    }
}

choice! {
    /// A method with which pages of other sites may call.
    pub enum CorsMethod {
        /// GET.
        Get = "GET",
        /// HEAD.
        Head = "HEAD",
        /// POST.
        Post = "POST",
        /// PUT.
        Put = "PUT",
        /// DELETE.
        Delete = "DELETE",
        /// CONNECT.
        Connect = "CONNECT",
        /// OPTIONS.
        Options = "OPTIONS",
        /// TRACE.
        Trace = "TRACE",
        /// PATCH.
        Patch = "PATCH",
        /// Every method.
        Any = "*",
    }
}

object! {
    /// An object in the route's own namespace.
    pub struct LocalObjectReference {
        /// The API group of its kind.
        pub group: Arc<str> = "group" [length(0, 253), form(form::group)];
        /// Its kind.
        pub kind: Arc<str> = "kind" [length(1, 63), form(form::kind)];
        /// Its name.
        pub name: Name = "name";
    }
}

object! {
    /// Somebody who gets a share of the rule's requests.
    pub struct HttpBackendRef checked by rules::http_backend_ref {
        /// The API group of its kind; empty for a Service.
        pub group: Arc<str> = "group" [length(0, 253), form(form::group)]
            or "".into(), as "\"\"";
        /// Its kind.
        pub kind: Arc<str> = "kind" [length(1, 63), form(form::kind)]
            or "Service".into(), as "Service";
        /// Its namespace; without it, the route's own.
        pub namespace: Option<Namespace> = "namespace";
        /// Its name.
        pub name: Name = "name";
        /// Its port; must be said for a Service.
        pub port: Option<u16> = "port" [range(1, 65535)];
        /// Its share, in parts of the sum of all weights of the rule.
        pub weight: u32 = "weight" [range(0, 1000000)]
            or 1, as "1";
        /// What is changed on the way to this backend only.
        pub filters: List<HttpRouteFilter> = "filters" [items(0, 16)];
    }
}

object! {
    /// How long things may take; `0s` is no limit.
    pub struct HttpRouteTimeouts checked by rules::http_route_timeouts {
        /// A whole request with its answer, all tries included.
        pub request: Option<Duration> = "request";
        /// One try.
        pub backend_request: Option<Duration> = "backendRequest";
    }
}

object! {
    /// What is tried again.
    pub struct HttpRouteRetry {
        /// How many tries may follow the first one.
        pub attempts: Option<u32> = "attempts" [range(1, 2147483647)];
        /// Answers that are tried again.
        pub codes: List<u16> = "codes" [items(0, usize::MAX), range(400, 599), unique("")];
        /// How long to wait before a try, at least.
        pub backoff: Option<Duration> = "backoff";
    }
}
