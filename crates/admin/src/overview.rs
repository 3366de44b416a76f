//! How a mesh is at a glance: what one page, or one screen, has to say of it.

use serde::{Deserialize, Serialize};

use leno_model::Severity;

use crate::answer::{Finding, Past, Status};
use crate::traffic::{FailedCall, Traffic};

/// How a mesh is at one moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Overview {
    /// How its control plane is.
    pub status: Status,
    /// Whether it is well: what the rest comes to by [`Overview::judged`].
    #[serde(default)]
    pub verdict: Verdict,
    /// The file that is applied again when it changes, whatever is in force by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What made the newest revision; absent before the first.
    #[serde(default)]
    pub change: Option<Past>,
    /// The proxies that follow it.
    #[serde(default)]
    pub followers: Followers,
    /// The certificate of a proxy that ends first, as far as that is known.
    #[serde(default)]
    pub certificate: Option<Ends>,
    /// What does not hold as it was written.
    pub findings: Vec<Finding>,
    /// What runs.
    pub workloads: Vec<Workload>,
    /// What went between services of late; absent where nobody counts it.
    pub traffic: Option<Traffic>,
    /// Calls that failed of late, newest first, one of each kind; absent where nobody hears of them.
    pub failed: Option<Vec<FailedCall>>,
    /// Commands to go on with.
    pub next: Vec<Step>,
}

/// The proxies of a mesh, by how they stand to what is in force.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Followers {
    /// How many are connected.
    pub connected: u64,
    /// Of these, the ones that hold something older, by name.
    pub behind: Vec<String>,
    /// The workloads whose proxy was there and is not.
    pub away: Vec<String>,
}

/// When something of an identity ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ends {
    /// Whose.
    pub identity: String,
    /// When, in RFC 3339.
    pub ends: String,
}

/// Whether a mesh is well: the one answer of screen and page.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// What it comes to.
    pub grade: Grade,
    /// It in words: `2 things are wrong`.
    pub words: String,
}

/// What a [`Verdict`] comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// All is as it should be.
    Well,
    /// It works, but probably not as meant, or not for all.
    Doubtful,
    /// Something does not hold as it was written, or does not run.
    Wrong,
}

impl Verdict {
    /// So many things are wrong and so many doubtful, and so many calls failed of late.
    fn of(wrong: usize, doubtful: usize, failed: u64) -> Self {
        let (grade, words) = match (wrong, doubtful, failed) {
            (0, 0, 0) => (Grade::Well, "All is well"),
            (0, _, 0) => (Grade::Doubtful, "Something is doubtful"),
            (0, _, _) => (Grade::Doubtful, "Some calls fail"),
            (1, _, _) => (Grade::Wrong, "One thing is wrong"),
            (wrong, _, _) => {
                return Self {
                    grade: Grade::Wrong,
                    words: format!("{wrong} things are wrong"),
                };
            }
        };
        Self {
            grade,
            words: words.to_owned(),
        }
    }
}

/// Nothing is known that is not well.
impl Default for Verdict {
    fn default() -> Self {
        Self::of(0, 0, 0)
    }
}

impl Overview {
    /// The same with the verdict that it comes to.
    pub fn judged(self) -> Self {
        let count = |severity| {
            self.findings_of(severity).count() + self.troubled_workloads(severity).count()
        };
        let (wrong, doubtful) = (count(Severity::Error), count(Severity::Warning));
        let failed = self.traffic.as_ref().map(Traffic::failed);
        Self {
            verdict: Verdict::of(wrong, doubtful, failed.unwrap_or_default()),
            ..self
        }
    }

    /// What was found that is this bad.
    pub fn findings_of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        let findings = self.findings.iter();
        findings.filter(move |finding| finding.severity() == severity)
    }

    /// The workloads with which something is this bad: an error keeps them from running.
    pub fn troubled_workloads(&self, severity: Severity) -> impl Iterator<Item = &Workload> {
        self.workloads.iter().filter(move |workload| {
            let runs = workload.state != WorkloadState::Failed;
            match severity {
                Severity::Error => !runs,
                Severity::Warning => runs && workload.trouble.is_some(),
                Severity::Info => false,
            }
        })
    }

    /// How many workloads of the mesh are up, and how many there are.
    pub fn up(&self) -> (usize, usize) {
        let count = |state| {
            let workloads = self.workloads.iter();
            workloads.filter(|one| one.state == state).count()
        };
        let outside = count(WorkloadState::Outside);
        (count(WorkloadState::Up), self.workloads.len() - outside)
    }
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

/// A command, and what it shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// What to type.
    pub command: String,
    /// What that shows or does.
    pub shows: String,
}

impl From<(&str, &str)> for Step {
    fn from((command, shows): (&str, &str)) -> Self {
        Self {
            command: command.to_owned(),
            shows: shows.to_owned(),
        }
    }
}
