//! A control plane on the loopback, with a folder of its own.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use leno_admin::{Applied, Apply, Client, CreateToken, Failure, File, NotAsked, remote};
use leno_channel::Keyring;
use leno_control::{Control, Desk, Event, NotStarted, Settings};
use leno_model::Name;
use leno_model::view::{View, WorkloadId};
use leno_proxy::Clocks;
use leno_proxy::follow::{
    self, Asker, Folder, Follower, Following, Looks, Member, NotJoined, Shown, Wanted,
};
use leno_store::NotOpened;
use leno_telemetry::Telemetry;
use leno_wire::JoinToken;
use tokio::sync::watch;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

/// A folder of one test, which is gone when it is dropped.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("leno-control-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What was cut off may still be writing: by this name it finds nothing from here on, so that all
        // goes that is in it. One that is gone already needs nothing.
        let gone = self.0.with_extension("gone");
        if std::fs::rename(&self.0, &gone).is_ok() {
            drop(std::fs::remove_dir_all(gone));
        }
    }
}

/// A running control plane.
pub(crate) struct World {
    pub(crate) admin: Client,
    pub(crate) desk: Desk,
    pub(crate) events: watch::Receiver<Vec<Event>>,
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
    pub(crate) place: Arc<Place>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Arc::new(Place::new()), |_| {}).await
    }

    pub(crate) async fn watching(folder: &Path, place: Arc<Place>) -> Self {
        Self::with(place, |settings| settings.folders = vec![folder.to_owned()]).await
    }

    /// The same, with settings of its own.
    pub(crate) async fn with(place: Arc<Place>, change: impl FnOnce(&mut Settings)) -> Self {
        Self::of(place, "127.0.0.1:0".parse().unwrap(), change).await
    }

    async fn of(place: Arc<Place>, listen: SocketAddr, change: impl FnOnce(&mut Settings)) -> Self {
        // The port is chosen before it is advertised.
        let listen = match listen.port() {
            0 => std::net::TcpListener::bind(listen)
                .unwrap()
                .local_addr()
                .unwrap(),
            _ => listen,
        };
        let mut settings = Settings {
            advertise: Some(listen.to_string()),
            ..Settings::new(place.path("store"), listen, place.path("control.sock"))
        };
        change(&mut settings);
        let (hear, events) = watch::channel(Vec::new());
        let tell = move |event: &Event| hear.send_modify(|all| all.push(event.clone()));
        let control = within(async {
            loop {
                match Control::open(settings.clone(), tell.clone()) {
                    // A thread of the one before is still writing.
                    Err(NotStarted::Store(NotOpened::InUse { .. })) => yield_now().await,
                    opened => break opened.unwrap(),
                }
            }
        });
        let control = control.await;
        let address = control.address().unwrap();
        let desk = control.desk();
        let task = tokio::spawn(async {
            let ended = control.run().await;
            panic!("{ended}");
        });
        Self {
            admin: Client::new(&place.path("control.sock")),
            desk,
            events,
            address,
            task,
            place,
        }
    }

    /// Waits for an event that is as expected, and gives back all so far.
    pub(crate) async fn event(&self, expected: impl Fn(&Event) -> bool) -> Vec<Event> {
        told(&self.events, expected).await
    }

    /// Ends the control plane as a kill would, and gives back what is left on disk.
    pub(crate) async fn kill(self) -> (Arc<Place>, SocketAddr) {
        self.task.abort();
        drop(self.task.await);
        (self.place, self.address)
    }

    /// Starts a control plane again on what is left.
    pub(crate) async fn again((place, address): (Arc<Place>, SocketAddr)) -> Self {
        Self::of(place, address, |_| {}).await
    }

    /// The same, watching a folder.
    pub(crate) async fn again_watching(
        (place, address): (Arc<Place>, SocketAddr),
        folder: &Path,
    ) -> Self {
        let watched = vec![folder.to_owned()];
        Self::of(place, address, |settings| settings.folders = watched).await
    }

    pub(crate) async fn apply(&self, text: &str) -> Applied {
        self.try_apply(text, |_| {}).await.unwrap()
    }

    pub(crate) async fn try_apply(
        &self,
        text: &str,
        change: impl FnOnce(&mut Apply),
    ) -> Result<Applied, Failure> {
        let mut apply = Apply {
            files: vec![File {
                path: "shop.yaml".into(),
                text: text.into(),
            }],
            namespace: "shop".into(),
            set: "shop".into(),
            prune: false,
            if_revision: None,
            message: String::new(),
            allow_errors: false,
            watch: None,
            dry_run: false,
        };
        change(&mut apply);
        self.admin.ask(apply).await.map_err(|error| match error {
            NotAsked::Refused(failure) => failure,
            NotAsked::Away { .. } | NotAsked::Misfit(_) => panic!("{error}"),
        })
    }

    pub(crate) async fn token(&self, account: Option<&str>) -> JoinToken {
        let made = self.admin.ask(CreateToken {
            namespace: "shop".into(),
            service_account: account.map(str::to_owned),
            uses: 1,
            seconds: 60,
        });
        made.await.unwrap().text.parse().unwrap()
    }

    /// A person of that name on another host, who has a certificate.
    pub(crate) async fn person(&self, name: &str) -> Client {
        self.joined(leno_model::role::PEOPLE, name).await
    }

    /// Whoever joins as that, and asks from another host.
    pub(crate) async fn joined(&self, namespace: &str, account: &str) -> Client {
        let made = self.admin.ask(CreateToken {
            namespace: namespace.into(),
            service_account: Some(account.into()),
            uses: 1,
            seconds: 60,
        });
        let token: JoinToken = made.await.unwrap().text.parse().unwrap();
        let place = Arc::new(Place::new());
        join(&token, None, &place).await.unwrap();
        Client::by(account.to_owned(), move |asked| {
            let place = Arc::clone(&place);
            Box::pin(async move {
                let folder = Folder::open(&place.path("")).unwrap();
                let member = Member::of(folder).unwrap();
                let visit = member.visit(&Clocks::start()).await;
                let (line, keeps) = visit.map_err(io::Error::other)?.open();
                let told = remote::ask(line, asked, (keeps, place)).await;
                told.map_err(io::Error::other)
            })
        })
    }

    /// A proxy that joins with a new token and follows.
    pub(crate) async fn proxy(&self, account: Option<&str>, workloads: &[&str]) -> Proxy {
        let token = self.token(account).await;
        let place = Arc::new(Place::new());
        join(&token, None, &place).await.unwrap();
        Proxy::start(place, workloads)
    }
}

