//! Which calls a change breaks, which it leads elsewhere, of which it cannot be told.

use crate::world::{check, check_with_earlier};

/// An `AccessPolicy` over the cart.
fn policy(rules: &str) -> String {
    format!(
        "{{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {{name: cart, namespace: shop}},
          spec: {{targetRefs: [{{kind: MeshWorkload, name: cart}}], {rules}}}}}"
    )
}

/// An `HTTPRoute` of the cart.
fn route(rules: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: cart, namespace: shop}},
          spec: {{parentRefs: [{{group: '', kind: Service, name: cart}}], rules: [{rules}]}}}}"
    )
}

const CALLS: &str = "
    web > cart:8080 GET /items 200 x12
    web > cart:8080 GET /items 503 x2
    checkout > cart:8080 GET /items/{id} 200 x7
    web > db:5432 tcp x3";

#[test]
fn a_rule_that_names_others_breaks_who_calls() {
    check(
        "",
        &policy("rules: [{callers: [{identity: shop/checkout}]}]"),
        CALLS,
        "breaks 14 shop/web > shop/cart:8080 GET /items 200 -> 403 R003: \
         allows only shop/checkout [AccessPolicy shop/cart /spec/rules/0]",
    );
}

#[test]
fn who_may_call_and_asks_for_more_than_it_may_is_told_so() {
    check(
        "",
        &policy("rules: [{requests: [{methods: [GET], paths: [{value: /items}]}]}]"),
        "web > cart:8080 POST /items 201 x4
         web > cart:8080 GET /items/{id} 200 x9",
        "breaks 4 shop/web > shop/cart:8080 POST /items 201 -> 403 R003: \
         allows it only GET /items/* [AccessPolicy shop/cart /spec/rules/0]",
    );
}

#[test]
fn a_rule_that_leaves_is_the_one_to_blame() {
    check(
        &policy(
            "rules: [{callers: [{identity: shop/checkout}]}, {callers: [{identity: shop/web}]}]",
        ),
        &policy("rules: [{callers: [{identity: shop/checkout}]}]"),
        CALLS,
        "breaks 14 shop/web > shop/cart:8080 GET /items 200 -> 403 R003: \
         allows only shop/checkout [AccessPolicy shop/cart /spec/rules/0]",
    );
}

#[test]
fn a_default_that_denies_says_so_itself() {
    check(
        "",
        &policy("default: Deny"),
        "web > cart:8080 GET /items 200",
        "breaks 1 shop/web > shop/cart:8080 GET /items 200 -> 403 R003: \
         no AccessPolicy allows it, and the default is to deny [AccessPolicy shop/cart /spec/default]",
    );
}

#[test]
fn strict_mtls_breaks_whom_no_proxy_calls_for() {
    check(
        "",
        &policy("mtls: Strict"),
        "10.0.0.9 > cart:8080 GET /items 200 x5
         10.0.7.7 > cart:8080 POST /items 201 x2
         web > cart:8080 GET /items 200 x90",
        "breaks 5 shop/legacy (10.0.0.9) > shop/cart:8080 GET /items 200 -> 403 R002: \
         mTLS is strict, and the call came in plain [AccessPolicy shop/cart /spec/mtls]
         breaks 2 10.0.7.7 > shop/cart:8080 POST /items 201 -> 403 R002: \
         mTLS is strict, and the call came in plain [AccessPolicy shop/cart /spec/mtls]",
    );
}

#[test]
fn who_was_refused_and_would_not_be_is_a_change() {
    check(
        &policy("rules: [{callers: [{identity: shop/checkout}]}]"),
        &policy("rules: [{callers: [{namespace: shop}]}]"),
        "web > cart:8080 GET /items 403 R003 x6",
        "changes 6 shop/web > shop/cart:8080 GET /items 403: would be let through; refused in force by \
         R003 no-allow-rule [AccessPolicy shop/cart /spec/rules/0]",
    );
}

