//! Names that have been checked: whoever holds one need not check it again.

use alloc::{borrow::ToOwned, string::String, sync::Arc};
use core::fmt;
use core::net::IpAddr;

/// Declares a name type over `Arc<str>` with the rule that a text must meet to become one.
macro_rules! names {
    ($($(#[$doc:meta])* $type:ident: $what:literal, $rule:path;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks `text` and keeps it.
            pub fn new(text: &str) -> Result<Self, BadName> {
                match $rule(text) {
                    Ok(()) => Ok(Self(text.into())),
                    Err(why) => Err(BadName { what: $what, text: text.to_owned(), why }),
                }
            }

            /// The name as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// The name of an object inside its namespace: a DNS subdomain (RFC 1123), as Kubernetes has it.
    Name: "name", dns_subdomain;
    /// A namespace: a DNS label (RFC 1123).
    Namespace: "namespace", dns_label;
    /// A network: inside one, an IP address means one thing. Two hosts without root may both
    /// hand out the same address, so every address is keyed by its network.
    Network: "network", dns_label;
}

impl Name {
    /// The text of the name that comes before all others.
    pub const FIRST: &str = "0";
}

/// The name of a host, as names are compared: in lower case, without the dot at its end. An address is
/// no name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// The most bytes that a name has (RFC 1035 section 2.3.4, as it is written).
    const MOST: usize = 253;

    /// The name that `text` spells; `None` if it is an address, or nothing that a resolver would take.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let is_name = |byte: u8| byte.is_ascii_graphic() && !b"[]:/@%".contains(&byte);
        let is_address = text.parse::<IpAddr>().is_ok();
        let fits = !text.is_empty() && text.len() <= Self::MOST && text.bytes().all(is_name);
        let has_labels = text.split('.').all(|label| !label.is_empty());
        (fits && has_labels && !is_address).then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The name as it is compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Namespace {
    /// The namespace of whatever names none.
    pub fn default_namespace() -> Self {
        Self("default".into())
    }
}

impl Network {
    /// The network of whatever names none.
    pub fn default_network() -> Self {
        Self("default".into())
    }
}

/// A service: the same (namespace, name) in all clusters of one mesh.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    /// Where the service lives.
    pub namespace: Namespace,
    /// What it is called there.
    pub name: Name,
}

impl ServiceName {
    /// Puts a name together from checked parts.
    pub fn new(namespace: Namespace, name: Name) -> Self {
        Self { namespace, name }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: {why}")]
pub struct BadName {
    what: &'static str,
    text: String,
    why: &'static str,
}

impl BadName {
    /// The rule that was broken, as half a sentence.
    pub fn why(&self) -> &'static str {
        self.why
    }
}

fn dns_label(text: &str) -> Result<(), &'static str> {
    if text.len() > 63 {
        return Err("it is longer than 63 characters");
    }
    label(text)
}

fn dns_subdomain(text: &str) -> Result<(), &'static str> {
    if text.len() > 253 {
        return Err("it is longer than 253 characters");
    }
    text.split('.').try_for_each(label)
}

fn label(text: &str) -> Result<(), &'static str> {
    let bytes = text.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return Err("it is empty or has an empty part");
    };
    if !alphanumeric(first) || !alphanumeric(last) {
        return Err("each part must begin and end with a lower-case letter or a digit");
    }
    if !bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-') {
        return Err("it may hold only lower-case letters, digits and hyphens");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_subdomain() {
        for good in ["cart", "cart-v2", "0", "a.b.c", "mesh.leno.dev"] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "", "Cart", "-cart", "cart-", "a..b", "a b", "käse", ".a", "a_b",
        ] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::new(&"a".repeat(254)).is_err());
    }

    #[test]
    fn a_host_is_compared_in_lower_case_and_without_the_last_dot() {
        let host = |text: &str| HostName::new(text).map(|host| host.to_string());
        for (text, expect) in [
            ("API.Stripe.com.", Some("api.stripe.com")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("_sip.example", Some("_sip.example")),
            ("10.0.0.7", None),
            ("[::1]", None),
            ("::1", None),
            ("", None),
            (".", None),
            ("a..b", None),
            ("a b", None),
            ("a\0b", None),
            ("bücher.example", None),
        ] {
            assert_eq!(host(text).as_deref(), expect, "{text:?}");
        }
        assert!(HostName::new(&"a.".repeat(127)).is_some());
        assert!(HostName::new(&"a.".repeat(128)).is_none());
    }

    #[test]
    fn a_namespace_is_one_label() {
        assert!(Namespace::new("shop").is_ok());
        let error = Namespace::new("shop.eu").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"shop.eu\" is not a namespace: it may hold only lower-case letters, digits and hyphens"
        );
        assert!(Namespace::new(&"a".repeat(64)).is_err());
    }
}
