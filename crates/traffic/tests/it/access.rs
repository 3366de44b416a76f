//! Who may call, as examples.

use std::time::Duration;

use leno_identity::{
    INTERMEDIATE_LIFE, Intermediate, Key, LEAF_LIFE, ROOT_LIFE, Root, Trust, verify,
};
use leno_model::{Code, Dice, SpiffeId, Wall};
use leno_traffic::{
    Channel, Claim, Consent, Denied, Fact, Missing, Peer, Permit, Scope, Story, Table, Verdict,
};

use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::world::{World, access, plain, spiffe_id, with_request, workload_id};

fn table(rules: &str) -> Table {
    let world = World::new().workload("cart", "10.0.1.1", access(rules));
    Table::new(world.view(), Scope::Whole)
}

/// Judges what `caller` (`shop/web`, or `plain`) asks of `cart:8080`.
fn judge(table: &Table, caller: &str, request: &str) -> String {
    let id = (caller != "plain").then(|| spiffe_id(caller));
    let claim = Claim {
        caller: Fact::Known(id.as_ref()),
        address: Fact::Known("10.0.0.7".parse().unwrap()),
        token: leno_traffic::Token::Absent,
        consent: Consent::Given,
    };
    in_words(table, &claim, request)
}

/// The verdict in words, after asking index and plain scan.
fn in_words(table: &Table, claim: &Claim<'_>, request: &str) -> String {
    let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
    let mut story = Story::default();
    let verdict = match request {
        "tcp" => policy.explain(claim, None, &mut story),
        _ => with_request(request, |request| {
            policy.explain(claim, Some(&request), &mut story)
        }),
    };
    let details = story.steps.iter().flat_map(|step| &step.details);
    for detail in details {
        assert!(!detail.text.contains("bug in Leno"), "{}", detail.text);
    }
    match verdict {
        Verdict::Allow(_) => "allow".to_owned(),
        Verdict::Deny(denied) => format!("{} {}", denied.status(), denied.code()),
        Verdict::Undecided(missing) => format!("undecided: {missing}"),
    }
}

fn check(rules: &str, expect: &[(&str, &str, &str)]) {
    let table = table(rules);
    for (caller, request, expect) in expect {
        assert_eq!(
            &judge(&table, caller, request),
            expect,
            "{caller} {request}"
        );
    }
}

#[test]
fn where_nothing_is_said_everyone_may() {
    check(
        "",
        &[
            ("web", "GET http://cart/", "allow"),
            ("plain", "GET http://cart/", "allow"),
            ("plain", "tcp", "allow"),
        ],
    );
}

#[test]
fn strict_refuses_plain_callers_before_anything_else() {
    check(
        "strict\nallow ip=10.0.0.0/8\ndeny from=shop/web",
        &[
            ("plain", "GET http://cart/", "403 R002"),
            ("plain", "tcp", "403 R002"),
            ("web", "tcp", "403 R004"),
            ("bank/teller", "tcp", "allow"),
        ],
    );
}

#[test]
fn deny_stands_before_allow_and_allow_leaves_nobody_else() {
    check(
        "allow namespace=shop
         deny path=/admin
         allow from=bank/teller method=GET
         allow ip=10.9.0.0/16",
        &[
            ("web", "GET http://cart/", "allow"),
            ("web", "GET http://cart/admin/x", "403 R004"),
            ("web", "GET http://cart/administrator", "allow"),
            ("bank/teller", "GET http://cart/", "allow"),
            ("bank/teller", "POST http://cart/", "403 R003"),
            ("bank/guard", "GET http://cart/", "403 R003"),
            ("plain", "GET http://cart/", "403 R003"),
            ("web", "tcp", "allow"),
            ("bank/teller", "tcp", "403 R003"),
        ],
    );
}

