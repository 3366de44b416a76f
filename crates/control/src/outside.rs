//! Authorities outside that let this control plane sign: each gives it an intermediate, now and again,
//! and never signs for anybody else. Leaves are signed here, as many as are asked for, also while such
//! an authority is away; what it gave ends, and so does whatever somebody takes away from here.

mod beside;
mod cluster;
mod files;
mod vault;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_admin::FailingCa;
use leno_channel::{Clock, generate_key};
use leno_compile::{By, Ca, Outside as Written};
use leno_identity::{Key, Renewal, Validity, endorsed};
use leno_kubernetes::{Cluster, Signer};
use leno_model::role::{CONTROL_PLANE, SYSTEM};
use leno_model::{Code, Dice, Name, Namespace, ObjectRef, Origin, TrustDomain, Wall};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use crate::authority::Given;
use crate::center::Center;
use crate::outside::beside::OfPrincipal;
use crate::outside::cluster::Requests;
use crate::outside::files::Files;
use crate::outside::vault::Vault;
use crate::{clock, rotate};

/// An authority outside.
pub(crate) trait Outside: Send + Sync {
    /// Asks for an intermediate. It need not take long to say no.
    fn ask(&self, wanted: Wanted) -> Asking<'_>;

    /// Whether it is asked all the time: what it gives may change without anybody's asking, and asking
    /// costs nothing.
    fn is_watched(&self) -> bool;
}

/// What comes of asking.
pub(crate) type Asking<'a> = Pin<Box<dyn Future<Output = Result<Offer, NotOffered>> + Send + 'a>>;

/// What is asked for.
pub(crate) struct Wanted {
    /// For whom.
    pub(crate) domain: TrustDomain,
    /// How long it should stand.
    pub(crate) life: Duration,
    /// The key to be signed, by an authority that brings none.
    pub(crate) key: Key,
}

/// What an authority gave.
#[derive(Clone)]
pub(crate) struct Offer {
    /// In DER: the intermediate, those above it, the root last.
    pub(crate) chain: Vec<Vec<u8>>,
    /// The intermediate's key.
    pub(crate) key: Key,
}

/// Why an authority gave nothing that can be used, as a sentence about it without its full stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NotOffered {
    /// The default control plane, which is to give one, is away.
    Away(String),
    /// What is written of it, or what it gave, cannot be used.
    Unusable(String),
    /// It said no, or is away.
    Refused(String),
}

impl NotOffered {
    fn code(&self) -> Code {
        match self {
            Self::Away(_) => Code::T026,
            Self::Unusable(_) => Code::T018,
            Self::Refused(_) => Code::T007,
        }
    }
}

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Away(why) | Self::Unusable(why) | Self::Refused(why)) = self;
        f.write_str(why)
    }
}

/// Who is to sign that is not this control plane.
#[derive(Clone, PartialEq, Eq)]
enum Who {
    /// As it is written.
    Written(Written),
    /// The default control plane, which this one stands beside.
    Principal,
}

impl Who {
    /// Whoever is to sign now; nobody but this control plane, if it is that one.
    fn now(center: &Center) -> Option<Self> {
        match &center.edition().mesh.ca {
            Ca::Outside(written) => Some(Self::Written(written.clone())),
            Ca::Own => center.principal.is_some().then_some(Self::Principal),
            Ca::Unclear => None,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Written(one), Self::Written(other)) => one.by == other.by,
            (Self::Principal, Self::Principal) => true,
            (Self::Written(_), Self::Principal) | (Self::Principal, Self::Written(_)) => false,
        }
    }

    fn asked(&self, center: &Arc<Center>, cluster: Option<&Cluster>) -> Box<dyn Outside> {
        match self {
            Self::Written(written) => outside(&written.by, center.clocks.clock(), cluster),
            Self::Principal => Box::new(OfPrincipal::new(Arc::clone(center))),
        }
    }

    /// What tells it from others, for people.
    fn source(&self) -> String {
        match self {
            Self::Written(written) => source(&written.by),
            Self::Principal => "the default control plane".to_owned(),
        }
    }

    /// Where it is written; else where it is.
    fn origin(&self) -> Origin {
        match self {
            Self::Written(written) => written.origin.clone(),
            Self::Principal => Origin {
                object: Arc::new(ObjectRef {
                    kind: "Deployment".into(),
                    namespace: Namespace::new(SYSTEM).ok(),
                    name: Name::new(CONTROL_PLANE).expect("a constant that is a name"),
                }),
                pointer: "".into(),
                place: None,
            },
        }
    }

    /// Whether it is asked so often that one failure says nothing yet: files may be half replaced, and a control plane is
    /// told in time to say where it is.
    fn is_looked_at(&self) -> bool {
        match self {
            Self::Written(written) => matches!(written.by, By::Files { .. }),
            Self::Principal => true,
        }
    }
}

