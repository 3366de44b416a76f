//! How a cluster of Kubernetes is reached, and what of it is told to people.

use std::env;
use std::path::PathBuf;

use leno_admin::Finding;
use leno_kubernetes::install::{NotApplied, Problem};
use leno_kubernetes::{Cluster, Where};
use leno_model::{Code, Severity};

use crate::arguments::cluster::Reached;
use crate::command::Answer;
use crate::render::note::print_finding;
use crate::terminal::{Line, Terminal};

/// Where the cluster is: what is named, else the one that this process runs in, else the one of the kubeconfig.
#[expect(
    clippy::disallowed_methods,
    reason = "Kubernetes tells each container where it is"
)]
pub(crate) fn place(path: Option<PathBuf>, context: Option<String>) -> Where {
    let is_named = path.is_some() || context.is_some();
    match env::var_os("KUBERNETES_SERVICE_HOST") {
        Some(_) if !is_named => Where::Here,
        _ => Where::Kubeconfig { path, context },
    }
}

/// What nothing was done means.
pub(crate) const UNCHANGED: &str = "nothing was changed";

/// The cluster that is meant, and says which that is; else the answer to whoever meant it.
pub(crate) async fn reach(
    reached: &Reached,
    terminal: &mut Terminal,
) -> anyhow::Result<Result<Cluster, Answer>> {
    let place = place(reached.kubeconfig.clone(), reached.kube_context.clone());
    let cluster = match Cluster::connect(&place).await {
        Ok(cluster) => cluster,
        Err(why) => {
            let answer = failed(Code::K001, why.to_string(), UNCHANGED, terminal)?;
            return Ok(Err(answer));
        }
    };
    terminal.line(Line::new().plain("cluster ").strong(cluster.url()))?;
    terminal.gap()?;
    Ok(Ok(cluster))
}

/// Says what stands against something.
pub(crate) fn print_problem(problem: &Problem, terminal: &mut Terminal) -> anyhow::Result<()> {
    let Problem {
        code,
        severity,
        object,
        message,
        in_force,
        next,
    } = problem.clone();
    let found = Finding {
        next,
        ..Finding::running(code, severity, object, message, in_force)
    };
    Ok(print_finding(&found, "", terminal)?)
}

/// Says why an object is not as it is to be, and what else is by then.
pub(crate) fn not_applied(
    why: &NotApplied,
    in_force: &str,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    failed(why.code(), why.to_string(), in_force, terminal)
}

/// Says what has failed.
pub(crate) fn failed(
    code: Code,
    message: String,
    in_force: &str,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let found = Finding::running(code, Severity::Error, None, message, in_force);
    print_finding(&found, "", terminal)?;
    Ok(match code {
        Code::K001 => Answer::Exit(3),
        _ => Answer::Bad,
    })
}
