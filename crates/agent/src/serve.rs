//! The calls of the SPIFFE Workload API, each answered by who asks. What is a stream tells again whenever
//! something else would be told, and ends when whoever asks may have it no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leno_channel::Clocks;
use leno_channel::grpc::{
    Answer, Call, LARGEST_ANONYMOUS_MESSAGE, Messages, Status, StatusCode, serve,
};
use leno_host::Peer;
use leno_identity::Credential;
use leno_model::{Mono, SpiffeId};
use leno_wire::tokens::{LONGEST_AUDIENCE, MOST_AUDIENCES};
use prost::Message;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::Event;
use crate::answer;
use crate::attest::{attest, denied};
use crate::certificates::Certificates;
use crate::messages::{
    JwtSvid, JwtSvidRequest, JwtSvids, Struct, ValidateRequest, Validated, call,
};
use crate::served::Served;
use crate::tokens::{self, Tokens};

/// How long a first certificate is waited for.
const FIRST: Duration = Duration::from_secs(15);

/// For how long the same refusal is not told again, and how many are told meanwhile.
const QUIET: Duration = Duration::from_secs(60);
const MOST_TOLD: usize = 256;

/// What a client says with every call, so that no page in a browser can make one.
//= SPIFFE Workload Endpoint section 5: "workload.spiffe.io: true"
const REQUIRED: &str = "workload.spiffe.io";

/// What all calls share.
pub(crate) struct Calls {
    pub(crate) served: watch::Receiver<Arc<Served>>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) tokens: Tokens,
    pub(crate) clocks: Clocks,
    /// Which refusals were told lately, and when.
    pub(crate) told: Mutex<BTreeMap<String, Mono>>,
    pub(crate) tell: Box<dyn Fn(&Event) + Send + Sync>,
}

/// Serves one connection until its other end is gone.
pub(crate) async fn connection(calls: Arc<Calls>, stream: UnixStream, peer: Peer) {
    let peer = Arc::new(peer);
    let answer = |call| Arc::clone(&calls).call(Arc::clone(&peer), call);
    // A client that went away needs no answer.
    drop(serve(stream, LARGEST_ANONYMOUS_MESSAGE, answer).await);
}

impl Calls {
    async fn call(self: Arc<Self>, peer: Arc<Peer>, call: Call) {
        let Call {
            path,
            mut messages,
            mut answer,
        } = call;
        let asked = async {
            if messages.metadata(REQUIRED) != Some(b"true") {
                let message = format!("the metadata {REQUIRED}: true is missing");
                return Err(Status::new(StatusCode::InvalidArgument, message));
            }
            message(&mut messages).await
        };
        let asked = match asked.await {
            Ok(asked) => asked,
            // As above.
            Err(status) => return drop(answer.finish(Err(status))),
        };
        let ended = match path.as_str() {
            call::X509_SVID => self.x509_svids(&peer, &mut answer).await,
            call::X509_BUNDLES => self.bundles(&peer, &mut answer, x509_bundles).await,
            call::JWT_BUNDLES => self.bundles(&peer, &mut answer, jwt_bundles).await,
            call::JWT_SVID => reply(&mut answer, self.jwt_svids(&peer, &asked).await).await,
            call::VALIDATE => reply(&mut answer, self.validate(&peer, &asked).await).await,
            _ => Err(Status::new(
                StatusCode::Unimplemented,
                format_args!("there is no call {path}"),
            )),
        };
        // As above.
        drop(answer.finish(ended));
    }

    async fn x509_svids(&self, peer: &Arc<Peer>, answer: &mut Answer) -> Result<(), Status> {
        let mut served = self.served.clone();
        let mut news = self.certificates.hear();
        let mut last = Vec::new();
        loop {
            news.mark_unchanged();
            let now = Arc::clone(&served.borrow_and_update());
            let ids = self.whom(peer, &now).await?;
            let held = self.credentials(&ids, &mut news).await?;
            let told = answer::x509_svids(&held, &now).encode_to_vec();
            if told != last {
                answer.send(&told).await?;
                for identity in ids {
                    self.given(peer, identity, "a certificate");
                }
                last = told;
            }
            tokio::select! {
                changed = served.changed() => changed.map_err(|_| ending())?,
                changed = news.changed() => changed.map_err(|_| ending())?,
                () = answer.broken_off() => return Ok(()),
            }
        }
    }

    /// A certificate of each, waited for if there is none yet.
    async fn credentials(
        &self,
        ids: &BTreeSet<SpiffeId>,
        news: &mut watch::Receiver<u64>,
    ) -> Result<Vec<Arc<Credential>>, Status> {
        let until = Instant::now() + FIRST;
        loop {
            news.borrow_and_update();
            let held: Vec<_> = ids.iter().map(|id| self.certificates.of(id)).collect();
            let now = self.clocks.now().wall;
            let credentials = held.iter().filter_map(|held| held.credential.clone());
            let credentials = credentials.filter(|it| !it.validity().is_over(now));
            let credentials: Vec<_> = credentials.collect();
            if credentials.len() == ids.len() {
                return Ok(credentials);
            }
            if !matches!(timeout_at(until, news.changed()).await, Ok(Ok(()))) {
                let why = held.into_iter().find_map(|held| held.failed);
                let why = why.unwrap_or_else(|| "it was not signed in time".to_owned());
                let message = format!("there is no certificate: {why}");
                return Err(Status::new(StatusCode::Unavailable, message));
            }
        }
    }

