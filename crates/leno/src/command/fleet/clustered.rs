//! `leno apply`, `delete` and `rollback` where the mesh is what a cluster says: the control plane judges, and whoever asks
//! changes the cluster, by their own kubeconfig and rights. What somebody else has written there is left to them.

mod making;
mod outlook;

use std::fmt::Display;

use anyhow::Context as _;
use leno_admin::{
    Applied, Ask, Change, Delete, DiffOf, Failure, File, StatusOf, Verb, WeighOf, read_object,
};
use leno_kubernetes::install::NotApplied;
use leno_kubernetes::{Cluster, SET, Wanted};
use leno_model::{Code, Namespace, ObjectRef};
use leno_resources::Resources;
use leno_store::Message;
use tokio::runtime::{Builder, Runtime};

use self::making::Making;
use super::refused;
use crate::arguments::Output;
use crate::arguments::change::{self, Terms};
use crate::command::context::Context as Chosen;
use crate::command::{Answer, cluster};
use crate::folder::Files;
use crate::terminal::Terminal;

/// A mesh that is what a cluster says, as it is changed from here.
pub(super) struct Clustered<'a> {
    chosen: &'a Chosen,
    output: Output,
    /// What tells the cluster from others.
    uid: String,
    /// The newest revision.
    revision: u64,
}

/// The cluster, as whoever asks reaches it.
struct There {
    runtime: Runtime,
    cluster: Cluster,
}

/// The namespace of objects that name none, where all of them do.
const DEFAULT: &str = "default";

/// What somebody wants of a cluster.
#[derive(Default)]
struct Wish {
    wanted: Vec<Written>,
    /// The set that it is applied with, if it is.
    set: Option<String>,
    /// Whether writing is left where somebody else has set a field; else all of it is refused.
    yields: bool,
    /// The same of taking away.
    removes_yield: bool,
    /// What is left as it is already, in words.
    left: Vec<String>,
    /// What helps with what is left.
    advice: Option<String>,
}

/// An object that is wanted, and where that was written.
type Written = (Wanted, Option<String>);

/// The mesh that is asked, if it is what a cluster says.
pub(super) fn followed(chosen: &Chosen, output: Output) -> anyhow::Result<Option<Clustered<'_>>> {
    let status = asked(chosen, StatusOf {})?;
    Ok(status.cluster.map(|uid| Clustered {
        chosen,
        output,
        uid,
        revision: status.revision,
    }))
}

/// Asks; a refusal is an error, which [`told`] tells.
fn asked<Q: Ask>(chosen: &Chosen, question: Q) -> anyhow::Result<Q::Answer> {
    Ok(chosen.ask(question)??)
}

/// Tells a refusal, by whoever refused.
pub(super) fn told(
    done: anyhow::Result<Answer>,
    output: Output,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let failure = match done.map_err(anyhow::Error::downcast::<Failure>) {
        Ok(answer) => return Ok(answer),
        Err(Err(error)) => return Err(error),
        Err(Ok(failure)) => failure,
    };
    let answer = refused(&failure, output == Output::Json, terminal)?;
    Ok(match failure.code.as_deref() == Some(Code::K001.as_str()) {
        true => Answer::Exit(3),
        false => answer,
    })
}

/// Nobody can change a cluster to which nothing leads.
fn not_reached(why: &dyn Display) -> Failure {
    let advice =
        "--context kubeconfig asks and changes the cluster of your kubeconfig · leno explain K026";
    Failure {
        advice: Some(advice.to_owned()),
        ..Failure::coded(
            Code::K026,
            format_args!("nothing was changed: the mesh is what a cluster says, and {why}"),
        )
    }
}

/// Why nothing was changed.
fn not_applied(why: &NotApplied) -> Failure {
    Failure::coded(why.code(), format_args!("nothing was changed: {why}"))
}

