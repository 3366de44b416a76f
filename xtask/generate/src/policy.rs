//! The reference of `AccessPolicy`: its fields from their table, its precedence from the compiler's, what
//! refuses a call from the table of codes.

use std::fmt::Write as _;

use leno_compile::Special;
use leno_condition::{Fact, NamedClaim};
use leno_model::Code;
use leno_resources::policy::AccessPolicySpec;
use leno_resources::schema::{Field, Schema, Shape};

use crate::monitoring::File;

/// The page, and where it stands.
pub(super) fn file() -> File {
    ("docs/reference/policy.md", page())
}

fn page() -> String {
    let mut text = String::from(HEAD);
    for special in Special::ALL.into_iter().rev() {
        row(&mut text, &[&code(special.written()), special.about()]);
    }
    row(&mut text, &[&code("{kind: HTTPRoute, name: R}"), ROUTES]);
    row(
        &mut text,
        &[&code("{kind: GRPCRoute, name: R}"), "the same"],
    );
    text += VERDICT;
    for (when, then) in STEPS {
        let then = match then {
            Then::Refuse(code) => refused(*code),
            Then::Let(words) => (*words).to_owned(),
        };
        row(&mut text, &[when, &then]);
    }
    text += READINGS;
    text += OUTBOUND;
    for (when, then) in OUT {
        let then = match then {
            Then::Refuse(code) => refused(*code),
            Then::Let(words) => (*words).to_owned(),
        };
        row(&mut text, &[when, &then]);
    }
    text += CONDITIONS;
    for fact in Fact::all().filter(|fact| fact.is_known_first()) {
        row(
            &mut text,
            &[&code(fact.name()), &code(fact.kind()), fact.doc()],
        );
    }
    for claim in NamedClaim::ALL {
        row(
            &mut text,
            &[&code(claim.name), &code(claim.kind), claim.doc],
        );
    }
    text += FIELDS;
    fields(&mut text, "", AccessPolicySpec::SCHEMA);
    text
}

/// Each field, those of a mapping below it.
fn fields(text: &mut String, above: &str, schema: &Schema) {
    for field in schema.fields {
        let path = match above {
            "" => field.key.to_owned(),
            above => format!("{above}.{}", field.key),
        };
        let default = match (field.required, field.default) {
            (true, _) => "must be there".to_owned(),
            (false, Some(default)) => code(default),
            (false, None) => String::new(),
        };
        row(text, &[&code(&path), &holds(field), &default, field.doc]);
        // What is excepted is written as what is meant.
        if let Some(below) = field.shape.schema().filter(|_| field.key != "except") {
            fields(text, &path, below);
        }
    }
}

fn holds(field: &Field) -> String {
    match field.shape {
        Shape::Value(words) => words.to_owned(),
        Shape::Choice(words) => {
            let words = words.iter().map(|(word, _)| code(word));
            words.collect::<Vec<_>>().join(", ")
        }
        Shape::Object(_) => "a mapping".to_owned(),
        Shape::List(Shape::Value(words)) => format!("a list: {words}"),
        Shape::List(_) => "a list".to_owned(),
        Shape::Map(_) => "a mapping with keys of your own".to_owned(),
    }
}

