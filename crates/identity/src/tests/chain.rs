//! Whom `verify` believes, and what it says to the others.

use rcgen::{
    CertifiedIssuer, CustomExtension, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm,
};

use super::*;
use crate::expect_peer;

const CART: &str = "spiffe://shop.local/ns/default/sa/cart";

/// What is said of a chain that is signed as `leaf` is, and believed.
const BELIEVED: &str = "spiffe://shop.local/ns/default/sa/web until 2026-11-21T10:00:00.000Z";

#[test]
fn what_the_ca_signs_is_believed() {
    let mut shop = Shop::open();
    let chain = shop.sign(WEB);
    shop.check(&chain, BELIEVED);
}

#[test]
fn time_is_told_apart() {
    let mut shop = Shop::open();
    let (chain, trust) = (shop.sign(WEB), shop.trust());
    let at = |now, expect| check(&chain, &trust, now, expect);
    at(
        NOW - HOUR,
        "T002 (mesh) the certificate of spiffe://shop.local/ns/default/sa/web begins at \
         2026-11-20T09:55:00.000Z, and it is 2026-11-20T09:00:00.000Z: too early, or a clock is wrong",
    );
    at(NOW + DAY, BELIEVED);
    at(NOW + DAY + Duration::from_millis(999), BELIEVED);
    at(
        NOW + DAY + Duration::from_secs(1),
        "T001 (mesh) the certificate of spiffe://shop.local/ns/default/sa/web ended at \
         2026-11-21T10:00:00.000Z, and it is 2026-11-21T10:00:01.000Z",
    );
}

#[test]
fn an_intermediate_must_be_in_its_time() {
    let mut params = authority("short", Some(0));
    params.not_after = civil(NOW + HOUR);
    let shop = Shop::open();
    let short = shop.authority(params);
    let chain = vec![sign(&short, &leaf(WEB)), short.der().to_vec()];
    let at = |now, expect| check(&chain, &shop.trust(), now, expect);
    at(
        NOW,
        "spiffe://shop.local/ns/default/sa/web until 2026-11-20T11:00:00.000Z",
    );
    at(
        NOW + 2 * HOUR,
        "T001 (mesh) an authority above the certificate of spiffe://shop.local/ns/default/sa/web \
         ended at 2026-11-20T11:00:00.000Z, and it is 2026-11-20T12:00:00.000Z",
    );
}

#[test]
fn a_root_must_be_in_its_time_and_another_may_stand_in_for_it() {
    let pair = || KeyPair::generate().unwrap();
    let one = pair();
    let root = |begins, ends| {
        let mut params = authority("root", None);
        (params.not_before, params.not_after) = (civil(begins), civil(ends));
        CertifiedIssuer::self_signed(params, &one).unwrap()
    };
    let over = root(NOW - DAY, NOW - HOUR);
    let early = root(NOW + HOUR, NOW + DAY);
    let short = root(NOW - DAY, NOW + HOUR);
    let chain = vec![sign(&over, &leaf(WEB))];
    let with = |roots: &[&CertifiedIssuer<'_, &KeyPair>], expect| {
        let named = roots.iter().map(|root| ("shop.local", root.der().as_ref()));
        let trust = trust(&named.collect::<Vec<_>>(), &[]);
        check(&chain, &trust, NOW, expect);
    };
    with(
        &[&over],
        "T001 (mesh) an authority above the certificate of spiffe://shop.local/ns/default/sa/web \
         ended at 2026-11-20T09:00:00.000Z, and it is 2026-11-20T10:00:00.000Z",
    );
    with(
        &[&early],
        "T002 (mesh) an authority above the certificate of spiffe://shop.local/ns/default/sa/web \
         begins at 2026-11-20T11:00:00.000Z, and it is 2026-11-20T10:00:00.000Z: too early, or a \
         clock is wrong",
    );
    with(
        &[&over, &early, &short],
        "spiffe://shop.local/ns/default/sa/web until 2026-11-20T11:00:00.000Z",
    );
}

