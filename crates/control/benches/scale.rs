//! A control plane for a large cluster: how soon it is there, what it holds, and, while endpoints come and go, after
//! how long each proxy that knows a changed service has adopted the change. The control plane is a process of its own, the
//! cluster is made up, and its proxies follow without carrying calls. Run it by `cargo bench -p leno-control --bench scale`.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use leno_admin::{Client, CreateToken};
use leno_channel::Keyring;
use leno_control::{Control, Settings};
use leno_kubernetes::{Cluster, Where};
use leno_model::{Dice, Name, Namespace, Subscription, TrustDomain, view::View, view::WorkloadId};
use leno_proxy::Clocks;
use leno_proxy::follow::{Follower, Following, Shown, Wanted, join};
use tokio::runtime::Builder;

use crate::api::{Api, pod, route, service};

#[path = "scale/api.rs"]
mod api;

/// How large a mesh is, and what happens in it.
#[derive(Clone, Copy)]
struct Size {
    services: usize,
    proxies: usize,
    /// Endpoints that are replaced, in a second.
    rate: u32,
}

const SIZES: [Size; 4] = [
    Size {
        services: 1250,
        proxies: 100,
        rate: 100,
    },
    Size {
        services: 5000,
        proxies: 100,
        rate: 100,
    },
    Size {
        services: 5000,
        proxies: 1000,
        rate: 10,
    },
    Size {
        services: 5000,
        proxies: 1000,
        rate: 100,
    },
];

/// Of each service.
const ENDPOINTS: usize = 4;
/// Services that each proxy knows.
const KNOWN: usize = 20;
const NAMESPACES: usize = 50;
/// How often a route changes, once endpoints rest.
const ROUTED: usize = 20;
/// How long it is rested before memory is read for the last time: longer than a control plane does before it gives back.
const REST: Duration = Duration::from_secs(15);
/// From one service to the next that changes: it has no divisor in common with how many there are.
const STRIDE: usize = 1847;
/// How long endpoints come and go.
const LASTS: Duration = Duration::from_secs(20);
/// How long the last of them may take.
const LAST: Duration = Duration::from_secs(30);

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, role, place, api] = &words[..]
        && role == "control"
    {
        return control(Path::new(place), api);
    }
    let chosen = words.iter().filter_map(|word| word.parse::<usize>().ok());
    let chosen: Vec<_> = chosen.collect();
    println!(
        "services  endpoints  proxies  changes/s  s first start  s start  MB RSS before proxies  MB RSS after  ms p50  ms p99  ms most  % of a core  ms route p50  ms most  ms of CPU each  MB RSS  MB at rest"
    );
    for (index, size) in SIZES.iter().enumerate() {
        if !chosen.is_empty() && !chosen.contains(&index) {
            continue;
        }
        let place = std::env::temp_dir().join(format!("leno-scale-{}", std::process::id()));
        std::fs::create_dir_all(&place).expect("the temporary folder can be written");
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("threads can be started");
        let told = runtime.block_on(run(&place, *size));
        runtime.shutdown_timeout(Duration::from_secs(1));
        println!(
            "{:>8}  {:>9}  {:>7}  {:>9}  {}",
            size.services,
            size.services * ENDPOINTS,
            size.proxies,
            size.rate,
            told
        );
        std::fs::remove_dir_all(&place).expect("it was made above");
    }
}

/// The control plane, in a process of its own: it says when it is there.
fn control(place: &Path, api: &str) {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("threads can be started");
    runtime.block_on(async {
        let kubeconfig = place.join("kubeconfig");
        let text = format!(
            r#"{{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{{"name":"c","context":{{"cluster":"c","user":"u"}}}}],"clusters":[{{"name":"c","cluster":{{"server":"http://{api}"}}}}],"users":[{{"name":"u","user":{{}}}}]}}"#
        );
        std::fs::write(&kubeconfig, text).expect("the folder can be written");
        let cluster = Cluster::connect(&Where::Kubeconfig { path: Some(kubeconfig), context: None }).await;
        let listen = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listen.local_addr().expect("it is bound");
        drop(listen);
        let settings = Settings {
            advertise: Some(address.to_string()),
            trust_domain: Some(TrustDomain::new("scale.local").expect("a trust domain")),
            cluster: Some(cluster.expect("it is reached")),
            ..Settings::new(place.join("store"), address, place.join("socket"))
        };
        let control = Control::open_to_act(settings, |_| {}).await.expect("it starts");
        println!("there");
        let ended = control.run().await;
        panic!("{ended}");
    });
}

