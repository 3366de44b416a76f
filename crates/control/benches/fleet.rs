//! How long it takes from `apply` to the last proxy that has adopted the change, and how that grows
//! with the proxies, the mesh and what each proxy knows of it; all in one process. Run it by
//! `cargo bench -p leno-control`. Figures are medians.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use leno_channel::Keyring;
use leno_model::{Name, Namespace, Subscription, view::WorkloadId};
use leno_proxy::Clocks;
use leno_proxy::follow::{Follower, Following, Shown, Wanted, join};
use tokio::sync::watch;

use crate::plane::{apply, measured, start, token};

#[path = "plane/plane.rs"]
mod plane;

/// How large the fleet is that follows.
#[derive(Clone, Copy)]
struct Size {
    proxies: usize,
    /// Services in the mesh.
    services: usize,
    /// Services that each proxy knows.
    known: usize,
}

const SIZES: [Size; 5] = [
    Size::new(10, 200, 10),
    Size::new(100, 200, 10),
    Size::new(400, 200, 10),
    Size::new(100, 200, 200),
    Size::new(100, 1000, 10),
];

/// How often the weight is changed.
const CHANGES: usize = 21;

fn main() {
    println!("proxies  services  known  ms until the last has adopted  ms of CPU");
    for size in SIZES {
        let (mut times, cpu) = measured(2, async |place| run(place, size).await);
        times.sort();
        let median = times.get(CHANGES / 2).copied().unwrap_or_default();
        let Size {
            proxies,
            services,
            known,
        } = size;
        println!(
            "{proxies:>7}  {services:>8}  {known:>5}  {:>29.1}  {:>9.1}",
            median.as_secs_f64() * 1e3,
            cpu.as_secs_f64() * 1e3 / CHANGES as f64
        );
    }
}

impl Size {
    const fn new(proxies: usize, services: usize, known: usize) -> Self {
        Self {
            proxies,
            services,
            known,
        }
    }
}

/// How long each change took, and the CPU time of all of them.
async fn run(place: &Path, size: Size) -> (Vec<Duration>, Duration) {
    let admin = start(place);
    apply(&admin, shop(size.services), "shop").await;
    apply(&admin, route(0), "route").await;
    let token = token(&admin, size.proxies).await;
    let mut adopted = Vec::new();
    for number in 0..size.proxies {
        let folder = place.join(number.to_string());
        join(
            Shown::Token(&token),
            &Wanted::default(),
            &folder,
            Clocks::start(),
        )
        .await
        .expect("it joins");
        adopted.push(follow(folder, number, size.known).await);
    }
    let mut times = Vec::new();
    let before = cpu();
    for change in 1..=CHANGES {
        #[expect(clippy::disallowed_methods, reason = "this measures")]
        let begin = Instant::now();
        let revision = apply(&admin, route(change), "route").await;
        for views in &mut adopted {
            views
                .wait_for(|weight| *weight == change)
                .await
                .expect("it follows");
        }
        times.push(begin.elapsed());
        assert!(revision > 0);
    }
    (times, cpu() - before)
}

/// The CPU time of this process, in hundredths of a second: fields 14 and 15 of proc_pid_stat(5).
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("it is there");
    let (_, fields) = stat.rsplit_once(") ").expect("the name ends so");
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(ticks * 10)
}

/// A proxy that knows so many services; what it gives is the weight that it holds.
async fn follow(folder: PathBuf, number: usize, known: usize) -> watch::Receiver<usize> {
    let web = WorkloadId {
        namespace: Namespace::new("shop").expect("a label"),
        name: Name::new("web").expect("a name"),
    };
    let following = Following {
        name: format!("proxy-{number}"),
        folder,
        workloads: [web].into(),
        tunnel: None,
        token: None,
        seed: number as u64,
    };
    let clocks = Clocks::start();
    let keyring = Arc::new(Keyring::new(clocks.clock()));
    let opened = Follower::open(&following, Arc::clone(&keyring), clocks, |_| {});
    let (mut follower, asker) = opened.expect("it has joined");
    let (tell, weights) = watch::channel(usize::MAX);
    tokio::spawn(async move {
        let adopt = move |view: Arc<leno_model::view::View>, _| {
            let (trust, _) = leno_identity::Trust::new(&view.bundles, view.revoked.clone());
            keyring.judge_by(Arc::new(trust));
            let cart = view
                .services
                .iter()
                .find(|(name, _)| name.name.as_str() == "service-0");
            let ports = cart
                .into_iter()
                .flat_map(|(_, service)| service.ports.values());
            let rules = ports
                .flat_map(|port| &port.producer)
                .flat_map(|routes| &routes.rules);
            for rule in rules {
                if let leno_model::view::Action::Forward(split) = &rule.action {
                    let first = split.parts().first().map_or(0, |part| part.weight);
                    tell.send_replace(first as usize - 1);
                }
            }
        };
        match follower.run(adopt, |_| {}).await {}
    });
    let mut asked = tokio::task::JoinSet::new();
    for service in 0..known {
        let question = format!("service/shop/service-{service}");
        let question = Subscription::parse(&question).expect("a service");
        let asker = asker.clone();
        asked.spawn(async move { asker.ask(question).await });
    }
    for told in asked.join_all().await {
        told.expect("it is told");
    }
    weights
}

fn shop(services: usize) -> String {
    let mut text = String::from(
        "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {name: shop}\n---\n\
         apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {name: web, labels: {app: web}}\n\
         spec: {ports: [{port: 8080, protocol: HTTP}], instances: [{name: web, address: 10.0.0.1}]}\n",
    );
    for service in 0..services {
        text.push_str(&format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: service-{service}}}\n\
             spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080, appProtocol: http}}]}}\n"
        ));
    }
    text
}

fn route(weight: usize) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: route}}\nspec:\n  \
         parentRefs: [{{group: '', kind: Service, name: service-0, port: 80}}]\n  \
         rules: [{{backendRefs: [{{name: service-1, port: 80, weight: {}}}, {{name: service-2, port: 80, weight: 5}}]}}]\n",
        weight + 1
    )
}
