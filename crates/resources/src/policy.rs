//! `AccessPolicy`: who may call. `TrafficPolicy`: how calls are made. `TelemetryPolicy`: what is told
//! of them.

use alloc::{format, sync::Arc};
use core::time::Duration;

use leno_model::view::access::IpBlock;
use leno_model::{Code, Name, Namespace, SpiffeId, TrustDomain};

use crate::decode::{Decode, Reader, Rules, choice, object, text};
use crate::form;
use crate::kinds::GROUP;
use crate::mesh::{MtlsMode, Stance, WorkloadProtocol};
use crate::part::{List, Part};
use crate::schema::Shape;
use crate::service::Ignored;
use crate::yaml::{Meaning, Node, Value};

object! {
    /// What a policy is about.
    pub struct TargetRef checked by target_fits
        where "!has(self.sectionName) || !has(self.port)" else "sectionName and port both say which port: write one"
        where "self.kind in ['Service', 'MeshWorkload'] || !has(self.sectionName) && !has(self.port)" else "only a Service and a MeshWorkload have ports" {
        /// The API group of its kind, empty for a Service or Namespace; it may be left out.
        pub group: Option<Arc<str>> = "group" [length(0, 253), form(form::group)];
        /// Its kind.
        pub kind: TargetKind = "kind";
        /// Its name.
        pub name: Name = "name";
        /// Only one of its ports, by the name that a Service or MeshWorkload gives it.
        pub section_name: Option<Arc<str>> = "sectionName" [length(1, 253), form(form::subdomain)];
        /// Only this one of its ports: as callers of a Service use it, as a MeshWorkload listens on it.
        pub port: Option<u16> = "port" [range(1, 65_535)];
    }
}

choice! {
    /// What kind of thing a policy is about.
    pub enum TargetKind {
        /// Everything; only from the namespace `leno-system`.
        Mesh = "Mesh",
        /// Every workload of a namespace: the policy's own.
        Namespace = "Namespace",
        /// The workloads a Service selects, on its target ports.
        Service = "Service",
        /// One workload.
        MeshWorkload = "MeshWorkload",
        /// The calls that an HTTPRoute takes.
        HttpRoute = "HTTPRoute",
        /// The calls that a GRPCRoute takes.
        GrpcRoute = "GRPCRoute",
    }
    instead of {
        "TCPRoute": "a policy is not about a TCPRoute: who gets a stream of bytes cannot tell which route led it there", "write {kind: Service, name: .., port: ..}: the Service that it leads to",
        "TLSRoute": "a policy is not about a TLSRoute: who gets a stream of bytes cannot tell which route led it there", "write {kind: Service, name: .., port: ..}: the Service that it leads to",
    }
}

object! {
    /// Who may call the targets.
    pub struct AccessPolicySpec {
        /// What it is about. Without it, every workload of its namespace.
        pub target_refs: Option<List<TargetRef>> = "targetRefs" [items(1, 64)];
        /// Whether the targets refuse callers that come in plain.
        pub mtls: Option<MtlsMode> = "mtls";
        /// What happens to calls to the targets that no rule speaks of.
        pub default: Option<Stance> = "default";
        /// Whose JSON Web Tokens are believed. A request with a token that is not accepted is refused; one
        /// without a token has no claims, and meets the rules so.
        pub jwt: Option<AccessJwt> = "jwt";
        /// Who is asked about each request that the rules let in. Only what he lets in as well goes on.
        pub external_auth: Option<ExternalAuth> = "externalAuth";
        /// Who may and may not call. Once a rule allows somebody, nobody else is allowed.
        pub rules: Option<List<AccessRule>> = "rules" [items(0, 1000)];
        /// Which hosts outside the mesh the targets may call; says nothing of calls to the targets.
        pub outbound: Option<Part<AccessOutbound>> = "outbound";
    }

    /// Which hosts outside the mesh somebody may call.
    pub struct AccessOutbound checked by says_something_of_hosts
        where "has(self.default) || has(self.rules)" else "one of default and rules is expected" {
        /// What happens to calls to hosts that no rule speaks of. Without it, what
        /// `Mesh.spec.unknownDestinations` says.
        pub default: Option<Stance> = "default";
        /// Which hosts may and may not be called. A rule that allows some leaves no others out: say
        /// `default: Deny` for that.
        pub rules: List<OutboundRule> = "rules" [items(1, 1000)];
    }

