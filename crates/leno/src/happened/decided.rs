//! The same call, decided again by a configuration: the one that its proxies had, or another.

use std::net::SocketAddr;
use std::sync::Arc;

use leno_admin::{
    FactOf, FactValue, Happening, HowKnown, Recorded, Side, StepOutcome, StoryDetail, StoryStep,
};
use leno_compile::Mesh;
use leno_model::view::{PortRef, WorkloadId};
use leno_model::{Code, Name, Namespace, ServiceName, SpiffeId};
use leno_telemetry::is_cut;
use leno_traffic::{Consent, Known, Outcome, Step, StepKind, Story};

use super::Then;
use super::recorded::{ENDPOINT, REQUEST, ended_at};
use crate::authority::authority;
use crate::imagine::{
    Asked, Branch, End, Ground, Imagined, Reason, Receiver, Source, hangs_on, imagine, received_by,
};

/// What becomes of a call.
pub(super) enum Way {
    /// A proxy refuses it.
    Refused { code: Code, status: u16 },
    /// The caller's proxy answers it as a route says: `301 to http://shop/`.
    Answered(String),
    /// It gets to a backend: `shop/cart-v1:8080`, with so many endpoints.
    Reaches { backend: String, endpoints: usize },
    /// It hangs on something that was not recorded.
    Undecided(String),
}

/// What the caller's proxy thinks when it is asked again, and those that it leads to.
pub(super) struct Again {
    pub(super) steps: Vec<StoryStep>,
    pub(super) way: Way,
    /// What stands before the one that is called, as far as it comes to that.
    pub(super) receiver: Option<Vec<StoryStep>>,
}

/// Decides again what the proxy of the caller recorded; `None` if too little of it was.
pub(super) fn again(record: &Recorded, then: &Then) -> Option<Again> {
    let mesh = &then.mesh;
    let called = port_ref(record.decided.called.as_deref()?)?;
    let source = source(record, mesh)?;
    let asked = asked(record, &called)?;
    if let Some(hangs) = hangs_on(mesh, &source, &called, &asked, &kept(record)) {
        return Some(Again {
            steps: Vec::new(),
            way: Way::Undecided(hangs),
            receiver: None,
        });
    }
    let home = &called.service.namespace;
    let Imagined { sender, end, .. } =
        imagine(Ground::recorded(mesh), home, &source, &asked).ok()?;
    if let End::Refused(reason) = &end
        && ended_at(reason.code, Side::Source) == REQUEST
    {
        // What was recorded of it makes no request.
        return None;
    }
    let (way, receiver) = way(mesh, &end, record);
    Some(Again {
        steps: sender
            .map(|thought| steps(&thought.story))
            .unwrap_or_default(),
        way,
        receiver: receiver.map(of_receiver),
    })
}

/// Who called: the instance, or as whom it called if that is no more.
fn source(record: &Recorded, mesh: &Mesh) -> Option<Source> {
    if let Some(instance) = mesh.instances.get(&workload(record)?) {
        return Some(Source::Workload(instance.clone()));
    }
    let caller = SpiffeId::parse(record.decided.caller.as_deref()?).ok()?;
    Some(Source::Identity(caller, None))
}

/// Decides again what the proxy of the one that was called recorded, and says what becomes of the call
/// there; `None` if too little of it was.
pub(super) fn again_received(record: &Recorded, then: &Then) -> Option<(Vec<StoryStep>, Way)> {
    let application = record.decided.application.as_deref()?;
    let application = application.parse::<SocketAddr>().ok()?;
    let peer = record.peer.as_deref()?.parse::<SocketAddr>().ok()?;
    let source = match &record.decided.caller {
        Some(caller) => Source::Identity(SpiffeId::parse(caller).ok()?, Some(peer.ip())),
        None => Source::Outside(Some(peer.ip())),
    };
    let host = record.host.as_deref().filter(|host| !host.is_empty());
    let host = host.map_or_else(
        || application.to_string(),
        |host| authority(host, application.port()),
    );
    let asked = asked_at(record, &host)?;
    let workload = workload(record)?;
    let ground = Ground {
        consent: consent(record),
        ..Ground::recorded(&then.mesh)
    };
    let receiver = received_by(ground, &source, &workload, application.port(), &asked)?;
    if let Some(hangs) = hangs_at_door(record, &receiver) {
        return Some((Vec::new(), Way::Undecided(hangs)));
    }
    let way = match receiver.said.refusal() {
        None => Way::Reaches {
            backend: workload.to_string(),
            endpoints: 1,
        },
        Some(reason) => refused(reason),
    };
    Some((of_receiver(&receiver), way))
}

