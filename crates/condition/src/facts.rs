//! What can be said of a call, under the names that expressions use.

use alloc::borrow::Cow;
use core::time::Duration;

use serde_json::Value as Claimed;

/// Declares the facts from their table.
macro_rules! facts {
    ($($(#[doc = $doc:literal])+ $fact:ident = $name:literal: $kind:ident;)+) => {
        /// Something that can be said of a call. Where there is nothing to say, a text is empty and a
        /// number is 0.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Fact {
            $($(#[doc = $doc])+ $fact,)+
            /// The headers of the request, by name in lower case; of one that came more than once the
            /// values, with commas between.
            Headers,
            /// The claims of the request's token, by their names.
            Claims,
        }

        impl Fact {
            /// Every fact that has a value of its own.
            pub const VALUES: &[Self] = &[$(Self::$fact),+];

            /// Its name in an expression.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fact => $name,)+
                    Self::Headers => "request.headers",
                    Self::Claims => "jwt.claims",
                }
            }

            /// What it says, in a sentence.
            pub fn doc(self) -> &'static str {
                match self {
                    $(Self::$fact => concat!($($doc),+).trim_ascii_start(),)+
                    Self::Headers => "The headers of the request, by name in lower case.",
                    Self::Claims => "The claims of the request's token, by name.",
                }
            }

            /// The word for its type in CEL.
            pub fn kind(self) -> &'static str {
                match self {
                    $(Self::$fact => Kind::$kind.name(),)+
                    Self::Headers => "map(string, string)",
                    Self::Claims => "map(string, dyn)",
                }
            }

            pub(crate) fn value_kind(self) -> Option<Kind> {
                match self {
                    $(Self::$fact => Some(Kind::$kind),)+
                    Self::Headers | Self::Claims => None,
                }
            }
        }
    };
}

facts! {
    /// The method of the request.
    Method = "request.method": Text;
    /// The path, without the query.
    Path = "request.path": Text;
    /// The host that was asked for, without a port.
    Host = "request.host": Text;
    /// Bytes of the request's body.
    RequestSize = "request.size": Number;
    /// The SPIFFE ID that the caller proved.
    SourceIdentity = "source.identity": Text;
    /// The namespace of the caller.
    SourceNamespace = "source.namespace": Text;
    /// The caller's service, or its service account where it proved that.
    SourceService = "source.service": Text;
    /// The address that the connection came from.
    SourceAddress = "source.address": Text;
    /// The namespace of the service that was called.
    DestinationNamespace = "destination.namespace": Text;
    /// The service that was called.
    DestinationService = "destination.service": Text;
    /// The address that the call went to in the end.
    DestinationAddress = "destination.address": Text;
    /// The status of the answer.
    Status = "response.status": Number;
    /// Bytes of the answer's body.
    ResponseSize = "response.size": Number;
    /// The code with which a proxy refused it or cut it short, like `R014`.
    Code = "code": Text;
    /// Whose fault it was: `caller`, `service`, `configuration` or `mesh`.
    Fault = "fault": Text;
    /// From the first byte of the request to the last of the answer.
    Duration = "duration": Span;
    /// How many times it was tried.
    Tries = "tries": Number;
}

impl Fact {
    /// The fact with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().find(|fact| fact.name() == name)
    }

    /// Whether it is known to the proxy of the one that is called before the call is let in.
    pub fn is_known_first(self) -> bool {
        match self {
            Self::Method
            | Self::Path
            | Self::Host
            | Self::Headers
            | Self::Claims
            | Self::SourceIdentity
            | Self::SourceNamespace
            | Self::SourceService
            | Self::SourceAddress => true,
            Self::RequestSize
            | Self::DestinationNamespace
            | Self::DestinationService
            | Self::DestinationAddress
            | Self::Status
            | Self::ResponseSize
            | Self::Code
            | Self::Fault
            | Self::Duration
            | Self::Tries => false,
        }
    }

    /// Whether only a request has it: of a stream of bytes it says nothing.
    pub fn is_of_request(self) -> bool {
        matches!(
            self,
            Self::Method
                | Self::Path
                | Self::Host
                | Self::Headers
                | Self::Claims
                | Self::RequestSize
        )
    }

    /// Every fact.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::VALUES
            .iter()
            .copied()
            .chain([Self::Headers, Self::Claims])
    }
}

/// The types that values have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Truth,
    Number,
    Text,
    Span,
}

impl Kind {
    /// Its name in CEL.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Truth => "bool",
            Self::Number => "int",
            Self::Text => "string",
            Self::Span => "duration",
        }
    }
}

/// The value of a fact; its type is the one of [`Fact::kind`].
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A number.
    Number(i64),
    /// A span of time.
    Span(Duration),
}

/// What is known of one call.
pub trait Facts {
    /// The value of a fact, in its own type; `None` if nobody knows it.
    fn value(&self, fact: Fact) -> Option<Value<'_>>;

    /// The value of a header of the request, if there is one; `None` if nobody knows that.
    #[expect(
        clippy::option_option,
        reason = "nobody knows, and not there, are two answers"
    )]
    fn header(&self, name: &str) -> Option<Option<Cow<'_, str>>>;

    /// What the token of the request says under a name, or at a JSON pointer (RFC 6901); `None` if nobody
    /// knows that.
    fn claim(&self, name: &str) -> Option<ClaimSaid<'_>>;
}

/// What a token says under a name.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ClaimSaid<'a> {
    /// There is no token whose claims count.
    NoToken,
    /// It says nothing under that name.
    Absent,
    /// This.
    Is(&'a Claimed),
}
