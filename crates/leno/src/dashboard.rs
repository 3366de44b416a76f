//! What the dashboard is told of a mesh: of one that a control plane serves, or of one that is up in
//! a folder.

mod door;
mod local;

use std::io;
use std::sync::Arc;

use anyhow::anyhow;
use leno_dashboard::{Dashboard, Links, Port};
use leno_model::Code;
use tokio::task::JoinSet;

pub(crate) use door::Door;

use self::local::Local;
use crate::terminal::Line;
use crate::up::{Happened, Up};

/// Listens, or says who is in the way.
pub(crate) fn open(port: Port) -> anyhow::Result<Dashboard> {
    Dashboard::open(port).map_err(|error| match (error.kind(), port) {
        (io::ErrorKind::AddrInUse, Port::Exactly(port)) => {
            let code = Code::H002;
            let slug = code.slug();
            anyhow!("{code} {slug}: another program listens on port {port} of the loopback")
        }
        _ => anyhow!("the dashboard has no place: {error}"),
    })
}

/// The page about a mesh that is up. It is shown for as long as this is held.
pub(crate) struct Page {
    links: Links,
    /// The port that it should have had, if another program has that.
    missed: Option<u16>,
    _showing: JoinSet<()>,
}

impl Page {
    /// Shows the mesh at this port of the loopback, or at any if none is said and the usual one is
    /// taken; publishes its services by name there. Needs a runtime around it.
    pub(crate) fn of(up: &mut Up, port: Option<u16>) -> anyhow::Result<Self> {
        let port = port.map_or(Port::default(), Port::Exactly);
        let dashboard = open(port)?;
        let (links, inbox) = (dashboard.links(), up.inbox());
        let mesh = Arc::new(Local::of(up));
        up.publish_names_at(links.port());
        let made = links.clone();
        up.desk().give_links(move || made.make());
        let door = Door::of_up(up.desk().clone(), up.inbox());
        // The desk knows the mesh, and must not keep it.
        let known = Arc::downgrade(&mesh);
        up.desk().give_look(move || {
            let mesh = known.upgrade()?;
            Some(async move { mesh.look().await })
        });
        let mut showing = JoinSet::new();
        showing.spawn(async move {
            let _mesh = mesh;
            let ended = dashboard.run(door).await;
            // When nobody listens, all has ended.
            drop(inbox.send(Happened::Trouble(ended.to_string())));
        });
        let missed = match port {
            Port::Rather(port) if port != links.port() => Some(port),
            Port::Rather(_) | Port::Exactly(_) => None,
        };
        Ok(Self {
            links,
            missed,
            _showing: showing,
        })
    }

    /// `line` with a new link to it, and why it is not where one would look for it.
    pub(crate) fn link(&self, line: Line) -> Line {
        let line = line.strong(self.links.make());
        match self.missed {
            Some(port) => line.plain(format_args!("   ({port} is another program's)")),
            None => line,
        }
    }
}
