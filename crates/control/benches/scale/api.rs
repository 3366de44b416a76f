//! An API server of Kubernetes as far as a control plane reads it: lists in pages, and watches that tell what
//! changes from then on. Its objects are made up, with all that real ones carry along.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// What it holds and tells.
#[derive(Clone)]
pub(crate) struct Api {
    pods: Arc<Mutex<BTreeMap<String, String>>>,
    services: Arc<Vec<String>>,
    route: Arc<Mutex<Option<String>>>,
    /// What changes, and in which list.
    told: broadcast::Sender<(&'static str, Arc<str>)>,
}

/// Where pods are listed and watched.
const PODS: &str = "/api/v1/pods";
/// Where services are.
const SERVICES: &str = "/api/v1/services";
/// Where routes are.
const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/httproutes";
/// How many changes a watch may be behind.
const MOST_BEHIND: usize = 100_000;

impl Api {
    pub(crate) fn new(services: Vec<String>, pods: BTreeMap<String, String>) -> Self {
        Self {
            pods: Arc::new(Mutex::new(pods)),
            services: Arc::new(services),
            route: Arc::default(),
            told: broadcast::Sender::new(MOST_BEHIND),
        }
    }

    /// Serves for as long as its runtime runs.
    pub(crate) async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let api = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let api = api.clone();
                tokio::spawn(async move { api.answer(stream).await });
            }
        });
        address
    }

    /// One pod is replaced by another.
    pub(crate) fn replace(&self, old: &str, new: &str, object: String) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = pods.remove(old).expect("it is there");
        self.tell(PODS, "DELETED", &gone);
        self.tell(PODS, "ADDED", &object);
        pods.insert(new.to_owned(), object);
    }

    /// The one route is another, or there is one.
    pub(crate) fn route(&self, object: String) {
        let mut route = self.route.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = if route.is_some() { "MODIFIED" } else { "ADDED" };
        self.tell(ROUTES, kind, &object);
        *route = Some(object);
    }

    fn tell(&self, list: &'static str, kind: &str, object: &str) {
        let line = format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n");
        // Nobody hears it before the control plane has listed.
        drop(self.told.send((list, line.into())));
    }

    async fn answer(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                match stream.read_line(&mut head).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return,
                }
            }
            let target = head.split(' ').nth(1).unwrap_or_default();
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let asked = |name: &str| {
                let mut asked = query.split('&').filter_map(|word| word.split_once('='));
                asked
                    .find(|(word, _)| *word == name)
                    .map(|(_, value)| value)
            };
            if asked("watch") == Some("true") {
                return self.watch(path, stream).await;
            }
            let begin = asked("continue").and_then(|word| word.parse().ok());
            let limit = asked("limit").and_then(|word| word.parse().ok());
            let body = match head.starts_with("GET /api/") || path == ROUTES {
                true => self.list(path, begin.unwrap_or(0), limit.unwrap_or(usize::MAX)),
                false => NOT_FOUND.to_owned(),
            };
            let status = if body == NOT_FOUND {
                "404 Not Found"
            } else {
                "200 OK"
            };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let told = [head.as_bytes(), body.as_bytes()].concat();
            if stream.write_all(&told).await.is_err() {
                return;
            }
        }
    }

    fn list(&self, path: &str, begin: usize, limit: usize) -> String {
        let page: Vec<String> = match path {
            PODS => {
                let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
                pods.values().skip(begin).take(limit).cloned().collect()
            }
            SERVICES => {
                let services = self.services.iter().skip(begin).take(limit);
                services.cloned().collect()
            }
            ROUTES => {
                let route = self.route.lock().unwrap_or_else(PoisonError::into_inner);
                route.iter().cloned().collect()
            }
            _ => Vec::new(),
        };
        let more = match page.len() == limit {
            true => format!(",\"continue\":\"{}\"", begin + limit),
            false => String::new(),
        };
        let items = page.join(",");
        format!(
            "{{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{{\"resourceVersion\":\"1\"{more}}},\"items\":[{items}]}}"
        )
    }

    async fn watch(&self, path: &str, mut stream: BufReader<TcpStream>) {
        let mut told = self.told.subscribe();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut gone = stream.write_all(head.as_bytes()).await.is_err();
        while !gone {
            let Ok((list, line)) = told.recv().await else {
                return;
            };
            if list != path {
                continue;
            }
            let chunk = format!("{:x}\r\n{line}\r\n", line.len());
            gone = stream.write_all(chunk.as_bytes()).await.is_err();
        }
    }
}

