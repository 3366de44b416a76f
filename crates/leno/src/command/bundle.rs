//! `leno bundle`: what a maintainer needs to understand a mesh, in one file that may be shown around:
//! nothing of it is a key, a token, or what anybody sent.

pub(super) mod archive;
mod redact;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use leno_admin::{
    Ask, By, Check, Client, HistoryOf, KeptOf, NotAsked, OverviewOf, ProxiesOf, StatusOf,
    TrafficOf, TrustOf, ViewOf, Wanted, Which,
};
use serde::Serialize;
use serde_json::{Value, json};

use self::archive::Archive;
use crate::arguments;
use crate::command::asking::{Ground, holdings};
use crate::command::{Answer, host};
use crate::terminal::{Line, Terminal};
use crate::up::Place;

/// How much of a log is taken, in bytes from its end.
const LOG_TAIL: usize = 64 << 10;

/// How many calls that failed, and how many revisions, are taken.
const FAILURES: u32 = 200;
const REVISIONS: u32 = 50;

/// How far back what went between services is summed up, in seconds.
const TRAFFIC: u64 = 3600;

/// What is never taken, in words.
const LEFT_OUT: [&str; 4] = [
    "keys, tokens and links to the dashboard",
    "headers, query strings, paths, hosts and bodies of calls",
    "what objects say: of findings and views only which object, field and line they are about",
    "what workloads said: leno logs (names and addresses stay in)",
];

/// Collects, writes, and lists what was written.
pub(crate) fn run(options: &arguments::Bundle, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bundle = runtime.block_on(collect(options))?;
    let to = options
        .to
        .clone()
        .unwrap_or_else(|| PathBuf::from("leno-bundle.tar.gz"));
    bundle.write(&to)?;
    let line = Line::new().good("written ").strong(to.display());
    terminal.line(line)?;
    for part in &bundle.parts {
        let line = Line::new().plain("  ").plain(&part.name).column(26, 2);
        let size = leno_admin::figures::bytes(part.text.len() as f64);
        terminal.line(line.dim(format_args!("{size:>7}  {}", part.what)))?;
    }
    for missing in &bundle.missing {
        terminal.line(Line::new().doubtful("  ! ").plain(missing))?;
    }
    terminal.line(Line::new().dim("left out"))?;
    for left in LEFT_OUT {
        terminal.line(Line::new().plain("  ").plain(left))?;
    }
    Ok(Answer::Fine)
}

/// What was collected.
#[derive(Default)]
struct Bundle {
    parts: Vec<Part>,
    /// What could not be found out, and why.
    missing: Vec<String>,
}

/// One file of it.
struct Part {
    name: String,
    /// What it tells, in words.
    what: &'static str,
    text: String,
}

async fn collect(options: &arguments::Bundle) -> anyhow::Result<Bundle> {
    let mut bundle = Bundle::default();
    bundle.add("versions.json", "Leno, kernel and system", &versions())?;
    bundle.add(
        "limits.json",
        "of Leno's processes: memory, threads, open files",
        &limits(),
    )?;
    let ground = Ground::choose(options.context.as_deref()).await?;
    match &ground {
        Ground::Control { client, .. } => bundle.ask_control(client).await?,
        Ground::Host { why, .. } => bundle.missing.push(why.clone()),
    }
    let (held, silent) = holdings().await;
    let told = json!({ "holdings": held, "silent": silent });
    bundle.add(
        "host.json",
        "what the proxies of this host say of themselves",
        &told,
    )?;
    let which = Which {
        failed: true,
        ..Which::default()
    };
    let wanted = Wanted::Last {
        count: FAILURES,
        which,
    };
    match ground.kept(KeptOf { wanted }).await {
        Ok(Ok(mut kept)) => {
            kept.calls = kept.calls.iter().map(redact::call).collect();
            bundle.add("failures.json", "calls that failed of late", &kept)?;
        }
        Ok(Err(failure)) => bundle.missing.push(format!("failures: {failure}")),
        Err(error) => bundle.missing.push(format!("failures: {error:#}")),
    }
    for (name, path) in logs() {
        if let Ok(text) = fs::read_to_string(&path) {
            let tail = text.len().saturating_sub(LOG_TAIL);
            let tail = text
                .get(text.ceil_char_boundary(tail)..)
                .unwrap_or_default();
            let lines = tail.lines().filter_map(redact::log_line);
            let text = lines.map(|line| line + "\n").collect();
            bundle.parts.push(Part {
                name: name.to_owned(),
                what: "the end of what Leno said, without what it quoted",
                text,
            });
        }
    }
    bundle.describe();
    Ok(bundle)
}

