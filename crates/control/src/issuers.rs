//! The keys of those whose tokens let proxies join. They are asked for while nobody waits; while an issuer
//! cannot be asked, its last ones are good for a day.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_compile::{KeysFrom, TokenIssuer};
use leno_fetch::{Bounds, Client, Plain, Trusted, Url, Way};
use leno_jwt::{Keys, Map, Value};
use leno_model::{Code, Mono, Name, Wall};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::center::Center;
use crate::keyset;

/// How long until keys are asked for again, after a success and after a failure.
const FRESH: Duration = Duration::from_secs(300);
const AGAIN: Duration = Duration::from_secs(10);

/// How often it is looked whether that time has come.
const LOOK: Duration = Duration::from_secs(1);

/// For how long keys are good that cannot be asked for any more.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What is known of each issuer.
#[derive(Debug, Default)]
pub(crate) struct Issuers {
    held: Mutex<BTreeMap<Name, Held>>,
    wake: Notify,
}

#[derive(Clone, Debug)]
struct Held {
    issuer: TokenIssuer,
    keys: Option<(Arc<Keys>, Mono)>,
    /// When it was asked last.
    asked: Mono,
    failed: Option<Failed>,
}

/// Why keys could not be had, and since when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failed {
    pub(crate) why: String,
    pub(crate) since: Wall,
}

impl Issuers {
    /// The keys of an issuer, or why there are none.
    pub(crate) fn keys_of(
        &self,
        name: &Name,
        issuer: &TokenIssuer,
    ) -> Result<Option<Arc<Keys>>, String> {
        let held = self.lock();
        let held = held.get(name).filter(|held| held.issuer == *issuer);
        let Some(held) = held else {
            return Ok(None);
        };
        match (&held.keys, &held.failed) {
            (Some((keys, _)), _) => Ok(Some(Arc::clone(keys))),
            (None, Some(failed)) => {
                Err(format!("the keys of {name} cannot be had: {}", failed.why))
            }
            (None, None) => Ok(None),
        }
    }

    /// Asks for keys again, unless that was done just now.
    pub(crate) fn look_again(&self) {
        self.wake.notify_one();
    }

    /// The issuers whose keys cannot be had.
    pub(crate) fn failed(&self) -> Vec<(Name, Failed)> {
        let held = self.lock();
        let failed = held.iter();
        failed
            .filter_map(|(name, held)| Some((name.clone(), held.failed.clone()?)))
            .collect()
    }

    /// Forgets those that are no issuers any more, and gives those that are to be asked at `now`:
    /// those whose time has come, all that may be asked if somebody `hastens` it.
    fn due(&self, wanted: &BTreeMap<Name, TokenIssuer>, now: Mono, hastens: bool) -> Vec<Name> {
        let mut held = self.lock();
        held.retain(|name, held| wanted.get(name) == Some(&held.issuer));
        let is_due = |name: &&Name| match held.get(*name) {
            None => true,
            Some(held) => {
                let rest = match (&held.failed, hastens) {
                    (None, false) => FRESH,
                    (Some(_), _) | (None, true) => AGAIN,
                };
                now.since(held.asked) >= rest
            }
        };
        wanted.keys().filter(is_due).cloned().collect()
    }

