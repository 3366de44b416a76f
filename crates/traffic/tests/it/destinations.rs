//! What an address means.

use std::sync::Arc;

use leno_model::Subscription;
use leno_model::view::{Access, Unknown};
use leno_traffic::{Destination, Scope, Table};

use crate::world::{World, network, service_name};

fn world() -> World {
    World::new()
        .service("cart", &["10.1.0.1", "fd00::1"])
        .service("db", &[])
        .endpoints("cart", &["cart-1 10.0.1.1:8080 tunnel"])
        .endpoints("db", &["db-0 10.0.2.1:5432", "web 10.0.0.1:9000"])
        .workload("web", "10.0.0.1", Access::open())
        .workload("job", "10.0.0.2", Access::open())
}

fn meaning(table: &Table, address: &str) -> String {
    in_words(table.destination(
        &service_name("cart").namespace,
        &network(),
        address.parse().unwrap(),
    ))
}

fn in_words(destination: Destination<'_>) -> String {
    match destination {
        Destination::Service(port) => format!("port {}", port.name()),
        Destination::Endpoint(direct) => format!(
            "{} at {} as {:?}, for {}",
            direct.endpoint.workload,
            direct.address,
            direct.protocol(),
            direct.of.name()
        ),
        Destination::Own(workload) => format!("own {}", workload.id),
        Destination::NoSuchPort(service) => format!("{} has no such port", service.name),
        Destination::Unknown(Unknown::Pass) => "unknown: pass".to_owned(),
        Destination::Unknown(Unknown::Refuse) => "unknown: refuse".to_owned(),
        Destination::Needs(question) => format!("needs {question}"),
    }
}

#[test]
fn an_address_means_a_service_an_endpoint_or_a_workload() {
    let table = Table::new(world().view(), Scope::Whole);
    for (address, expect) in [
        ("10.1.0.1:80", "port shop/cart:80"),
        ("[fd00::1]:80", "port shop/cart:80"),
        ("[::ffff:10.1.0.1]:80", "port shop/cart:80"),
        ("10.1.0.1:81", "shop/cart has no such port"),
        (
            "10.0.1.1:8080",
            "shop/cart-1 at 10.0.1.1:8080 as Http, for shop/cart:80",
        ),
        (
            "10.0.1.1:9999",
            "shop/cart-1 at 10.0.1.1:9999 as Detect, for shop/cart:80",
        ),
        (
            "10.0.0.1:9000",
            "shop/web at 10.0.0.1:9000 as Http, for shop/db:80",
        ),
        ("10.0.0.2:9000", "own shop/job"),
        ("10.7.7.7:80", "unknown: pass"),
    ] {
        assert_eq!(meaning(&table, address), expect, "{address}");
    }
    let elsewhere = leno_model::Network::new("elsewhere").unwrap();
    let there = table.destination(
        &service_name("cart").namespace,
        &elsewhere,
        "10.1.0.1:80".parse().unwrap(),
    );
    assert_eq!(in_words(there), "unknown: pass");
}

#[test]
fn what_the_view_was_not_asked_for_is_asked_for() {
    let mut world = world();
    Arc::make_mut(&mut world.0.settings).unknown_destinations = Unknown::Refuse;
    let asked = Subscription::Address(network(), "10.7.7.7".parse().unwrap());
    let scope = Scope::Answered(Arc::new([asked].into()));
    let table = Table::new(world.view(), scope);
    assert_eq!(meaning(&table, "10.7.7.7:80"), "unknown: refuse");
    assert_eq!(
        meaning(&table, "10.7.7.8:80"),
        "needs address/default/10.7.7.8"
    );
    assert_eq!(meaning(&table, "10.1.0.1:80"), "port shop/cart:80");
    let named = |name: &str, port| in_words(table.service(&service_name(name), port));
    assert_eq!(named("bank/teller", 80), "needs service/bank/teller");
    assert_eq!(named("cart", 80), "port shop/cart:80");
    assert_eq!(named("cart", 81), "shop/cart has no such port");
}

#[test]
fn own_workloads_are_found_by_their_address() {
    let table = Table::new(world().view(), Scope::Whole);
    let at = |ip: &str| {
        let workload = table.workload_at(&network(), ip.parse().unwrap());
        workload.map(|workload| workload.id.to_string())
    };
    assert_eq!(at("10.0.0.1").as_deref(), Some("shop/web"));
    assert_eq!(at("10.0.1.1"), None);
}
