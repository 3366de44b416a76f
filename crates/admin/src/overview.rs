//! How a mesh is at a glance: what one page, or one screen, has to say of it.

use serde::{Deserialize, Serialize};

use crate::answer::{Finding, Status};

/// How a mesh is at one moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Overview {
    /// How its control plane is.
    pub status: Status,
    /// What does not hold as it was written.
    pub findings: Vec<Finding>,
    /// What runs.
    pub workloads: Vec<Workload>,
    /// What went between services; absent where nobody counts it.
    pub traffic: Option<Traffic>,
    /// The calls that failed of late, newest first; absent where nobody hears of them.
    pub failed: Option<Vec<FailedCall>>,
    /// Commands to go on with.
    pub next: Vec<Step>,
}

/// Something that runs, or should.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Workload {
    /// What it is called.
    pub name: String,
    /// Whether it runs.
    pub state: WorkloadState,
    /// What it is: a command, an address.
    pub what: String,
    /// Why it does not run, or what else is wrong with it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Where it is written: `Procfile:3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Where it is reached from this host: an `http://` address, or `localhost:5432`.
    #[serde(default)]
    pub published: Vec<String>,
    /// The command that tells more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Whether a workload runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkloadState {
    /// It has been started and does not take calls yet.
    Starting,
    /// It runs.
    Up,
    /// It has ended, as it may.
    Ended,
    /// It should run and does not, or not as it should.
    Failed,
    /// It runs outside the mesh.
    Outside,
}

/// What went between services for a while.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Traffic {
    /// For how long, in seconds.
    pub seconds: f64,
    /// The edges, callers before whom they call.
    pub edges: Vec<Edge>,
}

/// What went over one edge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Edge {
    /// Who called: `shop/web`.
    pub from: String,
    /// What was called: `shop/cart`.
    pub to: String,
    /// Requests, and streams of bytes that ended or could not be opened.
    pub calls: u64,
    /// How many of these failed.
    pub failed: u64,
    /// How many calls and open streams went between two proxies that proved themselves to each other.
    pub mtls: u64,
    /// How many went in plain.
    pub plain: u64,
    /// Streams of bytes that are open.
    pub open: u64,
    /// Bytes both ways.
    pub bytes: u64,
    /// How long half of the requests took at most, in microseconds.
    pub p50_us: Option<u64>,
    /// How long all but one in a hundred took at most, in microseconds.
    pub p99_us: Option<u64>,
}

/// A call that failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailedCall {
    /// Its id.
    pub id: String,
    /// When it was over, in RFC 3339.
    pub at: String,
    /// Who called.
    pub from: String,
    /// What was called.
    pub to: String,
    /// What was asked: `GET /items`, `tcp`.
    pub request: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long it took, in microseconds.
    pub took_us: Option<u64>,
    /// Whose fault it is.
    pub fault: String,
    /// The code, if the mesh refused it: `R003`; else the service answered so.
    pub code: Option<String>,
    /// Why, in words: `no-allow-rule`, `the service answered`.
    pub why: String,
}

/// A command, and what it shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// What to type.
    pub command: String,
    /// What that shows or does.
    pub shows: String,
}
