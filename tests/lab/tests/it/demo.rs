//! The demo's shop on hosts of its own, under its own load, through the two worst days of a mesh: from
//! permissive to strict mTLS, with one caller that has no proxy, and from a default of Allow to one of Deny.

use std::process::Command;

use leno_e2e::{Ended, Process, binary, ended, run, until};
use leno_lab::Lab;

use crate::{ask, control, joined};

/// The demo's own objects.
const DEMO: &str = include_str!("../../../../crates/leno/src/demo/leno.yaml");

/// A program of the shop, which runs on the host of its place in [`PROGRAMS`], and whom it calls.
struct Program {
    name: &'static str,
    account: &'static str,
    calls: &'static [&'static str],
}

const fn program([name, account]: [&'static str; 2], calls: &'static [&'static str]) -> Program {
    Program {
        name,
        account,
        calls,
    }
}

const PROGRAMS: [Program; 8] = [
    program(["store"; 2], &[]),
    program(["catalog"; 2], &["store"]),
    program(["cart-v1", "cart"], &["catalog", "store"]),
    program(["cart-v2", "cart"], &["catalog", "store"]),
    program(["payments"; 2], &[]),
    program(["checkout"; 2], &["cart", "payments"]),
    program(["web"; 2], &["catalog", "cart", "checkout", "payments"]),
    program(["visitors"; 2], &["web"]),
];

const WEB: usize = 7;
const VISITORS: usize = 8;

/// The ports of the services, and where a program finds one that it calls by its proxy.
const SERVICES: [(&str, u16, u16); 6] = [
    ("store", 6400, 17001),
    ("catalog", 8080, 17002),
    ("cart", 8080, 17003),
    ("payments", 8080, 17004),
    ("checkout", 8080, 17005),
    ("web", 3000, 17006),
];

/// Lets the proxy of web's host take what comes to web in plain.
const CAPTURE: &str = "table ip capture {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        tcp dport 3000 redirect to :15006
    }
}";

/// The demo's objects where its programs run on hosts, and may be called in plain.
fn objects() -> String {
    let mut objects = DEMO
        .replace("mtls: Strict", "mtls: Permissive")
        .replace("default/", "shop/");
    for (number, Program { name, .. }) in (1..).zip(&PROGRAMS) {
        let run = format!("run: {{command: [./leno, shop, {name}]}}");
        assert!(objects.contains(&run), "{run} is not in {objects}");
        let instance = format!("instances: [{{address: 10.77.0.{number}}}]");
        objects = objects.replace(&run, &instance);
    }
    assert!(!objects.contains("run:"), "{objects}");
    objects
}

/// The shop on its hosts.
struct Shop {
    lab: Lab,
    _control: Process,
    proxies: Vec<Process>,
    programs: Vec<Process>,
}

impl Shop {
    /// Opens it: all have proxies but the visitors, who call in plain.
    fn open() -> Self {
        let lab = Lab::new(8);
        lab.write("shop.yaml", &objects());
        lab.write("capture.nft", CAPTURE);
        let control = control(&lab);
        ask(&lab, &["apply", "-f", "shop.yaml", "-n", "shop"]);
        let mut shop = Self {
            lab,
            _control: control,
            proxies: Vec::new(),
            programs: Vec::new(),
        };
        let capture = shop.lab.path("capture.nft");
        run(shop.lab.host(WEB).command("nft").arg("-f").arg(capture));
        for number in 1..VISITORS {
            let more: &[&str] = match number {
                WEB => &["--inbound", "10.77.0.7:15006"],
                _ => &[],
            };
            shop.start_proxy(number, more);
        }
        for number in 1..VISITORS {
            shop.start_program(number, true);
        }
        // Visitors call at once, and nothing is to be refused.
        (1..VISITORS).for_each(|number| shop.until_listens(number));
        shop.start_program(VISITORS, false);
        shop
    }

    /// Waits until a program takes connections.
    fn until_listens(&self, number: usize) {
        let (_, port, _) = service(PROGRAMS[number - 1].account);
        let port = format!("sport = :{port}");
        until("a program of the shop", || {
            let mut sockets = self.lab.host(number).command("ss");
            let shown = sockets.args(["--listening", "--tcp", "--no-header", &port]);
            let shown = shown.output().expect("ss runs");
            (!shown.stdout.is_empty()).then_some(())
        });
    }

