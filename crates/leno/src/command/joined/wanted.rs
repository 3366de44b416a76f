//! What the command line asks of a proxy that follows a control plane.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use leno_host::cpu::Cpu;
use leno_model::view::{PortRef, WorkloadId};
use leno_model::{Code, Namespace, Network, ServiceName};
use leno_proxy::follow::{Following, TokenFile};
use leno_proxy::{Door, Listener, Place, Settings};

use crate::arguments::{self, at::At, fleet::Joined};
use crate::command::joined::lasting::Lasting;
use crate::command::joined::node;
use crate::command::{host, proxy, seed};
use crate::terminal::{Line, Terminal};
use crate::up::meant_in;

/// How long live connections may go on once the proxy is told to end, if nothing is said.
const DRAIN: Duration = Duration::from_secs(30);

/// What the command line asks for.
pub(super) struct Wanted<'a> {
    pub(super) options: &'a Joined,
    /// The node that it serves.
    pub(super) node: Option<&'a arguments::node::Node>,
    /// Whether it is the process of one pod, which the proxy of its node has started.
    pub(super) is_of_pod: bool,
    limits: &'a arguments::Limits,
    ending: &'a arguments::Ending,
    /// Whether the proxy takes the place of one that runs.
    pub(super) take_over: bool,
    /// The workloads in front of which the proxy stands.
    pub(super) workloads: Vec<WorkloadId>,
    /// Service ports, each with where the proxy listens for it.
    pub(super) upstreams: Vec<(PortRef, SocketAddr)>,
}

