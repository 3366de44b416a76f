//! Port 15012: proxies join, renew and are told their views; people with a role ask. Each connection and each call is a task
//! of its own, and ends with what it rests on: the peer's certificate, its not being revoked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use leno_admin::remote::ADMINISTER;
use leno_channel::grpc::{
    Call, Entered, LARGEST_ANONYMOUS_MESSAGE, LARGEST_MESSAGE, Messages, Status, StatusCode, serve,
};
use leno_identity::Caller;
use leno_model::{Code, ControlName, SpiffeId};
use leno_wire::beside::Endorse;
use leno_wire::call;
use leno_wire::certificates::{Evidence, Join, Leave, Readmit, Renew, Time, control_plane};
use leno_wire::flows::Taken;
use leno_wire::looks::Look;
use leno_wire::tokens::Mint;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::attest::{OidcToken, Token};
use crate::center::Center;
use crate::entitled::{Entitled, beside, is_of_nodes, node_of};
use crate::flows::NotTaken;
use crate::holders::Seat;
use crate::strangers::Strangers;
use crate::{
    auditing, distribute, flows, issue, lead, mint, placing, readmit, relay, remote, troubled, web,
};

/// How many connections there may be.
const MOST_CONNECTIONS: usize = 20_000;

/// How long somebody who has no certificate may take to join.
const JOIN_LIMIT: Duration = Duration::from_secs(20);

/// How long a connection whose peer is trusted no more may take to end by itself.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long accepting rests when no file descriptor is left.
const REST: Duration = Duration::from_millis(50);

/// Takes connections for as long as it is polled.
pub(crate) async fn accept(center: Arc<Center>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let strangers = Arc::new(Strangers::default());
    let mut connections = JoinSet::new();
    loop {
        while let Some(ended) = connections.try_join_next() {
            if ended.is_err() {
                center.trouble(
                    Code::D001,
                    "a connection of a proxy panicked and was closed",
                );
            }
        }
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let Ok((stream, peer)) = listener.accept().await else {
            sleep(REST).await;
            continue;
        };
        let (center, strangers) = (Arc::clone(&center), Arc::clone(&strangers));
        connections.spawn(async move {
            let _permit = permit;
            connection(center, strangers, stream, peer).await;
        });
    }
}

async fn connection(
    center: Arc<Center>,
    strangers: Arc<Strangers>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let Some(stranger) = strangers.enter(peer.ip()) else {
        return;
    };
    let Some(told) = center.authority.told() else {
        return;
    };
    // Small messages go back and forth.
    drop(stream.set_nodelay(true));
    let own = control_plane(&told.domain);
    // Whoever is trusted otherwise during the handshake is judged again.
    let mut editions = center.editions.subscribe();
    let mut judged_by = Arc::clone(&editions.borrow().trusted);
    // Who is not believed was told so in the handshake.
    let entered = Box::pin(center.keyring.enter(stream, &own)).await;
    let Ok(Entered {
        stream,
        caller,
        is_web,
    }) = entered
    else {
        return;
    };
    if is_web {
        return web::serve(center, stream).await;
    }
    let Some((caller, proof)) = caller else {
        let answer = |call| join(Arc::clone(&center), peer, call);
        // Whatever came of it, the stranger is gone.
        drop(timeout(JOIN_LIMIT, serve(stream, LARGEST_ANONYMOUS_MESSAGE, answer)).await);
        return;
    };
    let is_of_peer = caller.id().trust_domain != told.domain;
    let mut left = caller.ends().since(center.clocks.now().wall);
    match is_of_peer && !administers(&center, caller.id()) {
        // It is believed, and has no business here but to be told so.
        true => left = left.min(JOIN_LIMIT),
        false => drop(stranger),
    }
    let distrusted = async {
        while editions.changed().await.is_ok() {
            let trusted = Arc::clone(&editions.borrow_and_update().trusted);
            if Arc::ptr_eq(&trusted, &judged_by) {
                continue;
            }
            let revoked = trusted.revoked.contains(caller.id());
            if revoked || center.keyring.judge(&proof).is_err() {
                break;
            }
            judged_by = trusted;
        }
        // For its calls to say why.
        sleep(LAST_WORDS).await;
    };
    let seat = proof.leaf().map(|leaf| {
        let holders = &center.holders;
        match is_of_peer {
            // Nobody of another trust domain is waited for.
            true => holders.seat_of(leaf),
            false => holders.seat(leaf, caller.id(), caller.ends()),
        }
    });
    let Some(seat) = seat else {
        return;
    };
    let peer = Peer {
        caller: caller.clone(),
        is_of_peer,
        address: peer,
        seat,
    };
    let answer = |call| answer(Arc::clone(&center), peer.clone(), call);
    tokio::select! {
        // Why it ended is told by its calls.
        _ = serve(stream, LARGEST_MESSAGE, answer) => {}
        () = distrusted => {}
        () = sleep(left) => {}
    }
}