    /// Which calls to hosts outside the mesh are allowed or denied; all that is said must hold.
    pub struct OutboundRule checked by names_hosts
        where "has(self.hosts) || has(self.ipBlocks) || has(self.ports)" else "one of hosts, ipBlocks and ports is expected" {
        /// What follows when the rule matches; a rule that denies wins.
        pub action: AccessAction = "action" or AccessAction::Allow, as "Allow";
        /// To one of these names, in full; `*.` in front means every name below, of one label or more.
        pub hosts: List<Arc<str>> = "hosts" [items(1, 256), length(1, 253), form(form::host_outside)];
        /// To one of these addresses.
        pub ip_blocks: List<IpBlock> = "ipBlocks" [items(1, 256)];
        /// To one of these ports.
        pub ports: List<u16> = "ports" [items(1, 256), range(1, 65_535)];
    }

    /// Who is asked about requests, by Envoy's ext_authz.
    pub struct ExternalAuth checked by asks_as_it_says
        where "self.protocol == 'HTTP' ? !has(self.grpc) : !has(self.http)" else "what is said of the other protocol says nothing" {
        /// How he is asked: by a call of gRPC, or by a request like the one he is asked about.
        pub protocol: AuthProtocol = "protocol";
        /// Who is asked.
        pub backend_ref: AuthorizerRef = "backendRef";
        /// How long one question may take in all. Without it, `1s`.
        pub timeout: Option<Duration> = "timeout" [range(1, 30_000)];
        /// What becomes of a request where he gives no answer. Without it, it is denied.
        pub on_failure: Option<OnFailure> = "onFailure";
        /// About which requests he is asked. Without it, all.
        pub requests: List<Request> = "requests" [items(1, 256)];
        /// About which of these he is not.
        pub except: List<Request> = "except" [items(1, 256)];
        /// What concerns questions by gRPC.
        pub grpc: Option<GrpcAuth> = "grpc";
        /// What concerns questions by HTTP.
        pub http: Option<HttpAuth> = "http";
        /// How much of the body he is told. Without it, nothing.
        pub forward_body: Option<ForwardBody> = "forwardBody";
    }

    /// Who is asked about requests.
    pub struct AuthorizerRef {
        /// The API group of its kind; empty for a Service.
        pub group: Arc<str> = "group" [length(0, 253), form(form::group)] or "".into(), as "\"\"";
        /// Its kind.
        pub kind: Arc<str> = "kind" [length(1, 63), form(form::kind)] or "Service".into(), as "Service";
        /// Its namespace; without it, the policy's own. Another one must permit it by a ReferenceGrant.
        pub namespace: Option<Namespace> = "namespace";
        /// Its name.
        pub name: Name = "name";
        /// Its port.
        pub port: u16 = "port" [range(1, 65_535)];
    }

    /// What concerns questions by gRPC.
    pub struct GrpcAuth {
        /// The headers of the request that he is told. Without it, all.
        pub allowed_headers: List<Arc<str>> = "allowedHeaders"
            [items(1, 64), length(1, 256), form(form::token)];
        /// The headers that he may set in the request. What clients send under these names is left out.
        pub allowed_response_headers: List<Arc<str>> = "allowedResponseHeaders"
            [items(1, 64), length(1, 256), form(form::token)];
    }

    /// What concerns questions by HTTP.
    pub struct HttpAuth {
        /// What stands before the path of the request in the path that he is asked at.
        pub path: Option<Arc<str>> = "path" [length(1, 1024), form(form::plain_path)];
        /// The headers of the request that he is told beside `Host`, `Authorization` and `Content-Length`.
        pub allowed_headers: List<Arc<str>> = "allowedHeaders"
            [items(1, 64), length(1, 256), form(form::token)];
        /// The headers of his answer that are set in the request. What clients send under these names is left
        /// out.
        pub allowed_response_headers: List<Arc<str>> = "allowedResponseHeaders"
            [items(1, 64), length(1, 256), form(form::token)];
    }

