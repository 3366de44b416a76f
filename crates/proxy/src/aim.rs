//! Where a connection wants to go, and over which hop: the same questions for requests and for
//! streams of bytes.

use std::net::SocketAddr;

use leno_model::view::{Endpoint, PortRef, Protocol, Proxied, Workload, WorkloadId};
use leno_model::{Namespace, Network, ServiceName, SpiffeId, TrustDomain};
use leno_telemetry::{Party, Security};
use leno_traffic::{
    Channel, Denied, Destination, Direct, Host, Leave, NoTunnel, Outside, Policy, Port, Refusal,
    Table, Unnamed, WhyPlain,
};

use crate::incoming::{Incoming, Toward, Way};
use crate::pool::{TargetRef, Told, TunnelRef};
use crate::worker::Worker;

/// Where a connection wants to go, as `table` knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim<'t> {
    /// To a workload of ours.
    Application(SocketAddr),
    /// To a service: its routes and endpoints decide.
    Port(&'t Port),
    /// To one endpoint, named by its own address.
    Direct(Direct<'t>),
    /// To somebody outside the mesh, as it was, if the caller is let out.
    Outside(Outside<'t>),
}

/// One hop: to whom, and what is proven on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop<'a> {
    /// To whom.
    pub(crate) target: TargetRef<'a>,
    /// What is proven.
    pub(crate) security: Security,
}

impl Incoming {
    /// What stands before its calls.
    pub(crate) fn policy<'t>(&self, table: &'t Table) -> Result<Policy<'t>, Refusal> {
        match &self.way {
            Way::Outbound { .. } => Ok(table.outbound()),
            Way::Inbound {
                workload,
                port,
                application,
            } => table
                .inbound(workload, *port)
                .ok_or(Refusal::UnknownDestination {
                    address: *application,
                    origin: None,
                }),
        }
    }

    /// Where it wants to go.
    pub(crate) fn aim<'t>(&self, worker: &Worker, table: &'t Table) -> Result<Aim<'t>, Refusal> {
        match &self.way {
            Way::Inbound { application, .. } => Ok(Aim::Application(*application)),
            Way::Outbound { to, .. } => match to {
                // What it names is known of each of its requests.
                Toward::Named(..) => Err(Refusal::Unnamed(Unnamed::ForServer)),
                Toward::Nowhere(refusal) => Err(Refusal::clone(refusal)),
                Toward::Port(port) => table
                    .port(port)
                    .map(Aim::Port)
                    .ok_or_else(|| not_there(table, port)),
                Toward::Address(address) => match behind_loopback(table, *address) {
                    Some(port) => Ok(Aim::Port(port)),
                    None => aim_at(table, &worker.network, self.way.workload(), *address),
                },
            },
        }
    }

    /// What is spoken, as it was declared.
    pub(crate) fn protocol(&self, worker: &Worker, table: &Table) -> Protocol {
        if let Way::Outbound {
            to: Toward::Named(..),
            ..
        } = self.way
        {
            return Protocol::Http;
        }
        match (&self.way, self.aim(worker, table)) {
            (Way::Inbound { port, .. }, _) => {
                let port = self
                    .workload(table)
                    .and_then(|workload| workload.ports.get(port));
                port.map_or(Protocol::Detect, |port| port.protocol)
            }
            (Way::Outbound { .. }, Ok(Aim::Port(port))) => port.protocol(),
            (Way::Outbound { .. }, Ok(Aim::Direct(direct))) => direct.of.protocol(),
            (Way::Outbound { .. }, Ok(Aim::Application(_) | Aim::Outside(_)) | Err(_)) => {
                Protocol::Tcp
            }
        }
    }

    /// The workload of ours that calls or is called.
    pub(crate) fn workload<'t>(&self, table: &'t Table) -> Option<&'t Workload> {
        let workload = table.view().workloads.get(self.way.workload());
        workload.map(|workload| &**workload)
    }

    /// What is said of who connects to the port of ours that is called.
    fn proxied<'t>(&self, table: &'t Table) -> Option<&'t Proxied> {
        let Way::Inbound { port, .. } = &self.way else {
            return None;
        };
        let port = self.workload(table)?.ports.get(port)?;
        Some(&port.proxied)
    }

    /// Whether its other end is one that says first for whom it connects.
    pub(crate) fn says_for_whom(&self, table: &Table) -> bool {
        let (ip, proxied) = (self.from.ip(), self.proxied(table));
        proxied.is_some_and(|proxied| proxied.from.iter().any(|block| block.contains(ip)))
    }

    /// The hop to `endpoint`, which listens at `address`. Where its proxy takes tunnels there is no
    /// other way to it, also for a workload that has nothing to prove itself with. Where it has none,
    /// whoever declares it does not thereby open what rules about outbound calls deny.
    pub(crate) fn hop<'a>(
        &'a self,
        table: &'a Table,
        endpoint: &'a Endpoint,
        address: SocketAddr,
    ) -> Result<Hop<'a>, Refusal> {
        let own = self.workload(table).map(|workload| &workload.identity);
        match (endpoint.tunnel, own) {
            (Some(tunnel), Some(own)) => Ok(Hop {
                target: TargetRef::tunnelled(
                    TunnelRef {
                        own,
                        expected: &endpoint.identities,
                        address: tunnel,
                        netns: self.netns.as_ref(),
                    },
                    address,
                ),
                security: Security::Mtls,
            }),
            (Some(proxy), None) => Err(Refusal::TunnelFailed {
                proxy,
                why: NoTunnel::NothingToShow,
            }),
            (None, _) => self.hop_unproven(table, address),
        }
    }

    /// The hop in plain to an endpoint of the mesh at `address`, which has no proxy.
    pub(crate) fn hop_unproven(
        &self,
        table: &Table,
        address: SocketAddr,
    ) -> Result<Hop<'_>, Refusal> {
        table.lets_call_plain(self.way.workload(), address)?;
        Ok(self.plain_hop(address, WhyPlain::EndpointNotInMesh))
    }

    /// The hop to `address` in plain, for this reason.
    pub(crate) fn plain_hop(&self, address: SocketAddr, why: WhyPlain) -> Hop<'_> {
        Hop {
            target: TargetRef::plain(self.way.workload(), self.netns.as_ref(), address),
            security: Security::Plain(why.as_str()),
        }
    }

    /// The hop out of the mesh, by this leave.
    pub(crate) fn hop_out(&self, leave: &Leave<'_>) -> Hop<'_> {
        self.plain_hop(leave.address(), WhyPlain::DestinationUnknown)
    }

    /// The hop to our own application. What is proven is what the caller proved to us.
    pub(crate) fn last_hop(&self, table: &Table, application: SocketAddr) -> Hop<'_> {
        let version = self.proxied(table).and_then(|proxied| proxied.send);
        let source = self.from;
        let told = version.map(|version| Told { version, source });
        Hop {
            target: TargetRef::application(self.netns.as_ref(), application, told),
            security: self.proven(),
        }
    }

    /// What the caller proved to this proxy; nothing is needed of a workload of its own.
    pub(crate) fn proven(&self) -> Security {
        match &self.peer.channel {
            Channel::Mtls(_) => Security::Mtls,
            Channel::Plain(why) => Security::Plain(why.as_str()),
            Channel::Local(_) => Security::None,
        }
    }

    /// The namespace of this mesh that the caller acts in, if it proved one.
    pub(crate) fn namespace(&self, table: &Table) -> Option<&Namespace> {
        match &self.peer.channel {
            Channel::Mtls(caller) => {
                let id = caller.id();
                (id.trust_domain == *own_domain(table)).then_some(&id.namespace)
            }
            Channel::Local(workload) => Some(&workload.namespace),
            Channel::Plain(_) => None,
        }
    }

    /// Who calls, as counters name it.
    pub(crate) fn source<'a>(&'a self, table: &'a Table) -> Party<'a> {
        match (&self.peer.channel, self.workload(table)) {
            (Channel::Mtls(caller), _) => party(caller.id(), own_domain(table)),
            (Channel::Local(_), Some(workload)) => party(&workload.identity, own_domain(table)),
            (Channel::Local(_), None) | (Channel::Plain(_), _) => Party::Unknown,
        }
    }

    /// What is called that is not known, as the listener or the request names it.
    pub(crate) fn named(&self, host: &str) -> String {
        match &self.way {
            Way::Outbound {
                to: Toward::Port(port),
                ..
            } => port.service.to_string(),
            Way::Outbound { .. } | Way::Inbound { .. } if host.is_empty() => {
                Party::Unknown.to_string()
            }
            Way::Outbound { .. } | Way::Inbound { .. } => host.to_owned(),
        }
    }

    /// What is called, as counters name it: by where it goes, or why it goes nowhere.
    pub(crate) fn destination<'a>(
        &self,
        table: &'a Table,
        aim: &Result<Aim<'a>, Refusal>,
    ) -> Party<'a> {
        match aim {
            Ok(Aim::Application(_)) => {
                let workload = self.workload(table);
                workload.map_or(Party::Unknown, |workload| {
                    party(&workload.identity, own_domain(table))
                })
            }
            Ok(Aim::Port(port)) => service(&port.name().service),
            Ok(Aim::Direct(direct)) => service(&direct.of.name().service),
            // By which name it is called turns out when it is let out.
            Ok(Aim::Outside(_)) => Party::Unknown,
            Err(Refusal::NoSuchPort { service: name, .. }) => {
                let known = table.view().services.get_key_value(name);
                known.map_or(Party::Unknown, |(name, _)| service(name))
            }
            Err(_) => Party::Unknown,
        }
    }
}