impl<'a> Wanted<'a> {
    /// Reads it.
    pub(super) fn read(proxy: &'a arguments::Proxy) -> anyhow::Result<Self> {
        let options = &proxy.joined;
        let home = Namespace::new(&proxy.namespace).context("-n")?;
        let workloads = options.workloads.iter().map(|text| meant_in(text, &home));
        let upstreams = options.upstreams.iter().map(|text| upstream(text, &home));
        Ok(Self {
            options,
            node: proxy.node.node.is_some().then_some(&proxy.node),
            is_of_pod: proxy.node.pod_process,
            limits: &proxy.limits,
            ending: &proxy.ending,
            take_over: proxy.take_over,
            workloads: workloads.collect::<anyhow::Result<_>>()?,
            upstreams: upstreams.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Where keys and views outlive the pod of a node's proxy, if they are to; that they cannot is told.
    pub(super) fn lasting(&self, terminal: &mut Terminal) -> Option<Lasting> {
        let node = self.node?;
        let (all, pod) = node.node_state.as_ref().zip(node.pod_uid.as_ref())?;
        let opened = Lasting::open(all, pod);
        let told = |why: &anyhow::Error| {
            let (code, slug, all) = (Code::H027, Code::H027.slug(), all.display());
            let line = Line::new().bad("✗ ");
            terminal.tell(line.plain(format_args!("{code} {slug}: {all}: {why:#}")));
        };
        opened.inspect_err(told).ok()
    }

    /// Whom the proxy follows, and as whom.
    pub(super) fn following(&self, lasting: Option<&Lasting>) -> anyhow::Result<Following> {
        let Self {
            options, workloads, ..
        } = self;
        let tunnel = options
            .tunnel
            .map(|tunnel| tunnel.reached(options.advertise));
        let tunnel = tunnel.map(|reached| {
            reached.context("--tunnel says a port alone: say where others reach it (--advertise)")
        });
        let of_node = self.node.and_then(|node| node.node.as_ref());
        let name = match of_node {
            Some(node) => Some(format!("node/{node}")),
            None => workloads.first().map(WorkloadId::to_string),
        };
        let is_of_node = self.is_of_pod || of_node.is_some();
        let tunnel = tunnel.or_else(|| is_of_node.then_some(Ok(node::TUNNEL)));
        Ok(Following {
            name: name.unwrap_or_else(|| "proxy".to_owned()),
            folder: match lasting {
                Some(lasting) => lasting.state(),
                None => options.state.clone().map_or_else(host::identity, Ok)?,
            },
            workloads: workloads.iter().cloned().collect(),
            tunnel: tunnel.transpose()?,
            token: options
                .join
                .clone()
                .zip(options.oidc_token.clone())
                .map(|(mesh, path)| TokenFile { mesh, path }),
            seed: seed(),
        })
    }

    /// The workload that is captured, if one is.
    pub(super) fn captured(&self) -> Option<&WorkloadId> {
        let is_captured = self.options.captured || self.is_of_pod;
        self.workloads.first().filter(|_| is_captured)
    }

    /// How the processes of pods are run that this proxy of a node starts; `folder` is its own.
    pub(super) fn of_pods(&self, folder: &Path, lasting: Option<&Lasting>) -> node::Settings {
        let Self {
            options, ending, ..
        } = self;
        let mut beside = folder.as_os_str().to_owned();
        beside.push("-pods");
        let mut arguments = Vec::new();
        let mut say = |option: &str, value: OsString| {
            arguments.extend([OsString::from(option), value]);
        };
        for (option, time) in [("--drain", ending.drain), ("--lame-duck", ending.lame_duck)] {
            if let Some(time) = time {
                say(option, format!("{}ms", time.as_millis()).into());
            }
        }
        for (option, number) in [
            ("--connections", self.limits.connections),
            ("--connections-of-peer", self.limits.connections_of_peer),
            ("--buffered-mib", self.limits.buffered_mib),
        ] {
            if let Some(number) = number {
                say(option, number.to_string().into());
            }
        }
        if let Some(stalled) = self.limits.stalled {
            say("--stalled", format!("{}ms", stalled.as_millis()).into());
        }
        if let Some(format) = options.access_log {
            let format = format.to_possible_value();
            say(
                "--access-log",
                format.map_or_else(OsString::new, |it| it.get_name().into()),
            );
        }
        let lame_duck = ending.lame_duck.unwrap_or_default();
        let tokens = options.oidc_token.as_ref().and_then(|file| file.parent());
        let node = self.node.into_iter();
        let plugins = node
            .flat_map(|node| [&node.cni_bin, &node.cni_conf])
            .flatten();
        node::Settings {
            folder: beside.into(),
            hidden: tokens
                .map(Path::to_owned)
                .into_iter()
                .chain(plugins.cloned())
                .chain(lasting.map(|lasting| lasting.all().to_owned()))
                .collect(),
            arguments,
            drain: lame_duck + ending.drain.unwrap_or(DRAIN),
        }
    }

    /// What the proxy starts with.
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        let options = self.options;
        let mut listeners = Vec::new();
        let mut listen = |address, door| {
            listeners.push(Listener {
                place: Place::Address(address),
                door,
            });
        };
        if let Some(id) = self.workloads.first() {
            for (port, address) in &self.upstreams {
                listen(*address, Door::Upstream(id.clone(), port.clone()));
            }
            for (at, door) in [
                (options.outbound, Door::Outbound(id.clone())),
                (options.dns, Door::Dns(id.clone())),
            ] {
                for address in at.into_iter().flat_map(At::own_sockets) {
                    listen(address, door.clone());
                }
            }
            for address in options.inbound.into_iter().flat_map(At::sockets) {
                listen(address, Door::Inbound(id.clone()));
            }
        }
        for (address, door) in [
            (options.tunnel, Door::Tunnel),
            (options.metrics, Door::Metrics),
        ] {
            for address in address.into_iter().flat_map(At::sockets) {
                listen(address, door.clone());
            }
        }
        Ok(Settings {
            workers: Cpu::read().workers(),
            listeners,
            network: Network::default_network(),
            limits: proxy::limits(self.limits)?,
            lame_duck: self.ending.lame_duck.unwrap_or_default(),
            node_servers: self.node.map_or_else(Vec::new, |_| node::name_servers()),
            drain: self.ending.drain.unwrap_or(DRAIN),
            predecessor: None,
            seed: seed(),
        })
    }
}

/// `cart:80=127.0.0.1:8081`.
fn upstream(text: &str, home: &Namespace) -> anyhow::Result<(PortRef, SocketAddr)> {
    let read = || {
        let (port, address) = text.split_once('=')?;
        let (service, port) = port.rsplit_once(':')?;
        Some((service, port.parse().ok()?, address.parse().ok()?))
    };
    let Some((service, port, address)) = read() else {
        bail!("{text:?} is no upstream: write SERVICE:PORT=ADDRESS:PORT");
    };
    let WorkloadId { namespace, name } = meant_in(service, home)?;
    let service = ServiceName::new(namespace, name);
    Ok((PortRef { service, port }, address))
}
