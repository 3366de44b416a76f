//! The lines of the access log, and what becomes of them when they cannot be written.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use leno_telemetry::access_log::FIELDS;
use leno_telemetry::{AccessLog, Format, Settings, Telemetry};
use serde_json::{Map, Value};

use crate::scrape::EVERYTHING;
use crate::world::{Story, What, call, record};

fn line(format: Format, story: &str) -> String {
    String::from_utf8(format.line(&call(story).event())).unwrap()
}

#[test]
fn lines_for_people_stand_in_columns() {
    let stories = [
        "shop/web -> shop/cart GET cart/items 200 3ms",
        "shop/checkout -> shop/payments POST payments:8080/charge 503 2ms unsecured R014",
        "shop/web -> shop/checkout POST checkout/order 500 31ms inbound",
        "unknown -> shop/checkout GET checkout/cart 403 80us inbound plain=caller-not-in-mesh R002",
        "shop/web -> shop/cart GET cart/items 0 9s R022",
        "shop/web -> shop/cart-v2 GET cart/items 200 3ms copy traced",
        "shop/cart -> shop/redis tcp 12s sent=812 received=91",
        r#"handshake T005 "spiffe://shop.local/ns/shop/sa/web was revoked""#,
        "shop/cart -> shop/redis opened 0s",
        r#"accept H004 "too many open files""#,
        "shop/web -> shop/cart GET cart/items 403 3ms inbound R064 asked=allowed asked=denied",
    ];
    let lines: String = stories
        .iter()
        .map(|story| line(Format::Text, story))
        .collect();
    assert_eq!(lines, r#"
2026-11-20T10:31:58.250Z  source       shop/web -> shop/cart                         200   3.000 ms      mtls                  7c1e4b02  GET cart/items
2026-11-20T10:31:58.250Z  source       shop/checkout -> shop/payments                503 M 2.000 ms      none                  7c1e4b02  POST payments:8080/charge  R014 no-endpoint-usable
2026-11-20T10:31:58.250Z  destination  shop/web -> shop/checkout                     500 S 31.000 ms     mtls                  7c1e4b02  POST checkout/order
2026-11-20T10:31:58.250Z  destination  unknown -> shop/checkout                      403 C 0.080 ms      caller-not-in-mesh    7c1e4b02  GET checkout/cart  R002 caller-not-in-mesh
2026-11-20T10:31:58.250Z  source       shop/web -> shop/cart                         -   S 9000.000 ms   mtls                  7c1e4b02  GET cart/items  R022 reset-before-response
2026-11-20T10:31:58.250Z  source       shop/web -> shop/cart-v2                      200   3.000 ms      mtls                  7c1e4b02  GET cart/items  copy of 91f0c2aa
2026-11-20T10:31:58.250Z  source       shop/cart -> shop/redis                       tcp   12000.000 ms  mtls                  7c1e4b02  812 B sent, 91 B received
2026-11-20T10:31:58.250Z  source       unknown -> unknown                            tls C -             -                     7c1e4b02  handshake with 10.2.0.3:41234: "spiffe://shop.local/ns/shop/sa/web was revoked"  T005 identity-revoked
2026-11-20T10:31:58.250Z  source       shop/cart -> shop/redis                       tcp   0.000 ms      mtls                  7c1e4b02  opened
2026-11-20T10:31:58.250Z  source       connections to 10.2.1.7:15008                 -   M -             -                     7c1e4b02  not taken: "too many open files"  H004 file-limit
2026-11-20T10:31:58.250Z  destination  shop/web -> shop/cart                         403 C 3.000 ms      mtls                  7c1e4b02  GET cart/items  authorizer shop/authz:9000 allowed; shop/authz:9000 denied  R064 denied-by-authorizer
"#.trim_start());
}

#[test]
fn a_head_that_was_never_read_leaves_no_gap() {
    let mut story = call("unknown -> shop/cart GET cart/ 400 0ms inbound R030");
    if let What::Call {
        method, host, path, ..
    } = &mut story.what
    {
        for text in [method, host, path] {
            text.clear();
        }
    }
    let line = String::from_utf8(Format::Text.line(&story.event())).unwrap();
    assert!(
        line.ends_with("7c1e4b02  -  R030 malformed-head\n"),
        "{line}"
    );
}

#[test]
fn lines_for_programs_are_objects() {
    let check = |story, expect: &str| {
        assert_eq!(line(Format::Json, story), expect.replace('\n', "") + "\n")
    };
    check(
        "shop/web -> shop/cart GET cart/items 503 3.25ms rule=2 sent=10 received=20 R014",
        r#"{"time":"2026-11-20T10:31:58.250Z","event":"call","id":"7c1e4b02d41e8a7710aa3c9e0f52b6d8","reporter":"source",
"source":"shop/web","destination":"shop/cart","route":"HTTPRoute shop/cart rule 2","security":"mtls",
"peer":"10.2.0.3:41234","endpoint":"10.2.1.7:8080","method":"GET","host":"cart","path":"/items","status":503,
"duration_ms":3.250,"tries":1,"sent":10,"received":20,"code":"R014","slug":"no-endpoint-usable","fault":"mesh"}"#,
    );
}

