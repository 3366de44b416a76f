//! The kinds of call that pieces speak of by number. Their number is bounded: beyond that a call is
//! counted without what was asked, or without names.

use std::collections::HashMap;
use std::time::Duration;

use leno_model::flow::{Culprit, Facts, Failure, Kind, Side, What};
use leno_model::{Code, Fault, Wall};
use rusqlite::{Connection, Row, params};

use crate::columns::{Millis, damaged, execute};
use crate::failed::Failed;

/// How many kinds are told apart.
const MOST_KINDS: usize = 50_000;

/// How many kinds of request are told apart of those that have all else in common.
const MOST_REQUESTS: usize = 256;

/// How many combinations of facts are told apart of kinds that have all else in common.
const MOST_FACTS: usize = 16;

/// The kinds, each with its number.
#[derive(Default, Debug)]
pub(super) struct Dictionary {
    kinds: HashMap<Kind, Known>,
    /// How many kinds differ only in what was asked, by what they have in common.
    requests: HashMap<Kind, usize>,
    /// How many differ only in their facts, by what they have in common.
    facts: HashMap<Kind, usize>,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    id: u32,
    /// The hour in which it was counted last, since 1970.
    used: u64,
}

/// Where a kind is counted.
pub(super) struct Found {
    pub(super) id: u32,
    pub(super) is_folded: bool,
}

impl Dictionary {
    pub(super) fn read(connection: &Connection) -> Result<Self, Failed> {
        let mut dictionary = Self::default();
        let mut statement = connection.prepare_cached(
            "SELECT id, side, source, target, port, route, backend, security, method, shape, \
             status, fault, code, culprit, place, used, peer, facts FROM kind",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let Millis(used) = row.get(15)?;
            let known = Known {
                id: row.get(0)?,
                used: hour(used),
            };
            dictionary.insert(kind(row)?, known);
        }
        Ok(dictionary)
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.keys()
    }

    pub(super) fn with_ids(&self) -> impl Iterator<Item = (u32, &Kind)> {
        self.kinds.iter().map(|(kind, known)| (known.id, kind))
    }

    /// Where `kind` is counted, which is remembered if there is room for it.
    pub(super) fn find_or_add(
        &mut self,
        connection: &Connection,
        kind: &Kind,
        now: Wall,
    ) -> Result<Found, Failed> {
        if let Some(known) = self.kinds.get_mut(kind) {
            if known.used < hour(now) {
                known.used = hour(now);
                let used = "UPDATE kind SET used = ?2 WHERE id = ?1";
                execute(connection, used, params![known.id, Millis(now)])?;
            }
            return Ok(Found {
                id: known.id,
                is_folded: false,
            });
        }
        if let Some(rest) = without_facts(kind)
            && self
                .facts
                .get(&rest)
                .is_some_and(|facts| *facts >= MOST_FACTS)
        {
            return self.find_or_add(connection, &rest.with_other_facts(), now);
        }
        let narrow = kind.clone().without_request();
        let requests = self.requests.get(&narrow).copied().unwrap_or_default();
        let is_narrow = *kind == narrow;
        if !is_narrow && requests >= MOST_REQUESTS {
            let Found { id, .. } = self.find_or_add(connection, &narrow, now)?;
            return Ok(Found {
                id,
                is_folded: true,
            });
        }
        let folded = narrow.folded();
        if *kind != folded && self.kinds.len() >= MOST_KINDS {
            let Found { id, .. } = self.find_or_add(connection, &folded, now)?;
            return Ok(Found {
                id,
                is_folded: true,
            });
        }
        let id = self.next;
        add(connection, id, kind, now)?;
        let used = hour(now);
        self.insert(kind.clone(), Known { id, used });
        Ok(Found {
            id,
            is_folded: false,
        })
    }

