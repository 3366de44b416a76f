//! A call, as far as it is known.

use std::borrow::Cow;
use std::time::Duration;

use leno_condition::{Fact, Facts, Value};

/// `POST /charge` on shop/payments by shop/web, which answered 503 after 2 ms.
pub(crate) struct Call {
    /// Which facts nobody knows.
    pub(crate) unknown: &'static [Fact],
}

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
            Fact::Headers => None,
        }
    }

    fn header(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        if self.unknown.contains(&Fact::Headers) {
            return None;
        }
        Some((name == "x-user").then_some(Cow::Borrowed("ada")))
    }
}