    /// How much of a body is told.
    pub struct ForwardBody {
        /// So many bytes of it, from its beginning.
        pub max_size: u16 = "maxSize" [range(1, 65_535)];
    }

    /// Whose JSON Web Tokens are believed.
    pub struct AccessJwt checked by names_issuers
        where "has(self.issuers)" else "issuers is expected" {
        /// Whether requests without a token of one of these issuers are refused, and streams of bytes, which
        /// have none. Without it, they are not.
        pub required: Option<bool> = "required";
        /// Those who make them.
        pub issuers: List<JwtIssuer> = "issuers" [items(1, 16)];
    }

    /// One who makes tokens.
    pub struct JwtIssuer checked by issuer_fits
        where "has(self.audiences)" else "audiences is expected: for whom tokens must be meant, or \"*\" for anybody" {
        /// What its tokens say in `iss`, in exactly this spelling.
        pub issuer: Arc<str> = "issuer" [length(1, 1024)];
        /// For whom its tokens must be meant (`aud`): one of these. `"*"` takes tokens for anybody, also
        /// those that somebody else was given for his own service.
        pub audiences: List<Arc<str>> = "audiences" [items(1, 64), length(1, 1024)];
        /// The keys that prove its tokens.
        pub jwks: Jwks = "jwks";
        /// Where its tokens stand in a request. Without it, in `Authorization` behind `Bearer `.
        pub from: List<TokenPlace> = "from" [items(1, 8)];
        /// Whether the application sees the token. Without it, it does not.
        pub forward: Option<bool> = "forward";
        /// Which claims the application is told. What clients send under these names is left out.
        pub claims_to_headers: List<ClaimToHeader> = "claimsToHeaders" [items(1, 32)];
    }

    /// A JWK Set (RFC 7517).
    pub struct Jwks checked by has_one_source
        where "[has(self.inline), has(self.file), has(self.url)].filter(it, it).size() == 1" else "one of inline, file and url is expected" {
        /// The set itself, as JSON.
        pub inline: Option<Arc<str>> = "inline" [length(1, 131_072)];
        /// A file in the control plane's folder of keys (`leno control --keys`; in `leno up`, the folder of
        /// `leno.yaml`), which is read again every `every`.
        pub file: Option<Arc<str>> = "file" [length(1, 4096), form(form::path_within)];
        /// Where the control plane fetches it, every `every`: `https://`. `http://` is for the control
        /// plane's own host, if that allows it (`--keys-on-loopback`).
        pub url: Option<Arc<str>> = "url" [length(1, 2048)];
        /// How often it is looked at again. Without it, `5m`.
        pub every: Option<Duration> = "every" [range(1_000, 86_400_000)];
        /// For how long keys are good that could not be looked at again. Without it, `24h`.
        pub keep: Option<Duration> = "keep" [range(1_000, 2_592_000_000)];
    }

    /// A header or a cookie that carries a token.
    pub struct TokenPlace checked by is_one_place
        where "has(self.header) != has(self.cookie)" else "one of header and cookie is expected"
        where "!has(self.cookie) || !has(self.prefix)" else "in a cookie nothing stands before a token" {
        /// The name of the header, in any case.
        pub header: Option<Arc<str>> = "header" [length(1, 256), form(form::token)];
        /// What stands before the token in a header: `Bearer `. What begins otherwise is no token.
        pub prefix: Option<Arc<str>> = "prefix" [length(1, 64)];
        /// The name of the cookie, in exactly this spelling.
        pub cookie: Option<Arc<str>> = "cookie" [length(1, 256), form(form::token)];
    }

    /// A header by which the application is told a claim.
    pub struct ClaimToHeader {
        /// The claim: its name, or a JSON pointer like `/realm_access/roles`.
        pub claim: Arc<str> = "claim" [length(1, 256)];
        /// The name of the header, in any case. A list is told with commas between its items.
        pub header: Arc<str> = "header" [length(1, 256), form(form::token)];
    }

