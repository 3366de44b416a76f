//! The life of proxies: told to end, killed, come back.

use leno_e2e::{Answer, Application, Client, World, curl, serve, until};

use crate::load::Load;
use crate::pair::Pair;

#[test]
fn a_proxy_that_is_told_to_end_loses_no_request_of_its_callers() {
    let pair = Pair::start();
    let load = Load::on(pair.world.at("web", 8080));
    load.goes_on_for(300);
    pair.web.signal("TERM");
    let answers = load.answers();
    assert!(pair.web.ended().success());
    assert!(answers.len() > 300);
    for answer in &answers {
        assert_eq!(answer.as_ref().map(Answer::outcome).as_deref(), Some("200"));
    }
    let last = answers.iter().flatten().filter(|answer| answer.closes());
    assert!(
        last.count() >= 1,
        "a client is told that its connection ends"
    );
}

#[test]
fn a_proxy_that_is_told_to_end_loses_no_request_to_its_workload() {
    let labelled = |name: &str| {
        format!(
            "kind: MeshWorkload\napiVersion: leno.dev/v1alpha1\n\
             metadata: {{name: {name}, namespace: shop, labels: {{part: cart}}}}\n\
             spec: {{ports: [{{port: 8080, protocol: HTTP}}], instances: [{{address: @{name}}}]}}\n"
        )
    };
    let world = World::new("mtls: Strict, default: Allow")
        .workload("web", "")
        .proxied("cart-v1", &labelled("cart-v1"))
        .proxied("cart-v2", &labelled("cart-v2"))
        .objects(
            "kind: Service\napiVersion: v1\nmetadata: {name: cart, namespace: shop}\n\
             spec: {selector: {part: cart}, ports: [{port: 8080}]}\n",
        );
    for name in ["cart-v1", "cart-v2"] {
        Application::start(world.at(name, 8080), name);
    }
    let first = world.proxy("cart-v1").start();
    let _second = world.proxy("cart-v2").start();
    let _web = world.proxy("web").upstream("cart", 8080).start();
    let load = Load::on(world.at("web", 8080));
    load.goes_on_for(300);
    first.signal("TERM");
    assert!(first.ended().success());
    load.goes_on_for(300);
    for answer in load.stop() {
        assert_eq!(answer.as_ref().map(Answer::outcome).as_deref(), Some("200"));
    }
}

