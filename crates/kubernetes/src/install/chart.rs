//! The same objects as a chart of Helm: what is chosen of an installation are its values.

use leno_model::{ControlName, TrustDomain};
use leno_resources::pod::CONTROL;
use serde_json::{Map, Value, json};

use super::{Installation, NAMESPACE, NetworkFolders, Object, hook, in_yaml, mesh, node, pod};
use crate::yaml;

/// What in an object stands for a value of the chart.
fn value(name: &str) -> String {
    format!("{{{{ .Values.{name} | toJson }}}}")
}

impl Installation {
    /// The files of a chart of Helm that makes this of a release, by their paths: what is chosen is what its values are
    /// where nobody says other ones.
    pub fn chart(&self, domain: &TrustDomain, release: &str) -> Vec<(String, String)> {
        let file = |path: &str, text: String| (format!("leno/{path}"), text);
        let Parts {
            kinds,
            control,
            node,
            uninstall,
        } = Parts::open(self.name.clone());
        let values = values(self, domain);
        let mut files = vec![
            file("Chart.yaml", about(release)),
            file("README.md", readme(self.name.as_ref(), &values)),
            file("values.yaml", written(&values)),
            file("values.schema.json", schema(&values)),
            file(
                "templates/control.yaml",
                [ELSEWHERE, &templated(&control)].concat(),
            ),
            file("templates/NOTES.txt", notes(self.name.as_ref())),
        ];
        // What is there once is the default one's.
        if self.name.is_none() {
            let node = [UNLESS_CLEARING, &templated(&node)].concat();
            files.push(file("crds/crds.yaml", in_yaml(&kinds)));
            files.push(file("templates/node.yaml", only_if("node", &node)));
            let uninstall = [SAY_WHEN, &templated(&uninstall)].concat();
            files.push(file("templates/uninstall.yaml", uninstall));
            files.push(file("templates/mesh.yaml", mesh_template(domain)));
        }
        files
    }
}

/// What Helm makes. It makes the namespace itself.
struct Parts {
    /// The kinds, which it wants to know of first.
    kinds: Vec<Object>,
    control: Vec<Object>,
    node: Vec<Object>,
    /// What it makes for as long as nodes are cleared.
    uninstall: Vec<Object>,
}

impl Parts {
    /// With what is chosen left open.
    fn open(name: Option<ControlName>) -> Self {
        let open = Installation {
            name,
            image: value("image"),
            storage_class: Some(value("storageClass")),
            node: false,
            network: NetworkFolders {
                plugins: value("cniBin"),
                configurations: value("cniConf"),
            },
        };
        let mut objects = open.objects();
        objects.retain(|object| object.kind() != "Namespace");
        for object in &mut objects {
            if let Some(container) = object.body.pointer_mut(CONTAINER) {
                container["resources"] = value("resources").into();
                let arguments = container["args"].as_array_mut().into_iter().flatten();
                let mut behind = arguments.skip_while(|it| *it != pod::CAPTURED_BY).skip(1);
                if let Some(by) = behind.next() {
                    *by = BY.into();
                }
            }
        }
        let is_kind = |object: &Object| object.kind() == "CustomResourceDefinition";
        let (kinds, control) = objects.into_iter().partition(is_kind);
        Self {
            kinds,
            control,
            node: node::all(&open).map(in_pods).into(),
            uninstall: hook::all(&open.image).map(hooked).into(),
        }
    }
}

