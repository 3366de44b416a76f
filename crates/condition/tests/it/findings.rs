//! What is no expression about a call: where it stands, why, what was meant.

use leno_condition::{Condition, Fact};

fn told(text: &str) -> String {
    let flaw = Condition::new(text).expect_err(text);
    let (first, length) = flaw.at;
    let marked: String = text.chars().skip(first).take(length).collect();
    let suggestion = flaw
        .suggestion
        .map_or(String::new(), |it| format!("; {it}"));
    format!("[{marked}] {}{suggestion}", flaw.message)
}

#[test]
fn a_finding_says_where_and_what_was_meant() {
    let cases: &[(&str, &str)] = &[
        (
            "response.statu >= 500",
            "[response.statu] nothing is called response.statu; did you mean response.status?",
        ),
        (
            "response.status >= '500'",
            "[response.status >= '500'] an int and a string cannot be compared",
        ),
        (
            "code == 'R014' && duration > 5",
            "[duration > 5] a duration and an int cannot be compared; a duration is written duration(\"250ms\")",
        ),
        (
            "duration > duration('5 s')",
            "['5 s'] \"5 s\" is not a duration; like 250ms, 10s or 1h30m",
        ),
        (
            "source == 'web'",
            "[source] nothing is called source; there is source.identity, source.namespace, source.service, source.address",
        ),
        (
            "request.headers['X-User'] == 'ada'",
            "['X-User'] names of headers are in lower case here, and X-User is not; did you mean x-user?",
        ),
        (
            "request.path.startWith('/a')",
            "[request.path.startWith('/a'] there is no function startWith; did you mean startsWith?",
        ),
        (
            "request.path",
            "[request.path] it is a string, and should be true or false",
        ),
        (
            "code && true",
            "[code] this is a string, and bool is expected",
        ),
        (
            "request.path.matches('(')",
            "['('] \"(\" is not a pattern: unclosed group",
        ),
        (
            "request.path.matches(request.host)",
            "[request.host] a pattern is written out, so that its cost is known",
        ),
        (
            "[1, 2].exists(x, x == response.status)",
            "[(] all, exists, map and filter are not read; write: value in [\"one\", \"other\"]",
        ),
        ("response.status in []", "[[] nothing is in an empty list"),
        (
            "response.status == 5.0",
            "[5.0] fractions are not read; write a whole number",
        ),
        (
            "code == null",
            "[null] nulls are not read; what there is nothing of is \"\" or 0",
        ),
        ("code == ", "[ ] it ends too early"),
        (
            "jwt.claims[request.path] == 'a'",
            "[request.path] the name of a claim is written out, so that it is known what is read; write: jwt.claims[\"name\"]",
        ),
        (
            "jwt.claims == 'a'",
            "[jwt.claims == 'a'] a map of claims and a string cannot be compared",
        ),
        (
            "jwt.claims.exp > duration('5s')",
            "[jwt.claims.exp > duration('5s'] a claim and a duration cannot be compared; a duration is written duration(\"250ms\")",
        ),
        (
            "jwt.sub == 'ada'",
            "[jwt.sub] nothing is called jwt.sub; claims are read as jwt.claims.name",
        ),
        (
            "jwt.subjct == 'ada'",
            "[jwt.subjct] nothing is called jwt.subjct; did you mean jwt.subject?",
        ),
        (
            "(jwt.claims.role ? 1 : 'a') == 1",
            "['a'] this is a string, and int is expected",
        ),
        (
            "jwt.claims.a[1] == 'x'",
            "[1] the name of a claim is written out, so that it is known what is read; write: jwt.claims[\"name\"]",
        ),
        (
            "code = 'R014'",
            "[=] this is not CEL: '= '; did you mean ==?",
        ),
        ("", "[] it ends too early"),
    ];
    let told: Vec<_> = cases.iter().map(|(text, _)| told(text)).collect();
    let expect: Vec<_> = cases.iter().map(|(_, expect)| *expect).collect();
    assert_eq!(told, expect, "{told:#?}");
}

#[test]
fn every_fact_is_found_under_its_name_and_has_a_type() {
    for fact in Fact::all() {
        assert!(fact.doc().ends_with('.'), "{fact:?}");
        let text = match fact.kind() {
            "string" => format!("{} == ''", fact.name()),
            "int" => format!("{} == 0", fact.name()),
            "duration" => format!("{} == duration('0s')", fact.name()),
            "map(string, string)" | "map(string, dyn)" => format!("'x' in {}", fact.name()),
            other => panic!("{other}"),
        };
        assert!(Condition::new(&text).is_ok(), "{text}");
    }
}

#[test]
fn it_is_known_what_an_expression_reads() {
    let reads = |text: &str| {
        let condition = Condition::new(text).unwrap();
        let reads = condition.reads();
        let facts = reads.facts.iter().map(|fact| fact.name());
        let words = facts.chain(reads.headers.iter().map(|name| &**name));
        let any = reads.any_header.then_some("any");
        let claims = reads.claims.iter().map(|name| &**name);
        words.chain(claims).chain(any).collect::<Vec<_>>().join(" ")
    };
    for (text, expect) in [
        ("true", ""),
        (
            "request.method == 'GET' || source.namespace in ['a', 'b']",
            "request.method source.namespace",
        ),
        (
            "has(request.headers.a) && request.headers['b'] == 'c'",
            "request.headers a b",
        ),
        (
            "has(jwt.claims) && 'a' in jwt.claims.b.c && jwt.subject == jwt.claims['x']",
            "jwt.claims /b/c sub x",
        ),
        (
            "request.path in request.headers",
            "request.path request.headers any",
        ),
    ] {
        assert_eq!(reads(text), expect, "{text}");
    }
}
