//! What a proxy answers to those who may ask it, whoever carries the question there: its own socket,
//! its control plane, or the process that it runs in.

mod probe;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leno_admin::several::Respondent;
use leno_admin::{
    Answer, Failure, Holding, KeptCalls, Once, Parts, Passed, Question, Recorded, Reply, TapOf,
    Tapped, Wanted, Watched, Which, answer_in_lines, each_once,
};
use leno_model::Code;
use leno_telemetry::{Event, Filter, Kept, Record, Telemetry};
use leno_traffic::Scope;
use leno_wire::part::parts_of;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep_until};

use crate::hands::Hands;
use crate::{Clocks, Proxy};

/// Knows what one proxy has to say of itself and of the calls that it carries. A clone is the same.
#[derive(Clone)]
pub struct Witness(Arc<Known>);

struct Known {
    name: String,
    clocks: Clocks,
    telemetry: Telemetry,
    holding: Box<dyn Fn() -> Holding + Send + Sync>,
    /// Empty while the proxy has not started.
    hands: OnceLock<Hands>,
}

/// How many calls one answer has at most.
const MOST_CALLS: usize = 1000;

/// How many records of one beginning an answer has at most: enough to tell the calls apart.
const MOST_NAMED: usize = 64;

/// How many bytes one answer has at most: it has to pass through a control plane.
const MOST_BYTES: usize = 4 << 20;

/// How many things that a tap shows wait at most to be taken.
const QUEUE: usize = 256;

/// How often it is looked how many were not shown.
const LOOK: Duration = Duration::from_secs(1);

impl Witness {
    /// A witness of the proxy that people know by `name`, whose calls `telemetry` records.
    pub fn new(
        name: String,
        clocks: Clocks,
        telemetry: Telemetry,
        holding: impl Fn() -> Holding + Send + Sync + 'static,
    ) -> Self {
        let holding = Box::new(holding);
        Self(Arc::new(Known {
            name,
            clocks,
            telemetry,
            holding,
            hands: OnceLock::new(),
        }))
    }

    /// Answers a question; those about anything but a proxy are refused.
    pub async fn answer(self, question: Question) -> Result<Reply, Failure> {
        match question {
            Question::Holding(_) => Ok(Answer::Holding((self.0.holding)()).into()),
            Question::Kept(ask) => {
                // What is kept are megabytes.
                let telemetry = self.0.telemetry.clone();
                let found = move || {
                    let mut found = find(&telemetry.kept(), &ask.wanted)?;
                    if let Wanted::Named { id } = &ask.wanted
                        && found.calls.is_empty()
                    {
                        found.passed = telemetry.passed(id).iter().map(Passed::of).collect();
                    }
                    Ok::<_, Failure>(found)
                };
                let found = tokio::task::spawn_blocking(found).await;
                let failed = |_| Failure::plain("the proxy failed at this question");
                let name = self.0.name.clone();
                Ok(Answer::Kept(KeptCalls {
                    asked: vec![name],
                    ..found.map_err(failed)??
                })
                .into())
            }
            Question::Tap(ask) => self.tap(&ask).map(Reply::Tap),
            Question::Parts(_) => Ok(Answer::Parts(self.parts()?).into()),
            Question::Probe(ask) => {
                let probed = probe::probe(self.hands()?, &self.0.telemetry, &ask).await;
                Ok(Answer::Probed(probed?).into())
            }
            Question::Reach(ask) => {
                let reached = probe::reach(self.hands()?, &ask).await;
                Ok(Answer::Reached(reached?).into())
            }
            _ => Err(Failure::plain(
                "this is a question for a control plane, and this a proxy",
            )),
        }
    }

    /// Lets it try calls through `proxy`. The first that is said holds.
    pub fn try_by(&self, proxy: &Proxy) {
        self.0.hands.get_or_init(|| proxy.hands());
    }

    fn hands(&self) -> Result<&Hands, Failure> {
        let hands = self.0.hands.get();
        hands.ok_or_else(|| Failure::plain("the proxy holds no view yet: it carries nothing"))
    }

    fn parts(&self) -> Result<Parts, Failure> {
        let table = self.hands()?.table();
        let parts = parts_of(table.view()).into_iter();
        Ok(Parts {
            proxy: self.0.name.clone(),
            generation: table.view().generation.to_string(),
            parts: parts.map(|part| STANDARD.encode(part.encode())).collect(),
            is_whole: matches!(table.scope(), Scope::Whole),
        })
    }

    /// The way to ask it, beside others.
    pub fn respondent(&self) -> Respondent {
        let witness = self.clone();
        Arc::new(move |asked| answer_in_lines(&asked, |question| witness.clone().answer(question)))
    }