    /// Whose calls to what are allowed or denied.
    pub struct AccessRule {
        /// What follows when the rule matches; a rule that denies wins.
        pub action: AccessAction = "action" or AccessAction::Allow, as "Allow";
        /// Whose calls: one of these must match. Without it, everyone's.
        pub callers: List<Caller> = "callers" [items(1, 1000)];
        /// Which requests: one of these must match. Without it, all, and every byte stream.
        pub requests: List<Request> = "requests" [items(1, 1000)];
        /// Of which callers and requests it does not speak: `callers` and `requests`, as in the rule.
        pub except: Option<Except> = "except";
        /// A CEL expression that must be true too. Where it has no value, the call is denied.
        pub when: Option<Arc<str>> = "when" [length(1, 1024)];
    }

    /// Of what a rule does not speak, although its callers and requests match.
    pub struct Except checked by excepts_something
        where "has(self.callers) || has(self.requests)" else "one of callers and requests is expected" {
        /// Not of the calls of any of these.
        pub callers: List<Caller> = "callers" [items(1, 1000)];
        /// Not of any of these requests.
        pub requests: List<Request> = "requests" [items(1, 1000)];
    }

    /// Whose calls; all that is said must hold.
    pub struct Caller checked by says_something
        where "has(self.identity) || has(self.namespace) || has(self.trustDomain) || has(self.ipBlock)" else "one of identity, namespace, trustDomain and ipBlock is expected" {
        /// An identity: `namespace/account` in our own trust domain, or a whole SPIFFE ID.
        pub identity: Option<Identity> = "identity";
        /// Everyone who proves to be from this namespace of our own trust domain, or of `trustDomain`.
        pub namespace: Option<Namespace> = "namespace";
        /// Everyone whom this trust domain vouches for.
        pub trust_domain: Option<TrustDomain> = "trustDomain";
        /// Everyone who calls from these addresses.
        pub ip_block: Option<IpBlock> = "ipBlock";
    }

    /// Which requests; all that is said must hold.
    pub struct Request checked by request_fits
        where "has(self.ports) || has(self.methods) || has(self.hosts) || has(self.paths) || has(self.headers) || has(self.grpc) || has(self.claims)" else "one of ports, methods, hosts, paths, headers, grpc and claims is expected"
        where "!has(self.paths) || !has(self.grpc)" else "grpc and paths are both about the path: write two requests" {
        /// To these ports, as the workload listens on them.
        pub ports: List<u16> = "ports" [items(1, 256), range(1, 65_535)];
        /// With these methods, in exactly this spelling.
        pub methods: List<Arc<str>> = "methods" [items(1, 64), length(1, 64), form(form::token)];
        /// To these hosts; `*.` in front means every name below.
        pub hosts: List<Arc<str>> = "hosts" [items(1, 256), length(1, 253), form(form::hostname)];
        /// To these paths.
        pub paths: List<AccessPath> = "paths" [items(1, 256)];
        /// With all of these headers.
        pub headers: List<AccessHeader> = "headers" [items(1, 64)];
        /// To these methods of gRPC.
        pub grpc: List<AccessGrpc> = "grpc" [items(1, 256)];
        /// With a token that makes all of these claims, of an issuer in `jwt` of this policy.
        pub claims: List<AccessClaim> = "claims" [items(1, 64)];
    }

    /// A header.
    pub struct AccessHeader checked by header_fits {
        /// Its name, in any case.
        pub name: Arc<str> = "name" [length(1, 256), form(form::token)];
        /// How the value is compared.
        pub type_: AccessHeaderType = "type" or AccessHeaderType::Exact, as "Exact";
        /// What the header is compared with.
        pub value: Option<Arc<str>> = "value" [length(1, 4096)];
    }

    /// A claim. Of a list, one item must match; of `scope` and `scp`, one of the words.
    pub struct AccessClaim checked by claim_fits {
        /// Its name, or a JSON pointer like `/realm_access/roles`.
        pub name: Arc<str> = "name" [length(1, 256)];
        /// How the value is compared.
        pub type_: AccessHeaderType = "type" or AccessHeaderType::Exact, as "Exact";
        /// What the claim is compared with; numbers and truths as JSON writes them.
        pub value: Option<Arc<str>> = "value" [length(1, 4096)];
    }

