use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

fn injection() -> Injection {
    Injection {
        name: None,
        image: "leno.dev/leno:1".to_owned(),
        mesh: "leno-mesh:shop.local:00:leno-control.leno-system.svc:15012".to_owned(),
        captured_by: Placement::Sidecar,
        refuses_datagrams: false,
        while_away: WhileAway::Closed,
    }
}

/// The same where there is a proxy on each node.
fn with_nodes() -> Injection {
    Injection {
        captured_by: Placement::Node,
        ..injection()
    }
}

/// What the API server is answered about a pod.
fn answered(pod: &Value) -> Value {
    answered_for(Placement::Sidecar, pod)
}

fn answered_for(placement: Placement, pod: &Value) -> Value {
    answered_by(&injection(), placement, pod)
}

fn answered_by(injection: &Injection, placement: Placement, pod: &Value) -> Value {
    answered_in(Around::default(), injection, placement, pod)
}

fn answered_in(around: Around, injection: &Injection, placement: Placement, pod: &Value) -> Value {
    let asked = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                       "request": {"uid": "7", "namespace": "shop", "object": pod}});
    let around = |namespace: &Namespace| {
        assert_eq!(namespace.as_str(), "shop");
        around
    };
    let answer = injection.review(placement, around, asked.to_string().as_bytes());
    let answer = answer.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["response"]["uid"], "7");
    answer["response"].clone()
}

/// A pod with what such an answer changes in it: additions, each to a list or as a new field, and what is moved within a
/// list.
fn changed(pod: &Value, answer: &Value) -> Value {
    let patch = STANDARD.decode(answer["patch"].as_str().unwrap()).unwrap();
    let patch: Vec<Value> = serde_json::from_slice(&patch).unwrap();
    let mut pod = pod.clone();
    for change in patch {
        let at = |field: &str| change[field].as_str().unwrap().rsplit_once('/').unwrap();
        let (parent, last) = at("path");
        if change["op"] == "move" {
            let (from, taken) = at("from");
            assert_eq!(from, parent);
            let list = pod.pointer_mut(parent).unwrap().as_array_mut().unwrap();
            let moved = list.remove(taken.parse().unwrap());
            list.insert(last.parse().unwrap(), moved);
            continue;
        }
        assert_eq!(change["op"], "add");
        match pod.pointer_mut(parent).unwrap() {
            Value::Array(list) => {
                let at = last.parse().unwrap_or(list.len());
                list.insert(at, change["value"].clone());
            }
            Value::Object(fields) => {
                let before = fields.insert(last.to_owned(), change["value"].clone());
                assert_eq!(before, None);
            }
            other => panic!("{other}"),
        }
    }
    pod
}

