//! What its asker may do with the mesh, and see of it: the role of who asks from elsewhere, and all
//! answers narrowed to that.

use std::collections::BTreeSet;

use leno_admin::{
    Aftermath, Answer, Asker, Carried, Change, Checked, Configuration, Diff, FactValue, Failure,
    Failures, Finding, History, KeptCalls, Needs, Overview, Past, Planned, Proxies, Recorded,
    Served, Services, Story, Suggested, Tapped, Trust, Viewed, Watched, With, WorseCalls,
    read_object,
};
use leno_model::flow::{Facts, Kind};
use leno_model::role::SYSTEM;
use leno_model::{Code, Namespace, ObjectRef, Role, SpiffeId, TrustDomain, Warrant};

use crate::center::Center;

/// What somebody may do with a mesh, and see of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sight {
    warrant: Warrant,
    /// Where names of identities without one are from.
    trust_domain: TrustDomain,
    /// The namespaces of identities that administer something.
    powerful: BTreeSet<Namespace>,
}

impl Sight {
    /// That of whoever asks, by what is in force. Who runs the process may do everything, and its
    /// kernel says who does.
    pub(crate) fn of(center: &Center, asker: &Asker) -> Self {
        let edition = center.edition();
        let warrant = match asker {
            Asker::User(_) | Asker::Visitor(_) => Warrant::whole(),
            Asker::Peer { caller, .. } => {
                let administration = &edition.mesh.administration;
                administration.get(caller.id()).cloned().unwrap_or_default()
            }
        };
        let administrators = edition.mesh.administration.keys();
        let trust_domain = edition.mesh.settings.trust_domain.clone();
        // A namespace of another trust domain is none of ours, whatever it is called.
        let programs = administrators
            .filter(|id| !id.is_person() && id.trust_domain == trust_domain)
            .map(|id| &id.namespace);
        Self {
            warrant,
            powerful: programs.cloned().collect(),
            trust_domain,
        }
    }

    /// That of who runs the process.
    pub(crate) fn whole(center: &Center) -> Self {
        Self::of(center, &Asker::User(0))
    }

    /// The highest role in it; none if it allows nothing.
    pub(crate) fn highest(&self) -> Option<Role> {
        self.warrant.highest()
    }

    /// Whether what a question takes is there, as far as that is known before it is tried.
    pub(crate) fn permits(&self, needs: &Needs) -> Result<(), Failure> {
        let Some(highest) = self.warrant.highest() else {
            let why = "whoever you are has no role in this mesh: Mesh.spec.administration names those who have";
            return Err(refused(Code::S016, why));
        };
        let role = needs.role;
        let is_enough = match &needs.with {
            With::Mesh => self.warrant.covers_mesh(role),
            With::Shown | With::Changed => highest >= role,
            With::NamespaceOf(text) => match self.namespace_of(text) {
                Some(namespace) => self.warrant.covers(role, &namespace),
                None => self.warrant.covers_mesh(role),
            },
        };
        match is_enough {
            true => Ok(()),
            false => Err(refused(Code::S017, self.lacks(needs))),
        }
    }

    /// Whether an object may be changed.
    pub(crate) fn may_change(&self, object: &ObjectRef) -> Result<(), Failure> {
        let (role, may) = match (&*object.kind, &object.namespace) {
            // They say whom the mesh trusts, and who administers it.
            ("Mesh" | "MeshPeer", _) => (Role::Admin, self.warrant.covers_mesh(Role::Admin)),
            // What stands there may be about all of it.
            (_, Some(namespace)) if namespace.as_str() == SYSTEM => {
                (Role::Editor, self.warrant.covers_mesh(Role::Editor))
            }
            (_, Some(namespace)) => (Role::Editor, self.warrant.covers(Role::Editor, namespace)),
            (_, None) => (Role::Editor, self.warrant.covers_mesh(Role::Editor)),
        };
        if may {
            return Ok(());
        }
        let of = match (&object.namespace, role) {
            (Some(namespace), Role::Viewer | Role::Editor) if namespace.as_str() != SYSTEM => {
                format!("of {namespace}")
            }
            _ => "of the whole mesh".to_owned(),
        };
        let why = format!(
            "{object} takes the role {} {of}: nothing was changed",
            role.as_str()
        );
        Err(refused(Code::S017, why))
    }

