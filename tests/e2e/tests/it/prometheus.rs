//! A real Prometheus reads real proxies: native histograms, the rules, and each format it asks for.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use leno_e2e::{Process, World, curl, until};
use serde_json::Value;

use crate::pair::Pair;

/// Whether a program of Prometheus is installed; else it is said that something is not checked.
fn is_there(program: &str) -> bool {
    let version = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let is_there = version.is_ok();
    if !is_there {
        eprintln!(
            "not checked: there is no {program} here (Debian has it in the package prometheus)"
        );
    }
    is_there
}

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/monitoring")
}

/// Starts one that reads `targets` every second.
fn prometheus(world: &World, listen: SocketAddr, targets: &[SocketAddr]) -> Process {
    let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
    let rules = rules();
    let configuration = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
         rule_files: [{0}/rules.yaml, {0}/alerts.yaml]\n\
         scrape_configs: [{{job_name: leno, static_configs: [{{targets: [{1}]}}]}}]\n",
        rules.display(),
        targets.join(", ")
    );
    let file = world.folder().join("prometheus.yml");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--web.listen-address={listen}"))
        .arg(format!(
            "--storage.tsdb.path={}",
            world.folder().join("data").display()
        ))
        .arg("--enable-feature=native-histograms,exemplar-storage");
    let process = world.process("prometheus", &mut command);
    process.until_says(&["Server is ready to receive web requests"]);
    process
}

/// What it answers to a query, as `labels value` of each sample.
fn ask(listen: SocketAddr, query: &str) -> Vec<(Value, String)> {
    let query = query
        .replace('+', "%2B")
        .replace('"', "%22")
        .replace(' ', "%20");
    let query = query.replace('{', "%7B").replace('}', "%7D");
    let answer = curl(&[&format!("http://{listen}/api/v1/query?query={query}")]);
    let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let samples = answer["data"]["result"].as_array().cloned();
    let sample = |sample: Value| {
        let value = sample["value"][1].as_str().unwrap_or_default().to_owned();
        (sample["metric"].clone(), value)
    };
    samples.into_iter().flatten().map(sample).collect()
}

#[test]
fn prometheus_reads_native_histograms_and_the_rules_understand_them() {
    if !is_there("prometheus") {
        return;
    }
    let world = World::pair();
    let pair = Pair {
        application: leno_e2e::Application::start(world.at("cart", 8080), "cart"),
        cart: world.proxy("cart").with("metrics: @cart:15020").start(),
        web: world
            .proxy("web")
            .upstream("cart", 8080)
            .with("metrics: @web:15020")
            .start(),
        world,
    };
    let listen = pair.world.at("prometheus", 9090);
    let targets = ["web", "cart"].map(|name| pair.world.at(name, 15020));
    let _prometheus = prometheus(&pair.world, listen, &targets);
    let one = |query: &str| {
        let samples = ask(listen, query);
        samples.first().map(|(_, value)| value.clone())
    };
    until("both are read", || one("sum(up)").filter(|up| up == "2"));
    for _ in 0..10 {
        assert_eq!(pair.curl("/items", &[]).outcome(), "200");
    }
    let native = "leno_request_duration_seconds{reporter=\"source\"}";
    until("ten calls in a native histogram", || {
        one(&format!("histogram_count({native})")).filter(|count| count == "10")
    });
    // Prometheus keeps the native form alone, and no call of ten took longer than its buckets tell.
    assert_eq!(one("leno_request_duration_seconds_bucket"), None);
    assert_eq!(
        one(&format!("histogram_fraction(0, 100, {native})")).as_deref(),
        Some("1")
    );
    // A rate is of what comes after a series was first read.
    until("recorded by the rules", || {
        assert_eq!(pair.curl("/items", &[]).outcome(), "200");
        one("leno:request_duration_seconds:p99_5m{reporter=\"destination\"}")
            .and_then(|took| took.parse::<f64>().ok())
            .filter(|took| *took > 0.0)
    });
    let rules = curl(&[&format!("http://{listen}/api/v1/rules")]);
    let rules: Value = serde_json::from_slice(&rules.body).unwrap();
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

#[test]
fn each_format_says_what_it_is() {
    let world = World::pair();
    let _cart = world.proxy("cart").with("metrics: @cart:15020").start();
    let url = world.url("cart", 15020, "/metrics");
    for (accept, kind, ends) in [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", "\n"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "\n# EOF\n",
        ),
    ] {
        let answer = curl(&[&url, "-H", &format!("Accept: {accept}")]);
        assert_eq!(answer.header("content-type"), Some(kind));
        assert!(answer.text().ends_with(ends), "{accept}");
    }
}

#[test]
fn the_rules_are_sound_and_fire_when_they_should() {
    if !is_there("promtool") {
        return;
    }
    for arguments in [
        &["check", "rules", "rules.yaml", "alerts.yaml"][..],
        &["test", "rules", "tests.yaml"][..],
    ] {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(rules())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&said)
        );
    }
}
