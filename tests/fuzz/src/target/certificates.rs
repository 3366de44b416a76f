//! Certificates, keys and requests for certificates.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use leno_channel::generate_key;
use leno_identity::{Intermediate, PublicKey, Root, Trust, Validity, verify};
use leno_model::{Dice, SpiffeId, TrustDomain, Wall};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "certificate",
    holds: "of all chains only the one that was issued proves anything, and what is no certificate is no key either",
    seeds: || {
        vec![
            CHAIN.sent.clone(),
            CHAIN.chain[0].clone(),
            CHAIN.request.clone(),
        ]
    },
    words: &[
        "\u{30}",
        "\u{2}\u{1}",
        "\u{4}\u{20}",
        "spiffe://shop.local/ns/shop/sa/admin",
        "\u{6}\u{3}U\u{1d}",
    ],
    check,
};

/// What was issued.
struct Chain {
    chain: Vec<Vec<u8>>,
    /// The same as one input: the length of the leaf in two bytes, then both certificates.
    sent: Vec<u8>,
    request: Vec<u8>,
    trust: Trust,
}

const NOW: Wall = Wall::since_epoch(Duration::from_secs(1_795_168_800));
const HOUR: Duration = Duration::from_secs(3600);

static CHAIN: LazyLock<Chain> = LazyLock::new(|| {
    let domain = TrustDomain::new("shop.local").expect("a name");
    let id = SpiffeId::parse("spiffe://shop.local/ns/shop/sa/web").expect("an identity");
    let dice = &mut Dice::new(1);
    let root = Root::establish(&domain, generate_key(), HOUR, NOW, dice).expect("a root");
    let key = generate_key();
    let signed = root
        .sign_intermediate(&key.public(), HOUR, NOW, dice)
        .expect("it may");
    let authority = Intermediate::restore(signed, key).expect("they belong together");
    let key = generate_key();
    let chain = authority
        .sign_leaf(&key.public(), &id, HOUR, NOW, dice)
        .expect("it may");
    let roots = Arc::new(vec![root.certificate().to_vec()]);
    let (trust, _) = Trust::new(&BTreeMap::from([(domain, roots)]), Arc::default());
    let length = u16::try_from(chain[0].len()).expect("certificates are short");
    Chain {
        sent: [&length.to_be_bytes()[..], &chain[0], &chain[1]].concat(),
        request: key.request(),
        chain,
        trust,
    }
});

fn check(input: &[u8]) -> bool {
    let read = [
        Validity::of(input).is_some(),
        PublicKey::read(input).is_ok(),
    ];
    let request = PublicKey::of_request(input).is_ok();
    let Some((length, rest)) = input.split_first_chunk() else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (leaf, issuer) = rest.split_at(length);
    let caller = verify(&[leaf, issuer], &CHAIN.trust, NOW);
    if let Ok(caller) = &caller {
        // A signature of ECDSA has no second form that is accepted, so that nothing but the chain itself proves it.
        assert_eq!(
            [leaf, issuer],
            [&CHAIN.chain[0][..], &CHAIN.chain[1][..]],
            "{caller:?}"
        );
    }
    caller.is_ok() || request || read.contains(&true)
}