#[test]
fn another_split_is_told_in_shares() {
    check(
        &route("{backendRefs: [{name: cart, port: 8080, weight: 95}, {name: cart-v2, port: 8080, weight: 5}]}"),
        &route("{backendRefs: [{name: cart, port: 8080, weight: 90}, {name: cart-v2, port: 8080, weight: 10}]}"),
        CALLS,
        "changes 14 shop/web > shop/cart:8080 GET /items 200: 10 % to shop/cart-v2:8080, which gets 5 % \
         [HTTPRoute shop/cart /spec/rules/0]
         changes 7 shop/checkout > shop/cart:8080 GET /items/{id} 200: 10 % to shop/cart-v2:8080, which gets 5 % \
         [HTTPRoute shop/cart /spec/rules/0]",
    );
}

#[test]
fn a_route_that_forwards_to_whom_was_called_changes_nothing_that_it_takes() {
    check(
        "",
        &route("{matches: [{path: {value: /items}}], backendRefs: [{name: cart, port: 8080}]}"),
        "web > cart:8080 GET /items/{id} 200
         web > cart:8080 GET /health 200 x3",
        "breaks 3 shop/web > shop/cart:8080 GET /health 200 -> 404 R010: \
         no rule of HTTPRoute shop/cart takes it [HTTPRoute shop/cart /spec/rules/0]",
    );
}

#[test]
fn what_was_folded_or_not_kept_leaves_it_open() {
    check(
        "",
        &policy("rules: [{requests: [{paths: [{type: Exact, value: /items/7}]}]}]"),
        "web > cart:8080 GET /items/{id} 200 x4
         web > cart:8080 GET /items/new 200 x2
         web > cart:8080 other other 200",
        "breaks 2 shop/web > shop/cart:8080 GET /items/new 200 -> 403 R003: \
         allows it only /items/7 [AccessPolicy shop/cart /spec/rules/0]
         undecided 5 shop/web > shop/cart:8080 GET /items/{id} 200, other 200: the whole path",
    );
    check(
        "",
        &route(
            "{matches: [{path: {value: /}, headers: [{name: x-beta, value: '1'}]}],
              backendRefs: [{name: cart-v2, port: 8080}]},
             {backendRefs: [{name: cart, port: 8080}]}",
        ),
        "web > cart:8080 GET /items 200",
        "undecided 1 shop/web > shop/cart:8080 GET /items 200: \
         rule 1 asks for header x-beta, which was not recorded",
    );
    check(
        "",
        &policy("rules: [{action: Deny, when: \"request.headers['x-role'] == 'guest'\"}]"),
        "web > cart:8080 GET /items 200",
        "undecided 1 shop/web > shop/cart:8080 GET /items 200: header x-role",
    );
}

#[test]
fn facts_that_were_kept_decide() {
    let guests = policy("rules: [{action: Deny, when: \"request.headers['x-role'] == 'guest'\"}]");
    check(
        "",
        &guests,
        "web > cart:8080 GET /items 200 fact:hx-role=guest x3
         web > cart:8080 GET /items 200 fact:hx-role=admin x4
         web > cart:8080 GET /items 200 fact:hx-role x5
         web > cart:8080 GET /items 200 fact:hx-other=1 x6
         web > cart:8080 GET /items 200 fact:other x7",
        "breaks 5 shop/web > shop/cart:8080 GET /items 200 -> 403 R060: AccessPolicy shop/cart rule 1 \
         cannot be decided: its condition has no value: the header it looks into is not there \
         [AccessPolicy shop/cart /spec/rules/0]
         breaks 3 shop/web > shop/cart:8080 GET /items 200 -> 403 R004: \
         denied by AccessPolicy shop/cart rule 1 [AccessPolicy shop/cart /spec/rules/0]
         undecided 13 shop/web > shop/cart:8080 GET /items 200: header x-role",
    );
    // What was kept of them earlier makes them no other calls.
    check_with_earlier(
        "",
        &guests,
        "web > cart:8080 GET /items 200 fact:hx-role=admin x4",
        "web > cart:8080 GET /items 200 x4",
        "",
    );
    let hosts = policy("rules: [{requests: [{hosts: [cart.shop]}]}]");
    check(
        "",
        &hosts,
        "web > cart:8080 GET /items 200 fact:@=cart.shop x3
         web > cart:8080 GET /items 200 fact:@=cart x4
         web > cart:8080 GET /items 200 x5",
        "breaks 4 shop/web > shop/cart:8080 GET /items 200 -> 403 R003: \
         allows it only cart.shop [AccessPolicy shop/cart /spec/rules/0]
         undecided 5 shop/web > shop/cart:8080 GET /items 200: the host",
    );
    let beta = |query: &str| {
        route(&format!(
            "{{matches: [{{queryParams: [{{name: {query}, value: 'a b'}}]}}],
              backendRefs: [{{name: cart-v2, port: 8080}}]}},
             {{backendRefs: [{{name: cart, port: 8080}}]}}"
        ))
    };
    check(
        "",
        &beta("v"),
        "web > cart:8080 GET /items 200 fact:qv=b x3
         web > cart:8080 GET /items 200 fact:qv x4
         web > cart:8080 GET /items 200 x5",
        "undecided 5 shop/web > shop/cart:8080 GET /items 200: \
         rule 1 asks for query v, which was not recorded",
    );
    // What a route sets is known whatever came; what came of the rest still is.
    let sets = route(
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-seen, value: '1'}]}}],
          backendRefs: [{name: cart, port: 8080}]}",
    );
    check(
        &sets,
        &format!("{sets}\n---\n{guests}"),
        "web > cart:8080 GET /items 200 fact:hx-role=guest x3
         web > cart:8080 GET /items 200 fact:hx-role=admin x4",
        "breaks 3 shop/web > shop/cart:8080 GET /items 200 -> 403 R004: \
         denied by AccessPolicy shop/cart rule 1 [AccessPolicy shop/cart /spec/rules/0]",
    );
}

