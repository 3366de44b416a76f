//! What is known of one other trust domain: its last good bundle, and when to look for another.
//!
//! A bundle holds until a later one takes its place, for as long as its roots stand: what cannot be had, or is not
//! believed, changes nothing but what is told. What an operator writes counts until the endpoint says more.

use alloc::{string::String, string::ToString, sync::Arc};
use core::time::Duration;

use leno_model::{Mono, Now, TrustDomain, Wall};

use crate::believe::{Believed, NotBelieved, believe};

/// Where the keys of a trust domain come from, as it was configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The file or endpoint to look at, in words that differ where it differs; `None` if there is none.
    pub place: Option<Arc<str>>,
    /// The longest rest between two looks, whatever is hinted at.
    pub longest: Duration,
    /// The bundle that was written down beforehand.
    pub base: Option<Arc<str>>,
}

/// A bundle that was got, as it is kept on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Where the keys came from then.
    pub source: Source,
    /// When it was got.
    pub got: Wall,
    /// The bundle.
    pub text: Arc<str>,
}

/// What went wrong when it was looked last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// In words.
    pub why: String,
    /// Whether something came, and was not believed.
    pub is_refusal: bool,
    /// Since when nothing else came.
    pub since: Wall,
}

/// What is known of one other trust domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peering {
    domain: TrustDomain,
    source: Source,
    held: Option<Held>,
    trouble: Option<Trouble>,
    /// When to look next.
    due: Mono,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Held {
    believed: Arc<Believed>,
    /// When it was got; `None` if it was written down beforehand.
    got: Option<Wall>,
    /// Whether it came from the present place, or was written for it: only there an older sequence is older.
    is_of_place: bool,
}

impl Peering {
    /// Begins with what was `kept`, unless an operator has written another bundle since.
    pub fn begin(domain: TrustDomain, source: Source, kept: Option<Kept>, now: Now) -> Self {
        let mut peering = Self {
            domain,
            held: None,
            trouble: None,
            due: now.mono,
            source,
        };
        let source = &peering.source;
        //= SPIFFE Federation section 4.2: "Operators MAY locally update the SPIFFE bundle of a foreign trust domain at any
        //= time. In this case, the locally updated version of the bundle is considered the latest until replaced by a
        //= subsequent refresh."
        let kept = kept.filter(|kept| source.base.is_none() || kept.source.base == source.base);
        let kept = kept.filter(|_| source.place.is_some());
        let kept = kept.and_then(|kept| {
            let believed = believe(kept.text.as_bytes(), &peering.domain, now.wall).ok()?;
            Some(Held {
                believed: Arc::new(believed),
                got: Some(kept.got),
                is_of_place: kept.source.place == source.place,
            })
        });
        peering.held = kept.or_else(|| peering.base(now.wall));
        peering
    }

    fn base(&mut self, now: Wall) -> Option<Held> {
        let base = self.source.base.clone()?;
        match believe(base.as_bytes(), &self.domain, now) {
            Ok(believed) => Some(Held {
                believed: Arc::new(believed),
                got: None,
                is_of_place: true,
            }),
            Err(why) => {
                self.trouble(why.to_string(), true, now);
                None
            }
        }
    }

    /// Where its keys come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What proves the identities of the trust domain, if anything does.
    pub fn believed(&self) -> Option<&Arc<Believed>> {
        self.held.as_ref().map(|held| &held.believed)
    }

    /// When that was got; `None` if it was written down beforehand, or there is nothing.
    pub fn got(&self) -> Option<Wall> {
        self.held.as_ref()?.got
    }

    /// What went wrong when it was looked last, if something did.
    pub fn troubled(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// When to look for another bundle; `None` where there is no place to look at.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.source.place.is_some().then_some(self.due)
    }

    /// Somebody looked, and this was there. What is to be kept, if it is news.
    pub fn handle_text(&mut self, text: &str, now: Now) -> Result<Option<Kept>, NotBelieved> {
        let believed = match self.judge(text, now.wall) {
            Ok(believed) => believed,
            Err(why) => {
                self.trouble(why.to_string(), true, now.wall);
                self.due = now.mono + self.rest_after_failure();
                return Err(why);
            }
        };
        self.trouble = None;
        let before = self.held.replace(Held {
            believed: Arc::new(believed),
            got: Some(now.wall),
            is_of_place: true,
        });
        self.due = now.mono + self.rest();
        let is_known = before.is_some_and(|before| {
            let proves_the_same = self
                .believed()
                .is_some_and(|it| it.proves_as(&before.believed));
            before.is_of_place && before.got.is_some() && proves_the_same
        });
        Ok((!is_known).then(|| Kept {
            source: self.source.clone(),
            got: now.wall,
            text: text.into(),
        }))
    }

    /// Somebody looked, and could have nothing. Says whether that is told for the first time.
    pub fn handle_not_had(&mut self, why: String, now: Now) -> bool {
        self.due = now.mono + self.rest_after_failure();
        self.trouble(why, false, now.wall)
    }

    fn judge(&self, text: &str, now: Wall) -> Result<Believed, NotBelieved> {
        let came = believe(text.as_bytes(), &self.domain, now)?;
        let Some(held) = &self.held else {
            return Ok(came);
        };
        if came.roots.is_empty() && !held.believed.roots.is_empty() {
            return Err(NotBelieved::NoRoot(came.left_out.into_iter().next()));
        }
        match held.believed.sequence.filter(|_| held.is_of_place) {
            Some(held) if came.sequence.is_none_or(|came| came < held) => {
                let came = came.sequence;
                Err(NotBelieved::Older { held, came })
            }
            Some(_) | None => Ok(came),
        }
    }

    fn trouble(&mut self, why: String, is_refusal: bool, now: Wall) -> bool {
        let before = self.trouble.take();
        let is_new = before.as_ref().is_none_or(|before| before.why != why);
        let since = before.map_or(now, |before| before.since);
        self.trouble = Some(Trouble {
            why,
            is_refusal,
            since,
        });
        is_new
    }

    /// How long to rest after a look that went well.
    fn rest(&self) -> Duration {
        let hint = self.believed().and_then(|believed| believed.refresh_hint);
        let rest = hint.unwrap_or(UNSAID);
        rest.max(SHORTEST).min(self.source.longest)
    }

    //= SPIFFE Federation section 6.2: "If attempts to poll the bundle endpoint fail, bundle endpoint clients SHOULD retry
    //= at the next polling interval, rather than immediately or aggressively retrying"
    fn rest_after_failure(&self) -> Duration {
        let most = match self.got() {
            Some(_) => AGAIN,
            None => AT_FIRST,
        };
        self.rest().min(most)
    }
}

/// How long to rest where no hint says it.
//= SPIFFE Federation section 4.1: "If not set, a reasonably low default value should apply - five minutes is
//= recommended."
const UNSAID: Duration = Duration::from_secs(300);

/// The shortest rest, whatever is hinted at.
const SHORTEST: Duration = Duration::from_secs(5);

/// The longest rest after a failure, and while nothing was got yet from the place: the other side may be on its way.
const AGAIN: Duration = Duration::from_secs(60);
const AT_FIRST: Duration = Duration::from_secs(5);
