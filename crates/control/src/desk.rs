//! What a program may ask of the control plane that runs inside it, without a socket between.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use leno_admin::several::Respondent;
use leno_admin::{
    Applied, Apply, Asker, Checked, Configuration, ConfigurationOf, Diff, DiffOf, Failure, History,
    HistoryOf, KeptCalls, KeptOf, Overview, Proxies, Question, Reply, Story, StoryOf,
};
use leno_agent::{Authority, Given};
use leno_identity::{Credential, Fingerprint};
use leno_model::view::WorkloadId;
use leno_model::{Code, SpiffeId};
use leno_store::NotRead;
use leno_telemetry::export::Export;
use leno_wire::Holds;
use leno_wire::flows::Taken;
use leno_wire::tokens::Mint;
use tokio::sync::{mpsc, watch};

use crate::auditing::{self, Asked};
use crate::authority::{NotFounded, NotIssued};
use crate::center::{Center, Looking, Telling};
use crate::condition::Withheld;
use crate::edition::Edition;
use crate::entitled::Entitled;
use crate::entitled::node;
use crate::fleet::{Member, Place, Way};
use crate::flows::NotTaken;
use crate::holders::Seat;
use crate::present::Present;
use crate::sight::Sight;
use crate::{administer, apply, asking, clock, flows, mint, overview, told};

/// The way to a control plane from the process that it runs in. What is not `async` waits for nothing
/// but the disk.
#[derive(Clone)]
pub struct Desk {
    center: Arc<Center>,
    /// How much of single calls is told; all of them without it.
    sight: Option<Sight>,
}

/// A proxy of this process among those that follow the control plane, for as long as it is held.
pub struct Attendance {
    center: Arc<Center>,
    name: String,
    place: Place,
    identity: SpiffeId,
    seat: Seat,
    peer: SocketAddr,
    way: OnceLock<Way>,
}

impl Desk {
    pub(crate) fn of(center: Arc<Center>) -> Self {
        Self {
            center,
            sight: None,
        }
    }

    /// The same, telling of single calls only as much as somebody may see.
    pub(crate) fn seen_by(self, sight: Sight) -> Self {
        Self {
            sight: Some(sight),
            ..self
        }
    }

    /// Answers a question as the socket would. Unlike the rest it may wait for what runs.
    pub async fn answer(&self, asker: Asker, question: Question) -> Result<Reply, Failure> {
        administer::answer(Arc::clone(&self.center), asker, question).await
    }

    /// Writes down that a proxy of this process is asked beside its control plane, if that is to be written
    /// down. What cannot be is not to be answered.
    pub async fn note_asked(&self, asker: Asker, question: &Question) -> Result<(), Failure> {
        administer::note_asked(&self.center, &asker, question).await
    }

    /// Writes down that a user of this host asks a proxy of this process, and may not. Waits for the disk.
    pub fn note_stranger(&self, user: u32) {
        auditing::refused(&self.center, &Asked::of_stranger(user), Code::S016);
    }

    /// Writes down that somebody was kept out of the page, and what was tried; as much of it as the audit
    /// log takes. Waits for the disk.
    pub fn note_kept_out(&self, attempt: &str) {
        auditing::refused(&self.center, &Asked::of_page(attempt), Code::S016);
    }

    /// The newest state of the mesh.
    pub fn edition(&self) -> Arc<Edition> {
        self.center.edition()
    }

    /// Each new state of the mesh from here on.
    pub fn editions(&self) -> watch::Receiver<Arc<Edition>> {
        self.center.editions.subscribe()
    }

    /// Says all that runs in this process's care. It is part of the newest edition, which is
    /// returned, when this returns.
    pub fn report(&self, present: BTreeMap<WorkloadId, Present>) -> Result<Arc<Edition>, NotRead> {
        self.center.presence.report(present)?;
        self.center.renew()?;
        Ok(self.edition())
    }

