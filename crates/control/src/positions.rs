//! How far each source beside the store has been read, for the order of views: counted in the store, so that
//! no position goes back over a restart, whatever a clock says, and none rises when nothing changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use leno_store::{Failed, Label, Secret, Store};

use crate::found::Found;

/// Where each source stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Positions(BTreeMap<Arc<str>, Position>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Position {
    count: u64,
    /// Of what stood in the folder then.
    hash: String,
}

impl Positions {
    /// Takes up what was counted before.
    pub(crate) fn open(store: &Store) -> Result<Self, Failed> {
        let kept = store.secret(&name())?;
        let text = kept.map(|Secret(bytes)| String::from_utf8_lossy(&bytes).into_owned());
        Ok(text.as_deref().map(Self::read).unwrap_or_default())
    }

    /// Gives each folder its position, which rises if something else is found there than before.
    /// What was counted is on disk when this returns.
    pub(crate) fn settle(&mut self, found: &mut [Found], store: &Store) -> Result<(), Failed> {
        let mut next = self.clone();
        for folder in found {
            folder.position = next.count(folder);
        }
        if next != *self {
            let secret = Some(Secret(next.write().into_bytes()));
            store.keep_secrets(&[(name(), secret)])?;
            *self = next;
        }
        Ok(())
    }

    fn count(&mut self, found: &Found) -> u64 {
        let hash = hash(found);
        let position = self.0.entry(Arc::clone(&found.source));
        let position = position.or_insert(Position {
            count: 0,
            hash: String::new(),
        });
        if position.hash != hash {
            position.count += 1;
            position.hash = hash;
        }
        position.count
    }

    /// `COUNT HASH SOURCE`, each ended by the one byte that no path has.
    fn write(&self) -> String {
        let entry = |(folder, Position { count, hash }): (&Arc<str>, &Position)| {
            format!("{count} {hash} {folder}\0")
        };
        self.0.iter().map(entry).collect()
    }

    fn read(text: &str) -> Self {
        let entry = |entry: &str| {
            let mut parts = entry.splitn(3, ' ');
            let count = parts.next()?.parse().ok()?;
            let hash = parts.next()?.to_owned();
            Some((parts.next()?.into(), Position { count, hash }))
        };
        Self(text.split_terminator('\0').filter_map(entry).collect())
    }
}

/// Of all that an edition takes from a folder.
fn hash(found: &Found) -> String {
    let mut context = Context::new(&SHA256);
    let mut add = |bytes: &[u8]| {
        context.update(&bytes.len().to_be_bytes());
        context.update(bytes);
    };
    for (path, bytes) in found.files.iter() {
        add(path.as_bytes());
        add(bytes);
    }
    if let Some(trouble) = &found.trouble {
        add(trouble.as_bytes());
    }
    let digest = context.finish();
    let digits = digest.as_ref().iter().take(16);
    digits.map(|byte| format!("{byte:02x}")).collect()
}

fn name() -> Label {
    Label::new("positions/sources").expect("a constant that is a label")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(folder: &str, text: &str) -> Found {
        Found {
            source: folder.into(),
            files: Arc::new(vec![("a.yaml".into(), text.as_bytes().into())]),
            ..Found::default()
        }
    }

    #[test]
    fn a_position_rises_when_something_else_is_found_and_only_then() {
        let mut positions = Positions::default();
        let mut count = |found: &Found| positions.count(found);
        assert_eq!(count(&found("one", "a: 1")), 1);
        assert_eq!(count(&found("one", "a: 1")), 1);
        assert_eq!(count(&found("two", "a: 1")), 1);
        assert_eq!(count(&found("one", "a: 2")), 2);
        let away = Found {
            trouble: Some("it is gone".into()),
            ..found("one", "a: 2")
        };
        assert_eq!(count(&away), 3);
        assert_eq!(count(&found("one", "a: 2")), 4);
    }

    #[test]
    fn positions_read_as_they_were_written() {
        let mut positions = Positions::default();
        for folder in ["/etc/leno", "with space", "with\nnewline"] {
            positions.count(&found(folder, folder));
        }
        assert_eq!(Positions::read(&positions.write()), positions);
    }
}