fn names(list: &Value) -> Vec<&str> {
    let all = list.as_array().unwrap().iter();
    all.map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn a_proxy_starts_before_all_else_and_what_is_left_out_is_said() {
    let pod = json!({
        "metadata": {"annotations": {"leno.dev/skip-inbound-ports": "22,8000-8010"}},
        "spec": {"initContainers": [{"name": "migrate"}], "containers": [{"name": "cart"}],
                 "volumes": [{"name": "data"}]}});
    let answer = answered(&pod);
    assert_eq!(answer["allowed"], true);
    let made = changed(&pod, &answer);
    let init = &made["spec"]["initContainers"];
    assert_eq!(names(init), ["leno-capture", "leno-proxy", "migrate"]);
    assert_eq!(names(&made["spec"]["containers"]), ["cart"]);
    assert_eq!(
        names(&made["spec"]["volumes"]),
        ["data", "leno-token", "leno-state"]
    );
    assert_eq!(
        init[0]["args"],
        json!(["capture", "--skip-inbound-ports=22,8000-8010"])
    );
    assert_eq!(init[1]["restartPolicy"], "Always");
    assert_eq!(init[1]["securityContext"]["runAsUser"], 15008);
    // Asked once more, after somebody else has changed the pod.
    assert_eq!(answered(&made), json!({"uid": "7", "allowed": true}));
}

#[test]
fn what_is_added_to_a_pod_takes_what_the_pod_gives_it() {
    let pod = |limit: &str| {
        let annotations = json!({"leno.dev/proxy-memory-limit": limit});
        json!({"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "cart"}]}})
    };
    let bounded = pod("128Mi");
    let made = changed(&bounded, &answered(&bounded));
    let expect =
        json!({"requests": {"cpu": "10m", "memory": "24Mi"}, "limits": {"memory": "128Mi"}});
    for container in made["spec"]["initContainers"].as_array().unwrap() {
        assert_eq!(container["resources"], expect);
    }
    assert_eq!(made["spec"]["containers"][0]["resources"], Value::Null);
    let unread = pod("128MB");
    let expect = "leno: leno.dev/proxy-memory-limit: \"128MB\" is no amount of memory like 64Mi";
    assert_eq!(answered(&unread)["status"]["message"], expect);
    // The proxy of its node is none of the pod's.
    assert_eq!(answered_for(Placement::Node, &unread)["allowed"], true);
}

#[test]
fn whoever_comes_later_puts_nothing_before_the_proxy() {
    let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "cart"}]}});
    let check = |injection: &Injection, places: &[usize], expect: &[&str]| {
        let answer = answered_by(injection, Placement::Sidecar, &pod);
        let mut made = changed(&pod, &answer);
        let init = made["spec"]["initContainers"].as_array_mut().unwrap();
        for place in places {
            init.insert(*place, json!({"name": format!("secrets-{place}")}));
        }
        let answer = answered_by(injection, Placement::Sidecar, &made);
        let moved = changed(&made, &answer);
        assert_eq!(names(&moved["spec"]["initContainers"]), expect);
        let again = answered_by(injection, Placement::Sidecar, &moved);
        assert_eq!(again, json!({"uid": "7", "allowed": true}));
    };
    let [capture, proxy] = ["leno-capture", "leno-proxy"];
    check(&injection(), &[0], &[capture, proxy, "secrets-0"]);
    check(&injection(), &[1], &[capture, proxy, "secrets-1"]);
    let both = [capture, proxy, "secrets-0", "secrets-2"];
    check(&injection(), &[0, 2], &both);
    check(&with_nodes(), &[0], &[proxy, "secrets-0"]);
}

#[test]
fn where_nodes_have_proxies_nothing_in_a_pod_may_change_rules() {
    let pod = json!({"metadata": {"annotations": {"leno.dev/skip-inbound-ports": "22"}},
                     "spec": {"initContainers": [{"name": "migrate"}], "containers": [{"name": "cart"}]}});
    let sidecar = |injection: &Injection| {
        let answer = answered_by(injection, Placement::Sidecar, &pod);
        let made = changed(&pod, &answer);
        assert!(!made.to_string().contains("NET_ADMIN"), "{made}");
        let init = &made["spec"]["initContainers"];
        assert_eq!(names(init), ["leno-proxy", "migrate"]);
        let again = answered_by(injection, Placement::Sidecar, &made);
        assert_eq!(again, json!({"uid": "7", "allowed": true}));
        init[0].clone()
    };
    let closed = sidecar(&with_nodes());
    // The first own step waits for an answer that only packet rules lead to the proxy.
    let ready = json!({"path": "/ready", "port": 15001});
    assert_eq!(closed["startupProbe"]["httpGet"], ready);
    assert_eq!(closed["readinessProbe"]["httpGet"], ready);
    let open = sidecar(&Injection {
        while_away: WhileAway::Open,
        ..with_nodes()
    });
    assert_eq!(open["startupProbe"]["tcpSocket"], json!({"port": 15008}));
    assert_eq!(open["readinessProbe"]["httpGet"], ready);
}