#[test]
fn only_the_roots_of_its_own_trust_domain_prove_an_identity() {
    let mut shop = Shop::open();
    let other = Shop::open();
    let chain = shop.sign(WEB);
    let (ours, theirs) = (shop.root.certificate(), other.root.certificate());
    let by = |roots: &[(&str, &[u8])], expect| check(&chain, &trust(roots, &[]), NOW, expect);
    by(
        &[("bank.local", ours), ("post.local", ours)],
        "T003 (caller) spiffe://shop.local/ns/default/sa/web came, and what is trusted here is \
         bank.local or post.local",
    );
    by(
        &[],
        "T003 (caller) spiffe://shop.local/ns/default/sa/web came, and what is trusted here is \
         nobody",
    );
    by(
        &[("bank.local", ours), ("shop.local", theirs)],
        "T004 (caller) the certificate of spiffe://shop.local/ns/default/sa/web was expected to \
         lead to a root of shop.local, and does not",
    );
    by(&[("shop.local", theirs), ("shop.local", ours)], BELIEVED);
}

#[test]
fn nobody_vouches_for_himself() {
    let shop = Shop::open();
    let pair = KeyPair::generate().unwrap();
    let alone = leaf(WEB).self_signed(&pair).unwrap().der().to_vec();
    let unknown = "T004 (caller) the certificate of spiffe://shop.local/ns/default/sa/web was \
                   expected to lead to a root of shop.local, and does not";
    shop.check(std::slice::from_ref(&alone), unknown);
    shop.check(&[alone.clone(), alone], unknown);

    // The name of the CA's certificate is no secret; its key is.
    let forger = Issuer::from_ca_cert_der(&shop.intermediate.certificate().into(), pair).unwrap();
    let forged = sign(&forger, &leaf(WEB));
    shop.check(&[forged, shop.intermediate.certificate().to_vec()], unknown);
}

#[test]
fn a_chain_is_complete_and_short() {
    let mut shop = Shop::open();
    let chain = shop.sign(WEB);
    shop.check(
        &[],
        "T008 (caller) a certificate was expected, and none came",
    );
    shop.check(
        &chain[..1],
        "T004 (caller) the certificate of spiffe://shop.local/ns/default/sa/web was expected to \
         lead to a root of shop.local, and does not",
    );
    let long = [&chain[..], &chain[..], &chain[..]].concat();
    shop.check(
        &long,
        "T010 (caller) at most 5 certificates were expected, and 6 came",
    );
}

#[test]
fn exactly_one_identity_of_our_form() {
    let shop = Shop::open();
    let names = |names: &[SanType], expect: &str| {
        let mut params = leaf(WEB);
        params.subject_alt_names = names.to_vec();
        let came = told(&shop.sign_anything(&params), &shop.trust(), NOW);
        let expect = expect.replace(
            "T009:",
            "T009 (caller) exactly one SPIFFE identity was expected:",
        );
        assert_eq!(came, expect);
    };
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let dns = || SanType::DnsName("web.shop.local".try_into().unwrap());
    names(
        &[],
        "T009: the certificate holds no identity: it has no URI among its names; it calls itself \"CN=leaf\", \
         which nothing proves",
    );
    names(
        &[dns()],
        "T009: the certificate holds no identity: it has no URI among its names; it calls itself \"CN=leaf\", \
         which nothing proves",
    );
    //= SPIFFE X509-SVID section 2: "An X.509 SVID MAY contain any number of other SAN field types,
    //= including DNS SANs."
    names(&[dns(), uri(WEB)], BELIEVED);
    names(
        &[uri(WEB), uri(CART)],
        "T009: the certificate holds 2 URIs where exactly one was expected; it calls itself \
         \"spiffe://shop.local/ns/default/sa/web and spiffe://shop.local/ns/default/sa/cart\", which nothing proves",
    );
    names(
        &[uri(WEB), uri(WEB)],
        "T009: the certificate holds 2 URIs where exactly one was expected; it calls itself \
         \"spiffe://shop.local/ns/default/sa/web and spiffe://shop.local/ns/default/sa/web\", which nothing proves",
    );
    names(
        &[uri(WEB), uri("https://shop.local/")],
        "T009: the certificate holds 2 URIs where exactly one was expected; it calls itself \
         \"spiffe://shop.local/ns/default/sa/web and https://shop.local/\", which nothing proves",
    );
    for strange in [
        "spiffe://shop.local/ns/default/sa/web\0.evil",
        "spiffe://shop.local/ns/default/sa/*",
        "spiffe://*/ns/default/sa/web",
        "spiffe://shop.local/web",
        "spiffe://shop.local",
        "https://shop.local/ns/default/sa/web",
        "",
    ] {
        let why = SpiffeId::parse(strange).unwrap_err();
        names(&[uri(strange)], &format!("T009: {why}"));
    }
}

