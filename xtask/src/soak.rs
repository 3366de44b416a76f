//! `cargo xtask soak`: proxies under load for minutes, over HTTP/1.1, HTTP/2 and bytes, through one and
//! through a pair, with closes by chance at both ends and a configuration that changes all the time. A
//! ledger says at the end whether anything was lost, done twice or changed on its way. `--certificates` is
//! another one: certificates of minutes, with a control plane that is mostly away.

mod certificates;
mod client;
mod errand;
mod http2;
mod ledger;
mod message;
mod scene;
mod server;

use std::{error::Error, fs, path::PathBuf, sync::Arc, thread, time::Duration};

use rustix::process::Signal;

use crate::{
    Outcome,
    chance::Chance,
    rig::{
        contestant::Contestant,
        course::{Course, Spoken, Way},
        folder,
        make::{MESH, Make},
        namespace,
        process::{Core, local, now, pause},
    },
    shell,
    soak::{
        client::Client,
        errand::{ClientDoes, Errand, Over, ServerDoes},
        ledger::Verdict,
        scene::Scene,
    },
};

/// Builds `leno` and lets it run; fails if the ledger finds anything.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let options = Options::parse(arguments)?;
    if !namespace::is_inside() {
        if options.leno.is_none() {
            let build = "build --locked --release --package leno";
            shell::run("cargo", &build.split(' ').collect::<Vec<_>>(), &[])?;
        }
        return namespace::enter("soak", arguments);
    }
    namespace::set_up()?;
    let target = shell::target()?;
    let leno = options.leno.clone();
    let leno = leno.unwrap_or_else(|| target.join("release/leno"));
    if options.certificates {
        let folder = target.join("soak-certificates");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        return certificates::run(folder, leno, options.time);
    }
    let folder = target.join("soak");
    folder::prepare(&folder, &leno)?;
    let soak = Soak {
        folder,
        leno,
        options,
    };
    soak.run()
}

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Options {
    time: Duration,
    /// Whether it is about certificates, and not about what is carried.
    certificates: bool,
    /// From which everything follows that is left to chance.
    seed: u64,
    /// What is carried; nothing means all.
    only: Option<Over>,
    /// Another `leno` than the one that is built.
    leno: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            time: Duration::from_secs(600),
            certificates: false,
            seed: 1,
            only: None,
            leno: None,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            if word == "--certificates" {
                options.certificates = true;
                options.time = CERTIFICATES;
                continue;
            }
            let needed = || format!("{word} needs a value");
            let value = words.next().ok_or_else(needed)?;
            let unclear = || format!("{word} {value} is not understood");
            match word.as_str() {
                "--for" => options.time = time(value).ok_or_else(unclear)?,
                "--seed" => options.seed = value.parse().map_err(|_| unclear())?,
                "--only" => options.only = Some(Over::named(value).ok_or_else(unclear)?),
                "--leno" => options.leno = Some(value.into()),
                _ => {
                    return Err(format!(
                        "{word} is not known: --certificates --for --seed --only --leno are"
                    ));
                }
            }
        }
        Ok(options)
    }
}

/// How long certificates are watched: three half lives of their roots.
const CERTIFICATES: Duration = Duration::from_secs(900);

/// Reads `90s` and `10m`.
fn time(text: &str) -> Option<Duration> {
    let (number, seconds) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s')?, 1),
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0)?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

/// Where it takes place.
struct Soak {
    folder: PathBuf,
    leno: PathBuf,
    options: Options,
}

/// The proxies on one way, and what goes through them.
struct Road {
    name: String,
    over: Over,
    proxies: Contestant,
}

/// What a proxy holds.
struct Held {
    resident: u64,
    files: usize,
}

impl Soak {
    fn run(&self) -> Outcome {
        let Options { time, seed, .. } = self.options;
        println!("{time:?} with seed {seed}, in {}", self.folder.display());
        let mut roads = self.roads()?;
        let before = held(&roads)?;
        let scene = Arc::new(Scene::default());
        let changes = self.carry(&roads, &scene)?;
        pause(SETTLED);
        let mut verdict = scene.ledger.verdict();
        println!("{}", story(&verdict, changes, scene.met(), roads.len()));
        for road in &mut roads {
            for proxy in &mut road.proxies.proxies {
                if !proxy.runs()? {
                    let ended = format!("a proxy of {} has ended", road.name);
                    verdict.wrong.push(ended);
                    return self.end(&verdict);
                }
            }
        }
        verdict.wrong.extend(kept(&before, &held(&roads)?));
        self.end(&verdict)
    }

