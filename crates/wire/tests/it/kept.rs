//! What a proxy keeps: the control plane has signed it for this proxy, or it is not taken up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leno_identity::{Credential, Intermediate, Key, Root, Trust};
use leno_model::view::View;
use leno_model::{Dice, SpiffeId, Subscription, TrustDomain, Wall};
use leno_wire::certificates::control_plane;
use leno_wire::delta::Commit;
use leno_wire::{Client, Holder, Known, NotRestored, Target};
use rcgen::KeyPair;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::pair::{Pair, offer};
use crate::views::Maker;

/// 2026-11-20T10:00:00Z.
const NOW: Wall = Wall::since_epoch(Duration::from_secs(1_795_168_800));

const MINUTE: Duration = Duration::from_secs(60);

fn key() -> Key {
    let der = KeyPair::generate().unwrap().serialize_der();
    Key::read(&PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der))).unwrap()
}

fn domain() -> TrustDomain {
    TrustDomain::new("shop.local").unwrap()
}

fn id(account: &str) -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://shop.local/ns/shop/sa/{account}")).unwrap()
}

fn web() -> Holder {
    Holder {
        proxy: "web".to_owned(),
        identity: id("web"),
    }
}

/// The CA of a mesh.
struct Ca {
    root: Root,
    intermediate: Intermediate,
}

impl Ca {
    fn new() -> Self {
        let (dice, life) = (&mut Dice::new(1), 10 * MINUTE);
        let root = Root::establish(&domain(), key(), life, NOW, dice).unwrap();
        let key = key();
        let signed = root.sign_intermediate(&key.public(), life, NOW, dice);
        Self {
            intermediate: Intermediate::restore(signed.unwrap(), key).unwrap(),
            root,
        }
    }

    fn trust(&self) -> Trust {
        let roots = Arc::new(vec![self.root.certificate().to_vec()]);
        Trust::new(&[(domain(), roots)].into(), Arc::default()).0
    }

    /// Signs for web, as `signer`, whose certificate lasts for a minute.
    fn sealer(&self, signer: &SpiffeId) -> impl Fn(&mut Commit) + 'static {
        let (key, dice) = (key(), &mut Dice::new(2));
        let chain = self
            .intermediate
            .sign_leaf(&key.public(), signer, MINUTE, NOW, dice);
        let credential = Credential::new(chain.unwrap(), key).unwrap();
        move |commit| {
            let statement = commit.statement(&web());
            commit.seal = Some(credential.seal(&statement, NOW).unwrap());
        }
    }

    /// What web keeps of `view`.
    fn kept(&self, view: &View) -> Vec<u8> {
        let mut pair = Pair::new();
        pair.seal_by(self.sealer(&control_plane(&domain())));
        for (name, exists) in [("cart", true), ("nope", false)] {
            pair.client.subscribe(asked(name));
            let answers = BTreeMap::from([(asked(name), exists)]);
            pair.server.offer(Arc::new(Target::new(view, answers)));
            pair.settle();
        }
        pair.client.save(&web()).unwrap()
    }
}

fn asked(name: &str) -> Subscription {
    Subscription::parse(&format!("service/shop/{name}")).unwrap()
}

/// Why it is not taken up, after its code.
fn told(holder: &Holder, bytes: &[u8], trust: &Trust) -> String {
    match Client::restore(holder, bytes, trust) {
        Ok(_) => "it is taken up".to_owned(),
        Err(why) => format!("{} {why}", why.code()),
    }
}

#[test]
fn a_restarted_proxy_has_its_last_view_and_is_sent_only_what_differs() {
    let ca = Ca::new();
    for seed in 0..20 {
        let mut view = Maker(Dice::new(seed)).view(1);
        let kept = ca.kept(&view);
        let (client, restored) = Client::restore(&web(), &kept, &ca.trust()).unwrap();
        assert_eq!(restored, view, "seed {seed}");
        assert_eq!(client.known(&asked("cart")), Known::Exists);
        assert_eq!(client.known(&asked("nope")), Known::Absent);
        assert_eq!(client.save(&web()).unwrap(), kept, "it is kept as it was");

        let mut pair = Pair::new();
        pair.client = client;
        pair.cut();
        view.generation.positions.insert("store".into(), 2);
        pair.server.offer(offer(&view));
        let request = pair.client.poll_request().unwrap();
        assert_eq!(request.subscribe, [asked("cart"), asked("nope")]);
        pair.server.handle_request(request).unwrap();
        let response = pair.server.poll_response().unwrap();
        assert!(response.parts.is_empty() && response.removed.is_empty());
        assert!(response.commit.is_some());
    }
}

