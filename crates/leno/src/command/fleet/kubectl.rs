//! `leno rollback N --print kubectl`: what makes a cluster what it was, as commands for whoever owns it.

use anyhow::Context as _;
use leno_admin::{Change, Rollback, Verb};
use leno_kubernetes::said;
use leno_resources::spellings;
use serde_json::{Map, Value};

use super::refused;
use crate::arguments::fleet::Context;
use crate::command::Answer;
use crate::command::context::Context as Chosen;
use crate::terminal::Terminal;

/// The longest that something may be held, in seconds: nothing is, but what would be is what is asked.
const LONGEST_HOLD: u64 = 24 * 3600;

/// Prints the commands that make what others own what it was in a revision. Nothing is changed.
pub(super) fn rollback(
    context: &Context,
    to: u64,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let question = Rollback {
        to,
        if_revision: None,
        message: String::new(),
        allow_errors: true,
        dry_run: true,
        watch: None,
        hold: Some(LONGEST_HOLD),
    };
    let told = match Chosen::choose(context.context.as_deref())?.ask(question)? {
        Ok(told) => told,
        Err(failure) => return refused(&failure, false, terminal),
    };
    let changes = told.held.map_or_else(Vec::new, |held| held.changes);
    terminal.text(&format!(
        "# {}\n",
        match changes.len() {
            0 => format!("The cluster says what it said at revision {to}."),
            _ => format!("Makes the cluster say what it said at revision {to}."),
        }
    ))?;
    for change in &changes {
        if let Some(command) = command(change)? {
            terminal.text(&format!("{command}\n"))?;
        }
    }
    Ok(Answer::Fine)
}

/// What makes one object what it is after a change.
pub(super) fn command(change: &Change) -> anyhow::Result<Option<String>> {
    let read = |text: &Option<String>| -> anyhow::Result<Option<Value>> {
        let value = |text| said(text).with_context(|| format!("{} is no object", change.object));
        text.as_deref().map(value).transpose()
    };
    let (before, after) = (read(&change.before)?, read(&change.after)?);
    Ok(match (change.verb, before, after) {
        (Verb::Moved, ..) | (_, None, None) => None,
        (_, Some(before), Some(after)) => patch(&before, &after).map(|patch| {
            let patch = quoted(&patch.to_string());
            format!("kubectl patch {} --type=merge -p {patch}", named(&after))
        }),
        (_, Some(before), None) => Some(format!("kubectl delete {}", named(&before))),
        (_, None, Some(after)) => {
            let object = quoted(&after.to_string());
            Some(format!("printf %s {object} | kubectl create -f -"))
        }
    })
}

/// `httproutes.gateway.networking.k8s.io cart -n shop`
fn named(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
    let known = spellings().find(|spelling| spelling.kind == kind);
    let resource = known.map_or(kind, |spelling| {
        match spelling.api_version.split_once('/') {
            Some((group, _)) => format!("{}.{group}", spelling.plural),
            None => spelling.plural.to_owned(),
        }
    });
    let name = quoted(&text(&metadata["name"]));
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{resource} {name} -n {}", quoted(namespace)),
        None => format!("{resource} {name}"),
    }
}

/// What turns `before` into `after`, where they differ.
//= RFC 7396: "If the target does contain the member, the value is replaced. Null values in the merge patch are given
//= special meaning to indicate the removal of existing values in the target."
fn patch(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return Some(after.clone());
    };
    let gone = old.keys().filter(|field| !new.contains_key(*field));
    let mut patched: Map<_, _> = gone.map(|field| (field.clone(), Value::Null)).collect();
    for (field, value) in new {
        let change = match old.get(field) {
            Some(old) => patch(old, value),
            None => Some(value.clone()),
        };
        patched.extend(change.map(|change| (field.clone(), change)));
    }
    Some(Value::Object(patched))
}

/// A word as a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    match !text.is_empty() && text.bytes().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROUTE: &str = r#"{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute",
        "metadata":{"name":"cart","namespace":"shop","generation":4},"spec":{"hostnames":["a"],"rules":[1]}}"#;

    fn told(verb: Verb, before: Option<&str>, after: Option<&str>) -> Option<String> {
        let change = Change {
            verb,
            object: "HTTPRoute shop/cart".to_owned(),
            place: None,
            observed: true,
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        command(&change).unwrap()
    }

    #[test]
    fn each_object_is_patched_made_or_deleted() {
        let then = ROUTE
            .replace(r#""hostnames":["a"],"rules":[1]"#, r#""rules":["it's"]"#)
            .replace("4", "2");
        assert_eq!(
            told(Verb::Changed, Some(ROUTE), Some(&then)).unwrap(),
            r#"kubectl patch httproutes.gateway.networking.k8s.io cart -n shop --type=merge -p '{"spec":{"hostnames":null,"rules":["it'\''s"]}}'"#
        );
        assert_eq!(
            told(Verb::Removed, Some(ROUTE), None).unwrap(),
            "kubectl delete httproutes.gateway.networking.k8s.io cart -n shop"
        );
        let made = told(Verb::Added, None, Some(ROUTE)).unwrap();
        assert!(made.starts_with("printf %s '{\"apiVersion\""), "{made}");
        assert!(!made.contains("generation"), "{made}");
        // Only the cluster's own count has risen.
        let counted = ROUTE.replace("4", "5");
        assert_eq!(told(Verb::Changed, Some(ROUTE), Some(&counted)), None);
    }

    #[test]
    fn a_patch_says_what_differs_and_takes_away_what_is_gone() {
        let (before, after) = (
            json!({"a": 1, "b": {"c": [1, 2], "d": 2}, "e": 3}),
            json!({"a": 1, "b": {"c": [2], "d": 2}, "f": {"g": 1}}),
        );
        let expect = json!({"b": {"c": [2]}, "e": null, "f": {"g": 1}});
        assert_eq!(patch(&before, &after), Some(expect));
        assert_eq!(patch(&after, &after), None);
    }
}
