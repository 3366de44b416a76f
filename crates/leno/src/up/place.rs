//! The folder `.leno` beside what is run: keys, logs, the store, the socket. It is private, and git
//! does not see it.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use leno_model::view::WorkloadId;

use super::called;

/// Where one mesh of this machine keeps what it needs.
#[derive(Clone)]
pub(crate) struct Place {
    /// The folder that holds what is run, whole from the root.
    folder: PathBuf,
}

/// The right to run the mesh of a place: nobody else has it meanwhile.
pub(crate) struct Held {
    _lock: File,
}

impl Place {
    /// The place of `folder`.
    pub(crate) fn of(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot find {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// The place of the current folder, or of the nearest folder above it that has one.
    pub(crate) fn here() -> anyhow::Result<Self> {
        let current = Self::of(Path::new("."))?;
        let above = current.folder.ancestors();
        let nearest = above.map(Path::to_owned).map(|folder| Self { folder });
        let mut nearest = nearest.filter(|place| place.state().is_dir());
        Ok(nearest.next().unwrap_or(current))
    }

    /// The folder that holds what is run.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes what is missing.
    pub(crate) fn make(&self) -> anyhow::Result<()> {
        let state = self.state();
        let make = || -> io::Result<()> {
            for folder in [&state, &self.logs()] {
                private_folder(folder)?;
            }
            fs::write(state.join(".gitignore"), "*\n")
        };
        make().with_context(|| format!("cannot make {}", state.display()))
    }

    /// Takes the lock, or says that it is taken.
    pub(crate) fn hold(&self) -> anyhow::Result<Held> {
        self.make()?;
        let lock = self.state().join("lock");
        let lock = File::options().create(true).append(true).open(lock)?;
        match lock.try_lock() {
            Ok(()) => Ok(Held { _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "{} is up already: leno ps shows it, leno down ends it",
                self.folder.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock .leno/lock"),
        }
    }

    /// What a workload has said: `cart.log`, and `shop/cart.log` of another namespace.
    pub(crate) fn log(&self, id: &WorkloadId) -> PathBuf {
        self.logs().join(format!("{}.log", called(id)))
    }

    /// All that is kept here.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join(".leno")
    }

    /// What the mesh itself has said when it runs without a terminal.
    pub(crate) fn own_log(&self) -> PathBuf {
        self.state().join("up.log")
    }

    /// Where the mesh of this place is asked.
    pub(crate) fn socket(&self) -> PathBuf {
        self.state().join("up.sock")
    }

    /// Where the control plane of this place is asked.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.state().join("control.sock")
    }

    /// Where programs ask for their identities.
    pub(crate) fn workload_api(&self) -> PathBuf {
        self.state().join("workload.sock")
    }

    /// What must never be forgotten: revisions, keys, which service has which address.
    pub(crate) fn store(&self) -> PathBuf {
        self.state().join("store")
    }

    /// The same of a mesh that is there for one program, in which nothing is written.
    pub(crate) fn store_of_one(&self) -> PathBuf {
        self.state().join("store-of-one")
    }

    /// What was written when it was last applied, below the name of its set.
    pub(crate) fn applied(&self) -> PathBuf {
        self.state().join("applied")
    }

    /// Where the logs are.
    pub(crate) fn logs(&self) -> PathBuf {
        self.state().join("logs")
    }
}

fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    match builder.mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
