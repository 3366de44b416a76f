//! How a proxy follows its control plane: it joins once, keeps its certificates young, is told its
//! views, and keeps on disk what it needs to go on without any of that.
//!
//! A [`Follower`] never gives up and never takes anything away: while the control plane is away, the
//! view and the certificates that are held stay in use. [`Asker`] is how a request waits for
//! something the view was not asked to hold.

mod answer;
mod ask;
mod certify;
mod event;
mod folder;
mod join;
mod leave;
mod looks;
mod placer;
mod readmit;
mod rejoin;
mod signer;
mod stream;
mod time;
mod troubles;
mod visit;
mod voucher;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use leno_admin::several::Respondent;
use leno_channel::grpc::Line;
use leno_channel::{Clocks, Keyring};
use leno_identity::Trust;
use leno_model::view::{View, WorkloadId};
use leno_model::{Dice, Pause, SpiffeId, Wall};
use leno_telemetry::Telemetry;
use leno_traffic::Scope;
use leno_wire::{Client, Holder};
use tokio::sync::{mpsc, watch};

pub use ask::{Asker, Unanswered};
pub use event::Event;
pub use folder::{Folder, NotJoinedYet};
pub use join::{NotJoined, Shown, TokenFile, Wanted, join};
pub use leave::{NotLeft, leave};
pub use looks::Looks;
pub use placer::Placer;
pub use signer::Signer;
pub use visit::{Member, NotVisited, Visit};
pub use voucher::{Voucher, join_vouched};

use crate::follow::ask::{Order, Waiting};
use crate::follow::certify::Certificates;
use crate::follow::time::Timekeeper;
use crate::reports::Reports;

/// How long the end of a proxy may wait until its last reports are taken.
const LAST_REPORTS: Duration = Duration::from_secs(2);

/// How a proxy follows.
#[derive(Clone, Debug)]
pub struct Following {
    /// What it calls itself, for people.
    pub name: String,
    /// The folder that [`join()`] wrote, in which views are kept too.
    pub folder: PathBuf,
    /// The workloads it stands in front of.
    pub workloads: BTreeSet<WorkloadId>,
    /// Where it takes mesh calls for them, as others reach it.
    pub tunnel: Option<SocketAddr>,
    /// What it shows to join where what is in the folder was another's ([`Folder::inherit`]).
    pub token: Option<TokenFile>,
    /// Where dice begin. Different in each process.
    pub seed: u64,
}

/// Follows a control plane.
pub struct Follower {
    client: Client,
    view: Option<Arc<View>>,
    holder: Holder,
    /// Host and port of the control plane; of several those of all, with commas between them.
    address: String,
    /// The roots of the own trust domain that are on disk.
    roots: Arc<Vec<Vec<u8>>>,
    token: Option<TokenFile>,
    certificates: Certificates,
    timekeeper: Timekeeper,
    reports: Option<Reports>,
    looks: Looks,
    /// What becomes of what is sent to a collector, which the control plane is told.
    telemetry: Option<Telemetry>,
    keyring: Arc<Keyring>,
    clocks: Clocks,
    dice: Dice,
    orders: mpsc::Receiver<Order>,
    waiting: Waiting,
    save: watch::Sender<Option<Vec<u8>>>,
    folder: Folder,
    /// Answers what the control plane asks.
    respondent: Option<Respondent>,
    /// The connection to the control plane, while there is one.
    line: watch::Sender<Option<Line>>,
}

impl Follower {
    /// Takes up what the folder holds: certificates go into `keyring`, which judges by the roots
    /// that are held until a view says otherwise. A saved view that was not signed for this
    /// proxy is told in `tell` and set aside; another will come.
    pub fn open(
        following: &Following,
        keyring: Arc<Keyring>,
        clocks: Clocks,
        mut tell: impl FnMut(&Event),
    ) -> Result<(Self, Asker), NotJoinedYet> {
        let folder = Folder::open(&following.folder)?;
        let joined = folder.joined()?;
        if let Some(told) = folder.time() {
            clocks.take_up(told);
        }
        let mut dice = Dice::new(following.seed);
        let certificates = Certificates::of(&folder, &keyring, &mut dice)?;
        let domain = joined.own.trust_domain.clone();
        let roots = Arc::new(joined.roots);
        let bundles = [(domain.clone(), Arc::clone(&roots))].into();
        let (trust, _) = Trust::new(&bundles, Arc::default());
        let holder = Holder {
            proxy: following.name.clone(),
            identity: joined.own,
        };
        let restored = folder
            .view()
            .map(|bytes| Client::restore(&holder, &bytes, &trust));
        keyring.judge_by(Arc::new(trust));
        let (mut client, view) = match restored {
            Some(Ok((client, mut view))) => {
                // They are kept before a view is acknowledged, and that one perhaps after.
                view.bundles.insert(domain, Arc::clone(&roots));
                (client, Some(Arc::new(view)))
            }
            Some(Err(why)) => {
                tell(&Event::NotRestored(why));
                // Should that fail, it is refused and told again after the next start.
                drop(folder.set_view_aside());
                (Client::new(&following.name), None)
            }
            None => (Client::new(&following.name), None),
        };
        client.announce(following.workloads.clone(), following.tunnel);
        if let Err(why) = folder.keep_workloads(&following.workloads) {
            tell(&Event::NotSaved {
                why: why.to_string(),
            });
        }
        let (asker, orders) = Asker::new();
        let follower = Self {
            client,
            view,
            holder,
            address: joined.address,
            roots,
            token: following.token.clone(),
            certificates,
            timekeeper: Timekeeper::new(&clocks),
            reports: None,
            looks: Looks::default(),
            telemetry: None,
            keyring,
            clocks,
            dice,
            orders,
            waiting: Waiting::default(),
            save: watch::Sender::new(None),
            folder,
            respondent: None,
            line: watch::Sender::new(None),
        };
        Ok((follower, asker))
    }