#[test]
fn a_rule_says_nothing_of_what_its_policy_is_not_about() {
    check(
        "allow in:path=/admin from=shop/web method=GET
         deny in:path=/admin in:path=/ops from=bank/teller",
        &[
            ("web", "GET http://cart/admin/x", "allow"),
            ("web", "POST http://cart/admin/x", "403 R003"),
            ("plain", "GET http://cart/admin", "403 R003"),
            ("plain", "GET http://cart/items", "allow"),
            ("bank/teller", "GET http://cart/items", "allow"),
            ("bank/teller", "GET http://cart/ops", "403 R004"),
            ("plain", "tcp", "allow"),
            ("plain", "GET http://cart/x/../admin", "400 R035"),
        ],
    );
}

#[test]
fn what_others_take_first_is_none_of_a_policys() {
    check(
        "allow in:path=/ out:path=/admin from=shop/web
         allow in:path=/admin from=ops/anna",
        &[
            ("web", "GET http://cart/items", "allow"),
            ("web", "GET http://cart/admin", "403 R003"),
            ("ops/anna", "GET http://cart/admin", "allow"),
            ("ops/anna", "GET http://cart/items", "403 R003"),
        ],
    );
    check(
        "allow in:path=/ out:path=/admin from=shop/web",
        &[("ops/anna", "GET http://cart/admin", "allow")],
    );
}

#[test]
fn who_is_allowed_also_leaves_others_beside() {
    check(
        "also from=shop/web",
        &[
            ("web", "GET http://cart/", "allow"),
            ("plain", "GET http://cart/", "allow"),
        ],
    );
    check(
        "also from=shop/web\nallow from=bank/teller",
        &[
            ("web", "GET http://cart/", "allow"),
            ("plain", "GET http://cart/", "403 R003"),
        ],
    );
}

#[test]
fn what_may_be_meant_by_a_rule_that_allows_others_is_not_allowed() {
    check(
        "allow in:header:x-user=beta from=shop/web",
        &[
            ("bank/teller", "GET http://cart/", "allow"),
            ("bank/teller", "GET http://cart/ x-user:beta", "403 R003"),
            ("bank/teller", "GET http://cart/ x_user:beta", "403 R003"),
        ],
    );
}

#[test]
fn the_default_speaks_where_no_rule_does() {
    check("default deny", &[("web", "GET http://cart/", "403 R003")]);
    check(
        "default deny\ndeny path=/x",
        &[("web", "GET http://cart/", "403 R003")],
    );
    check(
        "default deny\nallow from=web",
        &[("web", "GET http://cart/", "allow")],
    );
    check("deny from=web", &[("bank/teller", "tcp", "allow")]);
}

#[test]
fn a_rule_that_is_not_understood_denies_what_it_covers() {
    check(
        "strange path=/x\nallow namespace=shop",
        &[
            ("web", "GET http://cart/x", "403 R005"),
            ("web", "GET http://cart/y", "allow"),
        ],
    );
}

#[test]
fn who_would_have_to_be_asked_in_a_ring_lets_nobody_in() {
    check(
        "ring path=/x\nallow namespace=shop",
        &[
            ("web", "GET http://cart/x", "403 R070"),
            ("web", "GET http://cart/y", "allow"),
        ],
    );
}

#[test]
fn ports_hosts_and_domains_are_compared_as_written() {
    check(
        "allow port=8080 host=*.shop.example domain=shop.local",
        &[
            ("web", "GET http://www.Shop.Example/", "allow"),
            ("web", "GET http://shop.example/", "403 R003"),
            ("plain", "GET http://www.shop.example/", "403 R003"),
        ],
    );
    check(
        "allow port=9090",
        &[("web", "GET http://cart/", "403 R003")],
    );
    check("allow port=8080", &[("web", "tcp", "allow")]);
}

