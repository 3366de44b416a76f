//! The things that happen in a proxy.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use leno_model::flow::Kind;
use leno_model::view::{Generation, HostMatch, LogFields, PortRef, WorkloadId};
use leno_model::{CallId, Code, Fault, Origin, Roll, SpiffeId, Wall};

use crate::facts::Facts;
use crate::span::Traced;

/// One thing that happened. It borrows what it tells of: a reader keeps what it needs.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A request was answered, or could not be.
    Call(Call<'a>),
    /// A stream of bytes was opened.
    Opened(Stream<'a>),
    /// A stream of bytes ended, or could not be opened.
    Stream(Stream<'a>),
    /// A handshake between proxies came to nothing.
    Handshake(Handshake<'a>),
    /// Connections that wait at a listener cannot be taken.
    Accept(Accept<'a>),
}

impl<'a> Event<'a> {
    /// Whether it has a line in the access log.
    pub fn line(&self) -> Line {
        self.logged().map_or(Line::Yes, |logged| logged.line)
    }

    /// How the access log tells of it; without it, in full.
    pub fn logged(&self) -> Option<&'a Logged> {
        match self {
            Self::Call(call) => call.logged,
            Self::Stream(stream) => stream.logged,
            Self::Opened(_) | Self::Handshake(_) | Self::Accept(_) => None,
        }
    }

    /// The name of what it tells of.
    pub fn id(&self) -> CallId {
        match self {
            Self::Call(call) => call.id,
            Self::Opened(stream) | Self::Stream(stream) => stream.id,
            Self::Handshake(handshake) => handshake.id,
            Self::Accept(accept) => accept.id,
        }
    }

    /// Between whom it happened, where that is known.
    pub fn edge(&self) -> Option<&Edge<'a>> {
        match self {
            Self::Call(call) => Some(&call.edge),
            Self::Opened(stream) | Self::Stream(stream) => Some(&stream.edge),
            Self::Handshake(handshake) => Some(&handshake.edge),
            Self::Accept(_) => None,
        }
    }

    /// Which of the two proxies speaks.
    pub fn reporter(&self) -> Reporter {
        match self {
            Self::Call(call) => call.edge.reporter,
            Self::Opened(stream) | Self::Stream(stream) => stream.edge.reporter,
            Self::Handshake(handshake) => handshake.edge.reporter,
            Self::Accept(accept) => accept.reporter,
        }
    }

    /// The access rules that matched it and only tell so.
    pub fn audited(&self) -> &'a [Origin] {
        match self {
            Self::Call(call) => call.decided.audited,
            Self::Stream(stream) => stream.decided.audited,
            Self::Opened(_) | Self::Handshake(_) | Self::Accept(_) => &[],
        }
    }

    /// Whose fault it is, if it failed.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Call(call) => call.fault(),
            Self::Opened(_) => None,
            Self::Stream(stream) => stream.fault(),
            Self::Handshake(handshake) => Some(handshake.code.fault()),
            Self::Accept(accept) => Some(accept.code.fault()),
        }
    }

    /// Why a proxy refused it or cut it short, if one did.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Call(call) => call.refused,
            Self::Opened(stream) | Self::Stream(stream) => stream.refused,
            Self::Handshake(handshake) => Some(handshake.code),
            Self::Accept(accept) => Some(accept.code),
        }
    }

    /// When it was over.
    pub fn ended(&self) -> Wall {
        match self {
            Self::Call(call) => call.began + call.took,
            Self::Opened(stream) | Self::Stream(stream) => stream.began + stream.took,
            Self::Handshake(handshake) => handshake.at,
            Self::Accept(accept) => accept.at,
        }
    }
}

/// Which of the two proxies of a call speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reporter {
    /// The proxy of the caller.
    Source,
    /// The proxy of the one that was called.
    Destination,
}

impl Reporter {
    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// Whether the two proxies proved themselves to each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Security {
    /// They did.
    Mtls,
    /// They did not, for this reason (a word like `endpoint-not-in-mesh`).
    Plain(&'static str),
    /// It did not come to a connection.
    None,
}

impl Security {
    /// The word in metrics and logs: `mtls`, `none`, or why it was plain.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mtls => "mtls",
            Self::Plain(why) => why,
            Self::None => "none",
        }
    }
}

/// Between whom. Names come from configuration, never from a request, so that their number is bounded.
#[derive(Clone, Copy, Debug)]
pub struct Edge<'a> {
    /// Who speaks.
    pub reporter: Reporter,
    /// Who called.
    pub source: Party<'a>,
    /// What was called.
    pub destination: Party<'a>,
    /// How the connection between them was secured.
    pub security: Security,
}

