//! What is asked, whoever is asked and how.

use core::net::SocketAddr;
use core::time::Duration;

use leno_model::SpiffeId;

/// A request, as the application would get it.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The name of the call.
    pub id: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its path with the query as it was sent, or what stands in its place: `*`, or of `CONNECT` the host and
    /// the port.
    pub target: &'a str,
    /// The host that it asks for, with a port if that was said.
    pub host: &'a str,
    /// `HTTP/1.1` or `HTTP/2`.
    pub protocol: &'a str,
    /// Its headers, by names in lower case.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// How long its body is, if that is said.
    pub size: Option<u64>,
    /// What is told of its body, if something is to be.
    pub body: Option<Body<'a>>,
    /// Who makes it.
    pub source: Party<'a>,
    /// Who is to get it.
    pub destination: Party<'a>,
    /// When it came, since the epoch.
    pub at: Duration,
}

/// The beginning of a body.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whether that is all of it.
    pub is_whole: bool,
}

/// One end of a call.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// Where it is.
    pub address: SocketAddr,
    /// Who it is, if that is proven.
    pub identity: Option<&'a SpiffeId>,
}

impl Question<'_> {
    /// The header that says whether not all of the body is told.
    pub const PARTIAL_BODY: &'static str = "x-envoy-auth-partial-body";

    /// The value of that header, if something of the body is told.
    pub(crate) fn partial_body(&self) -> Option<&'static str> {
        let body = self.body?;
        Some(if body.is_whole { "false" } else { "true" })
    }
}
