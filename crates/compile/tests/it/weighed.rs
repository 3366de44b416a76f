//! What somebody is told who changes one object: what keeps the change from being made, and what is a warning.

use std::fmt::Write as _;

use leno_compile::{compile, weigh};
use leno_model::{Namespace, Note, Notes, ObjectRef};
use leno_resources::Resources;

/// What stands there beside what is changed.
const SHOP: &str = "\
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {selector: {app: cart}, ports: [{name: http, port: 80, appProtocol: http}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: cart, namespace: shop, labels: {app: cart}}, spec: {ports: [{port: 80, name: http}], instances: [{address: 10.0.0.1}]}}
";

fn found(texts: &[&str]) -> (Resources, Notes) {
    let file = |(index, text): (usize, &&str)| (format!("{index}.yaml"), text.as_bytes().to_vec());
    let files = texts.iter().enumerate().map(file);
    let (resources, mut notes) = Resources::read(files, &Namespace::default_namespace());
    notes.extend(compile(&resources).1);
    (resources, notes)
}

/// A line for each finding: `refused C007 /spec/rules/0`.
fn told(more: &str, before: &str, after: &str) -> String {
    let name = |text: &str| -> Option<ObjectRef> {
        let (resources, _) = found(&[text]);
        resources.names().next().map(|name| (**name).clone())
    };
    let object = name(after).or_else(|| name(before)).unwrap();
    let (_, before) = found(&[SHOP, more, before]);
    let (_, after) = found(&[SHOP, more, after]);
    let weighed = weigh(&object, &before, &after);
    let mut told = String::new();
    let mut tell = |word: &str, notes: &[&Note]| {
        for note in notes {
            let origin = note.origin.as_ref().unwrap();
            let whose = match *origin.object == object {
                true => String::new(),
                false => format!(" {}", origin.object),
            };
            writeln!(
                told,
                "{word} {}{whose} {}",
                note.code.as_str(),
                origin.pointer
            )
            .unwrap();
        }
    };
    tell("refused", &weighed.refused);
    tell("warned", &weighed.warned);
    tell("breaks", &weighed.of_others);
    told
}

/// A route to cart with these rules.
fn route(rules: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: cart, namespace: shop}}, \
         spec: {{parentRefs: [{{group: '', kind: Service, name: cart, port: 80}}], rules: [{rules}]}}}}"
    )
}

const GOOD: &str = "{backendRefs: [{name: cart, port: 80}]}";
const NOBODY: &str = "{backendRefs: [{name: kart, port: 80}]}";
const BROKEN: &str = "{matches: [{path: {type: RegularExpression, value: '('}}], backendRefs: [{name: cart, port: 80}]}";
const OTHER: &str = "{matches: [{path: {value: cart}}], backendRefs: [{name: cart, port: 80}]}";

#[test]
fn what_is_wrong_with_an_object_by_itself_is_refused_and_what_is_right_is_not() {
    assert_eq!(told("", "", &route(GOOD)), "");
    let refused = told("", "", &route(BROKEN));
    assert!(
        refused.starts_with("refused C007 /spec/rules/0/matches"),
        "{refused}"
    );
}

#[test]
fn what_another_object_may_mend_is_a_warning() {
    let expect = "warned C113 /spec/rules/0/backendRefs/0/name\n";
    assert_eq!(told("", "", &route(NOBODY)), expect);
    let policy = "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: cart, namespace: shop}, \
                  spec: {targetRefs: [{kind: Service, name: later}], default: Deny}}";
    assert_eq!(
        told("", "", policy),
        "warned C130 /spec/targetRefs/0/name\n"
    );
}

#[test]
fn what_is_as_broken_as_before_can_be_changed_and_repaired() {
    let two = route(&format!("{BROKEN}, {OTHER}"));
    let is_refused = |before: &str, after: &str| told("", before, after).contains("refused");
    assert!(is_refused("", &two));
    assert!(!is_refused(&two, &two));
    assert!(!is_refused(&two, &route(BROKEN)), "one of two is repaired");
    assert!(
        !is_refused(&route(BROKEN), &route(&format!("{GOOD}, {BROKEN}"))),
        "it has moved"
    );
    assert!(is_refused(&route(BROKEN), &two), "one more");
    let twice = route(&format!("{BROKEN}, {BROKEN}"));
    assert!(is_refused(&route(BROKEN), &twice), "the same once more");
    assert!(!is_refused(&two, &route(GOOD)));
}

#[test]
fn what_is_taken_away_is_never_refused_and_says_what_it_breaks() {
    let grant = "{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: bank, namespace: shop}, \
                 spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: bank}], to: [{group: '', kind: Service}]}}";
    let bank = "{apiVersion: v1, kind: Service, metadata: {name: pay, namespace: bank}, spec: {ports: [{name: http, port: 80, appProtocol: http}]}}\n\
                ---\n\
                {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: pay, namespace: bank}, \
                 spec: {parentRefs: [{group: '', kind: Service, name: pay, port: 80}], rules: [{backendRefs: [{name: cart, namespace: shop, port: 80}]}]}}";
    let expect = "breaks C103 HTTPRoute bank/pay /spec/rules/0/backendRefs/0/namespace\n";
    assert_eq!(told(bank, grant, ""), expect);
    assert_eq!(told("", &route(BROKEN), ""), "");
}
