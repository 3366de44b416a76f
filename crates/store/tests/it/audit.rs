//! The audit log: records stand, and the oldest make room.

use std::time::Duration;

use leno_model::Code;
use leno_store::{Came, Message, Note, Remembering, Revision};

use crate::folder::{Folder, label, wall};

fn note(at: u64, came: Came) -> Note {
    Note {
        at: wall(at),
        who: label("leno-people/anna"),
        from: label("10.0.0.7:51234"),
        what: label("apply"),
        about: Message::new("set shop").unwrap(),
        came,
        revision: Revision(7),
    }
}

#[test]
fn a_record_is_told_as_it_was_written_and_after_the_next_start() {
    let folder = Folder::new();
    let notes = [
        note(1000, Came::Done),
        note(1001, Came::Failed(None)),
        note(1002, Came::Failed(Some(Code::S005))),
        note(1003, Came::Refused(Code::S017)),
    ];
    let store = folder.open();
    for one in &notes {
        store.note(one, Remembering::default()).unwrap();
    }
    drop(store);
    let store = folder.open();
    let told = store.audit(10, None).unwrap();
    let numbers: Vec<_> = told.iter().map(|record| record.number).collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
    let told: Vec<_> = told.into_iter().rev().map(|record| record.note).collect();
    assert_eq!(told, notes);
    let before = store.audit(1, Some(3)).unwrap();
    assert_eq!(before[0].number, 2);
    assert_eq!(store.head().position, 0, "no view shows a record");
}

#[test]
fn the_oldest_make_room_by_number_and_by_age() {
    let folder = Folder::new();
    let store = folder.open();
    let few = Remembering {
        records: 150,
        age: Duration::from_secs(1000),
    };
    for second in 0..300 {
        store.note(&note(10_000 + second, Came::Done), few).unwrap();
    }
    let told = store.audit(1000, None).unwrap();
    assert_eq!((told[0].number, told.len()), (300, 150));
    for _ in 0..100 {
        store.note(&note(20_000, Came::Done), few).unwrap();
    }
    let told = store.audit(1000, None).unwrap();
    assert_eq!(
        (told[0].number, told.len()),
        (400, 100),
        "the others are too old"
    );
}
