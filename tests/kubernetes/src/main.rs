//! `leno-cluster`: a cluster for people, and the two processes that take care of one. `cargo xtask kubernetes` runs it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to whoever runs it"
)]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use leno_cluster::{
    Cluster, Failure, Families, Nodes, Placement, Runtime, Tier, conformance, figures, inside,
    keeper,
};
use tokio::signal::unix::{SignalKind, signal};

const HELP: &str = "\
A real Kubernetes on this host, for as long as you like: one node or two, without Docker, and nothing of it remains.

Usage: cargo xtask kubernetes [--api | [--nodes 2] [--leno PLACEMENT]] [-- COMMAND ..]

  cargo xtask kubernetes                      start a node, say how to use it, keep it until Ctrl-C
  cargo xtask kubernetes -- kubectl get pods -A
                                              start one, run a command with it, end it
  cargo xtask kubernetes --nodes 2            two nodes, whose pods reach each other; --leno may follow
  cargo xtask kubernetes --ipv6               addresses of IPv6 alone; --nodes or --leno may follow
  cargo xtask kubernetes --crio               CRI-O in containerd's place; --leno may follow
  cargo xtask kubernetes --api                etcd and API server alone: ready in seconds, no pods
  cargo xtask kubernetes --leno sidecar       a node with Leno as it was built last (or: node, with a proxy on it)
  cargo xtask kubernetes --test               what is tried on a cluster, one test after the other
  cargo xtask kubernetes --figures node       how soon what holds there, with a proxy on the node (or: sidecar)
  cargo xtask kubernetes --figures large      what a control plane takes that follows 5,000 Services

