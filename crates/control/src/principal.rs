//! The default control plane of the mesh, as one that stands beside it follows it: its roots, whom it has revoked, and the
//! way to it. What it told last is kept: a restart while it is away forgets no root and lets nobody in again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_channel::grpc::{self, Incoming, Line, Proven, Sender};
use leno_channel::{Keyring, generate_key, words};
use leno_identity::{Credential, Fingerprint, Trust, Validity};
use leno_kubernetes::Cluster;
use leno_model::{ControlName, SpiffeId};
use leno_store::{Failed, Label, Secret, Store};
use leno_wire::beside::{Endorse, Endorsed, Follow, Lead};
use leno_wire::certificates::{Evidence, Join, Joined, control_plane};
use leno_wire::{MeshAddress, call};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::authority::bundle_of;
use crate::center::Center;
use crate::clock;

/// How a control plane stands beside the default one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beside {
    /// What it is called.
    pub name: ControlName,
    /// The file with the token of its service account, which proves it to the default one.
    pub token: PathBuf,
}

/// The default control plane, as it is followed.
#[derive(Debug)]
pub(crate) struct Principal {
    pub(crate) beside: Beside,
    store: Arc<Store>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lead: Option<Arc<Lead>>,
    /// The way to it; without one, why there is none.
    line: Result<Line, String>,
    /// What proves us there.
    shown: Option<Shown>,
}

/// What proves us to the default one, and what proves that one.
#[derive(Clone, Debug)]
struct Shown {
    keyring: Arc<Keyring>,
    own: SpiffeId,
    stands: Validity,
}

impl Principal {
    /// Takes up what it told last.
    pub(crate) fn open(beside: Beside, store: Arc<Store>) -> Result<Self, Failed> {
        let kept = store.secret(&label())?;
        let lead = kept.and_then(|Secret(bytes)| Lead::decode(&bytes).ok());
        Ok(Self {
            beside,
            store,
            state: Mutex::new(State {
                lead: lead.map(Arc::new),
                line: Err("it was not asked yet".to_owned()),
                shown: None,
            }),
        })
    }

    /// What it told last.
    pub(crate) fn lead(&self) -> Option<Arc<Lead>> {
        self.state().lead.clone()
    }

    /// The way to it, or why there is none.
    pub(crate) fn line(&self) -> Result<Line, String> {
        self.state().line.clone()
    }

    /// Whom it has revoked.
    pub(crate) fn revoked(&self) -> BTreeSet<SpiffeId> {
        let lead = self.lead();
        let revoked = lead.iter().flat_map(|lead| &lead.revoked);
        revoked.cloned().collect()
    }

    /// Goes by what it tells from here on. On disk when this returns.
    fn take(&self, center: &Center, lead: Lead) -> Result<(), Failed> {
        if self.lead().is_some_and(|known| *known == lead) {
            return Ok(());
        }
        let kept = Secret(lead.encode());
        center.authority.stand_beside(lead.roots.clone());
        self.state().lead = Some(Arc::new(lead));
        // Whoever hears of it from the store finds it.
        self.store.keep_secrets(&[(label(), Some(kept))])
    }

