//! Tokens that requests carry, as examples: what is believed of them, and what becomes of them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use leno_jwt::{Claims, Signer, Value};
use leno_model::Wall;
use leno_model::view::Access;
use leno_model::view::access::{
    ClaimHeader, IssuerKeys, Jwt, JwtIssuer, KeyPlace, KeySource, TokenPlace,
};
use leno_protocol::{Header, Request};
use leno_traffic::{Claim, Examined, KnownClaims, Scope, Story, Table, Token, Tokens, Verdict};

use crate::world::{World, access, origin, plain, with_request, workload_id};

/// All times of the tests are counted from here.
const NOW: Wall = Wall::since_epoch(Duration::from_secs(1_800_000_000));

static SIGNER: LazyLock<Signer> = LazyLock::new(new_signer);

fn new_signer() -> Signer {
    Signer::new(&rcgen::KeyPair::generate().unwrap().serialize_der()).unwrap()
}

fn jwks(signer: &Signer) -> Option<Arc<str>> {
    Some(format!("{{\"keys\":[{}]}}", signer.jwk("sig")).into())
}

fn issuer(name: &str) -> JwtIssuer {
    JwtIssuer {
        origin: origin("AccessPolicy", "cart", "/spec/jwt/issuers/0", 1),
        issuer: name.into(),
        audiences: Some(vec!["shop".to_owned()]),
        from: vec![place("x-token", "")],
        forward: false,
        claims: vec![],
        keys: IssuerKeys {
            source: None,
            jwks: jwks(&SIGNER),
            until: None,
        },
    }
}

fn place(header: &str, prefix: &str) -> TokenPlace {
    TokenPlace::Header {
        name: header.into(),
        prefix: prefix.into(),
    }
}

fn believing(rules: &str, change: impl Fn(&mut Jwt)) -> Access {
    let mut jwt = Jwt {
        required: Vec::new(),
        issuers: vec![issuer("id")],
    };
    change(&mut jwt);
    Access {
        jwt: Some(Arc::new(jwt)),
        ..access(rules)
    }
}

fn table(access: Access) -> Table {
    let world = World::new().workload("cart", "10.0.1.1", access);
    Table::new(world.view(), Scope::Whole)
}

/// A token of `id` for `shop`, with these claims beside.
fn token(more: &str) -> String {
    token_by(&SIGNER, more)
}