/// One end of an edge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Party<'a> {
    /// Somebody of the mesh: a service, or a caller by namespace and service account.
    Known {
        /// The namespace.
        namespace: &'a str,
        /// The name there.
        name: &'a str,
    },
    /// Somebody of another trust domain that is believed, by its namespace and service account there.
    Peer {
        /// The trust domain.
        trust_domain: &'a str,
        /// The namespace.
        namespace: &'a str,
        /// The name there.
        name: &'a str,
    },
    /// A host outside the mesh, by the entry of a rule that it matches: never by what a caller makes up.
    Outside(&'a HostMatch),
    /// A health check from outside.
    Probe,
    /// A caller that proved nothing, or a destination outside the mesh that no rule names.
    Unknown,
}

impl Party<'_> {
    /// Whether `text` is what this prints as.
    pub fn is(&self, text: &str) -> bool {
        match self {
            Self::Known { namespace, name } => {
                let rest = text.strip_prefix(namespace);
                rest.and_then(|rest| rest.strip_prefix('/')) == Some(name)
            }
            Self::Peer {
                trust_domain,
                namespace,
                name,
            } => {
                let rest = text.strip_prefix(trust_domain);
                let rest = rest.and_then(|rest| rest.strip_prefix('/'));
                rest.is_some_and(|rest| Party::Known { namespace, name }.is(rest))
            }
            Self::Outside(HostMatch::Exact(name)) => text == &**name,
            Self::Outside(HostMatch::Suffix(suffix)) => text.strip_prefix('*') == Some(suffix),
            Self::Outside(HostMatch::Any) => false,
            Self::Probe => text == Kind::PROBE,
            Self::Unknown => text == Kind::UNKNOWN,
        }
    }
}

/// `shop/web`, `bank.example/bank/teller`, `*.amazonaws.com`, `probe`, or `unknown`.
impl fmt::Display for Party<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known { namespace, name } => write!(f, "{namespace}/{name}"),
            Self::Peer {
                trust_domain,
                namespace,
                name,
            } => write!(f, "{trust_domain}/{namespace}/{name}"),
            Self::Outside(host) => host.fmt(f),
            Self::Probe => f.write_str(Kind::PROBE),
            Self::Unknown => f.write_str(Kind::UNKNOWN),
        }
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Its name.
    pub id: CallId,
    /// Between whom.
    pub edge: Edge<'a>,
    /// The rule that took it, if its service has routes.
    pub route: Option<&'a Origin>,
    /// Who sent it.
    pub peer: SocketAddr,
    /// Whom it went to in the end, if it came to that.
    pub endpoint: Option<SocketAddr>,
    /// When it began.
    pub began: Wall,
    /// From its first byte to the last of the answer.
    pub took: Duration,
    /// The method.
    pub method: &'a str,
    /// The host it asked for.
    pub host: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The status of the answer; 0 if none could be sent.
    pub status: u16,
    /// What gRPC says became of it, if it is a call of gRPC and that was said.
    pub grpc: Option<u16>,
    /// Why this proxy answered itself, or cut the call short.
    pub refused: Option<Code>,
    /// How many times it was tried.
    pub tries: u8,
    /// Of which call it is a copy that a mirror got: nobody heard the answer.
    pub copy_of: Option<CallId>,
    /// Bytes of the request's body.
    pub sent: u64,
    /// Bytes of the answer's body.
    pub received: u64,
    /// How many of these were counted while it went on, by [`Recorder::flow`](crate::Recorder::flow).
    pub counted: Bytes,
    /// Where it stands in a trace, if it is to be told there.
    pub traced: Option<&'a Traced>,
    /// How the access log tells of it; without it, in full.
    pub logged: Option<&'a Logged>,
    /// What was decided on its way.
    pub decided: Decided<'a>,
}

impl Call<'_> {
    /// Whose fault it is, if it failed: by the code, else the service's if it answered with 500 or
    /// above, or with what gRPC says in its place.
    pub fn fault(&self) -> Option<Fault> {
        match self.refused {
            Some(code) => Some(code.fault()),
            None if self.status >= 500 || self.grpc.is_some_and(is_grpc_failure) => {
                Some(Fault::Service)
            }
            None => None,
        }
    }

    /// Whether it did not go well, whoever is to blame.
    pub fn has_failed(&self) -> bool {
        self.status >= 400 || self.grpc.is_some_and(|status| status != 0)
    }
}

