//! The same objects as a chart of Helm: what is chosen of an installation are its values.

use leno_model::TrustDomain;
use serde_json::{Value, json};

use super::{Installation, Object, in_yaml, mesh, yaml};

/// What in an object stands for a value of the chart.
fn value(name: &str) -> String {
    format!("{{{{ .Values.{name} | toJson }}}}")
}

impl Installation {
    /// The files of a chart of Helm that makes this of a release, by their paths: what is chosen is what its values are
    /// where nobody says other ones.
    pub fn chart(&self, domain: &TrustDomain, release: &str) -> Vec<(String, String)> {
        let file = |path: &str, text: String| (format!("leno/{path}"), text);
        let (kinds, objects) = parted();
        vec![
            file("Chart.yaml", about(release)),
            file("values.yaml", values(self, domain)),
            file("crds/crds.yaml", in_yaml(&kinds)),
            file("templates/control.yaml", templated(&objects)),
            file("templates/mesh.yaml", mesh_template(domain)),
        ]
    }
}

/// The kinds, which Helm wants to know of first, and all objects that it makes. It makes the namespace itself.
fn parted() -> (Vec<Object>, Vec<Object>) {
    let open = Installation {
        image: value("image"),
        storage_class: Some(value("storageClass")),
    };
    let mut objects = open.objects();
    objects.retain(|object| object.kind() != "Namespace");
    for object in &mut objects {
        if let Some(container) = object.body.pointer_mut(CONTAINER) {
            container["resources"] = value("resources").into();
        }
    }
    let is_kind = |object: &Object| object.kind() == "CustomResourceDefinition";
    objects.into_iter().partition(is_kind)
}

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
    let text = templated(&[mesh]);
    format!("{{{{- if .Values.trustDomain }}}}\n{text}{{{{- end }}}}\n")
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
    [
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
        one(
            "The trust domain of a Mesh that is made; null: none is, since there is one",
            "trustDomain",
            &json!(domain.as_str()),
        ),
    ]
    .join("\n")
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
            image: "leno.test/leno:1".to_owned(),
            storage_class: Some("fast".to_owned()),
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
            text.replace(&value("trustDomain"), r#""shop.local""#)
        };
        let mut expect = chosen.objects();
        expect.retain(|object| object.kind() != "Namespace");
        let is_kind = |object: &Object| object.kind() == "CustomResourceDefinition";
        let (kinds, expect): (Vec<_>, Vec<_>) = expect.into_iter().partition(is_kind);
        let control = filled(text("leno/templates/control.yaml"));
        assert!(!control.contains("{{"), "{control}");
        assert_eq!(all(&control), all(&in_yaml(&expect)));
        assert_eq!(all(text("leno/crds/crds.yaml")), all(&in_yaml(&kinds)));
        let made = filled(text("leno/templates/mesh.yaml"));
        let made: Vec<_> = made
            .lines()
            .filter(|line| !line.starts_with("{{-"))
            .collect();
        assert_eq!(all(&made.join("\n")), all(&in_yaml(&[mesh(&domain)])));
        let values = text("leno/values.yaml");
        for line in [
            "image: leno.test/leno:1",
            "storageClass: fast",
            "trustDomain: shop.local",
        ] {
            assert!(values.contains(line), "{values}");
        }
    }
}
