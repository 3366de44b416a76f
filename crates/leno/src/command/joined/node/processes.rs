//! The processes of a node's pods that have one of their own each.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use leno_host::{Groups, PodListeners};
use leno_model::view::{OwnProcess, WorkloadId};
use leno_model::{Dice, SpiffeId};
use leno_proxy::follow::Voucher;
use leno_wire::pods::Arriving;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::command::host;
use crate::command::joined::node::left_over::{LeftOver, is_uid};
use crate::command::joined::node::pod::Pod;
use crate::command::joined::node::process::{Charge, Happened, Keeper, Process, Program, What};
use crate::command::joined::node::resolver::name_servers;
use crate::command::joined::word::{Begin, Listening};
use crate::command::seed;
use crate::neighbours::Place;

/// Starts the processes of pods. Dropped, it leaves those that run to whoever waits for them ([`Living`]).
pub(super) struct Processes<'a> {
    settings: &'a Settings,
    voucher: Voucher,
    groups: Option<Arc<Groups>>,
    living: &'a Living,
    happened: mpsc::Sender<Happened>,
    /// Where those that serve are found by people in the pod of the node's proxy.
    places: BTreeMap<WorkloadId, Place>,
    left_over: LeftOver,
}

/// How processes of pods are run.
pub(in crate::command::joined) struct Settings {
    /// The folder in which each has one of its own.
    pub(in crate::command::joined) folder: PathBuf,
    /// Folders in which they see nothing.
    pub(in crate::command::joined) hidden: Vec<PathBuf>,
    /// What the command line says that holds for them, too.
    pub(in crate::command::joined) arguments: Vec<OsString>,
    /// For how long what lives in one may go on once it is to end.
    pub(in crate::command::joined) drain: Duration,
}

/// The processes that live, until each has ended.
#[derive(Default)]
pub(in crate::command::joined) struct Living(RefCell<JoinSet<()>>);

impl Living {
    /// Waits until all have ended that were told to.
    pub(in crate::command::joined) async fn ended(&self) {
        let mut living = self.0.take();
        while living.join_next().await.is_some() {}
    }
}

impl<'a> Processes<'a> {
    /// What starts them, and why they have no control groups with bounds, if they have none.
    pub(super) fn new(
        settings: &'a Settings,
        voucher: Voucher,
        living: &'a Living,
        happened: mpsc::Sender<Happened>,
    ) -> (Self, Option<String>) {
        let (groups, lacks) = match Groups::open() {
            Ok(groups) => {
                let lacks = groups.lacks().map(str::to_owned);
                (Some(Arc::new(groups)), lacks)
            }
            Err(why) => (None, Some(why.to_string())),
        };
        let processes = Self {
            settings,
            voucher,
            groups,
            living,
            happened,
            places: BTreeMap::new(),
            left_over: LeftOver::of(&settings.folder),
        };
        (processes, lacks)
    }

    /// Starts one for a pod that acts as `identity`.
    pub(super) fn start(
        &self,
        id: &WorkloadId,
        pod: &mut Pod,
        own: OwnProcess,
        identity: SpiffeId,
    ) -> anyhow::Result<Process> {
        let folder = self.folder(&pod.uid)?;
        let path = std::env::current_exe().context("where this program is")?;
        let listening = Listening {
            pod: pod.sockets().context("its sockets were given away")?,
            // The pod may listen there itself.
            metrics: pod
                .netns
                .within(PodListeners::of_metrics)
                .unwrap_or_default(),
        };
        let mut arguments: Vec<OsString> = vec!["proxy".into(), "--joined".into()];
        arguments.extend(["--pod-process".into(), "--take-over".into()]);
        arguments.extend(["--state".into(), folder.clone().into()]);
        arguments.extend(["--workload".into(), id.to_string().into()]);
        arguments.extend(self.settings.arguments.iter().cloned());
        let hidden = self.settings.hidden.iter().filter(|path| path.is_dir());
        let program = Program {
            path,
            arguments,
            folder,
            begin: Begin {
                hidden: hidden.cloned().collect(),
                memory_mib: own.memory_mib,
                cpu_milli: own.cpu_milli,
                node_servers: name_servers(),
            },
            drain: self.settings.drain,
        };
        let keeper = Keeper {
            charge: Charge {
                pod: Arriving {
                    id: id.clone(),
                    uid: pod.uid.to_string(),
                },
                identity,
                netns: Arc::clone(&pod.netns),
                listening,
                own,
            },
            program,
            groups: self.groups.clone(),
            voucher: self.voucher.clone(),
            happened: self.happened.clone(),
            dice: Dice::new(seed()),
            serves: Arc::default(),
        };
        let (process, keeping) = keeper.keep();
        let mut living = self.living.0.borrow_mut();
        while living.try_join_next().is_some() {}
        living.spawn(keeping);
        Ok(process)
    }

    /// Lets people find the process of a pod for as long as it serves.
    pub(super) fn place(&mut self, pod: &Pod, Happened { id, what }: &Happened) {
        let found = match what {
            What::Serves(process) => {
                let folder = self.folder(&pod.uid).ok();
                folder.and_then(|folder| Place::of_process(*process, &host::proxy_socket(&folder)))
            }
            What::Ended(_) => None,
        };
        match found {
            Some(place) => drop(self.places.insert(id.clone(), place)),
            None => drop(self.places.remove(id)),
        }
    }

    /// Lets people find the process of a pod no more.
    pub(super) fn forget(&mut self, id: &WorkloadId) {
        self.places.remove(id);
    }

    /// Removes what earlier ones kept whose pods have none any more.
    pub(super) fn clear(&mut self, has_process: impl Fn(&str) -> bool) {
        self.left_over.clear(has_process);
    }

    /// Where the process of the pod with this UID keeps what it needs.
    fn folder(&self, uid: &str) -> anyhow::Result<PathBuf> {
        anyhow::ensure!(is_uid(uid), "{uid:?} is no UID of a pod");
        let all = &self.settings.folder;
        make(all).with_context(|| all.display().to_string())?;
        Ok(all.join(uid))
    }
}

/// Makes a folder in which each may make one of its own, and remove no other's.
fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    fs::set_permissions(folder, Permissions::from_mode(0o1777))
}
