//! What proxies are asked about calls: through a control plane that two of them have joined, also by
//! people on other hosts, and by their sockets where none answers.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::up::world::free_ports;

/// A control plane, a proxy of `web` and one of `cart`, and the service behind that.
struct World {
    folder: PathBuf,
    /// Where `web` calls `cart`.
    upstream: String,
    /// At which port `cart` is called.
    port: u16,
    children: Vec<(&'static str, Child)>,
}

impl World {
    fn new(test: &str) -> Self {
        let name = format!("leno-asking-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        let application = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = application.local_addr().unwrap().port();
        std::thread::spawn(move || application.incoming().flatten().for_each(serve));
        let [control, web, cart, upstream] = free_ports().map(|port| format!("127.0.0.1:{port}"));
        let mut world = Self {
            folder,
            upstream: upstream.clone(),
            port,
            children: Vec::new(),
        };
        fs::write(world.folder.join("mesh.yaml"), mesh(port)).unwrap();
        world.start(
            "control",
            &["control", "--data", "store", "--socket", "control.sock"],
            &["--listen", &control, "--advertise", &control],
            "ready",
        );
        world.leno("apply -f mesh.yaml -n shop");
        for name in ["web", "cart"] {
            let made = world.leno(&format!("token create shop/{name} -o json"));
            let made: Value = serde_json::from_str(&made).unwrap();
            let token = made["text"].as_str().unwrap();
            world.leno(&format!("join {token} --state {name}"));
        }
        let joined = ["proxy", "--joined", "-n", "shop", "--workload"];
        let cart = [&joined[..], &["cart", "--state", "cart", "--tunnel", &cart]].concat();
        world.start("cart", &cart, &[], "adopted");
        let called = format!("cart:{port}={upstream}");
        let web = [&joined[..], &["web", "--state", "web", "--tunnel", &web]].concat();
        world.start("web", &web, &["--upstream", &called], "1 service");
        world
    }

    /// Starts a process that goes on, and waits until it says something.
    fn start(&mut self, name: &'static str, first: &[&str], rest: &[&str], until: &str) {
        let mut child = self
            .command()
            .args(first)
            .args(rest)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        self.children.push((name, child));
        let mut lines = said.lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains(until)), "{name} has ended");
        // What it says later has room.
        std::thread::spawn(move || lines.for_each(drop));
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leno"));
        command
            .current_dir(&self.folder)
            .env("LENO_CONTEXT", "./control.sock")
            .env("XDG_CONFIG_HOME", self.folder.join("config"))
            .env("LENO_PROXIES", self.folder.join("proxies"))
            .env("NO_COLOR", "1");
        command
    }

    /// What a command prints.
    fn leno(&self, typed: &str) -> String {
        let output = self.command().args(typed.split(' ')).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(!told.is_empty(), "{typed}: {said}");
        told
    }