#[test]
fn a_name_of_ours_lets_nobody_around_the_proxy() {
    let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "cart"}]}});
    let made = changed(&pod, &answered(&pod));
    let judged = |change: &dyn Fn(&mut Value)| {
        let mut pod = made.clone();
        change(&mut pod["spec"]["initContainers"]);
        let answer = answered(&pod);
        match answer["allowed"] == true {
            true => {
                assert_eq!(answer["patch"], Value::Null);
                "made".to_owned()
            }
            false => answer["status"]["message"].as_str().unwrap().to_owned(),
        }
    };
    // Defaults, and what a cluster gives to all containers.
    let token = json!({"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"});
    let usual = judged(&|init| {
        for container in init.as_array_mut().unwrap() {
            container["imagePullPolicy"] = "IfNotPresent".into();
            container["terminationMessagePath"] = "/dev/termination-log".into();
            if container["volumeMounts"].is_null() {
                container["volumeMounts"] = json!([]);
            }
            let mounts = container["volumeMounts"].as_array_mut().unwrap();
            mounts.push(token.clone());
        }
        init[1]["startupProbe"]["timeoutSeconds"] = 1.into();
        init[1]["startupProbe"]["httpGet"]["scheme"] = "HTTP".into();
        init[1]["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] = "v1".into();
        let region = json!({"name": "AWS_REGION", "value": "eu-north-1"});
        init[1]["env"].as_array_mut().unwrap().push(region);
    });
    assert_eq!(usual, "made");
    let is_refused = |index: usize, field: &str, value: Value| {
        let told = judged(&|init| init[index][field] = value.clone());
        let name = ["leno-capture", "leno-proxy"][index];
        let expect = format!("leno: container {name} bears the name of one that Leno adds to pods");
        assert!(told.starts_with(&expect), "{field}: {told}");
    };
    is_refused(0, "image", "evil:1".into());
    is_refused(0, "args", json!(["exec", "/bin/sh"]));
    is_refused(1, "command", json!(["/bin/sh"]));
    is_refused(1, "image", "evil:1".into());
    let admin = json!({"runAsUser": 15008, "capabilities": {"add": ["NET_ADMIN"]}});
    is_refused(1, "securityContext", admin);
    is_refused(1, "livenessProbe", json!({"exec": {"command": ["/leno"]}}));
    is_refused(
        1,
        "env",
        json!([{"name": "LD_PRELOAD", "value": "/var/run/secrets/x"}]),
    );
    for path in ["/leno", "/var/run/secrets/../../../leno"] {
        is_refused(0, "volumeMounts", json!([{"name": "x", "mountPath": path}]));
    }
    // Beside it nothing is ours, nor where nothing is added.
    let named = json!({"containers": [{"name": "cart"}, {"name": "leno-proxy"}]});
    let expect = "leno: container leno-proxy bears the name of one that Leno adds to pods, and is not that one: call it \
                  otherwise";
    assert_eq!(told(json!({}), named.clone()), expect);
    let pod = json!({"metadata": {}, "spec": named});
    assert_eq!(
        answered_for(Placement::Node, &pod)["status"]["message"],
        expect
    );
    // What loads rules is none of ours where nodes do.
    let answer = answered_by(&with_nodes(), Placement::Sidecar, &made);
    let told = answer["status"]["message"].as_str().unwrap();
    assert!(
        told.starts_with("leno: container leno-capture bears"),
        "{told}"
    );
}

#[test]
fn a_pod_without_lists_gets_them() {
    let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "cart"}]}});
    let made = changed(&pod, &answered(&pod));
    assert_eq!(
        names(&made["spec"]["initContainers"]),
        ["leno-capture", "leno-proxy"]
    );
    assert_eq!(
        names(&made["spec"]["volumes"]),
        ["leno-token", "leno-state"]
    );
}

/// What is said of a pod that gets no proxy.
fn told(metadata: Value, spec: Value) -> String {
    let answer = answered(&json!({"metadata": metadata, "spec": spec}));
    let said = match answer["allowed"] == true {
        true => &answer["warnings"][0],
        false => &answer["status"]["message"],
    };
    said.as_str().unwrap().to_owned()
}

