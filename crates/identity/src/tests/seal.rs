//! What was sealed, and by whom.

use super::*;
use crate::{BrokenSeal, Credential, Seal};

/// Who sealed these bytes, in one line.
fn told(seal: &Seal, bytes: &[u8], trust: &Trust) -> String {
    match seal.verify(bytes, trust) {
        Ok(signer) => signer.id().to_string(),
        Err(BrokenSeal::Signer(distrust)) => distrust.code().to_string(),
        Err(BrokenSeal::Signature) => "another signature".to_owned(),
    }
}

fn credential(shop: &Shop, life: Duration) -> Credential {
    let key = new_key();
    let signed = shop
        .intermediate
        .sign_leaf(&key.public(), &id(WEB), life, NOW, &mut Dice::new(3));
    Credential::new(signed.unwrap(), key).unwrap()
}

#[test]
fn a_seal_says_who_made_it_also_when_the_signer_has_expired() {
    let shop = Shop::open();
    let seal = credential(&shop, Duration::from_secs(60))
        .seal(b"view", NOW)
        .unwrap();
    let trust = shop.trust();
    assert_eq!(told(&seal, b"view", &trust), WEB);
    assert_eq!(told(&seal, b"View", &trust), "another signature");
    let later = Seal {
        at: NOW + HOUR,
        ..seal
    };
    assert_eq!(
        told(&later, b"view", &trust),
        "T001",
        "it was not signed then"
    );
}

#[test]
fn nothing_of_a_seal_can_be_changed() {
    let shop = Shop::open();
    let seal = credential(&shop, HOUR).seal(b"view", NOW).unwrap();
    let trust = shop.trust();
    let earlier = Seal {
        at: NOW - Duration::from_secs(1),
        ..seal.clone()
    };
    assert_eq!(told(&earlier, b"view", &trust), "another signature");
    let mut longer = seal.clone();
    longer.chain.push(shop.root.certificate().to_vec());
    assert_eq!(told(&longer, b"view", &trust), "another signature");
    for at in 0..seal.signature.len() {
        let mut flipped = seal.clone();
        flipped.signature[at] ^= 1;
        assert_eq!(told(&flipped, b"view", &trust), "another signature");
    }
}

#[test]
fn a_seal_of_another_mesh_proves_nothing() {
    let (shop, other) = (Shop::open(), Shop::open());
    let seal = credential(&other, HOUR).seal(b"view", NOW).unwrap();
    assert_eq!(told(&seal, b"view", &shop.trust()), "T004");
}