/// The process of the control plane, which ends with this.
struct Process(Child);

impl Process {
    /// Starts one, and says after how long it is there.
    fn start(place: &Path, api: SocketAddr) -> (Self, Duration) {
        let begin = now();
        let own = std::env::current_exe().expect("it runs");
        let child = Command::new(own)
            .args(["control", &place.display().to_string(), &api.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.expect("it can be started");
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        std::io::BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it tells");
        assert_eq!(line, "there\n");
        (Self(child), begin.elapsed())
    }

    /// Megabytes in memory.
    fn resident(&self) -> f64 {
        let path = format!("/proc/{}/status", self.0.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let line = line.expect("it is told").trim().trim_end_matches(" kB");
        line.parse::<f64>().expect("a number") / 1e3
    }

    /// Its CPU time: fields 14 and 15 of proc_pid_stat(5).
    fn cpu(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.0.id());
        let stat = std::fs::read_to_string(path).expect("it runs");
        let (_, fields) = stat.rsplit_once(") ").expect("the name ends so");
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks: u64 = ticks
            .map(|field| field.parse::<u64>().expect("a number"))
            .sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "this measures")]
fn now() -> Instant {
    Instant::now()
}

/// What a mesh is made of, by number.
struct Made;

impl Made {
    fn namespace(service: usize) -> String {
        format!("team-{}", service % NAMESPACES)
    }

    fn service(service: usize) -> String {
        format!("service-{service}")
    }

    /// The pod that is the `time`th in its place.
    fn pod(service: usize, place: usize, time: usize) -> String {
        format!("service-{service}-5d8c7b9f6d-{place}-{time}")
    }

    /// An address that no other has, and that is told from those before it.
    fn address(number: usize) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x0a40_0000 + u32::try_from(number).expect("they are few"))
    }
}

/// When each address came to be, and how long it took to whom.
#[derive(Default)]
struct Watched {
    since: BTreeMap<Ipv4Addr, Instant>,
    took: Vec<Duration>,
    /// Those that the changed route gives a call, in seconds, once the one that knows it has adopted it.
    routed: usize,
}

