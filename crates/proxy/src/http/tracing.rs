//! Whether an exchange is traced, what is sent along, and what is told in the end.

use leno_model::CallId;
use leno_protocol::{Request, TraceContext};
use leno_telemetry::Reporter;
use leno_traffic::Channel;
use leno_traffic::tracing::{End, Traced, traced};

use crate::http::exchange::Exchange;

/// What was decided about an exchange.
#[derive(Clone, Copy)]
pub(super) struct Tracing(Traced);

impl Tracing {
    /// Before anything is decided.
    pub(super) const NOT: Self = Self(Traced::No);

    /// The header that is sent along; without it, what came is passed on.
    pub(super) fn header(&self) -> Option<[u8; 55]> {
        match &self.0 {
            Traced::Yes(place) => Some(place.context().encode()),
            Traced::IfItFails(_) | Traced::No => None,
        }
    }

    /// Where the exchange stands in a trace, if it is told there.
    pub(super) fn told(
        &self,
        request: &Request<'_>,
        has_failed: bool,
    ) -> Option<leno_telemetry::Traced> {
        let place = match &self.0 {
            Traced::Yes(place) => place,
            Traced::IfItFails(place) if has_failed => place,
            Traced::IfItFails(_) | Traced::No => return None,
        };
        Some(leno_telemetry::Traced {
            trace: place.trace,
            span: place.span,
            parent: place.parent,
            state: TraceContext::state_of(request).unwrap_or_default().into(),
        })
    }
}

impl Exchange<'_> {
    /// Decides it, once it is known which rule takes the request. Where nobody takes spans, no header
    /// is looked at.
    pub(super) fn trace(&mut self) {
        if !self.worker.takes_spans() {
            return;
        }
        let request = &self.head.request;
        let called = self.told.decision.called();
        let report = self.incoming.report(self.table, called, self.told.route);
        let told = matches!(self.incoming.peer.channel, Channel::Mtls(_))
            && request.header(CallId::HEADER).next().is_some();
        let end = match self.incoming.way.reporter() {
            Reporter::Destination if told => End::Second,
            Reporter::Source | Reporter::Destination => End::First,
        };
        let context = TraceContext::of(request);
        self.tracing = Tracing(traced(report.tracing(), end, self.id, context));
    }
}
