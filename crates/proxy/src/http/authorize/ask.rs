//! One question on its way: to one endpoint of the authorizer after another, until one answers or the time is
//! over.

use std::rc::Rc;
use std::time::Duration;

use ::http::Request;
use bytes::Bytes;
use leno_authorizer::{Answer, Garbled, HttpQuestion, PATH, Question, check_request, framed};
use leno_model::view::access::{AuthProtocol, ExternalAuth};
use leno_model::view::{PortRef, Protocol};
use leno_model::{CallId, Code, Now};
use leno_telemetry::{
    self as telemetry, Call, Decided, Edge, Event, Headers, Party, Reporter, Security,
};
use leno_traffic::{Ended, NoAnswer, Port, Table, Tried};
use tokio::time::timeout;

use crate::aim::{Hop, party};
use crate::http::authorize::in_http2::{by_grpc, by_http};
use crate::http::authorize::under_way::Place;
use crate::incoming::Incoming;
use crate::telling;
use crate::worker::Worker;

/// How many endpoints are tried.
const MOST_TRIED: usize = 3;

/// A question to one authorizer.
pub(super) struct Asking<'q> {
    pub(super) worker: &'q Rc<Worker>,
    table: &'q Table,
    incoming: &'q Incoming,
    auth: &'q ExternalAuth,
    port: &'q Port,
    /// The name of this call.
    pub(super) id: CallId,
    began: Now,
    question: &'q Question<'q>,
    /// The question as it is asked, which was made before anybody is.
    form: Form,
    _place: Place,
}

/// A question, as it is asked.
pub(super) enum Form {
    Http1(HttpQuestion),
    Http2(Request<()>, Bytes),
}

/// Why one endpoint gave no answer.
pub(super) enum Failed {
    /// It could not be reached, for this reason.
    Unreached(Box<str>),
    /// It broke off.
    Broken,
    /// Its answer does not count.
    Garbled(Garbled),
}

impl From<Garbled> for Failed {
    fn from(garbled: Garbled) -> Self {
        Self::Garbled(garbled)
    }
}

impl<'q> Asking<'q> {
    pub(super) fn new(
        worker: &'q Rc<Worker>,
        table: &'q Table,
        incoming: &'q Incoming,
        auth: &'q ExternalAuth,
        question: &'q Question<'q>,
    ) -> Result<Self, NoAnswer> {
        let port = table.port(&auth.to);
        let port = port.ok_or_else(|| NoAnswer::Unknown(auth.to.clone()))?;
        let form = form(auth, port.protocol(), question).ok_or(NoAnswer::NotTold)?;
        Ok(Self {
            worker,
            table,
            incoming,
            auth,
            port,
            id: worker.new_id(),
            began: worker.now(),
            question,
            form,
            _place: worker.asking.begin(&auth.to)?,
        })
    }

    /// Asks, and tells of it.
    pub(super) async fn ask(&self) -> Result<Answer, NoAnswer> {
        let until = self.began.mono + self.auth.timeout;
        let mut tried = Tried::default();
        let mut last = NoAnswer::Late(self.auth.timeout);
        for number in 1..=MOST_TRIED {
            let now = self.worker.mono();
            let picked = match self.worker.pick(self.port, &tried, now) {
                Ok(picked) => picked,
                Err(_) if number > 1 => break,
                Err(refusal) => {
                    let why = refusal.to_string().into();
                    return self.told(Err(NoAnswer::Away(why)), None);
                }
            };
            tried.add(&picked);
            let endpoint = picked.endpoint();
            let hop = match self.incoming.hop(self.table, endpoint, endpoint.address) {
                Ok(hop) => hop,
                Err(refusal) => {
                    last = NoAnswer::Away(refusal.to_string().into());
                    continue;
                }
            };
            let asked = timeout(until.since(now), self.ask_at(&hop)).await;
            let (ended, answer) = match asked {
                Ok(Ok(answer)) => (Ended::Answered, Some(Ok(answer))),
                Ok(Err(Failed::Garbled(why))) => {
                    let ended = match why {
                        Garbled::Status(500..) | Garbled::Grpc(_) => Ended::Failed,
                        _ => Ended::Answered,
                    };
                    (ended, Some(Err(NoAnswer::Garbled(why))))
                }
                Ok(Err(Failed::Unreached(why))) => {
                    last = NoAnswer::Away(why);
                    (Ended::Unreached, None)
                }
                Ok(Err(Failed::Broken)) => {
                    let address = hop.target.address;
                    last = NoAnswer::Away(format!("{address} broke off before an answer").into());
                    (Ended::Failed, None)
                }
                Err(_late) => {
                    let late = NoAnswer::Late(self.auth.timeout);
                    (Ended::Failed, Some(Err(late)))
                }
            };
            let security = hop.security;
            let at = hop.target.address;
            picked.finish(ended, self.worker.mono());
            if let Some(answer) = answer {
                return self.told(answer, Some((at, security)));
            }
        }
        self.told(Err(last), None)
    }