#[test]
fn whatever_byte_is_changed_it_is_not_taken_up() {
    let ca = Ca::new();
    let (kept, trust) = (ca.kept(&Maker(Dice::new(3)).view(1)), ca.trust());
    // Proving takes its time: every seventh byte, by which each of its bits comes to be changed.
    for at in (0..kept.len()).step_by(7) {
        let mut bytes = kept.clone();
        bytes[at] ^= 1 << (at % 8);
        let restored = Client::restore(&web(), &bytes, &trust);
        assert!(restored.is_err(), "byte {at} of {}", kept.len());
    }
    for length in (0..kept.len()).step_by(50) {
        let restored = Client::restore(&web(), &kept[..length], &trust);
        assert!(restored.is_err(), "{length} of {}", kept.len());
    }
}

#[test]
fn a_view_of_another_proxy_or_mesh_is_not_taken_up() {
    let (ca, other) = (Ca::new(), Ca::new());
    let kept = ca.kept(&Maker(Dice::new(4)).view(1));
    assert_eq!(told(&web(), &kept, &ca.trust()), "it is taken up");
    let cart = Holder {
        proxy: "cart".to_owned(),
        identity: id("cart"),
    };
    assert_eq!(
        told(&cart, &kept, &ca.trust()),
        "T014 it is the view of web (spiffe://shop.local/ns/shop/sa/web)"
    );
    let second = Holder {
        proxy: "web-2".to_owned(),
        ..web()
    };
    assert!(matches!(
        Client::restore(&second, &kept, &ca.trust()),
        Err(NotRestored::OfAnother(_))
    ));
    assert_eq!(
        told(&web(), &kept, &other.trust()),
        "T014 whoever signed it is not believed: the certificate of \
         spiffe://shop.local/ns/leno-system/sa/leno-control was expected to lead to a root of \
         shop.local, and does not"
    );
}

#[test]
fn a_view_that_somebody_else_signed_is_not_taken_up() {
    let ca = Ca::new();
    let mut pair = Pair::new();
    pair.seal_by(ca.sealer(&id("cart")));
    pair.server.offer(offer(&Maker(Dice::new(5)).view(1)));
    pair.settle();
    assert_eq!(
        told(&web(), &pair.client.save(&web()).unwrap(), &ca.trust()),
        "T014 it is signed by spiffe://shop.local/ns/shop/sa/cart, who is not the control plane"
    );
}

#[test]
fn what_is_not_signed_is_not_kept() {
    let mut pair = Pair::new();
    pair.server.offer(offer(&Maker(Dice::new(6)).view(1)));
    pair.settle();
    assert_eq!(pair.client.save(&web()), None);
}

#[test]
fn the_signature_is_over_what_is_known_however_the_link_breaks() {
    let ca = Ca::new();
    let trust = ca.trust();
    for seed in 0..8 {
        let (mut maker, mut last) = (Maker(Dice::new(seed)), None::<Vec<u8>>);
        let mut pair = Pair::new();
        pair.seal_by(ca.sealer(&control_plane(&domain())));
        let view = maker.view(1);
        for turn in 0..60 {
            let name = format!("service-{}", maker.below(6));
            match maker.below(6) {
                0 => pair.client.subscribe(asked(&name)),
                1 => pair.client.unsubscribe(&asked(&name)),
                2 => pair.cut(),
                3 => {
                    let all = pair.server.subscriptions().iter().cloned();
                    let answers = all.map(|asked| (asked, turn % 2 == 0)).collect();
                    pair.server.offer(Arc::new(Target::new(&view, answers)));
                }
                _ => drop(pair.step()),
            }
            let kept = pair.client.save(&web());
            if let Some(bytes) = kept.as_ref().filter(|_| kept != last) {
                let told = told(&web(), bytes, &trust);
                assert_eq!(told, "it is taken up", "seed {seed}");
            }
            last = kept;
        }
    }
}
