//! What somebody wants done to the configuration, and the rules that decide what becomes of it.
//! Nothing here touches the file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use leno_model::{Code, Notes, ObjectRef, Place, Severity, Wall};

use crate::failed::Failed;
use crate::history::NoSuchRevision;
use crate::object::{Object, ObjectChange, Owner, Revision};
use crate::text::{Label, Message};
use crate::watches::{End, Terms};

/// What somebody wants done. It is done whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// On behalf of which source: only its objects are touched.
    pub source: Label,
    /// Who wants it.
    pub who: Label,
    /// Why, in their words.
    pub message: Message,
    /// When.
    pub at: Wall,
    /// Only if this is still the head (`--if-revision`).
    pub expected: Option<Revision>,
    /// What.
    pub deed: Deed,
    /// How it is watched, if it is.
    pub watch: Option<Terms>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// Merge objects into the configuration, as kubectl does: those named are added or replaced,
    /// the others stay.
    Apply {
        /// The set they belong to from then on. None of them may belong to another.
        set: Label,
        /// The objects, each once.
        upserts: Vec<Upsert>,
        /// Whether objects that this set applied before and that are not named are deleted.
        prune: bool,
    },
    /// Make what a source has what was seen there: objects named are added or replaced, the others of the
    /// source are deleted. What belongs to somebody else is left as it is and told in [`Outcome::left`].
    Observe {
        /// All objects that the source has, each once.
        objects: Vec<Upsert>,
    },
    /// Delete objects, of whichever set. Those that are not there are told in [`Outcome::left`].
    Delete {
        /// Which.
        objects: Vec<ObjectRef>,
    },
    /// Make the configuration what it was, as a revision of its own. What another source owns,
    /// at the head or back then, is left as it is and told in [`Outcome::left`].
    Rollback {
        /// At which revision.
        to: Revision,
    },
    /// Undo what one revision changed, and nothing that came after it, as a revision of its own; its
    /// watch ends by that. What does not stand as that revision left it is left as it is.
    Undo {
        /// Which revision.
        of: Revision,
        /// What comes of its watch.
        end: End,
    },
}

/// One object of an apply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upsert {
    /// Which object.
    pub key: ObjectRef,
    /// Where its document begins.
    pub place: Option<Place>,
    /// The document.
    pub text: Arc<str>,
}

/// What became of a change that was not refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The revision it made; if it changed nothing, the one that stands as it stood.
    pub revision: Revision,
    /// What changed, by object. Empty: it made no revision.
    pub changes: Vec<ObjectChange>,
    /// What was asked for and left as it is.
    pub left: Vec<Left>,
}

/// An object that a change left as it is, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Left {
    /// There is no such object to delete.
    Absent(ObjectRef),
    /// Another source owns it.
    Owned(ObjectRef, Owner),
    /// It was changed again after what was to be undone.
    Later(ObjectRef),
}

impl Left {
    /// The object, if somebody else has it.
    pub fn owned(&self) -> Option<&ObjectRef> {
        match self {
            Self::Owned(object, _) => Some(object),
            Self::Absent(_) | Self::Later(_) => None,
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(object) => write!(f, "{object} is not there"),
            Self::Owned(object, owner) => write!(f, "{object} belongs to {owner}"),
            Self::Later(object) => write!(f, "{object} was changed again since"),
        }
    }
}

/// Why a change was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Somebody else was faster.
    #[error("the configuration is at revision {head}, not at {expected}")]
    MovedOn {
        /// What the change was made for.
        expected: Revision,
        /// What stands.
        head: Revision,
    },
    /// The caller's check found errors that the revision before lacks.
    #[error("it would bring {} that the revision before lacks", errors(.0))]
    HasErrors(Notes),
    /// The caller's check does not let this object be changed by who wants to.
    #[error("{0} is not for whoever asks to change")]
    Barred(ObjectRef),
    /// Objects belong to another set or source. At least one is named.
    #[error("{}", owned(.0))]
    OwnedElsewhere(Vec<(ObjectRef, Owner)>),
    /// What it changes is watched.
    #[error("{object} is watched, since revision {revision} of {who}")]
    Watched {
        /// What.
        object: ObjectRef,
        /// The revision that is watched.
        revision: Revision,
        /// Who made it.
        who: Label,
        /// Until when.
        until: Wall,
    },
    /// As many changes are watched as can be, of whoever makes this one or of all.
    #[error("{most} changes{} are watched already", if *.is_own { " of yours" } else { "" })]
    TooManyWatches {
        /// How many that is.
        most: usize,
        /// Whether they are all of one.
        is_own: bool,
    },
    /// There is nothing to roll back to.
    #[error(transparent)]
    NoSuchRevision(#[from] NoSuchRevision),
    /// Two documents of one apply are the same object.
    #[error("{0} is in it twice")]
    Twice(ObjectRef),
    /// A document is larger than the store keeps.
    #[error("{object} has {bytes} bytes, and at most {MOST_OBJECT_BYTES} are kept")]
    ObjectTooLarge {
        /// Which.
        object: ObjectRef,
        /// How large.
        bytes: usize,
    },
    /// The change, or the configuration it would make, is larger than the store takes.
    #[error("{what}: {found}, and at most {most} are taken")]
    TooLarge {
        /// What is counted: `objects in one change`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    Failed(#[from] Failed),
}

impl Refused {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::MovedOn { .. } => Code::S004,
            Self::HasErrors(_) => Code::S005,
            Self::Barred(_) => Code::S017,
            Self::OwnedElsewhere(_) => Code::S006,
            Self::Watched { .. } | Self::TooManyWatches { .. } => Code::S012,
            Self::NoSuchRevision(_) => Code::S007,
            Self::Twice(_) => Code::C008,
            Self::ObjectTooLarge { .. } => Code::C009,
            Self::TooLarge { .. } => Code::S009,
            Self::Failed(failed) => failed.code(),
        }
    }
}

