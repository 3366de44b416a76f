//! Changes that are watched: this task looks at what becomes of calls, and takes a change back that does
//! harm. It hangs on nobody's terminal: what runs is in the store, and goes on where a control plane was
//! away for a part of it.

mod end;
mod seen;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_admin::{
    Aftermath, EndWatch, Failure, WatchEnd, WatchEnded, WatchFor, WatchedChange, Watches, WatchesOf,
};
use leno_model::{Code, Wall};
use leno_store::flows::Flows;
use leno_store::{End, Failed, KeptWatch, Label, Message, NotRead, ObjectChange, Revision, Terms};

use crate::administer::{not_read, status};
use crate::center::Center;
use crate::clock;
use crate::sight::Sight;
pub(crate) use crate::watching::end::findings;
use crate::watching::end::go_back;
use crate::watching::seen::{Before, look, unwell};

/// How long a change may be watched: longer is no watch, but a rollout.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How often it is looked at least and at most; in between, each time that a watch has gone on for
/// another hundredth: what is read for a look grows with how long it has gone on.
const LOOK: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(60);
const PART: u32 = 100;

/// What proxies count reaches the control plane within this; beside it, they are told how long to wait.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// After a start, proxies have so long to tell what they counted while the control plane was away: no
/// change stays because nobody looked.
const CATCHING_UP: Duration = Duration::from_secs(30);

/// How often it is tried to take a change back, where the store refuses that.
const MOST_TRIES: u32 = 5;

/// Of how many watches it is remembered what was seen of calls.
const MOST_REMEMBERED: usize = 32;

/// How many that are over are told of.
const MOST_TOLD: usize = 20;

/// What is known of the watches beside what the store holds.
#[derive(Debug, Default)]
pub(crate) struct Watching(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    running: Arc<Vec<KeptWatch>>,
    /// With when that was looked for.
    seen: BTreeMap<Revision, (Wall, Aftermath)>,
    before: BTreeMap<Revision, Before>,
    /// How often taking it back was refused.
    tries: BTreeMap<Revision, u32>,
}

impl Watching {
    /// Those that run.
    pub(crate) fn running(&self) -> Arc<Vec<KeptWatch>> {
        Arc::clone(&self.lock().running)
    }

    /// Reads again which run.
    pub(crate) fn refresh(&self, store: &leno_store::Store) -> Result<(), Failed> {
        let mut running = store.watches()?;
        running.retain(|watch| watch.ended.is_none());
        let mut state = self.lock();
        let runs = |revision: &Revision| running.iter().any(|watch| watch.revision == *revision);
        state.before.retain(|revision, _| runs(revision));
        state.tries.retain(|revision, _| runs(revision));
        state.running = Arc::new(running);
        Ok(())
    }

    /// Notes that it was refused to take a change back once more; says whether it is to be tried again.
    fn refused(&self, revision: Revision) -> bool {
        let mut state = self.lock();
        let tries = state.tries.entry(revision).or_default();
        *tries += 1;
        *tries < MOST_TRIES
    }

    fn seen(&self, revision: Revision) -> Option<Aftermath> {
        let state = self.lock();
        state.seen.get(&revision).map(|(_, seen)| seen.clone())
    }

    /// When it was looked at a change last.
    fn looked(&self, revision: Revision) -> Option<Wall> {
        self.lock().seen.get(&revision).map(|(at, _)| *at)
    }