#[test]
fn fields_are_those_of_the_table_in_its_order() {
    let names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
    let mut seen = vec!["dropped"];
    let of_grpc = "shop/web -> shop/cart POST cart/shop.Cart/Add 200 3ms grpc=14";
    let asked =
        "shop/web -> shop/cart GET cart/items 403 3ms inbound R064 asked=allowed asked=denied";
    for story in EVERYTHING.iter().chain([&of_grpc, &asked]) {
        let line = line(Format::Json, story);
        let object: Map<String, Value> = serde_json::from_str(&line).unwrap();
        let mut places: Vec<_> = object
            .keys()
            .map(|key| {
                (
                    line.find(&format!("\"{key}\":")),
                    names.iter().position(|name| name == key),
                )
            })
            .collect();
        places.sort();
        assert!(
            places.is_sorted_by_key(|(_, place)| place.unwrap()),
            "{line}"
        );
        seen.extend(names.iter().filter(|name| object.contains_key(**name)));
    }
    for name in names {
        assert!(seen.contains(&name), "{name} never stands in a line");
    }
}

/// What a client might send to forge a line, to move a terminal's cursor, or to break a parser.
const HOSTILE: &[&str] = &[
    "\r\n2026-11-20T10:31:58.250Z  source  shop/web",
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "\",\"status\":200,\"x\":\"",
    "\\\" \\u0000 %0a",
    "\u{0}\u{7f}\u{80}\u{9b}31m",
    "\u{202e}gnp.exe\u{2028}\u{feff}",
    "käse \u{1f980} \u{10ffff}",
    "GET /other  R014 no-endpoint-usable",
];

#[test]
fn nothing_a_client_sends_gets_out_of_its_place() {
    for hostile in HOSTILE {
        let mut story = call("shop/web -> shop/cart GET cart/ 200 3ms");
        if let What::Call {
            method, host, path, ..
        } = &mut story.what
        {
            for text in [method, host, path] {
                *text = (*hostile).to_owned();
            }
        }
        for format in [Format::Text, Format::Json] {
            let line = String::from_utf8(format.line(&story.event())).unwrap();
            let (line, end) = line.split_at(line.len() - 1);
            assert_eq!(end, "\n");
            assert!(
                line.bytes().all(|byte| matches!(byte, b' '..=b'~')),
                "{line}"
            );
            match format {
                Format::Text => assert_eq!(line.split_whitespace().count(), 12, "{line}"),
                Format::Json => {
                    let object: Value = serde_json::from_str(line).unwrap();
                    for field in ["method", "host", "path"] {
                        assert_eq!(object[field], *hostile, "{line}");
                    }
                }
            }
        }
        let why = hostile.replace('"', "");
        let line = line(Format::Text, &format!("handshake T011 \"{why}\""));
        assert!(
            line.trim_end()
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~')),
            "{line}"
        );
    }
}

