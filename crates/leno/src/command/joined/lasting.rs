//! Where the proxies of a node keep keys and views for longer than the pods of such proxies live: a folder of the node, in
//! memory and for root alone, in which each pod has one of its own. Who comes next takes up what one left that runs no
//! more, and goes on with it while the control plane is away.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::ensure;
use leno_host::files::is_in_memory;
use leno_proxy::follow::Folder;
use leno_wire::MeshAddress;

use crate::command::joined::node::is_uid;

/// The folder, and that of this proxy's pod in it: nobody takes that up or removes it for as long as this is held.
pub(super) struct Lasting {
    all: PathBuf,
    own: PathBuf,
    held: File,
}

impl Lasting {
    /// Takes the folder of the pod with this UID among `all`: as an earlier process of that pod left it, or an empty one.
    pub(super) fn open(all: &Path, pod: &str) -> anyhow::Result<Self> {
        ensure!(is_uid(pod), "{pod:?} is no UID of a pod");
        make(all)?;
        let found = fs::symlink_metadata(all)?;
        let (owner, own) = (found.uid(), rustix::process::geteuid().as_raw());
        ensure!(
            found.is_dir() && owner == own,
            "it is no folder of user {own}"
        );
        ensure!(is_in_memory(all)?, "it is on a disk, where keys would stay");
        fs::set_permissions(all, Permissions::from_mode(0o700))?;
        let own = all.join(pod);
        let _turn = turn(all)?;
        make(&own)?;
        // A newer process of the same pod has it, too.
        let held = File::open(&own)?;
        held.lock_shared()?;
        Ok(Self {
            all: all.to_owned(),
            own,
            held,
        })
    }

    /// The folder in which all is.
    pub(super) fn all(&self) -> &Path {
        &self.all
    }

    /// Where this proxy keeps what it needs.
    pub(super) fn state(&self) -> PathBuf {
        self.own.join(STATE)
    }

    /// Takes up what a proxy left that was of this mesh and runs no more, if nobody has joined here yet; of several, what
    /// is youngest. Says whether there was one.
    pub(super) fn take_up(&mut self, mesh: &MeshAddress) -> io::Result<bool> {
        let _turn = turn(&self.all)?;
        if Folder::open(&self.state()).is_ok() {
            return Ok(false);
        }
        let mut left = Vec::new();
        for (path, held) in self.left()? {
            let Ok(folder) = Folder::open(&path.join(STATE)) else {
                continue;
            };
            if folder.inherit(mesh)? {
                left.push((folder.changed(), path, held));
            }
        }
        let Some((_, path, held)) = left.into_iter().max_by_key(|(changed, ..)| *changed) else {
            return Ok(false);
        };
        fs::remove_dir_all(&self.own)?;
        fs::rename(path, &self.own)?;
        held.lock_shared()?;
        self.held = held;
        Ok(true)
    }

    /// Removes what proxies left that run no more.
    pub(super) fn clear(&self) -> io::Result<()> {
        let _turn = turn(&self.all)?;
        for (path, _held) in self.left()? {
            fs::remove_dir_all(path)?;
        }
        Ok(())
    }

    /// The folders of others that run no more, each held so that none begins there.
    fn left(&self) -> io::Result<Vec<(PathBuf, File)>> {
        let mut left = free(&self.all)?;
        left.retain(|(path, _)| *path != self.own);
        Ok(left)
    }
}

/// What each pod's folder holds, with what its processes for single pods hold beside it.
const STATE: &str = "proxy";

/// Removes all that proxies of this node have kept, unless one of them runs. Says whether nothing is left.
pub(in crate::command) fn remove(all: &Path) -> io::Result<bool> {
    let _turn = match turn(all) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(true),
        turn => turn?,
    };
    let held = free(all)?;
    let folders = fs::read_dir(all)?.count();
    if held.len() < folders {
        return Ok(false);
    }
    fs::remove_dir_all(all)?;
    Ok(true)
}

/// The folders of pods that nobody holds, held.
fn free(all: &Path) -> io::Result<Vec<(PathBuf, File)>> {
    let mut free = Vec::new();
    for entry in fs::read_dir(all)? {
        let path = entry?.path();
        let held = File::open(&path)?;
        match held.try_lock() {
            Ok(()) => free.push((path, held)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(why)) => return Err(why),
        }
    }
    Ok(free)
}

