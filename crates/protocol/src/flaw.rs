//! What can be wrong with a message: each flaw has one name, and for a request a code and the
//! status that answers it.

use leno_model::Code;

/// A message that is not carried, and how its sender is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{flaw}")]
pub struct Refused {
    /// The code that people see.
    pub code: Code,
    /// The status of the answer: to the client that sent the request, or in the place of the
    /// response that a server sent.
    pub status: u16,
    /// What is wrong, in words by its `Display`.
    pub flaw: Flaw,
}

impl Refused {
    /// Refuses a request: the client is answered with a status of the 4xx or 5xx class and the
    /// connection closes, because where the next request begins is not known.
    pub fn request(flaw: Flaw) -> Self {
        let (code, status) = match flaw {
            Flaw::BareLineFeed
            | Flaw::BareCarriageReturn
            | Flaw::RequestLine
            | Flaw::StatusLine
            | Flaw::Status
            | Flaw::Method
            | Flaw::TargetForm
            | Flaw::TargetOctet
            | Flaw::TargetFragment
            | Flaw::TargetUtf8
            | Flaw::TargetEscape
            | Flaw::FoldedLine
            | Flaw::SpaceBeforeColon
            | Flaw::FieldName
            | Flaw::FieldValue
            | Flaw::ConnectionOption
            | Flaw::ConnectionField
            | Flaw::FieldToken
            | Flaw::Protocol
            | Flaw::WebSocketKey
            | Flaw::TooManyOptions { .. }
            | Flaw::UnaskedSwitch
            | Flaw::UnaskedBody => (Code::R030, 400),
            Flaw::ContentLength
            | Flaw::RepeatedContentLength
            | Flaw::TransferEncoding
            | Flaw::FramingLookalike
            | Flaw::LengthAndEncoding
            | Flaw::EncodingInOldVersion
            | Flaw::BodyOfConnect => (Code::R031, 400),
            Flaw::NoHost | Flaw::RepeatedHost | Flaw::Host | Flaw::HostDiffers => (Code::R032, 400),
            Flaw::HeadTooLarge { .. } | Flaw::TooManyHeaders { .. } => (Code::R033, 431),
            Flaw::TargetTooLong { .. } => (Code::R033, 414),
            Flaw::TooManyReadings { .. } | Flaw::ReadingsTooLong { .. } => (Code::R035, 400),
            Flaw::Version => (Code::R036, 505),
            Flaw::MethodCase | Flaw::ProtocolNotCarried => (Code::R038, 501),
            Flaw::ChunkSize
            | Flaw::ChunkExtension { .. }
            | Flaw::ChunkEnd
            | Flaw::Trailer
            | Flaw::ForbiddenTrailer
            | Flaw::TrailersTooLarge { .. }
            | Flaw::CutShort => (Code::R037, 400),
        };
        Self { code, status, flaw }
    }

    /// Refuses a response: the client is answered with 502 if nothing was sent to it yet, else its
    /// connection is cut.
    pub fn response(flaw: Flaw) -> Self {
        let code = if flaw == Flaw::CutShort {
            Code::R026
        } else {
            Code::R024
        };
        Self {
            code,
            status: 502,
            flaw,
        }
    }
}