    fn start_proxy(&mut self, number: usize, more: &[&str]) {
        let Program {
            name,
            account,
            calls,
            ..
        } = PROGRAMS[number - 1];
        let upstreams = calls.iter().map(|called| {
            let (_, port, local) = service(called);
            format!("{called}:{port}=127.0.0.1:{local}")
        });
        let upstreams: Vec<_> = upstreams.collect();
        let mut arguments = vec!["--access-log", "json"];
        arguments.extend(upstreams.iter().flat_map(|at| ["--upstream", at]));
        arguments.extend(more);
        let proxy = joined(&self.lab, number, [account, name], &arguments);
        self.proxies.push(proxy);
    }

    /// Starts a program, which calls others by its proxy or at their hosts.
    fn start_program(&mut self, number: usize, by_proxy: bool) {
        let Program { name, calls, .. } = PROGRAMS[number - 1];
        let mut command = self.lab.host(number).command(binary());
        command.args(["shop", name]);
        for called in calls {
            let variable = called.to_uppercase();
            let (_, port, local) = service(called);
            let (host, port) = match by_proxy {
                true => ("127.0.0.1".to_owned(), local),
                false => (format!("10.77.0.{}", number_of(called)), port),
            };
            command.env(format!("{variable}_SERVICE_HOST"), host);
            command.env(format!("{variable}_SERVICE_PORT"), port.to_string());
        }
        let log = self.lab.path(&format!("program-{name}-{by_proxy}.log"));
        self.programs.push(Process::start(&mut command, &log));
    }

    /// What a host is answered: the status, and the body.
    fn call(&self, number: usize, url: &str) -> (String, String) {
        let mut curl = self.lab.host(number).command("curl");
        curl.args(["-s", "-w", "\n%{http_code}", "--max-time", "20", url]);
        let output = curl.output().expect("curl runs");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = told.rsplit_once('\n').expect("the status comes last");
        (status.to_owned(), body.to_owned())
    }

    /// Waits for so many visits more. The visitors count one that was answered from its beginning to its end.
    fn until_visited(&self, more: u64) {
        let visits = || {
            let (_, told) = self.call(VISITORS, "http://127.0.0.1:8080/");
            told.split(' ').next()?.parse::<u64>().ok()
        };
        let before = until("the visitors count", visits);
        until("more visits", || {
            visits().filter(|now| *now >= before + more)
        });
    }

    /// How `leno` ends.
    fn told(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(binary());
        command.args(arguments);
        command.env("LENO_CONTEXT", self.lab.path("socket"));
        ended(command.current_dir(self.lab.path(""))).expect("it ends in time")
    }

    /// Lets an object hold.
    fn apply(&self, set: &str, objects: &str) {
        let file = format!("{set}.yaml");
        self.lab.write(&file, objects);
        ask(
            &self.lab,
            &["apply", "-f", &file, "-n", "shop", "--set", set],
        );
    }

    /// Waits until a plan says that nobody would break, of calls that were recorded.
    fn until_nobody_breaks(&self, plan: &[&str]) {
        until("nobody would break", || {
            let Ended { out, status, .. } = self.told(plan);
            let is_fine = status.code() == Some(0) && out.contains("No caller would break");
            is_fine.then_some(())
        });
    }

