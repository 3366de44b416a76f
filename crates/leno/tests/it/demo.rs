//! The demo, as somebody without a terminal sees it. It needs namespaces as Debian 12 allows them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::said::{Said, ended, until};

#[test]
fn the_demo_tells_what_runs_and_what_its_calls_look_like() {
    let (mut process, said) = begin();
    let mut told = said.next().unwrap() + "\n";
    // How soon each was called that is called is left to chance: it shows them every ten seconds.
    while normal(&told).matches('→').count() < EDGES {
        told += &(said.next().expect("the demo goes on") + "\n");
    }
    let pid = process.id().to_string();
    let kill = Command::new("kill").args(["-s", "TERM", &pid]).status();
    assert!(kill.unwrap().success());
    while let Some(line) = said.next() {
        told += &(line + "\n");
    }
    let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/demo.txt");
    assert_eq!(normal(&told), fs::read_to_string(story).unwrap(), "{told}");
    assert!(ended(&mut process).success());
    let folder = folder(&told);
    assert!(!folder.exists());
    assert!(running_in(&folder).is_empty());
}

#[test]
fn what_it_says_to_try_works() {
    let demo = Running::start();
    let mut tries = demo.tries.iter();
    let mut check = |expect: &str, code| {
        let typed = tries
            .next()
            .unwrap()
            // What else fails is left to chance.
            .replace("--failed", "payments --failed --count 1");
        let output = demo.shell(&typed);
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains(expect), "{typed}:\n{told}");
        assert_eq!(output.status.code(), Some(code), "{typed}:\n{told}");
    };
    check("R003 no-allow-rule", 0);
    check("403 R003 no-allow-rule", 1);
    for made in ["leno.yaml has changed", "rollback to 1"] {
        check("", 0);
        while !demo.next().contains(made) {}
    }
    // What was called a moment ago is on its way.
    let told = |typed: &str, part: &str| {
        let mut told = String::new();
        until(|| {
            told = String::from_utf8(demo.shell(typed).stdout).unwrap();
            told.contains(part)
        });
        told
    };
    told("./leno stat --edges", "visitors → web");
    let told = told("./leno why payments --since 5m", "R003");
    for part in [
        "✗ R003 no-allow-rule   web → payments",
        "culprit   the caller web   fault: caller",
        "asked     GET /ledger, answered 403",
        "leno explain R003",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
}

#[test]
fn a_call_that_was_refused_is_explained_by_its_id() {
    let demo = Running::start();
    let mut told = String::new();
    until(|| {
        let kept = demo.shell("./leno tap --last 1 --code R003 -o json").stdout;
        told = String::from_utf8(kept).unwrap();
        told.contains("\"id\":\"")
    });
    let (_, id) = told.split_once("\"id\":\"").unwrap();
    for ask in ["why", "explain"] {
        let output = demo.shell(&format!("./leno {ask} {}", &id[..8]));
        let told = String::from_utf8(output.stdout).unwrap();
        for part in [
            "web → payments:8080  GET /ledger   403 R003 no-allow-rule after ",
            "  web (node, revision 1)",
            "  payments (node, revision 1)",
            "  ✗ access    no AccessPolicy allows it ",
            "              AccessPolicy default/payments rule 1 no: the caller is not default/checkout",
            "(now): same",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
        assert_eq!(output.status.code(), Some(1));
    }
    let output = demo.shell("./leno why 00000000000000000000000000000000");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains(" is not kept"), "{told}");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn nothing_runs_on_when_the_demo_was_killed() {
    let demo = Running::start();
    assert_eq!(running_in(&demo.folder).len(), 8);
    let folder = demo.folder.clone();
    drop(demo);
    until(|| running_in(&folder).is_empty());
}

/// A demo that has told what to try. Dropped, it is killed.
struct Running {
    process: Child,
    said: Said,
    folder: PathBuf,
    tries: Vec<String>,
}

impl Running {
    fn start() -> Self {
        let (process, said) = begin();
        let mut demo = Self {
            process,
            said,
            folder: PathBuf::new(),
            tries: Vec::new(),
        };
        demo.folder = folder(&demo.next());
        while !demo.next().contains("in another terminal") {}
        loop {
            let line = demo.next();
            if line.contains("Stop") {
                return demo;
            }
            let typed = line.trim().split("   ").next().unwrap();
            demo.tries.push(typed.to_owned());
        }
    }

    fn next(&self) -> String {
        self.said.next().expect("the demo goes on")
    }

    fn shell(&self, typed: &str) -> Output {
        let mut shell = Command::new("sh");
        shell.args(["-c", typed]).current_dir(&self.folder);
        shell.env("LENO_PROXIES", PROXIES);
        shell.output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// A demo, which ends some day also where its test was killed.
fn begin() -> (Child, Said) {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_leno"));
    demo.arg("demo").stdin(Stdio::null());
    demo.args(["--for", "10m"]).stdout(Stdio::piped());
    let mut process = demo.env("LENO_PROXIES", PROXIES).spawn().unwrap();
    let said = Said::by(process.stdout.take().unwrap());
    (process, said)
}

/// How many of its services call another one.
const EDGES: usize = 10;

/// Where the demos of these tests are found, and no other proxies.
const PROXIES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/proxies");

/// The folder that the first line names.
fn folder(told: &str) -> PathBuf {
    let file = told.split(['(', ')']).nth(1).unwrap();
    Path::new(file).parent().unwrap().to_owned()
}

/// The processes that run in a folder.
fn running_in(folder: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap();
    let runs_there = |process: &PathBuf| {
        let place = fs::read_link(process.join("cwd"));
        place.is_ok_and(|place| place.starts_with(folder))
    };
    processes
        .map(|process| process.unwrap().path())
        .filter(runs_there)
        .collect()
}

/// What is the same each time: `N` for numbers, one space for many, nothing of the rates and of the
/// shares, which are left to chance, nor of ports that were taken, and of all tables the longest.
fn normal(told: &str) -> String {
    let folder = folder(told).display().to_string();
    let mut normal = String::new();
    for line in told.lines() {
        let line = line.replace(&folder, "FOLDER");
        let line = match line.rsplit_once(" (") {
            Some((free, why)) if why.ends_with("is another program's)") => free,
            _ => &line,
        };
        let words = line.split_whitespace().map(number).collect::<Vec<_>>();
        let line = match &words[..] {
            ["first", "call", ..] => "first call".to_owned(),
            ["Page", ..] => "Page".to_owned(),
            [from, "→", to, ..] => format!("{from} → {to}"),
            ["cart-v1" | "cart-v2", _, "%", ..] => continue,
            words => words.join(" "),
        };
        normal.push_str(&line);
        normal.push('\n');
    }
    with_one_table(&normal)
}

fn with_one_table(story: &str) -> String {
    let mut parts: Vec<_> = story.trim_end().split("\n\n").collect();
    let is_table = |part: &&str| part.starts_with("CALLS PER S");
    let tables = parts.iter().copied().filter(is_table);
    let longest = tables.max_by_key(|table| table.len());
    parts.retain(|part| !is_table(part) || Some(*part) == longest);
    parts.dedup();
    parts.join("\n\n") + "\n"
}

fn number(word: &str) -> &str {
    let is_number = |text: &str| {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        digits > 0
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    match word.split_once("localhost:") {
        Some((before, port)) if before.starts_with("http://") && is_number(port) => {
            "http://localhost:N"
        }
        Some(("", port)) if is_number(port) => "localhost:N",
        _ if is_number(word) => "N",
        _ => word,
    }
}