fn refused(refused: Code) -> String {
    let number = refused.as_str();
    format!(
        "denied: [{number}](../errors/{number}.md) {}",
        refused.slug()
    )
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn row(text: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    writeln!(text, "| {} |", cells.join(" | ")).expect("a text takes everything");
}

/// What follows from a step of a verdict.
enum Then {
    Refuse(Code),
    Let(&'static str),
}

/// The steps of a verdict, in their order.
const STEPS: &[(&str, Then)] = &[
    (
        "the caller's identity was revoked",
        Then::Refuse(Code::T005),
    ),
    (
        "it is a health check that the `Mesh` names in `probes`",
        Then::Let("allowed, as `probe`"),
    ),
    (
        "`mtls` is `Strict`, and the call came in plain",
        Then::Refuse(Code::R002),
    ),
    (
        "the request carries a token that is not accepted, or of none of the issuers of a policy with `jwt.required: true`",
        Then::Refuse(Code::R061),
    ),
    (
        "the keys that should prove its token could not be got",
        Then::Refuse(Code::R063),
    ),
    (
        "`jwt.required` is `true`, and it carries no token, or is a stream of bytes",
        Then::Refuse(Code::R062),
    ),
    ("a rule with `Deny` matches", Then::Refuse(Code::R004)),
    (
        "a rule matches that this proxy is too old for, or that could not be read",
        Then::Refuse(Code::R005),
    ),
    (
        "of a rule with `Deny` it cannot be told whether it matches, for want of a token whose claims its condition looks into",
        Then::Refuse(Code::R062),
    ),
    (
        "of a rule with `Deny` it cannot be told whether it matches",
        Then::Refuse(Code::R060),
    ),
    ("a rule with `Allow` matches", Then::Let("allowed")),
    (
        "of a rule with `Allow` it cannot be told whether it matches",
        Then::Refuse(Code::R060),
    ),
    (
        "it carries no token, and a rule with `Allow` for its caller asks for claims",
        Then::Refuse(Code::R062),
    ),
    (
        "there are rules with `Allow`, and none matches",
        Then::Refuse(Code::R003),
    ),
    ("`default` is `Deny`", Then::Refuse(Code::R003)),
    (
        "the caller is of another trust domain, which a `MeshPeer` lets be believed",
        Then::Refuse(Code::R066),
    ),
    ("else", Then::Let("allowed")),
];

/// The steps of a verdict about a call that leaves the mesh, in their order.
const OUT: &[(&str, Then)] = &[
    (
        "a rule with `Deny` matches, by the name that it says or, where that is not proven, by one that was told",
        Then::Refuse(Code::R067),
    ),
    (
        "so does a rule that this proxy is too old for, or that could not be read",
        Then::Refuse(Code::R005),
    ),
    (
        "it says no name, and rules with `Deny` match some of the told names and not others",
        Then::Refuse(Code::R069),
    ),
    (
        "a rule with `Allow` matches by the name that it says, which is proven; or, if it says none, by every told name",
        Then::Let("let out"),
    ),
    (
        "a rule with `Allow` and without `hosts` matches",
        Then::Let("let out"),
    ),
    (
        "what holds for all other hosts is `Allow`",
        Then::Let("let out"),
    ),
    (
        "a rule with `Allow` matches by the name that it says, which is not proven",
        Then::Refuse(Code::R068),
    ),
    (
        "it says no name, and rules with `Allow` match some of the told names and not others",
        Then::Refuse(Code::R069),
    ),
    (
        "no policy says anything of the caller's calls",
        Then::Refuse(Code::R001),
    ),
    ("else", Then::Refuse(Code::R067)),
];

const HEAD: &str = "<!-- Made by `cargo xtask generate` from crates/compile/src/access/special.rs, \
crates/resources/src/policy.rs and xtask/generate/src/policy.rs. -->

# What an AccessPolicy says

Who may call. The proxy of whoever is called decides, before anything is opened to the application: for each request of
HTTP and gRPC, for each stream of bytes when it begins, and again for what lives when the configuration changes.

```yaml
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: payments, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: payments, sectionName: http}]
  mtls: Strict
  default: Deny
  rules:
  - callers: [{identity: shop/checkout}]
    requests:
    - {methods: [POST], paths: [{type: Template, value: '/orders/{id}/payments/**'}]}
    - {grpc: [{service: shop.v1.Payments, method: Charge}]}
  - callers: [{namespace: ops}]
    except: {callers: [{identity: ops/crawler}], requests: [{methods: [DELETE]}]}
    when: has(request.headers.ticket) && request.headers.ticket.startsWith('OPS-')
  - action: Audit
    requests: [{paths: [{value: /v1}]}]
```

`leno check` says what of it can never hold, `leno why` which rule decides a call and why the others do not,
`leno test` whether it still does what was meant, `leno explain AccessPolicy.spec.rules` what a field says.

## What it is about, and who wins

All policies about a port stand over it together. Of `mtls` and of `default` the most special policy that says it holds;
of two equally special ones the stricter, with [C133](../errors/C133.md). Where no policy says it, the `Mesh` does. Rules
of all of them hold: one that denies wins over every one that allows, whichever policy it stands in. The most special
target stands first:

| `targetRefs` | which ports |
|---|---|
";

const ROUTES: &str = "the ports of workloads to which the route's backends in the policy's namespace lead; \
there only requests that the route's matches take";

const VERDICT: &str = "
A policy without `rules` names no caller and by itself allows and denies nobody; `rules: []` is an error
([C132](../errors/C132.md)). What cannot be read of a policy denies what the rest of it covers.

A policy about a route is asked where the route's requests arrive: its rules look only at what the route's matches take, and no match
of another route takes first, as it is after the route has rewritten it, whoever sent it and whether or not it came by that route. All else on the port is left to
other policies: a rule that allows some requests of the route leaves nobody else allowed to make those, and says nothing of others.
So it has rules alone; `mtls` and `default`, which hold for a port as a whole, are refused, and so is a route that matches by
parameters of the query, or by a header that it changes, or stands behind one that does ([C114](../errors/C114.md)).
No policy is about a TCPRoute or TLSRoute: who gets a stream of bytes cannot tell which route led it there. Name the Service that it
leads to, with its port.

## The verdict

The first line that is true of a call decides:

| when | then |
|---|---|
";

const READINGS: &str = "
A path that can be read in several ways gets a verdict under each; where they differ the call is denied with
[R035](../errors/R035.md). A rule with `Audit` decides nothing. That it matched is told in the access log (`audited`),
by `leno tap` and by `leno why ID`, and counted by `leno_audited_total`; so is that it may have matched, where that cannot
be told. Audit rules are asked one after the other, each of every call.

A call that the rules let in, and that is no health check, goes on only if every external authorizer over the port lets it, too.

## Tokens

`jwt` says whose JSON Web Tokens are believed on the targets: of every policy that is about a port, the issuers count. A token is
proven by the receiver, with a key of its issuer and an algorithm of that key's kind (RS, PS, ES and EdDSA; never `none` or a
shared secret); it must have an end (`exp`), be meant for one of `audiences`, and not be of another kind (`typ`). Clocks may
differ by 60 seconds.

```yaml
kind: AccessPolicy
spec:
  jwt:
    issuers:
    - issuer: https://id.example
      audiences: [shop]
      jwks: {url: 'https://id.example/.well-known/jwks.json'}
      claimsToHeaders: [{claim: sub, header: x-user}]
  rules:
  - requests: [{paths: [{value: /}], methods: [GET]}]
  - requests: [{claims: [{name: roles, value: admin}]}]
```

- A request whose token is **not accepted** is refused with 401 and `WWW-Authenticate` (RFC 6750) before any rule is asked, and so
  is one with two tokens, with 400. One **without a token** has no claims and meets the rules so; it gets 401 where only the claims
  were missing, and everywhere with `jwt.required: true`,
  which takes a token of that policy's **own** issuers: one of somebody whom another policy believes gets 401. A `jwt` without `required` and without rules that ask for claims
  keeps nobody out who sends no token.
- **Claims** are asked for by `requests[].claims`, by name or by JSON pointer (`/realm_access/roles`), or in a
  [condition](#conditions-when): `jwt.claims.level >= 3`. Of a list one item must
  match; of `scope` and `scp`, one word. Several policies over a port believe the issuers of all of them, but the claims that a
  policy's rules ask for are met only by tokens of **its own** issuers: a partner whom another policy believes makes nobody an
  admin here. In a policy without `jwt` of its own, a rule that asks for claims cannot be decided
  ([C152](../errors/C152.md)).
- A token **stands** in `Authorization` behind `Bearer `, or where `from` says: in a header, or in a cookie (RFC 6265). A cookie that is no UTF-8
  does not get to the application beside one that is taken out. A proxy that is too old for cookies lets nobody in there
  ([R005](../errors/R005.md)).
- The application does not see the token, unless `forward: true`. `claimsToHeaders` tells it claims; what clients send under those
  names is left out, with or without a token. A claim with a control character, an object, or a list whose item has a comma, is
  not told.
- **Keys** stand in the policy (`inline`), in a file of the control plane's folder of keys (`leno control --keys`), or at a URL. The control plane gets them, once for all
  proxies, every `every` (5 minutes): a new key counts at the latest then. Redirects are not followed, at most 128 KiB and 64
  keys are read. Keys that cannot be got again are good until `keep` (24 hours) after they were got last, also over a restart;
  `leno check` says so ([C151](../errors/C151.md)). After that, tokens of that issuer get 503 ([R063](../errors/R063.md)).
- A proxy remembers for each worker the last tokens that it has proven, by their hash, never past their end or that of their key.
  No token and no claim stands in a log or a tap. Of calls that are counted, [flows](flows.md#what-rules-ask) keep claims that rules
  ask for, and whether there was a token, so that `leno plan` decides by them; what was not kept leaves a call undecided.

## External authorization

`externalAuth` has somebody of your own asked about requests, by Envoy's ext_authz: OPA, an OAuth2 proxy, or a few lines of
yours ([guides/external-authorization.md](../guides/external-authorization.md)).

```yaml
kind: AccessPolicy
spec:
  externalAuth:
    protocol: GRPC
    backendRef: {name: authz, port: 9000}
    timeout: 500ms
    except: [{methods: [GET], paths: [{type: Exact, value: /healthz}]}]
    grpc: {allowedResponseHeaders: [x-user]}
```

| of a request that the rules let in | then |
|---|---|
| it is a health check that the `Mesh` names, or no authorizer is asked about it | allowed |
| it is a stream of bytes, and an authorizer is over the port | denied: [R065](../errors/R065.md) authorizer-silent |
| an authorizer denies it | denied with his status, headers and body: [R064](../errors/R064.md) denied-by-authorizer |
| its form is one in which an authorizer cannot be asked about it | denied, whatever `onFailure` says: [R030](../errors/R030.md) malformed-head |
| an authorizer gives no answer that counts, and `onFailure` is `Deny` | denied: [R065](../errors/R065.md) authorizer-silent |
| an authorizer gives no answer that counts, and `onFailure` is `Allow` | the next one is asked; that he was silent is told |
| each of them lets it in | allowed |

- **Several policies** over a port: the authorizer of each is asked, that of the most special policy first, one after the other. The
  first no ends it. A policy about a route has his asked about what the route takes.
- **Who asks** is the proxy of whoever is called, in the name of its workload, by mTLS where the authorizer is in the mesh: a policy over
  the authorizer has to let that workload in. Routes of the authorizer's Service do not count. Of calls to his own
  port an authorizer is not asked, also of those that are no questions: rules alone decide there. Two who would be asked about each other get no calls ([C173](../errors/C173.md)). A backend in another
  namespace needs a ReferenceGrant there from `{group: leno.dev, kind: AccessPolicy}`.
- **About what**: all requests, or `requests`, but none of `except`. Where it cannot be told whether a request is one of these, as
  with a path that can be read in several ways, he is asked.
- **What he is told** is the request as the application would get it: after claims are told and tokens left out, with the headers by
  which applications are told who calls. By gRPC all headers, or `allowedHeaders`, the caller's SPIFFE ID in `source.principal`, and
  the addresses; by HTTP method, host, path behind `path`, `Authorization` and `allowedHeaders`, and not who calls. `forwardBody` adds
  the beginning of the body, for which a client has 10 seconds, and `x-envoy-auth-partial-body`.
- **What he may say**: by gRPC `status`, `ok_response` (`headers`, `headers_to_remove`, `response_headers_to_add`) and
  `denied_response` with a status from 300 to 599; by HTTP 200 for yes, 300 to 499 for no. Of headers for the application those in
  `allowedResponseHeaders` count, and what clients send under these names never does, also where he is not asked. Nothing he says
  touches headers of one connection, of the body's length and coding, `Host`, `X-Forwarded-Client-Cert`, `leno-..` and `proxy-..`.
  Metadata are not read, and an answer that changes the query counts as none.
- **Who was asked**, what he said and how long it took stand in the access log (`authorizers`), in `leno why ID` and in a
  `TelemetryPolicy`'s fields; each question is a call of its own in `leno tap`, metrics and the map. What was let in is not asked about
  again while it goes on, unless the policy names somebody else.

`leno why A URL`, `leno plan` and recorded calls do not know what an authorizer would say: they are undecided, and name him. A case of
`leno test` says it: `authorizer: allow`.

## Health checks from outside

A load balancer or a kubelet proves nothing, and an application that it cannot ask counts as dead. `Mesh.spec.probes` lets
such checks in, whatever `mtls` and policies say, by where they come from, the workload's port and the exact path:

```yaml
kind: Mesh
spec:
  probes:
  - {from: [10.8.0.0/16], port: 8080, path: /healthz}
  - {from: [10.8.0.0/16], port: 50051, path: /grpc.health.v1.Health/Check}
```

Only GET and HEAD are such checks, and POST at gRPC's own path; never what asks for another protocol, comes with an
identity, or has a path that can be read in two ways. Logs, metrics, `leno tap`, `leno why` and the map call them `probe`. A check
that only opens a connection learns that the proxy listens, and nothing of the application: let it ask for a path.

## What can be read in several ways

Servers differ in what they make of an odd request, so a rule must not hang on one way to read it.

- A **path** with escapes, `//`, `;`, `\\` or dot segments is judged under every reading.
- A **header** may come in several fields, as a list, or spelled `x_role` where a rule says `x-role`. A rule matches
  surely if every field, and all of them joined by `, `, say what it asks for; it may match if one of them, or one element
  of a list, does. What may match and does not surely, denies if the rule denies, and does not allow if it allows.
  `leno check` refuses rules and conditions about headers that concern one connection only, and about those by which
  proxies tell who calls (`x-forwarded-client-cert`, `leno-..`): anybody could send them.
- A **template** is what `google.api.http` calls a path template: `*` and `{name}` stand for one segment that is not empty,
  `**` or `{name=**}` at the end for any number of them. The paths of an OpenAPI document are templates as they stand.
- `grpc` is about the path of a call, `/service/method`; without a service, of every service.
- A **stream of bytes** is no request: rules that ask for one do not match it. On ports where no requests are seen, a rule
  that denies some denies all ([C135](../errors/C135.md)).
- `except` takes away: nobody's calls that one of its callers matches, no request that one of its requests matches.
";

const OUTBOUND: &str = "
## Calls to hosts outside the mesh: `outbound`

Which hosts outside the mesh the targets may **call**; it says nothing of calls that they take. The proxy of the caller decides: about each
request of HTTP in plain, and each other stream when it begins; again when the configuration changes. Targets are the mesh, a
namespace, a Service (the workloads to which it leads) or a MeshWorkload, without a port. Of `outbound.default` the most special
policy that says it holds, of two equally special ones the stricter; where none says it, `Mesh.spec.unknownDestinations` does. One
that opens what is closed for the whole mesh is told ([C190](../errors/C190.md)). Rules of all of them hold. How a name is proven, and what is not seen: [calls to hosts outside](../guides/egress.md).

The first line that is true of a call decides; all that a rule says (`hosts`, `ipBlocks`, `ports`) must match:

| when | then |
|---|---|
";

const CONDITIONS: &str = "
## Conditions: `when`

A [CEL](https://cel.dev) expression, checked when the configuration is, and asked after everything else of its rule. What it
reads must be known before the call is let in. Where it has no value (a header that is not there and was not asked for with
`has(..)` before, or came more than once) the call is denied, by allow rules and deny rules alike. What is said of the source
is proven, and empty of a caller in plain: `source.namespace != 'untrusted'` is true of everybody who proves nothing.

**Claims** are those of a token that `jwt` of the same policy believes, as `requests[].claims` has it. Their types are known only
when a token comes: a claim is taken for what it is compared with, text, whole number or truth (two claims: texts), and nothing is
turned into something else. `'admins' in jwt.claims.groups` asks a list, a single value as a list of one, and of `scope` and `scp`
the words. `has(jwt.claims.groups)` and `'groups' in jwt.claims` say whether a claim is there, `has(jwt.claims)` whether there is such a token at all;
`jwt.claims.realm_access.roles` and `jwt.claims['https://shop.example/role']` name what lies deeper or has an odd name.

| the claim | then the condition |
|---|---|
| is not there, and was not asked for with `has(..)` before | has no value: the call is denied ([R060](../errors/R060.md)) |
| is of another type: `jwt.claims.role != 'guest'` of a list, `in` of a list without it and with something that is no text | has no value, likewise |
| is not there because the request carries no token | has no value: 401 ([R062](../errors/R062.md)), by allow rules and deny rules alike |

So a rule that denies asks first: `has(jwt.claims.role) && jwt.claims.role == 'guest'`. A proxy that is too old for claims in
conditions denies whatever else the rule is about ([R005](../errors/R005.md)).

| name | type | what it says |
|---|---|---|
";

const FIELDS: &str = "
## Fields

| field of `spec` | holds | without it | what it says |
|---|---|---|---|
";