#[test]
fn paths_fit_templates() {
    check(
        "allow template=/items/{id}/orders/**",
        &[
            ("web", "GET http://cart/items/7/orders/9", "allow"),
            ("web", "GET http://cart/items/7/orders", "allow"),
            ("web", "GET http://cart/items/orders", "403 R003"),
            ("web", "GET http://cart/items//orders", "403 R003"),
        ],
    );
    check(
        "deny template=/items/{id}",
        &[
            ("web", "GET http://cart/items/7", "403 R004"),
            ("web", "GET http://cart/items/7/x", "allow"),
            ("web", "GET http://cart/items/%37", "403 R004"),
        ],
    );
}

/// Servers take the first of several fields, the last, all as a list, or the elements of one; and some
/// cannot tell `_` from `-`.
#[test]
fn a_header_allows_under_every_reading_and_denies_under_any() {
    let (allows, denies) = ("allow header:x-role=admin", "deny header:x-role=admin");
    for (headers, allowed, denied) in [
        ("x-role:admin", "allow", "403 R004"),
        ("X-Role:admin", "allow", "403 R004"),
        ("x-role:user", "403 R003", "allow"),
        ("x-other:admin", "403 R003", "allow"),
        ("x-role:admin x-role:admin", "403 R060", "403 R060"),
        ("x-role:user x-role:admin", "403 R060", "403 R060"),
        ("x-role:admin x-role:user", "403 R060", "403 R060"),
        ("x-role:user,admin", "403 R060", "403 R060"),
        ("x_role:admin", "403 R060", "403 R060"),
        ("x-role:admin x_role:user", "403 R060", "403 R060"),
        ("x-role:user x-role:guest", "403 R003", "allow"),
        ("x-role:Admin", "403 R003", "allow"),
    ] {
        let request = format!("GET http://cart/ {headers}");
        check(allows, &[("web", &request, allowed)]);
        check(denies, &[("web", &request, denied)]);
    }
    check(
        "allow header:accept=text/html,text/plain",
        &[(
            "web",
            "GET http://cart/ accept:text/html,text/plain",
            "allow",
        )],
    );
}

#[test]
fn headers_are_present_begin_or_match() {
    check(
        "allow header:x-a=? header:x-b=b* header:x-c=~[0-9]+",
        &[
            ("web", "GET http://cart/ x-a: x-b:bb x-c:12", "allow"),
            ("web", "GET http://cart/ x-b:bb x-c:12", "403 R003"),
            ("web", "GET http://cart/ x-a:1 x-b:ab x-c:12", "403 R003"),
            ("web", "GET http://cart/ x-a:1 x-b:b x-c:12a", "403 R003"),
            ("web", "GET http://cart/ x-a:1 x-a:2 x-b:b x-c:1", "allow"),
        ],
    );
}

#[test]
fn a_rule_does_not_speak_of_what_it_excepts() {
    check(
        "deny path=/admin except from=ops/admin path=/admin/health",
        &[
            ("web", "GET http://cart/admin", "403 R004"),
            ("web", "GET http://cart/admin/health", "allow"),
            ("ops/admin", "GET http://cart/admin", "allow"),
        ],
    );
    check(
        "allow domain=shop.local except header:x-debug=?",
        &[
            ("web", "GET http://cart/", "allow"),
            ("web", "GET http://cart/ x-debug:1", "403 R003"),
            ("web", "GET http://cart/ x_debug:1", "403 R060"),
            // It may carry any request.
            ("web", "tcp", "403 R060"),
        ],
    );
}

#[test]
fn a_condition_that_has_no_value_never_lets_anybody_in() {
    let condition = "when request.headers['x-role'] == 'admin'";
    for rule in ["allow", "deny"] {
        let surely = if rule == "allow" { "allow" } else { "403 R004" };
        let not = if rule == "allow" { "403 R003" } else { "allow" };
        check(
            &format!("{rule} {condition}"),
            &[
                ("web", "GET http://cart/ x-role:admin", surely),
                ("web", "GET http://cart/ x-role:user", not),
                ("web", "GET http://cart/", "403 R060"),
                ("web", "GET http://cart/ x-role:a x-role:admin", "403 R060"),
                ("web", "GET http://cart/ x_role:admin", "403 R060"),
                ("web", "tcp", "403 R060"),
            ],
        );
    }
    check(
        "allow when source.namespace == 'shop' && source.address.startsWith('10.')",
        &[
            ("web", "tcp", "allow"),
            ("bank/teller", "tcp", "403 R003"),
            ("plain", "tcp", "403 R003"),
        ],
    );
}