    /// What a command says that can tell nothing.
    fn fails(&self, typed: &str) -> String {
        let output = self.command().args(typed.split(' ')).output().unwrap();
        assert_eq!(output.stdout, b"", "{typed}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// What a command prints, each line a JSON object.
    fn json(&self, typed: &str) -> Vec<Value> {
        let told = self.leno(typed);
        let lines = told.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    /// Calls as `web` does, and says the status.
    fn call(&self, request: &str) -> String {
        self.call_with(request, "")
    }

    /// The same, with more headers.
    fn call_with(&self, request: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(&self.upstream).unwrap();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: cart\r\nauthorization: Bearer hidden-header\r\n\
             connection: close\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        told[9..12].to_owned()
    }

    fn signal(&self, name: &str, signal: &str) {
        let child = self.children.iter().find(|(child, _)| *child == name);
        let id = child.unwrap().1.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    fn end(&mut self, name: &str) {
        let child = self.children.iter_mut().find(|(child, _)| *child == name);
        let (_, child) = child.unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Answers every request with 200.
fn serve(mut stream: TcpStream) {
    std::thread::spawn(move || {
        let mut read = [0; 4096];
        while stream.read(&mut read).is_ok_and(|count| count > 0) {
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
}

fn mesh(port: u16) -> String {
    let object = |kind: &str, name: &str, spec: &str| {
        format!(
            "kind: {kind}\napiVersion: leno.dev/v1alpha1\n\
             metadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n---\n"
        )
    };
    let ports = format!(
        "{{ports: [{{port: {port}, protocol: HTTP}}], instances: [{{address: 127.0.0.1}}]}}"
    );
    [
        "kind: Mesh\napiVersion: leno.dev/v1alpha1\nmetadata: {name: shop}\n\
         spec: {trustDomain: shop.local, mtls: Strict, default: Deny, telemetry: {collector: \
         {endpoint: 'http://127.0.0.1:1', interval: 1s}}, administration: [\
         {person: ops, role: Admin}, {person: bo, role: Viewer, namespaces: [shop]}, \
         {person: teller, role: Viewer, namespaces: [bank]}]}\n---\n",
        &object("MeshWorkload", "web", "{instances: [{address: 127.0.0.1}]}"),
        &object("MeshWorkload", "cart", &ports),
        &object(
            "AccessPolicy",
            "cart",
            "{targetRefs: [{kind: Service, name: cart}], rules: [\
             {callers: [{namespace: shop}], requests: [{methods: [GET]}]}]}",
        ),
        &object("TelemetryPolicy", "cart", "{redact: ['[0-9]+']}"),
        &route(port),
    ]
    .concat()
}

/// A route whose match holds something that nobody else should read.
fn route(port: u16) -> String {
    format!(
        "kind: HTTPRoute\napiVersion: gateway.networking.k8s.io/v1\n\
         metadata: {{name: cart, namespace: shop}}\nspec:\n  parentRefs:\n  \
         - {{group: '', kind: Service, name: cart, port: {port}}}\n  rules:\n  \
         - matches: [{{headers: [{{name: x-key, value: hidden-config}}, \
         {{name: x-card, value: hidden}}, {{name: x-tier, value: hidden}}]}}]\n    \
         backendRefs: [{{name: cart, port: {port}}}]\n  \
         - backendRefs: [{{name: cart, port: {port}}}]\n"
    )
}

#[test]
fn connected_proxies_are_asked_through_the_control_plane_and_by_their_sockets_without_it() {
    let mut world = World::new("sockets");
    assert_eq!(world.call("GET /items"), "200");
    assert_eq!(world.call("POST /items?key=hidden-query"), "403");

    // Each call once, by who knows more of it; nothing of the query.
    let kept = world.json("tap --last 9 -o json");
    let [got, refused, sum] = &kept[..] else {
        panic!("{kept:#?}");
    };
    assert_eq!(
        (&got["status"], &got["reporter"]),
        (&200.into(), &"source".into())
    );
    assert_eq!(
        (&refused["code"], &refused["reporter"]),
        (&"R003".into(), &"destination".into())
    );
    assert_eq!(refused["path"], "/items");
    assert_eq!(sum["asked"], serde_json::json!(["shop/cart", "shop/web"]));
    assert_eq!(sum["silent"], serde_json::json!([]));

    // Both proxies tell of one call, by a part of its id.
    let id = refused["id"].as_str().unwrap().to_owned();
    let story = world.leno(&format!("why {}", &id[..8]));
    assert!(
        story.contains("R003") && story.contains("/items"),
        "{story}"
    );

    // As they happen, filtered at the proxies.
    let watching = world.command();
    let tapped = std::thread::scope(|scope| {
        let mut watching = watching;
        watching.args("tap cart -n shop --failed --count 1 -o json".split(' '));
        let mut child = watching.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(first["event"], "watching");
        scope.spawn(|| {
            assert_eq!(world.call("GET /items"), "200");
            assert_eq!(world.call("DELETE /items"), "403");
        });
        let tapped: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert!(child.wait().unwrap().success());
        tapped
    });
    assert_eq!(
        (&tapped["method"], &tapped["code"]),
        (&"DELETE".into(), &"R003".into())
    );

    // A call is really made, and each step told.
    let port = world.port;
    let told = world.leno(&format!("probe web http://cart:{port}/ -n shop -X DELETE"));
    assert!(
        told.contains("✗ policy               R003 no-allow-rule"),
        "{told}"
    );
    assert!(told.contains("✓ TLS"), "{told}");
    assert!(
        told.contains("- first byte           not reached"),
        "{told}"
    );

    // A collector that nobody reaches is told of, and by which proxies.
    let away = "X001 collector-away";
    let told = (0..200).map(|_| world.leno("check"));
    let mut told = told.filter(|told| told.contains("say proxies shop/cart and shop/web"));
    assert!(told.next().is_some_and(|told| told.contains(away)));
    assert!(world.leno("status").contains(away));

    // What a maintainer is given has nothing of what was sent or written.
    world.leno("bundle --to bundle");
    let bundle = world.folder.join("bundle");
    let files = ["", "views"].map(|folder| fs::read_dir(bundle.join(folder)).unwrap());
    let files = files.into_iter().flatten().map(|file| file.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.is_file()).collect();
    let texts = files.iter().map(|path| fs::read_to_string(path).unwrap());
    let texts = texts.collect::<String>();
    for planted in ["hidden", "/items", "PRIVATE", "leno-join"] {
        assert!(!texts.contains(planted), "{planted}");
    }
    for told in ["R003", "shop/cart", "What leno bundle has", "store:"] {
        assert!(texts.contains(told), "{told}");
    }

    // One that does not answer is named, and costs nobody else's answer.
    world.signal("cart", "-STOP");
    let kept = world.json("tap --last 1 -o json");
    assert_eq!(kept[1]["silent"][0]["proxy"], "shop/cart", "{kept:#?}");
    assert_eq!(kept[1]["asked"], serde_json::json!(["shop/web"]));
    world.signal("cart", "-CONT");

    // Without a control plane the proxies of this host are asked.
    world.end("control");
    let told = world.leno("tap --last 1");
    assert!(
        told.contains("asked instead: the proxies of this host"),
        "{told}"
    );
    assert!(told.contains("DELETE / "), "{told}");
    let story = world.leno(&format!("why {}", &id[..8]));
    assert!(story.contains("R003"), "{story}");

    // A call that nobody made is decided by what they hold.
    let url = format!("http://cart:{port}/items -n shop");
    let told = world.leno(&format!("why web {url}"));
    for expect in ["asked instead", "GET /items   allowed", "✓ access"] {
        assert!(told.contains(expect), "{expect}: {told}");
    }
    let told = world.leno(&format!("why web {url} -X DELETE"));
    assert!(told.contains("403 R003 no-allow-rule"), "{told}");
    let told = world.leno("view cart -n shop");
    assert!(told.contains("asked instead"), "{told}");
    assert!(told.contains("proxy shop/cart  view "), "{told}");
    let told = world.fails("why web http://carts -n shop");
    let who = "no Service carts in shop; did you mean cart? Asked were the proxies of this host";
    assert!(told.contains(who), "{told}");
    let told = world.fails("why shop/wed http://cart");
    let here = "stand before shop/cart, shop/web";
    assert!(told.contains(here), "{told}");

    world.end("cart");
    let told = world.leno(&format!("why web {url}"));
    for expect in ["not known", "? access    its proxy was not asked"] {
        assert!(told.contains(expect), "{expect}: {told}");
    }
    let told = world.leno("proxies");
    assert!(
        told.contains("not asked: 1 proxy elsewhere: shop/cart ("),
        "{told}"
    );
    assert!(told.contains("D001 control-plane-away, since"), "{told}");
}

#[test]
fn people_on_other_hosts_see_as_much_as_their_role_says() {
    let world = World::new("people");
    let card_and_tier = "x-card: 41112222\r\nx-tier: gold\r\nx-key: hidden\r\n";
    assert_eq!(world.call_with("GET /items", card_and_tier), "200");
    for person in ["ops", "bo", "teller"] {
        let made = world.leno(&format!("token create --person {person} -o json"));
        let made: Value = serde_json::from_str(&made).unwrap();
        let token = made["text"].as_str().unwrap();
        let added = world.leno(&format!("context add {person} {token}"));
        assert!(
            added.contains(&format!("ns/leno-people/sa/{person}")),
            "{added}"
        );
    }
    let facts = |context: &str| {
        let kept = world.json(&format!("tap --last 1 -o json{context}"));
        let facts = kept[0]["decided"]["facts"].as_array().cloned();
        let facts = facts.unwrap_or_default().into_iter().map(|fact| {
            let name = fact["name"].as_str().unwrap().to_owned();
            (name, fact["value"].to_string())
        });
        facts.collect::<std::collections::BTreeMap<_, _>>()
    };
    let secret = r#""secret""#;
    for context in ["", " --context ops"] {
        let told = facts(context);
        assert_eq!(told["x-tier"], r#"{"is":"gold"}"#, "{told:?}");
        assert_eq!([&told["x-card"], &told["x-key"]], [secret; 2], "{told:?}");
    }
    let told = facts(" --context bo");
    let names = ["x-card", "x-key", "x-tier"];
    assert_eq!(names.map(|name| told[name].as_str()), [secret; 3]);

    let id = world.json("tap --last 1 -o json")[0]["id"].clone();
    let id = &id.as_str().unwrap()[..8];
    let told = world.leno(&format!("why {id} --context bo"));
    assert!(
        told.contains("GET /items") && !told.contains("gold"),
        "{told}"
    );
    let told = world.leno(&format!("why {id} --context ops"));
    assert!(told.contains("GET /items"), "{told}");
    let told = world.json("tap --last 1 -o json --context teller");
    assert_eq!(told.len(), 1, "a call of others is none: {told:?}");
    let told = world.leno("proxies --context teller");
    assert!(!told.contains("shop/cart"), "{told}");

    let port = world.port;
    let told = world.leno(&format!(
        "probe shop/web http://cart.shop:{port}/ --context bo"
    ));
    assert!(told.contains("S017 role-too-small"), "{told}");
    fs::create_dir(world.folder.join("nobody")).unwrap();
    let told = world.fails("status --context nobody");
    assert!(told.contains("there is no context nobody"), "{told}");

    let log = world.leno("history --audit --limit 50 --context ops");
    for told in [
        "leno-people/bo ",
        "the last 1 calls",
        &format!("call {id}"),
        "refused S017",
    ] {
        assert!(log.contains(told), "{told} in {log}");
    }
    let told = world.leno("context use bo");
    assert!(told.contains("bo"), "{told}");
    let told = world.leno("context list");
    assert!(told.contains("*  bo"), "{told}");
    world.leno("certs revoke leno-people/bo --context ops");
    let told = world.fails("status --context bo");
    assert!(told.contains("no control plane answers at"), "{told}");
}
