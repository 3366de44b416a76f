//! A mesh in which one proxy is older: the order of an upgrade, control plane first, and the way back.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use std::{fs, mem};

use leno_channel::generate_key;
use leno_e2e::control::{Control, PAIR, proxy};
use leno_e2e::{Application, Client, Process, World, binary, curl, until, within};
use leno_jwt::{Claims, Signer};
use leno_versions::{Call, Older, Reads, Row, Used};
use serde_json::Value;

const MESH: &str = "{trustDomain: shop.local, mtls: Strict, default: Deny}";

/// What an upgrade is tried with: who calls and who is called, each behind a proxy.
struct Mesh {
    control: Control,
    /// Of `web`, and of `cart`.
    proxies: [Proxy; 2],
    token: String,
}

const NAMES: [&str; 2] = ["web", "cart"];

/// Plays a row where one of the proxies is older.
pub(crate) fn play(row: &Row, role: Older, older: &Path) {
    let Used::Here {
        policy,
        route,
        objects,
        calls,
    } = row.used
    else {
        panic!("{} is played elsewhere", row.feature);
    };
    let world = World::new("");
    let older = lacking(&world, older, row.feature);
    let place = usize::from(role == Older::Called);
    let mut programs = [binary(); 2];
    programs[place] = older;
    let objects = written(policy, route, objects);
    let mesh = Mesh::start(world, older, programs, &objects);
    let is_met = row.is_met_by(role);
    let expected = |call: &Call| if is_met { call.older } else { call.newer };
    let lacked = format!("proxy shop/{}: {}", NAMES[place], row.feature);
    let named: BTreeSet<_> = is_met.then(|| lacked.clone()).into_iter().collect();

    // Before: the version that is to come foretells it.
    let foretold = mesh.named(&["upgrade", "--check"]);
    // Who never called may call: a proxy is judged by all that it may be told.
    let may = match row.reads {
        Reads::Caller => BTreeSet::from([lacked]),
        Reads::Called | Reads::Each | Reads::Node => named.clone(),
    };
    assert_eq!(foretold, may, "foretold");
    assert!(mesh.named(&["check"]).is_empty(), "nothing is newer yet");

    let mut mesh = mesh.with_control(binary());
    mesh.expect("after the control plane", calls, expected, &named);
    mesh.tell_of(place, is_met.then_some(row));

    mesh.proxies[place].replace(&mesh.control.world, binary());
    mesh.expect(
        "after the proxy",
        calls,
        |call| call.newer,
        &BTreeSet::new(),
    );

    // The way back is the same way.
    mesh.proxies[place].replace(&mesh.control.world, older);
    mesh.expect("the proxy as before", calls, expected, &named);
    let mesh = mesh.with_control(older);
    until("nothing that is not understood", || {
        mesh.named(&["check"]).is_empty().then_some(())
    });
}

/// Proxies that lack every feature, where nothing uses one.
pub(crate) fn play_proxies(older: &Path) {
    let world = World::new("");
    let older = lacking(&world, older, "all");
    let mesh = Mesh::start(world, binary(), [older; 2], &written("", "", ""));
    // The keys of the mesh's own tokens are there in every mesh.
    let named = NAMES
        .map(|name| format!("proxy shop/{name}: token-keys"))
        .into();
    mesh.expect("older proxies", BESIDE, |call| call.newer, &named);
}

/// A control plane that knows of no feature, and proxies that announce all.
pub(crate) fn play_control(older: &Path) {
    let world = World::new("");
    let older = lacking(&world, older, "all");
    let mesh = Mesh::start(world, older, [binary(); 2], &written("", "", ""));
    mesh.expect(
        "an older control plane",
        BESIDE,
        |call| call.newer,
        &BTreeSet::new(),
    );
    assert!(mesh.named(&["upgrade", "--check"]).is_empty());
    // Forth, and back: what proxies had of the newer one is taken from them.
    let mesh = mesh.with_control(binary());
    mesh.expect("the newer one", BESIDE, |call| call.newer, &BTreeSet::new());
    let mesh = mesh.with_control(older);
    mesh.expect(
        "the older one again",
        BESIDE,
        |call| call.newer,
        &BTreeSet::new(),
    );
}

const BESIDE: &[Call] = &[Call {
    asks: &["/old"],
    older: "200",
    newer: "200",
}];

/// The objects of a row.
fn written(policy: &str, route: &str, more: &str) -> String {
    let all = "rules: [{callers: [{namespace: shop}]}]\n";
    let policy = if policy.is_empty() { all } else { policy };
    let mut objects = format!(
        "{PAIR}---\napiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: cart}}\nspec:\n{}",
        indented(&format!(
            "targetRefs: [{{kind: Service, name: cart}}]\n{policy}"
        ))
    );
    if !route.is_empty() {
        objects += &format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: cart}}\nspec:\n  \
             parentRefs: [{{group: '', kind: Service, name: cart}}]\n  rules:\n{}",
            indented(route)
        );
    }
    objects + more
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// A program that is the older one and lacks a feature, or all of them.
pub(crate) fn lacking(world: &World, older: &Path, feature: &str) -> &'static Path {
    let folder = world.folder().join("older");
    fs::create_dir(&folder).expect("the folder is new");
    let program = folder.join("leno");
    let script = format!(
        "#!/bin/sh\nLENO_OLDER={feature} exec {} \"$@\"\n",
        older.display()
    );
    fs::write(&program, script).expect("the folder takes files");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    Box::leak(program.into_boxed_path())
}

