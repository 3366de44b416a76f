//! SPIFFE identities: who somebody is, in the one form Leno gives them.

use alloc::{borrow::ToOwned, string::String, sync::Arc};
use core::fmt;

use crate::name::{Name, Namespace};

/// A trust domain: whose certificates prove an identity.
//= SPIFFE-ID section 2.1: "lowercase letters, numbers, dots, dashes, and underscores", at most 255 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// Checks `text` and keeps it.
    pub fn new(text: &str) -> Result<Self, BadSpiffeId> {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
        };
        if text.is_empty() || text.len() > 255 || !text.bytes().all(allowed) {
            return Err(BadSpiffeId::TrustDomain {
                text: text.to_owned(),
            });
        }
        Ok(Self(text.into()))
    }

    /// That of a SPIFFE ID with a path, whatever the path says: other meshes form it their own way. `None` of
    /// any other text.
    //= SPIFFE-ID section 2.2: no segment of a path is empty, `.` or `..`, and each is made of letters, numbers,
    //= dots, dashes and underscores.
    pub fn of_id(id: &str) -> Option<Self> {
        let rest = id.strip_prefix("spiffe://")?;
        let (domain, path) = rest.split_once('/')?;
        let is_plain = |step: &str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !matches!(step, "" | "." | "..") && step.bytes().all(good)
        };
        let is_whole = id.len() <= 2048 && path.split('/').all(is_plain);
        Self::new(domain).ok().filter(|_| is_whole)
    }

    /// The domain as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>`, in every placement.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    /// Who vouches for it.
    pub trust_domain: TrustDomain,
    /// The namespace it acts in.
    pub namespace: Namespace,
    /// The service account it acts as.
    pub service_account: Name,
}

impl SpiffeId {
    /// Reads the URI form. Any other path than ours is not an identity here.
    pub fn parse(uri: &str) -> Result<Self, BadSpiffeId> {
        let other = || BadSpiffeId::Form {
            text: uri.to_owned(),
        };
        if uri.len() > 2048 {
            return Err(BadSpiffeId::TooLong);
        }
        let rest = uri.strip_prefix("spiffe://").ok_or_else(other)?;
        let (domain, path) = rest.split_once('/').ok_or_else(other)?;
        let mut parts = path.split('/');
        let (Some("ns"), Some(namespace), Some("sa"), Some(account), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(other());
        };
        Ok(Self {
            trust_domain: TrustDomain::new(domain)?,
            namespace: Namespace::new(namespace).map_err(|_| other())?,
            service_account: Name::new(account).map_err(|_| other())?,
        })
    }
}

/// The URI form.
impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trust_domain,
            namespace,
            service_account,
        } = self;
        write!(
            f,
            "spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"
        )
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSpiffeId {
    /// The trust domain holds what none may hold.
    #[error(
        "{text:?} is not a trust domain: lower-case letters, digits, '.', '-' and '_', at most 255"
    )]
    TrustDomain {
        /// What was written.
        text: String,
    },
    /// It is some other text, or some other SPIFFE ID than ours.
    #[error("{text:?} is not spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>")]
    Form {
        /// What was written.
        text: String,
    },
    /// SPIFFE allows 2048 bytes.
    #[error("an identity has at most 2048 bytes")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_and_prints_alike() {
        let text = "spiffe://shop.local/ns/default/sa/web";
        let id = SpiffeId::parse(text).unwrap();
        assert_eq!(id.namespace.as_str(), "default");
        assert_eq!(id.service_account.as_str(), "web");
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn the_trust_domain_is_read_off_any_spiffe_id() {
        for (id, expect) in [
            ("spiffe://shop.local/ns/shop/sa/cart", Some("shop.local")),
            ("spiffe://bank.example/teller", Some("bank.example")),
            ("spiffe://bank.example/", None),
            ("spiffe://bank.example", None),
            ("spiffe://bank.example/a//b", None),
            ("spiffe://bank.example/a/../b", None),
            ("spiffe://bank.example:80/a", None),
            ("spiffe://Bank.example/a", None),
            ("https://bank.example/a", None),
            ("teller", None),
        ] {
            let domain = TrustDomain::of_id(id).map(|domain| domain.to_string());
            assert_eq!(domain.as_deref(), expect, "{id}");
        }
    }

    #[test]
    fn nothing_else_is_an_identity() {
        for bad in [
            "",
            "spiffe://",
            "spiffe://shop.local",
            "spiffe://shop.local/",
            "spiffe://shop.local/ns/default",
            "spiffe://shop.local/ns/default/sa/web/",
            "spiffe://shop.local/ns/default/sa/web?x",
            "spiffe://Shop.local/ns/default/sa/web",
            "spiffe://shop.local:443/ns/default/sa/web",
            "spiffe://user@shop.local/ns/default/sa/web",
            "spiffe://shop.local/ns//sa/web",
            "spiffe://shop.local/ns/default/sa/we%62",
            "SPIFFE://shop.local/ns/default/sa/web",
            "https://shop.local/ns/default/sa/web",
            "spiffe://shop.local/ns/default/sa/web\0",
        ] {
            assert!(SpiffeId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
