//! The same objects as a chart of Helm: what is chosen of an installation are its values.

use leno_model::{ControlName, TrustDomain};
use serde_json::{Value, json};

use super::{Installation, Object, in_yaml, mesh, node, pod};
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
        } = Parts::open(self.name.clone());
        let mut files = vec![
            file("Chart.yaml", about(release)),
            file("values.yaml", values(self, domain)),
            file("templates/control.yaml", templated(&control)),
        ];
        // What is there once is the default one's.
        if self.name.is_none() {
            files.push(file("crds/crds.yaml", in_yaml(&kinds)));
            files.push(file(
                "templates/node.yaml",
                only_if("node", &templated(&node)),
            ));
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
}

impl Parts {
    /// With what is chosen left open.
    fn open(name: Option<ControlName>) -> Self {
        let open = Installation {
            name,
            image: value("image"),
            storage_class: Some(value("storageClass")),
            node: false,
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
        let node = node::all(&open).into();
        Self {
            kinds,
            control,
            node,
        }
    }
}

/// Who loads the packet rules of pods with proxies in them, as a value says it.
const BY: &str = "{{ ternary `node` `pod` .Values.node | toJson }}";

/// Where the container of a Deployment is.
const CONTAINER: &str = "/spec/template/spec/containers/0";

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
        "description": "A service mesh that explains itself: its control plane",
        "version": release,
        "appVersion": release,
        "kubeVersion": ">=1.30.0-0",
    }))
}

fn values(chosen: &Installation, domain: &TrustDomain) -> String {
    let resources = chosen.objects().iter().find_map(|object| {
        let container = object.body.pointer(CONTAINER)?;
        Some(container["resources"].clone())
    });
    let one = |about: &str, name: &str, value: &Value| {
        format!("# {about}\n{}", yaml::written(&json!({name: value})))
    };
    let mut values = vec![
        one(
            "The image of the control plane and of pods' proxies",
            "image",
            &json!(chosen.image),
        ),
        one(
            "The class of the volume for its state; null: the cluster's default",
            "storageClass",
            &json!(chosen.storage_class),
        ),
        one(
            "What the control plane asks for",
            "resources",
            &resources.unwrap_or_default(),
        ),
    ];
    let nodes = match &chosen.name {
        None => {
            "Whether there is a proxy on each node, for pods of leno.dev/dataplane-mode: node, and so that no other needs NET_ADMIN"
        }
        Some(_) => {
            "Whether the default control plane has a proxy on each node: that one loads the packet rules of pods"
        }
    };
    values.push(one(nodes, "node", &json!(chosen.node)));
    if chosen.name.is_none() {
        values.push(one(
            "The trust domain of a Mesh that is made; null: none is, since there is one",
            "trustDomain",
            &json!(domain.as_str()),
        ));
    }
    values.join("\n")
}

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
        let control = filled(text("leno/templates/control.yaml"));
        assert!(!control.contains("{{"), "{control}");
        assert_eq!(all(&control), all(&in_yaml(&expect)));
        let inside = |text: &str| {
            let made = filled(text);
            let lines = made.lines().filter(|line| !line.starts_with("{{-"));
            all(&lines.collect::<Vec<_>>().join("\n"))
        };
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
        let paths: Vec<_> = files_beside.iter().map(|(path, _)| &**path).collect();
        let expect = ["Chart.yaml", "values.yaml", "templates/control.yaml"];
        assert_eq!(paths, expect.map(|path| format!("leno/{path}")));
        let control = filled(&files_beside[2].1);
        assert_eq!(all(&control), all(&in_yaml(&beside.objects())));
        assert!(files_beside[1].1.contains("node: true"));

        let values = text("leno/values.yaml");
        for line in [
            "image: leno.test/leno:1",
            "storageClass: fast",
            "node: true",
            "trustDomain: shop.local",
        ] {
            assert!(values.contains(line), "{values}");
        }
    }
}
