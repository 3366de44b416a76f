//! A folder of a test's own, and the few changes that tests make.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, process};

use leno_model::{Name, Namespace, ObjectRef, Place, Wall};
use leno_store::{Change, Deed, Label, Message, Outcome, SOURCE, Settings, Store, Upsert};

/// Gone when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("leno-store-{}-{count}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("store.db")
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(&self.0, Settings::default()).unwrap()
    }

    pub(crate) fn open_keeping(&self, revisions: u64) -> Store {
        let keep = NonZeroU64::new(revisions).unwrap();
        Store::open(&self.0, Settings { keep }).unwrap()
    }

    /// Every file and what is in it, but for the lock and the log's index, which every opening
    /// makes anew.
    pub(crate) fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.ends_with("store.db-shm") && !path.ends_with("store.lock"))
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(crate) fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

pub(crate) fn wall(seconds: u64) -> Wall {
    Wall::since_epoch(Duration::from_secs(seconds))
}

pub(crate) fn key(name: &str) -> ObjectRef {
    ObjectRef {
        kind: "Service".into(),
        namespace: Some(Namespace::new("shop").unwrap()),
        name: Name::new(name).unwrap(),
    }
}

pub(crate) fn upsert(name: &str, text: &str) -> Upsert {
    let place = Place {
        file: format!("{name}.yaml").into(),
        line: 1,
        column: 1,
    };
    Upsert {
        key: key(name),
        place: Some(place),
        text: text.into(),
    }
}

pub(crate) fn change(deed: Deed) -> Change {
    Change {
        source: label(SOURCE),
        who: label("ops"),
        message: Message::default(),
        at: wall(1_795_170_718),
        expected: None,
        watch: None,
        deed,
    }
}

pub(crate) fn apply(store: &Store, objects: &[(&str, &str)]) -> Outcome {
    let upserts = objects.iter().map(|(name, text)| upsert(name, text));
    let deed = Deed::Apply {
        set: label("shop"),
        upserts: upserts.collect(),
        prune: false,
    };
    store.commit(change(deed), |_| Ok(())).unwrap()
}
