//! A call that happened, as its story: what its proxies recorded, beside what the code that decides
//! calls says of it by the configuration that they had, and by others.

mod decided;
mod merged;
mod others;
mod recorded;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use leno_admin::{
    At, Configuration, Fate, Happening, Hop, HowKnown, Recorded, Side, StepOutcome, Story,
    StoryStep, each_once, figures, grpc_name,
};
use leno_compile::Mesh;
use leno_control::mesh_of;

pub(crate) use self::decided::steps;
use self::decided::{Again, Way, again, again_received};
use self::merged::merge;
use self::recorded::{CONNECT, TLS, code_of, detail, no, received, sent};

/// Where the configuration can be had that was in force, or is.
pub(crate) trait Past {
    /// That of a moment, or the present one; `None` if it is not kept, or nobody can be asked.
    fn at(&mut self, at: Option<At>) -> Option<Rc<Then>>;
}

/// A configuration, and what it means.
pub(crate) struct Then {
    told: Configuration,
    mesh: Mesh,
}

impl Then {
    /// What a control plane told; `None` if that is not understood.
    pub(crate) fn of(told: Configuration) -> Option<Self> {
        let mesh = mesh_of(&told).ok()?;
        Some(Self { told, mesh })
    }

    /// The same as it was told.
    pub(crate) fn told(&self) -> &Configuration {
        &self.told
    }

    /// How sure a decision by it is, made again.
    fn known(&self, step: StoryStep) -> StoryStep {
        match (self.told.exact, step.known) {
            (false, HowKnown::Replayed) => StoryStep {
                known: HowKnown::Assumed,
                ..step
            },
            _ => step,
        }
    }
}

/// The calls that records tell of.
pub(crate) enum Found {
    /// None.
    Nothing,
    /// One, by all who told of it.
    One(Vec<Recorded>),
    /// Several, whose ids begin alike: each once.
    Several(Vec<Recorded>),
}

impl Found {
    /// Those of `records`.
    pub(crate) fn among(records: Vec<Recorded>) -> Self {
        let Some(first) = records.first() else {
            return Self::Nothing;
        };
        match records.iter().all(|told| told.id == first.id) {
            true => Self::One(records),
            false => Self::Several(each_once(records)),
        }
    }
}

/// The story of the call that `records` tell of; `None` if they tell of none.
pub(crate) fn story(records: &[Recorded], past: &mut dyn Past) -> Option<Story> {
    let call = Call::of(records)?;
    let mut hops = Vec::new();
    let mut imagined = None;
    if let Some((hop, receiver)) = call.sender_hop(past) {
        hops.push(hop);
        imagined = receiver;
    }
    hops.extend(call.receiver_hop(imagined, past));
    if hops.is_empty() {
        hops.extend(call.lone_hop());
    }
    let others = others::others(&call, past);
    let end = call.fate();
    let begin = call.begin();
    let next = next(&call, &end, others.rollback);
    Some(Story {
        id: Some(begin.id.clone()),
        time: Some(begin.time.clone()),
        source: call.source(),
        destination: call.destination(),
        request: begin.request(),
        end,
        hops,
        revisions: others.revisions,
        not_compared: others.not_compared,
        next,
        records: records.to_vec(),
    })
}

/// A call, as the proxies that carried it tell of it.
struct Call<'a> {
    /// What the proxy of the caller told. Of one that was tried again the last try counts.
    sender: Option<&'a Recorded>,
    /// What the proxy of the one that was called told.
    receiver: Option<&'a Recorded>,
    /// The handshakes that came to nothing, and listeners that took nothing.
    failed: Vec<&'a Recorded>,
}

impl<'a> Call<'a> {
    fn of(records: &'a [Recorded]) -> Option<Self> {
        let is_carried =
            |record: &&Recorded| !matches!(record.event, Happening::Handshake | Happening::Accept);
        let by = |side| {
            let mut of_side = records.iter().filter(is_carried);
            of_side.rfind(|record| record.reporter == side)
        };
        let call = Self {
            sender: by(Side::Source),
            receiver: by(Side::Destination),
            failed: records
                .iter()
                .filter(|record| !is_carried(record))
                .collect(),
        };
        let is_empty = call.sender.is_none() && call.receiver.is_none() && call.failed.is_empty();
        (!is_empty).then_some(call)
    }