    /// Methods of gRPC. The path of a call is `/service/method`.
    pub struct AccessGrpc checked by grpc_fits {
        /// Its service, with its package: `shop.v1.Cart`. Without it, the method of every service.
        pub service: Option<Arc<str>> = "service" [length(1, 1024), form(form::grpc_service)];
        /// Its method: `GetItem`. Without it, every method of the service.
        pub method: Option<Arc<str>> = "method" [length(1, 1024), form(form::grpc_method)];
    }

    /// Which paths.
    pub struct AccessPath checked by path_fits {
        /// How the value is compared.
        pub type_: AccessPathType = "type" or AccessPathType::PathPrefix, as "PathPrefix";
        /// What the path is compared with.
        pub value: Arc<str> = "value" [length(1, 1024)];
    }
}

choice! {
    /// How it is said who makes a connection.
    pub enum ProxyVersion {
        /// As a line of text.
        V1 = "V1",
        /// In binary.
        V2 = "V2",
    }

    /// What follows when a rule matches.
    pub enum AccessAction {
        /// The call is allowed, unless another rule denies it.
        Allow = "Allow",
        /// The call is denied.
        Deny = "Deny",
        /// It is told that the rule matched: by the access log, `leno tap`, `leno why` and a metric.
        /// Nothing else follows.
        Audit = "Audit",
    }

    /// How an external authorizer is asked.
    pub enum AuthProtocol {
        /// By a request like the one he is asked about; 200 lets it in.
        Http = "HTTP",
        /// By `envoy.service.auth.v3.Authorization/Check`.
        Grpc = "GRPC",
    }

    /// What becomes of a request where the authorizer gives no answer.
    pub enum OnFailure {
        /// It is denied.
        Deny = "Deny",
        /// It is let in, and that is told.
        Allow = "Allow",
    }

    /// How a header is compared.
    pub enum AccessHeaderType {
        /// It is the value.
        Exact = "Exact",
        /// It begins with the value.
        Prefix = "Prefix",
        /// The value, a regular expression, matches all of it.
        RegularExpression = "RegularExpression",
        /// It is there, whatever it says.
        Present = "Present",
    }

    /// How a path is compared.
    pub enum AccessPathType {
        /// It is the value.
        Exact = "Exact",
        /// It is the value or below it, by whole segments.
        PathPrefix = "PathPrefix",
        /// The value, a regular expression, matches all of it.
        RegularExpression = "RegularExpression",
        /// The value is a template, as `google.api.http` writes them: `*` and `{name}` are one
        /// segment, `**` at the end is any number of them: `/items/{id}/orders/**`.
        Template = "Template",
    }
}

object! {
    /// How calls to the targets are made.
    pub struct TrafficPolicySpec {
        /// What it is about. Without it, every Service of its namespace.
        pub target_refs: Option<List<TargetRef>> = "targetRefs" [items(1, 64)];
        /// How long things may take.
        pub timeouts: Option<Timeouts> = "timeouts";
        /// What is tried again.
        pub retry: Option<TrafficRetry> = "retry";
        /// How many retries there may be beside first tries.
        pub retry_budget: Option<RetryBudget> = "retryBudget";
        /// What is spoken on ports, whatever a Service or a workload says.
        pub ports: List<PortProtocol> = "ports" [items(0, 64), unique("port")];
        /// What is said of who makes a connection, before its first byte.
        pub proxy_protocol: Option<ProxyProtocol> = "proxyProtocol";
    }

    /// What is spoken on a port.
    pub struct PortProtocol {
        /// Its number, as callers use it.
        pub port: u16 = "port" [range(1, 65_535)];
        /// What is spoken there.
        pub protocol: WorkloadProtocol = "protocol";
    }

    /// What is said of who makes a connection: the PROXY protocol of HAProxy.
    pub struct ProxyProtocol {
        /// The peers that must say for whom they connect, such as load balancers. What they say counts as
        /// the caller's address.
        pub from: List<IpBlock> = "from" [items(0, 64)];
        /// In which version the workload is told who connects. Without it, it is not told.
        pub send: Option<ProxyVersion> = "send";
    }

    /// How long things may take.
    pub struct Timeouts {
        /// One attempt to connect.
        pub connect: Option<Duration> = "connect" [range(1, i64::MAX)];
        /// A whole request with its answer; `0s` is no limit.
        pub request: Option<Duration> = "request";
    }

