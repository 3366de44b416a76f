//! Workloads that share their network namespace with a proxy, as in a pod: what is captured by `leno
//! capture`, what is left alone, and that nobody gets in by another way.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use leno_e2e::{Ended, Process, binary, ended, run, until};
use leno_lab::Lab;

use crate::{ask, control_on};

/// Two pods on the first two hosts, whose applications run as another user than their proxies. Calls to
/// cart must be proven; its second name stands for its IPv6 address.
const SHOP: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {mtls: Strict}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web}
spec: {instances: [{name: web, address: 10.77.0.1}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart, labels: {app: cart}}
spec: {ports: [{port: 8080, protocol: HTTP}], instances: [{name: cart, address: 10.77.0.2}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart6}
spec: {serviceAccount: cart, ports: [{port: 8080, protocol: HTTP}], instances: [{name: cart6, address: 'fd77::2'}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {app: cart}, ports: [{port: 80, targetPort: 8080, appProtocol: http}]}
";

/// The user of the proxies, and that of applications that call. Those that are called run as root.
const PROXY: u32 = 15008;
const APPLICATION: u32 = 1000;

/// The number of the host that nothing captures: the control plane runs there, and a stranger.
const OUTSIDE: usize = 3;

/// What an init container of a pod may do: nothing but `leno capture`, by its one capability, where
/// nothing can be written.
fn capture(lab: &Lab, host: usize, options: &[&str]) -> Ended {
    let script = "mount -o remount,bind,ro / && exec setpriv --no-new-privs \
                  --inh-caps=-all --bounding-set=-all,+net_admin \"$@\"";
    let mut command = lab.host(host).command("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.arg(binary()).arg("capture").args(options);
    ended(&mut command).expect("it ends in time")
}

fn captured(lab: &Lab, host: usize, options: &[&str]) {
    let Ended { out, err, status } = capture(lab, host, options);
    assert!(status.success(), "{out}{err}");
    assert!(out.starts_with("captured  TCP out to 15001"), "{out}");
}

/// A program on a host, as a user without rights, but for finding programs in folders of the user who tests.
fn as_user(lab: &Lab, host: usize, user: u32, program: impl AsRef<Path>) -> Command {
    let mut command = lab.host(host).command("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}")]);
    command.args(["--clear-groups", "--inh-caps=-all,+dac_read_search"]);
    command.args(["--ambient-caps=-all,+dac_read_search"]);
    command.args(["--bounding-set=-all,+dac_read_search"]);
    command.arg(program.as_ref());
    command
}

/// What curl gets on a host as a user: the body, or the status and what Leno says, or why it gets nothing.
fn call(lab: &Lab, host: usize, user: u32, url: &str) -> String {
    let mut curl = as_user(lab, host, user, "curl");
    let wanted = "%{http_code} %{exitcode} %header{leno-error}";
    curl.args(["-s", "--max-time", "20", "-w", wanted, url]);
    let ended = ended(&mut curl).expect("curl ends in time");
    ended.out.trim().replace('\n', " ")
}

fn until_called(lab: &Lab, host: usize, url: &str, expected: &str) {
    let mut last = String::new();
    until(&format!("{expected} of {url}"), || {
        last = call(lab, host, APPLICATION, url);
        last.starts_with(expected).then_some(())
    });
}

/// Gives hosts addresses of IPv6, `fd77::1` and so on, and a way to addresses that are nowhere.
fn widen(lab: &Lab, hosts: usize) {
    for host in 1..=hosts {
        let address = format!("fd77::{host}/64");
        for words in [
            &["-6", "addr", "add", &address, "dev", "wire", "nodad"][..],
            &["route", "add", "default", "dev", "wire"],
            &["-6", "route", "add", "default", "dev", "wire"],
        ] {
            run(lab.host(host).command("ip").args(words));
        }
    }
}

/// The proxy of a pod, which runs as the user of proxies and listens as a sidecar does, once it carries calls.
fn sidecar(lab: &Lab, host: usize, workloads: &[&str]) -> Process {
    let proxy = sidecar_with(lab, host, workloads, &[]);
    proxy.until_says(&["adopted view"]);
    proxy
}

/// The same with more options, as soon as it runs.
fn sidecar_with(lab: &Lab, host: usize, workloads: &[&str], more: &[&str]) -> Process {
    let made = ask(lab, &["token", "create", &format!("shop/{}", workloads[0])]);
    let token = made.split_whitespace().last();
    let token = token.expect("the token comes last");
    let state = lab.path(workloads[0]);
    std::fs::create_dir(&state).expect("the folder takes folders");
    std::os::unix::fs::chown(&state, Some(PROXY), Some(PROXY)).expect("the test runs as root");
    let state = state.display().to_string();
    let leno = || as_user(lab, host, PROXY, binary());
    run(leno().args(["join", token, "--state", &state]));
    let tunnel = format!("{}:15008", lab.host(host).address);
    let mut proxy = leno();
    proxy.args(["proxy", "--joined", "-n", "shop", "--state", &state]);
    for name in workloads {
        proxy.args(["--workload", name]);
    }
    proxy.args(["--tunnel", &tunnel]);
    let doors = [
        "--outbound",
        "15001",
        "--dns",
        "15053",
        "--inbound",
        "15006",
    ];
    proxy.args(doors).args(more);
    Process::start(&mut proxy, &lab.path(&format!("{}.log", workloads[0])))
}

/// A server of HTTP at a port of all addresses of a host, which says `said`.
fn server(lab: &Lab, host: usize, port: u16, said: &str) -> Process {
    let name = format!("{host}-{port}");
    lab.write(&format!("{name}/x"), &format!("{said}\n"));
    let folder = lab.path(&name).display().to_string();
    let mut python = lab.host(host).command("python3");
    python.args([
        "-u",
        "-m",
        "http.server",
        "--bind",
        "::",
        "-d",
        &folder,
        &port.to_string(),
    ]);
    let server = Process::start(&mut python, &lab.path(&format!("{name}.log")));
    server.until_says(&["Serving HTTP on"]);
    server
}

/// Answers each question about a name with 203.0.113.7, on all addresses.
const NAMES: &str = r#"
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 53))
print("listens", flush=True)
while True:
    question, asker = server.recvfrom(512)
    end = question.index(b"\0", 12) + 5
    answers = 1 if question[end - 3] == 1 else 0
    head = question[:2] + b"\x81\x80\0\1" + bytes([0, answers]) + b"\0\0\0\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([203, 0, 113, 7])
    server.sendto(head + question[12:end] + record * answers, asker)
    print("answered", asker[0], flush=True)
