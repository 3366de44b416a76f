//! Index against definition: generated views and requests, decided by the crate and by the
//! shortest code that says what the words mean.

mod naive;
mod words;

use std::sync::Arc;

use leno_model::view::{Access, Mtls, Stance};
use leno_model::{Code, Dice, Shape, Shaped};
use leno_protocol::Request;
use leno_traffic::{
    Asked, Claim, Consent, Fact, Kept, Led, Recorded, RecordedPath, Routed, Scope, Story, Table,
    Verdict,
};

use crate::world::{
    self, World, local, namespace, origin, port, spiffe_id, with_request, workload_id,
};

use naive::{naive_route, naive_verdict};
use words::Words;

#[test]
fn the_index_finds_the_route_that_a_scan_finds() {
    let (peer, cart) = (local("web"), port("cart"));
    let mut taken = 0;
    for seed in 0..300 {
        let mut words = Words(Dice::new(seed));
        let count = 1 + words.below(60);
        let lines: Vec<_> = (0..count).map(|_| words.route() + " -> cart").collect();
        let world = World::new()
            .services(&["cart"])
            .routes("cart", &lines.join("\n"));
        let table = Table::new(world.view(), Scope::Whole);
        let routes = world::routes("cart", &lines.join("\n"));
        for _ in 0..60 {
            let request = words.request();
            with_request(&request, |request| {
                let expect = naive_route(&routes, &request, request.path.raw());
                let admitted = table.outbound().admit(&peer, request).unwrap();
                let mut story = Story::default();
                let port = table.port(&cart).unwrap();
                let routed = table.route(admitted, port, &mut Dice::new(1), Some(&mut story));
                let rule = match routed {
                    Ok(Routed::Forward(forward)) => Some(forward.route().unwrap().0.rule),
                    Ok(Routed::Redirect(_) | Routed::Preflight(_)) => {
                        unreachable!("no rule redirects")
                    }
                    Err(refusal) => {
                        assert_eq!(refusal.code(), Code::R010);
                        None
                    }
                };
                assert_eq!(rule, expect, "seed {seed}");
                taken += u32::from(rule.is_some());
                let details = story.steps.iter().flat_map(|step| &step.details);
                assert!(
                    !details
                        .into_iter()
                        .any(|detail| detail.text.contains("bug"))
                );
            });
        }
    }
    assert!(
        (6_000..15_000).contains(&taken),
        "{taken} of 18000 say something"
    );
}

#[test]
fn the_verdict_is_the_one_of_the_definition() {
    let mut allowed = 0;
    for seed in 0..400 {
        let mut words = Words(Dice::new(seed));
        let mut access = Access::open();
        for line in 0..words.below(10) {
            let line = u32::try_from(line).unwrap();
            let origin = origin("AccessPolicy", "cart", "/spec/rules/0", line);
            access
                .rules
                .push(Arc::new(world::access_rule(&words.access_rule(), origin)));
        }
        if words.chance(4) {
            access.mtls = Mtls::Strict;
        }
        if words.chance(3) {
            access.stance = Stance::Deny;
        }
        let world = World::new().workload("cart", "10.0.1.1", access.clone());
        let table = Table::new(world.view(), Scope::Whole);
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        for _ in 0..40 {
            let caller = words.one(&["web", "shop/cart", "bank/teller", "bank/guard", ""]);
            let caller = (!caller.is_empty()).then(|| spiffe_id(caller));
            let address = words.one(&[
                "10.0.0.7",
                "10.0.0.8",
                "10.0.0.9",
                "::ffff:10.0.0.8",
                "192.168.0.1",
                "fd00::1",
            ]);
            let address = address.parse().unwrap();
            let claim = Claim {
                caller: Fact::Known(caller.as_ref()),
                address: Fact::Known(address),
                token: leno_traffic::Token::Absent,
                consent: Consent::Given,
            };
            let mut check = |request: Option<&Request<'_>>| {
                let verdict = match request {
                    Some(request) => policy.judge(&claim, request),
                    None => policy.judge_stream(&claim),
                };
                let code = match verdict {
                    Verdict::Allow(_) => None,
                    Verdict::Deny(denied) => Some(denied.code()),
                    Verdict::Undecided(missing) => panic!("{missing}"),
                };
                let asked = request.map(|request| (request, request.path.raw()));
                let expect = naive_verdict(&access, caller.as_ref(), address, asked);
                assert_eq!(code, expect, "seed {seed}");
                allowed += u32::from(code.is_none());
            };
            if words.chance(4) {
                check(None);
            } else {
                let request = words.request();
                with_request(&request, |request| check(Some(&request)));
            }
        }
    }
    assert!(
        (3_000..13_000).contains(&allowed),
        "{allowed} of 16000 say something"
    );
}

