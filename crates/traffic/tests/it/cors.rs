//! Which pages of other sites may call, and what their browsers are told.

use leno_model::Dice;
use leno_model::view::{HostMatch, SiteMatch};
use leno_traffic::{Routed, Scope, Table};

use crate::routes::{outcome, told};
use crate::world::{World, local, port, site, with_request};

fn table(routes: &str) -> Table {
    let world = World::new().services(&["cart", "a", "b"]);
    Table::new(world.routes("cart", routes).view(), Scope::Whole)
}

/// What becomes of a preflight for `PUT /items`.
fn preflight(cors: &str, headers: &str, expect: &str) {
    let table = table(&format!("path=/items -> a cors={cors}"));
    let request = format!("OPTIONS http://cart/items access-control-request-method:PUT {headers}");
    let outcome = outcome(&table, request.trim_end(), &mut Dice::new(1));
    assert_eq!(outcome, expect, "{cors} | {headers}");
}

#[test]
fn a_browser_is_told_what_the_filter_says() {
    preflight(
        "https://www.foo.com,https://*.bar.com;credentials;methods=GET,OPTIONS;headers=x-1,x-2;read=x-3,x-4",
        "origin:https://www.foo.com access-control-request-headers:x-1,x-2",
        "allow-origin: https://www.foo.com; allow-credentials: true; expose-headers: x-3, x-4; \
         allow-methods: GET, OPTIONS; allow-headers: x-1, x-2; max-age: 5; vary: Origin",
    );
    preflight(
        "https://www.foo.com",
        "origin:https://www.foo.com",
        "allow-origin: https://www.foo.com; max-age: 5; vary: Origin",
    );
    preflight(
        "https://www.foo.com",
        "origin:https://foobar.com",
        "403 R007",
    );
    preflight("", "origin:https://foobar.com", "403 R007");
}

#[test]
fn with_credentials_nothing_is_allowed_by_an_asterisk() {
    preflight(
        "*;methods=*;headers=*;read=*",
        "origin:https://a.example access-control-request-headers:x-1",
        "allow-origin: *; expose-headers: *; allow-methods: PUT; allow-headers: x-1; max-age: 5",
    );
    preflight(
        "*;credentials;methods=*;headers=*;read=*",
        "origin:https://a.example:8443 access-control-request-headers:x-1",
        "allow-origin: https://a.example:8443; allow-credentials: true; allow-methods: PUT; \
         allow-headers: x-1; max-age: 5; vary: Origin",
    );
    preflight(
        "*;credentials;headers=*",
        "origin:https://a.example",
        "allow-origin: https://a.example; allow-credentials: true; max-age: 5; vary: Origin",
    );
}

#[test]
fn what_is_no_site_is_not_said_back() {
    let for_all = "*;credentials";
    for hostile in [
        "null",
        "https://",
        "//a.example",
        "a.example",
        "https://a.example/x",
        "https://user@a.example",
        "https://a.example:99999",
        "https://a.example,https://b.example",
        "https://a\u{e4}.example",
        "<script>://a.example",
    ] {
        preflight(for_all, &format!("origin:{hostile}"), "403 R007");
    }
    let twice = "origin:https://a.example origin:https://b.example";
    preflight("https://a.example", twice, "403 R007");
    // A page without a site may ask where everybody may, and nobody is known by name.
    preflight("*", "origin:null", "allow-origin: *; max-age: 5");
    preflight(
        "*;headers=*",
        "origin:https://a.example access-control-request-headers:x<1>",
        "allow-origin: *; max-age: 5",
    );
}

#[test]
fn the_rule_that_will_take_the_call_answers_the_question() {
    let table = table(
        "path=/ method=GET -> a cors=https://get.example
         path=/ method=PUT -> b cors=https://put.example
         path=/ method=OPTIONS -> a
         path=/ -> b",
    );
    let check = |request: &str, expect: &str| {
        let outcome = outcome(&table, request, &mut Dice::new(1));
        assert_eq!(outcome, expect, "{request}");
    };
    let ask = |method: &str, site: &str, expect: &str| {
        let question = format!(
            "OPTIONS http://cart/ origin:https://{site} access-control-request-method:{method}"
        );
        check(&question, expect);
    };
    let allowed = |site: &str| format!("allow-origin: https://{site}; max-age: 5; vary: Origin");
    ask("GET", "get.example", &allowed("get.example"));
    ask("PUT", "put.example", &allowed("put.example"));
    ask("PUT", "get.example", "403 R007");
    // No filter: a request as any other.
    ask("DELETE", "get.example", "a");
    check("OPTIONS http://cart/ origin:https://get.example", "a");
    check(
        "OPTIONS http://cart/ access-control-request-method:GET",
        "a",
    );
    check("GET http://cart/ origin:https://evil.example", "a");
}

