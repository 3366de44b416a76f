//! `leno tap`: calls as they happen, and those that are kept.

use leno_telemetry::Filter;

use crate::arguments::{Output, Tap};
use crate::command::Answer;
use crate::terminal::{Line, Terminal};
use crate::up::{Client, Place, Wanted, Watched};

/// Prints a line for each call, until Ctrl-C or as many as were asked for; or for the last that are kept.
pub(crate) fn run(options: &Tap, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let place = Place::here()?;
    let mut client = Client::require(&place)?;
    let party = |target: &Option<String>| {
        target.as_ref().map(|target| match target.contains('/') {
            true => target.clone(),
            false => format!("default/{target}"),
        })
    };
    let filter = Filter {
        failed: options.failed,
        party: party(&options.target),
        from: party(&options.from),
        to: party(&options.to),
        method: options.method.clone(),
        path: options.path.clone(),
        status: options.status,
        code: options.code,
    };
    match options.last {
        Some(last) => client.kept(&Wanted::Last(last, filter))?,
        None => client.tap(&filter)?,
    }
    let for_people = options.output == Output::Text;
    if for_people {
        let folder = place.folder().display();
        terminal.line(Line::new().dim(format_args!(
            "up in {folder} · UTC · fault: S service  M mesh  C caller  G configuration"
        )))?;
        terminal.line(head())?;
    }
    let mut shown = 0;
    while options.count.is_none_or(|count| shown < count) {
        let Some(watched) = client.watched()? else {
            break;
        };
        match (for_people, watched.number("dropped")) {
            (false, _) => terminal.text(&watched.json())?,
            (true, Some(more)) => terminal.line(Line::new().doubtful(format_args!(
                "{more} more (at most {} a second are shown)",
                leno_telemetry::Tap::LIMIT
            )))?,
            (true, None) => terminal.line(row(&watched))?,
        }
        shown += 1;
    }
    Ok(Answer::Fine)
}

/// Where the columns stand.
const FROM: usize = 14;
const TO: usize = FROM + 11;
const REQUEST: usize = TO + 11;
const STATUS: usize = REQUEST + 30;
const TOOK: usize = STATUS + 8;
const MTLS: usize = TOOK + 9;
const WHY: usize = MTLS + 6;
const ID: usize = WHY + 26;

pub(super) fn head() -> Line {
    let columns = [
        (FROM, "FROM"),
        (TO, "TO"),
        (REQUEST, "REQUEST"),
        (STATUS, "STATUS"),
        (TOOK, "TOOK"),
        (MTLS, "mTLS"),
        (WHY, "WHY"),
        (ID, "ID"),
    ];
    let head = Line::new().dim("TIME");
    columns.iter().fold(head, |line, (column, name)| {
        line.column(*column, 1).dim(name)
    })
}

pub(super) fn row(call: &Watched) -> Line {
    let party = |field| {
        let name = call.text(field);
        name.strip_prefix("default/").unwrap_or(name).to_owned()
    };
    let time = call.text("time");
    let time = time.get(11..23).unwrap_or(time);
    let request = call.request().unwrap_or_default();
    let line = Line::new().dim(time).column(FROM, 1).plain(party("source"));
    let to = match (call.text("destination"), call.text("host")) {
        ("unknown", host) if !host.is_empty() => host.to_owned(),
        _ => party("destination"),
    };
    let line = line.column(TO, 1).strong(to);
    let line = line.column(REQUEST, 1).plain(request).column(STATUS, 1);
    let status = match call.number("status") {
        Some(status) => status.to_string(),
        None => "-".to_owned(),
    };
    let line = match call.text("fault") {
        "" => line.plain(status),
        fault => line.bad(format_args!("{status} {}", letter(fault))),
    };
    let line = line.column(TOOK, 1);
    let line = match call.number("duration_ms") {
        Some(millis) => line.plain(format_args!("{millis:.0} ms")),
        None => line.plain("-"),
    };
    let line = line.column(MTLS, 1);
    let line = match call.text("security") {
        "mtls" => line.good("yes"),
        "none" | "" => line.plain("-"),
        _ => line.bad("no"),
    };
    let line = line.column(WHY, 1);
    let line = match call.text("code") {
        "" => line.plain(call.why()),
        code => line.plain(format_args!("{code} {}", call.why())),
    };
    line.column(ID, 1).dim(call.short_id())
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
