//! What sound objects say once they are read.

use core::time::Duration;

use leno_model::{Name, Namespace};
use leno_resources::gateway::{
    HttpMethod, HttpPathMatch, HttpRouteFilterType, PathMatchType, RedirectScheme, TextMatchType,
};
use leno_resources::mesh::{Command, MtlsMode, Stance, WorkloadProtocol};
use leno_resources::policy::{AccessAction, AccessPathType, Identity, TargetKind};
use leno_resources::schema::Schema;
use leno_resources::service::{ClusterIp, TargetPort, TransportProtocol};
use leno_resources::{KINDS, Object, Objects, Resources, schema};

#[track_caller]
fn read(text: &str) -> Resources {
    let (resources, notes) = Resources::read(
        [("a.yaml", text.as_bytes().to_vec())],
        &Namespace::default_namespace(),
    );
    assert!(notes.is_empty(), "{notes:#?}");
    resources
}

fn only<T>(objects: &Objects<T>) -> &Object<T> {
    assert_eq!(objects.len(), 1);
    objects.iter().next().unwrap()
}

#[test]
fn a_route_says_all_of_it() {
    let resources = read(
        "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: cart
  namespace: shop
  labels: {team: checkout}
  annotations: {note: \"1\"}
  creationTimestamp: 2026-11-20T10:31:58Z
  managedFields: [{anything: [goes]}]
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 8080}]
  hostnames: [cart.example, '*.shop.example']
  rules:
  - name: beta
    matches:
    - path: {type: Exact, value: /items}
      method: POST
      headers: [{name: X-User, value: beta}]
      queryParams: [{name: v, type: RegularExpression, value: '[0-9]+'}]
    - {}
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: a, value: b}], add: [{name: c, value: d}], remove: [e]}
    backendRefs:
    - {name: cart-v1, port: 8080, weight: 90}
    - {name: cart-v2, namespace: other, port: 8080, weight: 10}
    timeouts: {request: 10s, backendRequest: 500ms}
    retry: {attempts: 3, codes: [503], backoff: 25ms}
  - filters:
    - {type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}
status: {parents: []}
",
    );
    let route = only(&resources.http_routes);
    assert_eq!(route.reference().to_string(), "HTTPRoute shop/cart");
    assert_eq!(route.meta.labels["team"].as_ref(), "checkout");
    assert_eq!(
        route.meta.created.unwrap().to_string(),
        "2026-11-20T10:31:58.000Z"
    );
    let spec = route.spec.sound().unwrap();
    let parent = spec.parent_refs.sound().unwrap()[0];
    assert_eq!((&*parent.group, &*parent.kind), ("", "Service"));
    assert_eq!((parent.name.as_str(), parent.port), ("cart", Some(8080)));
    let hosts = spec.hostnames.sound().unwrap();
    assert_eq!(hosts, [&"cart.example".into(), &"*.shop.example".into()]);

    let rules = spec.rules.sound().unwrap();
    let rule = rules[0];
    assert_eq!(rule.name.as_deref(), Some("beta"));
    let matches = rule.matches.sound().unwrap();
    assert_eq!(matches[0].path.type_, PathMatchType::Exact);
    assert_eq!(matches[0].method, Some(HttpMethod::Post));
    let header = matches[0].headers.sound().unwrap()[0];
    assert_eq!(
        (header.type_, &*header.name),
        (TextMatchType::Exact, "X-User")
    );
    let query = matches[0].query_params.sound().unwrap()[0];
    assert_eq!(query.type_, TextMatchType::RegularExpression);
    assert_eq!(matches[1].path, everything());
    let filter = rule.filters.sound().unwrap()[0];
    assert_eq!(filter.type_, HttpRouteFilterType::RequestHeaderModifier);
    let changes = filter.request_header_modifier.as_ref().unwrap();
    assert_eq!(changes.remove.sound().unwrap(), [&"e".into()]);
    let backends = rule.backend_refs.sound().unwrap();
    assert_eq!((backends[0].weight, backends[1].weight), (90, 10));
    assert_eq!(backends[1].namespace.as_ref().unwrap().as_str(), "other");
    let timeouts = rule.timeouts.as_ref().unwrap();
    assert_eq!(timeouts.request, Some(Duration::from_secs(10)));
    assert_eq!(timeouts.backend_request, Some(Duration::from_millis(500)));
    let retry = rule.retry.as_ref().unwrap();
    assert_eq!(
        (retry.attempts, retry.codes.sound().unwrap()),
        (Some(3), vec![&503])
    );

    let redirect = rules[1].filters.sound().unwrap()[0]
        .request_redirect
        .as_ref()
        .unwrap();
    assert_eq!(redirect.scheme, Some(RedirectScheme::Https));
    assert_eq!(redirect.status_code, 301);
    assert_eq!(rules[1].matches.sound().unwrap()[0].path, everything());
}