impl Bundle {
    async fn ask_control(&mut self, client: &Client) -> anyhow::Result<()> {
        self.part(
            "status.json",
            "how the control plane is",
            client,
            StatusOf {},
            same,
        )
        .await?;
        let overview = "the mesh at a glance, findings by place";
        self.part(
            "overview.json",
            overview,
            client,
            OverviewOf {},
            redact::overview,
        )
        .await?;
        let check = "what is wrong: codes, objects, fields and lines";
        self.part("check.json", check, client, Check {}, redact::checked)
            .await?;
        let trust = "the CA and certificates, without keys";
        self.part(
            "certificates.json",
            trust,
            client,
            TrustOf {},
            redact::trust,
        )
        .await?;
        let history = HistoryOf {
            limit: REVISIONS,
            before: None,
        };
        self.part(
            "history.json",
            "revisions, without their messages",
            client,
            history,
            redact::history,
        )
        .await?;
        let traffic = TrafficOf {
            seconds: TRAFFIC,
            until: None,
            step: None,
            by: By::Edge,
            of: None,
            namespace: String::new(),
        };
        let what = "what went over each edge within the hour";
        self.part("traffic.json", what, client, traffic, same)
            .await?;
        let proxies = "who is connected, and what each follows";
        let told = self
            .part("proxies.json", proxies, client, ProxiesOf {}, same)
            .await?;
        let proxies = told.into_iter().flat_map(|told| told.proxies);
        for proxy in proxies {
            let name = format!("views/{}.json", proxy.name.replace('/', "."));
            let ask = ViewOf {
                name: proxy.name,
                namespace: "default".to_owned(),
                diff: false,
            };
            let what = "what a proxy holds, by name";
            self.part(&name, what, client, ask, redact::viewed).await?;
        }
        Ok(())
    }

    /// Asks for one file, and takes what `redact` leaves of it.
    async fn part<Q: Ask, T: Serialize>(
        &mut self,
        name: &str,
        what: &'static str,
        client: &Client,
        question: Q,
        redact: impl FnOnce(&Q::Answer) -> T,
    ) -> anyhow::Result<Option<Q::Answer>> {
        match client.ask(question).await {
            Ok(told) => {
                self.add(name, what, &redact(&told))?;
                Ok(Some(told))
            }
            Err(NotAsked::Refused(failure)) => {
                self.missing.push(format!("{name}: {failure}"));
                Ok(None)
            }
            Err(error) => {
                self.missing.push(format!("{name}: {error}"));
                Ok(None)
            }
        }
    }

    fn add(
        &mut self,
        name: &str,
        what: &'static str,
        value: &impl Serialize,
    ) -> anyhow::Result<()> {
        self.parts.push(Part {
            name: name.to_owned(),
            what,
            text: serde_json::to_string_pretty(value)? + "\n",
        });
        Ok(())
    }

    /// Adds the file that says what is inside and what is not.
    fn describe(&mut self) {
        let mut text = String::from("What leno bundle has collected:\n\n");
        for part in &self.parts {
            text.push_str(&format!("  {}  {}\n", part.name, part.what));
        }
        text.push_str("\nLeft out:\n\n");
        LEFT_OUT
            .iter()
            .for_each(|left| text.push_str(&format!("  {left}\n")));
        if !self.missing.is_empty() {
            text.push_str("\nCould not be found out:\n\n");
        }
        self.missing
            .iter()
            .for_each(|why| text.push_str(&format!("  {why}\n")));
        self.parts.insert(
            0,
            Part {
                name: "README.txt".to_owned(),
                what: "what is inside, and what is not",
                text,
            },
        );
    }

    /// Writes an archive where the name ends like one, else a folder.
    fn write(&self, to: &Path) -> anyhow::Result<()> {
        if to.exists() {
            bail!("{} is there already: name another by --to", to.display());
        }
        let cannot = || format!("cannot write {}", to.display());
        let name = to.file_name().map(|name| name.to_string_lossy());
        if name.is_some_and(|name| name.ends_with(".tar.gz") || name.ends_with(".tgz")) {
            let mut archive = Archive::create(to).with_context(cannot)?;
            for part in &self.parts {
                let path = format!("leno-bundle/{}", part.name);
                archive
                    .add(&path, part.text.as_bytes())
                    .with_context(cannot)?;
            }
            return archive.finish().with_context(cannot);
        }
        for part in &self.parts {
            let path = to.join(&part.name);
            let folder = path.parent().unwrap_or(to);
            fs::create_dir_all(folder).with_context(cannot)?;
            fs::write(&path, &part.text).with_context(cannot)?;
        }
        Ok(())
    }
}

fn same<A: Serialize>(told: &A) -> Value {
    serde_json::to_value(told).unwrap_or_default()
}

fn versions() -> Value {
    let read = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let system = read("/etc/os-release");
    let system = system
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    json!({
        "leno": env!("CARGO_PKG_VERSION"),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "system": system.map(|name| name.trim_matches('"')),
        "architecture": std::env::consts::ARCH,
    })
}

/// What the kernel says of this program's other processes on this host.
fn limits() -> Value {
    let own = fs::read_link("/proc/self/exe").ok();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| {
        let folder = entry.path();
        let id = folder.file_name()?.to_str()?.parse::<u32>().ok()?;
        let is_ours = fs::read_link(folder.join("exe")).ok()? == *own.as_ref()?;
        if !is_ours || id == std::process::id() {
            return None;
        }
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim_matches([':', '\t', ' ']).to_owned())
        };
        let limits = fs::read_to_string(folder.join("limits")).ok()?;
        let files = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"));
        Some(json!({
            "process": id,
            "memory": field("VmRSS"),
            "threads": field("Threads"),
            "open_files": fs::read_dir(folder.join("fd")).ok()?.count(),
            "most_open_files": files.map(str::trim),
        }))
    });
    Value::Array(processes.collect())
}

/// Where Leno itself says something on this host, with the name it gets.
fn logs() -> Vec<(&'static str, PathBuf)> {
    let here = Place::here().map(|place| ("up.log", place.own_log()));
    let control = host::state("control").map(|state| ("control.log", state.join("control.log")));
    here.into_iter().chain(control).collect()
}