fn told_of(container: Value) -> String {
    let mut container = container;
    container["name"] = "cart".into();
    told(json!({}), json!({"containers": [container]}))
}

#[test]
fn what_could_get_around_its_proxy_is_not_made() {
    let adds = |name: &str| json!({"securityContext": {"capabilities": {"add": [name]}}});
    let expect = "leno: container cart has NET_ADMIN, by which it can get around its proxy: take it away, or say \
                  leno.dev/dataplane-mode: none";
    assert_eq!(told_of(adds("NET_ADMIN")), expect);
    for name in ["CAP_NET_RAW", "net_raw", "ALL", "SYS_ADMIN"] {
        assert!(told_of(adds(name)).contains(name));
    }
    let privileged = told_of(json!({"securityContext": {"privileged": true}}));
    assert!(privileged.contains("has privileged"));
    let expect = "leno: container cart runs as user 15008, which is the proxy's: what that one sends is not captured";
    assert_eq!(
        told_of(json!({"securityContext": {"runAsUser": 15008}})),
        expect
    );
    let user = json!({"securityContext": {"runAsUser": 15008}, "containers": [{"name": "cart"}]});
    assert!(told(json!({}), user).starts_with("leno: the pod runs as user 15008"));
}

#[test]
fn a_pod_that_another_mesh_carries_is_not_captured_twice() {
    let plain = || json!({"containers": [{"name": "cart"}]});
    let by_sidecar = told(
        json!({}),
        json!({"containers": [{"name": "cart"}, {"name": "linkerd-proxy"}]}),
    );
    assert!(by_sidecar.starts_with(
        "leno: Linkerd is asked to carry this pod's calls too (the container linkerd-proxy)"
    ));
    let with_init = json!({"initContainers": [{"name": "proxyinit"}],
                           "containers": [{"name": "cart"}, {"name": "envoy"}]});
    assert!(told(json!({}), with_init).starts_with("leno: App Mesh is asked"));
    let by_label = told(
        json!({"labels": {"istio.io/dataplane-mode": "ambient"}}),
        plain(),
    );
    assert!(by_label.starts_with("leno: Istio is asked"));
    let by_annotation = told(
        json!({"annotations": {"linkerd.io/inject": "enabled"}}),
        plain(),
    );
    assert!(by_annotation.contains("(linkerd.io/inject: enabled)"));
    let no =
        json!({"metadata": {"annotations": {"linkerd.io/inject": "disabled"}}, "spec": plain()});
    assert_eq!(answered(&no)["patchType"], "JSONPatch");
}

#[test]
fn a_pod_that_istio_takes_up_by_its_namespace_is_not_captured_twice() {
    let around = Around {
        is_ambient: true,
        ..Around::default()
    };
    let answered = |metadata: Value| {
        let pod = json!({"metadata": metadata, "spec": {"containers": [{"name": "cart"}]}});
        Placement::ALL.map(|placement| answered_in(around, &injection(), placement, &pod))
    };
    let expect = "leno: Istio is asked to carry this pod's calls too (istio.io/dataplane-mode: ambient of namespace shop), \
                  and two proxies cannot capture one pod: take that away, or say leno.dev/dataplane-mode: none";
    for answer in answered(json!({})) {
        assert_eq!(answer["status"]["message"], expect);
    }
    for answer in answered(json!({"labels": {"istio.io/dataplane-mode": "none"}})) {
        assert_eq!(answer["patchType"], "JSONPatch");
    }
}

#[test]
fn a_pod_for_its_nodes_proxy_is_made_where_there_is_none_and_its_maker_is_told() {
    let around = Around {
        is_without_nodes: true,
        ..Around::default()
    };
    let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "cart"}]}});
    let answered = |placement| answered_in(around, &injection(), placement, &pod);
    let warned = answered(Placement::Node);
    let expect = "leno: D025 pod-without-node-proxy: no node has a proxy (leno install --node): until its own has, what this \
                  pod calls goes out in plain, and no policy holds there";
    assert_eq!(warned["warnings"], json!([expect]));
    assert_eq!(warned["patchType"], "JSONPatch");
    assert_eq!(answered(Placement::Sidecar)["warnings"], Value::Null);
}

