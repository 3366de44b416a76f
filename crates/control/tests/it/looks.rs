//! Who asks a proxy by the proxy's own socket: the audit log tells it, however long it took to hear of it.

use std::sync::Arc;
use std::time::Duration;

use leno_admin::{AuditOf, Audited};
use leno_channel::grpc::{Line, StatusCode};
use leno_model::Wall;
use leno_proxy::Clocks;
use leno_proxy::follow::{Event, Folder, Member};
use leno_wire::call;
use leno_wire::looks::{Look, Outbox};

use crate::world::{Place, SHOP, World, join, within};

/// That of a user just now.
fn look(about: &str) -> Look {
    Look {
        at: leno_channel::wall(),
        user: 1000,
        what: "tap".into(),
        about: about.into(),
        is_refused: false,
        before: 0,
    }
}

/// What proxies told, oldest first.
async fn told(world: &World) -> Vec<String> {
    let ask = AuditOf {
        limit: 100,
        before: None,
    };
    let records = world.admin.ask(ask).await.unwrap().records;
    let of_proxies = records
        .iter()
        .rev()
        .filter(|it| it.from.starts_with("proxy"));
    let line = |it: &Audited| {
        let code = it.code.as_deref().unwrap_or("done");
        format!("{} by {}: {} {} {code}", it.who, it.from, it.what, it.about)
    };
    of_proxies.map(line).collect()
}

/// Waits until proxies have told this.
async fn until_told(world: &World, expect: &str) {
    within(async {
        while !told(world).await.iter().any(|line| line == expect) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_a_proxy_stands_in_the_audit_log_also_when_the_control_plane_was_away() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let web = world.proxy(Some("web"), &["web"]).await;
    web.looks.tell(look("shop/cart"));
    web.looks.tell(Look {
        what: "ask".into(),
        is_refused: true,
        ..look("")
    });
    let of_web = "user 1000 by proxy of shop/web, 127.0.0.1:";
    until_told(&world, &format!("{of_web} ask  S016")).await;
    let first = &told(&world).await[0];
    assert_eq!(*first, format!("{of_web} tap shop/cart done"));

    let left = world.kill().await;
    web.event(|event| matches!(event, Event::Away { .. })).await;
    // One more than wait while nobody hears of them.
    for number in 0..=Outbox::MOST {
        web.looks.tell(look(&format!("cart-{number}")));
    }
    let world = World::again(left).await;
    let expect = format!("{of_web} tap cart-1 (and 1 more before, only counted) done");
    until_told(&world, &expect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_long_ago_tells_when() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let web = world.proxy(Some("web"), &["web"]).await;
    web.looks.tell(Look {
        at: Wall::since_epoch(Duration::from_secs(1_700_000_000)),
        ..look("shop/cart")
    });
    let expect = "user 1000 by proxy of shop/web, 127.0.0.1: \
                  tap shop/cart (at 2023-11-14T22:13:20.000Z) done";
    until_told(&world, expect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_lies_writes_little_and_steers_no_terminal() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let (token, place) = (world.token(Some("web")).await, Arc::new(Place::new()));
    join(&token, None, &place).await.unwrap();
    let member = Member::of(Folder::open(&place.path("")).unwrap()).unwrap();
    let (line, _keeps) = member.visit(&Clocks::start()).await.unwrap().open();

    let longest = look(&"\u{1b}".repeat(Look::LONGEST_TEXT));
    assert_eq!(tell(&line, &longest).await, None);
    let too_long = look(&"a".repeat(Look::LONGEST_TEXT + 1));
    let refused = Some(StatusCode::InvalidArgument);
    assert_eq!(tell(&line, &too_long).await, refused);
    for _ in 0..15 {
        let forged = Look {
            what: "apply\nroot".into(),
            at: Wall::since_epoch(Duration::from_millis(u64::MAX)),
            before: u64::MAX,
            ..look("")
        };
        assert_eq!(tell(&line, &forged).await, None);
    }
    let told = told(&world).await;
    assert!(told.len() < 16, "of one no more than 10 a minute");
    let text = told.concat();
    assert!(!text.contains(['\u{1b}', '\n']), "{text}");
    assert!(
        told[1].starts_with("user 1000 by proxy of shop/web"),
        "{text}"
    );
}

/// What a control plane answers whoever tells it this, if it does not take it.
async fn tell(line: &Line, look: &Look) -> Option<StatusCode> {
    let answer = within(line.ask(call::LOOK, &look.encode())).await;
    answer.err().map(|status| status.code)
}
