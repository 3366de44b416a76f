//! From a revision to what runs: the proxy goes by it, and programs that are not as it says are
//! started, ended, or started again.

use leno_admin::{DiffOf, Finding};
use leno_model::view::WorkloadId;

use super::member::{Starter, Then};
use super::written::{newest, takes_back};
use super::{HOST, News, Program, Up};
use crate::up::called;
use crate::up::news::{Followed, Revised};

impl Up {
    /// Goes by the newest state of the mesh; `findings` are those that its revision brought.
    pub(super) fn handle_edition(&mut self, findings: Vec<Finding>) -> anyhow::Result<()> {
        let edition = self.desk.edition();
        if edition.generation() != self.edition.generation() {
            self.go_by(edition);
        }
        // The proxy may go by a revision already that came while something else was reported.
        let before = std::mem::replace(&mut self.revision, self.edition.revision());
        if self.revision == before {
            return Ok(());
        }
        let programs = self.follow()?;
        let question = DiffOf {
            from: before,
            to: Some(self.revision),
        };
        let diff = self.desk.diff(&question);
        let past = newest(&self.desk);
        let is_taken_back = past.as_ref().is_some_and(takes_back);
        (self.tell)(News::Revised(Revised {
            revision: self.revision,
            past,
            changes: diff.map(|diff| diff.changes).unwrap_or_default(),
            findings,
            programs,
            until: self.source.file.filter(|_| is_taken_back),
        }));
        Ok(())
    }

    /// Lets run what is written, and nothing else.
    fn follow(&mut self) -> anyhow::Result<Vec<(WorkloadId, Followed)>> {
        let programs = self.programs();
        let mut followed = Vec::new();
        for id in self.unwritten(&programs) {
            self.remove(&id)?;
            followed.push((id, Followed::Ended));
        }
        for program in programs {
            let id = program.id.clone();
            if let Some(what) = self.follow_one(program)? {
                followed.push((id, what));
            }
        }
        // Ports may have been declared, or named by another service.
        let inside = self.members.iter().filter(|(_, member)| member.inside);
        let listening = inside.map(|(id, member)| (id.clone(), member.listening.clone()));
        for (id, addresses) in listening.collect::<Vec<_>>() {
            self.handle_listening(&id, &addresses)?;
            self.publish(&id)?;
        }
        Ok(followed)
    }

    /// The workloads that we started and that nobody asks for any more.
    fn unwritten(&self, programs: &[Program]) -> Vec<WorkloadId> {
        let is_written = |id: &WorkloadId| programs.iter().any(|program| program.id == *id);
        let ours = self.members.iter().filter(|(_, member)| {
            matches!(member.starter, Starter::Us(_)) && !matches!(member.then, Then::Leave)
        });
        let unwritten = ours.filter(|(id, _)| !is_written(id));
        unwritten.map(|(id, _)| id.clone()).collect()
    }

    fn follow_one(&mut self, program: Program) -> anyhow::Result<Option<Followed>> {
        let id = program.id.clone();
        if id == self.host {
            let why = format!("{}: the name {HOST} stands for this machine", program.place);
            (self.tell)(News::Trouble(why));
            return Ok(None);
        }
        let Some(member) = self.members.get_mut(&id) else {
            self.start(program);
            return Ok(Some(Followed::Started));
        };
        let Starter::Us(runs) = &mut member.starter else {
            let why = format!("{}: leno run has started a {}", program.place, called(&id));
            (self.tell)(News::Trouble(why));
            return Ok(None);
        };
        let runs = match &mut member.then {
            Then::Stay => runs,
            Then::Start(next) => next,
            Then::Leave => {
                member.then = Then::Start(program);
                return Ok(Some(Followed::Started));
            }
        };
        let Some(what) = program.differs_from(runs) else {
            *runs = program;
            return Ok(None);
        };
        self.replace(&id, program);
        Ok(Some(Followed::Restarted(what)))
    }
}