#[test]
fn a_pod_that_cannot_be_captured_is_made_and_its_maker_is_told() {
    let host = told(
        json!({}),
        json!({"hostNetwork": true, "containers": [{"name": "cart"}]}),
    );
    assert!(host.starts_with("leno: a pod with hostNetwork shares its node's network"));
    let windows = told(
        json!({}),
        json!({"os": {"name": "windows"}, "containers": [{"name": "cart"}]}),
    );
    assert!(windows.starts_with("leno: this pod is for windows: it gets no sidecar"));
}

#[test]
fn nothing_is_added_to_the_mirror_of_a_static_pod() {
    let mirror =
        json!({"annotations": {"kubernetes.io/config.mirror": "0f1e2d3c4b5a69788796a5b4c3d2e1f0"}});
    let spec = json!({"containers": [{"name": "cart"}]});
    let expect = "leno: a static pod is made by its node, and this is its mirror: it gets no sidecar, and what it calls goes \
                  out in plain";
    assert_eq!(told(mirror.clone(), spec.clone()), expect);
    // The proxy of its node needs nothing in it.
    let pod = json!({"metadata": mirror, "spec": spec});
    assert_eq!(
        answered_for(Placement::Node, &pod),
        json!({"uid": "7", "allowed": true})
    );
}

