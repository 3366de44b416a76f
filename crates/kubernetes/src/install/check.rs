//! Whether a control plane can be put into a cluster, and what stands against it. Nothing is changed.

mod gateway;
mod namespaces;
mod others;
mod rights;
mod storage;

use kube::Error;
use leno_model::{Code, ControlName, Severity, TrustDomain};
use leno_resources::spellings;

use super::{Installation, NAMESPACE, NotApplied, Object, spelling};
use crate::cluster::Cluster;
use crate::document;
use crate::words::in_words;

/// What was found.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is well: what was looked at, and how it is.
    pub passed: Vec<(&'static str, String)>,
    /// What is not.
    pub problems: Vec<Problem>,
    /// The meshes that are there, by the name of their trust domain.
    pub meshes: Vec<String>,
}

/// Something that stands against it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What it is called.
    pub code: Code,
    /// An error has to be mended first; a warning is worth knowing.
    pub severity: Severity,
    /// What it is about: `StorageClass fast`.
    pub object: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What holds if nothing is done about it.
    pub in_force: &'static str,
    /// The command that mends it.
    pub next: Option<String>,
}

impl Problem {
    fn error(code: Code, message: String) -> Self {
        Self {
            code,
            severity: Severity::Error,
            object: None,
            message,
            in_force: "nothing is changed",
            next: None,
        }
    }

    fn warning(code: Code, message: String, in_force: &'static str) -> Self {
        Self {
            severity: Severity::Warning,
            in_force,
            ..Self::error(code, message)
        }
    }
}

/// The oldest Kubernetes in which pods can have sidecars that start before them and end after them, and wait before they
/// end without a program of theirs.
const OLDEST: u32 = 30;

impl Cluster {
    /// Looks whether what is chosen can be put there, by whoever asks. Fails where nothing can be found out.
    pub async fn check(
        &self,
        chosen: &Installation,
        objects: &[Object],
        domain: Option<&TrustDomain>,
    ) -> Result<Checked, NotApplied> {
        let mut checked = Checked::default();
        self.version(&mut checked).await?;
        self.rights(objects, &mut checked).await;
        self.gateway_api(&mut checked).await;
        self.storage(chosen, &mut checked).await;
        self.other_meshes(&mut checked).await;
        self.namespaces(chosen, &mut checked).await;
        if let Some(name) = &chosen.name {
            self.default_one(name, &mut checked).await?;
        }
        if chosen.node && chosen.name.is_none() {
            self.own_namespace(&mut checked).await;
        }
        self.meshes(domain, &mut checked).await;
        Ok(checked)
    }

    /// Whether there is a default control plane for one of this name to stand beside.
    async fn default_one(
        &self,
        name: &ControlName,
        checked: &mut Checked,
    ) -> Result<(), NotApplied> {
        let there = self.control_planes().await?;
        if there.contains(&None) {
            let told = format!("is there, and {name} beside it takes its trust from there");
            checked.passed.push(("default", told));
            return Ok(());
        }
        let message = format!(
            "there is no control plane in {NAMESPACE} that has no name: {name} would wait for it"
        );
        checked.problems.push(Problem {
            next: Some("leno install".to_owned()),
            ..Problem::error(Code::K024, message)
        });
        Ok(())
    }

    async fn version(&self, checked: &mut Checked) -> Result<(), NotApplied> {
        let told = self.client.apiserver_version().await;
        let told = told.map_err(|why| match &why {
            Error::Api(status) if matches!(status.code, 401 | 403) => NotApplied::Forbidden {
                object: "the cluster's version".to_owned(),
                why: in_words(&why),
            },
            _ => NotApplied::Away {
                why: in_words(&why),
            },
        })?;
        let known = told.git_version;
        if is_too_old(&told.major, &told.minor) {
            let message = format!("Kubernetes {known} is older than 1.{OLDEST}");
            let next = Some("kubectl version".to_owned());
            checked.problems.push(Problem {
                next,
                ..Problem::error(Code::K002, message)
            });
        } else {
            checked.passed.push(("Kubernetes", known));
        }
        Ok(())
    }

    /// Which meshes there are. Whoever wants one of a trust domain gets no other.
    async fn meshes(&self, domain: Option<&TrustDomain>, checked: &mut Checked) {
        let kind = spelling("Mesh");
        let api = kube::Api::<kube::api::DynamicObject>::all_with(
            self.client.clone(),
            &document::resource(&kind),
        );
        let meshes = match api.list(&kube::api::ListParams::default()).await {
            Ok(meshes) => meshes.items,
            // Of a kind that is not known yet there are none.
            Err(Error::Api(status)) if status.code == 404 => Vec::new(),
            Err(why) => return checked.problems.push(unseen("meshes.leno.dev", &why)),
        };
        for mesh in meshes {
            let name = mesh.metadata.name.unwrap_or_default();
            let told = mesh.data["spec"]["trustDomain"].as_str().map(str::to_owned);
            let own = told.unwrap_or_else(|| format!("{name}.local"));
            if domain.is_some_and(|domain| domain.as_str() != own) {
                checked.problems.push(Problem {
                    object: Some(format!("Mesh {name}")),
                    next: Some(format!("leno install --trust-domain {own}")),
                    ..Problem::error(Code::K009, format!("its trust domain is {own}"))
                });
            }
            checked.meshes.push(own);
        }
        if let [own] = &checked.meshes[..] {
            checked.passed.push(("mesh", format!("is there, of {own}")));
        }
    }
}

/// What could not be looked at, and is not known therefore.
fn unseen(what: &str, why: &Error) -> Problem {
    let message = format!("{what} cannot be looked at: {}", in_words(why));
    Problem::warning(Code::K003, message, "what they say is not known here")
}

fn is_too_old(major: &str, minor: &str) -> bool {
    // Some clusters write `29+`.
    let number = |text: &str| text.trim_end_matches('+').parse::<u32>().ok();
    match (number(major), number(minor)) {
        (Some(1), Some(minor)) => minor < OLDEST,
        // Nothing follows from what is written otherwise.
        _ => false,
    }
}

/// The names of resources that are watched and belong to a group: `httproutes`.
fn watched(group: &str) -> impl Iterator<Item = &'static str> + use<'_> {
    let of_group = spellings().filter(move |kind| {
        let named = kind.api_version.split_once('/');
        named.is_some_and(|(it, _)| it == group)
    });
    of_group.map(|kind| kind.plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kubernetes_is_told_by_its_minor_version() {
        for (major, minor, old) in [
            ("1", "28", true),
            ("1", "28+", true),
            ("1", "29", true),
            ("1", "30", false),
            ("1", "36", false),
            ("2", "0", false),
            ("", "", false),
        ] {
            assert_eq!(is_too_old(major, minor), old, "{major}.{minor}");
        }
    }

    #[test]
    fn gateway_api_is_what_is_watched_of_it() {
        let kinds: Vec<_> = watched("gateway.networking.k8s.io").collect();
        assert!(kinds.contains(&"httproutes"), "{kinds:?}");
        assert!(!kinds.contains(&"meshes"), "{kinds:?}");
    }
}