fn everything() -> HttpPathMatch {
    HttpPathMatch {
        type_: PathMatchType::PathPrefix,
        value: "/".into(),
    }
}

#[test]
fn defaults_are_those_of_the_crd() {
    let resources = read(
        "\
apiVersion: gateway.networking.k8s.io/v1beta1
kind: HTTPRoute
metadata: {name: cart}
spec:
  parentRefs: [{name: gateway}]
",
    );
    let spec = only(&resources.http_routes).spec.sound().unwrap();
    let parent = spec.parent_refs.sound().unwrap()[0];
    assert_eq!(
        (&*parent.group, &*parent.kind),
        ("gateway.networking.k8s.io", "Gateway")
    );
    let rules = spec.rules.sound().unwrap();
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0].matches.sound().unwrap()[0].path, everything());
}

#[test]
fn a_mesh_of_our_own_kinds() {
    let resources = read(
        "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {trustDomain: shop.local, mtls: Strict, default: Deny, certificates: {lifetime: 1h}}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web, labels: {app: web}}
spec:
  run: {command: [./web, -p, 8080], workingDirectory: web, env: {PORT: 8080, DEBUG: true}}
  serviceAccount: front
  ports: [{name: http, port: 8080, protocol: HTTP}]
  instances: [{address: 10.0.0.7}, {name: two, address: 'fd00::7', network: lab}]
  locality: {region: eu, zone: eu-1}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: mail}
spec: {run: {command: exec mailer --port 25}}
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: web}
spec:
  targetRefs: [{kind: Service, name: web}]
  mtls: Permissive
  rules:
  - callers:
    - {identity: shop/cart}
    - {identity: spiffe://other.local/ns/a/sa/b, ipBlock: 10.0.0.0/8}
    requests:
    - {ports: [8080], methods: [GET], hosts: ['*.shop'], paths: [{value: /a}]}
  - action: Deny
---
apiVersion: leno.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web}
spec:
  timeouts: {connect: 1s, request: 0s}
  retry: {attempts: 2, codes: [503]}
  retryBudget: {percent: 20, atLeastPerSecond: 3}
",
    );
    let mesh = only(&resources.meshes).spec.sound().unwrap();
    assert_eq!(
        (mesh.mtls, mesh.default),
        (Some(MtlsMode::Strict), Some(Stance::Deny))
    );
    let certificates = mesh.certificates.as_ref().unwrap();
    assert_eq!(certificates.lifetime, Duration::from_secs(3600));

    let name = |name| Name::new(name).unwrap();
    let here = Namespace::default_namespace();
    let web = resources.workloads.get(Some(&here), &name("web")).unwrap();
    let spec = web.spec.sound().unwrap();
    let run = spec.run.as_ref().unwrap();
    assert_eq!(
        run.command,
        Command::Words(["./web", "-p", "8080"].map(Into::into).to_vec())
    );
    assert_eq!(&*run.env["DEBUG"].0, "true");
    let port = spec.ports.sound().unwrap()[0];
    assert_eq!(
        (port.port, port.protocol),
        (8080, Some(WorkloadProtocol::Http))
    );
    let networks = spec.instances.sound().unwrap();
    let networks = networks
        .iter()
        .map(|one| one.network.as_str())
        .collect::<Vec<_>>();
    assert_eq!(networks, ["default", "lab"]);
    let mail = resources.workloads.get(Some(&here), &name("mail")).unwrap();
    let run = mail.spec.sound().unwrap().run.as_ref().unwrap();
    assert_eq!(run.command, Command::Shell("exec mailer --port 25".into()));

    let policy = only(&resources.access_policies).spec.sound().unwrap();
    let target = policy.target_refs.as_ref().unwrap().sound().unwrap()[0];
    assert_eq!(target.kind, TargetKind::Service);
    let rules = policy.rules.as_ref().unwrap().sound().unwrap();
    assert_eq!(
        (rules[0].action, rules[1].action),
        (AccessAction::Allow, AccessAction::Deny)
    );
    let callers = rules[0].callers.sound().unwrap();
    assert!(matches!(callers[0].identity, Some(Identity::Short(..))));
    assert!(matches!(callers[1].identity, Some(Identity::Spiffe(_))));
    assert_eq!(callers[1].ip_block.unwrap().bits(), 8);
    let path = rules[0].requests.sound().unwrap()[0].paths.sound().unwrap()[0];
    assert_eq!(path.type_, AccessPathType::PathPrefix);

    let traffic = only(&resources.traffic_policies).spec.sound().unwrap();
    assert!(traffic.target_refs.is_none());
    assert_eq!(
        traffic.timeouts.as_ref().unwrap().request,
        Some(Duration::ZERO)
    );
}

