//! `leno dashboard`: a link to the page of a mesh, and for one of a cluster the way to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use leno_admin::{Link, OpenDashboard};
use leno_kubernetes::{Cluster, NotRun};
use leno_model::ControlName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{refused, tell};
use crate::arguments::Output;
use crate::arguments::fleet::Dashboard;
use crate::command::Answer;
use crate::command::context::Context;
use crate::command::contexts::InCluster;
use crate::command::ending::EndSignals;
use crate::terminal::{Line, Terminal};

/// More connections than a browser opens to one page.
const MOST: usize = 64;

/// Tells the link. The page of a cluster is shown in the control plane's pod: connections are carried there until somebody
/// ends it.
pub(super) fn run(options: &Dashboard, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let json = options.context.output == Output::Json;
    let context = Context::choose(options.context.context.as_deref())?;
    let link = match context.ask(OpenDashboard {})? {
        Ok(link) => link,
        Err(failure) => return refused(&failure, json, terminal),
    };
    let Some(in_cluster) = context.in_cluster() else {
        return told(&link, json, terminal);
    };
    let port = port(&link.url).context("the link names no port")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = EndSignals::new()?;
        let cluster = in_cluster.connect().await?;
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(here).await;
        let listener = listener.with_context(|| {
            format!("the page knows itself by port {port}, which is not free on this host")
        })?;
        told(&link, json, terminal)?;
        if !json {
            let until = "         by port-forward into the control plane's pod, until Ctrl-C";
            terminal.line(Line::new().dim(until))?;
        }
        tokio::select! {
            failed = carry(&listener, &cluster, in_cluster, port) => failed.map(|()| Answer::Bad),
            () = signals.next() => Ok(Answer::Fine),
        }
    })
}

fn told(link: &Link, json: bool, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    if json {
        terminal.text(&serde_json::to_string_pretty(link)?)?;
        return Ok(Answer::Fine);
    }
    tell::link(link, terminal)
}

/// `7070` of `http://127.0.0.1:7070/visit`.
fn port(url: &str) -> Option<u16> {
    let (_, behind) = url.split_once("://")?;
    let authority = behind.split('/').next()?;
    authority.rsplit_once(':')?.1.parse().ok()
}

/// Carries connections into the pod of the control plane; ends only where none can be carried there.
async fn carry(
    listener: &TcpListener,
    cluster: &Cluster,
    in_cluster: &InCluster,
    port: u16,
) -> anyhow::Result<()> {
    let room = Arc::new(Semaphore::new(MOST));
    let mut carried = JoinSet::new();
    loop {
        tokio::select! {
            ended = carried.join_next(), if !carried.is_empty() => {
                if let Some(Ok(Err(not_run))) = ended {
                    return Err(anyhow::Error::from(not_run));
                }
            }
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let permit = Arc::clone(&room).acquire_owned().await?;
                let (cluster, name) = (cluster.clone(), in_cluster.name.clone());
                carried.spawn(async move {
                    let _permit = permit;
                    carry_one(stream, &cluster, name.as_ref(), port).await
                });
            }
        }
    }
}

async fn carry_one(
    mut stream: TcpStream,
    cluster: &Cluster,
    name: Option<&ControlName>,
    port: u16,
) -> Result<(), NotRun> {
    cluster.carry_to_control(name, port, &mut stream).await
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn a_link_names_its_port() {
        assert_eq!(port("http://127.0.0.1:7070/visit?key=a:1"), Some(7070));
        assert_eq!(port("http://[::1]:7070/"), Some(7070));
        assert_eq!(port("http://localhost/"), None);
    }
}
