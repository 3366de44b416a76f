//! Two trust domains, one of them made up: bundles in, what is believed out; time is passed in.

use alloc::{
    collections::BTreeMap, format, string::String, string::ToString, sync::Arc, vec, vec::Vec,
};
use core::time::Duration;

use leno_identity::{Fingerprint, Key, ROOT_LIFE, Root, Rotation, Validity};
use leno_model::{Dice, Mono, Now, TrustDomain, Wall};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::*;

const START: u64 = 1_800_000_000;

/// So many seconds after the beginning.
fn at(seconds: u64) -> Now {
    Now {
        mono: Mono::since_start(Duration::from_secs(seconds)),
        wall: Wall::since_epoch(Duration::from_secs(START + seconds)),
    }
}

fn domain(name: &str) -> TrustDomain {
    TrustDomain::new(name).unwrap()
}

fn root_of(name: &str, life: Duration) -> Vec<u8> {
    let pair = rcgen::KeyPair::generate().unwrap();
    let key = Key::read(&PrivatePkcs8KeyDer::from(pair.serialize_der()).into()).unwrap();
    let root = Root::establish(&domain(name), key, life, at(0).wall, &mut Dice::new(1));
    root.unwrap().certificate().to_vec()
}

fn root() -> Vec<u8> {
    root_of("bank.example", ROOT_LIFE)
}

const HINT: Duration = Duration::from_secs(300);

fn bundle(sequence: u64, roots: &[Vec<u8>]) -> String {
    publish(sequence, HINT, roots, Some(TOKEN_KEYS))
}

/// The keys of RFC 7517's example, for JWT-SVIDs.
const TOKEN_KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "use": "jwt-svid", "kid": "1",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

fn source(place: &str, base: Option<&str>) -> Source {
    Source {
        place: (!place.is_empty()).then(|| place.into()),
        longest: Duration::from_secs(3600),
        base: base.map(Arc::from),
    }
}

fn begin(source: &Source, kept: Option<Kept>, now: Now) -> Peering {
    Peering::begin(domain("bank.example"), source.clone(), kept, now)
}

/// What is believed, and when to look next: `7 with 1 root, again at 300`.
fn told(peering: &Peering) -> String {
    let believed = peering.believed().map_or_else(
        || "nobody".to_string(),
        |it| {
            let sequence = it.sequence.map_or_else(|| "-".into(), |it| it.to_string());
            format!("{sequence} with {} roots", it.roots.len())
        },
    );
    let next = peering.poll_timeout().map_or_else(
        || "never again".to_string(),
        |at| format!("again at {}", at.since(Mono::default()).as_secs()),
    );
    let trouble = peering.troubled().map(|it| format!(": {}", it.why));
    format!("{believed}, {next}{}", trouble.unwrap_or_default())
}

#[test]
fn what_we_publish_is_what_others_read() {
    let roots = [root(), root()];
    let text = publish(7, HINT, &roots, Some(TOKEN_KEYS));
    let believed = believe(text.as_bytes(), &domain("bank.example"), at(0).wall).unwrap();
    assert_eq!(believed.roots.as_slice(), roots);
    assert_eq!(believed.sequence, Some(7));
    assert_eq!(believed.refresh_hint, Some(HINT));
    assert!(believed.token_keys.unwrap().contains("\"kid\":\"1\""));
    assert_eq!(believed.left_out, Vec::<String>::new());
}

