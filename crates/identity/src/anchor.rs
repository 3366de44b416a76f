//! A certificate that is to stand in a bundle, by what others are told of it and ask of it.

use leno_model::{KeyNumbers, TrustDomain};

use crate::certificate::{Certificate, Unfit, Validity};

/// A certificate that may stand in a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// When it stands.
    pub validity: Validity,
    /// The trust domain that it says to be an authority of, if it says one.
    pub trust_domain: Option<TrustDomain>,
    /// Its key.
    pub key: KeyNumbers,
}

impl Anchor {
    /// Reads a certificate in DER. Refused is what [`crate::Trust`] would leave out of a bundle.
    pub fn of(certificate: &[u8]) -> Result<Self, Unfit> {
        let certificate = Certificate::read(certificate)?;
        certificate.check_authority()?;
        Ok(Self {
            validity: certificate.validity(),
            trust_domain: certificate.trust_domain(),
            key: certificate.key_numbers()?,
        })
    }
}