#[test]
fn a_condition_without_a_fact_is_undecided() {
    let claim = Claim {
        caller: Fact::Unknown,
        address: Fact::Known("10.0.0.7".parse().unwrap()),
        token: leno_traffic::Token::Absent,
        consent: Consent::Given,
    };
    let table = table("allow when source.namespace == 'shop' || request.path == '/x'");
    let judged = |request: &str| in_words(&table, &claim, request);
    assert_eq!(
        judged("GET http://cart/"),
        "undecided: the caller's identity"
    );
    assert_eq!(judged("GET http://cart/x"), "allow");
}

#[test]
fn rules_that_audit_only_tell() {
    let table = table("audit path=/admin\naudit header:x-role=admin\nallow path=/");
    let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
    let web = spiffe_id("web");
    let claim = Claim {
        caller: Fact::Known(Some(&web)),
        address: Fact::Known("10.0.0.7".parse().unwrap()),
        token: leno_traffic::Token::Absent,
        consent: Consent::Given,
    };
    for (request, expect) in [
        ("GET http://cart/", ""),
        ("GET http://cart/admin", "/spec/rules/0"),
        ("GET http://cart/%61dmin", "/spec/rules/0"),
        (
            "GET http://cart/admin x-role:user,admin",
            "/spec/rules/0 /spec/rules/1",
        ),
    ] {
        assert_eq!(in_words(&table, &claim, request), "allow", "{request}");
        let told = with_request(request, |request| {
            let audits = policy.audits(&claim, Some(&request));
            let told = audits.iter().map(|rule| rule.origin.pointer.to_string());
            told.collect::<Vec<_>>().join(" ")
        });
        assert_eq!(told, expect, "{request}");
    }
}

#[test]
fn every_reading_of_a_path_gets_one_verdict() {
    let rules = "deny path=/admin\nallow path=/";
    check(
        rules,
        &[
            ("web", "GET http://cart//items", "allow"),
            ("web", "GET http://cart/items/..;/admin", "400 R035"),
            ("web", "GET http://cart/%61dmin", "400 R035"),
            ("web", "GET http://cart//admin", "400 R035"),
            ("web", "GET http://cart/admin//x", "403 R004"),
        ],
    );
}

#[test]
fn a_claim_that_lacks_a_fact_is_decided_only_where_the_fact_does_not_matter() {
    let nobody_knows = Claim {
        caller: Fact::Unknown,
        address: Fact::Unknown,
        token: leno_traffic::Token::Absent,
        consent: Consent::Given,
    };
    let web = spiffe_id("web");
    let from_somewhere = Claim {
        caller: Fact::Known(Some(&web)),
        address: Fact::Unknown,
        token: leno_traffic::Token::Absent,
        consent: Consent::Given,
    };
    let words =
        |rules: &str, claim: &Claim<'_>, request: &str| in_words(&table(rules), claim, request);
    let identity = "undecided: the caller's identity";
    let address = "undecided: the caller's address";
    assert_eq!(words("", &nobody_knows, "tcp"), "allow");
    assert_eq!(words("strict", &nobody_knows, "tcp"), identity);
    assert_eq!(words("allow from=web", &nobody_knows, "tcp"), identity);
    assert_eq!(words("deny from=web", &nobody_knows, "tcp"), identity);
    assert_eq!(
        words("deny from=web\ndefault deny", &nobody_knows, "tcp"),
        "403 R003"
    );
    assert_eq!(
        words("deny path=/x from=web", &nobody_knows, "GET http://cart/y"),
        "allow"
    );
    assert_eq!(
        words("deny path=/x", &nobody_knows, "GET http://cart/x"),
        "403 R004"
    );
    assert_eq!(words("deny ip=10.0.0.0/8", &from_somewhere, "tcp"), address);
    assert_eq!(
        words("allow ip=10.0.0.0/8", &from_somewhere, "tcp"),
        address
    );
    assert_eq!(
        words(
            "allow from=web\nallow ip=10.0.0.0/8",
            &from_somewhere,
            "tcp"
        ),
        "allow"
    );
    assert_eq!(Missing::CallerAddress.to_string(), "the caller's address");
}