    /// Asks for an intermediate for this request.
    pub(crate) async fn endorse(&self, request: Vec<u8>) -> Result<Vec<Vec<u8>>, String> {
        let line = self.line()?;
        let asked = Endorse { request }.encode();
        let answer = timeout(LIMIT, line.ask(call::ENDORSE, &asked)).await;
        let answer = answer.map_err(|_| "it does not answer in time".to_owned())?;
        let answer = answer.map_err(|status| status.to_string())?;
        let endorsed = Endorsed::decode(&answer).map_err(|misfit| misfit.to_string())?;
        Ok(endorsed.chain)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows it for as long as it is polled.
pub(crate) async fn follow(center: Arc<Center>, cluster: Option<Cluster>) {
    let (Some(principal), Some(cluster)) = (center.principal.as_ref(), cluster) else {
        return std::future::pending().await;
    };
    loop {
        let why = match open(&center, principal, &cluster).await {
            Ok((line, run)) => {
                principal.state().line = Ok(line.clone());
                let ended = heed(&center, principal, &line).await;
                run.abort();
                ended
            }
            Err(why) => why,
        };
        principal.state().line = Err(why);
        sleep(AGAIN).await;
    }
}

/// How long until it is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// How long a question may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The most time between two looks at who holds which bundle.
const LOOK: Duration = Duration::from_secs(10);

/// Takes what it tells until that ends; says why it did.
async fn heed(center: &Arc<Center>, principal: &Principal, line: &Line) -> String {
    let (mut sender, mut incoming) = match line.call(call::FOLLOW).await {
        Ok(begun) => begun,
        Err(status) => return status.to_string(),
    };
    let mut news = center.holders.hear();
    let mut said = Follow { holds: None };
    if let Err(why) = say(&mut sender, &said).await {
        return why;
    }
    loop {
        tokio::select! {
            lead = next(&mut incoming) => {
                let lead = match lead {
                    Ok(lead) => lead,
                    Err(why) => return why,
                };
                if let Err(failed) = principal.take(center, lead) {
                    return failed.to_string();
                }
            }
            _ = news.changed() => drop(news.borrow_and_update()),
            () = sleep(LOOK) => {}
        }
        let now = Follow {
            holds: held(center, principal),
        };
        if said != now {
            if let Err(why) = say(&mut sender, &now).await {
                return why;
            }
            said = now;
        }
    }
}

async fn say(sender: &mut Sender, follow: &Follow) -> Result<(), String> {
    let sent = sender.send(&follow.encode()).await;
    sent.map_err(|status| status.to_string())
}

async fn next(incoming: &mut Incoming) -> Result<Lead, String> {
    let message = incoming.next().await.map_err(|status| status.to_string())?;
    let message = message.ok_or_else(|| "it ended the call".to_owned())?;
    Lead::decode(&message).map_err(|misfit| misfit.to_string())
}

/// The bundle of the default one, once all who have a certificate of ours are known to hold ours, which has all its roots.
fn held(center: &Center, principal: &Principal) -> Option<[u8; 16]> {
    let lead = principal.lead()?;
    let own = center.authority.told()?.bundle().1;
    let revoked = &center.edition().trusted.revoked;
    let awaited = center.holders.awaited(own, revoked, clock::wall());
    let bundle = bundle_of(&lead.trust_domain, &lead.roots).1;
    awaited.is_none().then_some(bundle.0)
}

/// Proves ourselves to the default one, and opens a connection to it.
async fn open(
    center: &Center,
    principal: &Principal,
    cluster: &Cluster,
) -> Result<(Line, JoinHandle<()>), String> {
    let told = timeout(LIMIT, cluster.mesh_told()).await;
    let told = told.map_err(|_| "the API server does not answer in time".to_owned())?;
    let told = told.map_err(|why| why.to_string())?;
    let mesh = told.ok_or_else(|| {
        "the cluster does not say where it is yet: it fills in configmap leno-system/leno-mesh"
            .to_owned()
    })?;
    let mesh: MeshAddress = mesh.parse().map_err(|_| {
        "configmap leno-system/leno-mesh does not say where it is: leno-mesh:..".to_owned()
    })?;
    let known = principal.state().shown.clone();
    let now = center.clocks.now().wall;
    let is_good = |shown: &Shown| {
        shown.own.trust_domain == mesh.trust_domain
            && shown.stands.left(now) > shown.stands.life() / 2
    };
    let shown = match known.filter(is_good) {
        Some(shown) => shown,
        None => {
            let shown = join(center, principal, &mesh).await?;
            principal.state().shown = Some(shown.clone());
            shown
        }
    };
    let opened = grpc::open_line(&shown.keyring, &shown.own, &mesh.address).await;
    let (line, _, run) = opened.inspect_err(|_| {
        // Perhaps it has another root by now.
        principal.state().shown = None;
    })?;
    Ok((line, run))
}

/// Gets a certificate for what our service account proves.
async fn join(center: &Center, principal: &Principal, mesh: &MeshAddress) -> Result<Shown, String> {
    let path = principal.beside.token.clone();
    let shown = path.display().to_string();
    let token = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
    let token = token.map_err(|_| "reading the token met a bug".to_owned())?;
    let token = token.map_err(|why| format!("the token in {shown} cannot be read: {why}"))?;
    let key = generate_key();
    let ask = Join {
        evidence: Evidence::Jwt(token.trim().to_owned()),
        namespace: None,
        service_account: None,
        request: key.request(),
    };
    let stream = grpc::connect(&mesh.address).await;
    let stream = stream.map_err(|why| format!("{}: {}", mesh.address, words(&why)))?;
    let expected = control_plane(&mesh.trust_domain);
    let proven = Proven::ByFingerprint(&mesh.fingerprint);
    let joining = grpc::join(stream, center.clocks.clock(), proven, &expected).await;
    let joining = joining.map_err(|failure| failure.to_string())?;
    let (line, run) = Line::open(joining.stream)
        .await
        .map_err(|status| status.to_string())?;
    let message = ask.encode();
    let joined = tokio::select! {
        joined = line.ask(call::JOIN, &message) => joined,
        gone = run => return Err(gone.to_string()),
    };
    let joined = joined.map_err(|status| status.to_string())?;
    let issued = Joined::decode(&joined).map_err(|misfit| misfit.to_string())?;
    let issued = issued.issued;
    let unfit = |why: &dyn ToString| format!("what it issued cannot be used: {}", why.to_string());
    let credential = Credential::new(issued.chain, key).map_err(|why| unfit(&why))?;
    let keyring = Keyring::new(center.clocks.clock());
    keyring.install(&credential).map_err(|why| unfit(&why))?;
    let roots = [(issued.trust_domain, Arc::new(issued.roots))].into();
    let (trust, _) = Trust::new(&roots, Arc::default());
    keyring.judge_by(Arc::new(trust));
    Ok(Shown {
        keyring: Arc::new(keyring),
        own: credential.id().clone(),
        stands: credential.validity(),
    })
}

/// The root that signs there.
pub(crate) fn active(lead: &Lead) -> Fingerprint {
    Fingerprint(lead.active)
}

/// Where what it told last is kept.
fn label() -> Label {
    Label::new("beside/lead").expect("a constant that is a label")
}