    /// What was told by who knows more of how it began.
    fn begin(&self) -> &'a Recorded {
        let first = self.failed.first().copied();
        let told = self.sender.or(self.receiver).or(first);
        told.expect("a call is made of at least one record")
    }

    /// What was told by who knows more of how it ended.
    fn end(&self) -> &'a Recorded {
        let both = [self.receiver, self.sender];
        let refused = both.into_iter().flatten().find(|told| told.code.is_some());
        refused.unwrap_or(self.begin())
    }

    fn source(&self) -> String {
        let told = self.begin();
        let named = told.source.as_deref().filter(|name| *name != UNKNOWN);
        let from = || {
            let peer = told.peer.as_deref().unwrap_or(UNKNOWN);
            let address = peer.parse::<SocketAddr>();
            address.map_or(peer.to_owned(), |address| address.ip().to_string())
        };
        named.map_or_else(from, str::to_owned)
    }

    fn destination(&self) -> String {
        let told = self.begin();
        let called = told.decided.called.as_ref();
        let named = told.destination.as_ref().filter(|name| *name != UNKNOWN);
        let address = told.endpoint.as_ref().or(told.listener.as_ref());
        let known = called.or(named).or(address);
        known.cloned().unwrap_or_else(|| UNKNOWN.to_owned())
    }

    fn fate(&self) -> Fate {
        let end = self.end();
        let begin = self.begin();
        let short =
            |name: &Option<String>| figures::short(name.as_deref().unwrap_or(UNKNOWN)).to_owned();
        let answered_by = match (&end.code, end.reporter) {
            (None, _) if end.status.is_none() => None,
            (None, _) => Some(short(&begin.destination)),
            (Some(_), Side::Source) => Some(format!("proxy of {}", short(&end.source))),
            (Some(_), Side::Destination) => Some(format!("proxy of {}", short(&end.destination))),
        };
        Fate {
            status: begin.status.or(end.status),
            code: end.code.clone(),
            slug: end.slug.clone(),
            fault: end.fault.clone().or(begin.fault.clone()),
            words: match begin.grpc_status.or(end.grpc_status) {
                Some(status) => Some(format!("gRPC {}", grpc_name(status))),
                None if end.code.is_none() && end.status.is_none() => Some(carried(begin)),
                None => None,
            },
            took_ms: begin.duration_ms,
            answered_by,
        }
    }

    /// What the proxy of the caller thought; and what the one that it led to thinks when it is asked
    /// again.
    fn sender_hop(&self, past: &mut dyn Past) -> Option<(Hop, Option<Vec<StoryStep>>)> {
        let record = self.sender?;
        let then = then_of(record, past);
        let again = then.as_ref().and_then(|then| again(record, then));
        let told = sent(record, self.receiver.is_some());
        let mut imagined = None;
        let mut steps = match (again, &then) {
            (
                Some(Again {
                    steps,
                    way,
                    receiver,
                }),
                Some(then),
            ) => {
                imagined = receiver;
                let steps = steps.into_iter().map(|step| then.known(step)).collect();
                let mut merged = merge(steps, told);
                if let Way::Undecided(why) = way {
                    undecided(&mut merged, &why);
                }
                merged
            }
            _ => told,
        };
        self.tell_handshakes(&mut steps);
        let hop = Hop {
            name: whose(record, &record.source),
            about: about(record, then.as_deref()),
            not_reached: None,
            steps,
        };
        Some((hop, imagined))
    }

    /// Tells why the connection failed, where a handshake says more of it.
    fn tell_handshakes(&self, steps: &mut [StoryStep]) {
        let connect = steps.iter_mut().find(|step| step.step == CONNECT);
        let Some(connect) = connect else { return };
        let sent = self
            .failed
            .iter()
            .filter(|told| told.reporter == Side::Source);
        connect
            .details
            .extend(sent.map(|told| detail(handshake(told))));
    }

    /// What the proxy of the one that was called thought, or why it was never asked. What it thinks when
    /// it is asked again stands in for what it did not keep.
    fn receiver_hop(&self, imagined: Option<Vec<StoryStep>>, past: &mut dyn Past) -> Option<Hop> {
        if let Some(record) = self.receiver {
            return Some(receiver_of(record, past));
        }
        let sender = self.sender?;
        let destination = sender.destination.as_deref();
        let destination = destination.filter(|name| *name != UNKNOWN)?;
        let ended = code_of(sender).map(|code| recorded::ended_at(code, Side::Source));
        let not_reached = match sender.security.as_deref() {
            _ if sender.endpoint.is_none() => Some("TLS and access policy were never asked"),
            Some("mtls") if ended == Some(CONNECT) => Some("access policy was never asked"),
            Some("mtls") => None,
            _ => Some("it has no proxy that could be asked"),
        };
        let is_silent = not_reached.is_none();
        Some(Hop {
            name: figures::short(destination).to_owned(),
            about: is_silent.then(|| "kept no record of this call".to_owned()),
            not_reached: not_reached.map(str::to_owned),
            steps: imagined.filter(|_| is_silent).unwrap_or_default(),
        })
    }

    /// A connection on which nothing was asked.
    fn lone_hop(&self) -> Option<Hop> {
        let told = self.failed.first()?;
        let own = match told.reporter {
            Side::Source => &told.source,
            Side::Destination => &told.destination,
        };
        let step = match told.event {
            Happening::Accept => no(CONNECT, told.decided.why.as_str()),
            _ => no(TLS, told.decided.why.as_str()),
        };
        Some(Hop {
            name: own.as_deref().map_or(UNKNOWN, figures::short).to_owned(),
            about: None,
            not_reached: None,
            steps: vec![step],
        })
    }
}