#[test]
fn a_revoked_caller_is_denied_whatever_allows_it() {
    let world = World::new()
        .workload("cart", "10.0.1.1", access("allow from=web"))
        .revoke("web");
    let table = Table::new(world.view(), Scope::Whole);
    assert_eq!(judge(&table, "web", "GET http://cart/"), "403 T005");
    assert_eq!(judge(&table, "bank/teller", "GET http://cart/"), "403 R003");
}

#[test]
fn a_person_calls_nothing_whatever_allows_it() {
    let world = World::new().workload("cart", "10.0.1.1", access("allow from=leno-people/anna"));
    let table = Table::new(world.view(), Scope::Whole);
    assert_eq!(
        judge(&table, "leno-people/anna", "GET http://cart/"),
        "403 T028"
    );
}

#[test]
fn a_caller_of_another_trust_domain_is_let_in_by_rules_alone() {
    let foreign = SpiffeId::parse("spiffe://bank.example/ns/shop/sa/web").unwrap();
    let check = |rules: &str, expect: &str| {
        let table = table(rules);
        let claim = Claim {
            caller: Fact::Known(Some(&foreign)),
            address: Fact::Known("10.0.0.7".parse().unwrap()),
            token: leno_traffic::Token::Absent,
            consent: Consent::Given,
        };
        let of_peer = in_words(&table, &claim, "GET http://cart/");
        let own = judge(&table, "web", "GET http://cart/");
        assert_eq!(format!("{of_peer} {own}"), expect, "{rules}");
        assert_eq!(of_peer, in_words(&table, &claim, "tcp"), "{rules}");
    };
    check("", "403 R066 allow");
    check("also from=web", "403 R066 allow");
    check("default deny", "403 R003 403 R003");
    // Of one namespace and account here and there, each is itself.
    check("allow from=web", "403 R003 allow");
    check("allow namespace=shop", "403 R003 allow");
    check("deny namespace=shop", "403 R066 403 R004");
    check("allow domain=bank.example", "allow 403 R003");
    check("also domain=bank.example", "allow allow");
    check("deny domain=bank.example", "403 R004 allow");
    check("allow when source.namespace == 'shop'", "403 R003 allow");
    check("allow when source.service == 'web'", "403 R003 allow");
    check(
        "also when source.identity == 'spiffe://bank.example/ns/shop/sa/web'",
        "allow allow",
    );
    // Whom a rule does not name by a caller it lets in whoever they are.
    check("allow", "allow allow");
}

#[test]
fn a_namespace_of_another_mesh_is_not_one_of_ours() {
    let foreign = SpiffeId::parse("spiffe://bank.example/ns/shop/sa/web").unwrap();
    let table = table("allow");
    let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
    let namespace = |id: &SpiffeId| {
        let peer = proven(id);
        let admitted = policy.admit_stream(&peer).unwrap();
        admitted.namespace().map(ToString::to_string)
    };
    assert_eq!(namespace(&foreign), None);
    assert_eq!(namespace(&spiffe_id("web")).as_deref(), Some("shop"));
}

#[test]
fn only_own_workloads_go_out() {
    let table = table("");
    let admit = |peer: &Peer| table.outbound().admit_stream(peer).map(|_| ());
    assert_eq!(admit(&crate::world::local("web")), Ok(()));
    assert_eq!(admit(&plain("10.0.0.7")), Err(Denied::NotOurs));
}

