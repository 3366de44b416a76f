//! Two control planes over one etcd, and a pair of proxies that call each other all the while.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use leno_e2e::{Application, Client, Ended, Process, World, ended, run, until};

use crate::control::{PAIR, joined};

const MESH: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {trustDomain: shop.local, mtls: Strict}
---
";

/// What is applied once the first control plane has ended.
const LATER: &str = "\
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: later}
spec: {instances: [{address: 10.0.0.7}]}
";

/// A mesh of two.
fn shop() -> String {
    format!("{MESH}{PAIR}")
}

/// etcd, and what two control planes and their proxies need.
struct Replicas {
    world: World,
    etcd: Process,
}

impl Replicas {
    fn start() -> Self {
        let world = World::new("");
        let [clients, peers] = [2379, 2380].map(|port| world.url("etcd", port, ""));
        let mut etcd = Command::new("etcd");
        etcd.args(["--data-dir", "etcd", "--name", "one"])
            .args(["--listen-client-urls", &clients])
            .args(["--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers])
            .args(["--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("one={peers}")])
            .current_dir(world.folder());
        let etcd = world.process("etcd", &mut etcd);
        let at = world.at("etcd", 2379);
        until("etcd", || TcpStream::connect(at).ok());
        std::fs::write(world.folder().join("secret"), "correct horse battery").unwrap();
        Self { world, etcd }
    }

    fn control(&self, name: &str) -> Process {
        let [one, two] = ["one", "two"].map(|name| self.world.at(name, 15012).to_string());
        let mut control = self.world.command(&["control", "--replica", name]);
        control
            .args(["--listen", &self.world.at(name, 15012).to_string()])
            .args(["--advertise", &format!("{one},{two}")])
            .args(["--data", &format!("{name}.data")])
            .args(["--socket", &format!("{name}.sock")])
            .args(["--etcd", &self.world.url("etcd", 2379, "")])
            .args(["--seal-keys-with", "secret"]);
        self.world.process(name, &mut control)
    }

    fn command(&self, of: &str, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        command.env("LENO_CONTEXT", self.socket(of));
        command
    }

    fn socket(&self, of: &str) -> PathBuf {
        self.world.folder().join(format!("{of}.sock"))
    }

    /// What `leno` says at its end, asking this control plane.
    fn ask(&self, of: &str, arguments: &[&str]) -> String {
        run(&mut self.command(of, arguments))
    }

    /// How `leno` ends, asking this control plane.
    fn told(&self, of: &str, arguments: &[&str]) -> Ended {
        ended(&mut self.command(of, arguments)).expect("it ends in time")
    }

    fn apply(&self, of: &str, set: &str, objects: &str) -> Ended {
        let file = format!("{set}.yaml");
        let written = self.world.filled(objects);
        std::fs::write(self.world.folder().join(&file), written).unwrap();
        self.told(of, &["apply", "-f", &file, "-n", "shop", "--set", set])
    }

    /// The proxy of a workload, which has joined the first control plane.
    fn joined(&self, name: &str, more: &[&str]) -> Process {
        joined(
            &self.world,
            |arguments| self.ask("one", arguments),
            name,
            more,
        )
    }

    /// Waits until this control plane says that it stands by for the other, and lacks nothing.
    fn until_stands_by(&self, name: &str, acting: &str) {
        until(&format!("{name} stands by"), || {
            let told = self.told(name, &["status"]).out;
            let stands_by = told.contains(&format!("{name} stands by: {acting} acts"));
            let (_, entries) = told.split_once("it holds entry ")?;
            let (held, last) = entries.split_once(" of ")?;
            let last = last.split_whitespace().next()?;
            (stands_by && held == last).then_some(())
        });
    }
}

/// Calls again and again, until it is asked what came of it.
struct Caller {
    ends: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    calling: JoinHandle<Vec<String>>,
}

impl Caller {
    fn start(at: std::net::SocketAddr) -> Self {
        let (ends, calls) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (over, counted) = (Arc::clone(&ends), Arc::clone(&calls));
        let calling = thread::spawn(move || {
            let mut failed = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let answer = Client::to(at).get("/");
                let outcome = answer.map_or("no answer".to_owned(), |answer| answer.outcome());
                failed.extend(Some(outcome).filter(|outcome| outcome != "200"));
                counted.fetch_add(1, Ordering::Relaxed);
            }
            failed
        });
        Self {
            ends,
            calls,
            calling,
        }
    }

    /// Waits until some more calls were made.
    fn goes_on(&self) {
        let before = self.calls.load(Ordering::Relaxed);
        until("calls", || {
            (self.calls.load(Ordering::Relaxed) > before + 20).then_some(())
        });
    }

    fn failed(self) -> Vec<String> {
        self.ends.store(true, Ordering::Relaxed);
        self.calling.join().unwrap()
    }
}

#[test]
fn one_control_plane_takes_over_from_another_and_no_call_fails() {
    let replicas = Replicas::start();
    let mut one = replicas.control("one");
    one.until_says(&["listening on"]);
    let two = replicas.control("two");
    two.until_says(&["standing by: one acts"]);
    let applied = replicas.apply("one", "shop", &shop());
    assert!(applied.status.success(), "{applied:?}");
    replicas.until_stands_by("two", "one");
    let refused = replicas.apply("two", "later", LATER);
    assert!(refused.out.contains("S015 standing-by"), "{refused:?}");

    Application::start(replicas.world.at("cart", 8080), "cart");
    let web = replicas.world.at("web", 8081);
    let upstream = format!("cart:80={web}");
    let proxies = [
        replicas.joined("cart", &[]),
        replicas.joined("web", &["--upstream", &upstream]),
    ];
    until("a listener", || TcpStream::connect(web).ok());
    until("a call", || {
        let answer = Client::to(web).get("/")?;
        (answer.outcome() == "200").then_some(())
    });
    let caller = Caller::start(web);
    caller.goes_on();

    one.kill();
    // For as long as a lease lasts, nobody acts.
    two.until_says(&["two acts from here on"]);
    two.until_says(&["a new intermediate signs"]);
    two.until_says(&["listening on"]);
    let applied = replicas.apply("two", "later", LATER);
    assert!(applied.status.success(), "{applied:?}");
    until("both proxies follow the other", || {
        let told: serde_json::Value =
            serde_json::from_str(&replicas.ask("two", &["proxies", "-o", "json"])).ok()?;
        let current = told["proxies"].as_array()?.iter();
        let current = current.filter(|proxy| proxy["current"] == true);
        (current.count() == 2).then_some(())
    });
    for (name, proxy) in ["cart", "web"].iter().zip(&proxies) {
        let certified = || {
            let log = proxy.log();
            log.lines()
                .filter(|line| line.contains("certificate"))
                .count()
        };
        let before = certified();
        let identity = format!("shop/{name}");
        replicas.ask("two", &["certs", "renew", &identity]);
        until("another certificate", || {
            (certified() > before).then_some(())
        });
    }
    caller.goes_on();

    // The first one comes back, and knows what happened meanwhile.
    let one = replicas.control("one");
    one.until_says(&["standing by: two acts"]);
    replicas.until_stands_by("one", "two");
    // One that ends by itself does not wait for its lease to end.
    two.signal("TERM");
    one.until_says(&["listening on"]);
    let history = replicas.ask("one", &["history"]);
    assert!(history.contains("apply later"), "{history}");
    caller.goes_on();
    assert_eq!(caller.failed(), Vec::<String>::new());
}

#[test]
fn without_etcd_what_stands_is_served_and_nothing_is_changed() {
    let replicas = Replicas::start();
    let one = replicas.control("one");
    one.until_says(&["listening on"]);
    assert!(replicas.apply("one", "shop", &shop()).status.success());
    replicas.etcd.signal("STOP");
    let refused = replicas.apply("one", "later", LATER);
    assert!(refused.out.contains("S019 etcd-away"), "{refused:?}");
    let told = replicas.told("one", &["status"]);
    assert!(told.out.contains("revision 1"), "{told:?}");
    until("a finding", || {
        let told = replicas.told("one", &["check"]).out;
        told.contains("S019 etcd-away").then_some(())
    });
    replicas.etcd.signal("CONT");
    // It takes its lease again if that ended, and goes on.
    until("a change", || {
        let applied = replicas.apply("one", "later", LATER);
        applied.status.success().then_some(())
    });
    let history = replicas.ask("one", &["history"]);
    assert!(history.contains("apply later"), "{history}");
}