pub(crate) async fn join(
    token: &JoinToken,
    account: Option<&str>,
    place: &Place,
) -> Result<String, NotJoined> {
    let wanted = Wanted {
        account: account.map(|account| Name::new(account).unwrap()),
        ..Wanted::default()
    };
    let shown = Shown::Token(token);
    let joined = follow::join(shown, &wanted, &place.path(""), Clocks::start()).await;
    joined.map(|id| id.to_string())
}

/// A proxy that follows, without any listener.
pub(crate) struct Proxy {
    pub(crate) asker: Asker,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) clocks: Clocks,
    pub(crate) telemetry: Telemetry,
    pub(crate) looks: Looks,
    pub(crate) events: watch::Receiver<Vec<follow::Event>>,
    views: watch::Receiver<Option<Arc<View>>>,
    task: JoinHandle<()>,
    pub(crate) place: Arc<Place>,
}

impl Proxy {
    pub(crate) fn start(place: Arc<Place>, workloads: &[&str]) -> Self {
        Self::start_by(Clocks::start(), place, workloads)
    }

    /// The same on a host with these clocks.
    pub(crate) fn start_by(clocks: Clocks, place: Arc<Place>, workloads: &[&str]) -> Self {
        let id = |text: &&str| WorkloadId {
            namespace: leno_model::Namespace::new("shop").unwrap(),
            name: Name::new(text).unwrap(),
        };
        let workloads: BTreeSet<_> = workloads.iter().map(id).collect();
        let following = Following {
            name: "proxy".into(),
            folder: place.path(""),
            workloads,
            tunnel: Some("10.9.9.9:15008".parse().unwrap()),
            token: None,
            seed: 1,
        };
        let keyring = Arc::new(Keyring::new(clocks.clock()));
        let mut heard = Vec::new();
        let hear = |event: &follow::Event| heard.push(event.clone());
        let opened = Follower::open(&following, Arc::clone(&keyring), clocks.clone(), hear);
        let (mut follower, asker) = opened.unwrap();
        let telemetry = Telemetry::new(leno_telemetry::Settings::default());
        follower.report(&telemetry);
        let looks = follower.looks();
        let first = follower.view().map(|(view, _)| view);
        let (adopt, views) = watch::channel(first);
        let (tell, events) = watch::channel(heard);
        let judging = Arc::clone(&keyring);
        let task = tokio::spawn(async move {
            let adopted = move |view: Arc<View>, _| {
                let (trust, _) = leno_identity::Trust::new(&view.bundles, view.revoked.clone());
                judging.judge_by(Arc::new(trust));
                adopt.send_replace(Some(view));
            };
            let told = move |event: &follow::Event| tell.send_modify(|all| all.push(event.clone()));
            match follower.run(adopted, told).await {}
        });
        Self {
            asker,
            keyring,
            clocks,
            telemetry,
            looks,
            events,
            views,
            task,
            place,
        }
    }

