//! What Gateway API demands between fields: the validations of its CRDs, as functions.
//!
//! Each is called for a value in which nothing else was wrong. How many validations each stands
//! for is kept in the generator's table, so that a new release cannot add one unseen.

use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use leno_model::Code;

use super::{
    BackendObjectReference, BackendRef, CorsMethod, Fraction, GrpcBackendRef, GrpcMethodMatch,
    GrpcRouteFilter, GrpcRouteFilterType, GrpcRouteRule, GrpcRouteSpec, HttpBackendRef,
    HttpCorsFilter, HttpHeader, HttpHeaderFilter, HttpPathMatch, HttpPathModifier,
    HttpRequestMirrorFilter, HttpRouteFilter, HttpRouteFilterType, HttpRouteMatch, HttpRouteRule,
    HttpRouteSpec, HttpRouteTimeouts, ParentReference, PathMatchType, PathModifierType,
    TcpRouteSpec, TextMatchType, TlsRouteSpec,
};
use crate::decode::Reader;
use crate::form;
use crate::part::{List, Part};

/// The most matches that all rules of a route may have together.
const MOST_MATCHES: usize = 128;

pub(super) fn http_route_spec(spec: &HttpRouteSpec, reader: &mut Reader<'_>) {
    repeated_parents(&spec.parent_refs, reader);
    let rules = spec.rules.iter().filter_map(Part::partly);
    too_many_matches(rules.map(|rule| rule.matches.len()).sum(), reader);
}

pub(super) fn grpc_route_spec(spec: &GrpcRouteSpec, reader: &mut Reader<'_>) {
    repeated_parents(&spec.parent_refs, reader);
    let rules = spec.rules.iter().filter_map(Part::partly);
    too_many_matches(rules.map(|rule| rule.matches.len()).sum(), reader);
}

pub(super) fn tcp_route_spec(spec: &TcpRouteSpec, reader: &mut Reader<'_>) {
    repeated_parents(&spec.parent_refs, reader);
}

/// What host names must be is their form's.
pub(super) fn tls_route_spec(spec: &TlsRouteSpec, reader: &mut Reader<'_>) {
    repeated_parents(&spec.parent_refs, reader);
}

fn repeated_parents(parents: &List<ParentReference>, reader: &mut Reader<'_>) {
    let parents = || parents.iter().filter_map(Part::partly).enumerate();
    for (index, parent) in parents() {
        let same = |other: &ParentReference| {
            (&other.group, &other.kind, &other.namespace, &other.name)
                == (&parent.group, &parent.kind, &parent.namespace, &parent.name)
        };
        let section = (&parent.section_name, parent.port);
        let mut twins = parents()
            .filter(|(at, other)| *at != index && same(other))
            .peekable();
        let pointer = format!("/parentRefs/{index}");
        if twins.peek().is_some() && section == (&None, None) {
            let message = "several references to one parent: each must name a section or a port";
            reader.contradiction(Code::C007, &pointer, message.to_owned());
        } else if twins
            .any(|(at, other)| at < index && section == (&other.section_name, other.port))
        {
            reader.contradiction(
                Code::C007,
                &pointer,
                "this parent stands further up already".to_owned(),
            );
        }
    }
}

fn too_many_matches(matches: usize, reader: &mut Reader<'_>) {
    if matches > MOST_MATCHES {
        let message =
            format!("its rules have {matches} matches: at most {MOST_MATCHES} may stand here");
        reader.contradiction(Code::C007, "/rules", message);
    }
}

pub(super) fn http_route_rule(rule: &HttpRouteRule, reader: &mut Reader<'_>) {
    repeated_filters(&rule.filters, reader);
    let redirect = rule
        .filters
        .iter()
        .filter_map(Part::partly)
        .position(|filter| filter.request_redirect.is_some());
    if let Some(index) = redirect
        && !rule.backend_refs.is_empty()
    {
        let message = "a rule that redirects has no backends".to_owned();
        reader.contradiction(Code::C007, &format!("/filters/{index}"), message);
    }
    let mut matches = rule.matches.iter();
    let one_prefix =
        matches.next().and_then(Part::partly).is_some_and(by_prefix) && matches.next().is_none();
    if one_prefix {
        return;
    }
    replaces_prefix(&rule.filters, "/filters", reader);
    for (index, backend) in rule.backend_refs.iter().enumerate() {
        if let Some(backend) = backend.partly() {
            replaces_prefix(
                &backend.filters,
                &format!("/backendRefs/{index}/filters"),
                reader,
            );
        }
    }
}