    /// The calls of the demo that proxies refused, but those that it means to be refused: visitors ask for
    /// the ledger.
    fn refused(&self) -> Vec<String> {
        let logs = self.proxies.iter().map(Process::log);
        let logs = logs.collect::<String>();
        let lines = logs.lines().filter(|line| line.contains(r#""code":"R"#));
        let meant = [
            r#""path":"/ledger","status":403"#,
            r#""path":"/plain","status":403"#,
            r#""path":"/stranger","status":403"#,
        ];
        let of_demo = lines.filter(|line| !meant.iter().any(|part| line.contains(part)));
        of_demo.map(str::to_owned).collect()
    }
}

fn service(name: &str) -> (&'static str, u16, u16) {
    let mut services = SERVICES.into_iter();
    let found = services.find(|(known, ..)| *known == name);
    found.expect("it is a service of the demo")
}

fn number_of(name: &str) -> usize {
    let place = PROGRAMS.iter().position(|program| program.name == name);
    place.expect("it is a program of the demo") + 1
}

/// What the demo's programs ask of each other, as suggested policies say it, each so often.
const ASKED: [(&str, usize); 9] = [
    ("/loom\"", 3),
    ("/needle\"", 3),
    ("/shuttle\"", 3),
    ("/thread\"", 3),
    ("methods: [DELETE]", 1),
    ("\"/ledger\"", 1),
    ("\"/order/*\"", 1),
    ("\"/charge\"", 1),
    ("{identity: shop/catalog}", 1),
];

/// Both change what is said of the whole namespace.
const STRICT: &str = "\
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: strict}
spec: {mtls: Strict}
";
const CLOSED: &str = "\
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: closed}
spec: {default: Deny}
";

/// Against the pain "The day of strict mTLS, and that of default deny" (docs/pains.md).
#[test]
fn the_demo_becomes_strict_and_then_closed_and_none_of_its_calls_is_refused() {
    let mut shop = Shop::open();
    shop.until_visited(10);

    // Whom strict mTLS would break is known before it is written.
    let strict = ["plan", "--with", "mtls=Strict", "-n", "shop"];
    let said = until("both kinds of callers are known", || {
        let Ended { out, status, .. } = shop.told(&strict);
        let knows_both = out.contains("BREAKS") && out.contains("the rest");
        knows_both.then(|| {
            assert_eq!(status.code(), Some(1), "{out}");
            out
        })
    });
    let broken = said.lines().filter(|line| line.contains("BREAKS"));
    let broken: Vec<_> = broken.collect();
    assert_eq!(broken.len(), 1, "{said}");
    let visitors = "shop/visitors (10.77.0.8, without a proxy) → shop/web";
    assert!(broken[0].contains(visitors), "{said}");
    assert!(broken[0].contains("200 → 403 R002"), "{said}");
    assert!(said.contains("1 caller would break."), "{said}");

    // They get a proxy, and call by that.
    let upstream = format!("catalog:8080=127.0.0.1:{STRANGER}");
    shop.start_proxy(VISITORS, &["--upstream", &upstream]);
    let plain = shop.programs.pop();
    plain.expect("they were started last").kill();
    shop.start_program(VISITORS, true);
    shop.until_visited(10);
    shop.until_nobody_breaks(&[&strict[..], &SOON].concat());

    // What was planned comes true, while they go on.
    shop.apply("strict", STRICT);
    until("plain calls are refused", || {
        let (status, _) = shop.call(VISITORS, "http://10.77.0.7:3000/plain");
        (status == "403").then_some(())
    });
    shop.until_visited(10);

    // Policies are made of what was recorded, and nobody would break who is let in by them.
    let suggested = until("all that they ask is recorded", || {
        let suggest = ["policy", "suggest", "-n", "shop", "--at-least", "1"];
        let Ended { out, status, .. } = shop.told(&suggest);
        let knows = |(asked, times): (&str, usize)| out.matches(asked).count() >= times;
        let is_whole = status.code() == Some(0) && ASKED.into_iter().all(knows);
        is_whole.then_some(out)
    });
    shop.lab.write("suggested/policies.yaml", &suggested);
    let closed = [
        "plan",
        "-f",
        "suggested",
        "--with",
        "default=Deny",
        "-n",
        "shop",
    ];
    shop.until_nobody_breaks(&[&closed[..], &SOON].concat());
    shop.apply("suggested", &suggested);
    shop.apply("closed", CLOSED);
    let stranger = format!("http://127.0.0.1:{STRANGER}/stranger");
    until("a stranger is refused", || {
        let (status, told) = shop.call(VISITORS, &stranger);
        (status == "403" && told.contains("No AccessPolicy allows it")).then_some(())
    });
    shop.until_visited(20);
    assert_eq!(shop.refused(), [""; 0]);
}

/// Where the visitors' host calls the catalog, which visitors never do.
const STRANGER: u16 = 17009;

/// The calls of a few seconds, of which there must be some.
const SOON: [&str; 4] = ["--since", "5s", "--fail-on", "breaks"];