    /// Lets clients run their errands until the time is over, and streams live as long; how often the
    /// configuration has changed.
    fn carry(&self, roads: &[Road], scene: &Arc<Scene>) -> Result<usize, Box<dyn Error>> {
        thread::scope(|scope| {
            server::serve(scene, scope, local(8080), Over::Http)?;
            http2::serve(scene, scope, local(8083))?;
            server::serve(scene, scope, local(8084), Over::Bytes)?;
            let mut running = Vec::new();
            for (number, road) in roads.iter().enumerate() {
                // Ids of one client never reach those of the next.
                let seat = |place: u64| (number as u64 * (CLIENTS + STREAMS) + place) << 32;
                let seed = self.options.seed;
                if road.over == Over::Http2 {
                    for place in 0..STREAMS {
                        let long = road.long(seat(CLIENTS + place));
                        let (at, first) = (road.proxies.address, seat(place));
                        running.push(
                            scope.spawn(move || http2::errands(scene, at, first, seed, long)),
                        );
                    }
                    continue;
                }
                for first in (0..CLIENTS).map(seat) {
                    running.push(scope.spawn(move || {
                        road.errands(first, Chance::new(seed ^ first), scene);
                        Ok(())
                    }));
                }
                for long in (CLIENTS..CLIENTS + STREAMS).map(|place| road.long(seat(place))) {
                    running.push(scope.spawn(move || {
                        Client::new(road.proxies.address, &scene.ledger).run(&long);
                        Ok(())
                    }));
                }
            }
            let changes = self.change(roads);
            scene.let_be();
            // All but what lives to the end; a client does not wait longer than it is patient.
            while scene.ledger.count().1 > roads.len() * STREAMS as usize {
                pause(Duration::from_millis(10));
            }
            scene.end();
            for client in running {
                client.join().map_err(|_| "a client has panicked")??;
            }
            changes
        })
    }

    /// A hop and a pair, for each of what is carried.
    fn roads(&self) -> Result<Vec<Road>, Box<dyn Error>> {
        let make = Make::Leno {
            name: "leno".to_owned(),
            program: self.leno.clone(),
        };
        let mut roads = Vec::new();
        for (over, spoken) in [
            (Over::Http, Spoken::Http1),
            (Over::Http2, Spoken::Http2),
            (Over::Bytes, Spoken::Tcp),
        ] {
            if self.options.only.is_some_and(|only| only != over) {
                continue;
            }
            for (way, name) in [(Way::Hop, "hop"), (Way::Pair(Spoken::Http2), "pair")] {
                let course = Course::new(spoken, way);
                let proxies = make.start(&self.folder, &course, Core::Both, roads.len())?;
                roads.push(Road {
                    name: format!("{name}, {}", over.name()),
                    over,
                    proxies,
                });
            }
        }
        Ok(roads)
    }

    /// Changes the configuration until the time is over; how often.
    fn change(&self, roads: &[Road]) -> Result<usize, Box<dyn Error>> {
        let pace = (self.options.time / CHANGES).min(Duration::from_secs(1));
        let begin = now();
        let mut changes = 0;
        while begin.elapsed() < self.options.time {
            changes += 1;
            let route = ROUTE.replace("CHANGE", &changes.to_string());
            let [http1, http2] = ["8080", "8083"].map(|port| route.replace("PORT", port));
            let text = format!("{MESH}{http1}{http2}");
            let written = self.folder.join("mesh.yaml.new");
            fs::write(&written, text)?;
            fs::rename(written, self.folder.join("mesh.yaml"))?;
            for proxy in roads.iter().flat_map(|road| &road.proxies.proxies) {
                proxy.signal(Signal::HUP)?;
            }
            pause(pace);
        }
        Ok(changes)
    }

    fn end(&self, verdict: &Verdict) -> Outcome {
        if verdict.wrong.is_empty() {
            println!("nothing lost, nothing done twice, every body as it was sent");
            return Ok(());
        }
        let file = self.folder.join("wrong");
        fs::write(&file, verdict.wrong.join("\n"))?;
        for wrong in verdict.wrong.iter().take(SHOWN) {
            println!("  {wrong}");
        }
        let (Options { time, seed, .. }, wrong) = (&self.options, verdict.wrong.len());
        Err(format!(
            "{wrong} things are wrong: all in {}, with the logs beside it; again: cargo xtask soak --seed {seed} --for {}s",
            file.display(),
            time.as_secs()
        )
        .into())
    }
}

impl Road {
    /// Runs errands until it is enough.
    fn errands(&self, first: u64, mut chance: Chance, scene: &Scene) {
        let mut client = Client::new(self.proxies.address, &scene.ledger);
        for id in first.. {
            if scene.is_enough() {
                return;
            }
            let errand = Errand::next(id, self.over, &mut chance);
            client.run(&errand);
            pause(Duration::from_micros(chance.below(8000)));
        }
    }

    /// One whose answer comes piece by piece until all is over.
    fn long(&self, id: u64) -> Errand {
        Errand {
            id,
            over: self.over,
            up: 0,
            down: 0,
            chunked: true,
            server: ServerDoes::Trickle,
            client: ClientDoes::Wait,
        }
    }
}