    fn remember(&self, revision: Revision, at: Wall, seen: Aftermath) {
        let mut state = self.lock();
        state.seen.insert(revision, (at, seen));
        while state.seen.len() > MOST_REMEMBERED {
            state.seen.pop_first();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at what is watched, for as long as it is polled.
pub(crate) async fn run(center: Arc<Center>) {
    let started = clock::wall();
    loop {
        tokio::time::sleep(LOOK).await;
        let shared = Arc::clone(&center);
        let looked = tokio::task::spawn_blocking(move || look_at_all(&shared, started));
        if looked.await.is_err() {
            return;
        }
    }
}

fn look_at_all(center: &Center, started: Wall) {
    if let Err(failed) = center.watching.refresh(&center.store) {
        return center.trouble(failed.code(), failed);
    }
    for watch in center.watching.running().iter() {
        let now = clock::wall();
        let due = due(center, watch, started);
        let looked = center.watching.looked(watch.revision);
        if now < due && looked.is_some_and(|looked| !is_time(watch.at, looked, now)) {
            continue;
        }
        let seen = look(center, watch, now);
        center.watching.remember(watch.revision, now, seen.clone());
        let done = match verdict(&seen, now, due) {
            None => continue,
            Some((End::Stayed, why)) => center
                .store
                .end_watch(watch.revision, End::Stayed, &why, now)
                .map(drop)
                .map_err(NotRead::Failed),
            Some((end, why)) => go_back(center, watch, None, end, why),
        };
        let done = done.and_then(|()| Ok(center.watching.refresh(&center.store)?));
        // It is tried again with the next look.
        if let Err(error) = done {
            center.trouble(error.code(), error);
        }
    }
}

/// Whether it is time for another look at what goes on since `at`.
fn is_time(at: Wall, looked: Wall, now: Wall) -> bool {
    let pause = now.since(at) / PART;
    // A clock that was set back begins anew.
    now < looked || now.since(looked) >= pause.clamp(LOOK, SELDOM)
}

/// When it is over, at the earliest.
fn due(center: &Center, watch: &KeptWatch, started: Wall) -> Wall {
    let until = match watch.at < started {
        true => watch.terms.until.max(started + CATCHING_UP),
        false => watch.terms.until,
    };
    until + crate::flows::pause(center.fleet.len()) + ON_ITS_WAY
}

/// What becomes of a watch by what is seen; nothing while it goes on.
fn verdict(seen: &Aftermath, now: Wall, due: Wall) -> Option<(End, Message)> {
    use leno_admin::Weight::{Refused, Risen};
    if let Some(why) = seen.unwell.first() {
        return Some((End::WentBack, message(why)));
    }
    let worst = seen.worse.first();
    if let Some(worst) = worst.filter(|one| matches!(one.weight, Refused | Risen)) {
        return Some((End::WentBack, message(&worst.to_string())));
    }
    if now < due {
        return None;
    }
    let why = match (&seen.not_read, seen.calls) {
        (Some(why), _) => {
            let why = format!(
                "what became of calls could not be looked at: {}",
                why.message
            );
            return Some((End::Unseen, message(&why)));
        }
        (None, 0) => "no call came that it could have touched".to_owned(),
        (None, calls) => format!(
            "{} of {calls} calls failed that it can have touched",
            seen.failed
        ),
    };
    let overrides = match seen.overrides {
        0 => "",
        _ => ", while overrides held",
    };
    Some((End::Stayed, message(&format!("{why}{overrides}"))))
}

fn message(text: &str) -> Message {
    let text: String = text.chars().take(1000).collect();
    Message::new(&text.replace(char::is_control, " ")).unwrap_or_default()
}

/// The terms on which a change is to be watched from `now` on; fails where it could not be watched.
pub(crate) fn terms(center: &Center, wanted: &WatchFor, now: Wall) -> Result<Terms, Failure> {
    let length = Duration::from_secs(wanted.seconds);
    if length < SHORTEST || length > LONGEST {
        return Err(Failure::plain("a change is watched for 10 s to 24 h"));
    }
    if wanted.tolerate > MILLION {
        return Err(Failure::plain(
            "no more than all calls can fail: --tolerate 100%",
        ));
    }
    if let Err(failed) = center.ledger.with(Flows::kept) {
        let why = "nothing was changed: what becomes of calls cannot be looked at";
        return Err(Failure {
            advice: Some("leno check · leno explain S014".to_owned()),
            ..Failure::coded(Code::S014, format_args!("{why}: {failed}"))
        });
    }
    let unwell: String = unwell(center).map(|(name, _)| name + "\n").collect();
    Ok(Terms {
        until: now + length,
        tolerated: wanted.tolerate,
        unwell: Message::new(&unwell).unwrap_or_default(),
    })
}

/// All of them, in millionths.
const MILLION: u32 = 1_000_000;

/// The change that `revision` made, as it is watched from here on.
pub(crate) fn begun(center: &Center, revision: Revision) -> Option<WatchedChange> {
    let read = center.watching.refresh(&center.store);
    if let Err(failed) = read {
        center.trouble(failed.code(), failed);
    }
    let running = center.watching.running();
    let watch = running.iter().find(|watch| watch.revision == revision)?;
    told(center, watch, &Sight::whole(center)).ok()
}

/// The watches, as far as they may be seen.
pub(crate) fn list(center: &Center, sight: &Sight, ask: &WatchesOf) -> Result<Watches, Failure> {
    let kept = center
        .store
        .watches()
        .map_err(NotRead::Failed)
        .map_err(not_read)?;
    let wanted = |watch: &&KeptWatch| ask.revision.is_none_or(|it| watch.revision.0 == it);
    let mut watches = Vec::new();
    for watch in kept.iter().filter(wanted) {
        let one = told(center, watch, sight)?;
        if sight.is_whole() || !one.objects.is_empty() {
            watches.push(one);
        }
        if watches.len() >= MOST_TOLD {
            break;
        }
    }
    if let (Some(revision), true) = (ask.revision, watches.is_empty()) {
        return Err(none_of(Some(revision)));
    }
    Ok(Watches {
        status: status(center),
        watches,
    })
}

/// Lets a change stay, or takes it back, before its time is over.
pub(crate) fn end_early(
    center: &Center,
    sight: &Sight,
    who: &Label,
    ask: &EndWatch,
) -> Result<Watches, Failure> {
    center
        .watching
        .refresh(&center.store)
        .map_err(NotRead::Failed)
        .map_err(not_read)?;
    let running = center.watching.running();
    let wanted = |watch: &&KeptWatch| ask.revision.is_none_or(|it| watch.revision.0 == it);
    let mut named = running.iter().filter(wanted);
    let watch = match (named.next(), named.next()) {
        (Some(watch), None) => watch,
        (None, _) => return Err(none_of(ask.revision)),
        (Some(_), Some(_)) => {
            let several = "several changes are watched: name one by its revision";
            return Err(Failure {
                advice: Some("leno watch".to_owned()),
                ..Failure::plain(several)
            });
        }
    };
    for change in changes(center, watch.revision).map_err(not_read)? {
        sight.may_change(change.key())?;
    }
    let now = clock::wall();
    let done = match ask.keep {
        true => {
            let why = message(&format!("{who} let it stay"));
            let ended = center.store.end_watch(watch.revision, End::Kept, &why, now);
            ended.map(drop).map_err(NotRead::Failed)
        }
        false => {
            let why = message(&format!("{who} took it back"));
            go_back(center, watch, Some(who), End::TakenBack, why)
        }
    };
    let done = done.and_then(|()| Ok(center.watching.refresh(&center.store)?));
    done.map_err(not_read)?;
    let revision = Some(watch.revision.0);
    list(center, sight, &WatchesOf { revision })
}

fn none_of(revision: Option<u64>) -> Failure {
    let what = match revision {
        Some(revision) => format!("revision {revision} is not watched"),
        None => "no change is watched".to_owned(),
    };
    Failure {
        advice: Some("leno watch · leno history".to_owned()),
        ..Failure::plain(what)
    }
}

/// What a revision changed.
fn changes(center: &Center, revision: Revision) -> Result<Vec<ObjectChange>, NotRead> {
    let before = Revision(revision.0.saturating_sub(1));
    center.store.diff(before, revision)
}

/// A watch as it travels, with those calls that may be seen.
fn told(center: &Center, watch: &KeptWatch, sight: &Sight) -> Result<WatchedChange, Failure> {
    let Terms {
        until, tolerated, ..
    } = &watch.terms;
    let objects = changes(center, watch.revision).map_err(not_read)?;
    let objects: Vec<_> = objects
        .iter()
        .map(|change| change.key().to_string())
        .collect();
    let own = objects.iter().filter(|object| sight.sees_object(object));
    let own: Vec<_> = own.cloned().collect();
    // Who did what for which reason may be about what others keep to themselves.
    let sees_all = sight.is_whole() || own.len() == objects.len();
    let mut seen = center.watching.seen(watch.revision);
    if let Some(seen) = &mut seen {
        sight.narrow_aftermath(seen);
    }
    Ok(WatchedChange {
        revision: watch.revision.0,
        at: watch.at.to_string(),
        until: until.to_string(),
        left: match watch.ended {
            None => until.since(clock::wall()).as_secs(),
            Some(_) => 0,
        },
        seconds: until.since(watch.at).as_secs(),
        who: match sees_all {
            true => watch.who.to_string(),
            false => "somebody".to_owned(),
        },
        tolerate: *tolerated,
        objects: match sight.is_whole() {
            true => objects,
            false => own,
        },
        ended: watch.ended.as_ref().map(|ended| WatchEnded {
            at: ended.at.to_string(),
            end: end_of(ended.end),
            why: match sees_all {
                true => ended.why.to_string(),
                false => "for a reason that is not shown to this role".to_owned(),
            },
            by: ended.by.map(|by| by.0),
        }),
        seen,
    })
}

fn end_of(end: End) -> WatchEnd {
    match end {
        End::Stayed => WatchEnd::Stayed,
        End::Kept => WatchEnd::Kept,
        End::WentBack => WatchEnd::WentBack,
        End::Unseen => WatchEnd::Unseen,
        End::TakenBack => WatchEnd::TakenBack,
        End::Stuck => WatchEnd::Stuck,
    }
}

#[cfg(test)]
mod tests {
    use leno_admin::{Weight, WorseCalls};

    use super::*;

    fn worse(weight: Weight) -> WorseCalls {
        WorseCalls {
            weight,
            from: "shop/web".into(),
            address: None,
            to: "shop/cart".into(),
            port: 80,
            request: "GET /x".into(),
            status: Some(403),
            code: Some("R003".into()),
            why: "no-allow-rule".into(),
            failed: 3,
            calls: 4,
            failed_before: 0,
            calls_before: 90,
            last: String::new(),
        }
    }

    /// What becomes of a watch, before and after its time.
    fn check(seen: &Aftermath, expect: [&str; 2]) {
        let at = |seconds| Wall::since_epoch(Duration::from_secs(seconds));
        let told = [9, 10].map(|now| match verdict(seen, at(now), at(10)) {
            None => "goes on".to_owned(),
            Some((end, why)) => format!("{end}: {why}"),
        });
        assert_eq!(told, expect);
    }

    #[test]
    fn what_is_beyond_the_bound_goes_back_at_once_and_the_rest_stays_in_the_end() {
        let nothing = Aftermath::default();
        let none = "stayed: no call came that it could have touched";
        check(&nothing, ["goes on", none]);
        let mut seen = Aftermath {
            calls: 4,
            failed: 3,
            overrides: 1,
            ..nothing.clone()
        };
        let stayed = "stayed: 3 of 4 calls failed that it can have touched, while overrides held";
        for weight in [Weight::TooFew, Weight::Tolerated] {
            seen.worse = vec![worse(weight)];
            check(&seen, ["goes on", stayed]);
        }
        for weight in [Weight::Refused, Weight::Risen] {
            seen.worse = vec![worse(weight)];
            let back = "went-back: shop/web → shop/cart  GET /x: 403 R003 no-allow-rule, \
                        3 of 4 since, 0 of 90 before";
            check(&seen, [back, back]);
        }
        let old = "proxy cart is too old for it: it lacks conditions";
        let unwell = Aftermath {
            unwell: vec![old.into()],
            ..nothing.clone()
        };
        let back = format!("went-back: {old}");
        check(&unwell, [&back, &back]);
        let not_read = Aftermath {
            not_read: Some(Failure::coded(Code::S010, "no such file")),
            ..nothing
        };
        let unseen = "unseen: what became of calls could not be looked at: no such file";
        check(&not_read, ["goes on", unseen]);
    }

    #[test]
    fn what_goes_on_for_long_is_looked_at_seldom() {
        let at = |seconds| Wall::since_epoch(Duration::from_secs(seconds));
        for (since, looked, now, expect) in [
            (0, 4, 5, true),
            (0, 298, 300, false),
            (0, 297, 300, true),
            (0, 79_950, 80_000, false),
            (0, 79_940, 80_000, true),
            (0, 50, 40, true),
        ] {
            assert_eq!(
                is_time(at(since), at(looked), at(now)),
                expect,
                "{looked} {now}"
            );
        }
    }
}
