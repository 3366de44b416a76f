//! What a decision costs beside time: nothing.

use allocation_counter::measure;
use leno_model::Dice;
use leno_protocol::{Fields, HeadReader, Limits};
use leno_traffic::{Balancer, Ended, Routed, Scope, Table};

use crate::world::{World, access, at, head, local, plain, port, workload_id};

#[test]
fn a_decision_allocates_nothing() {
    let rules = "deny path=/admin
        deny from=bank/thief
        allow ip=10.0.0.0/8 regex=/it[a-z]+
        allow namespace=shop method=GET host=*.example";
    let world = World::new()
        .services(&["cart", "cart-v1", "cart-v2"])
        .routes(
            "cart",
            "host=*.shop.example path=/ -> cart-v2
             exact=/items header:x-user=beta query:v=2 -> cart-v2
             regex=/v[0-9]+/.* -> cart-v2
             path=/items -> cart-v1:9 cart-v2:1 prefix=/things set=x-a:b timeout=100",
        )
        .endpoints(
            "cart-v1",
            &["a 10.0.0.1:80", "b 10.0.0.2:80 *3", "c 10.0.0.3:80"],
        )
        .endpoints("cart-v2", &["d 10.0.0.4:80"])
        .workload("cart", "10.0.1.1", access(rules));
    let table = Table::new(world.view(), Scope::Whole);
    let (balancer, mut dice) = (Balancer::new(&table), Dice::new(1));
    let (web, stranger) = (local("web"), plain("10.0.0.7"));
    let (cart, own) = (port("cart"), workload_id("cart"));
    let bytes = head("GET http://cart/items?v=2 x-user:gamma x-other:1");
    let mut fields = Fields::new();
    let read = HeadReader::new(Limits::default())
        .request(&bytes, &mut fields)
        .unwrap()
        .unwrap();

    let counted = measure(|| {
        for round in 0..100 {
            let outbound = table.outbound().admit(&web, read.request.clone()).unwrap();
            let port = table.port(&cart).unwrap();
            let routed = table.route(outbound, port, &mut dice, None).unwrap();
            let Routed::Forward(forward) = routed else {
                panic!("{routed:?}");
            };
            let _ = (forward.changed(), forward.mirrors().count());
            let mut attempts = forward.attempts(at(round));
            let picked = balancer
                .pick(forward.port(), attempts.tried(), at(round), &mut dice, None)
                .unwrap();
            let failed = leno_traffic::Failure::NotSent;
            attempts.after(&picked, failed, true, at(round), &mut dice);
            picked.finish(Ended::Unreached, at(round + 1));
            let again = balancer
                .pick(forward.port(), attempts.tried(), at(round), &mut dice, None)
                .unwrap();
            again.finish(Ended::Answered, at(round + 1));

            let inbound = table.inbound(&own, 8080).unwrap();
            inbound.admit(&stranger, read.request.clone()).unwrap();
            inbound.admit_stream(&stranger).unwrap_err();
        }
    });
    assert_eq!(counted.count_total, 0);
}