    /// What is tried again.
    pub struct TrafficRetry {
        /// How many tries may follow the first one.
        pub attempts: Option<u8> = "attempts" [range(0, 10)];
        /// Answers that are tried again although the service has seen the request; 502 stands for what was
        /// broken off before an answer, too, and 504 for what came too late.
        pub codes: List<u16> = "codes" [items(0, 64), range(400, 599)];
        /// How long to wait before the first of them; each one that follows waits twice as long.
        pub backoff: Option<Duration> = "backoff";
    }

    /// How many retries there may be beside first tries.
    pub struct RetryBudget {
        /// At most this share of the requests.
        pub percent: Option<u8> = "percent" [range(0, 100)];
        /// But always this many a second.
        pub at_least_per_second: Option<u32> = "atLeastPerSecond" [range(0, 1_000_000)];
    }
}

object! {
    /// What is told of calls to the targets.
    pub struct TelemetryPolicySpec {
        /// What it is about. Without it, every Service of its namespace.
        pub target_refs: Option<List<TargetRef>> = "targetRefs" [items(1, 64)];
        /// Which calls get a line in the access log, and what stands in it.
        pub access_log: Option<AccessLog> = "accessLog";
        /// Which calls are traced.
        pub tracing: Option<Tracing> = "tracing";
        /// Regular expressions. In the access log and in spans, `***` stands in the place of each
        /// segment of a path, and of each header's value, that one of them matches as a whole.
        pub redact: Option<List<Arc<str>>> = "redact" [items(1, 32), length(1, 1024)];
        /// Not to be set: all metrics have the same labels, so that the number of series is bounded.
        pub metrics: Option<Ignored> = "metrics";
    }

    /// Which calls get a line in the access log, and what stands in it.
    pub struct AccessLog {
        /// Whether there are lines at all. Without it, `Enabled`.
        pub mode: Option<LogMode> = "mode";
        /// A CEL expression, asked when a call is over: only calls of which it is true get a line.
        /// One that fails for a call leaves it its line.
        pub when: Option<Arc<str>> = "when" [length(1, 1024)];
        /// Which fields a line has, beside `time`, `event` and `id`. Without it, all of them.
        pub fields: List<Arc<str>> = "fields" [items(1, 64), length(1, 64), unique("")];
        /// Headers of the request that stand in a line too. Those that hold secrets by their nature
        /// are shown as `***`.
        pub request_headers: List<Arc<str>> = "requestHeaders"
            [items(1, 16), length(1, 64), form(form::token), unique("")];
        /// Headers of the answer that stand in a line too, likewise.
        pub response_headers: List<Arc<str>> = "responseHeaders"
            [items(1, 16), length(1, 64), form(form::token), unique("")];
    }

    /// Which calls are traced.
    pub struct Tracing {
        /// How many of the calls that come without a trace begin one: `1%`, `0.01%`. What comes within
        /// a trace keeps to what was decided there.
        pub sample: Option<Share> = "sample";
        /// Whether calls that fail are told as spans even if they were not sampled.
        pub errors: Option<bool> = "errors";
    }
}

choice! {
    /// Whether something is done.
    pub enum LogMode {
        /// It is.
        Enabled = "Enabled",
        /// It is not.
        Disabled = "Disabled",
    }
}

/// A part of a whole, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share(pub u32);

impl Decode for Share {
    const SHAPE: Shape = Shape::Value("percentage, like 1% or 0.05%");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::Scalar(number, Meaning::Integer(_) | Meaning::Number) = &node.value {
            let hint = Some(format!("write the unit: {number}%"));
            reader.wrong_type_with(node, "a percentage", hint);
            return None;
        }
        let text = text(node, reader)?;
        let share = share(text);
        if share.is_none() {
            let message = format!("{text:?} is not a percentage from 0% to 100%, like 1% or 0.05%");
            reader.invalid(node, message);
        }
        share
    }
}

/// Reads a percentage with at most four digits behind its point.
fn share(text: &str) -> Option<Share> {
    let number = text.strip_suffix('%')?;
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(rest) || whole.len() > 3 || rest.len() > 4 {
        return None;
    }
    let rest: u32 = format!("{rest:0<4}").parse().ok()?;
    let share = whole.parse::<u32>().ok()? * 10_000 + rest;
    (share <= 1_000_000).then_some(Share(share))
}

