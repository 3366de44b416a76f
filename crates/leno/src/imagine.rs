//! A call that nobody made, decided by the code that decides real ones: at the caller's proxy, and
//! at the proxy of everyone it could reach.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use leno_compile::{Destination, Instance, Mesh, ViewOf};
use leno_identity::Distrust;
use leno_model::view::{Action, Backend, HeaderChanges, PortRef, Rule, Split, Unknown, WorkloadId};
use leno_model::{Code, Dice, Namespace, Network, Origin, SpiffeId};
use leno_protocol::{
    Authority, Fields, HeadReader, Limits, Refused, RequestChanges, RequestHead, write_request,
};
use leno_traffic::{
    Changed, Channel, Claim, Denied, Fact, Forward, Known, NoTunnel, Outcome, Peer, Port,
    Preflight, Refusal, Routed, Scope, Step, StepKind, Story, Table, Verdict,
};

/// Who calls.
pub(crate) enum Source {
    /// A workload of the mesh.
    Workload(Arc<Instance>),
    /// Somebody of the mesh who is not among the files, perhaps from this address.
    Identity(SpiffeId, Option<IpAddr>),
    /// Somebody without a proxy, perhaps from this address.
    Outside(Option<IpAddr>),
}

/// What is asked for.
pub(crate) struct Asked {
    method: String,
    host: String,
    port: u16,
    /// Path and query; `None` for a stream of bytes.
    target: Option<String>,
    headers: Vec<(String, String)>,
    /// The server that a stream asks for, if it is TLS.
    server_name: Option<String>,
}

/// What would become of the call.
pub(crate) struct Imagined {
    /// Who called what, in words: `web → cart:8080  GET /items`.
    pub(crate) asked: String,
    /// Whether it is a stream of bytes, and no request.
    pub(crate) is_stream: bool,
    /// What the caller's proxy would think; a caller without one thinks nothing.
    pub(crate) sender: Option<Thought>,
    /// How it would end.
    pub(crate) end: End,
    /// The rule that would take it.
    pub(crate) rule: Option<Arc<Rule>>,
}

/// The steps of one proxy.
pub(crate) struct Thought {
    /// Whose proxy.
    pub(crate) proxy_of: String,
    /// The workloads whose proxies would all think so.
    pub(crate) workloads: Vec<WorkloadId>,
    /// Its steps.
    pub(crate) story: Story,
}

/// How a call would end.
pub(crate) enum End {
    /// At the caller's proxy.
    Refused(Reason),
    /// The caller would be sent elsewhere.
    Redirected {
        /// With this status.
        status: u16,
        /// To there.
        location: String,
    },
    /// A browser would be told what it asked, at the caller's proxy.
    Told {
        /// With this status.
        status: u16,
        /// And these headers, by name and value.
        headers: Vec<(Arc<str>, Arc<str>)>,
    },
    /// At one of these.
    Reached(Vec<Branch>),
}

/// One place where a call could end up.
pub(crate) struct Branch {
    /// The backend: `shop/cart-v2:8080`.
    pub(crate) backend: String,
    /// Its weight, and the sum of all weights.
    pub(crate) share: (u32, u32),
    /// What would be sent there.
    pub(crate) sent: Vec<u8>,
    /// What its proxies would think; or why there is nobody.
    pub(crate) receivers: Result<Vec<Receiver>, Reason>,
}

/// One workload that a call could reach.
pub(crate) struct Receiver {
    /// What its proxy would think.
    pub(crate) thought: Thought,
    /// What it would say.
    pub(crate) verdict: Result<(), Reason>,
}

/// Why a call would not be served.
#[derive(Clone, Debug)]
pub(crate) struct Reason {
    /// What kind of failure.
    pub(crate) code: Code,
    /// The status of the answer.
    pub(crate) status: u16,
    /// It in words.
    pub(crate) words: String,
    /// Who said so.
    pub(crate) origin: Option<Origin>,
    /// The identity that is refused because it was revoked.
    pub(crate) revoked: Option<SpiffeId>,
}

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code(),
            status: refusal.status(),
            words: refusal.to_string(),
            origin: refusal.origin().cloned(),
            revoked: None,
        }
    }
}

