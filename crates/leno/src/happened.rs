//! A call that happened, explained: what its two proxies recorded of it, beside what the code that
//! decides calls says of it by the revision that is in force.

use std::net::SocketAddr;

use leno_admin::Configuration;
use leno_compile::Mesh;
use leno_model::Namespace;
use leno_traffic::{Detail, Known, Outcome, Step, StepKind, Story};

use crate::imagine::{Asked, Branch, End, Imagined, Reason, Receiver, Source, imagine};
use crate::up::Watched;

/// A call, as the proxies that carried it tell of it.
pub(crate) struct Call<'a> {
    /// What the proxy of the caller told.
    sender: Option<&'a Watched>,
    /// What the proxy of the one that was called told.
    receiver: Option<&'a Watched>,
}

/// What is in force when somebody asks.
pub(crate) struct Present<'a> {
    /// As the control plane tells it.
    pub(crate) told: &'a Configuration,
    /// What it means.
    pub(crate) mesh: &'a Mesh,
}

/// A call with every step that is known of it.
pub(crate) struct Happened {
    /// The steps of each proxy, the caller's first.
    pub(crate) proxies: Vec<Proxy>,
    /// What would become of the same call by what is in force; empty if that cannot be decided.
    pub(crate) present: String,
}

/// What one proxy did.
pub(crate) struct Proxy {
    /// Whose: `proxy of web`.
    pub(crate) name: String,
    /// By what it decided, or why that is not known.
    pub(crate) view: &'static str,
    /// Its steps.
    pub(crate) story: Story,
}

/// One step as it was recorded.
struct Recorded {
    kind: StepKind,
    outcome: Outcome,
    text: String,
    /// The place of what said so; empty if nothing did.
    said_by: String,
    details: Vec<String>,
}

impl<'a> Call<'a> {
    /// The call that `records` tell of. Of one that was tried again the last try counts.
    pub(crate) fn new(records: &'a [Watched]) -> Self {
        let by = |reporter| {
            let told = |record: &&Watched| record.text("reporter") == reporter;
            records.iter().rfind(told)
        };
        Self {
            sender: by("source"),
            receiver: by("destination"),
        }
    }

