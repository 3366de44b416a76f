//! The page about a made-up mesh of 300 services and 1,500 edges, to see and to measure how it does:
//! `cargo run --release -p leno-dashboard --example crowd` prints a link, and serves until it is ended.
#![expect(clippy::print_stdout, reason = "it tells the link")]

use std::collections::{BTreeMap, BTreeSet};

use leno_admin::{
    Answer, By, Carried, Edge, Failure, FailureCount, Followers, Kept, Overview, Question, Status,
    Traffic, Verdict,
};
use leno_dashboard::{Dashboard, Mesh, Port};
use leno_model::Code;

const SERVICES: u64 = 300;
const EDGES: usize = 1_500;
const NAMESPACES: u64 = 12;

/// How long each step of what is kept is, in seconds.
const STEP: f64 = 60.0;
const STEPS: usize = 120;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let dashboard = Dashboard::open(Port::default())?;
    println!("{}", dashboard.links().make());
    let ended = dashboard.run(Crowd::new()).await;
    Err(std::io::Error::other(ended.to_string()))
}

/// A mesh in which every service calls five others, most of them in its own namespace, and some calls
/// fail.
struct Crowd {
    edges: Vec<Edge>,
}

impl Crowd {
    fn new() -> Self {
        let mut chance = Chance(7);
        let mut pairs = BTreeSet::new();
        while pairs.len() < EDGES {
            let from = chance.below(SERVICES);
            let is_near = chance.below(10) < 7;
            let to = match is_near {
                true => from + NAMESPACES * (1 + chance.below(5)),
                false => from + 1 + chance.below(40),
            };
            if to < SERVICES {
                pairs.insert((from, to));
            }
        }
        let edges = pairs.into_iter();
        Self {
            edges: edges
                .map(|(from, to)| edge(name(from), name(to), &mut chance))
                .collect(),
        }
    }

    /// What went, told apart like this, over so many steps of the past.
    fn carried(&self, by: By, steps: usize) -> Carried {
        let edges = match by {
            By::Edge => self.edges.clone(),
            By::Mesh => vec![Edge {
                calls: self.edges.iter().map(|edge| edge.calls).sum(),
                failed: self.edges.iter().map(|edge| edge.failed).sum(),
                ..Edge::default()
            }],
            By::Service | By::Route | By::Backend | By::Request => Vec::new(),
        };
        let step = Traffic {
            from: BEGAN.to_owned(),
            until: NOW.to_owned(),
            seconds: STEP,
            edges,
        };
        Carried {
            status: status(),
            kept: Kept {
                from: Some(BEGAN.to_owned()),
                until: Some(NOW.to_owned()),
                ..Kept::default()
            },
            steps: vec![step; steps],
        }
    }
}

impl Mesh for Crowd {
    async fn ask(&self, question: Question) -> Result<Answer, Failure> {
        match question {
            Question::Overview(_) => Ok(Answer::Overview(Box::new(overview()))),
            Question::Traffic(asked) => {
                let steps = asked.step.map_or(1, |_| STEPS);
                Ok(Answer::Carried(Box::new(self.carried(asked.by, steps))))
            }
            _ => Err(Failure::coded(Code::D001, "nothing like it is made up")),
        }
    }
}

const BEGAN: &str = "2026-03-01T10:04:31.000Z";
const NOW: &str = "2026-03-01T12:04:31.000Z";

fn name(number: u64) -> String {
    format!("team-{:02}/service-{number}", number % NAMESPACES)
}

fn edge(from: String, to: String, chance: &mut Chance) -> Edge {
    let calls = 60 + chance.below(6_000);
    let failed = match chance.below(30) {
        0 => calls / 12,
        _ => 0,
    };
    let took = 800 + chance.below(40_000);
    let failure = FailureCount {
        code: None,
        why: "the service answered".to_owned(),
        fault: "service".to_owned(),
        count: failed,
        first: BEGAN.to_owned(),
        last: NOW.to_owned(),
        example: Some(format!("{:032x}", chance.next())),
    };
    let is_plain = chance.below(20) == 0;
    Edge {
        from,
        to,
        calls,
        failed,
        statuses: BTreeMap::from([("2xx".to_owned(), calls - failed)]),
        failures: (failed > 0).then_some(failure).into_iter().collect(),
        mtls: if is_plain { 0 } else { calls },
        plain: if is_plain { calls } else { 0 },
        sent: calls * 900,
        received: calls * 4_000,
        p50_us: Some(took),
        p90_us: Some(took * 2),
        p99_us: Some(took * 5),
        ..Edge::default()
    }
}

fn status() -> Status {
    Status {
        context: "crowd".to_owned(),
        now: NOW.to_owned(),
        revision: 418,
        proxies: SERVICES,
        objects: 900,
        problems: 0,
        overrides: 0,
        watches: 0,
        cluster: None,
    }
}

fn overview() -> Overview {
    Overview {
        status: status(),
        verdict: Verdict::default(),
        file: None,
        change: None,
        followers: Followers::default(),
        certificate: None,
        findings: Vec::new(),
        workloads: Vec::new(),
        traffic: None,
        failed: None,
        next: Vec::new(),
    }
}

/// The same numbers in each run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
