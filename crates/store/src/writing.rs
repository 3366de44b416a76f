//! A transaction that changes the store, and the statements that did: what another store does the same by.

use std::cell::RefCell;
use std::ops::Deref;

use rusqlite::types::{ToSql, ToSqlOutput, Value};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::columns::execute;
use crate::failed::Failed;

/// A statement that changed rows, with what it was given.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

impl Statement {
    /// Runs it again.
    pub(crate) fn run(&self, writing: &Writing<'_>) -> Result<(), Failed> {
        let values = rusqlite::params_from_iter(&self.values);
        execute(writing, &self.sql, values)?;
        Ok(())
    }
}

/// A transaction of the one that writes. Nothing of it stays unless it is committed.
///
/// It reads as a connection does; what changes a row goes through [`run`].
pub(crate) struct Writing<'a> {
    transaction: Transaction<'a>,
    /// What changed rows, where somebody else is to do the same.
    statements: Option<RefCell<Vec<Statement>>>,
}

impl<'a> Writing<'a> {
    /// Begins one. Its statements are kept if `keeps`.
    pub(crate) fn begin(connection: &'a mut Connection, keeps: bool) -> Result<Self, Failed> {
        Ok(Self {
            transaction: connection.transaction_with_behavior(TransactionBehavior::Immediate)?,
            statements: keeps.then(RefCell::default),
        })
    }

    /// The statements that changed rows, in order. They are not kept any longer.
    pub(crate) fn take_statements(&self) -> Vec<Statement> {
        let kept = self.statements.as_ref();
        kept.map(RefCell::take).unwrap_or_default()
    }

    pub(crate) fn commit(self) -> Result<(), Failed> {
        Ok(self.transaction.commit()?)
    }
}

impl Deref for Writing<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.transaction
    }
}

/// Runs a statement that changes rows; says how many.
pub(crate) fn run(
    writing: &Writing<'_>,
    sql: &str,
    params: &[&dyn ToSql],
) -> Result<usize, Failed> {
    let changed = execute(writing, sql, params)?;
    // What changed nothing here changes nothing elsewhere.
    if let Some(statements) = writing.statements.as_ref().filter(|_| changed > 0) {
        let values = params.iter().map(value).collect::<Result<_, _>>()?;
        let sql = sql.to_owned();
        statements.borrow_mut().push(Statement { sql, values });
    }
    Ok(changed)
}

/// A parameter as it stands in the file.
fn value(param: &&dyn ToSql) -> Result<Value, Failed> {
    let not_kept = || Failed::Damaged("a value is of a kind that no column keeps".into());
    match param.to_sql()? {
        ToSqlOutput::Borrowed(borrowed) => Value::try_from(borrowed).map_err(|_| not_kept()),
        ToSqlOutput::Owned(owned) => Ok(owned),
        _ => Err(not_kept()),
    }
}
