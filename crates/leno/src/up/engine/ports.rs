//! What workloads listen on: found, asked what is spoken there, published on this machine.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd as _;

use leno_host::{Event, Sockets, reach};
use leno_model::view::{PortRef, Protocol, WorkloadId};
use leno_proxy::{Door, Listener, Place as At};
use leno_traffic::published_host;

use super::{Happened, News, Published, Up};
use crate::up::explicit;
use crate::up::greet::greet;
use crate::up::news::State;

/// How many ports of a workload are found at most.
const MOST_FOUND: usize = 16;

impl Up {
    pub(super) fn handle_event(
        &mut self,
        id: &WorkloadId,
        run: u32,
        event: Event,
    ) -> anyhow::Result<()> {
        let Some(member) = self.current(id, run) else {
            return Ok(());
        };
        match event {
            Event::Started { pid } => member.pid = pid,
            Event::UdpRefused { datagrams } => {
                let is_first = member.udp_refused == 0;
                member.udp_refused = datagrams;
                if is_first {
                    self.tell_change(id);
                }
            }
            Event::Listening { addresses, .. } => return self.handle_listening(id, &addresses),
            Event::Exited(_) | Event::NotStarted { .. } => {}
        }
        Ok(())
    }

    pub(super) fn handle_listening(
        &mut self,
        id: &WorkloadId,
        addresses: &BTreeSet<SocketAddr>,
    ) -> anyhow::Result<()> {
        let Some(member) = self.members.get_mut(id) else {
            return Ok(());
        };
        member.listening.clone_from(addresses);
        self.reach_beside(id)?;
        let Some(member) = self.members.get_mut(id) else {
            return Ok(());
        };
        if member.declares_ports() {
            if !addresses.is_empty() {
                self.is_up(id);
            }
            return Ok(());
        }
        let held = member.found.len();
        let listens = |port: u16| addresses.iter().any(|address| address.port() == port);
        member.found.retain(|port, _| listens(*port));
        let is_less = member.found.len() < held;
        for address in addresses {
            let port = address.port();
            let is_known = member.found.contains_key(&port) || member.greeted.contains(&port);
            let is_too_much = member.found.len() + member.greeted.len() >= MOST_FOUND;
            let Some(supply) = member.supply.as_ref().filter(|_| address.is_ipv4()) else {
                continue;
            };
            if is_known || is_too_much {
                continue;
            }
            member.greeted.insert(port);
            let supply = Sockets::from(supply.as_fd().try_clone_to_owned()?);
            let to = match &member.doors {
                Some(_) => explicit::reach(*address),
                None => reach(*address, &member.layout),
            };
            let (id, run, happen) = (id.clone(), member.run, self.happen.clone());
            tokio::task::spawn_blocking(move || {
                let spoken = greet(&supply, to);
                // When nobody listens, all has ended.
                drop(happen.send(Happened::Greeted(id, run, port, spoken)));
            });
        }
        if is_less {
            self.update()?;
        }
        Ok(())
    }

    pub(super) fn handle_greeted(
        &mut self,
        id: &WorkloadId,
        run: u32,
        port: u16,
        spoken: Protocol,
    ) -> anyhow::Result<()> {
        let Some(member) = self.current(id, run) else {
            return Ok(());
        };
        member.greeted.remove(&port);
        member.found.insert(port, spoken);
        let is_late = matches!(member.state, State::Up(_));
        self.update()?;
        self.publish(id)?;
        if is_late {
            self.tell_change(id);
        }
        self.is_up(id);
        Ok(())
    }

    /// A workload that has not listened by now perhaps never will.
    pub(super) fn handle_waited(&mut self, id: &WorkloadId, run: u32) {
        let Some(member) = self.current(id, run) else {
            return;
        };
        if member.greeted.is_empty() {
            self.is_up(id);
        }
    }

    fn is_up(&mut self, id: &WorkloadId) {
        let now = self.clocks.now().mono;
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        if member.state == State::Starting {
            member.state = State::Up(now.since(member.began));
            self.tell_change(id);
        }
    }