/// An object in which a folder of the node is named as a value says, with where in pods that is.
fn in_pods(mut object: Object) -> Object {
    fn within(body: &mut Value) {
        match body {
            Value::Array(items) => items.iter_mut().for_each(within),
            Value::Object(fields) => fields.values_mut().for_each(within),
            Value::String(text) => {
                let folders = ["cniBin", "cniConf"].into_iter();
                let mut folders = folders.filter(|name| *text == node::in_pod(&value(name)));
                if let Some(name) = folders.next() {
                    *text = in_pod(name);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    within(&mut object.body);
    object
}

/// What stands for where in a pod the folder of a node is that a value names.
fn in_pod(name: &str) -> String {
    format!("{{{{ printf `/host%s` .Values.{name} | toJson }}}}")
}

/// Who loads the packet rules of pods with proxies in them, as a value says it.
const BY: &str = "{{ ternary `node` `pod` .Values.node | toJson }}";

/// Where the container of a Deployment is.
const CONTAINER: &str = "/spec/template/spec/containers/0";

/// When nodes are cleared: before proxies go with all of it, or because there are to be none any more. Helm goes by what the
/// release says that it goes back to, or that was not finished, so that such a one has to say it as well. Where no proxies
/// are, nothing is run: an image that no node can have would keep Helm from taking away what it is named in. Who makes
/// documents of a chart, and asks no cluster, is not told of proxies that are there.
const WHEN: &str = "{{ $when | toJson }}";
const SAY_WHEN: &str = r#"{{- $proxies := or (lookup "apps/v1" "DaemonSet" "leno-system" "leno-node") (lookup "apps/v1" "DaemonSet" "leno-system" "leno-node-remove") }}
{{- $unknown := not (lookup "v1" "Namespace" "" "kube-system") }}
{{- $when := "pre-rollback" }}
{{- if .Values.node }}{{ $when = "pre-delete" }}{{ else if or $proxies $unknown }}{{ $when = "pre-upgrade,pre-rollback,pre-delete" }}{{ end }}
"#;

/// An object that Helm makes for a while. One that fails stays, to be looked at until the next.
fn hooked(mut object: Object) -> Object {
    let weight = match object.kind() {
        "Job" => "0",
        _ => "-1",
    };
    object.body["metadata"]["annotations"] = json!({
        "helm.sh/hook": WHEN,
        "helm.sh/hook-weight": weight,
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
        "helm.sh/hook-output-log-policy": "hook-failed",
    });
    object
}

/// All of it stands in one namespace, which Helm has to be told of to make it.
const ELSEWHERE: &str = r#"{{- if ne .Release.Namespace "leno-system" }}{{ fail "this chart is for the namespace leno-system: --namespace leno-system --create-namespace" }}{{ end }}
"#;

/// Proxies would come back to nodes that are still to be cleared of what they have put there.
const UNLESS_CLEARING: &str = r#"{{- if lookup "apps/v1" "DaemonSet" "leno-system" "leno-node-remove" }}{{ fail "K020 nodes-not-cleared: nodes are still being cleared of earlier proxies. To end that: kubectl delete daemonset leno-node-remove -n leno-system" }}{{ end }}
"#;

/// Documents in which a value stands as Helm writes it: its JSON is YAML.
fn templated(objects: &[Object]) -> String {
    let text = in_yaml(objects);
    text.replace("\"{{", "{{").replace("}}\"", "}}")
}

fn mesh_template(domain: &TrustDomain) -> String {
    let mut mesh = mesh(domain);
    mesh.body["spec"]["trustDomain"] = value("trustDomain").into();
    only_if("trustDomain", &templated(&[mesh]))
}

/// Documents that are made only if a value says something.
fn only_if(value: &str, documents: &str) -> String {
    format!("{{{{- if .Values.{value} }}}}\n{documents}{{{{- end }}}}\n")
}

fn about(release: &str) -> String {
    yaml::written(&json!({
        "apiVersion": "v2",
        "name": "leno",
        "description": ABOUT,
        "home": "https://leno.dev",
        "version": release,
        "appVersion": release,
        "kubeVersion": ">=1.30.0-0",
    }))
}

const ABOUT: &str = "A service mesh that explains itself: its control plane";

/// What Helm says once it has installed something.
fn notes(name: Option<&ControlName>) -> String {
    match name {
        None => NOTES.to_owned(),
        Some(name) => format!(
            "The control plane {name} comes up beside the default one. For the pods of a namespace, then:\n\n  \
             kubectl label namespace NAME {CONTROL}={name}\n  kubectl rollout restart deployment -n NAME\n"
        ),
    }
}

const NOTES: &str = "\
Leno comes up in {{ .Release.Namespace }}. To have a namespace in the mesh, then:

  kubectl rollout status -n {{ .Release.Namespace }} deployment/leno-control
{{- if .Values.node }}
  kubectl rollout status -n {{ .Release.Namespace }} daemonset/leno-node
  kubectl label namespace NAME leno.dev/dataplane-mode=node
{{- else }}
  kubectl label namespace NAME leno.dev/dataplane-mode=sidecar
  kubectl rollout restart deployment -n NAME
{{- end }}

What it finds:  leno check --context kubeconfig
";

/// A value of the chart: what is said of it, its name, what it is where nobody says another one, and of which types it can
/// be.
struct Open {
    about: &'static str,
    name: &'static str,
    value: Value,
    types: &'static [&'static str],
}

fn values(chosen: &Installation, domain: &TrustDomain) -> Vec<Open> {
    let resources = chosen.objects().iter().find_map(|object| {
        let container = object.body.pointer(CONTAINER)?;
        Some(container["resources"].clone())
    });
    let mut values = vec![
        Open {
            about: "The image of the control plane and of pods' proxies",
            name: "image",
            value: json!(chosen.image),
            types: &["string"],
        },
        Open {
            about: "The class of the volume for its state; null: the cluster's default",
            name: "storageClass",
            value: json!(chosen.storage_class),
            types: &["string", "null"],
        },
        Open {
            about: "What the control plane asks for",
            name: "resources",
            value: resources.unwrap_or_default(),
            types: &["object"],
        },
        Open {
            about: match &chosen.name {
                None => {
                    "Whether there is a proxy on each node, for pods of leno.dev/dataplane-mode: node, and so that no other needs NET_ADMIN"
                }
                Some(_) => {
                    "Whether the default control plane has a proxy on each node: that one loads the packet rules of pods"
                }
            },
            name: "node",
            value: json!(chosen.node),
            types: &["boolean"],
        },
    ];
    if chosen.name.is_none() {
        let folder = |about, name, folder: &str| Open {
            about,
            name,
            value: json!(folder),
            types: &["string"],
        };
        values.push(folder(
            "Where the runtime of nodes looks for network plugins",
            "cniBin",
            &chosen.network.plugins,
        ));
        values.push(folder(
            "Where it looks for network configurations",
            "cniConf",
            &chosen.network.configurations,
        ));
        values.push(Open {
            about: "The trust domain of a Mesh that is made; null: none is, since there is one",
            name: "trustDomain",
            value: json!(domain.as_str()),
            types: &["string", "null"],
        });
    }
    values
}

fn written(values: &[Open]) -> String {
    let one = |it: &Open| {
        let value = yaml::written(&json!({it.name: it.value}));
        format!("# {}\n{value}", it.about)
    };
    values.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// By which Helm refuses a value that is misspelt, or a word where a yes or no is meant.
fn schema(values: &[Open]) -> String {
    let property = |it: &Open| {
        let schema = json!({"description": it.about, "type": it.types});
        (it.name.to_owned(), schema)
    };
    let mut properties: Map<_, _> = values.iter().map(property).collect();
    // Of charts that this one is a part of.
    properties.insert("global".to_owned(), json!({}));
    let always = values.iter().filter(|it| !it.types.contains(&"null"));
    let always: Vec<_> = always.map(|it| it.name).collect();
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": properties,
        "required": always,
        "additionalProperties": false,
    });
    format!("{schema:#}\n")
}

/// What `helm show readme` says.
fn readme(name: Option<&ControlName>, values: &[Open]) -> String {
    let row = |it: &Open| format!("| `{}` | {} | `{}` |\n", it.name, it.about, it.value);
    let rows: String = values.iter().map(row).collect();
    let (release, more, rest) = match name {
        None => ("leno".to_owned(), " --create-namespace", REST),
        Some(name) => (format!("leno-{name}"), "", ""),
    };
    format!(
        "# Leno\n\n{ABOUT}.\n\n```\nhelm install {release} leno.tgz --namespace {NAMESPACE}{more}\n```\n\n\
         | value | what | default |\n|---|---|---|\n{rows}{rest}"
    )
}

const REST: &str = "
Helm changes no kinds in an upgrade: `kubectl apply --server-side -f crds/crds.yaml` of a newer chart comes before it. Nor does it
take them away: with them would go all that you have written. `leno uninstall` after `helm uninstall` takes away what is left.

What the proxies of nodes have put there is taken away before they go, by a Job that is made for it (`leno-uninstall`). Where that
fails, Helm shows its log, and takes nothing else away; `leno explain K020` says what a node may lack. Then say the same again.
";

#[cfg(test)]
mod tests {
    use leno_resources::yaml::{Entry, Meaning, Node, Value as Meant, documents};

    use super::*;

    /// What a node says, wherever it stands and however it is quoted.
    fn said(node: &Node) -> Value {
        match &node.value {
            Meant::Scalar(text, Meaning::Plain | Meaning::Quoted) => json!(&**text),
            Meant::Scalar(_, meaning) => json!({"means": format!("{meaning:?}")}),
            Meant::List(items) => items.iter().map(said).collect(),
            Meant::Map(entries) => {
                let entry = |entry: &Entry| (entry.key.to_string(), said(&entry.value));
                entries.iter().map(entry).collect()
            }
        }
    }

    fn all(text: &str) -> Vec<Value> {
        let read = documents(text.as_bytes());
        read.map(|document| said(&document.unwrap())).collect()
    }

    #[test]
    fn what_a_chart_makes_is_what_is_installed() {
        let chosen = Installation {
            name: None,
            image: "leno.test/leno:1".to_owned(),
            storage_class: Some("fast".to_owned()),
            node: true,
            network: NetworkFolders {
                plugins: "/home/kubernetes/bin".to_owned(),
                ..NetworkFolders::default()
            },
        };
        let domain = TrustDomain::new("shop.local").unwrap();
        let files = chosen.chart(&domain, "1.2.3");
        let text = |path: &str| &files.iter().find(|(it, _)| it == path).unwrap().1;
        assert!(text("leno/Chart.yaml").contains("\nversion: \"1.2.3\"\n"));

        // As Helm would fill it in.
        let requests = r#"{"requests": {"cpu": "100m", "memory": "128Mi"}}"#;
        let filled = |text: &str| {
            let text = text.replace(&value("image"), r#""leno.test/leno:1""#);
            let text = text.replace(&value("storageClass"), r#""fast""#);
            let text = text.replace(&value("cniBin"), r#""/home/kubernetes/bin""#);
            let text = text.replace(&in_pod("cniBin"), r#""/host/home/kubernetes/bin""#);
            let text = text.replace(&value("cniConf"), r#""/etc/cni/net.d""#);
            let text = text.replace(&in_pod("cniConf"), r#""/host/etc/cni/net.d""#);
            let text = text.replace(&value("resources"), requests);
            let text = text.replace(BY, r#""node""#);
            text.replace(&value("trustDomain"), r#""shop.local""#)
        };
        let mut expect = chosen.objects();
        expect.retain(|object| object.kind() != "Namespace");
        let is_kind = |object: &Object| object.kind() == "CustomResourceDefinition";
        let (kinds, expect): (Vec<_>, Vec<_>) = expect.into_iter().partition(is_kind);
        let of_node = node::all(&chosen);
        let (node, expect): (Vec<_>, Vec<_>) =
            expect.into_iter().partition(|it| of_node.contains(it));
        let inside = |text: &str| {
            let made = filled(text);
            let lines = made.lines().filter(|line| !line.starts_with("{{-"));
            let made = lines.collect::<Vec<_>>().join("\n");
            assert!(!made.contains("{{"), "{made}");
            all(&made)
        };
        assert_eq!(
            inside(text("leno/templates/control.yaml")),
            all(&in_yaml(&expect))
        );
        assert_eq!(
            inside(text("leno/templates/node.yaml")),
            all(&in_yaml(&node))
        );
        assert_eq!(all(text("leno/crds/crds.yaml")), all(&in_yaml(&kinds)));
        assert_eq!(
            inside(text("leno/templates/mesh.yaml")),
            all(&in_yaml(&[mesh(&domain)]))
        );
        let beside = Installation {
            name: Some(ControlName::new("canary").unwrap()),
            ..chosen.clone()
        };
        let files_beside = beside.chart(&domain, "1.2.3");
        let only_of_default = files
            .iter()
            .filter(|(path, _)| !files_beside.iter().any(|(it, _)| it == path));
        let only_of_default: Vec<_> = only_of_default.map(|(path, _)| &**path).collect();
        let expect = [
            "crds/crds.yaml",
            "templates/node.yaml",
            "templates/uninstall.yaml",
            "templates/mesh.yaml",
        ];
        assert_eq!(only_of_default, expect.map(|path| format!("leno/{path}")));
        let text_beside = |path: &str| &files_beside.iter().find(|(it, _)| it == path).unwrap().1;
        let control = inside(text_beside("leno/templates/control.yaml"));
        assert_eq!(control, all(&in_yaml(&beside.objects())));
        assert!(text_beside("leno/values.yaml").contains("node: true"));

        let values = text("leno/values.yaml");
        for line in [
            "image: leno.test/leno:1",
            "storageClass: fast",
            "node: true",
            "cniBin: /home/kubernetes/bin",
            "cniConf: /etc/cni/net.d",
            "trustDomain: shop.local",
        ] {
            assert!(values.contains(line), "{values}");
        }
    }

    #[test]
    fn nodes_are_cleared_whenever_proxies_are_to_go() {
        let chosen = Installation {
            name: None,
            image: "leno.test/leno:1".to_owned(),
            storage_class: None,
            node: true,
            network: NetworkFolders::default(),
        };
        let files = chosen.chart(&TrustDomain::new("shop.local").unwrap(), "1.2.3");
        let (_, text) = files
            .iter()
            .find(|(path, _)| path == "leno/templates/uninstall.yaml")
            .unwrap();
        let filled = text.strip_prefix(SAY_WHEN).unwrap();
        let filled = filled.replace(&value("image"), r#""leno.test/leno:1""#);
        let mut made = all(&filled.replace(WHEN, r#""pre-delete""#));
        let made = made.iter_mut().map(|object| {
            let metadata = object["metadata"].as_object_mut().unwrap();
            let said = metadata.remove("annotations").unwrap();
            assert_eq!(said["helm.sh/hook"], "pre-delete");
            object.take()
        });
        // It is what `leno uninstall` takes away where one was left, with an account that is there before it.
        let expect = all(&in_yaml(&hook::all("leno.test/leno:1")));
        assert_eq!(made.collect::<Vec<_>>(), expect);
        let weights: Vec<_> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("helm.sh/hook-weight: "))
            .collect();
        assert_eq!(weights, [r#""-1""#, r#""-1""#, r#""-1""#, r#""0""#]);
    }

    #[test]
    fn values_that_say_nothing_are_refused() {
        let chosen = Installation {
            name: None,
            image: "leno.test/leno:1".to_owned(),
            storage_class: None,
            node: false,
            network: NetworkFolders::default(),
        };
        let values = values(&chosen, &TrustDomain::new("shop.local").unwrap());
        let schema: Value = serde_json::from_str(&schema(&values)).unwrap();
        let always = ["image", "resources", "node", "cniBin", "cniConf"];
        assert_eq!(schema["required"], json!(always));
        assert_eq!(schema["properties"]["node"]["type"], json!(["boolean"]));
        assert_eq!(schema["additionalProperties"], false);
    }
}
