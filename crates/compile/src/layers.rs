//! Policies whose fields hold as a whole: of those about a thing, the most special that says something
//! about a field says all about it.

use alloc::{collections::BTreeMap, format, string::ToString, vec::Vec};

use leno_model::{Code, Notes};
use leno_resources::policy::{TargetKind, TargetRef};
use leno_resources::{List, Object};

use crate::finding::{self, Complete};
use crate::targets::{self, Scope, Target};

/// A kind of such policies, by its `spec`.
pub(crate) trait Layered: Sized {
    /// The fields that are said as a whole.
    const FIELDS: &'static [&'static str];

    /// Whether it says something about a field.
    fn says(&self, field: &str) -> bool;

    /// What it says it is about.
    fn targets(&self) -> Option<&List<TargetRef>>;

    /// Why it cannot be about things of this kind.
    fn refuses(kind: TargetKind) -> Option<&'static str>;
}

/// All policies of a kind, by what they are about, the oldest first.
pub(crate) struct Layers<'a, T>(BTreeMap<Target, Vec<&'a Object<T>>>);

impl<'a, T: Layered> Layers<'a, T> {
    /// Reads the targets of all policies, and notes what two say about the same.
    pub(crate) fn read(
        policies: impl Iterator<Item = &'a Object<T>>,
        scope: &Scope<'_>,
        notes: &mut Notes,
    ) -> Self {
        let mut by_target = BTreeMap::<_, Vec<_>>::new();
        for policy in policies {
            for target in about(policy, scope, notes) {
                by_target.entry(target).or_default().push(policy);
            }
        }
        for policies in by_target.values_mut() {
            policies.sort_by_key(|policy| (policy.meta.created.is_none(), policy.meta.created));
            note_overlaps(policies, notes);
        }
        Self(by_target)
    }

    /// Whether some policy is about this.
    pub(crate) fn is_about(&self, target: &Target) -> bool {
        self.0.contains_key(target)
    }

    /// For each field that is said, who says it of a thing that all of `targets` are: the most special
    /// of these stands first.
    pub(crate) fn sayings(&self, targets: &[Target]) -> Vec<(&'static str, &'a Object<T>)> {
        let policies = targets.iter().filter_map(|target| self.0.get(target));
        let policies = policies.flatten().copied().collect::<Vec<_>>();
        let said = |field: &&'static str| {
            let mut saying = policies.iter().filter(|policy| says(policy, field));
            Some((*field, *saying.next()?))
        };
        T::FIELDS.iter().filter_map(said).collect()
    }
}

fn says<T: Layered>(policy: &Object<T>, field: &str) -> bool {
    policy.spec.partly().is_some_and(|spec| spec.says(field))
}

/// What a policy is about. One of which it cannot be told whether it names any has no targets.
fn about<T: Layered>(policy: &Object<T>, scope: &Scope<'_>, notes: &mut Notes) -> Vec<Target> {
    let written = policy.spec.partly().and_then(T::targets);
    if written.is_none() && policy.spec.is_flawed() {
        return Vec::new();
    }
    let references = written
        .into_iter()
        .flat_map(|written| written.iter().enumerate());
    for (index, reference) in references {
        let Some(reference) = reference.sound() else {
            continue;
        };
        let section = reference.section_name.as_ref().map(|_| "sectionName");
        if let Some(field) = section.or(reference.port.map(|_| "port")) {
            let pointer = format!("/spec/targetRefs/{index}/{field}");
            let why = "only an AccessPolicy speaks of single ports".to_string();
            notes.push(
                finding::error(policy, &pointer, Code::C114, why)
                    .in_force("nothing: the policy holds without this target"),
            );
        }
        if let Some(why) = T::refuses(reference.kind) {
            let pointer = format!("/spec/targetRefs/{index}/kind");
            notes.push(
                finding::error(policy, &pointer, Code::C114, why.to_string())
                    .in_force("nothing: the policy holds without this target"),
            );
        }
    }
    let mut targets = targets::targets(policy, written, scope, notes);
    targets.retain(|target| {
        let is_port = matches!(target, Target::ServicePort(_) | Target::WorkloadPort(..));
        !is_port && T::refuses(target.kind()).is_none()
    });
    targets
}

/// Notes each field that an older policy says about the same target.
fn note_overlaps<T: Layered>(oldest_first: &[&Object<T>], notes: &mut Notes) {
    for field in T::FIELDS {
        let mut said = oldest_first.iter().filter(|policy| says(policy, field));
        let Some(first) = said.next() else { continue };
        for policy in said {
            let pointer = format!("/spec/{field}");
            let message = format!("{} says {field} about the same", first.reference());
            notes.push(
                finding::warning(*policy, &pointer, Code::C133, message).in_force(format!(
                    "what {} says: the older of two holds",
                    first.reference()
                )),
            );
        }
    }
}
