//! Tokens, revocations, addresses and what the views learn of them.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use leno_identity::{BundleHash, Fingerprint, Stage};
use leno_model::{Name, Namespace, ServiceName, SpiffeId};
use leno_store::{
    Bridge, Grant, HolderState, Issued, KeptRoot, Message, NotAdded, NotSpent, Revocation, Secret,
    Token,
};

use crate::folder::{Folder, label, wall};

fn token(id: &str, uses: u32) -> Token {
    Token {
        id: label(id),
        hash: [9; 32],
        grant: Grant {
            namespace: Namespace::new("shop").unwrap(),
            service_account: Some(Name::new("web").unwrap()),
        },
        uses,
        expires: wall(2000),
        made: wall(1000),
        made_by: label("ops"),
    }
}

#[test]
fn a_token_is_good_for_what_it_says_and_no_longer() {
    let folder = Folder::new();
    let store = folder.open();
    store.add_token(&token("t1", 2)).unwrap();
    assert_eq!(store.add_token(&token("t1", 9)), Err(NotAdded::Exists));
    let spend = |id, hash, at| store.spend_token(id, &[hash; 32], wall(at));
    assert_eq!(spend("t2", 9, 1500), Err(NotSpent::Unknown));
    assert_eq!(spend("t1", 8, 1500), Err(NotSpent::WrongSecret));
    assert_eq!(spend("t1", 9, 2000), Err(NotSpent::Expired(wall(2000))));
    assert_eq!(spend("t1", 9, 1999), Ok(token("t1", 2).grant));
    assert_eq!(store.tokens().unwrap(), [token("t1", 1)]);
    assert!(spend("t1", 9, 1999).is_ok());
    assert_eq!(spend("t1", 9, 1999), Err(NotSpent::Spent));
    assert_eq!(NotSpent::Spent.code().as_str(), "T012");
    assert_eq!(store.drop_token("t1"), Ok(true));
    assert_eq!(store.drop_token("t1"), Ok(false));
    assert_eq!(store.head().position, 0, "no view shows a token");
}

#[test]
fn of_many_who_spend_one_token_at_once_one_succeeds() {
    let folder = Folder::new();
    let store = folder.open();
    store.add_token(&token("t1", 1)).unwrap();
    let start = Barrier::new(8);
    let spend = || {
        start.wait();
        store.spend_token("t1", &[9; 32], wall(1500)).is_ok()
    };
    let granted = thread::scope(|scope| {
        let spenders: Vec<_> = (0..8).map(|_| scope.spawn(spend)).collect();
        let joined = spenders.into_iter().map(|spender| spender.join().unwrap());
        joined.filter(|granted| *granted).count()
    });
    assert_eq!(granted, 1);
    drop(store);
    let spent = folder.open().spend_token("t1", &[9; 32], wall(1500));
    assert_eq!(spent, Err(NotSpent::Spent), "also after a restart");
}

#[test]
fn tokens_that_expired_long_ago_are_forgotten() {
    let folder = Folder::new();
    let store = folder.open();
    store.add_token(&token("old", 1)).unwrap();
    let day = 24 * 3600;
    for (id, made) in [("t1", 2000 + day), ("t2", 2001 + day)] {
        let mut token = token(id, 1);
        (token.made, token.expires) = (wall(made), wall(made + 60));
        store.add_token(&token).unwrap();
        let kept = store.tokens().unwrap();
        let has_old = kept.iter().any(|token| token.id == label("old"));
        assert_eq!(has_old, id == "t1");
    }
}

#[test]
fn a_revocation_raises_the_position_so_that_no_older_view_takes_it_back() {
    let folder = Folder::new();
    let store = folder.open();
    let identity = SpiffeId::parse("spiffe://shop.local/ns/shop/sa/web").unwrap();
    let revocation = Revocation {
        identity: identity.clone(),
        at: wall(1000),
        who: label("sec"),
        reason: Message::new("its key was seen on a forum").unwrap(),
    };
    assert_eq!(store.revoke(&revocation), Ok(true));
    assert_eq!(store.head().position, 1);
    let mut again = revocation.clone();
    again.reason = Message::default();
    assert_eq!(store.revoke(&again), Ok(false));
    assert_eq!(store.revoked().unwrap(), [revocation]);
    assert_eq!(store.head().position, 1);
    assert_eq!(store.reinstate(&identity), Ok(true));
    assert_eq!(store.reinstate(&identity), Ok(false));
    assert_eq!(store.head().position, 2);
    assert!(store.revoked().unwrap().is_empty());
}

#[test]
fn keys_and_chains_are_changed_together() {
    let folder = Folder::new();
    let store = folder.open();
    let keep = |key: Option<&[u8]>, chain: Option<&[u8]>| {
        let secret = |bytes: Option<&[u8]>| bytes.map(|bytes| Secret(bytes.to_vec()));
        let pair = [
            (label("intermediate key"), secret(key)),
            (label("intermediate chain"), secret(chain)),
        ];
        store.keep_secrets(&pair).unwrap();
    };
    let kept = |name| store.secret(&label(name)).unwrap().map(|secret| secret.0);
    assert_eq!(kept("intermediate key"), None);
    keep(Some(b"key 1"), Some(b"chain 1"));
    keep(Some(b"key 2"), Some(b"chain 2"));
    assert_eq!(kept("intermediate key").unwrap(), b"key 2");
    assert_eq!(kept("intermediate chain").unwrap(), b"chain 2");
    keep(None, Some(b"chain 3"));
    assert_eq!(kept("intermediate key"), None);
    assert_eq!(store.head().position, 3);
    assert_eq!(format!("{:?}", Secret(vec![0; 32])), "Secret(32 bytes)");
}