#[test]
fn a_long_text_is_cut() {
    let story = format!(
        "shop/web -> shop/cart GET cart/{} 200 3ms",
        "x".repeat(100_000)
    );
    for format in [Format::Text, Format::Json] {
        let line = line(format, &story);
        assert!(line.len() < 2_000 && line.contains("xxx..."), "{line}");
    }
}

/// A place to write to that does as it is told, and tells at its end what was written.
struct Out {
    text: Vec<u8>,
    orders: Receiver<Order>,
    end: Sender<String>,
}

/// What becomes of one write; once there are no orders all goes well.
enum Order {
    Write(usize),
    Fail,
}

impl Write for Out {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let length = match self.orders.recv() {
            Ok(Order::Fail) => return Err(io::Error::from(io::ErrorKind::StorageFull)),
            Ok(Order::Write(length)) => length.min(text.len()),
            Err(_) => text.len(),
        };
        self.text.extend_from_slice(&text[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        let text = String::from_utf8(std::mem::take(&mut self.text)).unwrap();
        self.end.send(text).unwrap();
    }
}

struct Log {
    telemetry: Telemetry,
    orders: Sender<Order>,
    end: Receiver<String>,
}

impl Log {
    fn start(format: Format) -> Self {
        let ((orders, of_out), (end_of_out, end)) = (mpsc::channel(), mpsc::channel());
        let out = Out {
            text: Vec::new(),
            orders: of_out,
            end: end_of_out,
        };
        let telemetry = Telemetry::new(Settings {
            access_log: Some(AccessLog::start(format, out).unwrap()),
            ..Settings::default()
        });
        Self {
            telemetry,
            orders,
            end,
        }
    }

