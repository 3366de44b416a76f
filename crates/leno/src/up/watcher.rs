//! The files of a folder that say what runs there, looked at now and then.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::source::{OBJECTS, PROCFILE};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(200);

/// Looks at files that somebody may change.
pub(crate) struct Watcher {
    folder: PathBuf,
    /// How they looked when they were last told of.
    told: Option<Looks>,
}

/// How each of the files looks; one that is not there looks like nothing.
type Looks = [Option<Look>; 2];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Look {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Watcher {
    /// Watches the files of `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            told: None,
        }
    }

    /// Waits until they look different than when this returned last, and did so a look ago: nobody
    /// is still writing. At first they do.
    pub(crate) async fn changed(&mut self) {
        let mut seen = None;
        loop {
            let before = seen.replace(looks(&self.folder));
            if seen == before && seen != self.told {
                self.told = seen;
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn looks(folder: &Path) -> Looks {
    let look = |metadata: Metadata| Look {
        inode: metadata.ino(),
        bytes: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    };
    [OBJECTS, PROCFILE].map(|file| folder.join(file).metadata().ok().map(look))
}
