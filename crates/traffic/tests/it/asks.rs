//! What rules ask about a request, and on what it hangs where that was not recorded.

use leno_traffic::{Asked, Kept, Recorded, Scope, Table};

use crate::world::{World, namespace, port, with_request};

const ROUTES: &str = "
    path=/items header:x-beta=yes -> cart-v2
    path=/items query:tier=gold -> cart-v3
    path=/ -> cart-v1";

/// Whether the way of a request is known where only these facts were recorded; on what it hangs.
fn check(recorded: &[&str], request: &str, expect: Option<&str>) {
    let backends = ["cart", "cart-v1", "cart-v2", "cart-v3"];
    let world = World::new().services(&backends).routes("cart", ROUTES);
    let table = Table::new(world.view(), Scope::Whole);
    let cart = table.port(&port("cart")).unwrap();
    let shop = namespace("shop");
    let hangs = with_request(request, |request| {
        let known = recorded.iter().map(|text| match text.split_once(' ') {
            Some(("header", name)) => Asked::Header(name),
            _ => Asked::Parameter(text.trim_start_matches("query ")),
        });
        let known: Vec<_> = known.collect();
        let recorded = Recorded::of(&request, Kept::Only(&known));
        let hangs = cart.hangs_on(Some(&shop), &recorded);
        hangs.map(|hangs| hangs.to_string())
    });
    assert_eq!(hangs.as_deref(), expect, "{request} knowing {recorded:?}");
}

#[test]
fn a_port_says_what_its_routes_ask() {
    let backends = ["cart", "cart-v1", "cart-v2", "cart-v3"];
    let world = World::new().services(&backends).routes("cart", ROUTES);
    let table = Table::new(world.view(), Scope::Whole);
    let asks = table.port(&port("cart")).unwrap().asks(None).unwrap();
    assert_eq!(asks.headers(), ["x-beta".into()]);
    assert_eq!(asks.parameters(), ["tier".into()]);
    assert_eq!(table.port(&port("cart-v1")).unwrap().asks(None), None);
}

#[test]
fn what_no_rule_needs_needs_no_record() {
    check(&[], "GET http://cart/other", None);
    let both = ["header x-beta", "query tier"];
    check(&both, "GET http://cart/items", None);
    check(&both, "GET http://cart/items x-beta:yes", None);
}

#[test]
fn the_first_rule_that_might_take_it_says_what_is_missing() {
    check(
        &["query tier"],
        "GET http://cart/items",
        Some("rule 1 asks for header x-beta, which was not recorded"),
    );
    check(
        &["header x-beta"],
        "GET http://cart/items x-beta:no",
        Some("rule 2 asks for query tier, which was not recorded"),
    );
    check(&["header x-beta"], "GET http://cart/items x-beta:yes", None);
}
