//! Why a call was not served: what failed, whose fault it is, and what the caller sees.

use alloc::boxed::Box;
use alloc::{format, string::String};
use core::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use leno_authorizer::Refused;
use leno_model::view::PortRef;
use leno_model::{Code, Fault, Origin, ServiceName, SpiffeId, Subscription};

use crate::deadline::Timed;
use crate::naming::Unnamed;
use crate::outside::{NotLetOut, WhyNotOut};
use crate::policy::Denied;

/// Why a call was not served. `Display` says it in one sentence without its full stop.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Access: the caller may not.
    #[error("{0}")]
    Denied(Denied),
    /// Access, later: a live stream's caller no longer may.
    #[error("the policy changed while the stream was open: {0}")]
    PermitWithdrawn(Denied),
    /// The readings of the path lead to different routes.
    #[error("the path can be read in two ways, and they lead to different routes")]
    AmbiguousPath,
    /// The destination is not in the mesh, and must be.
    #[error("{address} is not in the mesh, and the mesh lets no unknown destination pass")]
    UnknownDestination {
        /// What was called.
        address: SocketAddr,
        /// Who says that none passes.
        origin: Option<Origin>,
    },
    /// The request does not say where it goes.
    #[error("{0}")]
    Unnamed(Unnamed),
    /// The destination's name is no service's, and others may not be asked or do not have it.
    #[error("the name {name} is no service's, and none that the mesh lets pass")]
    UnknownName {
        /// What was called.
        name: Box<str>,
        /// Who says that none passes.
        origin: Option<Origin>,
    },
    /// The destination's name is not the mesh's, and whoever knows such names did not say.
    #[error("the name {0} could not be resolved")]
    NotResolved(Box<str>),
    /// The destination is the listener that the request came to.
    #[error("{0} is the proxy itself, and the call would go round in a circle")]
    Loop(SocketAddr),
    /// The service does not have the port that was called.
    #[error("{service} has no port {port}")]
    NoSuchPort {
        /// The service.
        service: ServiceName,
        /// What was called.
        port: u16,
    },
    /// The view does not hold it, and the control plane did not say.
    #[error("{} is not known yet, and the control plane did not answer", asked_about(.0))]
    NotKnownYet(Subscription),
    /// A browser asks whether a page of another site may call, and it may not.
    #[error("pages of {site} may not call: no site that the CORS filter allows is theirs")]
    OriginNotAllowed {
        /// The site, as the browser wrote it.
        site: String,
        /// The filter.
        origin: Origin,
    },
    /// Routes exist and none of them matches.
    #[error("no route of {0} matches the request")]
    NoRoute(PortRef),
    /// Routes of streams exist, and none of them takes the server that is asked for.
    #[error("no route of {port} takes {}", asked_for(.server_name.as_deref()))]
    NoStreamRoute {
        /// What was called.
        port: PortRef,
        /// The name of the server, if its routes ask for one and the client said one.
        server_name: Option<Box<str>>,
    },
    /// The client does not speak what is declared for the port.
    #[error("{0}")]
    NotSpoken(NotSpoken),
    /// A peer that is to say for whom it connects did not.
    #[error("{0} is to say for whom it connects, and did not: {1}")]
    NotProxied(SocketAddr, Box<str>),
    /// The rule that matches cannot be carried out.
    #[error("the rule that matches cannot be carried out: {code} {}", code.slug())]
    RouteNotUsable {
        /// What is wrong with it.
        code: Code,
        /// What of it is wrong.
        origin: Origin,
        /// The rule.
        rule: Origin,
    },
    /// The roll fell on a backend that is not one.
    #[error("the request fell to a backend that is not valid: {code} {}", code.slug())]
    BackendNotUsable {
        /// What is wrong with it.
        code: Code,
        /// The reference.
        origin: Option<Origin>,
        /// The rule.
        rule: Origin,
    },
    /// Nobody answers for the service.
    #[error("{0} has no endpoint")]
    NoEndpoint(PortRef),
    /// Somebody does, and none of them can be used.
    #[error("none of the {known} endpoints of {port} can be used")]
    NoEndpointUsable {
        /// Whose endpoints.
        port: PortRef,
        /// How many there are.
        known: usize,
    },
    /// The endpoint refused the connection.
    #[error("{0} refused the connection")]
    ConnectRefused(SocketAddr),
    /// The endpoint did not accept a connection in time.
    #[error("{endpoint} did not accept a connection within {limit:?}")]
    ConnectTimeout {
        /// Who was called.
        endpoint: SocketAddr,
        /// How long it had.
        limit: Duration,
    },
    /// The endpoint closed the connection before it answered.
    #[error("{0} closed the connection before it answered")]
    ResetBeforeResponse(SocketAddr),
    /// The endpoint ended a connection of HTTP/2 before it answered on it at all.
    #[error(
        "{0} closed the connection before it answered, as a server does that does not speak HTTP/2"
    )]
    NotHttp2(SocketAddr),
    /// The answer did not come in the time that all tries have.
    #[error("no answer came within {0:?}")]
    ResponseTimeout(Duration),
    /// The answer did not come in the time for which the caller waits.
    #[error("no answer came within {0:?}, for which the caller waits (grpc-timeout)")]
    CallerTimeout(Duration),
    /// The answer did not come in the time that one try has.
    #[error("no answer came within {0:?}, which is what one try has")]
    TryTimeout(Duration),
    /// The answer is not HTTP.
    #[error("{0} answered with something that is not HTTP")]
    MalformedResponse(SocketAddr),
    /// The request asks for another protocol, and the endpoint did not switch to it.
    #[error("{endpoint} {why}")]
    NotSwitched {
        /// Who was called.
        endpoint: SocketAddr,
        /// What was in the way.
        why: NoSwitch,
    },
    /// The proxy in front of the endpoint could not be reached or proven.
    #[error("the proxy at {proxy} {why}")]
    TunnelFailed {
        /// The proxy.
        proxy: SocketAddr,
        /// What was in the way.
        why: NoTunnel,
    },
    /// The proxy in front of the endpoint takes no call of a caller whose identity is revoked.
    #[error(
        "the proxy of {}/{} refused our certificate: the identity {}/{} is revoked",
        .0.peer.namespace, .0.peer.service_account, .0.own.namespace, .0.own.service_account
    )]
    IdentityRevoked(Box<RefusedIdentity>),
    /// The proxy in front of the endpoint opens no stream, for a reason of its own.
    #[error("the proxy at {proxy} refused the stream: {code} {}", code.slug())]
    StreamRefused {
        /// The proxy.
        proxy: SocketAddr,
        /// Its reason.
        code: Code,
    },
    /// The endpoint closed the connection in the middle of its answer.
    #[error("{0} closed the connection in the middle of its answer")]
    ResetDuringBody(SocketAddr),
    /// There is no way to the endpoint's network.
    #[error("there is no way to {0}")]
    Unreachable(SocketAddr),
    /// The proxy holds as many connections as it may.
    #[error("the proxy holds as many connections as it may")]
    TooManyConnections,
    /// A peer holds as many connections as one may.
    #[error("{0} holds as many connections as a single peer may")]
    TooManyOfPeer(IpAddr),
    /// The proxy holds as many bytes as it may.
    #[error("the proxy holds as many bytes as it may")]
    BuffersFull,
    /// A peer has had more streams of a connection reset than one may.
    #[error("{0} has had more streams reset than a connection may")]
    TooManyResets(IpAddr),
    /// The caller took nothing of its answer for so long.
    #[error("the caller took nothing of its answer for {0:?}")]
    CallerStalled(Duration),
    /// The endpoint took nothing of the request for so long.
    #[error("the endpoint took nothing of the request for {0:?}")]
    ServerStalled(Duration),
    /// The other end of a connection of HTTP/2 answered no PING for so long.
    #[error("{0} said nothing for {1:?}, and did not answer a PING")]
    PeerSilent(IpAddr, Duration),
    /// The proxy may open no more files.
    #[error("the proxy may open no more files")]
    NoFileLeft,
    /// The proxy is shutting down.
    #[error("the proxy is shutting down")]
    Draining,
    /// Too many requests wait for the control plane.
    #[error("too many requests wait for the same answer from the control plane")]
    TooManyWaiting,
}

