//! Who took part in a call: what a proxy may report, and which service an identity stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_admin::Failure as Refusal;
use leno_compile::Mesh;
use leno_model::flow::{Kind, Side};
use leno_model::near::did_you_mean;
use leno_model::{Name, Namespace, SpiffeId, TrustDomain};

/// Whether a call of this kind is one of a workload's that the proxy `may_act_as`: as its own side
/// tells. What names nobody at its own side must name nobody at the other.
pub(super) fn is_party(
    kind: &Kind,
    domain: &TrustDomain,
    may_act_as: impl Fn(&SpiffeId) -> bool,
) -> bool {
    let (own, other) = match kind.side {
        Side::Source => (&kind.from, &kind.to),
        Side::Destination => (&kind.to, &kind.from),
    };
    match identity(own, domain) {
        Some(id) => may_act_as(&id),
        None => identity(other, domain).is_none(),
    }
}

/// `shop/web` as an identity; nothing for `unknown` and `other`.
fn identity(party: &str, domain: &TrustDomain) -> Option<SpiffeId> {
    let (namespace, account) = party.split_once('/')?;
    Some(SpiffeId {
        trust_domain: domain.clone(),
        namespace: Namespace::new(namespace).ok()?,
        service_account: Name::new(account).ok()?,
    })
}

/// The services by whose names identities are told: who calls is known by an identity, what is called
/// by a service, and a map has one place for both.
#[derive(Debug)]
pub(crate) struct Names(BTreeMap<String, Arc<str>>);

impl Names {
    /// Those of a mesh: an identity that answers for exactly one service, of another name.
    pub(crate) fn of(mesh: &Mesh) -> Self {
        let mut services = BTreeMap::<String, BTreeSet<String>>::new();
        for port in mesh.answers.keys() {
            for (instance, _) in mesh.answering(port) {
                let id = &instance.workload.identity;
                let party = format!("{}/{}", id.namespace, id.service_account);
                let named = services.entry(party).or_default();
                named.insert(port.service.to_string());
            }
        }
        let single = services.into_iter().filter_map(|(party, named)| {
            let one = named.first().filter(|_| named.len() == 1)?;
            let differs = *one != party;
            differs.then(|| (party, Arc::from(one.as_str())))
        });
        Self(single.collect())
    }

    /// A kind with the identities in it told as services.
    pub(crate) fn tell(&self, kind: &Kind) -> Kind {
        let mut told = kind.clone();
        self.rename(&mut told.from);
        if kind.side == Side::Destination {
            self.rename(&mut told.to);
        }
        told
    }

    fn rename(&self, party: &mut Arc<str>) {
        if let Some(service) = self.0.get(&**party) {
            *party = Arc::clone(service);
        }
    }
}

/// Refuses a name that nobody in the mesh has: where nothing is told of it, it may be a slip of the hand.
pub(crate) fn refuse_nobody(mesh: &Mesh, party: &str) -> Result<(), Refusal> {
    let services = mesh.services.keys().map(ToString::to_string);
    let callers = mesh.instances.values().map(|instance| {
        let id = &instance.workload.identity;
        format!("{}/{}", id.namespace, id.service_account)
    });
    let known: BTreeSet<_> = services.chain(callers).collect();
    if known.contains(party) || !party.contains('/') {
        return Ok(());
    }
    let names = known.iter().map(String::as_str);
    let meant = did_you_mean(party, names).map(|meant| format!("; {meant}"));
    Err(Refusal {
        advice: Some("leno stat --edges --since 24h".to_owned()),
        ..Refusal::plain(format_args!(
            "nothing was heard of {party}, and nothing in the mesh has that name{}",
            meant.unwrap_or_default()
        ))
    })
}

#[cfg(test)]
mod tests {
    use leno_model::flow::What;

    use super::*;

    fn kind(side: Side, from: &str, to: &str) -> Kind {
        Kind {
            side,
            from: from.into(),
            to: to.into(),
            port: 0,
            peer: None,
            route: None,
            backend: None,
            security: Kind::MTLS.into(),
            what: What::Streams,
            facts: None,
            failure: None,
        }
    }

    #[test]
    fn a_proxy_may_tell_of_its_own_calls_and_of_nobody_elses() {
        use Side::{Destination, Source};
        let domain = TrustDomain::new("shop.local").unwrap();
        let own = |id: &SpiffeId| id.to_string() == "spiffe://shop.local/ns/shop/sa/web";
        for (side, from, to, expect) in [
            (Source, "shop/web", "shop/cart", true),
            (Source, "shop/web", "unknown", true),
            (Source, "shop/cart", "shop/web", false),
            (Source, "unknown", "shop/web", false),
            (Source, "other", "shop/pay", false),
            (Destination, "shop/cart", "shop/web", true),
            (Destination, "unknown", "shop/web", true),
            (Destination, "shop/web", "shop/cart", false),
            (Destination, "shop/web", "unknown", false),
            (Destination, "unknown", "unknown", true),
            (Source, "other", "other", true),
            (Source, "shop/web/x", "shop/cart", false),
        ] {
            let kind = kind(side, from, to);
            assert_eq!(
                is_party(&kind, &domain, own),
                expect,
                "{side:?} {from} {to}"
            );
        }
    }

    #[test]
    fn an_identity_is_told_as_the_service_that_it_answers_for() {
        let names = Names([("shop/cart-sa".to_owned(), Arc::from("shop/cart"))].into());
        let told = names.tell(&kind(Side::Destination, "shop/web", "shop/cart-sa"));
        assert_eq!((&*told.from, &*told.to), ("shop/web", "shop/cart"));
        // What the caller's proxy tells of as called is a service already.
        let told = names.tell(&kind(Side::Source, "shop/cart-sa", "shop/cart-sa"));
        assert_eq!((&*told.from, &*told.to), ("shop/cart", "shop/cart-sa"));
    }
}
