//! How the mesh of a control plane is: what is configured, and the proxies that follow.

use leno_admin::{Failure, Overview};
use leno_control::Desk;
use leno_dashboard::Mesh;

/// The mesh of a control plane in this process.
pub(crate) struct Fleet {
    desk: Desk,
}

impl Fleet {
    pub(crate) fn new(desk: Desk) -> Self {
        Self { desk }
    }
}

impl Mesh for Fleet {
    async fn look(&self) -> Result<Overview, Failure> {
        let desk = self.desk.clone();
        let asked = tokio::task::spawn_blocking(move || desk.overview());
        let failed = |_| Failure::plain("the control plane failed at this question");
        asked.await.map_err(failed)?
    }
}