#[test]
fn services_as_kubernetes_writes_them() {
    let resources = read(
        "\
apiVersion: v1
kind: Service
metadata: {name: cart, creationTimestamp: null}
spec:
  selector: {app: cart}
  clusterIP: 10.96.0.7
  clusterIPs: [10.96.0.7, 'fd00::7']
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: PreferDualStack
  internalTrafficPolicy: Cluster
  sessionAffinity: None
  type: ClusterIP
  ports:
  - {name: http, port: 80, targetPort: web, protocol: TCP, appProtocol: http}
  - {name: dns, port: 53, targetPort: 5353, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {a: b}}
spec: {finalizers: [kubernetes]}
",
    );
    let here = Namespace::default_namespace();
    let service = |name| {
        let service = resources
            .services
            .get(Some(&here), &Name::new(name).unwrap());
        service.unwrap().spec.sound().unwrap()
    };
    let cart = service("cart");
    let ports = cart.ports.sound().unwrap();
    assert_eq!(ports[0].target_port, Some(TargetPort::Name("web".into())));
    assert_eq!(ports[1].target_port, Some(TargetPort::Number(5353)));
    assert_eq!(ports[1].protocol, TransportProtocol::Udp);
    assert_eq!(cart.cluster_ips.len(), 2);
    assert_eq!(service("headless").cluster_ip, Some(ClusterIp::Headless));
    assert_eq!(
        only(&resources.namespaces).reference().to_string(),
        "Namespace shop"
    );
}

#[test]
fn every_field_can_be_pointed_at() {
    let text = "\
apiVersion: v1
kind: Service
metadata: {name: cart}
spec:
  selector: {\"a/b~c\": d}
  ports:
  - port: 80
    name: http
";
    let resources = read(text);
    let service = only(&resources.services);
    for (pointer, line, column, width) in [
        ("", 1, 1, 10),
        ("/metadata", 3, 11, 12),
        ("/metadata/name", 3, 18, 4),
        ("/spec/selector/a~1b~0c", 5, 23, 1),
        ("/spec/ports", 7, 5, 4),
        ("/spec/ports/0", 7, 5, 4),
        ("/spec/ports/0/name", 8, 11, 4),
        ("/spec/ports/0/targetPort", 7, 5, 4),
        ("/spec/ports/7", 7, 5, 4),
    ] {
        let span = service.span(pointer);
        let found = (span.start.line, span.start.column, span.width);
        assert_eq!(found, (line, column, width), "{pointer}");
        assert_eq!(service.origin(pointer).place, Some(span.start), "{pointer}");
    }
    assert_eq!(service.source().line(7).unwrap(), "  - port: 80");
}

#[test]
fn every_field_of_every_kind_is_explained() {
    fn walk(path: &str, schema: &'static Schema, told: &mut usize) {
        assert!(schema.doc.ends_with('.'), "{path}: {}", schema.doc);
        for field in schema.fields {
            let path = format!("{path}.{}", field.key);
            assert!(field.doc.ends_with('.'), "{path}: {}", field.doc);
            assert!(!(field.required && field.default.is_some()), "{path}");
            *told += 1;
            if let Some(schema) = field.shape.schema() {
                walk(&path, schema, told);
            }
        }
    }
    let mut told = 0;
    for kind in KINDS {
        walk(kind, schema(kind).unwrap(), &mut told);
    }
    assert!(told > 300, "{told}");
    let weight = schema("HTTPRoute")
        .unwrap()
        .at("spec.rules.backendRefs.weight")
        .unwrap();
    assert_eq!(weight.default, Some("1"));
    assert!(
        schema("HTTPRoute")
            .unwrap()
            .at("spec.rules.name")
            .is_some_and(|field| !field.required)
    );
    assert!(
        schema("HTTPRoute")
            .unwrap()
            .at("spec.parentRefs.name")
            .is_some_and(|field| field.required)
    );
    assert!(schema("Deployment").is_none());
}

#[test]
fn a_list_that_cannot_be_read_is_not_a_list_that_is_absent() {
    for unreadable in ["7", "[]", "{kind: Service, name: web}", "[7]"] {
        let text = format!(
            "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: web}}\nspec: {{targetRefs: {unreadable}}}"
        );
        let (resources, notes) = Resources::read(
            [("a.yaml", text.into_bytes())],
            &Namespace::default_namespace(),
        );
        assert!(notes.has_errors());
        let spec = only(&resources.access_policies).spec.partly().unwrap();
        let targets = spec.target_refs.as_ref().unwrap();
        assert!(
            targets.len() == 1 && targets.sound().is_none(),
            "{unreadable}"
        );
    }
}
