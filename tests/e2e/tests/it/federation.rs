//! Two meshes of two trust domains, each other's `MeshPeer`: who is let in, what rotates, what holds while the other
//! one is away, and what ends with a `MeshPeer`.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::time::Duration;

use leno_e2e::{
    Answer, Application, Client, Process, Spiffe, curl, prove, run, serve, until, within,
};
use serde_json::{Value, json};

use crate::control::Control;

/// How long something new may take to reach all proxies: only what fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than others are given to look for another root.
const HINTS: Duration = Duration::from_secs(90);

/// Certificates as short as they may be, so that roots follow each other within a test.
const BRIEF: &str = "certificates: {lifetime: 1m, rootLifetime: 5m}";

fn mesh(domain: &str, certificates: &str) -> String {
    format!("{{trustDomain: {domain}, mtls: Strict, {certificates}}}")
}

const CHECKOUT: &str = "spiffe://shop.example/ns/shop/sa/checkout";

/// The shop's `checkout` calls the bank's `teller`, by HTTP and by bytes; both are in a namespace called `shop`.
struct Meshes {
    shop: Control,
    bank: Control,
    _checkout: Process,
    teller: Process,
}

impl Meshes {
    fn start() -> Self {
        Self::by(BRIEF, |_, bank| peer_of(bank, "bank"))
    }

    /// With certificates like these, where the shop believes the bank by the objects that `peer` gives of both.
    fn by(certificates: &str, peer: impl FnOnce(&Control, &Control) -> String) -> Self {
        let of_shop = mesh("shop.example", certificates);
        let of_bank = mesh("bank.example", certificates);
        let shop = Control::start(&[], &of_shop, "");
        let bank = Control::start(&[], &of_bank, "");
        let user = fs::metadata("/proc/self").unwrap().uid();
        let attested = format!("attestation: {{processes: [{{user: {user}}}]}}");
        let ports = "ports: [{name: http, port: 8080}, {name: store, port: 6379, protocol: TCP}]";
        let teller = bank.world.at("teller", 8080);
        let tunnel = bank.world.at("teller", 15008);
        Application::start(teller, "teller");
        serve(bank.world.at("teller", 6379), |stream| {
            // Whoever was cut off takes nothing more.
            drop(io::copy(&mut &stream, &mut &stream));
        });
        let instances = format!("instances: [{{address: {}}}]", teller.ip());
        bank.apply(
            &of_bank,
            &workload("teller", &format!("{{{ports}, {instances}, {attested}}}")),
        );
        let checkout = shop.world.at("checkout", 1).ip();
        let instances = format!("instances: [{{address: {checkout}}}]");
        let abroad = format!(
            "{{identity: spiffe://bank.example/ns/shop/sa/teller, {ports}, \
             instances: [{{address: {}, tunnel: {}}}]}}",
            teller.ip(),
            tunnel.port()
        );
        let objects = [
            workload("checkout", &format!("{{{instances}, {attested}}}")),
            peer(&shop, &bank),
            workload("teller", &abroad),
        ];
        shop.apply(&of_shop, &objects.concat());
        let upstreams = [8080, 6379]
            .map(|port| format!("shop/teller:{port}={}", shop.world.at("checkout", port)));
        let [http, store] = &upstreams;
        let checkout = proxy(
            &shop,
            "checkout",
            &["--upstream", http, "--upstream", store],
        );
        let teller = proxy(&bank, "teller", &["--tunnel", &tunnel.to_string()]);
        Self {
            shop,
            bank,
            _checkout: checkout,
            teller,
        }
    }

