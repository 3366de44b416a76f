//! How many certificates a control plane signs in a second: asked for by mutual TLS and gRPC as proxies
//! do, each request's own signature checked, each certificate written down before it is given away. Who
//! asks is in the same process. Run it by `cargo bench -p leno-control --bench signing`.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leno_channel::generate_key;
use leno_channel::grpc::Line;
use leno_model::SpiffeId;
use leno_proxy::Clocks;
use leno_proxy::follow::{Folder, Member, Shown, Wanted, join};
use leno_wire::call::RENEW;
use leno_wire::certificates::{Issued, Renew};
use tokio::task::JoinSet;

use crate::plane::{apply, measured, start, token};

#[path = "plane/plane.rs"]
mod plane;

/// How many ask at the same time, each again as soon as it is answered.
const ASKERS: usize = 64;

/// How often each of them asks.
const TIMES: usize = 200;

/// How often all of it is done.
const ROUNDS: usize = 5;

fn main() {
    let mut times = measured(1, run);
    times.sort();
    let median = times.get(ROUNDS / 2).copied().unwrap_or_default();
    let count = ASKERS * TIMES;
    let rate = count as f64 / median.as_secs_f64();
    println!("certificates  ms  per second");
    println!("{count}  {:.0}  {rate:.0}", median.as_secs_f64() * 1e3);
}

/// How long each round took.
async fn run(place: &Path) -> Vec<Duration> {
    let admin = start(place);
    let mesh = "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {name: shop}\n";
    apply(&admin, mesh.into(), "shop").await;
    let token = token(&admin, 1).await;
    let (clocks, folder) = (Clocks::start(), place.join("web"));
    let shown = Shown::Token(&token);
    let joined = join(shown, &Wanted::default(), &folder, clocks.clone()).await;
    let identity = joined.expect("it joins");
    let member = Member::of(Folder::open(&folder).expect("it is there")).expect("it has joined");
    let visit = member.visit(&clocks).await.expect("it is let in");
    let (line, _run) = visit.open();
    let line = Arc::new(line);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(round(&line, &identity).await);
    }
    times
}

/// Lets all ask.
async fn round(line: &Arc<Line>, identity: &SpiffeId) -> Duration {
    let requests = (0..ASKERS).map(|_| {
        let renew = Renew {
            identity: identity.clone(),
            request: generate_key().request(),
            pod: None,
        };
        renew.encode()
    });
    let requests: Vec<_> = requests.collect();
    #[expect(clippy::disallowed_methods, reason = "this measures")]
    let begin = Instant::now();
    let mut asking = JoinSet::new();
    for request in requests {
        let line = Arc::clone(line);
        asking.spawn(async move {
            for _ in 0..TIMES {
                let answer = line.ask(RENEW, &request).await.expect("it is signed");
                Issued::decode(&answer).expect("it can be read");
            }
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.expect("nothing panics");
    }
    begin.elapsed()
}