    fn tap(&self, ask: &TapOf) -> Result<mpsc::Receiver<Tapped>, Failure> {
        let mut tap = self.0.telemetry.tap(filter(&ask.which)?, ask.limit);
        let (clocks, both) = (self.0.clocks.clone(), ask.both);
        let (show, shown) = mpsc::channel(QUEUE);
        let watching = Tapped::Watching(Watched {
            proxies: vec![self.0.name.clone()],
            silent: Vec::new(),
            limit: ask.limit,
        });
        tokio::spawn(async move {
            let mut once = Once::default();
            let mut told = 0;
            let mut looks = interval(LOOK);
            if show.send(watching).await.is_err() {
                return;
            }
            loop {
                let now = clocks.now().mono;
                let due = once.poll_timeout();
                let due = clocks.instant(due.unwrap_or(now));
                let is_waiting = once.poll_timeout().is_some();
                let call = tokio::select! {
                    record = tap.next() => {
                        let told = Recorded::of(&record.event());
                        match both {
                            true => Some(told),
                            false => once.take(told, clocks.now().mono),
                        }
                    }
                    () = sleep_until(due), if is_waiting => {
                        once.handle_timeout(clocks.now().mono)
                    }
                    _ = looks.tick() => None,
                    () = show.closed() => return,
                };
                let dropped = tap.dropped();
                let more = (dropped > told).then(|| Tapped::Dropped(dropped - told));
                told = dropped;
                let call = call.map(|call| Tapped::Call(Box::new(call)));
                for tapped in call.into_iter().chain(more) {
                    // Meanwhile the tap counts what it has no room for.
                    if show.send(tapped).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(shown)
    }
}

fn filter(which: &Which) -> Result<Filter, Failure> {
    let code = which.code.as_deref().map(str::parse::<Code>).transpose();
    Ok(Filter {
        failed: which.failed,
        party: which.party.clone(),
        from: which.from.clone(),
        to: which.to.clone(),
        method: which.method.clone(),
        path: which.path.clone(),
        status: which.status,
        code: code.map_err(Failure::plain)?,
    })
}

fn succeeded(record: &Record) -> bool {
    let event = record.event();
    event.fault().is_none() && !matches!(event, Event::Call(call) if call.status >= 400)
}

/// What is kept of the calls that are asked for, oldest first.
fn find(kept: &Kept, wanted: &Wanted) -> Result<KeptCalls, Failure> {
    let told = |record: &Record| Recorded::of(&record.event());
    let calls: Vec<_> = match wanted {
        Wanted::Last { count, which } => {
            let filter = filter(which)?;
            let records = kept
                .records
                .iter()
                .filter(|record| filter.takes(&record.event()));
            let calls = each_once(records.map(|record| told(record)));
            let most = usize::try_from(*count).map_or(MOST_CALLS, |count| count.min(MOST_CALLS));
            let first = calls.len().saturating_sub(most);
            calls.into_iter().skip(first).collect()
        }
        Wanted::Named { id } => {
            let records = kept.records.iter().filter(|record| {
                let named = record.event().id();
                format!("{named:?}").starts_with(id)
            });
            records
                .take(MOST_NAMED)
                .map(|record| told(record))
                .collect()
        }
    };
    let mut room = MOST_BYTES;
    let fits = |call: &&Recorded| {
        let bytes = serde_json::to_vec(call).map_or(0, |bytes| bytes.len());
        room = room.saturating_sub(bytes);
        room > 0
    };
    let fitting = calls.iter().rev().take_while(fits).count();
    let omitted = calls.len() - fitting;
    Ok(KeptCalls {
        calls: calls.into_iter().skip(omitted).collect(),
        omitted: u64::try_from(omitted).unwrap_or(u64::MAX),
        dropped: kept.dropped,
        gone: kept.gone.map(|gone| gone.to_string()),
        succeeded: kept.succeeded,
        succeeded_kept: kept
            .records
            .iter()
            .filter(|record| succeeded(record))
            .count() as u64,
        ..KeptCalls::default()
    })
}

#[cfg(test)]
mod tests {
    use leno_admin::KeptOf;
    use leno_model::{CallId, Wall};
    use leno_telemetry::{Bytes, Call, Decided, Edge, Party, Reporter, Security, Settings};

    use super::*;

    const ONE: &str = "7c1e4b02d41e8a7710aa3c9e0f52b6d8";
    const OTHER: &str = "7c1e4b9a000000000000000000000001";

    fn telemetry() -> Telemetry {
        Telemetry::new(Settings::default())
    }

    /// Two calls, of which the first was refused at the one that was called.
    fn record(telemetry: &Telemetry) {
        let mut recorder = telemetry.recorder();
        let refused = Some(Code::R003);
        for (id, reporter, status, refused, second) in [
            (ONE, Reporter::Destination, 403, refused, 2),
            (ONE, Reporter::Source, 403, None, 2),
            (OTHER, Reporter::Source, 200, None, 9),
            (OTHER, Reporter::Destination, 200, None, 9),
        ] {
            recorder.record(&Event::Call(Call {
                id: CallId::parse(id.as_bytes()).unwrap(),
                edge: Edge {
                    reporter,
                    source: party("web"),
                    destination: party("pay"),
                    security: Security::Mtls,
                },
                route: None,
                peer: ([127, 0, 0, 1], 1).into(),
                endpoint: None,
                began: Wall::since_epoch(Duration::from_secs(second)),
                took: Duration::from_millis(3),
                method: "GET",
                host: "pay",
                path: "/ledger",
                status,
                grpc: None,
                refused,
                tries: 1,
                copy_of: None,
                sent: 0,
                received: 0,
                counted: Bytes::default(),
                logged: None,
                traced: None,
                decided: Decided::default(),
            }));
        }
    }

    fn party(name: &str) -> Party<'_> {
        Party::Known {
            namespace: "shop",
            name,
        }
    }

    fn in_words(told: &Recorded) -> String {
        let code = told.code.as_deref().unwrap_or("-");
        format!("{} {:?} {code}", told.short_id(), told.reporter)
    }

    fn check(wanted: &Wanted, expect: &[&str]) {
        let telemetry = telemetry();
        record(&telemetry);
        let found = find(&telemetry.kept(), wanted).unwrap();
        let found: Vec<_> = found.calls.iter().map(in_words).collect();
        assert_eq!(found, expect, "{wanted:?}");
    }

    fn last(count: u32, which: Which) -> Wanted {
        Wanted::Last { count, which }
    }

    #[test]
    fn each_call_is_told_once_by_who_knows_more_of_it() {
        let both = ["7c1e4b02 Destination R003", "7c1e4b9a Source -"];
        check(&last(9, Which::default()), &both);
        check(&last(1, Which::default()), &both[1..]);
        let refused = Which {
            code: Some("R003".into()),
            ..Which::default()
        };
        check(&last(9, refused), &both[..1]);
    }

    #[test]
    fn a_name_may_be_short_and_tells_both_sides() {
        let named = |id: &str| Wanted::Named { id: id.to_owned() };
        let both = ["7c1e4b02 Destination R003", "7c1e4b02 Source -"];
        check(&named("7c1e4b0"), &both);
        check(&named(ONE), &both);
        check(&named("8"), &[]);
    }

    fn witness(telemetry: &Telemetry) -> Witness {
        let holding = || unreachable!("nobody asks");
        Witness::new("web".into(), Clocks::start(), telemetry.clone(), holding)
    }

    #[tokio::test]
    async fn a_tap_shows_what_its_filter_takes_each_call_once() {
        let telemetry = telemetry();
        let ask = TapOf {
            which: Which {
                to: Some("shop/pay".into()),
                ..Which::default()
            },
            limit: 1,
            both: false,
        };
        let Ok(Reply::Tap(mut tap)) = witness(&telemetry).answer(ask.into()).await else {
            panic!("a tap goes on");
        };
        let Some(Tapped::Watching(watched)) = tap.recv().await else {
            panic!("it begins with who is watched");
        };
        assert_eq!(
            (watched.proxies, watched.limit),
            (vec!["web".to_owned()], 1)
        );
        record(&telemetry);
        let (mut story, mut dropped) = (Vec::new(), 0);
        while story.len() < 2 || dropped < 2 {
            match tap.recv().await {
                Some(Tapped::Call(told)) => story.push(in_words(&told)),
                Some(Tapped::Dropped(more)) => dropped += more,
                told => panic!("{told:?}"),
            }
        }
        assert_eq!(story, ["7c1e4b02 Destination R003", "7c1e4b9a Source -"]);
    }

    #[tokio::test]
    async fn what_is_no_question_for_a_proxy_is_refused() {
        let telemetry = telemetry();
        for question in [
            Question::from(leno_admin::StatusOf {}),
            leno_admin::End {}.into(),
            KeptOf {
                wanted: last(
                    1,
                    Which {
                        code: Some("nonsense".into()),
                        ..Which::default()
                    },
                ),
            }
            .into(),
        ] {
            assert!(witness(&telemetry).answer(question).await.is_err());
        }
    }
}
