//! Who signs in the cluster that is followed. A request may wait for a person: it is asked after again and again,
//! by the same key, until somebody has decided. One that could not be signed is made anew after a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leno_channel::files;
use leno_identity::Key;
use leno_kubernetes::{Cluster, Progress, Signer};
use tokio::time::{Instant, sleep, timeout};

use super::{Asking, NotOffered, Offer, Outside, Wanted};

/// A signer, and what it was asked.
pub(super) struct Requests {
    cluster: Option<Cluster>,
    signer: Signer,
    root_file: Option<Arc<str>>,
    waiting: Mutex<Option<Waiting>>,
}

/// A request of which nothing has come yet.
#[derive(Clone)]
struct Waiting {
    name: String,
    key: Key,
    /// When it was first heard that who signs could not.
    failed: Option<Instant>,
}

/// How a request ended of which nothing came.
enum Ended {
    Denied(String),
    Failed(String),
    Gone,
}

impl Requests {
    pub(super) fn new(
        cluster: Option<Cluster>,
        signer: Signer,
        root_file: Option<Arc<str>>,
    ) -> Self {
        Self {
            cluster,
            signer,
            root_file,
            waiting: Mutex::default(),
        }
    }

    async fn offer(&self, wanted: Wanted) -> Result<Offer, NotOffered> {
        let Some(cluster) = &self.cluster else {
            let why = "this control plane follows no cluster: leno control --kubernetes";
            return Err(NotOffered::Unusable(why.to_owned()));
        };
        let mut waiting = match self.waiting() {
            Some(waiting) if waiting.failed.is_some_and(|at| at.elapsed() >= REST) => {
                self.wait_for(None);
                drop(cluster.clear(&self.signer, &waiting.name).await);
                self.begin(cluster, wanted).await?
            }
            Some(waiting) => waiting,
            None => self.begin(cluster, wanted).await?,
        };
        let mut why = "nobody has decided on it".to_owned();
        let decided = timeout(TIME, self.decided(cluster, &waiting.name, &mut why)).await;
        let (chain, root) = match decided {
            Err(_) => return Err(NotOffered::Refused(self.about(&waiting.name, &why))),
            // That stands for as long as the request: whoever wants to be asked again deletes it.
            Ok(Err(Ended::Denied(why))) => {
                let why = format!("{why}; delete it to have another made");
                return Err(NotOffered::Refused(self.about(&waiting.name, &why)));
            }
            Ok(Err(Ended::Failed(why))) => {
                let why = self.about(&waiting.name, &why);
                waiting.failed.get_or_insert_with(Instant::now);
                self.wait_for(Some(waiting));
                return Err(NotOffered::Refused(why));
            }
            Ok(Err(Ended::Gone)) => {
                self.wait_for(None);
                let why = self.about(&waiting.name, "somebody has deleted it");
                return Err(NotOffered::Refused(why));
            }
            Ok(Ok(signed)) => signed,
        };
        self.wait_for(None);
        // What has come is used, whether its request goes or stays.
        drop(cluster.clear(&self.signer, &waiting.name).await);
        Ok(Offer {
            chain: self.chain(&chain, root.as_deref())?,
            key: waiting.key,
        })
    }

    async fn begin(&self, cluster: &Cluster, wanted: Wanted) -> Result<Waiting, NotOffered> {
        let request = files::request_text(&wanted.key.authority_request(&wanted.domain));
        let asked = cluster.request(&self.signer, &request, wanted.life);
        let refused = |why: String| NotOffered::Refused(why);
        let late = |_| refused("the API server does not answer in time".to_owned());
        let asked = timeout(TIME, asked).await.map_err(late)?;
        let name = asked.map_err(|why| refused(format!("the API server says {why}")))?;
        let waiting = Waiting {
            name,
            key: wanted.key,
            failed: None,
        };
        self.wait_for(Some(waiting.clone()));
        Ok(waiting)
    }

    /// Waits for the end of a request, and keeps why it takes so long.
    async fn decided(
        &self,
        cluster: &Cluster,
        name: &str,
        waits: &mut String,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), Ended> {
        loop {
            match cluster.requested(&self.signer, name).await {
                Ok(Progress::Signed { chain, root }) => return Ok((chain, root)),
                Ok(Progress::Waits(why)) => *waits = why,
                Ok(Progress::Denied(why)) => return Err(Ended::Denied(why)),
                Ok(Progress::Failed(why)) => return Err(Ended::Failed(why)),
                Ok(Progress::Gone) => return Err(Ended::Gone),
                Err(why) => *waits = format!("the API server says {why}"),
            }
            sleep(LOOK).await;
        }
    }

    /// What was signed and those above it, in DER, the root last.
    fn chain(&self, chain: &[u8], root: Option<&[u8]>) -> Result<Vec<Vec<u8>>, NotOffered> {
        let read = |pem: &[u8]| {
            let read = files::certificates_of(pem);
            read.ok_or_else(|| NotOffered::Refused("it gave what is no certificate".to_owned()))
        };
        let mut all = read(chain)?;
        let roots = match (&self.root_file, root) {
            (Some(file), _) => files::read_certificates(file.as_ref().as_ref())
                .map_err(|why| NotOffered::Unusable(why.to_string()))?,
            (None, Some(root)) => read(root)?,
            (None, None) => Vec::new(),
        };
        for certificate in roots {
            if !all.contains(&certificate) {
                all.push(certificate);
            }
        }
        Ok(all)
    }

    fn about(&self, name: &str, why: &str) -> String {
        format!("{} {name}: {why}", self.signer.resource())
    }

    fn waiting(&self) -> Option<Waiting> {
        let waiting = self.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wait_for(&self, waiting: Option<Waiting>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }
}

impl Outside for Requests {
    fn ask(&self, wanted: Wanted) -> Asking<'_> {
        Box::pin(self.offer(wanted))
    }

    fn is_watched(&self) -> bool {
        false
    }
}

/// Less than a try to renew may take.
const TIME: Duration = Duration::from_secs(8);

/// From a failure of who signs to the next request: each stays behind where nobody clears it away.
const REST: Duration = Duration::from_secs(30);

/// How often it is asked after what became of a request.
const LOOK: Duration = Duration::from_millis(500);