"#;

/// What a host's programs take for their servers of names. Gone when this is dropped.
struct Resolver(std::path::PathBuf);

impl Resolver {
    fn of(lab: &Lab, host: usize, server: &str) -> Self {
        let folder = Path::new("/etc/netns").join(lab.host(host).namespace());
        std::fs::create_dir_all(&folder).expect("the test runs as root");
        let lines = format!("nameserver {server}\nsearch shop.svc.cluster.local\n");
        std::fs::write(folder.join("resolv.conf"), lines).expect("the folder takes files");
        Self(folder)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn what_goes_in_and_out_of_a_pod_goes_through_its_proxy() {
    let lab = Lab::new(3);
    widen(&lab, 3);
    lab.write("shop.yaml", SHOP);
    let _resolvers = [1, 2].map(|host| Resolver::of(&lab, host, "10.77.0.3"));
    let mut names = lab.host(OUTSIDE).command("python3");
    let names = Process::start(names.args(["-c", NAMES]), &lab.path("names.log"));
    names.until_says(&["listens"]);
    let _control = control_on(&lab, OUTSIDE);
    ask(&lab, &["apply", "-f", "shop.yaml", "-n", "shop"]);
    let _cart = server(&lab, 2, 8080, "cart");
    let _open = server(&lab, 2, 8081, "left out");
    let _outside = server(&lab, OUTSIDE, 9000, "outside");
    // As in a pod, capture comes first, and no connection is made before it.
    captured(&lab, 1, &["--skip-outbound-ports", "9000"]);
    captured(&lab, 2, &["--skip-inbound-ports", "8081-8090"]);
    let _proxies = [
        sidecar(&lab, 1, &["web"]),
        sidecar(&lab, 2, &["cart", "cart6"]),
    ];

    // By name, by address, over either family: strict, so what is answered was proven.
    until_called(&lab, 1, "http://cart/x", "cart");
    until_called(&lab, 1, "http://cart.shop/x", "cart");
    until_called(&lab, 1, "http://10.77.0.2:8080/x", "cart");
    until_called(&lab, 1, "http://[fd77::2]:8080/x", "cart");
    // The workload's own service, and what it sends to itself.
    for url in ["http://cart/x", "http://10.77.0.2:8080/x"] {
        until_called(&lab, 2, url, "cart");
    }
    for own in ["127.0.0.1", "10.77.0.2", "[::1]", "[fd77::2]"] {
        let url = format!("http://{own}:8080/x");
        assert!(
            call(&lab, 2, APPLICATION, &url).starts_with("cart"),
            "{url}"
        );
    }

    // Who comes without a proxy is judged where it arrives, and so is what a proxy's user sends.
    for host in [1, OUTSIDE] {
        for ip in ["10.77.0.2", "[fd77::2]"] {
            let refused = call(&lab, host, PROXY, &format!("http://{ip}:8080/x"));
            assert!(refused.contains("403 0 R002"), "{host}: {refused}");
        }
    }
    // What is left out goes its own way.
    for ip in ["10.77.0.2", "[fd77::2]"] {
        let url = format!("http://{ip}:8081/x");
        assert!(call(&lab, OUTSIDE, PROXY, &url).starts_with("left out"));
    }
    assert!(call(&lab, 1, APPLICATION, "http://10.77.0.3:9000/x").starts_with("outside"));

    // Names of others are asked of the pod's own servers, by the proxy, whomever the workload asks.
    let look_up = "import socket; print(socket.gethostbyname('orders.example'))";
    let mut python = lab.host(1).command("python3");
    assert_eq!(run(python.args(["-c", look_up])), "203.0.113.7\n");
    names.until_says(&["answered 10.77.0.1"]);
    let _elsewhere = Resolver::of(&lab, 1, "192.0.2.53");
    until_called(&lab, 1, "http://cart/x", "cart");
}

/// Takes datagrams at the port of names, and says whether one came.
const DATAGRAMS: &str = r#"
import socket, sys
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("::", 15053))
print("listens", flush=True)
while True:
    came, asker = server.recvfrom(512)
    server.sendto(came, asker)
"#;

/// Sends a datagram to an address, and says what becomes of it.
const DATAGRAM: &str = r#"
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.connect((sys.argv[1], int(sys.argv[2])))
client.settimeout(60)
try:
    client.send(b"question")
    print(client.recv(64).decode())
except OSError as error:
    print(type(error).__name__)
"#;

fn datagram(lab: &Lab, from: usize, to: &str, port: u16) -> String {
    let mut python = lab.host(from).command("python3");
    let said = run(python.args(["-c", DATAGRAM, to, &port.to_string()]));
    said.trim().to_owned()
}

#[test]
fn from_outside_nobody_speaks_to_what_takes_captured_calls() {
    let lab = Lab::new(2);
    widen(&lab, 2);
    // Nothing is there but listeners at all addresses: the rules alone keep others out.
    let ports = [15001, 15006, 15053, 8080];
    let _servers = ports.map(|port| server(&lab, 2, port, &format!("within {port}")));
    let mut datagrams = lab.host(2).command("python3");
    let datagrams = Process::start(
        datagrams.args(["-c", DATAGRAMS]),
        &lab.path("datagrams.log"),
    );
    datagrams.until_says(&["listens"]);
    let url = |ip: &str, port: u16| format!("http://{ip}:{port}/x");
    let reached = |ip: &str, port| call(&lab, 1, APPLICATION, &url(ip, port));
    let ips = ["10.77.0.2", "[fd77::2]"];
    let bare = |ip: &str| ip.trim_matches(['[', ']']).to_owned();
    for ip in ips {
        assert!(reached(ip, 15001).starts_with("within"));
        assert_eq!(datagram(&lab, 1, &bare(ip), 15053), "question");
    }

    // Also where somebody would leave these ports out.
    for options in [&[][..], &["--skip-inbound-ports", "1-65535"]] {
        captured(&lab, 2, options);
        for ip in ips {
            // What is said to be for 15001 comes in like all else.
            assert!(reached(ip, 15001).starts_with("within 15006"));
            for port in [15006, 15053] {
                // Refused, at once.
                assert_eq!(reached(ip, port), "000 7", "{ip} {port} {options:?}");
            }
            assert_eq!(
                datagram(&lab, 1, &bare(ip), 15053),
                "ConnectionRefusedError"
            );
            // What was redirected gets through, and so does what is left out.
            assert!(reached(ip, 8080).starts_with("within"), "{options:?}");
        }
        let own = call(&lab, 2, APPLICATION, &url("127.0.0.1", 15001));
        assert!(own.starts_with("within"), "{own}");
    }
    // A packet that comes from outside for the loopback address does not get further.
    run(lab
        .host(2)
        .command("sysctl")
        .args(["-qw", "net.ipv4.conf.all.route_localnet=1"]));
    let route = ["route", "add", "127.0.0.99/32", "via", "10.77.0.2"];
    run(lab.host(1).command("ip").args(route));
    run(lab
        .host(1)
        .command("sysctl")
        .args(["-qw", "net.ipv4.conf.all.route_localnet=1"]));
    run(lab.host(1).command("ip").args([
        "route",
        "del",
        "local",
        "127.0.0.0/8",
        "dev",
        "lo",
        "table",
        "local",
    ]));
    let source = ["--interface", "wire"];
    let mut curl = lab.host(1).command("curl");
    curl.args(["-s", "--max-time", "20", "-w", "%{http_code} %{exitcode}"]);
    curl.args(source).arg(url("127.0.0.99", 15053));
    let refused = ended(&mut curl).expect("curl ends in time").out;
    assert_eq!(refused, "000 7");
}

#[test]
fn datagrams_are_counted_and_refused_where_that_is_asked() {
    let lab = Lab::new(2);
    widen(&lab, 2);
    let echo = DATAGRAMS.replace("15053", "9000");
    let mut server = lab.host(2).command("python3");
    let server = Process::start(server.args(["-c", &echo]), &lab.path("echo.log"));
    server.until_says(&["listens"]);
    let counted = |name: &str| {
        let mut nft = lab.host(1).command("nft");
        let told = run(nft.args(["list", "counter", "inet", "leno", name]));
        let mut words = told.split_whitespace();
        words.find(|word| *word == "packets");
        words.next().expect("a number follows").to_owned()
    };
    captured(&lab, 1, &[]);
    for ip in ["10.77.0.2", "fd77::2"] {
        assert_eq!(datagram(&lab, 1, ip, 9000), "question");
    }
    assert_eq!(counted("udp_passed"), "2");
    captured(&lab, 1, &["--refuse-udp"]);
    for ip in ["10.77.0.2", "fd77::2"] {
        let refused = datagram(&lab, 1, ip, 9000);
        assert!(refused.ends_with("Error"), "{refused}");
    }
    assert_eq!(counted("udp_refused"), "2");
    // Whoever is asked answers.
    captured(&lab, 2, &["--refuse-udp"]);
    run(lab.host(1).command(binary()).args(["capture", "--remove"]));
    assert_eq!(datagram(&lab, 1, "10.77.0.2", 9000), "question");
}

#[test]
fn rules_that_somebody_took_away_are_told_and_put_back() {
    let lab = Lab::new(1);
    let missing = capture(&lab, 1, &["--check"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(missing.out.contains("H005 not-captured"), "{}", missing.out);
    assert!(missing.out.contains("table inet leno is missing"));
    let options = ["--skip-inbound-ports", "22"];
    let check = ["--check", "--skip-inbound-ports", "22"];
    captured(&lab, 1, &options);
    captured(&lab, 1, &check);
    run(lab
        .host(1)
        .command("nft")
        .args(["flush", "chain", "inet", "leno", "inbound"]));
    let missing = capture(&lab, 1, &check);
    assert_eq!(missing.status.code(), Some(1));
    let lacks = "chain inbound lacks \"fib daddr type local meta l4proto tcp redirect to :15006\"";
    assert!(missing.out.contains(lacks), "{}", missing.out);
    captured(&lab, 1, &options);
    captured(&lab, 1, &check);

    // Without the right nothing is seen, and nothing is claimed.
    let mut powerless = as_user(&lab, 1, APPLICATION, binary());
    let told = ended(powerless.args(["capture", "--check"])).expect("it ends in time");
    assert_eq!(told.status.code(), Some(3));
    assert!(told.err.contains("H006 rules-refused"), "{}", told.err);
    assert!(told.err.contains("CAP_NET_ADMIN"), "{}", told.err);
}

/// Opens a connection and says what it is worth: each time the signal USR1 comes, once more.
const OPEN: &str = r#"
import signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
client = socket.create_connection((sys.argv[1], int(sys.argv[2])))
client.settimeout(60)
print("open", flush=True)
while signal.sigwait([signal.SIGUSR1]):
    try:
        client.send(b"HEAD /x HTTP/1.1\r\nhost: x\r\n\r\n")
        print("went on" if client.recv(4096) else "ended", flush=True)
    except OSError:
        print("ended", flush=True)
"#;

/// A pod on host 2 without a proxy: at the ports of its proxy are servers that say what came to them, and so does one
/// where calls would get to that go past it.
fn without_proxy(lab: &Lab) -> [Process; 4] {
    widen(lab, 2);
    let captured = [15001, 15006].map(|port| server(lab, 2, port, "captured"));
    let [out, within] = captured;
    let past = [(1, 9000), (2, 8080)].map(|(host, port)| server(lab, host, port, "past"));
    let [outside, inside] = past;
    [out, within, outside, inside]
}

/// Who calls out of that pod and into it, over either family.
const WAYS: [(usize, &str); 4] = [
    (2, "http://10.77.0.1:9000/x"),
    (2, "http://[fd77::1]:9000/x"),
    (1, "http://10.77.0.2:8080/x"),
    (1, "http://[fd77::2]:8080/x"),
];

fn nft(lab: &Lab, host: usize, words: &str) {
    run(lab.host(host).command("nft").args(words.split(' ')));
}

#[test]
fn rules_that_somebody_changes_are_put_back_under_load() {
    let lab = Lab::new(2);
    let _servers = without_proxy(&lab);
    let mut watch = lab.host(2).command("setpriv");
    watch.args(["--no-new-privs", "--inh-caps=-all"]);
    watch.args(["--bounding-set=-all,+net_admin"]);
    watch.arg(binary()).args(["capture", "--watch"]);
    let watch = Process::start(&mut watch, &lab.path("watch.log"));
    watch.until_says(&["captured  TCP out to 15001"]);
    let done = AtomicBool::new(false);
    let calls = |way: usize| {
        let (host, url) = WAYS[way];
        call(&lab, host, APPLICATION, url)
    };
    std::thread::scope(|scope| {
        for way in [0, 3] {
            let (calls, done) = (&calls, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    calls(way);
                }
            });
        }
        let changes = [
            "flush ruleset",
            "delete table inet leno",
            "flush table inet leno",
            "flush chain inet leno outbound",
            "delete chain inet leno inbound",
            "insert rule inet leno outbound accept",
            "insert rule inet leno inbound tcp dport 8080 accept",
            "add table inet leno { flags dormant; }",
        ];
        for (change, number) in changes.iter().zip(1..) {
            nft(&lab, 2, change);
            watch.until_says(&[&format!("put back  H005 not-captured · {number} so far")]);
            for way in 0..WAYS.len() {
                let answer = calls(way);
                assert!(answer.starts_with("captured"), "{change}, {way}: {answer}");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    captured(&lab, 2, &["--check"]);
    let log = watch.log();
    assert!(log.contains("    table inet leno is missing\n"), "{log}");
    assert!(log.contains("    chain inbound is missing\n"), "{log}");
    // Each change was one, and what put them back is none.
    assert_eq!(log.matches("put back").count(), 8, "{log}");
    watch.signal("TERM");
    assert!(watch.ended().success());
    captured(&lab, 2, &["--check"]);
}

#[test]
fn what_is_not_redirected_and_should_be_is_closed() {
    let lab = Lab::new(2);
    let _servers = without_proxy(&lab);
    let mut open = as_user(&lab, 2, APPLICATION, "python3");
    open.args(["-c", OPEN, "10.77.0.1", "9000"]);
    let open = Process::start(&mut open, &lab.path("open.log"));
    open.until_says(&["open"]);
    open.signal("USR1");
    open.until_says(&["went on"]);
    captured(&lab, 2, &[]);
    open.signal("USR1");
    open.until_says(&["ended"]);
    // A chain that is not there leads nothing to the proxy, and another one lets nothing past it.
    for chain in ["outbound", "inbound"] {
        nft(&lab, 2, &format!("delete chain inet leno {chain}"));
    }
    for (host, url) in WAYS {
        let answer = call(&lab, host, APPLICATION, url);
        assert!(answer.starts_with("000"), "{url}: {answer}");
    }
}

/// What a question whether a pod's proxy is ready gets until it gets `expected`.
fn until_ready(lab: &Lab, from: usize, url: &str, expected: &str) -> String {
    let mut last = String::new();
    until(&format!("{expected} of {url}"), || {
        last = call(lab, from, APPLICATION, url);
        last.starts_with(expected).then_some(())
    });
    last
}

#[test]
fn a_proxy_without_rights_sees_whether_it_is_captured() {
    let lab = Lab::new(3);
    widen(&lab, 3);
    lab.write("shop.yaml", SHOP);
    let _control = control_on(&lab, OUTSIDE);
    ask(&lab, &["apply", "-f", "shop.yaml", "-n", "shop"]);
    let proxy = sidecar_with(&lab, 1, &["web"], &["--captured", "--metrics", "15020"]);
    let own = "http://127.0.0.1:15020/ready";
    let outside = [
        "http://10.77.0.1:15001/ready",
        "http://[fd77::1]:15001/ready",
    ];
    let check = || {
        let mut leno = Command::new(binary());
        leno.arg("check").env("LENO_CONTEXT", lab.path("socket"));
        ended(leno.current_dir(lab.path("")))
            .expect("it ends in time")
            .out
    };
    let captures = ["capture_proven", "capture_losses_total"];
    let captures = captures.map(|name| format!("leno_{name}{{workload=\"shop/web\"}}"));
    let metrics = || {
        let all = call(&lab, 1, APPLICATION, "http://127.0.0.1:15020/metrics");
        captures.each_ref().map(|name| {
            let (_, value) = all.split_once(name.as_str()).expect("it is among them");
            value
                .split_whitespace()
                .next()
                .expect("it has a value")
                .to_owned()
        })
    };

    // Nobody was captured yet: it is not ready, and asked from outside it is not there.
    proxy.until_says(&[
        "not captured",
        "H007 capture-lost",
        "192.0.2.150",
        "2001:db8::150",
    ]);
    until_ready(
        &lab,
        1,
        own,
        "H007 capture-lost: shop/web: what was sent to 192.0.2.150:15001",
    );
    assert_eq!(call(&lab, OUTSIDE, APPLICATION, outside[0]), "000 7");
    captured(&lab, 1, &[]);
    proxy.until_says(&["captured  what is sent comes here"]);
    until_ready(&lab, 1, own, "ready");
    for url in outside {
        assert!(
            call(&lab, OUTSIDE, APPLICATION, url).starts_with("ready"),
            "{url}"
        );
    }
    // Who pretends to be the proxy proves nothing and gets nothing.
    let pretended = call(&lab, 1, APPLICATION, "http://192.0.2.150/x");
    assert!(pretended.starts_with("000"), "{pretended}");
    assert_eq!(metrics(), ["1", "1"]);
    until("nothing is wrong", || {
        (!check().contains("H007")).then_some(())
    });

    // All rules are gone, those of one family, those about what comes in: each is seen.
    nft(&lab, 1, "flush ruleset");
    until_ready(&lab, 1, own, "H007 capture-lost");
    let lost = "H007 capture-lost";
    until("the control plane says so", || {
        let said = check();
        (said.contains(lost) && said.contains("proxy shop/web")).then_some(())
    });
    assert_eq!(metrics(), ["0", "2"]);
    assert_eq!(call(&lab, OUTSIDE, APPLICATION, outside[1]), "000 7");
    captured(&lab, 1, &[]);
    until_ready(&lab, 1, own, "ready");
    until("that is over", || (!check().contains(lost)).then_some(()));

    nft(
        &lab,
        1,
        "insert rule inet leno outbound meta nfproto ipv6 return",
    );
    let words = "H007 capture-lost: shop/web: what was sent to [2001:db8::150]:15001 did not come";
    let said = until_ready(&lab, 1, own, words);
    assert!(!said.contains("192.0.2.150"), "{said}");
    // Without a way out over a family there is nothing of it to capture.
    run(lab
        .host(1)
        .command("ip")
        .args(["-6", "route", "del", "default"]));
    until_ready(&lab, 1, own, "ready");
    captured(&lab, 1, &[]);
    nft(&lab, 1, "delete chain inet leno inbound");
    let asked = call(&lab, OUTSIDE, APPLICATION, outside[0]);
    assert!(asked.starts_with("000"), "{asked}");
}
