//! Where connections and datagrams go.

use std::io::{Read, Write};

use leno_host::Event;

use crate::world::{World, accept, layout, readable};

#[test]
fn the_rules_are_what_nft_says_they_are() {
    let world = World::new();
    let text = leno_host::capture_rules(&layout()).to_string();
    assert_eq!(world.inside(["nft", "list", "ruleset"]), text);
}

#[test]
fn every_connection_arrives_with_its_destination_and_its_own_address() {
    let mut world = World::new();
    for (family, to, own) in [
        (0, "203.0.113.9:80", "10.77.0.2:"),
        (1, "[2001:db8::9]:443", "[fd77::2]:"),
        (0, "127.0.0.1:8081", "127.0.0.1:"),
        (1, "[::1]:8081", "[::1]:"),
        (0, "10.77.0.1:80", "10.77.0.2:"),
    ] {
        let from = world.ask(&format!("connect {to}"));
        assert!(from.starts_with(own), "{to}: {from}");
        let (mut stream, meant) = world.captured(family);
        assert_eq!(meant.to_string(), to);
        assert_eq!(stream.peer_addr().unwrap().to_string(), from);

        stream.write_all(b"answer").unwrap();
        assert_eq!(world.ask("hear"), "answer");
        assert_eq!(world.ask("say question"), "said");
        let mut question = [0; 8];
        stream.read_exact(&mut question).unwrap();
        assert_eq!(&question, b"question");
    }
}

#[test]
fn a_loopback_port_is_the_workloads_own_while_it_listens_there() {
    for (family, any) in [(0, "127.0.0.1:0"), (1, "[::1]:0"), (0, "0.0.0.0:0")] {
        let mut world = World::new();
        let bound = world.ask(&format!("listen {any}"));
        world.until_listening(&[&bound]);
        let to = bound.replace("0.0.0.0", "127.0.0.1");
        let from = world.ask(&format!("connect {to}"));
        assert_eq!(world.ask("accept"), from);
        assert!(world.nothing_captured());

        world.ask("close");
        world.until_listening(&[]);
        world.ask(&format!("connect {to}"));
        assert_eq!(world.captured(family).1.to_string(), to);
    }
}

#[test]
fn looking_at_once_finds_what_listens() {
    let mut world = World::new();
    let bound: Vec<_> = (0..5).map(|_| world.ask("listen 127.0.0.1:0")).collect();
    world.enclosure.look().unwrap();
    let bound: Vec<_> = bound.iter().map(String::as_str).collect();
    world.until_listening(&bound);
}

#[test]
fn more_listeners_than_a_report_holds_are_counted_and_still_their_own() {
    let mut world = World::new();
    let last = world.ask("listen-many 127.0.0.1 600");
    world.enclosure.look().unwrap();
    world.until(|event| {
        matches!(event, Event::Listening { addresses, omitted } if addresses.len() == 512 && *omitted == 88)
    });
    let from = world.ask(&format!("connect {last}"));
    assert_eq!(world.ask("accept"), from);
    assert!(world.nothing_captured());
}

#[test]
fn the_workloads_own_address_is_its_own_affair() {
    let mut world = World::new();
    for any in ["10.77.0.2:0", "[fd77::2]:0"] {
        let bound = world.ask(&format!("listen {any}"));
        let from = world.ask(&format!("connect {bound}"));
        assert_eq!(world.ask("accept"), from);
    }
    assert!(world.ask("connect 10.77.0.2:9").contains("refused"));
    assert!(world.nothing_captured());
}

#[test]
fn dns_arrives_whatever_server_is_asked_and_is_answered() {
    let mut world = World::new();
    for (family, server) in [
        (0, "10.77.0.1:53"),
        (0, "8.8.8.8:53"),
        (0, "127.0.0.53:53"),
        (1, "[2001:4860:4860::8888]:53"),
    ] {
        world.order(&format!("tell {server} question"));
        let listener = &world.listeners.dns_udp[family];
        readable(listener);
        let mut question = [0; 64];
        let (count, from) = listener.recv_from(&mut question).unwrap();
        assert_eq!(&question[..count], b"question");
        listener.send_to(b"answer", from).unwrap();
        assert_eq!(world.answer(), "answer");

        let from = world.ask(&format!("connect {server}"));
        let stream = accept(&world.listeners.dns_tcp[family]);
        assert_eq!(stream.peer_addr().unwrap().to_string(), from);
    }
    assert!(world.nothing_captured());
}

