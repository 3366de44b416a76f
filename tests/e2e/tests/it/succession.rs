//! A newer process of a proxy takes the place of the one that runs.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use leno_e2e::{Answer, Application, Client, Process, World, curl, run, serve, until};

use crate::load::Load;
use crate::pair::Pair;

/// How many requests are answered at least before each of the upgrades, and after the last.
const MANY: usize = 2000;

fn again(world: &World, name: &str) -> Process {
    let proxy = match name {
        "web" => world.proxy(name).upstream("cart", 8080),
        _ => world.proxy(name),
    };
    proxy.arguments(&["--take-over"]).start()
}

/// Upgrades the proxies of `names`, one after the other, while clients ask at `at`: none of them
/// notices.
fn upgrade(world: &World, at: SocketAddr, mut running: Vec<(&str, Process)>) {
    let load = Load::mixed(at);
    for _ in 0..2 {
        for (name, process) in &mut running {
            load.goes_on_for(MANY);
            let newer = again(world, name);
            newer.until_says(&["took over"]);
            let older = std::mem::replace(process, newer);
            older.until_says(&["succeeded"]);
            assert!(older.ended().success());
        }
    }
    load.goes_on_for(MANY);
    let answers = load.stop();
    assert!(answers.len() > MANY * (2 * running.len() + 1));
    for answer in answers {
        assert_eq!(answer.as_ref().map(Answer::outcome).as_deref(), Some("200"));
    }
}

#[test]
fn an_upgrade_of_either_proxy_of_a_pair_loses_no_request() {
    let Pair {
        world, web, cart, ..
    } = Pair::start();
    let at = world.at("web", 8080);
    upgrade(&world, at, vec![("web", web), ("cart", cart)]);
}

#[test]
fn an_upgrade_of_both_proxies_of_a_pair_fails_none_of_two_thousand_requests_a_second() {
    // 16 connections of HTTP/1.1, as many requests a second on each.
    const STEADY: [&str; 6] = ["--h1", "-n16000", "-c16", "-t1", "--rps", "125"];
    let Pair {
        world,
        application,
        web,
        cart,
    } = Pair::start();
    let url = world.url("web", 8080, "/");
    let load = world.process("load", Command::new("h2load").args(STEADY).arg(url));
    let mut running = [("web", web), ("cart", cart)];
    for round in 1..=2 {
        for (number, (name, process)) in running.iter_mut().enumerate() {
            let before = 3000 * (2 * round + number - 2) + 1000;
            until("the load", || {
                (application.requests() > before).then_some(())
            });
            let newer = again(&world, name);
            newer.until_says(&["took over"]);
            let older = std::mem::replace(process, newer);
            older.until_says(&["succeeded"]);
            assert!(older.ended().success());
        }
    }
    assert!(load.ended().success());
    let told = load.log();
    assert!(
        told.contains("16000 succeeded, 0 failed, 0 errored, 0 timeout"),
        "{told}"
    );
    assert!(
        told.contains("status codes: 16000 2xx, 0 3xx, 0 4xx, 0 5xx"),
        "{told}"
    );
    assert_eq!(application.requests(), 16000);
}

#[test]
fn an_upgrade_of_a_proxy_that_calls_in_plain_loses_no_request() {
    let world = World::new("mtls: Permissive, default: Allow")
        .workload("web", "")
        .unproxied("cart", "{port: 8080, protocol: HTTP}");
    Application::start(world.at("cart", 8080), "cart");
    let web = world.proxy("web").upstream("cart", 8080).start();
    let at = world.at("web", 8080);
    upgrade(&world, at, vec![("web", web)]);
}

