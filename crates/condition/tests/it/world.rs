//! A call, as far as it is known.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;

use leno_condition::{ClaimSaid, Fact, Facts, Value};
use serde_json::json;

/// `POST /charge` on shop/payments by shop/web, which answered 503 after 2 ms.
pub(crate) struct Call {
    /// Which facts nobody knows.
    pub(crate) unknown: &'static [Fact],
    /// Whether it carries [`TOKEN`].
    pub(crate) has_token: bool,
}

/// What its token says.
static TOKEN: LazyLock<serde_json::Value> = LazyLock::new(|| {
    json!({
        "iss": "https://id",
        "sub": "ada",
        "aud": ["shop", "pay"],
        "role": "admin",
        "groups": ["admins", "devs"],
        "level": 3,
        "levels": [1, 3],
        "staff": true,
        "scope": "read write",
        "realm": {"roles": ["a"], "a/b": {"c~": 1}},
        "/odd": "odd",
        "mixed": [1, "a", {}],
        "nothing": null,
        "price": 1.5,
        "empty": [],
    })
});

impl Facts for Call {
    fn value(&self, fact: Fact) -> Option<Value<'_>> {
        if self.unknown.contains(&fact) {
            return None;
        }
        let text = |text| Some(Value::Text(Cow::Borrowed(text)));
        match fact {
            Fact::Method => text("POST"),
            Fact::Path => text("/charge"),
            Fact::Host => text("payments"),
            Fact::SourceIdentity => text("spiffe://shop.local/ns/shop/sa/web"),
            Fact::SourceNamespace | Fact::DestinationNamespace => text("shop"),
            Fact::SourceService => text("web"),
            Fact::SourceAddress => text("10.0.0.7"),
            Fact::DestinationService => text("payments"),
            Fact::DestinationAddress => text(""),
            Fact::Code => text("R014"),
            Fact::Fault => text("mesh"),
            Fact::RequestSize => Some(Value::Number(512)),
            Fact::ResponseSize => Some(Value::Number(0)),
            Fact::Status => Some(Value::Number(503)),
            Fact::Tries => Some(Value::Number(1)),
            Fact::Duration => Some(Value::Span(Duration::from_millis(2))),
            Fact::Headers | Fact::Claims => None,
        }
    }

    fn header(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        if self.unknown.contains(&Fact::Headers) {
            return None;
        }
        Some((name == "x-user").then_some(Cow::Borrowed("ada")))
    }

    fn claim(&self, name: &str) -> Option<ClaimSaid<'_>> {
        if self.unknown.contains(&Fact::Claims) {
            return None;
        }
        if !self.has_token {
            return Some(ClaimSaid::NoToken);
        }
        let claim = match name.starts_with('/') {
            true => TOKEN.pointer(name),
            false => TOKEN.get(name),
        };
        Some(claim.map_or(ClaimSaid::Absent, ClaimSaid::Is))
    }
}
