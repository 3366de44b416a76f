//! What a workload says: kept in a file of bounded size, the last line also in mind.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

/// How large a log grows before it is put aside as `NAME.log.1`, in the place of the one before.
const LARGEST: u64 = 8 << 20;

/// How much of the end is kept in mind.
const TAIL: usize = 1024;

/// How long is waited for the last words of a workload that has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The log of one run of a workload.
pub(crate) struct Log {
    tail: Rc<RefCell<Vec<u8>>>,
    writing: tokio::task::JoinHandle<()>,
}

impl Log {
    /// A log in the file at `path`, and the end that the workload writes to.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let tail = Rc::<RefCell<Vec<u8>>>::default();
        let keeping = Keeping::open(path, tail.clone())?;
        let writing = tokio::task::spawn_local(keeping.run(receiver(reader)?));
        Ok((Self { tail, writing }, writer))
    }

    /// The last line that is not empty, once everything has been written.
    pub(crate) async fn last_line(self) -> String {
        // Somebody whom the workload left behind may hold its end open.
        drop(tokio::time::timeout(LAST_WORDS, self.writing).await);
        let tail = self.tail.borrow();
        let text = String::from_utf8_lossy(&tail);
        let line = text.lines().rev().find(|line| !line.trim().is_empty());
        line.unwrap_or_default().trim().to_owned()
    }
}

fn receiver(reader: PipeReader) -> io::Result<Receiver> {
    Receiver::from_owned_fd(OwnedFd::from(reader))
}

/// A log that is being written.
struct Keeping {
    path: PathBuf,
    file: File,
    size: u64,
    tail: Rc<RefCell<Vec<u8>>>,
}

impl Keeping {
    fn open(path: &Path, tail: Rc<RefCell<Vec<u8>>>) -> io::Result<Self> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let file = File::options().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            tail,
        })
    }

    async fn run(mut self, mut pipe: Receiver) {
        let mut bytes = vec![0; 16 * 1024];
        // A disk that is full costs the log, and not the workload that writes it.
        while let Ok(count @ 1..) = pipe.read(&mut bytes).await {
            drop(self.write(bytes.get(..count).unwrap_or_default()));
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut tail = self.tail.borrow_mut();
        tail.extend_from_slice(bytes);
        let surplus = tail.len().saturating_sub(TAIL);
        tail.drain(..surplus);
        if self.size >= LARGEST {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            self.file = File::options().create(true).append(true).open(&self.path)?;
            self.size = 0;
        }
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}