/// What is wrong with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Flaw {
    /// A line feed without a carriage return before it.
    #[error("a line ends with LF and no CR before it")]
    BareLineFeed,
    /// A carriage return without a line feed behind it.
    #[error("a CR stands inside a line")]
    BareCarriageReturn,
    /// The first line does not have its three parts.
    #[error("the first line is not a method, a target and a version with one space between them")]
    RequestLine,
    /// The first line of a response does not have its parts.
    #[error("the first line is not a version and a status with one space between them")]
    StatusLine,
    /// The status is not one.
    #[error("the status is not a number from 100 to 999")]
    Status,
    /// The method is not a token.
    #[error("the method is not a token")]
    Method,
    /// The method is written in lower case: methods are case-sensitive, and not every server knows.
    #[error("the method is not in upper case")]
    MethodCase,
    /// The target is in none of the forms of RFC 9112 section 3.2, or not in one for its method.
    #[error("the target is not a path, nor in a form that its method may have")]
    TargetForm,
    /// The target holds a space, which in HTTP/1 would end it, or a control character.
    #[error("the target holds a space or a control character, sent as it is or as %00")]
    TargetOctet,
    /// The target holds a fragment, which is never sent.
    #[error("the target holds a '#'")]
    TargetFragment,
    /// The target, or what its escapes stand for, is not UTF-8 in its shortest form.
    #[error("the target is not UTF-8, or has an overlong escape")]
    TargetUtf8,
    /// The path holds a '%' without two hexadecimal digits.
    #[error("the path holds a '%' that begins no escape")]
    TargetEscape,
    /// The target is longer than the limit.
    #[error("the target is longer than {limit} bytes")]
    TargetTooLong {
        /// The limit.
        limit: usize,
    },
    /// The path can be read in more ways than are tried.
    #[error("the path can be read in more than {limit} ways")]
    TooManyReadings {
        /// The limit.
        limit: usize,
    },
    /// The readings of the path are together longer than the limit.
    #[error("the ways in which the path can be read are together longer than {limit} bytes")]
    ReadingsTooLong {
        /// The limit.
        limit: usize,
    },
    /// The version is HTTP's, and not 1.0 or 1.1.
    #[error("the version is neither HTTP/1.1 nor HTTP/1.0")]
    Version,
    /// A header line begins with white space: the line before it goes on (obs-fold).
    #[error("a header is folded over two lines")]
    FoldedLine,
    /// White space between a header's name and its colon.
    #[error("white space stands before the colon of a header")]
    SpaceBeforeColon,
    /// A header line has no colon, or what is before it is not a token.
    #[error("a header line does not begin with a name and a colon")]
    FieldName,
    /// A header's value holds a control character.
    #[error("a header's value holds a control character")]
    FieldValue,
    /// `Connection` names a header that is not the connection's own, or what is no name.
    #[error("Connection names what is no header, or one that must reach the other end")]
    ConnectionOption,
    /// `Connection` names more than the limit.
    #[error("Connection names more than {limit} headers")]
    TooManyOptions {
        /// The limit.
        limit: usize,
    },
    /// `Content-Length` is not one decimal number that fits in 63 bits.
    #[error("Content-Length is not one number of at most 18 digits")]
    ContentLength,
    /// There is more than one `Content-Length`, be they equal or not.
    #[error("there is more than one Content-Length")]
    RepeatedContentLength,
    /// `Transfer-Encoding` is not exactly `chunked`, once.
    #[error("Transfer-Encoding is not exactly one chunked")]
    TransferEncoding,
    /// `Content_Length` or `Transfer_Encoding`, which some servers take for the ones with a hyphen.
    #[error("a header's name is that of one that frames, but for '_' in the place of '-'")]
    FramingLookalike,
    /// Both `Content-Length` and `Transfer-Encoding`.
    #[error("there are both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    /// A field of HTTP/2 whose name is no token in lower case.
    #[error("a field's name is not a token in lower case")]
    FieldToken,
    /// A field of HTTP/2 that concerns one connection only.
    #[error("a field concerns the connection only, and HTTP/2 has none of those")]
    ConnectionField,
    /// `:protocol` is not the name of a protocol, with perhaps its version.
    #[error("the protocol that CONNECT asks for is not a name with perhaps a version")]
    Protocol,
    /// What is asked for would speak HTTP again: its requests would pass unseen.
    #[error("the protocol that CONNECT asks for is HTTP again, or TLS")]
    ProtocolNotCarried,
    /// A client of WebSocket sends no key, more than one, or one that is not sixteen bytes in Base64.
    #[error("there is not one Sec-WebSocket-Key of sixteen bytes in Base64")]
    WebSocketKey,
    /// `Transfer-Encoding` in HTTP/1.0, which has none.
    #[error("HTTP/1.0 has no Transfer-Encoding")]
    EncodingInOldVersion,
    /// CONNECT with a body.
    #[error("CONNECT has no body")]
    BodyOfConnect,
    /// There is no `Host`.
    #[error("there is no Host")]
    NoHost,
    /// There is more than one `Host`.
    #[error("there is more than one Host")]
    RepeatedHost,
    /// `Host`, or the authority of the target, is not a name or an address with perhaps a port.
    #[error("the host is not a name or an address with perhaps a port")]
    Host,
    /// The target names another authority than `Host`.
    #[error("the target and Host name different hosts")]
    HostDiffers,
    /// The head is larger than the limit.
    #[error("the head is larger than {limit} bytes")]
    HeadTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The head has more headers than the limit.
    #[error("the head has more than {limit} headers")]
    TooManyHeaders {
        /// The limit.
        limit: usize,
    },
    /// 101 for a request that did not ask for an upgrade, or without naming what follows.
    #[error("the answer switches protocols and was not asked to, or does not say to what")]
    UnaskedSwitch,
    /// A response that cannot have a body says that it has one.
    #[error("an answer that has no body gives the length of one")]
    UnaskedBody,
    /// A chunk does not begin with its size: one to sixteen hexadecimal digits.
    #[error("a chunk does not begin with its size")]
    ChunkSize,
    /// What follows a chunk's size is not an extension, or longer than the limit.
    #[error("a chunk's extension is malformed or longer than {limit} bytes")]
    ChunkExtension {
        /// The limit.
        limit: usize,
    },
    /// A chunk's data is not followed by CRLF.
    #[error("a chunk is not as long as it says")]
    ChunkEnd,
    /// A trailer line is malformed.
    #[error("a trailer is malformed")]
    Trailer,
    /// A trailer with a name that has its meaning only in the head.
    #[error("a trailer has a name that belongs into the head")]
    ForbiddenTrailer,
    /// The trailers are larger than the limit.
    #[error("the trailers are larger than {limit} bytes")]
    TrailersTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The connection closed before the body was complete.
    #[error("the connection closed in the middle of the body")]
    CutShort,
}
