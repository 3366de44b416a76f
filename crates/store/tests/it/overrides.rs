//! Overrides hold until they are taken back or their time is over, and no longer.

use leno_model::{Name, Override};
use leno_store::{KeptOverride, Message, NotOverridden};

use crate::folder::{Folder, label, wall};

fn kept(id: &str, measure: &str, until: u64) -> KeptOverride {
    KeptOverride {
        over: Override {
            id: Name::new(id).unwrap(),
            measure: measure.parse().unwrap(),
        },
        at: wall(1000),
        until: wall(until),
        who: label("ops"),
        reason: Message::new("an incident").unwrap(),
    }
}

#[test]
fn an_override_holds_until_its_time_is_over() {
    let folder = Folder::new();
    let store = folder.open();
    let (short, long) = (
        kept("a1", "audit shop/payments", 2000),
        kept("b2", "eject shop/cart-0", 3000),
    );
    let before = store.head().position;
    store.add_override(&short).unwrap();
    store.add_override(&long).unwrap();
    assert!(store.head().position > before, "views show it");
    assert_eq!(
        store.add_override(&kept("c3", "audit shop/payments", 9000)),
        Err(NotOverridden::Known(Name::new("a1").unwrap()))
    );
    assert!(!store.end_overrides(wall(1999)).unwrap());
    drop(store);

    let store = folder.open();
    assert_eq!(store.overrides().unwrap(), [short, long.clone()]);
    let before = store.head().position;
    assert!(store.end_overrides(wall(2000)).unwrap());
    assert!(store.head().position > before, "views show its end");
    assert_eq!(store.overrides().unwrap(), [long]);
    assert!(store.drop_override(&Name::new("b2").unwrap()).unwrap());
    assert!(!store.drop_override(&Name::new("b2").unwrap()).unwrap());
}

#[test]
fn there_are_not_many() {
    let folder = Folder::new();
    let store = folder.open();
    let add = |number: usize| {
        store.add_override(&kept(
            &format!("x{number}"),
            &format!("eject shop/c-{number}"),
            9000,
        ))
    };
    (0..32).for_each(|number| add(number).unwrap());
    assert_eq!(add(32), Err(NotOverridden::TooMany));
}
