//! Two meshes of two trust domains, each other's `MeshPeer`: who is let in, what rotates, what holds while the other
//! one is away, and what ends with a `MeshPeer`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use std::time::Duration;

use leno_e2e::{Answer, Application, Process, Spiffe, curl, run, until, within};

use crate::control::Control;

/// How long something new may take to reach all proxies: only what fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than others are given to look for another root.
const HINTS: Duration = Duration::from_secs(90);

/// Certificates as short as they may be, so that roots follow each other within a test.
const SHOP: &str = "{trustDomain: shop.example, mtls: Strict, \
                    certificates: {lifetime: 1m, rootLifetime: 5m}}";
const BANK: &str = "{trustDomain: bank.example, mtls: Strict, \
                    certificates: {lifetime: 1m, rootLifetime: 5m}}";

const CHECKOUT: &str = "spiffe://shop.example/ns/shop/sa/checkout";

/// The shop's `checkout` calls the bank's `teller`; both are in a namespace called `shop`.
struct Meshes {
    shop: Control,
    bank: Control,
    _checkout: Process,
    _teller: Process,
}

impl Meshes {
    fn start() -> Self {
        let (shop, bank) = (Control::start(&[], SHOP, ""), Control::start(&[], BANK, ""));
        let user = fs::metadata("/proc/self").unwrap().uid();
        let attested = format!("attestation: {{processes: [{{user: {user}}}]}}");
        let teller = bank.world.at("teller", 8080);
        let tunnel = bank.world.at("teller", 15008);
        Application::start(teller, "teller");
        bank.apply(
            BANK,
            &workload("teller", &format!(
                "{{ports: [{{name: http, port: 8080}}], instances: [{{address: {}}}], {attested}}}",
                teller.ip()
            )),
        );
        shop.apply(
            SHOP,
            &[
                workload(
                    "checkout",
                    &format!(
                        "{{instances: [{{address: {}}}], {attested}}}",
                        shop.world.at("checkout", 1).ip()
                    ),
                ),
                peer_of(&bank, "bank"),
                workload(
                    "teller",
                    &format!(
                        "{{identity: spiffe://bank.example/ns/shop/sa/teller, \
                     ports: [{{name: http, port: 8080}}], \
                     instances: [{{address: {}, tunnel: {}}}]}}",
                        teller.ip(),
                        tunnel.port()
                    ),
                ),
            ]
            .concat(),
        );
        let upstream = format!("shop/teller:8080={}", shop.world.at("checkout", 8080));
        let checkout = proxy(&shop, "checkout", &["--upstream", &upstream]);
        let teller = proxy(&bank, "teller", &["--tunnel", &tunnel.to_string()]);
        Self {
            shop,
            bank,
            _checkout: checkout,
            _teller: teller,
        }
    }

    fn call(&self) -> Answer {
        curl(&[&self.shop.world.url("checkout", 8080, "/")])
    }

    fn until_call_ends_as(&self, outcome: &str) {
        let mut last = String::new();
        let came = within(PATIENCE, || {
            last = self.call().outcome();
            (last == outcome).then_some(())
        });
        assert!(came.is_some(), "{outcome} was expected, and {last} came");
    }
}

fn workload(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n"
    )
}

/// What the mesh of `control` prints for others to believe it.
fn peer_of(control: &Control, name: &str) -> String {
    control.ask(&["certs", "bundle", "--peer", name]) + "---\n"
}

fn proxy(control: &Control, name: &str, arguments: &[&str]) -> Process {
    let name = format!("shop/{name}");
    let made = control.ask(&["token", "create", &name]);
    let token = made
        .split_whitespace()
        .find(|it| it.starts_with("leno-join:"));
    control.ask(&["join", token.expect("a token"), "--state", "state"]);
    let mut command = control
        .world
        .command(&["proxy", "--joined", "--state", "state"]);
    command.args(["--workload", &name, "--workload-api", "workload.sock"]);
    let proxy = control.world.process("proxy", command.args(arguments));
    proxy.until_says(&["adopted"]);
    proxy
}