/// Whether a status of gRPC says that the server failed, as 500 and above do, and not that it refused,
/// or that the caller gave up: UNKNOWN, INTERNAL, UNAVAILABLE, DATA_LOSS.
pub fn is_grpc_failure(status: u16) -> bool {
    matches!(status, 2 | 13 | 14 | 15)
}

impl<'a> Call<'a> {
    /// The path as it may be read outside this process.
    pub fn shown_path(&self) -> &'a str {
        self.logged
            .and_then(|logged| logged.path.as_deref())
            .unwrap_or(self.path)
    }
}

/// How the access log tells of something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    /// Whether it has a line.
    pub line: Line,
    /// The fields of that line; `None` is all.
    pub fields: Option<LogFields>,
    /// The path, where not all of it is to be read.
    pub path: Option<Box<str>>,
    /// Headers of the request, as they may be read.
    pub headers: Headers,
    /// Headers of the answer, likewise.
    pub response_headers: Headers,
}

/// Headers by name, the values of one with commas between.
pub type Headers = Box<[(Arc<str>, Box<str>)]>;

/// Whether something has a line in the access log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// It has.
    Yes,
    /// It has not.
    No,
    /// It has, because the filter failed on it, which is counted.
    Unfiltered,
}

/// What a proxy decided, as far as it came to that.
#[derive(Clone, Copy, Default, Debug)]
pub struct Decided<'a> {
    /// The workload of ours before which it was decided.
    pub workload: Option<&'a WorkloadId>,
    /// Where that one listens, if it was called.
    pub application: Option<SocketAddr>,
    /// The view that it was decided by.
    pub generation: Option<&'a Generation>,
    /// Who proved to be the caller.
    pub caller: Option<&'a SpiffeId>,
    /// Which part of the configuration let it in, or kept it from going on.
    pub said_by: Option<&'a Origin>,
    /// The access rules that matched it and only tell so.
    pub audited: &'a [Origin],
    /// The external authorizers that were asked about it, in their order.
    pub consulted: &'a [Consulted],
    /// The service port that was called.
    pub called: Option<&'a PortRef>,
    /// The service port to whose endpoints it was to go.
    pub backend: Option<&'a PortRef>,
    /// The roll of the dice that chose this one among the backends of its rule.
    pub roll: Option<Roll>,
    /// The endpoints of that port as the balancer saw them last, if it was asked.
    pub endpoints: Option<Endpoints<'a>>,
    /// Tries that failed, in their order.
    pub failed: &'a [FailedTry],
    /// Why it was not tried again, in half a sentence, if that was a question.
    pub not_retried: Option<&'static str>,
    /// The time that passed, if one did.
    pub late: Option<Late<'a>>,
    /// What rules ask about it beside method, host and path, if they ask at all.
    pub facts: Option<&'a dyn Facts>,
    /// Why it was refused, in words.
    pub why: &'a str,
}

/// An external authorizer that was asked about a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Consulted {
    /// Who has it asked.
    pub by: Origin,
    /// Who was asked.
    pub to: PortRef,
    /// What followed.
    pub said: Consent,
    /// How long that took.
    pub took: Duration,
    /// Why there was no answer, in words; empty if there was one.
    pub why: Box<str>,
}

/// What followed when an external authorizer was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Consent {
    /// It let the call in.
    Allowed,
    /// It did not.
    Denied,
    /// It gave no answer, and the call was denied.
    Silent,
    /// It gave no answer, and the call was let in, as its policy says.
    SilentAllowed,
}

impl Consent {
    /// The words in logs and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Silent => "no answer",
            Self::SilentAllowed => "no answer, let in",
        }
    }
}

/// `shop/authz:9000 allowed`, with semicolons between.
pub(crate) struct Consents<'a>(pub(crate) &'a [Consulted]);

impl fmt::Display for Consents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        self.0.iter().try_for_each(|asked| {
            write!(f, "{between}{} {}", asked.to, asked.said.as_str())?;
            between = "; ";
            Ok(())
        })
    }
}

/// The endpoints of a port at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoints<'a> {
    /// How many there are.
    pub known: u32,
    /// How many of them could be picked.
    pub usable: u32,
    /// How the one was that was picked.
    pub taken: Option<Load>,
    /// The one that was drawn beside it.
    pub beside: Option<(SocketAddr, Load)>,
    /// Those that could not be picked and why, if none could: the first of them.
    pub unusable: &'a [Unusable],
}

impl Endpoints<'_> {
    /// How many that could not be picked are told one by one.
    pub const MOST_UNUSABLE: usize = 8;
}

