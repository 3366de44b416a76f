//! The folder of the demo: a `leno.yaml` to read and to change. It goes when the demo ends.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A folder of our own, below the one for what does not last.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes one. In it stand the shop's mesh, and `leno`: what runs there are faces of this binary.
    pub(crate) fn make() -> anyhow::Result<Self> {
        let below = std::env::temp_dir();
        let folder = private(&below);
        let folder = folder.with_context(|| format!("cannot write in {}", below.display()))?;
        fs::write(folder.objects(), OBJECTS)?;
        let leno = std::env::current_exe().context("cannot find this binary")?;
        symlink(leno, folder.0.join("leno"))?;
        Ok(folder)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The file to change.
    pub(crate) fn objects(&self) -> PathBuf {
        self.0.join("leno.yaml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing is lost if it stays: the system clears such folders.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A file that somebody may change.
pub(crate) struct Watched {
    path: PathBuf,
    /// What stood in it when it was last told of.
    told: Vec<u8>,
    /// What stood in it a look ago.
    seen: Vec<u8>,
}

impl Watched {
    /// Watches a file from here on.
    pub(crate) fn new(path: PathBuf) -> io::Result<Self> {
        let told = fs::read(&path)?;
        let seen = told.clone();
        Ok(Self { path, told, seen })
    }

    /// Whether something else stands in it, and did a look ago: nobody is still writing. A file that
    /// is not there has not changed.
    pub(crate) fn has_changed(&mut self) -> bool {
        let Ok(text) = fs::read(&self.path) else {
            return false;
        };
        let rests = text == self.seen;
        self.seen = text;
        if !rests || self.seen == self.told {
            return false;
        }
        self.told.clone_from(&self.seen);
        true
    }
}

/// A folder that was not there and that nobody else can look into.
fn private(below: &Path) -> io::Result<Folder> {
    let process = std::process::id();
    let mut names = std::iter::once(format!("leno-demo-{process}"))
        .chain((1..100).map(|more| format!("leno-demo-{process}-{more}")));
    loop {
        let name = names.next().ok_or(io::ErrorKind::AlreadyExists)?;
        let path = below.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(Folder(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// The shop's mesh.
const OBJECTS: &str = include_str!("leno.yaml");
