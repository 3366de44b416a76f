//! The proxies that run on this host. Each can be found in one folder for as long as it runs, so that
//! it can be asked where no control plane is.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use leno_admin::several::Asked;
use leno_admin::{Asker, Client, Question, Reply, Server};
use leno_host::through_folder;
use tokio::task::JoinSet;

use crate::command::host;

/// A proxy's place among those that can be found. Dropped, it is gone.
pub(crate) struct Place {
    path: PathBuf,
    _answering: JoinSet<()>,
}

impl Place {
    /// Lets the proxy of this process be found, that is asked at `socket`. Where the folder cannot be
    /// used, it is found by its socket alone.
    pub(crate) fn of(socket: &Path) -> Option<Self> {
        Self::of_process(std::process::id(), socket)
    }

    /// The same of the proxy of another process.
    pub(crate) fn of_process(process: u32, socket: &Path) -> Option<Self> {
        let path = place(process).ok()?;
        symlink(socket.canonicalize().ok()?, &path).ok()?;
        Some(Self {
            path,
            _answering: JoinSet::new(),
        })
    }

    /// Lets the proxy of this process be found, and answers there; `strangers` hears of users who may not
    /// ask. Needs a runtime around it.
    pub(crate) fn answer<F>(
        strangers: impl Fn(u32) + Send + Sync + 'static,
        answer: impl Fn(Asker, Question) -> F + Send + Sync + 'static,
    ) -> anyhow::Result<Self>
    where
        F: Future<Output = Result<Reply, leno_admin::Failure>> + Send + 'static,
    {
        let path = place(std::process::id())?;
        let server = Server::listen(&path)?;
        let mut answering = JoinSet::new();
        answering.spawn(server.telling(strangers).run(answer));
        Ok(Self {
            path,
            _answering: answering,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left behind is removed by who finds that nobody answers there.
        drop(fs::remove_file(&self.path));
    }
}

/// All that answer at this moment.
pub(crate) fn all() -> Vec<Asked> {
    let found = host::proxies().and_then(|folder| Ok(find(&folder)?));
    let sockets = (0..).zip(found.unwrap_or_default());
    let asked = sockets.map(|(number, (name, socket))| Asked {
        number,
        name,
        way: Ok(Client::new(&socket).respondent()),
    });
    asked.collect()
}

/// The sockets in a folder by where they are; one at which nobody answers any more is removed.
fn find(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "sock") {
            continue;
        }
        let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
        let connected = through_folder(&whole).and_then(|(_folder, way)| UnixStream::connect(way));
        match connected.map_err(|error| error.kind()) {
            // A link of a proxy that was killed leads to the one that runs in its place.
            Ok(_) if found.iter().any(|(_, other)| *other == whole) => drop(fs::remove_file(&path)),
            Ok(_) => found.push((whole.display().to_string(), whole)),
            Err(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
                // Another user's is left to that user.
                drop(fs::remove_file(&path));
            }
            Err(_) => {}
        }
    }
    found.sort();
    Ok(found)
}

/// Where this process is found.
fn place(process: u32) -> anyhow::Result<PathBuf> {
    let folder = host::proxies()?;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&folder)?;
    let path = folder.join(format!("{process}.sock"));
    // One of an earlier process with this number.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn those_that_answer_are_found_and_what_is_left_of_others_is_removed() {
        let folder = std::env::temp_dir().join(format!("leno-neighbours-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let lives = folder.join("elsewhere");
        let _listener = UnixListener::bind(&lives).unwrap();
        symlink(&lives, folder.join("1.sock")).unwrap();
        drop(UnixListener::bind(folder.join("2.sock")).unwrap());
        symlink(&lives, folder.join("4.sock")).unwrap();
        symlink(folder.join("nowhere"), folder.join("3.sock")).unwrap();
        fs::write(folder.join("notes"), "mine").unwrap();
        let found = find(&folder).unwrap();
        assert_eq!(found, [(lives.display().to_string(), lives)]);
        let mut left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let kept = left.extract_if(.., |name| name.ends_with(".sock"));
        assert_eq!(kept.count(), 1, "one of the two that lead there");
        assert_eq!(left, ["elsewhere", "notes"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