/// What a balancer knew of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Calls in flight to it.
    pub in_flight: u32,
    /// How long it took to answer, as measured; `None` if it never did.
    pub latency: Option<Duration>,
    /// How many in a hundred of its calls failed.
    pub failing: u8,
}

/// An endpoint that could not be picked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unusable {
    /// Where it is.
    pub endpoint: SocketAddr,
    /// Why not, in half a sentence: `draining`.
    pub why: &'static str,
}

/// A time that something had and that passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Late<'a> {
    /// What had it, as its field is called: `request`, `backendRequest`, `connect`.
    pub of: &'static str,
    /// How long it was.
    pub limit: Duration,
    /// Who set it; `None` is a default.
    pub said_by: Option<&'a Origin>,
}

/// One try of a call that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FailedTry {
    /// At which endpoint.
    pub endpoint: SocketAddr,
    /// What kind of failure.
    pub code: Code,
    /// When it had failed, after the call began.
    pub after: Duration,
}

/// One stream of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// Its name.
    pub id: CallId,
    /// Between whom.
    pub edge: Edge<'a>,
    /// The rule that took it; `None` if none did.
    pub route: Option<&'a Origin>,
    /// Who opened it.
    pub peer: SocketAddr,
    /// Whom it went to, if it came to that.
    pub endpoint: Option<SocketAddr>,
    /// When it began.
    pub began: Wall,
    /// How long it has lived.
    pub took: Duration,
    /// Whether it was opened, and told of then.
    pub opened: bool,
    /// Why it was not carried, or not to its end.
    pub refused: Option<Code>,
    /// Bytes from who opened it.
    pub sent: u64,
    /// Bytes to who opened it.
    pub received: u64,
    /// How many of these were counted while it lived, by [`Recorder::flow`](crate::Recorder::flow).
    pub counted: Bytes,
    /// How the access log tells of it; without it, in full.
    pub logged: Option<&'a Logged>,
    /// What was decided when it was asked for.
    pub decided: Decided<'a>,
}

impl Stream<'_> {
    /// Whose fault it is, if it failed.
    pub fn fault(&self) -> Option<Fault> {
        self.refused.map(Code::fault)
    }
}

/// Bytes both ways.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Bytes {
    /// From who called.
    pub sent: u64,
    /// To who called.
    pub received: u64,
}

impl Bytes {
    /// What came after `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent.saturating_sub(earlier.sent),
            received: self.received.saturating_sub(earlier.received),
        }
    }
}

/// Bytes of a call or stream that goes on. They are counted, and told of no further.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// Between whom.
    pub edge: Edge<'a>,
    /// The rule that took the call, if its service has routes.
    pub route: Option<&'a Origin>,
    /// The status of the call's answer, 0 before there is one; a stream has none.
    pub status: Option<u16>,
    /// How many.
    pub bytes: Bytes,
}

/// A handshake that failed.
#[derive(Clone, Copy, Debug)]
pub struct Handshake<'a> {
    /// Its name: that of the call for which it was begun, where that is known.
    pub id: CallId,
    /// Between whom, as far as each said who it is: nothing of it is proven.
    pub edge: Edge<'a>,
    /// The address of the other end.
    pub peer: SocketAddr,
    /// When.
    pub at: Wall,
    /// What kind of failure.
    pub code: Code,
    /// It in words, with the identities as far as they are known.
    pub why: &'a str,
}

/// Connections that wait and cannot be taken.
#[derive(Clone, Copy, Debug)]
pub struct Accept<'a> {
    /// Its name.
    pub id: CallId,
    /// Who speaks: the one who calls, or the one who is called.
    pub reporter: Reporter,
    /// Where they wait.
    pub listener: SocketAddr,
    /// When.
    pub at: Wall,
    /// What kind of failure.
    pub code: Code,
    /// It in words.
    pub why: &'a str,
}

/// As much of a text from outside as is kept, and whether that is not all of it.
pub(crate) fn cut(text: &str) -> (&str, bool) {
    let kept = &text[..text.floor_char_boundary(LONGEST_TEXT)];
    (kept, kept.len() < text.len())
}

/// Whether a text that was kept of one from outside may have been cut.
pub fn is_cut(kept: &str) -> bool {
    kept.len() >= LONGEST_TEXT && kept.ends_with(CUT)
}

/// What stands behind a text that was cut.
pub(crate) const CUT: &str = "...";

/// In bytes.
const LONGEST_TEXT: usize = 1024;
