//! A token of a service account of the cluster that is followed, bound to the pod that shows it. It proves that pod's
//! identity for as long as the pod is there.

use leno_jwt::{Audiences, Claims, Expected, Keys, Token, verify};
use leno_model::{Name, Namespace, SpiffeId, TrustDomain};
use leno_resources::pod::Pods;
use leno_wire::certificates::NODE;

use super::oidc::unproven;
use super::{Attested, NotAttested, Wanted};
use crate::center::Center;
use crate::entitled::{is_of_nodes, node};
use crate::holders::PodRef;

/// For whom such a token must be.
const AUDIENCE: &str = "leno";

/// What the token says, beyond what all do.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Bound {
    pod: PodRef,
    account: Name,
}

/// Whom a token lets its bearer be that `issuer`, the cluster's, is said to have made.
pub(super) fn attest(
    center: &Center,
    token: Token<'_>,
    (issuer, keys): (&str, &Keys),
    wanted: &Wanted,
) -> Result<Attested, NotAttested> {
    let audiences = [AUDIENCE.to_owned()];
    let expected = Expected {
        issuer: Some(issuer),
        audiences: Audiences::OneOf(&audiences),
    };
    let proven = verify(token, keys, &expected, center.clocks.now().wall);
    let proven = proven.map_err(|why| unproven(why, || center.accounts.look_again()))?;
    let bound = Bound::read(proven.claims());
    let bound = bound.ok_or_else(|| {
        NotAttested::refused("it is bound to no pod: a projected volume gives a pod one that is")
    })?;
    bound.is_there(&center.presence.reported().pods)?;
    let id = bound.identity(&center.edition().mesh.settings.trust_domain)?;
    Ok(Attested {
        identity: wanted.choose([id].into(), String::new)?,
        pod: Some(bound.pod),
    })
}

impl Bound {
    /// What the API server writes into tokens that are bound to a pod.
    fn read(claims: &Claims) -> Option<Self> {
        let text = |path: &str| claims.get(path)?.as_str();
        Some(Self {
            pod: PodRef {
                namespace: Namespace::new(text("/kubernetes.io/namespace")?).ok()?,
                name: Name::new(text("/kubernetes.io/pod/name")?).ok()?,
                uid: text("/kubernetes.io/pod/uid")?.into(),
            },
            account: Name::new(text("/kubernetes.io/serviceaccount/name")?).ok()?,
        })
    }

    /// Whom the pod acts as.
    fn identity(&self, trust_domain: &TrustDomain) -> Result<SpiffeId, NotAttested> {
        let id = SpiffeId {
            trust_domain: trust_domain.clone(),
            namespace: self.pod.namespace.clone(),
            service_account: self.account.clone(),
        };
        // Outside of clusters whoever acts so serves a whole namespace. Here people give their pods accounts.
        if id.service_account == node() && !is_of_nodes(&id) {
            return Err(NotAttested::refused(format!(
                "pod {} acts as {NODE}, as Leno's own pods alone may: give it another account",
                self.pod.name
            )));
        }
        Ok(id)
    }

    /// Whether the pod is there, and acts as that account. A token outlives its pod by up to an hour.
    fn is_there(&self, pods: &Pods) -> Result<(), NotAttested> {
        let PodRef {
            namespace,
            name,
            uid,
        } = &self.pod;
        match self.pod.find(pods) {
            Some(pod) if pod.service_account == self.account => Ok(()),
            Some(pod) => Err(NotAttested::refused(format!(
                "pod {namespace}/{name} acts as {}, and not as {}",
                pod.service_account, self.account
            ))),
            None => Err(NotAttested::refused(format!(
                "no pod {namespace}/{name} with the uid {uid:.64?} is seen in the cluster: it has ended, or is so \
                 new that it is seen in a moment",
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use leno_resources::pod::Pod;

    use super::*;

    const CLAIMS: &str = r#"{"iss": "https://kubernetes.default.svc.cluster.local", "aud": ["leno"],
        "sub": "system:serviceaccount:shop:cart",
        "kubernetes.io": {"namespace": "shop", "node": {"name": "n1"}, "pod": {"name": "cart-1", "uid": "7f"},
                          "serviceaccount": {"name": "cart", "uid": "c0"}}}"#;

    /// The pod shop/cart-1.
    fn pods(uid: &str, account: &str) -> Pods {
        let (namespace, name) = (
            Namespace::new("shop").unwrap(),
            Name::new("cart-1").unwrap(),
        );
        let pod = Pod {
            uid: uid.into(),
            service_account: Name::new(account).unwrap(),
            ..Pod::named(namespace.clone(), name.clone())
        };
        [((namespace, name), pod.into())].into()
    }

    #[test]
    fn it_is_good_for_as_long_as_its_pod_is_there() {
        let claims = Claims::read(CLAIMS.as_bytes()).unwrap();
        let bound = Bound::read(&claims).unwrap();
        let judged = |pods: &Pods| bound.is_there(pods).map_err(|not| not.why);
        assert_eq!(judged(&pods("7f", "cart")), Ok(()));
        let other = judged(&pods("7f", "web")).unwrap_err();
        assert_eq!(other, "pod shop/cart-1 acts as web, and not as cart");
        // Another pod of that name took its place, or none.
        assert!(judged(&pods("80", "cart")).is_err());
        assert!(judged(&Pods::default()).is_err());
    }

    #[test]
    fn no_account_of_a_namespace_serves_all_of_it() {
        let acts_as = |namespace: &str, account: &str| {
            let pod = PodRef {
                namespace: Namespace::new(namespace).unwrap(),
                name: Name::new("it-1").unwrap(),
                uid: "7f".into(),
            };
            let account = Name::new(account).unwrap();
            let identity =
                Bound { pod, account }.identity(&TrustDomain::new("shop.local").unwrap());
            identity.map(|id| id.to_string()).map_err(|not| not.why)
        };
        for (namespace, account) in [("shop", "cart"), ("leno-system", "leno-node")] {
            let expected = format!("spiffe://shop.local/ns/{namespace}/sa/{account}");
            assert_eq!(acts_as(namespace, account), Ok(expected));
        }
        let why = acts_as("shop", "leno-node").unwrap_err();
        assert!(why.starts_with("pod it-1 acts as leno-node"), "{why}");
    }

    #[test]
    fn a_token_that_is_bound_to_no_pod_proves_nobody() {
        let unbound = CLAIMS.replace(r#""pod": {"name": "cart-1", "uid": "7f"},"#, "");
        let claims = Claims::read(unbound.as_bytes()).unwrap();
        assert_eq!(Bound::read(&claims), None);
    }
}
