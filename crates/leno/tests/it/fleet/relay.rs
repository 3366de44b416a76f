//! Stands between `leno` and a control plane, and gives every time, key and id in the answers a value
//! that is the same in each run. What is printed is thereby the same without being touched.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A relay; it goes on until the process ends.
pub(crate) struct Relay {
    control: PathBuf,
    seen: Arc<Mutex<Seen>>,
}

/// What has gone by.
#[derive(Default)]
struct Seen {
    /// The ids of tokens, each with what stands for it.
    ids: BTreeMap<String, String>,
    /// The last token that was made, as it really is.
    token: String,
}

impl Relay {
    /// Listens at `socket` for what is asked of the control plane at `control`.
    pub(crate) fn start(socket: &Path, control: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        let (heard, asked) = (Arc::clone(&seen), control.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut question = line(&stream);
                for (real, shown) in &heard.lock().unwrap().ids {
                    question = question.replace(shown, real);
                }
                let answer = ask(&asked, &question);
                let answer = heard.lock().unwrap().steady(answer);
                // Who has gone needs no answer.
                drop(writeln!(stream, "{answer}"));
            }
        });
        Self {
            control: control.to_owned(),
            seen,
        }
    }

    /// The last token that was made.
    pub(crate) fn last_token(&self) -> String {
        self.seen.lock().unwrap().token.clone()
    }

    /// Waits until the proxies that are connected are as expected.
    pub(crate) fn wait_until(&self, expected: impl Fn(&Vec<Value>) -> bool) {
        let are_so = || {
            let told = ask(&self.control, r#"{"version":1,"ask":"proxies"}"#);
            expected(told["answer"]["proxies"].as_array().unwrap())
        };
        while !are_so() {
            std::thread::yield_now();
        }
    }

    /// Waits until as many calls are kept.
    pub(crate) fn wait_until_counted(&self, calls: u64) {
        let question = json!({ "version": 1, "ask": "traffic", "seconds": 3600, "by": "mesh" });
        let question = question.to_string();
        let counted = || {
            let told = ask(&self.control, &question);
            let counted = &told["answer"]["steps"][0]["edges"][0]["calls"];
            counted.as_u64().unwrap_or_default()
        };
        while counted() < calls {
            std::thread::yield_now();
        }
    }

    /// Waits until the proxy in front of a workload of `shop` holds what is in force.
    pub(crate) fn wait_until_adopted(&self, workload: &str) {
        let question = json!({
            "version": 1, "ask": "view", "name": workload, "namespace": "shop", "diff": true,
        });
        let question = question.to_string();
        let has_adopted = || {
            let proxy = &ask(&self.control, &question)["answer"]["proxies"][0];
            proxy["current"] == true && proxy["differences"] == json!([])
        };
        while !has_adopted() {
            std::thread::yield_now();
        }
    }
}

fn ask(control: &Path, question: &str) -> Value {
    let mut stream = UnixStream::connect(control).unwrap();
    writeln!(stream, "{}", question.trim_end()).unwrap();
    serde_json::from_str(&line(&stream)).unwrap()
}

fn line(stream: &UnixStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

impl Seen {
    /// The same answer with steady values.
    fn steady(&mut self, value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.steady(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| {
                    let steady = self.steady_field(&key, &value);
                    let value = steady.unwrap_or_else(|| self.steady(value));
                    (key, value)
                });
                Value::Object(fields.collect())
            }
            other => other,
        }
    }

    /// What stands for the value of a field that differs from run to run.
    fn steady_field(&mut self, key: &str, value: &Value) -> Option<Value> {
        let figure = match key {
            "p50_us" | "p90_us" => Some(3_100.0),
            "p99_us" => Some(9_000.0),
            "seconds" => Some(60.0),
            "quiet_before" => return Some(json!(1_200)),
            _ => None,
        };
        if let Some(figure) = figure.filter(|_| value.is_number()) {
            let whole = key != "seconds";
            return Some(if whole {
                json!(figure as u64)
            } else {
                json!(figure)
            });
        }
        let text = value.as_str()?;
        let steady = match key {
            "now" => "2026-11-20T03:01:00.000Z",
            "at" => "2026-11-20T02:38:00.000Z",
            "since" => "2026-11-20T02:59:00.000Z",
            "first" => "2026-11-20T02:40:00.000Z",
            "last" => "2026-11-20T03:00:30.000Z",
            "from" | "until" if text.ends_with('Z') => "2026-11-20T02:31:00.000Z",
            "expires" => "2026-11-20T04:00:00.000Z",
            "ends" if text > "2030" => "2036-11-17T02:30:00.000Z",
            "due" => "2031-11-19T02:30:00.000Z",
            "ends" | "ended" | "would_end" => "2026-11-21T03:00:00.000Z",
            "root_ends" => "2036-11-17T02:30:00.000Z",
            "intermediate_ends" => "2027-02-18T02:30:00.000Z",
            "root" | "fingerprint" => return Some("5eed".repeat(16).into()),
            "who" | "made_by" => "ops",
            "id" => return Some(self.id(text).into()),
            "example" => return Some("7c1e4b02".into()),
            "command" if text.starts_with("leno why ") => "leno why 7c1e4b02",
            "text" if text.starts_with("leno-join:") => {
                text.clone_into(&mut self.token);
                "leno-join:shop.local:SECRET"
            }
            _ => return None,
        };
        Some(json!(steady))
    }

    fn id(&mut self, real: &str) -> String {
        let next = format!("1f0c2a{:02x}", self.ids.len());
        self.ids.entry(real.to_owned()).or_insert(next).clone()
    }
}
