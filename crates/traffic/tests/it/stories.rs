//! What is told when somebody asks why.

use leno_model::Dice;
use leno_traffic::{Balancer, Claim, Consent, Fact, Outcome, Routed, Scope, Story, Table, Tried};

use crate::world::{World, access, at, local, port, spiffe_id, with_request, workload_id};

/// The story as lines.
fn told(story: &Story) -> String {
    let mut text = String::new();
    for step in &story.steps {
        let mark = match step.outcome {
            Outcome::Yes => '✓',
            Outcome::No => '✗',
            Outcome::NotReached => '-',
            Outcome::Undecided => '?',
        };
        let line = format!("{mark} {:<9} {:<50} {}", step.kind, step.text, step.known);
        text += &with_origin(&line, step.origin.as_ref());
        for detail in &step.details {
            text += &with_origin(
                &format!("            {}", detail.text),
                detail.origin.as_ref(),
            );
        }
    }
    text
}

fn with_origin(line: &str, origin: Option<&leno_model::Origin>) -> String {
    match origin {
        Some(origin) => format!("{line}   {origin}\n"),
        None => format!("{line}\n"),
    }
}

fn check(text: &str, expect: &str) {
    let expect = expect
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty());
    let text = text.lines().map(str::trim_end);
    assert_eq!(text.collect::<Vec<_>>(), expect.collect::<Vec<_>>());
}

/// Tells how a request of `web` to `cart` goes out.
fn outbound(world: &World, request: &str) -> String {
    let table = Table::new(world.view(), Scope::Whole);
    let (balancer, mut dice) = (Balancer::new(&table), Dice::new(2));
    let (peer, cart) = (local("web"), port("cart"));
    let mut story = Story::default();
    with_request(request, |request| {
        let admitted = table.outbound().admit(&peer, request).unwrap();
        let port = table.port(&cart).unwrap();
        if let Ok(Routed::Forward(forward)) =
            table.route(admitted, port, &mut dice, Some(&mut story))
        {
            let tried = Tried::default();
            let picked = balancer.pick(forward.port(), &tried, at(0), &mut dice, Some(&mut story));
            drop(picked);
        }
    });
    told(&story)
}

#[test]
fn a_call_that_goes_out() {
    let world = World::new()
        .services(&["cart", "cart-v1", "cart-v2"])
        .routes(
            "cart",
            "path=/ header:x-canary=1 -> name=canary cart-v2
             path=/items method=POST -> cart-v2
             path=/ -> cart-v1:90 cart-v2:10",
        )
        .endpoints(
            "cart-v1",
            &[
                "cart-1 10.0.0.1:8080",
                "cart-2 10.0.0.2:8080",
                "cart-3 10.0.0.3:8080 draining",
            ],
        );
    check(
        &outbound(&world, "GET http://cart/items"),
        "
✓ name      Service shop/cart, port 80, HTTP                   replayed
✓ route     HTTPRoute shop/cart rule 3                         replayed   cart.yaml:30
            rule 1 (canary) no: header x-canary absent   cart.yaml:10
            rule 2 no: method is not POST   cart.yaml:20
✓ split     shop/cart-v1:80, 90 of 100                         assumed   cart.yaml:30
            shop/cart-v2:80, 10 of 100   cart.yaml:30
✓ endpoint  10.0.0.2:8080 (shop/cart-2), plain, 2 of 3 usable  assumed
            10.0.0.2:8080 taken: 0 in flight, never answered yet
            10.0.0.1:8080 not taken: 0 in flight, never answered yet
",
    );
    check(
        &outbound(&world, "GET http://cart/items x-canary:1"),
        "
✓ name      Service shop/cart, port 80, HTTP                   replayed
✓ route     HTTPRoute shop/cart rule 1 (canary)                replayed   cart.yaml:10
✓ split     shop/cart-v2:80, 1 of 1                            replayed   cart.yaml:10
✗ endpoint  shop/cart-v2:80 has none                           replayed
",
    );
}

#[test]
fn copies_and_tries_are_told() {
    let world = World::new().services(&["cart", "cart-v2"]).routes(
        "cart",
        "path=/ -> cart copy=cart-v2 copy=cart-v2:1/5 copy=cart-v2:0/5 again=3:503 try=500",
    );
    check(
        &outbound(&world, "GET http://cart/items"),
        "
✓ name      Service shop/cart, port 80, HTTP                   replayed
✓ route     HTTPRoute shop/cart rule 1                         replayed   cart.yaml:10
✓ split     shop/cart:80, 1 of 1                               replayed   cart.yaml:10
✓ mirror    a copy to shop/cart-v2:80                          replayed   cart.yaml:10
- mirror    a copy to shop/cart-v2:80 of 1 in 5 requests       assumed   cart.yaml:10
- mirror    a copy to shop/cart-v2:80 of 0 in 5 requests       replayed   cart.yaml:10
✓ retry     up to 3 more tries, the first after 100ms or longer replayed   cart.yaml:10
            on 503, no answer, no connection
            each try has 500ms
✗ endpoint  shop/cart:80 has none                              replayed
",
    );
}