    /// Whether somebody may be let in as identities of a namespace. Where some of these administer more
    /// than the namespace, whoever gets one would do so too.
    pub(crate) fn may_let_in(&self, namespace: &Namespace) -> Result<(), Failure> {
        let is_whole = self.powerful.contains(namespace) || namespace.as_str() == SYSTEM;
        let may = match is_whole {
            true => self.warrant.covers_mesh(Role::Admin),
            false => self.warrant.covers(Role::Admin, namespace),
        };
        let of = match is_whole {
            true => "the whole mesh: identities of that namespace administer it".to_owned(),
            false => namespace.to_string(),
        };
        let why = format!("who is let in as {namespace} takes the role Admin of {of}");
        may.then_some(()).ok_or_else(|| refused(Code::S017, why))
    }

    /// What is missing, in words.
    fn lacks(&self, needs: &Needs) -> String {
        let role = needs.role.as_str();
        match &needs.with {
            With::NamespaceOf(text) => match self.namespace_of(text) {
                Some(namespace) => format!("this takes the role {role} of {namespace}"),
                None => format!("this takes the role {role} of the whole mesh"),
            },
            With::Mesh => {
                let own = self.warrant.namespaces().into_iter();
                let own: Vec<_> = own.map(Namespace::as_str).collect();
                let beside = match own.is_empty() {
                    true => String::new(),
                    false => format!(", and not only of {}", own.join(", ")),
                };
                format!("this takes the role {role} of the whole mesh{beside}")
            }
            With::Shown | With::Changed => format!("this takes the role {role}"),
        }
    }

    fn namespace_of(&self, text: &str) -> Option<Namespace> {
        if text.starts_with("spiffe://") {
            let id = SpiffeId::parse(text).ok()?;
            return (id.trust_domain == self.trust_domain).then_some(id.namespace);
        }
        let (namespace, name) = text.split_once('/').unwrap_or((text, ""));
        // Of another trust domain are `bank.example/ns/name`.
        let is_own = !name.contains('/');
        Namespace::new(namespace).ok().filter(|_| is_own)
    }

    /// Whether all of the mesh may be looked at.
    pub(crate) fn is_whole(&self) -> bool {
        self.warrant.covers_mesh(Role::Viewer)
    }

    /// Whether what belongs to the namespace of `name` may be looked at: `shop/cart`, a SPIFFE ID.
    pub(crate) fn sees(&self, name: &str) -> bool {
        self.is_whole()
            || self
                .namespace_of(name)
                .is_some_and(|namespace| self.warrant.covers(Role::Viewer, &namespace))
    }

    pub(crate) fn sees_object(&self, object: &str) -> bool {
        let namespace = read_object(object).ok().and_then(|it| it.namespace);
        match namespace {
            Some(namespace) => self.warrant.covers(Role::Viewer, &namespace),
            // What runs is told of as `proxy shop/web`, or by its name alone.
            None => object
                .split(' ')
                .any(|word| word.contains('/') && self.sees(word)),
        }
    }

    fn sees_finding(&self, finding: &Finding) -> bool {
        let object = finding.object.as_deref();
        object.is_some_and(|object| self.sees_object(object))
    }

    /// Whether a call between the two may be looked at.
    fn sees_call(&self, from: &str, to: &str) -> bool {
        self.sees(from) || self.sees(to)
    }

