//! What a call meets of a configuration whatever it asks: found once for all calls of one caller to one
//! port.

use std::sync::Arc;

use leno_model::SpiffeId;
use leno_model::flow::Side;
use leno_model::view::{PortRef, Protocol, Routes};
use leno_traffic::Port;

use crate::call::Call;
use crate::ground::{Ground, Receiver};

/// Who calls, and what is called.
pub(crate) struct Met<'g> {
    /// Who it is, if that was proven.
    pub(crate) caller: Option<SpiffeId>,
    pub(crate) called: Called<'g>,
    /// The routes of the port that stand for this caller.
    pub(crate) routes: Option<&'g Arc<Routes>>,
}

/// What is called.
pub(crate) enum Called<'g> {
    /// It was counted without telling who called whom.
    Folded,
    /// Nobody in the mesh.
    Outside,
    /// A service, on a port that nobody knows.
    Somewhere,
    /// A port that the service does not have.
    NoPort(PortRef),
    /// A port of a service.
    Port(PortRef, &'g Port),
    /// Workloads, as only their own proxies tell.
    Workloads(Vec<Receiver<'g>>),
}

impl<'g> Ground<'g> {
    /// What all calls meet that differ from `call` only in what they ask.
    pub(crate) fn meet(&'g self, call: &Call) -> Met<'g> {
        let caller = call.caller(&self.mesh.settings.trust_domain);
        let called = self.called(call);
        let routes = match &called {
            Called::Port(port, _) => {
                let service = self.mesh.services.get(&port.service);
                let named = service.and_then(|service| service.ports.get(&port.port));
                named.and_then(|port| match &caller {
                    Some(caller) => port.routes_for(&caller.namespace),
                    None => port.producer.as_ref(),
                })
            }
            _ => None,
        };
        Met {
            caller,
            called,
            routes,
        }
    }

    fn called(&'g self, call: &Call) -> Called<'g> {
        if call.is_folded() {
            return Called::Folded;
        }
        if call.side == Side::Destination {
            return Called::Workloads(self.of_identity(&call.to, call.port));
        }
        let Some(service) = call.service() else {
            return Called::Outside;
        };
        let Some(known) = self.mesh.services.get(&service) else {
            return Called::Outside;
        };
        let port = match call.port {
            0 => {
                let fits = |protocol: Protocol| protocol.is_http() == call.asked.is_some();
                let mut ports = known.ports.iter().filter(|(_, port)| fits(port.protocol));
                match (ports.next(), ports.next()) {
                    (Some((only, _)), None) => *only,
                    _ => return Called::Somewhere,
                }
            }
            port => port,
        };
        let port = PortRef { service, port };
        match self.table.port(&port) {
            Some(to) => Called::Port(port, to),
            None => Called::NoPort(port),
        }
    }
}
