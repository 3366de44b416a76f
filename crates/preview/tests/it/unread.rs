//! What a change reads of requests and nobody records.

use leno_preview::{Ground, unread};

use crate::world::{mesh, mesh_with};

const CART: &str = "
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop},
 spec: {selector: {app: cart}, ports: [{port: 80, targetPort: 8080, appProtocol: http}]}}
---
";

fn policy(spec: &str) -> String {
    format!(
        "{CART}{{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {{name: cart, namespace: shop}},
 spec: {{targetRefs: [{{kind: Service, name: cart}}], {spec}}}}}"
    )
}

fn route(matches: &str) -> String {
    format!(
        "{CART}{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: cart, namespace: shop}},
 spec: {{parentRefs: [{{group: '', kind: Service, name: cart}}], {matches}}}}}"
    )
}

const JWT: &str =
    "jwt: {issuers: [{issuer: a, audiences: ['*'], jwks: {url: 'https://a.example/keys'}}]}";

/// `shop/cart header:x-role`, a line for each service.
fn check(before: &str, overrides: &[&str], after: &str, expect: &str) {
    let (before, after) = (mesh_with(before, overrides), mesh(after));
    let told = unread(&Ground::new(&before), &Ground::new(&after));
    let told = told.iter().map(|(service, facts)| {
        let facts = facts.iter().map(ToString::to_string);
        format!("{service} {}", facts.collect::<Vec<_>>().join(" "))
    });
    assert_eq!(told.collect::<Vec<_>>().join("\n"), expect);
}

#[test]
fn what_access_rules_read_counts_once_it_is_new_and_can_be_had() {
    let role = policy("rules: [{requests: [{headers: [{name: X-Role, value: a}]}]}]");
    let host = policy(
        "rules: [{requests: [{hosts: [cart.example]}]}, {when: request.headers.key == 'k'}]",
    );
    let anybody = policy("rules: [{}]");
    check(&anybody, &[], &role, "shop/cart header:x-role");
    check(&anybody, &[], &host, "shop/cart host header:key");
    check(&role, &[], &role, "");
    check(&role, &[], &anybody, "");
    check(&anybody, &["record shop/cart header:x-role"], &role, "");
    check(
        &anybody,
        &["record shop/other header:x-role"],
        &role,
        "shop/cart header:x-role",
    );
    // Nobody proves a claim where no token is believed.
    let claim = format!("rules: [{{requests: [{{claims: [{{name: role, value: a}}]}}]}}], {JWT}");
    let believed = policy(&format!("rules: [{{}}], {JWT}"));
    check(&believed, &[], &policy(&claim), "shop/cart claim:role");
    check(&anybody, &[], &policy(&claim), "");
}

#[test]
fn what_routes_read_counts_once_it_is_new() {
    let any = route("rules: [{backendRefs: [{name: cart, port: 80}]}]");
    let beta = route(
        "rules: [{matches: [{headers: [{name: x-beta, value: a}],
 queryParams: [{name: v, value: b}]}], backendRefs: [{name: cart, port: 80}]}]",
    );
    check(CART, &[], &any, "");
    check(CART, &[], &beta, "shop/cart header:x-beta query:v");
    check(
        &any,
        &["record shop/cart query:v"],
        &beta,
        "shop/cart header:x-beta",
    );
}
