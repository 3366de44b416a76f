//! The folder and its file: who may open it, whether it can be trusted, how it comes to be, is
//! brought to the current schema and copied.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use leno_model::Code;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::columns::execute;
use crate::failed::Failed;
use crate::log;

/// Why a store was not opened. Nothing in it was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// A later Leno has changed how it is written.
    #[error("{} was written by a newer Leno: it has schema {found}, and this one knows {known}", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// The schema it has.
        found: u32,
        /// The newest schema that can be read.
        known: u32,
    },
    /// Another process works with it.
    #[error("{} is in use{}", folder.display(), by(*holder))]
    InUse {
        /// The store.
        folder: PathBuf,
        /// Its process id, if it has written it down.
        holder: Option<NonZeroU32>,
    },
    /// The file is damaged, or cannot be read and written.
    #[error("{} cannot be used: {why}", file.display())]
    Failed {
        /// The file.
        file: PathBuf,
        /// Why.
        why: Failed,
    },
}

impl NotOpened {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::Newer { .. } => Code::S001,
            Self::InUse { .. } => Code::S008,
            Self::Failed { why, .. } => why.code(),
        }
    }

    /// What to do about it, as a sentence.
    pub fn advice(&self) -> String {
        match self {
            Self::Newer { known, .. } => format!(
                "Start the newer Leno again. Or move the folder away, put its {FILE}.v{known}, the copy made before the upgrade, into a new one as {FILE}, and run `leno control recover`."
            ),
            Self::InUse { holder, .. } => match holder {
                Some(pid) => format!("Stop process {pid}, or use it."),
                None => "Stop the process that has it open (fuser names it), or use it.".into(),
            },
            Self::Failed { why, .. } => why.advice().into(),
        }
    }
}

