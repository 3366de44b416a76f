//! How a message's body ends (RFC 9112 section 6).

/// The versions that are spoken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How a message's body ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BodyFraming {
    /// There is none.
    None,
    /// After this many bytes, at least one.
    Length(u64),
    /// With the last chunk and the trailers.
    Chunked,
    /// When the server closes the connection.
    UntilClose,
    /// There is no message any more: bytes go both ways until both sides have closed (101, and
    /// 2xx to CONNECT).
    Tunnel,
}

/// What must be remembered of a request to read its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// The method was HEAD: the answer has no body, whatever it says.
    pub head: bool,
    /// The method was CONNECT: an answer of the 2xx class opens a tunnel.
    pub connect: bool,
    /// An upgrade was asked for: 101 opens a tunnel.
    pub upgrade: bool,
}
