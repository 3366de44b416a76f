//! The Unix socket on which processes of this host join: the kernel says who asks.

use std::sync::Arc;
use std::time::Duration;

use leno_agent::Door;
use leno_channel::grpc::{Call, LARGEST_ANONYMOUS_MESSAGE, Status, StatusCode, serve};
use leno_host::Peer;
use leno_wire::call;
use leno_wire::certificates::{Evidence, Join};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::attest::Process;
use crate::center::Center;
use crate::issue;
use crate::serve::asked;

/// How long one may take.
const JOIN_LIMIT: Duration = Duration::from_secs(20);

/// Takes connections for as long as it is polled.
pub(crate) async fn accept(center: Arc<Center>, door: Door) {
    door.run(|stream, peer| {
        let joining = timeout(JOIN_LIMIT, converse(Arc::clone(&center), stream, peer));
        // Whatever came of it, the stranger is gone.
        async { drop(joining.await) }
    })
    .await;
}

async fn converse(center: Arc<Center>, stream: UnixStream, peer: Peer) -> Result<(), Status> {
    let peer = Arc::new(peer);
    let answer = |call| join(Arc::clone(&center), Arc::clone(&peer), call);
    serve(stream, LARGEST_ANONYMOUS_MESSAGE, answer).await
}

async fn join(center: Arc<Center>, peer: Arc<Peer>, call: Call) {
    let Call {
        path,
        mut messages,
        answer,
    } = call;
    let reply = match path.as_str() {
        call::JOIN => {
            asked(&mut messages, Join::decode, move |join| {
                let from = "this host";
                match &join.evidence {
                    Evidence::Process => {
                        let process = Process::of(&peer, &center);
                        issue::join(&center, from, &process, &join)
                    }
                    Evidence::Token { .. } | Evidence::Jwt(_) => Err(Status::new(
                        StatusCode::InvalidArgument,
                        "a token is shown at port 15012",
                    )),
                }
            })
            .await
        }
        _ => Err(Status::new(
            StatusCode::Unimplemented,
            "processes of this host join here, and nothing else",
        )),
    };
    // A client that went away needs no answer.
    drop(answer.reply(reply).await);
}
