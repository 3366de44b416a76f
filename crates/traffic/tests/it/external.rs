//! External authorization, as examples: about which requests who is asked, and what follows from answers.

use std::sync::Arc;
use std::time::Duration;

use leno_authorizer::{Allowed, Answer, Garbled, Refused};
use leno_model::view::access::{AuthProtocol, ExternalAuth, OnFailure};
use leno_model::view::{Access, HeaderChanges, PortRef, Within};
use leno_traffic::{
    Bearer, Claim, Consent, Denied, Examined, Fact, Kept, NoAnswer, Recorded, RecordedPath, Scope,
    Table, Token, Verdict,
};

use crate::world::{
    World, access, access_rule, origin, plain, port, service_name, with_request, workload_id,
};

/// One who is asked by the policy of this name about what a rule of this text speaks of, and may set `x-user`.
fn external(policy: &str, about: &str) -> ExternalAuth {
    let by = origin("AccessPolicy", policy, "/spec/externalAuth", 1);
    let about = access_rule(&format!("deny {about}"), by.clone());
    ExternalAuth {
        origin: by,
        within: Vec::new(),
        requests: about.requests,
        except: about.except.requests,
        to: PortRef {
            service: service_name(&format!("authz-of-{policy}")),
            port: 9000,
        },
        protocol: AuthProtocol::Grpc,
        timeout: Duration::from_secs(1),
        on_failure: OnFailure::Deny,
        tells: None,
        sets: vec!["x-user".into()],
        body: None,
    }
}

fn asking(rules: &str, external: &[ExternalAuth]) -> Access {
    Access {
        external: external.iter().cloned().map(Arc::new).collect(),
        ..access(rules)
    }
}

fn table(access: Access) -> Table {
    let world = World::new().workload("cart", "10.0.1.1", access);
    Table::new(world.view(), Scope::Whole)
}

fn yes(set: &[(&str, &str)]) -> Result<Answer, NoAnswer> {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    Ok(Answer::Allowed(Allowed {
        set: set.iter().map(owned).collect(),
        remove: vec!["x-secret".to_owned()],
        to_client: vec![("x-decided".to_owned(), "yes".to_owned())],
    }))
}

fn no() -> Result<Answer, NoAnswer> {
    Ok(Answer::Refused(Refused {
        status: 401,
        headers: Vec::new(),
        body: Vec::new(),
    }))
}

fn silence() -> Result<Answer, NoAnswer> {
    Err(NoAnswer::Garbled(Garbled::Nothing))
}

fn told(changes: Option<&HeaderChanges>) -> String {
    let Some(changes) = changes else {
        return String::new();
    };
    let removed = changes.remove.iter().map(|name| format!(" -{name}"));
    let set = changes
        .set
        .iter()
        .map(|(name, value)| format!(" +{name}={value}"));
    removed.chain(set).collect()
}

/// Who is asked about a request, one after the other, and what comes of these answers.
fn story(table: &Table, request: &str, answers: &[Result<Answer, NoAnswer>]) -> String {
    with_request(request, |request| {
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        let peer = plain("10.0.0.7");
        let mut words = Vec::new();
        let denied = |denied: Denied| format!("{} {}", denied.status(), denied.code());
        let mut examined = match policy.examine(&peer, request, Bearer::default()) {
            Ok(examined) => examined,
            Err(why) => return denied(why),
        };
        for answer in answers {
            let Some(auth) = examined.asks() else {
                words.push("nobody".to_owned());
                break;
            };
            words.push(format!("{auth}:"));
            if let Err(why) = examined.answered(answer.clone()) {
                words.push(denied(why));
                return words.join(" ");
            }
        }
        words.push(match examined.admitted() {
            Ok(admitted) => {
                let request = admitted.told_of_authorizers();
                let answer = told(admitted.answered_by_authorizers());
                format!("in{} /{answer}", told(request.as_ref()))
            }
            Err(why) => denied(why),
        });
        words.join(" ")
    })
}