fn by_prefix(one: &HttpRouteMatch) -> bool {
    one.path.type_ == PathMatchType::PathPrefix
}

/// Notes filters that replace a prefix where the rule does not match by exactly one.
fn replaces_prefix(filters: &List<HttpRouteFilter>, pointer: &str, reader: &mut Reader<'_>) {
    for (index, filter) in filters.iter().enumerate() {
        let Some(filter) = filter.partly() else {
            continue;
        };
        let redirect = filter
            .request_redirect
            .as_ref()
            .and_then(|redirect| redirect.path.as_ref());
        let rewrite = filter
            .url_rewrite
            .as_ref()
            .and_then(|rewrite| rewrite.path.as_ref());
        for (key, path) in [("requestRedirect", redirect), ("urlRewrite", rewrite)] {
            if path.is_some_and(|path| path.type_ == PathModifierType::ReplacePrefixMatch) {
                let message =
                    "replacePrefixMatch needs exactly one match, of type PathPrefix".to_owned();
                reader.contradiction(
                    Code::C007,
                    &format!("{pointer}/{index}/{key}/path"),
                    message,
                );
            }
        }
    }
}

/// Notes filters that may stand once and stand twice, and a redirect beside a rewrite.
fn repeated_filters(filters: &List<HttpRouteFilter>, reader: &mut Reader<'_>) {
    use HttpRouteFilterType as Type;
    let types = || {
        filters
            .iter()
            .filter_map(Part::partly)
            .map(|filter| filter.type_)
            .enumerate()
    };
    for (index, type_) in types() {
        let before = |wanted: Type| types().any(|(at, other)| at < index && other == wanted);
        let message = match type_ {
            Type::RequestHeaderModifier
            | Type::ResponseHeaderModifier
            | Type::RequestRedirect
            | Type::UrlRewrite
            | Type::Cors
                if before(type_) =>
            {
                format!(
                    "{} may stand once, and stands further up already",
                    type_.as_str()
                )
            }
            Type::RequestRedirect if before(Type::UrlRewrite) => {
                contradicts(type_, Type::UrlRewrite)
            }
            Type::UrlRewrite if before(Type::RequestRedirect) => {
                contradicts(type_, Type::RequestRedirect)
            }
            Type::RequestHeaderModifier
            | Type::ResponseHeaderModifier
            | Type::RequestRedirect
            | Type::UrlRewrite
            | Type::Cors
            | Type::RequestMirror
            | Type::ExtensionRef => continue,
        };
        reader.contradiction(Code::C115, &format!("/filters/{index}"), message);
    }
}

pub(super) fn grpc_route_rule(rule: &GrpcRouteRule, reader: &mut Reader<'_>) {
    repeated_grpc_filters(&rule.filters, reader);
}

pub(super) fn grpc_backend_ref(backend: &GrpcBackendRef, reader: &mut Reader<'_>) {
    needs_port(&backend.group, &backend.kind, backend.port, reader);
    repeated_grpc_filters(&backend.filters, reader);
}

/// Notes filters that may stand once and stand twice.
fn repeated_grpc_filters(filters: &List<GrpcRouteFilter>, reader: &mut Reader<'_>) {
    use GrpcRouteFilterType as Type;
    let mut told = Vec::new();
    for (index, filter) in filters.iter().enumerate() {
        let Some(type_) = filter.partly().map(|filter| filter.type_) else {
            continue;
        };
        let changes_headers = match type_ {
            Type::RequestHeaderModifier | Type::ResponseHeaderModifier => true,
            Type::RequestMirror | Type::ExtensionRef => false,
        };
        if changes_headers && told.contains(&type_) {
            let word = type_.as_str();
            let message = format!("{word} may stand once, and stands further up already");
            reader.contradiction(Code::C115, &format!("/filters/{index}"), message);
        }
        told.push(type_);
    }
}

pub(super) fn grpc_route_filter(filter: &GrpcRouteFilter, reader: &mut Reader<'_>) {
    use GrpcRouteFilterType as Type;
    let GrpcRouteFilter {
        type_,
        request_header_modifier,
        response_header_modifier,
        request_mirror,
        extension_ref,
    } = filter;
    let fields = [
        (
            Type::RequestHeaderModifier,
            "requestHeaderModifier",
            request_header_modifier.is_some(),
        ),
        (
            Type::ResponseHeaderModifier,
            "responseHeaderModifier",
            response_header_modifier.is_some(),
        ),
        (
            Type::RequestMirror,
            "requestMirror",
            request_mirror.is_some(),
        ),
        (Type::ExtensionRef, "extensionRef", extension_ref.is_some()),
    ];
    belongs(*type_, type_.as_str(), &fields, reader);
}