#[test]
fn what_is_open_anyway_is_no_change() {
    let guests = "rules: [{action: Deny, when: \"request.headers['x-role'] == 'guest'\"}]";
    let moved = format!("# A line more.\n{}", policy(guests));
    check(&policy(guests), &moved, CALLS, "");
}

#[test]
fn a_rule_about_addresses_is_asked_of_those_that_the_caller_has() {
    check(
        "",
        &policy("rules: [{callers: [{ipBlock: 10.0.0.1/32}]}]"),
        "web > cart:8080 GET /items 200
         checkout > cart:8080 GET /items 200",
        "undecided 1 shop/checkout > shop/cart:8080 GET /items 200: the caller's address",
    );
}

#[test]
fn a_rewritten_path_is_what_the_receiver_is_asked_about() {
    let only_v1 = "rules: [{requests: [{paths: [{value: /v1}]}]}]";
    let rewritten = route(
        "{matches: [{path: {value: /api}}], backendRefs: [{name: cart, port: 8080}],
          filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /v1}}}]}",
    );
    let both = format!("{rewritten}\n---\n{}", policy(only_v1));
    check(&rewritten, &both, "web > cart:8080 GET /api/{id} 200", "");
    let straight = "web > cart:8080 GET /api/{id} 200";
    check(
        "",
        &policy(only_v1),
        straight,
        "breaks 1 shop/web > shop/cart:8080 GET /api/{id} 200 -> 403 R003: \
         allows it only /v1/* [AccessPolicy shop/cart /spec/rules/0]",
    );
}

#[test]
fn a_stream_asks_for_nothing_that_a_rule_could_read() {
    check(
        "",
        "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: db, namespace: shop},
          spec: {targetRefs: [{kind: MeshWorkload, name: db}], rules: [{callers: [{identity: shop/cart}]}]}}",
        CALLS,
        "breaks 3 shop/web > shop/db:5432 tcp -> 403 R003: \
         allows only shop/cart [AccessPolicy shop/db /spec/rules/0]",
    );
}

#[test]
fn what_was_counted_without_names_is_open_where_anything_changes() {
    let folded = "other > other:0 other other 200 x8";
    check("", "", folded, "");
    check(
        "",
        &policy("default: Deny"),
        folded,
        "undecided 8 other > other:0 other 200: who called whom",
    );
}