fn outside(by: &By, clock: Clock, cluster: Option<&Cluster>) -> Box<dyn Outside> {
    let (signer, root_file) = match by {
        By::Files { chain, key } => return Box::new(Files::new(chain, key)),
        By::Vault(vault) => return Box::new(Vault::new(vault.clone(), clock)),
        By::CertManager {
            group,
            kind,
            name,
            root_file,
        } => {
            let [group, kind, name] = [group, kind, name].map(|it| it.to_string());
            (Signer::CertManager { group, kind, name }, root_file.clone())
        }
        By::Signer { name, root_file } => {
            (Signer::Cluster(name.to_string()), Some(root_file.clone()))
        }
    };
    Box::new(Requests::new(cluster.cloned(), signer, root_file))
}

/// What tells one authority from another, for people.
fn source(by: &By) -> String {
    match by {
        By::Files { chain, .. } => format!("files {chain}"),
        By::Vault(vault) => format!("vault {} {}", vault.address, vault.mount),
        By::CertManager { kind, name, .. } => format!("cert-manager {kind} {name}"),
        By::Signer { name, .. } => format!("signer {name}"),
    }
}

/// What is known of the authority that is to sign, if one outside is.
#[derive(Debug, Default)]
pub(crate) struct Standing(Mutex<Option<Troubled>>);

/// Why the authority outside gives nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Troubled {
    pub(crate) code: Code,
    /// Which.
    pub(crate) source: String,
    /// Where it is written.
    pub(crate) origin: Origin,
    /// What it said last.
    pub(crate) why: String,
    /// How often it was asked.
    pub(crate) failures: u32,
    /// When it first gave nothing.
    pub(crate) since: Wall,
}

