//! `leno install`: puts a control plane into a cluster of Kubernetes. It looks, shows, asks, applies and waits.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use leno_kubernetes::Cluster;
use leno_kubernetes::install::{
    Change, Checked, Installation, NAMESPACE, NetworkFolders, NotApplied, NotReady, Object,
    in_yaml, mesh,
};
use leno_model::{Code, ControlName, Severity, TrustDomain};

use crate::arguments::cluster::{IMAGE, Install, Printed, Reached};
use crate::command::Answer;
use crate::command::bundle::archive::Archive;
use crate::command::cluster::{UNCHANGED, failed, not_applied, print_problem, reach};
use crate::command::contexts::KUBECONFIG;
use crate::offline::count;
use crate::terminal::{Line, Terminal};

/// The trust domain of a mesh of which nobody says another.
const DOMAIN: &str = "cluster.local";

/// Installs a control plane, or prints what that would come to.
pub(crate) fn run(options: &Install, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    if let Some(name) = options.name.as_ref().filter(|_| options.node) {
        return nodes_of_another(name, terminal);
    }
    let chosen = Installation {
        name: options.name.clone(),
        image: options.image.clone(),
        storage_class: options.storage_class.clone(),
        node: options.node,
        network: network(options, NetworkFolders::default()),
    };
    if let Some(form) = options.print {
        print(form, &chosen, options, terminal)?;
        return Ok(Answer::Fine);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(install(options, &chosen, terminal))
}

/// The proxies of a node are one DaemonSet's: two would both want its pods.
fn nodes_of_another(name: &ControlName, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let message = format!(
        "the proxies of nodes are the default control plane's: --node goes without --name {name}"
    );
    failed(Code::K023, message, UNCHANGED, terminal)
}

/// Prints the objects, or writes them to a file. A chart is an archive, and always a file.
fn print(
    form: Printed,
    chosen: &Installation,
    options: &Install,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    if form == Printed::Yaml && options.trust_domain.is_some() {
        bail!("documents hold no Mesh; --trust-domain is for a chart, or for an installation");
    }
    match (form, &options.to) {
        (Printed::Yaml, None) => terminal.text(&in_yaml(&chosen.objects()))?,
        (Printed::Yaml, Some(path)) => {
            let mut file = File::create_new(path).with_context(|| path.display().to_string())?;
            file.write_all(in_yaml(&chosen.objects()).as_bytes())?;
        }
        (Printed::Helm, path) => {
            let path = path
                .as_deref()
                .context("--to names the file of the chart")?;
            let mut chart = Archive::create(path).with_context(|| path.display().to_string())?;
            for (name, text) in chosen.chart(&domain(options)?, env!("CARGO_PKG_VERSION")) {
                chart.add(&name, text.as_bytes())?;
            }
            chart.finish()?;
        }
    }
    Ok(())
}

/// The trust domain of a mesh that is made.
fn domain(options: &Install) -> anyhow::Result<TrustDomain> {
    let named = options.trust_domain.clone();
    Ok(named.map_or_else(|| TrustDomain::new(DOMAIN), Ok)?)
}

/// Says what stands against an installation of this name, with nodes' proxies or without, and changes nothing.
pub(crate) fn check(
    reached: &Reached,
    name: Option<ControlName>,
    node: bool,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    if let Some(name) = name.as_ref().filter(|_| node) {
        return nodes_of_another(name, terminal);
    }
    let chosen = Installation {
        name,
        image: IMAGE.to_owned(),
        storage_class: None,
        node,
        network: NetworkFolders::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cluster = match reach(reached, terminal).await? {
            Ok(cluster) => cluster,
            Err(answer) => return Ok(answer),
        };
        let chosen = match with_nodes(&cluster, &chosen, |told| told).await {
            Ok(chosen) => chosen,
            Err(why) => return not_applied(&why, UNCHANGED, terminal),
        };
        match cluster.check(&chosen, &chosen.objects(), None).await {
            Ok(checked) if show(&checked, terminal)? => Ok(Answer::Fine),
            Ok(_) => Ok(Answer::Bad),
            Err(why) => not_applied(&why, UNCHANGED, terminal),
        }
    })
}

async fn install(
    options: &Install,
    chosen: &Installation,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let cluster = match reach(&options.reached, terminal).await? {
        Ok(cluster) => cluster,
        Err(answer) => return Ok(answer),
    };
    let chosen = &match with_nodes(&cluster, chosen, |told| network(options, told)).await {
        Ok(chosen) => chosen,
        Err(why) => return not_applied(&why, UNCHANGED, terminal),
    };
    let mut objects = chosen.objects();
    let named = options.trust_domain.as_ref();
    let checked = match cluster.check(chosen, &objects, named).await {
        Ok(checked) => checked,
        Err(why) => return not_applied(&why, UNCHANGED, terminal),
    };
    if !show(&checked, terminal)? {
        return Ok(Answer::Bad);
    }
    if checked.meshes.is_empty() && chosen.name.is_none() {
        objects.push(mesh(&domain(options)?));
    }
    let changes = match compare(&cluster, objects, options.force).await {
        Ok(changes) => changes,
        Err(why) => return not_applied(&why, UNCHANGED, terminal),
    };
    terminal.gap()?;
    if changes.is_empty() {
        terminal.line("nothing to change: all of it is there as it is to be")?;
    } else {
        show_changes(&changes, terminal)?;
        if !options.yes && !terminal.confirm("Change the cluster?")? {
            terminal.line(UNCHANGED)?;
            return Ok(Answer::Bad);
        }
        if chosen.node {
            match cluster.stop_clearing(options.wait).await {
                Ok(true) => terminal.progress("nodes are not cleared any more, as was begun"),
                Ok(false) => {}
                Err(why) => return not_applied(&why, UNCHANGED, terminal),
            }
        }
        for (object, change) in &changes {
            if let Err(why) = cluster.apply(object, options.force).await {
                return not_applied(&why, "what was made before it", terminal);
            }
            terminal.progress(Line::new().good(done(change)).plain(" ").plain(object));
        }
    }
    if let Err(why) = wait(&cluster, chosen, options.wait, terminal).await {
        let before = "what was there before";
        return failed(why.code, why.to_string(), before, terminal);
    }
    let ready = Line::new()
        .good("ready")
        .plain(match (&chosen.name, chosen.node) {
            (Some(name), _) => {
                format!("  the control plane {name} runs beside the default one in ")
            }
            (None, false) => "  the control plane runs in ".to_owned(),
            (None, true) => "  the control plane and a proxy on each node run in ".to_owned(),
        });
    terminal.line(ready.plain(NAMESPACE))?;
    let check = check_by(&options.reached, chosen.name.as_ref());
    terminal.line(Line::new().dim("Next   ").plain(check))?;
    Ok(Answer::Fine)
}