#[test]
fn everyone_who_is_asked_must_let_a_request_in() {
    let two = table(asking("", &[external("one", ""), external("two", "")]));
    let get = "GET http://cart/items";
    let one = "authorizer shop/authz-of-one:9000:";
    let other = "authorizer shop/authz-of-two:9000:";
    for (answers, expect) in [
        (&[][..], "503 R065".to_owned()),
        (&[yes(&[])][..], format!("{one} 503 R065")),
        (&[no()][..], format!("{one} 401 R064")),
        (&[silence()][..], format!("{one} 503 R065")),
        (&[yes(&[]), no()][..], format!("{one} {other} 401 R064")),
        (
            &[yes(&[]), yes(&[])][..],
            format!("{one} {other} in / +x-decided=yes"),
        ),
    ] {
        assert_eq!(story(&two, get, answers), expect);
    }
    // What rules deny nobody is asked about.
    let denying = table(asking("deny method=GET", &[external("one", "")]));
    assert_eq!(story(&denying, get, &[yes(&[])]), "403 R004");
}

#[test]
fn what_gives_no_answer_denies_unless_the_policy_says_otherwise() {
    let lenient = ExternalAuth {
        on_failure: OnFailure::Allow,
        ..external("one", "")
    };
    let table = table(asking("", &[lenient]));
    let one = "authorizer shop/authz-of-one:9000:";
    let get = "GET http://cart/items x-user:root";
    // What only it may say nobody says then.
    assert_eq!(
        story(&table, get, &[silence()]),
        format!("{one} in -x-user /")
    );
    assert_eq!(story(&table, get, &[no()]), format!("{one} 401 R064"));
    let garbled = NoAnswer::Garbled(Garbled::TooLong.denial());
    assert_eq!(
        story(&table, get, &[Err(garbled)]),
        format!("{one} 503 R065")
    );
    // No caller gets in by a request that nobody can be asked about.
    assert_eq!(
        story(&table, get, &[Err(NoAnswer::NotTold)]),
        format!("{one} 400 R030")
    );
}

#[test]
fn nobody_is_told_what_clients_say_in_the_name_of_authorizers() {
    let two = [external("one", ""), external("two", "path=/admin")];
    let table = table(asking("", &two));
    with_request(
        "GET http://cart/admin x-user:root X_User:root x-kept:1",
        |request| {
            let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
            let peer = plain("10.0.0.7");
            let mut examined = policy.examine(&peer, request, Bearer::default()).unwrap();
            let asked = |examined: &Examined<'_>| told(examined.told_of_authorizers().as_ref());
            assert_eq!(asked(&examined), " -x-user -x_user");
            examined.answered(yes(&[("x-user", "anna")])).unwrap();
            assert_eq!(asked(&examined), " -x_user +x-user=anna");
        },
    );
}

#[test]
fn an_authorizer_says_what_it_may_and_clients_do_not() {
    let two = table(asking(
        "",
        &[external("one", ""), external("two", "path=/admin")],
    ));
    let one = "authorizer shop/authz-of-one:9000:";
    let other = "authorizer shop/authz-of-two:9000:";
    let said = [("x-user", "anna"), ("x-other", "1")];
    for (request, answers, expect) in [
        (
            "GET http://cart/ x-user:root X_User:root x-secret:7 x-kept:1",
            &[yes(&said)][..],
            format!("{one} in -x_user -x-secret +x-user=anna / +x-decided=yes"),
        ),
        (
            "GET http://cart/ x-user:root",
            &[yes(&[])][..],
            format!("{one} in -x-user / +x-decided=yes"),
        ),
        // Of one header the first one that was asked decides.
        (
            "GET http://cart/admin",
            &[yes(&said), yes(&[("x-user", "bob")])][..],
            format!("{one} {other} in +x-user=anna / +x-decided=yes"),
        ),
    ] {
        assert_eq!(story(&two, request, answers), expect, "{request}");
    }
}

#[test]
fn who_cannot_be_told_apart_is_asked_about() {
    let one = "authorizer shop/authz-of-one:9000:";
    let about = |about: &str| table(asking("", &[external("one", about)]));
    for (rule, request, is_asked) in [
        ("path=/admin", "GET http://cart/admin/users", true),
        ("path=/admin", "GET http://cart/items", false),
        // Under one of its readings it is.
        ("path=/admin", "GET http://cart/items/..%2fadmin", true),
        ("path=/admin", "GET http://cart//admin", true),
        ("except path=/health", "GET http://cart/health", false),
        (
            "except path=/health",
            "GET http://cart/health/../admin",
            true,
        ),
        (
            "except path=/health",
            "GET http://cart/health%2f..%2fadmin",
            true,
        ),
        ("method=GET", "POST http://cart/items", false),
        // No server reads all of these in one way.
        (
            "except header:x-probe=1",
            "GET http://cart/ x-probe:1",
            false,
        ),
        (
            "except header:x-probe=1",
            "GET http://cart/ x-probe:1 x-probe:2",
            true,
        ),
    ] {
        let told = story(&about(rule), request, &[yes(&[])]);
        assert_eq!(told.starts_with(one), is_asked, "{rule} {request}: {told}");
        // Nobody says so in the name of the authorizer, also where it is not asked.
        let forged = format!("{request} x-user:root");
        let told = story(&about(rule), &forged, &[yes(&[])]);
        assert!(told.contains(" -x-user"), "{told}");
    }
}

