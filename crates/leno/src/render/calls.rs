//! Calls in columns, as people read them: who called what, what came of it, and whose fault it is.

use std::io;

use leno_admin::Recorded;
use leno_admin::figures::short;

use crate::terminal::{Line, Terminal};

/// The columns, each as wide as what has stood in it so far.
pub(crate) struct Columns([usize; TITLES.len()]);

const TITLES: [&str; 9] = [
    "TIME", "FROM", "TO", "REQUEST", "STATUS", "TOOK", "mTLS", "WHY", "ID",
];

/// How wide columns are where nothing needs more.
const USUAL: [usize; TITLES.len()] = [12, 9, 10, 14, 6, 6, 4, 20, 8];

/// What stands between two columns.
const GAP: usize = 2;

/// How much of a name, of a request and of a reason is shown.
const LONGEST_NAME: usize = 28;
const LONGEST_REQUEST: usize = 44;
const LONGEST_REASON: usize = 32;

impl Default for Columns {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl Columns {
    /// Columns that are wide enough for all of `calls`.
    pub(crate) fn of<'a>(calls: impl IntoIterator<Item = &'a Recorded>) -> Self {
        let mut columns = Self::default();
        for call in calls {
            columns.fit(&cells(call));
        }
        columns
    }

    /// The titles.
    pub(crate) fn head(&self) -> Line {
        self.line(&TITLES.map(|title| Line::new().dim(title)))
    }

    /// A call; the columns grow where it needs more room.
    pub(crate) fn row(&mut self, call: &Recorded) -> Line {
        let cells = cells(call);
        self.fit(&cells);
        self.line(&cells)
    }

    fn fit(&mut self, cells: &[Line; TITLES.len()]) {
        for (width, cell) in self.0.iter_mut().zip(cells) {
            *width = cell.width().max(*width);
        }
    }

    fn line(&self, cells: &[Line; TITLES.len()]) -> Line {
        let mut start = 0;
        let mut line = Line::new();
        for (width, cell) in self.0.iter().zip(cells) {
            if cell.width() > 0 {
                line = line.column(start, 0).then(cell);
            }
            start += width + GAP;
        }
        line
    }
}

/// Prints calls with their titles.
pub(crate) fn print(calls: &[Recorded], terminal: &mut Terminal) -> io::Result<()> {
    let mut columns = Columns::of(calls);
    terminal.line(columns.head())?;
    let mut calls = calls.iter();
    calls.try_for_each(|call| terminal.line(columns.row(call)))
}

/// What the letters say, and beside it what else there is to say of all calls.
pub(crate) fn legend(counted: &str) -> Line {
    let letters = "fault: S service  M mesh  C caller  G configuration";
    Line::new().dim(letters).column(66, 4).plain(counted)
}

fn cells(call: &Recorded) -> [Line; TITLES.len()] {
    let time = call.time.get(11..23).unwrap_or(&call.time);
    let status = call.answered().unwrap_or_else(|| "-".to_owned());
    let why = match (&call.code, &*call.decided.audited) {
        (Some(code), _) => format!("{code} {}", call.why()),
        (None, []) => match call
            .decided
            .consulted
            .iter()
            .find(|asked| asked.why.is_some())
        {
            Some(asked) => format!("let in without authorizer {}", asked.to),
            None => call.why().to_owned(),
        },
        (None, [rule, ..]) => {
            let policy = rule.object.rsplit(' ').next().unwrap_or_default();
            format!("audited by {policy}")
        }
    };
    [
        Line::new().dim(time),
        Line::new().plain(cut(&from(call), LONGEST_NAME)),
        Line::new().strong(cut(&to(call), LONGEST_NAME)),
        Line::new().plain(cut(&request(call), LONGEST_REQUEST)),
        match &call.fault {
            None => Line::new().plain(status),
            Some(fault) => Line::new().bad(format_args!("{status} {}", letter(fault))),
        },
        Line::new().plain(match call.duration_ms {
            Some(millis) => format!("{millis:.0} ms"),
            None => "-".to_owned(),
        }),
        match call.security.as_deref() {
            Some("mtls") => Line::new().good("yes"),
            Some("none") | None => Line::new().plain("-"),
            Some(_) => Line::new().bad("no"),
        },
        Line::new().plain(cut(&why, LONGEST_REASON)),
        Line::new().dim(call.short_id()),
    ]
}

