//! Who asks from another host: what each role may do, see, and what the audit log says of it.

use leno_admin::{
    Apply, Ask, AuditOf, Check, Client, ConfigurationOf, CreateToken, Delete, DiffOf, File,
    HistoryOf, KeptOf, ListTokens, NotAsked, OverviewOf, PlanOf, ProbeOf, ProxiesOf, Recover,
    Revoke, Rollback, RotateRoot, ServiceOf, ServicesOf, StatusOf, StoryOf, TapOf, TrafficOf,
    TrustOf, Wanted, WatchFor, WatchesOf, Which,
};
use leno_channel::Clocks;
use leno_channel::grpc::{self, Line, Proven};
use leno_model::TrustDomain;
use leno_wire::certificates::control_plane;
use tokio::net::TcpStream;

use crate::world::{World, within};

const MESH: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec:
  administration:
    - {person: ops, role: Admin}
    - {person: eve, role: Viewer}
    - {person: shopkeeper, role: Admin, namespaces: [shop]}
    - {person: anna, role: Viewer}
    - {person: anna, role: Editor, namespaces: [shop]}
    - {person: bo, role: Viewer, namespaces: [shop]}
    - {identity: ci/deployer, role: Editor}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: vault, namespace: bank}
spec: {selector: {app: vault}, ports: [{port: 80}]}
";

const CART: &str = "\
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 81}]}
";

const VAULT: &str = "\
apiVersion: v1
kind: Service
metadata: {name: vault, namespace: bank}
spec: {selector: {app: mallory}, ports: [{port: 80}]}
";

/// What a question is answered: `ok`, or the code of the refusal; `-` for one without.
async fn asked<Q: Ask>(client: &Client, question: Q) -> String {
    match within(client.ask(question)).await {
        Ok(_) => "ok".into(),
        Err(NotAsked::Refused(failure)) => failure.code.unwrap_or_else(|| "-".into()),
        Err(error) => panic!("{error}"),
    }
}

fn apply(texts: &[&str], prune: bool) -> Apply {
    Apply {
        files: vec![File {
            path: "shop.yaml".into(),
            text: texts.join("---\n"),
        }],
        namespace: "shop".into(),
        set: "shop".into(),
        prune,
        if_revision: None,
        message: String::new(),
        allow_errors: true,
        watch: None,
        dry_run: false,
    }
}

fn plan(texts: &[&str]) -> PlanOf {
    let Apply {
        files,
        namespace,
        set,
        ..
    } = apply(texts, false);
    PlanOf {
        files,
        namespace,
        set,
        prune: false,
        with: Vec::new(),
        with_in: None,
        seconds: 60,
    }
}

fn delete(object: &str) -> Delete {
    Delete {
        objects: vec![object.into()],
        if_revision: None,
        message: String::new(),
        allow_errors: true,
        watch: None,
        dry_run: false,
    }
}

fn rollback(to: u64) -> Rollback {
    Rollback {
        to,
        if_revision: None,
        message: String::new(),
        allow_errors: true,
        watch: None,
        hold: None,
        dry_run: false,
    }
}

fn token(namespace: &str, account: &str) -> CreateToken {
    CreateToken {
        namespace: namespace.into(),
        service_account: Some(account.into()),
        uses: 1,
        seconds: 60,
    }
}

fn revoke(identity: &str) -> Revoke {
    Revoke {
        identity: identity.into(),
        reason: String::new(),
    }
}

fn probe(workload: &str) -> ProbeOf {
    ProbeOf {
        workload: workload.into(),
        service: "shop/cart".into(),
        port: 80,
        request: None,
    }
}