#[test]
fn nobody_is_asked_about_bytes_and_none_are_let_in() {
    let routed = ExternalAuth {
        within: vec![Within::default()],
        on_failure: OnFailure::Allow,
        ..external("one", "path=/admin")
    };
    let table = table(asking("allow", &[routed]));
    let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
    let denied = policy.admit_stream(&plain("10.0.0.7")).unwrap_err();
    assert_eq!(
        format!("{} {denied}", denied.code()),
        "R065 authorizer shop/authz-of-one:9000 cannot be asked about a stream of bytes"
    );
    assert!(policy.asks_requests());
}

#[test]
fn a_live_request_goes_on_while_the_same_ones_are_asked() {
    let one = external("one", "");
    let permit = with_request("GET http://cart/items", |request| {
        let table = table(asking("", std::slice::from_ref(&one)));
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        let peer = plain("10.0.0.7");
        let mut examined = policy.examine(&peer, request, Bearer::default()).unwrap();
        examined.answered(yes(&[])).unwrap();
        examined.admitted().unwrap().permit()
    });
    let moved = ExternalAuth {
        to: port("other"),
        ..one.clone()
    };
    let patient = ExternalAuth {
        timeout: Duration::from_secs(9),
        ..one.clone()
    };
    for (external, expect) in [
        (&[][..], None),
        (&[one.clone()][..], None),
        (&[patient][..], None),
        (&[moved][..], Some("R065")),
        (&[one, external("two", "")][..], Some("R065")),
        (&[external("two", "path=/admin")][..], None),
    ] {
        let denied = table(asking("", external)).still_permits(&permit).err();
        let code = denied.map(|denied| denied.code().as_str());
        assert_eq!(code, expect, "{external:?}");
    }
}

#[test]
fn what_nobody_asked_is_undecided() {
    let table = table(asking(
        "allow ip=10.0.0.0/8",
        &[external("one", "except path=/health")],
    ));
    let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
    let judge = |consent: Consent<'_>, path: &str| {
        let claim = Claim {
            caller: Fact::Known(None),
            address: Fact::Known([10, 0, 0, 7].into()),
            token: Token::Absent,
            consent,
        };
        with_request(&format!("GET http://cart{path}"), |request| {
            match policy.judge(&claim, &request) {
                Verdict::Allow(_) => "allow".to_owned(),
                Verdict::Deny(denied) => denied.code().to_string(),
                Verdict::Undecided(missing) => missing.to_string(),
            }
        })
    };
    let hangs = "what authorizer shop/authz-of-one:9000 says";
    assert_eq!(judge(Consent::Given, "/"), "allow");
    assert_eq!(judge(Consent::Withheld, "/"), "R064");
    assert_eq!(judge(Consent::NOT_ASKED, "/"), "R065");
    assert_eq!(judge(Consent::Unknown, "/"), hangs);
    for consent in [Consent::Withheld, Consent::NOT_ASKED, Consent::Unknown] {
        assert_eq!(judge(consent, "/health"), "allow");
    }
    let claim = Claim {
        caller: Fact::Known(None),
        address: Fact::Known([10, 0, 0, 7].into()),
        token: Token::Absent,
        consent: Consent::Unknown,
    };
    let recorded = Recorded {
        method: Fact::Known("GET"),
        host: Fact::Unknown,
        path: RecordedPath::Unknown,
        query: None,
        headers: &[],
        kept: Kept::Only(&[]),
    };
    let verdict = policy.judge_recorded(&claim, &recorded);
    assert!(matches!(verdict, Verdict::Undecided(_)), "{verdict:?}");
}
