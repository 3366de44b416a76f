//! What expressions say of one call, with everything known or not.

use leno_condition::{Answer, Condition, Fact};

use crate::world::Call;

fn ask(text: &str, unknown: &'static [Fact]) -> String {
    let condition = Condition::new(text).unwrap_or_else(|flaw| panic!("{text}: {flaw:?}"));
    assert_eq!(condition.as_str(), text);
    match condition.of(&Call { unknown }) {
        Answer::Yes => "yes".to_owned(),
        Answer::No => "no".to_owned(),
        Answer::Unknown(fact) => format!("depends on {}", fact.name()),
        Answer::Failed(failure) => failure.to_string(),
    }
}

fn check(text: &str, expect: &str) {
    assert_eq!(ask(text, &[]), expect, "{text}");
}

#[test]
fn what_is_known_is_compared() {
    for yes in [
        "true",
        "response.status >= 500",
        "response.status / 100 == 5",
        "response.status in [502, 503, 504]",
        "request.method == 'POST' && request.path.startsWith('/charge')",
        "request.method in ['GET', 'POST']",
        "source.identity.endsWith('/sa/web')",
        "duration < duration('10ms') && duration >= duration('2ms')",
        "code == 'R014' || fault == 'service'",
        "!(fault == 'caller')",
        "request.path.matches('^/ch')",
        "request.path.matches('arg')",
        "size(request.path) == 7 && request.path.size() > 6",
        "request.headers['x-user'] == 'ada'",
        "request.headers.x == 'b' || has(request.headers.nothing) || true",
        "'x-user' in request.headers",
        "!('x-tenant' in request.headers)",
        "(response.status == 200) == (code == '')",
        "response.status > 200 ? code != '' : code == ''",
        "request.size + 1 > 2 * 256 && -request.size < 0",
        "destination.address == ''",
        "source.namespace == destination.namespace",
        "'ada' < 'bob'",
        "request.path.contains(\"har\")",
    ] {
        check(yes, "yes");
    }
    for no in [
        "false",
        "response.status < 500",
        "request.path.matches('^arg')",
        "request.method == 'post'",
        "response.status in [200, 204]",
        "duration > duration('1h30m')",
        "has(request.headers.nothing)",
        "response.status % 2 == 0",
    ] {
        check(no, "no");
    }
}

#[test]
fn what_has_no_value_says_why_unless_the_rest_decides() {
    let nothing = "the header it looks into is not there";
    check("request.headers['x-tenant'] == 'a'", nothing);
    check("request.headers['x-tenant'] == 'a' || true", "yes");
    check("true || request.headers['x-tenant'] == 'a'", "yes");
    check("request.headers['x-tenant'] == 'a' && false", "no");
    check("request.headers['x-tenant'] == 'a' && true", nothing);
    check(
        "'x-tenant' in request.headers && request.headers['x-tenant'] == 'a'",
        "no",
    );
    check("1 / response.size == 1", "it divides by zero");
    check("response.status % response.size == 1", "it divides by zero");
    check(
        "9223372036854775807 + request.size > 0",
        "a number is too large",
    );
    check(
        "request.path in [request.headers['x-tenant'], '/charge']",
        "yes",
    );
    check(
        "request.path in [request.headers['x-tenant'], '/']",
        nothing,
    );
}

#[test]
fn what_is_unknown_leaves_it_undecided_unless_the_rest_decides() {
    let check = |text, expect: &str| {
        let unknown = &[Fact::Headers, Fact::Status];
        assert_eq!(ask(text, unknown), expect, "{text}");
    };
    check(
        "request.headers['x-user'] == 'ada'",
        "depends on request.headers",
    );
    check("'x-user' in request.headers", "depends on request.headers");
    check("response.status >= 500", "depends on response.status");
    check("response.status >= 500 && request.method == 'GET'", "no");
    check("response.status >= 500 || request.method == 'POST'", "yes");
    // What is unknown may turn out to make the error not matter.
    check(
        "response.status >= 500 && 1 / response.size == 1",
        "depends on response.status",
    );
}
