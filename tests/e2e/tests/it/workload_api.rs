//! Identities for applications, by the SPIFFE Workload API, as an unchanged client library gets and uses
//! them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use leno_e2e::{Process, Spiffe, World, ended, run, until};

use crate::control::{Control, workload};

const CART: &str = "spiffe://shop.local/ns/default/sa/cart";
const WEB: &str = "spiffe://shop.local/ns/default/sa/web";

/// A mesh that is up, in a folder of its own.
struct Up<'a> {
    world: &'a World,
    _up: Process,
}

impl<'a> Up<'a> {
    fn start(world: &'a World, workloads: &str) -> Self {
        let folder = world.folder().join("up");
        fs::create_dir(&folder).unwrap();
        let mesh = "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {name: shop}\n---\n";
        fs::write(folder.join("leno.yaml"), format!("{mesh}{workloads}")).unwrap();
        let mut command = world.command(&["up"]);
        let up = world.process("up", command.current_dir(folder));
        up.until_says(&["Stop"]);
        Self { world, _up: up }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        command.current_dir(self.world.folder().join("up"));
        command
    }

    /// What the program says with these arguments, inside the mesh as `name`.
    fn inside(&self, name: &str, spiffe: &Spiffe, arguments: &[&str]) -> String {
        let mut command = self.command(&["run", "--name", name, "--"]);
        let ended = ended(command.arg(spiffe.path()).args(arguments));
        ended.expect("it gives up in time").out
    }

    fn until_log_says(&self, name: &str, words: &str) -> String {
        let log = format!("up/.leno/logs/{name}.log");
        let log = self.world.folder().join(log);
        until(words, || {
            let said = fs::read_to_string(&log).ok()?;
            said.lines()
                .find(|line| line.contains(words))
                .map(str::to_owned)
        })
    }
}

#[test]
fn programs_of_a_mesh_prove_to_each_other_who_they_are() {
    let spiffe = Spiffe::build();
    let world = World::new("");
    let program = spiffe.path().display();
    let up = Up::start(
        &world,
        &format!(
            "apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {{name: cart}}\n\
             spec:\n  run: {{command: {program} serve 8443 {WEB}}}\n  \
             ports: [{{port: 8443, protocol: TLS}}]\n---\n\
             apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {{name: web}}\n\
             spec:\n  run: {{command: {program} watch}}\n"
        ),
    );
    up.until_log_says("cart", "serving");
    let call = ["call", "https://cart:8443/", CART];
    assert_eq!(up.inside("web", &spiffe, &call), format!("hello {WEB}\n"));
    // Who is somebody else has a certificate, and it is not that of web.
    let refused = up.inside("mail", &spiffe, &call);
    assert!(refused.contains("bad certificate"), "{refused}");

    let said = up.inside("web", &spiffe, &["jwt", "bank"]);
    assert!(said.contains(&format!("checked {WEB} [bank]")), "{said}");
    assert!(said.contains(&format!("validated {WEB} [bank]")), "{said}");
    let token = said.lines().find_map(|line| line.strip_prefix("token "));
    let other = up.inside("cart", &spiffe, &["validate", token.unwrap(), "vault"]);
    assert!(other.contains("meant for somebody else"), "{other}");

    // Whoever is outside is nobody, though it runs as the same user and finds the socket.
    let socket = world.folder().join("up/.leno/workload.sock");
    let stranger = spiffe.told(&socket, &["id"]);
    assert!(stranger.contains("PermissionDenied"), "{stranger}");
    assert!(stranger.contains("T021 not-attested"), "{stranger}");

    // A root that is announced reaches programs at once, and what they hold goes on.
    up.until_log_says("web", "shop.local: 1");
    run(&mut up.command(&["certs", "rotate"]));
    up.until_log_says("web", "shop.local: 2");
    assert_eq!(up.inside("web", &spiffe, &call), format!("hello {WEB}\n"));
}

/// A control plane that lets processes of its host join, and a proxy that has joined so.
struct Joined {
    control: Control,
    _proxy: Process,
}

impl Joined {
    fn start(workloads: &str) -> Self {
        let control = Control::start(&["--join-socket", "join.sock"], "{}", workloads);
        let joined = control.ask(&["join", "--socket", "join.sock", "--state", "state"]);
        assert!(joined.contains("ns/shop/sa/leno-node"), "{joined}");
        let proxy = control.world.process(
            "proxy",
            control
                .world
                .command(&["proxy", "--joined", "--state", "state"])
                .args(["--workload", "shop/cart", "--workload", "shop/web"])
                .args(["--workload-api", "workload.sock"]),
        );
        let socket = control.path("workload.sock");
        until("the socket", || socket.exists().then_some(()));
        Self {
            control,
            _proxy: proxy,
        }
    }
}

fn sha256(path: &Path) -> String {
    let said = run(Command::new("sha256sum").arg(path));
    said.split(' ').next().unwrap().to_owned()
}

#[test]
fn a_process_of_a_host_is_whom_its_binary_makes_it() {
    let spiffe = Spiffe::build();
    let place = World::new("");
    let copy = |name: &str| spiffe.copied_to(&place.folder().join(name));
    let (cart, web, other) = (copy("cart"), copy("web"), copy("other"));
    // A program of other bytes at the path of mail.
    let mail = copy("mail");
    let leno = leno_e2e::binary();
    let user = fs::metadata("/proc/self").unwrap().uid();
    let workload = |name: &str, demand: String| {
        let demand = format!("{{user: {user}, {demand}}}");
        workload(name, &format!("{{processes: [{demand}]}}"))
    };
    let path = |spiffe: &Spiffe| spiffe.path().display().to_string();
    let joined = Joined::start(
        &[
            workload("leno-node", format!("path: {}", leno.display())),
            workload(
                "cart",
                format!("path: {}, sha256: {}", path(&cart), sha256(cart.path())),
            ),
            workload("web", format!("path: {}", path(&web))),
        ]
        .concat(),
    );
    let socket = joined.control.path("workload.sock");
    let id = |spiffe: &Spiffe| {
        until("a word", || {
            let said = spiffe.told(&socket, &["id"]);
            // The proxy may have no view yet, or no certificate to ask by.
            let is_early = said.contains("has spec.attestation") || said.contains("is away");
            (!is_early).then_some(said)
        })
    };
    assert_eq!(id(&cart), "spiffe://shop.local/ns/shop/sa/cart\n");
    assert_eq!(id(&web), "spiffe://shop.local/ns/shop/sa/web\n");
    let stranger = id(&other);
    assert!(stranger.contains("PermissionDenied"), "{stranger}");
    assert!(
        stranger.contains("for shop/cart the path differs"),
        "{stranger}"
    );

    // Other bytes in the place of a program that is known by its own.
    let mut more = Command::new("sh");
    more.args(["-c", "printf . >> \"$0\""]).arg(mail.path());
    assert!(more.status().unwrap().success());
    fs::rename(mail.path(), cart.path()).unwrap();
    let changed = id(&cart);
    assert!(
        changed.contains("for shop/cart the SHA-256 differs"),
        "{changed}"
    );

    let said = web.told(&socket, &["jwt", "bank"]);
    assert!(
        said.contains("checked spiffe://shop.local/ns/shop/sa/web [bank]"),
        "{said}"
    );
}