Commands find KUBECONFIG, and a `kubectl` of the same version. The first time Kubernetes is built from its Go modules,
about ten minutes; it is kept in ~/.cache/leno/programs. It takes root, and a node takes cgroups of version 1.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<ExitCode, Box<dyn Error>> {
    match words {
        ["keep", kind, folder] => keeper::keep(kind, Path::new(folder))?,
        ["inside", kind, folder] => inside::serve(kind, Path::new(folder))?,
        ["conformance"] => {
            control()?;
            conform(Placement::Sidecar, None)?;
            return conform(Placement::Node, None);
        }
        ["conformance", "--only", "none"] => return control(),
        ["conformance", "--only", placement, rest @ ..] => {
            let placement = Placement::named(placement).ok_or("none, sidecar or node")?;
            return conform(placement, rest.first().copied());
        }
        ["--figures", "large"] => figures::large::measure(|line| println!("{line}"))?,
        ["--figures", placement] => {
            let placement = Placement::named(placement).ok_or("sidecar, node or large")?;
            figures::measure(placement, |line| println!("{line}"))?;
        }
        ["--help" | "-h"] => print!("{HELP}"),
        ["--api", rest @ ..] => return serve("An API server", rest, || Cluster::start(Tier::Api)),
        ["--ipv6", rest @ ..] => return serve_nodes(Families::Six.into(), rest),
        ["--crio", rest @ ..] => return serve_nodes(Runtime::CriO.into(), rest),
        rest => return serve_nodes(Nodes::default(), rest),
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts nodes of this kind, with Leno where that is asked for.
fn serve_nodes(nodes: Nodes, words: &[&str]) -> Result<ExitCode, Box<dyn Error>> {
    let (tier, words) = match words {
        ["--nodes", "1", rest @ ..] => (Tier::Node, rest),
        ["--nodes", "2", rest @ ..] => (Tier::TwoNodes, rest),
        ["--nodes", ..] => return Err("--nodes is 1 or 2".into()),
        rest => (Tier::Node, rest),
    };
    let what = match tier {
        Tier::TwoNodes => "A cluster of two nodes",
        Tier::Api | Tier::Node => "A node",
    };
    match words {
        ["--leno", placement, rest @ ..] => {
            let placement = Placement::named(placement).ok_or("sidecar or node")?;
            serve(&format!("{what} with Leno"), rest, || {
                with_leno(tier, nodes, placement)
            })
        }
        rest => serve(what, rest, || Cluster::start_with(tier, nodes)),
    }
}

/// Starts a cluster for a command, or for as long as somebody wants it.
fn serve(
    what: &str,
    rest: &[&str],
    start: impl FnOnce() -> Result<Cluster, Failure>,
) -> Result<ExitCode, Box<dyn Error>> {
    let start = || {
        eprintln!("Starting; Kubernetes is built first where it was not yet.");
        start()
    };
    match rest {
        [] => {
            let cluster = start()?;
            print!("{}", usage(what, &cluster));
            until_interrupted(&cluster)?;
            eprintln!("Ending.");
            Ok(ExitCode::SUCCESS)
        }
        ["--", program, arguments @ ..] => {
            let cluster = start()?;
            let mut command = cluster.command(program);
            let status = command.args(arguments).status();
            let status = status.map_err(|error| format!("{program}: {error}"))?;
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
        }
        [word, ..] => {
            eprint!("`{word}` is not understood\n\n{HELP}");
            Ok(ExitCode::from(2))
        }
    }
}

/// Runs the conformance suite where nothing is a mesh: what passes there proves nothing, and what needs one must fail.
fn control() -> Result<ExitCode, Box<dyn Error>> {
    let log = std::env::temp_dir().join("leno-conformance-control.log");
    eprintln!(
        "Running the suite without a mesh, for several minutes: {}",
        log.display()
    );
    let outcomes = conformance::without_mesh(&log)?;
    let mut blind = 0;
    for (name, passed) in &outcomes {
        let needs = conformance::NEEDS_A_MESH.contains(&name.as_str());
        let meaning = match (needs, passed) {
            (true, false) => "fails, as it must",
            (true, true) => "PASSES WITHOUT A MESH",
            (false, true) => "passes: pods reach each other",
            (false, false) => "FAILS, though it needs no mesh",
        };
        println!("{name:<40} {meaning}");
        blind += usize::from(needs == *passed);
    }
    let mut missing = conformance::NEEDS_A_MESH.to_vec();
    missing.retain(|name| !outcomes.contains_key(*name));
    if blind == 0 && missing.is_empty() {
        println!("The suite can tell a mesh from none.");
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("tests that ended otherwise: {blind}; not run: {missing:?}").into())
}

/// Runs the conformance suite on a node with Leno: all of its tests must pass.
fn conform(placement: Placement, only: Option<&str>) -> Result<ExitCode, Box<dyn Error>> {
    let name = format!("leno-conformance-{}", placement.name());
    let log = std::env::temp_dir().join(&name).with_extension("log");
    let report = std::env::temp_dir().join(&name).with_extension("yaml");
    eprintln!(
        "Running the suite with a mesh ({}): {}",
        placement.name(),
        log.display()
    );
    let outcomes = conformance::with_mesh(placement, only, &log, &report)?;
    for (name, passed) in &outcomes {
        println!("{name:<48} {}", if *passed { "passes" } else { "FAILS" });
    }
    let failed = outcomes.values().filter(|passed| !**passed).count();
    if failed > 0 || outcomes.is_empty() {
        return Err(format!("{failed} of {} tests failed", outcomes.len()).into());
    }
    if only.is_none() && outcomes.len() != conformance::ALL {
        let (ran, all) = (outcomes.len(), conformance::ALL);
        return Err(format!("{ran} tests ran of the {all} that the suite has").into());
    }
    println!(
        "All {} tests pass; the report: {}",
        outcomes.len(),
        report.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Nodes on which Leno is installed.
fn with_leno(tier: Tier, nodes: Nodes, placement: Placement) -> Result<Cluster, Failure> {
    let cluster = Cluster::for_leno_with(tier, nodes)?;
    eprint!("{}", cluster.install_leno(placement)?);
    Ok(cluster)
}

fn usage(what: &str, cluster: &Cluster) -> String {
    let (folder, kubeconfig) = (cluster.folder().display(), cluster.kubeconfig().display());
    let logs = cluster
        .folders()
        .iter()
        .map(|folder| format!("Logs of its components: {}/logs\n", folder.display()))
        .collect::<String>();
    format!(
        "\
{what} is ready. Use it from another terminal:

  export KUBECONFIG={kubeconfig}
  export PATH={folder}/bin:$PATH
  kubectl get all -A

{logs}Ctrl-C ends it, and nothing of it remains.
"
    )
}

/// Returns when somebody wants the cluster to end; fails if a part of it ends before.
fn until_interrupted(cluster: &Cluster) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let [mut interrupt, mut terminate] = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ];
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                () = tokio::time::sleep(LOOK) => cluster.check()?,
            }
        }
    })
}

/// How often it is looked whether all of a cluster still runs.
const LOOK: Duration = Duration::from_secs(1);
