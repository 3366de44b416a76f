//! Calls as they happen at several proxies, each shown once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leno_model::Mono;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::{Asked, HUNG_UP, PATIENCE, Respondent, bounded};
use crate::calls::{Silent, Tapped, Watched};
use crate::lines::{ask_in_line, read_item};
use crate::once::Once;
use crate::question::TapOf;
use crate::recorded::Recorded;

/// How often it is looked whether proxies have come or gone.
const LOOK: Duration = Duration::from_secs(1);

/// How many things wait at most to be taken by who watches.
const QUEUE: usize = 256;

/// Watches every proxy that `look` finds, also those that come later, for as long as somebody takes
/// what it shows. Who takes it slowly misses calls, which are counted. Needs a runtime around it.
pub fn tap(
    look: impl FnMut() -> Vec<Asked> + Send + 'static,
    ask: TapOf,
) -> mpsc::Receiver<Tapped> {
    let (show, shown) = mpsc::channel(QUEUE);
    let (tell, told) = mpsc::channel(QUEUE);
    let watch = Watch {
        look,
        limit: ask.limit,
        both: ask.both,
        asked: ask_in_line(ask),
        tell,
        reading: JoinSet::new(),
        watched: BTreeMap::new(),
        silent: BTreeMap::new(),
        begun: Instant::now(),
        once: Once::default(),
        second: 0,
        shown: 0,
        dropped: 0,
        show,
    };
    tokio::spawn(watch.run(told));
    shown
}

struct Watch<L> {
    look: L,
    limit: u32,
    both: bool,
    asked: Vec<u8>,
    tell: mpsc::Sender<Heard>,
    reading: JoinSet<(u64, Silent)>,
    /// Those that have begun to show their calls; the others that are asked have no name yet.
    watched: BTreeMap<u64, Option<Vec<String>>>,
    /// Those that do not show their calls. They are asked again with each look.
    silent: BTreeMap<u64, Silent>,
    begun: Instant,
    once: Once,
    /// The second that is not over, counted from the beginning, and how many were shown in it.
    second: u64,
    shown: u32,
    /// How many have not been shown, and not been told of.
    dropped: u64,
    show: mpsc::Sender<Tapped>,
}

/// What comes from one proxy.
struct Heard {
    from: u64,
    name: String,
    told: Tapped,
}

