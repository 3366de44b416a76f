//! The file beside the store. Unlike the store it holds no secret and may be lost: a write returns
//! before it is on disk, where the power can take the last seconds and nothing else.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use leno_model::Wall;
use rusqlite::Connection;

use crate::columns::{Millis, execute};
use crate::failed::Failed;
use crate::file;

/// The file's name inside the folder.
const FILE: &str = "flows.db";

/// What is beside a file of SQLite while it is open.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

/// "LENF", where SQLite's header names the program that the file belongs to.
const APPLICATION: u32 = u32::from_be_bytes(*b"LENF");

/// The version of the schema. There is no way from another one: what it holds is set aside.
const VERSION: u32 = 3;

/// Opens the file in `folder`, making it if there is none: what happens from `now` on is in it.
pub(super) fn open(folder: &Path, now: Wall) -> Result<Connection, Failed> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(folder.join(FILE))?;
    let mut connection = connect(folder)?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
    let (application, version): (u32, u32) = (number("application_id")?, number("user_version")?);
    match (application, version) {
        (APPLICATION, VERSION) => {}
        (0, 0) => create(&mut connection, now)?,
        _ => {
            return Err(Failed::Damaged(
                "it is no file of flows of this Leno".into(),
            ));
        }
    }
    Ok(connection)
}

/// One more connection to the file in `folder`.
pub(super) fn connect(folder: &Path) -> Result<Connection, Failed> {
    let connection = file::connect(&folder.join(FILE))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "secure_delete", false)?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    Ok(connection)
}

fn create(connection: &mut Connection, now: Wall) -> Result<(), Failed> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(include_str!("../flows.sql"))?;
    let begin = "INSERT INTO state (only, began) VALUES (1, ?1)";
    execute(&transaction, begin, [Millis(now)])?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

/// Renames it to `flows.db.damaged`.
pub(super) fn set_aside(folder: &Path) -> Result<PathBuf, Failed> {
    let aside = folder.join(format!("{FILE}.damaged"));
    for end in BESIDE {
        let from = folder.join(format!("{FILE}{end}"));
        let to = folder.join(format!("{FILE}.damaged{end}"));
        let moved = match end {
            // The index of the log is made anew from the log.
            "-shm" => fs::remove_file(from),
            _ => fs::rename(from, to),
        };
        match moved {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(aside)
}

/// How many bytes of the file hold something.
pub(super) fn used(connection: &Connection) -> Result<u64, Failed> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    let (pages, free) = (number("page_count")?, number("freelist_count")?);
    Ok(pages
        .saturating_sub(free)
        .saturating_mul(number("page_size")?))
}