async fn run(place: &Path, size: Size) -> String {
    let services = (0..size.services).map(|it| {
        let address = Ipv4Addr::from_bits(0x0a20_0000 + u32::try_from(it).expect("they are few"));
        service(
            &Made::namespace(it),
            &Made::service(it),
            &address.to_string(),
        )
    });
    let mut pods = BTreeMap::new();
    for it in 0..size.services {
        for place in 0..ENDPOINTS {
            let (namespace, name) = (Made::namespace(it), Made::pod(it, place, 0));
            let address = Made::address(it * ENDPOINTS + place).to_string();
            let object = pod(&namespace, &Made::service(it), &name, &address);
            pods.insert(format!("{namespace}/{name}"), object);
        }
    }
    let api = Api::new(services.collect(), pods);
    let address = api.serve().await;
    let begin =
        |place: PathBuf| tokio::task::spawn_blocking(move || Process::start(&place, address));
    let (first, first_start) = begin(place.to_owned()).await.expect("it starts");
    drop(first);
    let (process, start) = begin(place.to_owned()).await.expect("it starts");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let alone = process.resident();
    let admin = Client::new(&place.join("socket"));
    let watched = Arc::new(Mutex::new(Watched::default()));
    let mut dice = Dice::new(7);
    let mut known_by = vec![0u32; size.services];
    let mut routed = None;
    let mut tokens = BTreeMap::new();
    for number in 0..size.proxies {
        let namespace = Made::namespace(number);
        if !tokens.contains_key(&namespace) {
            let made = admin.ask(CreateToken {
                namespace: namespace.clone(),
                service_account: Some("default".into()),
                uses: u32::try_from(size.proxies).expect("they are few"),
                seconds: 3600,
            });
            let made = made.await.expect("it is made").text;
            tokens.insert(namespace.clone(), made.parse().expect("it is a token"));
        }
        let folder = place.join(number.to_string());
        let shown = Shown::Token(&tokens[&namespace]);
        let joined = join(shown, &Wanted::default(), &folder, Clocks::start()).await;
        joined.expect("it joins");
        let mut known = BTreeSet::new();
        while known.len() < KNOWN {
            known.insert(any(&mut dice, size.services));
        }
        for service in &known {
            known_by[*service] += 1;
        }
        routed = routed.or(known.first().copied());
        follow(folder, number, known, Arc::clone(&watched)).await;
    }
    stick(place, &tokens[&Made::namespace(0)]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (begin, before) = (now(), process.cpu());
    let mut beat = tokio::time::interval(Duration::from_secs(1) / size.rate);
    let mut expected = 0;
    let mut change = 0;
    while begin.elapsed() < LASTS {
        beat.tick().await;
        change += 1;
        // None twice, and not those that have proxies.
        let service = change * STRIDE % size.services;
        let place = 1 + change / size.services % (ENDPOINTS - 1);
        let (namespace, name) = (Made::namespace(service), Made::service(service));
        let address = Made::address(size.services * ENDPOINTS + change);
        let old = Made::pod(service, place, 0);
        let new = Made::pod(service, place, change);
        let object = pod(&namespace, &name, &new, &address.to_string());
        expected += known_by[service];
        watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .since
            .insert(address, now());
        api.replace(
            &format!("{namespace}/{old}"),
            &format!("{namespace}/{new}"),
            object,
        );
    }
    let spent = process.cpu() - before;
    let took = begin.elapsed();
    let wait = async {
        while watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .took
            .len()
            < expected as usize
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let missed = tokio::time::timeout(LAST, wait).await.is_err();
    let after = process.resident();
    let routes = change_routes(&api, &process, routed.unwrap_or_default(), &watched).await;
    let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
    if missed {
        println!("{} of {expected} changes were adopted", watched.took.len());
    }
    watched.took.sort();
    let rank = |of: f64| {
        let last = watched.took.len().saturating_sub(1) as f64;
        let took = watched.took.get((last * of) as usize).copied();
        took.unwrap_or_default().as_secs_f64() * 1e3
    };
    format!(
        "{:>13.1}  {:>7.1}  {:>21.0}  {:>12.0}  {:>6.0}  {:>6.0}  {:>7.0}  {:>11.0}  {routes}",
        first_start.as_secs_f64(),
        start.as_secs_f64(),
        alone,
        after,
        rank(0.5),
        rank(0.99),
        rank(1.0),
        spent.as_secs_f64() / took.as_secs_f64() * 100.0
    )
}

/// Changes a route of a service, one change after the other, and says how long each took to the first proxy that
/// adopted it, and what it cost.
async fn change_routes(
    api: &Api,
    process: &Process,
    routed: usize,
    watched: &Mutex<Watched>,
) -> String {
    let (namespace, name) = (Made::namespace(routed), Made::service(routed));
    let mut took = Vec::new();
    let before = process.cpu();
    for seconds in 1..=ROUTED {
        let begin = now();
        api.route(route(&namespace, &name, seconds));
        let adopted = || {
            watched
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .routed
                == seconds
        };
        while !adopted() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(begin.elapsed().as_secs_f64() * 1e3);
        // Changes that come one after the other are taken together.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let spent = process.cpu() - before;
    let most = process.resident();
    tokio::time::sleep(REST).await;
    took.sort_by(f64::total_cmp);
    format!(
        "{:>12.0}  {:>7.0}  {:>14.0}  {most:>6.0}  {:>10.0}",
        took[ROUTED / 2],
        took[ROUTED - 1],
        spent.as_secs_f64() * 1e3 / ROUTED as f64,
        process.resident()
    )
}

/// The seconds that the route of any service gives a call.
fn seconds(view: &View) -> Option<usize> {
    let ports = view.services.values().flat_map(|it| it.ports.values());
    let mut rules = ports.flat_map(|port| port.producer.iter().flat_map(|it| &it.rules));
    let timeout = rules.find_map(|rule| rule.request_timeout)?;
    usize::try_from(timeout.as_secs()).ok()
}

/// One of so many.
fn any(dice: &mut Dice, of: usize) -> usize {
    usize::try_from(dice.next_u64() % of as u64).expect("it is less than a count")
}

/// A proxy in front of the first pod of a service, and what it knows.
async fn follow(
    folder: PathBuf,
    number: usize,
    known: BTreeSet<usize>,
    watched: Arc<Mutex<Watched>>,
) {
    let following = Following {
        name: format!("proxy-{number}"),
        folder,
        workloads: [first_of(number)].into(),
        tunnel: Some((Made::address(number * ENDPOINTS), 15008).into()),
        token: None,
        seed: number as u64,
    };
    let clocks = Clocks::start();
    let keyring = Arc::new(Keyring::new(clocks.clock()));
    let opened = Follower::open(&following, Arc::clone(&keyring), clocks, |_| {});
    let (mut follower, asker) = opened.expect("it has joined");
    tokio::spawn(async move {
        let mut seen = BTreeSet::new();
        let adopt = move |view: Arc<View>, _| {
            let (trust, _) = leno_identity::Trust::new(&view.bundles, view.revoked.clone());
            keyring.judge_by(Arc::new(trust));
            let slices = view.endpoints.values().flatten();
            let endpoints = slices.flat_map(|slice| slice.endpoints());
            let now = now();
            let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
            watched.routed = seconds(&view).unwrap_or(watched.routed);
            for endpoint in endpoints {
                if let std::net::IpAddr::V4(address) = endpoint.address.ip()
                    && let Some(since) = watched.since.get(&address).copied()
                    && seen.insert(address)
                {
                    watched.took.push(now - since);
                }
            }
        };
        match follower.run(adopt, |_| {}).await {}
    });
    let mut asked = tokio::task::JoinSet::new();
    for service in known {
        let asker = asker.clone();
        asked.spawn(async move { asker.ask(question(service)).await });
    }
    for told in asked.join_all().await {
        told.expect("it is told");
    }
}

/// A client that takes its first view, and then no byte any more.
async fn stick(place: &Path, token: &leno_wire::JoinToken) {
    let folder = place.join("stuck");
    let wanted = Wanted::default();
    let joined = join(Shown::Token(token), &wanted, &folder, Clocks::start()).await;
    joined.expect("it joins");
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let mut tell = Some(tell);
        runtime.block_on(async {
            let following = Following {
                name: "stuck".into(),
                folder,
                workloads: [first_of(0)].into(),
                tunnel: None,
                token: None,
                seed: 0,
            };
            let clocks = Clocks::start();
            let keyring = Arc::new(Keyring::new(clocks.clock()));
            let opened = Follower::open(&following, keyring, clocks, |_| {});
            let (mut follower, asker) = opened.expect("it has joined");
            for service in 0..1000 {
                let asker = asker.clone();
                tokio::spawn(async move { asker.ask(question(service)).await });
            }
            let adopt = move |view: Arc<View>, _| {
                if view.services.len() > 500
                    && let Some(tell) = tell.take()
                {
                    tell.send(()).expect("it is waited for");
                    loop {
                        std::thread::park();
                    }
                }
            };
            match follower.run(adopt, |_| {}).await {}
        });
    });
    told.await.expect("it holds a view");
}

fn first_of(service: usize) -> WorkloadId {
    WorkloadId {
        namespace: Namespace::new(&Made::namespace(service)).expect("a label"),
        name: Name::new(&Made::pod(service, 0, 0)).expect("a name"),
    }
}

fn question(service: usize) -> Subscription {
    let question = format!(
        "service/{}/{}",
        Made::namespace(service),
        Made::service(service)
    );
    Subscription::parse(&question).expect("a service")
}