    /// Answers the control plane's questions by `respondent`, from the next connection on.
    pub fn answer_by(&mut self, respondent: Respondent) {
        self.respondent = Some(respondent);
    }

    /// The way to get something signed for those whom the proxy stands in front of.
    pub fn signer(&self) -> Signer {
        Signer(self.line.subscribe())
    }

    /// The way to find out which pods the proxy of a node is to serve.
    pub fn placer(&self) -> Placer {
        Placer::new(self.line.subscribe())
    }

    /// The way to get the processes of pods that this proxy serves their first certificates.
    pub fn voucher(&self) -> Voucher {
        Voucher::new(self.line.subscribe(), self.address.clone())
    }

    /// Reports what `telemetry` counts of calls from here on, and why a collector does not get it; its metrics
    /// say how certificates stand.
    pub fn report(&mut self, telemetry: &Telemetry) {
        let (proxy, clocks) = (&self.holder.proxy, self.clocks.clone());
        self.reports = Some(Reports::new(proxy, telemetry, clocks, &mut self.dice));
        self.certificates.tell_in(telemetry);
        self.telemetry = Some(telemetry.clone());
    }

    /// The way to have the control plane told who asks the proxy by its own socket.
    pub fn looks(&self) -> Looks {
        self.looks.clone()
    }

    /// Who it proves to be.
    pub fn identity(&self) -> &SpiffeId {
        &self.holder.identity
    }

    /// What it keeps on disk.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The certificates that are held, each with its last second.
    pub fn certificates(&self) -> BTreeMap<SpiffeId, Wall> {
        self.certificates.held()
    }

    /// The last view that was adopted, also by an earlier process, and what it holds.
    pub fn view(&self) -> Option<(Arc<View>, Scope)> {
        Some((self.view.clone()?, self.scope()))
    }

    /// Sends what went through the proxy and was not reported, when nothing goes through it any more.
    /// It gives up after a while: nobody waits for a control plane that is away.
    pub async fn tell_the_last(&mut self) {
        let Some(reports) = &mut self.reports else {
            return;
        };
        if reports.gather_the_last() {
            let told =
                stream::tell_the_last(reports, &self.keyring, &self.holder.identity, &self.address);
            // What it cannot be told in time is lost.
            drop(tokio::time::timeout(LAST_REPORTS, told).await);
        }
    }

    /// Follows for as long as it is polled. Each view is handed to `adopt`, whole and in order;
    /// whatever happens, to `tell`.
    pub async fn run(
        &mut self,
        mut adopt: impl FnMut(Arc<View>, Scope),
        mut tell: impl FnMut(&Event),
    ) -> Infallible {
        let saving = tokio::spawn(folder::keep_saving(
            self.folder.clone(),
            self.save.subscribe(),
        ));
        let _saving = stream::EndWith(saving);
        let mut pause = Pause::default();
        // Why it is away, as was told since it was connected: the same is not told at every try.
        let mut away = None;
        loop {
            let mut hear = |event: &Event| {
                if *event == Event::Connected {
                    away = None;
                }
                tell(event);
            };
            let why = self.connected(&mut adopt, &mut hear, &mut pause).await;
            self.line.send_replace(None);
            self.turn_to_the_next();
            if away.as_ref() != Some(&why) {
                tell(&Event::Away { why: why.clone() });
                away = Some(why);
            }
            let rest = pause.next(&mut self.dice);
            let rest = rest.min(self.certificates.patience(self.clocks.now()));
            self.rest(rest, &mut tell).await;
        }
    }

    fn scope(&self) -> Scope {
        Scope::Answered(Arc::new(self.client.answered().cloned().collect()))
    }
}
