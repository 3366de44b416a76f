//! Which rule takes a request and where it goes, as examples.

use std::collections::BTreeMap;
use std::sync::Arc;

use leno_model::Dice;
use leno_model::view::HeaderChanges;
use leno_traffic::{Refusal, Routed, Scope, Table};

use crate::world::{World, local, port, with_request};

/// Routes a request of `web` to `cart` and says in words what becomes of it.
pub(crate) fn outcome(table: &Table, request: &str, dice: &mut Dice) -> String {
    let (peer, cart) = (local("web"), port("cart"));
    with_request(request, |request| {
        let admitted = table.outbound().admit(&peer, request).unwrap();
        match table.route(admitted, table.port(&cart).unwrap(), dice, None) {
            Ok(Routed::Forward(forward)) => {
                let mut words = forward.port().name().service.name.to_string();
                let changed = forward.changed();
                if let Some(host) = changed.host {
                    words += &format!(" host={host}");
                }
                if let Some(path) = changed.path {
                    words += &format!(" path={path}");
                }
                words
            }
            Ok(Routed::Redirect(redirected)) => {
                format!("{} {}", redirected.status(), redirected.location())
            }
            Ok(Routed::Preflight(preflight)) => told(&preflight.headers()),
            Err(refusal) => refused(&refusal),
        }
    })
}

/// The headers that a browser is told, in short.
pub(crate) fn told(changes: &HeaderChanges) -> String {
    let said = changes.set.iter().chain(&changes.add);
    let said = said.map(|(name, value)| {
        let name = name.trim_start_matches("access-control-");
        format!("{name}: {value}")
    });
    said.collect::<Vec<_>>().join("; ")
}

fn refused(refusal: &Refusal) -> String {
    format!("{} {}", refusal.status(), refusal.code())
}

fn shop(routes: &str) -> Table {
    let backends = ["cart", "cart-v1", "cart-v2", "a", "b", "c", "d"];
    let world = World::new().services(&backends).routes("cart", routes);
    Table::new(world.view(), Scope::Whole)
}

fn check(routes: &str, expect: &[(&str, &str)]) {
    let table = shop(routes);
    for (request, expect) in expect {
        let outcome = outcome(&table, request, &mut Dice::new(1));
        assert_eq!(&outcome, expect, "{request}");
    }
}

#[test]
fn without_routes_the_service_itself_takes_everything() {
    let table = Table::new(World::new().services(&["cart"]).view(), Scope::Whole);
    assert_eq!(
        outcome(&table, "GET http://cart/", &mut Dice::new(1)),
        "cart"
    );
}

#[test]
fn the_first_route_that_matches_takes_the_request() {
    check(
        "exact=/items -> a
         path=/items/new method=POST -> b
         path=/items header:x-user=beta -> c
         path=/items query:v=2 -> d
         path=/items -> cart-v1
         regex=/v[0-9]+/.* -> cart-v2",
        &[
            ("GET http://cart/items", "a"),
            ("GET http://cart/items?v=2", "a"),
            ("POST http://cart/items/new", "b"),
            ("GET http://cart/items/new", "cart-v1"),
            ("POST http://cart/items/new/1", "b"),
            ("GET http://cart/items/7 x-user:beta", "c"),
            ("GET http://cart/items/7 X-User:beta", "c"),
            ("GET http://cart/items/7 x-user:Beta", "cart-v1"),
            ("GET http://cart/items/7?a=1&v=2", "d"),
            ("GET http://cart/items/", "cart-v1"),
            ("GET http://cart/v12/x", "cart-v2"),
            ("GET http://cart/itemsX", "404 R010"),
            ("GET http://cart/", "404 R010"),
        ],
    );
}

#[test]
fn hosts_are_exact_or_one_label_and_more() {
    check(
        "host=shop.example path=/ -> a
         host=*.shop.example path=/x -> b
         host=*.example path=/ -> c
         path=/any -> d",
        &[
            ("GET http://shop.example/", "a"),
            ("GET http://SHOP.example:8080/x", "a"),
            ("GET http://www.shop.example/x", "b"),
            ("GET http://a.b.shop.example/x/y", "b"),
            ("GET http://www.shop.example/y", "c"),
            ("GET http://bank.example/any", "c"),
            ("GET http://example/any", "d"),
            ("GET http://example/", "404 R010"),
        ],
    );
}

#[test]
fn the_asterisk_of_options_meets_the_root_only() {
    check("path=/a -> a\npath=/ -> b", &[("OPTIONS http://cart", "b")]);
    check("path=/a -> a", &[("OPTIONS http://cart", "404 R010")]);
}

