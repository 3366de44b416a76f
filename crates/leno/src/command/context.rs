//! Which control plane a command asks: that of `--context`, else of `$LENO_CONTEXT`, else of the mesh
//! that is up in this folder, else the one that `leno context use` chose, else that of this machine, else that of the
//! cluster which the kubeconfig names.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use leno_admin::{Ask, Client, Failure, NotAsked, Spoken, remote};
use leno_host::through_folder;
use leno_kubernetes::install::called;
use leno_kubernetes::kubeconfig_context;
use leno_proxy::Clocks;
use leno_proxy::follow::Member;
use tokio::io::BufReader;

use super::contexts::InCluster;
use super::{contexts, host};
use crate::neighbours;
use crate::up::{Place, Source};

/// What can be asked while proxies of this host run and no control plane does.
const THE_PROXIES: &str = "Only a control plane knows; the proxies of this host still answer to \
                           leno check, leno proxies, leno view, leno tap, leno probe and leno why";

/// A control plane to ask.
pub(crate) struct Context {
    way: Way,
    advice: &'static str,
    /// Whether somebody named it.
    is_named: bool,
    /// The file that the mesh of a folder applies again when it changes.
    file: Option<&'static str>,
}

/// How it is asked.
enum Way {
    /// By a socket of this host.
    Socket(PathBuf),
    /// By a call to another host.
    Call(Client),
    /// By a command in its pod of a cluster, as `kubectl exec` does.
    Pod(InCluster),
}

impl Context {
    /// The one to ask when `flag` is what `--context` says.
    pub(crate) fn choose(flag: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(named) = flag {
            return Self::named(named, "it is what --context names");
        }
        if let Some(named) = host::named_context() {
            return Self::named(&named, "it is what $LENO_CONTEXT names");
        }
        let place = Place::here()?;
        let socket = place.control_socket();
        if is_answered(&socket) {
            return Ok(Self {
                way: Way::Socket(socket),
                advice: "leno down and leno up start it again",
                is_named: false,
                file: Source::file_of(place.folder()),
            });
        }
        if let Some(used) = contexts::used()? {
            return Ok(Self {
                is_named: false,
                ..Self::named(Path::new(&used), "it is what leno context use chose")?
            });
        }
        let socket = host::socket()?;
        if !is_answered(&socket)
            && neighbours::all().is_empty()
            && let Some(current) = kubeconfig_context()
        {
            return Ok(Self {
                way: Way::Pod(InCluster {
                    context: Some(current),
                    name: None,
                }),
                advice: "it is the cluster of your kubeconfig, for no control plane runs here: leno install, \
                         leno up, or leno control",
                is_named: false,
                file: None,
            });
        }
        Ok(Self {
            way: Way::Socket(socket),
            advice: "nothing is up in this folder either. Start one: leno up, or leno control",
            is_named: false,
            file: None,
        })
    }

    /// What somebody named: a context, or a socket by its path.
    fn named(named: &Path, advice: &'static str) -> anyhow::Result<Self> {
        let way = match contexts::of_kubeconfig(named)? {
            Some(in_cluster) => Way::Pod(in_cluster),
            None => match contexts::find(named)? {
                Some((name, member)) => Way::Call(elsewhere(&name, member)),
                None => Way::Socket(named.to_owned()),
            },
        };
        Ok(Self {
            way,
            advice,
            is_named: true,
            file: None,
        })
    }

    /// The file that is applied again when it changes, if it is that of a folder.
    pub(crate) fn file(&self) -> Option<&'static str> {
        self.file
    }

    /// Asks, and waits for the answer. A refusal is an answer too.
    pub(crate) fn ask<Q: Ask>(&self, question: Q) -> anyhow::Result<Result<Q::Answer, Failure>> {
        match self.try_ask(question)? {
            Ok(answer) => Ok(Ok(answer)),
            Err(NotAsked::Refused(failure)) => Ok(Err(failure)),
            Err(away @ NotAsked::Away { .. }) => match neighbours::all().len() {
                0 => bail!("{away}; {}", self.advice),
                _ => bail!("{away}; {}. {THE_PROXIES}", self.advice),
            },
            Err(misfit @ NotAsked::Misfit(_)) => Err(misfit.into()),
        }
    }

    /// The same, where the proxies of this host can be asked instead: those of another host are not
    /// known here, so that its control plane must answer.
    pub(crate) fn try_ask<Q: Ask>(
        &self,
        question: Q,
    ) -> anyhow::Result<Result<Q::Answer, NotAsked>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        match runtime.block_on(self.client().ask(question)) {
            Err(away @ NotAsked::Away { .. }) if self.is_elsewhere() => {
                bail!("{away}; {}", self.advice)
            }
            told => Ok(told),
        }
    }

    /// The way to ask it.
    pub(crate) fn client(&self) -> Client {
        match &self.way {
            Way::Socket(socket) => Client::new(socket),
            Way::Call(client) => client.clone(),
            Way::Pod(in_cluster) => in_its_pod(in_cluster.clone()),
        }
    }

    /// Which one of which cluster it is, if it is found by a kubeconfig.
    pub(crate) fn in_cluster(&self) -> Option<&InCluster> {
        match &self.way {
            Way::Pod(in_cluster) => Some(in_cluster),
            Way::Socket(_) | Way::Call(_) => None,
        }
    }

    /// Whether it is on another host.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self.way, Way::Call(_) | Way::Pod(_))
    }

    /// Whether somebody named it: then it is missed where it does not answer.
    pub(crate) fn is_named(&self) -> bool {
        self.is_named
    }

    /// What to do if nobody answers.
    pub(crate) fn advice(&self) -> &'static str {
        self.advice
    }
}

/// Asks a control plane of another host as whoever joined there.
fn elsewhere(name: &str, member: Member) -> Client {
    let named = format!("{} (context {name})", member.address());
    let (member, clocks) = (Arc::new(member), Clocks::start());
    Client::by(named, move |asked| {
        let (member, clocks) = (Arc::clone(&member), clocks.clone());
        Box::pin(async move {
            let visit = member.visit(&clocks).await.map_err(io::Error::other)?;
            let (line, keeps) = visit.open();
            let told = remote::ask(line, asked, keeps).await;
            told.map_err(io::Error::other)
        })
    })
}

/// Asks a control plane of a cluster.
fn in_its_pod(in_cluster: InCluster) -> Client {
    let mut named = format!("{} of the cluster", called(in_cluster.name.as_ref()));
    if let Some(context) = &in_cluster.context {
        named = format!("{named} {context}");
    }
    Client::by(named, move |asked| {
        let in_cluster = in_cluster.clone();
        Box::pin(async move {
            let cluster = in_cluster.connect().await.map_err(io::Error::other)?;
            let name = in_cluster.name.as_ref();
            let told = cluster.run_in_control(name, &["relay"], &asked).await;
            let told = told.map_err(io::Error::other)?;
            Ok(Box::new(BufReader::new(told)) as Spoken)
        })
    })
}

/// Whether somebody listens at `socket`: one that was killed leaves the file behind.
fn is_answered(socket: &Path) -> bool {
    let reached = through_folder(socket);
    reached.is_ok_and(|(_folder, path)| UnixStream::connect(path).is_ok())
}
