//! The proxies of an imagined call: the caller's, and everyone's it could reach.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use leno_compile::{Instance, ViewOf};
use leno_identity::Distrust;
use leno_model::view::{Action, Backend, HeaderChanges, PortRef, Rule, Split, WorkloadId};
use leno_model::{Code, Dice, Origin, SpiffeId};
use leno_protocol::{Fields, RequestChanges, RequestHead, write_request};
use leno_traffic::{
    Changed, Channel, Claim, Denied, Detail, Forward, Known, Missing, NoTunnel, NotLetOut, Outcome,
    Peer, Port, Preflight, Refusal, Routed, Scope, Step, StepKind, Story, Table, Token, Verdict,
};

use super::{Branch, End, Ground, Proxies, Reason, Receiver, Said, Source, Thought, read};

/// One call while it is imagined.
pub(super) struct Imagining<'a> {
    pub(super) ground: Ground<'a>,
    pub(super) source: &'a Source,
    sender: OnceCell<Table>,
}

impl<'a> Imagining<'a> {
    pub(super) fn new(ground: Ground<'a>, source: &'a Source) -> Self {
        Self {
            ground,
            source,
            sender: OnceCell::new(),
        }
    }
}

impl Imagining<'_> {
    /// What the caller's proxy decides by.
    pub(super) fn sender(&self) -> &Table {
        self.sender.get_or_init(|| {
            let (_, workloads) = self.caller();
            let view = self.ground.mesh.view(ViewOf {
                workloads: &workloads,
            });
            Table::new(Arc::new(view), Scope::Whole)
        })
    }

    /// What the caller's proxy would do.
    pub(super) fn send(
        &self,
        port: &PortRef,
        head: Option<&RequestHead<'_>>,
        server_name: Option<&str>,
    ) -> anyhow::Result<(Thought, End, Option<Arc<Rule>>)> {
        let (caller, _) = self.caller();
        let table = self.sender();
        let to = table
            .port(port)
            .context("the view lacks a service of its mesh")?;
        let peer = Peer {
            channel: Channel::Local(caller.clone()),
            address: IpAddr::from([127, 0, 0, 1]),
        };
        let mut story = Story::default();
        let (end, rule) = match head.filter(|_| to.protocol().is_http()) {
            Some(head) => self.route(table, &peer, to, head, &mut story)?,
            None => self.route_stream(table, &peer, to, server_name, &mut story)?,
        };
        let thought = Thought {
            proxy_of: caller.name.to_string(),
            workloads: Vec::from([caller]),
            story,
        };
        Ok((thought, end, rule))
    }

    /// Which workload's proxy the call leaves by.
    pub(super) fn caller(&self) -> (WorkloadId, BTreeSet<WorkloadId>) {
        match self.source {
            Source::Workload(instance) => {
                let id = instance.workload.id.clone();
                (id.clone(), BTreeSet::from([id]))
            }
            Source::Identity(
                SpiffeId {
                    namespace,
                    service_account,
                    ..
                },
                _,
            ) => {
                let id = WorkloadId {
                    namespace: namespace.clone(),
                    name: service_account.clone(),
                };
                // Its namespace's own routes hold for it, wherever it runs.
                let same = |id: &&WorkloadId| id.namespace == *namespace;
                let neighbours = self.ground.mesh.instances.keys().filter(same).cloned();
                (id, neighbours.collect())
            }
            Source::Outside(_) => unreachable!("a caller outside has no proxy"),
        }
    }

    /// Routes the request, and follows each share that its rule could give it to.
    fn route(
        &self,
        table: &Table,
        peer: &Peer,
        to: &Port,
        head: &RequestHead<'_>,
        story: &mut Story,
    ) -> anyhow::Result<(End, Option<Arc<Rule>>)> {
        let routed = |roll: u32, story: Option<&mut Story>| {
            let admitted = table.outbound().admit(peer, head.request.clone());
            let admitted = admitted.map_err(Refusal::Denied)?;
            table.route(admitted, to, &mut Dice::loaded(roll), story)
        };
        let first = routed(0, Some(story));
        let rule = self.rule_told(to, story);
        match (first, &rule) {
            (Ok(Routed::Redirect(redirected)), _) => {
                let (status, location) = (redirected.status(), redirected.location().to_string());
                Ok((End::Redirected { status, location }, rule))
            }
            (Ok(Routed::Preflight(preflight)), _) => {
                let HeaderChanges { set, add, .. } = preflight.headers();
                let headers = set.into_iter().chain(add).collect();
                let status = Preflight::STATUS;
                Ok((End::Told { status, headers }, rule))
            }
            (Ok(Routed::Forward(_)) | Err(Refusal::BackendNotUsable { .. }), Some(taken)) => {
                let Action::Forward(split) = &taken.action else {
                    bail!("{} forwards without a split", taken.origin);
                };
                let reached = |roll| match routed(roll, None)? {
                    Routed::Forward(forward) => {
                        Ok((forward.port().name().clone(), rewritten(&forward, head)))
                    }
                    Routed::Redirect(_) | Routed::Preflight(_) => {
                        unreachable!("the same request was forwarded before")
                    }
                };
                let branches = self.shares(split, reached);
                Ok((End::Reached(branches), rule))
            }
            (Ok(Routed::Forward(forward)), None) => {
                let sent = rewritten(&forward, head);
                let branch = self.branch(forward.port().name(), WHOLE, sent);
                Ok((End::Reached(vec![branch]), None))
            }
            (Err(refusal), _) => Ok((End::Refused(Reason::from(&refusal)), rule)),
        }
    }

    /// Routes the stream, and follows each share that its rule could give it to.
    fn route_stream(
        &self,
        table: &Table,
        peer: &Peer,
        to: &Port,
        server_name: Option<&str>,
        story: &mut Story,
    ) -> anyhow::Result<(End, Option<Arc<Rule>>)> {
        let routed = |roll: u32, story: Option<&mut Story>| {
            let admitted = table.outbound().admit_stream(peer);
            let admitted = admitted.map_err(Refusal::Denied)?;
            table.route_stream(admitted, to, server_name, &mut Dice::loaded(roll), story)
        };
        let first = routed(0, Some(story));
        let rule = self.rule_told(to, story);
        let end = match (first, rule.as_deref().map(|rule| &rule.action)) {
            (Ok(_) | Err(Refusal::BackendNotUsable { .. }), Some(Action::Forward(split))) => {
                let reached = |roll| Ok((routed(roll, None)?.port().name().clone(), Vec::new()));
                End::Reached(self.shares(split, reached))
            }
            (Ok(forward), _) => {
                let branch = self.branch(forward.port().name(), WHOLE, Vec::new());
                End::Reached(vec![branch])
            }
            (Err(refusal), _) => End::Refused(Reason::from(&refusal)),
        };
        Ok((end, rule))
    }

    /// The rule that a story says took the request.
    fn rule_told(&self, to: &Port, story: &Story) -> Option<Arc<Rule>> {
        let taken = |step: &&Step| step.kind == StepKind::Route && step.outcome == Outcome::Yes;
        let origin = story.steps.iter().rfind(taken)?.origin.as_ref()?;
        let service = self.ground.mesh.services.get(&to.name().service)?;
        let port = service.ports.get(&to.name().port)?;
        let all = port.consumers.values().chain(&port.producer);
        let mut rules = all.flat_map(|routes| &routes.rules);
        rules.find(|rule| rule.origin == *origin).cloned()
    }

    /// Follows each share of a split: a roll leads to a port, and to what is sent there.
    fn shares(
        &self,
        split: &Split,
        reached: impl Fn(u32) -> Result<(PortRef, Vec<u8>), Refusal>,
    ) -> Vec<Branch> {
        let total = split.total().get();
        let mut passed = 0;
        let mut branches = Vec::new();
        for part in split.parts().iter().filter(|part| part.weight > 0) {
            let share = (part.weight, total);
            let roll = passed;
            passed += part.weight;
            branches.push(match reached(roll) {
                Ok((port, sent)) => self.branch(&port, share, sent),
                Err(refusal) => Branch {
                    backend: match &part.backend {
                        Backend::Service(port) => port.to_string(),
                        Backend::Invalid(_) => "an invalid backend".to_owned(),
                    },
                    share,
                    sent: Vec::new(),
                    receivers: Err(Reason::from(&refusal)),
                },
            });
        }
        branches
    }

    /// What those who answer for a service port would do.
    pub(super) fn branch(&self, port: &PortRef, share: (u32, u32), sent: Vec<u8>) -> Branch {
        let mut receivers: Vec<(Arc<Instance>, u16, Vec<WorkloadId>)> = Vec::new();
        for (instance, number) in self.ground.mesh.answering(port) {
            // Instances of one workload stand behind the same policies.
            let is_denied = self.denied_in_plain(instance, number).is_some();
            let same = receivers.iter_mut().find(|(other, other_number, _)| {
                other.origin == instance.origin
                    && *other_number == number
                    && self.denied_in_plain(other, number).is_some() == is_denied
            });
            let id = instance.workload.id.clone();
            match same {
                Some((_, _, ids)) => ids.push(id),
                None => receivers.push((instance.clone(), number, Vec::from([id]))),
            }
        }
        let receivers = match receivers.as_slice() {
            [] => Err(Reason::from(&Refusal::NoEndpoint(port.clone()))),
            some => Ok(some
                .iter()
                .map(|(instance, number, ids)| self.receive(instance, *number, ids, &sent))
                .collect()),
        };
        Branch {
            backend: port.to_string(),
            share,
            sent,
            receivers,
        }
    }

    /// What one instance would do, called by its own address.
    pub(super) fn straight(&self, instance: &Arc<Instance>, port: u16, sent: Vec<u8>) -> Branch {
        Branch {
            backend: format!("{}:{port}", instance.workload.id),
            share: WHOLE,
            receivers: Ok(vec![self.receive(
                instance,
                port,
                std::slice::from_ref(&instance.workload.id),
                &sent,
            )]),
            sent,
        }
    }

    /// What `instance` would do, and the others of its workload with it.
    pub(super) fn receive(
        &self,
        instance: &Instance,
        port: u16,
        alike: &[WorkloadId],
        sent: &[u8],
    ) -> Receiver {
        let id = &instance.workload.id;
        let mut story = Story::default();
        let mut step = endpoint(instance, port, alike);
        let denied = self.denied_in_plain(instance, port);
        let denied = denied.filter(|not| match self.ground.proxies {
            Proxies::Reported => true,
            Proxies::Assumed => {
                step.details.push(Detail {
                    text: format!("assumed: that it has a proxy; else {not}"),
                    origin: not.origin().cloned(),
                });
                false
            }
        });
        story.steps.push(step);
        let (mut asks, mut audited) = (Vec::new(), Vec::new());
        let said = match self.disbelieved(instance, port) {
            _ if let Some(not) = denied => {
                story.steps.push(Step {
                    kind: StepKind::Access,
                    outcome: Outcome::No,
                    known: Known::Replayed,
                    text: format!("it has no proxy, and {not}"),
                    origin: not.origin().cloned(),
                    details: Vec::new(),
                });
                Said::Refused(Reason::from(&Refusal::from(not)))
            }
            Some(refusal) => {
                story.steps.push(Step {
                    kind: StepKind::Mtls,
                    outcome: Outcome::No,
                    known: Known::Replayed,
                    text: refusal.to_string(),
                    origin: None,
                    details: Vec::new(),
                });
                Said::Refused(Reason {
                    revoked: Some(instance.workload.identity.clone()),
                    ..Reason::from(&refusal)
                })
            }
            None if self.ground.unasked.contains(id) => {
                story.steps.push(Step {
                    kind: StepKind::Access,
                    outcome: Outcome::Undecided,
                    known: Known::Assumed,
                    text: "its proxy was not asked".to_owned(),
                    origin: None,
                    details: Vec::new(),
                });
                Said::Unasked
            }
            None => {
                let admitted = self.admit(instance, port, sent, &mut story);
                (asks, audited) = (admitted.asks, admitted.audited);
                admitted.said
            }
        };
        Receiver {
            thought: Thought {
                proxy_of: instance.of.to_string(),
                workloads: alike.to_vec(),
                story,
            },
            said,
            audited,
            is_mtls: self.is_mtls(instance),
            asks,
        }
    }

    /// Whether the caller and whoever stands in front of `instance` prove themselves to each other.
    fn is_mtls(&self, instance: &Instance) -> bool {
        let has_proxy = match self.ground.proxies {
            Proxies::Assumed => true,
            Proxies::Reported => instance.tunnel.is_some(),
        };
        has_proxy && !matches!(self.source, Source::Outside(_))
    }

    /// Whether the proxy in front of `instance` would let the call pass.
    fn admit(&self, instance: &Instance, port: u16, sent: &[u8], story: &mut Story) -> Admission {
        let id = &instance.workload.id;
        let view = self.ground.mesh.view(ViewOf {
            workloads: &BTreeSet::from([id.clone()]),
        });
        let table = Table::new(Arc::new(view), Scope::Whole);
        let mut fields = Fields::new();
        let declared = instance.workload.ports.get(&port);
        let is_http = declared.is_some_and(|port| port.protocol.is_http());
        let head = match is_http && !sent.is_empty() {
            true => read(sent, &mut fields).ok(),
            false => None,
        };
        let request = head.as_ref().map(|head| &head.request);
        let Some(policy) = table.inbound(id, port) else {
            let gone = Reason::from(&Denied::TargetGone(id.clone()));
            return Admission {
                said: Said::Refused(gone),
                asks: Vec::new(),
                audited: Vec::new(),
            };
        };
        let asks = policy.asks().map(|asks| asks.headers().to_vec());
        let carries = request.is_some_and(|request| policy.carries_token(request));
        let claim = Claim {
            token: match self.ground.token {
                Token::Absent if carries => Token::Unknown,
                token => token,
            },
            consent: self.ground.consent,
            ..self.source.claim()
        };
        let said = match policy.explain(&claim, request, story) {
            Verdict::Allow(_) => Said::Allowed,
            Verdict::Deny(denied) => Said::Refused(Reason::from(&denied)),
            Verdict::Undecided(Missing::Consent(name)) => Said::Asks(name),
            Verdict::Undecided(missing) => Said::Refused(Reason {
                code: Code::R003,
                status: 403,
                words: format!("it depends on {missing}, which was not said"),
                origin: None,
                revoked: None,
            }),
        };
        let audits = policy.audits(&claim, request).into_iter();
        Admission {
            said,
            asks: asks.unwrap_or_default(),
            audited: audits.map(|rule| rule.origin.clone()).collect(),
        }
    }

    /// Why the caller's proxy would not call `instance` in plain, if it has to.
    fn denied_in_plain(&self, instance: &Instance, port: u16) -> Option<Box<NotLetOut>> {
        if matches!(self.source, Source::Outside(_)) || instance.tunnel.is_some() {
            return None;
        }
        let address = SocketAddr::new(*instance.workload.addresses.first()?, port);
        let (caller, _) = self.caller();
        self.sender().lets_call_plain(&caller, address).err()
    }

    /// Why the caller's proxy would not believe the one in front of `instance`.
    fn disbelieved(&self, instance: &Instance, port: u16) -> Option<Refusal> {
        let id = &instance.workload.identity;
        if matches!(self.source, Source::Outside(_)) || !self.ground.mesh.revoked.contains(id) {
            return None;
        }
        let address = instance.workload.addresses.first();
        let proxy = instance.tunnel.or(address.map(|ip| (*ip, port).into()))?;
        let why = Distrust::Revoked { id: id.clone() };
        Some(Refusal::TunnelFailed {
            proxy,
            why: NoTunnel::NotProven {
                code: why.code(),
                why: why.to_string().into(),
            },
        })
    }
}

