//! Short texts that name something: hosts, traces, identities, calls, tokens.

use leno_model::{CallId, SpiffeId, Subscription};
use leno_protocol::{Authority, ClientCert, RequestId, TraceContext};
use leno_wire::JoinToken;

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "names",
    holds: "what is read of a host, a trace, an identity, a call or a token is written as it was read, and holds \
            nothing that would end a header",
    seeds,
    words: &[
        "spiffe://",
        "/ns/",
        "/sa/",
        "leno-join:",
        "00-",
        "-01",
        "[::1]",
        ":80",
        "service/",
        "address/",
    ],
    check,
};

fn seeds() -> Vec<Vec<u8>> {
    let secret = "0123456789abcdef".repeat(2);
    let token = format!("leno-join:shop.local:a1:{secret}:{secret}{secret}:10.0.0.1:15012");
    let seeds = [
        "cart.shop:8080",
        "[fd00::1]:80",
        "10.0.0.7",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-09-what-comes-later",
        "order-7",
        "spiffe://shop.local/ns/shop/sa/web",
        "7c1e4d557c1e4d557c1e4d557c1e4d55",
        "service/shop/cart",
        "address/default/10.0.0.7",
        &token,
    ];
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

fn check(input: &[u8]) -> bool {
    let understood = [host(input), trace(input), request_id(input), call(input)];
    let text = str::from_utf8(input);
    let named =
        text.is_ok_and(|text| [identity(text), token(text), subscription(text)].contains(&true));
    understood.contains(&true) || named
}

fn host(input: &[u8]) -> bool {
    let Ok(authority) = Authority::parse(input) else {
        return false;
    };
    let Authority { host, port } = authority;
    let written = port.map_or(host.to_owned(), |port| format!("{host}:{port}"));
    assert_eq!(Authority::parse(written.as_bytes()), Ok(authority));
    assert!(authority.is_same(&authority, 80));
    let upper = written.to_ascii_uppercase();
    let upper = Authority::parse(upper.as_bytes()).expect("case is no difference");
    assert!(upper.is_same(&authority, 80));
    true
}

fn trace(input: &[u8]) -> bool {
    let Some(context) = TraceContext::parse(input) else {
        return false;
    };
    assert_eq!(TraceContext::parse(&context.encode()), Some(context));
    true
}

fn request_id(input: &[u8]) -> bool {
    let Some(id) = RequestId::parse(input) else {
        return false;
    };
    assert!(id.as_str().len() <= 64 && id.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(id.as_str().as_bytes(), input);
    true
}

fn call(input: &[u8]) -> bool {
    CallId::parse(input).is_some_and(|id| {
        assert!(id.digits().eq_ignore_ascii_case(input));
        true
    })
}

fn identity(text: &str) -> bool {
    let Ok(id) = SpiffeId::parse(text) else {
        return false;
    };
    assert_eq!(id.to_string(), text);
    let told = ClientCert { by: &id, uri: &id }.to_string();
    assert!(
        told.bytes()
            .all(|byte| byte.is_ascii_graphic() && !b",\"\\".contains(&byte))
    );
    assert_eq!(
        (told.matches(';').count(), told.matches('=').count()),
        (1, 2)
    );
    true
}

fn token(text: &str) -> bool {
    let Ok(token) = text.parse::<JoinToken>() else {
        return false;
    };
    assert_eq!(token.to_string().parse(), Ok(token.clone()));
    let secret = token.secret.map(|byte| format!("{byte:02x}")).concat();
    assert!(!format!("{token:?}").contains(&secret));
    true
}

fn subscription(text: &str) -> bool {
    Subscription::parse(text).is_some_and(|subscription| {
        let written = subscription.to_string();
        assert_eq!(Subscription::parse(&written), Some(subscription));
        true
    })
}
