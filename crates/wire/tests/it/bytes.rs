//! One part as bytes and back.

use std::collections::BTreeMap;

use leno_model::view::WorkloadId;
use leno_model::{Dice, Name, Namespace, SpiffeId, TrustDomain};
use leno_wire::certificates::{Evidence, Issued, Join, Renew};
use leno_wire::part::{Part, assemble, parts_of};
use leno_wire::pods::Arriving;
use leno_wire::{Request, Response};

use crate::views::Maker;

#[test]
fn a_view_survives_the_wire() {
    let mut maker = Maker(Dice::new(1));
    for position in 0..200 {
        let view = maker.view(position);
        let parts = parts_of(&view).into_iter().map(|part| {
            let decoded = Part::decode(&part.encode()).unwrap();
            assert_eq!(decoded, part);
            assert_eq!(decoded.encode(), part.encode());
            decoded
        });
        assert_eq!(assemble(view.generation.clone(), parts), Ok(view));
    }
}

#[test]
fn a_view_has_no_two_parts_of_one_name() {
    let mut maker = Maker(Dice::new(2));
    for position in 0..50 {
        let parts = parts_of(&maker.view(position));
        let names: BTreeMap<_, _> = parts.iter().map(|part| (part.name(), part)).collect();
        assert_eq!(names.len(), parts.len());
    }
}

#[test]
fn hostile_bytes_are_a_misfit_or_a_part_but_never_a_panic() {
    let mut maker = Maker(Dice::new(3));
    for position in 0..100 {
        for part in parts_of(&maker.view(position)) {
            let mut bytes = part.encode();
            for _ in 0..20 {
                let at = maker.below(bytes.len() as u32) as usize;
                match maker.below(3) {
                    0 => bytes[at] = maker.below(256) as u8,
                    1 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, maker.below(256) as u8),
                }
                drop(Part::decode(&bytes));
                drop(Request::decode(&bytes));
                drop(Response::decode(&bytes));
            }
        }
    }
}

#[test]
fn joins_renewals_and_what_is_issued_survive_the_wire() {
    let token = Evidence::Token {
        id: "t-1".into(),
        secret: vec![7; 16],
    };
    for evidence in [token, Evidence::Process, Evidence::Jwt("a.b.c".into())] {
        let join = Join {
            evidence,
            namespace: Some("shop".into()),
            service_account: Some("cart".into()),
            request: vec![1, 2, 3],
        };
        assert_eq!(Join::decode(&join.encode()), Ok(join));
    }
    let pod = Arriving {
        id: WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new("cart-1").unwrap(),
        },
        uid: "7f".into(),
    };
    for pod in [None, Some(pod)] {
        let renew = Renew {
            identity: SpiffeId::parse("spiffe://shop.local/ns/shop/sa/cart").unwrap(),
            request: vec![4],
            pod,
        };
        assert_eq!(Renew::decode(&renew.encode()), Ok(renew));
    }
    let issued = Issued {
        chain: vec![vec![5], vec![6]],
        trust_domain: TrustDomain::new("shop.local").unwrap(),
        roots: vec![vec![7]],
    };
    assert_eq!(Issued::decode(&issued.encode()), Ok(issued));
    assert!(Renew::decode(&[0x0a, 1, b'x']).is_err());
}