impl Standing {
    /// Why the authority outside gives nothing, if it does not.
    pub(crate) fn troubled(&self) -> Option<Troubled> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Troubled>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same for those who ask.
pub(crate) fn told(troubled: &Troubled) -> FailingCa {
    FailingCa {
        source: troubled.source.clone(),
        code: troubled.code.as_str().to_owned(),
        slug: troubled.code.slug().to_owned(),
        why: troubled.why.clone(),
        count: troubled.failures,
        since: troubled.since.to_string(),
        place: troubled.origin.to_string(),
    }
}

/// How often an authority is looked at that is watched.
const WATCH: Duration = Duration::from_secs(2);

/// How far the clock of who signs may be ahead, where that dates nothing back.
const AHEAD: Duration = Duration::from_secs(10);

/// The most time between two looks at the clock: timers stand still while the machine sleeps.
const LOOK: Duration = Duration::from_secs(10);

/// Asks whichever authority outside is to sign, for as long as it is polled.
pub(crate) async fn run(center: Arc<Center>, cluster: Option<Cluster>) {
    let mut editions = center.editions.subscribe();
    let mut dice = clock::dice();
    loop {
        *center.outside.lock() = None;
        let Some(who) = Who::now(&center) else {
            if editions.changed().await.is_err() {
                return;
            }
            continue;
        };
        let authority = who.asked(&center, cluster.as_ref());
        if !follow(&center, &who, authority.as_ref(), &mut editions, &mut dice).await {
            return;
        }
    }
}

/// Asks an authority until another one is to sign; says whether that came.
async fn follow(
    center: &Arc<Center>,
    who: &Who,
    authority: &dyn Outside,
    editions: &mut watch::Receiver<Arc<crate::Edition>>,
    dice: &mut Dice,
) -> bool {
    let source = who.source();
    let given = given(center, &source);
    let mut renewal = Renewal::new(validity(given.as_ref(), center), dice);
    loop {
        let now = center.clocks.now();
        let due = match authority.is_watched() {
            true => now.mono + WATCH,
            false => renewal.poll_timeout(now).min(now.mono + LOOK),
        };
        if authority.is_watched() || renewal.handle_timeout(now, dice) {
            let offered = ask(center, authority, &source).await;
            let now = center.clocks.now();
            match offered {
                Ok(validity) => {
                    *center.outside.lock() = None;
                    if validity != renewal.validity() || renewal.trouble().is_some() {
                        renewal.handle_renewed(validity, dice);
                    }
                }
                Err(why) => {
                    renewal.handle_failed(why.to_string(), now, dice);
                    tell(center, who, &source, &why, &renewal);
                }
            }
            if !authority.is_watched() {
                continue;
            }
        }
        tokio::select! {
            changed = editions.changed() => {
                if changed.is_err() {
                    return false;
                }
                if !Who::now(center).is_some_and(|now| now.is_same(who)) {
                    return true;
                }
            }
            () = sleep_until(center.clocks.instant(due)) => {}
        }
    }
}

/// What this authority gave, to this process or to one before it.
fn given(center: &Center, source: &str) -> Option<Given> {
    let given = center.authority.told()?.given;
    given.filter(|given| given.source == source)
}

/// When it stands: where nothing was given, something is due at once.
fn validity(given: Option<&Given>, center: &Center) -> Validity {
    let now = center.clocks.now().wall;
    let nothing = Validity {
        begins: now,
        ends: now,
    };
    given.map_or(nothing, |given| given.validity)
}

/// Asks once, and takes up what is given; says when it stands.
async fn ask(
    center: &Arc<Center>,
    authority: &dyn Outside,
    source: &str,
) -> Result<Validity, NotOffered> {
    let mesh = Arc::clone(&center.edition().meaning);
    let (mesh, told) = (&mesh.mesh, center.authority.told());
    let domain = told.map_or_else(|| mesh.settings.trust_domain.clone(), |told| told.domain);
    let wanted = Wanted {
        domain: domain.clone(),
        life: mesh.lifetimes.intermediate,
        key: generate_key(),
    };
    let offer = authority.ask(wanted).await?;
    if let Some(given) = given(center, source)
        && offer.chain.first() == Some(&given.certificate)
        && offer.key.public() == given.key
    {
        return Ok(given.validity);
    }
    sleep(early(&offer, center)).await;
    let now = center.clocks.now().wall;
    let leaf = mesh.lifetimes.leaf;
    let taken = endorsed(
        &offer.chain,
        offer.key,
        &domain,
        leaf,
        now,
        &mut clock::dice(),
    );
    let taken =
        taken.map_err(|why| NotOffered::Unusable(format!("it gave what cannot be used: {why}")))?;
    let validity = taken.intermediate.validity();
    let (shared, source) = (Arc::clone(center), source.to_owned());
    let kept = tokio::task::spawn_blocking(move || {
        let was_founded = shared.authority.told().is_some();
        let mut turned = Vec::new();
        let kept = shared.authority.take(taken, source, now, &mut turned);
        turned
            .into_iter()
            .for_each(|turned| rotate::tell(&shared, turned));
        if !was_founded && kept.is_ok() {
            shared.tell_founded(&domain);
        }
        rotate::turn(&shared);
        kept
    });
    match kept.await {
        Ok(Ok(())) => Ok(validity),
        Ok(Err(why)) => Err(NotOffered::Refused(format!(
            "what it gave is not kept: {why}"
        ))),
        Err(_) => Err(NotOffered::Refused(
            "taking up what it gave met a bug".to_owned(),
        )),
    }
}

/// How long until what was given begins, where that is worth waiting for.
fn early(offer: &Offer, center: &Center) -> Duration {
    let validity = offer.chain.first().and_then(|first| Validity::of(first));
    let now = center.clocks.now().wall;
    let early = validity.map(|validity| validity.begins.since(now));
    early.filter(|early| *early <= AHEAD).unwrap_or_default()
}

/// Tells why nothing came. Files that do not fit together may be half replaced: at the next look they
/// are whole.
fn tell(center: &Center, who: &Who, source: &str, why: &NotOffered, renewal: &Renewal) {
    let Some(trouble) = renewal.trouble() else {
        return;
    };
    if who.is_looked_at() && trouble.failures < 2 {
        return;
    }
    let troubled = Troubled {
        code: why.code(),
        source: source.to_owned(),
        origin: who.origin(),
        why: why.to_string(),
        failures: trouble.failures,
        since: trouble.since,
    };
    let before = center.outside.lock().replace(troubled);
    // What is watched says the same again and again.
    if before.is_none_or(|before| before.why != why.to_string()) || !who.is_looked_at() {
        center.trouble(why.code(), format_args!("{source}: {why}"));
    }
}
