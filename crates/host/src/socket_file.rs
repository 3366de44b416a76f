//! The files of Unix sockets: open to nobody else, or to everybody, replaced in one step, reached however long their
//! path is.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The file of a socket that somebody listens on. Dropped, it is removed, unless another has taken its
/// place meanwhile.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    owner: u32,
}

/// Who may open a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Only the user of this process.
    Owner,
    /// Everybody on this host who may enter its folder.
    Everybody,
}

impl Reach {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everybody => 0o666,
        }
    }
}

impl SocketFile {
    /// Puts the socket that `bind` binds to a path at `path`, for those within `reach`. It takes the
    /// place of what is there in one step.
    pub fn put<S>(
        path: &Path,
        reach: Reach,
        bind: impl FnOnce(&Path) -> io::Result<S>,
    ) -> io::Result<(S, Self)> {
        let (_folder, mut beside) = through_folder(path)?;
        // Bound under another name, so that nobody can connect before the mode is set.
        beside.add_extension("new");
        if let Err(error) = fs::remove_file(&beside)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let socket = bind(&beside)?;
        fs::set_permissions(&beside, Permissions::from_mode(reach.mode()))?;
        let file = fs::symlink_metadata(&beside)?;
        fs::rename(&beside, path)?;
        let file = Self {
            path: path.to_owned(),
            device: file.dev(),
            inode: file.ino(),
            owner: file.uid(),
        };
        Ok((socket, file))
    }

    /// Whether somebody listens at `path`, or something else than a socket lies there.
    pub fn is_taken(path: &Path) -> io::Result<bool> {
        let (_folder, short) = through_folder(path)?;
        let found = fs::symlink_metadata(path);
        Ok(found.is_ok_and(|found| {
            !found.file_type().is_socket() || UnixStream::connect(&short).is_ok()
        }))
    }

    /// Whose it is.
    pub fn owner(&self) -> u32 {
        self.owner
    }
}

impl SocketFile {
    /// Whether it is there still, and nobody has taken its place.
    pub fn stands(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|file| (file.dev(), file.ino()) == (self.device, self.inode))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.stands() {
            // A successor finds that nobody listens and replaces it.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// A way to `socket` that is short enough for an address: through its folder, for as long as that is
/// held open.
pub fn through_folder(socket: &Path) -> io::Result<(File, PathBuf)> {
    let folder = match socket.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let folder = File::open(folder)?;
    let name = socket.file_name().unwrap_or_default();
    let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
    let path = path.join(name);
    Ok((folder, path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn who_was_replaced_does_not_remove_its_successor() {
        let name = format!("leno-socket-file-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.sock");
        let put = || SocketFile::put(&path, Reach::Owner, |it| UnixListener::bind(it)).unwrap();
        let (first, second) = (put(), put());
        assert!(!first.1.stands() && second.1.stands());
        drop(first);
        assert!(UnixStream::connect(&path).is_ok());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(second);
        assert!(!path.exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
