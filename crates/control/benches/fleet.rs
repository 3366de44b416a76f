//! How long it takes from `apply` to the last of a hundred proxies that has adopted the change, all
//! in one process: `cargo bench -p leno-control`. Prints milliseconds: the median and the worst.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use leno_admin::{Apply, Client, CreateToken, File};
use leno_channel::Keyring;
use leno_control::{Control, Settings};
use leno_model::{Name, Namespace, Subscription, view::WorkloadId};
use leno_proxy::Clocks;
use leno_proxy::follow::{Follower, Following, join};
use tokio::sync::watch;

const PROXIES: usize = 100;
const SERVICES: usize = 200;
const CHANGES: usize = 21;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let place = std::env::temp_dir().join(format!("leno-bench-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("the temporary folder can be written");
    let times = run(&place).await;
    let mut sorted = times.clone();
    sorted.sort();
    let mut line = String::from("apply to the last of 100 proxies:");
    let median = sorted.get(CHANGES / 2).copied().unwrap_or_default();
    let worst = sorted.last().copied().unwrap_or_default();
    write!(line, " median {median:?}, worst {worst:?}").expect("a string takes everything");
    std::io::Write::write_all(&mut std::io::stdout(), format!("{line}\n").as_bytes())
        .expect("somebody reads it");
    std::fs::remove_dir_all(&place).expect("it was made above");
}

async fn run(place: &Path) -> Vec<Duration> {
    let listen = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listen.local_addr().expect("it is bound");
    drop(listen);
    let settings = Settings {
        data: place.join("store"),
        listen: address,
        advertise: Some(address.to_string()),
        socket: place.join("socket"),
        folders: Vec::new(),
        trust_domain: None,
        mesh: None,
    };
    let control = Control::open(settings, |_| {}).await.expect("it starts");
    let _control = tokio::spawn(control.run());
    let admin = Client::new(&place.join("socket"));
    apply(&admin, shop(), "shop").await;
    apply(&admin, route(0), "route").await;
    let token = admin.ask(CreateToken {
        namespace: "shop".into(),
        service_account: Some("web".into()),
        uses: u32::try_from(PROXIES).expect("a hundred"),
        seconds: 600,
    });
    let token = token
        .await
        .expect("it is made")
        .text
        .parse()
        .expect("it is a token");
    let mut adopted = Vec::new();
    for number in 0..PROXIES {
        let folder = place.join(number.to_string());
        join(&token, None, &folder, Clocks::start())
            .await
            .expect("it joins");
        adopted.push(follow(folder, number).await);
    }
    let mut times = Vec::new();
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
    times
}

/// A proxy that knows every service; what it gives is the weight that it holds.
async fn follow(folder: PathBuf, number: usize) -> watch::Receiver<usize> {
    let web = WorkloadId {
        namespace: Namespace::new("shop").expect("a label"),
        name: Name::new("web").expect("a name"),
    };
    let following = Following {
        name: format!("proxy-{number}"),
        folder,
        workloads: [web].into(),
        tunnel: None,
        seed: number as u64,
    };
    let clocks = Clocks::start();
    let keyring = Arc::new(Keyring::new(clocks.clock()));
    let opened = Follower::open(&following, Arc::clone(&keyring), clocks, |_| {});
    let (follower, asker) = opened.expect("it has joined");
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
    for service in 0..SERVICES {
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

async fn apply(admin: &Client, text: String, set: &str) -> u64 {
    let applied = admin.ask(Apply {
        files: vec![File {
            path: format!("{set}.yaml"),
            text,
        }],
        namespace: "shop".into(),
        set: set.into(),
        prune: false,
        if_revision: None,
        message: String::new(),
        allow_errors: false,
    });
    applied.await.expect("it is applied").status.revision
}

fn shop() -> String {
    let mut text = String::from(
        "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {name: shop}\n---\n\
         apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {name: web, labels: {app: web}}\n\
         spec: {ports: [{port: 8080, protocol: HTTP}], instances: [{name: web, address: 10.0.0.1}]}\n",
    );
    for service in 0..SERVICES {
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
