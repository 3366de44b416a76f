//! How many certificates a control plane signs in a second: asked for by mutual TLS and gRPC as proxies
//! do, each request's own signature checked, each certificate written down before it is given away. Who
//! asks is in the same process. Run it by `cargo bench -p leno-control --bench signing`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leno_admin::{Apply, Client, CreateToken, File};
use leno_channel::generate_key;
use leno_channel::grpc::Line;
use leno_control::{Control, Settings};
use leno_model::SpiffeId;
use leno_proxy::Clocks;
use leno_proxy::follow::{Folder, Member, Shown, Wanted, join};
use leno_wire::call::RENEW;
use leno_wire::certificates::{Issued, Renew};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

/// How many ask at the same time, each again as soon as it is answered.
const ASKERS: usize = 64;

/// How often each of them asks.
const TIMES: usize = 200;

/// How often all of it is done.
const ROUNDS: usize = 5;

fn main() {
    let place = std::env::temp_dir().join(format!("leno-bench-signing-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("the temporary folder can be written");
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.expect("threads can be started");
    let mut times = runtime.block_on(run(&place));
    runtime.shutdown_timeout(Duration::from_secs(10));
    std::fs::remove_dir_all(&place).expect("it was made above");
    times.sort();
    let median = times.get(ROUNDS / 2).copied().unwrap_or_default();
    let count = ASKERS * TIMES;
    let rate = count as f64 / median.as_secs_f64();
    print("certificates  ms  per second\n");
    print(&format!(
        "{count}  {:.0}  {rate:.0}\n",
        median.as_secs_f64() * 1e3
    ));
}

fn print(line: &str) {
    let told = std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes());
    told.expect("somebody reads it");
}

/// How long each round took.
async fn run(place: &Path) -> Vec<Duration> {
    let listen = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listen.local_addr().expect("it is bound");
    drop(listen);
    let settings = Settings {
        advertise: Some(address.to_string()),
        ..Settings::new(place.join("store"), address, place.join("socket"))
    };
    let control = Control::open(settings, |_| {}).expect("it starts");
    let _control = tokio::spawn(control.run());
    let admin = Client::new(&place.join("socket"));
    apply(&admin).await;
    let token = admin.ask(CreateToken {
        namespace: "shop".into(),
        service_account: Some("web".into()),
        uses: 1,
        seconds: 600,
    });
    let token = token.await.expect("it is made").text;
    let token = token.parse().expect("it is a token");
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

async fn apply(admin: &Client) {
    let apply = Apply {
        files: vec![File {
            path: "shop.yaml".into(),
            text: "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {name: shop}\n".into(),
        }],
        namespace: "shop".into(),
        set: "shop".into(),
        prune: false,
        if_revision: None,
        message: String::new(),
        allow_errors: false,
        watch: None,
        dry_run: false,
    };
    admin.ask(apply).await.expect("it is applied");
}