    /// What the proxy told that knows more of how it ended.
    pub(crate) fn end(&self) -> Option<&'a Watched> {
        let refused = |told: &&Watched| !told.text("code").is_empty();
        let both = [self.receiver, self.sender];
        let by_proxy = both.into_iter().flatten().find(refused);
        by_proxy.or(self.sender).or(self.receiver)
    }

    /// What the proxy told that knows more of how it began.
    pub(crate) fn begin(&self) -> Option<&'a Watched> {
        self.sender.or(self.receiver)
    }

    /// Puts together what was recorded and what is decided by `present`, if that is known.
    pub(crate) fn explain(&self, present: Option<&Present<'_>>) -> Happened {
        let imagined = present.and_then(|present| self.imagine(present.mesh));
        let reached = imagined.as_ref().zip(present);
        let reached = reached.map(|(imagined, present)| self.reached(imagined, present.mesh));
        let replayed = imagined
            .as_ref()
            .and_then(|imagined| imagined.sender.as_ref());
        let mut proxies = Vec::new();
        if let Some(sender) = self.sender {
            proxies.push(Proxy {
                name: format!("proxy of {}", short(sender.text("source"))),
                view: view_of(sender, present),
                story: merge(
                    replayed
                        .map(|thought| &thought.story)
                        .filter(|_| is_current(sender, present)),
                    sent(sender),
                ),
            });
        }
        proxies.extend(self.received(reached.as_ref(), present));
        let revision = present.map_or(0, |present| present.told.status.revision);
        let present = match (&imagined, &reached) {
            (Some(_), Some(reached)) => {
                format!("Revision {revision} (now): {}", self.compared(reached))
            }
            _ => String::new(),
        };
        Happened { proxies, present }
    }

    /// The steps of the proxy of the one that was called.
    fn received(
        &self,
        reached: Option<&Reached<'_>>,
        present: Option<&Present<'_>>,
    ) -> Option<Proxy> {
        let replayed = reached.and_then(|reached| reached.receiver);
        let replayed_story = replayed.map(|receiver| &receiver.thought.story);
        let whose = |told: &Watched| match replayed {
            Some(receiver) => receiver.thought.proxy_of.clone(),
            None => short(told.text("destination")).to_owned(),
        };
        if let Some(receiver) = self.receiver {
            return Some(Proxy {
                name: format!("proxy of {}", whose(receiver)),
                view: view_of(receiver, present),
                story: merge(
                    replayed_story.filter(|_| is_current(receiver, present)),
                    received(receiver, self.sender),
                ),
            });
        }
        let sender = self.sender?;
        if sender.text("event") != "call" || sender.text("destination") == "unknown" {
            return None;
        }
        if sender.text("endpoint").is_empty() {
            let why = "not reached: TLS and access policy were never asked";
            return Some(Proxy {
                name: short(sender.text("destination")).to_owned(),
                view: "",
                story: Story {
                    steps: vec![Step::not_reached(StepKind::Mtls, why)],
                },
            });
        }
        Some(Proxy {
            name: format!("proxy of {}", whose(sender)),
            view: "kept no record of this call",
            story: merge(replayed_story, Vec::new()),
        })
    }

    /// The same call, decided by what is in force. Its headers and its query are not recorded.
    fn imagine(&self, mesh: &Mesh) -> Option<Imagined> {
        let told = self.sender.filter(|told| told.text("event") == "call")?;
        let (service, port) = told.decided("called")?.rsplit_once(':')?;
        let (namespace, name) = service.split_once('/')?;
        let home = Namespace::new(namespace).ok()?;
        let source = mesh.workload(told.text("source"), &home).ok()?;
        let url = format!("http://{name}.{namespace}:{port}{}", told.text("path"));
        let host = ("host".to_owned(), told.text("host").to_owned());
        let asked = Asked::new(told.text("method"), &url, vec![host]).ok()?;
        imagine(mesh, &home, &Source::Workload(source.clone()), &asked).ok()
    }

    /// Whom the imagined call reaches on the way that the real one took.
    fn reached<'i>(&self, imagined: &'i Imagined, mesh: &Mesh) -> Reached<'i> {
        let branches = match &imagined.end {
            End::Reached(branches) => branches.as_slice(),
            End::Refused(reason) => return Reached::refused(reason),
            End::Redirected { .. } | End::Told { .. } => return Reached::default(),
        };
        let taken = self.sender.and_then(|sender| sender.decided("backend"));
        let same = |branch: &&Branch| taken.is_none_or(|taken| branch.backend == taken);
        let Some(branch) = branches.iter().find(same) else {
            return Reached {
                elsewhere: true,
                ..Reached::default()
            };
        };
        let receivers = match &branch.receivers {
            Ok(receivers) => receivers,
            Err(reason) => return Reached::refused(reason),
        };
        let endpoint = self.sender.map(|sender| sender.text("endpoint"));
        let endpoint = endpoint.and_then(|text| text.parse::<SocketAddr>().ok());
        let has_it = |receiver: &&Receiver| {
            receiver.thought.workloads.iter().any(|id| {
                let instance = mesh.instances.get(id);
                let addresses = instance.map(|instance| &instance.workload.addresses);
                endpoint
                    .zip(addresses)
                    .is_some_and(|(endpoint, all)| all.contains(&endpoint.ip()))
            })
        };
        let receiver = receivers.iter().find(has_it).or(receivers.first());
        Reached {
            receiver,
            refused: receiver.and_then(|receiver| receiver.verdict.as_ref().err()),
            elsewhere: false,
        }
    }

    /// What becomes of the call by what is in force, beside what became of it.
    fn compared(&self, reached: &Reached<'_>) -> String {
        let code = self.end().map_or("", |told| told.text("code"));
        let was_decided = self
            .receiver
            .is_some_and(|told| !told.text("code").is_empty())
            || self
                .sender
                .is_some_and(|told| told.text("endpoint").is_empty());
        match reached.refused {
            Some(reason) if reason.code.as_str() == code => "same".to_owned(),
            Some(reason) => format!(
                "would now be {} {} {}",
                reason.status,
                reason.code,
                reason.code.slug()
            ),
            None if reached.elsewhere => "would now go to another backend".to_owned(),
            None if code.is_empty() => "same".to_owned(),
            None if was_decided => "would now be let through".to_owned(),
            None => "decided the same; how it ends depends on the endpoint".to_owned(),
        }
    }
}