/// A claim that lacks facts gets a verdict only if every way to fill them in gets the same.
#[test]
fn what_is_decided_without_a_fact_holds_whatever_the_fact_is() {
    let callers = [
        None,
        Some(spiffe_id("web")),
        Some(spiffe_id("bank/teller")),
        Some(spiffe_id("bank/guard")),
    ];
    let addresses =
        ["10.0.0.7", "10.0.0.8", "192.168.0.1", "fd00::1"].map(|ip| ip.parse().unwrap());
    let (mut decided, mut undecided) = (0, 0);
    for seed in 0..1000 {
        let mut words = Words(Dice::new(seed));
        let rules: Vec<_> = (0..words.below(4)).map(|_| words.access_rule()).collect();
        let table = {
            let access = world::access(&rules.join("\n"));
            let world = World::new().workload("cart", "10.0.1.1", access);
            Table::new(world.view(), Scope::Whole)
        };
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        let request = words.request();
        with_request(&request, |request| {
            let allows = |verdict: Verdict<'_>| match verdict {
                Verdict::Allow(_) => Some(true),
                Verdict::Deny(_) => Some(false),
                Verdict::Undecided(_) => None,
            };
            let unknown = Claim {
                caller: Fact::Unknown,
                address: Fact::Unknown,
                token: leno_traffic::Token::Absent,
                consent: Consent::Given,
            };
            let Some(expect) = allows(policy.judge(&unknown, &request)) else {
                undecided += 1;
                return;
            };
            decided += 1;
            for caller in &callers {
                for address in addresses {
                    let claim = Claim {
                        caller: Fact::Known(caller.as_ref()),
                        address: Fact::Known(address),
                        token: leno_traffic::Token::Absent,
                        consent: Consent::Given,
                    };
                    assert_eq!(
                        allows(policy.judge(&claim, &request)),
                        Some(expect),
                        "seed {seed}"
                    );
                }
            }
        });
    }
    assert!(decided > 200 && undecided > 100, "{decided} {undecided}");
}

/// What is decided of a request of which little was kept holds for the request as it was.
#[test]
fn what_is_decided_of_a_record_holds_for_the_request() {
    let shop = namespace("shop");
    let (mut judged, mut led, mut open) = (0, 0, 0);
    for seed in 0..1500 {
        let mut words = Words(Dice::new(seed));
        let rules: Vec<_> = (0..words.below(4)).map(|_| words.access_rule()).collect();
        let routes: Vec<_> = (0..1 + words.below(6))
            .map(|_| format!("{} -> cart", words.route()))
            .collect();
        let said = world::routes("cart", &routes.join("\n"));
        let world = World::new()
            .services(&["cart"])
            .routes("cart", &routes.join("\n"))
            .workload("cart", "10.0.1.1", world::access(&rules.join("\n")));
        let table = Table::new(world.view(), Scope::Whole);
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        let cart = port("cart");
        let cart = table.port(&cart).unwrap();
        let caller = spiffe_id("web");
        let claim = Claim {
            caller: Fact::Known(Some(&caller)),
            address: Fact::Known("10.0.0.7".parse().unwrap()),
            token: leno_traffic::Token::Absent,
            consent: Consent::Given,
        };
        let request = words.request();
        with_request(&request, |request| {
            let whole = Recorded::of(&request, Kept::All);
            let verdict = policy.judge(&claim, &request);
            assert_eq!(
                policy.judge_recorded(&claim, &whole),
                verdict,
                "seed {seed}"
            );
            let rule = |led: Led<'_>| match led {
                Led::To(_, rule) => Some(Some(rule.origin.clone())),
                Led::Nowhere => Some(None),
                Led::Hangs(_) => None,
                other => panic!("{other:?}"),
            };
            let way = rule(cart.lead(Some(&shop), &whole));
            let expect = naive_route(&said, &request, request.path.raw());
            let expect = expect.map(|rule| said.rules[rule].origin.clone());
            assert_eq!(way, Some(expect), "seed {seed}");
            let shape = Shape::of(request.path.raw());
            let mut unknown = |fact| match words.chance(2) {
                true => Fact::Unknown,
                false => fact,
            };
            let (method, host) = (unknown(whole.method), unknown(whole.host));
            let part = Recorded {
                method,
                host,
                path: match words.below(3) {
                    0 => whole.path,
                    1 => RecordedPath::Like(Shaped::new(shape.as_str())),
                    _ => RecordedPath::Unknown,
                },
                kept: match words.below(3) {
                    0 => Kept::All,
                    1 => Kept::Only(&[Asked::Header("x-user")]),
                    _ => Kept::Only(&[]),
                },
                ..whole
            };
            match policy.judge_recorded(&claim, &part) {
                Verdict::Undecided(_) => open += 1,
                told => {
                    judged += 1;
                    let is_allowed = |verdict: &Verdict<'_>| matches!(verdict, Verdict::Allow(_));
                    assert_eq!(is_allowed(&told), is_allowed(&verdict), "seed {seed}");
                }
            }
            match rule(cart.lead(Some(&shop), &part)) {
                None => open += 1,
                told => {
                    led += 1;
                    assert_eq!(told, way, "seed {seed}");
                }
            }
        });
    }
    assert!(
        judged > 500 && led > 300 && open > 300,
        "{judged} {led} {open}"
    );
}