#[test]
fn what_cannot_be_carried_out_answers_500() {
    check(
        "path=/a -> refuse
         path=/b -> invalid
         path=/c -> missing",
        &[
            ("GET http://cart/a", "500 R011"),
            ("GET http://cart/b", "500 R012"),
            ("GET http://cart/c", "500 R012"),
        ],
    );
}

#[test]
fn a_backend_that_the_view_was_not_asked_for_is_not_known_yet() {
    let world = World::new()
        .services(&["cart"])
        .routes("cart", "path=/ -> other");
    let table = Table::new(world.view(), Scope::Answered(Arc::default()));
    assert_eq!(
        outcome(&table, "GET http://cart/", &mut Dice::new(1)),
        "503 R015"
    );
}

#[test]
fn a_caller_meets_the_routes_of_its_own_namespace_first() {
    let world = World::new()
        .services(&["cart", "a", "b"])
        .routes("cart", "path=/ -> a")
        .consumer_routes("cart", "shop", "path=/beta -> b");
    let table = Table::new(world.view(), Scope::Whole);
    assert_eq!(
        outcome(&table, "GET http://cart/beta", &mut Dice::new(1)),
        "b"
    );
    assert_eq!(
        outcome(&table, "GET http://cart/x", &mut Dice::new(1)),
        "404 R010"
    );
    let peer = local("bank/teller");
    with_request("GET http://cart/beta", |request| {
        let admitted = table.outbound().admit(&peer, request).unwrap();
        let cart = port("cart");
        let routed = table.route(
            admitted,
            table.port(&cart).unwrap(),
            &mut Dice::new(1),
            None,
        );
        let Ok(Routed::Forward(forward)) = routed else {
            panic!("{routed:?}");
        };
        assert_eq!(forward.port().name(), &port("a"));
    });
}

#[test]
fn a_split_gives_each_backend_its_share_and_keeps_the_roll() {
    let table = shop("path=/ -> cart-v1:90 cart-v2:9 invalid:1");
    let mut dice = Dice::new(7);
    let mut seen = BTreeMap::<String, u32>::new();
    for _ in 0..10_000 {
        *seen
            .entry(outcome(&table, "GET http://cart/", &mut dice))
            .or_default() += 1;
    }
    let near = |what: &str, expect: u32| {
        assert!(seen[what].abs_diff(expect) < 150, "{seen:?}");
    };
    near("cart-v1", 9000);
    near("cart-v2", 900);
    near("500 R012", 100);

    let (peer, cart) = (local("web"), port("cart"));
    with_request("GET http://cart/", |request| {
        let admitted = table.outbound().admit(&peer, request).unwrap();
        let routed = table.route(
            admitted,
            table.port(&cart).unwrap(),
            &mut Dice::new(7),
            None,
        );
        let Ok(Routed::Forward(forward)) = routed else {
            panic!("{routed:?}");
        };
        let (part, roll) = forward.part().unwrap();
        assert_eq!((part.weight, roll.of.get()), (90, 100));
        assert!(roll.value < 90);
    });
}

#[test]
fn a_path_that_can_be_read_in_two_ways_is_carried_only_if_both_mean_the_same() {
    check(
        "path=/admin -> a
         path=/cart -> b
         exact=/ -> c",
        &[
            ("GET http://cart/cart//items", "b"),
            ("GET http://cart/cart/items;v=1", "b"),
            ("GET http://cart/cart/%69tems", "b"),
            ("GET http://cart/cart/../admin", "400 R035"),
            ("GET http://cart/cart/..%2fadmin", "400 R035"),
            ("GET http://cart/%61dmin", "400 R035"),
            ("GET http://cart//admin", "400 R035"),
            ("GET http://cart/other//x", "404 R010"),
        ],
    );
}

#[test]
fn the_next_table_keeps_what_did_not_change() {
    let world = World::new()
        .services(&["cart", "a"])
        .routes("cart", "path=/ -> a");
    let first = Table::new(world.view(), Scope::Whole);
    let second = first.next(world.view(), Scope::Whole);
    let cart = port("cart");
    let budgets = |table: &Table| std::ptr::from_ref(table.port(&cart).unwrap().budget());
    assert_eq!(budgets(&first), budgets(&second));
    let world = world.services(&["b"]).routes("cart", "path=/ -> b");
    let third = second.next(Arc::new(world.0), Scope::Whole);
    assert_eq!(outcome(&second, "GET http://cart/", &mut Dice::new(1)), "a");
    assert_eq!(outcome(&third, "GET http://cart/", &mut Dice::new(1)), "b");
}