#[test]
fn who_called_earlier_and_not_since_is_told_apart() {
    check_with_earlier(
        "",
        &policy("rules: [{callers: [{identity: shop/web}]}]"),
        "web > cart:8080 GET /items 200 x12",
        "web > cart:8080 GET /items 200 x40
         reconcile > cart:8080 POST /sums 200 x2
         web > db:5432 tcp x3",
        "silent: breaks 2 shop/reconcile > shop/cart:8080 POST /sums 200 -> 403 R003: \
         allows only shop/web [AccessPolicy shop/cart /spec/rules/0]",
    );
}

#[test]
fn requests_for_which_it_means_the_same_are_one_row() {
    check(
        "",
        &policy("rules: [{callers: [{identity: shop/checkout}]}]"),
        "web > cart:8080 GET /items 200 x2
         web > cart:8080 GET /items/{id} 200 x9
         web > cart:8080 POST /items 201",
        "breaks 12 shop/web > shop/cart:8080 GET /items/{id} 200, GET /items 200, POST /items 201 \
         -> 403 R003: allows only shop/checkout [AccessPolicy shop/cart /spec/rules/0]",
    );
}

#[test]
fn which_rule_took_it_was_recorded_and_stands_while_the_matches_do() {
    let canary = |share: u32, beta: &str| {
        route(&format!(
            "{{matches: [{{headers: [{{name: x-user, value: {beta}}}]}}], backendRefs: [{{name: cart-v2, port: 8080}}]}},
             {{backendRefs: [{{name: cart, port: 8080, weight: {}}}, {{name: cart-v2, port: 8080, weight: {share}}}]}}",
            100 - share
        ))
    };
    let calls = "
        web > cart:8080 GET /items 200 rule=1 x3
        web > cart:8080 GET /items 200 rule=2 x20";
    check(
        &canary(10, "beta"),
        &canary(20, "beta"),
        calls,
        "changes 20 shop/web > shop/cart:8080 GET /items 200: 20 % to shop/cart-v2:8080, which gets 10 % \
         [HTTPRoute shop/cart /spec/rules/1]",
    );
    check(
        &canary(10, "beta"),
        &canary(10, "gamma"),
        calls,
        "undecided 23 shop/web > shop/cart:8080 GET /items 200: \
         rule 1 asks for header x-user, which was not recorded",
    );
}

/// The mesh, with these fields beside those of every test.
fn mesh(fields: &str) -> String {
    format!(
        "{{apiVersion: leno.dev/v1alpha1, kind: Mesh, metadata: {{name: shop}}, spec: {{default: Allow, {fields}}}}}"
    )
}

const CHECKS: &str = "
    probe@10.8.0.1 > cart:8080 GET /healthz 200 x30
    10.8.0.1 > cart:8080 GET /items 200 x2
    web > cart:8080 GET /healthz 200 x4
    web > db:5432 tcp x3";

#[test]
fn health_checks_that_are_let_in_no_more_break() {
    let probes = |path: &str| {
        mesh(&format!(
            "mtls: Strict, probes: [{{from: [10.8.0.0/16], port: 8080, path: {path}}}]"
        ))
    };
    let breaks = "breaks 30 10.8.0.1 > shop/cart:8080 GET /healthz 200 -> 403 R002: \
                  mTLS is strict, and the call came in plain [Mesh shop /spec/mtls]";
    check(&probes("/healthz"), &mesh("mtls: Strict"), CHECKS, breaks);
    check(&probes("/healthz"), &probes("/ready"), CHECKS, breaks);
    let moved = format!("# A line more.\n{}", probes("/healthz"));
    check(&probes("/healthz"), &moved, CHECKS, "");
}

#[test]
fn health_checks_are_known_to_be_let_in() {
    let probes = "probes: [{from: [10.8.0.0/16], port: 8080, path: /healthz}]";
    check(
        &mesh(&format!("mtls: Permissive, {probes}")),
        &mesh(&format!("mtls: Strict, {probes}")),
        CHECKS,
        "breaks 2 10.8.0.1 > shop/cart:8080 GET /items 200 -> 403 R002: \
         mTLS is strict, and the call came in plain [Mesh shop /spec/mtls]",
    );
}

/// Tokens of one issuer, and these fields.
fn believing(issuer: &str, more: &str) -> String {
    policy(&format!(
        "jwt: {{required: true, issuers: [{{issuer: {issuer}, audiences: ['*'], jwks: {{url: 'https://{issuer}.example/keys'}}}}]}}, {more}"
    ))
}

