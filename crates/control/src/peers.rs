//! Other trust domains: what proves their identities is looked for again and again, one look for all proxies, and
//! kept in the store. What to think of it `leno_federation` decides; whose `MeshPeer` is gone is believed no more,
//! as soon as that is in force.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_admin::{PeerState, PeerTrouble};
use leno_compile::{BundlePlace, Peer};
use leno_federation::{Believed, Kept, Peering, Source, Trouble};
use leno_fetch::{Bounds, Client, Plain, Trusted, Url, Way};
use leno_identity::Trust;
use leno_jwt::SpiffeBundle;
use leno_model::{Code, Name, Now, TrustDomain, Wall};
use leno_store::{Failed, Label, Secret, Store};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::center::Center;
use crate::event::Event;
use crate::keyset;

/// What is known of all of them.
#[derive(Debug)]
pub(crate) struct Peers {
    store: Arc<Store>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What was got, of whoever has a `MeshPeer`.
    kept: BTreeMap<TrustDomain, Kept>,
    /// The store holds something else.
    is_unwritten: bool,
    peerings: BTreeMap<TrustDomain, Peered>,
}

#[derive(Debug)]
struct Peered {
    peer: Peer,
    peering: Peering,
}

/// How one of them stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) domain: TrustDomain,
    /// What its `MeshPeer` is called.
    pub(crate) name: Name,
    /// Where its keys come from, in words.
    pub(crate) from: String,
    pub(crate) believed: Option<Arc<Believed>>,
    /// When the keys were got; `None` if they were written down, or there are none.
    pub(crate) got: Option<Wall>,
    pub(crate) trouble: Option<Trouble>,
}

impl Standing {
    /// What went wrong last, by the code under which people find it.
    pub(crate) fn code(&self) -> Option<Code> {
        let trouble = self.trouble.as_ref()?;
        Some(match trouble.is_refusal {
            true => Code::T024,
            false => Code::T023,
        })
    }

    /// The same as it travels.
    pub(crate) fn told(&self) -> PeerState {
        let believed = self.believed.as_ref();
        let trouble = self.trouble.as_ref().zip(self.code());
        PeerState {
            trust_domain: self.domain.to_string(),
            name: self.name.to_string(),
            from: self.from.clone(),
            roots: believed.map_or(0, |it| u64::try_from(it.roots.len()).unwrap_or(u64::MAX)),
            ends: believed.and_then(|it| it.ends).map(|it| it.to_string()),
            proves_tokens: believed.is_some_and(|it| it.token_keys.is_some()),
            sequence: believed.and_then(|it| it.sequence),
            got: self.got.map(|got| got.to_string()),
            trouble: trouble.map(|(trouble, code)| PeerTrouble {
                code: code.as_str().to_owned(),
                slug: code.slug().to_owned(),
                why: trouble.why.clone(),
                since: trouble.since.to_string(),
            }),
        }
    }
}

/// Somewhere to look.
struct Due {
    domain: TrustDomain,
    source: Source,
    place: BundlePlace,
    believed: Option<Arc<Believed>>,
}

impl Peers {
    /// Takes up what was got before.
    pub(crate) fn open(store: Arc<Store>) -> Result<Self, Failed> {
        let kept = store.secret(&name())?;
        let kept = kept.and_then(|Secret(bytes)| serde_json::from_slice(&bytes).ok());
        let kept: Vec<OnDisk> = kept.unwrap_or_default();
        let known = Known {
            kept: kept.into_iter().filter_map(OnDisk::kept).collect(),
            ..Known::default()
        };
        Ok(Self {
            store,
            known: Mutex::new(known),
        })
    }

    /// What proves the identities of each of `peers`, as far as anything does. Whoever is none of them any more is
    /// forgotten.
    pub(crate) fn believed(
        &self,
        peers: &BTreeMap<TrustDomain, Peer>,
        now: Now,
    ) -> BTreeMap<TrustDomain, Arc<Believed>> {
        let mut known = self.lock();
        known.settle(peers, now);
        let each = known.peerings.iter();
        let believed = each.filter_map(|(domain, peered)| {
            let believed = peered.peering.believed()?;
            Some((domain.clone(), Arc::clone(believed)))
        });
        believed.collect()
    }

