//! What several proxies keep of calls that are over.

use std::collections::BTreeMap;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Asked, HUNG_UP, PATIENCE, Respondent, bounded};
use crate::calls::{KeptCalls, Silent, Wanted};
use crate::lines::{ask_in_line, read_answer};
use crate::once::each_once;
use crate::question::KeptOf;
use crate::recorded::Recorded;

/// How many proxies are asked at once.
const AT_ONCE: usize = 32;

/// How many times longer than one proxy all of them may take together.
const ALL: u32 = 3;

/// How many records of one beginning are told at most: enough to tell the calls apart.
const MOST_NAMED: usize = 128;

/// How many proxies' memories of one call are told at most.
const MOST_PASSED: usize = 8;

/// Asks each of `proxies`, for a bounded time; who has not answered by then is named.
pub async fn kept(proxies: Vec<Asked>, ask: KeptOf) -> KeptCalls {
    let (proxies, silent) = bounded(proxies);
    let until = Instant::now() + PATIENCE * ALL;
    let wanted = ask.wanted.clone();
    let asked = ask_in_line(ask);
    let mut sum = Sum {
        wanted,
        kept: KeptCalls {
            silent,
            ..KeptCalls::default()
        },
    };
    let named = |proxy: &Asked| (proxy.number, proxy.name.clone());
    let mut waiting: BTreeMap<_, _> = proxies.iter().map(named).collect();
    let mut proxies = proxies.into_iter();
    let mut asking = JoinSet::new();
    loop {
        while asking.len() < AT_ONCE
            && let Some(proxy) = proxies.next()
        {
            let asked = asked.clone();
            asking.spawn(async move {
                let answer = match &proxy.way {
                    Ok(way) => one(way, asked).await,
                    Err(why) => Err(why.clone()),
                };
                (proxy, answer)
            });
        }
        match timeout_at(until, asking.join_next()).await {
            Ok(None) | Err(_) => break,
            Ok(Some(Err(_))) => {}
            Ok(Some(Ok((proxy, answer)))) => {
                waiting.remove(&proxy.number);
                match answer {
                    Ok(answer) => sum.add(proxy.name, answer),
                    Err(why) => sum.kept.silent.push(proxy.silent(why)),
                }
            }
        }
    }
    let late = waiting
        .into_values()
        .map(|proxy| Silent { proxy, why: late() });
    sum.kept.silent.extend(late);
    sum.kept.silent.sort();
    sum.kept.asked.sort();
    sum.kept
}

async fn one(way: &Respondent, asked: Vec<u8>) -> Result<KeptCalls, String> {
    let mut lines = way(asked);
    let line = timeout(PATIENCE, lines.recv()).await.map_err(|_| late())?;
    let line = line.ok_or_else(|| HUNG_UP.to_owned())?;
    read_answer(&line).map_err(|why| why.to_string())
}

fn late() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

/// What has been answered so far. It never holds more than was asked for.
struct Sum {
    wanted: Wanted,
    kept: KeptCalls,
}