    /// Forgets the kinds of which nothing was counted since `oldest`.
    pub(super) fn forget(&mut self, connection: &Connection, oldest: Wall) -> Result<(), Failed> {
        let (before, limit) = (self.kinds.len(), hour(oldest));
        self.kinds.retain(|_, known| known.used >= limit);
        if self.kinds.len() == before {
            return Ok(());
        }
        self.requests.clear();
        self.facts.clear();
        for kind in self.kinds.keys() {
            let narrow = kind.clone().without_request();
            *self.requests.entry(narrow).or_default() += 1;
            if let Some(rest) = without_facts(kind) {
                *self.facts.entry(rest).or_default() += 1;
            }
        }
        let oldest = Wall::since_epoch(Duration::from_secs(limit * 3600));
        execute(
            connection,
            "DELETE FROM kind WHERE used < ?1",
            [Millis(oldest)],
        )?;
        Ok(())
    }

    fn insert(&mut self, kind: Kind, known: Known) {
        let narrow = kind.clone().without_request();
        *self.requests.entry(narrow).or_default() += 1;
        if let Some(rest) = without_facts(&kind) {
            *self.facts.entry(rest).or_default() += 1;
        }
        self.next = self.next.max(known.id.saturating_add(1));
        self.kinds.insert(kind, known);
    }
}

/// The kind without its facts, where these are told apart.
fn without_facts(kind: &Kind) -> Option<Kind> {
    let told_apart = kind.facts.as_ref().filter(|it| **it != Facts::other());
    told_apart.map(|_| Kind {
        facts: None,
        ..kind.clone()
    })
}

fn hour(at: Wall) -> u64 {
    at.elapsed_since_epoch().as_secs() / 3600
}

fn add(connection: &Connection, id: u32, kind: &Kind, now: Wall) -> Result<(), Failed> {
    let (method, shape, status) = match &kind.what {
        What::Requests {
            method,
            shape,
            status,
        } => (Some(method), Some(shape), *status),
        What::Streams => (None, None, 0),
    };
    let failure = kind.failure.as_ref();
    let culprit = failure.and_then(|failure| failure.culprit.as_ref());
    let side = match kind.side {
        Side::Source => 1,
        Side::Destination => 2,
    };
    execute(
        connection,
        "INSERT INTO kind (id, side, source, target, port, route, backend, security, method, \
         shape, status, fault, code, culprit, place, used, peer, facts) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        params![
            id,
            side,
            kind.from,
            kind.to,
            kind.port,
            kind.route,
            kind.backend,
            kind.security,
            method,
            shape,
            status,
            failure.map(|failure| failure.fault.as_str()),
            failure.and_then(|failure| failure.code).map(Code::as_str),
            culprit.map(|culprit| &culprit.object),
            culprit.and_then(|culprit| culprit.place.as_ref()),
            Millis(now),
            kind.peer.map(|peer| peer.to_string()),
            kind.facts.as_ref().map(Facts::as_str),
        ],
    )?;
    Ok(())
}

fn kind(row: &Row<'_>) -> Result<Kind, Failed> {
    let peer: Option<Box<str>> = row.get(16)?;
    let facts: Option<Box<str>> = row.get(17)?;
    let fault: Option<Box<str>> = row.get(11)?;
    let code: Option<Box<str>> = row.get(12)?;
    let culprit = match row.get(13)? {
        None => None,
        Some(object) => Some(Culprit {
            object,
            place: row.get(14)?,
        }),
    };
    Ok(Kind {
        side: match row.get(1)? {
            1_u8 => Side::Source,
            2 => Side::Destination,
            _ => return Err(damaged("a flow does not say who counted")),
        },
        from: row.get(2)?,
        to: row.get(3)?,
        port: row.get(4)?,
        peer: peer.and_then(|peer| peer.parse().ok()),
        route: row.get(5)?,
        backend: row.get(6)?,
        security: row.get(7)?,
        what: match row.get(8)? {
            Some(method) => What::Requests {
                method,
                shape: row.get(9)?,
                status: row.get(10)?,
            },
            None => What::Streams,
        },
        facts: facts.and_then(|facts| Facts::read(&facts)),
        failure: match fault {
            None => None,
            Some(text) => Some(Failure {
                fault: fault_of(&text).ok_or_else(|| damaged("a flow has no such fault"))?,
                code: code.and_then(|code| code.parse().ok()),
                culprit,
            }),
        },
    })
}

fn fault_of(text: &str) -> Option<Fault> {
    let all = [
        Fault::Caller,
        Fault::Service,
        Fault::Configuration,
        Fault::Mesh,
    ];
    all.into_iter().find(|fault| fault.as_str() == text)
}
