//! Starting a workload: its enclosure, the proxy's doors to it, the program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeWriter};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use leno_host::{Enclosure, Event, Exit, Family, Layout, Listeners, NetworkId, OpenError, Session};
use leno_model::Namespace;
use leno_model::view::WorkloadId;
use leno_proxy::{Door, Inside, Listener, Place as At};
use tokio::sync::mpsc;

use super::guests::Opened;
use super::member::{Member, Starter};
use super::{Happened, Program, Up};
use crate::up::called;
use crate::up::log::Log;
use crate::up::news::News;
use crate::up::process;

/// How long a workload of which no port is known is watched for one before it counts as up.
const LISTENING: Duration = Duration::from_secs(2);

impl Up {
    /// Begins to start a program.
    pub(super) fn start(&mut self, program: Program) {
        let id = program.id.clone();
        let begun = self.begin_member(&id, Starter::Us(program));
        let begun = begun.map(|member| (member.layout.clone(), member.run, member.doors.is_some()));
        let (layout, run, is_bare) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let why = format!("{} cannot be started: {error}", called(&id));
                return (self.tell)(News::Trouble(why));
            }
        };
        let happen = self.happen.clone();
        tokio::task::spawn_local(async move {
            let opened = match is_bare {
                true => process::open_bare().await,
                false => process::open(layout).await,
            };
            // When nobody listens, all has ended.
            drop(happen.send(Happened::Enclosed(id, run, opened)));
        });
    }

    /// A member that begins, at the addresses it had before if it had some.
    pub(super) fn begin_member(
        &mut self,
        id: &WorkloadId,
        starter: Starter,
    ) -> io::Result<&Member> {
        let (layout, run, doors) = match self.members.remove(id) {
            Some(before) => (before.layout, before.run + 1, before.doors),
            None => {
                self.places += 1;
                let layout = layout(self.places, &id.namespace);
                (self.tell)(News::Placed(id.clone(), layout.v4));
                (layout, 0, None)
            }
        };
        let doors = match doors {
            Some(doors) => Some(doors),
            None => self.doors_of(id, &starter)?,
        };
        let mut member = Member::new(starter, layout, run, self.clocks.now().mono);
        member.doors = doors;
        Ok(self.members.entry(id.clone()).or_insert(member))
    }

    pub(super) fn handle_enclosed(
        &mut self,
        id: &WorkloadId,
        run: u32,
        opened: Result<(Enclosure, Listeners), OpenError>,
    ) -> anyhow::Result<()> {
        if self.current(id, run).is_none() {
            return Ok(());
        }
        let (enclosure, listeners) = match opened {
            Ok(opened) => opened,
            // The first to fail says that none will do; later it is one that fails.
            Err(error) if self.members.values().any(|member| member.inside) => {
                let end = Event::NotStarted {
                    errno: errno(&error),
                };
                return self.handle_ended(id, run, &end, String::new());
            }
            Err(error) => return Err(error.into()),
        };
        let opened = Opened {
            listeners,
            v4: enclosure.sockets(Family::V4)?,
            v6: enclosure.sockets(Family::V6).ok(),
        };
        self.serve(id, run, opened)?;
        self.launch(id, enclosure)
    }

    /// Lets the proxy serve a workload whose enclosure is open.
    pub(super) fn serve(
        &mut self,
        id: &WorkloadId,
        run: u32,
        opened: Opened,
    ) -> anyhow::Result<()> {
        let Some(member) = self.current(id, run) else {
            bail!("{} has ended or was started again", called(id));
        };
        member.supply = Some(opened.v4.as_fd().try_clone_to_owned()?.into());
        let outbound = opened.listeners.outbound.first();
        member.network = outbound.and_then(|socket| NetworkId::of(socket).ok());
        member.inside = true;
        if member.doors.is_some() {
            self.reach_beside(id)?;
            self.open_doors(id)?;
        } else {
            let inside = Inside::new(&member.layout, opened.v4, opened.v6);
            self.proxy.enclose(id, &inside)?;
            self.proxy.listen(doors(id, opened.listeners))?;
        }
        self.update()?;
        self.publish(id)
    }

    /// Starts the program of a member in its enclosure.
    fn launch(&mut self, id: &WorkloadId, mut enclosure: Enclosure) -> anyhow::Result<()> {
        let log = self.place.log(id);
        let open_files = self.open_files;
        let Some(member) = self.members.get_mut(id) else {
            return Ok(());
        };
        let Starter::Us(program) = &member.starter else {
            return Ok(());
        };
        let (log, said) =
            Log::open(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let port = program
            .port
            .map(|port| ("PORT".to_owned(), port.to_string()));
        let mut told = match &member.doors {
            Some(doors) => doors.environment().to_vec(),
            None => port.into_iter().collect(),
        };
        told.extend(self.applications.variable());
        enclosure.launch(program.launch(&told, said, open_files)?)?;
        let (order, orders) = mpsc::unbounded_channel();
        member.orders = Some(order);
        if !member.declares_ports() {
            tokio::task::spawn_local(wait(id.clone(), member.run, self.happen.clone()));
        }
        let watching = watch(
            id.clone(),
            member.run,
            enclosure,
            orders,
            log,
            self.happen.clone(),
        );
        tokio::task::spawn_local(watching);
        Ok(())
    }
}