/// What is spoken where something else is declared.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotSpoken {
    /// TLS, where requests are.
    #[error("HTTP is declared for the port, and the connection begins with TLS")]
    Http,
    /// Something else, where TLS is.
    #[error("TLS is declared for the port, and the connection begins with something else")]
    Tls,
    /// TLS of which the beginning cannot be understood.
    #[error("{0}")]
    Flawed(Box<str>),
    /// Nothing, and the end.
    #[error("the connection ended before it said which server it wants")]
    Ended,
    /// Nothing for so long.
    #[error("the connection did not say within {0:?} which server it wants")]
    Late(Duration),
}

/// What was in the way of another protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoSwitch {
    /// The endpoint speaks HTTP/2 and does not offer what asks for it there.
    #[error(
        "speaks HTTP/2 and takes no extended CONNECT (RFC 8441), which asks for another protocol there"
    )]
    NotOffered,
    /// It can only be asked for by GET in HTTP/2.
    #[error("speaks HTTP/2, where another protocol is asked for in the place of GET only")]
    Method,
    /// The endpoint answered as if nothing had been asked for.
    #[error("answered {0} and did not switch to the protocol that was asked for")]
    Stayed(u16),
    /// The endpoint switched to another one.
    #[error("switched to another protocol than the one that was asked for")]
    ToAnother,
    /// The endpoint did not show that it has read what it answers.
    #[error("switched to WebSocket without the Sec-WebSocket-Accept that proves it")]
    Unproven,
}

