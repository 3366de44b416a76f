//! A watched change stays or goes back; what it changed stands still meanwhile, and nothing else does.

use leno_store::{Deed, End, Message, Outcome, Refused, Revision, Store, Terms};

use crate::folder::{Folder, change, key, label, upsert, wall};

fn apply(store: &Store, objects: &[(&str, &str)], watched: bool) -> Result<Outcome, Refused> {
    apply_as(store, None, objects, watched)
}

fn apply_as(
    store: &Store,
    who: Option<&str>,
    objects: &[(&str, &str)],
    watched: bool,
) -> Result<Outcome, Refused> {
    let upserts = objects.iter().map(|(name, text)| upsert(name, text));
    let deed = Deed::Apply {
        set: label("shop"),
        upserts: upserts.collect(),
        prune: false,
    };
    let mut wanted = change(deed);
    if let Some(who) = who {
        wanted.who = label(who);
    }
    wanted.watch = watched.then(|| Terms {
        until: wall(2000),
        tolerated: 10_000,
        unwell: Message::default(),
    });
    store.commit(wanted, |_| Ok(()))
}

fn undo(store: &Store, of: u64) -> Result<Outcome, Refused> {
    let end = End::WentBack;
    let mut wanted = change(Deed::Undo {
        of: Revision(of),
        end,
    });
    wanted.message = Message::new("12 of 12 failed").unwrap();
    store.commit(wanted, |_| Ok(()))
}

/// The objects that stand: `cart=v1 pay=v2`.
fn stands(store: &Store) -> String {
    let objects = store.at(store.head().revision).unwrap();
    let told = objects
        .iter()
        .map(|object| format!("{}={}", object.key.name, object.text));
    told.collect::<Vec<_>>().join(" ")
}

/// The watches, the newest first: `4 runs`, `2 went-back by 3: 12 of 12 failed`.
fn watches(store: &Store) -> String {
    let told = store.watches().unwrap().into_iter().map(|watch| {
        let how = match watch.ended {
            None => "runs".to_owned(),
            Some(ended) => {
                let by = ended.by.map(|by| format!(" by {by}")).unwrap_or_default();
                format!("{}{by}: {}", ended.end, ended.why)
            }
        };
        format!("{} {}", watch.revision, how.trim_end_matches(": "))
    });
    told.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_change_goes_back_and_leaves_what_others_changed_meanwhile() {
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, &[("cart", "v1"), ("gone", "v1")], false).unwrap();
    apply(&store, &[("cart", "v2"), ("new", "v1")], true).unwrap();
    apply(&store, &[("pay", "v1")], false).unwrap();
    drop(store);
    let store = folder.open();
    assert_eq!(watches(&store), "2 runs", "also after a restart");
    let outcome = undo(&store, 2).unwrap();
    assert_eq!(outcome.revision, Revision(4));
    assert_eq!(stands(&store), "cart=v1 gone=v1 pay=v1");
    assert_eq!(watches(&store), "2 went-back by 4: 12 of 12 failed");
    let why = store.history(1, None).unwrap()[0].message.to_string();
    assert_eq!(why, "12 of 12 failed");
    // Twice is once.
    let outcome = undo(&store, 2).unwrap();
    assert_eq!((outcome.changes.len(), outcome.left.len()), (0, 2));
}

#[test]
fn what_is_watched_stands_still() {
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, &[("cart", "v1"), ("pay", "v1")], false).unwrap();
    apply(&store, &[("cart", "v2")], true).unwrap();
    let refused = apply(&store, &[("cart", "v3"), ("pay", "v2")], false).unwrap_err();
    assert_eq!(refused.code().as_str(), "S012");
    assert_eq!(
        refused.to_string(),
        "Service shop/cart is watched, since revision 2 of ops"
    );
    let deletion = change(Deed::Delete {
        objects: vec![key("cart")],
    });
    assert!(store.commit(deletion, |_| Ok(())).is_err());
    // What it says again, and what it does not say, may be applied.
    apply(&store, &[("cart", "v2"), ("pay", "v2")], false).unwrap();
    assert_eq!(stands(&store), "cart=v2 pay=v2");
    // Other objects may be watched, too.
    apply(&store, &[("web", "v1")], true).unwrap();
    assert_eq!(watches(&store), "4 runs, 2 runs");
    let why = Message::default();
    assert!(
        store
            .end_watch(Revision(2), End::Stayed, &why, wall(2000))
            .unwrap()
    );
    assert!(
        !store
            .end_watch(Revision(2), End::Kept, &why, wall(2001))
            .unwrap()
    );
    apply(&store, &[("cart", "v3")], false).unwrap();
    assert_eq!(watches(&store), "4 runs, 2 stayed");
}

#[test]
fn whoever_rolls_back_takes_a_watched_change_back() {
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, &[("cart", "v1")], false).unwrap();
    apply(&store, &[("cart", "v2")], true).unwrap();
    let to = Revision(1);
    store
        .commit(change(Deed::Rollback { to }), |_| Ok(()))
        .unwrap();
    assert_eq!(stands(&store), "cart=v1");
    assert_eq!(watches(&store), "2 taken-back by 3");
}

#[test]
fn a_rehearsal_watches_nothing_and_few_are_watched_at_once() {
    let folder = Folder::new();
    let store = folder.open();
    for number in 0..8 {
        let who = ["anna", "eve"][number / 4];
        if number % 4 == 0 && number > 0 {
            let refused = apply_as(&store, Some("anna"), &[("more", "v1")], true).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "4 changes of yours are watched already"
            );
        }
        let name = format!("s{number}");
        apply_as(&store, Some(who), &[(&name, "v1")], true).unwrap();
    }
    let refused = apply_as(&store, Some("ops"), &[("more", "v1")], true).unwrap_err();
    assert_eq!(refused.to_string(), "8 changes are watched already");
    let mut wanted = change(Deed::Undo {
        of: Revision(1),
        end: End::WentBack,
    });
    wanted.message = Message::default();
    let outcome = store.rehearse(wanted, |_| Ok(())).unwrap();
    assert_eq!(outcome.changes.len(), 1);
    assert!(watches(&store).ends_with("1 runs"));
}
