//! What requests name that say themselves where they go.

use std::collections::BTreeSet;
use std::sync::Arc;

use leno_model::view::{Protocol, Unknown};
use leno_model::{Name, ServiceName};
use leno_protocol::{Fields, HeadReader, Limits};
use leno_traffic::{Naming, Scope, Table, Wanted, published_host};

use crate::world::{World, namespace, workload_id};

fn world() -> World {
    let web = ["10.1.0.2"];
    World::new()
        .service("cart", &["10.1.0.1"])
        .service("web", &web)
        .service("bank/web", &[])
        .service("db", &[])
        .change_port("db", |port| port.protocol = Protocol::Tcp)
}

fn wanted(table: &Table, naming: Naming, target: &str, host: &str) -> String {
    let method = if target.contains('/') {
        "GET"
    } else {
        "CONNECT"
    };
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut fields = Fields::new();
    let mut reader = HeadReader::of_proxy(Limits::default());
    let head = reader.request(head.as_bytes(), &mut fields);
    let head = head.expect("it is a head").expect("it is whole");
    match table.wanted(&head, naming, &workload_id("web")) {
        Ok(Wanted::Port(port)) => format!("port {port}"),
        Ok(Wanted::Address(address)) => format!("address {address}"),
        Ok(Wanted::Name(name, port)) => format!("name {name} {port}"),
        Ok(Wanted::Needs(question)) => format!("needs {question}"),
        Err(refusal) => format!("{} {}", refusal.status(), refusal.code()),
    }
}

#[test]
fn a_target_names_a_service_an_address_or_somebody_outside() {
    let check = |unknown: Unknown, host: &str, expect: &str| {
        let mut world = world();
        Arc::make_mut(&mut world.0.settings).unknown_destinations = unknown;
        let table = Table::new(world.view(), Scope::Whole);
        let absolute = format!("http://{host}/x");
        assert_eq!(
            wanted(&table, Naming::Target, &absolute, host),
            expect,
            "{host}"
        );
        if host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        {
            let connect = wanted(&table, Naming::Target, host, host);
            assert_eq!(connect, expect, "CONNECT {host}");
        }
    };
    for (host, expect) in [
        ("cart", "port shop/cart:80"),
        ("cart:8081", "port shop/cart:8081"),
        ("Web.Bank", "port bank/web:80"),
        ("db.shop.svc.cluster.local:5432", "port shop/db:5432"),
        ("nobody.shop.svc.cluster.local", "403 R001"),
        ("localhost:8081", "address 127.0.0.1:8081"),
        ("cart.localhost:8081", "address 127.0.0.1:8081"),
        ("10.1.0.1:80", "address 10.1.0.1:80"),
        ("[fd00::1]:80", "address [fd00::1]:80"),
        ("[::ffff:10.1.0.1]:80", "address 10.1.0.1:80"),
        ("0.0.0.0:8081", "address 127.0.0.1:8081"),
        ("[::]:8081", "address 127.0.0.1:8081"),
    ] {
        check(Unknown::Pass, host, expect);
        check(Unknown::Refuse, host, expect);
    }
    check(Unknown::Pass, "example.com", "name example.com 80");
    check(Unknown::Refuse, "example.com", "403 R001");
    // Not every resolver's number is one of ours.
    check(Unknown::Pass, "127.1:8081", "name 127.1 8081");
}

#[test]
fn a_published_name_is_a_service_with_a_port_that_speaks_http() {
    let mut world = world();
    let several = world.0.services.get_mut(&crate::world::service_name("web"));
    let ports = &mut Arc::make_mut(several.unwrap()).ports;
    let http = ports.remove(&80).unwrap();
    let mut tcp = http.clone();
    tcp.protocol = Protocol::Tcp;
    ports.extend([(9000, http.clone()), (8080, http), (70, tcp)]);
    let table = Table::new(world.view(), Scope::Whole);
    for (host, expect) in [
        ("cart.localhost", "port shop/cart:80"),
        ("CART.LOCALHOST:7070", "port shop/cart:80"),
        ("web.localhost", "port shop/web:8080"),
        ("9000.web.localhost", "port shop/web:9000"),
        ("web.bank.localhost", "port bank/web:80"),
        ("80.web.bank.localhost", "port bank/web:80"),
        ("db.localhost", "400 R017"),
        ("5432.db.localhost", "port shop/db:5432"),
        ("nobody.localhost", "403 R001"),
        ("localhost", "421 R017"),
        ("cart", "421 R017"),
        ("cart.notlocalhost", "421 R017"),
        ("a.b.c.d.e.localhost", "421 R017"),
        ("99999.cart.localhost", "403 R001"),
        ("127.0.0.1:7070", "421 R017"),
    ] {
        let found = wanted(&table, Naming::Published, "/x", host);
        assert_eq!(found, expect, "{host}");
    }
    let connect = wanted(
        &table,
        Naming::Published,
        "cart.localhost:80",
        "cart.localhost:80",
    );
    assert_eq!(connect, "400 R017");
}

#[test]
fn the_name_by_which_a_port_is_published_leads_to_it() {
    let mut world = world();
    let web = crate::world::service_name("web");
    let web = Arc::make_mut(world.0.services.get_mut(&web).unwrap());
    let http = web.ports[&80].clone();
    web.ports.extend([(9000, http.clone()), (8080, http)]);
    let mut number = web.clone();
    number.name = ServiceName::new(namespace("bank"), Name::new("81").unwrap());
    let view = &mut world.0;
    view.services.insert(number.name.clone(), Arc::new(number));
    let services = view.services.clone();
    let table = Table::new(world.view(), Scope::Whole);
    let shop = namespace("shop");
    let mut hosts = Vec::new();
    for service in services.values() {
        for port in service.ports.keys() {
            let Some(host) = published_host(service, *port, &shop) else {
                continue;
            };
            let found = wanted(&table, Naming::Published, "/", &host);
            assert_eq!(found, format!("port {}:{port}", service.name), "{host}");
            hosts.push(host);
        }
    }
    for host in [
        "cart.localhost",
        "web.localhost",
        "9000.web.localhost",
        "web.bank.localhost",
        "80.81.bank.localhost",
    ] {
        assert!(hosts.iter().any(|known| known == host), "{host}: {hosts:?}");
    }
}

#[test]
fn what_was_never_asked_for_is_asked_for() {
    let held = BTreeSet::from(
        ["service/shop/cart"].map(|text| leno_model::Subscription::parse(text).unwrap()),
    );
    let table = Table::new(World::new().view(), Scope::Answered(Arc::new(held)));
    for (host, expect) in [
        ("cart", "name cart 80"),
        ("web", "needs service/shop/web"),
        ("example.com", "needs service/com/example"),
        ("www.example.com", "name www.example.com 80"),
    ] {
        let absolute = format!("http://{host}/");
        assert_eq!(
            wanted(&table, Naming::Target, &absolute, host),
            expect,
            "{host}"
        );
    }
    let published = wanted(&table, Naming::Published, "/", "web.localhost");
    assert_eq!(published, "needs service/shop/web");
}