/// The service whose workload owns the port of a loopback address. Captured is only what no listener
/// of the caller itself answers: there `localhost:8081` means the workload that has that port.
fn behind_loopback(table: &Table, address: SocketAddr) -> Option<&Port> {
    if !address.ip().to_canonical().is_loopback() {
        return None;
    }
    let listens = |port: &&Port| {
        let mut endpoints = port.slices().iter().flat_map(|slice| slice.endpoints());
        endpoints.any(|endpoint| endpoint.address.port() == address.port())
    };
    let named = |port: &&Port| port.name().port == address.port();
    let ports = table.ports();
    ports.iter().find(listens).or(ports.iter().find(named))
}

fn aim_at<'t>(
    table: &'t Table,
    network: &Network,
    caller: &WorkloadId,
    address: SocketAddr,
) -> Result<Aim<'t>, Refusal> {
    match table.destination(&caller.namespace, network, address) {
        Destination::Service(port) => Ok(Aim::Port(port)),
        Destination::Endpoint(direct) => Ok(Aim::Direct(direct)),
        Destination::Unknown(_) => {
            let gone = || Refusal::Denied(Denied::TargetGone(caller.clone()));
            let outside = table.outside(caller, address).ok_or_else(gone)?;
            if !outside.hangs_on_name() {
                outside.judge(&Host::default())?;
            }
            Ok(Aim::Outside(outside))
        }
        // Nothing is known of how it may be called: no service names it.
        Destination::Own(_) => Err(Refusal::Unreachable(address)),
        Destination::NoSuchPort(service) => Err(Refusal::NoSuchPort {
            service: service.name.clone(),
            port: address.port(),
        }),
        Destination::Needs(question) => Err(Refusal::NotKnownYet(question)),
    }
}

/// Why there is no such port: its service has none, or nobody could be asked about it.
fn not_there(table: &Table, port: &PortRef) -> Refusal {
    match table.service(&port.service, port.port) {
        Destination::Needs(question) => Refusal::NotKnownYet(question),
        _ => Refusal::NoSuchPort {
            service: port.service.clone(),
            port: port.port,
        },
    }
}

/// An identity, as counters name it in a mesh of the trust domain `own`.
pub(crate) fn party<'a>(id: &'a SpiffeId, own: &TrustDomain) -> Party<'a> {
    let (namespace, name) = (id.namespace.as_str(), id.service_account.as_str());
    if id.trust_domain == *own {
        return Party::Known { namespace, name };
    }
    Party::Peer {
        trust_domain: id.trust_domain.as_str(),
        namespace,
        name,
    }
}

fn own_domain(table: &Table) -> &TrustDomain {
    &table.view().settings.trust_domain
}

fn service(name: &ServiceName) -> Party<'_> {
    Party::Known {
        namespace: name.namespace.as_str(),
        name: name.name.as_str(),
    }
}