impl<L: FnMut() -> Vec<Asked> + Send + 'static> Watch<L> {
    async fn run(mut self, mut told: mpsc::Receiver<Heard>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = None;
        let mut first = true;
        loop {
            let due = self.once.poll_timeout();
            let due = self.begun + due.map_or(LOOK, |due| due.since(Mono::default()));
            tokio::select! {
                _ = looks.tick() => self.look(),
                Some(heard) = told.recv() => self.hear(heard),
                Some(ended) = self.reading.join_next() => {
                    if let Ok((number, silent)) = ended {
                        self.watched.remove(&number);
                        self.silent.insert(number, silent);
                    }
                }
                () = sleep_until(due), if self.once.poll_timeout().is_some() => {}
                () = self.show.closed() => return,
            }
            while let Some(call) = self.once.handle_timeout(self.now()) {
                self.show(call);
            }
            let is_settled = self.watched.values().all(Option::is_some);
            let now = self.watching();
            if (is_settled || !first) && before.as_ref() != Some(&now) {
                first = false;
                if self.send(Tapped::Watching(now.clone())) {
                    before = Some(now);
                }
            }
            if self.dropped > 0 && self.send(Tapped::Dropped(self.dropped)) {
                self.dropped = 0;
            }
        }
    }

    fn look(&mut self) {
        let (proxies, rest) = bounded((self.look)());
        let here: BTreeSet<_> = proxies.iter().map(|proxy| proxy.number).collect();
        // Those beyond the bound have numbers that nobody else has.
        self.silent.retain(|number, _| here.contains(number));
        let beyond = (0..rest.len()).filter_map(|place| u64::try_from(place).ok());
        let beyond = beyond.map(|place| u64::MAX - place);
        self.silent.extend(beyond.zip(rest));
        for proxy in proxies {
            if self.watched.contains_key(&proxy.number) {
                continue;
            }
            match &proxy.way {
                Ok(way) => {
                    self.watched.insert(proxy.number, None);
                    let (way, tell, asked) = (way.clone(), self.tell.clone(), self.asked.clone());
                    self.reading.spawn(async move {
                        let why = read(&way, asked, &proxy, &tell).await;
                        (proxy.number, proxy.silent(why))
                    });
                }
                Err(why) => {
                    self.silent.insert(proxy.number, proxy.silent(why));
                }
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard.told {
            Tapped::Watching(watched) => {
                self.silent.remove(&heard.from);
                let names = match watched.proxies.is_empty() {
                    true => vec![heard.name],
                    false => watched.proxies,
                };
                self.watched.insert(heard.from, Some(names));
            }
            Tapped::Call(call) => {
                let call = match self.both {
                    true => Some(*call),
                    false => self.once.take(*call, self.now()),
                };
                if let Some(call) = call {
                    self.show(call);
                }
            }
            Tapped::Dropped(more) => self.dropped = self.dropped.saturating_add(more),
        }
    }

    fn show(&mut self, call: Recorded) {
        let second = self.begun.elapsed().as_secs();
        if second != self.second {
            (self.second, self.shown) = (second, 0);
        }
        if self.shown >= self.limit || !self.send(Tapped::Call(Box::new(call))) {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.shown += 1;
    }

    /// Whether there was room for it.
    fn send(&self, tapped: Tapped) -> bool {
        self.show.try_send(tapped).is_ok()
    }

    fn watching(&self) -> Watched {
        let shown = self.watched.values().flatten().flatten();
        let mut proxies: Vec<_> = shown.cloned().collect();
        let mut silent: Vec<_> = self.silent.values().cloned().collect();
        proxies.sort();
        silent.sort();
        Watched {
            proxies,
            silent,
            limit: self.limit,
        }
    }

    fn now(&self) -> Mono {
        Mono::since_start(self.begun.elapsed())
    }
}

/// Reads what one proxy shows, and says in the end why it shows no more.
async fn read(
    way: &Respondent,
    asked: Vec<u8>,
    proxy: &Asked,
    tell: &mpsc::Sender<Heard>,
) -> String {
    let mut lines = way(asked);
    let mut first = true;
    loop {
        let line = match first {
            true => match timeout(PATIENCE, lines.recv()).await {
                Ok(line) => line,
                Err(_) => return format!("no answer within {} s", PATIENCE.as_secs()),
            },
            false => lines.recv().await,
        };
        let Some(line) = line else {
            return HUNG_UP.to_owned();
        };
        let told = match read_item::<Tapped>(&line) {
            Ok(Some(told)) => told,
            Ok(None) => return HUNG_UP.to_owned(),
            Err(why) => return why.to_string(),
        };
        first = false;
        let heard = Heard {
            from: proxy.number,
            name: proxy.name.clone(),
            told,
        };
        if tell.send(heard).await.is_err() {
            return String::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;
    use crate::calls::Which;
    use crate::lines::{Reply, answer_in_lines};

    /// Proxies that come and go, and what each is about to tell.
    #[derive(Clone, Default)]
    struct World(Arc<Mutex<BTreeMap<u64, mpsc::Sender<Tapped>>>>);

    impl World {
        /// Lets one come.
        fn come(&self, number: u64) {
            let (tell, _) = mpsc::channel(1);
            self.0.lock().unwrap().insert(number, tell);
        }

        /// Lets one go.
        fn go(&self, number: u64) {
            self.0.lock().unwrap().remove(&number);
        }

        /// Lets one tell of something.
        async fn tell(&self, number: u64, told: Tapped) {
            let tell = self.0.lock().unwrap().get(&number).unwrap().clone();
            tell.send(told).await.unwrap();
        }

        fn look(&self) -> Vec<Asked> {
            let numbers: Vec<_> = self.0.lock().unwrap().keys().copied().collect();
            let asked = numbers.into_iter().map(|number| {
                let world = self.clone();
                let respondent: Respondent = Arc::new(move |asked| {
                    let (tell, told) = mpsc::channel(QUEUE);
                    tell.try_send(Tapped::Watching(Watched::default())).unwrap();
                    world.0.lock().unwrap().insert(number, tell);
                    answer_in_lines(&asked, |_| async { Ok(Reply::Tap(told)) })
                });
                Asked {
                    number,
                    name: format!("p{number}"),
                    way: match number {
                        9 => Err("it is too old".to_owned()),
                        _ => Ok(respondent),
                    },
                }
            });
            asked.collect()
        }

        fn tap(&self, limit: u32) -> mpsc::Receiver<Tapped> {
            let world = self.clone();
            let which = Which::default();
            let ask = TapOf {
                which,
                limit,
                both: false,
            };
            tap(move || world.look(), ask)
        }
    }

    fn call(word: &str) -> Tapped {
        let (id, reporter) = word.split_once(' ').unwrap();
        let told = json!({"event": "call", "time": "", "id": id, "reporter": reporter});
        Tapped::Call(serde_json::from_value(told).unwrap())
    }

    async fn shown(tap: &mut mpsc::Receiver<Tapped>) -> String {
        match tap.recv().await.unwrap() {
            Tapped::Watching(watched) => {
                let silent = watched
                    .silent
                    .iter()
                    .map(|silent| format!(" not {}", silent.proxy));
                format!(
                    "{}{}",
                    watched.proxies.join(" "),
                    silent.collect::<String>()
                )
            }
            Tapped::Call(told) => format!("{} {:?}", told.id, told.reporter),
            Tapped::Dropped(more) => format!("{more} more"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_of_all_that_come_and_go_are_shown_once() {
        let world = World::default();
        world.come(1);
        world.come(9);
        let mut tap = world.tap(100);
        assert_eq!(shown(&mut tap).await, "p1 not p9");
        world.tell(1, call("7 source")).await;
        assert_eq!(shown(&mut tap).await, "7 Source");
        world.come(2);
        assert_eq!(shown(&mut tap).await, "p1 p2 not p9");
        world.tell(2, call("7 destination")).await;
        world.tell(2, call("8 source")).await;
        assert_eq!(shown(&mut tap).await, "8 Source");
        world.go(1);
        world.go(9);
        assert_eq!(shown(&mut tap).await, "p2 not p1 not p9");
        assert_eq!(shown(&mut tap).await, "p2");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_beyond_the_limit_or_comes_too_fast_is_counted() {
        let world = World::default();
        world.come(1);
        let mut tap = world.tap(2);
        assert_eq!(shown(&mut tap).await, "p1");
        for word in ["1 source", "2 source", "3 source", "4 source"] {
            world.tell(1, call(word)).await;
        }
        let mut story = Vec::new();
        while story
            .iter()
            .filter(|word: &&String| word.ends_with("more"))
            .count()
            < 2
        {
            story.push(shown(&mut tap).await);
        }
        assert_eq!(story, ["1 Source", "2 Source", "1 more", "1 more"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_has_gone_ends_it_all() {
        let world = World::default();
        world.come(1);
        let mut tap = world.tap(100);
        assert_eq!(shown(&mut tap).await, "p1");
        drop(tap);
        let tell = world.0.lock().unwrap().get(&1).unwrap().clone();
        tell.closed().await;
    }
}