    /// Tells what `of` makes of what is served, to anybody who is somebody here.
    async fn bundles(
        &self,
        peer: &Arc<Peer>,
        answer: &mut Answer,
        of: fn(&Served) -> Vec<u8>,
    ) -> Result<(), Status> {
        let mut served = self.served.clone();
        let mut last = Vec::new();
        loop {
            let now = Arc::clone(&served.borrow_and_update());
            self.whom(peer, &now).await?;
            let told = of(&now);
            if told != last {
                answer.send(&told).await?;
                last = told;
            }
            tokio::select! {
                changed = served.changed() => changed.map_err(|_| ending())?,
                () = answer.broken_off() => return Ok(()),
            }
        }
    }

    async fn jwt_svids(&self, peer: &Arc<Peer>, asked: &[u8]) -> Result<Vec<u8>, Status> {
        let asked = JwtSvidRequest::decode(asked).map_err(|error| invalid(&error))?;
        let fit = |audience: &String| (1..=LONGEST_AUDIENCE).contains(&audience.len());
        let audiences = &asked.audience;
        if !(1..=MOST_AUDIENCES).contains(&audiences.len()) || !audiences.iter().all(fit) {
            let most = MOST_AUDIENCES;
            return Err(invalid(&format_args!(
                "from one to {most} audiences are named"
            )));
        }
        let now = Arc::clone(&self.served.borrow());
        let mut ids = self.whom(peer, &now).await?;
        if !asked.spiffe_id.is_empty() {
            ids.retain(|id| id.to_string() == asked.spiffe_id);
            if ids.is_empty() {
                let why = format!("it is not {}", asked.spiffe_id);
                return Err(self.refused(peer, &why));
            }
        }
        let mut svids = Vec::new();
        for id in ids {
            let token = self.tokens.of(&id, audiences).await;
            let not_signed = |why| {
                let message = format!("no token of {id} was signed: {why}");
                Status::new(StatusCode::Unavailable, message)
            };
            svids.push(JwtSvid {
                spiffe_id: id.to_string(),
                svid: token.map_err(not_signed)?,
            });
            self.given(peer, id, "a token");
        }
        Ok(JwtSvids { svids }.encode_to_vec())
    }

    async fn validate(&self, peer: &Arc<Peer>, asked: &[u8]) -> Result<Vec<u8>, Status> {
        let asked = ValidateRequest::decode(asked).map_err(|error| invalid(&error))?;
        let now = Arc::clone(&self.served.borrow());
        self.whom(peer, &now).await?;
        if asked.audience.is_empty() {
            return Err(invalid(&"no audience is named"));
        }
        let wall = self.clocks.now().wall;
        let judged = tokens::judge(&asked.svid, &asked.audience, &now, wall);
        let (spiffe_id, claims) = judged.map_err(|why| invalid(&why))?;
        let claims = Some(Struct::of(claims.all()));
        Ok(Validated { spiffe_id, claims }.encode_to_vec())
    }

    /// Whom the peer may act as.
    async fn whom(
        &self,
        peer: &Arc<Peer>,
        now: &Arc<Served>,
    ) -> Result<BTreeSet<SpiffeId>, Status> {
        let found = attest(peer, now).await;
        found.map_err(|why| self.refused(peer, &why))
    }

    fn refused(&self, peer: &Peer, why: &str) -> Status {
        let event = Event::Refused {
            to: peer.to_string(),
            why: why.to_owned(),
        };
        if self.is_new(event.to_string()) {
            (self.tell)(&event);
        }
        denied(why)
    }

    /// Whether a refusal was not told lately, and there is room for one more: who asks again and again
    /// fills no log.
    fn is_new(&self, refusal: String) -> bool {
        let now = self.clocks.mono();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.since(*at) < QUIET);
        told.len() < MOST_TOLD && told.insert(refusal, now).is_none()
    }

    fn given(&self, peer: &Peer, identity: SpiffeId, what: &'static str) {
        (self.tell)(&Event::Given {
            to: peer.to_string(),
            identity,
            what,
        });
    }
}

fn x509_bundles(served: &Served) -> Vec<u8> {
    answer::x509_bundles(served).encode_to_vec()
}

fn jwt_bundles(served: &Served) -> Vec<u8> {
    answer::jwt_bundles(served).encode_to_vec()
}

/// The one message of a call.
async fn message(messages: &mut Messages) -> Result<Vec<u8>, Status> {
    let message = messages.next().await?;
    let message = message.ok_or_else(|| invalid(&"the call has no message"))?;
    Ok(message.to_vec())
}

async fn reply(answer: &mut Answer, reply: Result<Vec<u8>, Status>) -> Result<(), Status> {
    answer.send(&reply?).await
}

fn invalid(why: &dyn ToString) -> Status {
    Status::new(StatusCode::InvalidArgument, why.to_string())
}

fn ending() -> Status {
    Status::new(StatusCode::Unavailable, "the agent ends")
}