    /// As much of an answer as may be seen; a failure where nothing of it may.
    pub(crate) fn narrow(&self, answer: Answer) -> Result<Answer, Failure> {
        if self.is_whole() {
            return Ok(match answer {
                Answer::Kept(kept) => Answer::Kept(self.kept(kept)),
                Answer::Story(story) => Answer::Story(Box::new(self.story(*story)?)),
                answer => answer,
            });
        }
        Ok(match answer {
            Answer::Overview(told) => Answer::Overview(Box::new(self.overview(*told))),
            Answer::Planned(told) => Answer::Planned(Box::new(self.planned(*told))),
            Answer::Suggested(told) => Answer::Suggested(Box::new(self.suggested(*told))),
            Answer::Applied(mut told) => {
                told.findings.retain(|finding| self.sees_finding(finding));
                told.proxies.clear();
                Answer::Applied(told)
            }
            Answer::Diff(told) => Answer::Diff(Diff {
                changes: self.changes(told.changes),
                ..told
            }),
            Answer::Services(told) => Answer::Services(self.services(told)),
            Answer::Served(told) => Answer::Served(self.served(told)?),
            Answer::Checked(told) => Answer::Checked(self.checked(told)),
            Answer::Proxies(told) => Answer::Proxies(self.proxies(told)),
            Answer::Viewed(told) => Answer::Viewed(self.viewed(told)?),
            Answer::Trust(told) => Answer::Trust(self.trust(told)),
            Answer::Carried(told) => Answer::Carried(Box::new(self.carried(*told))),
            Answer::Failures(told) => Answer::Failures(Box::new(self.failures(*told))),
            Answer::Kept(told) => Answer::Kept(self.kept(told)),
            Answer::Story(told) => Answer::Story(Box::new(self.story(*told)?)),
            // Revisions are left out where they are read, which takes the store.
            answer @ Answer::History(_) => answer,
            // What these are about was asked for by name, and judged by that.
            answer @ (Answer::Status(_)
            | Answer::OwnBundle(_)
            | Answer::Probed(_)
            | Answer::Reached(_)
            | Answer::TokenMade(_)
            | Answer::Revoked(_)
            | Answer::OverrideChanged(_)
            | Answer::Overrides(_)
            | Answer::Taken(_)
            // Narrowed where it is told.
            | Answer::Watches(_)
            | Answer::Renewed(_)) => answer,
            // These take the whole mesh.
            Answer::Audited(_)
            | Answer::Configuration(Configuration { .. })
            | Answer::Recovered(_)
            | Answer::Tokens(_)
            | Answer::Forgotten(_)
            | Answer::Link(_)
            | Answer::Readmitting(_)
            | Answer::Rotated(_)
            | Answer::Holding(_)
            | Answer::Parts(_)
            | Answer::Ending(_) => {
                let why = "this takes a role of the whole mesh";
                return Err(refused(Code::S017, why));
            }
        })
    }

    /// As much of a refusal as may be seen of what was asked with files of these names. What makes a
    /// document of them unreadable is the asker's own; it has no object, or twice the same.
    pub(crate) fn narrow_failure(&self, mut failure: Failure, files: &BTreeSet<String>) -> Failure {
        if !self.is_whole() {
            let is_own = |finding: &Finding| {
                let is_lost = finding.object.is_none() || finding.code == Code::C008.as_str();
                is_lost
                    && finding
                        .file
                        .as_ref()
                        .is_some_and(|file| files.contains(file))
            };
            failure
                .findings
                .retain(|finding| is_own(finding) || self.sees_finding(finding));
        }
        failure
    }

    /// Those revisions that changed what may be seen, which `changed` tells.
    pub(crate) fn history(
        &self,
        told: History,
        mut changed: impl FnMut(&Past) -> Result<Vec<Change>, Failure>,
    ) -> Result<History, Failure> {
        if self.is_whole() {
            return Ok(told);
        }
        let mut revisions = Vec::new();
        for past in told.revisions {
            let changes = changed(&past)?;
            if changes
                .iter()
                .any(|change| self.sees_object(&change.object))
            {
                revisions.push(past);
            }
        }
        Ok(History { revisions, ..told })
    }

    fn changes(&self, mut changes: Vec<Change>) -> Vec<Change> {
        changes.retain(|change| self.sees_object(&change.object));
        changes
    }