/// What the proxy in front of an instance says of a call.
struct Admission {
    said: Said,
    /// The headers that its rules ask for.
    asks: Vec<Arc<str>>,
    /// The rules that only tell of it.
    audited: Vec<Origin>,
}

/// The step of who answers: balancing depends on the moment.
fn endpoint(instance: &Instance, port: u16, alike: &[WorkloadId]) -> Step {
    let address = instance.workload.addresses.first();
    Step {
        kind: StepKind::Endpoint,
        outcome: Outcome::Yes,
        known: Known::Assumed,
        text: match (alike.len(), address) {
            (1, Some(address)) => SocketAddr::new(*address, port).to_string(),
            (1, None) => format!(
                "{}, whose address is known once it runs",
                instance.workload.id
            ),
            (count, _) => format!("one of {count} instances of {}", instance.of),
        },
        origin: Some(instance.origin.clone()),
        details: Vec::new(),
    }
}

/// The share of what is not split.
pub(super) const WHOLE: (u32, u32) = (1, 1);

/// The request as it would be sent on, in bytes.
fn rewritten(forward: &Forward<'_>, head: &RequestHead<'_>) -> Vec<u8> {
    let mut sent = Vec::new();
    let Changed {
        host,
        path,
        headers,
    } = forward.changed();
    let changes = RequestChanges {
        host,
        path,
        headers: &headers,
        own: &[],
    };
    write_request(&mut sent, forward.request(), head.body, &changes);
    sent
}