/// What was in the way of a tunnel.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoTunnel {
    /// Nobody took the connection.
    #[error("could not be reached: {0}")]
    NotReached(Box<str>),
    /// One of the two did not believe the other.
    #[error("could not be proven: {why} ({code} {})", code.slug())]
    NotProven {
        /// What kind of failure it was.
        code: Code,
        /// What it was.
        why: Box<str>,
    },
    /// The caller has no certificate to prove itself with.
    #[error("cannot be called: the caller has no certificate to show")]
    NothingToShow,
    /// It broke the connection off.
    #[error("broke the connection off")]
    BrokenOff,
    /// It opened no stream and did not say why.
    #[error("opened no stream")]
    NoStream,
}

/// What a stream asks for, as people name it.
fn asked_for(server_name: Option<&str>) -> String {
    match server_name {
        Some(name) => format!("the server name {name}"),
        None => String::from("a stream that names no server"),
    }
}

/// What a proxy asks its control plane about, as people name it.
fn asked_about(question: &Subscription) -> String {
    match question {
        Subscription::Service(name) => format!("Service {name}"),
        Subscription::Address(_, address) => format!("{address}"),
    }
}

/// Whose certificate was refused, and by whose proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedIdentity {
    /// Who called.
    pub own: SpiffeId,
    /// Who was called.
    pub peer: SpiffeId,
}

impl From<Box<NotLetOut>> for Refusal {
    fn from(not: Box<NotLetOut>) -> Self {
        match &not.why {
            WhyNotOut::Unknown(origin) => Self::UnknownDestination {
                address: not.address,
                origin: origin.clone(),
            },
            WhyNotOut::Denied(_)
            | WhyNotOut::NotUnderstood(_)
            | WhyNotOut::NoRule(_)
            | WhyNotOut::NotProven(_)
            | WhyNotOut::NotToldApart(_) => Self::Denied(Denied::from(not)),
        }
    }
}

