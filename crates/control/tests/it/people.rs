//! What people ask: apply, delete, history, diff, roll back, check, tokens.

use std::sync::atomic::{AtomicU32, Ordering};

use leno_admin::{
    Check, Delete, DiffOf, DropToken, HistoryOf, ListTokens, NotAsked, OpenDashboard, Revoke,
    Rollback, StatusOf, TrustOf, Verb,
};

use crate::world::{Place, SHOP, World, join};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_a_revision_that_can_be_told_compared_and_taken_back() {
    let world = World::new().await;
    let applied = world.apply(SHOP).await;
    assert!(applied.made);
    let told: Vec<_> = applied
        .changes
        .iter()
        .map(|change| {
            format!(
                "{:?} {} {}",
                change.verb,
                change.object,
                change.place.as_ref().unwrap()
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "Added Mesh shop shop.yaml:1",
            "Added MeshWorkload shop/cart-v1 shop.yaml:9",
            "Added MeshWorkload shop/web shop.yaml:4",
            "Added Service shop/cart shop.yaml:14",
            "Added Service shop/mail shop.yaml:19",
        ]
    );
    assert_eq!(applied.findings[0].code, "C120", "mail selects nothing");
    assert_eq!(applied.findings[0].line, Some(23));
    assert!(
        applied.findings[0]
            .text
            .as_ref()
            .unwrap()
            .contains("selector: {app: mail}")
    );

    assert!(!world.apply(SHOP).await.made, "the same again is nothing");

    let deleted = world.admin.ask(Delete {
        objects: vec!["Service shop/mail".into(), "Service shop/nope".into()],
        if_revision: Some(1),
        message: "no mail today".into(),
        allow_errors: false,
        watch: None,
        dry_run: false,
    });
    let deleted = deleted.await.unwrap();
    assert_eq!((deleted.status.revision, deleted.left.len()), (2, 1));

    let back = Rollback {
        to: 1,
        if_revision: None,
        message: "oh".into(),
        allow_errors: false,
        watch: None,
        hold: None,
        dry_run: false,
    };
    assert_eq!(
        world.admin.ask(back).await.unwrap().changes[0].verb,
        Verb::Added
    );

    let history = world
        .admin
        .ask(HistoryOf {
            limit: 10,
            before: None,
        })
        .await
        .unwrap();
    let told: Vec<_> = history
        .revisions
        .iter()
        .map(|past| {
            format!(
                "{} {} {:?} +{} -{}",
                past.revision, past.what, past.message, past.added, past.removed
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "3 rollback to 1 \"oh\" +1 -0",
            "2 delete \"no mail today\" +0 -1",
            "1 apply shop \"\" +5 -0"
        ]
    );
    let diff = world
        .admin
        .ask(DiffOf {
            from: 1,
            to: Some(2),
        })
        .await
        .unwrap();
    assert!(
        diff.changes[0]
            .before
            .as_ref()
            .unwrap()
            .contains("name: mail")
    );
    assert_eq!(diff.changes[0].after, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_with_an_error_that_its_predecessor_lacks_is_refused() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let route = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 80}]
  rules: [{backendRefs: [{name: cart-v3, port: 80}]}]
";
    let refused = world.try_apply(route, |_| {}).await.unwrap_err();
    assert_eq!(refused.code.as_deref(), Some("S005"));
    assert_eq!(
        refused.message,
        "nothing was changed: it would bring an error that the revision before lacks"
    );
    assert_eq!(refused.findings[0].code, "C113");
    assert_eq!(refused.findings[0].line, Some(6));
    assert_eq!(world.admin.ask(StatusOf {}).await.unwrap().revision, 1);
    let other = route.replace("cart-v3", "cart-v4");
    let refused = world.try_apply(&other, |_| {}).await.unwrap_err();
    assert!(
        refused.findings[0].message.contains("cart-v4"),
        "what was refused before is not taken for what is asked: {refused:?}"
    );

    let accepted = world
        .try_apply(route, |apply| apply.allow_errors = true)
        .await
        .unwrap();
    assert_eq!(accepted.status.revision, 2);
    let checked = world.admin.ask(Check {}).await.unwrap();
    assert!(
        checked
            .findings
            .iter()
            .any(|finding| finding.code == "C113")
    );
    let moved = format!("# a comment\n{route}");
    let again = world.try_apply(&moved, |_| {}).await.unwrap();
    assert_eq!(
        again.status.revision, 3,
        "the error is known already, wherever it stands"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_refused_with_its_reason() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let code = |result: Result<_, leno_admin::Failure>| result.map(drop).unwrap_err().code;
    let refused = world.try_apply("a: [", |_| {}).await;
    assert_eq!(code(refused).as_deref(), Some("C001"));
    let twice = format!("{SHOP}---\n{SHOP}");
    assert_eq!(
        code(world.try_apply(&twice, |_| {}).await).as_deref(),
        Some("C008")
    );
    let late = world
        .try_apply("", |apply| apply.if_revision = Some(7))
        .await;
    assert_eq!(code(late).as_deref(), Some("S004"));
    let other = world
        .try_apply(SHOP, |apply| apply.set = "other".into())
        .await;
    assert_eq!(code(other).as_deref(), Some("S006"));
    let domain =
        SHOP.lines().take(3).collect::<Vec<_>>().join("\n") + "\nspec: {trustDomain: bank.local}\n";
    world.token(None).await;
    let foreign = world.try_apply(&domain, |_| {}).await.unwrap_err();
    assert_eq!(
        foreign.findings[0].suggestion.as_deref(),
        Some("write trustDomain: shop.local")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_in_whom_it_names_as_often_as_it_says() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let place = Place::new();
    let token = world.token(Some("cart")).await;
    let text = token.to_string();
    assert!(text.starts_with("leno-join:shop.local:"), "{text}");

    let other = join(&token, Some("web"), &place).await.unwrap_err();
    assert_eq!(other.code().as_str(), "T012");
    let token = world.token(Some("cart")).await;
    assert_eq!(
        join(&token, None, &place).await.unwrap(),
        "spiffe://shop.local/ns/shop/sa/cart"
    );
    let again = join(&token, None, &place).await.unwrap_err();
    assert_eq!(
        again.to_string(),
        "the control plane refused: the token is not good"
    );

    let mut forged = world.token(None).await;
    forged.secret[0] ^= 1;
    assert_eq!(
        join(&forged, None, &place)
            .await
            .unwrap_err()
            .code()
            .as_str(),
        "T012"
    );
    let mut lured = world.token(None).await;
    lured.fingerprint[0] ^= 1;
    assert_eq!(
        join(&lured, None, &place)
            .await
            .unwrap_err()
            .code()
            .as_str(),
        "T004"
    );

    let node = world.token(None).await;
    assert_eq!(
        join(&node, None, &place).await.unwrap(),
        "spiffe://shop.local/ns/shop/sa/leno-node"
    );

    let tokens = world.admin.ask(ListTokens {}).await.unwrap().tokens;
    assert_eq!(tokens.len(), 5);
    let id = tokens[0].id.clone();
    assert!(
        world
            .admin
            .ask(DropToken { id: id.clone() })
            .await
            .unwrap()
            .was_there
    );
    assert!(!world.admin.ask(DropToken { id }).await.unwrap().was_there);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_is_told_with_time_and_reason() {
    let world = World::new().await;
    assert!(matches!(
        world.admin.ask(TrustOf {}).await,
        Err(NotAsked::Refused(_))
    ));
    world.apply(SHOP).await;
    world.token(None).await;
    let revoke = || Revoke {
        identity: "shop/cart".into(),
        reason: "stolen".into(),
    };
    assert!(world.admin.ask(revoke()).await.unwrap().changed);
    assert!(!world.admin.ask(revoke()).await.unwrap().changed);
    let trust = world.admin.ask(TrustOf {}).await.unwrap();
    assert_eq!(trust.trust_domain, "shop.local");
    assert_eq!(
        trust.revoked[0].identity,
        "spiffe://shop.local/ns/shop/sa/cart"
    );
    assert_eq!(trust.revoked[0].reason, "stolen");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_ask_is_let_in_at_the_dashboard_that_there_is() {
    let world = World::new().await;
    let Err(NotAsked::Refused(failure)) = world.admin.ask(OpenDashboard {}).await else {
        panic!("there is no dashboard yet");
    };
    assert!(failure.advice.unwrap().contains("leno control --dashboard"));
    let count = AtomicU32::new(0);
    let make = move || format!("http://link/{}", count.fetch_add(1, Ordering::Relaxed));
    world.desk.give_links(make);
    for url in ["http://link/0", "http://link/1"] {
        let link = world.admin.ask(OpenDashboard {}).await.unwrap();
        assert_eq!(link.url, url);
    }
}
