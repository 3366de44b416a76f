//! The keys that prove tokens, where policies say a URL or a file: looked at again and again, one look for
//! all proxies, and kept in the store. What cannot be got again stays good for as long as its policy says.

mod doubts;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_fetch::{Bounds, Client, Plain, Trusted, Url, Way};
use leno_jwt::Keys;
use leno_model::view::access::{KeyPlace, KeySource};
use leno_model::{Code, Wall};
use leno_store::{Failed, Label, Secret, Store};
use tokio::sync::Notify;

use crate::LocalKeys;
use crate::center::Center;
use crate::clock;
use crate::jwks::doubts::{Doubts, Wanted};
use crate::jwks::turns::Turns;
use crate::keyset;

/// JWK Sets, and until when each is good.
pub(crate) type Given = BTreeMap<KeySource, (Arc<str>, Wall)>;

/// What is known of all sources.
#[derive(Debug)]
pub(crate) struct Jwks {
    store: Arc<Store>,
    local: LocalKeys,
    known: Mutex<Known>,
    /// Told when there is a source to doubt.
    doubted: Notify,
}

#[derive(Debug, Default)]
struct Known {
    given: Arc<Given>,
    doubts: Doubts,
    /// What came of the last look at a place, if it was not what it should be.
    troubles: BTreeMap<KeyPlace, NotGot>,
}

/// Why keys were not got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NotGot {
    pub(crate) why: String,
    pub(crate) since: Wall,
    /// Until when those that were got before are good.
    pub(crate) until: Option<Wall>,
}

impl Jwks {
    /// Takes up what was got before; of this host, policies may name what is `local`.
    pub(crate) fn open(store: Arc<Store>, local: LocalKeys) -> Result<Self, Failed> {
        let kept = store.secret(&name())?;
        let text = kept.map(|Secret(bytes)| String::from_utf8_lossy(&bytes).into_owned());
        let given = text.as_deref().map(read).unwrap_or_default();
        Ok(Self {
            store,
            local,
            known: Mutex::new(Known {
                given: Arc::new(given),
                ..Known::default()
            }),
            doubted: Notify::new(),
        })
    }

    /// All that was got.
    pub(crate) fn given(&self) -> Arc<Given> {
        Arc::clone(&self.lock().given)
    }

    /// The places whose keys were not got when they were looked at last.
    pub(crate) fn troubles(&self) -> BTreeMap<KeyPlace, NotGot> {
        self.lock().troubles.clone()
    }

    /// Takes what a source has. Views change only with the keys, and when more than half of the time is
    /// over for which they are good.
    fn got(&self, source: &KeySource, jwks: &str, now: Wall) -> Result<(), Failed> {
        let mut known = self.lock();
        known.troubles.remove(&source.place);
        let before = known.given.get(source);
        let is_known = before
            .is_some_and(|(keys, until)| **keys == *jwks && until.since(now) > source.keep / 2);
        if is_known {
            return Ok(());
        }
        let mut given = Given::clone(&known.given);
        given.insert(source.clone(), (jwks.into(), now + source.keep));
        // What no policy names any more is forgotten once it is of no use.
        given.retain(|_, (_, until)| now < *until);
        let secret = Some(Secret(write(&given).into_bytes()));
        self.store.keep_secrets(&[(name(), secret)])?;
        known.given = Arc::new(given);
        Ok(())
    }

    /// Notes that a place did not give what it should; says whether that is new.
    fn not_got(&self, source: &KeySource, why: &str, now: Wall) -> bool {
        let mut known = self.lock();
        let until = known.given.get(source).map(|(_, until)| *until);
        let before = known.troubles.get(&source.place);
        let since = before.map_or(now, |before| before.since);
        let is_new = before.is_none_or(|before| before.why != why);
        let why = why.to_owned();
        let trouble = NotGot { why, since, until };
        known.troubles.insert(source.place.clone(), trouble);
        is_new
    }

    /// Hears that proxies refused tokens by what these policies say: their issuers may sign with keys that
    /// are not known yet. What is no policy, or names no source, is passed over.
    pub(crate) fn doubt(&self, policies: &BTreeSet<&str>) {
        if self.lock().doubts.add(policies) {
            self.doubted.notify_one();
        }
    }

