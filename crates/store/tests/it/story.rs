//! The semantics of changes, as lines that anyone can read: what is typed, and what comes of it.

use leno_model::{Code, Note, Notes, ObjectRef, Severity};
use leno_store::{Change, Deed, Object, ObjectChange, Outcome, Refused, Revision, Store};

use crate::folder::{Folder, apply, change, key, label, upsert};

/// Runs each line of `story` and compares what comes of it with what stands behind the arrow.
fn check(store: &Store, story: &str) {
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (typed, expected) = line.split_once("->").unwrap();
        assert_eq!(answer(store, typed.trim()), expected.trim(), "{line}");
    }
}

#[test]
fn an_apply_merges_and_only_prune_deletes() {
    check(
        &Folder::new().open(),
        "
        apply shop: web cart                -> revision 1: +cart +web
        apply shop: web cart                -> nothing changed, revision 1
        apply shop: web=v2                  -> revision 2: ~web
        apply shop --prune: web=v2          -> revision 3: -cart
        apply shop --prune: web=v2          -> nothing changed, revision 3
        apply shop --prune:                 -> revision 4: -web
        at 0                                ->
        at 1                                -> cart@shop web@shop
        at 2                                -> cart@shop web=v2@shop
        at 3                                -> web=v2@shop
        at 4                                ->
        at 5                                -> S007: there is no revision 5: 0 to 4 are kept
        ",
    );
}

#[test]
fn prune_deletes_only_what_the_same_set_applied() {
    check(
        &Folder::new().open(),
        "
        apply shop: web cart                -> revision 1: +cart +web
        apply base: mesh                    -> revision 2: +mesh
        apply shop of git: dns              -> revision 3: +dns
        apply base --prune: mesh=v2         -> revision 4: ~mesh
        apply shop --prune: cart            -> revision 5: -web
        at 5                                -> cart@shop dns@shop of git mesh=v2@base
        ",
    );
}

#[test]
fn an_object_has_one_owner() {
    check(
        &Folder::new().open(),
        "
        apply shop: web cart                -> revision 1: +cart +web
        apply base: web                     -> S006: Service shop/web belongs to set shop
        apply base: new cart web            -> S006: Service shop/cart belongs to set shop, and 1 more are not its own
        apply shop of git: web              -> S006: Service shop/web belongs to set shop
        delete of git: web                  -> S006: Service shop/web belongs to set shop
        at 1                                -> cart@shop web@shop
        delete: web                         -> revision 2: -web
        apply base: web                     -> revision 3: +web
        apply shop of git: dns              -> revision 4: +dns
        delete: dns web                     -> S006: Service shop/dns belongs to set shop of git
        apply shop: dns                     -> S006: Service shop/dns belongs to set shop of git
        at 4                                -> cart@shop dns@shop of git web@base
        ",
    );
}

#[test]
fn deleting_tells_what_is_not_there() {
    check(
        &Folder::new().open(),
        "
        apply shop: web                     -> revision 1: +web
        delete: crat                        -> nothing changed, revision 1; Service shop/crat is not there
        delete: web crat web                -> revision 2: -web; Service shop/crat is not there
        ",
    );
}

#[test]
fn a_rollback_is_a_revision_and_leaves_what_others_own() {
    check(
        &Folder::new().open(),
        "
        apply shop: web cart                -> revision 1: +cart +web
        apply shop --prune: web=v2 mail     -> revision 2: -cart +mail ~web
        rollback 1                          -> revision 3: +cart -mail ~web
        at 3                                -> cart@shop web@shop
        rollback 1                          -> nothing changed, revision 3
        rollback 2                          -> revision 4: -cart +mail ~web
        rollback 9                          -> S007: there is no revision 9: 0 to 4 are kept
        apply all of git: dns               -> revision 5: +dns
        rollback 1                          -> revision 6: +cart -mail ~web; Service shop/dns belongs to set all of git
        delete of git: dns                  -> revision 7: -dns
        apply shop: dns=mine                -> revision 8: +dns
        rollback 6                          -> nothing changed, revision 8; Service shop/dns belongs to set all of git
        rollback 0                          -> revision 9: -cart -dns -web
        at 9                                ->
        diff 8 9                            -> -cart -dns -web
        diff 9 8                            -> +cart +dns +web
        diff 1 6                            -> +dns
        diff 3 3                            ->
        diff 3 10                           -> S007: there is no revision 10: 0 to 9 are kept
        ",
    );
}

