use super::*;

const ROUTE: &str =
    r#"{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "version": "v1"}"#;

fn route(parent: &str, more: &str) -> String {
    format!(
        r#"{{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {{"name": "cart", "namespace": "shop"{more}}},
            "spec": {{"parentRefs": [{{"kind": "{parent}", "name": "cart"}}]}}}}"#
    )
}

fn asked(kind: &str, user: &str, before: Option<&str>, after: Option<&str>) -> Vec<u8> {
    let [before, after] = [before, after].map(|it| it.unwrap_or("null").to_owned());
    format!(
        r#"{{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {{
            "uid": "7", "kind": {kind}, "userInfo": {{"username": "{user}"}}, "dryRun": true,
            "object": {after}, "oldObject": {before}}}}}"#
    )
    .into_bytes()
}

fn replaced(user: &str, before: Option<&str>, after: Option<&str>) -> Option<Replaced> {
    Proposed::read(&asked(ROUTE, user, before, after))
        .unwrap()
        .replaced
}

/// What is answered, without what all answers have.
fn answer(refused: &[&str], warned: &[&str]) -> Value {
    let proposed =
        Proposed::read(&asked(ROUTE, "anna", None, Some(&route("Service", "")))).unwrap();
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let answer = proposed.answer(&texts(refused), &texts(warned));
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["response"]["uid"], "7");
    answer["response"].clone()
}

#[test]
fn what_an_object_says_and_is_to_say_is_read() {
    let [one, other] = ["", r#", "labels": {"a": "b"}"#].map(|more| route("Service", more));
    let read = replaced("anna", Some(&one), Some(&other)).unwrap();
    assert_eq!(read.object.to_string(), "HTTPRoute shop/cart");
    let text = |document: &Option<Document>| {
        let document = document.as_ref().unwrap();
        assert_eq!(&*document.name, "HTTPRoute shop/cart");
        document.text.to_string()
    };
    assert!(!text(&read.before).contains("labels"));
    assert!(text(&read.after).contains("labels"));
    let made = replaced("anna", None, Some(&one)).unwrap();
    assert!(made.before.is_none() && made.after.is_some());
    let gone = replaced("anna", Some(&one), None).unwrap();
    assert!(gone.before.is_some() && gone.after.is_none());
}

#[test]
fn what_makes_no_difference_is_let_through_without_a_look() {
    let one = route("Service", "");
    let status = one.replacen("\"spec\"", r#""status": {"parents": []}, "spec""#, 1);
    let annotated = route("Service", r#", "annotations": {"a": "b"}"#);
    for same in [&one, &status, &annotated] {
        assert_eq!(replaced("anna", Some(&one), Some(same)), None, "{same}");
    }
    let ending = r#", "deletionTimestamp": "2026-11-20T10:00:00Z", "labels": {"a": "b"}"#;
    let ending = route("Service", ending);
    assert_eq!(replaced("anna", Some(&one), Some(&ending)), None);
    let controller = "system:serviceaccount:kube-system:namespace-controller";
    assert_eq!(replaced(controller, Some(&one), None), None);
    assert!(replaced(controller, None, Some(&one)).is_some());
}

#[test]
fn a_route_of_gateways_alone_is_for_others_to_judge() {
    let (gateway, service) = (route("Gateway", ""), route("Service", ""));
    assert_eq!(replaced("anna", None, Some(&gateway)), None);
    let becomes = replaced("anna", Some(&gateway), Some(&service)).unwrap();
    assert!(becomes.before.is_none() && becomes.after.is_some());
    assert_eq!(replaced("anna", Some(&service), Some(&gateway)), None);
    assert_eq!(replaced("anna", Some(&gateway), None), None);
    assert!(replaced("anna", Some(&service), None).is_some());
}

#[test]
fn what_is_no_question_about_an_object_that_is_read_is_not_answered() {
    let one = route("Service", "");
    let good = String::from_utf8(asked(ROUTE, "anna", None, Some(&one))).unwrap();
    let other = r#"{"group": "", "kind": "Service", "version": "v1"}"#;
    let told = |bytes: &[u8]| Proposed::read(bytes).unwrap_err().to_string();
    let not_read = told(&asked(other, "anna", None, Some(&one)));
    assert!(
        not_read.contains("\"Service\", which is not read"),
        "{not_read}"
    );
    let version = told(good.replacen("io/v1", "io/v1beta1", 1).as_bytes());
    assert!(version.contains("admission.k8s.io/v1beta1"), "{version}");
    let name = told(good.replacen("\"cart\"", "\"../cart\"", 1).as_bytes());
    assert!(name.contains("no object"), "{name}");
    assert!(told(b"\x00").contains("no AdmissionReview"));
    let deep = good.replacen(
        "\"parentRefs\": [",
        &format!("\"x\": {}", "[".repeat(10_000)),
        1,
    );
    assert!(told(deep.as_bytes()).contains("no AdmissionReview"));
    for end in 0..good.len() {
        assert!(Proposed::read(&good.as_bytes()[..end]).is_err());
    }
}

#[test]
fn an_answer_refuses_with_reasons_or_lets_through_with_warnings() {
    assert_eq!(answer(&[], &[]), json!({"uid": "7", "allowed": true}));
    let refused = answer(&["C007 one", "C114 other"], &["C113 more"]);
    assert_eq!(refused["allowed"], false);
    let why = "leno: C007 one\nleno: C114 other";
    assert_eq!(refused["status"], json!({"code": 403, "message": why}));
    assert_eq!(refused["warnings"], json!(["leno: C113 more"]));
    // A header takes neither an end of line nor a book.
    let long = format!("a\r\nb{}", "x".repeat(5_000));
    let warned = answer(&[], &[&*long; 20]);
    let warnings = warned["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), MOST_WARNINGS + 1);
    assert_eq!(warnings[MOST_WARNINGS], "leno: and 12 more: leno check");
    let first = warnings[0].as_str().unwrap();
    assert!(first.starts_with("leno: a  bxxx") && first.len() <= LONGEST + 6);
}
