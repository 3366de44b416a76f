//! A control plane that follows a large cluster: how soon it is there, and what it holds in memory.

use std::process::Command;
use std::thread;
use std::time::Duration;

use leno_e2e::{World, within};

use super::{CHANGES, Times, now};
use crate::cluster::{said, write};
use crate::{Cluster, Failure, Tier, outside};

const SERVICES: usize = 5_000;
/// Endpoints behind each.
const BEHIND: usize = 4;
const NAMESPACES: usize = 10;

/// How many are written by one `kubectl`, which asks no more than 50 times a second, and how many of these there are.
const TOGETHER: usize = 250;
const AT_ONCE: usize = 4;

/// How long a start may take, and how long the control plane rests before its memory is read once more.
const PATIENCE: Duration = Duration::from_secs(300);
const REST: Duration = Duration::from_secs(30);

/// Fills an API server, and says what is measured of a control plane that follows it, a line for each thing.
pub fn measure(mut tell: impl FnMut(String)) -> Result<(), Failure> {
    let cluster = Cluster::start(Tier::Api)?;
    cluster.define_all()?;
    let namespaces: String = (0..NAMESPACES).map(namespace).collect();
    cluster.apply(&format!("{MESH}{namespaces}"))?;
    cluster.apply(WEB)?;
    cluster.ask(&[
        "patch",
        "pod",
        "web",
        "-n",
        "large-0",
        "--subresource=status",
        "-p",
        RUNS,
    ])?;
    let began = now();
    fill(&cluster)?;
    let (services, endpoints) = (SERVICES, SERVICES * BEHIND);
    tell(format!(
        "{services} Services with {endpoints} endpoints are written  {} s",
        (now() - began) / 1000
    ));
    let world = World::new("");
    let kubeconfig = cluster.kubeconfig().display().to_string();
    for start in ["the first start", "a start from what it kept"] {
        let began = now();
        let control = outside::start(&world, &kubeconfig, &[]);
        let known = until_led(&world, SERVICES - 1)?;
        let read = || control.memory().ok_or_else(|| failed("it has ended"));
        let soon = read()?;
        rest();
        let later = read()?;
        tell(format!(
            "{start}: all is in force after  {} ms; memory {} MB, {} s later {} MB",
            known - began,
            soon / 1_000_000,
            REST.as_secs(),
            later / 1_000_000
        ));
        let changes = changes(&cluster, &world)?.told();
        tell(format!(
            "{start}: from a changed HTTPRoute to decisions by it  {changes}"
        ));
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "what rests is looked at later")]
fn rest() {
    thread::sleep(REST);
}

fn failed(why: &str) -> Failure {
    Failure::of("leno control")(std::io::Error::other(why.to_owned()))
}

/// Writes all Services, and who is behind them.
fn fill(cluster: &Cluster) -> Result<(), Failure> {
    let mut writers: [Vec<Command>; AT_ONCE] = Default::default();
    for (number, first) in (0..SERVICES).step_by(TOGETHER).enumerate() {
        let file = cluster.folder().join(format!("large-{first}.yaml"));
        let all: String = (first..SERVICES.min(first + TOGETHER))
            .map(service)
            .collect();
        write(&file, &all)?;
        let mut kubectl = cluster.command("kubectl");
        kubectl.args(["create", "-f"]).arg(file);
        writers[number % AT_ONCE].push(kubectl);
    }
    let fill = |commands: Vec<Command>| -> Result<(), Failure> {
        let mut commands = commands.into_iter();
        commands.try_for_each(|mut command| said(&mut command).map(drop))
    };
    thread::scope(|scope| {
        let writers = writers.map(|commands| scope.spawn(move || fill(commands)));
        let mut writers = writers.into_iter();
        writers.try_for_each(|writer| writer.join().unwrap_or_else(|_| Err(failed("it panicked"))))
    })
}

/// Waits until a call to the last Service goes to who is behind `service`, and says when that is.
fn until_led(world: &World, service: usize) -> Result<u64, Failure> {
    let last = SERVICES - 1;
    let url = format!("http://large-{last}.large-{}/", last % NAMESPACES);
    let leads = format!("one of {BEHIND} instances of large-{service} ");
    let leads = || {
        let told = outside::told(world, &["why", "large-0/web", &url]);
        told.contains(&leads).then(now)
    };
    within(PATIENCE, leads).ok_or_else(|| failed("calls are not led where they should be"))
}

/// From the moment at which a changed route is accepted to that at which the control plane decides by it.
fn changes(cluster: &Cluster, world: &World) -> Result<Times, Failure> {
    let mut times = Vec::new();
    let last = SERVICES - 1;
    for number in 0..CHANGES {
        let to = last - (number + 1) % 2 * NAMESPACES;
        cluster.apply(&route(last, to))?;
        let accepted = now();
        // It may hold before whoever applied it was told so.
        times.push(until_led(world, to)?.saturating_sub(accepted));
    }
    Ok(Times(times))
}

fn address(service: usize, endpoint: usize) -> String {
    format!(
        "10.{}.{}.{}",
        200 + endpoint,
        service / 250,
        service % 250 + 1
    )
}

fn namespace(number: usize) -> String {
    format!("---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: large-{number}}}}}\n")
}

fn service(number: usize) -> String {
    let endpoints: Vec<_> = (0..BEHIND)
        .map(|endpoint| {
            let address = address(number, endpoint);
            format!("{{addresses: [{address}], conditions: {{ready: true}}, nodeName: n{endpoint}, zone: z{endpoint}}}")
        })
        .collect();
    let meta = format!(
        "name: large-{number}, namespace: large-{}",
        number % NAMESPACES
    );
    format!(
        "---\n{{apiVersion: v1, kind: Service, metadata: {{{meta}, labels: {{app: large-{number}, team: shop}}}}, \
         spec: {{ports: [{{name: http, port: 80}}]}}}}\n\
         ---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, \
         metadata: {{{meta}, labels: {{kubernetes.io/service-name: large-{number}}}}}, addressType: IPv4, \
         endpoints: [{}], ports: [{{name: http, port: 8080}}]}}\n",
        endpoints.join(", ")
    )
}

fn route(of: usize, to: usize) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, \
         metadata: {{name: large, namespace: large-{}}}, spec: {{\
         parentRefs: [{{group: '', kind: Service, name: large-{of}, port: 80}}], \
         rules: [{{backendRefs: [{{name: large-{to}, port: 80}}]}}]}}}}\n",
        of % NAMESPACES
    )
}

const MESH: &str = "{apiVersion: leno.dev/v1alpha1, kind: Mesh, metadata: {name: large}, spec: {trustDomain: large.local}}\n";

/// Who calls.
const WEB: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: large-0}, \
                   spec: {containers: [{name: web, image: web}]}}\n";
const RUNS: &str =
    r#"{"status": {"phase": "Running", "podIP": "10.1.0.7", "podIPs": [{"ip": "10.1.0.7"}]}}"#;
