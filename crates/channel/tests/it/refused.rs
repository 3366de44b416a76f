//! Certificates that prove nobody, as they are met: whichever side shows one, the other refuses it in the
//! handshake, and one line says why and who both are.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P521_SHA512, SanType, date_time_ymd,
};

use crate::hostile::{answer, call, client_with, show};
use crate::mesh::Mesh;

const WEB: &str = "spiffe://shop.local/ns/default/sa/web";
const CART: &str = "spiffe://shop.local/ns/default/sa/cart";

/// A certificate of the cart as the CA would make it, to be spoiled.
fn leaf() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.not_before = date_time_ymd(2026, 11, 20);
    params.not_after = date_time_ymd(2026, 11, 21);
    params.subject_alt_names = vec![uri(CART)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// One shows a chain to the cart's or the web's proxy; who it is taken for, and why it is refused.
struct Shows {
    chain: Vec<Vec<u8>>,
    key: KeyPair,
}

impl Shows {
    fn spoiled(mesh: &Mesh, spoil: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::by(mesh, KeyPair::generate().unwrap(), spoil)
    }

    fn by(mesh: &Mesh, key: KeyPair, spoil: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = leaf();
        spoil(&mut params);
        Self {
            chain: mesh.sign_anything(&params, &key),
            key,
        }
    }

    /// The web's proxy is called by it, and calls it for the cart. It `claims` to be somebody, or nobody of our form.
    async fn is_refused(&self, mesh: &Mesh, code: &str, claims: Option<&str>, why: &str) {
        let shown = show(&self.chain, self.key.serialized_der());
        let web = mesh.process(&["web"]);
        let called = call(&web, client_with(shown.clone()), &[b"h2"]).await;
        let unknown = claims.unwrap_or("somebody unknown");
        assert_eq!(
            called,
            format!("{code} handshake of {WEB} with {unknown}: {why}")
        );
        // Whoever calls knows at least whom it means.
        let answered = answer(mesh, &web, shown).await;
        let meant = claims.unwrap_or(CART);
        assert_eq!(
            answered,
            format!("{code} handshake of {WEB} with {meant}: {why}")
        );
    }
}

#[tokio::test]
async fn out_of_its_time() {
    let mesh = Mesh::new("shop.local");
    let early = Shows::spoiled(&mesh, |leaf| {
        leaf.not_before = date_time_ymd(2026, 11, 21);
        leaf.not_after = date_time_ymd(2026, 11, 22);
    });
    let why = format!(
        "the certificate of {CART} begins at 2026-11-21T00:00:00.000Z, and it is \
         2026-11-20T10:00:00.000Z: too early, or a clock is wrong"
    );
    early
        .is_refused(&mesh, "T002 (mesh)", Some(CART), &why)
        .await;
    let late = Shows::spoiled(&mesh, |leaf| {
        leaf.not_before = date_time_ymd(2026, 11, 18);
        leaf.not_after = date_time_ymd(2026, 11, 19);
    });
    let why = format!(
        "the certificate of {CART} ended at 2026-11-19T00:00:00.000Z, and it is \
         2026-11-20T10:00:00.000Z"
    );
    late.is_refused(&mesh, "T001 (mesh)", Some(CART), &why)
        .await;
}

#[tokio::test]
async fn of_others() {
    let mesh = Mesh::new("shop.local");
    let bank = "spiffe://bank.local/ns/default/sa/cart";
    let foreign = Shows::spoiled(&mesh, |leaf| leaf.subject_alt_names = vec![uri(bank)]);
    let why = format!("{bank} came, and what is trusted here is shop.local");
    foreign
        .is_refused(&mesh, "T003 (caller)", Some(bank), &why)
        .await;
    let forged = Shows::spoiled(&Mesh::new("shop.local"), |_| {});
    let why = format!(
        "the certificate of {CART} was expected to lead to a root of shop.local, and does not"
    );
    forged
        .is_refused(&mesh, "T004 (caller)", Some(CART), &why)
        .await;
}

#[tokio::test]
async fn no_identity_or_several() {
    let mesh = Mesh::new("shop.local");
    let expected = "exactly one SPIFFE identity was expected";
    for (names, why) in [
        (
            vec![],
            "the certificate holds no identity: it has no URI among its names; it calls itself \
             \"CN=leaf\", which nothing proves",
        ),
        (
            vec![uri(CART), uri(WEB)],
            "the certificate holds 2 URIs where exactly one was expected; it calls itself \
             \"spiffe://shop.local/ns/default/sa/cart and spiffe://shop.local/ns/default/sa/web\", which \
             nothing proves",
        ),
        (
            vec![uri("spiffe://shop.local/cart")],
            "\"spiffe://shop.local/cart\" is not \
             spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>",
        ),
    ] {
        let malformed = Shows::spoiled(&mesh, |leaf| leaf.subject_alt_names = names);
        let why = format!("{expected}: {why}");
        malformed
            .is_refused(&mesh, "T009 (caller)", None, &why)
            .await;
    }
}

#[tokio::test]
async fn not_made_for_this() {
    let mesh = Mesh::new("shop.local");
    let unfit = |why| format!("the certificate of {CART} is not fit: {why}");
    let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let weak = Shows::by(&mesh, key, |_| {});
    let why = unfit(
        "its key is on another elliptic curve; P-256, P-384, Ed25519 and RSA from 2048 bits are \
         taken",
    );
    weak.is_refused(&mesh, "T010 (caller)", Some(CART), &why)
        .await;
    let signer = Shows::spoiled(&mesh, |leaf| {
        leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let why = unfit("it is an authority's certificate where a workload's was expected");
    signer
        .is_refused(&mesh, "T010 (caller)", Some(CART), &why)
        .await;
    let usage = Shows::spoiled(&mesh, |leaf| {
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    });
    let why = unfit("its extended key usage does not hold both serverAuth and clientAuth");
    usage
        .is_refused(&mesh, "T010 (caller)", Some(CART), &why)
        .await;
}

#[tokio::test]
async fn more_than_any_honest_chain() {
    let mesh = Mesh::new("shop.local");
    let mut long = Shows::spoiled(&mesh, |_| {});
    let above = long.chain[1].clone();
    long.chain.extend(vec![above; 4]);
    let why = "at most 5 certificates were expected, and 6 came";
    long.is_refused(&mesh, "T010 (caller)", Some(CART), why)
        .await;
}