/// Whether somebody has a role in this mesh.
fn administers(center: &Center, id: &SpiffeId) -> bool {
    center.edition().mesh.administration.contains_key(id)
}

/// Somebody who has proven who it is, at the other end of a connection.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) caller: Caller,
    /// Whether it is of another trust domain.
    is_of_peer: bool,
    pub(crate) address: SocketAddr,
    pub(crate) seat: Seat,
}

impl Peer {
    /// The node that it serves, if it is the proxy of one.
    pub(crate) fn node(&self, center: &Center) -> Option<Arc<str>> {
        let pod = self.seat.pod()?;
        node_of(self.caller.id(), &pod, &center.presence.reported().pods)
    }

    /// Which control plane beside this one it is; else why it is none.
    pub(crate) fn beside(&self, center: &Center) -> Result<ControlName, Status> {
        if center.principal.is_some() {
            return Err(lead::stranger("this is not the default control plane"));
        }
        let pods = center.presence.reported().pods;
        let pod = self.seat.pod();
        let name = pod.and_then(|pod| beside(self.caller.id(), &pod, &pods));
        name.ok_or_else(|| {
            let why = "this is for control planes beside this one, and you are none that is seen in the cluster";
            lead::stranger(why)
        })
    }

    /// Whether it once proved to be the pod of a node's proxy, which may be gone.
    pub(crate) fn has_been_a_pod_of_nodes(&self) -> bool {
        is_of_nodes(self.caller.id()) && self.seat.pod().is_some()
    }
}

/// Answers a call of somebody who has proven nothing.
async fn join(center: Arc<Center>, peer: SocketAddr, call: Call) {
    let Call {
        path,
        mut messages,
        answer,
    } = call;
    let reply = match path.as_str() {
        call::JOIN => {
            asked(&mut messages, Join::decode, move |join| {
                let from = peer.ip().to_string();
                match &join.evidence {
                    Evidence::Token { id, secret } => {
                        let token = Token {
                            id: id.clone(),
                            secret: secret.clone(),
                        };
                        issue::join(&center, &from, &token, &join)
                    }
                    Evidence::Jwt(text) => {
                        let token = OidcToken { text: text.clone() };
                        issue::join(&center, &from, &token, &join)
                    }
                    Evidence::Process => Err(Status::new(
                        StatusCode::Unauthenticated,
                        "nothing was shown that proves anything",
                    )),
                }
            })
            .await
        }
        call::READMIT => {
            asked(&mut messages, Readmit::decode, move |ask| {
                readmit::readmit(&center, peer.ip(), &ask)
            })
            .await
        }
        // It is no secret, and whoever has lost it cannot prove anything.
        call::TIME => Ok(Time(center.clocks.now().wall).encode()),
        call::RENEW
        | call::MINT
        | call::LEAVE
        | call::DISTRIBUTE
        | call::ANSWER
        | call::REPORT
        | call::LOOK
        | call::PLACE
        | call::TROUBLES
        | call::ENDORSE
        | call::FOLLOW => Err(Status::new(
            StatusCode::Unauthenticated,
            "this takes a certificate",
        )),
        ADMINISTER => Err(remote::nobody(&center, peer.ip()).await),
        _ => Err(unknown(&path)),
    };
    // A client that went away needs no answer.
    drop(answer.reply(reply).await);
}