#[test]
fn addresses_outlive_restarts_and_absences() {
    let folder = Folder::new();
    let service =
        |name| ServiceName::new(Namespace::new("shop").unwrap(), Name::new(name).unwrap());
    let both = BTreeSet::from([service("cart"), service("web")]);
    let given = folder.open().addresses(&both, wall(0)).unwrap();
    assert_eq!(given.len(), 2);
    let web = BTreeSet::from([service("web")]);
    let store = folder.open();
    let without = store.addresses(&web, wall(1000)).unwrap();
    assert_eq!(without[&service("web")], given[&service("web")]);
    drop(store);
    assert_eq!(folder.open().addresses(&both, wall(2000)).unwrap(), given);
}

#[test]
fn roots_are_kept_in_their_order_with_what_needs_them() {
    let folder = Folder::new();
    let store = folder.open();
    let root = |number: u8, stage| KeptRoot {
        fingerprint: Fingerprint([number; 32]),
        certificate: vec![number],
        bridge: (number == 1).then(|| Bridge {
            certificate: vec![9],
            before: vec![2],
        }),
        stage,
        needed_until: wall(100),
    };
    let mut roots = vec![
        root(2, Stage::Leaving(wall(20))),
        root(1, Stage::Active(wall(20))),
        root(3, Stage::Announced(wall(30))),
    ];
    let key = (label("key"), Some(Secret(vec![1])));
    store.keep_roots(&roots, &[key]).unwrap();
    assert_eq!(store.roots().unwrap(), roots);
    assert_eq!(store.secret(&label("key")).unwrap(), Some(Secret(vec![1])));
    assert_eq!(store.head().position, 1, "views show roots");
    store.remember(issued(1, 1, 500)).unwrap();
    store.remember(issued(2, 1, 400)).unwrap();
    assert_eq!(
        store.head().position,
        1,
        "no view shows who has a certificate"
    );
    roots[1].needed_until = wall(500);
    assert_eq!(store.roots().unwrap(), roots);
    drop(store);
    assert_eq!(folder.open().roots().unwrap(), roots);
}

/// A certificate of a holder, under the root of [`Fingerprint`] 1, that ends at a second.
fn issued(leaf: u8, holder: u8, ends: u64) -> Issued {
    Issued {
        leaf: Fingerprint([leaf; 32]),
        holder: Fingerprint([holder; 32]),
        identity: SpiffeId::parse("spiffe://shop.local/ns/shop/sa/web").unwrap(),
        at: wall(100),
        ends: wall(ends),
        root: Fingerprint([1; 32]),
        why: label("a renewal"),
        pod: (holder == 1).then(|| label("leno-system/leno-node-1 7f")),
    }
}

#[test]
fn holders_are_those_whose_certificates_have_not_ended() {
    let folder = Folder::new();
    let store = folder.open();
    for (leaf, holder, ends) in [(1, 1, 200), (2, 1, 400), (3, 3, 300)] {
        store.remember(issued(leaf, holder, ends)).unwrap();
    }
    let bundle = Some(BundleHash([7; 16]));
    let says = |holder: u8, has_left| HolderState {
        holder: Fingerprint([holder; 32]),
        name: "web".to_owned(),
        bundle,
        seen: wall(150),
        has_left,
    };
    store.keep_holders(&[says(1, false)]).unwrap();
    let told = |now| {
        let holders = store.holders(wall(now)).unwrap().into_iter();
        let told = holders.map(|one| {
            let first = one.holder.0[0];
            let (leaves, name, knows) = (one.leaves.len(), &one.name, one.bundle == bundle);
            format!("{first} {name:?} {leaves} until {} {knows}", one.ends)
        });
        told.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        told(200),
        "1 \"web\" 2 until 1970-01-01T00:06:40.000Z true\n\
         3 \"\" 1 until 1970-01-01T00:05:00.000Z false"
    );
    assert_eq!(told(301), "1 \"web\" 1 until 1970-01-01T00:06:40.000Z true");
    assert_eq!(told(401), "");
    assert_eq!(
        store.issued(2).unwrap(),
        [issued(3, 3, 300), issued(2, 1, 400)]
    );
    let holder_of = |leaf| store.holder_of(Fingerprint([leaf; 32])).unwrap();
    let bound = Some(label("leno-system/leno-node-1 7f"));
    assert_eq!(holder_of(2), Some((Fingerprint([1; 32]), bound)));
    assert_eq!(holder_of(9), None);
    // All that ended is forgotten in time, and with it whoever held it.
    store.forget_ended(wall(400 + 29 * 86_400)).unwrap();
    assert_eq!(store.issued(9).unwrap().len(), 3);
    store.keep_holders(&[says(1, true)]).unwrap();
    assert_eq!(holder_of(2), None, "it has left");
    store.forget_ended(wall(400 + 31 * 86_400)).unwrap();
    assert_eq!(store.issued(9).unwrap(), []);
}

#[test]
fn certificates_that_are_signed_at_once_are_all_remembered() {
    let folder = Folder::new();
    let store = folder.open();
    thread::scope(|scope| {
        for worker in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..16 {
                    store
                        .remember(issued(worker * 16 + number, 0, 200))
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(store.issued(1000).unwrap().len(), 128);
}