/// Somebody, as policies and tests name him.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Identity {
    /// `namespace/account`, in our own trust domain.
    Short(Namespace, Name),
    /// A whole SPIFFE ID.
    Spiffe(SpiffeId),
}

impl Decode for Identity {
    const SHAPE: Shape = Shape::Value("namespace/account, or a SPIFFE ID");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text(node, reader)?;
        let read = if text.contains("://") {
            SpiffeId::parse(text)
                .map(Self::Spiffe)
                .map_err(|error| format!("{error}"))
        } else {
            short(text).ok_or_else(|| format!("{text:?} is not namespace/account, nor a SPIFFE ID"))
        };
        read.map_err(|why| reader.invalid(node, why)).ok()
    }
}

fn short(text: &str) -> Option<Identity> {
    let (namespace, account) = text.split_once('/')?;
    Some(Identity::Short(
        Namespace::new(namespace).ok()?,
        Name::new(account).ok()?,
    ))
}

fn target_fits(target: &TargetRef, reader: &mut Reader<'_>) {
    group_fits(target, reader);
    let has_ports = match target.kind {
        TargetKind::Service | TargetKind::MeshWorkload => true,
        TargetKind::Mesh
        | TargetKind::Namespace
        | TargetKind::HttpRoute
        | TargetKind::GrpcRoute => false,
    };
    let section = target.section_name.as_ref().map(|_| "/sectionName");
    let port = target.port.map(|_| "/port");
    if let Some(field) = section.or(port).filter(|_| !has_ports) {
        let message = format!("a {} has no ports", target.kind.as_str());
        reader.contradiction(Code::C007, field, message);
    } else if section.is_some() && port.is_some() {
        let message = "sectionName and port both say which port: write one";
        reader.contradiction(Code::C007, "/port", message.into());
    }
}

/// A group that is not the kind's names a kind of somebody else.
fn group_fits(target: &TargetRef, reader: &mut Reader<'_>) {
    let group = match target.kind {
        TargetKind::Mesh | TargetKind::MeshWorkload => GROUP,
        TargetKind::Namespace | TargetKind::Service => "",
        TargetKind::HttpRoute | TargetKind::GrpcRoute => "gateway.networking.k8s.io",
    };
    if target
        .group
        .as_ref()
        .is_some_and(|written| **written != *group)
    {
        let message = format!("the group of {} is {group:?}", target.kind.as_str());
        reader.contradiction(Code::C007, "/group", message);
    }
}

/// An entry that says nothing would match everyone.
fn says_something(caller: &Caller, reader: &mut Reader<'_>) {
    let Caller {
        identity,
        namespace,
        trust_domain,
        ip_block,
    } = caller;
    if identity.is_none() && namespace.is_none() && trust_domain.is_none() && ip_block.is_none() {
        let message = "one of identity, namespace, trustDomain and ipBlock is expected";
        reader.contradiction(Code::C005, "", message.into());
    }
}

fn path_fits(path: &AccessPath, reader: &mut Reader<'_>) {
    match path.type_ {
        AccessPathType::Exact | AccessPathType::PathPrefix if !path.value.starts_with('/') => {
            let message = format!("{:?} does not begin with /", path.value);
            reader.contradiction(Code::C007, "/value", message);
        }
        AccessPathType::Exact
        | AccessPathType::PathPrefix
        | AccessPathType::RegularExpression
        | AccessPathType::Template => {}
    }
}

/// A part that says nothing would be taken for one that denies all, or none.
fn says_something_of_hosts(outbound: &AccessOutbound, reader: &mut Reader<'_>) {
    if outbound.default.is_none() && outbound.rules.is_empty() {
        let message = "one of default and rules is expected";
        reader.contradiction(Code::C005, "", message.into());
    }
}

/// A rule that names nothing would be about every host.
fn names_hosts(rule: &OutboundRule, reader: &mut Reader<'_>) {
    if rule.hosts.is_empty() && rule.ip_blocks.is_empty() && rule.ports.is_empty() {
        let message = "one of hosts, ipBlocks and ports is expected";
        reader.contradiction(Code::C005, "", message.into());
    }
}

