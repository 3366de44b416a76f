//! A token of a service account of the cluster that is followed, bound to the pod that shows it. It proves that pod's
//! identity for as long as the pod is there.

use leno_jwt::{Audiences, Claims, Expected, Keys, Token, verify};
use leno_model::{Name, Namespace, SpiffeId};
use leno_resources::pod::Pods;

use super::oidc::unproven;
use super::{NotAttested, Wanted};
use crate::center::Center;

/// For whom such a token must be.
const AUDIENCE: &str = "leno";

/// What the token says, beyond what all do.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Bound {
    namespace: Namespace,
    account: Name,
    pod: Name,
    uid: String,
}

/// Whom a token lets its bearer be that `issuer`, the cluster's, is said to have made.
pub(super) fn attest(
    center: &Center,
    token: Token<'_>,
    (issuer, keys): (&str, &Keys),
    wanted: &Wanted,
) -> Result<SpiffeId, NotAttested> {
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
    let id = SpiffeId {
        trust_domain: center.edition().mesh.settings.trust_domain.clone(),
        namespace: bound.namespace,
        service_account: bound.account,
    };
    wanted.choose([id].into(), String::new)
}

impl Bound {
    /// What the API server writes into tokens that are bound to a pod.
    fn read(claims: &Claims) -> Option<Self> {
        let text = |path: &str| claims.get(path)?.as_str();
        Some(Self {
            namespace: Namespace::new(text("/kubernetes.io/namespace")?).ok()?,
            account: Name::new(text("/kubernetes.io/serviceaccount/name")?).ok()?,
            pod: Name::new(text("/kubernetes.io/pod/name")?).ok()?,
            uid: text("/kubernetes.io/pod/uid")?.to_owned(),
        })
    }

    /// Whether the pod is there, and acts as that account. A token outlives its pod by up to an hour.
    fn is_there(&self, pods: &Pods) -> Result<(), NotAttested> {
        let named = (self.namespace.clone(), self.pod.clone());
        let pod = pods.get(&named).filter(|pod| *pod.uid == *self.uid);
        match pod {
            Some(pod) if pod.service_account == self.account => Ok(()),
            Some(pod) => Err(NotAttested::refused(format!(
                "pod {}/{} acts as {}, and not as {}",
                self.namespace, self.pod, pod.service_account, self.account
            ))),
            None => Err(NotAttested::refused(format!(
                "no pod {}/{} with the uid {:.64?} is seen in the cluster: it has ended, or is so new that it is \
                 seen in a moment",
                self.namespace, self.pod, self.uid
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
        [((namespace, name), pod)].into()
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
    fn a_token_that_is_bound_to_no_pod_proves_nobody() {
        let unbound = CLAIMS.replace(r#""pod": {"name": "cart-1", "uid": "7f"},"#, "");
        let claims = Claims::read(unbound.as_bytes()).unwrap();
        assert_eq!(Bound::read(&claims), None);
    }
}
