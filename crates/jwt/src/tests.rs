//! Tokens by the examples of the RFCs and by keys of the tests, and how they are attacked.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leno_model::Wall;
use serde_json::{Value, json};
use std::time::Duration;

use crate::*;

/// All times of the tests are counted from here.
const NOW: Wall = Wall::since_epoch(Duration::from_secs(1_800_000_000));

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unsigned(header: &Value, claims: &str) -> String {
    [base64(header.to_string()), base64(claims)].join(".")
}

/// Keys of each kind whose private halves the tests hold.
struct Pairs {
    es256: Signer,
    es384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    rsa: RsaKeyPair,
}

static PAIRS: LazyLock<Pairs> = LazyLock::new(|| {
    let chance = SystemRandom::new();
    let es256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &chance).unwrap();
    Pairs {
        es256: Signer::new(es256.as_ref()).unwrap(),
        es384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
        ed25519: Ed25519KeyPair::generate().unwrap(),
        rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
    }
});

impl Pairs {
    fn jwks(&self) -> Value {
        let point = self.es384.public_key().as_ref();
        let rsa = self.rsa.public_key();
        json!({"keys": [
            self.es256.jwk("sig"),
            {"kty": "EC", "crv": "P-384", "kid": "p384",
             "x": base64(&point[1..49]), "y": base64(&point[49..])},
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": base64(self.ed25519.public_key())},
            {"kty": "RSA", "kid": "rsa", "use": "sig",
             "n": base64(rsa.modulus().big_endian_without_leading_zero()),
             "e": base64(rsa.exponent().big_endian_without_leading_zero())},
        ]})
    }

    fn keys(&self) -> Keys {
        let (keys, skipped) =
            Keys::read(self.jwks().to_string().as_bytes(), Purpose::Tokens).unwrap();
        assert_eq!(skipped, []);
        keys
    }

    /// A token with this header, signed as it says.
    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, &claims.to_string());
        let chance = SystemRandom::new();
        let rsa = |padding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            let signed = self
                .rsa
                .sign(padding, &chance, message.as_bytes(), &mut signature);
            signed.unwrap();
            signature
        };
        let signature = match header["alg"].as_str().unwrap() {
            "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
            "RS384" => rsa(&signature::RSA_PKCS1_SHA384),
            "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => rsa(&signature::RSA_PSS_SHA256),
            "PS384" => rsa(&signature::RSA_PSS_SHA384),
            "PS512" => rsa(&signature::RSA_PSS_SHA512),
            "ES384" => {
                let signed = self.es384.sign(&chance, message.as_bytes()).unwrap();
                signed.as_ref().to_vec()
            }
            _ => self.ed25519.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", base64(signature))
    }
}

fn claims() -> Value {
    json!({"iss": "https://id.test", "sub": "anna", "aud": "shop", "exp": 1_800_000_600})
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    claims
}

fn signed(claims: &Value) -> String {
    let claims = Claims::read(claims.to_string().as_bytes()).unwrap();
    PAIRS.es256.sign(&claims)
}

fn judged_by(token: &str, keys: &Keys) -> String {
    let audiences = ["shop".to_owned(), "pay".to_owned()];
    let expected = Expected {
        issuer: Some("https://id.test"),
        audiences: Audiences::OneOf(&audiences),
    };
    match Token::read(token).and_then(|token| verify(token, keys, &expected, NOW)) {
        Ok(proven) => format!("proven: {}", proven.claims().subject().unwrap_or("nobody")),
        Err(why) => why.to_string(),
    }
}

fn judged(token: &str) -> String {
    judged_by(token, &PAIRS.keys())
}

#[test]
fn a_token_of_each_algorithm_is_proven() {
    for (algorithm, key) in [
        ("RS256", "rsa"),
        ("RS384", "rsa"),
        ("RS512", "rsa"),
        ("PS256", "rsa"),
        ("PS384", "rsa"),
        ("PS512", "rsa"),
        ("ES384", "p384"),
        ("EdDSA", "ed"),
        ("Ed25519", "ed"),
    ] {
        let named = PAIRS.sign(&json!({"alg": algorithm, "kid": key}), &claims());
        assert_eq!(judged(&named), "proven: anna", "{algorithm}");
        let unnamed = PAIRS.sign(&json!({"alg": algorithm}), &claims());
        assert_eq!(
            judged(&unnamed),
            "proven: anna",
            "{algorithm}, no key named"
        );
    }
    assert_eq!(judged(&signed(&claims())), "proven: anna");
}

