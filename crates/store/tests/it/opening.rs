//! What is refused at opening, with what advice, and that it is left as it was.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use leno_model::Dice;
use leno_store::{
    Deed, Failed, NotBackedUp, NotOpened, Object, Refused, Revision, Secret, Settings, Store,
};

use crate::child::run_on_small_disk;
use crate::folder::{Folder, apply, change, label, upsert};

fn open(folder: &Folder) -> Result<Store, NotOpened> {
    Store::open(folder.path(), Settings::default())
}

/// Opening is refused with this code, and afterwards all is as it was before.
fn check_refused(folder: &Folder, code: &str) -> NotOpened {
    let contents = || {
        let mut files = folder.contents();
        files.retain(|(path, bytes)| !(path.ends_with("store.db-wal") && bytes.is_empty()));
        files
    };
    let before = contents();
    let refused = open(folder).unwrap_err();
    assert_eq!(refused.code().as_str(), code, "{refused}");
    assert!(before == contents(), "{refused}: and something was changed");
    refused
}

/// A store with a few revisions and a secret, closed.
fn filled() -> Folder {
    let folder = Folder::new();
    let store = folder.open();
    for round in 0..8 {
        let names: Vec<_> = (0..20).map(|n| format!("s{n}")).collect();
        let text = format!("replicas: {round}\n").repeat(40);
        let objects: Vec<_> = names.iter().map(|name| (name.as_str(), &*text)).collect();
        apply(&store, &objects);
    }
    let key = Some(Secret(vec![7; 64]));
    store.keep_secrets(&[(label("root key"), key)]).unwrap();
    folder
}

/// The folder as it would be if the machine had stopped: what is only in the log stays there.
fn stopped(folder: &Folder) -> Folder {
    let image = Folder::new();
    for name in ["store.db", "store.db-wal"] {
        fs::copy(folder.path().join(name), image.path().join(name)).unwrap();
    }
    image
}

#[test]
fn what_was_stored_is_there_again() {
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, &[("web", "v1"), ("cart", "v1")]);
    let (head, objects) = (store.head(), store.at(Revision(1)).unwrap());
    let image = stopped(&folder);
    drop(store);
    for folder in [folder, image] {
        let store = folder.open();
        assert_eq!(store.head(), head);
        assert_eq!(store.at(Revision(1)).unwrap(), objects);
    }
}

#[test]
fn a_newer_store_is_refused() {
    let folder = filled();
    let raw = rusqlite::Connection::open(folder.file()).unwrap();
    raw.pragma_update(None, "user_version", 7).unwrap();
    let image = stopped(&folder);
    raw.close().unwrap();
    for folder in [folder, image] {
        let refused = check_refused(&folder, "S001");
        let file = folder.file();
        assert_eq!(
            refused.to_string(),
            format!(
                "{} was written by a newer Leno: it has schema 7, and this one knows 2",
                file.display()
            )
        );
        assert_eq!(
            refused.advice(),
            "Start the newer Leno again. Or move the folder away, put its store.db.v2, the copy \
             made before the upgrade, into a new one as store.db, and run `leno control recover`."
        );
    }
}

#[test]
fn a_truncated_store_is_refused_wherever_it_ends() {
    let folder = filled();
    let whole = fs::read(folder.file()).unwrap();
    let mut lengths: Vec<_> = (0..whole.len()).step_by(1500).collect();
    lengths.extend([1, 99, 100, 4095, 4096, 4097, whole.len() - 1]);
    for length in lengths {
        fs::write(folder.file(), &whole[..length]).unwrap();
        let refused = check_refused(&folder, "S002");
        assert!(refused.advice().contains("backup"), "{length}");
    }
    fs::write(folder.file(), &whole).unwrap();
    folder.open();
}

#[test]
fn another_file_of_that_name_is_refused() {
    let folder = Folder::new();
    fs::write(folder.file(), "just some notes\n".repeat(100)).unwrap();
    check_refused(&folder, "S002");
    fs::remove_file(folder.file()).unwrap();
    let raw = rusqlite::Connection::open(folder.file()).unwrap();
    raw.execute_batch("CREATE TABLE mine (a)").unwrap();
    raw.close().unwrap();
    let refused = check_refused(&folder, "S002");
    assert!(refused.to_string().ends_with("it is not a store of Leno"));
}