#[test]
fn what_lives_too_long_is_ended_with_its_reason() {
    let world = World::pair();
    serve(world.at("cart", 6379), |stream| {
        let mut out = stream.try_clone().unwrap();
        drop(std::io::copy(&mut &stream, &mut out));
    });
    Application::start(world.at("cart", 8080), "cart");
    let cart = world.proxy("cart").start();
    let web = world
        .proxy("web")
        .upstream("cart", 6379)
        .upstream("cart", 8080)
        .with("drain: 10s")
        .start();
    let mut live = Client::to(world.at("web", 6379));
    live.send("before");
    assert_eq!(live.read(6), b"before");
    let mut waiting = Client::to(world.at("web", 8080));
    waiting.send("GET /never HTTP/1.1\r\nHost: cart\r\n\r\n");
    web.signal("TERM");
    // It goes on for as long as it may.
    live.send("after");
    assert_eq!(live.read(5), b"after");
    assert!(live.is_cut());
    let answer = waiting.answer().unwrap();
    assert_eq!(answer.outcome(), "503 R041 draining");
    assert!(answer.closes());
    assert!(web.ended().success());
    web.until_says(&["cut  shop/web -> shop/cart  2 that still lived  R041 draining"]);
    for proxy in [web, cart] {
        proxy.until_says(&[r#""event":"stream""#, r#""code":"R041""#]);
    }
}

#[test]
fn a_proxy_that_leaves_says_so_before_it_does_and_told_twice_ends_at_once() {
    let world = World::pair();
    let ready = || curl(&[&world.url("web", 15020, "/ready")]);
    Application::start(world.at("cart", 8080), "cart");
    let _cart = world.proxy("cart").start();
    let web = world
        .proxy("web")
        .upstream("cart", 8080)
        .with("metrics: @web:15020\nlameDuck: 1h\ndrain: 1h")
        .start();
    assert_eq!(ready().status, 200);
    let mut waiting = Client::to(world.at("web", 8080));
    waiting.send("GET /never HTTP/1.1\r\nHost: cart\r\n\r\n");
    web.signal("TERM");
    until("a proxy that is not ready", || {
        (ready().status == 503).then_some(())
    });
    assert_eq!(ready().text(), "draining\n");
    // Whoever has not noticed yet is served as before.
    let answer = curl(&[&world.url("web", 8080, "/")]);
    assert_eq!((answer.status, answer.closes()), (200, false));
    web.signal("TERM");
    let answer = waiting.answer().unwrap();
    assert_eq!(answer.outcome(), "503 R041 draining");
    assert!(web.ended().success());
}

#[test]
fn a_proxy_shares_its_addresses_with_no_other() {
    let pair = Pair::start();
    for name in ["web", "cart"] {
        let second = pair.world.proxy(name);
        let second = match name {
            "web" => second.upstream("cart", 8080),
            _ => second,
        };
        let second = second.named(&format!("{name}-again")).attempt();
        assert_eq!(second.ended().code(), Some(3));
        assert!(second.log().contains("H002 port-taken"), "{}", second.log());
    }
    assert_eq!(pair.curl("/", &[]).status, 200);
}

#[test]
fn a_killed_proxy_is_missed_with_a_code_and_found_again() {
    let mut pair = Pair::start();
    let load = Load::on(pair.world.at("web", 8080));
    load.goes_on_for(200);
    pair.cart.kill();
    load.goes_on_for(100);
    let _cart = pair.world.proxy("cart").start();
    until("recovery", || {
        (curl(&[&pair.world.url("web", 8080, "/")]).status == 200).then_some(())
    });
    load.goes_on_for(200);
    let mut seen = std::collections::BTreeMap::new();
    for answer in load.stop() {
        // None is without an answer: the caller's proxy lives.
        *seen.entry(answer.unwrap().outcome()).or_insert(0) += 1;
    }
    let known = [
        "200",
        "502 R022 reset-before-response",
        "502 R025 tunnel-failed",
        "502 R026 reset-during-body",
    ];
    assert!(
        seen.keys().all(|outcome| known.contains(&outcome.as_str())),
        "{seen:?}"
    );
    assert!(seen.contains_key("502 R025 tunnel-failed"), "{seen:?}");
}

#[test]
fn a_caller_whose_proxy_is_killed_gets_the_right_answer_or_none() {
    let mut pair = Pair::start();
    let load = Load::on(pair.world.at("web", 8080));
    load.goes_on_for(300);
    pair.web.kill();
    let answers = load.answers();
    let lost = answers.iter().filter(|answer| answer.is_none()).count();
    assert!(lost > 0, "it was killed under load");
    for answer in answers.iter().flatten() {
        assert_eq!(answer.outcome(), "200");
    }
    let _web = pair.world.proxy("web").upstream("cart", 8080).start();
    let load = Load::on(pair.world.at("web", 8080));
    load.goes_on_for(100);
    for answer in load.stop() {
        assert_eq!(answer.unwrap().outcome(), "200");
    }
}

#[test]
fn a_full_proxy_says_so() {
    let world = World::pair();
    Application::start(world.at("cart", 8080), "cart");
    let _cart = world.proxy("cart").start();
    // 256 files leave places for 64 connections.
    let web = world
        .proxy("web")
        .upstream("cart", 8080)
        .with("metrics: @web:15020")
        .limited(256)
        .start();
    let mut held = (0..64)
        .map(|_| Client::to(world.at("web", 8080)))
        .collect::<Vec<_>>();
    for client in &mut held {
        assert_eq!(client.get("/").unwrap().status, 200);
    }
    let turned_away = curl(&[&world.url("web", 8080, "/")]);
    assert_eq!(turned_away.outcome(), "503 R040 too-many-connections");
    assert_eq!(curl(&[&world.url("web", 15020, "/ready")]).status, 200);
    web.until_says(&[r#""code":"R040""#]);
    held.truncate(32);
    until("a place", || {
        (curl(&[&world.url("web", 8080, "/")]).status == 200).then_some(())
    });
}

#[test]
fn a_proxy_without_files_says_so_once_and_goes_on_when_it_has_some() {
    let world = World::pair();
    Application::start(world.at("cart", 8080), "cart");
    let _cart = world.proxy("cart").start();
    let web = world.proxy("web").upstream("cart", 8080);
    let web = web.with("metrics: @web:15020").start();
    let metrics = || curl(&[&world.url("web", 15020, "/metrics")]);
    // As it starts, it reads this and that.
    let (mut idle, mut looks) = (web.files(), 0);
    until("a proxy that rests", || {
        looks = if web.files() == idle { looks + 1 } else { 0 };
        idle = web.files();
        (looks == 10).then_some(())
    });
    // What is accepted takes the last one: there is none for the way on.
    web.leave_files(Some(1));
    let answer = curl(&[&world.url("web", 8080, "/")]);
    assert_eq!(answer.outcome(), "503 H004 file-limit");
    until("the end of it", || (web.files() == idle).then_some(()));
    web.leave_files(Some(0));
    let mut waiting = [(); 3].map(|()| Client::to(world.at("web", 8080)));
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nHost: cart\r\n\r\n");
    }
    let at = world.at("web", 8080);
    web.until_says(&[
        r#""event":"accept""#,
        &format!(r#""listener":"{at}""#),
        r#""code":"H004""#,
        "Too many open files",
    ]);
    web.leave_files(None);
    for client in &mut waiting {
        assert_eq!(client.answer().unwrap().status, 200);
    }
    assert_eq!(web.log().matches(r#""event":"accept""#).count(), 1);
    let counted = metrics();
    assert!(
        counted
            .text()
            .contains(r#"leno_accept_failures_total{reporter="source",code="H004","#),
        "{counted:?}"
    );
}