#[test]
fn what_is_no_question_about_a_pod_is_refused() {
    let check = |asked: &str| {
        injection()
            .review(Placement::Sidecar, |_| Around::default(), asked.as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert!(check("{").starts_with("this is no AdmissionReview"));
    assert!(check("{}").starts_with("this is no AdmissionReview"));
    let old =
        r#"{"apiVersion": "admission.k8s.io/v1beta1", "request": {"uid": "1", "object": {}}}"#;
    assert_eq!(
        check(old),
        "this is an AdmissionReview of \"admission.k8s.io/v1beta1\", and not of admission.k8s.io/v1"
    );
}

#[test]
fn containers_hear_of_their_end_once_nobody_calls_them() {
    let waits = |annotations: Value, grace: u32, lifecycle: Value| {
        let mut container = json!({"name": "cart"});
        if !lifecycle.is_null() {
            container["lifecycle"] = lifecycle;
        }
        let pod = json!({"metadata": {"annotations": annotations},
                         "spec": {"terminationGracePeriodSeconds": grace, "containers": [container]}});
        let made = changed(&pod, &answered(&pod));
        made["spec"]["containers"][0]["lifecycle"]["preStop"].to_string()
    };
    let two = r#"{"sleep":{"seconds":2}}"#;
    assert_eq!(waits(json!({}), 30, Value::Null), two);
    assert_eq!(
        waits(
            json!({}),
            30,
            json!({"postStart": {"sleep": {"seconds": 1}}})
        ),
        two
    );
    let own = json!({"preStop": {"exec": {"command": ["/quit"]}}});
    assert_eq!(
        waits(json!({}), 30, own),
        r#"{"exec":{"command":["/quit"]}}"#
    );
    assert_eq!(waits(json!({}), 3, Value::Null), "null");
    let says = |seconds: &str| json!({"leno.dev/wait-before-end-seconds": seconds});
    assert_eq!(waits(says("0"), 30, Value::Null), "null");
    assert_eq!(
        waits(says("10"), 30, Value::Null),
        r#"{"sleep":{"seconds":10}}"#
    );
}

#[test]
fn a_wait_that_cannot_be_held_is_told() {
    let check = |said: &str, holds: Value, warning: &str| {
        let annotations = json!({"leno.dev/wait-before-end-seconds": said});
        for placement in Placement::ALL {
            let pod = json!({"metadata": {"annotations": annotations},
                             "spec": {"containers": [{"name": "cart"}], "volumes": []}});
            let answer = answered_for(placement, &pod);
            let warnings = answer["warnings"].as_array();
            let warnings = warnings.map_or("", |all| all[0].as_str().unwrap());
            assert_eq!(warnings, warning, "{said}");
            let made = match answer["patch"].is_null() {
                true => pod,
                false => changed(&pod, &answer),
            };
            let stops = &made["spec"]["containers"][0]["lifecycle"]["preStop"];
            assert_eq!(stops["sleep"]["seconds"], holds, "{said}");
        }
    };
    check("15", json!(15), "");
    let half = "leno: leno.dev/wait-before-end-seconds: 16 is more than half of the 30 seconds that the pod has at its end \
                (terminationGracePeriodSeconds): its containers do not wait";
    check("16", Value::Null, half);
    for said in ["9223372036854775807", "-1", "5s", ""] {
        let unread = format!(
            "leno: leno.dev/wait-before-end-seconds: {said:?} is no number of seconds: what holds is what would without it"
        );
        check(said, json!(2), &unread);
    }
}

#[test]
fn a_pod_of_its_nodes_proxy_gets_no_other_and_cannot_get_around_it() {
    let of_node = |spec: Value| {
        let pod = json!({"metadata": {}, "spec": spec});
        let answer = answered_for(Placement::Node, &pod);
        (pod, answer)
    };
    let (pod, answer) = of_node(json!({"containers": [{"name": "cart"}]}));
    let made = changed(&pod, &answer);
    let container = json!({"name": "cart", "lifecycle": {"preStop": {"sleep": {"seconds": 2}}}});
    assert_eq!(made["spec"], json!({"containers": [container]}));
    assert_eq!(
        answered_for(Placement::Node, &made),
        json!({"uid": "7", "allowed": true})
    );
    // It is known by its mark, and not by a user.
    let user = json!({"securityContext": {"runAsUser": 15008}, "containers": [{"name": "cart"}]});
    assert_eq!(of_node(user).1["patchType"], "JSONPatch");
    let refused = |security: Value| {
        let container = json!({"name": "cart", "securityContext": security});
        let (_, answer) = of_node(json!({"containers": [container]}));
        answer["status"]["message"].as_str().unwrap().to_owned()
    };
    for name in ["NET_ADMIN", "NET_RAW", "SYS_ADMIN"] {
        assert!(refused(json!({"capabilities": {"add": [name]}})).contains(name));
    }
    assert!(refused(json!({"privileged": true})).contains("has privileged"));
    let named = json!({"name": "leno-capture", "securityContext": {"privileged": true}});
    let (_, named) = of_node(json!({"containers": [named]}));
    assert_eq!(named["allowed"], false, "nothing of ours is in such a pod");
    let (_, twice) = of_node(json!({"containers": [{"name": "cart"}, {"name": "istio-proxy"}]}));
    assert_eq!(twice["allowed"], false);
    let (_, left) = of_node(json!({"hostNetwork": true, "containers": [{"name": "cart"}]}));
    let expect = "leno: a pod with hostNetwork shares its node's network: the proxy of its node does not serve it, and \
                  what it calls goes out in plain";
    assert_eq!(left["warnings"], json!([expect]));
}

/// What is answered about a pod that runs and gets a container with these rights: `None` if it gets it.
fn told_of_added(placement: Placement, pod: &Value, security: Value) -> Option<String> {
    let mut pod = pod.clone();
    pod["spec"]["ephemeralContainers"] =
        json!([{"name": "debugger", "image": "busybox", "securityContext": security}]);
    let asked = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                       "request": {"uid": "7", "namespace": "shop", "subResource": "ephemeralcontainers", "object": pod}});
    let around = |_: &Namespace| Around::default();
    let answer = injection().review(placement, around, asked.to_string().as_bytes());
    let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
    let answer = &answer["response"];
    match answer["allowed"] == true {
        true => {
            assert_eq!(*answer, json!({"uid": "7", "allowed": true}));
            None
        }
        false => Some(answer["status"]["message"].as_str().unwrap().to_owned()),
    }
}

