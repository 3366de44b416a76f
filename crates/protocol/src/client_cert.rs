//! `x-forwarded-client-cert`: who called, told to the application.

use core::fmt;

use leno_model::SpiffeId;

/// What the application is told about a caller that proved who it is, in the form other meshes
/// use: `By=spiffe://..;URI=spiffe://..`.
///
/// Nothing in it needs quoting: an identity holds only letters, digits, `-`, `.`, `_`, `/` and the
/// one `:` of its scheme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientCert<'a> {
    /// Who was called.
    pub by: &'a SpiffeId,
    /// Who called.
    pub uri: &'a SpiffeId,
}

impl ClientCert<'_> {
    /// The name of the header that carries it.
    pub const HEADER: &'static str = "x-forwarded-client-cert";
}

impl fmt::Display for ClientCert<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "By={};URI={}", self.by, self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_reads_who_called_whom() {
        let id =
            |name| SpiffeId::parse(&format!("spiffe://shop.local/ns/default/sa/{name}")).unwrap();
        let told = ClientCert {
            by: &id("cart"),
            uri: &id("web"),
        };
        assert_eq!(
            told.to_string(),
            "By=spiffe://shop.local/ns/default/sa/cart;URI=spiffe://shop.local/ns/default/sa/web"
        );
    }

    #[test]
    fn no_identity_holds_what_would_end_a_value() {
        for octet in [",", ";", "=", "\"", "\\", "\r", "\n", " ", "\0", "%2c"] {
            for place in ["d{}", "d/ns/n{}/sa/s", "d/ns/n/sa/s{}"] {
                let text = format!("spiffe://{}", place.replace("{}", octet));
                assert!(SpiffeId::parse(&text).is_err(), "{text:?}");
            }
        }
    }
}
