//! Calls to hosts outside the mesh that nobody made: what the caller's proxy would think of them.

use std::net::SocketAddr;

use leno_model::HostName;
use leno_model::view::WorkloadId;
use leno_traffic::naming::is_of_cluster;
use leno_traffic::{
    Detail, Host, Imagined, Known, Leave, NotLetOut, Outcome, Refusal, Step, StepKind, Story,
};

use super::imagining::Imagining;
use super::{Asked, End, Reason, Source, Thought};

impl Imagining<'_> {
    /// What becomes of a call to a host that the mesh knows nothing of; `None` if it may as well be meant
    /// to be a service, or nobody knows the caller's rules.
    pub(super) fn outside(&self, asked: &Asked) -> Option<(Thought, End)> {
        let Source::Workload(instance) = self.source else {
            return None;
        };
        let caller = &instance.workload.id;
        let table = self.sender();
        let host = asked.host.trim_matches(['[', ']']);
        let (judged, assumed) = match host.parse() {
            Ok(ip) => {
                let outside = table.outside(caller, SocketAddr::new(ip, asked.port))?;
                (outside.judge(&Host::default()), NO_NAME)
            }
            Err(_) if !is_of_others(host) => return None,
            Err(_) => {
                let name = HostName::new(host)?;
                match table.outside_named(caller, &name, asked.port)? {
                    Imagined::Leaves(leave) => (Ok(leave), TOLD),
                    Imagined::Stays(not) => (Err(not), TOLD),
                    Imagined::HangsOnAddress(judged) => (judged, TOLD_ELSEWHERE),
                }
            }
        };
        Some(told(caller, asked, &judged, assumed))
    }
}

/// What is taken for true of a call that nobody made.
const NO_NAME: &str = "that DNS told the caller no name for the address";
const TOLD: &str = "that DNS tells the caller this name's address";
const TOLD_ELSEWHERE: &str =
    "that DNS tells the caller this name's address, and that no ipBlocks of a rule hold it";

/// Whether a name can be no service's.
fn is_of_others(host: &str) -> bool {
    let is_short = host.split('.').count() < 2;
    !is_short && !is_of_cluster(host) && !host.ends_with(".svc")
}

fn told(
    caller: &WorkloadId,
    asked: &Asked,
    judged: &Result<Leave<'_>, Box<NotLetOut>>,
    assumed: &str,
) -> (Thought, End) {
    let named = Step {
        kind: StepKind::Name,
        outcome: Outcome::Yes,
        known: Known::Replayed,
        text: format!("{} is outside the mesh", asked.host),
        origin: None,
        details: Vec::new(),
    };
    let mut steps = vec![named];
    let end = match judged {
        Ok(leave) => {
            steps.push(Step {
                kind: StepKind::Access,
                outcome: Outcome::Yes,
                known: Known::Replayed,
                text: let_out(leave),
                origin: leave.rule().map(|rule| rule.origin.clone()),
                details: vec![Detail {
                    text: format!("assumed: {assumed}"),
                    origin: None,
                }],
            });
            End::Left
        }
        Err(not) => End::Refused(Reason::from(&Refusal::from(not.clone()))),
    };
    let thought = Thought {
        proxy_of: caller.name.to_string(),
        workloads: vec![caller.clone()],
        story: Story { steps },
    };
    (thought, end)
}

fn let_out(leave: &Leave<'_>) -> String {
    match (leave.rule(), leave.host()) {
        (Some(_), Some(host)) => format!("let out by {host}"),
        (Some(rule), None) => format!("let out: {rule}"),
        (None, _) => "let out: no rule denies it, and unknown destinations pass".to_owned(),
    }
}
