//! What is said about what is spoken on a port, before it is known who routes to it.

use leno_model::view::Protocol;

/// What somebody has said about a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spoken {
    /// It is HTTP/1.1.
    Http,
    /// It is something that is carried and not read.
    Tcp,
    /// Nobody has said.
    Unsaid,
}

impl Spoken {
    /// What a port's name says: `http`, `http-admin`. The names of protocols that are not read yet
    /// say that the bytes are carried.
    pub(crate) fn by_name(name: Option<&str>) -> Self {
        let prefix = name.map(|name| name.split_once('-').map_or(name, |(prefix, _)| prefix));
        match prefix {
            Some("http") => Self::Http,
            Some("tcp" | "https" | "tls" | "grpc" | "h2c" | "http2") => Self::Tcp,
            Some(_) | None => Self::Unsaid,
        }
    }

    /// What a Service port's `appProtocol` says; `None` if it names a protocol that is not read.
    pub(crate) fn by_app_protocol(protocol: &str) -> Option<Self> {
        match protocol {
            "http" | "http/1.1" => Some(Self::Http),
            "tcp" => Some(Self::Tcp),
            _ => None,
        }
    }

    /// This, or if nobody has said, what `other` says.
    pub(crate) fn or(self, other: Self) -> Self {
        match self {
            Self::Http | Self::Tcp => self,
            Self::Unsaid => other,
        }
    }

    /// What is done with the port's bytes: what nobody has said anything about is carried.
    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Http => Protocol::Http,
            Self::Tcp | Self::Unsaid => Protocol::Tcp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_spoken_by_its_first_part() {
        for (name, expect) in [
            ("http", Spoken::Http),
            ("http-admin", Spoken::Http),
            ("https", Spoken::Tcp),
            ("httpish", Spoken::Unsaid),
            ("tcp-db", Spoken::Tcp),
            ("grpc-web", Spoken::Tcp),
            ("web", Spoken::Unsaid),
        ] {
            assert_eq!(Spoken::by_name(Some(name)), expect, "{name}");
        }
        assert_eq!(Spoken::by_name(None), Spoken::Unsaid);
    }
}
