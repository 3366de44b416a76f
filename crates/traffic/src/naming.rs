//! What a host name means to a caller of the mesh: for its questions about names, and for requests
//! that say themselves where they go.

use alloc::{boxed::Box, collections::BTreeSet, format, string::String, vec::Vec};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use leno_model::view::{PortRef, Service, Unknown, WorkloadId};
use leno_model::{HostName, Namespace, Network, ServiceName, Subscription};
use leno_protocol::{Form, RequestHead, Scheme};

use crate::outside::{Host, Imagined};
use crate::refusal::Refusal;
use crate::table::Table;

/// The domain of all services; what is not found below it does not exist.
const CLUSTER_DOMAIN: &str = "cluster.local";

/// The domain of this machine.
const LOCALHOST: &str = "localhost";

/// What a host name means.
#[derive(Clone, Debug)]
pub enum Named<'t> {
    /// A service.
    Service(&'t Service),
    /// The caller's own machine.
    Loopback,
    /// It would be ours, and does not exist.
    Nothing,
    /// Perhaps a service that the view was never asked to hold: ask for this, and look again.
    Needs(Subscription),
    /// Others know.
    OfOthers,
}

/// How requests say where they go, on a listener that knows it neither by capture nor by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// As a client of a proxy says it: by an absolute target (`http://cart:8080/items`), or by
    /// CONNECT.
    Target,
    /// By the host: `cart.localhost` is the service `cart` of the workload's own namespace,
    /// `cart.shop.localhost` that of `shop`, at its port 80 or else its first that speaks HTTP;
    /// `8081.cart.localhost` names the port.
    Published,
}

/// Where a request wants to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// To a service.
    Port(PortRef),
    /// To an address, as if it had been captured on its way there.
    Address(SocketAddr),
    /// To a name that only a resolver knows, at this port.
    Name(Box<str>, u16),
    /// It is not known yet: ask for this, and look again.
    Needs(Subscription),
}

/// Why a request does not say where it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unnamed {
    /// It is for a server, and came to a proxy.
    ForServer,
    /// It wants the proxy to speak TLS for it.
    ForTls,
    /// It is for a proxy, and came to a server.
    ForProxy,
    /// Its host is not a published name.
    NotPublished,
    /// The service has no port that speaks HTTP.
    NoHttpPort(ServiceName),
}

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForServer => f.write_str(
                "this is a proxy, and the request does not name its destination as one asks a \
                 proxy: http://HOST:PORT/",
            ),
            Self::ForTls => f.write_str(
                "this proxy speaks no TLS for its clients, which ask for https by CONNECT",
            ),
            Self::ForProxy => f.write_str("this is not a proxy that takes CONNECT"),
            Self::NotPublished => f.write_str("the host is not SERVICE.localhost"),
            Self::NoHttpPort(service) => write!(f, "{service} has no port that speaks HTTP"),
        }
    }
}