    /// How each of them stands.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        let known = self.lock();
        let each = known.peerings.iter();
        let each = each.map(|(domain, Peered { peer, peering })| Standing {
            domain: domain.clone(),
            name: peer.name.clone(),
            from: match &peer.place {
                Some(place) => in_words(place),
                None => format!("written in {}", peer.origin),
            },
            believed: peering.believed().cloned(),
            got: peering.got(),
            trouble: peering.troubled().cloned(),
        });
        each.collect()
    }

    fn due(&self, now: Now) -> Vec<Due> {
        let known = self.lock();
        let due = known.peerings.iter().filter_map(|(domain, peered)| {
            let at = peered.peering.poll_timeout()?;
            (at <= now.mono).then_some(())?;
            Some(Due {
                domain: domain.clone(),
                source: peered.peering.source().clone(),
                place: peered.peer.place.clone()?,
                believed: peered.peering.believed().cloned(),
            })
        });
        due.collect()
    }

    /// How long nothing is due.
    fn rest(&self, now: Now) -> Duration {
        let known = self.lock();
        let next = known.peerings.values();
        let next = next.filter_map(|peered| peered.peering.poll_timeout());
        let next = next.min().map(|at| at.since(now.mono));
        match known.is_unwritten {
            true => AGAIN,
            // Timers stand still while the machine sleeps.
            false => next.map_or(Duration::MAX, |next| next.min(LOOK)),
        }
    }

    /// Takes what came of a look; says what is to be told of it.
    fn take(&self, due: &Due, came: Result<String, String>, now: Now) -> Option<Event> {
        let mut known = self.lock();
        let Known { kept, peerings, .. } = &mut *known;
        let peering = &mut peerings.get_mut(&due.domain)?.peering;
        if *peering.source() != due.source {
            return None;
        }
        let before = peering.troubled().map(|trouble| trouble.why.clone());
        let unchanged = peering.clone();
        let place = in_words(&due.place);
        let trouble = |code, why: &str| Event::Trouble {
            code,
            what: format!("the keys of {} from {place}: {why}", due.domain),
        };
        match came.map(|text| peering.handle_text(&text, now)) {
            Ok(Ok(None)) => None,
            Ok(Ok(Some(news))) => {
                // Proxies believe it with the next edition, which there is once it is written.
                let mut all = kept.clone();
                all.insert(due.domain.clone(), news);
                if let Err(failed) = keep(&self.store, &all) {
                    *peering = unchanged;
                    let why = format!("they could not be kept: {failed}");
                    let told = trouble(failed.code(), &why);
                    return peering.handle_not_had(why, now).then_some(told);
                }
                *kept = all;
                Some(Event::PeerKeys {
                    domain: due.domain.clone(),
                    sequence: peering.believed().and_then(|it| it.sequence),
                })
            }
            Ok(Err(why)) => {
                let why = why.to_string();
                (before.as_ref() != Some(&why)).then(|| trouble(Code::T024, &why))
            }
            Err(why) => {
                let told = trouble(Code::T023, &why);
                peering.handle_not_had(why, now).then_some(told)
            }
        }
    }

    /// Writes down what the store does not hold.
    fn write(&self) -> Result<(), Failed> {
        let mut known = self.lock();
        if known.is_unwritten {
            keep(&self.store, &known.kept)?;
            known.is_unwritten = false;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what was got of each.
fn keep(store: &Store, kept: &BTreeMap<TrustDomain, Kept>) -> Result<(), Failed> {
    let kept: Vec<_> = kept.iter().map(OnDisk::of).collect();
    let bytes = serde_json::to_vec(&kept).expect("texts and numbers are JSON");
    store.keep_secrets(&[(name(), Some(Secret(bytes)))])
}

impl Known {
    fn settle(&mut self, peers: &BTreeMap<TrustDomain, Peer>, now: Now) {
        let kept = self.kept.len();
        self.kept.retain(|domain, _| peers.contains_key(domain));
        self.is_unwritten |= self.kept.len() != kept;
        self.peerings.retain(|domain, _| peers.contains_key(domain));
        for (domain, peer) in peers {
            let source = source_of(peer);
            match self.peerings.get_mut(domain) {
                Some(peered) if *peered.peering.source() == source => peered.peer = peer.clone(),
                Some(_) | None => {
                    let kept = self.kept.get(domain).cloned();
                    let peered = Peered {
                        peer: peer.clone(),
                        peering: Peering::begin(domain.clone(), source, kept, now),
                    };
                    self.peerings.insert(domain.clone(), peered);
                }
            }
        }
    }
}

/// Looks at each place whenever that is due, for as long as it is polled.
pub(crate) async fn look(center: Arc<Center>) {
    let mut editions = center.editions.subscribe();
    loop {
        editions.borrow_and_update();
        let mut looks = JoinSet::new();
        for due in center.peers.due(center.clocks.now()) {
            looks.spawn(look_at(Arc::clone(&center), due));
        }
        while let Some(looked) = looks.join_next().await {
            if looked.is_err() {
                return;
            }
        }
        let shared = Arc::clone(&center);
        let written = tokio::task::spawn_blocking(move || shared.peers.write());
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(failed)) => center.trouble(failed.code(), failed),
            Err(_) => return,
        }
        let rest = center.peers.rest(center.clocks.now());
        tokio::select! {
            changed = editions.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// The longest rest without a look at the clock.
const LOOK: Duration = Duration::from_secs(10);

/// How soon the store is tried again.
const AGAIN: Duration = Duration::from_secs(1);

async fn look_at(center: Arc<Center>, due: Due) {
    let came = get(&center, &due).await;
    let taking = tokio::task::spawn_blocking(move || {
        if let Some(event) = center.peers.take(&due, came, center.clocks.now()) {
            center.tell(&event);
        }
    });
    if let Err(panic) = taking.await {
        std::panic::resume_unwind(panic.into_panic());
    }
}

async fn get(center: &Center, due: &Due) -> Result<String, String> {
    let (url, trusted) = match &due.place {
        BundlePlace::File(path) => return text(keyset::of_file(path).await?),
        BundlePlace::Web { url, roots_file } => {
            let file = roots_file.as_deref().map(PathBuf::from);
            (url, file.map_or(Trusted::Host, Trusted::File))
        }
        //= SPIFFE Federation section 5.2.2.4: "The latest available bundle MUST be used to validate any subsequent
        //= connections."
        BundlePlace::Spiffe { url, id } => {
            let believed = due.believed.as_ref();
            let believed = believed.ok_or("no bundle is known by which it could prove itself")?;
            let roots = [(due.domain.clone(), Arc::clone(&believed.roots))];
            let (trust, _) = Trust::new(&roots.into(), Arc::default());
            (url, Trusted::Identity(Arc::clone(id), Arc::new(trust)))
        }
    };
    let way = Way {
        clock: center.clocks.clock(),
        trusted,
        plain: Plain::Never,
        shown: None,
    };
    let bounds = Bounds {
        body: SpiffeBundle::MOST_BYTES,
        ..Bounds::default()
    };
    let url = Url::parse(url).map_err(|why| why.to_string())?;
    let answer = Client::new(way, bounds).get(&url).await;
    text(answer.map_err(|why| why.to_string())?.body)
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// A place, in words that differ where it differs.
fn in_words(place: &BundlePlace) -> String {
    match place {
        BundlePlace::File(path) => format!("file {path}"),
        BundlePlace::Web {
            url,
            roots_file: None,
        } => url.to_string(),
        BundlePlace::Web {
            url,
            roots_file: Some(file),
        } => format!("{url} by {file}"),
        BundlePlace::Spiffe { url, id } => format!("{url} as {id}"),
    }
}

fn source_of(peer: &Peer) -> Source {
    Source {
        place: peer.place.as_ref().map(|place| in_words(place).into()),
        longest: match &peer.place {
            Some(BundlePlace::File(_)) => OF_FILES,
            Some(BundlePlace::Web { .. } | BundlePlace::Spiffe { .. }) | None => LONGEST,
        },
        base: peer.bundle.clone(),
    }
}

/// The longest rest between two looks at an endpoint, and at a file.
const LONGEST: Duration = Duration::from_secs(3600);
const OF_FILES: Duration = Duration::from_secs(10);

fn name() -> Label {
    Label::new("reported/peers").expect("a constant that is a label")
}

/// What was got of one, as the store keeps it.
#[derive(Serialize, Deserialize)]
struct OnDisk {
    domain: String,
    place: Option<String>,
    longest: Duration,
    base: Option<String>,
    /// In seconds since 1970.
    got: u64,
    text: String,
}

impl OnDisk {
    fn of((domain, kept): (&TrustDomain, &Kept)) -> Self {
        let text = |text: &Option<Arc<str>>| text.as_ref().map(ToString::to_string);
        Self {
            domain: domain.to_string(),
            place: text(&kept.source.place),
            longest: kept.source.longest,
            base: text(&kept.source.base),
            got: kept.got.elapsed_since_epoch().as_secs(),
            text: kept.text.to_string(),
        }
    }

    fn kept(self) -> Option<(TrustDomain, Kept)> {
        let kept = Kept {
            source: Source {
                place: self.place.map(Arc::from),
                longest: self.longest,
                base: self.base.map(Arc::from),
            },
            got: Wall::since_epoch(Duration::from_secs(self.got)),
            text: self.text.into(),
        };
        Some((TrustDomain::new(&self.domain).ok()?, kept))
    }
}
