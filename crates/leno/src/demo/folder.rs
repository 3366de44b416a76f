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
        fs::write(folder.0.join("leno.yaml"), OBJECTS)?;
        let leno = std::env::current_exe().context("cannot find this binary")?;
        symlink(leno, folder.0.join("leno"))?;
        Ok(folder)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing is lost if it stays: the system clears such folders.
        drop(fs::remove_dir_all(&self.0));
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