/// What `web` proves with a certificate of `shop.local`.
fn proven(id: &SpiffeId) -> Peer {
    let (now, mut dice) = (
        Wall::since_epoch(Duration::from_secs(1_800_000_000)),
        Dice::new(1),
    );
    let key = || {
        let pair = rcgen::KeyPair::generate().unwrap();
        Key::read(&PrivatePkcs8KeyDer::from(pair.serialize_der()).into()).unwrap()
    };
    let root = Root::establish(&id.trust_domain, key(), ROOT_LIFE, now, &mut dice).unwrap();
    let own = key();
    let signed = root.sign_intermediate(&own.public(), INTERMEDIATE_LIFE, now, &mut dice);
    let intermediate = Intermediate::restore(signed.unwrap(), own).unwrap();
    let leaf = key().public();
    let chain = intermediate
        .sign_leaf(&leaf, id, LEAF_LIFE, now, &mut dice)
        .unwrap();
    let roots = vec![root.certificate().to_vec()];
    let bundles = [(id.trust_domain.clone(), roots.into())].into();
    let (trust, _) = Trust::new(&bundles, Default::default());
    Peer {
        channel: Channel::Mtls(verify(&chain, &trust, now).unwrap()),
        address: "10.0.0.7".parse().unwrap(),
    }
}

/// A live stream and a live request of `web`, admitted by `rules`.
fn permits(rules: &str) -> (Permit, Permit) {
    let (table, peer) = (table(rules), proven(&spiffe_id("web")));
    let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
    let stream = policy.admit_stream(&peer).unwrap().permit();
    let request = with_request("GET http://cart/items x-role:admin", |request| {
        policy.admit(&peer, request).unwrap().permit()
    });
    (stream, request)
}

#[test]
fn a_permit_stands_exactly_as_long_as_it_would_be_given_again() {
    let (stream, request) = permits("allow namespace=shop");
    assert_eq!(stream.caller(), Some(&spiffe_id("web")));
    assert_eq!(stream.rule().unwrap().origin.to_string(), "cart.yaml:1");
    let check = |rules: &str, stream_code: Option<Code>, request_code: Option<Code>| {
        let table = table(rules);
        let code = |permit| {
            table
                .still_permits(permit)
                .err()
                .map(|denied| denied.code())
        };
        assert_eq!(
            (code(&stream), code(&request)),
            (stream_code, request_code),
            "{rules}"
        );
    };
    check("allow namespace=shop", None, None);
    check("strict\nallow from=shop/web", None, None);
    check("deny path=/admin", None, None);
    check("deny path=/items", None, Some(Code::R004));
    check("deny from=web", Some(Code::R004), Some(Code::R004));
    check("allow from=bank/teller", Some(Code::R003), Some(Code::R003));
    check("allow method=GET", Some(Code::R003), None);
    // A later view may ask for what the one that let it in did not.
    check("allow header:x-role=admin", Some(Code::R003), None);
    check("deny header:x-role=?", None, Some(Code::R004));
    let condition = "allow when request.headers['x-role'] == 'admin'";
    check(condition, Some(Code::R060), None);

    let empty = Table::new(World::new().view(), Scope::Whole);
    assert_eq!(
        empty.still_permits(&stream),
        Err(Denied::TargetGone(workload_id("cart")))
    );
}

#[test]
fn a_denial_names_the_rule() {
    let table = table("strict\ndeny from=web");
    let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
    let denied = |peer: &Peer| {
        let denied = policy.admit_stream(peer).unwrap_err();
        format!("{denied} ({})", denied.origin().unwrap())
    };
    assert_eq!(
        denied(&proven(&spiffe_id("web"))),
        "denied by AccessPolicy shop/cart rule 2 (cart.yaml:2)"
    );
    assert_eq!(
        denied(&plain("10.0.0.7")),
        "mTLS is strict, and the call came in plain (cart.yaml:1)"
    );
}
