//! What expressions say of one call, with everything known or not.

use leno_condition::{Answer, Condition, Fact, Failure};

use crate::world::Call;

fn ask(text: &str, unknown: &'static [Fact]) -> String {
    let condition = Condition::new(text).unwrap_or_else(|flaw| panic!("{text}: {flaw:?}"));
    assert_eq!(condition.as_str(), text);
    let call = Call {
        unknown,
        has_token: true,
    };
    match condition.of(&call) {
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

#[test]
fn a_claim_is_what_it_is_compared_with() {
    for yes in [
        "jwt.issuer == 'https://id' && jwt.subject != 'eve'",
        "'shop' in jwt.audiences && size(jwt.audiences) == 2",
        "jwt.claims.role == 'admin' && 'admin' == jwt.claims['role']",
        "jwt.claims.role in ['admin', 'boss'] && jwt.subject in ['ada']",
        "jwt.claims.level >= 3 && jwt.claims.level + 1 == 4 && jwt.claims.level in [3]",
        "jwt.claims.staff && jwt.claims.staff == true && !(jwt.claims.staff == false)",
        "'admins' in jwt.claims.groups && !('boss' in jwt.claims.groups)",
        "'write' in jwt.claims.scope && !('rite' in jwt.claims.scope)",
        "'admin' in jwt.claims.role && !('x' in jwt.claims.empty)",
        "3 in jwt.claims.levels && !(2 in jwt.claims.levels)",
        "'a' in jwt.claims.realm.roles && 'a' in jwt.claims['realm']['roles']",
        "jwt.claims.realm['a/b']['c~'] == 1 && jwt.claims['/odd'] == 'odd'",
        "has(jwt.claims) && has(jwt.subject) && has(jwt.claims.realm.roles)",
        "'role' in jwt.claims && !('none' in jwt.claims) && !has(jwt.claims.none)",
        "has(jwt.claims.nothing) && 'a' in jwt.claims.mixed",
        "jwt.claims.role.startsWith('ad') && jwt.claims.role.matches('m.n$')",
        "jwt.claims.role != jwt.subject",
        "(jwt.claims.staff ? jwt.claims.role : '') == 'admin'",
        "jwt.subject == 'ada' || jwt.claims.none == 'x'",
    ] {
        check(yes, "yes");
    }
    let (none, other) = (
        "the claim it looks into is not there",
        "the claim it looks into is of another type",
    );
    for (text, why) in [
        ("jwt.claims.none == 'x'", none),
        ("jwt.claims.none != 'x'", none),
        ("!('x' in jwt.claims.none)", none),
        ("jwt.claims.groups != 'guests'", other),
        ("jwt.claims.level != 'guest'", other),
        ("jwt.claims.role < 7", other),
        ("jwt.claims.price == 1", other),
        ("!jwt.claims.role", other),
        ("!(jwt.claims.nothing == 'x')", other),
        ("!('b' in jwt.claims.mixed)", other),
        ("!('b' in jwt.claims.realm)", other),
        ("jwt.claims.level == jwt.claims.level", other),
        ("size(jwt.claims.level) == 1", other),
    ] {
        check(text, why);
    }
}

#[test]
fn without_a_token_there_are_no_claims() {
    let said = |text| {
        let call = Call {
            unknown: &[],
            has_token: false,
        };
        Condition::new(text).unwrap().of(&call)
    };
    let no_token = Answer::Failed(Failure::NoToken);
    assert_eq!(said("jwt.claims.role == 'admin'"), no_token);
    assert_eq!(said("jwt.issuer != 'https://other'"), no_token);
    assert_eq!(said("has(jwt.claims)"), Answer::No);
    assert_eq!(said("!has(jwt.claims.role)"), Answer::Yes);
    assert_eq!(said("has(jwt.claims) && jwt.subject == 'ada'"), Answer::No);
    let unknown = ask("jwt.claims.role == 'a'", &[Fact::Claims]);
    assert_eq!(unknown, "depends on jwt.claims");
}