    /// Ends the process as a kill would, and starts it again.
    pub(crate) async fn restart(self, workloads: &[&str]) -> Self {
        Self::start(self.kill().await, workloads)
    }

    /// Ends the process as a kill would, and gives back what is left on disk.
    pub(crate) async fn kill(self) -> Arc<Place> {
        // What was adopted is on disk soon after.
        self.task.abort();
        drop(self.task.await);
        self.place
    }

    /// The view that is held, if there is one.
    pub(crate) fn held(&self) -> Option<Arc<View>> {
        self.views.borrow().clone()
    }

    /// Waits for a view that is as expected.
    pub(crate) async fn view(&mut self, expected: impl Fn(&View) -> bool) -> Arc<View> {
        let is_it = |view: &Option<Arc<View>>| view.as_deref().is_some_and(&expected);
        let found = within(self.views.wait_for(is_it)).await.unwrap();
        found.clone().unwrap()
    }

    /// Waits for an event that is as expected.
    pub(crate) async fn event(&self, expected: impl Fn(&follow::Event) -> bool) {
        told(&self.events, expected).await;
    }

    /// What is on disk.
    pub(crate) fn folder(&self) -> PathBuf {
        self.place.path("")
    }
}

/// Waits until one of what is told is as expected, and gives back all so far.
async fn told<T: Clone + Debug>(
    events: &watch::Receiver<Vec<T>>,
    expected: impl Fn(&T) -> bool,
) -> Vec<T> {
    let mut heard = events.clone();
    let happened = |events: &Vec<T>| events.iter().any(&expected);
    match timeout(LONG, heard.wait_for(happened)).await {
        Ok(all) => all.unwrap().clone(),
        Err(_) => panic!("it never came, but: {:?}", events.borrow()),
    }
}

/// Nothing here takes that long, unless it never comes.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("it never came")
}

const LONG: Duration = Duration::from_secs(60);

/// A shop: a web and two versions of a cart.
pub(crate) const SHOP: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web, labels: {app: web}}
spec: {instances: [{name: web, address: 10.0.0.1}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart-v1, labels: {app: cart, version: v1}}
spec: {serviceAccount: cart, ports: [{port: 8080, protocol: HTTP}], instances: [{name: cart-v1, address: 10.0.0.2}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {app: cart}, clusterIP: 10.1.0.1, ports: [{port: 80, targetPort: 8080, appProtocol: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: mail}
spec: {selector: {app: mail}, ports: [{port: 25}]}
";