#[test]
fn what_came_of_a_token_stays_so_where_nothing_about_tokens_changes() {
    let calls = "
        web > cart:8080 GET /items 200 x5
        web > cart:8080 POST /items 401 R061 x3
        web > cart:8080 PUT /items 401 R062 x2
        web > cart:8080 GET /debug 200
        10.0.7.7 > cart:8080 GET /items 200 x4";
    let any = "rules: [{callers: [{namespace: shop}]}, {callers: [{ipBlock: 10.0.7.0/24}]}]";
    let denied = "{action: Deny, requests: [{paths: [{value: /debug}]}]}, ";
    let both = any.replacen('[', &format!("[{denied}"), 1);
    let (before, after) = (believing("a", any), believing("a", &both));
    check(
        &before,
        &after,
        calls,
        "breaks 1 shop/web > shop/cart:8080 GET /debug 200 -> 403 R004: \
         denied by AccessPolicy shop/cart rule 1 [AccessPolicy shop/cart /spec/rules/0]",
    );
    let moved = format!("# A line more.\n{before}");
    check(&before, &moved, calls, "");
    let other = believing("b", any);
    let told =
        "undecided 11 shop/web > shop/cart:8080 GET /items 200, POST /items 401, PUT /items 401, \
                GET /debug 200: the token of the request
                undecided 4 10.0.7.7 > shop/cart:8080 GET /items 200: the token of the request";
    check(&before, &other, calls, told);
}

#[test]
fn calls_are_judged_by_what_was_kept_of_their_tokens() {
    let asks = |role: &str| {
        let requests = format!("requests: [{{claims: [{{name: role, value: {role}}}]}}]");
        believing("a", &format!("rules: [{{{requests}}}]"))
    };
    let calls = "
        web > cart:8080 GET /both 200 fact:ciss=\"a\" fact:crole=[\"admin\",\"user\"] x5
        web > cart:8080 GET /one 200 fact:ciss=\"a\" fact:crole=\"admin\" x3
        web > cart:8080 GET /none 401 R062 fact:t x2
        web > cart:8080 GET /unkept 200 x4";
    check(
        &asks("admin"),
        &asks("user"),
        calls,
        "breaks 3 shop/web > shop/cart:8080 GET /one 200 -> 403 R003: \
         allows it only claim role=user [AccessPolicy shop/cart /spec/rules/0]
         undecided 4 shop/web > shop/cart:8080 GET /unkept 200: claim role",
    );
    let when = |when: &str| believing("a", &format!("rules: [{{when: \"{when}\"}}]"));
    check(
        &asks("admin"),
        &when("'user' in jwt.claims.role"),
        calls,
        "breaks 3 shop/web > shop/cart:8080 GET /one 200 -> 403 R003: \
         allows it only under conditions: everyone everything when 'user' in jwt.claims.role \
         [AccessPolicy shop/cart /spec/rules/0]
         undecided 4 shop/web > shop/cart:8080 GET /unkept 200: claim role",
    );
    // What no rule read was not kept.
    check(
        &asks("admin"),
        &when("jwt.claims.level > 2"),
        calls,
        "undecided 12 shop/web > shop/cart:8080 GET /both 200, GET /unkept 200, GET /one 200: claim level",
    );
}

#[test]
fn who_came_without_a_token_is_told_where_one_is_to_be_required() {
    let asked = believing("a", "rules: [{callers: [{namespace: shop}]}]");
    let calls = "
        web > cart:8080 GET /with 200 fact:ciss=\"a\" x5
        web > cart:8080 GET /without 200 fact:t x3
        web > cart:8080 GET /unkept 200 x4";
    check(
        &asked.replace("required: true, ", ""),
        &asked,
        calls,
        "breaks 3 shop/web > shop/cart:8080 GET /without 200 -> 401 R062: \
         the request carries no token, and only calls with one are allowed \
         [AccessPolicy shop/cart /spec/jwt/required]
         undecided 4 shop/web > shop/cart:8080 GET /unkept 200: the token of the request",
    );
}

