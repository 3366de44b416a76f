//! A change of a cluster that was weighed: tried whole, then written one object after the other, and awaited.

use leno_admin::{Applied, Change, Failure, TakenOf, Verb, WrittenObject, read_object};
use leno_kubernetes::install::NotApplied;
use leno_model::{Code, ObjectRef, Severity};
use leno_resources::spellings;

use super::outlook::{self, Deed, Outlook, Step};
use super::{Clustered, There, Wish, asked, not_applied};
use crate::arguments::Output;
use crate::arguments::change::Terms;
use crate::command::Answer;
use crate::command::fleet::tell;
use crate::render::note::print_finding;
use crate::terminal::{Line, Terminal};

/// How a change is made.
pub(super) struct Making<'a> {
    mesh: &'a Clustered<'a>,
    there: &'a There,
    terms: &'a Terms,
}

impl<'a> Making<'a> {
    pub(super) fn new(mesh: &'a Clustered<'a>, there: &'a There, terms: &'a Terms) -> Self {
        Self { mesh, there, terms }
    }

    /// Makes what was weighed: all that is wanted, and that what was weighed as gone goes.
    pub(super) fn make(
        &self,
        weighed: Applied,
        wish: Wish,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Answer> {
        let removed = weighed.changes.iter();
        let removed = removed.map(|change| read_object(&change.object));
        let removed = removed.collect::<Result<Vec<_>, _>>()?;
        let helps = wish.advice.clone();
        let looked = outlook::look(&self.there.cluster, wish, removed);
        let looked = self.there.runtime.block_on(looked);
        let mut outlook = looked.map_err(|why| not_applied(&why))?;
        refused(&outlook)?;
        let writes = |step: &Step| matches!(step.deed, Deed::Write(_));
        if !self.terms.message.is_empty() && !outlook.steps.iter().any(writes) {
            let why = "why is kept by what is written, and nothing is";
            outlook.left.push(why.to_owned());
        }
        let before = weighed.status.revision;
        let applied = Applied {
            changes: outlook.steps.iter().map(|it| it.told.clone()).collect(),
            advice: helps.filter(|_| !outlook.left.is_empty()),
            left: outlook.left,
            ..weighed
        };
        if self.terms.dry_run || outlook.steps.is_empty() {
            let applied = Applied {
                dry_run: self.terms.dry_run,
                ..applied
            };
            return self.tell(&applied, terminal).map(|()| Answer::Fine);
        }
        let written = self.write(outlook.steps, before, terminal)?;
        self.awaited(applied, written, before, terminal)
    }

    /// Writes one object after the other.
    fn write(
        &self,
        steps: Vec<Step>,
        before: u64,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Vec<WrittenObject>> {
        let (cluster, runtime) = (&self.there.cluster, &self.there.runtime);
        let names: Vec<_> = steps.iter().map(|it| it.told.object.clone()).collect();
        let mut written = Vec::new();
        for (index, step) in steps.into_iter().enumerate() {
            let object = step.told.object;
            let done = match &step.deed {
                Deed::Write(wanted) => {
                    let text = runtime.block_on(cluster.write(wanted));
                    text.map(|text| is_seen(&wanted.object).then_some(Some(text)))
                }
                Deed::Remove(gone, live) => {
                    let removed = runtime.block_on(cluster.take_away(gone, live, false));
                    // A namespace goes once all that is in it is gone.
                    let is_seen = is_seen(gone) && &*gone.kind != "Namespace";
                    removed.map(|()| is_seen.then_some(None))
                }
            };
            let text = done.map_err(|why| {
                let (done, rest) = names.split_at(index);
                stopped(&why, done, rest, before)
            })?;
            terminal.progress(
                Line::new()
                    .dim(word(step.told.verb))
                    .plain(" ")
                    .plain(&object),
            );
            written.extend(text.map(|text| WrittenObject { object, text }));
        }
        Ok(written)
    }

    /// Waits until what is written is in force, and says by which revision.
    fn awaited(
        &self,
        applied: Applied,
        objects: Vec<WrittenObject>,
        before: u64,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Answer> {
        let taken = asked(self.mesh.chosen, TakenOf { objects })?;
        let next = format!("leno check · leno proxies · leno rollback {before}");
        let told = |change: Change| Change {
            before: None,
            after: None,
            ..change
        };
        let mut status = taken.status;
        status.revision = taken.revision.unwrap_or(status.revision);
        let applied = Applied {
            status,
            dry_run: false,
            made: true,
            changes: applied.changes.into_iter().map(told).collect(),
            proxies: Vec::new(),
            advice: Some(applied.advice.unwrap_or(next)),
            ..applied
        };
        self.tell(&applied, terminal)?;
        if taken.revision.is_some() {
            return Ok(Answer::Fine);
        }
        let why = "the cluster has it, and the control plane has not said within 20 s that it is in force".to_owned();
        let in_force = "what the control plane saw last";
        let unseen =
            leno_admin::Finding::running(Code::K029, Severity::Warning, None, why, in_force);
        match self.mesh.output {
            Output::Json => terminal.progress(format!("{} {}", unseen.code, unseen.message)),
            Output::Text => {
                terminal.gap()?;
                print_finding(&unseen, "", terminal)?;
            }
        }
        Ok(Answer::Exit(3))
    }

    fn tell(&self, applied: &Applied, terminal: &mut Terminal) -> anyhow::Result<()> {
        match self.mesh.output {
            Output::Json => Ok(terminal.text(&serde_json::to_string_pretty(applied)?)?),
            Output::Text => tell::applied(applied, None, terminal),
        }
    }
}

/// Refuses all of it where somebody else has written a part.
fn refused(outlook: &Outlook) -> Result<(), Failure> {
    if let Some((first, more)) = outlook.of_other_sets.split_first() {
        let more = match more.len() {
            0 => String::new(),
            count => format!("; {count} more are of other sets, too"),
        };
        return Err(Failure {
            advice: Some(
                "apply it with that set, by --set; or leno delete KIND/NAME, then apply it here"
                    .to_owned(),
            ),
            ..Failure::coded(
                Code::S006,
                format_args!("nothing was changed: {first}{more}"),
            )
        });
    }
    let count = match outlook.conflicts.len() {
        0 => return Ok(()),
        1 => "an object has".to_owned(),
        many => format!("{many} objects have"),
    };
    let why = format!("nothing was changed: {count} fields that somebody else has set");
    Err(Failure {
        findings: outlook.conflicts.clone(),
        advice: Some(
            "let whoever owns them change them, or take these fields out of your files".to_owned(),
        ),
        ..Failure::coded(Code::K005, why)
    })
}

/// What it comes to that one object could not be written, after these and before those.
fn stopped(why: &NotApplied, done: &[String], rest: &[String], before: u64) -> Failure {
    if done.is_empty() {
        return not_applied(why);
    }
    let (done, rest) = (done.join(", "), rest.join(", "));
    let message = format!("{why}. It is done for {done}; it is not for {rest}");
    Failure {
        advice: Some(format!(
            "mend that and say the same again, which does the rest; or leno rollback {before}"
        )),
        ..Failure::coded(Code::K028, message)
    }
}

/// Whether a control plane makes it a part of a revision: who runs where is none.
fn is_seen(object: &ObjectRef) -> bool {
    let mut kinds = spellings().filter(|kind| kind.kind != "EndpointSlice");
    kinds.any(|kind| *kind.kind == *object.kind)
}

fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Added => "made",
        Verb::Changed | Verb::Moved => "changed",
        Verb::Removed => "deleted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_fails_midway_says_what_is_done_and_what_is_not() {
        let why = NotApplied::Forbidden {
            object: "HTTPRoute shop/cart".to_owned(),
            why: "you may not".to_owned(),
        };
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (done, rest) = (
            names(&["Namespace shop", "Service shop/cart"]),
            names(&["HTTPRoute shop/cart"]),
        );
        let told = stopped(&why, &done, &rest, 7);
        assert_eq!(told.code.as_deref(), Some("K028"));
        assert_eq!(
            told.message,
            "HTTPRoute shop/cart: you may not. It is done for Namespace shop, Service shop/cart; it is not for \
             HTTPRoute shop/cart"
        );
        let none = stopped(&why, &[], &rest, 7);
        assert_eq!(none.code.as_deref(), Some("K003"));
        assert!(none.message.starts_with("nothing was changed: "), "{none}");
    }
}