#[test]
fn the_examples_of_rfc_7515_are_proven() {
    let jwks = json!({"keys": [
        {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
         "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    ]});
    let (keys, skipped) = Keys::read(jwks.to_string().as_bytes(), Purpose::Tokens).unwrap();
    assert_eq!(skipped, []);
    let a3 = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let expected = Expected {
        issuer: Some("joe"),
        audiences: Audiences::Any,
    };
    let at = |seconds| {
        let now = Wall::since_epoch(Duration::from_secs(seconds));
        verify(Token::read(a3).unwrap(), &keys, &expected, now)
    };
    let proven = at(1_300_819_379).unwrap();
    let root = proven.claims().get("http://example.com/is_root");
    assert_eq!(root, Some(&Value::Bool(true)));
    assert_eq!(
        at(1_300_819_440),
        Err(WhyNot::Ended {
            ago: Duration::from_secs(60)
        })
    );
}

#[test]
fn the_thumbprint_is_that_of_rfc_8037() {
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "x",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let key = key::PublicKey::read(jwk.as_object().unwrap(), Purpose::Tokens).unwrap();
    let hash = key.hash.to_string();
    assert_eq!(hash, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn attacks_are_refused() {
    let pairs = &*PAIRS;
    let es256 = pairs.es256.hash().to_string();
    let header = |changes: Value| {
        let mut header = json!({"alg": "EdDSA", "kid": "ed"});
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        header
    };
    let sign = |changes: Value| pairs.sign(&header(changes), &claims());
    let good = sign(json!({}));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let bare = |alg: &str| {
        let header = json!({"alg": alg});
        unsigned(&header, &claims().to_string())
    };
    let other = Ed25519KeyPair::generate().unwrap();
    let forged = base64(other.sign(message.as_bytes()));
    let hmac_with_public_key = {
        let header = json!({"alg": "HS256", "kid": "rsa"});
        let message = unsigned(&header, &claims().to_string());
        let public = pairs.rsa.public_key().modulus();
        let public = public.big_endian_without_leading_zero();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public);
        let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", base64(tag))
    };
    let twice = {
        let claims = r#"{"iss":"https://id.test","sub":"anna","sub":"root","exp":1800000600}"#;
        format!("{}.{signature}", unsigned(&header(json!({})), claims))
    };
    let unpadded_in_two_ways = {
        // The last character of a signature of 64 octets carries four bits that mean nothing.
        let last = signature.chars().last().unwrap();
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let next = letters.find(last).unwrap() + 1;
        let stem = &signature[..signature.len() - 1];
        format!("{message}.{stem}{}", &letters[next..=next])
    };
    let cases = [
        (
            "alg none",
            format!("{}.", bare("none")),
            "the token is not signed",
        ),
        (
            "alg nOnE",
            format!("{}.", bare("nOnE")),
            "the token is not signed",
        ),
        (
            "alg none with a signature",
            format!("{}.{signature}", bare("none")),
            "the token is not signed",
        ),
        (
            "no signature",
            format!("{message}."),
            "the token's signature is wrong",
        ),
        (
            "no part for one",
            message.to_owned(),
            "it is not a JSON Web Token",
        ),
        (
            "HMAC with the public key",
            hmac_with_public_key,
            "the token is signed with a shared secret, which proves nothing here",
        ),
        (
            "signed by somebody else",
            format!("{message}.{forged}"),
            "the token's signature is wrong",
        ),
        (
            "a zero signature (CVE-2022-21449)",
            pairs_zero(&es256),
            "the token's signature is wrong",
        ),
        (
            "a signature in two encodings",
            unpadded_in_two_ways,
            "the token's signature is wrong",
        ),
        (
            "a key of another kind",
            sign(json!({"kid": "rsa"})),
            "the token's issuer has no key \"rsa\" for the token's algorithm",
        ),
        (
            "an unknown key",
            sign(json!({"kid": "../../dev/null"})),
            "the token's issuer has no key \"../../dev/null\" for the token's algorithm",
        ),
        (
            "a key in the token",
            sign(json!({"kid": "mine", "jwk": {"kty": "OKP"}})),
            "the token's issuer has no key \"mine\" for the token's algorithm",
        ),
        (
            "a place of keys in the token",
            sign(json!({"kid": "mine", "jku": "http://169.254.169.254/"})),
            "the token's issuer has no key \"mine\" for the token's algorithm",
        ),
        (
            "a key id that writes lines",
            sign(json!({"kid": "a\nb"})),
            "the token's issuer has no key \"a\\nb\" for the token's algorithm",
        ),
        (
            "an extension",
            sign(json!({"crit": ["b64"], "b64": false})),
            "the token asks for an extension that is not known here (crit)",
        ),
        (
            "compressed",
            sign(json!({"zip": "DEF"})),
            "the token is encrypted or compressed",
        ),
        (
            "encrypted",
            format!("a.b.{good}"),
            "the token is encrypted or compressed",
        ),
        (
            "five dots",
            format!("a.b.c.{good}"),
            "it is not a JSON Web Token",
        ),
        (
            "a logout token",
            sign(json!({"typ": "logout+jwt"})),
            "it is a token of another kind: \"logout+jwt\"",
        ),
        (
            "an event",
            sign(json!({"typ": "application/secevent+JWT"})),
            "it is a token of another kind: \"application/secevent+JWT\"",
        ),
        ("a claim twice", twice, "the token is malformed"),
        (
            "a space",
            format!("{message} .{signature}"),
            "the token is malformed",
        ),
        (
            "padding",
            format!("{message}.{signature}=="),
            "the token's signature is wrong",
        ),
        (
            "not a token",
            "hello".to_owned(),
            "it is not a JSON Web Token",
        ),
        ("nothing", String::new(), "it is not a JSON Web Token"),
        ("dots", "..".to_owned(), "the token is malformed"),
        (
            "a list as claims",
            pairs.sign(&header(json!({})), &json!([])),
            "the token is malformed",
        ),
        ("deep claims", deep(), "the token is malformed"),
        (
            "long",
            "a".repeat(Token::MOST_BYTES + 1),
            "the token has more than 16384 bytes",
        ),
    ];
    for (attack, token, expected) in cases {
        assert_eq!(judged(&token), expected, "{attack}");
    }
    assert_eq!(judged(&good), "proven: anna");
    for part in 0..3 {
        let mut parts = good.split('.').map(str::to_owned).collect::<Vec<_>>();
        let flipped = if parts[part].starts_with('e') {
            "f"
        } else {
            "e"
        };
        parts[part].replace_range(10..11, flipped);
        let changed = parts.join(".");
        assert!(
            changed == good || !judged(&changed).starts_with("proven"),
            "part {part}"
        );
    }
}

fn pairs_zero(key: &str) -> String {
    let header = json!({"alg": "ES256", "kid": key});
    format!(
        "{}.{}",
        unsigned(&header, &claims().to_string()),
        base64([0; 64])
    )
}

fn deep() -> String {
    let claims = format!("{{\"a\":{}{}}}", "[".repeat(4000), "]".repeat(4000));
    format!(
        "{}.{}",
        unsigned(&json!({"alg": "EdDSA", "kid": "ed"}), &claims),
        base64([0; 64])
    )
}

#[test]
fn claims_must_be_for_us_and_timely() {
    let cases = [
        (json!({}), "proven: anna"),
        (json!({"sub": null}), "proven: nobody"),
        (
            json!({"iss": "https://id.test/"}),
            "the token's issuer is not trusted here",
        ),
        (
            json!({"iss": null}),
            "the token's issuer is not trusted here",
        ),
        (
            json!({"iss": ["https://id.test"]}),
            "the token's issuer is not trusted here",
        ),
        (json!({"aud": ["other", "pay"]}), "proven: anna"),
        (
            json!({"aud": ["other"]}),
            "the token is meant for somebody else (aud)",
        ),
        (
            json!({"aud": "shop2"}),
            "the token is meant for somebody else (aud)",
        ),
        (
            json!({"aud": null}),
            "the token is meant for somebody else (aud)",
        ),
        (
            json!({"aud": []}),
            "the token is meant for somebody else (aud)",
        ),
        (json!({"aud": ["shop", 1]}), "the token is malformed"),
        (json!({"aud": {"shop": 1}}), "the token is malformed"),
        (json!({"exp": null}), "the token has no end (exp)"),
        (json!({"exp": "1800000600"}), "the token is malformed"),
        (json!({"exp": -1}), "the token is malformed"),
        (json!({"exp": 1e300}), "the token is malformed"),
        (json!({"exp": u64::MAX}), "proven: anna"),
        (json!({"exp": 1_800_000_000}), "proven: anna"),
        (json!({"exp": 1_799_999_940.5}), "the token ended 60 s ago"),
        (json!({"exp": 1_799_999_941}), "proven: anna"),
        (json!({"exp": 1_799_999_940}), "the token ended 60 s ago"),
        (json!({"nbf": 1_800_000_060}), "proven: anna"),
        (
            json!({"nbf": 1_800_000_061}),
            "the token is not good before 61 s from here (nbf)",
        ),
        (json!({"nbf": true}), "the token is malformed"),
    ];
    for (changes, expected) in cases {
        assert_eq!(
            judged(&signed(&with(changes.clone()))),
            expected,
            "{changes}"
        );
    }
}

#[test]
fn what_was_proven_holds_while_its_key_does() {
    let keys = PAIRS.keys();
    let audiences = ["shop".to_owned()];
    let expected = Expected {
        issuer: Some("https://id.test"),
        audiences: Audiences::OneOf(&audiences),
    };
    let token = signed(&claims());
    let proven = verify(Token::read(&token).unwrap(), &keys, &expected, NOW).unwrap();
    assert_eq!(proven.still(&keys, &expected, NOW), Ok(()));
    let late = NOW + Duration::from_secs(661);
    let ago = Duration::from_secs(61);
    assert_eq!(
        proven.still(&keys, &expected, late),
        Err(WhyNot::Ended { ago })
    );
    assert_eq!(
        proven.still(&Keys::default(), &expected, NOW),
        Err(WhyNot::KeyGone)
    );
    let others = Expected {
        audiences: Audiences::OneOf(&[]),
        ..expected
    };
    assert_eq!(proven.still(&keys, &others, NOW), Err(WhyNot::Audience));
}

#[test]
fn keys_that_prove_nothing_are_skipped() {
    let p256 = PAIRS.es256.jwk("sig");
    let change = |changes: Value| {
        let mut jwk = p256.clone();
        for (name, value) in changes.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    };
    let rsa = |bytes: usize, e: &[u8]| json!({"kty": "RSA", "n": base64(vec![0xC3; bytes]), "e": base64(e)});
    let cases = [
        (
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            "it is symmetric (kty oct): whoever could check tokens with it could make them",
        ),
        (
            change(json!({"d": "AAAA"})),
            "its private half stands beside it: whoever reads it can make tokens",
        ),
        (change(json!({"use": "enc"})), "it is for \"enc\""),
        (change(json!({"use": "jwt-svid"})), "it is for \"jwt-svid\""),
        (
            change(json!({"key_ops": ["encrypt"]})),
            "it is for other operations",
        ),
        (
            change(json!({"alg": "ES384"})),
            "algorithm \"ES384\" is not one for its kind of key",
        ),
        (
            change(json!({"alg": "HS256"})),
            "algorithm \"HS256\" is not one for its kind of key",
        ),
        (change(json!({"alg": 7})), "its alg is missing or malformed"),
        (change(json!({"kid": 7})), "its kid is missing or malformed"),
        (
            change(json!({"x": "AAAA"})),
            "its x is missing or malformed",
        ),
        (change(json!({"y": "!"})), "its y is missing or malformed"),
        (
            change(json!({"crv": "P-521"})),
            "keys of kind EC \"P-521\" are not known here: RSA, EC P-256, EC P-384 and OKP Ed25519 are",
        ),
        (
            json!({"kty": "OKP", "crv": "X25519", "x": base64([1; 32])}),
            "keys of kind OKP \"X25519\" are not known here: RSA, EC P-256, EC P-384 and OKP Ed25519 are",
        ),
        (
            json!({"kty": "AKP"}),
            "keys of kind \"AKP\" are not known here: RSA, EC P-256, EC P-384 and OKP Ed25519 are",
        ),
        (json!({"use": "sig"}), "its kty is missing or malformed"),
        (json!("key"), "its form is missing or malformed"),
        (
            rsa(128, &[1, 0, 1]),
            "its modulus has 1024 bits, and 2048 to 8192 are taken",
        ),
        (
            rsa(1025, &[1, 0, 1]),
            "its modulus has 8200 bits, and 2048 to 8192 are taken",
        ),
        (
            rsa(256, &[1]),
            "its exponent is not an odd number from 3 to 32 bits",
        ),
        (
            rsa(256, &[1, 0, 0]),
            "its exponent is not an odd number from 3 to 32 bits",
        ),
        (
            rsa(256, &[1, 0, 0, 0, 1]),
            "its exponent is not an odd number from 3 to 32 bits",
        ),
    ];
    for (jwk, expected) in cases {
        let jwks = json!({"keys": [jwk, p256]}).to_string();
        let (keys, skipped) = Keys::read(jwks.as_bytes(), Purpose::Tokens).unwrap();
        assert_eq!(keys.len(), 1, "{jwk}");
        assert_eq!(skipped[0].why.to_string(), expected, "{jwk}");
    }
}

#[test]
fn a_set_of_keys_is_bounded() {
    let read = |jwks: &str| match Keys::read(jwks.as_bytes(), Purpose::Tokens) {
        Ok((keys, skipped)) => format!("{} of {}", keys.len(), keys.len() + skipped.len()),
        Err(why) => why.to_string(),
    };
    let many = |count| json!({"keys": vec![PAIRS.es256.jwk("sig"); count]}).to_string();
    assert_eq!(read(&many(64)), "64 of 64");
    assert_eq!(read(&many(65)), "it has 65 keys, and at most 64 are read");
    assert_eq!(read(r#"{"keys": []}"#), "0 of 0");
    assert_eq!(
        read(r#"{"keys": {}}"#),
        "it is not a JWK Set: it has no list `keys`"
    );
    assert_eq!(read("[]"), "it is not a JWK Set: it is not an object");
    assert_eq!(
        read(&" ".repeat(Keys::MOST_BYTES + 1)),
        "it has more than 131072 bytes"
    );
    assert!(read("<html>").starts_with("it is not a JWK Set: expected value"));
    // A key of a JWT-SVID proves nothing but those.
    let bundle = json!({"keys": [PAIRS.es256.jwk("jwt-svid"), PAIRS.es256.jwk("x509-svid")]});
    let bundle = bundle.to_string();
    let (keys, skipped) = Keys::read(bundle.as_bytes(), Purpose::JwtSvids).unwrap();
    assert_eq!((keys.len(), skipped.len()), (1, 1));
    assert_eq!(read(&bundle), "0 of 2");
}

#[test]
fn tries_are_bounded() {
    let jwk = |id: Option<usize>| {
        let key = Ed25519KeyPair::generate().unwrap();
        let mut jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64(key.public_key())});
        if let Some(id) = id {
            jwk["kid"] = id.to_string().into();
        }
        jwk
    };
    let nine = json!({"keys": (0..9).map(|id| jwk(Some(id))).collect::<Vec<_>>()});
    let (keys, _) = Keys::read(nine.to_string().as_bytes(), Purpose::Tokens).unwrap();
    let unnamed = PAIRS.sign(&json!({"alg": "EdDSA"}), &claims());
    let expected = "the token names no key, and 9 of its issuer's would have to be tried";
    assert_eq!(judged_by(&unnamed, &keys), expected);
    let named = PAIRS.sign(&json!({"alg": "EdDSA", "kid": "3"}), &claims());
    assert_eq!(judged_by(&named, &keys), "the token's signature is wrong");
    assert_eq!(
        judged_by(&named, &Keys::default()),
        "there are no keys of the token's issuer"
    );
    let rsa_only = json!({"keys": [PAIRS.jwks()["keys"][3]]});
    let (rsa_only, _) = Keys::read(rsa_only.to_string().as_bytes(), Purpose::Tokens).unwrap();
    let expected = "the token's issuer has no key for the token's algorithm";
    assert_eq!(judged_by(&unnamed, &rsa_only), expected);
}

#[test]
fn a_claim_is_named_or_pointed_to() {
    let claims = json!({"a.b": 1, "realm": {"roles": ["x"], "a/b": {"~": 2}}, "/c": 3, "": 4});
    let claims = Claims::read(claims.to_string().as_bytes()).unwrap();
    let get = |name: &str| claims.get(name).map_or("nothing".into(), Value::to_string);
    assert_eq!(get("a.b"), "1");
    assert_eq!(get("/realm/roles"), "[\"x\"]");
    assert_eq!(get("/realm/a~1b/~0"), "2");
    assert_eq!(get("/realm/roles/0"), "nothing");
    assert_eq!(get("/c"), "nothing");
    assert_eq!(get("/~1c"), "3");
    assert_eq!(get("/"), "4");
    assert_eq!(get("realm.roles"), "nothing");
}

#[test]
fn a_spiffe_bundle_keeps_what_is_needed_of_its_keys() {
    let own = PAIRS.es256.jwk("jwt-svid");
    let with = |more: &Value| {
        let mut jwk = own.clone();
        let members = jwk.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        jwk
    };
    let check = |jwk: &Value, expect: &str| {
        let text = json!({"keys": [jwk], "spiffe_sequence": 7}).to_string();
        let told = match SpiffeBundle::read(text.as_bytes()) {
            Err(why) => why.to_string(),
            Ok((bundle, skipped)) => {
                assert_eq!(bundle.sequence, Some(7));
                assert_eq!(bundle.refresh_hint, None);
                let kept = bundle.token_key_set().map(|set| {
                    let (keys, _) = Keys::read(set.as_bytes(), Purpose::JwtSvids).unwrap();
                    assert!(!set.contains("secret"), "{set}");
                    format!("{} for tokens", keys.len())
                });
                let skipped = skipped.iter().map(ToString::to_string);
                kept.into_iter()
                    .chain(skipped)
                    .collect::<Vec<_>>()
                    .join("; ")
            }
        };
        assert_eq!(told, expect, "{jwk}");
    };
    check(&own, "1 for tokens");
    check(&with(&json!({"note": "secret"})), "1 for tokens");
    check(&with(&json!({"use": "sig"})), "");
    check(
        &with(&json!({"use": null})),
        &skipped("its use is missing or malformed"),
    );
    check(
        &with(&json!({"kty": null})),
        &skipped("its kty is missing or malformed"),
    );
    check(
        &with(&json!({"d": "AQAB"})),
        &skipped("its private half stands beside it: whoever reads it can make tokens"),
    );
    let nameless = "key 1 is not used: its kid is missing or malformed";
    check(&with(&json!({"kid": null})), nameless);
    let long = "k".repeat(300);
    let told = format!(
        "key 1 ({:?}..) is not used: its kid is missing or malformed",
        &long[..64]
    );
    check(&with(&json!({"kid": long})), &told);
    for (certificates, is_one) in [
        (json!(["AAAA"]), true),
        (json!([]), false),
        (json!([""]), false),
        (json!(["AAAA", "AAAA"]), false),
        (json!("AAAA"), false),
        (json!(["A_A-"]), false),
    ] {
        let jwk = json!({"kty": "EC", "use": "x509-svid", "x5c": certificates});
        let text = json!({"keys": [jwk, jwk]}).to_string();
        let (bundle, skipped) = SpiffeBundle::read(text.as_bytes()).unwrap();
        // Twice the same is one.
        assert_eq!(bundle.authorities.len(), usize::from(is_one), "{text}");
        assert_eq!(skipped.is_empty(), is_one, "{text}");
    }
}

/// What is said of the key of the tests.
fn skipped(why: &str) -> String {
    let id = PAIRS.es256.hash();
    format!("key 1 (\"{id}\") is not used: {why}")
}