/// What the system said when an enclosure could not be opened.
fn errno(error: &OpenError) -> i32 {
    match error {
        OpenError::Refused { errno, .. } => *errno,
        OpenError::Spawn(why) | OpenError::Lost(why) => why.raw_os_error().unwrap_or_default(),
    }
}

/// Tells what happens inside; the end only when the last words are known.
async fn watch(
    id: WorkloadId,
    run: u32,
    enclosure: Enclosure,
    orders: mpsc::UnboundedReceiver<process::Order>,
    log: Log,
    happen: mpsc::UnboundedSender<Happened>,
) {
    let mut end = Event::Exited(Exit::Lost);
    // When nobody listens, all has ended.
    let tell = |event| match event {
        Event::Exited(_) | Event::NotStarted { .. } => end = event,
        event => drop(happen.send(Happened::Inside(id.clone(), run, event))),
    };
    process::watch(enclosure, orders, tell).await;
    let last_line = log.last_line().await;
    drop(happen.send(Happened::Ended(id, run, end, last_line)));
}

async fn wait(id: WorkloadId, run: u32, happen: mpsc::UnboundedSender<Happened>) {
    tokio::time::sleep(LISTENING).await;
    // When nobody listens, all has ended.
    drop(happen.send(Happened::Waited(id, run)));
}

impl Program {
    /// The program as it is started in an enclosure: without input, all that it says into its log.
    fn launch(
        &self,
        told: &[(String, String)],
        said: PipeWriter,
        open_files: Option<u64>,
    ) -> io::Result<leno_host::Program> {
        let mut env = std::env::vars_os().collect::<BTreeMap<OsString, OsString>>();
        for (name, value) in told {
            env.insert(name.into(), value.into());
        }
        for (name, value) in &self.env {
            env.insert(name.into(), value.into());
        }
        let also_said = said.try_clone()?;
        Ok(leno_host::Program {
            command: self.command.iter().map(OsString::from).collect(),
            env: env.into_iter().collect(),
            cwd: self.folder.clone(),
            stdio: [
                File::open("/dev/null")?.into(),
                said.into(),
                also_said.into(),
            ],
            session: Session::Own,
            open_files,
        })
    }
}

/// What the proxy takes of a workload.
fn doors(id: &WorkloadId, listeners: Listeners) -> Vec<Listener> {
    let Listeners {
        outbound,
        dns_udp,
        dns_tcp,
    } = listeners;
    let outbound = outbound.into_iter().map(|socket| Listener {
        place: At::Socket(socket),
        door: Door::Outbound(id.clone()),
    });
    let dns_udp = dns_udp.into_iter().map(|socket| Listener {
        place: At::Datagrams(socket),
        door: Door::Dns(id.clone()),
    });
    let dns_tcp = dns_tcp.into_iter().map(|socket| Listener {
        place: At::Socket(socket),
        door: Door::Dns(id.clone()),
    });
    outbound.chain(dns_udp).chain(dns_tcp).collect()
}

/// What the enclosure of the workload with this number looks like; it acts in `namespace`.
fn layout(number: u16, namespace: &Namespace) -> Layout {
    Layout {
        v4: address(number),
        v6: Ipv6Addr::from_bits(FIRST_V6 | u128::from(number)),
        resolver: RESOLVER.into(),
        search: [
            format!("{namespace}.svc.cluster.local"),
            "svc.cluster.local".to_owned(),
            "cluster.local".to_owned(),
        ]
        .into(),
    }
}

/// The address of the workload with this number. They are told apart in one mesh and mean nothing
/// outside of it; the range is one that no network uses (RFC 2544).
pub(super) fn address(number: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST_V4 | u32::from(number))
}

const FIRST_V4: u32 = Ipv4Addr::new(198, 19, 0, 0).to_bits();
const FIRST_V6: u128 = Ipv6Addr::new(0xfd6c, 0x656e, 0x6f01, 0, 0, 0, 0, 0).to_bits();

/// Whoever is asked, the question is taken; this one is nobody's.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