#[test]
fn names_that_are_not_even_text_or_stand_twice() {
    let shop = Shop::open();
    let names = |content: &[u8], expect| {
        let mut params = leaf(WEB);
        params.subject_alt_names = Vec::new();
        params.custom_extensions = vec![san(content)];
        shop.check(&shop.sign_anything(&params), expect);
    };
    names(
        b"\x30\x06\x86\x04\xff\xfe\xfd\xfc",
        "T009 (caller) exactly one SPIFFE identity was expected: the certificate's URI is not text; \
         it calls itself \"CN=leaf\", which nothing proves",
    );
    let unreadable = "T009 (caller) exactly one SPIFFE identity was expected: the certificate's \
                      names cannot be read; it calls itself \"CN=leaf\", which nothing proves";
    names(b"\x30\x06\x86\x7f\x41\x41\x41\x41", unreadable);
    names(b"", unreadable);

    let mut twice = leaf(WEB);
    twice.custom_extensions = vec![san(b"\x30\x02\x86\x00")];
    shop.check(&shop.sign_anything(&twice), unreadable);
}

#[test]
fn what_a_certificate_calls_itself_is_short_and_does_nothing_to_a_terminal() {
    let shop = Shop::open();
    let said = |name: &str| {
        let mut params = leaf(WEB);
        params.subject_alt_names = Vec::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let told = told(&shop.sign_anything(&params), &shop.trust(), NOW);
        let (_, said) = told.split_once("it calls itself ").unwrap();
        said.to_owned()
    };
    let told = said("\u{1b}[2J\u{202e}\"\n");
    assert!(told.chars().all(|char| matches!(char, ' '..='~')), "{told}");
    assert!(said(&"long".repeat(1000)).len() < 300);
}

fn san(content: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(&[2, 5, 29, 17], content.to_vec())
}

#[test]
fn a_leaf_is_no_authority_and_an_authority_no_leaf() {
    let shop = Shop::open();
    let mut ca = leaf(WEB);
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    shop.check(
        &shop.sign_anything(&ca),
        "T010 (caller) the certificate of spiffe://shop.local/ns/default/sa/web is not fit: it is \
         an authority's certificate where a workload's was expected",
    );

    let root = shop.authority(authority("ca", None));
    let workload = CertifiedIssuer::signed_by(leaf(CART), KeyPair::generate().unwrap(), &root);
    let workload = workload.unwrap();
    let chain = vec![
        sign(&workload, &leaf(WEB)),
        workload.der().to_vec(),
        root.der().to_vec(),
    ];
    shop.check(
        &chain,
        "T010 (caller) an authority above the certificate of spiffe://shop.local/ns/default/sa/web \
         is not fit: it signs another certificate and is not an authority's",
    );
}

#[test]
fn an_intermediate_of_the_ca_signs_no_further_authority() {
    let shop = Shop::open();
    let issuer = shop.issuer();
    let below = CertifiedIssuer::signed_by(
        authority("below", None),
        KeyPair::generate().unwrap(),
        &issuer,
    );
    let below = below.unwrap();
    let chain = vec![
        sign(&below, &leaf(WEB)),
        below.der().to_vec(),
        shop.intermediate.certificate().to_vec(),
    ];
    shop.check(
        &chain,
        "T010 (caller) an authority above the certificate of spiffe://shop.local/ns/default/sa/web \
         is not fit: more authorities stand below it than its path length allows",
    );
}