#[test]
fn what_is_seen_at_a_source_is_all_that_it_has() {
    check(
        &Folder::new().open(),
        "
        observe cluster: web cart           -> revision 1: +cart +web
        observe cluster: cart web           -> nothing changed, revision 1
        apply shop: dns                     -> revision 2: +dns
        observe cluster: cart=v2 dns mail   -> revision 3: ~cart +mail -web; Service shop/dns belongs to set shop
        at 3                                -> cart=v2@cluster dns@shop mail@cluster
        apply shop: cart                    -> S006: Service shop/cart belongs to the cluster
        delete: cart                        -> S006: Service shop/cart belongs to the cluster
        rollback 1                          -> revision 4: -dns; Service shop/cart belongs to the cluster; Service shop/mail belongs to the cluster; Service shop/web belongs to the cluster
        observe cluster: cart=v2 dns mail   -> revision 5: +dns
        observe cluster:                    -> revision 6: -cart -dns -mail
        history                             -> 6 observe 0/0/3, 5 observe 1/0/0, 4 rollback 1 0/0/1, 3 observe 1/1/1, 2 apply shop 1/0/0, 1 observe 2/0/0
        observe cluster: web web            -> C008: Service shop/web is in it twice
        ",
    );
}

#[test]
fn a_change_made_for_another_head_is_refused() {
    check(
        &Folder::new().open(),
        "
        apply shop --if-revision 0: web     -> revision 1: +web
        apply shop --if-revision 0: cart    -> S004: the configuration is at revision 1, not at 0
        apply shop --if-revision 1: cart    -> revision 2: +cart
        apply shop --if-revision 1: cart    -> S004: the configuration is at revision 2, not at 1
        ",
    );
}

#[test]
fn one_document_twice_is_refused_whole() {
    check(
        &Folder::new().open(),
        "
        apply shop: cart web=v1 web=v2      -> C008: Service shop/web is in it twice
        apply shop: web                     -> revision 1: +web
        ",
    );
}

#[test]
fn history_tells_who_did_what_and_keeps_the_newest() {
    let folder = Folder::new();
    let store = folder.open_keeping(3);
    check(
        &store,
        "
        apply shop: web                     -> revision 1: +web
        apply shop: web=v2 cart             -> revision 2: +cart ~web
        delete: cart                        -> revision 3: -cart
        history                             -> 3 delete 0/0/1, 2 apply shop 1/1/0, 1 apply shop 1/0/0
        rollback 2                          -> revision 4: +cart
        history                             -> 4 rollback 2 1/0/0, 3 delete 0/0/1, 2 apply shop 1/1/0
        at 1                                -> web@shop
        diff 1 2                            -> +cart ~web
        at 0                                -> S007: there is no revision 0: 1 to 4 are kept
        apply shop: web=v5                  -> revision 5: ~web
        diff 1 2                            -> S007: there is no revision 1: 2 to 5 are kept
        at 2                                -> cart@shop web=v2@shop
        at 5                                -> cart@shop web=v5@shop
        rollback 1                          -> S007: there is no revision 1: 2 to 5 are kept
        ",
    );
    let page = store.history(1, Some(Revision(5))).unwrap();
    assert_eq!(page[0].revision, Revision(4));
    assert_eq!(page[0].who, label("ops"));
    assert_eq!(page[0].at.to_string(), "2026-11-20T10:31:58.000Z");
}

#[test]
fn the_head_is_kept_whatever_the_settings() {
    let folder = Folder::new();
    check(
        &folder.open_keeping(1),
        "
        apply shop: web cart                -> revision 1: +cart +web
        apply shop: web=v2                  -> revision 2: ~web
        apply shop: web=v3                  -> revision 3: ~web
        history                             -> 3 apply shop 0/1/0
        at 3                                -> cart@shop web=v3@shop
        at 2                                -> cart@shop web=v2@shop
        at 1                                -> S007: there is no revision 1: 2 to 3 are kept
        ",
    );
}

#[test]
fn a_document_that_only_moved_is_a_revision_so_that_lines_are_right() {
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, &[("web", "web")]);
    let mut moved = upsert("web", "web");
    moved.place.as_mut().unwrap().line = 7;
    let outcome = store.commit(apply_of(vec![moved]), |_| Ok(())).unwrap();
    assert_eq!(outcome.revision, Revision(2));
    assert!(outcome.changes[0].only_moved());
    let line = |revision| {
        let object = store.at(Revision(revision)).unwrap().remove(0);
        object.place.unwrap().to_string()
    };
    assert_eq!(
        (line(1).as_str(), line(2).as_str()),
        ("web.yaml:1", "web.yaml:7")
    );
}