    fn overview(&self, mut told: Overview) -> Overview {
        if let Some(change) = &mut told.change {
            // It is perhaps about something else.
            *change = Past {
                revision: change.revision,
                at: change.at.clone(),
                who: "somebody".to_owned(),
                what: "a change".to_owned(),
                message: String::new(),
                added: 0,
                changed: 0,
                removed: 0,
                observed: false,
                watch: None,
            };
        }
        told.certificate.take_if(|ends| !self.sees(&ends.identity));
        told.followers.behind.retain(|name| self.sees(name));
        told.followers.away.retain(|name| self.sees(name));
        told.findings.retain(|finding| self.sees_finding(finding));
        told.workloads.retain(|workload| self.sees(&workload.name));
        if let Some(traffic) = &mut told.traffic {
            let edges = &mut traffic.edges;
            edges.retain(|edge| self.sees_call(&edge.from, &edge.to));
        }
        if let Some(failed) = &mut told.failed {
            failed.retain(|call| self.sees_call(&call.from, &call.to));
        }
        told.next.clear();
        told.judged()
    }

    fn services(&self, mut told: Services) -> Services {
        told.services.retain(|line| self.sees(&line.service));
        told
    }

    fn served(&self, told: Served) -> Result<Served, Failure> {
        match self.sees(&told.service) {
            true => Ok(told),
            false => Err(Failure::plain(format_args!(
                "there is no service {}",
                told.service
            ))),
        }
    }

    fn checked(&self, mut told: Checked) -> Checked {
        told.findings.retain(|finding| self.sees_finding(finding));
        told.passed.clear();
        told
    }

    fn proxies(&self, mut told: Proxies) -> Proxies {
        told.proxies.retain(|proxy| self.sees(&proxy.identity));
        told.away.retain(|away| self.sees(&away.workload));
        told
    }

    fn viewed(&self, mut told: Viewed) -> Result<Viewed, Failure> {
        told.proxies.retain(|proxy| self.sees(&proxy.identity));
        match told.proxies.is_empty() {
            true => Err(Failure {
                advice: Some("leno proxies".to_owned()),
                ..Failure::plain("no proxy of that name or workload is connected")
            }),
            false => Ok(told),
        }
    }

    fn trust(&self, mut told: Trust) -> Trust {
        told.certificates.retain(|one| self.sees(&one.identity));
        told.revoked.retain(|one| self.sees(&one.identity));
        told.next_root = None;
        for peer in &mut told.peers {
            peer.from.clear();
        }
        told
    }

    fn carried(&self, mut told: Carried) -> Carried {
        for step in &mut told.steps {
            step.edges
                .retain(|edge| self.sees_call(&edge.from, &edge.to));
        }
        told
    }

    /// What a change would mean. The calls were left out that may not be seen; who else may call whom is
    /// for others to know.
    fn planned(&self, mut told: Planned) -> Planned {
        told.changes = self.changes(told.changes);
        told.findings.retain(|finding| self.sees_finding(finding));
        told.proxies.retain(|name| self.sees(name));
        told.traffic.kept.trouble = None;
        let traffic = &mut told.traffic;
        for row in traffic.rows.iter_mut().chain(&mut traffic.silent) {
            let is_own = row.object.as_ref().is_none_or(|it| self.sees_object(it));
            if !is_own {
                row.object = None;
                row.place = None;
                let code = row.becomes.as_ref().map(|becomes| becomes.slug.clone());
                row.why = code.unwrap_or_else(|| "something of another namespace".to_owned());
            }
        }
        told
    }

    /// Policies that are suggested for what may be seen. Of those of others that stand beside them the names
    /// are told, and not where they are written.
    fn suggested(&self, mut told: Suggested) -> Suggested {
        told.kept.trouble = None;
        for policy in &mut told.policies {
            for object in &mut policy.beside {
                let place = object.find(" (").filter(|_| !self.sees_object(object));
                object.truncate(place.unwrap_or(object.len()));
            }
        }
        told
    }

    /// Calls of a kind, if they may be looked at. Who is not shown headers may not guess them either, by
    /// planning rules that read them.
    pub(crate) fn shown_kind(&self, kind: Kind) -> Option<Kind> {
        let may_see = self.is_whole() || self.sees_call(&kind.from, &kind.to);
        may_see.then(|| match self.shows_headers(&[&kind.from, &kind.to]) {
            true => kind,
            false => Kind {
                facts: kind.facts.as_ref().and_then(Facts::host_alone),
                ..kind
            },
        })
    }