/// The right to make, take and remove folders in `all`: one proxy of the node at a time has it, and not for long.
fn turn(all: &Path) -> io::Result<File> {
    let turn = File::open(all)?;
    turn.lock()?;
    Ok(turn)
}

/// Makes a folder for its owner alone, if it is not there.
fn make(folder: &Path) -> io::Result<()> {
    let mut make = DirBuilder::new();
    make.recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use leno_channel::files::write_certificates;
    use leno_identity::Fingerprint;
    use leno_model::TrustDomain;

    use super::*;

    /// An empty folder in memory.
    fn memory(test: &str) -> PathBuf {
        let all = PathBuf::from(format!(
            "/dev/shm/leno-lasting-{test}-{}",
            std::process::id()
        ));
        drop(fs::remove_dir_all(&all));
        all
    }

    fn open(all: &Path, pod: &str) -> Lasting {
        Lasting::open(all, pod).unwrap()
    }

    #[test]
    fn each_pod_has_a_folder_that_goes_once_nobody_runs_there() {
        let all = memory("pods");
        let older = open(&all, "1-a");
        // A newer process of the same pod, as it takes the place of the one that runs.
        let same = open(&all, "1-a");
        let newer = open(&all, "2-b");
        assert_eq!(fs::metadata(&all).unwrap().mode() & 0o777, 0o700);
        let is_there = || all.join("1-a").exists();
        newer.clear().unwrap();
        assert!(is_there());
        drop(older);
        newer.clear().unwrap();
        assert!(is_there());
        assert!(!remove(&all).unwrap(), "one of them runs");
        drop(same);
        newer.clear().unwrap();
        assert!(!is_there() && all.join("2-b").exists());
        assert!(!remove(&all).unwrap(), "the newer one runs");
        drop(newer);
        assert!(remove(&all).unwrap());
        assert!(!all.exists());
        assert!(remove(&all).unwrap(), "nothing was there");
    }

    #[test]
    fn who_comes_next_takes_up_what_was_left_of_its_mesh() {
        let all = memory("next");
        let (root, other) = (b"a root".to_vec(), b"another root".to_vec());
        let mesh = MeshAddress {
            trust_domain: TrustDomain::new("shop.local").unwrap(),
            fingerprint: Fingerprint::of(&root).0,
            address: "10.0.0.1:15012".to_owned(),
        };
        let joined = |pod: &str, root: &Vec<u8>| {
            let lasting = open(&all, pod);
            let state = lasting.state();
            make(&state).unwrap();
            write_certificates(&state.join("bundle.pem"), std::slice::from_ref(root)).unwrap();
            let joined = "10.0.0.1:15012\nspiffe://shop.local/ns/leno-system/sa/leno-node\n";
            fs::write(state.join("joined"), joined).unwrap();
            fs::write(state.join("of"), pod).unwrap();
            lasting
        };
        let older = joined("1-a", &root);
        drop(joined("9-z", &other));
        let mut newer = open(&all, "2-b");
        assert!(
            !newer.take_up(&mesh).unwrap(),
            "it runs, or is of another mesh"
        );
        drop(older);
        assert!(newer.take_up(&mesh).unwrap());
        let own = |file: &str| newer.state().join(file);
        assert_eq!(fs::read_to_string(own("of")).unwrap(), "1-a");
        assert!(own("inherited").exists(), "the newer one has not joined");
        assert!(!all.join("1-a").exists());
        assert!(!newer.take_up(&mesh).unwrap(), "it has something");
        newer.clear().unwrap();
        assert!(!all.join("9-z").exists());
        // What it took up is its own from then on.
        let mut newest = open(&all, "3-c");
        assert!(!newest.take_up(&mesh).unwrap());
        drop(newer);
        assert!(newest.take_up(&mesh).unwrap());
        drop(newest);
        assert!(remove(&all).unwrap());
    }

    #[test]
    fn keys_get_nowhere_else_than_into_memory() {
        let disk = std::env::temp_dir().join(format!("leno-lasting-{}", std::process::id()));
        make(&disk).unwrap();
        if !is_in_memory(&disk).unwrap() {
            let refused = Lasting::open(&disk, "1-a").err().unwrap().to_string();
            assert_eq!(refused, "it is on a disk, where keys would stay");
            assert!(!disk.join("1-a").exists());
        }
        fs::remove_dir_all(&disk).unwrap();
        let refused = Lasting::open(&memory("uid"), "../1-a").err().unwrap();
        assert_eq!(refused.to_string(), "\"../1-a\" is no UID of a pod");
    }
}
