//! Whether proxies have taken what a cluster's objects say.

use std::collections::BTreeMap;
use std::sync::Arc;

use leno_compile::Report;
use leno_kubernetes::Standings;
use leno_model::ObjectRef;
use leno_model::view::Generation;

/// The objects of which not every proxy is known to have what they say, and in which generation they said so first.
#[derive(Debug, Default)]
pub(crate) struct Programming {
    waiting: BTreeMap<ObjectRef, (Option<i64>, Arc<Generation>)>,
}

impl Programming {
    /// Whether some proxy is waited for.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Adds to what is reported of all objects, judged in `now`, whether proxies have it. `lacking` names those which
    /// have not taken a generation. What stands in an object's status already is not asked again. It is asked
    /// once for each generation in which something was changed that some proxy lacks.
    pub(crate) fn add_to(
        &mut self,
        reports: &mut [Report<'_>],
        standings: &Standings,
        now: &Arc<Generation>,
        lacking: impl Fn(&Generation) -> Vec<String>,
    ) {
        let mut known: Vec<(Arc<Generation>, Vec<String>)> = Vec::new();
        let before = std::mem::take(&mut self.waiting);
        for report in reports {
            if leno_kubernetes::is_programmed(standings, report) {
                report.programmed(&[]);
                continue;
            }
            let waited = before.get(&**report.object);
            let waited = waited.filter(|(spec, _)| *spec == report.generation);
            let since = waited.map_or(now, |(_, since)| since);
            let at = known.iter().position(|(one, _)| one == since);
            let at = at.unwrap_or_else(|| {
                known.push((Arc::clone(since), lacking(since)));
                known.len() - 1
            });
            let lacking = &known[at].1;
            report.programmed(lacking);
            if !lacking.is_empty() {
                let waits = (report.generation, Arc::clone(since));
                self.waiting.insert(ObjectRef::clone(report.object), waits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use leno_compile::{Says, compile, reports};
    use leno_model::Namespace;
    use leno_resources::Resources;

    use super::*;

    /// A policy whose spec is of this generation, and that is about this Service.
    fn policy(spec: i64, service: &str) -> String {
        format!(
            "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\n\
             metadata: {{name: cart, namespace: shop, generation: {spec}}}\n\
             spec: {{targetRefs: [{{kind: Service, name: {service}}}], default: Deny}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: cart, namespace: shop}}\nspec: {{ports: [{{port: 80}}]}}\n"
        )
    }

    fn at(position: u64) -> Arc<Generation> {
        Arc::new(Generation {
            epoch: 1,
            positions: [("store".into(), position)].into(),
        })
    }

    /// What is said of the policy where proxies have taken these positions.
    fn told(
        programming: &mut Programming,
        (text, now): (&str, u64),
        proxies: &[(&str, u64)],
    ) -> String {
        let file = (Arc::from("a.yaml"), text.as_bytes().to_vec());
        let (resources, mut notes) = Resources::read([file], &Namespace::default_namespace());
        notes.extend(compile(&resources).1);
        let mut reports = reports(&resources, &notes);
        let lacking = |generation: &Generation| {
            let lacks = |(_, has): &&(&str, u64)| !at(*has).follows(generation);
            let lacking = proxies.iter().filter(lacks);
            lacking.map(|(name, _)| (*name).to_owned()).collect()
        };
        programming.add_to(&mut reports, &Standings::new(), &at(now), lacking);
        let Says::Itself(conditions) = &reports[0].says else {
            panic!("{reports:?}")
        };
        let told = conditions.iter().map(|it| format!("{it} {}", it.message));
        told.map(|line| line.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn an_object_is_programmed_once_every_proxy_has_what_it_first_said() {
        let mut programming = Programming::default();
        let (first, second) = (policy(1, "cart"), policy(2, "cart"));
        let pending = told(
            &mut programming,
            (&first, 7),
            &[("cart-1", 7), ("web-1", 6)],
        );
        assert_eq!(
            pending,
            "Accepted=True Accepted; Programmed=False Pending not taken yet by the proxy web-1: leno proxies"
        );
        assert!(programming.is_waiting());
        // What others change meanwhile is not waited for.
        let programmed = told(
            &mut programming,
            (&first, 9),
            &[("cart-1", 9), ("web-1", 7)],
        );
        assert_eq!(
            programmed,
            "Accepted=True Accepted; Programmed=True Programmed"
        );
        assert!(!programming.is_waiting());
        // Another spec is waited for anew, from the first on.
        let both = [("cart-1", 9), ("web-1", 7)];
        let pending = "Accepted=True Accepted; Programmed=False Pending not taken yet by the proxy cart-1 and 1 more: leno proxies";
        assert_eq!(told(&mut programming, (&second, 10), &both), pending);
        let third = policy(3, "cart");
        let behind = [("cart-1", 11), ("web-1", 10)];
        let one = pending.replace("cart-1 and 1 more", "web-1");
        assert_eq!(told(&mut programming, (&third, 11), &behind), one);
        // What is not accepted is in no proxy.
        let broken = told(
            &mut programming,
            (&policy(4, "nobody"), 12),
            &[("web-1", 12)],
        );
        assert_eq!(
            broken,
            "Accepted=False Invalid no Service nobody in shop; Programmed=False Invalid"
        );
    }
}