#[test]
fn a_bundle_is_no_better_than_its_keys() {
    let check = |text: &str, expect: &str| {
        let believed = believe(text.as_bytes(), &domain("bank.example"), at(3600).wall);
        let told = match believed {
            Ok(it) => format!("{} roots; {}", it.roots.len(), it.left_out.join("; ")),
            Err(why) => why.to_string(),
        };
        assert_eq!(told, expect, "{text}");
    };
    check(
        "",
        "it is no SPIFFE bundle: it is not a JWK Set: EOF while parsing a value at line 1 column 0",
    );
    check(
        "[]",
        "it is no SPIFFE bundle: it is not a JWK Set: it is not an object",
    );
    check(
        "{}",
        "it is no SPIFFE bundle: it is not a JWK Set: it has no list `keys`",
    );
    check(r#"{"keys": []}"#, "nothing in it proves an identity");
    check(
        r#"{"keys": [], "spiffe_sequence": -1}"#,
        "it is no SPIFFE bundle: its spiffe_sequence is not a whole number of at most 64 bits",
    );
    check(
        r#"{"keys": [], "keys": []}"#,
        "it is no SPIFFE bundle: it is not a JWK Set: an object has two members of one name at line 1 column 19",
    );
    check(
        r#"{"keys": [{"kty": "EC", "use": "x509-svid", "x5c": ["AAAA"]}]}"#,
        "nothing in it proves an identity: authority 1 is not used: it is not an X.509 certificate",
    );
    check(
        r#"{"keys": [{"kty": "EC", "use": "x509-svid", "x5c": ["AAAA", "AAAA"]}]}"#,
        "nothing in it proves an identity: key 1 is not used: its x5c is missing or malformed",
    );
    let other = root_of("cloud.example", ROOT_LIFE);
    check(
        &bundle(1, std::slice::from_ref(&other)).replace("jwt-svid", "other"),
        "nothing in it proves an identity: authority 1 is not used: it says to be an authority of cloud.example",
    );
    check(
        &bundle(1, &[other, root()]),
        "1 roots; authority 1 is not used: it says to be an authority of cloud.example",
    );
    let old = root_of("bank.example", Duration::from_secs(1800));
    check(
        &bundle(1, &[root(), old]),
        "1 roots; authority 2 is not used: it ended at 2027-01-15T08:30:00.000Z",
    );
    // Of a use that nobody here knows, nothing is said.
    check(
        &bundle(1, &[root()]).replace("jwt-svid", "wit-svid"),
        "1 roots; ",
    );
    let many = vec![root(); 65];
    check(
        &bundle(1, &many).replace("jwt-svid", "other"),
        "it is no SPIFFE bundle: it has 66 keys, and at most 64 are read",
    );
}

#[test]
fn it_is_looked_again_as_often_as_is_hinted_and_within_bounds() {
    let check = |hint: u64, expect: &str| {
        let text = publish(1, Duration::from_secs(hint), &[root()], None);
        let mut peering = begin(&source("endpoint", None), None, at(10));
        assert_eq!(told(&peering), "nobody, again at 10");
        peering.handle_text(&text, at(10)).unwrap().unwrap();
        assert_eq!(told(&peering), format!("1 with 1 roots, again at {expect}"));
    };
    check(300, "310");
    check(0, "15");
    check(86_400 * 365, "3610");
    check(u64::MAX, "3610");
}

#[test]
fn the_last_good_bundle_holds_until_a_later_one_takes_its_place() {
    let (first, second) = (root(), root());
    let one = bundle(7, std::slice::from_ref(&first));
    let both = bundle(8, &[first, second]);
    let mut peering = begin(&source("endpoint", None), None, at(0));
    // Nobody is there yet: soon again.
    assert!(peering.handle_not_had("away".into(), at(0)));
    assert!(!peering.handle_not_had("away".into(), at(5)));
    assert_eq!(told(&peering), "nobody, again at 10: away");
    assert_eq!(peering.troubled().unwrap().since, at(0).wall);
    assert!(peering.handle_text(&one, at(10)).unwrap().is_some());
    assert_eq!(told(&peering), "7 with 1 roots, again at 310");
    // The same once more is no news.
    assert_eq!(peering.handle_text(&one, at(310)), Ok(None));
    assert!(peering.handle_not_had("away".into(), at(610)));
    assert_eq!(told(&peering), "7 with 1 roots, again at 670: away");
    assert!(peering.handle_text(&both, at(670)).unwrap().is_some());
    assert_eq!(told(&peering), "8 with 2 roots, again at 970");
    let check = |text: &str, why: &str| {
        let mut peering = peering.clone();
        peering.handle_text(text, at(970)).unwrap_err();
        let expect = format!("8 with 2 roots, again at 1030: {why}");
        assert_eq!(told(&peering), expect);
    };
    check(
        &one,
        "its sequence is 7, and 8 was there before: it is an older one",
    );
    check(
        &one.replace("\"spiffe_sequence\":7", "\"other\":7"),
        "its sequence is not said, and 8 was there before: it is an older one",
    );
    check(
        &publish(9, HINT, &[], Some(TOKEN_KEYS)),
        "it has no root, and the one before had: that would end all connections",
    );
    check(r#"{"keys": []}"#, "nothing in it proves an identity");
    check(
        "<html>",
        "it is no SPIFFE bundle: it is not a JWK Set: expected value at line 1 column 1",
    );
}

#[test]
fn what_was_got_outlives_a_restart_and_not_another_word_of_the_operator() {
    let bundle = |sequence| bundle(sequence, &[root()]);
    let written = bundle(3);
    let from = source("endpoint", Some(&written));
    let mut peering = begin(&from, None, at(0));
    assert_eq!(told(&peering), "3 with 1 roots, again at 0");
    let kept = peering.handle_text(&bundle(5), at(0)).unwrap();
    let check = |source: &Source, then: u64, expect: &str| {
        let mut peering = begin(source, kept.clone(), at(100));
        let before = told(&peering);
        let came = peering.handle_text(&bundle(then), at(100));
        let came = match came {
            Ok(_) => told(&peering),
            Err(why) => why.to_string(),
        };
        assert_eq!(format!("{before} -> {came}"), expect);
    };
    let older = "its sequence is 4, and 5 was there before: it is an older one";
    check(
        &from,
        4,
        &format!("5 with 1 roots, again at 100 -> {older}"),
    );
    // Another place: what is believed stays, and counts differently there.
    check(
        &source("another endpoint", Some(&written)),
        1,
        "5 with 1 roots, again at 100 -> 1 with 1 roots, again at 400",
    );
    // Another bundle is written: it is the latest.
    check(
        &source("endpoint", Some(&bundle(2))),
        4,
        "2 with 1 roots, again at 100 -> 4 with 1 roots, again at 400",
    );
    // What is written is taken for what it is.
    let garbled = begin(&source("endpoint", Some("keys")), kept.clone(), at(100));
    assert!(told(&garbled).starts_with("nobody, again at 100: it is no SPIFFE bundle"));
    let fixed = begin(&source("", Some(&written)), kept, at(100));
    assert_eq!(told(&fixed), "3 with 1 roots, never again");
}

#[test]
fn a_peer_that_looks_as_it_is_told_never_misses_a_root() {
    // Whatever the life of a root is and whenever a peer looks first: it holds the next root before that signs.
    for life in [300, 600, 3600, 86_400, 86_400 * 3650] {
        let hint = refresh_hint(Duration::from_secs(life));
        for offset in (0..hint.as_secs()).step_by(7) {
            let now = at(0).wall;
            let validity = Validity {
                begins: now,
                ends: now + Duration::from_secs(life),
            };
            let announced = now + Duration::from_secs(offset);
            let mut rotation = Rotation::found(Fingerprint([0; 32]), validity, now);
            assert_eq!(awaited_abroad(&rotation, hint, now), None);
            rotation.announce(Fingerprint([1; 32]), validity, announced);
            let signs = awaited_abroad(&rotation, hint, announced).unwrap();
            let looks = (0..).map(|number| now + hint * number);
            let between = looks
                .skip_while(|look| *look < announced)
                .take_while(|look| *look < signs);
            // One that fails and one that is late are borne.
            assert!(between.count() >= 3, "{life} {offset}");
            // And it signs well before the root before has ended.
            assert!(
                signs.since(announced) <= Duration::from_secs(life / 10),
                "{life}"
            );
            assert_eq!(awaited_abroad(&rotation, hint, signs), None);
        }
    }
}

#[test]
fn a_sequence_only_rises() {
    let mut last = None;
    let mut seen = BTreeMap::new();
    for seconds in [5, 5, 5, 9, 3, 3, 20] {
        let next = next_sequence(last, at(seconds).wall);
        assert!(last.is_none_or(|last| last < next), "{last:?} {next}");
        assert_eq!(seen.insert(next, ()), None);
        last = Some(next);
    }
    assert_eq!(last, Some(START + 20));
}