impl Table {
    /// What `host` means to a caller in `from`: a service, as [`Self::service_named`] reads it, or
    /// this machine.
    pub fn named(&self, host: &str, from: &Namespace) -> Named<'_> {
        //= RFC 6761 section 6.3: "Name resolution APIs and libraries SHOULD recognize localhost
        //= names as special and SHOULD always return the IP loopback address for address queries"
        if below(host, LOCALHOST).is_some() {
            return Named::Loopback;
        }
        let name = Self::service_named(host, from);
        if let Some(service) = name
            .as_ref()
            .and_then(|name| self.view().services.get(name))
        {
            return Named::Service(service);
        }
        match name.map(Subscription::Service) {
            Some(question) if !self.scope().holds(&question) => Named::Needs(question),
            Some(_) | None if is_of_cluster(host) => Named::Nothing,
            Some(_) | None => Named::OfOthers,
        }
    }

    /// The addresses in `network` that mean `service`: its own, or those of its endpoints if it has
    /// none.
    pub fn addresses_of(&self, service: &Service, network: &Network) -> Vec<IpAddr> {
        let own = service.addresses.iter();
        let own = own.filter(|(of, _)| of == network);
        let own = own.map(|(_, ip)| *ip).collect::<Vec<_>>();
        if !own.is_empty() {
            return own;
        }
        let ports = self.ports().iter();
        let ports = ports.filter(|port| port.name().service == service.name);
        let endpoints = ports.flat_map(|port| port.slices()).flat_map(|slice| {
            let here = slice.endpoints().iter();
            here.filter(|endpoint| endpoint.network == *network)
        });
        let all = endpoints.map(|endpoint| endpoint.address.ip());
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Where a request of `caller` says that it goes. Who names a service means the service, with its
    /// routes, also if it has no address of its own.
    pub fn wanted(
        &self,
        head: &RequestHead<'_>,
        naming: Naming,
        caller: &WorkloadId,
    ) -> Result<Wanted, Refusal> {
        match naming {
            Naming::Target => self.targeted(head, caller),
            Naming::Published => self.published(head, &caller.namespace),
        }
    }

    fn targeted(&self, head: &RequestHead<'_>, caller: &WorkloadId) -> Result<Wanted, Refusal> {
        let default_port = match head.form {
            Form::Absolute(Scheme::Http) => Scheme::Http.default_port(),
            Form::Absolute(Scheme::Https) => return Err(Refusal::Unnamed(Unnamed::ForTls)),
            // It names its port always.
            Form::Authority => 0,
            Form::Origin | Form::Asterisk => return Err(Refusal::Unnamed(Unnamed::ForServer)),
        };
        let host = head.request.host;
        let port = head.request.port.unwrap_or(default_port);
        if let Some(ip) = address(host) {
            return Ok(Wanted::Address(SocketAddr::new(ip, port)));
        }
        match self.named(host, &caller.namespace) {
            Named::Service(service) => Ok(Wanted::Port(PortRef {
                service: service.name.clone(),
                port,
            })),
            Named::Loopback => Ok(Wanted::Address((Ipv4Addr::LOCALHOST, port).into())),
            Named::Nothing => Err(Refusal::UnknownName {
                name: host.into(),
                origin: None,
            }),
            Named::Needs(question) => Ok(Wanted::Needs(question)),
            // Where rules speak of its calls, they are asked again once it is known where this one goes.
            Named::OfOthers if self.rules_calls_of(caller) => {
                self.may_be_let_out(caller, host, port)?;
                Ok(Wanted::Name(host.into(), port))
            }
            Named::OfOthers => match self.view().settings.unknown_destinations {
                Unknown::Pass => Ok(Wanted::Name(host.into(), port)),
                Unknown::Refuse => Err(Refusal::UnknownName {
                    name: host.into(),
                    origin: self.view().settings.origin_of_unknown().cloned(),
                }),
            },
        }
    }

    /// Whether some address of `host` may be called. Of any other name not even a question leaves: it would
    /// carry whatever the name says.
    fn may_be_let_out(&self, caller: &WorkloadId, host: &str, port: u16) -> Result<(), Refusal> {
        let name = HostName::new(host);
        let imagined = match &name {
            Some(name) => self.outside_named(caller, name, port),
            None => self.outside_somewhere(caller, &Host::default(), port),
        };
        let Some(Imagined::Stays(not)) = imagined else {
            return Ok(());
        };
        Err(match name {
            Some(_) => Refusal::from(not),
            None => Refusal::UnknownName {
                name: host.into(),
                origin: not.origin().cloned(),
            },
        })
    }

    fn rules_calls_of(&self, caller: &WorkloadId) -> bool {
        let workload = self.view().workloads.get(caller);
        workload.is_some_and(|workload| !workload.outbound.is_unsaid())
    }

    fn published(&self, head: &RequestHead<'_>, from: &Namespace) -> Result<Wanted, Refusal> {
        if head.form == Form::Authority {
            return Err(Refusal::Unnamed(Unnamed::ForProxy));
        }
        let not_published = || Refusal::Unnamed(Unnamed::NotPublished);
        let host = head.request.host;
        let name = below(host, LOCALHOST).ok_or_else(not_published)?;
        let numbered = name.split_once('.').and_then(|(port, name)| {
            let port = port.parse().ok()?;
            Some((Some(port), name))
        });
        let (port, name) = numbered.unwrap_or((None, name));
        let name = Self::service_named(name, from).ok_or_else(not_published)?;
        let Some(service) = self.view().services.get(&name) else {
            let question = Subscription::Service(name);
            if self.scope().holds(&question) {
                return Err(Refusal::UnknownName {
                    name: host.into(),
                    origin: None,
                });
            }
            return Ok(Wanted::Needs(question));
        };
        let port = port.or_else(|| published_port(service));
        let port = port.ok_or_else(|| Refusal::Unnamed(Unnamed::NoHttpPort(name.clone())))?;
        Ok(Wanted::Port(PortRef {
            service: name,
            port,
        }))
    }
}

/// The port of a service that is meant where none is named: 80, or else the first that speaks HTTP.
fn published_port(service: &Service) -> Option<u16> {
    let mut speaking = service.ports.iter();
    let default = Some(80).filter(|port| speaks_http(service, *port));
    default.or_else(|| speaking.find_map(|(port, _)| speaks_http(service, *port).then_some(*port)))
}

fn speaks_http(service: &Service, port: u16) -> bool {
    let port = service.ports.get(&port);
    port.is_some_and(|port| port.protocol.is_http())
}

/// The host by which callers in `from` reach a port of `service` by [`Naming::Published`]; `None` if
/// it speaks no HTTP there.
pub fn published_host(service: &Service, port: u16, from: &Namespace) -> Option<String> {
    if !speaks_http(service, port) {
        return None;
    }
    let ServiceName { namespace, name } = &service.name;
    let host = match namespace == from {
        true => format!("{name}.{LOCALHOST}"),
        false => format!("{name}.{namespace}.{LOCALHOST}"),
    };
    // A name that is a number would be taken for a port.
    let is_clear = published_port(service) == Some(port) && name.as_str().parse::<u16>().is_err();
    Some(match is_clear {
        true => host,
        false => format!("{port}.{host}"),
    })
}

/// Whether `host` is a service's if it is anything.
pub fn is_of_cluster(host: &str) -> bool {
    below(host, CLUSTER_DOMAIN).is_some()
}

/// What stands before `domain` in `host`, without its dot; empty for the domain itself.
fn below<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    let start = host.len().checked_sub(domain.len())?;
    let (rest, end) = host.split_at_checked(start)?;
    if !end.eq_ignore_ascii_case(domain) {
        return None;
    }
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_suffix('.')
}

/// The address that a host is. One that means "no address" is this machine's own, as the kernel
/// takes it.
fn address(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let ip: IpAddr = bare.unwrap_or(host).parse().ok()?;
    Some(match ip.to_canonical() {
        ip if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    })
}