#[test]
fn key_usages_fit_the_place_in_the_chain() {
    let shop = Shop::open();
    let unfit = |spoil: fn(&mut CertificateParams), why: &str| {
        let mut params = leaf(WEB);
        spoil(&mut params);
        let came = told(&shop.sign_anything(&params), &shop.trust(), NOW);
        let expect = format!("T010 (caller) the certificate of {WEB} is not fit: {why}");
        assert_eq!(came, expect);
    };
    let usage = "its key usage is not that of its place in the chain";
    unfit(|leaf| leaf.key_usages.clear(), usage);
    unfit(
        |leaf| leaf.key_usages.push(KeyUsagePurpose::KeyCertSign),
        usage,
    );
    unfit(|leaf| leaf.key_usages.push(KeyUsagePurpose::CrlSign), usage);
    let extended = "its extended key usage does not hold both serverAuth and clientAuth";
    unfit(|leaf| drop(leaf.extended_key_usages.pop()), extended);
    unfit(
        |leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning],
        extended,
    );

    let mut mute = authority("mute", None);
    mute.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let mute = shop.authority(mute);
    shop.check(
        &[sign(&mute, &leaf(WEB)), mute.der().to_vec()],
        "T010 (caller) an authority above the certificate of spiffe://shop.local/ns/default/sa/web \
         is not fit: its key usage is not that of its place in the chain",
    );
}

//= SPIFFE X509-SVID section 4.4: "Leaf SVIDs SHOULD include this extension"
#[test]
fn a_leaf_without_extended_key_usage_may_do_both() {
    let shop = Shop::open();
    let mut params = leaf(WEB);
    params.extended_key_usages.clear();
    shop.check(&shop.sign_anything(&params), BELIEVED);
}

#[test]
fn what_is_critical_must_be_understood() {
    let shop = Shop::open();
    let mut params = leaf(WEB);
    let mut strange = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55555, 1], vec![5, 0]);
    strange.set_criticality(true);
    params.custom_extensions.push(strange);
    shop.check(
        &shop.sign_anything(&params),
        "T010 (caller) the certificate of spiffe://shop.local/ns/default/sa/web is not fit: it has \
         a critical extension that is not understood",
    );
}

#[test]
fn weak_keys_are_refused() {
    let shop = Shop::open();
    let signed = |key: &dyn Fn() -> Vec<Vec<u8>>| told(&key(), &shop.trust(), NOW);
    for algorithm in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ED25519,
        &PKCS_RSA_SHA256,
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let came = signed(&|| shop.sign_for(&leaf(WEB), &key));
        assert_eq!(came, BELIEVED, "{algorithm:?}");
    }
    let weak = |key: &str| {
        format!(
            "T010 (caller) the certificate of {WEB} is not fit: its key is {key}; P-256, P-384, \
             Ed25519 and RSA from 2048 bits are taken"
        )
    };
    let p521 = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let came = signed(&|| shop.sign_for(&leaf(WEB), &p521));
    assert_eq!(came, weak("on another elliptic curve"));
    let came = signed(&|| shop.sign_for(&leaf(WEB), &ShortRsa::new()));
    assert_eq!(came, weak("RSA with 1024 bits"));
}

/// An RSA key with a modulus of 1024 bits, as nobody makes them any more.
struct ShortRsa(Vec<u8>);

impl ShortRsa {
    fn new() -> Self {
        let mut der = b"\x30\x81\x89\x02\x81\x81\x00".to_vec();
        der.extend([0xab; 128]);
        der.extend(b"\x02\x03\x01\x00\x01");
        Self(der)
    }
}

impl PublicKeyData for ShortRsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

