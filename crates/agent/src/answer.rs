//! What is answered, as values: functions from what is served and held to messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use leno_identity::Credential;
use leno_model::TrustDomain;

use crate::messages::{JwtBundles, X509Bundles, X509Svid, X509Svids};
use crate::served::Served;

/// Certificates with their keys, and what proves others.
pub(crate) fn x509_svids(credentials: &[Arc<Credential>], served: &Served) -> X509Svids {
    let own = roots_of(&served.trust_domain, served);
    let svids = credentials.iter().map(|credential| X509Svid {
        spiffe_id: credential.id().to_string(),
        x509_svid: credential.chain().concat(),
        x509_svid_key: credential.key().secret().to_vec(),
        bundle: own.clone(),
    });
    let mut federated_bundles = x509_bundles(served).bundles;
    federated_bundles.remove(&key_of(&served.trust_domain));
    X509Svids {
        svids: svids.collect(),
        federated_bundles,
    }
}

/// The roots of every trust domain.
pub(crate) fn x509_bundles(served: &Served) -> X509Bundles {
    let bundles = served.bundles.keys();
    let bundles = bundles.map(|domain| (key_of(domain), roots_of(domain, served)));
    X509Bundles {
        bundles: bundles.collect(),
    }
}

/// The keys that prove the tokens of every trust domain.
pub(crate) fn jwt_bundles(served: &Served) -> JwtBundles {
    let keys = served.token_keys.iter();
    let bundles: BTreeMap<_, _> = keys
        .map(|(domain, keys)| (key_of(domain), keys.as_bytes().to_vec()))
        .collect();
    JwtBundles { bundles }
}

fn roots_of(domain: &TrustDomain, served: &Served) -> Vec<u8> {
    let roots = served.bundles.get(domain);
    roots.map(|roots| roots.concat()).unwrap_or_default()
}

fn key_of(domain: &TrustDomain) -> String {
    format!("spiffe://{domain}")
}