impl Clustered<'_> {
    /// Lets the cluster have the objects of files.
    pub(super) fn apply(
        &self,
        options: &change::Apply,
        files: Files,
        set: String,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Answer> {
        let terms = &options.terms;
        fits(terms, &set)?;
        let there = self.reach()?;
        let namespace = &options.input.namespace;
        let texts = files.resources.clone();
        let weighed = self.weigh(WeighOf {
            prune: options.prune.then(|| set.clone()),
            ..self.question(super::asked(files)?, namespace, terms)
        })?;
        let (resources, _) = Resources::read(texts, &Namespace::new(namespace)?);
        let mut wanted = Vec::new();
        for (origin, text) in resources.texts() {
            let read = text.and_then(|text| Wanted::read(&origin.object, &text.document));
            let read = read.with_context(|| format!("{} is not understood", origin.object))?;
            let place = origin.place.as_ref().map(|place| {
                let (file, line) = (&place.file, place.line);
                format!("{file}:{line}")
            });
            wanted.push((read.of_set(&set).because(&terms.message), place));
        }
        let wish = Wish {
            wanted,
            set: Some(set),
            removes_yield: true,
            ..Wish::default()
        };
        Making::new(self, &there, terms).make(weighed, wish, terminal)
    }

    /// Takes objects away from the cluster; `None` if it has none of them.
    pub(super) fn delete(
        &self,
        objects: &[String],
        terms: &Terms,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Option<Answer>> {
        let there = match self.reach() {
            Ok(there) => there,
            Err(why) if why.is::<Failure>() && self.keeps(objects)? => return Ok(None),
            Err(why) => return Err(why),
        };
        let (mut removed, mut left) = (Vec::new(), Vec::new());
        for text in objects {
            let object = read_object(text)?;
            match there.live(&object)? {
                Some(_) => removed.push(object.to_string()),
                None => left.push(format!("{object} is not there")),
            }
        }
        if removed.is_empty() {
            return Ok(None);
        }
        may(terms)?;
        if !terms.message.is_empty() {
            let why = "nothing was changed: an object keeps why it was changed last, and one that is taken away keeps nothing";
            return Err(Failure {
                advice: Some("say it without -m".to_owned()),
                ..Failure::plain(why)
            }
            .into());
        }
        let weighed = self.weigh(WeighOf {
            removed,
            ..self.question(Vec::new(), DEFAULT, terms)
        })?;
        let wish = Wish {
            left,
            ..Wish::default()
        };
        let made = Making::new(self, &there, terms).make(weighed, wish, terminal);
        made.map(Some)
    }

    /// Lets the cluster say what it said in a revision, as far as Leno alone has written that; `None` if none of it is
    /// so.
    pub(super) fn roll_back(
        &self,
        to: u64,
        terms: &Terms,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Option<RolledBack>> {
        let from = self.revision;
        let diff = asked(self.chosen, DiffOf { from, to: Some(to) })?;
        let changes = diff.changes.into_iter();
        let (observed, kept): (Vec<_>, Vec<_>) = changes.partition(|change| change.observed);
        if observed.is_empty() {
            return Ok(None);
        }
        let there = match self.reach() {
            Ok(there) => there,
            // What is left then is told as it is without a kubeconfig.
            Err(why) if why.is::<Failure>() => {
                terminal.progress(format!("{why}: what is the cluster's is left as it is"));
                return Ok(None);
            }
            Err(why) => return Err(why),
        };
        let why = match terms.message.as_str() {
            "" => format!("leno rollback {to}"),
            why => why.to_owned(),
        };
        let mut wish = Wish {
            yields: true,
            removes_yield: true,
            ..Wish::default()
        };
        let (mut files, mut removed) = (Vec::new(), Vec::new());
        for change in observed {
            match there.undoing(&change)? {
                Undoing::Write(wanted) => {
                    files.push(File {
                        path: change.object,
                        text: wanted.text(),
                    });
                    wish.wanted.push((wanted.because(&why), None));
                }
                Undoing::Remove => removed.push(change.object),
                Undoing::Leave(left) => wish.left.push(left),
            }
        }
        if files.is_empty() && removed.is_empty() {
            return Ok(None);
        }
        fits(terms, "")?;
        let weighed = self.weigh(WeighOf {
            removed,
            ..self.question(files, DEFAULT, terms)
        })?;
        wish.advice = Some(format!(
            "leno rollback {to} --hold 1h serves what others own as it was, until they have mended it · \
             leno rollback {to} --print kubectl"
        ));
        let answer = Making::new(self, &there, terms).make(weighed, wish, terminal)?;
        Ok(Some(RolledBack {
            answer,
            keeps_more: !kept.is_empty(),
        }))
    }

    /// Whether the control plane itself could take all of these away: none of them is the cluster's.
    fn keeps(&self, objects: &[String]) -> anyhow::Result<bool> {
        let question = Delete {
            objects: objects.to_vec(),
            if_revision: None,
            message: String::new(),
            allow_errors: true,
            dry_run: true,
            watch: None,
        };
        Ok(self.chosen.ask(question)?.is_ok())
    }

    /// What is asked before anything is written, but for what is taken away.
    fn question(&self, files: Vec<File>, namespace: &str, terms: &Terms) -> WeighOf {
        WeighOf {
            cluster: self.uid.clone(),
            files,
            namespace: namespace.to_owned(),
            removed: Vec::new(),
            prune: None,
            if_revision: terms.if_revision,
            allow_errors: terms.allow_errors,
            dry_run: terms.dry_run,
        }
    }

    fn weigh(&self, question: WeighOf) -> anyhow::Result<Applied> {
        asked(self.chosen, question)
    }

    /// The cluster, if it is the one that the control plane follows: nothing is ever written to another than was
    /// planned against.
    fn reach(&self) -> anyhow::Result<There> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connected = runtime.block_on(async {
            match self.chosen.in_cluster() {
                Some(in_cluster) => in_cluster.connect().await,
                None => Cluster::connect(&cluster::place(None, None)).await,
            }
        });
        let cluster = connected.map_err(|why| not_reached(&why))?;
        let uid = runtime.block_on(cluster.uid());
        if uid.map_err(|why| not_applied(&why))? != self.uid {
            let why = format!(
                "nothing was changed: your kubeconfig leads to {}, which is another cluster than the control plane follows",
                cluster.url()
            );
            return Err(Failure::coded(Code::K027, why).into());
        }
        Ok(There { runtime, cluster })
    }
}

/// What came of rolling a cluster back.
pub(super) struct RolledBack {
    pub(super) answer: Answer,
    /// Whether the control plane itself keeps objects that are not as they were.
    pub(super) keeps_more: bool,
}

/// How one object becomes what it was.
enum Undoing {
    Write(Wanted),
    Remove,
    /// It does not, for this reason.
    Leave(String),
}

impl There {
    /// How a change of an object is made that leads back, as far as that is Leno's.
    fn undoing(&self, change: &Change) -> anyhow::Result<Undoing> {
        let object = read_object(&change.object)?;
        let leave = |why: &str| Ok(Undoing::Leave(format!("{object} {why}")));
        let live = self.live(&object)?;
        if let Some(live) = &live
            && !live.others.is_empty()
        {
            return leave(&format!("is left to {}", outlook::names(&live.others)));
        }
        let then = change.after.as_deref();
        let wanted = then.and_then(|text| Wanted::read(&object, text));
        match (change.verb, live, wanted) {
            (Verb::Removed, Some(live), _) if live.set.is_some() => Ok(Undoing::Remove),
            // Who made what is gone is known by its set alone.
            (Verb::Added, None, Some(wanted)) if wanted.set().is_some() => {
                Ok(Undoing::Write(wanted))
            }
            (Verb::Changed | Verb::Moved, Some(_), Some(wanted)) => Ok(Undoing::Write(wanted)),
            (Verb::Added | Verb::Removed, _, _) => leave("was not applied by Leno"),
            (Verb::Changed | Verb::Moved, ..) => leave("is not as the control plane saw it"),
        }
    }

    fn live(&self, object: &ObjectRef) -> anyhow::Result<Option<leno_kubernetes::Live>> {
        let live = self.runtime.block_on(self.cluster.live(object));
        live.map_err(|why| not_applied(&why).into())
    }
}

/// Whether something may be changed in a cluster on these terms.
fn may(terms: &Terms) -> Result<(), Failure> {
    if terms.watch.is_none() {
        return Ok(());
    }
    Err(Failure {
        advice: Some(
            "say it without --watch; leno why SERVICE --since 5m shows what fails by it, leno rollback REVISION takes it \
             back, and --hold 1h with that serves what was"
                .to_owned(),
        ),
        ..Failure::plain(
            "nothing was changed: --watch lets the control plane take a change back, and in a cluster it may change nothing",
        )
    })
}

/// The same, with what an object of the cluster can say.
fn fits(terms: &Terms, set: &str) -> anyhow::Result<()> {
    may(terms)?;
    Message::new(&terms.message).context("the message cannot be kept")?;
    if !is_value(set) {
        let why = format!(
            "nothing was changed: {set:?} can be no label ({SET}), which has up to 63 letters, digits and - _ . between them"
        );
        return Err(Failure {
            advice: Some("name the set by --set".to_owned()),
            ..Failure::plain(why)
        }
        .into());
    }
    Ok(())
}

/// Whether a label may have this value.
//= Kubernetes, Labels and Selectors: "must be 63 characters or less (can be empty), unless empty, must begin and end with an
//= alphanumeric character ([a-z0-9A-Z]), could contain dashes (-), underscores (_), dots (.), and alphanumerics between."
fn is_value(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().last()];
    let mut ends = ends.into_iter().flatten();
    text.len() <= 63
        && ends.all(|byte| byte.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_the_value_of_a_label() {
        for fine in ["", "a", "shop", "Shop_2.b-c", &"a".repeat(63)] {
            assert!(is_value(fine), "{fine}");
        }
        for bad in ["-a", "a-", "a b", "käse", "a/b", &"a".repeat(64)] {
            assert!(!is_value(bad), "{bad}");
        }
    }
}