fn token_by(signer: &Signer, more: &str) -> String {
    let claims = format!(r#"{{"iss":"id","aud":"shop","exp":1800000600{more}}}"#);
    signer.sign(&Claims::read(claims.as_bytes()).unwrap())
}

/// What comes of a request with these headers, in words.
fn judged(table: &Table, headers: &[(&str, &str)], tokens: &Tokens, now: Wall) -> String {
    let headers = headers.iter().map(|(name, value)| Header {
        name,
        value: value.as_bytes(),
    });
    let headers = headers.collect::<Vec<_>>();
    with_request("GET http://cart/items", |request| {
        let request = Request {
            headers: &headers,
            ..request
        };
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        let peer = plain("10.0.0.7");
        let bearer = policy.bearer(&request, tokens, now);
        let claim = Claim {
            token: bearer.token(),
            ..policy.claim(&peer)
        };
        let mut story = Story::default();
        let told = policy.explain(&claim, Some(&request), &mut story);
        for detail in story.steps.iter().flat_map(|step| &step.details) {
            assert!(!detail.text.contains("bug in Leno"), "{}", detail.text);
        }
        match policy
            .examine(&peer, request, bearer.clone())
            .and_then(Examined::admitted)
        {
            Ok(admitted) => {
                assert!(matches!(told, Verdict::Allow(_)));
                let mut words = vec!["allow".to_owned()];
                if let Some(changes) = admitted.told_of_token() {
                    let removed = changes.remove.iter().map(|name| format!("-{name}"));
                    let set = changes.set.iter();
                    words.extend(removed);
                    words.extend(set.map(|(name, value)| format!("+{name}={value}")));
                }
                words.join(" ")
            }
            Err(denied) => {
                assert_eq!(told, Verdict::Deny(denied.clone()));
                let (status, code) = (denied.status(), denied.code());
                let asked = denied.challenge();
                let asked = asked.map_or_else(String::new, |it| format!(" [{it}]"));
                format!("{status} {code}: {denied}{asked}")
            }
        }
    })
}

/// What comes of a request of whose token this is said.
fn judged_as(table: &Table, token: Token<'_>) -> String {
    let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
    let peer = plain("10.0.0.7");
    with_request("GET http://cart/items", |request| {
        let claim = Claim {
            token,
            ..policy.claim(&peer)
        };
        match policy.explain(&claim, Some(&request), &mut Story::default()) {
            Verdict::Allow(_) => "allow".to_owned(),
            Verdict::Deny(denied) => denied.code().to_string(),
            Verdict::Undecided(missing) => format!("undecided: {missing}"),
        }
    })
}

fn check(access: Access, expect: &[(&[(&str, &str)], &str)]) {
    let table = table(access);
    for (headers, expect) in expect {
        let tokens = Tokens::default();
        // The second time it is remembered.
        for _ in 0..2 {
            assert_eq!(
                judged(&table, headers, &tokens, NOW),
                *expect,
                "{headers:?}"
            );
        }
    }
}

#[test]
fn a_token_is_proven_or_the_request_is_refused() {
    let good = &*token("");
    let forged = &*token_by(&new_signer(), "");
    let unknown_key = "the token's issuer has no key";
    let table_ = table(believing("", |_| {}));
    let tokens = Tokens::default();
    let said = judged(&table_, &[("x-token", forged)], &tokens, NOW);
    assert!(
        said.starts_with(&format!("401 R061: {unknown_key}")),
        "{said}"
    );
    assert!(said.contains(r#"[Bearer error="invalid_token", error_description="#));
    let late = NOW + Duration::from_secs(660);
    let said = judged(&table_, &[("x-token", good)], &tokens, late);
    assert!(
        said.starts_with("401 R061: the token ended 60 s ago"),
        "{said}"
    );
    check(
        believing("", |_| {}),
        &[
            (&[], "allow"),
            (&[("x-token", good)], "allow -x-token"),
            (&[("X-Token", good)], "allow -x-token"),
            (
                &[("x-token", "hello")],
                "401 R061: it is not a JSON Web Token [Bearer error=\"invalid_token\", \
                 error_description=\"it is not a JSON Web Token\"]",
            ),
            (
                &[("x-token", good), ("x-token", good)],
                "400 R061: the request carries more than one token [Bearer error=\"invalid_request\", \
                 error_description=\"the request carries more than one token\"]",
            ),
        ],
    );
}

#[test]
fn a_token_that_is_required_is_missed() {
    let required = |jwt: &mut Jwt| {
        jwt.required = vec![origin("AccessPolicy", "cart", "/spec/jwt/required", 1)];
    };
    let missing =
        "401 R062: the request carries no token, and only calls with one are allowed [Bearer]";
    check(
        believing("", required),
        &[
            (&[], missing),
            (&[("x-token", &token(""))], "allow -x-token"),
        ],
    );
    let policy = table(believing("", required));
    let policy = policy.inbound(&workload_id("cart"), 8080).unwrap();
    let peer = plain("10.0.0.7");
    let denied = policy.admit_stream(&peer).unwrap_err();
    assert_eq!((denied.status(), denied.code().as_str()), (403, "R062"));
    // Whoever does not look lets nobody in.
    let policy = table(believing("", |_| {}));
    let policy = policy.inbound(&workload_id("cart"), 8080).unwrap();
    let denied = with_request("GET http://cart/", |request| {
        policy.admit(&peer, request).unwrap_err()
    });
    assert_eq!(denied.code().as_str(), "R061");
}

#[test]
fn a_policy_that_requires_a_token_requires_one_of_its_own_issuers() {
    let partner = new_signer();
    let beside = |jwt: &mut Jwt| {
        let mut other = issuer("partner");
        other.origin = origin("AccessPolicy", "partners", "/spec/jwt/issuers/0", 1);
        other.keys.jwks = jwks(&partner);
        jwt.issuers.push(other);
        jwt.required = vec![origin("AccessPolicy", "cart", "/spec/jwt/required", 1)];
    };
    let theirs = r#"{"iss":"partner","aud":"shop","exp":1800000600}"#;
    let theirs = &*partner.sign(&Claims::read(theirs.as_bytes()).unwrap());
    let own = &*token("");
    let not_of = |policy: &str| {
        let why = format!("it is of none of the issuers whose tokens {policy} requires");
        format!("401 R061: {why} [Bearer error=\"invalid_token\", error_description=\"{why}\"]")
    };
    check(
        believing("", beside),
        &[
            (&[("x-token", own)], "allow -x-token"),
            (&[("x-token", theirs)], &not_of("AccessPolicy shop/cart")),
        ],
    );
    // Who shows one token does not satisfy two that require those of different issuers.
    let both = |jwt: &mut Jwt| {
        beside(jwt);
        let partners = origin("AccessPolicy", "partners", "/spec/jwt/required", 1);
        jwt.required.push(partners);
    };
    check(
        believing("", both),
        &[
            (&[("x-token", own)], &not_of("AccessPolicy shop/partners")),
            (&[("x-token", theirs)], &not_of("AccessPolicy shop/cart")),
        ],
    );
}

#[test]
fn rules_ask_for_claims() {
    let with = |claims: &str| token(claims);
    let cases = [
        ("claim:role=admin", r#","role":"admin""#, true),
        ("claim:role=admin", r#","role":"Admin""#, false),
        ("claim:role=admin", "", false),
        ("claim:role=admin", r#","role":["user","admin"]"#, true),
        ("claim:role=admin", r#","role":["user"]"#, false),
        ("claim:role=admin", r#","role":"user admin""#, false),
        ("claim:scope=read", r#","scope":"write read""#, true),
        ("claim:scope=read", r#","scope":"readonly""#, false),
        ("claim:scp=read", r#","scp":["read"]"#, true),
        ("claim:level=3", r#","level":3"#, true),
        ("claim:staff=true", r#","staff":true"#, true),
        ("claim:role=ad*", r#","role":"admin""#, true),
        ("claim:role=~a.*n", r#","role":"admin""#, true),
        ("claim:role=~a.*m", r#","role":"admin""#, false),
        ("claim:role=?", r#","role":null"#, true),
        ("claim:role=?", "", false),
        (
            "claim:/realm/roles=admin",
            r#","realm":{"roles":["admin"]}"#,
            true,
        ),
        ("claim:realm=admin", r#","realm":{"admin":1}"#, false),
        (
            "claim:sub=anna claim:role=x",
            r#","sub":"anna","role":"x""#,
            true,
        ),
        ("claim:sub=anna claim:role=x", r#","sub":"anna""#, false),
    ];
    for (rule, claims, fits) in cases {
        let headers: &[(&str, &str)] = &[("x-token", &with(claims))];
        let allow = table(believing(&format!("allow {rule}"), |_| {}));
        let deny = table(believing(&format!("deny {rule}"), |_| {}));
        let judged = |table| judged(table, headers, &Tokens::default(), NOW);
        let (allowed, denied) = (judged(&allow), judged(&deny));
        assert_eq!(allowed.starts_with("allow"), fits, "allow {rule}: {claims}");
        assert_eq!(
            denied.starts_with("403 R004"),
            fits,
            "deny {rule}: {claims}"
        );
    }
    let missing =
        "401 R062: the request carries no token, and only calls with one are allowed [Bearer]";
    check(
        believing("allow claim:role=admin", |_| {}),
        &[
            (&[], missing),
            (
                &[("x-token", &with(""))],
                "403 R003: no AccessPolicy allows it",
            ),
        ],
    );
    check(
        believing("allow from=web\nallow from=web claim:role=admin", |_| {}),
        &[(&[], "403 R003: no AccessPolicy allows it")],
    );
    // Nobody's tokens are believed: nothing can be told.
    let unbelieved = "403 R060: AccessPolicy shop/cart rule 1 cannot be decided: it asks for claims, and \
                      its policy believes nobody's tokens";
    check(access("allow claim:role=admin"), &[(&[], unbelieved)]);
    check(access("deny claim:role=admin"), &[(&[], unbelieved)]);
}

/// What a condition about claim `c` comes to, by the words of its definition; `None` if it has no value.
fn naive_condition(when: &str, said: Option<&Value>) -> Option<bool> {
    let lists = |wanted: &str| {
        let items = match said? {
            Value::Array(items) => items.clone(),
            one => vec![one.clone()],
        };
        if items.iter().any(|item| *item == *wanted) {
            return Some(true);
        }
        items.iter().all(Value::is_string).then_some(false)
    };
    match when {
        "jwt.claims.c == 'a'" => Some(said?.as_str()? == "a"),
        "jwt.claims.c != 'a'" => Some(said?.as_str()? != "a"),
        "jwt.claims.c >= 2" => Some(said?.as_i64()? >= 2),
        "jwt.claims.c" => said?.as_bool(),
        "!jwt.claims.c" => said?.as_bool().map(|truth| !truth),
        "'a' in jwt.claims.c" => lists("a"),
        "!('a' in jwt.claims.c)" => lists("a").map(|is| !is),
        "has(jwt.claims.c)" => Some(said.is_some()),
        "!has(jwt.claims.c) || jwt.claims.c != 'a'" => match said {
            None => Some(true),
            Some(said) => Some(said.as_str()? != "a"),
        },
        other => panic!("what is {other}?"),
    }
}

#[test]
fn a_condition_about_claims_lets_nobody_in_by_error() {
    let conditions = [
        "jwt.claims.c == 'a'",
        "jwt.claims.c != 'a'",
        "jwt.claims.c >= 2",
        "jwt.claims.c",
        "!jwt.claims.c",
        "'a' in jwt.claims.c",
        "!('a' in jwt.claims.c)",
        "has(jwt.claims.c)",
        "!has(jwt.claims.c) || jwt.claims.c != 'a'",
    ];
    let values = [
        "\"a\"",
        "\"b\"",
        "1",
        "3",
        "1.5",
        "true",
        "false",
        "null",
        "[]",
        "[\"a\"]",
        "[\"b\"]",
        "[1,\"a\"]",
        "[1,\"b\"]",
        "{}",
        "",
    ];
    for when in conditions {
        let allow = table(believing(&format!("allow when {when}"), |_| {}));
        let deny = table(believing(&format!("deny when {when}"), |_| {}));
        for written in values {
            let said = (!written.is_empty())
                .then(|| Claims::read(format!("{{\"c\":{written}}}").as_bytes()).unwrap());
            let said = said.as_ref().and_then(|claims| claims.get("c"));
            let naive = naive_condition(when, said);
            let more = said.map_or_else(String::new, |said| format!(",\"c\":{said}"));
            let good = token(&more);
            let headers: &[(&str, &str)] = &[("x-token", &good)];
            let code = |table| {
                let judged = judged(table, headers, &Tokens::default(), NOW);
                let code = judged.split(' ').nth(1).unwrap_or_default();
                code.trim_end_matches(':').replace("-x-token", "allow")
            };
            let (allowed, denied) = match naive {
                Some(true) => ("allow", "R004"),
                Some(false) => ("R003", "allow"),
                None => ("R060", "R060"),
            };
            assert_eq!(code(&allow), allowed, "allow when {when}: {written}");
            assert_eq!(code(&deny), denied, "deny when {when}: {written}");

            // The same of a token that is only known to say so; and of one of which that is not known, nothing.
            let claims = format!(r#"{{"iss":"id"{more}}}"#);
            let all = KnownClaims::All(Claims::read(claims.as_bytes()).unwrap());
            let iss = ("iss".into(), Some(Value::from("id")));
            let some = KnownClaims::Some([iss.clone(), ("c".into(), said.cloned())].into());
            for known in [all, some] {
                assert_eq!(
                    judged_as(&allow, Token::Known(&known)),
                    allowed,
                    "{when}: {known:?}"
                );
                assert_eq!(
                    judged_as(&deny, Token::Known(&known)),
                    denied,
                    "{when}: {known:?}"
                );
            }
            let none = KnownClaims::Some([iss].into());
            let hangs = "undecided: claim c";
            assert_eq!(judged_as(&allow, Token::Known(&none)), hangs, "{when}");
            assert_eq!(judged_as(&deny, Token::Unknown), hangs, "{when}");
        }
    }
}

#[test]
fn a_condition_about_claims_without_a_token_asks_for_one() {
    let missing =
        "401 R062: the request carries no token, and only calls with one are allowed [Bearer]";
    let denied = "403 R003: no AccessPolicy allows it";
    let admin = &*token(r#","sub":"ada","groups":["admins"]"#);
    let rule = "when 'admins' in jwt.claims.groups && jwt.subject == 'ada'";
    check(
        believing(&format!("allow {rule}"), |_| {}),
        &[
            (&[], missing),
            (&[("x-token", admin)], "allow -x-token"),
            (&[("x-token", &token(r#","groups":[]"#))], denied),
        ],
    );
    check(
        believing(&format!("deny {rule}"), |_| {}),
        &[(&[], missing)],
    );
    check(
        believing("allow when has(jwt.claims) && jwt.subject == 'ada'", |_| {}),
        &[(&[], missing), (&[("x-token", admin)], "allow -x-token")],
    );
    check(
        believing("deny when has(jwt.claims) && jwt.subject == 'eve'", |_| {}),
        &[(&[], "allow"), (&[("x-token", admin)], "allow -x-token")],
    );
    // Claims of issuers whom only another policy believes are none to this one.
    let others = |jwt: &mut Jwt| {
        let mut other = issuer("other");
        other.origin = origin("AccessPolicy", "partners", "/spec/jwt/issuers/0", 1);
        jwt.issuers.push(other);
    };
    let theirs = r#"{"iss":"other","aud":"shop","exp":1800000600,"sub":"ada","groups":["admins"]}"#;
    let theirs = &*SIGNER.sign(&Claims::read(theirs.as_bytes()).unwrap());
    check(
        believing(&format!("allow {rule}"), others),
        &[
            (&[("x-token", admin)], "allow -x-token"),
            (
                &[("x-token", theirs)],
                "403 R060: AccessPolicy shop/cart rule 1 cannot be decided: its token is of an issuer whom \
                 this policy does not believe",
            ),
        ],
    );
    let table = table(believing(&format!("allow {rule}"), others));
    let imagined = |claims: &str| {
        let known = KnownClaims::All(Claims::read(claims.as_bytes()).unwrap());
        judged_as(&table, Token::Known(&known))
    };
    let said = r#""sub":"ada","groups":["admins"]"#;
    assert_eq!(imagined(&format!("{{{said}}}")), "undecided: claim iss");
    assert_eq!(imagined(&format!(r#"{{"iss":"id",{said}}}"#)), "allow");
    assert_eq!(imagined(&format!(r#"{{"iss":"other",{said}}}"#)), "R060");
    // Nobody's tokens are believed: nothing can be told.
    let unbelieved = "403 R060: AccessPolicy shop/cart rule 1 cannot be decided: it asks for claims, and \
                      its policy believes nobody's tokens";
    check(access(&format!("allow {rule}")), &[(&[], unbelieved)]);
}

#[test]
fn claims_are_met_by_tokens_of_those_whom_the_rules_policy_believes() {
    let partner = new_signer();
    // The partner may also call itself `id`: its keys are believed by another policy alone.
    let beside = |jwt: &mut Jwt| {
        let mut other = issuer("id");
        other.origin = origin("AccessPolicy", "partners", "/spec/jwt/issuers/0", 1);
        other.keys.jwks = jwks(&partner);
        jwt.issuers.insert(0, other);
    };
    let admin = r#","groups":"admins""#;
    let (own, foreign) = (&*token(admin), &*token_by(&partner, admin));
    check(
        believing("allow claim:groups=admins", beside),
        &[
            (&[("x-token", own)], "allow -x-token"),
            (
                &[("x-token", foreign)],
                "403 R003: no AccessPolicy allows it",
            ),
        ],
    );
    check(
        believing("deny claim:groups=admins", beside),
        &[
            (
                &[("x-token", own)],
                "403 R004: denied by AccessPolicy shop/cart rule 1",
            ),
            (&[("x-token", foreign)], "allow -x-token"),
        ],
    );
    // Two policies that believe the same issuer: its tokens are of both.
    let same = |jwt: &mut Jwt| {
        let mut other = issuer("id");
        other.origin = origin("AccessPolicy", "partners", "/spec/jwt/issuers/0", 1);
        jwt.issuers.insert(0, other);
    };
    check(
        believing("allow claim:groups=admins", same),
        &[(&[("x-token", own)], "allow -x-token")],
    );
    // What others believe is nothing to a policy that believes nobody.
    let others = |jwt: &mut Jwt| {
        jwt.issuers[0].origin = origin("AccessPolicy", "partners", "/spec/jwt/issuers/0", 1);
    };
    let unbelieved = "403 R060: AccessPolicy shop/cart rule 1 cannot be decided: it asks for claims, and \
                      its policy believes nobody's tokens";
    check(
        believing("allow claim:groups=admins", others),
        &[(&[], unbelieved), (&[("x-token", own)], unbelieved)],
    );

    let table = table(believing("allow claim:groups=admins", beside));
    let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
    let peer = plain("10.0.0.7");
    let url = format!("GET http://cart/items x-token:{foreign}");
    let told = with_request(&url, |request| {
        let bearer = policy.bearer(&request, &Tokens::default(), NOW);
        let claim = Claim {
            token: bearer.token(),
            ..policy.claim(&peer)
        };
        let mut story = Story::default();
        policy.explain(&claim, Some(&request), &mut story);
        let details = story.steps.into_iter().flat_map(|step| step.details);
        details.map(|detail| detail.text).collect::<Vec<_>>()
    });
    assert_eq!(
        told,
        [
            "AccessPolicy shop/cart rule 1 no: the request is not claim groups=admins: its token is of an \
          issuer whom this policy does not believe"
        ]
    );
}

#[test]
fn it_is_known_which_claims_rules_ask_for() {
    let asks = |access: Access| {
        let table = table(access);
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        let asks = policy.asks().unwrap();
        asks.claims().join(" ")
    };
    let rules = "allow claim:role=a except claim:/b/c=d\ndeny when 'x' in jwt.audiences && has(jwt.claims.e.f)";
    assert_eq!(asks(believing(rules, |_| {})), "/b/c /e/f aud iss role");
    assert_eq!(asks(believing("", |_| {})), "iss");
    assert_eq!(asks(access("deny claim:role=a")), "");
}

#[test]
fn what_was_not_recorded_is_undecided() {
    let judge_with =
        |token: Token<'_>, rules: &str| judged_as(&table(believing(rules, |_| {})), token);
    let judge = |rules: &str| judge_with(Token::Unknown, rules);
    assert_eq!(judge(""), "undecided: the token of the request");
    assert_eq!(judge("allow claim:a=b"), "undecided: claim a");
    assert_eq!(judge("deny claim:a=b"), "undecided: claim a");
    assert_eq!(judge("deny path=/items"), "R004");
    let judge = |rules: &str| judge_with(Token::Passed, rules);
    assert_eq!(judge(""), "allow");
    assert_eq!(judge("deny path=/items"), "R004");
    assert_eq!(judge("allow claim:a=b"), "undecided: claim a");
}

#[test]
fn an_application_is_told_claims_that_no_client_can_forge() {
    let tell = |jwt: &mut Jwt| {
        let tell = |claim: &str, header: &str| ClaimHeader {
            claim: claim.into(),
            header: header.into(),
        };
        jwt.issuers[0].claims = vec![tell("sub", "x-user"), tell("roles", "x-roles")];
    };
    let told = |claims: &str| token(claims);
    check(
        believing("", tell),
        &[
            (&[("x-user", "root")], "allow -x-user"),
            (&[("X_User", "root"), ("x-other", "1")], "allow -x_user"),
            (
                &[
                    ("x-token", &told(r#","sub":"anna","roles":["a","b"]"#)),
                    ("x-user", "root"),
                ],
                "allow -x-token +x-user=anna +x-roles=a,b",
            ),
            (
                &[("x-token", &told(r#","sub":"a\r\nx-roles: root""#))],
                "allow -x-token",
            ),
            (
                &[("x-token", &told(r#","roles":["a,b"]"#))],
                "allow -x-token",
            ),
            (&[("x-token", &told(r#","sub":{"a":1}"#))], "allow -x-token"),
        ],
    );
    let forward = |jwt: &mut Jwt| jwt.issuers[0].forward = true;
    check(
        believing("", forward),
        &[(&[("x-token", &token(""))], "allow")],
    );
}

#[test]
fn each_issuer_has_its_own_keys_places_and_audiences() {
    let other = new_signer();
    let several = |jwt: &mut Jwt| {
        jwt.issuers[0].from = vec![place("authorization", "Bearer ")];
        let mut mine = issuer("id");
        mine.keys.jwks = jwks(&other);
        mine.from = vec![place("authorization", "Bearer "), place("x-token", "")];
        jwt.issuers.push(mine);
    };
    let (by_one, by_other) = (token(""), token_by(&other, ""));
    let table = table(believing("", several));
    let judged = |name: &str, token: &str| {
        let said = judged(&table, &[(name, token)], &Tokens::default(), NOW);
        said[..said.find(" R061").map_or(5, |end| end + 5)].to_owned()
    };
    assert_eq!(
        judged("authorization", &format!("Bearer {by_one}")),
        "allow"
    );
    assert_eq!(
        judged("authorization", &format!("bearer  {by_other}")),
        "allow"
    );
    assert_eq!(judged("x-token", &by_other), "allow");
    assert_eq!(judged("x-token", &by_one), "401 R061");
    // No token at all.
    assert_eq!(judged("authorization", "Basic YTpi"), "allow");
    assert_eq!(judged("authorization", "Bearer"), "allow");
    assert_eq!(judged("authorization", "Bearer "), "401 R061");
}

#[test]
fn a_token_in_a_cookie_is_found_and_taken_out() {
    let in_cookie = |jwt: &mut Jwt| {
        jwt.issuers[0].from = vec![TokenPlace::Cookie("session".into()), place("x-token", "")];
    };
    let good = &*token("");
    let said = |text: String| format!("allow {text}");
    let only = &*format!("session={good}");
    let among = &*format!("a=1;session=\"{good}\" ; b=2;c");
    let twice = &*format!("session={good}; session={good}");
    let not_text = "400 R061: the request carries more than one token [Bearer error=\"invalid_request\", \
                    error_description=\"the request carries more than one token\"]";
    check(
        believing("", in_cookie),
        &[
            (&[("cookie", "a=1; Session=x; sessions=y")], "allow"),
            (&[("cookie", only)], "allow -cookie"),
            (
                &[("Cookie", among)],
                &said("+cookie=a=1; b=2; c".to_owned()),
            ),
            (
                &[("cookie", "a=1"), ("cookie", only), ("cookie", "b=2")],
                &said("+cookie=a=1; b=2".to_owned()),
            ),
            (&[("cookie", twice)], not_text),
            (&[("cookie", only), ("x-token", good)], not_text),
            (&[("cookie", "a=1"), ("x-token", good)], "allow -x-token"),
        ],
    );
    let refused = judged(
        &table(believing("", in_cookie)),
        &[("cookie", "session=hello")],
        &Tokens::default(),
        NOW,
    );
    assert!(refused.starts_with("401 R061"), "{refused}");
    let forwarded = |jwt: &mut Jwt| {
        in_cookie(jwt);
        jwt.issuers[0].forward = true;
    };
    check(believing("", forwarded), &[(&[("cookie", among)], "allow")]);
}

#[test]
fn what_is_remembered_ends_with_its_token_its_keys_and_their_time() {
    let tokens = Tokens::default();
    let source = KeySource {
        place: KeyPlace::Url("https://id.test/keys".into()),
        every: Duration::from_secs(300),
        keep: Duration::from_secs(3600),
    };
    let fetched = |jwks: Option<Arc<str>>| {
        table(believing("", |jwt| {
            jwt.issuers[0].keys = IssuerKeys {
                source: Some(source.clone()),
                jwks: jwks.clone(),
                until: Some(NOW + Duration::from_secs(300)),
            };
        }))
    };
    let good = token("");
    let headers: &[(&str, &str)] = &[("x-token", &good)];
    let judged = |table: &Table, after: u64| {
        let said = judged(table, headers, &tokens, NOW + Duration::from_secs(after));
        said.split(':').next().unwrap_or_default().to_owned()
    };
    let with = fetched(jwks(&SIGNER));
    assert_eq!(judged(&with, 0), "allow -x-token");
    assert_eq!(judged(&with, 299), "allow -x-token");
    assert_eq!(judged(&with, 300), "503 R063");
    assert_eq!(judged(&fetched(None), 0), "503 R063");
    assert_eq!(judged(&fetched(jwks(&new_signer())), 0), "401 R061");
    assert_eq!(judged(&with, 1), "allow -x-token");
    let inline = table(believing("", |_| {}));
    assert_eq!(judged(&inline, 659), "allow -x-token");
    assert_eq!(judged(&inline, 660), "401 R061");
}

#[test]
fn a_live_request_goes_on_while_its_key_is_believed() {
    let good = token(r#","role":"admin""#);
    let permit = with_request(
        &format!("GET http://cart/items x-token:{good}"),
        |request| {
            let table = table(believing("allow claim:role=admin", |_| {}));
            let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
            let bearer = policy.bearer(&request, &Tokens::default(), NOW);
            let peer = plain("10.0.0.7");
            policy
                .examine(&peer, request, bearer)
                .and_then(Examined::admitted)
                .unwrap()
                .permit()
        },
    );
    let code = |access: Access| {
        let denied = table(access).still_permits(&permit).err();
        denied.map(|denied| denied.code().to_string())
    };
    let rule = "allow claim:role=admin";
    assert_eq!(code(believing(rule, |_| {})), None);
    assert_eq!(
        code(believing("allow claim:role=boss", |_| {})).as_deref(),
        Some("R003")
    );
    let other_keys = |jwt: &mut Jwt| jwt.issuers[0].keys.jwks = jwks(&new_signer());
    assert_eq!(code(believing(rule, other_keys)).as_deref(), Some("R061"));
    let for_others = |jwt: &mut Jwt| jwt.issuers[0].audiences = Some(vec!["pay".to_owned()]);
    assert_eq!(code(believing(rule, for_others)).as_deref(), Some("R061"));
    assert_eq!(code(access(rule)).as_deref(), Some("R060"));
}
