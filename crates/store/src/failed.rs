//! What can go wrong with the file underneath.

use std::io;

use leno_model::Code;
use rusqlite::ErrorCode;

/// Why the store's file could not be read or written. What was asked for has not happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// There is no room for another byte.
    #[error("the disk is full")]
    Full,
    /// The file, its folder or its file system takes no writes from this process.
    #[error("it is read-only: {0}")]
    ReadOnly(String),
    /// The device or the system under it failed.
    #[error("the system failed: {0}")]
    System(String),
    /// Another program has kept the file locked for too long.
    #[error("another program keeps it locked")]
    Busy,
    /// What stands in the file is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Whoever puts in order what several stores write does not answer.
    #[error("what is changed cannot be put in order: {0}")]
    Unordered(String),
    /// Another of several stores is the one that is changed.
    #[error("another control plane acts, or may act")]
    NotLeading,
}

impl Failed {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::Full | Self::ReadOnly(_) | Self::System(_) | Self::Busy => Code::S003,
            Self::Damaged(_) => Code::S002,
            Self::Unordered(_) => Code::S019,
            Self::NotLeading => Code::S020,
        }
    }

    /// What to do about it, as a sentence.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Full => "Make room on its disk; nothing in it was changed.",
            Self::ReadOnly(_) => {
                "Let the user that Leno runs as write the folder; nothing in it was changed."
            }
            Self::System(_) => "Look into the system's log; nothing in the store was changed.",
            Self::Busy => "Close the other program (fuser names it); nothing was changed.",
            Self::Unordered(_) => {
                "See why etcd does not answer: whether the change was taken is told by what stands then."
            }
            Self::NotLeading => "Ask again: whoever acts answers.",
            Self::Damaged(_) => {
                "Move the folder away, put a backup into a new one as store.db, then run `leno control recover`."
            }
        }
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        let Some(code) = error.sqlite_error_code() else {
            // The statements are ours and tested; what they cannot make sense of is in the file.
            return Self::Damaged(text);
        };
        match code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                Self::ReadOnly(text)
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory => Self::System(text),
            _ => Self::Damaged(text),
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly(text)
            }
            _ => Self::System(text),
        }
    }
}