#[test]
fn the_check_sees_what_would_be_committed_and_can_refuse_it() {
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, &[("web", "v1")]);
    let upserts = vec![upsert("web", "v2"), upsert("cart", "v2")];
    let refused = store.commit(apply_of(upserts.clone()), |draft| {
        assert_eq!(draft.base(), Revision(1));
        assert_eq!(list(&draft.before()?), "web=v1@shop");
        assert_eq!(list(&draft.after()?), "cart=v2@shop web=v2@shop");
        assert_eq!(signs(draft.changes()), "+cart ~web");
        assert_eq!(store.head().revision, Revision(1), "others see it later");
        Err(Refused::HasErrors(errors()))
    });
    assert_eq!(
        told(refused),
        "S005: it would bring 2 errors that the revision before lacks"
    );
    assert_eq!(answer(&store, "at 1"), "web=v1@shop");
    assert_eq!(answer(&store, "history"), "1 apply shop 1/0/0");
    assert_eq!(
        told(store.commit(apply_of(upserts), |_| Ok(()))),
        "revision 2: +cart ~web"
    );
}

#[test]
fn a_rehearsal_says_what_would_be_and_changes_nothing() {
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, &[("web", "v1")]);
    let head = store.head();
    let change = apply_of(vec![upsert("web", "v2"), upsert("cart", "v2")]);
    let rehearsed = store.rehearse(change.clone(), |draft| {
        assert_eq!(list(&draft.after()?), "cart=v2@shop web=v2@shop");
        Ok(())
    });
    let expect = "revision 2: +cart ~web";
    assert_eq!(told(rehearsed), expect);
    let refused = store.rehearse(change.clone(), |_| Err(Refused::HasErrors(errors())));
    assert!(refused.is_err());
    assert_eq!(store.head(), head);
    assert_eq!(answer(&store, "history"), "1 apply shop 1/0/0");
    assert_eq!(told(store.commit(change, |_| Ok(()))), expect);
}

#[test]
fn a_check_that_panics_leaves_nothing_behind() {
    let folder = Folder::new();
    let store = folder.open();
    let attempt = std::panic::AssertUnwindSafe(|| {
        store.commit(apply_of(vec![upsert("web", "v1")]), |_| panic!("a bug"))
    });
    assert!(std::panic::catch_unwind(attempt).is_err());
    assert_eq!(store.head().revision, Revision::EMPTY);
    check(&store, "apply shop: web -> revision 1: +web");
}

#[test]
fn everyone_who_asked_is_told_of_each_new_head_in_order() {
    let folder = Folder::new();
    let store = folder.open();
    let (sender, heads) = std::sync::mpsc::channel();
    store.on_new_head(move |head| sender.send(head).unwrap());
    apply(&store, &[("web", "v1")]);
    apply(&store, &[("web", "v1")]);
    apply(&store, &[("web", "v2")]);
    store.raise_epoch(7).unwrap();
    let told: Vec<_> = heads.try_iter().collect();
    assert_eq!(told.last(), Some(&store.head()));
    let generations: Vec<_> = told.iter().map(|head| head.generation()).collect();
    let shown: Vec<_> = generations.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["1 store:1", "1 store:2", "8 store:3"]);
    assert!(generations.is_sorted_by(|one, next| next.follows(one)));
}

#[test]
fn what_is_too_large_is_refused_by_name() {
    let folder = Folder::new();
    let store = folder.open();
    let large = "x".repeat(1 << 20);
    let fits = apply_of(vec![upsert("web", &large)]);
    assert_eq!(told(store.commit(fits, |_| Ok(()))), "revision 1: +web");
    let larger = apply_of(vec![upsert("web", &format!("{large}x"))]);
    assert_eq!(
        told(store.commit(larger, |_| Ok(()))),
        "C009: Service shop/web has 1048577 bytes, and at most 1048576 are kept"
    );
    let many = (0..65).map(|n| upsert(&format!("s{n}"), &large)).collect();
    assert_eq!(
        told(store.commit(apply_of(many), |_| Ok(()))),
        "S009: bytes in one change: 68157440, and at most 67108864 are taken"
    );
    let crowd = (0..50_001).map(|n| upsert(&format!("s{n}"), "")).collect();
    assert_eq!(
        told(store.commit(apply_of(crowd), |_| Ok(()))),
        "S009: objects in one change: 50001, and at most 50000 are taken"
    );
}

#[test]
fn an_object_of_the_whole_mesh_has_no_namespace() {
    let folder = Folder::new();
    let store = folder.open();
    let mesh = ObjectRef {
        kind: "Mesh".into(),
        namespace: None,
        name: key("mesh").name,
    };
    let mut object = upsert("mesh", "trustDomain: shop.local");
    object.key = mesh.clone();
    object.place = None;
    let upserts = vec![object, upsert("mesh", "a Service of that name")];
    store.commit(apply_of(upserts), |_| Ok(())).unwrap();
    let objects = store.at(Revision(1)).unwrap();
    assert_eq!(objects[0].key, mesh);
    assert_eq!(objects[0].place, None);
    assert_eq!(objects[1].key, key("mesh"));
}

