//! Which sources may have other keys than those that are known: the ones of policies by whose words
//! proxies refused tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use leno_model::ObjectRef;
use leno_model::view::access::KeySource;

/// Sources that are looked at, each with the policies that name it.
pub(super) type Wanted = BTreeMap<KeySource, BTreeSet<Arc<ObjectRef>>>;

/// What is doubted, never more than is wanted.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// The sources that each policy names, by what proxies call it.
    named: BTreeMap<String, BTreeSet<KeySource>>,
    doubted: BTreeSet<KeySource>,
}

impl Doubts {
    /// Doubts the sources of these policies; says whether they have any. What is no policy is passed over.
    pub(super) fn add(&mut self, policies: &BTreeSet<&str>) -> bool {
        let named = policies.iter().filter_map(|policy| self.named.get(*policy));
        let before = self.doubted.len();
        self.doubted.extend(named.flatten().cloned());
        self.doubted.len() > before
    }

    /// Gives what was doubted since the last time, of what is wanted; that is what can be doubted from now on.
    pub(super) fn take(&mut self, wanted: &Wanted) -> BTreeSet<KeySource> {
        self.named.clear();
        for (source, policies) in wanted {
            for policy in policies {
                let sources = self.named.entry(policy.to_string()).or_default();
                sources.insert(source.clone());
            }
        }
        let mut doubted = mem::take(&mut self.doubted);
        doubted.retain(|source| wanted.contains_key(source));
        doubted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leno_model::view::access::KeyPlace;
    use leno_model::{Name, Namespace};

    use super::*;

    #[test]
    fn what_policies_name_is_doubted_if_it_is_wanted() {
        let source = |place: &str| KeySource {
            place: KeyPlace::Url(place.into()),
            every: Duration::from_secs(300),
            keep: Duration::from_secs(86_400),
        };
        let policy = |name: &str| {
            Arc::new(ObjectRef {
                kind: "AccessPolicy".into(),
                namespace: Some(Namespace::new("shop").unwrap()),
                name: Name::new(name).unwrap(),
            })
        };
        let (own, shared) = (source("https://id.test/own"), source("https://id.test/all"));
        let both = [policy("cart"), policy("stock")];
        let mut wanted = Wanted::from([
            (own.clone(), [policy("cart")].into()),
            (shared.clone(), both.into()),
        ]);
        let mut doubts = Doubts::default();
        assert!(
            !doubts.add(&["AccessPolicy shop/cart"].into()),
            "not wanted yet"
        );
        assert_eq!(doubts.take(&wanted), [].into());

        assert!(!doubts.add(&["AccessPolicy shop/nobodys", "nonsense"].into()));
        assert!(doubts.add(&["AccessPolicy shop/stock"].into()));
        assert!(
            !doubts.add(&["AccessPolicy shop/stock"].into()),
            "nothing new"
        );
        assert_eq!(doubts.take(&wanted), [shared.clone()].into());

        assert!(doubts.add(&["AccessPolicy shop/cart", "AccessPolicy shop/stock"].into()));
        wanted.remove(&own);
        assert_eq!(doubts.take(&wanted), [shared].into());
        assert_eq!(doubts.take(&wanted), [].into());
    }
}
