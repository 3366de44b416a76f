//! Where a cluster is, and as whom it is asked.

use std::fmt;
use std::path::PathBuf;

use kube::Client;
use kube::config::{Config, InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::watch::Watch;

/// Where a cluster is found, and as whom it is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Where {
    /// It is the one that this process runs in, as its pod's service account.
    Here,
    /// What a kubeconfig says.
    Kubeconfig {
        /// The file; without it those of `$KUBECONFIG`, else `~/.kube/config`.
        path: Option<PathBuf>,
        /// Which of its contexts; without it, the current one.
        context: Option<String>,
    },
}

/// A cluster that may be asked. Whether it answers shows when it is.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: Client,
    url: String,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// Why a cluster cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum NotConnected {
    /// This process is in none.
    #[error("this process runs in no pod of a cluster: {0}")]
    NotInside(Box<InClusterError>),
    /// A kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(Box<KubeconfigError>),
    /// What is said of keys and certificates cannot be used.
    #[error("the cluster's keys and certificates cannot be used: {0}")]
    Client(Box<kube::Error>),
}

impl Cluster {
    /// Reads where the cluster is and as whom it is asked. Nothing is sent yet.
    pub async fn connect(place: &Where) -> Result<Self, NotConnected> {
        let config = match place {
            Where::Here => {
                Config::incluster().map_err(|why| NotConnected::NotInside(why.into()))?
            }
            Where::Kubeconfig { path, context } => {
                let read = from_kubeconfig(path.clone(), context.clone()).await;
                read.map_err(|why| NotConnected::Kubeconfig(why.into()))?
            }
        };
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config);
        let client = client.map_err(|why| NotConnected::Client(why.into()))?;
        Ok(Self { client, url })
    }

    /// Where its API server is.
    pub fn url(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// Watches all that a mesh is made of.
    pub fn watch(&self) -> Watch {
        Watch::new(&self.client)
    }
}

/// The context that the kubeconfig is set to: of the files of `$KUBECONFIG`, else of `~/.kube/config`; `None` where there
/// is none that can be read.
pub fn kubeconfig_context() -> Option<String> {
    Kubeconfig::read().ok()?.current_context
}

async fn from_kubeconfig(
    path: Option<PathBuf>,
    context: Option<String>,
) -> Result<Config, KubeconfigError> {
    let options = KubeConfigOptions {
        context,
        ..KubeConfigOptions::default()
    };
    match path {
        Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await,
        None => Config::from_kubeconfig(&options).await,
    }
}