pub(super) fn grpc_method_match(one: &GrpcMethodMatch, reader: &mut Reader<'_>) {
    let said = |text: &Option<Arc<str>>| text.as_ref().is_some_and(|text| !text.is_empty());
    if !said(&one.service) && !said(&one.method) {
        let message = "one of service and method must be said".to_owned();
        reader.contradiction(Code::C005, "", message);
    }
    if one.type_ != TextMatchType::Exact {
        return;
    }
    let is_service = |text: &str| {
        text.strip_prefix('.')
            .unwrap_or(text)
            .split('.')
            .all(is_word)
    };
    for (key, text, is_good) in [
        (
            "service",
            &one.service,
            &is_service as &dyn Fn(&str) -> bool,
        ),
        ("method", &one.method, &is_word),
    ] {
        let text = text.as_deref().filter(|text| !text.is_empty());
        if text.is_some_and(|text| !is_good(text)) {
            let message = format!("a {key} of gRPC is named by letters, digits and _");
            reader.contradiction(Code::C007, &format!("/{key}"), message);
        }
    }
}

/// Whether the text is a name in the language of protocol buffers.
fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.starts_with(|first: char| first.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(is_part)
}

fn contradicts(one: HttpRouteFilterType, other: HttpRouteFilterType) -> String {
    format!("{} cannot stand beside {}", one.as_str(), other.as_str())
}

pub(super) fn http_path_match(path: &HttpPathMatch, reader: &mut Reader<'_>) {
    let value = &*path.value;
    let wrong = match path.type_ {
        PathMatchType::RegularExpression => return,
        PathMatchType::Exact | PathMatchType::PathPrefix if !value.starts_with('/') => {
            Some("it does not begin with /".to_owned())
        }
        PathMatchType::Exact | PathMatchType::PathPrefix => {
            ["//", "/./", "/../", "%2f", "%2F", "#"]
                .into_iter()
                .find(|part| value.contains(part))
                .or_else(|| ["/..", "/."].into_iter().find(|end| value.ends_with(end)))
                .map(|part| format!("{part} may not stand in it"))
        }
    };
    let wrong =
        wrong.or_else(|| (!is_path(value)).then(|| "it is not a path (RFC 3986)".to_owned()));
    if let Some(wrong) = wrong {
        reader.contradiction(Code::C007, "/value", wrong);
    }
}

/// Whether the text is made of segments (`pchar` of RFC 3986 section 3.3) and slashes.
fn is_path(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let good = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-/._~!$&'()*+,;=:@".contains(&byte),
        };
        if !good {
            return false;
        }
    }
    true
}

pub(super) fn http_route_filter(filter: &HttpRouteFilter, reader: &mut Reader<'_>) {
    use HttpRouteFilterType as Type;
    let fields = [
        (
            Type::RequestHeaderModifier,
            "requestHeaderModifier",
            filter.request_header_modifier.is_some(),
        ),
        (
            Type::ResponseHeaderModifier,
            "responseHeaderModifier",
            filter.response_header_modifier.is_some(),
        ),
        (
            Type::RequestRedirect,
            "requestRedirect",
            filter.request_redirect.is_some(),
        ),
        (Type::UrlRewrite, "urlRewrite", filter.url_rewrite.is_some()),
        (
            Type::RequestMirror,
            "requestMirror",
            filter.request_mirror.is_some(),
        ),
        (Type::Cors, "cors", filter.cors.is_some()),
        (
            Type::ExtensionRef,
            "extensionRef",
            filter.extension_ref.is_some(),
        ),
    ];
    belongs(filter.type_, filter.type_.as_str(), &fields, reader);
}

/// What the CRD lets pass, and nobody may send.
pub(super) fn http_header(header: &HttpHeader, reader: &mut Reader<'_>) {
    let sendable = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    let padded = header.value.starts_with([' ', '\t']) || header.value.ends_with([' ', '\t']);
    if padded || !header.value.bytes().all(sendable) {
        let message =
            "a header's value is one line, without blanks around it (RFC 9110 section 5.5)";
        reader.contradiction(Code::C007, "/value", message.to_owned());
    }
}

/// What the CRD lets pass, and no header is called.
pub(super) fn http_header_filter(filter: &HttpHeaderFilter, reader: &mut Reader<'_>) {
    for (index, name) in filter.remove.iter().enumerate() {
        if let Some(Err(why)) = name.partly().map(|name| form::token(name)) {
            let pointer = format!("/remove/{index}");
            reader.contradiction(Code::C007, &pointer, format!("a header's name is {why}"));
        }
    }
}