/// Who called; one that has proven nothing by its address.
fn from(call: &Recorded) -> String {
    match (call.source.as_deref(), &call.peer) {
        (Some("unknown") | None, Some(peer)) => host(peer).to_owned(),
        (Some(source), _) => short(source).to_owned(),
        (None, None) => "-".to_owned(),
    }
}

/// What was called; of what is split, where it went. What is outside the mesh as it was
/// asked for.
fn to(call: &Recorded) -> String {
    let backend = call.decided.backend.as_deref();
    let backend = backend.and_then(|port| port.rsplit_once(':'));
    let named = backend.map(|(service, _)| service);
    match named.or(call.destination.as_deref()) {
        Some("unknown") | None => {
            let address = call.host.as_ref().or(call.endpoint.as_ref());
            address.cloned().unwrap_or_else(|| "-".to_owned())
        }
        Some(service) => short(service).to_owned(),
    }
}

fn request(call: &Recorded) -> String {
    match call.copy_of {
        Some(_) => format!("{} (copy)", call.request()),
        None => call.request(),
    }
}

/// An address without its port.
fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

/// Whose fault it is, in one letter.
fn letter(fault: &str) -> &'static str {
    match fault {
        "service" => "S",
        "mesh" => "M",
        "caller" => "C",
        _ => "G",
    }
}

/// As much of a text as fits.
fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some(_) => text.chars().take(longest - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn call(fields: &Value) -> Recorded {
        let mut call = json!({
            "time": "2026-11-20T02:51:07.312Z",
            "event": "call",
            "id": "7c1e4b02d41e8a7710aa3c9e0f52b6d8",
            "reporter": "source",
            "source": "shop/checkout",
            "destination": "shop/payments",
            "security": "mtls",
            "method": "POST",
            "path": "/charge",
            "status": 200,
            "duration_ms": 2.31,
        });
        for (name, value) in fields.as_object().unwrap() {
            call[name] = value.clone();
        }
        serde_json::from_value(call).unwrap()
    }

    fn plain(line: &Line) -> String {
        anstream::adapter::strip_str(&line.to_string()).to_string()
    }

    fn check(calls: &[Value], expect: &[&str]) {
        let calls: Vec<_> = calls.iter().map(call).collect();
        let mut columns = Columns::of(&calls);
        let head = columns.head();
        let rows = calls.iter().map(|call| columns.row(call));
        let told: Vec<_> = [head]
            .into_iter()
            .chain(rows)
            .map(|line| plain(&line))
            .collect();
        assert_eq!(told, expect);
    }

    #[test]
    fn a_call_that_a_rule_audits_says_which() {
        let rule = json!({"object": "AccessPolicy shop/payments", "pointer": "/spec/rules/1"});
        let row = Columns::of(&[]).row(&call(&json!({"decided": {"audited": [rule]}})));
        let row = plain(&row);
        assert!(row.contains("audited by shop/payments"), "{row}");
    }

    #[test]
    fn calls_stand_in_columns_with_whose_fault_it_is() {
        check(
            &[
                json!({}),
                json!({
                    "status": 503, "code": "R014", "slug": "no-endpoint-usable", "fault": "mesh",
                    "security": "none", "decided": {"backend": "shop/payments-v2:8080"},
                }),
                json!({"source": "unknown", "peer": "10.0.3.9:40123", "security": "caller-not-in-mesh",
                    "status": 500, "fault": "service"}),
                json!({"event": "stream", "status": null, "sent": 2000, "received": 30}),
            ],
            &[
                "TIME          FROM           TO                REQUEST                   STATUS  TOOK    mTLS  WHY                      ID",
                "02:51:07.312  shop/checkout  shop/payments     POST /charge              200     2 ms    yes                            7c1e4b02",
                "02:51:07.312  shop/checkout  shop/payments-v2  POST /charge              503 M   2 ms    -     R014 no-endpoint-usable  7c1e4b02",
                "02:51:07.312  10.0.3.9       shop/payments     POST /charge              500 S   2 ms    no    the service answered     7c1e4b02",
                "02:51:07.312  shop/checkout  shop/payments     tcp 2.0 kB up, 30 B down  -       2 ms    yes                            7c1e4b02",
            ],
        );
    }

    #[test]
    fn what_a_stranger_chose_is_cut() {
        assert_eq!(cut("/items", 6), "/items");
        assert_eq!(cut("/items/7", 6), "/item…");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