    /// Makes files part of the configuration, for `who`; in force when this returns.
    pub fn apply(&self, who: Asker, ask: Apply) -> Result<Applied, Failure> {
        let asked = Asked::new(&who, "apply", &format!("set {}", ask.set));
        let sight = Sight::of(&self.center, &who);
        let applied = apply::apply(
            &self.center,
            &sight,
            administer::who(&self.center, &who),
            ask,
        );
        auditing::note(&self.center, &asked, applied.as_ref().err());
        applied
    }

    /// Lets those who ask how the mesh is know of a file that is watched and was refused with
    /// `why`; of none from here on where that is absent.
    pub fn withhold(&self, file: &str, why: Option<&Failure>) {
        self.center.withhold(why.map(|why| Withheld {
            file: file.to_owned(),
            why: why.clone(),
            since: clock::wall(),
        }));
    }

    /// What leads from one revision to another.
    pub fn diff(&self, ask: &DiffOf) -> Result<Diff, Failure> {
        administer::diff(&self.center, ask)
    }

    /// What was changed, when, by whom.
    pub fn history(&self, ask: &HistoryOf) -> Result<History, Failure> {
        administer::history(&self.center, ask)
    }

    /// Whether the mesh is well.
    pub fn check(&self) -> Checked {
        administer::check(&self.center)
    }

    /// How the mesh is at a glance, as far as a control plane knows.
    pub fn overview(&self) -> Result<Overview, Failure> {
        overview::overview(&self.center)
    }

