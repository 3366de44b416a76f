//! Requests that servers read differently, before servers that people run: whatever one of them makes of
//! a request that is let in, policy has allowed just that.

use leno_e2e::{Client, READERS, Read, World, reader, until};

/// What is forbidden on port 8080, and what alone is allowed on port 8081.
const POLICY: &str = "
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: forbids, namespace: shop}
spec:
  targetRefs: [{kind: MeshWorkload, name: cart, port: 8080}]
  rules:
  - {action: Deny, requests: [{paths: [{value: /admin}]}]}
  - {action: Deny, requests: [{methods: [DELETE]}]}
  - {action: Deny, requests: [{headers: [{name: x-role, value: admin}]}]}
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: allows, namespace: shop}
spec:
  targetRefs: [{kind: MeshWorkload, name: cart, port: 8081}]
  rules:
  - requests: [{paths: [{value: /open}], methods: [GET], headers: [{name: x-role, value: user}]}]
";

fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a server that read this met what is forbidden.
fn is_forbidden(read: &Read) -> bool {
    let mut elements = read.roles.iter().flat_map(|role| role.split(','));
    read.paths.iter().any(|path| is_below(path, "/admin"))
        || read.method.eq_ignore_ascii_case("DELETE")
        || elements.any(|role| role.trim() == "admin")
}

/// Whether a server that read this met only what is allowed.
fn is_allowed(read: &Read) -> bool {
    read.paths.iter().all(|path| is_below(path, "/open"))
        && read.method == "GET"
        && read.roles.iter().all(|role| role == "user")
}

/// Paths in many spellings, which lead to `TO` or near it.
const PATHS: [&str; 44] = [
    "/TO",
    "/TO/",
    "/TO/x",
    "/TO?x=/y",
    "/TO#x",
    "//TO",
    "///TO",
    "/./TO",
    "/.//TO",
    "/x/../TO",
    "/x/./../TO",
    "/x//../TO",
    "//x/../TO",
    "/%2e/TO",
    "/x/%2e%2e/TO",
    "/x/.%2e/TO",
    "/x/%2E./TO",
    "/x/..%2fTO",
    "/x%2f..%2fTO",
    "/%2fTO",
    "/%2FTO",
    "/TO%2fx",
    "/TO%2Fx",
    "/\\TO",
    "/x\\..\\TO",
    "/x/..\\TO",
    "/%5cTO",
    "/x%5c..%5cTO",
    "/TO;a=b",
    "/TO;/x",
    "/;/TO",
    "/x/..;/TO",
    "/%c0%afTO",
    "/x/%c0%ae%c0%ae/TO",
    "/%e0%80%afTO",
    "/TO%00",
    "/TO%20",
    "/%252e%252e/TO",
    "/x/%252e%252e/TO",
    "/TO/../y",
    "/TO/%2e%2e/y",
    "/y/../TO/../TO",
    "/TO%3fx",
    "http://cart/TO",
];

/// Headers in many forms, of which `ROLE` is one value.
const HEADERS: [&str; 14] = [
    "x-role: ROLE",
    "X-ROLE: ROLE",
    "x-role:ROLE",
    "x-role:\tROLE \t",
    "x-role: ROLE\r\nx-role: other",
    "x-role: other\r\nx-role: ROLE",
    "x-role: ROLE\r\nX-Role: ROLE",
    "x-role: ROLE, other",
    "x-role: other,ROLE",
    "x-role: other\r\nx_role: ROLE",
    "x_role: ROLE",
    "x-role:\r\n ROLE",
    "x-role : ROLE",
    "x-role: other\r\n ,ROLE",
];

const METHODS: [&str; 8] = [
    "GET", "get", "Get", "POST", "DELETE", "delete", "Delete", "DELETE ",
];

/// Requests, each with `TO` and `ROLE` as they are for a port.
fn requests(to: &str, role: &str) -> Vec<String> {
    let encoded = |at: usize| {
        let octet = to.as_bytes()[at];
        format!("/{}%{octet:02x}{}", &to[..at], &to[at + 1..])
    };
    let paths = PATHS.iter().map(|path| path.replace("TO", to));
    let paths = paths.chain([encoded(0), encoded(1), format!("/{}", to.to_uppercase())]);
    let plain = format!("x-role: {role}");
    let mut all: Vec<_> = paths.map(|path| request("GET", &path, &plain)).collect();
    let path = format!("/{to}");
    // Near what is forbidden only by their role, or method.
    for at in ["/y", path.as_str()] {
        let headers = HEADERS.iter().map(|header| header.replace("ROLE", role));
        all.extend(headers.map(|header| request("GET", at, &header)));
        all.extend(METHODS.iter().map(|method| request(method, at, &plain)));
        all.push(request("GET", at, "x-other: 1"));
    }
    all
}

fn request(method: &str, path: &str, header: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: cart\r\n{header}\r\nconnection: close\r\n\r\n")
}

/// Against the pain "Policy that another reading of a request goes around" (docs/pains.md).
#[test]
fn whatever_a_server_reads_policy_has_allowed() {
    for name in READERS {
        let world = World::new("mtls: Permissive, default: Allow")
            .workload(
                "cart",
                "{port: 8080, protocol: HTTP}, {port: 8081, protocol: HTTP}",
            )
            .objects(POLICY);
        let ports = [8080, 8081].map(|port| world.at("cart", port));
        let Some(_reader) = reader(&world, name, &ports) else {
            continue;
        };
        for at in ports {
            until(name, || Client::try_to(at).map(drop));
        }
        let _cart = world.proxy("cart").plain(8080).plain(8081).start();
        let ask = |at, request: &str| {
            let mut client = Client::to(at);
            client.send(request);
            // Who does not understand that the connection is to be closed sees its end.
            client.end();
            Read::of(&String::from_utf8_lossy(&client.rest()))
        };
        let (mut missed, mut served) = (0, 0);
        for (port, to, role) in [
            (8080, "admin", "user"),
            (8080, "items", "admin"),
            (8081, "open", "user"),
        ] {
            for request in requests(to, role) {
                let violates = |read: &Read| match port {
                    8080 => is_forbidden(read),
                    _ => !is_allowed(read),
                };
                let straight = ask(world.at("cart", port), &request);
                missed += u32::from(straight.as_ref().is_some_and(violates));
                let read = ask(world.at("cart", port + 10_000), &request);
                served += u32::from(read.is_some());
                assert!(
                    !read.as_ref().is_some_and(violates),
                    "{name} {request:?}: {read:?}"
                );
            }
        }
        // What is asked would be dangerous without a proxy, and is not all refused.
        assert!(missed > 60 && served > 20, "{name}: {missed} {served}");
    }
}
