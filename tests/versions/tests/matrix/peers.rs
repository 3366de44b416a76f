//! Two meshes of two trust domains, in one of which the proxy is older: it believes nobody of the other one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use leno_e2e::control::Control;
use leno_e2e::{Application, Client, World, binary, curl, until, within};
use leno_versions::{Call, Older};

use crate::cell::{PATIENCE, Proxy, lacking, named};

/// A mesh with one proxy.
struct Side {
    control: Control,
    proxy: Proxy,
    name: &'static str,
}

/// Plays it where the proxy of who calls or of who is called is older, as is its control plane at first.
pub(crate) fn play(call: &Call, role: Older, older: &Path) {
    let worlds = [World::new(""), World::new("")];
    let place = usize::from(role == Older::Called);
    let older = lacking(&worlds[place], older, "peers");
    let mut programs = [binary(); 2];
    programs[place] = older;
    let url = worlds[0].url("web", 8080, call.asks[0]);
    let [caller, called] = start(worlds, programs);
    let (mut side, other) = match role {
        Older::Caller => (caller, called),
        Older::Called => (called, caller),
    };
    let lacked = BTreeSet::from([format!("proxy shop/{}: peers", side.name)]);
    let nobody = BTreeSet::new();

    let at = match role {
        Older::Caller => side.control.world.at("web", 8080),
        Older::Called => other.control.world.at("web", 8080),
    };
    until("a listener", || Client::try_to(at).map(drop));
    until("a call that is refused", || {
        (curl(&[&url]).outcome() == call.older).then_some(())
    });
    let foretold = side.named(&["upgrade", "--check"]);
    assert!(foretold.is_superset(&lacked), "foretold: {foretold:?}");
    assert_eq!(side.named(&["check"]), nobody, "nothing is newer yet");

    side = side.with_control(binary());
    side.expect("after the control plane", &url, call.older, &lacked);
    side.proxy.replace(&side.control.world, binary());
    side.expect("after the proxy", &url, call.newer, &nobody);
    side.proxy.replace(&side.control.world, older);
    side.expect("the proxy as before", &url, call.older, &lacked);
    side = side.with_control(older);
    side.expect("the control plane as before", &url, call.older, &nobody);
}

/// `web` of one mesh, and `cart` of another, each of which believes the other.
fn start([shop, bank]: [World; 2], programs: [&'static Path; 2]) -> [Side; 2] {
    let [of_shop, of_bank] = ["shop", "bank"]
        .map(|name| format!("{{trustDomain: {name}.example, mtls: Strict, default: Deny}}"));
    let [web, cart] = programs;
    let (ip, tunnel) = (bank.at("cart", 1).ip(), bank.at("cart", 15008));
    let upstream = format!("cart:8080={}", shop.at("web", 8080));
    let ports = "ports: [{name: http, port: 8080}]";
    let workload = |name: &str, spec: &str| {
        format!(
            "apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n---\n"
        )
    };
    shop.take(web);
    let abroad = format!(
        "{ports}, identity: spiffe://bank.example/ns/shop/sa/cart, \
         instances: [{{address: {ip}, tunnel: {}}}]",
        tunnel.port()
    );
    let own = workload("web", "instances: [{address: @web}]");
    let shop = Control::start_in(shop, &[], &of_shop, &own);
    bank.take(cart);
    let policy = "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: cart}\n\
                  spec: {rules: [{callers: [{identity: 'spiffe://shop.example/ns/shop/sa/web'}]}]}\n";
    let own = format!("{ports}, instances: [{{address: {ip}}}]");
    let bank = Control::start_in(bank, &[], &of_bank, &(workload("cart", &own) + policy));
    Application::start(bank.world.at("cart", 8080), "cart");
    let abroad = workload("cart", &abroad);
    for (control, other, name, more) in
        [(&shop, &bank, "bank", &*abroad), (&bank, &shop, "shop", "")]
    {
        let peer = other.ask(&["certs", "bundle", "--peer", name]);
        fs::write(control.path("peer.yaml"), format!("{peer}---\n{more}"))
            .expect("the folder takes files");
        control.ask(&["apply", "-f", "peer.yaml", "-n", "shop", "--set", "peer"]);
    }
    let cart = Proxy::start(&bank, cart, "cart", &[]);
    let web = Proxy::start(&shop, web, "web", &["--upstream", &upstream]);
    let side = |control, proxy, name| Side {
        control,
        proxy,
        name,
    };
    [side(shop, web, "web"), side(bank, cart, "cart")]
}

impl Side {
    fn with_control(self, program: &'static Path) -> Self {
        self.control.world.take(program);
        Self {
            control: self.control.fail().start_again(),
            ..self
        }
    }

    fn named(&self, asked: &[&str]) -> BTreeSet<String> {
        named(&self.control, asked)
    }

    /// Waits until a call ends so, and `leno check` names these.
    fn expect(&self, when: &str, url: &str, outcome: &str, lacked: &BTreeSet<String>) {
        let expect = (outcome.to_owned(), lacked.clone());
        let mut last = (String::new(), BTreeSet::new());
        let came = within(PATIENCE, || {
            last = (curl(&[url]).outcome(), self.named(&["check"]));
            (last == expect).then_some(())
        });
        assert!(
            came.is_some(),
            "{when}: expected {expect:?}, and {last:?} came"
        );
    }
}
