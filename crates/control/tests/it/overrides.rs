//! Measures of an emergency: what holds meanwhile, who hears of it, and what cannot be taken.

use leno_admin::{
    AddOverride, At, Check, ConfigurationOf, DropOverride, ListOverrides, NotAsked, StatusOf,
};
use leno_control::mesh_of;
use leno_model::view::Effect;

use crate::world::World;

const SHOP: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart, namespace: shop, labels: {app: cart}}
spec:
  ports: [{port: 8080, protocol: HTTP}]
  instances: [{name: cart-0, address: 10.0.0.1}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, ports: [{port: 5432, appProtocol: tcp}]}
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart, namespace: shop}
spec: {rules: [{callers: [{identity: shop/web}]}]}
";

fn add(measure: &str) -> AddOverride {
    AddOverride {
        measure: measure.into(),
        seconds: 600,
        message: "incident 7".into(),
        force: false,
    }
}

/// Why a question is refused.
async fn refused(world: &World, question: AddOverride) -> String {
    match world.admin.ask(question).await {
        Err(NotAsked::Refused(failure)) => failure.message,
        other => panic!("{other:?}"),
    }
}

/// The effects of the rules over cart in the mesh that everybody is told of.
async fn effects(world: &World, at: Option<At>) -> Vec<Effect> {
    let told = world.admin.ask(ConfigurationOf { at }).await.unwrap();
    let mesh = mesh_of(&told).unwrap();
    let instance = mesh.instances.values().next().unwrap();
    let access = &instance.workload.ports[&8080].access;
    access.rules.iter().map(|rule| rule.effect).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_only_audits_until_the_measure_is_taken_back() {
    let world = World::new().await;
    world.apply(SHOP).await;
    assert_eq!(effects(&world, None).await, [Effect::Allow]);

    let added = world.admin.ask(add("audit shop/cart")).await.unwrap();
    assert_eq!(added.status.overrides, 1);
    assert_eq!(effects(&world, None).await, [Effect::AllowAlso]);
    assert_eq!(
        effects(&world, Some(At::Revision(1))).await,
        [Effect::Allow],
        "what was written is as it was"
    );
    let found = world.admin.ask(Check {}).await.unwrap().findings;
    let found = found.iter().find(|one| one.code == "C170").unwrap();
    assert_eq!(found.object.as_deref(), Some("AccessPolicy shop/cart"));
    assert!(found.message.contains("incident 7"), "{}", found.message);
    assert!(
        refused(&world, add("audit shop/cart"))
            .await
            .contains("says the same already")
    );

    let listed = world.admin.ask(ListOverrides {}).await.unwrap().overrides;
    assert_eq!(listed[0].measure, "audit shop/cart");
    let drop = || DropOverride {
        id: listed[0].id.clone(),
    };
    assert!(world.admin.ask(drop()).await.unwrap().changed);
    assert_eq!(effects(&world, None).await, [Effect::Allow]);
    assert_eq!(world.admin.ask(StatusOf {}).await.unwrap().overrides, 0);
    assert!(world.admin.ask(drop()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_change_nothing_or_too_much_is_refused() {
    let world = World::new().await;
    world.apply(SHOP).await;
    for (measure, expect) in [
        ("stop shop/cart", "is no measure"),
        ("audit shop/crat", "there is no AccessPolicy shop/crat"),
        ("eject shop/cart-9", "there is no instance shop/cart-9"),
        (
            "eject shop/cart-0",
            "is the last that answers for shop/cart:80",
        ),
        ("all-to shop/web shop/cart", "there is no Service shop/web"),
        (
            "all-to shop/cart shop/cart-v1",
            "no route of shop/cart can send calls",
        ),
        ("record shop/cart", "is no measure"),
        ("record shop/web host", "there is no Service shop/web"),
        ("record shop/db host", "no port of shop/db carries requests"),
        (
            "record shop/cart host header:x-api-key",
            "header:x-api-key names a secret",
        ),
    ] {
        let why = refused(&world, add(measure)).await;
        assert!(why.contains(expect), "{measure}: {why}");
    }
    let forever = AddOverride {
        seconds: 24 * 3600 + 1,
        ..add("audit shop/cart")
    };
    assert!(refused(&world, forever).await.contains("10 s to 24 h"));

    let meant = AddOverride {
        force: true,
        ..add("eject shop/cart-0")
    };
    world.admin.ask(meant).await.unwrap();
    let told = world.admin.ask(ConfigurationOf { at: None }).await.unwrap();
    let mesh = mesh_of(&told).unwrap();
    assert!(mesh.answers.values().all(Vec::is_empty));
}