impl Refusal {
    /// What kind of failure it is.
    pub fn code(&self) -> Code {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::PermitWithdrawn(_) => Code::R006,
            Self::AmbiguousPath => Code::R035,
            Self::UnknownDestination { .. } | Self::UnknownName { .. } => Code::R001,
            Self::Unnamed(_) => Code::R017,
            Self::Loop(_) => Code::R018,
            Self::NotResolved(_) => Code::R019,
            Self::NoSuchPort { .. } => Code::R016,
            Self::NotKnownYet(_) => Code::R015,
            Self::OriginNotAllowed { .. } => Code::R007,
            Self::NoRoute(_) | Self::NoStreamRoute { .. } => Code::R010,
            Self::NotSpoken(_) => Code::R046,
            Self::NotProxied(..) => Code::R047,
            Self::RouteNotUsable { .. } => Code::R011,
            Self::BackendNotUsable { .. } => Code::R012,
            Self::NoEndpoint(_) => Code::R013,
            Self::NoEndpointUsable { .. } => Code::R014,
            Self::ConnectRefused(_) => Code::R020,
            Self::ConnectTimeout { .. } => Code::R021,
            Self::ResetBeforeResponse(_) | Self::NotHttp2(_) => Code::R022,
            Self::ResponseTimeout(_) | Self::CallerTimeout(_) | Self::TryTimeout(_) => Code::R023,
            Self::MalformedResponse(_) => Code::R024,
            Self::NotSwitched { .. } => Code::R056,
            Self::TunnelFailed { .. } => Code::R025,
            Self::IdentityRevoked(_) => Code::T005,
            Self::StreamRefused { code, .. } => *code,
            Self::ResetDuringBody(_) => Code::R026,
            Self::Unreachable(_) => Code::R027,
            Self::TooManyConnections => Code::R040,
            Self::TooManyOfPeer(_) => Code::R050,
            Self::BuffersFull => Code::R051,
            Self::TooManyResets(_) => Code::R052,
            Self::CallerStalled(_) => Code::R053,
            Self::ServerStalled(_) => Code::R054,
            Self::PeerSilent(..) => Code::R055,
            Self::NoFileLeft => Code::H004,
            Self::Draining => Code::R041,
            Self::TooManyWaiting => Code::R043,
        }
    }

    /// The rule of a route that took it, where it is the rule that cannot carry it.
    pub fn rule(&self) -> Option<&Origin> {
        let (Self::RouteNotUsable { rule, .. } | Self::BackendNotUsable { rule, .. }) = self else {
            return None;
        };
        Some(rule)
    }

    /// Who wrote what it is refused by, where somebody did.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Denied(denied) | Self::PermitWithdrawn(denied) => denied.origin(),
            Self::RouteNotUsable { origin, .. } | Self::OriginNotAllowed { origin, .. } => {
                Some(origin)
            }
            Self::BackendNotUsable { origin, .. }
            | Self::UnknownDestination { origin, .. }
            | Self::UnknownName { origin, .. } => origin.as_ref(),
            Self::AmbiguousPath
            | Self::Unnamed(_)
            | Self::NotResolved(_)
            | Self::Loop(_)
            | Self::NoSuchPort { .. }
            | Self::NotKnownYet(_)
            | Self::NoRoute(_)
            | Self::NoStreamRoute { .. }
            | Self::NotSpoken(_)
            | Self::NotProxied(..)
            | Self::NoEndpoint(_)
            | Self::NoEndpointUsable { .. }
            | Self::ConnectRefused(_)
            | Self::ConnectTimeout { .. }
            | Self::ResetBeforeResponse(_)
            | Self::NotHttp2(_)
            | Self::ResponseTimeout(_)
            | Self::CallerTimeout(_)
            | Self::TryTimeout(_)
            | Self::MalformedResponse(_)
            | Self::NotSwitched { .. }
            | Self::TunnelFailed { .. }
            | Self::IdentityRevoked(_)
            | Self::StreamRefused { .. }
            | Self::ResetDuringBody(_)
            | Self::Unreachable(_)
            | Self::TooManyConnections
            | Self::TooManyOfPeer(_)
            | Self::BuffersFull
            | Self::TooManyResets(_)
            | Self::CallerStalled(_)
            | Self::ServerStalled(_)
            | Self::PeerSilent(..)
            | Self::NoFileLeft
            | Self::Draining
            | Self::TooManyWaiting => None,
        }
    }

    /// Whether it is the caller's own proxy that lets nothing out of the mesh.
    pub fn is_of_outside(&self) -> bool {
        matches!(
            self,
            Self::Denied(Denied::NotLetOut(_)) | Self::UnknownDestination { .. }
        )
    }

    /// Whether it may be let out of the mesh once it says for which host it is.
    pub fn hangs_on_host(&self) -> bool {
        let Self::Denied(Denied::NotLetOut(not)) = self else {
            return false;
        };
        matches!(not.why, WhyNotOut::NotToldApart(_))
    }

    /// Whether every other try would be refused just so.
    pub fn is_final(&self) -> bool {
        let is_told = matches!(self, Self::IdentityRevoked(_) | Self::StreamRefused { .. });
        is_told && matches!(self.fault(), Fault::Caller | Fault::Configuration)
    }

    /// What the client is told of how to prove itself, where a token would help.
    pub fn challenge(&self) -> Option<String> {
        let Self::Denied(denied) = self else {
            return None;
        };
        denied.challenge()
    }

    /// What an external authorizer wants the client to be told.
    pub fn said_by_authorizer(&self) -> Option<&Refused> {
        let Self::Denied(Denied::ByAuthorizer(dissent)) = self else {
            return None;
        };
        Some(&dissent.answer)
    }

    /// The time that passed, if it is that: what it was for, and how long it was.
    pub fn late(&self) -> Option<(Timed, Duration)> {
        let late = |of: Timed, limit: &Duration| Some((of, *limit));
        if let Self::ResponseTimeout(limit) = self {
            return late(Timed::Request, limit);
        }
        if let Self::TryTimeout(limit) = self {
            return late(Timed::Try, limit);
        }
        if let Self::ConnectTimeout { limit, .. } = self {
            return late(Timed::Connect, limit);
        }
        None
    }

    /// Whose move it is: by the code.
    pub fn fault(&self) -> Fault {
        self.code().fault()
    }

    /// The HTTP status that answers it. What RFC 9209 section 2.3 knows gets the status
    /// recommended there, so that refused, reset and late are told apart by status too.
    pub fn status(&self) -> u16 {
        match self {
            Self::AmbiguousPath | Self::NotSpoken(_) | Self::NotProxied(..) => 400,
            //= RFC 9110 section 15.5.20: "the request was directed at a server that is unable or
            //= unwilling to produce an authoritative response for the target URI"
            Self::Unnamed(Unnamed::NotPublished) => 421,
            Self::Unnamed(_) => 400,
            Self::Denied(denied) => denied.status(),
            //= HTTPCORSFilter allowOrigins: "Alternatively, the gateway responds with 403 status to the
            //= "preflight" request is denied, coupled with omitting the CORS headers."
            Self::OriginNotAllowed { .. } => 403,
            Self::PermitWithdrawn(_)
            | Self::UnknownDestination { .. }
            | Self::UnknownName { .. }
            | Self::IdentityRevoked(_) => 403,
            //= HTTPRoute matches: "When no rules matching a request have been successfully attached
            //= to the parent a request is coming from, a HTTP 404 status code MUST be returned."
            Self::NoRoute(_) | Self::NoStreamRoute { .. } => 404,
            //= HTTPRoute backendRefs: "When a HTTPBackendRef is invalid, 500 status codes MUST be
            //= returned for requests that would have otherwise been routed to an invalid backend."
            Self::RouteNotUsable { .. } | Self::BackendNotUsable { .. } => 500,
            Self::ConnectRefused(_)
            | Self::ResetBeforeResponse(_)
            | Self::NotHttp2(_)
            | Self::MalformedResponse(_)
            | Self::NotSwitched { .. }
            | Self::TunnelFailed { .. }
            | Self::ResetDuringBody(_)
            | Self::Unreachable(_)
            | Self::NotResolved(_)
            | Self::Loop(_)
            | Self::NoSuchPort { .. } => 502,
            Self::NotKnownYet(_)
            | Self::NoEndpoint(_)
            | Self::NoEndpointUsable { .. }
            | Self::TooManyConnections
            | Self::TooManyOfPeer(_)
            | Self::BuffersFull
            | Self::TooManyResets(_)
            | Self::NoFileLeft
            | Self::Draining
            | Self::TooManyWaiting => 503,
            Self::CallerStalled(_) => 408,
            Self::ConnectTimeout { .. }
            | Self::ServerStalled(_)
            | Self::PeerSilent(..)
            | Self::ResponseTimeout(_)
            | Self::CallerTimeout(_)
            | Self::TryTimeout(_) => 504,
            Self::StreamRefused { code, .. } => match code.fault() {
                Fault::Caller => 403,
                Fault::Service => 502,
                Fault::Configuration | Fault::Mesh => 503,
            },
        }
    }
}
