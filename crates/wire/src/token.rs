//! A join token as one text that can be copied: where the control plane is, what proves it, and what
//! proves the bearer.

use alloc::{borrow::ToOwned, string::String};
use core::{fmt, str::FromStr};

use leno_model::TrustDomain;

/// What a host needs to join, and nothing else. Its text form is a secret:
/// `leno-join:shop.local:ID:SECRET:FINGERPRINT:10.0.0.1:15012`.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The trust domain it leads to.
    pub trust_domain: TrustDomain,
    /// How the control plane finds it; no secret.
    pub id: String,
    /// What only its bearer knows.
    pub secret: [u8; 16],
    /// SHA-256 of the CA's root certificate in DER.
    pub fingerprint: [u8; 32],
    /// Host and port of the control plane.
    pub address: String,
}

/// What the text of every token begins with.
const SCHEME: &str = "leno-join";

/// Where a mesh is and what proves it; it lets nobody in. Its text form is no secret:
/// `leno-mesh:shop.local:FINGERPRINT:10.0.0.1:15012`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeshAddress {
    /// The trust domain it leads to.
    pub trust_domain: TrustDomain,
    /// SHA-256 of the CA's root certificate in DER.
    pub fingerprint: [u8; 32],
    /// Host and port of the control plane.
    pub address: String,
}

impl MeshAddress {
    /// What the text of every one begins with.
    pub const SCHEME: &str = "leno-mesh:";
}

impl fmt::Display for MeshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:", Self::SCHEME, self.trust_domain)?;
        self.fingerprint
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ":{}", self.address)
    }
}

impl FromStr for MeshAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let read = || {
            let mut parts = text.trim().strip_prefix(Self::SCHEME)?.splitn(3, ':');
            let trust_domain = TrustDomain::new(parts.next()?).ok()?;
            let fingerprint = digits(parts.next()?)?;
            let address = parts.next()?.to_owned();
            let (_, port) = address.rsplit_once(':')?;
            port.parse::<u16>().ok()?;
            Some(Self {
                trust_domain,
                fingerprint,
                address,
            })
        };
        read().ok_or(NotAnAddress)
    }
}

/// What is no address of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the address of a mesh, which leno token list tells: leno-mesh:...")]
pub struct NotAnAddress;

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}:{}:", self.trust_domain, self.id)?;
        self.secret
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(":")?;
        self.fingerprint
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ":{}", self.address)
    }
}

/// Shows which token, and nothing of its secret.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({} of {})", self.id, self.trust_domain)
    }
}

impl FromStr for JoinToken {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let mut parts = text.trim().splitn(6, ':');
        let mut part = || parts.next().ok_or(NotAToken("it is cut off"));
        if part()? != SCHEME {
            return Err(NotAToken("it does not begin with leno-join:"));
        }
        let domain = TrustDomain::new(part()?);
        let id = part()?;
        let secret = digits(part()?).ok_or(NotAToken("its secret is not 32 digits"))?;
        let fingerprint = digits(part()?).ok_or(NotAToken("its fingerprint is not 64 digits"))?;
        let address = part()?;
        let port = address
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        if id.is_empty() || port.is_none() {
            return Err(NotAToken("it is cut off"));
        }
        Ok(Self {
            trust_domain: domain.map_err(|_| NotAToken("its trust domain is none"))?,
            id: id.to_owned(),
            secret,
            fingerprint,
            address: address.to_owned(),
        })
    }
}

/// Why a text is not a join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a join token: {0}")]
pub struct NotAToken(&'static str);

fn digits<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let pairs = text.as_bytes().chunks_exact(2);
    if pairs.len() != BYTES || !pairs.remainder().is_empty() {
        return None;
    }
    for (to, pair) in bytes.iter_mut().zip(pairs) {
        if !pair.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        *to = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_as_it_prints() {
        for address in ["10.0.0.1:15012", "[fd00::1]:15012", "control.example:15012"] {
            let token = JoinToken {
                trust_domain: TrustDomain::new("shop.local").unwrap(),
                id: "t-7k3v".to_owned(),
                secret: [0xab; 16],
                fingerprint: [0x01; 32],
                address: address.to_owned(),
            };
            assert_eq!(std::format!("{token}\n").parse(), Ok(token.clone()));
            assert!(!std::format!("{token:?}").contains("abab"));
        }
    }

    #[test]
    fn an_address_reads_as_it_prints() {
        let mesh = MeshAddress {
            trust_domain: TrustDomain::new("shop.local").unwrap(),
            fingerprint: [0xc1; 32],
            address: "[fd00::1]:15012".to_owned(),
        };
        let text = std::format!("{mesh}\n");
        assert_eq!(text.parse(), Ok(mesh));
        for bad in [
            "",
            "leno-mesh:",
            "leno-join:shop.local:c1:h:1",
            "leno-mesh:shop.local:c1:h:1",
        ] {
            assert_eq!(bad.parse::<MeshAddress>(), Err(NotAnAddress), "{bad}");
        }
    }

    #[test]
    fn whatever_is_cut_off_is_not_a_token() {
        let token = std::format!(
            "leno-join:shop.local:t:{}:{}:10.0.0.1:15012",
            "ab".repeat(16),
            "01".repeat(32)
        );
        assert!(token.parse::<JoinToken>().is_ok());
        for length in 0..token.len() - 4 {
            let cut = token.get(..length).unwrap();
            assert!(cut.parse::<JoinToken>().is_err(), "{length}");
        }
        assert!(token.replace("ab", "+a").parse::<JoinToken>().is_err());
        assert!(token.replace("ab", "äb").parse::<JoinToken>().is_err());
    }
}