#[test]
fn a_container_that_a_running_pod_gets_cannot_get_around_its_proxy() {
    let bare = json!({"metadata": {}, "spec": {"containers": [{"name": "cart"}]}});
    let captured = changed(&bare, &answered(&bare));
    let sidecar = |security: Value| {
        told_of_added(Placement::Sidecar, &captured, security).unwrap_or_default()
    };
    let adds = |name: &str| json!({"capabilities": {"add": [name]}});
    assert_eq!(sidecar(Value::Null), "");
    assert_eq!(sidecar(adds("SYS_PTRACE")), "");
    let expect = "leno: container debugger has NET_ADMIN, by which it can get around its proxy: take it away, or say \
                  leno.dev/dataplane-mode: none";
    assert_eq!(sidecar(adds("NET_ADMIN")), expect);
    assert!(sidecar(adds("NET_RAW")).contains("has NET_RAW"));
    assert!(sidecar(json!({"privileged": true})).contains("has privileged"));
    let user = sidecar(json!({"runAsUser": 15008}));
    assert!(user.starts_with("leno: container debugger runs as user 15008"));
    // A pod that was made without a proxy has none to get around, whatever it says by now.
    let free = |security| told_of_added(Placement::Sidecar, &bare, security);
    assert_eq!(free(adds("NET_ADMIN")), None);

    let node = |pod: &Value, security| told_of_added(Placement::Node, pod, security);
    assert!(node(&bare, adds("NET_RAW")).unwrap().contains("NET_RAW"));
    assert_eq!(node(&bare, json!({"runAsUser": 15008})), None);
    let host =
        json!({"metadata": {}, "spec": {"hostNetwork": true, "containers": [{"name": "cart"}]}});
    assert_eq!(node(&host, adds("NET_RAW")), None);
}

#[test]
fn a_pod_says_itself_whom_its_proxy_follows() {
    let canary = Injection {
        name: Some(ControlName::new("canary").unwrap()),
        ..injection()
    };
    let check = |injection: &Injection, labels: Value, expect: Value| {
        let pod =
            json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "cart"}]}});
        let asked = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                           "request": {"uid": "7", "namespace": "shop", "object": pod}});
        let around = |_: &Namespace| Around::default();
        let answer = injection.review(Placement::Sidecar, around, asked.to_string().as_bytes());
        let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
        let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap());
        let patch: Vec<Value> = serde_json::from_slice(&patch.unwrap()).unwrap();
        let mut labelled = patch.iter();
        let labelled = labelled.find(|it| it["path"].as_str().unwrap().starts_with("/metadata"));
        let labelled = labelled.map_or(Value::Null, |it| json!([it["path"], it["value"]]));
        assert_eq!(labelled, expect, "{labels}");
    };
    let one = json!(["/metadata/labels/leno.dev~1control", "canary"]);
    check(&canary, json!({"app": "cart"}), one);
    let all = json!(["/metadata/labels", {"leno.dev/control": "canary"}]);
    check(&canary, Value::Null, all);
    check(&canary, json!({"leno.dev/control": "canary"}), Value::Null);
    check(&injection(), json!({"app": "cart"}), Value::Null);
}

/// The proxy of a node follows the default control plane, and so do the pods that it serves.
#[test]
fn a_pod_of_its_nodes_proxy_names_no_other_control_plane() {
    let pod = |name: &str| json!({"metadata": {"labels": {"leno.dev/control": name}}, "spec": {"containers": [{"name": "cart"}]}});
    let refused = answered_for(Placement::Node, &pod("canary"));
    let message = refused["status"]["message"].as_str().unwrap();
    assert!(message.contains("leno.dev/control: canary"), "{message}");
    assert_eq!(
        answered_for(Placement::Node, &pod("default"))["allowed"],
        true
    );
    assert_eq!(answered(&pod("canary"))["allowed"], true);
}