    /// Tells how a member stands.
    pub(super) fn tell_change(&mut self, id: &WorkloadId) {
        if let Some(member) = self.members.get(id) {
            let row = self.row(id, member);
            (self.tell)(News::Changed(row));
        }
    }

    /// Publishes the ports by which a workload is called and that are not published yet.
    pub(super) fn publish(&mut self, id: &WorkloadId) -> anyhow::Result<()> {
        let (Some(member), Some(instance)) =
            (self.members.get(id), self.edition.mesh().instances.get(id))
        else {
            return Ok(());
        };
        let ports = instance.workload.ports.iter();
        let wanted = ports.filter_map(|(port, spoken)| {
            let service = self.service_port(id, *port)?;
            let key = (service, member.wanted_for(*port));
            (!self.published.contains_key(&key)).then_some((key, *port, spoken.protocol))
        });
        let is_beside = member.doors.is_some();
        for ((service, wanted), port, protocol) in wanted.collect::<Vec<_>>() {
            // Of one that is not captured, the port itself is the application's.
            let free = (!is_beside || wanted != port).then_some(wanted);
            let at = self.publish_port(&service, free)?;
            let published = Published {
                port,
                protocol,
                taken: at.taken,
                at: at.address,
                host: at.host,
            };
            self.published.insert((service, wanted), published);
        }
        Ok(self.open_learned()?)
    }

    /// Publishes a service port at this port of the loopback; where there is none, or another program
    /// has it, by its name at the port for names, or else at any port.
    fn publish_port(&self, service: &PortRef, wanted: Option<u16>) -> io::Result<Reached> {
        let bound = wanted.map(|wanted| TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)));
        let (socket, taken) = match bound {
            Some(Ok(socket)) => (socket, false),
            Some(Err(_)) | None => {
                let at = |published: &Published| Some(published.at.port()) == wanted;
                let is_ours =
                    wanted.is_none() || self.names_at == wanted || self.published.values().any(at);
                if let Some((host, port)) = self.name_of(service) {
                    return Ok(Reached {
                        address: (Ipv4Addr::LOCALHOST, port).into(),
                        host: Some(host),
                        taken: !is_ours,
                    });
                }
                (TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, !is_ours)
            }
        };
        let address = socket.local_addr()?;
        self.listen_for(socket, service.clone())?;
        Ok(Reached {
            address,
            host: None,
            taken,
        })
    }

    /// The host and port by which a service port is reached by its name.
    fn name_of(&self, port: &PortRef) -> Option<(String, u16)> {
        let service = self.edition.mesh().services.get(&port.service)?;
        let host = published_host(service, port.port, &self.host.namespace)?;
        Some((host, self.names_at?))
    }

    /// The service port by which a port of a workload is called: one of the workload's own name
    /// before others.
    pub(super) fn service_port(&self, workload: &WorkloadId, port: u16) -> Option<PortRef> {
        let mesh = self.edition.mesh();
        let leads = |answers: &[leno_compile::Answer]| {
            let mut answers = answers.iter();
            answers.any(|answer| answer.instance == *workload && answer.port == port)
        };
        let leading = mesh.answers.iter().filter(|(_, answers)| leads(answers));
        let of = mesh.instances.get(workload);
        let of = of.map(|instance| &instance.of);
        leading
            .map(|(name, _)| name.clone())
            .min_by_key(|name| Some(&name.service.name) != of)
    }

    /// Calls that arrive at `socket` are calls of this machine to `service`.
    fn listen_for(&self, socket: TcpListener, service: PortRef) -> io::Result<()> {
        self.proxy.listen(vec![Listener {
            place: At::Socket(socket),
            door: Door::Upstream(self.host.clone(), service),
        }])
    }
}

/// Where a service port is reached on this machine.
struct Reached {
    address: SocketAddr,
    /// The host by which it is told from others there, if it shares the address.
    host: Option<String>,
    /// Whether the port that was wanted for it is another program's.
    taken: bool,
}
