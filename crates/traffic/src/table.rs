//! A view, made ready to decide by: names resolved, rules gathered, indexes built. Compiled once,
//! shared by all workers, never changed.

use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};

use leno_model::view::{PortRef, Protocol, Tuning, View, Workload, WorkloadId};
use leno_model::{Dice, Namespace, Network, ServiceName};

use crate::destination::{Destination, Scope};
use crate::policy::{Admitted, AdmittedStream, Denied, Permit, Policy};
use crate::refusal::Refusal;
use crate::route::{ForwardStream, Routed};
use crate::story::Story;

/// Everything a proxy decides by.
#[derive(Debug)]
pub struct Table {
    view: Arc<View>,
}

impl Table {
    /// Makes `view`, which holds what `scope` says, ready.
    pub fn new(view: Arc<View>, _scope: Scope) -> Self {
        Self { view }
    }

    /// Makes the next view ready. Retry budgets live on, and what did not change is not compiled again.
    pub fn next(&self, view: Arc<View>, _scope: Scope) -> Self {
        Self { view }
    }

    /// The view it was made of.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// One port of a service that the view holds.
    pub fn port(&self, _name: &PortRef) -> Option<&Port> {
        unimplemented!("the door comes first")
    }

    /// What `address` means to whom calls it from `network`.
    pub fn destination(&self, _network: &Network, _address: SocketAddr) -> Destination<'_> {
        unimplemented!("the door comes first")
    }

    /// The service that `host` names for a caller in `from`: `cart`, `cart.shop`, `cart.shop.svc`
    /// or `cart.shop.svc.cluster.local`. Whether it exists is not asked.
    pub fn service_named(_host: &str, _from: &Namespace) -> Option<ServiceName> {
        unimplemented!("the door comes first")
    }

    /// The workload of this proxy that has `address`.
    pub fn workload_at(&self, _network: &Network, _address: IpAddr) -> Option<&Workload> {
        unimplemented!("the door comes first")
    }

    /// What stands before `port` of a workload of this proxy; `None` if it is not one.
    pub fn inbound(&self, _workload: &WorkloadId, _port: u16) -> Option<Policy<'_>> {
        unimplemented!("the door comes first")
    }

    /// What stands before the calls that the workloads of this proxy make.
    pub fn outbound(&self) -> Policy<'_> {
        unimplemented!("the door comes first")
    }

    /// Whether a permission that an earlier table gave would be given again.
    pub fn still_permits(&self, _permit: &Permit) -> Result<(), Denied> {
        unimplemented!("the door comes first")
    }

    /// Says where a request to `port` goes.
    pub fn route<'a>(
        &'a self,
        _admitted: Admitted<'a>,
        _port: &'a Port,
        _dice: &mut Dice,
        _story: Option<&mut Story>,
    ) -> Result<Routed<'a>, Refusal> {
        unimplemented!("the door comes first")
    }

    /// Says where a stream of bytes to `port` goes: to the service's own endpoints.
    pub fn route_stream<'a>(
        &'a self,
        _admitted: AdmittedStream<'a>,
        _port: &'a Port,
        _story: Option<&mut Story>,
    ) -> ForwardStream<'a> {
        unimplemented!("the door comes first")
    }
}

/// One port of a service, ready to be called.
#[derive(PartialEq, Eq, Debug)]
pub struct Port {
    name: PortRef,
    protocol: Protocol,
    tuning: Arc<Tuning>,
}

impl Port {
    /// Which one.
    pub fn name(&self) -> &PortRef {
        &self.name
    }

    /// What callers speak on it.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// How its endpoints are picked, tried and given up.
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }
}