#[test]
fn how_rules_judged_stays_so_where_only_mtls_changes() {
    let rules = "rules: [{requests: [{claims: [{name: role, value: admin}]}]}]";
    check(
        &believing("a", rules),
        &believing("a", &format!("mtls: Strict, {rules}")),
        "web > cart:8080 GET /items 200 x5
         web > cart:8080 POST /items 403 R003 x3
         10.0.7.7 > cart:8080 GET /items 200 x4",
        "breaks 4 10.0.7.7 > shop/cart:8080 GET /items 200 -> 403 R002: \
         mTLS is strict, and the call came in plain [AccessPolicy shop/cart /spec/mtls]",
    );
}

/// What may be called outside by `web`.
fn outbound(rules: &str) -> String {
    format!(
        "{{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {{name: out, namespace: shop}},
          spec: {{targetRefs: [{{kind: MeshWorkload, name: web}}], outbound: {{{rules}}}}}}}"
    )
}

#[test]
fn calls_that_leave_the_mesh_are_judged_by_the_host_that_was_recorded() {
    let before = outbound("default: Deny, rules: [{hosts: [api.example, '*.cloud.example']}]");
    let calls = "
        web > api.example:443 tcp x3
        web > *.cloud.example:443 tcp x5
        web > unknown:0 tcp x2
        cart > unknown:0 tcp";
    let closed = outbound("default: Deny, rules: [{hosts: ['*.example'], ports: [80]}]");
    check(
        &before,
        &closed,
        calls,
        "breaks 5 shop/web > *.cloud.example:443 tcp -> 403 R067: \
         no outbound rule lets shop/web call *.cloud.example:443 [AccessPolicy shop/out /spec/outbound/default]
         breaks 3 shop/web > api.example:443 tcp -> 403 R067: \
         no outbound rule lets shop/web call api.example:443 [AccessPolicy shop/out /spec/outbound/default]
         undecided 2 shop/web > unknown:0 tcp: the host outside the mesh that was called",
    );
}

#[test]
fn a_rule_by_address_refuses_calls_to_those_of_the_mesh_that_have_no_proxy() {
    let closed = outbound("rules: [{action: Deny, ipBlocks: [10.0.0.0/24]}]");
    let service = "{apiVersion: v1, kind: Service, metadata: {name: old, namespace: shop},
          spec: {selector: {app: old}, clusterIP: 10.96.0.9, ports: [{port: 81, targetPort: 8081}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: legacy-shop, namespace: shop, labels: {app: old}},
          spec: {ports: [{port: 8081, protocol: HTTP}], instances: [{address: 10.0.0.10}]}}";
    let calls = "
        web > old:81 GET / 200 x4
        web > cart:80 GET / 200 x3";
    check(
        service,
        &format!("{service}\n---\n{closed}"),
        calls,
        "breaks 4 shop/web > shop/old:81 GET / 200 -> 403 R067: 10.0.0.10:8081 is denied to shop/web: \
         AccessPolicy shop/out outbound rule 1 (in 10.0.0.0/24) [AccessPolicy shop/out /spec/outbound/rules/0]",
    );
}

#[test]
fn calls_that_a_network_policy_would_keep_out_break_at_its_rule() {
    let policy = |ports: &str| {
        format!(
            "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: cart, namespace: shop}},
              spec: {{podSelector: {{matchLabels: {{app: cart}}}},
                     ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: shop}}}}}}],
                                ports: [{ports}]}}]}}}}"
        )
    };
    let calls = "
    web > cart:8080 GET /items 200 x4
    10.8.0.1 > cart:8080 GET /items 200 x2
    web > db:5432 tcp x3";
    let breaks = "breaks 4 shop/web > shop/cart:8080 GET /items 200 -> 403 R003: \
                  NetworkPolicy shop/cart lets in others, or to other ports, alone [NetworkPolicy shop/cart /spec/podSelector]";
    check(
        &policy("{port: 8080}"),
        &policy("{port: 9090}"),
        calls,
        breaks,
    );
    check("", &policy("{port: 8080}"), calls, "");
    let moved = format!("# A line more.\n{}", policy("{port: 8080}"));
    check(&policy("{port: 8080}"), &moved, calls, "");
}