/// Answers a call of `peer`.
async fn answer(center: Arc<Center>, peer: Peer, call: Call) {
    let Call {
        path,
        mut messages,
        answer,
    } = call;
    let is_for_people = [ADMINISTER, call::RENEW, call::LEAVE, call::TIME];
    if peer.caller.id().is_person() && !is_for_people.contains(&path.as_str()) {
        let status = Status::new(StatusCode::PermissionDenied, "this is for proxies");
        // A client that went away needs no answer.
        return drop(answer.reply(Err(status)).await);
    }
    if peer.is_of_peer && path != ADMINISTER {
        let message = "this is for proxies of this mesh, and you are of another trust domain";
        let status = Status::new(StatusCode::PermissionDenied, message);
        // As above.
        return drop(answer.reply(Err(status)).await);
    }
    let reply = match path.as_str() {
        call::DISTRIBUTE => {
            let call = Call {
                path,
                messages,
                answer,
            };
            return distribute::run(&center, &peer, call).await;
        }
        call::ANSWER => {
            let call = Call {
                path,
                messages,
                answer,
            };
            return relay::run(&center, peer.address, call).await;
        }
        ADMINISTER => {
            let call = Call {
                path,
                messages,
                answer,
            };
            return remote::run(&center, &peer, call).await;
        }
        call::TROUBLES => {
            let call = Call {
                path,
                messages,
                answer,
            };
            return troubled::run(&center, peer.address, call).await;
        }
        call::FOLLOW => {
            let call = Call {
                path,
                messages,
                answer,
            };
            return lead::run(&center, &peer, call).await;
        }
        call::ENDORSE => {
            asked(&mut messages, Endorse::decode, move |ask| {
                lead::endorse(&center, &peer, &ask)
            })
            .await
        }
        call::RENEW => {
            asked(&mut messages, Renew::decode, move |renew| {
                issue::renew(&center, &peer, &renew)
            })
            .await
        }
        call::REPORT => {
            let bytes = |message: &[u8]| Ok::<_, Infallible>(message.to_vec());
            asked(&mut messages, bytes, move |message| {
                let (edition, node) = (center.edition(), peer.node(&center));
                let proven = peer.caller.id();
                let entitled = Entitled::new(&edition.mesh, proven, node.as_deref());
                let may_act_as = |id: &SpiffeId| entitled.may_act_as(id);
                let taken = flows::take(&center, proven, may_act_as, &message);
                taken.map(Taken::encode).map_err(|why| not_taken(&why))
            })
            .await
        }
        call::MINT => {
            asked(&mut messages, Mint::decode, move |ask| {
                let (edition, node) = (center.edition(), peer.node(&center));
                let entitled = Entitled::new(&edition.mesh, peer.caller.id(), node.as_deref());
                mint::mint(&center, &entitled, &ask).map(|minted| minted.encode())
            })
            .await
        }
        call::LOOK => {
            asked(&mut messages, Look::decode, move |look| {
                let written = auditing::looked(&center, peer.caller.id(), peer.address.ip(), &look);
                let written = written.map(|()| Vec::new());
                written.map_err(|why| Status::new(StatusCode::Unavailable, why.message))
            })
            .await
        }
        call::PLACE => placing::place(&center, &peer, &mut messages).await,
        call::TIME => Ok(Time(center.clocks.now().wall).encode()),
        call::LEAVE => {
            asked(&mut messages, Leave::decode, move |leave| {
                issue::leave(&center, &peer, &leave)
            })
            .await
        }
        call::JOIN | call::READMIT => {
            let message = "you have a certificate: renew it";
            Err(Status::new(StatusCode::InvalidArgument, message))
        }
        _ => Err(unknown(&path)),
    };
    // As above.
    drop(answer.reply(reply).await);
}

fn not_taken(why: &NotTaken) -> Status {
    let code = match why {
        NotTaken::Misfit(_) => StatusCode::InvalidArgument,
        NotTaken::Failed(_) => StatusCode::Unavailable,
    };
    Status::new(code, why)
}

fn unknown(path: &str) -> Status {
    Status::new(
        StatusCode::Unimplemented,
        format_args!("there is no call {path}"),
    )
}

/// Reads the one message of a call, and lets a thread that may wait answer it.
pub(crate) async fn asked<Q: Send + 'static, E: ToString>(
    messages: &mut Messages,
    decode: impl FnOnce(&[u8]) -> Result<Q, E>,
    answer: impl FnOnce(Q) -> Result<Vec<u8>, Status> + Send + 'static,
) -> Result<Vec<u8>, Status> {
    let nothing = || Status::new(StatusCode::InvalidArgument, "the call has no message");
    let message = messages.next().await?.ok_or_else(nothing)?;
    let invalid = |error: E| Status::new(StatusCode::InvalidArgument, error);
    let question = decode(&message).map_err(invalid)?;
    let answered = tokio::task::spawn_blocking(move || answer(question)).await;
    answered.unwrap_or_else(|_| Err(Status::new(StatusCode::Internal, "the call panicked")))
}
