//! The steps that a proxy recorded: what it decided, and what came of it.

use leno_admin::{
    Decided, Endpoints, Failed, Happening, HowKnown, Recorded, Said, Side, StepOutcome,
    StoryDetail, StoryStep, figures,
};
use leno_model::Code;
use leno_telemetry::is_grpc_failure;

/// The names of steps, in the order in which they come to a call.
pub(super) const ORDER: [&str; 14] = [
    REQUEST, NAME, ROUTE, CORS, SPLIT, "mirror", ENDPOINT, TLS, CONNECT, MTLS, ACCESS, ANSWER,
    RETRY, PROXY,
];

pub(super) const REQUEST: &str = "request";
pub(super) const NAME: &str = "name";
pub(super) const ROUTE: &str = "route";
pub(super) const CORS: &str = "CORS";
pub(super) const SPLIT: &str = "split";
pub(super) const ENDPOINT: &str = "endpoint";
pub(super) const TLS: &str = "TLS";
pub(super) const CONNECT: &str = "connect";
pub(super) const MTLS: &str = "mTLS";
pub(super) const ACCESS: &str = "access";
pub(super) const ANSWER: &str = "answer";
pub(super) const RETRY: &str = "retry";
pub(super) const PROXY: &str = "proxy";

/// At which step a call ended that a proxy refused or cut for this reason.
pub(super) fn ended_at(code: Code, side: Side) -> &'static str {
    use Code::{
        H004, R001, R002, R003, R004, R005, R006, R007, R010, R011, R012, R013, R014, R015, R016,
        R017, R018, R019, R020, R021, R022, R023, R024, R025, R026, R027, R030, R031, R032, R033,
        R034, R035, R036, R037, R038, R056, R064, R065, R067, R068, R069, R070, T005,
    };
    match (code, side) {
        (R001 | R015 | R016 | R017 | R018 | R019, _) => NAME,
        (R030 | R031 | R032 | R033 | R034 | R036 | R037 | R038, _) => REQUEST,
        (R007, _) => CORS,
        (R010 | R011, _) | (R035, Side::Source) => ROUTE,
        (R012, _) => SPLIT,
        (R013 | R014, _) => ENDPOINT,
        (R020 | R021 | R025 | R027 | H004, _) | (T005, Side::Source) => CONNECT,
        (R022 | R023 | R024 | R026 | R056, _)
        | (R002 | R003 | R004 | R005 | R006 | R064 | R065 | R070, Side::Source) => ANSWER,
        (R002 | T005, Side::Destination) => MTLS,
        (R003 | R004 | R005 | R006 | R035 | R064 | R065 | R070, Side::Destination)
        | (R067 | R068 | R069, _) => ACCESS,
        _ => PROXY,
    }
}

/// The code of a record, if this build knows it.
pub(super) fn code_of(record: &Recorded) -> Option<Code> {
    record.code.as_deref()?.parse().ok()
}

/// The steps of the proxy of a caller; `has_receiver` is whether the other proxy told of the answer.
pub(super) fn sent(record: &Recorded, has_receiver: bool) -> Vec<StoryStep> {
    let decided = &record.decided;
    let ended = code_of(record).map(|code| ended_at(code, Side::Source));
    let mut steps = Vec::new();
    if let Some(called) = &decided.called {
        steps.push(yes(NAME, named(called, record.event)));
    }
    if let Some(rule) = &decided.rule {
        let text = record.route.clone().unwrap_or_else(|| rule.object.clone());
        steps.push(by(yes(ROUTE, text), Some(rule)));
    } else if decided.backend.is_some() && decided.called.is_some() {
        steps.push(yes(ROUTE, NO_ROUTES));
    }
    if let (Some(backend), Some((value, of))) = (&decided.backend, decided.roll) {
        let text = format!("{backend}: the dice came to {value} of {of}");
        steps.push(yes(SPLIT, text));
    }
    let is_outside = decided.called.is_none() && !ended.is_some_and(is_configured);
    if let Some(by) = decided.said_by.as_ref().filter(|_| is_outside) {
        steps.push(allowed("let out of the mesh", Some(by), decided));
    }
    steps.extend(endpoint(record, ended));
    match ended {
        Some(step) if step != ENDPOINT => {
            // What was refused there is not told twice, as if it had gone on.
            steps.retain(|told| told.step != step);
            steps.push(failure(step, record));
        }
        _ => {}
    }
    if let Some(told) = retry(record) {
        steps.push(told);
    }
    if ended.is_none() && !has_receiver {
        steps.extend(answer(record));
    }
    steps
}

