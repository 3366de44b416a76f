//! The path of one request. It was accepted and secured with its connection; from here it is
//! admitted, routed, forwarded (which picks) and reported.

use std::rc::Rc;

use leno_model::view::{HeaderChanges, Protocol};
use leno_model::{CallId, Code, Now};
use leno_protocol::{
    BodyFraming, BodyReader, Header, Refused, Request, RequestHead, ResponseChanges, Version, grpc,
};
use leno_telemetry::Party;
use leno_traffic::{
    Admitted, Allowed, Channel, Claim, CrossOrigin, Direct, Examined, Fact, Forward, Outside,
    Preflight, Redirected, Refusal, Routed, Said, Table,
};

use crate::aim::{Aim, Hop};
use crate::http::attempt::Sending;
use crate::http::client::Client;
use crate::http::refuse::{Answer, Own, Reason, header};
use crate::http::told::Told;
use crate::http::tracing::Tracing;
use crate::http::{After, Connection};
use crate::incoming::Incoming;
use crate::news::Reader;
use crate::worker::Worker;

/// One request on its way.
pub(super) struct Exchange<'a> {
    pub(super) worker: &'a Rc<Worker>,
    pub(super) incoming: &'a Incoming,
    pub(super) client_cert: Option<&'a str>,
    pub(super) table: &'a Table,
    pub(super) head: &'a RequestHead<'a>,
    /// The same as it came, if that was in HTTP/2.
    pub(super) came: Option<&'a ::http::Request<()>>,
    pub(super) id: CallId,
    pub(super) began: Now,
    /// What browsers are told about every answer.
    pub(super) cross_origin: Option<CrossOrigin<'a>>,
    pub(super) told: Told<'a>,
    pub(super) tracing: Tracing,
}