fn by(holder: Option<NonZeroU32>) -> String {
    holder.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

/// Why no backup was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBackedUp {
    /// Something stands there already; a backup never replaces anything.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The copy could not be written, or the store not be read.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// The file's name inside the folder.
pub(crate) const FILE: &str = "store.db";

/// The schema, as the steps that lead to it: a file of version n has gone through the first n.
pub(crate) const STEPS: &[&str] = &[include_str!("schema.sql"), include_str!("ordered.sql")];

/// A store that has been found sound and is ours alone.
pub(crate) struct Opened {
    pub(crate) writer: Connection,
    pub(crate) reader: Connection,
    pub(crate) lock: Lock,
}

/// Opens the store in `folder`, making it if there is none.
pub(crate) fn open(folder: &Path, steps: &[&str]) -> Result<Opened, NotOpened> {
    let file = folder.join(FILE);
    let failed = |why| NotOpened::Failed {
        file: file.clone(),
        why,
    };
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.map_err(|error| failed(error.into()))?;
    let lock = Lock::take(folder)?;
    if !file.try_exists().map_err(|error| failed(error.into()))? {
        create(&file, steps).map_err(failed)?;
    }
    let known = version_of(steps);
    let mut writer = match inspect(&file, known).map_err(failed)? {
        Inspected::Sound(connection) => connection,
        Inspected::Newer(found) => return Err(NotOpened::Newer { file, found, known }),
    };
    make_ready(&mut writer, &file, steps).map_err(failed)?;
    let reader = connect(&file).map_err(failed)?;
    Ok(Opened {
        writer,
        reader,
        lock,
    })
}

/// The right to be the only one with this store open, until it is dropped.
pub(crate) struct Lock(File);

impl Lock {
    fn take(folder: &Path) -> Result<Self, NotOpened> {
        let path = folder.join("store.lock");
        let failed = |error: io::Error| NotOpened::Failed {
            file: path.clone(),
            why: error.into(),
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.take(16).read_to_string(&mut text).map_err(failed)?;
                return Err(NotOpened::InUse {
                    folder: folder.into(),
                    holder: text.trim_end().parse().ok(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let write_pid = |file: &mut File| {
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())
        };
        write_pid(&mut file).map_err(failed)?;
        Ok(Self(file))
    }
}

/// Closing the file would leave the lock to a child that another thread has forked and that has
/// not yet become another program.
impl Drop for Lock {
    fn drop(&mut self) {
        self.0.unlock().ok();
    }
}

/// Makes an empty store. It gets its name only when it is whole, so that a file of that name that
/// is empty or short is always a damaged one.
fn create(file: &Path, steps: &[&str]) -> Result<(), Failed> {
    let draft = beside(file, "new");
    new_private_file(&draft)?;
    let mut connection = connect(&draft)?;
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    take_steps(&transaction, 0, steps)?;
    transaction.commit()?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.close().map_err(|(_, error)| error)?;
    put_in_place(&draft, file)
}

enum Inspected {
    Sound(Connection),
    Newer(u32),
}

/// Looks whether the file's structure is whole and of a version that is known. Changes nothing: the
/// connection will not even bring the log into the file when it is closed.
fn inspect(file: &Path, known: u32) -> Result<Inspected, Failed> {
    let version = header_version(file)?;
    if version > known {
        return Ok(Inspected::Newer(version));
    }
    let connection = connect(file)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if connection.is_readonly("main")? {
        return Err(Failed::ReadOnly("the file is not writable".into()));
    }
    // The log may hold a later version than the file.
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > known {
        return Ok(Inspected::Newer(version));
    }
    let verdict: String =
        connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    if verdict != "ok" {
        // The first lines name the database.
        let flaw = verdict.lines().find(|line| !line.starts_with("***"));
        return Err(Failed::Damaged(flaw.unwrap_or("its pages disagree").into()));
    }
    Ok(Inspected::Sound(connection))
}

/// The schema's version as the file's own header has it (SQLite Database File Format, section 1.3),
/// so that a newer file is not even opened.
fn header_version(file: &Path) -> Result<u32, Failed> {
    let damaged = |what: &str| Failed::Damaged(what.into());
    let mut header = [0; 100];
    File::open(file)?
        .read_exact(&mut header)
        .map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => damaged("it is shorter than its header"),
            _ => error.into(),
        })?;
    let number = |at: usize| {
        let bytes = header[at..].first_chunk().expect("a field of the header");
        u32::from_be_bytes(*bytes)
    };
    if !header.starts_with(b"SQLite format 3\0") || number(68) != APPLICATION {
        return Err(damaged("it is not a store of Leno"));
    }
    Ok(number(60))
}

/// Brings a sound file to the current schema, sees whether all of it can be read, and proves that
/// it takes a write.
fn make_ready(connection: &mut Connection, file: &Path, steps: &[&str]) -> Result<(), Failed> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version < version_of(steps) {
        copy(connection, &beside(file, &format!("v{version}")))?;
    }
    bring_forward(connection, version, steps)?;
    keep_private(file)?;
    execute(connection, "UPDATE state SET opened = opened + 1", [])?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// Brings what has this version to the current schema, and sees whether all of it can be read.
fn bring_forward(connection: &mut Connection, version: u32, steps: &[&str]) -> Result<(), Failed> {
    if version == version_of(steps) {
        return log::verify(connection);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    take_steps(&transaction, version, steps)?;
    log::verify(&transaction)?;
    Ok(transaction.commit()?)
}

/// The version of the current schema.
pub(crate) fn schema() -> u32 {
    version_of(STEPS)
}

fn take_steps(connection: &Connection, from: u32, steps: &[&str]) -> Result<(), Failed> {
    for step in steps.iter().skip(from as usize) {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "user_version", version_of(steps))?;
    Ok(())
}

fn version_of(steps: &[&str]) -> u32 {
    u32::try_from(steps.len()).expect("a few steps")
}

/// "LENO", where SQLite's header names the program that the file belongs to.
const APPLICATION: u32 = u32::from_be_bytes(*b"LENO");

pub(crate) fn connect(file: &Path) -> Result<Connection, Failed> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // NORMAL would leave the last commits to the system's write-back, and lose acknowledged
    // revisions with the power; FULL syncs the log at each commit.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A key that was replaced is overwritten, and nothing spills into files that anyone may read.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Writes a consistent copy of the store that `from` is connected to, in place of whatever is at
/// `to`. It holds the CA's keys as well, so it is as private.
pub(crate) fn copy(from: &Connection, to: &Path) -> Result<(), Failed> {
    let draft = beside(to, "part");
    let written = copy_pages(from, &draft).and_then(|()| put_in_place(&draft, to));
    if written.is_err() {
        // Half a copy on a full disk takes the room that is missing.
        fs::remove_file(&draft).ok();
    }
    written
}

/// The bytes of a consistent copy of the store that `from` is connected to, and which lies at `file`.
pub(crate) fn copied(from: &Connection, file: &Path) -> Result<Vec<u8>, Failed> {
    let beside = beside(file, "given");
    copy(from, &beside)?;
    let bytes = fs::read(&beside);
    remove(&beside)?;
    Ok(bytes?)
}

/// Puts what the bytes of a copy hold into the store that `into` is connected to, and which lies at
/// `file`, if they are a sound store that is `fit`; else says why not, or the schema that they have if
/// it is not known. Then nothing has changed.
pub(crate) fn take_copy<E: From<Failed>>(
    bytes: &[u8],
    file: &Path,
    into: &mut Connection,
    fit: impl FnOnce(&Connection) -> Result<(), E>,
) -> Result<Result<(), u32>, E> {
    let beside = beside(file, "taken");
    new_private_file(&beside)?;
    let taken = take_from(bytes, &beside, into, fit);
    remove(&beside)?;
    taken
}

fn take_from<E: From<Failed>>(
    bytes: &[u8],
    beside: &Path,
    into: &mut Connection,
    fit: impl FnOnce(&Connection) -> Result<(), E>,
) -> Result<Result<(), u32>, E> {
    fs::write(beside, bytes).map_err(Failed::from)?;
    let mut from = match inspect(beside, schema())? {
        Inspected::Sound(connection) => connection,
        Inspected::Newer(found) => return Ok(Err(found)),
    };
    let version = from.pragma_query_value(None, "user_version", |row| row.get(0));
    bring_forward(&mut from, version.map_err(Failed::from)?, STEPS)?;
    fit(&from)?;
    put_pages(&from, into)?;
    Ok(Ok(()))
}

fn copy_pages(from: &Connection, to: &Path) -> Result<(), Failed> {
    new_private_file(to)?;
    let mut target = connect(to)?;
    put_pages(from, &mut target)?;
    Ok(target.close().map_err(|(_, error)| error)?)
}

/// Puts all of one store in the place of all of another, at once.
fn put_pages(from: &Connection, target: &mut Connection) -> Result<(), Failed> {
    let backup = Backup::new(from, target)?;
    let all_pages = -1;
    match backup.step(all_pages)? {
        StepResult::Done => Ok(()),
        _ => Err(Failed::Busy),
    }
}

/// Removes a database that is there for a moment.
fn remove(file: &Path) -> Result<(), Failed> {
    for path in with_logs(file) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Makes an empty file that only we may read, in place of what an earlier attempt left.
fn new_private_file(path: &Path) -> Result<(), Failed> {
    remove(path)?;
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(())
}

fn put_in_place(draft: &Path, file: &Path) -> Result<(), Failed> {
    fs::rename(draft, file)?;
    if let Some(folder) = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Takes reading and writing from everybody else, in case the file was put there by hand. SQLite
/// gives the log and its index the mode of the file when it makes them.
fn keep_private(file: &Path) -> Result<(), Failed> {
    for path in with_logs(file) {
        match fs::metadata(&path) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

fn with_logs(file: &Path) -> [PathBuf; 3] {
    let with = |suffix: &str| {
        let mut path = file.as_os_str().to_owned();
        path.push(suffix);
        path.into()
    };
    [with(""), with("-wal"), with("-shm")]
}

/// `store.db` and `new` make `store.db.new`.
fn beside(file: &Path, extension: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".");
    path.push(extension);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of this test's own.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("leno-store-{name}-{}", std::process::id()));
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        folder
    }

    fn version(file: &Path) -> u32 {
        let connection = Connection::open(file).unwrap();
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
        version.unwrap()
    }

    fn columns(opened: &Opened) -> Vec<String> {
        let statement = opened.reader.prepare("SELECT * FROM state").unwrap();
        statement.column_names().map(str::to_owned).collect()
    }

    #[test]
    fn an_older_store_is_brought_forward_and_its_copy_kept() {
        let folder = folder("forward");
        drop(open(&folder, STEPS).unwrap());
        let add = "ALTER TABLE state ADD COLUMN colour TEXT;";
        let rename = "ALTER TABLE state RENAME COLUMN colour TO shade;";
        let opened = open(&folder, &[STEPS, &[add, rename]].concat()).unwrap();
        assert!(columns(&opened).contains(&"shade".to_owned()));
        drop(opened);
        let known = version_of(STEPS);
        assert_eq!(version(&folder.join(FILE)), known + 2);
        let copy = folder.join(format!("store.db.v{known}"));
        assert_eq!(version(&copy), known);
        let mode = fs::metadata(&copy).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_step_that_fails_leaves_the_store_at_its_version() {
        let folder = folder("stays");
        drop(open(&folder, STEPS).unwrap());
        let halfway = "ALTER TABLE state ADD COLUMN colour TEXT; UPDATE nothing SET a = 1;";
        assert!(open(&folder, &[STEPS, &[halfway]].concat()).is_err());
        assert_eq!(version(&folder.join(FILE)), version_of(STEPS));
        let opened = open(&folder, STEPS).unwrap();
        assert!(!columns(&opened).contains(&"colour".to_owned()));
        drop(opened);
        fs::remove_dir_all(folder).unwrap();
    }
}