#[test]
fn foreign_authorities_may_sign_with_any_good_key() {
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519, &PKCS_RSA_SHA256] {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let root = CertifiedIssuer::self_signed(authority("foreign", None), pair).unwrap();
        let chain = [sign(&root, &leaf(WEB))];
        let roots = trust(&[("shop.local", root.der())], &[]);
        check(&chain, &roots, NOW, BELIEVED);
    }
}

#[test]
fn an_authority_signs_with_a_good_key() {
    let shop = Shop::open();
    let root = shop.root.certificate().into();
    let root = Issuer::from_ca_cert_der(&root, shop.root_key.pair()).unwrap();
    let p521 = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let weak = CertifiedIssuer::signed_by(authority("weak", None), p521, &root).unwrap();
    shop.check(
        &[sign(&weak, &leaf(WEB)), weak.der().to_vec()],
        "T010 (caller) an authority above the certificate of spiffe://shop.local/ns/default/sa/web \
         is not fit: it signs with an algorithm that is not taken",
    );
}

#[test]
fn the_revoked_are_refused_once_they_proved_who_they_are() {
    let mut shop = Shop::open();
    let (web, cart) = (shop.sign(WEB), shop.sign(CART));
    let roots = [("shop.local", shop.root.certificate())];
    let trust = trust(&roots, &[CART]);
    check(&web, &trust, NOW, BELIEVED);
    check(
        &cart,
        &trust,
        NOW,
        "T005 (caller) spiffe://shop.local/ns/default/sa/cart proved who it is, and has been revoked",
    );
    check(
        &cart[..1],
        &trust,
        NOW,
        "T004 (caller) the certificate of spiffe://shop.local/ns/default/sa/cart was expected to \
         lead to a root of shop.local, and does not",
    );
}

#[test]
fn people_are_believed_only_where_people_are_asked_for() {
    let mut shop = Shop::open();
    let chain = shop.sign("spiffe://shop.local/ns/leno-people/sa/anna");
    shop.check(
        &chain,
        "T028 (caller) spiffe://shop.local/ns/leno-people/sa/anna proved to be a person, and only \
         workloads call and are called here",
    );
    check(
        &chain,
        &shop.trust().with_people(),
        NOW,
        "spiffe://shop.local/ns/leno-people/sa/anna until 2026-11-21T10:00:00.000Z",
    );
}

#[test]
fn a_peer_is_one_of_those_expected() {
    let mut shop = Shop::open();
    let caller = verify(&shop.sign(WEB), &shop.trust(), NOW).unwrap();
    let expect = |ids: &[&str]| {
        let ids: Vec<_> = ids.iter().map(|uri| id(uri)).collect();
        expect_peer(&caller, &ids).map_err(|why| format!("{} {why}", why.code()))
    };
    assert_eq!(expect(&[CART, WEB]), Ok(()));
    let cart = "T006 spiffe://shop.local/ns/default/sa/cart was expected, and \
                spiffe://shop.local/ns/default/sa/web came";
    assert_eq!(expect(&[CART]), Err(cart.to_owned()));
    let nobody = "T006 nobody was expected, and spiffe://shop.local/ns/default/sa/web came";
    assert_eq!(expect(&[]), Err(nobody.to_owned()));
}

#[test]
fn a_bad_root_is_left_out_and_named() {
    let mut shop = Shop::open();
    let chain = shop.sign(WEB);
    let pair = KeyPair::generate().unwrap();
    let workload = leaf(WEB).self_signed(&pair).unwrap().der().to_vec();
    let roots = vec![b"junk".to_vec(), workload, shop.root.certificate().to_vec()];
    let domain = TrustDomain::new("shop.local").unwrap();
    let bundles = BTreeMap::from([(domain, Arc::new(roots))]);
    let (trust, bad) = Trust::new(&bundles, Arc::default());
    check(&chain, &trust, NOW, BELIEVED);
    let bad: Vec<_> = bad.iter().map(ToString::to_string).collect();
    let expect = [
        "root 1 of shop.local is left out: it is not an X.509 certificate",
        "root 2 of shop.local is left out: it signs another certificate and is not an authority's",
    ];
    assert_eq!(bad, expect);
}