/// What the answer to a call says to the browser.
fn answer(rule: &str, headers: &str, expect: &str) {
    let table = table(&format!("path=/ -> {rule}"));
    let request = format!("GET http://cart/ {headers}");
    let (peer, cart) = (local("web"), port("cart"));
    let outcome = with_request(request.trim_end(), |request| {
        let admitted = table.outbound().admit(&peer, request).unwrap();
        let port = table.port(&cart).unwrap();
        let cross_origin = match table
            .route(admitted, port, &mut Dice::new(1), None)
            .unwrap()
        {
            Routed::Forward(forward) => forward.cross_origin(),
            Routed::Redirect(redirected) => redirected.cross_origin(),
            Routed::Preflight(_) => panic!("GET asks nothing"),
        };
        let changes = cross_origin.unwrap().answer();
        // What the server itself says of CORS is never heard.
        let names = changes
            .set
            .iter()
            .map(|(name, _)| name)
            .chain(&changes.remove);
        assert_eq!(
            names
                .filter(|name| name.starts_with("access-control-"))
                .count(),
            6
        );
        told(&changes)
    });
    assert_eq!(outcome, expect, "{rule} | {headers}");
}

#[test]
fn the_answer_is_shown_to_pages_that_may_call() {
    let some = "a cors=https://a.example;credentials;methods=PUT;read=x-left";
    answer(
        some,
        "origin:https://a.example",
        "allow-origin: https://a.example; allow-credentials: true; expose-headers: x-left; vary: Origin",
    );
    answer(some, "origin:https://evil.example", "vary: Origin");
    answer(some, "", "vary: Origin");
    answer("a cors=*", "origin:https://a.example", "allow-origin: *");
    answer("a cors=*", "", "");
    answer(
        "redirect host=b.example cors=https://a.example",
        "origin:https://a.example",
        "allow-origin: https://a.example; vary: Origin",
    );
}

/// What a site means, by its letters.
fn naively(site: &SiteMatch, origin: &str) -> bool {
    let SiteMatch::At { secure, host, port } = site else {
        return true;
    };
    let scheme = if *secure { "https" } else { "http" };
    let usual = if *secure { 443 } else { 80 };
    let mut ports = vec![format!(":{port}")];
    if *port == usual {
        ports.push(String::new());
    }
    ports.iter().any(|port| match host {
        HostMatch::Any => {
            let host = origin.strip_prefix(&format!("{scheme}://"));
            let host = host.and_then(|host| host.strip_suffix(&**port));
            host.is_some_and(|host| !host.contains(':'))
        }
        HostMatch::Exact(host) => origin == format!("{scheme}://{host}{port}"),
        HostMatch::Suffix(suffix) => {
            origin.starts_with(&format!("{scheme}://"))
                && origin.ends_with(&format!("{suffix}{port}"))
                && origin.len() > format!("{scheme}://{suffix}{port}").len()
        }
    })
}

#[test]
fn sites_match_as_their_letters_say() {
    let hosts = [
        "a.example",
        "www.a.example",
        "x.www.a.example",
        "evila.example",
        "example",
    ];
    let patterns = [
        "a.example",
        "*.a.example",
        "*.example",
        "*",
        "www.a.example",
    ];
    let ends = ["", ":80", ":443", ":8443"];
    let mut met = 0;
    for (pattern, end) in patterns.iter().flat_map(|it| ends.map(|end| (it, end))) {
        for scheme in ["http", "https"] {
            let pattern = format!("{scheme}://{pattern}{end}");
            let table = table(&format!("path=/ -> a cors={pattern}"));
            let site = site(&pattern);
            for (host, end) in hosts.iter().flat_map(|it| ends.map(|end| (it, end))) {
                for scheme in ["http", "https"] {
                    let origin = format!("{scheme}://{host}{end}");
                    let ask = format!(
                        "OPTIONS http://cart/ origin:{origin} access-control-request-method:GET"
                    );
                    let allowed = outcome(&table, &ask, &mut Dice::new(1)) != "403 R007";
                    assert_eq!(allowed, naively(&site, &origin), "{pattern} {origin}");
                    met += usize::from(allowed);
                }
            }
        }
    }
    assert!(met > 100, "{met}");
}