fn errors(notes: &Notes) -> String {
    let is_error = |note: &&leno_model::Note| note.severity == Severity::Error;
    match notes.iter().filter(is_error).count() {
        1 => "an error".into(),
        count => format!("{count} errors"),
    }
}

fn owned(objects: &[(ObjectRef, Owner)]) -> String {
    let Some(((object, owner), others)) = objects.split_first() else {
        return "objects belong to somebody else".into();
    };
    match others.len() {
        0 => format!("{object} belongs to {owner}"),
        count => format!("{object} belongs to {owner}, and {count} more are not its own"),
    }
}

/// The largest document that is kept: as much as the wire stages for one response.
const MOST_OBJECT_BYTES: usize = 1 << 20;
const MOST_CHANGE_BYTES: usize = 64 << 20;
const MOST_CHANGE_OBJECTS: usize = 50_000;
/// How many objects one revision may have.
const MOST_OBJECTS: usize = 100_000;
const MOST_KIND_BYTES: usize = 63;
const MOST_PATH_BYTES: usize = 4096;

/// What a change does, before it is written.
#[derive(Default)]
pub(crate) struct Decided {
    pub(crate) changes: Vec<ObjectChange>,
    pub(crate) left: Vec<Left>,
}

/// Refuses a change that is too large to be looked at.
pub(crate) fn bounded(deed: &Deed) -> Result<(), Refused> {
    match deed {
        Deed::Apply { upserts, .. } | Deed::Observe { objects: upserts } => {
            most("objects in one change", upserts.len(), MOST_CHANGE_OBJECTS)?;
            let bytes = upserts.iter().map(|upsert| upsert.text.len()).sum();
            most("bytes in one change", bytes, MOST_CHANGE_BYTES)?;
            upserts.iter().try_for_each(upsert_bounded)
        }
        Deed::Delete { objects } => {
            most("objects in one change", objects.len(), MOST_CHANGE_OBJECTS)
        }
        Deed::Rollback { .. } | Deed::Undo { .. } => Ok(()),
    }
}

fn upsert_bounded(Upsert { key, place, text }: &Upsert) -> Result<(), Refused> {
    most("bytes in a kind", key.kind.len(), MOST_KIND_BYTES)?;
    let path = place.as_ref().map_or(0, |place| place.file.len());
    most("bytes in a path", path, MOST_PATH_BYTES)?;
    if text.len() > MOST_OBJECT_BYTES {
        return Err(Refused::ObjectTooLarge {
            object: key.clone(),
            bytes: text.len(),
        });
    }
    Ok(())
}

/// Refuses a configuration of this many objects if they are too many.
pub(crate) fn fits(objects: usize) -> Result<(), Refused> {
    most("objects in the configuration", objects, MOST_OBJECTS)
}

fn most(what: &'static str, found: usize, most: usize) -> Result<(), Refused> {
    match found > most {
        true => Err(Refused::TooLarge { what, found, most }),
        false => Ok(()),
    }
}

/// An apply by `owner`. `live` are the objects at the head that it names, and with `prune` those
/// of its owner.
pub(crate) fn apply(
    mut live: BTreeMap<ObjectRef, Object>,
    owner: &Owner,
    upserts: Vec<Upsert>,
    prune: bool,
) -> Result<Decided, Refused> {
    let wanted = wanted(upserts, owner)?;
    let others: Vec<_> = others(&wanted, &live, owner).collect();
    if !others.is_empty() {
        return Err(Refused::OwnedElsewhere(others));
    }

    let mut changes = merged(wanted, &mut live);
    if prune {
        changes.extend(removed(live, owner));
        changes.sort_by(|one, other| one.key().cmp(other.key()));
    }
    let left = Vec::new();
    Ok(Decided { changes, left })
}