    /// Lets all go well from here on, and waits for the end.
    fn end(self) -> String {
        drop(self.orders);
        drop(self.telemetry);
        self.end.recv().unwrap()
    }
}

fn numbered(count: usize) -> Vec<Story> {
    let story = |number| call(&format!("shop/web -> shop/cart GET cart/{number} 200 3ms"));
    (0..count).map(story).collect()
}

#[test]
fn every_line_of_every_worker_is_written_before_the_end() {
    let log = Log::start(Format::Json);
    let stories = numbered(300);
    let mut workers = [log.telemetry.recorder(), log.telemetry.recorder()];
    for (number, story) in stories.iter().enumerate() {
        workers[number % 2].record(&story.event());
    }
    drop(workers);
    let text = log.end();
    let mut lines: Vec<_> = text.split_inclusive('\n').collect();
    let expect: Vec<_> = stories
        .iter()
        .map(|story| String::from_utf8(Format::Json.line(&story.event())).unwrap())
        .collect();
    let place = |line: &str| expect.iter().position(|expect| expect == line).unwrap();
    assert!(
        lines
            .iter()
            .filter(|line| place(line) % 2 == 0)
            .is_sorted_by_key(|line| place(line))
    );
    lines.sort_unstable();
    let mut expect: Vec<_> = expect.iter().map(String::as_str).collect();
    expect.sort_unstable();
    assert_eq!(lines, expect);
}

#[test]
fn a_stuck_file_costs_lines_and_never_a_worker() {
    for (format, before, after) in [
        (
            Format::Text,
            "2026-11-20T10:31:58.253Z  ",
            " lines are missing here: they could not be written in time",
        ),
        (
            Format::Json,
            r#"{"time":"2026-11-20T10:31:58.253Z","event":"dropped","dropped":"#,
            "}",
        ),
    ] {
        let log = Log::start(format);
        // No order is given: the writer waits in its first write for as long as this takes.
        record(&mut log.telemetry.recorder(), &numbered(10_000));
        let dropped = log.telemetry.snapshot().log_dropped;
        let text = log.end();
        let (lines, notices): (Vec<_>, Vec<_>) =
            text.lines().partition(|line| line.contains("GET"));
        let told = |notice: &&str| {
            let number = notice.strip_prefix(before)?.strip_suffix(after)?;
            number.parse::<u64>().ok()
        };
        let told: u64 = notices.iter().map(|notice| told(notice).unwrap()).sum();
        assert_eq!(told, dropped);
        assert_eq!(lines.len() as u64 + dropped, 10_000);
        assert!(dropped > 0 && !lines.is_empty());
    }
}

#[test]
fn a_full_disk_costs_the_lines_it_hits_and_tears_none_that_follow() {
    let log = Log::start(Format::Json);
    let [first, second] = &numbered(2)[..] else {
        panic!("two");
    };
    let mut recorder = log.telemetry.recorder();
    recorder.record(&first.event());
    log.orders.send(Order::Write(10)).unwrap();
    log.orders.send(Order::Fail).unwrap();
    while log.telemetry.snapshot().log_dropped == 0 {
        std::thread::yield_now();
    }
    recorder.record(&second.event());
    drop(recorder);
    let second = String::from_utf8(Format::Json.line(&second.event())).unwrap();
    let notice = r#"{"time":"2026-11-20T10:31:58.253Z","event":"dropped","dropped":1}"#;
    assert_eq!(log.end(), format!("{{\"time\":\"2\n{notice}\n{second}"));
}

/// What a log of these stories holds.
fn logged(format: Format, stories: &[&str]) -> String {
    let out = Arc::<Mutex<Vec<u8>>>::default();
    let telemetry = Telemetry::new(Settings {
        access_log: Some(AccessLog::start(format, Sheet(out.clone())).unwrap()),
        ..Settings::default()
    });
    let stories: Vec<_> = stories.iter().map(|story| call(story)).collect();
    record(&mut telemetry.recorder(), &stories);
    drop(telemetry);
    let text = out.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

struct Sheet(Arc<Mutex<Vec<u8>>>);

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_tells_what_policy_lets_it_tell() {
    let items = "shop/web -> shop/cart GET cart/items/42 503 3ms R014";
    let stories = [
        &format!("{items} unlogged"),
        &format!("{items} only=path+status shown=/items/*** agent=a\"b server=nginx"),
        "shop/web -> shop/redis tcp 2s unlogged",
        "shop/web -> shop/redis tcp 2s sent=10 only=destination",
    ];
    assert_eq!(
        logged(Format::Json, &stories),
        r#"{"time":"2026-11-20T10:31:58.250Z","event":"call","id":"7c1e4b02d41e8a7710aa3c9e0f52b6d8","path":"/items/***","headers":{"user-agent":"a\u0022b"},"status":503,"response_headers":{"server":"nginx"}}
{"time":"2026-11-20T10:31:58.250Z","event":"stream","id":"7c1e4b02d41e8a7710aa3c9e0f52b6d8","destination":"shop/redis"}
"#
    );
    let text = logged(Format::Text, &stories);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        text.lines().map(words).collect::<Vec<_>>(),
        [
            r#"2026-11-20T10:31:58.250Z - - -> - 503 - - 7c1e4b02 - -/items/*** user-agent="a\"b" server="nginx""#,
            "2026-11-20T10:31:58.250Z - - -> shop/redis tcp - - 7c1e4b02 - B sent, - B received",
        ]
    );
}

#[test]
fn a_filter_that_fails_leaves_the_line_and_is_counted() {
    let telemetry = Telemetry::new(Settings::default());
    let story = "shop/web -> shop/cart GET cart/items 200 3ms unfiltered";
    record(&mut telemetry.recorder(), &[call(story), call(story)]);
    assert_eq!(telemetry.snapshot().log_unfiltered, 2);
    assert_eq!(logged(Format::Json, &[story]).lines().count(), 1);
}