fn service(name: &str) -> ServiceOf {
    ServiceOf {
        name: name.into(),
        namespace: "shop".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_it_says_and_no_more() {
    let world = World::new().await;
    world.apply(MESH).await;
    let rotate = RotateRoot {
        force: false,
        dry_run: true,
    };
    let people = [
        "ops",
        "deployer",
        "eve",
        "shopkeeper",
        "anna",
        "bo",
        "mallory",
    ];
    let mut clients = Vec::new();
    for name in people {
        let namespace = if name == "deployer" {
            "ci"
        } else {
            "leno-people"
        };
        clients.push(world.joined(namespace, name).await);
    }
    // Who is asked in the same order as above; `-` was allowed, and fails for a reason of its own.
    macro_rules! check {
        ($question:expr, $expect:literal) => {{
            let mut told = Vec::new();
            for client in &clients {
                told.push(asked(client, $question).await);
            }
            assert_eq!(told.join(" "), $expect, "{}", stringify!($question));
        }};
    }
    check!(StatusOf {}, "ok ok ok ok ok ok S016");
    check!(OverviewOf {}, "ok ok ok ok ok ok S016");
    check!(Check {}, "ok ok ok ok ok ok S016");
    check!(ServicesOf {}, "ok ok ok ok ok ok S016");
    check!(service("cart"), "ok ok ok ok ok ok S016");
    check!(service("bank/vault"), "ok ok ok S017 ok S017 S016");
    check!(service("bank/none"), "- - - S017 - S017 S016");
    check!(ProxiesOf {}, "ok ok ok ok ok ok S016");
    check!(TrustOf {}, "ok ok ok ok ok ok S016");
    check!(ConfigurationOf { at: None }, "ok ok ok S017 ok S017 S016");
    check!(
        AuditOf {
            limit: 1,
            before: None
        },
        "ok S017 S017 S017 S017 S017 S016"
    );
    check!(ListTokens {}, "ok S017 S017 S017 S017 S017 S016");
    check!(probe("shop/web"), "- - S017 - - S017 S016");
    check!(probe("bank/teller"), "- - S017 S017 S017 S017 S016");
    check!(token("shop", "web"), "ok S017 S017 ok S017 S017 S016");
    check!(token("bank", "teller"), "ok S017 S017 S017 S017 S017 S016");
    check!(
        token("leno-people", "eve"),
        "ok S017 S017 S017 S017 S017 S016"
    );
    check!(revoke("shop/old"), "ok S017 S017 ok S017 S017 S016");
    check!(revoke("bank/old"), "ok S017 S017 S017 S017 S017 S016");
    check!(
        revoke("spiffe://other.local/ns/shop/sa/old"),
        "ok S017 S017 S017 S017 S017 S016"
    );
    check!(rotate.clone(), "ok S017 S017 S017 S017 S017 S016");
    check!(Recover {}, "- S017 S017 S017 S017 S017 S016");
    check!(apply(&[CART], false), "ok ok S017 ok ok S017 S016");
    check!(
        apply(&[CART, VAULT], false),
        "ok ok S017 S017 S017 S017 S016"
    );
    check!(apply(&[MESH], false), "ok S017 S017 S017 S017 S017 S016");
    check!(delete("Mesh none"), "ok S017 S017 S017 S017 S017 S016");
    check!(
        delete("Service bank/none"),
        "ok ok S017 S017 S017 S017 S016"
    );
    check!(delete("Service shop/none"), "ok ok S017 ok ok S017 S016");
    check!(plan(&[CART]), "ok ok ok ok ok S017 S016");
    check!(plan(&[CART, VAULT]), "ok ok ok S017 ok S017 S016");
    check!(rollback(99), "S007 S007 S017 S007 S007 S017 S016");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reaches_further_by_a_change_than_by_its_objects() {
    let world = World::new().await;
    world.apply(MESH).await;
    let anna = world.person("anna").await;
    let deployer = world.joined("ci", "deployer").await;
    let lifted = MESH.replace("{person: eve, role: Viewer}", "{person: anna, role: Admin}");
    for (change, why) in [
        (
            apply(&[CART, VAULT], false),
            "an object of another namespace",
        ),
        (apply(&[CART], true), "what is pruned belongs to others"),
        (apply(&[&lifted], false), "the Mesh says who may do what"),
    ] {
        assert_eq!(asked(&anna, change).await, "S017", "{why}");
    }
    assert_eq!(asked(&deployer, apply(&[&lifted], false)).await, "S017");
    assert_eq!(asked(&deployer, delete("Mesh shop")).await, "S017");
    let second = "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {name: a}\n";
    assert_eq!(asked(&deployer, apply(&[second], false)).await, "S017");
    let status = world.admin.ask(StatusOf {}).await.unwrap();
    assert_eq!(status.revision, 1, "nothing of it was done");

    world.apply(&lifted).await;
    world.apply(MESH).await;
    assert_eq!(
        asked(&deployer, rollback(2)).await,
        "S017",
        "nor by what was"
    );
    assert_eq!(asked(&anna, apply(&[CART], false)).await, "ok");
    assert_eq!(asked(&anna, rollback(3)).await, "ok", "that is hers alone");
    let history = world.admin.ask(HistoryOf {
        limit: 1,
        before: None,
    });
    assert_eq!(history.await.unwrap().revisions[0].who, "leno-people/anna");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_is_told_what_is_wrong_in_the_own_files() {
    let world = World::new().await;
    world.apply(MESH).await;
    let anna = world.person("anna").await;
    let twice = format!("{CART}---\n{CART}");
    let of_others = format!("{VAULT}---\n{VAULT}");
    for (text, code, line) in [
        ("kind: [Service\n", "C001", 1),
        (&twice, "C008", 8),
        (&of_others, "C008", 8),
    ] {
        let Err(NotAsked::Refused(failure)) = within(anna.ask(apply(&[text], false))).await else {
            panic!("{text} was taken");
        };
        let told = failure.findings.iter();
        let told: Vec<_> = told.map(|it| (it.code.as_str(), it.line)).collect();
        assert_eq!(told, [(code, Some(line))], "{text}: {failure:?}");
    }
}

/// A workload of a namespace whose processes may join by what they are.
fn attested(namespace: &str, account: &str, attestation: &str) -> Apply {
    let workload = format!(
        "apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\n\
         metadata: {{name: job, namespace: {namespace}}}\n\
         spec: {{serviceAccount: {account}, instances: [{{address: 10.0.0.7}}]{attestation}}}\n"
    );
    apply(&[&workload], false)
}

const BY_USER: &str = ", attestation: {processes: [{user: 1000}]}";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_let_nobody_in_does_so_by_no_change_either() {
    let world = World::new().await;
    let mesh = MESH.replace(
        "    - {person: ops, role: Admin}\n",
        "    - {person: ops, role: Admin}\n    - {person: smith, role: Admin, namespaces: [ci, leno-system]}\n",
    );
    world.apply(&mesh).await;
    let anna = world.person("anna").await;
    let shopkeeper = world.person("shopkeeper").await;
    let smith = world.person("smith").await;
    let ops = world.person("ops").await;

    let editors = asked(&anna, attested("shop", "job", "")).await;
    assert_eq!(editors, "ok", "an editor says what runs");
    let editors = asked(&anna, attested("shop", "job", BY_USER)).await;
    assert_eq!(editors, "S017", "and not who is believed to be it");
    assert_eq!(
        asked(&shopkeeper, attested("shop", "job", BY_USER)).await,
        "ok"
    );
    let editors = asked(&anna, attested("shop", "payments", "")).await;
    assert_eq!(editors, "S017", "nor as whom the one acts that is believed");

    // Programs of ci administer the mesh: whoever became one would too.
    assert_eq!(
        asked(&smith, attested("ci", "deployer", BY_USER)).await,
        "S017"
    );
    assert_eq!(asked(&smith, token("ci", "deployer")).await, "S017");
    assert_eq!(asked(&ops, token("ci", "deployer")).await, "ok");

    let policy = "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\n\
        metadata: {name: all, namespace: leno-system}\n\
        spec: {targetRefs: [{kind: Mesh, name: shop}], default: Allow}\n";
    assert_eq!(asked(&smith, apply(&[policy], false)).await, "S017");
    assert_eq!(asked(&ops, apply(&[policy], false)).await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_becomes_the_control_plane() {
    let world = World::new().await;
    world.apply(MESH).await;
    let ops = world.person("ops").await;
    let refused = asked(&ops, token("leno-system", "leno-control")).await;
    assert_eq!(refused, "-");
    world.desk.found().unwrap();
    let applied = asked(&ops, attested("leno-system", "leno-control", "")).await;
    assert_eq!(applied, "ok", "errors are accepted");
    let found = world.admin.ask(Check {}).await.unwrap().findings;
    assert!(found.iter().any(|it| it.code == "C171"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_accepts_an_error_that_is_for_others_to_accept() {
    let world = World::new().await;
    // Of two with one address the first by name has it.
    let thief = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: aaa}\n\
                 spec: {clusterIP: 10.1.0.1, ports: [{port: 80}]}\n";
    let mesh = MESH.replace("{person: bo, role: Viewer", "{person: bo, role: Editor");
    world.apply(&mesh.replace("[shop]", "[aaa]")).await;
    let vault = VAULT.replace("ports:", "clusterIP: 10.1.0.1, ports:");
    world.apply(&vault).await;
    let bo = world.person("bo").await;
    assert_eq!(asked(&bo, apply(&[thief], false)).await, "S005");
    let deployer = world.joined("ci", "deployer").await;
    assert_eq!(asked(&deployer, apply(&[thief], false)).await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_for_a_namespace_sees_that_and_nothing_else() {
    let world = World::new().await;
    world.apply(MESH).await;
    world.try_apply(VAULT, |_| {}).await.unwrap();
    let bo = world.person("bo").await;
    let told = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        bo.ask(ServicesOf {}).await.unwrap(),
        bo.ask(Check {}).await.unwrap(),
        bo.ask(OverviewOf {}).await.unwrap(),
        bo.ask(HistoryOf {
            limit: 9,
            before: None
        })
        .await
        .unwrap(),
        bo.ask(DiffOf { from: 0, to: None }).await.unwrap(),
        bo.ask(TrustOf {}).await.unwrap(),
        bo.ask(ProxiesOf {}).await.unwrap(),
    );
    assert!(told.contains("shop/cart"));
    for hidden in ["bank", "vault", "mallory", "anna", "deployer"] {
        assert!(!told.contains(hidden), "{hidden} in {told}");
    }
    let history = bo
        .ask(HistoryOf {
            limit: 9,
            before: None,
        })
        .await
        .unwrap();
    let revisions: Vec<_> = history.revisions.iter().map(|past| past.revision).collect();
    assert_eq!(revisions, [1], "the second changed nothing of shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_change_that_is_watched_a_role_sees_its_own_part() {
    let world = World::new().await;
    world.apply(MESH).await;
    let watched = Apply {
        watch: Some(WatchFor {
            seconds: 600,
            tolerate: 0,
        }),
        ..apply(&[CART, VAULT], false)
    };
    world.admin.ask(watched).await.unwrap();
    let bo = world.person("bo").await;
    let seen = bo.ask(WatchesOf { revision: None }).await.unwrap().watches;
    let seen: Vec<_> = seen
        .iter()
        .map(|one| (one.revision, one.objects.join(" "), one.who.as_str()))
        .collect();
    assert_eq!(seen, [(2, "Service shop/cart".to_owned(), "somebody")]);
    let found = bo.ask(Check {}).await.unwrap().findings;
    assert!(
        !format!("{found:?}").contains("S012"),
        "it is about others, too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_look_and_refusal_is_written_down() {
    let world = World::new().await;
    world.apply(MESH).await;
    let (ops, mallory) = (world.person("ops").await, world.person("mallory").await);
    let anna = world.person("anna").await;
    asked(&anna, apply(&[CART], false)).await;
    asked(&anna, apply(&[VAULT], false)).await;
    asked(&ops, revoke("shop/old")).await;
    let wanted = Wanted::Last {
        count: 3,
        which: Which {
            party: Some("shop/cart".into()),
            ..Which::default()
        },
    };
    asked(&ops, KeptOf { wanted }).await;
    asked(&ops, StoryOf { id: "7c1e".into() }).await;
    for _ in 0..30 {
        asked(&anna, StoryOf { id: "7c1e".into() }).await;
        asked(&anna, rollback(99)).await;
    }
    let tap = TapOf {
        which: Which::default(),
        limit: 1,
        both: false,
    };
    let mut tapped = ops.watch(tap).await.unwrap();
    within(tapped.next()).await.unwrap();
    for _ in 0..30 {
        asked(&mallory, Check {}).await;
    }
    asked(&ops, Check {}).await;
    nobody(&world).await;
    let log = ops
        .ask(AuditOf {
            limit: 100,
            before: None,
        })
        .await
        .unwrap();
    let mut told = Vec::new();
    for record in log.records.iter().rev() {
        assert!(
            record.from == "socket" || record.from.starts_with("127.0.0.1"),
            "{record:?}"
        );
        let code = record.code.as_deref().unwrap_or_default();
        let line = format!(
            "{} {} {} {:?}{code} {}",
            record.who, record.what, record.about, record.outcome, record.revision
        );
        told.push(line);
    }
    let own = &told[0].split(' ').next().unwrap().to_owned();
    let mut expect = vec![
        format!("{own} apply set shop Done 1"),
        format!("{own} create-token leno-people/ops Done 1"),
        format!("{own} create-token leno-people/mallory Done 1"),
        format!("{own} create-token leno-people/anna Done 1"),
        "leno-people/anna apply set shop Done 2".into(),
        "leno-people/anna apply set shop RefusedS017 2".into(),
        "leno-people/ops revoke shop/old Done 2".into(),
        "leno-people/ops kept the last 3 calls of shop/cart Done 2".into(),
        "leno-people/ops story call 7c1e Done 2".into(),
    ];
    for _ in 0..10 {
        expect.push("leno-people/anna story call 7c1e Done 2".into());
        expect.push("leno-people/anna rollback to 99 FailedS007 2".into());
    }
    expect.push("leno-people/ops tap (and 20 more before, only counted) Done 2".into());
    let knocks = std::iter::repeat_n("leno-people/mallory ask  RefusedS016 2".into(), 10);
    expect.extend(knocks);
    expect.push(format!("{own} create-token shop/* Done 2"));
    expect.push("nobody ask (and 20 more before, only counted) RefusedS016 2".into());
    assert_eq!(told, expect);
}

/// Asks without a certificate, and is refused.
async fn nobody(world: &World) {
    let domain = TrustDomain::new("shop.local").unwrap();
    let stream = TcpStream::connect(world.address).await.unwrap();
    let fingerprint = world.token(None).await.fingerprint;
    let proven = Proven::ByFingerprint(&fingerprint);
    let clock = Clocks::start().clock();
    let joined = grpc::join(stream, clock, proven, &control_plane(&domain)).await;
    let (line, run) = Line::open(joined.unwrap().stream).await.unwrap();
    let run = tokio::spawn(run);
    let refused = within(line.ask(leno_admin::remote::ADMINISTER, b"{}\n")).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.starts_with("S016 no-administrator"), "{refused}");
    run.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_taken_away_ends_what_goes_on() {
    let world = World::new().await;
    world.apply(MESH).await;
    let eve = world.person("eve").await;
    let tap = TapOf {
        which: Which::default(),
        limit: 1,
        both: false,
    };
    let mut tapped = eve.watch(tap).await.unwrap();
    within(tapped.next()).await.unwrap();
    world
        .apply(&MESH.replace("    - {person: eve, role: Viewer}\n", ""))
        .await;
    let ended = loop {
        match within(tapped.next()).await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    let Err(NotAsked::Refused(failure)) = ended else {
        panic!("it goes on: {ended:?}");
    };
    assert_eq!(failure.code.as_deref(), Some("S017"));
    assert_eq!(asked(&eve, StatusOf {}).await, "S016");
    let traffic = TrafficOf {
        seconds: 1,
        until: None,
        step: None,
        by: Default::default(),
        of: None,
        namespace: "shop".into(),
    };
    assert_eq!(asked(&eve, traffic).await, "S016");
}
