//! Leaving nodes as they were before their proxies came: what these have put into the configuration of each node's network
//! has to go before they do. With it, and without them, no pod could start there.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Error;
use leno_model::Code;

use super::ready::{node_of, until};
use super::{NetworkFolders, NotApplied, Object, node, selector};
use crate::cluster::Cluster;

/// Some nodes are not as they were before.
#[derive(Debug, thiserror::Error)]
pub enum NotCleared {
    /// The cluster does not do what it takes.
    #[error(transparent)]
    Refused(#[from] NotApplied),
    /// It takes longer.
    #[error("not all nodes are clear after {} s: {why}", patience.as_secs())]
    Pending {
        /// How long it was waited for.
        patience: Duration,
        /// What it waits for.
        why: String,
    },
}

impl NotCleared {
    /// What it is called.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(why) => why.code(),
            Self::Pending { .. } => Code::K020,
        }
    }
}

impl Object {
    /// Whether it has put something onto nodes, for [`Cluster::clear_nodes`] to take away with it.
    pub fn is_on_nodes(&self) -> bool {
        self.kind() == "DaemonSet"
    }
}

impl Cluster {
    /// Ends the proxies of nodes, and takes away what they have put there; tells what is waited for, for so long. What was
    /// begun and not finished goes on where it was.
    pub async fn clear_nodes(
        &self,
        patience: Duration,
        tell: impl FnMut(&str),
    ) -> Result<(), NotCleared> {
        let proxies = node::proxies_by_name();
        // It begins where no proxy answers any more, and is asked for before that: whoever goes on later finds it.
        if let Some((image, network)) = self.node_proxies().await? {
            self.apply(&node::clearing(&image, &network), true).await?;
            self.ask_to_go(&proxies).await?;
        }
        let labels = selector(node::CLEARING);
        let look = async || match self.nodes_wait_for(node::CLEARING, &labels).await {
            None => self.goes(&proxies, &node::own()).await,
            why => why,
        };
        let waited = until(patience, look, tell).await;
        waited.map_err(|why| NotCleared::Pending { patience, why })?;
        self.remove(&node::clearing_by_name(), patience).await?;
        Ok(())
    }

    /// Stops clearing nodes that was begun and not finished, before they get proxies anew, whose plugin it would take away;
    /// says whether it was.
    pub async fn stop_clearing(&self, patience: Duration) -> Result<bool, NotApplied> {
        let clearing = node::clearing_by_name();
        let is_begun = self.is_there(&clearing).await?;
        if is_begun {
            self.remove(&clearing, patience).await?;
        }
        Ok(is_begun)
    }

    /// What an object that is being deleted waits for, whose pods have these labels; nothing, if it is gone.
    async fn goes(&self, object: &Object, labels: &BTreeMap<String, String>) -> Option<String> {
        match self.is_there(object).await {
            Ok(false) => return None,
            Ok(true) => {}
            Err(why) => return Some(why.to_string()),
        }
        Some(match self.pods_of(labels).await {
            Ok(pods) => match pods.first() {
                Some(pod) => format!("{}: its proxy has not ended", node_of(pod)),
                None => format!("{object} is being deleted"),
            },
            Err(why) => why,
        })
    }

    /// Of the proxies of nodes, the image that they run from and the folders of their nodes, if there are any.
    pub async fn node_proxies(&self) -> Result<Option<(String, NetworkFolders)>, NotApplied> {
        let proxies = node::proxies_by_name();
        let there = match self.api_of(&proxies).get(proxies.name()).await {
            Ok(there) => there,
            Err(Error::Api(status)) if status.code == 404 => return Ok(None),
            Err(why) => return Err(NotApplied::of(&proxies, &why)),
        };
        let image = there.data.pointer("/spec/template/spec/containers/0/image");
        let image = image.and_then(|image| image.as_str());
        let network = NetworkFolders::of(&there.data).unwrap_or_default();
        Ok(Some((image.unwrap_or_default().to_owned(), network)))
    }
}
