//! `leno uninstall`: takes out of a cluster what `leno install` has put there. It shows, asks, and waits until all of it
//! is gone.

use leno_kubernetes::Cluster;
use leno_kubernetes::install::{Installed, NAMESPACE, Object, Problem};
use leno_model::{Code, ControlName, Severity};
use leno_resources::pod::CONTROL as LABEL;

use crate::arguments::cluster::Uninstall;
use crate::command::Answer;
use crate::command::cluster::{UNCHANGED, failed, not_applied, print_problem, reach};
use crate::offline::count;
use crate::terminal::{Line, Terminal};

/// Takes it away.
pub(crate) fn run(options: &Uninstall, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(uninstall(options, terminal))
}

async fn uninstall(options: &Uninstall, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let cluster = match reach(&options.reached, terminal).await? {
        Ok(cluster) => cluster,
        Err(answer) => return Ok(answer),
    };
    let looked = match options.nodes {
        true => cluster.installed_on_nodes().await,
        false => {
            let name = options.name.as_ref();
            cluster.installed(name, options.with_objects).await
        }
    };
    let installed = match looked {
        Ok(installed) => installed,
        Err(why) => return not_applied(&why, UNCHANGED, terminal),
    };
    if installed.goes.is_empty() && installed.reported == 0 {
        terminal.line(match &options.name {
            Some(name) => format!("there is nothing of {name} to take away"),
            None if options.nodes => "there are no proxies of nodes to take away".to_owned(),
            None => "there is nothing of Leno to take away".to_owned(),
        })?;
    } else {
        show(&installed, terminal)?;
        if !options.yes && !terminal.confirm("Take it away?")? {
            terminal.line(UNCHANGED)?;
            return Ok(Answer::Bad);
        }
        if let Some(answer) = remove(&cluster, &installed, options, terminal).await? {
            return Ok(answer);
        }
        terminal.line(Line::new().good("gone").plain("  all of that"))?;
        if options.nodes {
            // The control plane has been told by its installation who loads packet rules.
            let next =
                "leno install, after which pods with a proxy in them load their own packet rules";
            terminal.line(Line::new().dim("Next   ").plain(next))?;
        }
    }
    tell_rest(&installed, options.name.as_ref(), terminal)
}

fn show(installed: &Installed, terminal: &mut Terminal) -> anyhow::Result<()> {
    for object in &installed.goes {
        let line = Line::new().bad("- ").plain(object);
        let mut lost = installed.lost.iter();
        let lost = lost.find(|(kind, _)| kind == object);
        terminal.line(match (object.kind(), lost) {
            ("PersistentVolumeClaim", _) => line.plain(", with the state and the keys of the CA"),
            ("DaemonSet", _) => line.plain(", with what it has put onto each node"),
            (_, Some((_, objects))) => {
                line.plain(format_args!(", with {} of it", count(*objects, "object")))
            }
            (_, None) => line,
        })?;
    }
    if installed.reported > 0 {
        let routes = count(installed.reported, "route");
        let line = Line::new()
            .bad("- ")
            .plain("what it says in the status of ");
        terminal.line(line.plain(routes))?;
    }
    Ok(terminal.gap()?)
}

/// Takes away what goes; the answer, if something does not.
async fn remove(
    cluster: &Cluster,
    installed: &Installed,
    options: &Uninstall,
    terminal: &mut Terminal,
) -> anyhow::Result<Option<Answer>> {
    if installed.goes.iter().any(Object::is_on_nodes) {
        let tell = |why: &str| terminal.progress(Line::new().dim("waiting ").plain(why));
        if let Err(why) = cluster.clear_nodes(options.wait, tell).await {
            return failed(why.code(), why.to_string(), REST, terminal).map(Some);
        }
    }
    for object in &installed.goes {
        if let Err(why) = cluster.remove(object, options.wait).await {
            return not_applied(&why, REST, terminal).map(Some);
        }
        terminal.progress(Line::new().good("gone ").plain(object));
    }
    if installed.reported == 0 {
        return Ok(None);
    }
    // Nobody writes it anew by then.
    match cluster.unreport().await {
        Ok(_) => Ok(None),
        Err(why) => not_applied(&why, "nothing but that", terminal).map(Some),
    }
}

/// What holds where something could not be taken away.
const REST: &str = "what was not taken away yet";

/// Says what is left, and why.
fn tell_rest(
    installed: &Installed,
    name: Option<&ControlName>,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let kinds = installed.stays.iter().map(|(kind, objects)| Problem {
        code: Code::K011,
        severity: Severity::Warning,
        object: Some(kind.to_string()),
        message: format!("it stays: there is {} of it", count(*objects, "object")),
        in_force: "nothing reads them",
        next: Some("leno uninstall --with-objects".to_owned()),
    });
    let pods = installed.proxies.iter().map(|(namespace, pods)| Problem {
        code: Code::K012,
        severity: Severity::Warning,
        object: Some(format!("Namespace {namespace}")),
        message: format!("{} still with a proxy", count(*pods, "pod")),
        in_force: "what these hold, until their certificates end",
        next: Some(format!("kubectl rollout restart deployment -n {namespace}")),
    });
    // What is left of one beside them needs the default one.
    let others = installed.others.iter().flatten();
    let others = others.filter(|_| name.is_none()).map(|other| Problem {
        code: Code::K025,
        severity: Severity::Warning,
        object: Some(format!("Deployment {NAMESPACE}/{}", other.account())),
        message: format!("{other} stands beside no default control plane any more"),
        in_force: "its proxies go on until its intermediate ends; nobody writes status, events and revocations",
        next: Some(format!("leno install, or leno uninstall --name {other}")),
    });
    let naming = installed.naming.iter().map(|namespace| Problem {
        code: Code::K025,
        severity: Severity::Warning,
        object: Some(format!("Namespace {namespace}")),
        message: format!(
            "it still says {LABEL}: {}",
            name.map_or("", ControlName::as_str)
        ),
        in_force: "its pods go on as they are, and no new one with a sidecar is made",
        next: Some(format!("kubectl label namespace {namespace} {LABEL}-")),
    });
    for left in kinds.chain(others).chain(naming).chain(pods) {
        terminal.gap()?;
        print_problem(&left, terminal)?;
    }
    Ok(Answer::Fine)
}