impl From<&Denied> for Reason {
    fn from(denied: &Denied) -> Self {
        Self {
            code: denied.code(),
            status: denied.status(),
            words: denied.to_string(),
            origin: denied.origin().cloned(),
            revoked: match denied {
                Denied::Revoked(id) => Some(id.clone()),
                _ => None,
            },
        }
    }
}

impl From<&Refused> for Reason {
    fn from(refused: &Refused) -> Self {
        Self {
            code: refused.code,
            status: refused.status,
            words: refused.to_string(),
            origin: None,
            revoked: None,
        }
    }
}

impl Source {
    /// The namespace in which its names are looked up.
    fn namespace<'a>(&'a self, home: &'a Namespace) -> &'a Namespace {
        match self {
            Self::Workload(instance) => &instance.workload.id.namespace,
            Self::Identity(id, _) => &id.namespace,
            Self::Outside(_) => home,
        }
    }

    fn network(&self) -> Network {
        match self {
            Self::Workload(instance) => instance.workload.network.clone(),
            Self::Identity(..) | Self::Outside(_) => Network::default_network(),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Workload(instance) => instance.workload.id.name.to_string(),
            Self::Identity(id, _) => format!("{}/{}", id.namespace, id.service_account),
            Self::Outside(None) => "outside".into(),
            Self::Outside(Some(address)) => address.to_string(),
        }
    }

    /// What a receiver would know of it.
    fn claim(&self) -> Claim<'_> {
        let known = |address: Option<IpAddr>| address.map_or(Fact::Unknown, Fact::Known);
        match self {
            Self::Workload(instance) => Claim {
                caller: Fact::Known(Some(&instance.workload.identity)),
                address: known(instance.workload.addresses.first().copied()),
            },
            Self::Identity(id, address) => Claim {
                caller: Fact::Known(Some(id)),
                address: known(*address),
            },
            Self::Outside(address) => Claim {
                caller: Fact::Known(None),
                address: known(*address),
            },
        }
    }
}

