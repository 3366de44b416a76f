//! The log against its definition: a list of whole configurations.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use leno_model::Dice;
use leno_store::{
    Change, Deed, Left, Object, ObjectChange, Outcome, Owner, Refused, Revision, SOURCE, Store,
    Upsert,
};

use crate::folder::{Folder, change, key, label, upsert};

const KEEP: u64 = 12;

#[test]
fn random_changes_come_out_as_in_a_list_of_whole_configurations() {
    for seed in 0..6 {
        let folder = Folder::new();
        let store = folder.open_keeping(KEEP);
        let mut twin = Twin::default();
        let mut dice = Dice::new(seed);
        for step in 0..120 {
            let change = random(&mut dice, twin.head());
            let expected = twin.commit(&change);
            let found = store.commit(change.clone(), |draft| {
                assert_eq!(draft.before()?, twin.before(), "seed {seed} step {step}");
                assert_eq!(
                    draft.after()?,
                    twin.at(twin.head()),
                    "seed {seed} step {step}"
                );
                Ok(())
            });
            compare(
                found,
                expected,
                &format!("seed {seed} step {step}: {change:?}"),
            );
            let (a, b) = (twin.any(&mut dice), twin.any(&mut dice));
            assert_eq!(store.diff(a, b).unwrap(), between(&twin.at(a), &twin.at(b)));
        }
        twin.compare_all(&store);
        drop(store);
        twin.compare_all(&folder.open_keeping(KEEP));
    }
}

/// Every configuration there ever was, from the empty one on.
struct Twin(Vec<Vec<Object>>);

impl Default for Twin {
    fn default() -> Self {
        Self(vec![Vec::new()])
    }
}

/// What a change should come to: a revision or none with what it left, or a refusal by its code.
type Expected = Result<(Revision, Vec<ObjectChange>, Vec<Left>), &'static str>;

impl Twin {
    fn head(&self) -> Revision {
        Revision(self.0.len() as u64 - 1)
    }

    fn oldest(&self) -> Revision {
        Revision(self.head().0.saturating_sub(KEEP))
    }

    fn at(&self, revision: Revision) -> Vec<Object> {
        self.0[usize::try_from(revision.0).unwrap()].clone()
    }

    fn before(&self) -> Vec<Object> {
        self.0[self.0.len() - 2].clone()
    }

    fn any(&self, dice: &mut Dice) -> Revision {
        let known = self.head().0 - self.oldest().0 + 1;
        Revision(self.oldest().0 + roll(dice, u32::try_from(known).unwrap()))
    }

    fn commit(&mut self, change: &Change) -> Expected {
        let head = self.at(self.head());
        if change
            .expected
            .is_some_and(|expected| expected != self.head())
        {
            return Err("S004");
        }
        let mut after: BTreeMap<_, _> = head
            .iter()
            .map(|object| (object.key.clone(), object.clone()))
            .collect();
        let mut left = Vec::new();
        match &change.deed {
            Deed::Apply {
                set,
                upserts,
                prune,
            } => {
                let owner = Owner {
                    source: change.source.clone(),
                    set: set.clone(),
                };
                if *prune {
                    after.retain(|_, object| object.owner != owner);
                }
                for upsert in upserts {
                    let object = Object {
                        key: upsert.key.clone(),
                        owner: owner.clone(),
                        place: upsert.place.clone(),
                        text: upsert.text.clone(),
                    };
                    let replaced = after.insert(upsert.key.clone(), object);
                    if replaced.is_some_and(|object| object.owner != owner) {
                        return Err("S006");
                    }
                }
            }
            Deed::Observe { objects } => {
                let owner = Owner::of_source(&change.source);
                after.retain(|_, object| object.owner != owner);
                for upsert in objects {
                    if let Some(other) = after.get(&upsert.key) {
                        left.push(Left::Owned(upsert.key.clone(), other.owner.clone()));
                        continue;
                    }
                    let object = Object {
                        key: upsert.key.clone(),
                        owner: owner.clone(),
                        place: upsert.place.clone(),
                        text: upsert.text.clone(),
                    };
                    after.insert(upsert.key.clone(), object);
                }
            }
            Deed::Delete { objects } => {
                for key in objects {
                    match after.remove(key) {
                        Some(object) if object.owner.source != change.source => {
                            return Err("S006");
                        }
                        Some(_) => {}
                        None => left.push(Left::Absent(key.clone())),
                    }
                }
            }
            Deed::Undo { .. } => unreachable!("watches.rs undoes"),
            Deed::Rollback { to } => {
                if *to < self.oldest() || *to > self.head() {
                    return Err("S007");
                }
                after.clear();
                for object in self.at(*to) {
                    after.insert(object.key.clone(), object);
                }
                for change_back in between(&head, &self.at(*to)) {
                    let (then, stands) = (change_back.after(), change_back.before());
                    let foreign = |object: &&Object| object.owner.source != change.source;
                    let Some(object) = stands.filter(foreign).or(then.filter(foreign)) else {
                        continue;
                    };
                    left.push(Left::Owned(object.key.clone(), object.owner.clone()));
                    after.remove(change_back.key());
                    if let Some(object) = stands {
                        after.insert(object.key.clone(), object.clone());
                    }
                }
            }
        }
        let after: Vec<_> = after.into_values().collect();
        let changes = between(&head, &after);
        if !changes.is_empty() {
            self.0.push(after);
        }
        Ok((self.head(), changes, left))
    }

