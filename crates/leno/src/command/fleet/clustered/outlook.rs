//! What a change of a cluster would come to, tried there before anything is written.

use std::collections::BTreeSet;

use leno_admin::{Change, Finding, Verb};
use leno_kubernetes::install::NotApplied;
use leno_kubernetes::{Cluster, Live, SET, Wanted, rank, yaml};
use leno_model::{Code, ObjectRef, Severity};
use serde_json::Value;

use super::super::kubectl;
use super::{Wish, Written};

/// What is to be done, in this order, and what stands against it.
#[derive(Default)]
pub(super) struct Outlook {
    pub(super) steps: Vec<Step>,
    /// What is left as it is, in words.
    pub(super) left: Vec<String>,
    /// What somebody else has written, with the command that would change it.
    pub(super) conflicts: Vec<Finding>,
    /// What was applied with another set, in words.
    pub(super) of_other_sets: Vec<String>,
}

/// One object that becomes another.
pub(super) struct Step {
    pub(super) told: Change,
    pub(super) deed: Deed,
}

/// What is done to it.
pub(super) enum Deed {
    Write(Wanted),
    Remove(ObjectRef, Live),
}

/// Tries all of a wish, and taking `removed` away.
pub(super) async fn look(
    cluster: &Cluster,
    wish: Wish,
    removed: Vec<ObjectRef>,
) -> Result<Outlook, NotApplied> {
    let mut outlook = Outlook {
        left: wish.left,
        ..Outlook::default()
    };
    let trying = Trying {
        cluster,
        set: wish.set.as_deref(),
        yields: wish.yields,
        removes_yield: wish.removes_yield,
        namespaces: namespaces(&wish.wanted),
    };
    for (wanted, place) in in_order(wish.wanted) {
        trying.write(wanted, place, &mut outlook).await?;
    }
    for object in last_first(removed) {
        trying.remove(object, &mut outlook).await?;
    }
    Ok(outlook)
}

/// What others need comes first.
fn in_order(mut wanted: Vec<Written>) -> Vec<Written> {
    wanted.sort_by(|(one, _), (other, _)| {
        let of = |wanted: &Wanted| (rank(&wanted.object), wanted.object.clone());
        of(one).cmp(&of(other))
    });
    wanted
}

/// What needs others goes first.
fn last_first(mut removed: Vec<ObjectRef>) -> Vec<ObjectRef> {
    removed.sort_by(|one, other| (rank(other), one).cmp(&(rank(one), other)));
    removed
}

/// The namespaces that are written, too: what is in them cannot be tried before.
fn namespaces(wanted: &[Written]) -> BTreeSet<String> {
    let objects = wanted.iter().map(|(wanted, _)| &wanted.object);
    let namespaces = objects.filter(|object| &*object.kind == "Namespace");
    namespaces.map(|object| object.name.to_string()).collect()
}

/// How a wish is tried.
struct Trying<'a> {
    cluster: &'a Cluster,
    set: Option<&'a str>,
    yields: bool,
    removes_yield: bool,
    namespaces: BTreeSet<String>,
}

impl Trying<'_> {
    async fn write(
        &self,
        wanted: Wanted,
        place: Option<String>,
        outlook: &mut Outlook,
    ) -> Result<(), NotApplied> {
        let live = self.cluster.live(&wanted.object).await?;
        let object = wanted.object.to_string();
        let of = live.as_ref().and_then(|live| live.set.as_deref());
        if let Some((of, own)) = of.zip(self.set).filter(|(of, own)| of != own) {
            outlook.of_other_sets.push(format!(
                "{object} belongs to the set {of}, and not to {own}"
            ));
            return Ok(());
        }
        let tried = match self.cluster.try_out(&wanted, live.as_ref()).await {
            Ok(tried) => tried,
            Err(NotApplied::Conflict { why, .. }) if self.yields => {
                outlook.left.push(format!("{object} is left: {why}"));
                return Ok(());
            }
            Err(NotApplied::Conflict { why, .. }) => {
                let then = self.cluster.imagine(&wanted).await.ok();
                let before = live.map(|live| live.text);
                let change = change(object, before, then);
                outlook.conflicts.push(conflict(&change, why));
                return Ok(());
            }
            Err(why) => return Err(why),
        };
        let (text, differs) = match tried {
            Some(tried) => (tried.text, tried.differs),
            None if self.is_made(&wanted.object) => (wanted.text(), true),
            None => {
                let why = "its namespace is not there".to_owned();
                return Err(NotApplied::Refused { object, why });
            }
        };
        if differs {
            let told = Change {
                place,
                ..change(object, live.map(|live| live.text), Some(text))
            };
            let deed = Deed::Write(wanted);
            outlook.steps.push(Step { told, deed });
        }
        Ok(())
    }

    /// Whether its namespace is made with it.
    fn is_made(&self, object: &ObjectRef) -> bool {
        let namespace = object.namespace.as_ref();
        namespace.is_some_and(|namespace| self.namespaces.contains(namespace.as_str()))
    }

    async fn remove(&self, object: ObjectRef, outlook: &mut Outlook) -> Result<(), NotApplied> {
        let Some(live) = self.cluster.live(&object).await? else {
            outlook.left.push(format!("{object} is not there"));
            return Ok(());
        };
        if self.set.is_some() && live.set.as_deref() != self.set {
            outlook.left.push(format!("{object} is of the set no more"));
            return Ok(());
        }
        let told = change(object.to_string(), Some(live.text.clone()), None);
        if !live.others.is_empty() {
            let others = names(&live.others);
            match self.removes_yield {
                true => outlook.left.push(format!("{object} is left to {others}")),
                false => outlook
                    .conflicts
                    .push(conflict(&told, format!("{others} has written it, too"))),
            }
            return Ok(());
        }
        self.cluster.take_away(&object, &live, true).await?;
        let deed = Deed::Remove(object, live);
        outlook.steps.push(Step { told, deed });
        Ok(())
    }
}

