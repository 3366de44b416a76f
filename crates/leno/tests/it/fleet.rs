//! Sessions with a control plane: each file of `tests/fleets` is what people type and see who run a mesh
//! on several hosts, asked of a control plane that the test starts. Lines that begin with `#` say what
//! happens meanwhile: `# the proxy of web runs`, `.. is replaced by a newer
//! one`, `.. follows`, `.. stands still`, `.. goes on`, `.. has ended`, and
//! `# web calls cart 3 times`, which is over when the control plane knows of it, or
//! `# web calls cart 3 times and its proxy ends`, of which it knows all the same.

mod relay;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::fleet::relay::Relay;
use crate::{check, run, shell};

#[test]
fn what_is_typed_about_a_fleet_shows_what_is_written() {
    let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleets");
    let files = fs::read_dir(sessions).unwrap();
    let files = files.map(|entry| entry.unwrap().path()).collect();
    check(files, |session| World::new().replay(session));
}

/// A control plane, the folder that people are in, and the proxies that they have started.
struct World {
    folder: PathBuf,
    relay: Relay,
    /// Where the proxy of web takes calls to cart.
    upstream: String,
    /// How many calls there have been.
    calls: u64,
    children: Vec<Child>,
}

impl World {
    fn new() -> Self {
        let name = format!("leno-fleet-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
        let mut copy = Command::new("cp");
        copy.arg("-r").args([&examples, &folder]);
        assert!(copy.status().unwrap().success());
        // Chosen before they are told.
        let ports = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let [address, upstream] = ports.map(|port| port.local_addr().unwrap().to_string());
        let mut world = Self {
            relay: Relay::start(&folder.join("relay.sock"), &folder.join("control.sock")),
            folder,
            upstream,
            calls: 0,
            children: Vec::new(),
        };
        let arguments = ["--data", "store", "--socket", "control.sock", "--listen"];
        world.start(
            Command::new(env!("CARGO_BIN_EXE_leno"))
                .arg("control")
                .args(arguments)
                .args([&address, "--advertise", &address]),
            |line| line.contains("ready"),
        );
        world
    }

    fn replay(&mut self, session: &str) -> String {
        let mut shown = String::new();
        let about = session.lines().take_while(|line| !line.starts_with("$ "));
        about.for_each(|line| shown.extend([line, "\n"]));
        for line in session.lines() {
            if let Some(typed) = line.strip_prefix("$ ") {
                let mut shell = shell(typed);
                shell
                    .current_dir(&self.folder)
                    .env("LENO_CONTEXT", "./relay.sock")
                    .env("LENO_PROXIES", self.folder.join("proxies"))
                    .env("TOKEN", self.relay.last_token());
                shown.push_str(&run(typed, &mut shell));
            } else if let Some(happens) = line.strip_prefix("# ") {
                self.happen(happens);
                shown.push_str(&format!("# {happens}\n\n"));
            }
        }
        shown
    }

    /// Lets something happen that nobody types.
    fn happen(&mut self, what: &str) {
        if let Some(times) = what.strip_prefix("web calls cart ") {
            let (times, then) = times.split_once(" times").unwrap();
            self.call(times.parse().unwrap());
            if !then.is_empty() {
                self.signal("-TERM");
            }
            return self.relay.wait_until_counted(self.calls);
        }
        let of = what.strip_prefix("the proxy of ");
        let of = of.expect("nothing else happens in a session");
        if let Some(name) = of.strip_suffix(" stands still") {
            self.relay.wait_until_adopted(name);
            return self.signal("-STOP");
        }
        if let Some(name) = of.strip_suffix(" follows") {
            return self.relay.wait_until_adopted(name);
        }
        if let Some(name) = of.strip_suffix(" goes on") {
            self.signal("-CONT");
            return self.relay.wait_until_adopted(name);
        }
        if let Some(name) = of.strip_suffix(" is replaced by a newer one") {
            return self.replace(name);
        }
        let Some(name) = of.strip_suffix(" runs") else {
            return self.relay.wait_until(Vec::is_empty);
        };
        self.run(name, &[], "adopted");
        // It is current once the control plane has heard that it has adopted.
        self.relay.wait_until(|proxies| {
            !proxies.is_empty() && proxies.iter().all(|proxy| proxy["current"] == true)
        });
    }

    /// Lets a newer process take the place of the proxy that was started last.
    fn replace(&mut self, name: &str) {
        self.run(name, &["--take-over"], "took over");
        let older = self.children.len() - 2;
        assert!(self.children[older].wait().unwrap().success());
        self.relay.wait_until(|proxies| {
            proxies.len() == 1 && proxies.iter().all(|proxy| proxy["current"] == true)
        });
    }

    /// Starts a proxy, and waits until it says so.
    fn run(&mut self, name: &str, more: &[&str], says: &str) {
        let arguments = [
            "proxy",
            "--joined",
            "-n",
            "shop",
            "--advertise",
            "10.0.0.7:15008",
            "--upstream",
            &format!("cart:8080={}", self.upstream),
        ];
        self.start(
            Command::new(env!("CARGO_BIN_EXE_leno"))
                .args(arguments)
                .args([
                    "--tunnel",
                    "127.0.0.1:0",
                    "--workload",
                    name,
                    "--state",
                    name,
                ])
                .args(more),
            |line| line.contains(says),
        );
    }

    /// Calls cart by the proxy of web.
    fn call(&mut self, times: u64) {
        for time in 0..times {
            let mut stream = TcpStream::connect(&self.upstream).unwrap();
            let path = format!("/items/{time}");
            let head = format!("GET {path} HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        }
        self.calls += times;
    }

    /// Sends the process that was started last a signal.
    fn signal(&self, signal: &str) {
        let last = self.children.last().unwrap().id().to_string();
        let sent = Command::new("kill").args([signal, &last]).status();
        assert!(sent.unwrap().success());
    }

    /// Starts a process that goes on, and waits for a line of it.
    fn start(&mut self, command: &mut Command, until: impl Fn(&str) -> bool) {
        let command = command
            .current_dir(&self.folder)
            .env("LENO_PROXIES", self.folder.join("proxies"))
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        self.children.push(child);
        let mut lines = said.lines().map(Result::unwrap);
        assert!(lines.any(|line| until(&line)), "it has ended");
        // What it says later has room.
        std::thread::spawn(move || lines.for_each(drop));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
        drop(fs::remove_dir_all(&self.folder));
    }
}
