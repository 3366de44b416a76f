//! Why a handshake came to nothing, with who was on either side as far as that is known.

use std::{fmt, io};

use leno_identity::{Distrust, NotEndpoint};
use leno_model::{Code, Fault, SpiffeId};
use rustls::{AlertDescription, CertificateError};

use crate::{HANDSHAKE_LIMIT, alpn::Alpn, words::words};

/// A handshake that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("handshake of {} with {}: {why}", Who(own), Who(peer))]
pub struct HandshakeFailure {
    /// Which of our identities was meant, if that was settled.
    pub own: Option<SpiffeId>,
    /// Who the peer says it is; before it says so, who was expected. Proof is another matter.
    pub peer: Option<SpiffeId>,
    /// What went wrong.
    pub why: WhyFailed,
}

/// What went wrong in a handshake.
#[derive(Debug, thiserror::Error)]
pub enum WhyFailed {
    /// We do not believe the peer.
    #[error(transparent)]
    Distrusted(Distrust),
    /// A server of another trust domain is not the one that was expected.
    #[error("it does not prove to be the one that was expected: {0}")]
    NotEndpoint(NotEndpoint),
    /// The peer does not believe us.
    #[error("{0}")]
    Refused(Refusal),
    /// The peer asked for an identity that is not held here.
    #[error("the peer asked for {}, who is not here", asked.as_deref().unwrap_or("nobody by name"))]
    NotHere {
        /// The name it asked for.
        asked: Option<String>,
    },
    /// A call was to be made as an identity that is not held here.
    #[error("there is no certificate to make this call with")]
    NotHeld,
    /// A call was to be made to nobody in particular.
    #[error("it is not known who should answer")]
    NobodyExpected,
    /// No protocol was agreed on, or another than was offered.
    #[error("{} was offered, and the peer does not speak it", Offered(offered))]
    NoProtocol {
        /// What was offered.
        offered: Vec<Alpn>,
    },
    /// It took too long.
    #[error("it was not finished within {HANDSHAKE_LIMIT:?}")]
    Late,
    /// The peer does not speak TLS as it should.
    #[error("TLS failed: {}", tls_words(.0))]
    Tls(rustls::Error),
    /// The connection broke.
    #[error("{}", words(.0))]
    Broken(io::Error),
}

impl HandshakeFailure {
    /// The code of what went wrong.
    pub fn code(&self) -> Code {
        match &self.why {
            WhyFailed::Distrusted(distrust) => distrust.code(),
            WhyFailed::Refused(refusal) if refusal.is_revocation() => Code::T005,
            WhyFailed::NotEndpoint(_)
            | WhyFailed::Refused(_)
            | WhyFailed::NotHere { .. }
            | WhyFailed::NotHeld
            | WhyFailed::NobodyExpected
            | WhyFailed::NoProtocol { .. }
            | WhyFailed::Late
            | WhyFailed::Tls(_)
            | WhyFailed::Broken(_) => Code::T011,
        }
    }

    /// Whose move it is.
    pub fn fault(&self) -> Fault {
        self.code().fault()
    }
}

impl WhyFailed {
    /// Who the peer says it is, if it came to that.
    pub(crate) fn claimed(&self) -> Option<&SpiffeId> {
        match self {
            Self::Distrusted(distrust) => distrust.claimed(),
            Self::NotEndpoint(_)
            | Self::Refused(_)
            | Self::NotHere { .. }
            | Self::NotHeld
            | Self::NobodyExpected
            | Self::NoProtocol { .. }
            | Self::Late
            | Self::Tls(_)
            | Self::Broken(_) => None,
        }
    }

    /// Finds rustls's word in what a stream reports.
    pub(crate) fn of_stream(error: io::Error, offered: &[Alpn]) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        match tls {
            Some(rustls::Error::NoCertificatesPresented) => {
                Self::Distrusted(Distrust::NoCertificate)
            }
            Some(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
                if let Some(why) = other.0.downcast_ref() =>
            {
                Self::NotEndpoint(NotEndpoint::clone(why))
            }
            Some(rustls::Error::AlertReceived(alert)) => Self::Refused(Refusal(*alert)),
            Some(rustls::Error::NoApplicationProtocol) => Self::NoProtocol {
                offered: offered.to_vec(),
            },
            Some(tls) => Self::Tls(tls.clone()),
            None => Self::Broken(error),
        }
    }
}

fn tls_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "no root that is trusted leads to its certificate".to_owned()
        }
        error => error.to_string(),
    }
}

/// The peer broke off and said why. A server judges its client's certificate after the client's
/// handshake is done, so that a client may find this only when it first reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(AlertDescription);

impl Refusal {
    /// Finds in a stream's `error` that the peer refused us.
    pub fn find(error: &io::Error) -> Option<Self> {
        match error.get_ref()?.downcast_ref()? {
            rustls::Error::AlertReceived(alert) => Some(Self(*alert)),
            _ => None,
        }
    }
}

impl Refusal {
    /// Whether our identity is revoked there.
    pub fn is_revocation(self) -> bool {
        self.0 == AlertDescription::CertificateRevoked
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.0 {
            AlertDescription::CertificateExpired => "it finds our certificate's time wrong",
            AlertDescription::CertificateRevoked => "our identity is revoked there",
            AlertDescription::UnknownCA => "it does not trust our authority",
            AlertDescription::UnsupportedCertificate => "it finds our certificate not fit",
            AlertDescription::BadCertificate => "it finds no identity in our certificate",
            AlertDescription::CertificateRequired => "it wants a certificate and got none",
            AlertDescription::AccessDenied => "it will not speak with us",
            AlertDescription::ProtocolVersion => "it does not speak TLS 1.3",
            AlertDescription::NoApplicationProtocol => "it speaks none of our protocols",
            other => return write!(f, "the peer broke off: {other:?}"),
        };
        write!(f, "the peer refused: {reason}")
    }
}

struct Who<'a>(&'a Option<SpiffeId>);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, "{id}"),
            None => f.write_str("somebody unknown"),
        }
    }
}

struct Offered<'a>(&'a [Alpn]);

impl fmt::Display for Offered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, alpn) in self.0.iter().enumerate() {
            let before = if at == 0 { "" } else { " or " };
            write!(f, "{before}{alpn}")?;
        }
        Ok(())
    }
}