#[test]
fn what_browsers_are_told_is_told() {
    let world = World::new().services(&["cart"]).routes(
        "cart",
        "path=/ method=PUT -> cart cors=https://a.example
         path=/ -> cart",
    );
    let ask = |site: &str| {
        let request =
            format!("OPTIONS http://cart/items origin:{site} access-control-request-method:PUT");
        outbound(&world, &request)
    };
    check(
        &ask("https://a.example"),
        "
✓ name      Service shop/cart, port 80, HTTP                   replayed
✓ route     HTTPRoute shop/cart rule 1                         replayed   cart.yaml:10
✓ CORS      pages of https://a.example may ask for PUT /items  replayed   cart.yaml:10
",
    );
    check(
        &ask("https://evil.example"),
        "
✓ name      Service shop/cart, port 80, HTTP                   replayed
✓ route     HTTPRoute shop/cart rule 1                         replayed   cart.yaml:10
✗ CORS      pages of https://evil.example may not ask for PUT /items replayed   cart.yaml:10
",
    );
    check(
        &outbound(&world, "PUT http://cart/items origin:https://evil.example"),
        "
✓ name      Service shop/cart, port 80, HTTP                   replayed
✓ route     HTTPRoute shop/cart rule 1                         replayed   cart.yaml:10
✓ CORS      pages of https://evil.example may not read the answer replayed   cart.yaml:10
✓ split     shop/cart:80, 1 of 1                               replayed   cart.yaml:10
✗ endpoint  shop/cart:80 has none                              replayed
",
    );
}

#[test]
fn calls_that_no_route_takes() {
    let world = World::new()
        .services(&["cart"])
        .routes("cart", "path=/a -> cart\npath=/b -> invalid");
    check(
        &outbound(&world, "GET http://cart/items"),
        "
✓ name      Service shop/cart, port 80, HTTP                   replayed
✗ route     none of 2 matches                                  replayed
            rule 1 no: path is not below /a/   cart.yaml:10
            rule 2 no: path is not below /b/   cart.yaml:20
",
    );
    check(
        &outbound(&world, "GET http://cart/b"),
        "
✓ name      Service shop/cart, port 80, HTTP                   replayed
✓ route     HTTPRoute shop/cart rule 2                         replayed   cart.yaml:20
            rule 1 no: path is not below /a/   cart.yaml:10
✗ split     not a backend (C113 backend-not-found), 1 of 1     replayed   cart.yaml:20
",
    );
    check(
        &outbound(&world, "GET http://cart/b/../a"),
        "
✓ name      Service shop/cart, port 80, HTTP                   replayed
✗ route     the path can be read in two ways, and they lead to different routes replayed
            read as /b/../a: rule 2   cart.yaml:20
            read as /a: rule 1   cart.yaml:10
",
    );
}

#[test]
fn draining_endpoints_are_named() {
    let world = World::new()
        .services(&["cart"])
        .endpoints("cart", &["cart-1 10.0.0.1:8080 draining"]);
    check(
        &outbound(&world, "GET http://cart/"),
        "
✓ name      Service shop/cart, port 80, HTTP                   replayed
✓ route     none attached: the service's own endpoints         replayed
✗ endpoint  0 of 1 usable                                      replayed
            10.0.0.1:8080 draining
",
    );
}

/// Tells how `caller` is received by `cart`.
fn inbound(rules: &str, caller: Option<&str>, request: &str) -> String {
    let world = World::new().workload("cart", "10.0.1.1", access(rules));
    let table = Table::new(world.view(), Scope::Whole);
    let id = caller.map(spiffe_id);
    let claim = Claim {
        caller: Fact::Known(id.as_ref()),
        address: Fact::Known("10.0.0.7".parse().unwrap()),
        token: leno_traffic::Token::Absent,
        consent: Consent::Given,
    };
    let mut story = Story::default();
    let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
    with_request(request, |request| {
        policy.explain(&claim, Some(&request), &mut story)
    });
    told(&story)
}

#[test]
fn a_call_that_comes_in() {
    let rules = "allow from=bank/teller\nallow namespace=shop method=GET path=/items\nstrict";
    check(
        &inbound(rules, Some("web"), "GET http://cart/items"),
        "
✓ mTLS      strict: the caller is shop/web, proven             replayed   cart.yaml:3
✓ access    allowed by AccessPolicy shop/cart rule 2           replayed   cart.yaml:2
            AccessPolicy shop/cart rule 1 no: the caller is not bank/teller   cart.yaml:1
",
    );
    check(
        &inbound(rules, Some("web"), "POST http://cart/items"),
        "
✓ mTLS      strict: the caller is shop/web, proven             replayed   cart.yaml:3
✗ access    no AccessPolicy allows it                          replayed
            AccessPolicy shop/cart rule 1 no: the caller is not bank/teller   cart.yaml:1
            AccessPolicy shop/cart rule 2 no: the request is not GET /items/*   cart.yaml:2
",
    );
    check(
        &inbound(rules, None, "GET http://cart/items"),
        "
✗ mTLS      strict: the caller came in plain                   replayed   cart.yaml:3
- access    the caller was refused before                      replayed
",
    );
    check(
        &inbound("deny path=/admin", None, "GET http://cart//admin"),
        "
✓ mTLS      permissive: the caller came in plain               replayed
✗ access    the path can be read in two ways, and only one of them is allowed replayed
            read as //admin: no rule speaks of it, and the default is to allow
            read as /admin: denied by AccessPolicy shop/cart rule 1   cart.yaml:1
            read as /: no rule speaks of it, and the default is to allow
",
    );
    check(
        &inbound("default deny", None, "GET http://cart/items"),
        "
✓ mTLS      permissive: the caller came in plain               replayed
✗ access    no AccessPolicy allows it, and the default is to deny replayed   cart.yaml:1
",
    );
}
