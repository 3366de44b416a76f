//! Identities for the programs of a mesh that runs here: each gets its own by the SPIFFE Workload API, as
//! the network namespace tells that it is in.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use leno_agent::{Agent, Door, Event, LONGEST_PATH, Served, VARIABLE};
use leno_control::Attendance;
use leno_host::NetworkId;
use leno_model::TrustDomain;
use leno_model::view::{View, WorkloadId};
use leno_proxy::Clocks;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::command::seed;

/// The programs, and what each may be given.
pub(crate) struct Applications {
    served: watch::Sender<Arc<Served>>,
    /// Where they ask; nowhere if nobody can listen there.
    socket: Option<PathBuf>,
    agent: Option<JoinHandle<()>>,
}

impl Applications {
    /// Answers at `socket` from here on, where nobody is anybody yet. `tell` hears whom nothing was given,
    /// and why nobody is answered.
    pub(crate) fn begin(
        socket: PathBuf,
        domain: &TrustDomain,
        attendance: Arc<Attendance>,
        clocks: Clocks,
        tell: impl Fn(String) + Send + Sync + 'static,
    ) -> Self {
        let served = watch::Sender::new(Arc::new(Served::nothing(domain.clone())));
        let is_short = socket.as_os_str().as_bytes().len() <= LONGEST_PATH;
        let door = match is_short {
            true => Door::open_instead(&socket).map_err(|error| error.to_string()),
            false => Err(format!("its path has more than {LONGEST_PATH} bytes")),
        };
        let door = match door {
            Ok(door) => door,
            Err(why) => {
                let socket = socket.display();
                tell(format!(
                    "{VARIABLE} is not set: {socket} cannot be opened: {why}"
                ));
                return Self {
                    served,
                    socket: None,
                    agent: None,
                };
            }
        };
        let tell = move |event: &Event| {
            if event.code().is_some() {
                tell(event.to_string());
            }
        };
        let agent = Agent::new(door, served.subscribe(), attendance, clocks, seed(), tell);
        Self {
            served,
            socket: Some(socket),
            agent: Some(tokio::spawn(agent.run())),
        }
    }

    /// Goes by `view` from here on; who is captured is in the network of its own.
    pub(crate) fn see(&self, view: &View, networks: &BTreeMap<WorkloadId, NetworkId>) {
        let served = Served::of(view, networks);
        self.served.send_if_modified(|before| {
            let differs = **before != served;
            if differs {
                *before = Arc::new(served);
            }
            differs
        });
    }

    /// What tells a program where to ask.
    pub(crate) fn variable(&self) -> Option<(String, String)> {
        let socket = self.socket.as_ref()?.display();
        Some((VARIABLE.to_owned(), format!("unix://{socket}")))
    }
}

impl Drop for Applications {
    fn drop(&mut self) {
        if let Some(agent) = &self.agent {
            agent.abort();
        }
    }
}