    fn compare_all(&self, store: &Store) {
        let (oldest, head) = (self.oldest().0, self.head().0);
        assert_eq!(store.head().revision, self.head());
        for revision in oldest..=head {
            let revision = Revision(revision);
            assert_eq!(store.at(revision).unwrap(), self.at(revision));
        }
        let told: Vec<_> = store
            .history(usize::MAX, None)
            .unwrap()
            .iter()
            .map(|entry| entry.revision.0)
            .collect();
        let kept: Vec<_> = (oldest + 1..=head).rev().collect();
        assert_eq!(told, kept);
        if oldest > 0 {
            assert!(store.at(Revision(oldest - 1)).is_err());
        }
    }
}

fn between(before: &[Object], after: &[Object]) -> Vec<ObjectChange> {
    let find = |objects: &[Object], key: &_| {
        let found = objects.iter().find(|object| object.key == *key);
        found.cloned()
    };
    let mut keys: Vec<_> = before
        .iter()
        .chain(after)
        .map(|object| &object.key)
        .collect();
    keys.sort();
    keys.dedup();
    let change = |key| match (find(before, key), find(after, key)) {
        (Some(before), Some(after)) if before == after => None,
        (Some(before), Some(after)) => Some(ObjectChange::Changed { before, after }),
        (None, Some(after)) => Some(ObjectChange::Added(after)),
        (Some(before), None) => Some(ObjectChange::Removed(before)),
        (None, None) => None,
    };
    keys.into_iter().filter_map(change).collect()
}

fn compare(found: Result<Outcome, Refused>, expected: Expected, context: &str) {
    let found = found
        .map(|outcome| (outcome.revision, outcome.changes, outcome.left))
        .map_err(|refused| refused.code().as_str());
    assert_eq!(found, expected, "{context}");
}

fn random(dice: &mut Dice, head: Revision) -> Change {
    let names = ["cart", "dns", "mail", "pay", "web"];
    let chosen: Vec<_> = names.iter().filter(|_| roll(dice, 3) == 0).collect();
    let deed = match roll(dice, 10) {
        0 => Deed::Rollback {
            to: Revision((head.0 + 1).saturating_sub(roll(dice, 16))),
        },
        1 | 2 => Deed::Delete {
            objects: chosen.iter().map(|name| key(name)).collect(),
        },
        3 => Deed::Observe {
            objects: some(chosen, dice),
        },
        _ => Deed::Apply {
            set: label(["shop", "base"][at(dice, 2)]),
            upserts: some(chosen, dice),
            prune: roll(dice, 3) == 0,
        },
    };
    let mut change = change(deed);
    change.source = label([SOURCE, SOURCE, SOURCE, "git"][at(dice, 4)]);
    if roll(dice, 8) == 0 {
        change.expected = Some(Revision(head.0.saturating_sub(roll(dice, 2))));
    }
    change
}

fn some(names: Vec<&&str>, dice: &mut Dice) -> Vec<Upsert> {
    let mut one = |name: &&str| upsert(name, ["v1", "v2", "v3"][at(dice, 3)]);
    names.into_iter().map(&mut one).collect()
}

fn roll(dice: &mut Dice, of: u32) -> u64 {
    dice.roll(NonZeroU32::new(of).unwrap()).value.into()
}

fn at(dice: &mut Dice, of: u32) -> usize {
    usize::try_from(roll(dice, of)).unwrap()
}