    async fn ask_at(&self, hop: &Hop<'_>) -> Result<Answer, Failed> {
        match &self.form {
            Form::Http1(question) => self.ask_in_http1(hop, question).await,
            Form::Http2(head, body) => self.ask_in_http2(hop, head, body).await,
        }
    }

    /// Whether it is asked by gRPC.
    pub(super) fn is_by_grpc(&self) -> bool {
        self.auth.protocol == AuthProtocol::Grpc
    }

    /// How long a connection may take.
    pub(super) fn connect_limit(&self) -> Duration {
        self.port.tuning().connect_timeout
    }

    /// Tells of the question as of any call that the workload makes.
    fn told(
        &self,
        answer: Result<Answer, NoAnswer>,
        at: Option<(std::net::SocketAddr, Security)>,
    ) -> Result<Answer, NoAnswer> {
        let workload = self.incoming.workload(self.table);
        let own = &self.table.view().settings.trust_domain;
        let PortRef { service, .. } = &self.auth.to;
        let (method, host, path) = match &self.auth.protocol {
            // The path behind it is hidden or not by who answers for the request that it is of.
            AuthProtocol::Http(prefix) if prefix.is_empty() => {
                (self.question.method, self.question.host, "/")
            }
            AuthProtocol::Http(prefix) => (self.question.method, self.question.host, &**prefix),
            AuthProtocol::Grpc => ("POST", &*authority(&self.auth.to), PATH),
        };
        let why = answer.as_ref().err().map(ToString::to_string);
        let status = match (&answer, self.is_by_grpc()) {
            (Ok(Answer::Refused(refused)), false) => refused.status,
            (Ok(_), _) => 200,
            (Err(NoAnswer::Garbled(Garbled::Status(status))), false) => *status,
            (Err(_), _) => 0,
        };
        let call = Call {
            id: self.id,
            edge: Edge {
                reporter: Reporter::Source,
                source: workload.map_or(Party::Unknown, |workload| party(&workload.identity, own)),
                destination: Party::Known {
                    namespace: service.namespace.as_str(),
                    name: service.name.as_str(),
                },
                security: at.map_or(Security::None, |(_, security)| security),
            },
            route: None,
            peer: self.incoming.from,
            endpoint: at.map(|(address, _)| address),
            began: self.began.wall,
            took: self.worker.mono().since(self.began.mono),
            method,
            host,
            path,
            status,
            grpc: None,
            refused: answer.as_ref().err().map(code_of),
            tries: 1,
            copy_of: None,
            sent: 0,
            received: 0,
            counted: telemetry::Bytes::default(),
            traced: None,
            logged: None,
            decided: Decided {
                workload: Some(self.incoming.way.workload()),
                generation: Some(&self.table.view().generation),
                called: Some(&self.auth.to),
                backend: Some(&self.auth.to),
                why: why.as_deref().unwrap_or_default(),
                ..Decided::default()
            },
        };
        let report = self
            .port
            .report(workload.map(|workload| &workload.id.namespace), None);
        let logged = telling::of_call(report, &call, None, &Headers::default());
        self.worker.report(&Event::Call(Call {
            logged: logged.as_ref(),
            ..call
        }));
        answer
    }
}

/// What the call is told to have ended with.
fn code_of(why: &NoAnswer) -> Code {
    match why {
        NoAnswer::Late(_) => Code::R023,
        NoAnswer::Garbled(_) => Code::R024,
        NoAnswer::Away(_)
        | NoAnswer::TooMany(_)
        | NoAnswer::Busy(_)
        | NoAnswer::Unknown(_)
        | NoAnswer::NotTold => Code::R022,
    }
}

/// A question as it is asked of whoever speaks this; `None` if it cannot be said so.
fn form(auth: &ExternalAuth, spoken: Protocol, question: &Question<'_>) -> Option<Form> {
    let tells = auth.tells.as_deref();
    match &auth.protocol {
        AuthProtocol::Grpc => {
            let message = framed(&check_request(question, tells));
            by_grpc(&authority(&auth.to), message)
        }
        AuthProtocol::Http(path) => {
            let asked = HttpQuestion::new(question, path, tells.unwrap_or_default())?;
            match speaks_http2_only(spoken) {
                true => by_http(asked),
                false => Some(Form::Http1(asked)),
            }
        }
    }
}

/// An authorizer, as its callers name it: `authz.shop:9000`.
fn authority(to: &PortRef) -> String {
    let PortRef { service, port } = to;
    format!("{}.{}:{port}", service.name, service.namespace)
}

fn speaks_http2_only(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Http2 | Protocol::Grpc)
}