#[test]
fn names_are_asked_of_the_resolver_and_nobody_else() {
    let mut world = World::new();
    let conf = "nameserver 10.77.0.1|search default.svc.cluster.local|";
    assert_eq!(world.ask("read /etc/resolv.conf"), conf);
    assert!(
        world
            .ask("read /etc/nsswitch.conf")
            .contains("|hosts: files dns|")
    );

    world.order("resolve cart");
    readable(&world.listeners.dns_udp[0]);
    let mut question = [0; 512];
    let count = world.listeners.dns_udp[0].recv(&mut question).unwrap();
    let name = b"\x04cart\x07default\x03svc\x07cluster\x05local\0";
    let question = &question[..count];
    assert!(
        question.windows(name.len()).any(|part| part == name),
        "{question:?}"
    );
}

#[test]
fn other_datagrams_are_refused_and_counted() {
    let mut world = World::new();
    for (to, so_far) in [
        ("203.0.113.9:443", 1),
        ("[2001:db8::9]:443", 2),
        ("10.77.0.1:123", 3),
        ("224.0.0.251:5353", 4),
        ("127.0.0.1:8125", 5),
        ("[::1]:8125", 6),
    ] {
        let answer = world.ask(&format!("tell {to} x"));
        assert!(answer.starts_with("error: "), "{to}: {answer}");
        world.until_refused(so_far);
    }
}

#[test]
fn datagrams_within_the_workload_pass() {
    let mut world = World::new();
    for any in ["127.0.0.1:0", "[::1]:0", "10.77.0.2:0", "[fd77::2]:0"] {
        let bound = world.ask(&format!("bind {any}"));
        world.ask("echo");
        assert_eq!(world.ask(&format!("tell {bound} hello")), "hello");
    }
}

#[test]
fn nothing_leaves_by_a_second_interface_either() {
    let mut world = World::new();
    let add = "ip link add leak0 type veth peer name leak1
        sysctl -qw net.ipv6.conf.leak0.autoconf=0 net.ipv6.conf.leak0.addr_gen_mode=1
        ip link set leak0 up arp off
        ip link set leak1 up
        ip route add 192.0.2.0/24 dev leak0 src 10.77.0.2
        ip route add 2001:db8:1::/64 dev leak0 src fd77::2";
    world.inside(["sh", "-ec", add]);
    let before = world.inside(["ip", "-s", "-o", "link", "show", "leak0"]);

    for (family, to) in [(0, "192.0.2.9:80"), (1, "[2001:db8:1::9]:80")] {
        let from = world.ask(&format!("connect {to}"));
        assert!(!from.starts_with("error"), "{from}");
        assert_eq!(world.captured(family).1.to_string(), to);
    }
    for to in ["192.0.2.9:443", "[2001:db8:1::9]:443"] {
        assert!(
            world.ask(&format!("tell {to} x")).starts_with("error: "),
            "{to}"
        );
    }
    world.inside(["sh", "-c", "ping -c 1 -W 1 192.0.2.9 || true"]);
    let after = world.inside(["ip", "-s", "-o", "link", "show", "leak0"]);
    assert_eq!(before, after, "not one packet was sent");
}

#[test]
fn two_workloads_with_one_address_do_not_meet() {
    let mut worlds = [World::new(), World::new()];
    for (world, port) in worlds.iter_mut().zip([1001, 1002]) {
        world.ask(&format!("connect 203.0.113.9:{port}"));
        world.ask("listen 10.77.0.2:7000");
    }
    for (world, port) in worlds.iter_mut().zip([1001, 1002]) {
        assert_eq!(world.captured(0).1.port(), port);
        assert!(world.nothing_captured());
        let from = world.ask("connect 10.77.0.2:7000");
        assert_eq!(world.ask("accept"), from);
    }
}
