//! The state of the CA: its keys and chains, join tokens, revoked identities.
//!
//! The store keeps and counts; what a key or a chain is, `identity` knows.

use std::fmt;
use std::time::Duration;

use leno_model::{Code, Name, Namespace, SpiffeId, Wall};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::{Millis, damaged, sha256};
use crate::failed::Failed;
use crate::store::{Store, Written};
use crate::text::{Label, Message};
use crate::writing::{Writing, run};

impl Store {
    /// What is kept under a name.
    pub fn secret(&self, name: &Label) -> Result<Option<Secret>, Failed> {
        let sql = "SELECT hash, body FROM secret WHERE name = ?1";
        let found: Option<([u8; 32], Vec<u8>)> = self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            Ok::<_, Failed>(statement.query_one([name], columns).optional()?)
        })?;
        match found {
            Some((hash, body)) if hash != sha256(&body) => {
                Err(damaged(format_args!("{name} has changed by itself")))
            }
            found => Ok(found.map(|(_, body)| Secret(body))),
        }
    }

    /// Keeps several secrets in one step, each in the place of what had its name; `None` forgets
    /// it. A key and the chain that goes with it are changed together or not at all.
    pub fn keep_secrets(&self, secrets: &[(Label, Option<Secret>)]) -> Result<(), Failed> {
        self.write(|writing| {
            put_secrets(writing, secrets)?;
            Ok(Written::Visibly(()))
        })
    }

    /// Keeps a join token. Those that expired more than a day before it was made are forgotten.
    pub fn add_token(&self, token: &Token) -> Result<(), NotAdded> {
        self.write(|writing| {
            let forget = "DELETE FROM token WHERE expires < ?1";
            run(writing, forget, params![Millis(token.made - DAY)])?;
            if find_token(writing, token.id.as_str())?.is_some() {
                return Err(NotAdded::Exists);
            }
            if count_tokens(writing)? >= MOST_TOKENS {
                return Err(NotAdded::TooMany);
            }
            run(
                writing,
                "INSERT INTO token VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    token.id,
                    token.hash,
                    token.grant.namespace.as_str(),
                    token.grant.service_account.as_ref().map(Name::as_str),
                    token.uses,
                    Millis(token.expires),
                    Millis(token.made),
                    token.made_by
                ],
            )?;
            Ok(Written::Quietly(()))
        })
    }

    /// Uses a token once: of as many callers as there may be at the same time, no more than it has
    /// uses left get its grant. `hash` is that of the secret the caller showed.
    pub fn spend_token(&self, id: &str, hash: &[u8; 32], now: Wall) -> Result<Grant, NotSpent> {
        self.write(|writing| {
            let token = find_token(writing, id)?.ok_or(NotSpent::Unknown)?;
            token.honours(hash, now)?;
            let sql = "UPDATE token SET uses = uses - 1 WHERE id = ?1";
            run(writing, sql, params![id])?;
            Ok(Written::Quietly(token.grant))
        })
    }

    /// The tokens, spent and lately expired ones included, ordered by id.
    pub fn tokens(&self) -> Result<Vec<Token>, Failed> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT * FROM token ORDER BY id")?;
            let mut rows = statement.query([])?;
            let mut tokens = Vec::new();
            while let Some(row) = rows.next()? {
                tokens.push(token(row)?);
            }
            Ok(tokens)
        })
    }

    /// Forgets a token; says whether there was one.
    pub fn drop_token(&self, id: &str) -> Result<bool, Failed> {
        self.write(|writing| {
            let dropped = run(writing, "DELETE FROM token WHERE id = ?1", params![id])?;
            Ok(Written::Quietly(dropped > 0))
        })
    }

    /// Refuses an identity from here on, even where its certificate is valid. Says whether it was
    /// not refused already; the first reason stays.
    pub fn revoke(&self, revocation: &Revocation) -> Result<bool, Failed> {
        self.write(|writing| {
            let added = run(
                writing,
                "INSERT OR IGNORE INTO revoked VALUES (?1, ?2, ?3, ?4)",
                params![
                    revocation.identity.to_string(),
                    Millis(revocation.at),
                    revocation.who,
                    revocation.reason
                ],
            )?;
            Ok(Written::visibly_if(added > 0))
        })
    }

    /// Takes a revocation back; says whether there was one.
    pub fn reinstate(&self, identity: &SpiffeId) -> Result<bool, Failed> {
        self.write(|writing| {
            let sql = "DELETE FROM revoked WHERE identity = ?1";
            let removed = run(writing, sql, params![identity.to_string()])?;
            Ok(Written::visibly_if(removed > 0))
        })
    }

    /// The identities that are refused, ordered by their text.
    pub fn revoked(&self) -> Result<Vec<Revocation>, Failed> {
        self.read(|connection| {
            let sql = "SELECT identity, at, who, reason FROM revoked ORDER BY identity";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut revoked = Vec::new();
            while let Some(row) = rows.next()? {
                let identity: Box<str> = row.get(0)?;
                let Millis(at) = row.get(1)?;
                revoked.push(Revocation {
                    identity: SpiffeId::parse(&identity).map_err(damaged)?,
                    at,
                    who: row.get(2)?,
                    reason: row.get(3)?,
                });
            }
            Ok(revoked)
        })
    }
}