#[test]
fn a_workload_of_one_mesh_calls_one_of_another() {
    let meshes = Meshes::start();
    let Meshes { shop, bank, .. } = &meshes;
    // The bank does not believe the shop: the handshake fails, and both sides say why.
    meshes.until_call_ends_as("502 R025 tunnel-failed");

    // Believed, and let in by nobody.
    let objects = |control: &Control, name: &str, text: &str| {
        fs::write(control.path(name), text).unwrap();
        let set = ["apply", "-f", name, "-n", "shop", "--set", name];
        control.ask(&set);
    };
    objects(bank, "peer.yaml", &peer_of(shop, "shop"));
    meshes.until_call_ends_as("403 R066 peer-not-named");
    objects(
        bank,
        "policy.yaml",
        &format!(
            "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: teller}}\n\
             spec: {{rules: [{{callers: [{{identity: \"{CHECKOUT}\"}}]}}]}}\n"
        ),
    );
    meshes.until_call_ends_as("200");
    // Who called is told whole: a name of the shop is none of the bank's.
    until("the caller in stat", || {
        let told = bank.ask(&["stat", "--since", "1h", "--edges"]);
        told.contains("shop.example/shop/checkout").then_some(())
    });

    // By now each has asked the other.
    let passed = |control: &Control, words: &str| {
        until(words, || {
            let told = control.told(&["check", "-v"]).out;
            told.contains(words).then_some(told)
        })
    };
    passed(shop, "✓ keys of bank.example");
    passed(bank, "✓ keys of shop.example");

    // Applications get the keys of both, and check tokens of both.
    let spiffe = Spiffe::build();
    let at = |control: &Control| control.path("workload.sock");
    let said = until("a token", || {
        let said = spiffe.told(&at(shop), &["jwt", "bank"]);
        said.contains("validated").then_some(said)
    });
    let token = said.lines().find_map(|line| line.strip_prefix("token "));
    let validated = spiffe.told(&at(bank), &["validate", token.unwrap(), "bank"]);
    assert!(
        validated.contains(&format!("validated {CHECKOUT}")),
        "{validated}"
    );

    // An endpoint as the standard has it, read by another's client.
    fs::write(bank.path("bundle.json"), bank.ask(&["certs", "bundle"])).unwrap();
    let url = format!("https://{}/bundle", bank.world.at("control", 15012));
    let server = "spiffe://bank.example/ns/leno-system/sa/leno-control";
    let federate = |server: &str| {
        let bundle = bank.path("bundle.json").display().to_string();
        let arguments = ["federate", "bank.example", &url, server, &bundle];
        spiffe.told(&at(bank), &arguments)
    };
    let told = federate(server);
    assert!(told.starts_with("bank.example sequence "), "{told}");
    assert!(told.contains(" authorities 1 keys 1 hint 8s"), "{told}");
    let other = federate("spiffe://bank.example/ns/shop/sa/teller");
    assert!(other.contains("failed:"), "{other}");

    // The bank's root rotates: the shop has looked at the next one before that signs, and no call fails.
    bank.ask(&["certs", "rotate"]);
    let told = bank.ask(&["certs", "list"]);
    assert!(told.contains("other trust domains have had time"), "{told}");
    let mut calls = 0;
    let signs = within(HINTS, || {
        assert_eq!(meshes.call().outcome(), "200");
        calls += 1;
        let told = bank.ask(&["certs", "list"]);
        told.contains("leaves at").then_some(())
    });
    assert!(signs.is_some(), "the next root never signs");
    assert!(calls > 1);
    // A certificate that the next root signed.
    bank.ask(&["certs", "renew", "shop/teller"]);
    for _ in 0..20 {
        assert_eq!(meshes.call().outcome(), "200");
    }
}

#[test]
fn a_peer_that_is_away_is_believed_and_one_that_is_deleted_is_not() {
    let meshes = Meshes::start();
    let Meshes { shop, bank, .. } = &meshes;
    let policy = format!(
        "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: teller}}\n\
         spec: {{rules: [{{callers: [{{identity: \"{CHECKOUT}\"}}]}}]}}\n---\n"
    );
    fs::write(bank.path("peer.yaml"), policy + &peer_of(shop, "shop")).unwrap();
    bank.ask(&["apply", "-f", "peer.yaml", "-n", "shop", "--set", "peer"]);
    meshes.until_call_ends_as("200");
    // The shop's control plane is gone: the bank says so, and calls go on.
    shop.process.signal("KILL");
    let told = until("T023", || {
        let told = bank.told(&["check"]).out;
        told.contains("T023").then_some(told)
    });
    assert!(told.contains("the last of its roots ends in"), "{told}");
    assert_eq!(meshes.call().outcome(), "200");

    // With its MeshPeer gone nobody of it is believed, on the connection that lives as on another.
    bank.ask(&["delete", "MeshPeer/shop"]);
    meshes.until_call_ends_as("502 R025 tunnel-failed");
    let told = run(&mut {
        let mut command = bank.world.command(&["certs", "list"]);
        command.env("LENO_CONTEXT", bank.path("control.sock"));
        command
    });
    assert!(!told.contains("shop.example"), "{told}");
}
