//! What is spoken inside a tunnel, agreed on in the handshake. Nothing else is ever agreed on.

use std::fmt;

/// A protocol of the tunnel port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Alpn {
    /// `h2`: HBONE, that is HTTP/2 with nothing but CONNECT.
    Hbone,
    /// `leno/1`: HTTP/2 framing whose streams are CONNECT or requests of HTTP/2 applications.
    Leno1,
}

impl Alpn {
    /// Every one, the preferred first.
    pub const ALL: [Self; 2] = [Self::Leno1, Self::Hbone];

    /// Its name in the handshake.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hbone => "h2",
            Self::Leno1 => "leno/1",
        }
    }

    pub(crate) fn wire(self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }

    pub(crate) fn agreed(name: Option<&[u8]>) -> Option<Self> {
        let name = name?;
        let is_named = |alpn: &Self| alpn.as_str().as_bytes() == name;
        Self::ALL.into_iter().find(is_named)
    }
}

impl fmt::Display for Alpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
