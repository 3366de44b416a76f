//! A change that is watched goes back by itself if it does harm, whoever looks on: real proxies carry the
//! calls, and the control plane decides by what they report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use leno_e2e::{Application, Process, curl, until};

use crate::control::Control;

/// Two workloads whose proxies follow a control plane, and calls from one to the other all the while.
struct Shop {
    control: Control,
    _calls: Calls,
    _proxies: [Process; 2],
}

/// Calls that go on until this is dropped.
struct Calls {
    end: Arc<AtomicBool>,
    calling: Option<JoinHandle<()>>,
}

impl Shop {
    fn start() -> Self {
        let control = Control::start(&[], MESH, "");
        let address = |name: &str| control.world.at(name, 8080).ip();
        let workload = |name: &str, ports: &str| {
            format!(
                "apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {{name: {name}}}\n\
                 spec: {{ports: [{ports}], instances: [{{name: {name}, address: {}}}]}}\n---\n",
                address(name)
            )
        };
        let both = workload("web", "") + &workload("cart", "{port: 8080, protocol: HTTP}");
        control.apply(MESH, &both);
        Application::start(control.world.at("cart", 8080), "cart");
        let upstream = format!("cart:8080={}", control.world.at("web", 8080));
        let cart = proxy(&control, "cart", &[]);
        let web = proxy(&control, "web", &["--upstream", &upstream]);
        let url = control.world.url("web", 8080, "/items");
        until("web calls", || (curl(&[&url]).status == 200).then_some(()));
        let end = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&end);
        let calling = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                curl(&[&url]);
            }
        });
        Self {
            control,
            _calls: Calls {
                end,
                calling: Some(calling),
            },
            _proxies: [cart, web],
        }
    }

    /// Writes an `AccessPolicy` over cart that lets in only this caller.
    fn write_policy(&self, caller: &str) {
        let policy = format!(
            "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: cart}}\n\
             spec:\n  targetRefs: [{{kind: MeshWorkload, name: cart}}]\n  \
             rules: [{{callers: [{{identity: {caller}}}]}}]\n"
        );
        std::fs::write(self.control.path("policy.yaml"), policy).unwrap();
    }

    /// The revision of the policy, which is applied with these arguments more; the command runs on.
    fn apply(&self, name: &str, more: &[&str]) -> Process {
        let arguments = [
            "apply",
            "-f",
            "policy.yaml",
            "-n",
            "shop",
            "--set",
            "policy",
        ];
        let mut command = self.control.world.command(&arguments);
        command.args(more);
        command.env("LENO_CONTEXT", self.control.path("control.sock"));
        self.control.world.process(name, &mut command)
    }

    /// Whether web gets to cart.
    fn calls_get_through(&self) -> bool {
        curl(&[&self.control.world.url("web", 8080, "/items")]).status == 200
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let ended = self.calling.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok() || thread::panicking()));
    }
}

const MESH: &str = "{mtls: Strict, default: Allow}";

fn proxy(control: &Control, name: &str, more: &[&str]) -> Process {
    let made = control.ask(&["token", "create", &format!("shop/{name}")]);
    let token = made.split_whitespace().last();
    let token = token.expect("the token comes last");
    control.ask(&["join", token, "--state", name]);
    let tunnel = control.world.at(name, 15008).to_string();
    let arguments = ["proxy", "--joined", "-n", "shop", "--state", name];
    let mut command = control.world.command(&arguments);
    command.args(["--workload", name, "--tunnel", &tunnel]);
    let proxy = control.world.process(name, command.args(more));
    proxy.until_says(&["adopted view"]);
    proxy
}

/// Against the pain "The day of strict mTLS, and that of default deny" (docs/pains.md).
#[test]
fn a_policy_that_denies_a_live_caller_goes_back_although_nobody_looks_on() {
    let shop = Shop::start();
    shop.write_policy("shop/checkout");
    // It begins, and dies at once: the terminal was closed.
    let applying = shop.apply("apply-1", &["--watch", "5m"]);
    applying.until_says(&["watched until"]);
    applying.signal("KILL");
    until("it went back", || {
        let history = shop.control.ask(&["history"]);
        history.contains("watch of ").then_some(())
    });
    until("web calls again", || shop.calls_get_through().then_some(()));
    let told = shop.control.told(&["watch", "3"]);
    assert_eq!(told.status.code(), Some(1), "{}", told.out);
    assert!(told.out.contains("went back as revision 4"), "{}", told.out);
    assert!(told.out.contains("R003 no-allow-rule"), "{}", told.out);
    let audit = shop.control.ask(&["history", "--audit"]);
    assert!(audit.contains("went-back revision 3 by 4"), "{audit}");
    let found = shop.control.ask(&["check"]);
    assert!(found.contains("S013 change-went-back"), "{found}");

    // One who looks on is told, by the exit code, too.
    let applying = shop.apply("apply-2", &["--watch", "5m"]);
    applying.until_says(&["went back as revision 6"]);
    let ended = applying.ended();
    assert_eq!(ended.code(), Some(1), "{}", applying.log());
}

#[test]
fn a_harmless_policy_stays_and_a_control_plane_that_starts_again_goes_on_watching() {
    let mut shop = Shop::start();
    shop.write_policy("shop/web");
    let applying = shop.apply("apply-1", &["--watch", "10s"]);
    applying.until_says(&["revision 3", "stayed"]);
    let ended = applying.ended();
    assert_eq!(ended.code(), Some(0), "{}", applying.log());
    assert!(shop.calls_get_through());

    // What does harm is found out after a restart: the watch is in the store.
    shop.write_policy("shop/checkout");
    let applying = shop.apply("apply-2", &["--watch", "5m"]);
    applying.until_says(&["watched until"]);
    shop.control = shop.control.fail().start_again();
    until("it went back", || {
        let history = shop.control.ask(&["history"]);
        history.contains("undo 4").then_some(())
    });
    until("web calls again", || shop.calls_get_through().then_some(()));
}