/// What authorizers are taken to say: what they said then.
fn consent(record: &Recorded) -> Consent<'static> {
    let consulted = &record.decided.consulted;
    match consulted.last() {
        None => Consent::Unknown,
        Some(_) if record.code.is_none() => Consent::Given,
        Some(last) if last.said == "denied" => Consent::Withheld,
        Some(_) => Consent::Unknown,
    }
}

fn of_receiver(receiver: &Receiver) -> Vec<StoryStep> {
    let all = steps(&receiver.thought.story).into_iter();
    // Who picks the endpoint is the caller's proxy.
    all.filter(|step| step.step != ENDPOINT).collect()
}

fn way<'i>(mesh: &Mesh, end: &'i End, record: &Recorded) -> (Way, Option<&'i Receiver>) {
    let branches = match end {
        End::Reached(branches) => branches.as_slice(),
        End::Refused(reason) => return (refused(reason), None),
        End::Redirected { status, location } => {
            return (Way::Answered(format!("{status} to {location}")), None);
        }
        End::Left => return (Way::Answered("let out of the mesh".to_owned()), None),
        End::Told { status, .. } => {
            return (Way::Answered(format!("{status}, its pages may call")), None);
        }
    };
    let Some(branch) = taken(branches, record) else {
        return (
            Way::Undecided("it has no share that anything falls to".to_owned()),
            None,
        );
    };
    let receivers = match &branch.receivers {
        Ok(receivers) => receivers,
        Err(reason) => return (refused(reason), None),
    };
    let endpoint = record.endpoint.as_deref();
    let ip = endpoint.and_then(|text| text.parse::<SocketAddr>().ok());
    let is_there = |receiver: &&Receiver| {
        let mut all = receiver.thought.workloads.iter();
        let addresses = |id| Some(&mesh.instances.get(id)?.workload.addresses);
        ip.is_some_and(|at| all.any(|id| addresses(id).is_some_and(|all| all.contains(&at.ip()))))
    };
    let receiver = receivers.iter().find(is_there).or(receivers.first());
    if let Some(hangs) = receiver.and_then(|receiver| hangs_at_door(record, receiver)) {
        return (Way::Undecided(hangs), None);
    }
    if let Some(reason) = receiver.and_then(|receiver| receiver.said.refusal()) {
        return (refused(reason), receiver);
    }
    let endpoints = receivers.iter().map(|one| one.thought.workloads.len());
    let way = Way::Reaches {
        backend: branch.backend.clone(),
        endpoints: endpoints.sum(),
    };
    (way, receiver)
}

/// On what it hangs whether a receiver lets the call in, if that is a header or a token, which were not
/// recorded.
fn hangs_at_door(record: &Recorded, receiver: &Receiver) -> Option<String> {
    let mut steps = receiver.thought.story.steps.iter();
    let is_open = |step: &&Step| {
        step.kind == StepKind::Access
            && step.outcome == Outcome::Undecided
            && step.known == Known::Replayed
    };
    if let Some(step) = steps.find(is_open) {
        return Some(format!("it {}, which was not recorded", step.text));
    }
    let kept = kept(record);
    let is_missing = |name: &&Arc<str>| !kept.contains(&leno_traffic::Asked::Header(name));
    let is_call = record.event == Happening::Call;
    let name = receiver.asks.iter().filter(|_| is_call).find(is_missing)?;
    Some(format!(
        "an access rule asks for header {name}, which was not recorded"
    ))
}

fn refused(reason: &Reason) -> Way {
    Way::Refused {
        code: reason.code,
        status: reason.status,
    }
}