    /// Lets the bank believe the shop, and `checkout` call its `teller`.
    fn let_in(&self) {
        let policy = format!(
            "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: teller}}\n\
             spec: {{rules: [{{callers: [{{identity: \"{CHECKOUT}\"}}]}}]}}\n---\n"
        );
        let objects = policy + &peer_of(&self.shop, "shop");
        fs::write(self.bank.path("peer.yaml"), objects).unwrap();
        let set = ["apply", "-f", "peer.yaml", "-n", "shop", "--set", "peer"];
        self.bank.ask(&set);
        self.until_call_ends_as("200");
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
    command.args(["--access-log", "json"]);
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
    until("only other trust domains are waited for", || {
        let told = bank.ask(&["certs", "list"]);
        let is_told = told.contains("other trust domains have had time");
        is_told.then_some(())
    });
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
    meshes.let_in();
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

#[test]
fn what_is_under_way_with_a_peer_ends_when_it_is_deleted() {
    // Nothing ends here by itself.
    let meshes = Meshes::by("", |_, bank| peer_of(bank, "bank"));
    meshes.let_in();
    let mut stream = Client::to(meshes.shop.world.at("checkout", 6379));
    stream.send("ping");
    assert_eq!(stream.read(4), b"ping");
    meshes.bank.ask(&["delete", "MeshPeer/shop"]);
    assert!(stream.is_cut());
    meshes
        .teller
        .until_says(&[r#""event":"handshake""#, r#""code":"T003""#, CHECKOUT]);
}

/// A web server that tells what the bank's bundle is, and whose certificate leads to `roots`.
fn web_server(shop: &Control, roots: &str) -> Process {
    let (world, folder) = (&shop.world, shop.world.folder().display());
    prove(world, "bundles", roots);
    let at = world.at("bundles", 8443);
    let configuration = format!(
        "daemon off; master_process off; user root; pid bundles.pid; error_log stderr;\n\
         events {{}}\n\
         http {{ access_log off; server {{ listen {at} ssl; ssl_protocols TLSv1.3; root {folder}/served;\n\
           ssl_certificate {folder}/bundles.pem; ssl_certificate_key {folder}/bundles.key; }} }}\n"
    );
    let file = shop.path("bundles.conf");
    fs::write(&file, configuration).unwrap();
    let mut nginx = Command::new("nginx");
    nginx.arg("-p").arg(world.folder()).arg("-c").arg(&file);
    let server = world.process(&format!("nginx-{roots}"), &mut nginx);
    until("a web server", || TcpStream::connect(at).ok());
    server
}

/// Writes what the bank tells to where a web server of the shop finds it, who is to look again soon.
fn publish(shop: &Control, bank: &Control) {
    let bundle = bank.ask(&["certs", "bundle"]);
    let mut bundle = serde_json::from_str::<Value>(&bundle).unwrap();
    bundle["spiffe_refresh_hint"] = json!(5);
    fs::create_dir_all(shop.path("served")).unwrap();
    // Nobody reads half of it.
    fs::write(shop.path("next"), bundle.to_string()).unwrap();
    fs::rename(shop.path("next"), shop.path("served/bundle.json")).unwrap();
}

#[test]
fn keys_of_a_web_server_hold_while_nobody_believes_what_it_shows() {
    let mut server = None;
    let meshes = Meshes::by("", |shop, bank| {
        publish(shop, bank);
        server = Some(web_server(shop, "roots"));
        let at = shop.world.at("bundles", 8443);
        let roots = shop.path("roots.pem");
        format!(
            "apiVersion: leno.dev/v1alpha1\nkind: MeshPeer\nmetadata: {{name: bank}}\nspec:\n  \
             trustDomain: bank.example\n  endpoint: {{url: 'https://{at}/bundle.json', \
             profile: Web, rootsFile: {}}}\n---\n",
            roots.display()
        )
    });
    meshes.let_in();
    let Meshes { shop, .. } = &meshes;
    let until_told = |words: &[&str]| {
        let mut told = String::new();
        let is_told = within(PATIENCE, || {
            told = shop.told(&["check", "-v"]).out;
            words.iter().all(|word| told.contains(word)).then_some(())
        });
        assert!(is_told.is_some(), "{words:?} in {told}");
    };
    until_told(&["✓ keys of bank.example"]);

    // Another one answers there.
    drop(server.take());
    let stranger = web_server(shop, "others");
    let in_force = "the last of its roots ends in";
    until_told(&["T023", "MeshPeer bank", "no root that is trusted", in_force]);
    assert_eq!(meshes.call().outcome(), "200");

    drop(stranger);
    let _server = web_server(shop, "roots");
    until_told(&["✓ keys of bank.example"]);
    assert_eq!(meshes.call().outcome(), "200");
}
