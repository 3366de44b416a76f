//! What a proxy keeps on disk: who it is, what proves that, whom it trusts, and its last view.
//!
//! | file | what it is |
//! |---|---|
//! | `joined` | the control plane's address, and whom this proxy proves to be |
//! | `inherited` | that somebody else joined here, who runs no more, and this proxy has not yet |
//! | `NAME.key`, `NAME.pem` | a private key (mode 0600) and its chain, for each identity |
//! | `bundle.pem` | the roots of the own trust domain |
//! | `time` | mesh time at the host's boot, for as long as that boot lasts |
//! | `workloads` | the workloads that the proxy stands in front of |
//! | `view` | the last view with its subscriptions (mode 0600), as [`leno_wire::Client::save`] writes it, signed by the control plane |
//! | `view.refused` | a view that was found there and was not signed for this proxy |

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use leno_channel::files::{
    BadFile, read_certificates, read_credential, write_certificates, write_key,
};
use leno_channel::peer_name;
use leno_identity::{Boot, Credential, Fingerprint, Told};
use leno_model::view::WorkloadId;
use leno_model::{Code, Name, Namespace, SpiffeId, Wall};
use leno_wire::MeshAddress;
use tokio::sync::watch;

/// The folder. A clone is the same.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    /// Whether another process writes there.
    is_given_up: Arc<AtomicBool>,
}

/// The right to renew in a folder: an exclusive `flock`.
#[derive(Debug)]
pub(super) struct Held {
    _folder: File,
}

/// What a join has left.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub(super) address: String,
    pub(super) own: SpiffeId,
    pub(super) roots: Vec<Vec<u8>>,
}

/// See [`Folder::inherit`].
const INHERITED: &str = "inherited";

/// The largest view that is read.
const LARGEST_VIEW: u64 = 512 << 20;

impl Folder {
    /// Takes a folder that somebody has joined in.
    pub fn open(path: &Path) -> Result<Self, NotJoinedYet> {
        let folder = Self::at(path);
        match folder.path.join("joined").try_exists() {
            Ok(true) => Ok(folder),
            Ok(false) => Err(NotJoinedYet::Nobody(folder.path)),
            Err(why) => Err(NotJoinedYet::Unreadable {
                path: folder.path,
                why,
            }),
        }
    }