    /// Answers those who ask how the mesh is by what `look` says, for as long as that says
    /// something. The first that is said holds.
    pub fn give_look<L>(&self, look: impl Fn() -> Option<L> + Send + Sync + 'static)
    where
        L: Future<Output = Result<Overview, Failure>> + Send + 'static,
    {
        let look = move || look().map(|looking| Box::pin(looking) as Looking);
        self.center.look.get_or_init(|| Box::new(look));
    }

    /// Answers those who ask what became of a call by what `tell` says. The first that is said holds.
    pub fn give_stories<T>(&self, tell: impl Fn(Self, StoryOf) -> T + Send + Sync + 'static)
    where
        T: Future<Output = Result<Story, Failure>> + Send + 'static,
    {
        let tell = move |desk, ask| Box::pin(tell(desk, ask)) as Telling;
        self.center.stories.get_or_init(|| Box::new(tell));
    }

    /// What the connected proxies keep of calls that are over.
    pub async fn kept(&self, ask: KeptOf) -> KeptCalls {
        let kept = asking::kept(&self.center, ask).await;
        match &self.sight {
            Some(sight) => sight.kept(kept),
            None => kept,
        }
    }

    /// What is in force, or was.
    pub fn configuration(&self, ask: &ConfigurationOf) -> Result<Configuration, Failure> {
        told::configuration(&self.center, ask.at.as_ref())
    }

    /// Finds wrong what a proxy in this process cannot send to a collector. The first that is said
    /// holds.
    pub fn give_export(&self, export: &Arc<Export>) {
        self.center.export.get_or_init(|| Arc::clone(export));
    }

    /// Who is connected, and what each holds.
    pub fn proxies(&self) -> Proxies {
        administer::proxies(&self.center)
    }

    /// Lets those who may ask the socket look at the dashboard, by links that `make` makes. The
    /// first that is said holds.
    pub fn give_links(&self, make: impl Fn() -> String + Send + Sync + 'static) {
        self.center.links.get_or_init(|| Box::new(make));
    }

    /// Founds the CA for the trust domain that is in force, unless there is one; it is part of the
    /// newest edition when this returns.
    pub fn found(&self) -> Result<(), NotFounded> {
        let edition = self.edition();
        self.center.found(&edition.mesh.settings.trust_domain)
    }

    /// Lists a proxy of this process, which serves the workloads of `of`'s namespace and takes calls
    /// for them at `tunnel`, among those that follow. Beside it come the identities of which somebody
    /// wants the certificates renewed at once.
    pub fn attend(
        &self,
        name: &str,
        of: &WorkloadId,
        tunnel: SocketAddr,
    ) -> (Attendance, mpsc::Receiver<SpiffeId>) {
        let identity = SpiffeId {
            trust_domain: self.edition().mesh.settings.trust_domain.clone(),
            namespace: of.namespace.clone(),
            service_account: node(),
        };
        let (renew, renewals) = mpsc::channel(MOST_RENEWALS);
        let place = self.center.fleet.enter(Member {
            tunnel: Some(tunnel),
            ..Member::new(name.to_owned(), identity.clone(), tunnel, renew)
        });
        let attendance = Attendance {
            center: Arc::clone(&self.center),
            place,
            identity,
            // Another process of the same name is the same one, started again.
            seat: self
                .center
                .holders
                .seat_of(Fingerprint::of(name.as_bytes())),
            name: name.to_owned(),
            peer: tunnel,
            way: OnceLock::new(),
        };
        (attendance, renewals)
    }
}

/// How many wishes for a renewal may wait.
const MOST_RENEWALS: usize = 64;

impl Attendance {
    /// The proxy goes by `edition` from here on, in front of `workloads`.
    pub fn adopted(&self, edition: &Edition, workloads: BTreeSet<WorkloadId>) {
        let wants = edition.every_service();
        let target = edition.target(&workloads, None, &wants);
        self.seat.holds(&self.name, edition.bundle());
        self.place.update(|member| {
            member.wants = Arc::new(wants);
            member.holds = Holds::Adopted(Arc::new(target));
            member.adopted = edition.generation.clone();
            member.current = true;
            member.workloads = workloads;
        });
    }

    /// Lets those who ask the control plane about calls ask this proxy, too. The first that is said
    /// holds.
    pub fn answer_by(&self, respondent: Respondent) {
        let fleet = &self.center.fleet;
        self.way
            .get_or_init(|| fleet.answers(self.peer, respondent));
    }

    /// Takes reports of what went through the proxy, as port 15012 does.
    pub fn reports(&self) -> impl Fn(&[u8]) -> Result<Taken, NotTaken> + Clone + use<> {
        let (center, identity) = (Arc::clone(&self.center), self.identity.clone());
        move |message| flows::take(&center, &identity, |_| true, message)
    }

    /// A new certificate with its key, for somebody whom the proxy acts as.
    pub fn credential(&self, id: &SpiffeId) -> Result<Credential, NotIssued> {
        let signed = self.sign(id);
        let noted = match &signed {
            Ok(credential) => Ok(credential.validity().ends),
            Err(error) => Err(error.to_string()),
        };
        self.center.fleet.certified(self.peer, id, noted);
        signed
    }

    fn sign(&self, id: &SpiffeId) -> Result<Credential, NotIssued> {
        let edition = self.center.edition();
        if edition.trusted.revoked.contains(id) {
            return Err(NotIssued::Revoked(id.clone()));
        }
        let (center, life) = (&self.center, edition.mesh.lifetimes.leaf);
        let signed = center.authority.credential(id, life, clock::wall())?;
        let why = format!("in this process: {}", self.name);
        let whose = self.seat.whose();
        center.holders.remember(&signed, &whose, id, &why)?;
        Ok(signed.what)
    }
}

impl Authority for Attendance {
    fn certificate(&self, id: &SpiffeId) -> Given<Credential> {
        let signed = self.sign(id);
        Box::pin(ready(signed.map_err(|why| why.to_string())))
    }

    fn token(&self, id: &SpiffeId, audiences: &[String]) -> Given<String> {
        let ask = Mint {
            identity: id.clone(),
            audiences: audiences.to_vec(),
        };
        let edition = self.center.edition();
        let entitled = Entitled::new(&edition.mesh, id, None);
        let minted = mint::mint(&self.center, &entitled, &ask);
        let minted = minted.map_err(|status| status.to_string());
        Box::pin(ready(minted.map(|minted| minted.token)))
    }
}