impl Sum {
    fn add(&mut self, proxy: String, answer: KeptCalls) {
        let kept = &mut self.kept;
        match answer.asked.is_empty() {
            true => kept.asked.push(proxy),
            false => kept.asked.extend(answer.asked),
        }
        kept.silent.extend(answer.silent);
        kept.dropped = kept.dropped.saturating_add(answer.dropped);
        kept.omitted = kept.omitted.saturating_add(answer.omitted);
        kept.gone = kept.gone.take().max(answer.gone);
        kept.succeeded = kept.succeeded.saturating_add(answer.succeeded);
        kept.succeeded_kept = kept.succeeded_kept.saturating_add(answer.succeeded_kept);
        let room = MOST_PASSED.saturating_sub(kept.passed.len());
        kept.passed.extend(answer.passed.into_iter().take(room));
        let calls = std::mem::take(&mut kept.calls);
        let calls = calls.into_iter().chain(answer.calls);
        let (mut calls, most) = match &self.wanted {
            Wanted::Last { count, .. } => (
                each_once(calls),
                usize::try_from(*count).unwrap_or(usize::MAX),
            ),
            Wanted::Named { .. } => (calls.collect::<Vec<Recorded>>(), MOST_NAMED),
        };
        calls.sort_by(|one, other| one.time.cmp(&other.time));
        calls.drain(..calls.len().saturating_sub(most));
        kept.calls = calls;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;
    use crate::answer::Answer;
    use crate::calls::Which;
    use crate::failure::Failure;
    use crate::lines::answer_in_lines;

    fn told(word: &str) -> Recorded {
        let mut fields = word.split(' ');
        let (id, reporter) = (fields.next().unwrap(), fields.next().unwrap());
        let told = json!({
            "event": "call",
            "id": id,
            "time": format!("2026-11-20T02:00:0{id}.000Z"),
            "reporter": reporter,
            "code": fields.next(),
        });
        serde_json::from_value(told).unwrap()
    }

    /// A proxy that says what it keeps by words like `7 source R003`; or `refuses`, `hangs up`, `is
    /// silent`, `cannot be asked`.
    fn proxy(number: u64, name: &str, keeps: &[&str]) -> Asked {
        let calls: Vec<_> = keeps
            .iter()
            .filter(|word| word.starts_with(|first: char| first.is_ascii_digit()))
            .map(|word| told(word))
            .collect();
        let does = |what: &str| keeps == [what];
        let (refuses, hangs_up, is_silent) = (does("refuses"), does("hangs up"), does("is silent"));
        let respondent: Respondent = Arc::new(move |asked| {
            if hangs_up {
                return mpsc::channel(1).1;
            }
            let kept = KeptCalls {
                calls: calls.clone(),
                ..KeptCalls::default()
            };
            answer_in_lines(&asked, |_| async move {
                if is_silent {
                    std::future::pending::<()>().await;
                }
                match refuses {
                    true => Err(Failure::plain("it is busy")),
                    false => Ok(Answer::Kept(kept)),
                }
            })
        });
        Asked {
            number,
            name: name.to_owned(),
            way: match does("cannot be asked") {
                true => Err("it is too old".to_owned()),
                false => Ok(respondent),
            },
        }
    }

    async fn check(wanted: Wanted, proxies: &[(&str, &[&str])], expect: &[&str]) {
        let proxies = (0..).zip(proxies);
        let proxies = proxies.map(|(number, (name, keeps))| proxy(number, name, keeps));
        let kept = kept(proxies.collect(), KeptOf { wanted }).await;
        let calls = kept.calls.iter().map(|told| {
            let code = told.code.as_deref().unwrap_or("-");
            format!("{} {:?} {code}", told.id, told.reporter)
        });
        let silent = kept.silent.iter();
        let silent = silent.map(|silent| format!("{}: {}", silent.proxy, silent.why));
        let asked = format!("asked {}", kept.asked.join(" "));
        let story: Vec<_> = calls.chain([asked]).chain(silent).collect();
        assert_eq!(story, expect);
    }

    fn last(count: u32) -> Wanted {
        let which = Which::default();
        Wanted::Last { count, which }
    }

    #[tokio::test(start_paused = true)]
    async fn what_two_proxies_keep_is_put_together() {
        let proxies: &[(&str, &[&str])] = &[
            ("web", &["1 source", "3 source"]),
            ("cart", &["1 destination", "3 destination R003"]),
        ];
        let both = ["1 Source -", "3 Destination R003", "asked cart web"];
        check(last(9), proxies, &both).await;
        check(last(1), proxies, &["3 Destination R003", "asked cart web"]).await;
        let id = String::new();
        check(
            Wanted::Named { id },
            &proxies[..1],
            &["1 Source -", "3 Source -", "asked web"],
        )
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_named_with_why() {
        check(
            last(9),
            &[
                ("a", &["1 source"]),
                ("b", &["refuses"]),
                ("c", &["hangs up"]),
                ("d", &["is silent"]),
                ("e", &["cannot be asked"]),
            ],
            &[
                "1 Source -",
                "asked a",
                "b: it is busy",
                "c: it has ended, or its connection has",
                "d: no answer within 3 s",
                "e: it is too old",
            ],
        )
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_are_silent_the_answer_comes_in_time() {
        let silent = (0..500).map(|number| proxy(number, &format!("p{number}"), &["is silent"]));
        let begin = Instant::now();
        let kept = kept(silent.collect(), KeptOf { wanted: last(9) }).await;
        assert_eq!(kept.silent.len(), 500);
        assert!(begin.elapsed() <= PATIENCE * ALL);
    }
}