const NOT_FOUND: &str =
    r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}"#;

/// A Service of `namespace` that selects the pods of this app.
pub(crate) fn service(namespace: &str, name: &str, address: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{name}","namespace":"{namespace}","uid":"3f1d8a3e-0000-4000-8000-{address}","resourceVersion":"1","creationTimestamp":"2026-01-01T00:00:00Z","labels":{{"app":"{name}"}},{}}},"spec":{{"clusterIP":"{address}","clusterIPs":["{address}"],"internalTrafficPolicy":"Cluster","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","ports":[{{"name":"http","port":80,"protocol":"TCP","targetPort":8080}}],"selector":{{"app":"{name}"}},"sessionAffinity":"None","type":"ClusterIP"}},"status":{{"loadBalancer":{{}}}}}}"#,
        managed()
    )
}

/// A route of a Service to itself that gives a call so many seconds.
pub(crate) fn route(namespace: &str, service: &str, seconds: usize) -> String {
    format!(
        r#"{{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{{"name":"{service}","namespace":"{namespace}","uid":"9f1d8a3e-0000-4000-8000-000000000000","resourceVersion":"{seconds}","generation":{seconds},"creationTimestamp":"2026-01-01T00:00:00Z",{}}},"spec":{{"parentRefs":[{{"group":"","kind":"Service","name":"{service}"}}],"rules":[{{"backendRefs":[{{"group":"","kind":"Service","name":"{service}","port":80,"weight":1}}],"timeouts":{{"request":"{seconds}s"}}}}]}}}}"#,
        managed()
    )
}

/// A pod that is ready, of the app's Deployment.
pub(crate) fn pod(namespace: &str, app: &str, name: &str, address: &str) -> String {
    let head = format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{name}","namespace":"{namespace}","uid":"7c1d8a3e-0000-4000-8000-{address}","resourceVersion":"1","generateName":"{app}-5d8c7b9f6d-","creationTimestamp":"2026-01-01T00:00:00Z","labels":{{"app":"{app}","pod-template-hash":"5d8c7b9f6d"}},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"{app}-5d8c7b9f6d","uid":"1c1d8a3e-0000-4000-8000-000000000000","controller":true,"blockOwnerDeletion":true}}],{}}},"#,
        managed()
    );
    let spec = format!(
        r#""spec":{{"serviceAccountName":"default","serviceAccount":"default","nodeName":"node-1","containers":[{{"name":"server","image":"registry.example/{app}:1","ports":[{{"name":"http","containerPort":8080,"protocol":"TCP"}}],"resources":{{"requests":{{"cpu":"100m","memory":"128Mi"}}}},"env":[{{"name":"PORT","value":"8080"}},{{"name":"APP","value":"{app}"}}],"livenessProbe":{{"httpGet":{{"path":"/healthz","port":8080,"scheme":"HTTP"}},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}},"volumeMounts":[{{"name":"token","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}}],"terminationMessagePath":"/dev/termination-log","imagePullPolicy":"IfNotPresent"}}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","schedulerName":"default-scheduler","volumes":[{{"name":"token","projected":{{"sources":[{{"serviceAccountToken":{{"expirationSeconds":3607,"path":"token"}}}}]}}}}],"tolerations":[{{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}}]}},"#
    );
    let status = format!(
        r#""status":{{"phase":"Running","conditions":[{{"type":"Initialized","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}},{{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}},{{"type":"ContainersReady","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}},{{"type":"PodScheduled","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}}],"hostIP":"192.168.0.1","hostIPs":[{{"ip":"192.168.0.1"}}],"podIP":"{address}","podIPs":[{{"ip":"{address}"}}],"startTime":"2026-01-01T00:00:00Z","containerStatuses":[{{"name":"server","state":{{"running":{{"startedAt":"2026-01-01T00:00:00Z"}}}},"ready":true,"restartCount":0,"image":"registry.example/{app}:1","imageID":"registry.example/{app}@sha256:0000000000000000000000000000000000000000000000000000000000000000","containerID":"containerd://0000000000000000000000000000000000000000000000000000000000000000","started":true}}],"qosClass":"Burstable"}}}}"#
    );
    [head, spec, status].concat()
}

/// Who wrote which field, as every object of a cluster carries it along.
fn managed() -> &'static str {
    r#""managedFields":[{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:generateName":{},"f:labels":{".":{},"f:app":{},"f:pod-template-hash":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"1c1d8a3e-0000-4000-8000-000000000000\"}":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"server\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{},"f:protocol":{}}},"f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:enableServiceLinks":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}}]"#
}