/// Bytes that nobody should read by chance: a key, or the chain beside it. Printing it for
/// debugging tells its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// What lets a workload join: whoever shows the secret gets an identity that is granted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// How the token is found and named; no secret.
    pub id: Label,
    /// SHA-256 of its secret, which has so many random bits that nobody need slow down guessing.
    pub hash: [u8; 32],
    /// What it is good for.
    pub grant: Grant,
    /// How many more times it can be used.
    pub uses: u32,
    /// It is good for nothing from this moment on.
    pub expires: Wall,
    /// When it was made.
    pub made: Wall,
    /// By whom.
    pub made_by: Label,
}

impl Token {
    fn honours(&self, hash: &[u8; 32], now: Wall) -> Result<(), NotSpent> {
        if !same(&self.hash, hash) {
            return Err(NotSpent::WrongSecret);
        }
        if now >= self.expires {
            return Err(NotSpent::Expired(self.expires));
        }
        if self.uses == 0 {
            return Err(NotSpent::Spent);
        }
        Ok(())
    }
}

/// The identities that a token lets its bearer take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Those of this namespace.
    pub namespace: Namespace,
    /// Only this one of them, if it is named.
    pub service_account: Option<Name>,
}

/// An identity that is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revocation {
    /// Which.
    pub identity: SpiffeId,
    /// Since when.
    pub at: Wall,
    /// By whom.
    pub who: Label,
    /// Why, in their words.
    pub reason: Message,
}

/// Why a token was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdded {
    /// Its id is taken.
    #[error("a token with this id exists")]
    Exists,
    /// As many are kept as may be.
    #[error("{MOST_TOKENS} tokens are kept already")]
    TooMany,
    /// The file could not be written.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// Why a token was not honoured. Who showed it should learn no more than the code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSpent {
    /// There is no token of this id, or no longer.
    #[error("there is no such token")]
    Unknown,
    /// The token has another secret.
    #[error("the token's secret is another one")]
    WrongSecret,
    /// Its time is over.
    #[error("the token expired at {0}")]
    Expired(Wall),
    /// It has been used as often as it may.
    #[error("the token is spent")]
    Spent,
    /// The file could not be read or written; the token is as good as before.
    #[error(transparent)]
    Failed(#[from] Failed),
}

impl NotSpent {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::Unknown | Self::WrongSecret | Self::Expired(_) | Self::Spent => Code::T012,
            Self::Failed(failed) => failed.code(),
        }
    }
}

/// Puts each secret in the place of what had its name; `None` forgets it.
pub(crate) fn put_secrets(
    writing: &Writing<'_>,
    secrets: &[(Label, Option<Secret>)],
) -> Result<(), Failed> {
    for (name, secret) in secrets {
        match secret {
            Some(Secret(body)) => {
                let sql = "INSERT OR REPLACE INTO secret VALUES (?1, ?2, ?3)";
                run(writing, sql, params![name, sha256(body), body])?
            }
            None => run(writing, "DELETE FROM secret WHERE name = ?1", params![name])?,
        };
    }
    Ok(())
}

const MOST_TOKENS: usize = 10_000;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn find_token(connection: &Connection, id: &str) -> Result<Option<Token>, Failed> {
    let mut statement = connection.prepare_cached("SELECT * FROM token WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(token).transpose()
}

fn count_tokens(connection: &Connection) -> Result<usize, Failed> {
    let mut statement = connection.prepare_cached("SELECT count(*) FROM token")?;
    Ok(statement.query_one([], |row| row.get(0))?)
}

fn token(row: &Row<'_>) -> Result<Token, Failed> {
    let namespace: Box<str> = row.get(2)?;
    let account: Option<Box<str>> = row.get(3)?;
    let (Millis(expires), Millis(made)) = (row.get(5)?, row.get(6)?);
    Ok(Token {
        id: row.get(0)?,
        hash: row.get(1)?,
        grant: Grant {
            namespace: Namespace::new(&namespace).map_err(damaged)?,
            service_account: account
                .map(|name| Name::new(&name).map_err(damaged))
                .transpose()?,
        },
        uses: row.get(4)?,
        expires,
        made,
        made_by: row.get(7)?,
    })
}

/// Compares in a time that does not tell how many bytes agree.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let differ = |differ, (one, other)| differ | (one ^ other);
    one.iter().zip(other).fold(0, differ) == 0
}
