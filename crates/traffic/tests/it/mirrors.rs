//! Who gets copies, and what one backend alone is told.

use leno_model::Dice;
use leno_traffic::{Routed, Scope, Table};

use crate::routes::outcome;
use crate::world::{World, local, port, with_request};

fn table(routes: &str) -> Table {
    let world = World::new().services(&["cart", "a", "b", "c"]);
    Table::new(world.routes("cart", routes).view(), Scope::Whole)
}

/// Where a call goes, and its copies.
fn check(table: &Table, dice: &mut Dice) -> String {
    let (peer, cart) = (local("web"), port("cart"));
    with_request("GET http://cart/", |request| {
        let admitted = table.outbound().admit(&peer, request).unwrap();
        let routed = table.route(admitted, table.port(&cart).unwrap(), dice, None);
        let Ok(Routed::Forward(forward)) = routed else {
            panic!("{routed:?}");
        };
        let copies = forward
            .mirrors()
            .map(|mirror| mirror.to.service.name.to_string());
        let mut words = vec![forward.port().name().service.name.to_string()];
        words.extend(copies);
        words.join(" ")
    })
}

#[test]
fn a_rule_has_all_of_its_requests_copied_and_a_backend_its_own() {
    let table = table("path=/ -> a:1|copy:c b:1 copy=b copy=c");
    let dice = |value| Dice::loaded(value);
    assert_eq!(check(&table, &mut dice(0)), "a b c c");
    assert_eq!(check(&table, &mut dice(1)), "b b c");
}

#[test]
fn a_share_is_copied_and_the_rest_is_not() {
    for (share, expect) in [
        ("0/100", 0),
        ("1/4", 5000),
        ("25/50", 10_000),
        ("1/1", 20_000),
    ] {
        let table = table(&format!("path=/ -> a copy=b:{share}"));
        let mut dice = Dice::new(7);
        let copied = (0..20_000)
            .filter(|_| check(&table, &mut dice) == "a b")
            .count();
        // Five standard deviations of a fair share are less than this.
        assert!(copied.abs_diff(expect) < 360, "{share}: {copied} of 20000");
        assert!(![0, 20_000].contains(&expect) || copied == expect);
    }
}

#[test]
fn shares_of_several_mirrors_are_rolled_apart() {
    let table = table("path=/ -> a copy=b:1/2 copy=c:1/2");
    let mut dice = Dice::new(7);
    let rolled = (0..200).map(|_| check(&table, &mut dice));
    let rolled = rolled.collect::<std::collections::BTreeSet<_>>();
    assert_eq!(
        rolled.into_iter().collect::<Vec<_>>(),
        ["a", "a b", "a b c", "a c"]
    );
}

#[test]
fn a_backend_is_told_what_is_written_for_it_else_what_the_rule_says() {
    let to = |rule: &str, request: &str, expect: &str| {
        let table = table(rule);
        assert_eq!(
            outcome(&table, request, &mut Dice::new(1)),
            expect,
            "{rule}"
        );
    };
    let both = "path=/v1 -> a|host:only.a rewrite-host=all full=/x";
    to(both, "GET http://cart/v1/items", "a host=only.a path=/x");
    let prefix = "path=/v1 -> a|prefix:/v2 full=/x";
    to(prefix, "GET http://cart/v1/items", "a path=/v2/items");
    // What would be read in another way below a backend's new prefix is not sent.
    to(
        "path=/v1 -> a|prefix:/v2",
        "GET http://cart/v1/../v1/x",
        "400 R035",
    );
}