/// `argocd, kubectl`
pub(super) fn names(managers: &BTreeSet<String>) -> String {
    let names: Vec<_> = managers.iter().map(String::as_str).collect();
    names.join(", ")
}

fn change(object: String, before: Option<String>, after: Option<String>) -> Change {
    let verb = match (&before, &after) {
        (None, _) => Verb::Added,
        (Some(_), None) => Verb::Removed,
        (Some(before), Some(after)) if before != after && is_same_but_set(before, after) => {
            Verb::Moved
        }
        (Some(_), Some(_)) => Verb::Changed,
    };
    Change {
        verb,
        object,
        place: None,
        observed: true,
        before,
        after,
    }
}

/// Whether two objects differ in their set alone.
fn is_same_but_set(one: &str, other: &str) -> bool {
    let without = |text: &str| {
        let mut said = yaml::read(text).unwrap_or_default();
        let metadata = said.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata
            && let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut)
        {
            labels.remove(SET);
            if labels.is_empty() {
                metadata.remove("labels");
            }
        }
        said
    };
    without(one) == without(other)
}

/// That somebody else has written something, and what would change it all the same.
fn conflict(change: &Change, why: String) -> Finding {
    let command = kubectl::command(change).ok().flatten();
    Finding {
        next: command,
        ..Finding::running(
            Code::K005,
            Severity::Error,
            Some(change.object.clone()),
            why,
            "what they have written: nothing is taken from them",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(objects: &[&str]) -> Vec<ObjectRef> {
        let read = |text: &&str| leno_admin::read_object(text).unwrap();
        objects.iter().map(read).collect()
    }

    #[test]
    fn what_others_need_is_made_first_and_goes_last() {
        let objects = [
            "HTTPRoute shop/cart",
            "Service shop/web",
            "Namespace shop",
            "AccessPolicy shop/cart",
            "Service shop/cart",
        ];
        let wanted = order(&objects).into_iter().map(|object| {
            let text = format!("{{kind: {}, metadata: {{name: a}}}}", object.kind);
            (Wanted::read(&object, &text).unwrap(), None)
        });
        let told: Vec<_> = in_order(wanted.collect())
            .iter()
            .map(|(wanted, _)| wanted.object.to_string())
            .collect();
        assert_eq!(
            told,
            [
                "Namespace shop",
                "Service shop/cart",
                "Service shop/web",
                "AccessPolicy shop/cart",
                "HTTPRoute shop/cart"
            ]
        );
        let told: Vec<_> = last_first(order(&objects))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "HTTPRoute shop/cart",
                "AccessPolicy shop/cart",
                "Service shop/cart",
                "Service shop/web",
                "Namespace shop"
            ]
        );
    }

    #[test]
    fn a_conflict_says_whose_it_is_and_what_would_change_it() {
        let before = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"cart","namespace":"shop"},"spec":{"a":1}}"#;
        let after = before.replace("1}", "2}");
        let object = || "Service shop/cart".to_owned();
        let change = change(object(), Some(before.to_owned()), Some(after));
        let told = conflict(&change, ".spec.a is set by kubectl".to_owned());
        assert_eq!(told.code, "K005");
        assert_eq!(told.message, ".spec.a is set by kubectl");
        assert_eq!(
            told.next.as_deref(),
            Some(r#"kubectl patch services cart -n shop --type=merge -p '{"spec":{"a":2}}'"#)
        );
        let labelled = before.replace(
            r#""namespace":"shop"#,
            r#""labels":{"leno.dev/set":"shop"},"namespace":"shop"#,
        );
        let moved = super::change(object(), Some(before.to_owned()), Some(labelled));
        assert_eq!(moved.verb, Verb::Moved);
    }
}