/// Whatever a server may take an odd path for, it is what was decided about.
#[test]
fn an_odd_path_is_carried_only_if_all_its_readings_agree() {
    let (peer, cart) = (local("web"), port("cart"));
    let (mut carried, mut refused, mut allowed) = (0, 0, 0);
    for seed in 0..600 {
        let mut words = Words(Dice::new(seed));
        let lines: Vec<_> = (0..1 + words.below(5))
            .map(|_| words.path_match() + " -> cart")
            .collect();
        let rules: Vec<_> = (0..words.below(4)).map(|_| words.access_rule()).collect();
        let access = world::access(&rules.join("\n"));
        let world = World::new()
            .services(&["cart"])
            .routes("cart", &lines.join("\n"))
            .workload("cart", "10.0.1.1", access.clone());
        let table = Table::new(world.view(), Scope::Whole);
        let routes = world::routes("cart", &lines.join("\n"));
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        let address = "10.0.0.7".parse().unwrap();
        let web = spiffe_id("web");
        for _ in 0..10 {
            let path = words.odd_path();
            let Ok(readings) = leno_protocol::Path::new(&path) else {
                continue;
            };
            let request = Request {
                method: "GET",
                host: "cart",
                port: None,
                path: readings,
                query: None,
                headers: &[],
            };
            let readings: Vec<_> = request.path.readings().collect();

            let mut rules = readings
                .iter()
                .map(|path| naive_route(&routes, &request, path));
            let first = rules.next().unwrap();
            let expect = if rules.all(|rule| rule == first) {
                first.ok_or(Code::R010)
            } else {
                Err(Code::R035)
            };
            let admitted = table.outbound().admit(&peer, request.clone()).unwrap();
            let port = table.port(&cart).unwrap();
            let routed = table.route(admitted, port, &mut Dice::new(1), None);
            let rule = match routed {
                Ok(Routed::Forward(forward)) => Ok(forward.route().unwrap().0.rule),
                Ok(Routed::Redirect(_) | Routed::Preflight(_)) => unreachable!("no rule redirects"),
                Err(refusal) => Err(refusal.code()),
            };
            assert_eq!(rule, expect, "{path}");
            carried += u32::from(rule.is_ok());
            refused += u32::from(rule == Err(Code::R035));

            let mut codes = readings
                .iter()
                .map(|path| naive_verdict(&access, Some(&web), address, Some((&request, path))));
            let first = codes.next().unwrap();
            let agree = codes.all(|code| code.is_none() == first.is_none());
            let expect = if agree { first } else { Some(Code::R035) };
            let claim = Claim {
                caller: Fact::Known(Some(&web)),
                address: Fact::Known(address),
                token: leno_traffic::Token::Absent,
                consent: Consent::Given,
            };
            let code = match policy.judge(&claim, &request) {
                Verdict::Allow(_) => None,
                Verdict::Deny(denied) => Some(denied.code()),
                Verdict::Undecided(missing) => panic!("{missing}"),
            };
            assert_eq!(code, expect, "{path}");
            allowed += u32::from(code.is_none());
        }
    }
    assert!(
        carried > 500 && refused > 500 && allowed > 500,
        "{carried} {refused} {allowed}"
    );
}
