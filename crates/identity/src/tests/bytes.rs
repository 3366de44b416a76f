//! Bytes that nobody meant: spoiled certificates and requests never panic and are never believed.

use std::num::NonZeroU32;

use super::*;
use crate::{Credential, PublicKey};

#[test]
fn a_spoiled_chain_is_never_believed() {
    let mut shop = Shop::open();
    let (chain, trust) = (shop.sign(WEB), shop.trust());
    let mut dice = Dice::new(20_261_120);
    for _ in 0..4000 {
        let mut spoiled = chain.clone();
        let link = roll(&mut dice, chain.len());
        spoil(&mut spoiled[link], &mut dice);
        if spoiled != chain {
            let told = told(&spoiled, &trust, NOW);
            assert!(told.starts_with('T'), "{told}\n{spoiled:02x?}");
        }
    }
}

#[test]
fn spoiled_roots_credentials_and_requests_never_panic() {
    let mut shop = Shop::open();
    let key = new_key();
    let chain = shop.sign(WEB);
    let request = key.request();
    let domain = TrustDomain::new("shop.local").unwrap();
    let mut dice = Dice::new(7);
    for _ in 0..4000 {
        let mut root = shop.root.certificate().to_vec();
        spoil(&mut root, &mut dice);
        let bundles = BTreeMap::from([(domain.clone(), Arc::new(vec![root.clone()]))]);
        let (trust, bad) = Trust::new(&bundles, Arc::default());
        assert_eq!(trust.domains().count() + bad.len(), 1);
        drop(Root::restore(root, key.clone()));

        let mut spoiled = chain.clone();
        spoil(&mut spoiled[0], &mut dice);
        assert!(Credential::new(spoiled, key.clone()).is_err());

        let mut spoiled = request.clone();
        spoil(&mut spoiled, &mut dice);
        // The reader is lenient about tags; that the key was proven, it is not.
        if let Ok(proven) = PublicKey::of_request(&spoiled) {
            assert_eq!(proven, key.public(), "{spoiled:02x?}");
        }
    }
}

/// Changes, drops, doubles or cuts a few bytes.
fn spoil(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=roll(dice, 3) {
        let at = roll(dice, bytes.len());
        match roll(dice, 5) {
            0 => bytes[at] ^= 1 << roll(dice, 8),
            1 => bytes[at] = u8::try_from(roll(dice, 256)).unwrap(),
            2 if bytes.len() > 1 => drop(bytes.remove(at)),
            3 => bytes.insert(at, bytes[at]),
            _ => bytes.truncate(at.max(1)),
        }
    }
}

fn roll(dice: &mut Dice, of: usize) -> usize {
    let of = NonZeroU32::new(u32::try_from(of).unwrap()).unwrap();
    dice.roll(of).value as usize
}