#[test]
fn no_damaged_object_or_key_is_ever_served() {
    let folder = filled();
    let whole = fs::read(folder.file()).unwrap();
    let key_owner_text = |object: Object| (object.key, object.owner, object.text);
    let served = |store: &Store| -> Vec<_> {
        let objects = store.at(Revision(8)).unwrap();
        objects.into_iter().map(key_owner_text).collect()
    };
    let written = served(&folder.open());
    let mut dice = Dice::new(5);
    let mut refused = 0;
    for _ in 0..250 {
        let at = usize::try_from(dice.next_u64() % whole.len() as u64).unwrap();
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (dice.next_u64() % 8);
        fs::write(folder.file(), &damaged).unwrap();
        let Ok(store) = open(&folder) else {
            refused += 1;
            continue;
        };
        assert_eq!(served(&store), written, "byte {at}");
        if let Ok(secret) = store.secret(&label("root key")) {
            assert_eq!(secret, Some(Secret(vec![7; 64])), "byte {at}");
        }
    }
    assert!(refused > 20, "{refused} of 250");
    fs::write(folder.file(), &whole).unwrap();
    assert_eq!(served(&folder.open()), written);
}

/// What is committed last stands in the log alone. Where that is damaged or ends, SQLite takes it to
/// have ended: the store is at an earlier revision, and that one is whole.
#[test]
fn a_damaged_log_gives_an_earlier_revision_and_never_half_of_one() {
    let folder = Folder::new();
    let store = folder.open();
    let text = |round: u64, name: &str| format!("{name}: {round}\n").repeat(30);
    for round in 1..=6 {
        let texts = ["a", "b", "c"].map(|name| (name, text(round, name)));
        let objects: Vec<_> = texts.iter().map(|(name, text)| (*name, &**text)).collect();
        apply(&store, &objects);
    }
    let image = stopped(&folder);
    let log = image.path().join("store.db-wal");
    let whole = fs::read(&log).unwrap();
    let mut dice = Dice::new(11);
    let mut earlier = 0;
    for turn in 0..60 {
        let at = usize::try_from(dice.next_u64() % whole.len() as u64).unwrap();
        let mut damaged = whole.clone();
        match turn % 2 {
            0 => damaged.truncate(at),
            _ => damaged[at] ^= 1 << (dice.next_u64() % 8),
        }
        let image = stopped(&folder);
        fs::write(image.path().join("store.db-wal"), damaged).unwrap();
        let Ok(store) = open(&image) else {
            continue;
        };
        let head = store.head().revision;
        earlier += u32::from(head < Revision(6));
        for object in store.at(head).unwrap() {
            let name = object.key.name.to_string();
            assert_eq!(*object.text, text(head.0, &name), "byte {at}");
        }
    }
    assert!(earlier > 10, "{earlier} of 60");
}

#[test]
fn nobody_else_may_read_it() {
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, &[("web", "v1")]);
    let modes = || {
        ["store.db", "store.db-wal", "store.db-shm", "store.lock"].map(|name| {
            let path = folder.path().join(name);
            fs::metadata(path).unwrap().permissions().mode() & 0o777
        })
    };
    assert_eq!(modes(), [0o600; 4]);
    drop(store);
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let _store = folder.open();
    assert_eq!(
        modes(),
        [0o600; 4],
        "a file put there by hand is made private"
    );
}

#[test]
fn a_backup_is_a_store_of_that_moment() {
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, &[("web", "v1")]);
    let key = (label("root key"), Some(Secret(vec![1, 2, 3])));
    store.keep_secrets(std::slice::from_ref(&key)).unwrap();
    let restored = Folder::new();
    let held = store.backup(&restored.file()).unwrap();
    apply(&store, &[("web", "v2")]);
    assert_eq!(
        store.backup(&restored.file()),
        Err(NotBackedUp::Exists(restored.file()))
    );
    let mode = fs::metadata(restored.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let copy = restored.open();
    assert_eq!(copy.head(), held);
    assert_eq!(
        copy.at(Revision(1)).unwrap(),
        store.at(Revision(1)).unwrap()
    );
    assert_eq!(copy.secret(&key.0).unwrap(), key.1);

    let newest = store.head().generation();
    assert!(!copy.head().generation().follows(&newest));
    copy.raise_epoch(newest.epoch).unwrap();
    assert!(copy.head().generation().follows(&newest), "recovered");
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let folder = Folder::new();
    run_on_small_disk("opening::on_a_full_disk", folder.path());
}