/// Whom an imagined call reaches.
#[derive(Default)]
struct Reached<'i> {
    receiver: Option<&'i Receiver>,
    refused: Option<&'i Reason>,
    /// The backend that the real call went to gets none any longer.
    elsewhere: bool,
}

impl<'i> Reached<'i> {
    fn refused(reason: &'i Reason) -> Self {
        Self {
            refused: Some(reason),
            ..Self::default()
        }
    }
}

/// The steps that the proxy of a caller recorded.
fn sent(told: &Watched) -> Vec<Recorded> {
    let mut steps = Vec::new();
    let mut step = |kind, outcome, text, said_by| {
        steps.push(Recorded::new(kind, outcome, text, said_by));
    };
    if told.text("event") == "stream" {
        let endpoint = told.text("endpoint").to_owned();
        match told.text("code") {
            "" => step(StepKind::Endpoint, Outcome::Yes, endpoint, ""),
            _ => step(StepKind::Endpoint, Outcome::No, told.why().to_owned(), ""),
        }
        return steps;
    }
    let decided = |field| told.decided(field);
    if let Some(called) = decided("called") {
        step(
            StepKind::Name,
            Outcome::Yes,
            format!("Service {called}"),
            "",
        );
    }
    let (route, why) = (told.text("route"), decided("why").unwrap_or_default());
    let said_by = decided("said_by").unwrap_or_default();
    let Some(backend) = decided("backend") else {
        let asked = match decided("called") {
            Some(_) => StepKind::Route,
            None => StepKind::Name,
        };
        if !why.is_empty() {
            step(asked, Outcome::No, why.to_owned(), said_by);
        }
        return steps;
    };
    let rule = decided("rule").unwrap_or_default();
    let route = match route {
        "" => "none attached: the service's own endpoints",
        route => route,
    };
    step(StepKind::Route, Outcome::Yes, route.to_owned(), rule);
    if let Some((roll, of)) = told.roll() {
        let text = format!("{backend}: the dice came to {roll} of {of}");
        step(StepKind::Split, Outcome::Yes, text, "");
    }
    let failed = told.failed();
    if !why.is_empty() {
        step(StepKind::Endpoint, Outcome::No, why.to_owned(), said_by);
    } else if !failed.is_empty() {
        let text = format!(
            "{} after {} that failed",
            told.text("endpoint"),
            failed.len()
        );
        step(StepKind::Endpoint, Outcome::Yes, text, "");
    }
    if let Some(last) = steps.last_mut() {
        last.details = failed;
    }
    steps
}