    /// Takes what is doubted of the sources that are wanted; forgets what is of no use for them.
    fn want(&self, wanted: &Wanted) -> BTreeSet<KeySource> {
        let is_wanted = |place: &KeyPlace| wanted.keys().any(|source| source.place == *place);
        let mut known = self.lock();
        known.troubles.retain(|place, _| is_wanted(place));
        known.doubts.take(wanted)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at each source whenever that is due, and sooner where it is doubted, for as long as it is polled.
pub(crate) async fn look(center: Arc<Center>) {
    let way = Way {
        clock: center.clocks.clock(),
        trusted: Trusted::Host,
        plain: match center.jwks.local.loopback {
            true => Plain::Loopback,
            false => Plain::Never,
        },
        shown: None,
    };
    let bounds = Bounds {
        body: Keys::MOST_BYTES,
        ..Bounds::default()
    };
    let client = Client::new(way, bounds);
    let mut editions = center.editions.subscribe();
    let mut turns = Turns::default();
    loop {
        let wanted = editions.borrow_and_update().mesh.key_sources();
        turns.keep(|source| wanted.contains_key(source));
        turns.doubt(&center.jwks.want(&wanted));
        for source in wanted.keys() {
            if !turns.is_due(source, center.clocks.now().mono) {
                continue;
            }
            let wait = look_at(&center, &client, source).await;
            turns.looked(source, center.clocks.now().mono, wait);
        }
        let next = turns.wait(center.clocks.now().mono);
        tokio::select! {
            changed = editions.changed() => if changed.is_err() { return },
            () = center.jwks.doubted.notified() => {}
            () = tokio::time::sleep(next) => {}
        }
    }
}

/// Looks at one source; says when to look again.
async fn look_at(center: &Arc<Center>, client: &Client, source: &KeySource) -> Duration {
    let got = get(client, &center.jwks.local, &source.place).await;
    let (shared, of, now) = (Arc::clone(center), source.clone(), clock::wall());
    let why = match got {
        Ok(jwks) => {
            let kept = tokio::task::spawn_blocking(move || shared.jwks.got(&of, &jwks, now)).await;
            match kept {
                Ok(Ok(())) => return source.every,
                Ok(Err(failed)) => failed.to_string(),
                Err(_) => "it could not be kept".to_owned(),
            }
        }
        Err(why) => why,
    };
    if center.jwks.not_got(source, &why, now) {
        let place = &source.place;
        center.trouble(Code::C151, format!("the keys of {place}: {why}"));
    }
    source.every.min(AGAIN)
}

/// How soon is looked again after nothing was got.
const AGAIN: Duration = Duration::from_secs(10);

/// The JWK Set that a place has, if it can prove anything.
async fn get(client: &Client, local: &LocalKeys, place: &KeyPlace) -> Result<String, String> {
    let bytes = match place {
        KeyPlace::Url(url) => {
            let url = Url::parse(url).map_err(|why| why.to_string())?;
            client.get(&url).await.map_err(|why| why.to_string())?.body
        }
        KeyPlace::File(path) => match &local.folder {
            Some(folder) => keyset::of_file_in(folder, path).await?,
            None => return Err("no folder for files of keys: leno control --keys DIR".to_owned()),
        },
    };
    keyset::usable(&bytes)?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn name() -> Label {
    Label::new("reported/jwks").expect("a constant that is a label")
}

/// `file 300 86400 1767225600 PLACE`, each part ended by the one byte that none has, and the set.
fn write(given: &Given) -> String {
    let one = |(source, (jwks, until)): (&KeySource, &(Arc<str>, Wall))| {
        let (kind, place) = match &source.place {
            KeyPlace::File(place) => (FILE, place),
            KeyPlace::Url(place) => (URL, place),
        };
        let KeySource { every, keep, .. } = source;
        let until = until.elapsed_since_epoch().as_secs();
        let (every, keep) = (every.as_nanos(), keep.as_nanos());
        format!("{kind} {every} {keep} {until} {place}\0{jwks}\0")
    };
    given.iter().map(one).collect()
}

fn read(text: &str) -> Given {
    let mut parts = text.split('\0');
    let mut given = Given::new();
    while let (Some(head), Some(jwks)) = (parts.next(), parts.next()) {
        if let Some((source, until)) = read_source(head) {
            given.insert(source, (jwks.into(), until));
        }
    }
    given
}

fn read_source(head: &str) -> Option<(KeySource, Wall)> {
    let mut words = head.splitn(5, ' ');
    let kind = words.next()?;
    let mut number = || words.next()?.parse().ok();
    let (every, keep, until) = (number()?, number()?, number()?);
    let place = words.next()?.into();
    let source = KeySource {
        place: match kind {
            FILE => KeyPlace::File(place),
            URL => KeyPlace::Url(place),
            _ => return None,
        },
        every: Duration::from_nanos(every),
        keep: Duration::from_nanos(keep),
    };
    Some((source, Wall::since_epoch(Duration::from_secs(until))))
}

const FILE: &str = "file";
const URL: &str = "url";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_its_host_no_more_is_asked_than_it_allows() {
        let way = Way {
            clock: leno_channel::Clocks::start().clock(),
            trusted: Trusted::Host,
            plain: Plain::Never,
            shown: None,
        };
        let client = Client::new(way, Bounds::default());
        let local = LocalKeys::default();
        for (place, why) in [
            (
                KeyPlace::File("keys.json".into()),
                "no folder for files of keys: leno control --keys DIR",
            ),
            (
                KeyPlace::Url("http://127.0.0.1:1/keys".into()),
                "http:// is not taken here: say https://",
            ),
        ] {
            assert_eq!(get(&client, &local, &place).await, Err(why.to_owned()));
        }
    }

    #[test]
    fn what_was_got_is_read_as_it_was_written() {
        let source = |place| KeySource {
            place,
            every: Duration::from_millis(1500),
            keep: Duration::from_secs(60),
        };
        let until = Wall::since_epoch(Duration::from_secs(1_800_000_000));
        let given = Given::from([
            (
                source(KeyPlace::File("/etc/my keys.json".into())),
                ("{\"keys\":\n []}".into(), until),
            ),
            (
                source(KeyPlace::Url("https://id.test/keys?a=b c".into())),
                ("{}".into(), until),
            ),
        ]);
        assert_eq!(read(&write(&given)), given);
        assert_eq!(read("nonsense"), Given::new());
    }
}