/// Where a request goes.
enum Way<'a> {
    /// To an endpoint of a service.
    Forward(Forward<'a>, Option<Direct<'a>>),
    /// To one place that is settled, where this is spoken: our own application, or somebody outside
    /// the mesh.
    Straight(Admitted<'a>, Hop<'a>, Protocol),
    /// Elsewhere, says a route.
    Redirect(Redirected<'a>),
    /// Nowhere: a browser is told what it asked.
    Preflight(Preflight<'a>),
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        connection: Connection<'a>,
        table: &'a Table,
        head: &'a RequestHead<'a>,
    ) -> Self {
        let Connection {
            worker,
            incoming,
            client_cert,
        } = connection;
        Self {
            worker,
            incoming,
            client_cert,
            table,
            head,
            came: None,
            id: id_of(worker, incoming, &head.request),
            began: worker.now(),
            cross_origin: None,
            told: Told::new(incoming.source(table), incoming.proven()),
            tracing: Tracing::NOT,
        }
    }

    /// The same, whose head came so.
    pub(super) fn of_http2(self, came: &'a ::http::Request<()>) -> Self {
        let came = Some(came);
        Self { came, ..self }
    }

    /// Carries the request; says what follows and how many bytes of `behind`, which came with the
    /// head, belonged to its body.
    pub(super) async fn run(
        mut self,
        client: Client<'_>,
        news: &mut Reader,
        behind: &[u8],
    ) -> (After, usize) {
        let framing = self.head.body;
        let mut body = BodyReader::new(framing);
        let aim = self.aim();
        let (after, used) = match body.take(behind) {
            Ok(used) => {
                self.told.sent = used as u64;
                let parts = behind.split_at(used);
                let sending = Sending::new(client, news, parts, framing, body);
                (self.carry(aim, sending).await, used)
            }
            Err(flaw) => {
                let reason = Reason::from(&Refused::request(flaw));
                (self.answer(client, &reason, false).await, behind.len())
            }
        };
        self.report();
        (after, used)
    }

    /// The path, from the head to the last byte of an answer.
    async fn carry(&mut self, aim: Result<Aim<'a>, Refusal>, mut sending: Sending<'_>) -> After {
        let admitted = match self.examine() {
            Ok(examined) if examined.asks().is_some() => {
                // Large, and of no use to a request about which nobody is asked.
                match Box::pin(self.consult(examined, &mut sending)).await {
                    Ok(admitted) => Ok(admitted),
                    Err(reason) => {
                        self.trace();
                        return self.refuse(&reason, sending).await;
                    }
                }
            }
            Ok(examined) => examined.admitted().map_err(Refusal::Denied),
            Err(refusal) => Err(refusal),
        };
        let way = match (admitted, aim) {
            (Ok(admitted), Ok(Aim::Outside(outside))) => {
                Box::pin(self.go_out(admitted, outside)).await
            }
            (admitted, aim) => admitted.and_then(|admitted| self.route(admitted, aim?)),
        };
        self.trace();
        match way {
            Ok(Way::Forward(forward, direct)) => self.forward(&forward, direct, sending).await,
            Ok(Way::Straight(admitted, hop, protocol)) => {
                let in_http2 = self.goes_in_http2(protocol);
                self.straight(&admitted, hop, in_http2, sending).await
            }
            Ok(Way::Redirect(redirected)) => self.redirect(&redirected, sending).await,
            Ok(Way::Preflight(preflight)) => self.preflight(&preflight, sending).await,
            Err(refusal) => self.refuse(&Reason::from(&refusal), sending).await,
        }
    }

    /// Where it wants to go.
    fn aim(&mut self) -> Result<Aim<'a>, Refusal> {
        let aim = self.incoming.aim(self.worker, self.table);
        self.told.destination = self.incoming.destination(self.table, &aim);
        if let Ok(Aim::Port(port)) = aim {
            self.told.decision.calls(port);
        }
        aim
    }

    /// Asks the rules whether to let it in.
    fn examine(&mut self) -> Result<Examined<'a>, Refusal> {
        let policy = self.incoming.policy(self.table)?;
        let peer = &self.incoming.peer;
        let request = &self.head.request;
        let bearer = policy.bearer(request, &self.worker.tokens, self.worker.now().wall);
        let claim = Claim {
            token: bearer.token(),
            ..policy.claim(peer)
        };
        let audits = policy.audits(&claim, Some(request));
        self.told.decision.audited(&audits);
        self.told.bearer = bearer.clone();
        let examined = policy.examine(peer, request.clone(), bearer);
        let examined = examined.map_err(|denied| {
            if let Fact::Known(caller) = policy.claim(peer).caller {
                self.told.decision.comes_from(caller);
            }
            Refusal::Denied(denied)
        })?;
        self.told.decision.comes_from(examined.caller());
        self.told.decision.allowed(examined.allowed());
        if let Allowed::Probe(_) = examined.allowed() {
            self.told.is_probe();
        }
        Ok(examined)
    }

    /// Lets it out of the mesh by the host that it names itself, or says why not.
    async fn go_out(
        &mut self,
        admitted: Admitted<'a>,
        outside: Outside<'a>,
    ) -> Result<Way<'a>, Refusal> {
        let said = match outside.hangs_on_name() {
            true => Said::of(self.head.request.host),
            false => Said::Nothing,
        };
        let audits = outside.audits(&self.worker.host(&outside, said.clone()));
        let audits = audits.into_iter().map(|rule| &rule.origin);
        self.told.decision.also_audited(audits);
        let leave = self.worker.let_out(&outside, said).await?;
        self.told.decision.let_out(&leave);
        if let Some(host) = leave.host() {
            self.told.destination = Party::Outside(host);
        }
        let hop = self.incoming.hop_out(&leave);
        Ok(Way::Straight(admitted.leaving(&leave), hop, Protocol::Http))
    }

    /// Says where it goes.
    fn route(&mut self, admitted: Admitted<'a>, aim: Aim<'a>) -> Result<Way<'a>, Refusal> {
        let (worker, incoming, table) = (self.worker, self.incoming, self.table);
        let port = match aim {
            Aim::Application(address) => {
                let protocol = incoming.protocol(worker, table);
                let hop = incoming.last_hop(table, address);
                return Ok(Way::Straight(admitted, hop, protocol));
            }
            Aim::Outside(_) => unreachable!("whoever leaves the mesh is let out"),
            Aim::Direct(direct) => {
                let forward = table.route_direct(admitted, &direct);
                self.told.decision.goes_to(direct.of);
                return Ok(Way::Forward(forward, Some(direct)));
            }
            Aim::Port(port) => port,
        };
        let dice = &mut worker.dice.borrow_mut();
        Ok(match table.route(admitted, port, dice, None)? {
            Routed::Forward(forward) => {
                self.told.route = forward.route().map(|(_, rule)| &rule.origin);
                self.told.decision.forwarded(&forward);
                self.cross_origin = forward.cross_origin();
                Way::Forward(forward, None)
            }
            Routed::Redirect(redirected) => {
                self.told.route = Some(&redirected.route().1.origin);
                self.cross_origin = redirected.cross_origin();
                Way::Redirect(redirected)
            }
            Routed::Preflight(preflight) => {
                self.told.route = Some(&preflight.rule().origin);
                Way::Preflight(preflight)
            }
        })
    }

    /// Whether a server is spoken to in HTTP/2 where this is spoken: else it is as its client speaks.
    pub(super) fn goes_in_http2(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Http2 | Protocol::Grpc => true,
            Protocol::Http1 => false,
            // Who speaks both takes another protocol in HTTP/1.1: few take one in HTTP/2.
            Protocol::Http | Protocol::Tls | Protocol::Tcp | Protocol::Detect => {
                self.head.version == Version::Http2 && !self.head.upgrade
            }
        }
    }

    /// Sends the caller elsewhere.
    async fn redirect(&mut self, redirected: &Redirected<'_>, sending: Sending<'_>) -> After {
        let location = redirected.location().to_string();
        let headers = [header("location", &location)];
        let changes = [redirected.response_headers(), &self.told_to_browsers()];
        self.answer_own(redirected.status(), &headers, &changes, sending)
            .await
    }

    /// Tells a browser whether a page of another site may call.
    async fn preflight(&mut self, preflight: &Preflight<'_>, sending: Sending<'_>) -> After {
        let headers = preflight.headers();
        self.answer_own(Preflight::STATUS, &[], &[&headers], sending)
            .await
    }

    /// Answers without a body.
    async fn answer_own(
        &mut self,
        status: u16,
        headers: &[Header<'_>],
        changes: &[&HeaderChanges],
        sending: Sending<'_>,
    ) -> After {
        let keep_alive = self.keeps_alive(&sending);
        let changes = ResponseChanges {
            headers: changes,
            own: &[],
            client: self.head.version,
            keep_alive,
        };
        self.told.answered(status);
        let own = Own {
            status,
            headers,
            framing: BodyFraming::Length(0),
            body: &[],
        };
        own.send(sending.client, self.worker, &changes).await
    }

    /// What every answer says to browsers.
    pub(super) fn told_to_browsers(&self) -> HeaderChanges {
        let cross_origin = self.cross_origin.as_ref();
        cross_origin.map(CrossOrigin::answer).unwrap_or_default()
    }

    /// Answers that it is not carried.
    pub(super) async fn refuse(&mut self, reason: &Reason, sending: Sending<'_>) -> After {
        let keep_alive = self.keeps_alive(&sending);
        self.answer(sending.client, reason, keep_alive).await
    }

    /// Whether another request may follow an answer of our own: all of this one has come.
    fn keeps_alive(&self, sending: &Sending<'_>) -> bool {
        sending.has_come() && self.head.keep_alive && sending.client.is_kept(self.worker)
    }

    async fn answer(&mut self, client: Client<'_>, reason: &Reason, keep_alive: bool) -> After {
        self.told.refused(reason);
        let request = &self.head.request;
        let (method, path) = (request.method, request.path.raw());
        let source = self.told.source;
        let destination = match self.told.destination {
            Party::Unknown => self.incoming.named(request.host),
            known => known.to_string(),
        };
        let asked = match reason.code {
            Code::R002 | Code::R003 | Code::R004 | Code::R005 | Code::R066 | Code::R067 => {
                format!("{source} may not {method} {path} on {destination}")
            }
            _ => format!("{method} {path} from {source} to {destination}"),
        };
        let is_call = self.head.version == Version::Http2 && grpc::is_call(request);
        // An answer of gRPC, which is one of 200, would open a stream that is asked for.
        let is_grpc = is_call && !self.head.asks_for_stream();
        if is_grpc {
            self.told.grpc = Some(reason.grpc_status());
        }
        let answer = Answer {
            proxy_of: self.incoming.way.workload().name.as_str(),
            id: self.id,
            asked: &asked,
            version: self.head.version,
            head_only: method == "HEAD",
            is_grpc,
            keep_alive,
            headers: &self.told_to_browsers(),
        };
        answer.send(client, self.worker, reason).await
    }
}

/// The name of a call: the one that the caller's proxy gave it, else a new one.
fn id_of(worker: &Worker, incoming: &Incoming, request: &Request<'_>) -> CallId {
    let told = match incoming.peer.channel {
        Channel::Mtls(_) => request.header(CallId::HEADER).next(),
        Channel::Local(_) | Channel::Plain(_) => None,
    };
    told.and_then(CallId::parse)
        .unwrap_or_else(|| worker.new_id())
}