    /// Whether headers of calls between parties may be looked at.
    fn shows_headers(&self, parties: &[&str]) -> bool {
        parties.iter().any(|name| {
            let namespace = self.namespace_of(name);
            namespace.is_some_and(|namespace| self.warrant.shows_headers_of(&namespace))
        })
    }

    /// What was seen of calls, as far as these may be seen.
    pub(crate) fn narrow_aftermath(&self, seen: &mut Aftermath) {
        if self.is_whole() {
            return;
        }
        let mut worse = std::mem::take(&mut seen.worse);
        worse.retain(|one| self.sees_call(&one.from, &one.to));
        let sum = |of: fn(&WorseCalls) -> u64| worse.iter().map(of).sum();
        *seen = Aftermath {
            calls: sum(|one| one.calls),
            failed: sum(|one| one.failed),
            calls_before: sum(|one| one.calls_before),
            failed_before: sum(|one| one.failed_before),
            behind: seen
                .behind
                .iter()
                .filter(|name| self.sees(name))
                .cloned()
                .collect(),
            worse,
            ..Aftermath::default()
        };
    }

    fn failures(&self, mut told: Failures) -> Failures {
        told.groups
            .retain(|group| self.sees_call(&group.from, &group.to));
        for group in &mut told.groups {
            group.before = None;
        }
        told.calls = told.groups.iter().map(|group| group.of).sum();
        told.failed = told.groups.iter().map(|group| group.failure.count).sum();
        told
    }

    /// The calls that may be seen, without headers that may not.
    pub(crate) fn kept(&self, mut told: KeptCalls) -> KeptCalls {
        told.calls.retain(|call| self.sees_recorded(call));
        for call in &mut told.calls {
            self.hide(call);
        }
        told.passed
            .retain(|passed| self.sees_call(&passed.from, &passed.to));
        if !self.is_whole() {
            told.asked.retain(|name| self.sees(name));
            told.silent.retain(|silent| self.sees(&silent.proxy));
        }
        told
    }

    /// A story was told of records that were narrowed before.
    fn story(&self, mut told: Story) -> Result<Story, Failure> {
        if !self.sees_call(&told.source, &told.destination) {
            return Err(Failure::plain("no call of that name is kept"));
        }
        for record in &mut told.records {
            self.hide(record);
        }
        Ok(told)
    }

    /// What a tap shows of one thing; nothing if it is for others.
    pub(crate) fn tapped(&self, told: Tapped) -> Option<Tapped> {
        match told {
            Tapped::Call(mut call) => self.sees_recorded(&call).then(|| {
                self.hide(&mut call);
                Tapped::Call(call)
            }),
            Tapped::Watching(watched) if !self.is_whole() => Some(Tapped::Watching(Watched {
                proxies: seen(watched.proxies, |name| self.sees(name)),
                silent: seen(watched.silent, |silent| self.sees(&silent.proxy)),
                limit: watched.limit,
            })),
            told @ (Tapped::Watching(_) | Tapped::Dropped(_)) => Some(told),
        }
    }

    fn sees_recorded(&self, call: &Recorded) -> bool {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        self.is_whole() || self.sees_call(&name(&call.source), &name(&call.destination))
    }

    /// Takes away what only those may read who are shown headers.
    fn hide(&self, call: &mut Recorded) {
        let parties = [&call.source, &call.destination];
        let parties: Vec<_> = parties.into_iter().flatten().map(String::as_str).collect();
        if self.shows_headers(&parties) {
            return;
        }
        for fact in &mut call.decided.facts {
            match fact.value {
                FactValue::Is(_) | FactValue::Begins(_) => fact.value = FactValue::Secret,
                FactValue::Absent | FactValue::Secret => {}
            }
        }
    }
}

fn seen<T>(mut all: Vec<T>, sees: impl Fn(&T) -> bool) -> Vec<T> {
    all.retain(sees);
    all
}

fn refused(code: Code, why: impl ToString) -> Failure {
    Failure {
        advice: Some(format!("leno explain {code}")),
        ..Failure::coded(code, why)
    }
}