fn apply_of(upserts: Vec<leno_store::Upsert>) -> Change {
    change(Deed::Apply {
        set: label("shop"),
        upserts,
        prune: false,
    })
}

fn errors() -> Notes {
    let note = |severity| Note {
        code: Code::C113,
        severity,
        origin: None,
        span: None,
        message: "no Service cart-v3 in shop".into(),
        suggestion: None,
        in_force: "nothing".into(),
    };
    let mut notes = Notes::default();
    for severity in [Severity::Error, Severity::Warning, Severity::Error] {
        notes.push(note(severity));
    }
    notes
}

/// Does what is typed, and tells what came of it.
fn answer(store: &Store, typed: &str) -> String {
    let (head, rest) = typed.split_once(':').unwrap_or((typed, ""));
    let mut words = head.split_whitespace();
    let verb = words.next().unwrap();
    let mut number = || Revision(words.next().unwrap().parse().unwrap());
    match verb {
        "at" => match store.at(number()) {
            Ok(objects) => list(&objects),
            Err(error) => format!("{}: {error}", error.code()),
        },
        "diff" => match store.diff(number(), number()) {
            Ok(changes) => signs(&changes),
            Err(error) => format!("{}: {error}", error.code()),
        },
        "history" => history(store),
        _ => told(store.commit(read(verb, words.collect(), rest), |_| Ok(()))),
    }
}

fn read(verb: &str, words: Vec<&str>, rest: &str) -> Change {
    let after = |word: &str| {
        let at = words.iter().position(|found| *found == word)?;
        Some(words[at + 1])
    };
    let objects = rest.split_whitespace();
    let mut change = change(match verb {
        "apply" => Deed::Apply {
            set: label(words[0]),
            upserts: upserts(rest),
            prune: words.contains(&"--prune"),
        },
        "observe" => Deed::Observe {
            objects: upserts(rest),
        },
        "delete" => Deed::Delete {
            objects: objects.map(key).collect(),
        },
        "rollback" => Deed::Rollback {
            to: Revision(words[0].parse().unwrap()),
        },
        other => panic!("{other}"),
    });
    if let ("observe", Some(source)) = (verb, words.first()) {
        change.source = label(source);
    }
    if let Some(source) = after("of") {
        change.source = label(source);
    }
    change.expected = after("--if-revision").map(|number| Revision(number.parse().unwrap()));
    change
}

/// `NAME` or `NAME=TEXT`, one after the other.
fn upserts(objects: &str) -> Vec<leno_store::Upsert> {
    let named = objects.split_whitespace();
    let named = named.map(|object| object.split_once('=').unwrap_or((object, object)));
    named.map(|(name, text)| upsert(name, text)).collect()
}

fn told(result: Result<Outcome, Refused>) -> String {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(refused) => return format!("{}: {refused}", refused.code()),
    };
    let mut told = match outcome.changes.is_empty() {
        true => format!("nothing changed, revision {}", outcome.revision),
        false => format!("revision {}: {}", outcome.revision, signs(&outcome.changes)),
    };
    for left in outcome.left {
        told.push_str(&format!("; {left}"));
    }
    told
}

fn signs(changes: &[ObjectChange]) -> String {
    let sign = |change: &ObjectChange| {
        let shown = change.to_string();
        shown.replace(" Service shop/", "")
    };
    changes.iter().map(sign).collect::<Vec<_>>().join(" ")
}

fn list(objects: &[Object]) -> String {
    let shown = |object: &Object| {
        let name = object.key.name.as_str();
        let owner = object.owner.to_string();
        let owner = owner.replace("set ", "@").replace("the ", "@");
        match &*object.text {
            text if text == name => format!("{name}{owner}"),
            text => format!("{name}={text}{owner}"),
        }
    };
    objects.iter().map(shown).collect::<Vec<_>>().join(" ")
}

fn history(store: &Store) -> String {
    let shown = |entry: leno_store::Entry| {
        let cause = match entry.cause {
            leno_store::Cause::Apply(set) => format!("apply {set}"),
            leno_store::Cause::Observe => "observe".to_owned(),
            leno_store::Cause::Delete => "delete".to_owned(),
            leno_store::Cause::Rollback(to) => format!("rollback {to}"),
            leno_store::Cause::Undo(of) => format!("undo {of}"),
        };
        let tally = entry.tally;
        let revision = entry.revision;
        format!(
            "{revision} {cause} {}/{}/{}",
            tally.added, tally.changed, tally.removed
        )
    };
    let entries = store.history(100, None).unwrap();
    entries
        .into_iter()
        .map(shown)
        .collect::<Vec<_>>()
        .join(", ")
}
