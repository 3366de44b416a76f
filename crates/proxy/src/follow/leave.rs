//! Going away for good: the control plane is told, and nothing is kept.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leno_channel::grpc::open_line;
use leno_channel::{Clocks, Keyring};
use leno_identity::Trust;
use leno_model::Dice;
use leno_model::view::WorkloadId;
use leno_wire::call;
use leno_wire::certificates::Leave;
use tokio::time::timeout;

use crate::follow::certify::Certificates;
use crate::follow::folder::{Folder, NotJoinedYet};
use crate::follow::stream::EndWith;

/// How long the control plane may take to be told.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells the control plane that has been joined in `folder` that its proxy goes away for good, and
/// says in front of which workloads it stood. What is kept stays, until [`Folder::remove`].
pub async fn leave(folder: &Folder, clocks: &Clocks) -> Result<BTreeSet<WorkloadId>, NotLeft> {
    let joined = folder.joined()?;
    if let Some(told) = folder.time() {
        clocks.take_up(told);
    }
    let keyring = Keyring::new(clocks.clock());
    Certificates::of(folder, &keyring, &mut Dice::new(0))?;
    let bundles = [(joined.own.trust_domain.clone(), Arc::new(joined.roots))].into();
    let (trust, _) = Trust::new(&bundles, Arc::default());
    keyring.judge_by(Arc::new(trust));
    let workloads = folder.workloads();
    let leave = Leave {
        workloads: workloads.clone(),
    };
    let told = async {
        let (line, _, run) = open_line(&keyring, &joined.own, &joined.address).await?;
        let _run = EndWith(run);
        let answered = line.ask(call::LEAVE, &leave.encode()).await;
        answered.map_err(|status| status.to_string())
    };
    let told = timeout(PATIENCE, told).await;
    told.unwrap_or_else(|_| Err("it does not answer".to_owned()))
        .map_err(NotLeft::NotTold)?;
    Ok(workloads)
}

/// Why a control plane was not told.
#[derive(Debug, thiserror::Error)]
pub enum NotLeft {
    /// There is nothing to leave, or it cannot be read.
    #[error(transparent)]
    Folder(#[from] NotJoinedYet),
    /// It cannot be reached, or did not take it.
    #[error("the control plane could not be told: {0}")]
    NotTold(String),
    /// A key that is kept cannot be used.
    #[error(transparent)]
    Key(#[from] leno_identity::BadKey),
}

impl Folder {
    /// Removes what a join and a proxy have left in the folder, and the folder too if nothing else is
    /// in it.
    pub fn remove(self) -> io::Result<()> {
        // Without this, nobody takes up the rest.
        fs::remove_file(self.path().join("joined"))?;
        for entry in fs::read_dir(self.path())? {
            let path = entry?.path();
            if is_ours(&path) {
                remove(&path)?;
            }
        }
        match fs::remove_dir(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Removes a file that a proxy which is ending may remove at the same moment.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether a file of the folder is one that a join or a proxy writes.
fn is_ours(path: &Path) -> bool {
    let is_named = |name: &str| path.file_name().is_some_and(|own| own == name);
    let ends = |end: &str| path.extension().is_some_and(|own| own == end);
    ["view", "view.refused", "time", "workloads", "proxy.sock"]
        .into_iter()
        .any(is_named)
        || ["key", "pem", "next", "new"].into_iter().any(ends)
}