#[test]
fn what_is_idle_changes_the_process_and_what_lives_ends_in_the_older_one() {
    let world = World::pair();
    serve(world.at("cart", 6379), |stream| {
        let mut out = stream.try_clone().unwrap();
        drop(std::io::copy(&mut &stream, &mut out));
    });
    Application::start(world.at("cart", 8080), "cart");
    let _cart = world.proxy("cart").start();
    let proxy = || {
        let proxy = world.proxy("web").upstream("cart", 6379);
        proxy.upstream("cart", 8080).with("metrics: @web:15020")
    };
    let older = proxy().start();
    let mut idle = Client::to(world.at("web", 8080));
    assert_eq!(idle.get("/before").unwrap().status, 200);
    let mut waiting = Client::to(world.at("web", 8080));
    waiting.send("GET /never HTTP/1.1\r\nHost: cart\r\n\r\n");
    let mut live = Client::to(world.at("web", 6379));
    live.send("before");
    assert_eq!(live.read(6), b"before");
    let newer = proxy().arguments(&["--take-over"]).start();
    older.until_says(&["succeeded"]);
    // Idle: it lives on, in the newer process. What comes before it has moved is still answered here.
    let mut ask = |path: &str| {
        let answer = idle.get(path).unwrap();
        assert_eq!((answer.status, answer.closes()), (200, false));
    };
    let after = r#""path":"/after""#;
    until("the newer process", || {
        ask("/after");
        newer.log().contains(after).then_some(())
    });
    ask("/and-after");
    newer.until_says(&[r#""path":"/and-after""#]);
    // Not idle: it stays where it is, for as long as it may.
    live.send("after");
    assert_eq!(live.read(5), b"after");
    assert!(!older.has_ended());
    // The newer one is who is asked how it is.
    assert_eq!(curl(&[&world.url("web", 15020, "/ready")]).status, 200);
    older.signal("TERM");
    assert_eq!(waiting.answer().unwrap().outcome(), "503 R041 draining");
    assert!(live.is_cut());
    older.until_says(&["cut  shop/web -> shop/cart  2 that still lived  R041 draining"]);
    assert!(older.ended().success());
    assert_eq!(idle.get("/last").unwrap().status, 200);
}

#[test]
fn streams_of_bytes_in_plain_go_on_in_the_newer_process() {
    const PIECE: &[u8] = b"0123456789";
    // More than sockets hold on their way.
    const MUCH: usize = 12_000_000;
    let world = World::new("mtls: Permissive, default: Allow")
        .workload("web", "")
        .unproxied("cart", "{port: 6379, protocol: TCP}");
    let (open, opened) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    serve(world.at("cart", 6379), move |mut stream| {
        let mut first = [0];
        stream.read_exact(&mut first).unwrap();
        let mut all = Vec::new();
        if &first == b"." {
            // It answers when all has come, and reads nothing before it is told to.
            open.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
            stream.read_to_end(&mut all).unwrap();
            let whole = all == PIECE.repeat(all.len() / PIECE.len());
            return stream
                .write_all(format!("{} {whole}", all.len()).as_bytes())
                .unwrap();
        }
        let mut out = stream.try_clone().unwrap();
        drop(std::io::copy(&mut stream, &mut out));
    });
    let proxy = || world.proxy("web").upstream("cart", 6379);
    let older = proxy().start();
    let at = world.at("web", 6379);
    let mut talking = Client::to(at);
    talking.send("!before");
    assert_eq!(talking.read(6), b"before");
    let mut half = Client::to(at);
    half.send(".");
    half.end();
    let large = thread::spawn(move || {
        let mut client = Client::to(at);
        client.send(".");
        client.send(PIECE.repeat(MUCH / PIECE.len()));
        client.end();
        client.rest()
    });
    for _ in 0..2 {
        opened.recv().unwrap();
    }
    let newer = proxy().arguments(&["--take-over"]).start();
    older.until_says(&["succeeded"]);
    talking.send("after");
    assert_eq!(talking.read(5), b"after");
    // What the older one has read it writes before it ends.
    for _ in 0..2 {
        release.send(()).unwrap();
    }
    assert!(older.ended().success());
    assert_eq!(half.rest(), b"0 true");
    assert_eq!(large.join().unwrap(), format!("{MUCH} true").as_bytes());
    talking.send("at last");
    assert_eq!(talking.read(7), b"at last");
    talking.end();
    assert!(talking.is_over());
    newer.until_says(&[r#""sent":12,"received":12"#]);
    let log = older.log();
    assert!(!log.contains("cut "), "{log}");
    // Both tell of it under one name.
    let line = log
        .lines()
        .find(|line| line.contains(r#""sent":7,"received":6"#));
    let id = line.and_then(|line| line.split('"').find(|word| word.len() == 32));
    assert!(newer.log().contains(id.unwrap()), "{log}");
}

#[test]
fn a_service_manager_reloads_a_proxy_without_a_gap() {
    let world = World::pair();
    let socket = world.folder().join("manager.sock");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let told = || {
        let mut bytes = [0; 1000];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    Application::start(world.at("cart", 8080), "cart");
    let _cart = world.proxy("cart").start();
    let web = world
        .proxy("web")
        .upstream("cart", 8080)
        .managed(socket.clone())
        .start();
    assert_eq!(told(), format!("READY=1\nMAINPID={}", web.pid()));
    let load = Load::mixed(world.at("web", 8080));
    load.goes_on_for(300);
    web.signal("USR2");
    let ready = told();
    let newer = ready.strip_prefix("READY=1\nMAINPID=").unwrap();
    assert!(web.ended().success());
    load.goes_on_for(300);
    for answer in load.stop() {
        assert_eq!(answer.as_ref().map(Answer::outcome).as_deref(), Some("200"));
    }
    run(Command::new("kill").arg(newer));
    assert_eq!(told(), "STOPPING=1");
    until("its end", || {
        Client::try_to(world.at("web", 8080))
            .is_none()
            .then_some(())
    });
}

#[test]
fn a_newer_one_that_fails_leaves_the_older_one_as_it_was() {
    let pair = Pair::start();
    let world = &pair.world;
    let again = || world.proxy("web").upstream("cart", 8080);
    // Not told to take over.
    let second = again().attempt();
    assert_eq!(second.ended().code(), Some(3));
    second.until_says(&["H002 port-taken", "--take-over"]);
    // Told to, and wrong.
    let wrong = again().with("workers: none").arguments(&["--take-over"]);
    assert_eq!(wrong.attempt().ended().code(), Some(3));
    // Right, but for an address that somebody else has.
    let taken = format!("metrics: {}", world.at("cart", 15008));
    let taken = again().with(&taken).arguments(&["--take-over"]).attempt();
    assert_eq!(taken.ended().code(), Some(3));
    taken.until_says(&["H002 port-taken"]);
    again().write();
    assert_eq!(pair.curl("/", &[]).status, 200);
    assert!(!pair.web.has_ended());
    let newer = again().arguments(&["--take-over"]).start();
    pair.web.until_says(&["succeeded"]);
    assert!(pair.web.ended().success());
    assert_eq!(pair.curl("/", &[]).status, 200);
    drop(newer);
}

#[test]
fn a_newer_one_serves_on_where_the_older_one_is_killed_meanwhile() {
    let mut pair = Pair::start();
    let world = &pair.world;
    let mut live = Client::to(world.at("web", 8080));
    live.send("GET /never HTTP/1.1\r\nHost: cart\r\n\r\n");
    let newer = again(world, "web");
    pair.web.until_says(&["succeeded"]);
    pair.web.kill();
    assert!(live.is_over());
    assert_eq!(curl(&[&world.url("web", 8080, "/")]).status, 200);
    // And it is succeeded like the first.
    let last = again(world, "web");
    newer.until_says(&["succeeded"]);
    assert!(newer.ended().success());
    assert_eq!(curl(&[&world.url("web", 8080, "/")]).status, 200);
    drop(last);
}
