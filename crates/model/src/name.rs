//! Names that have been checked: whoever holds one need not check it again.

use alloc::{borrow::ToOwned, string::String, sync::Arc};
use core::fmt;

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