/// One that names nobody and nothing would take everything away.
fn excepts_something(except: &Except, reader: &mut Reader<'_>) {
    if except.callers.is_empty() && except.requests.is_empty() {
        let message = "one of callers and requests is expected";
        reader.contradiction(Code::C005, "", message.into());
    }
}

/// An entry that says nothing would match every request.
fn request_fits(request: &Request, reader: &mut Reader<'_>) {
    let Request {
        ports,
        methods,
        hosts,
        paths,
        headers,
        grpc,
        claims,
    } = request;
    let says_nothing = ports.is_empty()
        && methods.is_empty()
        && hosts.is_empty()
        && paths.is_empty()
        && headers.is_empty()
        && grpc.is_empty()
        && claims.is_empty();
    if says_nothing {
        let message = "one of ports, methods, hosts, paths, headers, grpc and claims is expected";
        reader.contradiction(Code::C005, "", message.into());
    }
    if !request.paths.is_empty() && !request.grpc.is_empty() {
        let message = "grpc and paths are both about the path: write two requests";
        reader.contradiction(Code::C007, "/grpc", message.into());
    }
}

fn header_fits(header: &AccessHeader, reader: &mut Reader<'_>) {
    value_fits(header.type_, header.value.as_ref(), reader);
}

fn claim_fits(claim: &AccessClaim, reader: &mut Reader<'_>) {
    value_fits(claim.type_, claim.value.as_ref(), reader);
}

/// What concerns the other protocol would do nothing.
fn asks_as_it_says(external: &ExternalAuth, reader: &mut Reader<'_>) {
    let (protocol, field, is_said) = match external.protocol {
        AuthProtocol::Http => ("HTTP", "grpc", external.grpc.is_some()),
        AuthProtocol::Grpc => ("GRPC", "http", external.http.is_some()),
    };
    if is_said {
        let message = format!("{field} says nothing where protocol is {protocol}");
        reader.contradiction(Code::C007, &format!("/{field}"), message);
    }
}

fn names_issuers(jwt: &AccessJwt, reader: &mut Reader<'_>) {
    if jwt.issuers.is_empty() {
        reader.contradiction(Code::C005, "/issuers", "issuers is expected".into());
    }
}

/// Who takes tokens for anybody says so.
fn issuer_fits(issuer: &JwtIssuer, reader: &mut Reader<'_>) {
    if issuer.audiences.is_empty() {
        let message = "audiences is expected: for whom tokens must be meant, or \"*\" for anybody";
        reader.contradiction(Code::C005, "/audiences", message.into());
    }
}

fn is_one_place(place: &TokenPlace, reader: &mut Reader<'_>) {
    let TokenPlace {
        header,
        prefix,
        cookie,
    } = place;
    if header.is_some() == cookie.is_some() {
        let message = "one of header and cookie is expected";
        reader.contradiction(Code::C005, "", message.into());
    } else if cookie.is_some() && prefix.is_some() {
        let message = "in a cookie nothing stands before a token";
        reader.contradiction(Code::C005, "/prefix", message.into());
    }
}

fn has_one_source(jwks: &Jwks, reader: &mut Reader<'_>) {
    let Jwks {
        inline, file, url, ..
    } = jwks;
    if [inline, file, url].iter().filter(|it| it.is_some()).count() != 1 {
        let message = "one of inline, file and url is expected";
        reader.contradiction(Code::C005, "", message.into());
    }
}

fn value_fits(type_: AccessHeaderType, value: Option<&Arc<str>>, reader: &mut Reader<'_>) {
    match (type_, value) {
        (AccessHeaderType::Present, Some(_)) => {
            let message = "what is only to be present has no value";
            reader.contradiction(Code::C007, "/value", message.into());
        }
        (AccessHeaderType::Present, None) => {}
        (_, Some(_)) => {}
        (_, None) => {
            let message = "value is expected, or type: Present";
            reader.contradiction(Code::C005, "", message.into());
        }
    }
}

fn grpc_fits(grpc: &AccessGrpc, reader: &mut Reader<'_>) {
    if grpc.service.is_none() && grpc.method.is_none() {
        let message = "one of service and method is expected";
        reader.contradiction(Code::C005, "", message.into());
    }
}
