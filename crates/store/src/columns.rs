//! How single values stand in the file's columns.

use std::fmt;
use std::time::Duration;

use leno_model::Wall;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params};
use sha2::{Digest, Sha256};

use crate::failed::Failed;
use crate::object::Revision;
use crate::text::{Label, Message};

/// Runs a statement that changes rows of this file alone, which no other store follows; says how many.
pub(crate) fn execute(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<usize, Failed> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

/// What a document or a secret is compared with when it is read again.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// For names that were checked when they were written.
pub(crate) fn damaged(error: impl fmt::Display) -> Failed {
    Failed::Damaged(error.to_string())
}

/// A point in time, kept in milliseconds.
pub(crate) struct Millis(pub(crate) Wall);

impl ToSql for Millis {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let millis = self.0.elapsed_since_epoch().as_millis();
        Ok(i64::try_from(millis).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let millis = u64::try_from(value.as_i64()?).unwrap_or_default();
        Ok(Self(Wall::since_epoch(Duration::from_millis(millis))))
    }
}

impl ToSql for Revision {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Revision {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        let number = u64::try_from(number).map_err(|_| FromSqlError::OutOfRange(number))?;
        Ok(Self(number))
    }
}

/// Declares how a checked text is written and read again.
macro_rules! text_columns {
    ($($type:ident),+) => {$(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                Self::new(value.as_str()?).map_err(FromSqlError::other)
            }
        }
    )+};
}

text_columns!(Label, Message);