/// What is chosen, with the proxies of nodes that are there: who changes something else of an installation does not take
/// them away, and they load the packet rules of the pods of each control plane. Their nodes' folders are those that they
/// were told, but for what `said` makes of them.
async fn with_nodes(
    cluster: &Cluster,
    chosen: &Installation,
    said: impl FnOnce(NetworkFolders) -> NetworkFolders,
) -> Result<Installation, NotApplied> {
    Ok(match cluster.node_proxies().await? {
        None => chosen.clone(),
        Some((_image, told)) => Installation {
            node: true,
            network: said(told),
            ..chosen.clone()
        },
    })
}

/// The folders of nodes that somebody names, and of what nobody does, these.
fn network(options: &Install, otherwise: NetworkFolders) -> NetworkFolders {
    NetworkFolders {
        plugins: options.cni_bin.clone().unwrap_or(otherwise.plugins),
        configurations: options.cni_conf.clone().unwrap_or(otherwise.configurations),
    }
}

/// How the mesh of a cluster is checked from here, by the control plane of this name or by the default one.
fn check_by(reached: &Reached, name: Option<&ControlName>) -> String {
    let file = reached.kubeconfig.as_ref();
    let file = file.map_or_else(String::new, |file| {
        format!("KUBECONFIG={} ", file.display())
    });
    let context = reached.kube_context.as_ref();
    let context = context.map_or_else(String::new, |context| format!(":{context}"));
    let name = name.map_or_else(String::new, |name| format!("/{name}"));
    format!("{file}leno check --context {KUBECONFIG}{name}{context}")
}

/// Waits until all of it is ready.
async fn wait(
    cluster: &Cluster,
    chosen: &Installation,
    patience: Duration,
    terminal: &mut Terminal,
) -> Result<(), NotReady> {
    let mut tell = |why: &str| terminal.progress(Line::new().dim("waiting ").plain(why));
    cluster
        .until_ready(chosen.name.as_ref(), patience, &mut tell)
        .await?;
    match chosen.node && chosen.name.is_none() {
        true => cluster.until_nodes_ready(patience, &mut tell).await,
        false => Ok(()),
    }
}

/// Shows what was looked at, and says whether nothing stands against it.
fn show(checked: &Checked, terminal: &mut Terminal) -> anyhow::Result<bool> {
    for (what, how) in &checked.passed {
        let line = Line::new().good("✓ ").plain(what).column(15, 2);
        terminal.line(line.plain(how))?;
    }
    for problem in &checked.problems {
        terminal.gap()?;
        print_problem(problem, terminal)?;
    }
    let mut problems = checked.problems.iter();
    Ok(problems.all(|problem| problem.severity < Severity::Error))
}

/// The objects that are not as they are to be, and what that takes.
async fn compare(
    cluster: &Cluster,
    objects: Vec<Object>,
    force: bool,
) -> Result<Vec<(Object, Change)>, NotApplied> {
    let mut changes = Vec::new();
    for object in objects {
        match cluster.compare(&object, force).await? {
            Change::Nothing => {}
            change => changes.push((object, change)),
        }
    }
    Ok(changes)
}

/// A line for each object; those of one kind that are all new share one.
fn show_changes(changes: &[(Object, Change)], terminal: &mut Terminal) -> anyhow::Result<()> {
    let together = |one: &(Object, Change), other: &(Object, Change)| {
        let is_new = |it: &(Object, Change)| it.1 == Change::Make;
        is_new(one) && is_new(other) && one.0.kind() == other.0.kind()
    };
    for alike in changes.chunk_by(together) {
        let Some((first, change)) = alike.first() else {
            continue;
        };
        let line = match change {
            Change::Alter(fields) => Line::new()
                .doubtful("~ ")
                .plain(first)
                .column(48, 2)
                .dim(few(fields, 2)),
            Change::Make | Change::Nothing => {
                let line = Line::new().good("+ ").plain(first);
                match alike.len() {
                    1 => line,
                    all => line.plain(format_args!(" and {} more", all - 1)),
                }
            }
        };
        terminal.line(line)?;
    }
    let is_new = |it: &&(Object, Change)| it.1 == Change::Make;
    let made = changes.iter().filter(is_new).count();
    let sum = format!(
        "{} to make, {} to change",
        count(made, "object"),
        changes.len() - made
    );
    terminal.gap()?;
    Ok(terminal.line(sum)?)
}

/// The first of some texts, and how many more there are.
fn few(texts: &[String], most: usize) -> String {
    let shown = texts.iter().take(most).map(String::as_str);
    let shown = shown.collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn done(change: &Change) -> &'static str {
    match change {
        Change::Make | Change::Nothing => "made",
        Change::Alter(_) => "changed",
    }
}