impl Mesh {
    fn start(
        world: World,
        control: &'static Path,
        proxies: [&'static Path; 2],
        objects: &str,
    ) -> Self {
        let signer = Signer::new(generate_key().secret()).expect("a key");
        let claims = br#"{"iss":"id","aud":"shop","sub":"anna","exp":4102444800}"#;
        let token = signer.sign(&Claims::read(claims).expect("claims"));
        let objects = objects.replace("<jwk>", &signer.jwk("sig").to_string());
        world.take(control);
        let control = Control::start_in(world, &[], MESH, &objects);
        Application::start(control.world.at("cart", 8080), "cart");
        let upstream = format!("cart:80={}", control.world.at("web", 8080));
        let [web, cart] = proxies;
        let cart = Proxy::start(&control, cart, "cart", &[]);
        let web = Proxy::start(&control, web, "web", &["--upstream", &upstream]);
        let mesh = Self {
            control,
            proxies: [web, cart],
            token,
        };
        let at = mesh.control.world.at("web", 8080);
        until("a listener", || Client::try_to(at).map(drop));
        let beside = &BESIDE[0];
        until("a call", || {
            (mesh.outcome(beside) == beside.newer).then_some(())
        });
        mesh
    }

    /// The same with another control plane in the place of the one that runs.
    fn with_control(self, program: &'static Path) -> Self {
        self.control.world.take(program);
        Self {
            control: self.control.fail().start_again(),
            ..self
        }
    }

    /// How a call ends.
    fn outcome(&self, call: &Call) -> String {
        let (path, more) = call.asks.split_first().expect("a path");
        let url = self.control.world.url("web", 8080, path);
        let more = more.iter().map(|word| word.replace("<token>", &self.token));
        let more: Vec<_> = more.collect();
        let mut asks: Vec<_> = more.iter().map(String::as_str).collect();
        asks.push(&url);
        curl(&asks).outcome()
    }

    fn named(&self, asked: &[&str]) -> BTreeSet<String> {
        named(&self.control, asked)
    }

    /// Whoever asks how a proxy decides is told that it is too old for some of it.
    fn tell_of(&self, place: usize, lacks: Option<&Row>) {
        self.control.world.take(binary());
        let feature = lacks.map_or("", |row| row.feature);
        let asked: [(&[&str], String); 3] = [
            (&["proxies"], format!("D007 the newest, without {feature}")),
            (
                &["view", "-n", "shop", NAMES[place]],
                format!("refuses what needs {feature} (D007)"),
            ),
            (
                &["why", "-n", "shop", "web", "http://cart/new"],
                "is older than what is in force".to_owned(),
            ),
        ];
        for (asks, words) in asked {
            let told = self.control.told(asks).out;
            assert_eq!(told.contains(&words), lacks.is_some(), "{asks:?}: {told}");
        }
    }

    /// Waits until it is so: how calls end, and whom `leno check` names. Then it is looked at once more.
    fn expect(
        &self,
        when: &str,
        calls: &[Call],
        expected: impl Fn(&Call) -> &'static str,
        named: &BTreeSet<String>,
    ) {
        let outcome = |call: &Call| format!("{:?} {}", call.asks, self.outcome(call));
        let mut last = String::new();
        let mut is_so = || {
            // What is asked for later may never end before that.
            let all_end_so = calls.iter().all(|call| {
                last = outcome(call);
                last == format!("{:?} {}", call.asks, expected(call))
            });
            let found = self.named(&["check"]);
            if all_end_so {
                last = format!("{found:?}");
            }
            all_end_so && found == *named
        };
        let came = within(PATIENCE, || is_so().then_some(()));
        // Once more: by now nothing changes any more.
        let stays = came.is_some() && is_so();
        assert!(stays, "{when}: {last}, where {named:?} is to be named");
    }
}

/// The proxies that are named by D007, each with the features of which it is said.
pub(crate) fn named(control: &Control, asked: &[&str]) -> BTreeSet<String> {
    control.world.take(binary());
    let told = control.told(&[asked, &["-o", "json"]].concat());
    let all: Value = serde_json::from_str(&told.out)
        .unwrap_or_else(|error| panic!("{error}: {}{}", told.out, told.err));
    let findings = all["findings"].as_array().expect("findings").iter();
    let named = findings.filter(|one| one["code"] == "D007");
    let named = named.map(|one| {
        let [object, message] = ["object", "message"].map(|it| one[it].as_str().expect("a text"));
        let (_, features) = message.rsplit_once(": ").expect("features");
        format!("{object}: {features}")
    });
    named.collect()
}

/// The proxy of a workload.
pub(crate) struct Proxy {
    name: &'static str,
    more: Vec<String>,
    process: Process,
}

impl Proxy {
    /// Lets it join, and starts it.
    pub(crate) fn start(
        control: &Control,
        program: &'static Path,
        name: &'static str,
        more: &[&str],
    ) -> Self {
        control.world.take(program);
        let process = control.joined(name, more);
        process.until_says(&["connected"]);
        let more = more.iter().map(ToString::to_string).collect();
        Self {
            name,
            more,
            process,
        }
    }

    /// Lets another program take its place.
    pub(crate) fn replace(&mut self, world: &World, program: &'static Path) {
        world.take(program);
        let mut command = proxy(world, self.name, &["--take-over"]);
        command.args(&self.more);
        let mut logs = (2..).map(|number| format!("{}-{number}", self.name));
        let is_new = |name: &String| !world.folder().join(format!("{name}.log")).exists();
        let log = logs.find(is_new).expect("there are always more numbers");
        let newer = world.process(&log, &mut command);
        newer.until_says(&["took over"]);
        let before = mem::replace(&mut self.process, newer);
        before.until_says(&["succeeded"]);
        assert!(before.ended().success());
    }
}

/// How long a change may take. Only what fails waits for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