/// The steps that the proxy of the one that was called recorded.
fn received(told: &Watched, sender: Option<&Watched>) -> Vec<Recorded> {
    let (code, security) = (told.text("code"), told.text("security"));
    let why = told.decided("why").unwrap_or_default();
    let said_by = told.decided("said_by").unwrap_or_default();
    let mut steps = Vec::new();
    let mut step = |kind, outcome, text, said_by| {
        steps.push(Recorded::new(kind, outcome, text, said_by));
    };
    if let Some(endpoint) = sender.map(|sender| sender.text("endpoint")) {
        step(StepKind::Endpoint, Outcome::Yes, endpoint.to_owned(), "");
    }
    let proven = match (security, told.decided("caller")) {
        ("mtls", Some(caller)) => format!("the caller is {caller}, proven"),
        ("mtls", None) => "the caller is proven".to_owned(),
        (plain, _) => format!("plain: {plain}"),
    };
    if code == "R002" {
        step(StepKind::Mtls, Outcome::No, why.to_owned(), said_by);
        return steps;
    }
    step(StepKind::Mtls, Outcome::Yes, proven, "");
    match (code, told.text("fault")) {
        ("", _) => {
            let text = "allowed".to_owned();
            step(StepKind::Access, Outcome::Yes, text, said_by);
        }
        (_, "caller") => step(StepKind::Access, Outcome::No, why.to_owned(), said_by),
        _ => {
            step(StepKind::Access, Outcome::Yes, "allowed".to_owned(), "");
            step(StepKind::Retry, Outcome::No, why.to_owned(), "");
        }
    }
    steps
}

/// Each step once: as it was recorded, in the words of what decides if both say the same; what was
/// not recorded, as it is decided by what is in force.
fn merge(replayed: Option<&Story>, recorded: Vec<Recorded>) -> Story {
    let mut rest = recorded;
    let replayed = replayed.map(|story| story.steps.as_slice());
    let mut steps = Vec::new();
    for step in replayed.unwrap_or_default() {
        match rest.iter().position(|known| known.kind == step.kind) {
            Some(place) => steps.push(rest.remove(place).beside(step)),
            // How it went on after that is known by what was recorded alone.
            None if steps
                .last()
                .is_some_and(|last: &Step| last.outcome == Outcome::No) => {}
            None => steps.push(step.clone()),
        }
    }
    steps.extend(rest.into_iter().map(Recorded::alone));
    Story { steps }
}

impl Recorded {
    fn new(kind: StepKind, outcome: Outcome, text: String, said_by: &str) -> Self {
        Self {
            kind,
            outcome,
            text,
            said_by: said_by.to_owned(),
            details: Vec::new(),
        }
    }

    fn beside(self, replayed: &Step) -> Step {
        let place = replayed.origin.as_ref().map(ToString::to_string);
        let names_what_said_so = matches!(self.kind, StepKind::Route | StepKind::Access);
        let is_same = self.outcome == replayed.outcome
            && (!names_what_said_so || place.unwrap_or_default() == self.said_by);
        if self.kind == StepKind::Endpoint {
            let origin = replayed.origin.clone();
            return Step {
                origin,
                ..self.alone()
            };
        }
        if self.kind == StepKind::Split {
            return self.among_shares(replayed);
        }
        if is_same {
            return Step {
                known: Known::Recorded,
                ..replayed.clone()
            };
        }
        let present = format!("by what is in force it would be: {}", replayed.text);
        let mut step = self.alone();
        step.details.push(Detail {
            text: present,
            origin: replayed.origin.clone(),
        });
        step
    }

    /// The share that the call fell to, and then the others.
    fn among_shares(self, replayed: &Step) -> Step {
        let first = Detail {
            text: replayed.text.clone(),
            origin: replayed.origin.clone(),
        };
        let backend = self.text.split(": ").next().unwrap_or_default().to_owned();
        let is_taken = |share: &Detail| share.text.split(", ").next() == Some(&*backend);
        let shares = [first].into_iter().chain(replayed.details.iter().cloned());
        let (taken, others) = shares.partition::<Vec<_>, _>(is_taken);
        let mut step = self.alone();
        step.origin = taken.into_iter().find_map(|share| share.origin);
        step.details.extend(others);
        step
    }

    fn alone(self) -> Step {
        let place = match self.said_by.as_str() {
            "" => String::new(),
            place => format!(" ({place})"),
        };
        let details = self.details.into_iter();
        Step {
            kind: self.kind,
            outcome: self.outcome,
            known: Known::Recorded,
            text: format!("{}{place}", self.text),
            origin: None,
            details: details.map(|text| Detail { text, origin: None }).collect(),
        }
    }
}