    /// Takes in what came of asking; says why it failed, if that is another reason than before.
    fn take(
        &self,
        name: &Name,
        issuer: &TokenIssuer,
        came: Result<Keys, String>,
        (mono, wall): (Mono, Wall),
    ) -> Option<String> {
        let mut all = self.lock();
        let held = all.entry(name.clone()).or_insert_with(|| Held {
            issuer: issuer.clone(),
            keys: None,
            asked: mono,
            failed: None,
        });
        held.asked = mono;
        match came {
            Ok(keys) => {
                held.keys = Some((Arc::new(keys), mono));
                held.failed = None;
                None
            }
            Err(why) => {
                held.keys.take_if(|(_, at)| mono.since(*at) > KEPT);
                let before = held.failed.take();
                let is_new = before.as_ref().is_none_or(|before| before.why != why);
                let since = before.map_or(wall, |before| before.since);
                held.failed = Some(Failed {
                    why: why.clone(),
                    since,
                });
                is_new.then_some(why)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the keys fresh for as long as it is polled.
pub(crate) async fn keep(center: Arc<Center>) {
    let mut editions = center.editions.subscribe();
    // Whether somebody waits for keys, from then until some are asked for.
    let mut hastens = false;
    loop {
        let wanted = Arc::clone(&editions.borrow_and_update());
        let issuers = &wanted.mesh.token_issuers;
        for name in center.issuers.due(issuers, center.clocks.mono(), hastens) {
            let Some(issuer) = issuers.get(&name) else {
                continue;
            };
            hastens = false;
            let came = ask(issuer, &center).await;
            let now = center.clocks.now();
            let times = (now.mono, now.wall);
            if let Some(why) = center.issuers.take(&name, issuer, came, times) {
                let what = format!("the keys of token issuer {name} cannot be had: {why}");
                center.trouble(Code::T022, what);
            }
        }
        tokio::select! {
            () = center.issuers.wake.notified() => hastens = true,
            () = sleep(LOOK) => {}
            changed = editions.changed() => if changed.is_err() {
                return;
            }
        }
    }
}

/// Asks an issuer for its keys.
async fn ask(issuer: &TokenIssuer, center: &Center) -> Result<Keys, String> {
    let keys = match &issuer.keys {
        KeysFrom::File(path) => {
            let read = keyset::of_file(path).await;
            read.map_err(|why| format!("{path}: {why}"))?
        }
        KeysFrom::Url(url) => get(url, issuer, center).await?,
        KeysFrom::Discovery => {
            //= OpenID Connect Discovery section 4: "concatenating the string /.well-known/openid-configuration
            //= to the Issuer"
            let base = issuer.issuer.trim_end_matches('/');
            let url = format!("{base}/.well-known/openid-configuration");
            let told = get(&url, issuer, center).await?;
            get(&jwks_uri(&told, &issuer.issuer)?, issuer, center).await?
        }
    };
    keyset::usable(&keys)
}

//= OpenID Connect Discovery section 4.3: "The issuer value returned MUST be identical to the Issuer URL that was used as
//= the prefix to /.well-known/openid-configuration to retrieve the configuration information."
fn jwks_uri(told: &[u8], issuer: &str) -> Result<String, String> {
    let told =
        leno_jwt::Claims::read(told).map_err(|why| format!("what it tells is not read: {why}"))?;
    let told: &Map<String, Value> = told.all();
    let text = |name: &str| told.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err("it tells of another issuer than was asked".to_owned());
    }
    let url = text("jwks_uri").ok_or("it tells no jwks_uri")?;
    Ok(url.to_owned())
}

async fn get(url: &str, issuer: &TokenIssuer, center: &Center) -> Result<Vec<u8>, String> {
    let way = Way {
        clock: center.clocks.clock(),
        trusted: match &issuer.roots_file {
            Some(file) => Trusted::File(file.to_string().into()),
            None => Trusted::Host,
        },
        // Whoever answers there says whom the mesh lets in.
        plain: Plain::Loopback,
        shown: None,
    };
    let bounds = Bounds {
        body: Keys::MOST_BYTES,
        ..Bounds::default()
    };
    let url = Url::parse(url).map_err(|why| format!("{url}: {why}"))?;
    let answer = Client::new(way, bounds).get(&url).await;
    let answer = answer.map_err(|why| format!("{}: {why}", url.host()))?;
    Ok(answer.body.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> TokenIssuer {
        TokenIssuer {
            issuer: "https://ci.example".into(),
            audiences: ["leno".into()].into(),
            keys: KeysFrom::Discovery,
            roots_file: None,
        }
    }

    fn at(seconds: u64) -> (Mono, Wall) {
        let since = Duration::from_secs(seconds);
        (Mono::since_start(since), Wall::since_epoch(since))
    }

    #[test]
    fn the_last_keys_are_good_for_a_day() {
        let issuers = Issuers::default();
        let (name, issuer) = (Name::new("ci").unwrap(), issuer());
        let wanted = BTreeMap::from([(name.clone(), issuer.clone())]);
        let due = |seconds, hastens| !issuers.due(&wanted, at(seconds).0, hastens).is_empty();
        let down = || Err("down".to_owned());
        assert!(due(0, false));
        assert_eq!(
            issuers.take(&name, &issuer, down(), at(0)),
            Some("down".to_owned())
        );
        assert!(issuers.keys_of(&name, &issuer).is_err());
        assert!(!due(9, true) && due(10, false));
        assert_eq!(
            issuers.take(&name, &issuer, Ok(Keys::default()), at(10)),
            None
        );
        assert!(issuers.failed().is_empty());
        assert!(!due(20, false) && due(20, true) && due(310, false));
        assert!(issuers.take(&name, &issuer, down(), at(310)).is_some());
        // The same is not told again, and the keys are held.
        assert_eq!(issuers.take(&name, &issuer, down(), at(320)), None);
        assert_eq!(issuers.failed()[0].1.since, at(310).1);
        assert!(issuers.keys_of(&name, &issuer).unwrap().is_some());
        issuers.take(&name, &issuer, down(), at(20 + 24 * 3600));
        assert!(issuers.keys_of(&name, &issuer).is_err());
        // Another issuer of the same name has none of its keys.
        let other = TokenIssuer {
            issuer: "https://other.example".into(),
            ..issuer
        };
        assert_eq!(issuers.keys_of(&name, &other).unwrap().map(|_| ()), None);
    }

    #[test]
    fn an_issuer_tells_of_itself_alone() {
        let check = |told: &str, expect: Result<&str, &str>| {
            let uri = jwks_uri(told.as_bytes(), "https://ci.example");
            assert_eq!(uri.as_deref().map_err(String::as_str), expect, "{told}");
        };
        check(
            r#"{"issuer":"https://ci.example","jwks_uri":"https://ci.example/keys"}"#,
            Ok("https://ci.example/keys"),
        );
        check(
            r#"{"issuer":"https://other.example","jwks_uri":"https://ci.example/keys"}"#,
            Err("it tells of another issuer than was asked"),
        );
        check(
            r#"{"issuer":"https://ci.example"}"#,
            Err("it tells no jwks_uri"),
        );
    }
}
