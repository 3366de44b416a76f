//! Requests that servers read differently, before servers that people run: whatever one of them makes of
//! a request that is let in, policy has allowed just that.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use leno_e2e::{Client, READERS, Read, World, ask_by_http2, frames, reader, until};
use leno_model::Dice;

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
const PATHS: [&str; 47] = [
    "/TO",
    "/TO/",
    "/TO/x",
    "/TO?x=/y",
    "/TO#x",
    "//TO",
    "///TO",
    "//x/TO",
    "///x/TO",
    "/\\x/TO",
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

const METHODS: [&str; 10] = [
    "GET", "get", "Get", "POST", "DELETE", "delete", "Delete", "DELETE ", "DELETE\t", "D",
];

/// What paths are made of that nobody wrote down.
const PIECES: [&str; 17] = [
    "/", "//", "/.", "/..", "/%2e", "/%2E%2e", "%2f", "\\", "%5c", ";", ";a=b", "/x", "/TO", "TO",
    "%20", "?", "%c0%ae",
];

/// How many of those there are for each port.
const MADE: usize = 100;

/// A request, in whatever version of HTTP.
#[derive(Debug)]
struct Request {
    method: String,
    path: String,
    /// Its headers, as lines of HTTP/1.1.
    headers: String,
}

impl Request {
    fn new(method: &str, path: &str, headers: &str) -> Self {
        let [method, path, headers] = [method, path, headers].map(str::to_owned);
        Self {
            method,
            path,
            headers,
        }
    }

    fn http1(&self) -> String {
        let Self {
            method,
            path,
            headers,
        } = self;
        format!("{method} {path} HTTP/1.1\r\nhost: cart\r\n{headers}\r\nconnection: close\r\n\r\n")
    }

    /// The same fields, if they are written as lines of their own.
    fn http2(&self) -> Option<Vec<u8>> {
        let mut fields = frames::request(&self.method, "cart", &self.path);
        for line in self.headers.split("\r\n") {
            let (name, value) = line.split_once(':')?;
            let is_name = !name.contains([' ', ',']);
            fields.extend(is_name.then(|| frames::field(name, value.trim()))?);
        }
        Some(fields)
    }
}

/// Requests, each with `TO` and `ROLE` as they are for a port: those that are written down, and some by
/// chance.
fn requests(to: &str, role: &str, dice: &mut Dice) -> Vec<Request> {
    let encoded = |at: usize| {
        let octet = to.as_bytes()[at];
        format!("/{}%{octet:02x}{}", &to[..at], &to[at + 1..])
    };
    let paths = PATHS.iter().map(|path| path.replace("TO", to));
    let paths = paths.chain([encoded(0), encoded(1), format!("/{}", to.to_uppercase())]);
    let plain = format!("x-role: {role}");
    let mut all: Vec<_> = paths
        .map(|path| Request::new("GET", &path, &plain))
        .collect();
    let path = format!("/{to}");
    // Near what is forbidden only by their role, or method.
    for at in ["/y", path.as_str()] {
        let headers = HEADERS.iter().map(|header| header.replace("ROLE", role));
        all.extend(headers.map(|header| Request::new("GET", at, &header)));
        all.extend(
            METHODS
                .iter()
                .map(|method| Request::new(method, at, &plain)),
        );
        all.push(Request::new("GET", at, "x-other: 1"));
    }
    let mut one_of = |words: &[&'static str]| {
        let words_of = NonZeroU32::new(words.len() as u32).unwrap();
        words[dice.roll(words_of).value as usize]
    };
    all.extend((0..MADE).map(|_| {
        let pieces = one_of(&["1", "2", "3", "4", "5"]).parse().unwrap();
        let pieces: String = (0..pieces).map(|_| one_of(&PIECES)).collect();
        let path = format!("/{pieces}").replace("TO", to);
        let header = one_of(&HEADERS).replace("ROLE", role);
        Request::new(one_of(&METHODS), &path, &header)
    }));
    all
}

/// What the requests are made of that nobody wrote down: `LENO_SEED=8` makes others.
fn seed() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the one setting of this test")]
    let seed = std::env::var("LENO_SEED");
    seed.map_or(7, |seed| seed.parse().expect("LENO_SEED is a number"))
}

/// What is read of a request of HTTP/1.1.
fn by_http1(at: SocketAddr, request: &Request) -> Option<Read> {
    let mut client = Client::to(at);
    client.send(request.http1());
    // Who does not understand that the connection is to be closed sees its end.
    client.end();
    Read::of(&String::from_utf8_lossy(&client.rest()))
}

/// What is read of it where it is one of HTTP/2.
fn by_http2(at: SocketAddr, request: &Request) -> Option<Read> {
    let body = ask_by_http2(at, &request.http2()?)?;
    Read::of(&format!("HTTP/1.1 200\r\n\r\n{body}"))
}

/// Against the pain "Policy that another reading of a request goes around" (docs/pains.md).
#[test]
fn whatever_a_server_reads_policy_has_allowed() {
    let seed = seed();
    for name in READERS {
        let world = World::new("mtls: Permissive, default: Allow")
            .workload("web", "")
            .workload(
                "cart",
                "{port: 8080, protocol: HTTP1}, {port: 8081, protocol: HTTP1}",
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
        let web = world.proxy("web");
        let _web = web.upstream("cart", 8080).upstream("cart", 8081).start();
        let mut missed = 0;
        let mut served = [0; 4];
        for (port, to, role) in [
            (8080, "admin", "user"),
            (8080, "items", "admin"),
            (8081, "open", "user"),
        ] {
            let violates = |read: &Read| match port {
                8080 => is_forbidden(read),
                _ => !is_allowed(read),
            };
            // By one proxy that comes before the server, and by two.
            let [one, two] = [world.at("cart", port + 10_000), world.at("web", port)];
            for request in requests(to, role, &mut Dice::new(seed)) {
                let straight = by_http1(world.at("cart", port), &request);
                missed += u32::from(straight.as_ref().is_some_and(violates));
                let read = [
                    by_http1(one, &request),
                    by_http1(two, &request),
                    by_http2(one, &request),
                    by_http2(two, &request),
                ];
                for ((read, served), way) in read.iter().zip(&mut served).zip(WAYS) {
                    *served += u32::from(read.is_some());
                    assert!(
                        !read.as_ref().is_some_and(violates),
                        "{name} {way} {request:?} (LENO_SEED={seed}): {read:?}"
                    );
                }
            }
        }
        // What is asked would be dangerous without a proxy, and is not all refused.
        let is_served = served.iter().all(|served| *served > 20);
        assert!(missed > 60 && is_served, "{name}: {missed} {served:?}");
    }
}

/// How a request comes.
const WAYS: [&str; 4] = [
    "by one proxy",
    "by two",
    "by one proxy in HTTP/2",
    "by two in HTTP/2",
];