#[test]
#[ignore = "runs on the small disk of the test above"]
fn on_a_full_disk() {
    let here = Path::new(".");
    let reopen = || Store::open(here, Settings::default());
    let store = reopen().unwrap();
    apply(&store, &[("web", "v1")]);
    fill(here);
    let text = "x".repeat(100_000);
    let deed = Deed::Apply {
        set: label("shop"),
        upserts: vec![upsert("web", &text)],
        prune: false,
    };
    let refused = store.commit(change(deed), |_| Ok(())).unwrap_err();
    assert_eq!(refused, Refused::Failed(Failed::Full));
    assert_eq!(refused.code().as_str(), "S003");
    assert_eq!(store.head().revision, Revision(1));
    assert_eq!(&*store.at(Revision(1)).unwrap()[0].text, "v1");

    let copy = store.backup(Path::new("copy.db"));
    assert_eq!(copy, Err(NotBackedUp::Failed(Failed::Full)));
    assert!(!Path::new("copy.db.part").exists());

    drop(store);
    let before = fs::read("store.db").unwrap();
    fill(here);
    let refused = reopen().unwrap_err();
    assert_eq!(refused.code().as_str(), "S003", "{refused}");
    assert!(fs::read("store.db").unwrap() == before);

    fs::remove_file("filler").unwrap();
    let store = reopen().unwrap();
    apply(&store, &[("web", "v2")]);
    assert_eq!(store.head().revision, Revision(2));
}

fn fill(folder: &Path) {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    let mut filler = options.open(folder.join("filler")).unwrap();
    let error = loop {
        if let Err(error) = filler.write_all(&[0; 512]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

#[test]
fn a_read_only_disk_is_refused() {
    let folder = Folder::new();
    run_on_small_disk("opening::on_a_read_only_disk", folder.path());
}

#[test]
#[ignore = "runs on the small disk of the test above"]
fn on_a_read_only_disk() {
    let reopen = || Store::open(Path::new("."), Settings::default());
    apply(&reopen().unwrap(), &[("web", "v1")]);
    let before = fs::read("store.db").unwrap();
    let remount = |how| {
        let arguments = ["-o", how, "."];
        let status = Command::new("mount").args(arguments).status().unwrap();
        assert!(status.success());
    };
    remount("remount,ro");
    let refused = reopen().unwrap_err();
    assert_eq!(refused.code().as_str(), "S003", "{refused}");
    assert_eq!(
        refused.advice(),
        "Let the user that Leno runs as write the folder; nothing in it was changed."
    );
    assert!(fs::read("store.db").unwrap() == before);
    remount("remount,rw");
    assert_eq!(reopen().unwrap().head().revision, Revision(1));
}

#[test]
fn a_store_that_was_half_made_is_made_again() {
    let folder = Folder::new();
    fs::write(folder.path().join("store.db.new"), "half").unwrap();
    let store = folder.open();
    assert_eq!(store.head().revision, Revision::EMPTY);
    assert!(!folder.path().join("store.db.new").exists());
}

#[test]
fn a_key_that_was_replaced_is_not_left_in_the_file() {
    let folder = Folder::new();
    let store = folder.open();
    let name = label("root key");
    let old = b"an old key of forty bytes, quite unmistakable".to_vec();
    for secret in [old.clone(), vec![2; 40]] {
        let secret = Some(Secret(secret));
        store.keep_secrets(&[(name.clone(), secret)]).unwrap();
    }
    drop(store);
    let bytes = fs::read(folder.file()).unwrap();
    assert!(!bytes.windows(old.len()).any(|window| window == old));
}

#[test]
fn a_secret_that_changed_by_itself_is_refused_when_it_is_read() {
    let folder = Folder::new();
    let store = folder.open();
    let name = label("root key");
    let marker = b"a key that can be found in the file".to_vec();
    let secret = Some(Secret(marker.clone()));
    store.keep_secrets(&[(name.clone(), secret)]).unwrap();
    drop(store);
    let bytes = fs::read(folder.file()).unwrap();
    let found = bytes
        .windows(marker.len())
        .position(|window| window == marker);
    let at = found.unwrap() as u64;
    let file = File::options().write(true).open(folder.file()).unwrap();
    file.write_all_at(b"A", at).unwrap();
    let error = folder.open().secret(&name).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it is damaged: root key has changed by itself"
    );
}