impl Asked {
    /// Reads a URL as `curl` takes it, `http://HOST[:PORT][/PATH]`; or `grpc://HOST:PORT/SERVICE/METHOD`,
    /// `tcp://HOST:PORT` or `tls://HOST:PORT[/SERVER-NAME]`.
    pub(crate) fn new(
        method: &str,
        url: &str,
        headers: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| {
            anyhow!(
                "{url:?} is no URL: http://HOST[:PORT]/PATH, grpc://, tcp:// or tls://HOST:PORT"
            )
        })?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let authority = Authority::parse(authority.as_bytes())
            .map_err(|flaw| anyhow!("{authority:?} in {url:?}: {flaw}"))?;
        let default = (scheme == "http").then_some(80);
        let port = authority.port.or(default);
        let asked = Self {
            method: method.to_owned(),
            host: authority.host.to_owned(),
            port: port.ok_or_else(|| anyhow!("{url:?} names no port"))?,
            target: None,
            headers,
            server_name: None,
        };
        match scheme {
            "http" if target.starts_with('/') => Ok(asked.requests(target)),
            "http" => Ok(asked.requests(&format!("/{target}"))),
            "grpc" if is_grpc_method(target) => Ok(asked.calls(target)),
            "grpc" => bail!("{url:?} names no method: grpc://HOST:PORT/SERVICE/METHOD"),
            "tcp" if target.is_empty() => Ok(asked),
            "tcp" => bail!("{url:?} has a path, and bytes have none"),
            "tls" => {
                let name = target.strip_prefix('/').filter(|name| !name.is_empty());
                let server_name = Some(name.unwrap_or(&asked.host).to_owned());
                Ok(Self {
                    server_name,
                    ..asked
                })
            }
            other => bail!("{other}:// is not carried; http://, grpc://, tcp:// and tls:// are"),
        }
    }

    fn requests(self, target: &str) -> Self {
        Self {
            target: Some(target.to_owned()),
            ..self
        }
    }

    /// A call of gRPC, which is a request: its headers are what every client of gRPC sends.
    fn calls(mut self, target: &str) -> Self {
        for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
            let said = |(header, _): &(String, String)| header.eq_ignore_ascii_case(name);
            if !self.headers.iter().any(said) {
                self.headers.push((name.to_owned(), value.to_owned()));
            }
        }
        self.method = "POST".to_owned();
        self.requests(target)
    }

    /// The request as bytes. It is read by the parser that reads real ones.
    fn bytes(&self, target: &str) -> Vec<u8> {
        let Self {
            method, host, port, ..
        } = self;
        let port = if *port == 80 {
            String::new()
        } else {
            format!(":{port}")
        };
        let mut text = format!("{method} {target} HTTP/1.1\r\n");
        let has_host = |(name, _): &(String, String)| name.eq_ignore_ascii_case("host");
        if !self.headers.iter().any(has_host) {
            text.push_str(&format!("Host: {host}{port}\r\n"));
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    fn words(&self, source: &str) -> String {
        let Self {
            method, host, port, ..
        } = self;
        match &self.target {
            Some(target) => format!("{source} → {host}:{port}  {method} {target}"),
            None => match &self.server_name {
                Some(name) => format!("{source} → {host}:{port}  TLS for {name}"),
                None => format!("{source} → {host}:{port}  bytes"),
            },
        }
    }
}

/// `/shop.Cart/Get`
fn is_grpc_method(target: &str) -> bool {
    let parts = target
        .strip_prefix('/')
        .and_then(|path| path.split_once('/'));
    parts.is_some_and(|(service, method)| {
        !service.is_empty() && !method.is_empty() && !method.contains(['/', '?'])
    })
}

/// Decides the call.
pub(crate) fn imagine(
    mesh: &Mesh,
    home: &Namespace,
    source: &Source,
    asked: &Asked,
) -> anyhow::Result<Imagined> {
    let imagined = |sender, end, rule| Imagined {
        asked: asked.words(&source.name()),
        is_stream: asked.target.is_none(),
        sender,
        end,
        rule,
    };
    let namespace = source.namespace(home);
    let found = mesh.destination(&asked.host, asked.port, namespace, &source.network());
    let destination = match (found, refused_as_unknown(mesh, asked)) {
        (Ok(destination), _) => destination,
        (Err(_), Some(reason)) => return Ok(imagined(None, End::Refused(reason), None)),
        (Err(missing), None) => match &missing.suggestion {
            Some(suggestion) => bail!("{missing}; {suggestion}"),
            None => bail!("{missing}"),
        },
    };
    let imagining = Imagining { mesh, source };
    let text = asked.target.as_deref().map(|target| asked.bytes(target));
    let mut fields = Fields::new();
    let head = match &text {
        Some(text) => match read(text, &mut fields) {
            Ok(head) => Some(head),
            Err(refused) => return Ok(imagined(None, End::Refused(Reason::from(&refused)), None)),
        },
        None => None,
    };
    match destination {
        Destination::Instance(instance) => {
            let sent = text.clone().unwrap_or_default();
            let branch = imagining.straight(instance, asked.port, sent);
            Ok(imagined(None, End::Reached(vec![branch]), None))
        }
        Destination::Service(service) => {
            let port = PortRef {
                service: service.name.clone(),
                port: asked.port,
            };
            if !service.ports.contains_key(&asked.port) {
                let refusal = Refusal::NoSuchPort {
                    service: service.name.clone(),
                    port: asked.port,
                };
                let ports = service.ports.keys().map(ToString::to_string);
                let ports = ports.collect::<Vec<_>>().join(", ");
                let reason = Reason {
                    words: format!("{refusal}; it has {ports}"),
                    ..Reason::from(&refusal)
                };
                return Ok(imagined(None, End::Refused(reason), None));
            }
            if matches!(source, Source::Outside(_)) {
                let branch = imagining.branch(&port, WHOLE, text.clone().unwrap_or_default());
                return Ok(imagined(None, End::Reached(vec![branch]), None));
            }
            let server_name = asked.server_name.as_deref();
            let (thought, end, rule) = imagining.send(&port, head.as_ref(), server_name)?;
            Ok(imagined(Some(thought), end, rule))
        }
    }
}

/// Why an address that is nobody's in the mesh is not called, if the mesh lets none pass.
fn refused_as_unknown(mesh: &Mesh, asked: &Asked) -> Option<Reason> {
    let address = asked.host.trim_matches(['[', ']']).parse().ok()?;
    let settings = &mesh.settings;
    let refused = settings.unknown_destinations == Unknown::Refuse;
    refused.then(|| {
        Reason::from(&Refusal::UnknownDestination {
            address: SocketAddr::new(address, asked.port),
            origin: settings.origin_of_unknown().cloned(),
        })
    })
}

/// On what it hangs which rule takes the request, if that is nothing that was `recorded` of it.
pub(crate) fn hangs_on(
    mesh: &Mesh,
    source: &Source,
    port: &PortRef,
    asked: &Asked,
    recorded: impl Fn(leno_traffic::Asked<'_>) -> bool,
) -> Option<String> {
    let (caller, workloads) = Imagining { mesh, source }.caller();
    let view = mesh.view(ViewOf {
        workloads: &workloads,
    });
    let table = Table::new(Arc::new(view), Scope::Whole);
    let text = asked.bytes(asked.target.as_deref()?);
    let mut fields = Fields::new();
    let head = read(&text, &mut fields).ok()?;
    let namespace = Some(&caller.namespace);
    let hangs = table
        .port(port)?
        .hangs_on(namespace, &head.request, recorded)?;
    Some(hangs.to_string())
}

/// What the proxy before `workload` would do with a call to `port` of it; `None` if there is none.
pub(crate) fn received_by(
    mesh: &Mesh,
    source: &Source,
    workload: &WorkloadId,
    port: u16,
    asked: &Asked,
) -> Option<Receiver> {
    let instance = mesh.instances.get(workload)?;
    let sent = asked.target.as_deref().map(|target| asked.bytes(target));
    let alike = std::slice::from_ref(workload);
    let imagining = Imagining { mesh, source };
    Some(imagining.receive(instance, port, alike, &sent.unwrap_or_default()))
}

/// One call while it is imagined.
struct Imagining<'a> {
    mesh: &'a Mesh,
    source: &'a Source,
}

impl Imagining<'_> {
    /// What the caller's proxy would do.
    fn send(
        &self,
        port: &PortRef,
        head: Option<&RequestHead<'_>>,
        server_name: Option<&str>,
    ) -> anyhow::Result<(Thought, End, Option<Arc<Rule>>)> {
        let (caller, workloads) = self.caller();
        let view = self.mesh.view(ViewOf {
            workloads: &workloads,
        });
        let table = Table::new(Arc::new(view), Scope::Whole);
        let to = table
            .port(port)
            .context("the view lacks a service of its mesh")?;
        let peer = Peer {
            channel: Channel::Local(caller.clone()),
            address: IpAddr::from([127, 0, 0, 1]),
        };
        let mut story = Story::default();
        let (end, rule) = match head.filter(|_| to.protocol().is_http()) {
            Some(head) => self.route(&table, &peer, to, head, &mut story)?,
            None => self.route_stream(&table, &peer, to, server_name, &mut story)?,
        };
        let thought = Thought {
            proxy_of: caller.name.to_string(),
            workloads: Vec::from([caller]),
            story,
        };
        Ok((thought, end, rule))
    }

    /// Which workload's proxy the call leaves by.
    fn caller(&self) -> (WorkloadId, BTreeSet<WorkloadId>) {
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
                let neighbours = self.mesh.instances.keys().filter(same).cloned();
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
        let service = self.mesh.services.get(&to.name().service)?;
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
    fn branch(&self, port: &PortRef, share: (u32, u32), sent: Vec<u8>) -> Branch {
        let mut receivers: Vec<(Arc<Instance>, u16, Vec<WorkloadId>)> = Vec::new();
        for (instance, number) in self.mesh.answering(port) {
            // Instances of one workload stand behind the same policies.
            let same = receivers.iter_mut().find(|(other, other_number, _)| {
                other.origin == instance.origin && *other_number == number
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
    fn straight(&self, instance: &Arc<Instance>, port: u16, sent: Vec<u8>) -> Branch {
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
    fn receive(
        &self,
        instance: &Instance,
        port: u16,
        alike: &[WorkloadId],
        sent: &[u8],
    ) -> Receiver {
        let id = &instance.workload.id;
        let workloads = BTreeSet::from([id.clone()]);
        let view = self.mesh.view(ViewOf {
            workloads: &workloads,
        });
        let table = Table::new(Arc::new(view), Scope::Whole);
        let mut story = Story::default();
        let address = instance.workload.addresses.first();
        story.steps.push(Step {
            kind: StepKind::Endpoint,
            outcome: Outcome::Yes,
            known: Known::Assumed,
            text: match (alike.len(), address) {
                (1, Some(address)) => SocketAddr::new(*address, port).to_string(),
                (1, None) => format!("{id}, whose address is known once it runs"),
                (count, _) => format!(
                    "one of {count} instances of {}",
                    instance.origin.object.name
                ),
            },
            origin: Some(instance.origin.clone()),
            details: Vec::new(),
        });
        let claim = self.source.claim();
        let mut fields = Fields::new();
        let declared = instance.workload.ports.get(&port);
        let is_http = declared.is_some_and(|port| port.protocol.is_http());
        let head = match is_http && !sent.is_empty() {
            true => read(sent, &mut fields).ok(),
            false => None,
        };
        let request = head.as_ref().map(|head| &head.request);
        let verdict = match (self.disbelieved(instance, port), table.inbound(id, port)) {
            (Some(refusal), _) => {
                story.steps.push(Step {
                    kind: StepKind::Mtls,
                    outcome: Outcome::No,
                    known: Known::Replayed,
                    text: refusal.to_string(),
                    origin: None,
                    details: Vec::new(),
                });
                Err(Reason {
                    revoked: Some(instance.workload.identity.clone()),
                    ..Reason::from(&refusal)
                })
            }
            (None, None) => Err(Reason::from(&Denied::TargetGone(id.clone()))),
            (None, Some(policy)) => match policy.explain(&claim, request, &mut story) {
                Verdict::Allow(_) => Ok(()),
                Verdict::Deny(denied) => Err(Reason::from(&denied)),
                Verdict::Undecided(missing) => Err(Reason {
                    code: Code::R003,
                    status: 403,
                    words: format!("it depends on {missing}, which was not said"),
                    origin: None,
                    revoked: None,
                }),
            },
        };
        Receiver {
            thought: Thought {
                proxy_of: instance.origin.object.name.to_string(),
                workloads: alike.to_vec(),
                story,
            },
            verdict,
        }
    }

    /// Why the caller's proxy would not believe the one in front of `instance`.
    fn disbelieved(&self, instance: &Instance, port: u16) -> Option<Refusal> {
        let id = &instance.workload.identity;
        if matches!(self.source, Source::Outside(_)) || !self.mesh.revoked.contains(id) {
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

/// The share of what is not split.
const WHOLE: (u32, u32) = (1, 1);

/// Reads a request with the parser that reads real ones.
pub(crate) fn read<'f, 'a: 'f>(
    bytes: &'a [u8],
    fields: &'f mut Fields<'a>,
) -> Result<RequestHead<'f>, Refused> {
    let head = HeadReader::new(Limits::default()).request(bytes, fields)?;
    Ok(head.expect("the bytes end with the empty line of a head"))
}

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