/// What the proxy of the one that was called thought.
fn receiver_of(record: &Recorded, past: &mut dyn Past) -> Hop {
    let then = then_of(record, past);
    let again = then.as_ref().and_then(|then| again_received(record, then));
    let told = received(record);
    let steps = match (again, &then) {
        (Some((steps, _)), Some(then)) => {
            let steps = steps.into_iter().map(|step| then.known(step));
            merge(steps.collect(), told)
        }
        _ => told,
    };
    Hop {
        name: whose(record, &record.destination),
        about: about(record, then.as_deref()),
        not_reached: None,
        steps,
    }
}

const UNKNOWN: &str = "unknown";

/// What became of a call that no proxy refused and nobody answered with a status.
fn carried(record: &Recorded) -> String {
    match record.event {
        Happening::Opened => "goes on".to_owned(),
        Happening::Stream => "carried to its end".to_owned(),
        _ => "the caller left before an answer".to_owned(),
    }
}

/// `T005 identity-revoked: handshake of shop/web with shop/cart: ...`
fn handshake(record: &Recorded) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (code, slug) = (text(&record.code), text(&record.slug));
    format!("{code} {slug}: {}", record.decided.why)
}

/// What could not be decided again is said where it was asked.
fn undecided(steps: &mut [StoryStep], why: &str) {
    let route = steps.iter_mut().find(|step| step.step == recorded::ROUTE);
    if let Some(route) = route {
        route
            .details
            .push(detail(format!("not decided again: {why}")));
    }
}

fn then_of(record: &Recorded, past: &mut dyn Past) -> Option<Rc<Then>> {
    let generation = record.decided.generation.clone()?;
    past.at(Some(At::Generation(generation)))
}

/// Whose proxy told: the workload, else what it counts as.
fn whose(record: &Recorded, party: &Option<String>) -> String {
    let told = record.decided.workload.as_ref().or(party.as_ref());
    told.map_or(UNKNOWN, |name| figures::short(name)).to_owned()
}

/// `sidecar, revision 417`
fn about(record: &Recorded, then: Option<&Then>) -> Option<String> {
    let then = then?;
    let workload = record.decided.workload.as_ref()?;
    let Configuration {
        proxies,
        running,
        revision,
        ..
    } = &then.told;
    let proxy = proxies
        .iter()
        .find(|proxy| proxy.workloads.contains(workload));
    let placement = match proxy {
        Some(proxy) if proxy.workloads.len() > 1 => "node, ",
        Some(_) => "sidecar, ",
        None if running.iter().any(|one| one.workload == *workload) => "leno up, ",
        None => "",
    };
    Some(format!("{placement}revision {revision}"))
}

/// What helps further.
fn next(call: &Call<'_>, end: &Fate, rollback: Option<u64>) -> Vec<String> {
    let short = |name: &Option<String>| name.as_deref().map(figures::short).map(str::to_owned);
    let begin = call.begin();
    let mut next = Vec::new();
    next.extend(rollback.map(|revision| format!("leno rollback {revision}")));
    let backend = begin.decided.backend.as_deref();
    let backend = backend.and_then(|port| Some(port.rsplit_once(':')?.0));
    let is_of_endpoints = matches!(end.code.as_deref(), Some("R013" | "R014"));
    if let Some(backend) = backend.filter(|_| is_of_endpoints) {
        next.push(format!("leno why {} --since 30m", figures::short(backend)));
    }
    if end.code.as_deref() == Some("T005") {
        let revoked = begin.source.as_deref().filter(|name| *name != UNKNOWN);
        next.extend(revoked.map(|name| format!("leno certs reinstate {name}")));
    }
    match (&end.code, &end.fault) {
        (Some(code), _) => {
            let failed = call.failed.iter().filter_map(|told| told.code.as_ref());
            let mut codes = failed.chain([code]).collect::<Vec<_>>();
            codes.dedup();
            next.extend(codes.iter().map(|code| format!("leno explain {code}")));
        }
        (None, Some(_)) => {
            let workload = call.receiver.map(|told| whose(told, &told.destination));
            next.extend(workload.map(|workload| format!("leno logs {workload}")));
            let service = short(&begin.destination);
            next.extend(service.map(|service| format!("leno tap {service} --failed")));
        }
        (None, None) => {}
    }
    next
}

/// How long something took, as people read it.
pub(crate) fn took(millis: f64) -> String {
    figures::duration(Duration::from_secs_f64(millis.max(0.0) / 1e3))
}

/// Whether a story ended badly.
pub(crate) fn is_bad(story: &Story) -> bool {
    let steps = story.hops.iter().flat_map(|hop| &hop.steps);
    story.end.fault.is_some() || steps.clone().any(|step| step.outcome == StepOutcome::No)
}

#[cfg(test)]
mod tests;
