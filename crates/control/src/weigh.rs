//! Changes of the cluster that is followed, which whoever wants them writes there: judged before, as every other change is.

use std::collections::BTreeSet;
use std::sync::Arc;

use leno_admin::{Applied, Failure, WeighOf, read_object};
use leno_kubernetes::{SET, yaml};
use leno_model::{Code, ObjectRef};
use leno_store::{Object, ObjectChange, Owner, Refused, Revision, SOURCE, Upsert};

use crate::administer::{not_read, status, told};
use crate::apply::{Weighed, may_attest, not_changed, read_files};
use crate::center::Center;
use crate::found::Found;
use crate::observed;
use crate::sight::Sight;

/// Says whether the cluster may be changed so, and what that would mean. Nothing is changed.
pub(crate) fn weigh(center: &Center, sight: &Sight, ask: WeighOf) -> Result<Applied, Failure> {
    follows(center, &ask.cluster)?;
    let head = center.store.head().revision;
    if let Some(expected) = ask.if_revision.map(Revision).filter(|it| *it != head) {
        return Err(not_changed(Refused::MovedOn { expected, head }, None));
    }
    let upserts = read_files(ask.files, &ask.namespace)?;
    let objects = center.store.at(head).map_err(not_read)?;
    let named = ask.removed.iter().map(|text| read_object(text));
    let mut removed = named
        .collect::<Result<BTreeSet<_>, _>>()
        .map_err(Failure::plain)?;
    if let Some(set) = &ask.prune {
        let written: BTreeSet<_> = upserts.iter().map(|upsert| &upsert.key).collect();
        let of_set = objects.iter().filter(|object| is_of_set(object, set));
        let keys = of_set.map(|object| &object.key);
        removed.extend(keys.filter(|key| !written.contains(key)).cloned());
    }
    let changed = upserts.iter().map(|upsert| &upsert.key).chain(&removed);
    changed.clone().try_for_each(|key| sight.may_change(key))?;
    own_nothing(&objects, &upserts)?;

    let sources = center.sources();
    let (then, sources_then) = replaced(&objects, &sources, &upserts, &removed);
    // Of what the cluster says, whatever of it is held as it was.
    let before = center.supposed(&objects, &sources);
    let after = Arc::new(center.supposed(&then, &sources_then));
    for key in changed {
        may_attest(center, sight, key, &after)?;
    }
    let weighed = Weighed::between(&before, after);
    let accepted = weighed.accepted(sight, ask.allow_errors);
    accepted.map_err(|refused| not_changed(refused, Some(&weighed)))?;
    let gone = objects
        .into_iter()
        .filter(|object| removed.contains(&object.key));
    let changes = gone.map(|object| told(&ObjectChange::Removed(object), true));
    Ok(Applied {
        status: status(center),
        dry_run: true,
        made: false,
        watch: None,
        changes: changes.collect(),
        proxies: center.affected(&center.imagined(&weighed.after)),
        advice: None,
        held: None,
        left: Vec::new(),
        findings: weighed.findings(),
    })
}

/// Whether it is the cluster that is followed.
fn follows(center: &Center, cluster: &str) -> Result<(), Failure> {
    if center.cluster.as_deref() == Some(cluster) {
        return Ok(());
    }
    let why = "nothing was changed: the control plane follows another cluster";
    Err(Failure::coded(Code::K027, why))
}

/// Each object has one source: what is kept here is not written to the cluster, too.
fn own_nothing(objects: &[Object], upserts: &[Upsert]) -> Result<(), Failure> {
    let written: BTreeSet<_> = upserts.iter().map(|upsert| &upsert.key).collect();
    let own = objects
        .iter()
        .filter(|it| it.owner.source.as_str() == SOURCE);
    let own = own.filter(|object| written.contains(&object.key));
    let own: Vec<_> = own
        .map(|object| (object.key.clone(), object.owner.clone()))
        .collect();
    if own.is_empty() {
        return Ok(());
    }
    let refused = Refused::OwnedElsewhere(own);
    Err(Failure {
        advice: Some(
            "the control plane itself keeps it: leno delete KIND/NAME, then apply again".to_owned(),
        ),
        ..Failure::coded(refused.code(), refused)
    })
}

/// Whether an object of the cluster was applied with a set.
fn is_of_set(object: &Object, set: &str) -> bool {
    if object.owner.source != observed::source() {
        return false;
    }
    let said = yaml::read(&object.text).unwrap_or_default();
    said["metadata"]["labels"][SET] == set
}

/// All objects, and what sources say, with these in the cluster and those not.
fn replaced(
    objects: &[Object],
    sources: &[Found],
    upserts: &[Upsert],
    removed: &BTreeSet<ObjectRef>,
) -> (Vec<Object>, Vec<Found>) {
    let cluster = observed::source();
    let written = upserts.iter().map(|upsert| &upsert.key);
    let others: BTreeSet<_> = written.chain(removed).collect();
    let stays = |object: &&Object| object.owner.source != cluster || !others.contains(&object.key);
    let mut then: Vec<_> = objects.iter().filter(stays).cloned().collect();
    then.extend(upserts.iter().map(|Upsert { key, place, text }| Object {
        key: key.clone(),
        owner: Owner::of_source(&cluster),
        place: place.clone(),
        text: Arc::clone(text),
    }));
    // Who runs where is in no revision, and is a file of the source.
    let names: BTreeSet<_> = others.iter().map(ToString::to_string).collect();
    let without = |found: &Found| {
        let mut found = found.clone();
        if found.is_cluster() {
            Arc::make_mut(&mut found.files).retain(|(name, _)| !names.contains(&**name));
        }
        found
    };
    (then, sources.iter().map(without).collect())
}
