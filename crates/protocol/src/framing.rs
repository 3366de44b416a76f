//! How a message's body ends (RFC 9112 section 6).

use crate::flaw::Flaw;

/// The versions that are spoken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2. What ends a body there are frames; one whose length nobody gave is
    /// [`BodyFraming::Chunked`], as it would be in HTTP/1.1.
    Http2,
}

impl Version {
    /// Reads `HTTP/1.1`. Another version of HTTP has a flaw of its own; what is no version at all
    /// is `otherwise`.
    pub(crate) fn read(text: &[u8], otherwise: Flaw) -> Result<Self, Flaw> {
        match text {
            b"HTTP/1.1" => Ok(Self::Http11),
            b"HTTP/1.0" => Ok(Self::Http10),
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Flaw::Version),
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9'] => Err(Flaw::Version),
            _ => Err(otherwise),
        }
    }
}

/// How a message's body ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BodyFraming {
    /// There is none, and the head need not say so.
    None,
    /// After this many bytes. What is read has at least one; an answer of one's own that could have
    /// a body and has none says zero.
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

/// What `Content-Length` and `Transfer-Encoding` say.
#[derive(Clone, Copy, Default)]
pub(crate) struct Declared {
    length: Option<u64>,
    chunked: bool,
}

impl Declared {
    /// Takes the value of a `Content-Length`.
    pub(crate) fn content_length(&mut self, value: &[u8]) -> Result<(), Flaw> {
        if self.length.is_some() {
            return Err(Flaw::RepeatedContentLength);
        }
        if value.is_empty() || value.len() > MOST_DIGITS || !value.iter().all(u8::is_ascii_digit) {
            return Err(Flaw::ContentLength);
        }
        let digits = str::from_utf8(value).map_err(|_| Flaw::ContentLength)?;
        self.length = Some(digits.parse().map_err(|_| Flaw::ContentLength)?);
        Ok(())
    }

    /// Takes the value of a `Transfer-Encoding`.
    pub(crate) fn transfer_encoding(&mut self, value: &[u8], version: Version) -> Result<(), Flaw> {
        if version == Version::Http10 {
            return Err(Flaw::EncodingInOldVersion);
        }
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Flaw::TransferEncoding);
        }
        self.chunked = true;
        Ok(())
    }

    /// Refuses both at once.
    //= RFC 9112 section 6.3: "ought to be handled as an error"
    pub(crate) fn check(&self) -> Result<(), Flaw> {
        match self.chunked && self.length.is_some() {
            true => Err(Flaw::LengthAndEncoding),
            false => Ok(()),
        }
    }

    /// Whether there is a `Content-Length`.
    pub(crate) fn has_length(&self) -> bool {
        self.length.is_some()
    }

    /// How a body ends that is framed by these alone; `None` where neither is there.
    fn framing(&self) -> Option<BodyFraming> {
        match self.length {
            _ if self.chunked => Some(BodyFraming::Chunked),
            Some(0) => Some(BodyFraming::None),
            Some(length) => Some(BodyFraming::Length(length)),
            None => None,
        }
    }

    /// How the body of a request ends.
    pub(crate) fn of_request(&self, method: &str) -> Result<BodyFraming, Flaw> {
        //= RFC 9112 section 6.3: "If this is a request message and none of the above are true, then the message body length is zero (no message body is present)."
        let framing = self.framing().unwrap_or(BodyFraming::None);
        //= RFC 9110 section 9.3.6: "A CONNECT request message does not have content."
        if method == "CONNECT" && framing != BodyFraming::None {
            return Err(Flaw::BodyOfConnect);
        }
        Ok(framing)
    }

    /// How the body of the answer `status` to `asked` ends.
    pub(crate) fn of_response(&self, status: u16, asked: Asked) -> Result<BodyFraming, Flaw> {
        let framing = self.framing().unwrap_or(BodyFraming::UntilClose);
        let bodiless = matches!(status, 100..=199 | 204);
        if bodiless && !matches!(framing, BodyFraming::None | BodyFraming::UntilClose) {
            return Err(Flaw::UnaskedBody);
        }
        Ok(match status {
            101 => BodyFraming::Tunnel,
            200..=299 if asked.connect => BodyFraming::Tunnel,
            _ if bodiless || asked.head || status == 304 => BodyFraming::None,
            _ => framing,
        })
    }
}

/// More digits than any body has bytes, and fewer than would not fit.
const MOST_DIGITS: usize = 18;
