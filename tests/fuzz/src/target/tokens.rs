//! JSON Web Tokens, the sets of keys that prove them, and the bundles in which trust domains publish these.

use std::time::Duration;

use leno_federation::{Believed, believe, publish};
use leno_jwt::{Audiences, Expected, Keys, Purpose, Token, verify};
use leno_model::{TrustDomain, Wall};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "tokens",
    holds: "no token but the one that was signed is proven, a set of keys is read or refused, and a bundle that is \
            believed says the same once it is published again",
    seeds,
    words: &[
        ".",
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJIUzI1NiJ9",
        "\"kty\"",
        "\"EC\"",
        "\"RSA\"",
        "\"oct\"",
        "\"crv\"",
        "\"P-384\"",
        "\"use\":\"enc\"",
        "\"use\":\"x509-svid\"",
        "\"use\":\"jwt-svid\"",
        "\"x5c\"",
        "\"spiffe_sequence\":1",
        "\"spiffe_refresh_hint\":-1",
        "\"kid\":1",
        "\"alg\":\"none\"",
        "AQAB",
        "=",
    ],
    check,
};

fn seeds() -> Vec<Vec<u8>> {
    let unsigned = "eyJhbGciOiJub25lIn0.e30.";
    let rsa = r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"oct","k":"AQAB"}]}"#;
    [TOKEN, KEYS, unsigned, rsa, r#"{"keys":[]}"#, BUNDLE]
        .map(|seed| seed.as_bytes().to_vec())
        .to_vec()
}

fn check_bundle(input: &[u8]) -> bool {
    let domain = TrustDomain::new("bank.example").expect("a constant that is a trust domain");
    let now = Wall::since_epoch(Duration::from_secs(1_795_252_700));
    let Ok(believed) = believe(input, &domain, now) else {
        return false;
    };
    let (sequence, hint) = (7, Duration::from_secs(300));
    let tokens = believed.token_keys.as_deref();
    let again = publish(sequence, hint, &believed.roots, tokens);
    let again = believe(again.as_bytes(), &domain, now).expect("what was believed is believed");
    let expect = Believed {
        sequence: Some(sequence),
        refresh_hint: Some(hint),
        left_out: Vec::new(),
        ..believed
    };
    assert_eq!(again, expect);
    true
}

fn check(input: &[u8]) -> bool {
    if input.first() == Some(&b'{') {
        let is_bundle = check_bundle(input);
        return Keys::read(input, Purpose::Tokens).is_ok() | is_bundle;
    }
    let Ok(text) = str::from_utf8(input) else {
        return false;
    };
    let Ok(token) = Token::read(text) else {
        return false;
    };
    let (keys, _) = Keys::read(KEYS.as_bytes(), Purpose::Tokens).expect("the keys are good");
    let expected = Expected {
        issuer: None,
        audiences: Audiences::Any,
    };
    let now = Wall::since_epoch(Duration::from_secs(1_300_819_379));
    let is_proven = verify(token, &keys, &expected, now).is_ok();
    assert_eq!(is_proven, text == TOKEN, "{text:?}");
    true
}

/// The example of RFC 7515, appendix A.3.
const TOKEN: &str = concat!(
    "eyJhbGciOiJFUzI1NiJ9.",
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
);

/// The key that signed it.
/// A bundle whose root stands at the moment at which it is tried.
const BUNDLE: &str = include_str!("bundle.json");

const KEYS: &str = concat!(
    r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","#,
    r#""y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#
);
