//! Who issues the tokens of the followed cluster's service accounts. It is asked for while nobody waits; while the API
//! server is away, its last keys stay good.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leno_jwt::Keys;
use leno_kubernetes::Cluster;
use leno_model::Code;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::center::Center;
use crate::keyset;

/// How long until keys are asked for again, after a success and after a failure. Whoever hastens it waits for the
/// latter.
const FRESH: Duration = Duration::from_secs(300);
const AGAIN: Duration = Duration::from_secs(2);

/// The issuer, as it was told last.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    held: Mutex<Option<Held>>,
    wake: Notify,
}

/// The name of an issuer, and its keys.
pub(crate) type Held = (Arc<str>, Arc<Keys>);

impl Accounts {
    /// The issuer, if one is known.
    pub(crate) fn held(&self) -> Option<Held> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    /// Asks again, unless that was done just now.
    pub(crate) fn look_again(&self) {
        self.wake.notify_one();
    }

    fn take(&self, held: Held) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }
}

/// Keeps the keys fresh for as long as it is polled.
pub(crate) async fn keep(center: Arc<Center>, cluster: Option<Cluster>) {
    let Some(cluster) = cluster else {
        return std::future::pending().await;
    };
    let mut told = None;
    loop {
        let failed = ask(&center.accounts, &cluster).await.err();
        let is_fresh = failed.is_none();
        center.trouble_anew(Code::T022, &mut told, failed);
        sleep(AGAIN).await;
        if is_fresh {
            tokio::select! {
                () = center.accounts.wake.notified() => {}
                () = sleep(FRESH) => {}
            }
        }
    }
}

async fn ask(accounts: &Accounts, cluster: &Cluster) -> Result<(), String> {
    let issuer = cluster.issuer().await.map_err(|why| why.to_string())?;
    let keys = keyset::usable(&issuer.keys);
    let keys = keys.map_err(|why| format!("the keys of {}: {why}", issuer.name))?;
    accounts.take((issuer.name.into(), Arc::new(keys)));
    Ok(())
}