pub(super) fn http_path_modifier(path: &HttpPathModifier, reader: &mut Reader<'_>) {
    use PathModifierType as Type;
    let fields = [
        (
            Type::ReplaceFullPath,
            "replaceFullPath",
            path.replace_full_path.is_some(),
        ),
        (
            Type::ReplacePrefixMatch,
            "replacePrefixMatch",
            path.replace_prefix_match.is_some(),
        ),
    ];
    belongs(path.type_, path.type_.as_str(), &fields, reader);
    for (key, value) in [
        ("replaceFullPath", &path.replace_full_path),
        ("replacePrefixMatch", &path.replace_prefix_match),
    ] {
        if value.as_ref().is_some_and(|value| !is_path(value)) {
            let message = "it is not a path (RFC 3986)".to_owned();
            reader.contradiction(Code::C007, &format!("/{key}"), message);
        }
    }
}

/// Notes fields that do not belong to the type that was chosen, and the one that does and is missing.
fn belongs<T: PartialEq>(
    chosen: T,
    word: &str,
    fields: &[(T, &str, bool)],
    reader: &mut Reader<'_>,
) {
    for (type_, key, is_there) in fields {
        if *type_ == chosen && !is_there {
            reader.contradiction(
                Code::C005,
                "",
                format!("{key} is missing, which type {word} needs"),
            );
        } else if *type_ != chosen && *is_there {
            let message = format!("{key} does not belong to type {word}");
            reader.contradiction(Code::C007, &format!("/{key}"), message);
        }
    }
}

pub(super) fn http_request_mirror_filter(
    mirror: &HttpRequestMirrorFilter,
    reader: &mut Reader<'_>,
) {
    if mirror.percent.is_some() && mirror.fraction.is_some() {
        let message = "percent and fraction cannot stand together".to_owned();
        reader.contradiction(Code::C007, "/fraction", message);
    }
}

pub(super) fn fraction(fraction: &Fraction, reader: &mut Reader<'_>) {
    if fraction.numerator > fraction.denominator {
        let message = "the numerator is greater than the denominator".to_owned();
        reader.contradiction(Code::C007, "/numerator", message);
    }
}

pub(super) fn backend_object_reference(backend: &BackendObjectReference, reader: &mut Reader<'_>) {
    needs_port(&backend.group, &backend.kind, backend.port, reader);
}

pub(super) fn backend_ref(backend: &BackendRef, reader: &mut Reader<'_>) {
    needs_port(&backend.group, &backend.kind, backend.port, reader);
}

pub(super) fn http_backend_ref(backend: &HttpBackendRef, reader: &mut Reader<'_>) {
    needs_port(&backend.group, &backend.kind, backend.port, reader);
    repeated_filters(&backend.filters, reader);
}

fn needs_port(group: &str, kind: &str, port: Option<u16>, reader: &mut Reader<'_>) {
    if group.is_empty() && kind == "Service" && port.is_none() {
        let message = "port is missing, which a reference to a Service needs".to_owned();
        reader.contradiction(Code::C005, "", message);
    }
}

pub(super) fn http_cors_filter(cors: &HttpCorsFilter, reader: &mut Reader<'_>) {
    let star = |list: &List<Arc<str>>| {
        list.iter()
            .any(|item| item.partly().is_some_and(|item| &**item == "*"))
    };
    let any_method = cors
        .allow_methods
        .iter()
        .any(|method| method.partly() == Some(&CorsMethod::Any));
    for (key, has_star, items) in [
        (
            "allowOrigins",
            star(&cors.allow_origins),
            cors.allow_origins.len(),
        ),
        ("allowMethods", any_method, cors.allow_methods.len()),
        (
            "allowHeaders",
            star(&cors.allow_headers),
            cors.allow_headers.len(),
        ),
    ] {
        if has_star && items > 1 {
            let message = format!("* in {key} says all: nothing may stand beside it");
            reader.contradiction(Code::C007, &format!("/{key}"), message);
        }
    }
}

pub(super) fn http_route_timeouts(timeouts: &HttpRouteTimeouts, reader: &mut Reader<'_>) {
    if let (Some(request), Some(backend)) = (timeouts.request, timeouts.backend_request)
        && request != Duration::ZERO
        && backend > request
    {
        let message = "one try may not take longer than the whole request".to_owned();
        reader.contradiction(Code::C007, "/backendRequest", message);
    }
}
