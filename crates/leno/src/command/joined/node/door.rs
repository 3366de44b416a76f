//! Where the network plugin asks the proxy of its node: one proxy at a time, the newest that lives.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;

use anyhow::Context as _;
use leno_host::SocketFile;

use crate::command::joined::node::plugin::{Knowing, Plugin};

/// Where the network plugin asks, if it is to ask at all.
pub(super) struct Door {
    at: Option<(PathBuf, SocketFile)>,
    /// Ends when nobody can ask there any more.
    pub(super) serving: Pin<Box<dyn Future<Output = io::Error>>>,
}

impl Door {
    /// Opens at `path`, in the place of whoever answered there.
    pub(super) fn open(path: Option<&PathBuf>, knowing: &Knowing) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self {
                at: None,
                serving: Box::pin(std::future::pending()),
            });
        };
        let listening = Plugin::listen(path, knowing.clone());
        let (plugin, file) =
            listening.with_context(|| format!("cannot listen on {}", path.display()))?;
        Ok(Self {
            at: Some((path.clone(), file)),
            serving: Box::pin(plugin.serve()),
        })
    }

    /// Whether the plugin asks here, and no other proxy of this node.
    pub(super) fn is_open(&self) -> bool {
        self.at.as_ref().is_none_or(|(_, file)| file.stands())
    }

    /// Whether the plugin was to ask a newer proxy, which has ended.
    pub(super) fn is_deserted(&self) -> bool {
        let at = self.at.as_ref().filter(|_| !self.is_open());
        at.is_some_and(|(path, _)| !SocketFile::is_taken(path).unwrap_or(true))
    }
}