/// The share that the call falls to: where the same dice lead, else where it went.
fn taken<'i>(branches: &'i [Branch], record: &Recorded) -> Option<&'i Branch> {
    let (value, of) = record.decided.roll.unwrap_or((0, 1));
    let mut passed = 0;
    let rolled = branches.iter().find(|branch| {
        let (weight, total) = branch.share;
        passed += weight;
        total == of && value < passed
    });
    let taken = record.decided.backend.as_deref();
    let same = branches
        .iter()
        .find(|branch| Some(branch.backend.as_str()) == taken);
    rolled.or(same).or(branches.first())
}

/// The request as far as it was recorded, as it was made to a service port.
fn asked(record: &Recorded, called: &PortRef) -> Option<Asked> {
    let PortRef { service, port } = called;
    let at = format!("{}.{}:{port}", service.name, service.namespace);
    asked_at(record, &at)
}

fn asked_at(record: &Recorded, authority: &str) -> Option<Asked> {
    if record.event != Happening::Call {
        return Asked::new("", &format!("tcp://{authority}"), Vec::new()).ok();
    }
    let path = record.path.as_deref();
    // What stood behind a cut may be what a rule asks for.
    let path = path.filter(|path| path.starts_with('/') && !is_cut(path))?;
    let (mut query, mut headers) = (Vec::new(), Vec::new());
    for fact in &record.decided.facts {
        let FactValue::Is(value) = &fact.value else {
            continue;
        };
        match fact.of {
            FactOf::Header => headers.push((fact.name.clone(), value.clone())),
            FactOf::Query => query.push(format!("{}={}", escaped(&fact.name), escaped(value))),
        }
    }
    let host = record.host.clone().unwrap_or_default();
    headers.push(("host".to_owned(), host));
    let query = match query.is_empty() {
        true => String::new(),
        false => format!("?{}", query.join("&")),
    };
    let url = format!("http://{authority}{path}{query}");
    Asked::new(record.method.as_deref()?, &url, headers).ok()
}

/// With every byte that means something in a query as its escape.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// What rules ask for of which all is known.
fn kept(record: &Recorded) -> Vec<leno_traffic::Asked<'_>> {
    let facts = record.decided.facts.iter();
    let whole = facts.filter(|fact| matches!(fact.value, FactValue::Absent | FactValue::Is(_)));
    let kept = whole.map(|fact| match fact.of {
        FactOf::Header => leno_traffic::Asked::Header(&fact.name),
        FactOf::Query => leno_traffic::Asked::Parameter(&fact.name),
    });
    kept.collect()
}

fn workload(record: &Recorded) -> Option<WorkloadId> {
    let (namespace, name) = record.decided.workload.as_deref()?.split_once('/')?;
    Some(WorkloadId {
        namespace: Namespace::new(namespace).ok()?,
        name: Name::new(name).ok()?,
    })
}

fn port_ref(text: &str) -> Option<PortRef> {
    let (service, port) = text.rsplit_once(':')?;
    let (namespace, name) = service.split_once('/')?;
    Some(PortRef {
        service: ServiceName::new(Namespace::new(namespace).ok()?, Name::new(name).ok()?),
        port: port.parse().ok()?,
    })
}

/// The steps of a decision as they travel.
pub(crate) fn steps(story: &Story) -> Vec<StoryStep> {
    let steps = story.steps.iter().map(|step| StoryStep {
        step: step.kind.as_str().to_owned(),
        outcome: match step.outcome {
            Outcome::Yes => StepOutcome::Yes,
            Outcome::No => StepOutcome::No,
            Outcome::NotReached => StepOutcome::NotReached,
            Outcome::Undecided => StepOutcome::Undecided,
        },
        known: match step.known {
            Known::Recorded => HowKnown::Recorded,
            Known::Replayed => HowKnown::Replayed,
            Known::Assumed => HowKnown::Assumed,
        },
        text: step.text.clone(),
        origin: step.origin.as_ref().map(ToString::to_string),
        details: step
            .details
            .iter()
            .map(|detail| StoryDetail {
                text: detail.text.clone(),
                origin: detail.origin.as_ref().map(ToString::to_string),
            })
            .collect(),
    });
    steps.collect()
}