/// What each proxy holds.
fn held(roads: &[Road]) -> Result<Vec<(String, Held)>, Box<dyn Error>> {
    let mut all = Vec::new();
    for road in roads {
        for (place, proxy) in road.proxies.proxies.iter().enumerate() {
            let held = Held {
                resident: proxy.memory()?.resident,
                files: proxy.files()?,
            };
            all.push((format!("{}, proxy {}", road.name, place + 1), held));
        }
    }
    Ok(all)
}

/// Tells what each proxy held before and after; what it has kept and should not.
fn kept(before: &[(String, Held)], after: &[(String, Held)]) -> Vec<String> {
    let mut kept = Vec::new();
    for ((name, before), (_, after)) in before.iter().zip(after) {
        let [less, more] = [before, after].map(|held| held.resident as f64 / 1e6);
        println!(
            "  {name}: {less:.1} MB, then {more:.1} MB; {} files open, then {}",
            before.files, after.files
        );
        if after.files > before.files + FILES {
            kept.push(format!("{name} keeps {} files open", after.files));
        }
    }
    kept
}

/// What has happened, in words.
fn story(verdict: &Verdict, changes: usize, met: usize, roads: usize) -> String {
    let Verdict {
        all,
        done,
        failed,
        unlucky,
        causes,
        left,
        wrong,
    } = verdict;
    let causes = causes
        .iter()
        .map(|(cause, count)| format!("{count} x {cause}"));
    let causes = causes.collect::<Vec<_>>().join(", ");
    format!(
        "{all} errands: {done} done, {failed} failed by the server, {unlucky} met a connection that the server had closed, \
         {left} left by the client, {} wrong\n  answered as failed: [{causes}]\n  {changes} changes of the configuration, \
         {met} of them met by calls; {} streams from the first to the last",
        wrong.len(),
        STREAMS as usize * roads
    )
}

/// What a change brings: a route that tells the server its number.
const ROUTE: &str = "\
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart-PORT, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: PORT}]
  rules:
  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-change, value: 'CHANGE'}]}}]
    backendRefs: [{name: cart, port: PORT}]
";

/// How long it takes until what has ended is told and closed.
const SETTLED: Duration = Duration::from_secs(2);

/// How many clients each road has.
const CLIENTS: u64 = 6;

/// How many streams of it live from the first to the last.
const STREAMS: u64 = 2;

/// How many changes there are at least.
const CHANGES: u32 = 120;

/// How many files a proxy may have open at the end beside those of its beginning: connections that it keeps.
const FILES: usize = 64;

/// How many of the wrong are shown.
const SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_soak_lasts_as_long_as_one_says() {
        assert_eq!(parse("").unwrap().time, Duration::from_secs(600));
        let options = parse("--for 1m --seed 7 --only http2").unwrap();
        assert_eq!((options.time, options.seed), (Duration::from_secs(60), 7));
        assert_eq!(options.only, Some(Over::Http2));
        for line in [
            "--for 1",
            "--for 0s",
            "--for",
            "--until 1m",
            "--seed x",
            "--only udp",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    /// Clients and server without a proxy between: what the ledger says of them is what is expected of
    /// every proxy.
    #[test]
    fn both_ends_agree_with_nothing_between() {
        let scene = &Arc::new(Scene::default());
        thread::scope(|scope| {
            for over in [Over::Http, Over::Bytes] {
                let at = server::serve(scene, scope, local(0), over).unwrap();
                let mut chance = Chance::new(11);
                let mut client = Client::new(at, &scene.ledger);
                for id in 0..200 {
                    let errand = Errand::next(id << 8 | over as u64, over, &mut chance);
                    // Only a proxy answers for a server that has gone.
                    if errand.server == ServerDoes::Answer {
                        client.run(&errand);
                    }
                }
            }
            scene.end();
        });
        let verdict = scene.ledger.verdict();
        assert_eq!(verdict.wrong.first(), None);
        assert!(verdict.done > 200 && verdict.left > 10, "{verdict:?}");
    }

    #[test]
    fn both_ends_of_http2_agree_with_nothing_between() {
        let scene = &Arc::new(Scene::default());
        thread::scope(|scope| {
            let at = http2::serve(scene, scope, local(0)).unwrap();
            let mut long = Errand::next(1 << 32, Over::Http2, &mut Chance::new(1));
            (long.server, long.client) = (ServerDoes::Trickle, ClientDoes::Wait);
            let client = scope.spawn(move || http2::errands(scene, at, 0, 11, long));
            while scene.ledger.count().0 < 200 {
                pause(Duration::from_millis(1));
            }
            scene.let_be();
            while scene.ledger.count().1 > 1 {
                pause(Duration::from_millis(1));
            }
            scene.end();
            client.join().unwrap().unwrap();
        });
        let verdict = scene.ledger.verdict();
        assert_eq!(verdict.wrong.first(), None);
        assert!(verdict.done > 100 && verdict.left > 5, "{verdict:?}");
    }
}
