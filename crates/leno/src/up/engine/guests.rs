//! Workloads that another process runs: `leno run` and `leno curl` beside a mesh that is up.

use leno_host::{Layout, Listeners, Sockets};
use leno_model::Name;
use leno_model::view::WorkloadId;

use super::Up;
use super::member::Starter;
use crate::up::called;
use crate::up::explicit::Pin;

/// A workload that another process runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Guest {
    /// The `MeshWorkload` it is an instance of.
    pub(crate) of: WorkloadId,
    /// Its ports on this machine, each with the port it has inside.
    pub(crate) ports: Vec<(u16, u16)>,
    /// Whether it takes no calls, and only calls as the workload of its name would.
    pub(crate) calls_only: bool,
    /// Whether it is not captured, and which ports are wanted then.
    pub(crate) explicit: Option<Vec<Pin>>,
    /// What it runs, as a person would type it.
    pub(crate) typed: String,
}

/// What a guest needs to know to open its enclosure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Joined {
    /// Which workload it is.
    pub(crate) id: WorkloadId,
    /// Which run of it.
    pub(crate) run: u32,
    /// What its enclosure has to look like.
    pub(crate) layout: Layout,
    /// What it finds in its environment if it is not captured; its enclosure has no walls then.
    pub(crate) environment: Option<Vec<(String, String)>>,
    /// The variable that tells it where it may ask for its identity.
    pub(crate) workload_api: Option<(String, String)>,
}

/// What is needed of an open enclosure to serve it.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What takes what the application sends.
    pub(crate) listeners: Listeners,
    /// What reaches in over IPv4.
    pub(crate) v4: Sockets,
    /// What reaches in over IPv6, where the kernel has it.
    pub(crate) v6: Option<Sockets>,
}

/// How many guests of one name there may be.
const MOST: u16 = 100;

impl Up {
    /// Gives a guest its place.
    pub(super) fn join(&mut self, guest: Guest) -> Result<Joined, String> {
        let id = self.free_id(&guest)?;
        let workload_api = self.applications.variable();
        let member = self.begin_member(&id, Starter::Guest(guest));
        let member = member.map_err(|error| error.to_string())?;
        let doors = member.doors.as_ref();
        Ok(Joined {
            run: member.run,
            layout: member.layout.clone(),
            environment: doors.map(|doors| doors.environment().to_vec()),
            workload_api,
            id,
        })
    }

    /// The guest's own name if it is free, else with a number: `web-2`.
    fn free_id(&self, guest: &Guest) -> Result<WorkloadId, String> {
        let WorkloadId { namespace, name } = &guest.of;
        let known = self.edition.mesh().instances.iter();
        let mut of_it = known.filter(|(id, _)| id.namespace == *namespace);
        let is_known = of_it.any(|(_, instance)| instance.of == *name);
        if guest.calls_only && !is_known {
            return Err(format!("there is no workload {}", called(&guest.of)));
        }
        if guest.of == self.host && !guest.calls_only {
            return Err(format!("the name {name} stands for this machine"));
        }
        let numbered = (2..=MOST).map(|number| format!("{name}-{number}"));
        let names = [name.to_string()].into_iter().chain(numbered);
        let ids = names.filter_map(|name| {
            Some(WorkloadId {
                namespace: namespace.clone(),
                name: Name::new(&name).ok()?,
            })
        });
        let is_free = |id: &WorkloadId| {
            *id != self.host
                && !self.members.contains_key(id)
                && (!self.edition.mesh().instances.contains_key(id) || id.name == *name)
        };
        let mut free = ids.filter(is_free);
        free.next()
            .ok_or_else(|| format!("{MOST} of {} run already", called(&guest.of)))
    }

    /// A guest has gone.
    pub(super) fn handle_left(&mut self, joined: &Joined) -> anyhow::Result<()> {
        if self.current(&joined.id, joined.run).is_none() {
            return Ok(());
        }
        self.members.remove(&joined.id);
        self.proxy.leave(&joined.id)?;
        self.update()
    }
}
