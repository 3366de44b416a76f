//! What the CA signs, and what it will not.

use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::*;
use crate::{CannotSign, Credential, PublicKey, SHORTEST_LIFE};

/// A certificate in words, one fact a line.
fn facts(der: &[u8]) -> String {
    let (rest, certificate) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    let usage = certificate.key_usage().unwrap().unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let extended = certificate.extended_key_usage().unwrap();
    let extended = extended.map_or("any use".to_owned(), |extended| {
        let (server, client) = (extended.value.server_auth, extended.value.client_auth);
        format!("server {server}, client {client}")
    });
    let validity = certificate.validity();
    let at = |time: x509_parser::time::ASN1Time| {
        Wall::since_epoch(Duration::from_secs(time.timestamp().try_into().unwrap()))
    };
    format!(
        "{}\nca {}, path length {:?}\n{}\n{extended}\n{:?}\n{} to {}",
        certificate.subject(),
        constraints.value.ca,
        constraints.value.path_len_constraint,
        usage.value,
        names.value.general_names,
        at(validity.not_before),
        at(validity.not_after),
    )
}

#[test]
fn a_root_an_intermediate_and_a_leaf_hold_what_they_must() {
    let mut shop = Shop::open();
    let chain = shop.sign(WEB);
    let expect = "\
O=Leno, CN=root 58f2f879
ca true, path length Some(2)
Key Cert Sign, CRL Sign
any use
[URI(\"spiffe://shop.local\")]
2026-11-20T09:55:00.000Z to 2036-11-17T10:00:00.000Z";
    assert_eq!(facts(shop.root.certificate()), expect);
    let expect = "\
O=Leno, CN=intermediate 79a61020
ca true, path length Some(0)
Key Cert Sign, CRL Sign
any use
[URI(\"spiffe://shop.local\")]
2026-11-20T09:55:00.000Z to 2027-02-18T10:00:00.000Z";
    assert_eq!(facts(shop.intermediate.certificate()), expect);
    let expect = "\
O=Leno, CN=workload 5cf4ced9
ca false, path length None
Digital Signature
server true, client true
[URI(\"spiffe://shop.local/ns/default/sa/web\")]
2026-11-20T09:55:00.000Z to 2026-11-21T10:00:00.000Z";
    assert_eq!(facts(&chain[0]), expect);
    assert_eq!(chain[1], shop.intermediate.certificate());
}

#[test]
fn a_leaf_may_be_for_hosts_too_and_proves_the_same_identity() {
    let mut shop = Shop::open();
    let (key, hosts) = (
        new_key(),
        ["control.leno.svc", "10.0.0.7", "fd00::7", "käse"],
    );
    let whom = (&id(WEB), &hosts[..]);
    let chain = shop
        .intermediate
        .sign_leaf_at(&key.public(), whom, DAY, NOW, &mut shop.dice)
        .unwrap();
    let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    let names: Vec<_> = names
        .value
        .general_names
        .iter()
        .map(ToString::to_string)
        .collect();
    let expect = [
        "URI(spiffe://shop.local/ns/default/sa/web)",
        "DNSName(control.leno.svc)",
        "IPAddress(0a:00:00:07)",
        "IPAddress(fd:00:00:00:00:00:00:00:00:00:00:00:00:00:00:07)",
    ];
    assert_eq!(names, expect);
    assert_eq!(Credential::new(chain, key).unwrap().id(), &id(WEB));
}

#[test]
fn no_subject_is_its_issuer_and_no_serial_comes_twice() {
    let mut shop = Shop::open();
    let chains: Vec<_> = (0..20).map(|_| shop.sign(WEB)).collect();
    let mut serials = BTreeSet::new();
    for der in chains.iter().map(|chain| &chain[0]) {
        let (_, certificate) = X509Certificate::from_der(der).unwrap();
        assert_ne!(certificate.subject(), certificate.issuer());
        assert_eq!(certificate.raw_serial().len(), 16);
        assert!(serials.insert(certificate.raw_serial().to_vec()));
    }
}

#[test]
fn a_leaf_never_outlives_its_intermediate() {
    let mut shop = Shop::open();
    let ends = shop.intermediate.validity().ends;
    let mut sign = |life, now| {
        let key = new_key();
        let chain = shop
            .intermediate
            .sign_leaf(&key.public(), &id(WEB), life, now, &mut shop.dice)
            .map_err(|why| why.to_string())?;
        let validity = Credential::new(chain, key).unwrap().validity();
        Ok::<_, String>((validity.begins, validity.ends))
    };
    let minute = Duration::from_secs(60);
    assert_eq!(
        sign(minute, NOW),
        Ok((NOW - Duration::from_secs(6), NOW + minute))
    );
    assert_eq!(sign(DAY, ends - HOUR).unwrap().1, ends);
    assert_eq!(
        sign(DAY, ends - Duration::from_secs(59)).unwrap_err(),
        "the authority ends at 2027-02-18T10:00:00.000Z, too soon for anything to be signed"
    );
    assert_eq!(
        sign(Duration::from_secs(59), NOW).unwrap_err(),
        "a life of 59s was asked for, and the shortest is 60s"
    );
    // Dated back at most to the intermediate's own beginning.
    assert_eq!(sign(DAY, NOW).unwrap().0, NOW - Duration::from_secs(300));
}

#[test]
fn an_intermediate_never_outlives_its_root() {
    let mut dice = Dice::new(3);
    let domain = TrustDomain::new("shop.local").unwrap();
    let root = Root::establish(&domain, new_key(), DAY, NOW, &mut dice).unwrap();
    let key = new_key();
    let der = root.sign_intermediate(&key.public(), 9 * DAY, NOW, &mut dice);
    let intermediate = Intermediate::restore(der.unwrap(), key).unwrap();
    assert_eq!(intermediate.validity().ends, root.validity().ends);
    assert_eq!(intermediate.domain(), root.domain());
}

#[test]
fn nobody_is_signed_for_another_trust_domain() {
    let mut shop = Shop::open();
    let foreign = id("spiffe://bank.local/ns/default/sa/web");
    let key = new_key().public();
    let signed = shop
        .intermediate
        .sign_leaf(&key, &foreign, SHORTEST_LIFE, NOW, &mut shop.dice);
    let ours = TrustDomain::new("shop.local").unwrap();
    assert_eq!(
        signed,
        Err(CannotSign::ForeignTrustDomain { id: foreign, ours })
    );
}

#[test]
fn an_authority_is_taken_up_again_with_its_own_key_alone() {
    let mut shop = Shop::open();
    let root = shop.root.certificate().to_vec();
    let again = Root::restore(root.clone(), shop.root_key.clone()).unwrap();
    assert_eq!(again.validity(), shop.root.validity());
    let refused = |certificate: Vec<u8>, key| {
        let why = Root::restore(certificate, key).unwrap_err();
        why.to_string()
    };
    assert_eq!(
        refused(root, new_key()),
        "the key is not that of the certificate"
    );
    let leaf = shop.sign(WEB).swap_remove(0);
    assert_eq!(
        refused(leaf, new_key()),
        "the certificate is not an authority's: it signs another certificate and is not an \
         authority's"
    );
    assert_eq!(
        refused(Vec::new(), new_key()),
        "the certificate is not an authority's: it is not an X.509 certificate"
    );
}

#[test]
fn a_request_proves_its_key_and_names_nobody() {
    let key = new_key();
    assert_eq!(PublicKey::of_request(&key.request()), Ok(key.public()));

    // Names and wishes in a request change nothing: who asks is attested by other means.
    let pair = KeyPair::generate().unwrap();
    let wishes = authority("I am the root", None);
    let request = wishes.serialize_request(&pair).unwrap();
    assert_eq!(
        PublicKey::of_request(request.der()),
        Ok(key_of(&pair).public())
    );
}

#[test]
fn a_request_that_does_not_hold_is_refused() {
    let refused = |der: &[u8]| PublicKey::of_request(der).unwrap_err().to_string();
    let good = new_key().request();
    assert_eq!(refused(b""), "it is not a certificate request");
    assert_eq!(refused(&good[1..]), "it is not a certificate request");
    let longer = [&good[..], b"\0"].concat();
    assert_eq!(refused(&longer), "it is not a certificate request");
    assert_eq!(
        refused(&[0x30; 20_000]),
        "it has 20000 bytes, and at most 16384 are read"
    );
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&forged), "it is not signed with the key in it");
    for algorithm in [&rcgen::PKCS_ECDSA_P521_SHA512, &rcgen::PKCS_RSA_SHA256] {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let request = CertificateParams::default().serialize_request(&pair);
        assert_eq!(
            refused(request.unwrap().der()),
            "the key in it is not taken: the key is of another kind than P-256, P-384 and Ed25519"
        );
    }
}

#[test]
fn a_credential_is_a_leaf_with_its_own_key() {
    let mut shop = Shop::open();
    let key = new_key();
    let chain = shop
        .intermediate
        .sign_leaf(&key.public(), &id(WEB), DAY, NOW, &mut shop.dice)
        .unwrap();
    let credential = Credential::new(chain.clone(), key.clone()).unwrap();
    assert_eq!(credential.id(), &id(WEB));
    assert_eq!(credential.validity().ends, NOW + DAY);

    let refused = |chain: &[Vec<u8>], key: &Key| {
        let why = Credential::new(chain.to_vec(), key.clone()).unwrap_err();
        why.to_string()
    };
    assert_eq!(refused(&[], &key), "there is no certificate");
    assert_eq!(
        refused(&chain, &new_key()),
        "the key is not that of the first certificate"
    );
    assert_eq!(
        refused(&chain[1..], &key),
        "the first certificate is not a workload's: it is an authority's certificate where a \
         workload's was expected"
    );
    assert_eq!(
        refused(&vec![chain[0].clone(); 6], &key),
        "there are 6 certificates, and peers read at most 5"
    );
}

#[test]
fn a_key_shows_nothing_of_itself() {
    let shown = format!("{:?}", new_key());
    assert!(shown.starts_with("Key("), "{shown}");
    assert!(shown.len() < 80, "{shown}");
}
