//! Several stores over one log: each is what a store that stands alone would be, whoever leads when, and
//! nothing that others put into the log is taken for what a replica wrote.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use leno_model::{Dice, Namespace, SpiffeId};
use leno_store::{
    Away, Deed, Grant, Kept, NotAppended, NotFollowed, Order, Replication, Revision, Revocation,
    Secret, Settings, Store, Token,
};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::folder::{Folder, apply, change, key, label, wall};

/// A log in memory. It believes whom it is told to.
#[derive(Default)]
struct Log(Mutex<State>);

#[derive(Clone, Default)]
struct State {
    last: Option<u64>,
    entries: BTreeMap<u64, Vec<u8>>,
    copy: Option<(u64, Vec<u8>)>,
    leader: &'static str,
    /// Answers to appending that are lost on the way: whether the entry was taken before.
    lost: Vec<bool>,
    /// Whether nobody is told that a copy was taken.
    copy_is_lost: bool,
}

/// The log as one replica reaches it.
struct Reached(Arc<Log>, &'static str);

impl Reached {
    fn leads(&self, state: &State) -> Result<(), NotAppended> {
        let leads = state.leader == self.1;
        leads.then_some(()).ok_or(NotAppended::Lost)
    }
}

impl Order for Reached {
    fn append(&self, number: u64, entry: &[u8]) -> Result<(), NotAppended> {
        let state = &mut *self.0.0.lock().unwrap();
        self.leads(state)?;
        let lost = state.lost.pop();
        if lost == Some(false) {
            return Err(Away("nobody is there".into()).into());
        }
        if state.last != Some(number - 1) {
            return Err(NotAppended::Taken);
        }
        state.last = Some(number);
        state.entries.insert(number, entry.to_vec());
        match lost {
            Some(_) => Err(Away("it went away".into()).into()),
            None => Ok(()),
        }
    }

    fn read(&self, after: u64) -> Result<Kept, Away> {
        let state = self.0.0.lock().unwrap();
        let numbers = after.saturating_add(1)..u64::MAX;
        let next = numbers.map_while(|number| state.entries.get(&number));
        Ok(Kept {
            last: state.last,
            copied: state.copy.as_ref().map_or(0, |(number, _)| *number),
            // Not all at once.
            entries: next.take(3).cloned().collect(),
        })
    }

    fn put_copy(&self, number: u64, copy: &[u8]) -> Result<(), NotAppended> {
        let state = &mut *self.0.0.lock().unwrap();
        self.leads(state)?;
        state.last.get_or_insert(number);
        state.copy = Some((number, copy.to_vec()));
        state.entries.retain(|entry, _| *entry + 5 > number);
        match state.copy_is_lost {
            true => Err(Away("it went away".into()).into()),
            false => Ok(()),
        }
    }

    fn copy(&self) -> Result<Option<(u64, Vec<u8>)>, Away> {
        Ok(self.0.0.lock().unwrap().copy.clone())
    }
}

impl Log {
    fn open(self: &Arc<Self>, folder: &Folder, name: &'static str) -> Store {
        self.open_with(folder, name, [7; 32])
    }

    fn open_with(self: &Arc<Self>, folder: &Folder, name: &'static str, key: [u8; 32]) -> Store {
        let replication = Replication {
            log: "/leno/shop".into(),
            order: Arc::new(Reached(Arc::clone(self), name)),
            key,
        };
        Store::open_replica(folder.path(), Settings::default(), replication).unwrap()
    }

    fn elect(&self, name: &'static str) {
        self.0.lock().unwrap().leader = name;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }
}

/// Every row of every table, but for how often the file was opened.
fn rows(folder: &Folder) -> Vec<(String, Vec<Vec<Value>>)> {
    let connection = Connection::open(folder.file()).unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut tables = connection.prepare(sql).unwrap();
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let rows = |table: String| {
        let columns = match table.as_str() {
            "state" => "epoch, position",
            _ => "*",
        };
        let sql = format!("SELECT {columns} FROM {table} ORDER BY 1, 2");
        let mut statement = connection.prepare(&sql).unwrap();
        let count = statement.column_count();
        let rows =
            statement.query_map([], |row| (0..count).map(|column| row.get(column)).collect());
        let rows = rows.unwrap().collect::<Result<_, _>>().unwrap();
        (table, rows)
    };
    tables.into_iter().map(rows).collect()
}

fn roll(dice: &mut Dice, of: u32) -> u64 {
    dice.roll(NonZeroU32::new(of).unwrap()).value.into()
}

/// Something that is written, of what there is to write.
fn write(store: &Store, dice: &mut Dice, step: u64) {
    let name = ["cart", "dns", "pay\0"][usize::try_from(roll(dice, 3)).unwrap()];
    match roll(dice, 7) {
        0 => drop(store.commit(change(Deed::Rollback { to: Revision(1) }), |_| Ok(()))),
        1 => {
            let secret = Some(Secret(step.to_be_bytes().to_vec()));
            store.keep_secrets(&[(label("ca/key"), secret)]).unwrap();
        }
        2 => {
            let token = Token {
                id: label(&format!("t{step}")),
                hash: [1; 32],
                grant: Grant {
                    namespace: Namespace::new("shop").unwrap(),
                    service_account: None,
                },
                uses: 1,
                expires: wall(step + 10),
                made: wall(step * 100_000),
                made_by: label("ops"),
            };
            store.add_token(&token).unwrap();
        }
        3 => {
            let revocation = Revocation {
                identity: SpiffeId::parse("spiffe://shop.local/ns/shop/sa/cart").unwrap(),
                at: wall(step),
                who: label("ops"),
                reason: leno_store::Message::default(),
            };
            store.revoke(&revocation).unwrap();
            store.reinstate(&revocation.identity).unwrap();
        }
        _ => {
            let text = format!("text {} {name}", roll(dice, 4));
            apply(store, &[(name.trim_end_matches('\0'), &text)]);
        }
    }
}

#[test]
fn stores_over_one_log_are_alike_whoever_leads() {
    for seed in 0..4 {
        let (log, names) = (Arc::new(Log::default()), ["a", "b"]);
        let (folders, alone) = ([Folder::new(), Folder::new()], Folder::new());
        let twin = alone.open();
        let mut dice = Dice::new(seed);
        let (mut dice_of_twin, mut step) = (Dice::new(seed + 100), 0);
        let mut stores = [0, 1].map(|at| Some(log.open(&folders[at], names[at])));
        for _ in 0..12 {
            let at = usize::try_from(roll(&mut dice, 2)).unwrap();
            let (name, other) = (names[at], 1 - at);
            if roll(&mut dice, 3) == 0 {
                stores[at] = None;
                stores[at] = Some(log.open(&folders[at], name));
            }
            let store = stores[at].as_ref().unwrap();
            log.elect(name);
            store.lead().unwrap();
            if roll(&mut dice, 2) == 0 {
                store.copy_all().unwrap();
            }
            for _ in 0..roll(&mut dice, 12) {
                let mut same = dice_of_twin.clone();
                write(store, &mut same, step);
                write(&twin, &mut dice_of_twin, step);
                step += 1;
            }
            store.stop_leading();
            let follower = stores[other].as_ref().unwrap();
            if roll(&mut dice, 2) == 0 {
                follower.catch_up().unwrap();
                assert_eq!(follower.head(), twin.head(), "seed {seed}");
            }
        }
        for store in stores.iter().flatten() {
            let standing = store.catch_up().unwrap();
            assert_eq!(standing.behind(), 0);
        }
        drop((stores, twin));
        let [a, b] = [&folders[0], &folders[1]].map(rows);
        assert_eq!(a, b, "seed {seed}");
        let of_twin = rows(&alone).into_iter();
        let of_twin: Vec<_> = of_twin.filter(|(name, _)| name != "ordered").collect();
        let of_one: Vec<_> = a
            .into_iter()
            .filter(|(name, _)| name != "ordered")
            .collect();
        assert_eq!(of_one, of_twin, "seed {seed}");
    }
}

/// Two stores, the first of which leads and has written something.
fn pair() -> (Arc<Log>, [Folder; 2], [Store; 2]) {
    let (log, folders) = (Arc::new(Log::default()), [Folder::new(), Folder::new()]);
    log.elect("a");
    let stores = [log.open(&folders[0], "a"), log.open(&folders[1], "b")];
    stores[0].lead().unwrap();
    apply(&stores[0], &[("cart", "one")]);
    (log, folders, stores)
}

fn refused(store: &Store) -> String {
    let deed = Deed::Delete {
        objects: vec![key("cart")],
    };
    let refused = store.commit(change(deed), |_| Ok(()));
    refused.map_or_else(
        |refused| format!("{} {refused}", refused.code()),
        |outcome| format!("revision {}", outcome.revision),
    )
}

#[test]
fn who_does_not_lead_writes_nothing() {
    let (log, _folders, [a, b]) = pair();
    b.catch_up().unwrap();
    let expect = "S020 another control plane acts, or may act";
    assert_eq!(refused(&b), expect);
    // The lease has gone to another while this one went on.
    log.elect("b");
    assert!(a.leads());
    assert_eq!(refused(&a), expect);
    assert!(!a.leads());
    assert_eq!(a.head(), b.head());
    b.lead().unwrap();
    assert_eq!(refused(&b), "revision 2");
    // To want to lead is not to be let.
    a.lead().unwrap();
    let secret = (label("ca/key"), Some(Secret(vec![1])));
    assert!(a.keep_secrets(&[secret]).is_err());
}

#[test]
fn what_the_log_has_taken_is_there_in_the_end_whoever_was_told() {
    let (log, folders, [a, b]) = pair();
    // Not taken, and nobody said so: nothing has happened.
    log.change(|state| state.lost = vec![false]);
    let expect = "S019 what is changed cannot be put in order: nobody is there";
    assert_eq!(refused(&a), expect);
    // Until it is known that it was not taken, nothing else is put behind it.
    assert_eq!(refused(&a), expect);
    assert_eq!(a.make_sure(), Ok(true));
    apply(&a, &[("pay", "one")]);
    // Taken, and nobody said so: once it is known, it leads no more.
    log.change(|state| state.lost = vec![true]);
    let expect = "S019 what is changed cannot be put in order: it went away";
    assert_eq!(refused(&a), expect);
    assert_eq!(a.head().revision, Revision(2));
    assert_eq!(a.make_sure(), Ok(false));
    assert_eq!(refused(&a), "S020 another control plane acts, or may act");
    assert_eq!(b.catch_up().unwrap().behind(), 0);
    assert_eq!(b.head().revision, Revision(3));
    // The same where it ended between the log's yes and its own commit.
    drop(a);
    let a = log.open(&folders[0], "a");
    a.lead().unwrap();
    assert_eq!(a.head(), b.head());
    assert_eq!(a.at(Revision(3)).unwrap(), b.at(Revision(3)).unwrap());
}

#[test]
fn nothing_is_taken_for_an_entry_that_no_replica_put_there() {
    let check = |what: &str, expect: &str, change: &dyn Fn(&mut State)| {
        let (log, folders, [a, b]) = pair();
        b.catch_up().unwrap();
        apply(&a, &[("cart", "two")]);
        apply(&a, &[("cart", "three")]);
        log.change(|state| change(state));
        let before = (b.head(), rows(&folders[1]));
        let failed = b.catch_up().unwrap_err();
        let told = format!("{} {failed}", failed.code());
        assert_eq!(told, expect, "{what}");
        assert_eq!((b.head(), rows(&folders[1])), before, "{what}");
    };
    let unproven =
        "S021 entry 2 is not one that a control plane of this mesh, with this secret, put there";
    let flip = |state: &mut State| state.entries.get_mut(&2).unwrap()[20] ^= 1;
    check("a bit is changed", unproven, &flip);
    check("one takes the place of another", unproven, &|state| {
        let later = state.entries[&3].clone();
        state.entries.insert(2, later);
    });
    check("it is cut", unproven, &|state| {
        state.entries.get_mut(&2).unwrap().pop();
    });
    check("an earlier one comes again", unproven, &|state| {
        let earlier = state.entries[&1].clone();
        state.entries.insert(2, earlier);
    });
    check("it is nothing", unproven, &|state| {
        state.entries.insert(2, Vec::new());
    });
    let missing = "S022 entry 2 is not kept any more, nor a copy of what came of it";
    check("it is left out", missing, &|state| {
        state.entries.remove(&2);
    });
    let back = "S022 the log ends with entry 0, and this store holds entry 1 of it already";
    check("the log is an older one", back, &|state| {
        state.last = Some(0);
        state.entries.clear();
    });
    let gone = "S022 the log is gone that this store has followed";
    check("the log is gone", gone, &|state| *state = State::default());
}

#[test]
fn another_secret_opens_nothing() {
    let (log, _folders, _stores) = pair();
    let folder = Folder::new();
    let store = log.open_with(&folder, "c", [8; 32]);
    assert!(matches!(
        store.catch_up(),
        Err(NotFollowed::Unproven { number: 0 })
    ));
}

#[test]
fn a_copy_is_taken_where_entries_are_kept_no_more() {
    let (log, folders, [a, b]) = pair();
    b.catch_up().unwrap();
    for number in 0..1000 {
        apply(&a, &[("cart", &format!("text {number}"))]);
    }
    a.copy_if_due().unwrap();
    apply(&a, &[("cart", "last")]);
    assert!(log.0.lock().unwrap().entries.len() < 10);
    let newcomer = Folder::new();
    let c = log.open(&newcomer, "c");
    for store in [&b, &c] {
        assert_eq!(store.catch_up().unwrap().behind(), 0);
        assert_eq!(store.head(), a.head());
    }
    drop((a, b, c));
    assert_eq!(rows(&folders[0]), rows(&folders[1]));
    assert_eq!(rows(&folders[0]), rows(&newcomer));
    // A copy of another place in the log is none.
    log.change(|state| state.copy.as_mut().unwrap().0 += 1);
    let failed = log.open(&Folder::new(), "d").catch_up().unwrap_err();
    assert_eq!(failed.code().as_str(), "S021");
}

#[test]
fn what_a_store_holds_is_lost_to_no_log() {
    // What one held that stood alone, the others get.
    let (log, folder) = (Arc::new(Log::default()), Folder::new());
    apply(&folder.open(), &[("cart", "one")]);
    log.elect("a");
    let a = log.open(&folder, "a");
    assert!(!a.catch_up().unwrap().begun);
    a.lead().unwrap();
    let other = Folder::new();
    let b = log.open(&other, "b");
    b.catch_up().unwrap();
    assert_eq!(b.head(), a.head());
    // Where there is a log, one that holds something else does not follow it.
    let foreign = Folder::new();
    apply(&foreign.open(), &[("pay", "mine")]);
    let c = log.open(&foreign, "c");
    let failed = c.catch_up().unwrap_err();
    let expect = "S022 this store was not made by this log, but alone";
    assert_eq!(format!("{} {failed}", failed.code()), expect);
    assert_eq!(c.head().revision, Revision(1));
    // Nor does one that was changed alone since it followed.
    drop(b);
    apply(&other.open(), &[("pay", "mine")]);
    let failed = log.open(&other, "b").catch_up().unwrap_err();
    assert_eq!(format!("{} {failed}", failed.code()), expect);
}

#[test]
fn a_log_that_was_about_to_begin_begins() {
    let (log, folder) = (Arc::new(Log::default()), Folder::new());
    apply(&folder.open(), &[("cart", "one")]);
    let a = log.open(&folder, "a");
    // It has written down where it begins, and the log did not take it.
    assert!(a.lead().is_err());
    drop(a);
    log.elect("a");
    let a = log.open(&folder, "a");
    a.lead().unwrap();
    apply(&a, &[("cart", "two")]);
    let other = Folder::new();
    let b = log.open(&other, "b");
    b.catch_up().unwrap();
    assert_eq!(b.head(), a.head());
}

#[test]
fn whoever_was_not_told_that_the_log_began_knows_its_own_from_that_of_another() {
    let (log, folders) = (Arc::new(Log::default()), [Folder::new(), Folder::new()]);
    for (folder, text) in folders.iter().zip(["one", "two"]) {
        apply(&folder.open(), &[("cart", text)]);
    }
    let [a, b] = [log.open(&folders[0], "a"), log.open(&folders[1], "b")];
    // Both have written down where it begins. The log took that of the first, and nobody said so.
    assert!(b.lead().is_err());
    log.change(|state| state.copy_is_lost = true);
    log.elect("a");
    assert!(a.lead().is_err());
    log.change(|state| state.copy_is_lost = false);
    log.elect("b");
    let expect = "S022 this store was not made by this log, but alone";
    let failed = b.lead().unwrap_err();
    assert_eq!(format!("{} {failed}", failed.code()), expect);
    log.elect("a");
    a.lead().unwrap();
    apply(&a, &[("cart", "three")]);
}

#[test]
fn no_copy_takes_the_place_of_what_it_lacks() {
    let (log, folders, [a, b]) = pair();
    b.catch_up().unwrap();
    a.copy_all().unwrap();
    let earlier = log.0.lock().unwrap().clone();
    for number in 0..3 {
        apply(&a, &[("pay", &format!("text {number}"))]);
    }
    assert_eq!(b.catch_up().unwrap().number, 4);
    // The log is set back to where it was, and goes on from there by what changes less.
    drop(a);
    log.change(|state| *state = earlier);
    let other = Folder::new();
    log.elect("c");
    let c = log.open(&other, "c");
    c.lead().unwrap();
    for number in 0..5_u8 {
        let secret = Some(Secret(vec![number]));
        c.keep_secrets(&[(label("ca/key"), secret)]).unwrap();
    }
    c.copy_all().unwrap();
    log.change(|state| state.entries.clear());
    let before = rows(&folders[1]);
    let failed = b.catch_up().unwrap_err();
    let expect = "S022 the copy of what came of entry 6 lacks what this store holds already";
    assert_eq!(format!("{} {failed}", failed.code()), expect);
    assert_eq!(rows(&folders[1]), before);
}
