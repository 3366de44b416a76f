//! What a mesh means after pods came and went is told from before, and is what compiling it says.

use std::sync::Arc;

use leno_compile::{compile, with_pods};
use leno_model::view::{Check, Locality, State};
use leno_model::{Dice, Name, Namespace};
use leno_resources::Resources;
use leno_resources::pod::{Pod, PodProbe, Pods};

const WRITTEN: &str = "
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {mtls: Strict}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {leno.dev/dataplane-mode: sidecar}}
---
apiVersion: v1
kind: Namespace
metadata: {name: bank, labels: {leno.dev/dataplane-mode: node}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.9.0.1, selector: {app: cart}, ports: [{name: http, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: all, namespace: shop}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {tier: back}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: bank}
spec: {clusterIP: 10.9.0.2, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: shop}
spec: {clusterIP: 10.9.0.3, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: outside-1, namespace: shop, labels: {kubernetes.io/service-name: outside}}
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [10.1.0.7]}, {addresses: [172.16.0.1]}]
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: old, namespace: shop, labels: {app: cart, tier: back}}
spec:
  ports: [{name: web, port: 8080, protocol: HTTP}]
  instances: [{name: cart-3, address: 10.1.0.8}]
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  rules: [{from: [{identities: [shop/web]}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  ingress:
  - from: [{podSelector: {matchLabels: {tier: back}}}, {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: bank}}}]
    ports: [{port: web}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: bank}
spec:
  podSelector: {matchLabels: {app: web, tier: back}}
  policyTypes: [Egress]
  egress:
  - {to: [{namespaceSelector: {}}], ports: [{port: 15008}]}
  - {to: [{ipBlock: {cidr: 10.2.0.0/16, except: [10.2.4.33/32]}}], ports: [{port: web}]}
";

/// One of so many.
fn any(dice: &mut Dice, of: u64) -> u64 {
    dice.next_u64() % of
}

/// Some pod: few names and addresses, so that they meet.
fn pod(dice: &mut Dice) -> Pod {
    let namespace = ["shop", "bank", "apart"][any(dice, 3) as usize];
    let app = ["cart", "web"][any(dice, 2) as usize];
    let number = any(dice, 5);
    let name = |text: &str| Name::new(text).unwrap();
    let namespace = Namespace::new(namespace).unwrap();
    let address = match any(dice, 60) {
        0 => vec![],
        1 => vec![[8, 8, 8, number as u8].into()],
        2 => vec![[10, 9, 0, 1 + number as u8].into()],
        3 => vec![[172, 16, 0, 1].into()],
        4 => vec![[10, 1, 0, 7].into()],
        it => {
            let (of, last) = (
                namespace.as_str().len() + app.len() % 2 * 8,
                number * 8 + it % 8,
            );
            vec![[10, 2, of as u8, last as u8].into()]
        }
    };
    let mut pod = Pod {
        workload: name(app),
        service_account: name(if any(dice, 40) == 0 { "other" } else { app }),
        ports: [(8080, vec!["web".into()])].into(),
        has_proxy: match namespace.as_str() {
            "apart" => any(dice, 8) == 0,
            _ => any(dice, 3) > 0,
        },
        is_served: any(dice, 8) == 0,
        probes: vec![PodProbe {
            port: 8080,
            check: Check::Request("/healthz".into()),
            pointer: "/spec/containers/0/livenessProbe".into(),
        }],
        hosts: vec![[172, 16, 0, 1 + any(dice, 60) as u8].into()],
        addresses: address,
        locality: Locality {
            node: Some(format!("n{}", any(dice, 2)).into()),
            ..Locality::default()
        },
        state: [Some(State::Ready), Some(State::Unknown), None][any(dice, 3) as usize],
        ..Pod::named(namespace, name(&format!("{app}-{number}")))
    };
    pod.meta.labels = [("app".into(), app.into())].into();
    pod.unfit = (any(dice, 20) == 0).then(|| "it can get around its proxy".into());
    if any(dice, 20) == 0 {
        let ports = ("leno.dev/skip-inbound-ports".into(), "80,x".into());
        pod.meta.annotations.extend([ports]);
    }
    if any(dice, 30) > 0 {
        pod.meta.labels.insert("tier".into(), "back".into());
    }
    pod
}

#[test]
fn what_is_told_from_before_is_what_compiling_says() {
    let file = (Arc::from("mesh.yaml"), WRITTEN.as_bytes().to_vec());
    let (mut resources, _) = Resources::read([file], &Namespace::default_namespace());
    let (mut told, mut asked) = (0, 0);
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut pods = Pods::default();
        resources.pods = Arc::default();
        let (mut mesh, mut notes) = compile(&resources);
        for step in 0..60 {
            for _ in 0..=any(&mut dice, 3) {
                let pod = pod(&mut dice);
                let name = (pod.meta.namespace.clone().unwrap(), pod.meta.name.clone());
                match any(&mut dice, 4) {
                    0 => drop(pods.remove(&name)),
                    _ => drop(pods.insert(name, Arc::new(pod))),
                }
            }
            let now = Arc::new(pods.clone());
            let from_before = with_pods(&resources, &mesh, &notes, &now);
            resources.pods = now;
            (mesh, notes) = compile(&resources);
            asked += 1;
            if let Some((told_mesh, told_notes)) = from_before {
                told += 1;
                let place = format!("seed {seed}, step {step}");
                assert_eq!(told_mesh.instances, mesh.instances, "{place}");
                assert_eq!(told_mesh.answers, mesh.answers, "{place}");
                assert_eq!(told_mesh, mesh, "{place}");
                assert_eq!(told_notes, notes, "{place}");
            }
        }
    }
    assert!(
        told * 8 > asked,
        "only {told} of {asked} were told from before"
    );
}
