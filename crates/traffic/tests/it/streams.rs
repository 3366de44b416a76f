//! Which rule takes a stream and where it goes, as examples; and beside a naive twin.

use std::num::NonZeroU32;

use leno_model::Dice;
use leno_model::view::{HostMatch, Protocol};
use leno_traffic::{Outcome, Scope, StepKind, Story, Table};

use crate::world::{World, local, namespace, port, routes};

/// Opens a stream of `web` to `cart`, TLS for a server or `-` for none, and says where it goes.
fn outcome(table: &Table, server: &str, roll: u32, story: Option<&mut Story>) -> String {
    let (peer, cart) = (local("web"), port("cart"));
    let admitted = table.outbound().admit_stream(&peer).unwrap();
    let server = Some(server).filter(|server| *server != "-");
    let port = table.port(&cart).unwrap();
    match table.route_stream(admitted, port, server, &mut Dice::loaded(roll), story) {
        Ok(forward) => forward.port().name().service.name.to_string(),
        Err(refusal) => refusal.code().to_string(),
    }
}

fn shop(protocol: Protocol, routes: &str) -> Table {
    let world = World::new().services(&["cart", "a", "b", "c"]);
    let world = world.routes("cart", routes);
    let world = world.change_port("cart", |port| port.protocol = protocol);
    Table::new(world.view(), Scope::Whole)
}

#[test]
fn a_stream_goes_by_the_name_of_the_server() {
    let table = shop(
        Protocol::Tls,
        "host=db.shop.example -> a
         host=*.shop.example -> b",
    );
    for (server, expect) in [
        ("db.shop.example", "a"),
        ("DB.Shop.Example", "a"),
        ("cache.shop.example", "b"),
        ("x.cache.shop.example", "b"),
        ("shop.example", "R010"),
        ("db.bank.example", "R010"),
        ("-", "R010"),
    ] {
        assert_eq!(outcome(&table, server, 0, None), expect, "{server}");
    }
    let cart = table.port(&port("cart")).unwrap();
    assert!(cart.asks_server_name(Some(&namespace("shop"))));
}

#[test]
fn a_stream_falls_to_shares_by_weight_and_asks_no_name_where_all_are_taken() {
    let table = shop(Protocol::Tcp, "-> a:1 b:2");
    let rolled = (0..3).map(|roll| outcome(&table, "-", roll, None));
    assert_eq!(rolled.collect::<Vec<_>>(), ["a", "b", "b"]);
    let cart = table.port(&port("cart")).unwrap();
    assert!(!cart.asks_server_name(None));
}

#[test]
fn what_cannot_take_a_stream_is_a_refusal() {
    let table = shop(Protocol::Tcp, "-> invalid");
    assert_eq!(outcome(&table, "-", 0, None), "R012");
}

#[test]
fn routes_of_requests_are_no_routes_of_streams() {
    let table = shop(Protocol::Http, "path=/ -> a");
    assert_eq!(outcome(&table, "-", 0, None), "cart");
}

#[test]
fn a_story_says_what_was_passed_over() {
    let table = shop(
        Protocol::Tls,
        "host=db.shop.example -> a
         host=*.shop.example -> b",
    );
    let mut story = Story::default();
    outcome(&table, "cache.shop.example", 0, Some(&mut story));
    let mut steps = story.steps.iter();
    let taken = steps.find(|step| step.kind == StepKind::Route).unwrap();
    assert_eq!(taken.outcome, Outcome::Yes);
    assert_eq!(taken.text, "HTTPRoute shop/cart rule 2");
    let details = taken.details.iter().map(|detail| detail.text.as_str());
    let expect = ["rule 1 no: the server is not db.shop.example"];
    assert_eq!(details.collect::<Vec<_>>(), expect);
}

/// The first route whose host is the server's, by the words of the definition.
fn naive(text: &str, server: &str) -> Option<usize> {
    let routes = routes("cart", text).routes;
    routes.iter().position(|route| match &route.host {
        HostMatch::Any => true,
        HostMatch::Exact(name) => **name == *server,
        HostMatch::Suffix(suffix) => server.ends_with(&**suffix) && server.len() > suffix.len(),
    })
}

#[test]
fn the_index_finds_what_the_definition_says() {
    const HOSTS: [&str; 6] = [
        "host=a.example",
        "host=*.example",
        "host=*.a.example",
        "host=b.a.example",
        "host=x",
        "",
    ];
    const SERVERS: [&str; 6] = [
        "a.example",
        "b.a.example",
        "c.a.example",
        "x",
        "example",
        "-",
    ];
    let dice = &mut Dice::new(4);
    for _ in 0..300 {
        let mut below = |of: usize| {
            let of = NonZeroU32::new(u32::try_from(of).unwrap()).unwrap();
            dice.roll(of).value as usize
        };
        let lines = (0..below(6)).map(|line| {
            let host = HOSTS[below(HOSTS.len())];
            format!("{host} -> {}", ["a", "b", "c"][line % 3])
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        let table = shop(Protocol::Tls, &text);
        for server in SERVERS {
            let expect = naive(&text, if server == "-" { "" } else { server });
            let expect = expect.map_or("R010", |line| ["a", "b", "c"][line % 3]);
            assert_eq!(outcome(&table, server, 0, None), expect, "{text}: {server}");
        }
    }
}