/// The steps of the proxy of the one that was called.
pub(super) fn received(record: &Recorded) -> Vec<StoryStep> {
    let decided = &record.decided;
    let ended = code_of(record).map(|code| ended_at(code, Side::Destination));
    let mut steps = Vec::new();
    if ended != Some(MTLS) && record.security.is_some() {
        let proven = match (record.is_mtls(), &decided.caller) {
            (true, Some(caller)) => format!("the caller is {caller}, proven"),
            (true, None) => "the caller is proven".to_owned(),
            (false, _) => "the caller came in plain".to_owned(),
        };
        steps.push(yes(MTLS, proven));
    }
    let is_admitted = !matches!(ended, Some(MTLS | ACCESS | REQUEST | NAME | PROXY));
    if is_admitted {
        let allowed_by = decided.said_by.as_ref();
        let allowed_by = allowed_by.filter(|_| !ended.is_some_and(is_configured));
        let mut step = allowed("allowed", allowed_by, decided);
        step.details.extend(consulted(decided));
        steps.push(step);
    }
    match ended {
        Some(step @ ACCESS) => {
            let mut step = failure(step, record);
            step.details.extend(consulted(decided));
            steps.push(step);
        }
        Some(step) => steps.push(failure(step, record)),
        None => steps.extend(answer(record)),
    }
    steps
}

/// It may go on, says this; and what only tells of it.
fn allowed(text: &str, allowed_by: Option<&Said>, decided: &Decided) -> StoryStep {
    let mut step = by(yes(ACCESS, text), allowed_by);
    let told = decided.audited.iter();
    step.details.extend(told.map(|rule| StoryDetail {
        text: format!("{} tells of it", rule.shown()),
        origin: rule.place.clone(),
    }));
    step
}

/// What the authorizers said that were asked.
fn consulted(decided: &Decided) -> impl Iterator<Item = StoryDetail> {
    decided.consulted.iter().map(|asked| StoryDetail {
        text: asked.to_string(),
        origin: asked.by.place.clone(),
    })
}

/// Whether it is by configuration that calls end at a step: then that is what said so. Elsewhere it is
/// what let them in.
fn is_configured(step: &str) -> bool {
    matches!(step, NAME | ROUTE | CORS | SPLIT | MTLS | ACCESS)
}

fn named(called: &str, event: Happening) -> String {
    let protocol = match event {
        Happening::Call => "HTTP",
        _ => "TCP",
    };
    match called.rsplit_once(':') {
        Some((service, port)) => format!("Service {service}, port {port}, {protocol}"),
        None => format!("Service {called}"),
    }
}

const NO_ROUTES: &str = "none attached: the service's own endpoints";

fn endpoint(record: &Recorded, ended: Option<&str>) -> Option<StoryStep> {
    let Decided { endpoints, why, .. } = &record.decided;
    if ended == Some(ENDPOINT) {
        let text = match endpoints {
            Some(Endpoints { known: 1.., .. }) => usable(endpoints.as_ref()?),
            Some(_) | None => why.clone(),
        };
        let mut told = no(ENDPOINT, text);
        told.details = endpoints.iter().flat_map(unusable).collect();
        return Some(told);
    }
    let address = record.endpoint.as_ref()?;
    let how = match record.security.as_deref() {
        Some("mtls") => "mTLS".to_owned(),
        Some("none") | None => String::new(),
        Some(why) => format!("plain ({why})"),
    };
    let parts = [
        Some(address.clone()),
        Some(how),
        endpoints.as_ref().map(usable),
    ];
    let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
    let mut told = yes(ENDPOINT, parts.collect::<Vec<_>>().join(", "));
    if let Some(Endpoints {
        taken: Some(taken),
        beside: Some(beside),
        ..
    }) = endpoints
    {
        told.details = vec![
            detail(format!("{address} taken: {taken}")),
            detail(format!("{} not taken: {}", beside.endpoint, beside.state)),
        ];
    }
    Some(told)
}

/// `0 of 6 usable`
fn usable(endpoints: &Endpoints) -> String {
    let Endpoints { known, usable, .. } = endpoints;
    format!("{usable} of {known} usable")
}

/// One of each kind, and how many are like it.
fn unusable(endpoints: &Endpoints) -> Vec<StoryDetail> {
    let mut kinds = Vec::<(&leno_admin::Seen, usize)>::new();
    for seen in &endpoints.unusable {
        match kinds
            .iter_mut()
            .find(|(first, _)| first.state == seen.state)
        {
            Some((_, alike)) => *alike += 1,
            None => kinds.push((seen, 0)),
        }
    }
    let told = endpoints.unusable.len();
    let left = usize::try_from(endpoints.known)
        .unwrap_or(told)
        .saturating_sub(told);
    let mut details = Vec::new();
    for (seen, alike) in kinds {
        let more = match alike {
            0 => String::new(),
            alike => format!("   ({alike} more)"),
        };
        details.push(detail(format!("{}  {}{more}", seen.endpoint, seen.state)));
    }
    if left > 0 {
        details.push(detail(format!(
            "and {left} that were not looked at one by one"
        )));
    }
    details
}