/// By what a proxy decided, in words.
fn view_of(told: &Watched, present: Option<&Present<'_>>) -> &'static str {
    match (told.decided("generation"), present) {
        (None, _) | (_, None) => "",
        _ if is_current(told, present) => "decided by the revision that is in force",
        _ => "decided by another revision than the one in force",
    }
}

/// Whether a proxy decided by what is in force: only then do its reasons stand where they stood.
fn is_current(told: &Watched, present: Option<&Present<'_>>) -> bool {
    let (Some(then), Some(present)) = (told.decided("generation"), present) else {
        return false;
    };
    let mut current = present.told.proxies.iter().filter(|proxy| proxy.current);
    current.any(|proxy| configured(&proxy.generation) == configured(then))
}

/// A generation without what only says what runs where.
fn configured(generation: &str) -> Vec<&str> {
    let parts = generation.split(' ');
    parts.filter(|part| !part.starts_with("present:")).collect()
}

/// A name without the namespace that all share where nobody chose one.
fn short(name: &str) -> &str {
    leno_admin::figures::short(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: StepKind, outcome: Outcome, text: &str) -> Step {
        Step {
            kind,
            outcome,
            known: Known::Replayed,
            text: text.to_owned(),
            origin: None,
            details: Vec::new(),
        }
    }

    fn recorded(kind: StepKind, outcome: Outcome, text: &str, said_by: &str) -> Recorded {
        Recorded {
            kind,
            outcome,
            text: text.to_owned(),
            said_by: said_by.to_owned(),
            details: Vec::new(),
        }
    }

    fn check(replayed: &[Step], recorded: Vec<Recorded>, expect: &[&str]) {
        let replayed = Story {
            steps: replayed.to_vec(),
        };
        let told = merge(Some(&replayed), recorded);
        let told = told.steps.iter().map(|step| {
            let details = step.details.iter().map(|detail| detail.text.as_str());
            let details = details.collect::<Vec<_>>().join("; ");
            format!("{}: {} [{}] {details}", step.kind, step.text, step.known)
        });
        assert_eq!(told.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn what_both_say_is_told_in_the_words_of_what_decides() {
        use Outcome::{No, Yes};
        check(
            &[
                step(StepKind::Mtls, Yes, "strict: the caller is shop/web"),
                step(StepKind::Access, No, "no AccessPolicy allows it"),
            ],
            vec![
                recorded(StepKind::Mtls, Yes, "the caller is proven", ""),
                recorded(StepKind::Access, No, "nobody allows it", ""),
            ],
            &[
                "mTLS: strict: the caller is shop/web [recorded] ",
                "access: no AccessPolicy allows it [recorded] ",
            ],
        );
    }

    #[test]
    fn what_was_not_recorded_is_replayed_and_what_differs_is_told_beside() {
        use Outcome::Yes;
        check(
            &[
                step(StepKind::Name, Yes, "Service shop/cart"),
                step(StepKind::Route, Yes, "none attached"),
            ],
            vec![recorded(StepKind::Route, Yes, "rule 2", "cart.yaml:14")],
            &[
                "name: Service shop/cart [replayed] ",
                "route: rule 2 (cart.yaml:14) [recorded] \
                 by what is in force it would be: none attached",
            ],
        );
    }

    #[test]
    fn nothing_is_imagined_behind_what_ended_it() {
        use Outcome::{No, Yes};
        check(
            &[
                step(StepKind::Mtls, Yes, "strict"),
                step(StepKind::Access, Yes, "allowed"),
            ],
            vec![recorded(
                StepKind::Mtls,
                No,
                "the caller is not in the mesh",
                "",
            )],
            &["mTLS: the caller is not in the mesh [recorded] \
               by what is in force it would be: strict"],
        );
    }
}