/// What was seen of `owner`. `live` are the objects at the head that are named, and those of the owner.
pub(crate) fn observe(
    mut live: BTreeMap<ObjectRef, Object>,
    owner: &Owner,
    objects: Vec<Upsert>,
) -> Result<Decided, Refused> {
    let mut wanted = wanted(objects, owner)?;
    let others: Vec<_> = others(&wanted, &live, owner).collect();
    for (key, _) in &others {
        wanted.remove(key);
    }
    let mut changes = merged(wanted, &mut live);
    changes.extend(removed(live, owner));
    changes.sort_by(|one, other| one.key().cmp(other.key()));
    let left = others.into_iter();
    let left = left.map(|(key, owner)| Left::Owned(key, owner)).collect();
    Ok(Decided { changes, left })
}

/// The objects as `owner` would have them.
fn wanted(upserts: Vec<Upsert>, owner: &Owner) -> Result<BTreeMap<ObjectRef, Object>, Refused> {
    let mut wanted = BTreeMap::new();
    for Upsert { key, place, text } in upserts {
        let object = Object {
            key: key.clone(),
            owner: owner.clone(),
            place,
            text,
        };
        if wanted.insert(key.clone(), object).is_some() {
            return Err(Refused::Twice(key));
        }
    }
    Ok(wanted)
}

/// Those that belong to somebody else.
fn others(
    wanted: &BTreeMap<ObjectRef, Object>,
    live: &BTreeMap<ObjectRef, Object>,
    owner: &Owner,
) -> impl Iterator<Item = (ObjectRef, Owner)> {
    wanted.keys().filter_map(|key| {
        let object = live.get(key).filter(|object| object.owner != *owner)?;
        Some((key.clone(), object.owner.clone()))
    })
}

/// What becomes of those that are wanted, which `live` lacks from then on.
fn merged(
    wanted: BTreeMap<ObjectRef, Object>,
    live: &mut BTreeMap<ObjectRef, Object>,
) -> Vec<ObjectChange> {
    let change = |(key, object)| ObjectChange::between(live.remove(&key), Some(object));
    wanted.into_iter().filter_map(change).collect()
}

/// That those of `owner` are gone.
fn removed(live: BTreeMap<ObjectRef, Object>, owner: &Owner) -> impl Iterator<Item = ObjectChange> {
    let of_owner = live.into_values().filter(|object| object.owner == *owner);
    of_owner.map(ObjectChange::Removed)
}

/// A deletion by `source`. `live` are the objects at the head that it names.
pub(crate) fn delete(
    mut live: BTreeMap<ObjectRef, Object>,
    source: &Label,
    objects: Vec<ObjectRef>,
) -> Result<Decided, Refused> {
    let others: Vec<_> = live
        .values()
        .filter(|object| object.owner.source != *source)
        .map(|object| (object.key.clone(), object.owner.clone()))
        .collect();
    if !others.is_empty() {
        return Err(Refused::OwnedElsewhere(others));
    }
    let mut decided = Decided::default();
    for key in BTreeSet::from_iter(objects) {
        match live.remove(&key) {
            Some(object) => decided.changes.push(ObjectChange::Removed(object)),
            None => decided.left.push(Left::Absent(key)),
        }
    }
    Ok(decided)
}

/// A rollback by `source`. `differences` lead from the head to the revision it goes back to.
pub(crate) fn roll_back(differences: Vec<ObjectChange>, source: &Label) -> Decided {
    let mut decided = Decided::default();
    for change in differences {
        let foreign = |object: &&Object| object.owner.source != *source;
        match change
            .before()
            .filter(foreign)
            .or(change.after().filter(foreign))
        {
            Some(Object { key, owner, .. }) => {
                decided.left.push(Left::Owned(key.clone(), owner.clone()));
            }
            None => decided.changes.push(change),
        }
    }
    decided
}

/// What undoes `made`, where `live` are the objects at the head among those that it names.
pub(crate) fn undo(mut live: BTreeMap<ObjectRef, Object>, made: Vec<ObjectChange>) -> Decided {
    let same = |stands: &Option<Object>, left: Option<&Object>| match (stands, left) {
        (None, None) => true,
        (Some(stands), Some(left)) => stands.text == left.text && stands.owner == left.owner,
        (Some(_), None) | (None, Some(_)) => false,
    };
    let mut decided = Decided::default();
    for change in made {
        let stands = live.remove(change.key());
        match same(&stands, change.after()) {
            true => {
                let back = ObjectChange::between(stands, change.before().cloned());
                decided.changes.extend(back);
            }
            false => decided.left.push(Left::Later(change.key().clone())),
        }
    }
    decided
}
