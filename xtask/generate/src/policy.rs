//! The reference of `AccessPolicy`: its fields from their table, its precedence from the compiler's, what
//! refuses a call from the table of codes.

use std::fmt::Write as _;

use leno_compile::Special;
use leno_condition::Fact;
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
    text += VERDICT;
    for (when, then) in STEPS {
        let then = match then {
            Then::Refuse(code) => refused(*code),
            Then::Let(words) => (*words).to_owned(),
        };
        row(&mut text, &[when, &then]);
    }
    text += READINGS;
    text += CONDITIONS;
    for fact in Fact::all().filter(|fact| fact.is_known_first()) {
        row(
            &mut text,
            &[&code(fact.name()), &code(fact.kind()), fact.doc()],
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
        "`mtls` is `Strict`, and the call came in plain",
        Then::Refuse(Code::R002),
    ),
    ("a rule with `Deny` matches", Then::Refuse(Code::R004)),
    (
        "a rule matches that this proxy is too old for, or that could not be read",
        Then::Refuse(Code::R005),
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
        "there are rules with `Allow`, and none matches",
        Then::Refuse(Code::R003),
    ),
    ("`default` is `Deny`", Then::Refuse(Code::R003)),
    ("else", Then::Let("allowed")),
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

const VERDICT: &str = "
A policy without `rules` names no caller and by itself allows and denies nobody; `rules: []` is an error
([C132](../errors/C132.md)). What cannot be read of a policy denies what the rest of it covers. Routes are decided by the
caller's proxy, so a policy about a route is refused ([C114](../errors/C114.md)): name the Service, and the paths in a rule.

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

const CONDITIONS: &str = "
## Conditions: `when`

A [CEL](https://cel.dev) expression, checked when the configuration is, and asked after everything else of its rule. What it
reads must be known before the call is let in. Where it has no value (a header that is not there and was not asked for with
`has(..)` before, or came more than once) the call is denied, by allow rules and deny rules alike. What is said of the source
is proven, and empty of a caller in plain: `source.namespace != 'untrusted'` is true of everybody who proves nothing.

| name | type | what it says |
|---|---|---|
";

const FIELDS: &str = "
## Fields

| field of `spec` | holds | without it | what it says |
|---|---|---|---|
";