    pub(super) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            is_given_up: Arc::default(),
        }
    }

    /// Writes nothing more there: a newer process of this proxy does.
    pub fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder, for its owner alone, if it is not there.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)?;
        Ok(Self::at(path))
    }

    /// Keeps what a join has brought. That somebody has joined is written last.
    pub(super) fn keep_joined(&self, joined: &Joined, credential: &Credential) -> io::Result<()> {
        self.keep(credential)?;
        write_certificates(&self.path.join("bundle.pem"), &joined.roots)?;
        let Joined { address, own, .. } = joined;
        self.write("joined", format!("{address}\n{own}\n").as_bytes())?;
        match fs::remove_file(self.path.join(INHERITED)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Lets what is here be another's from here on, if it is of this mesh: who takes it up goes on by it, and joins by
    /// evidence of its own before it follows the control plane.
    pub fn inherit(&self, mesh: &MeshAddress) -> io::Result<bool> {
        let is_root = |root: &Vec<u8>| Fingerprint::of(root).0 == mesh.fingerprint;
        let is_of_mesh = |joined: Joined| {
            joined.own.trust_domain == mesh.trust_domain && joined.roots.iter().any(is_root)
        };
        let may_be = self.joined().is_ok_and(is_of_mesh);
        if may_be {
            self.write(INHERITED, b"")?;
        }
        Ok(may_be)
    }

    /// Whether somebody else has joined here, and nobody since.
    pub(super) fn is_inherited(&self) -> bool {
        self.path.join(INHERITED).exists()
    }

    /// When the last view was kept, or somebody joined.
    pub fn changed(&self) -> Option<SystemTime> {
        let changed = |name: &str| fs::metadata(self.path.join(name)).ok()?.modified().ok();
        ["view", "joined"].into_iter().filter_map(changed).max()
    }

    /// Keeps the roots that are judged by from here on.
    pub(super) fn keep_bundle(&self, roots: &[Vec<u8>]) -> io::Result<()> {
        match self.is_given_up() {
            true => Ok(()),
            false => write_certificates(&self.path.join("bundle.pem"), roots),
        }
    }

    pub(super) fn joined(&self) -> Result<Joined, NotJoinedYet> {
        let path = self.path.join("joined");
        let text = fs::read_to_string(&path);
        let text = text.map_err(|why| NotJoinedYet::Unreadable {
            path: path.clone(),
            why,
        })?;
        let mut lines = text.lines();
        let (address, own) = (lines.next(), lines.next());
        let own = own.and_then(|text| SpiffeId::parse(text).ok());
        let (address, own) = address.zip(own).ok_or(NotJoinedYet::Damaged(path))?;
        Ok(Joined {
            address: address.to_owned(),
            own,
            roots: read_certificates(&self.path.join("bundle.pem"))?,
        })
    }

    /// Keeps a credential. The chain is written last: a key without its chain is made anew.
    pub(super) fn keep(&self, credential: &Credential) -> io::Result<()> {
        if self.is_given_up() {
            return Ok(());
        }
        let [key, chain] = self.files(credential.id());
        write_key(&key.with_extension("next"), credential.key())?;
        write_certificates(&chain, credential.chain())?;
        fs::rename(key.with_extension("next"), key)
    }

    /// Keeps the credential of `id` no more. The key goes first: without it there is none.
    pub(super) fn forget(&self, id: &SpiffeId) -> io::Result<()> {
        if self.is_given_up() {
            return Ok(());
        }
        for file in self.files(id) {
            fs::remove_file(file)?;
        }
        Ok(())
    }

    /// The right to be the only one that renews here, until it is dropped. `None` while somebody else has it.
    pub(super) fn hold(&self) -> io::Result<Option<Held>> {
        let folder = File::open(&self.path)?;
        match folder.try_lock() {
            Ok(()) => Ok(Some(Held { _folder: folder })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The credentials that are kept. One whose chain and key do not belong together, as after a
    /// power cut between two writes, is taken up by the key that came with it.
    pub(super) fn credentials(&self) -> Result<Vec<Credential>, NotJoinedYet> {
        let unreadable = |why| NotJoinedYet::Unreadable {
            path: self.path.clone(),
            why,
        };
        let mut credentials = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(unreadable)? {
            let key = entry.map_err(unreadable)?.path();
            if key.extension().is_some_and(|end| end == "key") {
                let chain = key.with_extension("pem");
                let credential = read_credential(&key, &chain)
                    .or_else(|_| read_credential(&key.with_extension("next"), &chain))
                    // Somebody who renews has put it into its place meanwhile.
                    .or_else(|_| read_credential(&key, &chain));
                credentials.push(credential?);
            }
        }
        Ok(credentials)
    }

    /// The last view, if there is one.
    pub(super) fn view(&self) -> Option<Vec<u8>> {
        let path = self.path.join("view");
        let fits = fs::metadata(&path).is_ok_and(|file| file.len() <= LARGEST_VIEW);
        fits.then(|| fs::read(path).ok())?
    }

    /// Keeps a view that is not used for whoever wants to find out why.
    pub(super) fn set_view_aside(&self) -> io::Result<()> {
        fs::rename(self.path.join("view"), self.path.join("view.refused"))
    }

    /// Keeps in front of which workloads the proxy stands, for who lets it leave.
    pub(super) fn keep_workloads(&self, workloads: &BTreeSet<WorkloadId>) -> io::Result<()> {
        let lines = workloads.iter().map(|workload| format!("{workload}\n"));
        self.write("workloads", lines.collect::<String>().as_bytes())
    }

    /// The workloads that the last proxy stood in front of.
    pub(super) fn workloads(&self) -> BTreeSet<WorkloadId> {
        let text = fs::read_to_string(self.path.join("workloads")).unwrap_or_default();
        let workload = |line: &str| {
            let (namespace, name) = line.split_once('/')?;
            Some(WorkloadId {
                namespace: Namespace::new(namespace).ok()?,
                name: Name::new(name).ok()?,
            })
        };
        text.lines().filter_map(workload).collect()
    }

    /// What was told of mesh time since the host was booted: the clock that it counts from begins
    /// anew with each boot.
    pub(super) fn time(&self) -> Option<Told> {
        let text = fs::read_to_string(self.path.join("time")).ok()?;
        let (boot, numbers) = text.split_once(' ')?;
        if boot != boot_id()? {
            return None;
        }
        let mut numbers = numbers.split_whitespace();
        let mut number = || Some(Duration::from_micros(numbers.next()?.parse().ok()?));
        Some(Told {
            began: Wall::since_epoch(number()?),
            error: number()?,
            at: Boot(number()?),
        })
    }

    /// Keeps what was told of mesh time. Where the boots of a host cannot be told apart, it does not.
    pub(super) fn keep_time(&self, told: &Told) -> io::Result<()> {
        let Some(boot) = boot_id() else {
            return Ok(());
        };
        let began = told.began.elapsed_since_epoch();
        let micros = [began, told.error, told.at.0].map(|span| span.as_micros());
        let [began, error, at] = micros;
        self.write("time", format!("{boot} {began} {error} {at}\n").as_bytes())
    }

    fn files(&self, id: &SpiffeId) -> [PathBuf; 2] {
        let name = peer_name(id);
        let name = name.split('.').next().unwrap_or(&name);
        [
            self.path.join(format!("{name}.key")),
            self.path.join(format!("{name}.pem")),
        ]
    }

    /// Writes a file for its owner alone. It is whole or as it was.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if self.is_given_up() {
            return Ok(());
        }
        let beside = self.path.join(format!("{name}.new"));
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, self.path.join(name))
    }
}

/// What the kernel calls the present boot.
fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Saves each view that comes; where they come faster than they can be written, only the last.
pub(super) async fn keep_saving(folder: Folder, mut views: watch::Receiver<Option<Vec<u8>>>) {
    while views.changed().await.is_ok() {
        let Some(bytes) = views.borrow_and_update().clone() else {
            continue;
        };
        let folder = folder.clone();
        let saved = tokio::task::spawn_blocking(move || folder.write("view", &bytes)).await;
        // A view that is not saved is asked for again after a restart; the one before is kept.
        drop(saved);
    }
}

/// Why a proxy cannot begin to follow.
#[derive(Debug, thiserror::Error)]
pub enum NotJoinedYet {
    /// Nobody has joined in this folder.
    #[error("{} holds no identity: join with a token first", .0.display())]
    Nobody(PathBuf),
    /// The folder cannot be read.
    #[error("{} cannot be read: {why}", path.display())]
    Unreadable {
        /// What cannot be read.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// A file holds something else.
    #[error("{} is damaged: join again", .0.display())]
    Damaged(PathBuf),
    /// A key or certificate cannot be used.
    #[error(transparent)]
    File(#[from] BadFile),
    /// A key cannot be used for TLS.
    #[error(transparent)]
    Key(#[from] leno_identity::BadKey),
}

impl NotJoinedYet {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::Nobody(_) | Self::Damaged(_) => Code::T008,
            Self::Unreadable { .. } => Code::C010,
            Self::File(file) => file.code(),
            Self::Key(_) => Code::T010,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_renews_at_a_time() {
        let path = std::env::temp_dir().join(format!("leno-held-{}", std::process::id()));
        let (one, other) = (Folder::make(&path).unwrap(), Folder::at(&path));
        let held = one.hold().unwrap();
        assert!(held.is_some());
        assert!(other.hold().unwrap().is_none());
        drop(held);
        assert!(other.hold().unwrap().is_some());
        fs::remove_dir(&path).unwrap();
    }
}
