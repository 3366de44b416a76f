//! What is told of a call follows whose call it is, what it called and which rule took it.

use std::sync::Arc;

use leno_model::view::{Access, Telemetry, Tracing};
use leno_traffic::{Report, Scope, Table};

use crate::world::{World, namespace, port};

/// What is told apart by how many are traced.
fn told(sample: u32) -> Arc<Telemetry> {
    Arc::new(Telemetry {
        tracing: Tracing {
            sample,
            errors: false,
        },
        ..Telemetry::default()
    })
}

fn world() -> World {
    let mut world = World::new()
        .service("cart", &[])
        .routes("cart", "path=/a -> cart\npath=/b -> cart")
        .consumer_routes("cart", "front", "path=/a -> cart")
        .workload("web", "10.0.0.1", Access::open())
        .change_port("cart", |port| {
            port.telemetry = told(1);
            let producer = Arc::make_mut(port.producer.as_mut().unwrap());
            producer.telemetry.insert(1, told(2));
            let consumer = port.consumers.get_mut(&namespace("front")).unwrap();
            Arc::make_mut(consumer).telemetry.insert(0, told(3));
        });
    Arc::make_mut(&mut world.0.settings).telemetry = told(4);
    for workload in world.0.workloads.values_mut() {
        let workload = Arc::make_mut(workload);
        workload.telemetry = told(5);
        workload.ports.get_mut(&8080).unwrap().telemetry = told(6);
    }
    world
}

#[test]
fn the_most_special_report_is_found() {
    let sample = |report: &Report| report.tracing().sample;
    let first = Table::new(world().view(), Scope::Whole);
    // A view in which nothing changed tells the same.
    let second = first.next(world().view(), Scope::Whole);
    for table in [&first, &second] {
        let cart = table.port(&port("cart")).unwrap();
        let rules = &table.view().services.values().next().unwrap().ports[&80];
        let rules = &rules.producer.as_ref().unwrap().rules;
        let of = |from: Option<&str>, rule: Option<usize>| {
            let from = from.map(namespace);
            let rule = rule.map(|rule| &rules[rule].origin);
            sample(cart.report(from.as_ref(), rule))
        };
        assert_eq!(of(Some("shop"), None), 1);
        assert_eq!(of(Some("shop"), Some(0)), 1);
        assert_eq!(of(Some("shop"), Some(1)), 2);
        assert_eq!(of(None, Some(1)), 2);
        assert_eq!(of(Some("front"), Some(0)), 3);
        assert_eq!(sample(table.report()), 4);
        let web = table.view().workloads.keys().next().unwrap();
        assert_eq!(sample(table.report_inbound(web, 9000)), 5);
        assert_eq!(sample(table.report_inbound(web, 8080)), 6);
    }
}
