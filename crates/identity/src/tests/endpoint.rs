//! Servers of other trust domains, whatever form their identities have.

use super::*;
use crate::{Anchor, verify_endpoint};

const SERVER: &str = "spiffe://bank.example/spire/server";

fn told(chain: &[Vec<u8>], id: &str, trust: &Trust, now: Wall) -> String {
    match verify_endpoint(chain, id, trust, now) {
        Ok(()) => "it is".to_owned(),
        Err(why) => why.to_string(),
    }
}

/// A root without a rule, and a chain of it for this identity.
fn signed(uri: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
    let root = CertifiedIssuer::self_signed(authority("root", None), KeyPair::generate().unwrap());
    let root = root.unwrap();
    (root.der().to_vec(), vec![sign(&root, &leaf(uri))])
}

#[test]
fn a_server_is_who_its_own_trust_domain_says() {
    let (root, chain) = signed(SERVER);
    let bank = trust(&[("bank.example", &root)], &[]);
    let check = |chain: &[Vec<u8>], id: &str, trust: &Trust, expect: &str| {
        assert_eq!(told(chain, id, trust, NOW), expect);
    };
    check(&chain, SERVER, &bank, "it is");
    check(
        &chain,
        "spiffe://bank.example/other",
        &bank,
        "spiffe://bank.example/other was expected, and \"spiffe://bank.example/spire/server\" came",
    );
    let unknown = "its certificate leads to no root of the bundle that is held of its trust domain";
    check(
        &chain,
        SERVER,
        &trust(&[("shop.local", &root)], &[]),
        unknown,
    );
    let (another, _) = signed(SERVER);
    check(
        &chain,
        SERVER,
        &trust(&[("bank.example", &another)], &[]),
        unknown,
    );
    check(&[], SERVER, &bank, "it shows no certificate");
    let many = [chain.clone(), vec![root.clone(); 5]].concat();
    check(
        &many,
        SERVER,
        &bank,
        "at most 5 certificates were expected, and 6 came",
    );
    assert_eq!(
        told(&chain, SERVER, &bank, NOW + DAY * 2),
        "the certificate ended at 2026-11-21T10:00:00.000Z"
    );
    // A root proves itself to be no server.
    let (root, _) = signed(SERVER);
    let own = trust(&[("bank.example", &root)], &[]);
    let told = told(std::slice::from_ref(&root), SERVER, &own, NOW);
    assert_eq!(
        told,
        "the certificate holds no identity: it has no URI among its names"
    );
}

#[test]
fn a_root_proves_identities_of_its_own_trust_domain_alone() {
    // What bank signs names somebody of shop, and somebody of cloud: nobody takes bank's word for it.
    for uri in [WEB, "spiffe://cloud.example/ns/default/sa/web"] {
        let shop = Shop::open();
        let (bank, chain) = signed(uri);
        let (cloud, _) = signed("spiffe://cloud.example/ns/default/sa/web");
        let trust = trust(
            &[
                ("shop.local", shop.root.certificate()),
                ("bank.example", &bank),
                ("cloud.example", &cloud),
            ],
            &[],
        );
        let domain = &id(uri).trust_domain;
        let expect = format!(
            "T004 (caller) the certificate of {uri} was expected to lead to a root of {domain}, and does not"
        );
        check(&chain, &trust, NOW, &expect);
        // Its own are believed.
        let (bank, chain) = signed("spiffe://bank.example/ns/default/sa/web");
        let trust = super::trust(
            &[
                ("shop.local", shop.root.certificate()),
                ("bank.example", &bank),
            ],
            &[],
        );
        let expect = "spiffe://bank.example/ns/default/sa/web until 2026-11-21T10:00:00.000Z";
        check(&chain, &trust, NOW, expect);
    }
}

#[test]
fn an_anchor_tells_whose_it_is_and_its_key() {
    let shop = Shop::open();
    let anchor = Anchor::of(shop.root.certificate()).unwrap();
    let domain = anchor.trust_domain.map(|it| it.to_string());
    assert_eq!(domain.as_deref(), Some("shop.local"));
    assert!(matches!(anchor.key, leno_model::KeyNumbers::P256 { .. }));
    for (algorithm, expect) in [
        (&rcgen::PKCS_ECDSA_P384_SHA384, "P384"),
        (&rcgen::PKCS_ED25519, "Ed25519"),
        (&rcgen::PKCS_RSA_SHA256, "Rsa"),
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let root = CertifiedIssuer::self_signed(authority("root", None), key).unwrap();
        let anchor = Anchor::of(root.der()).unwrap();
        let key = format!("{:?}", anchor.key);
        assert!(key.starts_with(expect), "{key}");
        assert_eq!(anchor.trust_domain, None);
    }
    let (_, chain) = signed(SERVER);
    assert!(Anchor::of(&chain[0]).is_err());
}