/// What kept the call from going on at a step, with the time that passed if one did.
fn failure(step: &'static str, record: &Recorded) -> StoryStep {
    let decided = &record.decided;
    let why = words(record);
    let Some(late) = &decided.late else {
        let said_by = decided.said_by.as_ref().filter(|_| is_configured(step));
        return by(no(step, without_place(&why, said_by)), said_by);
    };
    let mut told = by(no(step, why), late.said_by.as_ref());
    told.details = vec![detail(match &late.said_by {
        Some(said) => format!("the limit is timeouts.{} of {}", late.of, said.object),
        None => format!("the limit is the default of timeouts.{}", late.of),
    })];
    told
}

/// Why a proxy refused or cut it: in its own words, else in those of the code.
fn words(record: &Recorded) -> String {
    let title = code_of(record).map(Code::title).unwrap_or_default();
    let mut letters = title.trim_end_matches('.').chars();
    match (record.decided.why.as_str(), letters.next()) {
        ("", Some(first)) => first.to_lowercase().chain(letters).collect(),
        (why, _) => why.to_owned(),
    }
}

/// Words that end with who said so, without that: it stands beside them.
fn without_place(why: &str, said_by: Option<&Said>) -> String {
    let end = said_by.map(|said| format!(" by {}", said.shown()));
    let before = end.and_then(|end| why.strip_suffix(&*end));
    before.unwrap_or(why).to_owned()
}

fn retry(record: &Recorded) -> Option<StoryStep> {
    let Decided {
        failed,
        not_retried,
        ..
    } = &record.decided;
    let is_bad = record.code.is_some() || has_failed(record);
    let tries = record.tries.unwrap_or_default();
    let each = failed.iter().enumerate().map(tried).collect::<Vec<_>>();
    let mut told = match (tries, not_retried.as_ref().filter(|_| is_bad)) {
        (2.., Some(why)) => no(RETRY, format!("{tries} tries, and no more: {why}")),
        (2.., None) if record.code.is_some() => no(RETRY, format!("{tries} tries, none answered")),
        (2.., None) => yes(RETRY, format!("answered at try {tries}")),
        (_, Some(why)) => StoryStep {
            outcome: StepOutcome::NotReached,
            ..no(RETRY, format!("not tried: {why}"))
        },
        (_, None) => return None,
    };
    if tries > 1 {
        told.details = each;
    }
    Some(told)
}

/// `try 1: 10.2.1.7:8080  R020 connect-refused, after 3.1 ms`
fn tried((place, failed): (usize, &Failed)) -> StoryDetail {
    let Failed {
        endpoint,
        code,
        slug,
        after_ms,
    } = failed;
    let after = figures::duration(std::time::Duration::from_secs_f64(after_ms.max(0.0) / 1e3));
    let number = place + 1;
    detail(format!(
        "try {number}: {endpoint}  {code} {slug}, after {after}"
    ))
}

/// What the one that was called answered.
fn answer(record: &Recorded) -> Option<StoryStep> {
    match (record.event, record.answered()) {
        (Happening::Call, None) => Some(StoryStep {
            outcome: StepOutcome::NotReached,
            ..yes(ANSWER, "none came before the caller left")
        }),
        (Happening::Call, Some(status)) if has_failed(record) => Some(no(
            ANSWER,
            format!("{status}: the service itself answered so"),
        )),
        (Happening::Call, Some(status)) => Some(yes(ANSWER, status)),
        (Happening::Stream, _) => Some(yes(ANSWER, record.request())),
        _ => None,
    }
}

/// Whether the service itself answered that it failed.
fn has_failed(record: &Recorded) -> bool {
    record.status.is_some_and(|status| status >= 500)
        || record.grpc_status.is_some_and(is_grpc_failure)
}

pub(super) fn yes(step: &'static str, text: impl Into<String>) -> StoryStep {
    StoryStep {
        step: step.to_owned(),
        outcome: StepOutcome::Yes,
        known: HowKnown::Recorded,
        text: text.into(),
        origin: None,
        details: Vec::new(),
    }
}

pub(super) fn no(step: &'static str, text: impl Into<String>) -> StoryStep {
    StoryStep {
        outcome: StepOutcome::No,
        ..yes(step, text)
    }
}

fn by(step: StoryStep, said: Option<&Said>) -> StoryStep {
    StoryStep {
        origin: said.map(Said::shown),
        ..step
    }
}

pub(super) fn detail(text: impl Into<String>) -> StoryDetail {
    StoryDetail {
        text: text.into(),
        origin: None,
    }
}
