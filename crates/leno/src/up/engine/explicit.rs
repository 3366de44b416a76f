//! Workloads that are not captured: their doors, and the way to them.

use std::collections::BTreeSet;
use std::io;

use leno_model::ServiceName;
use leno_model::view::WorkloadId;
use leno_proxy::{Door, Inside, Listener, Place as At};
use leno_traffic::Naming;

use super::member::Starter;
use super::{News, Program, Up};
use crate::up::explicit::{Callee, Doors, own_port, pins_of};

impl Up {
    /// The doors of a workload that is not captured; `None` for one that is.
    pub(super) fn doors_of(&self, id: &WorkloadId, starter: &Starter) -> io::Result<Option<Doors>> {
        let (pins, own) = match (&self.explicit, starter) {
            (Some(pins), Starter::Us(program)) => {
                let programs = self.programs().into_iter();
                let all = programs.map(|program| program.id.name).collect::<Vec<_>>();
                (
                    pins_of(pins, &program.id.name, &all),
                    self.own_port(program)?,
                )
            }
            (_, Starter::Guest(guest)) => match &guest.explicit {
                Some(pins) => {
                    let only = [guest.of.name.clone()];
                    (pins_of(pins, &guest.of.name, &only), None)
                }
                None if self.explicit.is_some() => Default::default(),
                None => return Ok(None),
            },
            (None, Starter::Us(_)) => return Ok(None),
        };
        let callees = self.callees(starter.of());
        Doors::open(&id.namespace, &callees, &pins, own).map(Some)
    }

    /// The port that a workload declares first, and the one that it is to listen on: the port that is
    /// written for it, else one that nobody has.
    fn own_port(&self, program: &Program) -> io::Result<Option<(u16, u16)>> {
        let Some(declared) = program.port else {
            return Ok(None);
        };
        if let Some(written) = program.env.get("PORT").and_then(|port| port.parse().ok()) {
            return Ok(Some((declared, written)));
        }
        let doors = self.members.values();
        let doors = doors.filter_map(|member| member.doors.as_ref());
        let given = doors.filter_map(Doors::own_port).collect::<BTreeSet<_>>();
        Ok(Some((declared, own_port(declared, &given)?)))
    }

    /// What a workload may want to call: every port of every service that is not its own, and every
    /// workload of which no port is known yet.
    fn callees(&self, caller: &WorkloadId) -> Vec<Callee> {
        let services = &self.edition.mesh().services;
        let own = [caller, &self.host].map(service_of);
        let mut callees = Vec::new();
        for service in services.values() {
            if own.contains(&service.name) {
                continue;
            }
            for (port, told) in &service.ports {
                callees.push(Callee {
                    service: service.name.clone(),
                    port: Some((*port, told.protocol)),
                });
            }
        }
        for program in self.programs() {
            let service = service_of(&program.id);
            let is_known = callees.iter().any(|callee| callee.service == service);
            if !is_known && !program.declares_ports && !own.contains(&service) {
                callees.push(Callee {
                    service,
                    port: None,
                });
            }
        }
        callees
    }

    /// Opens the doors of a workload that is not captured.
    pub(super) fn open_doors(&mut self, id: &WorkloadId) -> io::Result<()> {
        let member = self.members.get(id);
        let Some(doors) = member.and_then(|member| member.doors.as_ref()) else {
            return Ok(());
        };
        let told = doors.environment().to_vec();
        (self.tell)(News::Told(id.clone(), told));
        let mut listeners = vec![Listener {
            place: At::Socket(doors.http_proxy()?),
            door: Door::Named(id.clone(), Naming::Target),
        }];
        for (port, socket) in doors.upstreams()? {
            listeners.push(Listener {
                place: At::Socket(socket),
                door: Door::Upstream(id.clone(), port),
            });
        }
        self.proxy.listen(listeners)
    }

    /// Opens the doors to services whose ports have become known.
    pub(super) fn open_learned(&mut self) -> io::Result<()> {
        let services = &self.edition.mesh().services;
        let mut listeners = Vec::new();
        for (id, member) in &mut self.members {
            let Some(doors) = &mut member.doors else {
                continue;
            };
            let learned = doors.learn(|name| {
                let ports = &services.get(name)?.ports;
                let http = ports.iter().find(|(_, told)| told.protocol.is_http());
                http.or(ports.iter().next()).map(|(port, _)| *port)
            })?;
            // Those of one that does not run are opened when it does.
            if member.inside {
                listeners.extend(learned.into_iter().map(|(port, socket)| Listener {
                    place: At::Socket(socket),
                    door: Door::Upstream(id.clone(), port),
                }));
            }
        }
        match listeners.is_empty() {
            true => Ok(()),
            false => self.proxy.listen(listeners),
        }
    }

    /// Reaches a workload that is not captured where it listens, and nowhere else.
    pub(super) fn reach_beside(&self, id: &WorkloadId) -> io::Result<()> {
        let Some(member) = self.members.get(id) else {
            return Ok(());
        };
        match &member.doors {
            Some(doors) => {
                let inside = Inside::beside(doors.reach(&member.listening));
                self.proxy.enclose(id, &inside)
            }
            None => Ok(()),
        }
    }
}

/// The service that a workload is called by, unless another is written.
fn service_of(id: &WorkloadId) -> ServiceName {
    ServiceName::new(id.namespace.clone(), id.name.clone())
}
