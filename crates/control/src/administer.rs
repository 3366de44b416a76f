//! Answers what people ask, over the Unix socket or from another host: whether they may, what it is,
//! what is written down of it, and as much of the answer as they may see.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use leno_admin::{
    Answer, Apply, Asker, Audit, Away, CertificateState, Change as Told, Checked, CreateToken,
    Diff, DiffOf, FailingRenewal, Failure, Finding, Forgotten, History, HistoryOf, Link, OwnBundle,
    Past, Proxies, Question, Recovered, Reply, Revoke, Revoked, RevokedIdentity, Since, Status,
    Token, TokenMade, Tokens, Trust, Verb, WeighOf,
};
use leno_model::role::{CONTROL_PLANE, PEOPLE, SYSTEM};
use leno_model::view::WorkloadId;
use leno_model::{Code, Name, Namespace, Note, Severity, SpiffeId, TrustDomain};
use leno_store::{
    Cause, Entry, Failed, Grant, Label, Message, NotAdded, NotRead, ObjectChange, Revision,
    Revocation,
};
use leno_wire::JoinToken;
use leno_wire::certificates::{NODE, control_plane};

use crate::auditing::{self, Asked};
use crate::center::Center;
use crate::condition::{self, Judged, Seen};
use crate::desk::Desk;
use crate::edition::Edition;
use crate::event::Event;
use crate::fleet::Member;
use crate::meaning::{Gist, Meaning};
use crate::missing::Missing;
use crate::peers::Standing;
use crate::sight::Sight;
use crate::{
    apply, asking, clock, elsewhere, flows, outside, overrides, overview, plan, published, readmit,
    renew, rotate, served, taken, told, troubled, viewed, watching, weigh,
};

/// Answers a question; a refusal says how the control plane is, too.
pub(crate) async fn answer(
    center: Arc<Center>,
    asker: Asker,
    question: Question,
) -> Result<Reply, Failure> {
    let sight = Sight::of(&center, &asker);
    let files: BTreeSet<_> = match &question {
        Question::Apply(Apply { files, .. }) | Question::Weigh(WeighOf { files, .. }) => {
            files.iter().map(|file| file.path.clone()).collect()
        }
        _ => BTreeSet::new(),
    };
    let answered = permitted(&center, &asker, &sight, question).await;
    answered.map_err(|failure| Failure {
        // Somebody without a role is told nothing of the mesh.
        status: sight.highest().map(|_| Box::new(status(&center))),
        ..sight.narrow_failure(failure, &files)
    })
}

/// Answers a question if its asker may have an answer, and lets the audit log say so.
async fn permitted(
    center: &Arc<Center>,
    asker: &Asker,
    sight: &Sight,
    question: Question,
) -> Result<Reply, Failure> {
    let needs = question.needs();
    let asked = Asked::of(asker, &question);
    let permitted = sight.permits(&needs);
    if permitted.is_err() || matches!(needs.audit, Audit::Before(_)) {
        let (center, asked) = (Arc::clone(center), asked.clone());
        on_a_thread(move || match permitted {
            Ok(()) => auditing::before(&center, &asked),
            Err(failure) => {
                auditing::note(&center, &asked, Some(&failure));
                Err(failure)
            }
        })
        .await?;
    }
    let deciding = decide(Arc::clone(center), asker.clone(), sight.clone(), question);
    let Audit::After(_) = needs.audit else {
        return deciding.await;
    };
    let center = Arc::clone(center);
    // Whoever asked may go away; what is done meanwhile is written down all the same.
    let noted = tokio::spawn(async move {
        let answered = deciding.await;
        on_a_thread(move || {
            auditing::note(&center, &asked, answered.as_ref().err());
            answered
        })
        .await
    });
    let stopped = |_| Err(Failure::plain("the answer was broken off"));
    noted.await.unwrap_or_else(stopped)
}

/// Writes down that something is asked which is answered without the control plane.
pub(crate) async fn note_asked(
    center: &Arc<Center>,
    asker: &Asker,
    question: &Question,
) -> Result<(), Failure> {
    if question.needs().audit == Audit::No {
        return Ok(());
    }
    let (center, asked) = (Arc::clone(center), Asked::of(asker, question));
    on_a_thread(move || auditing::before(&center, &asked)).await
}

/// Answers a question: what others have to say by asking them, the rest on a thread that may wait.
async fn decide(
    center: Arc<Center>,
    asker: Asker,
    sight: Sight,
    question: Question,
) -> Result<Reply, Failure> {
    let narrow = |answer| sight.narrow(answer).map(Reply::from);
    match question {
        Question::Tap(ask) => Ok(Reply::Tap(asking::tap(center, sight.clone(), ask))),
        Question::Kept(ask) => narrow(Answer::Kept(asking::kept(&center, ask).await)),
        Question::Story(ask) => {
            let Some(tell) = center.stories.get() else {
                return Err(Failure::plain("this control plane tells no stories"));
            };
            let desk = Desk::of(Arc::clone(&center)).seen_by(sight.clone());
            narrow(Answer::Story(Box::new(tell(desk, ask).await?)))
        }
        Question::Probe(ask) => narrow(Answer::Probed(asking::probe(&center, ask).await?)),
        Question::Reach(ask) => narrow(Answer::Reached(asking::reach(&center, ask).await?)),
        Question::Renew(ask) => narrow(Answer::Renewed(renew::renew(center, ask).await?)),
        Question::Taken(ask) => narrow(Answer::Taken(taken::taken(center, &sight, ask).await?)),
        Question::Overview(_) => {
            let looking = center.look.get().and_then(|look| look());
            let told = match looking {
                Some(looking) => looking.await,
                None => on_a_thread(move || overview::overview(&center)).await,
            };
            narrow(Answer::Overview(Box::new(told?)))
        }
        question => {
            let sight = sight.clone();
            let answered = on_a_thread(move || {
                let answer = know(&center, &sight, who(&center, &asker), question)?;
                sight.narrow(answer)
            });
            answered.await.map(Reply::from)
        }
    }
}

/// Lets a thread answer that may wait.
async fn on_a_thread<A: Send + 'static>(
    answer: impl FnOnce() -> Result<A, Failure> + Send + 'static,
) -> Result<A, Failure> {
    let answered = tokio::task::spawn_blocking(answer).await;
    answered.unwrap_or_else(|_| Err(Failure::plain("the control plane failed at this question")))
}

/// Answers what a control plane knows by itself.
fn know(center: &Center, sight: &Sight, who: Label, question: Question) -> Result<Answer, Failure> {
    match question {
        Question::Status(_) => Ok(Answer::Status(status(center))),
        Question::Apply(ask) => apply::apply(center, sight, who, ask).map(Answer::Applied),
        Question::Delete(ask) => apply::delete(center, sight, who, ask).map(Answer::Applied),
        Question::Rollback(ask) => apply::rollback(center, sight, who, ask).map(Answer::Applied),
        Question::Weigh(ask) => weigh::weigh(center, sight, ask).map(Answer::Applied),
        Question::Watches(ask) => watching::list(center, sight, &ask).map(Answer::Watches),
        Question::EndWatch(ask) => {
            watching::end_early(center, sight, &who, &ask).map(Answer::Watches)
        }
        Question::Plan(ask) => {
            let planned = plan::plan(center, sight, who, ask);
            planned.map(|planned| Answer::Planned(Box::new(planned)))
        }
        Question::Suggest(ask) => {
            let suggested = plan::suggest(center, sight, who, &ask);
            suggested.map(|suggested| Answer::Suggested(Box::new(suggested)))
        }
        Question::History(ask) => {
            let changed = |past: &Past| changed_by(center, past);
            sight
                .history(history(center, &ask)?, changed)
                .map(Answer::History)
        }
        Question::AddOverride(ask) => {
            overrides::add(center, sight, who, &ask).map(Answer::OverrideChanged)
        }
        Question::DropOverride(ask) => {
            overrides::take_back(center, sight, &ask).map(Answer::OverrideChanged)
        }
        Question::Overrides(_) => Ok(Answer::Overrides(overrides::list(center, sight))),
        Question::Audit(ask) => auditing::told(center, &ask).map(Answer::Audited),
        Question::Services(_) => Ok(Answer::Services(served::services(center))),
        Question::Service(ask) => served::served(center, &ask).map(Answer::Served),
        Question::Diff(ask) => diff(center, &ask).map(Answer::Diff),
        Question::Check(_) => Ok(Answer::Checked(check(center))),
        Question::Configuration(ask) => {
            told::configuration(center, ask.at.as_ref()).map(Answer::Configuration)
        }
        Question::Proxies(_) => Ok(Answer::Proxies(proxies(center))),
        Question::View(ask) => viewed::viewed(center, &ask).map(Answer::Viewed),
        Question::Recover(_) => recover(center).map(Answer::Recovered),
        Question::Traffic(ask) => {
            let carried = flows::traffic(center, &ask);
            carried.map(|carried| Answer::Carried(Box::new(carried)))
        }
        Question::Failures(ask) => {
            let failures = flows::failures(center, &ask);
            failures.map(|failures| Answer::Failures(Box::new(failures)))
        }
        Question::CreateToken(ask) => create_token(center, sight, who, &ask).map(Answer::TokenMade),
        Question::Tokens(_) => tokens(center).map(Answer::Tokens),
        Question::DropToken(ask) => drop_token(center, &ask.id).map(Answer::Forgotten),
        Question::OpenDashboard(_) => open_dashboard(center).map(Answer::Link),
        Question::Trust(_) => trust(center).map(Answer::Trust),
        Question::Bundle(_) => own_bundle(center).map(Answer::OwnBundle),
        Question::Readmit(ask) => readmit::open(center, &ask).map(Answer::Readmitting),
        Question::RotateRoot(ask) => rotate::rotate(center, &ask).map(Answer::Rotated),
        Question::Revoke(ask) => revoke(center, who, &ask).map(Answer::Revoked),
        Question::Reinstate(ask) => {
            decided_here(center)?;
            let identity = identity(center, &ask.identity)?;
            let changed = center.store.reinstate(&identity).map_err(store_failed)?;
            revoked(center, &identity, changed).map(Answer::Revoked)
        }
        Question::Holding(_) | Question::Parts(_) | Question::End(_) => Err(Failure::plain(
            "this is a question for a proxy, and this a control plane",
        )),
        Question::Overview(_)
        | Question::Kept(_)
        | Question::Story(_)
        | Question::Tap(_)
        | Question::Probe(_)
        | Question::Reach(_)
        | Question::Taken(_)
        | Question::Renew(_) => Err(Failure::plain("this is a question for others")),
    }
}

/// How the control plane is, by the head of its store.
pub(crate) fn status(center: &Center) -> Status {
    let edition = center.edition();
    let context = match center.authority.told() {
        Some(told) => told.domain,
        None => edition.mesh.settings.trust_domain.clone(),
    };
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Status {
        context: context.to_string(),
        now: clock::wall().to_string(),
        revision: center.store.head().revision.0,
        proxies: count(center.fleet.len()),
        objects: count(edition.meaning.written.objects()),
        problems: count(edition.meaning.problems()),
        overrides: count(center.overrides().len()),
        watches: count(center.watching.running().len()),
        cluster: center.cluster.as_ref().map(ToString::to_string),
    }
}

/// The findings as they travel.
pub(crate) fn findings<'a>(
    meaning: &Meaning,
    notes: impl IntoIterator<Item = &'a Note>,
) -> Vec<Finding> {
    notes
        .into_iter()
        .map(|note| Finding::of(note, meaning.written.line(note)))
        .collect()
}

/// One change as it travels; with texts if they are wanted.
pub(crate) fn told(change: &ObjectChange, texts: bool) -> Told {
    let verb = match change {
        ObjectChange::Added(_) => Verb::Added,
        ObjectChange::Removed(_) => Verb::Removed,
        ObjectChange::Changed { .. } if change.only_moved() => Verb::Moved,
        ObjectChange::Changed { .. } => Verb::Changed,
    };
    let object = change.after().or(change.before());
    let text = |object: Option<&leno_store::Object>| {
        let object = object.filter(|_| texts)?;
        let said = || leno_kubernetes::said(&object.text);
        let said = object.owner.is_observed().then(said).flatten();
        let said = said.map(|said| leno_kubernetes::yaml::written(&said));
        Some(said.unwrap_or_else(|| object.text.to_string()))
    };
    Told {
        verb,
        object: change.key().to_string(),
        // What was seen at its source is nowhere else.
        place: object
            .filter(|object| !object.owner.is_observed())
            .and_then(|object| object.place.as_ref())
            .map(ToString::to_string),
        observed: object.is_some_and(|object| object.owner.is_observed()),
        before: text(change.before()),
        after: text(change.after()),
    }
}

pub(crate) fn store_failed(failed: Failed) -> Failure {
    Failure {
        advice: Some(failed.advice().to_owned()),
        ..Failure::coded(failed.code(), failed)
    }
}

pub(crate) fn not_read(error: NotRead) -> Failure {
    match error {
        NotRead::Failed(failed) => store_failed(failed),
        NotRead::NoSuchRevision(_) => Failure {
            advice: Some("leno history".to_owned()),
            ..Failure::coded(error.code(), error)
        },
    }
}

pub(crate) fn message(text: &str) -> Result<Message, Failure> {
    Message::new(text).map_err(|error| Failure::plain(format_args!("the message: {error}")))
}

pub(crate) fn label(what: &str, text: &str) -> Result<Label, Failure> {
    Label::new(text).map_err(|error| Failure::plain(format_args!("the {what}: {error}")))
}

pub(crate) fn namespace(text: &str) -> Result<Namespace, Failure> {
    Namespace::new(text).map_err(Failure::plain)
}

/// The name of whoever asks: of a user as the host knows it, of others as `namespace/account` in our own
/// trust domain.
pub(crate) fn who(center: &Center, asker: &Asker) -> Label {
    let user = match asker {
        Asker::User(user) | Asker::Visitor(user) => *user,
        Asker::Peer { caller, .. } => {
            let own = &center.edition().mesh.settings.trust_domain;
            return identity_label(caller.id(), own);
        }
    };
    let number = user.to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, user) = (fields.next()?, fields.nth(1)?);
        (user == number).then(|| Label::new(name).ok())?
    });
    named.unwrap_or_else(|| {
        Label::new(&format!("user {number}")).expect("a word and a number are a label")
    })
}

/// An identity as history tells it. No user of a host has a name with a slash.
pub(crate) fn identity_label(id: &SpiffeId, own: &TrustDomain) -> Label {
    let short = format!("{}/{}", id.namespace, id.service_account);
    let text = match id.trust_domain == *own {
        true => short,
        false => id.to_string(),
    };
    // One of another trust domain may be longer than a line; its end says who it is.
    let start = text.len().saturating_sub(LONGEST_WHO);
    let end = text.get(start..).unwrap_or(&text);
    Label::new(end).expect("an identity is a line of visible letters")
}

/// How much of an identity history keeps, in bytes.
const LONGEST_WHO: usize = 255;

/// Begins an epoch in which every proxy follows this store, whatever it holds; it is in force when
/// this returns. Refused where no proxy needs it: what an epoch takes back is gone.
fn recover(center: &Center) -> Result<Recovered, Failure> {
    let (ahead, seen) = center.fleet.ahead(&center.edition().generation);
    if ahead.is_empty() {
        let why =
            "there is nothing to recover: no connected proxy holds more than this store knows";
        return Err(Failure {
            advice: Some("leno proxies".to_owned()),
            ..Failure::plain(why)
        });
    }
    let epoch = center.store.raise_epoch(seen).map_err(store_failed)?;
    center.renew().map_err(not_read)?;
    center.tell(&Event::Recovered { epoch });
    Ok(Recovered {
        status: status(center),
        epoch,
        ahead,
    })
}

/// What was changed, when and by whom.
pub(crate) fn history(center: &Center, ask: &HistoryOf) -> Result<History, Failure> {
    let limit = usize::try_from(ask.limit).unwrap_or(usize::MAX);
    let entries = center.store.history(limit, ask.before.map(Revision));
    let entries = entries.map_err(store_failed)?;
    let watches = center.store.watches().map_err(store_failed)?;
    let watched = |past: Past| Past {
        watch: watches
            .iter()
            .find(|watch| watch.revision.0 == past.revision)
            .map(|watch| match &watch.ended {
                None => "watched".to_owned(),
                Some(ended) => ended.end.to_string(),
            }),
        ..past
    };
    Ok(History {
        status: status(center),
        revisions: entries.iter().map(past).map(watched).collect(),
    })
}

/// What a revision changed.
fn changed_by(center: &Center, past: &Past) -> Result<Vec<Told>, Failure> {
    let before = Revision(past.revision.saturating_sub(1));
    let changes = center.store.diff(before, Revision(past.revision));
    let changes = changes.map_err(not_read)?;
    Ok(changes.iter().map(|change| told(change, false)).collect())
}

pub(crate) fn past(entry: &Entry) -> Past {
    Past {
        revision: entry.revision.0,
        at: entry.at.to_string(),
        who: entry.who.to_string(),
        what: match &entry.cause {
            Cause::Apply(set) => format!("apply {set}"),
            Cause::Observe => format!("seen in the {}", entry.source),
            Cause::Delete => "delete".to_owned(),
            Cause::Rollback(to) => format!("rollback to {to}"),
            Cause::Undo(of) => format!("undo {of}"),
        },
        message: entry.message.to_string(),
        added: entry.tally.added,
        changed: entry.tally.changed,
        removed: entry.tally.removed,
        observed: entry.cause == Cause::Observe,
        watch: None,
    }
}

pub(crate) fn diff(center: &Center, ask: &DiffOf) -> Result<Diff, Failure> {
    let (from, to) = (Revision(ask.from), ask.to.map(Revision));
    let to = to.unwrap_or_else(|| center.store.head().revision);
    let changes = center.store.diff(from, to).map_err(not_read)?;
    Ok(Diff {
        status: status(center),
        from: from.0,
        to: to.0,
        changes: changes.iter().map(|change| told(change, true)).collect(),
    })
}

pub(crate) fn check(center: &Center) -> Checked {
    let edition = center.edition();
    let members = center.fleet.members();
    let members: Vec<_> = members.into_iter().map(|(_, member)| member).collect();
    let waits = rotate::waits(center, clock::wall());
    let authority = center.authority.told();
    let missing = Missing::of(center);
    let judged = Judged::of(&Seen {
        now: clock::wall(),
        members: &members,
        away: &away(center, &members),
        unserved: &missing.unserved,
        newest: &edition.generation,
        newest_since: edition.made,
        lifetime: edition.mesh.lifetimes.leaf,
        authority: authority.as_ref().map(|told| condition::Authority {
            root: told.rotation.active().validity,
            intermediate: told.intermediate_validity,
            source: told.source.as_deref(),
        }),
        outside: center.outside.troubled().as_ref(),
        waits: waits.as_ref(),
        knocking: &center.readmission.waiting(clock::wall()),
        sources: &center.sources(),
        not_exported: &troubled::not_exported(center),
        hosts: &troubled::of_hosts(center),
        failing: &center.failing(),
        not_got: &center.jwks.troubles(),
        issuers: &center.issuers.failed(),
        peers: &center.peers.standings(),
        withheld: center.withheld().as_ref(),
        apart: center.apart().as_ref(),
        revision: edition.revision.0,
    });
    let mut findings = match written(center, &edition) {
        Ok(findings) => findings,
        Err(error) => vec![Finding::running(
            error.code(),
            Severity::Error,
            Some("the store".to_owned()),
            error.to_string(),
            "what was read from it before",
        )],
    };
    findings.extend(judged.findings);
    findings.extend(elsewhere::findings(center));
    findings.extend(watching::findings(center));
    findings.extend(center.ledger.findings(clock::wall()));
    let mut passed = edition.meaning.sound();
    passed.extend(judged.passed);
    Checked {
        status: status(center),
        findings,
        passed,
    }
}

/// What does not hold as it was written, with the revision that brought it.
fn written(center: &Center, edition: &Edition) -> Result<Vec<Finding>, NotRead> {
    let meaning = &edition.meaning;
    let found_at = |revision| center.found_at(revision);
    let brought = center
        .since
        .of(edition.revision, meaning.gists(), found_at)?;
    let found = meaning.notes.iter().map(|note| {
        // An override no revision brought.
        let is_written = note.code != Code::C170;
        let brought = brought.get(&Gist::of(note)).filter(|_| is_written);
        let since = brought.map(|revision| since(center, *revision));
        Ok(Finding {
            since: since.transpose()?.flatten(),
            ..Finding::of(note, meaning.written.line(note))
        })
    });
    found.collect()
}

/// When a revision was made, and by whom.
fn since(center: &Center, revision: Revision) -> Result<Option<Since>, Failed> {
    let entries = center.store.history(1, Some(revision.next()))?;
    Ok(entries.first().map(|entry| Since {
        at: entry.at.to_string(),
        revision: Some(revision.0),
        who: Some(entry.who.to_string()),
    }))
}

/// Workloads whose proxy has reported where it takes calls, and is not connected. A pod that is not ready takes
/// none, and may be about to end with its proxy.
pub(crate) fn away(center: &Center, members: &[Member]) -> Vec<condition::Away> {
    let edition = center.edition();
    let revoked = |id: &WorkloadId| {
        let identity = &edition.mesh.instances.get(id)?.workload.identity;
        edition.trusted.revoked.get(identity).cloned()
    };
    let reported = center.tunnels.reported();
    let reported: BTreeSet<_> = reported.tunnels().map(|(id, _)| id.clone()).collect();
    let here = members.iter().flat_map(|member| &member.workloads);
    let here: BTreeSet<_> = here.collect();
    let pods = center.presence.reported().pods;
    let is_called = |id: &WorkloadId| {
        let pod = pods.get(&(id.namespace.clone(), id.name.clone()));
        pod.is_none_or(|pod| pod.is_ready())
    };
    // A pod may have gone while nobody was there to see it.
    let is_there = |id: &WorkloadId| edition.mesh.instances.contains_key(id);
    reported
        .into_iter()
        .filter(|id| !here.contains(id) && is_called(id) && is_there(id))
        .map(|workload| condition::Away {
            since: center.fleet.gone(&workload),
            revoked: revoked(&workload),
            workload,
        })
        .collect()
}

pub(crate) fn proxies(center: &Center) -> Proxies {
    let members = center.fleet.members();
    let members: Vec<_> = members.into_iter().map(|(_, member)| member).collect();
    let edition = center.edition();
    let tunnel = |id: &WorkloadId| edition.mesh.instances.get(id)?.tunnel;
    let away = away(center, &members).into_iter().map(|away| Away {
        tunnel: tunnel(&away.workload)
            .map(|tunnel| tunnel.to_string())
            .unwrap_or_default(),
        workload: away.workload.to_string(),
        since: away.since.map(|since| since.to_string()),
    });
    Proxies {
        status: status(center),
        proxies: members.iter().map(Member::told).collect(),
        away: away.collect(),
    }
}

fn open_dashboard(center: &Center) -> Result<Link, Failure> {
    let Some(make) = center.links.get() else {
        return Err(Failure {
            advice: Some("run it with one: leno control --dashboard 7070".to_owned()),
            ..Failure::plain("this control plane shows no dashboard")
        });
    };
    Ok(Link {
        status: status(center),
        url: make(),
    })
}

/// The longest that a join token may be good for.
const LONGEST_TOKEN: u64 = 30 * 24 * 3600;

fn create_token(
    center: &Center,
    sight: &Sight,
    who: Label,
    ask: &CreateToken,
) -> Result<TokenMade, Failure> {
    let namespace = namespace(&ask.namespace)?;
    let account = ask.service_account.as_deref().map(Name::new).transpose();
    let account = account.map_err(Failure::plain)?;
    if account
        .as_ref()
        .is_some_and(|account| account.as_str() == NODE)
    {
        let message = format!("{NODE} is a node's account: leave the account out");
        return Err(Failure::plain(message));
    }
    if namespace.as_str() != PEOPLE {
        sight.may_let_in(&namespace)?;
    }
    let is_control_plane = |account: &Name| {
        let id = SpiffeId {
            trust_domain: center.edition().mesh.settings.trust_domain.clone(),
            namespace: namespace.clone(),
            service_account: account.clone(),
        };
        id.is_control_plane()
    };
    if account.as_ref().is_some_and(is_control_plane) {
        let message = "that is the control plane's own identity, and nobody else's";
        return Err(Failure::plain(message));
    }
    if namespace.as_str() == PEOPLE && account.is_none() {
        let message = format!("nobody stands in front of {PEOPLE}: say which person it is for");
        return Err(Failure::plain(message));
    }
    if ask.uses == 0 || ask.seconds == 0 || ask.seconds > LONGEST_TOKEN {
        let message = "a token is good for at least one use and second, and at most thirty days";
        return Err(Failure::plain(message));
    }
    let domain = center.edition().mesh.settings.trust_domain.clone();
    let founded = center.found(&domain);
    founded.map_err(|error| Failure::coded(error.code(), error))?;
    let told = center.authority.told();
    let told = told.ok_or_else(|| Failure::plain("there is no CA yet"))?;
    let (id, secret) = (clock::secret::<4>(), clock::secret::<16>());
    let id = id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let now = clock::wall();
    let hash = digest(&SHA256, &secret);
    let token = leno_store::Token {
        id: label("id", &id)?,
        hash: hash.as_ref().try_into().expect("SHA-256 has 32 bytes"),
        grant: Grant {
            namespace,
            service_account: account,
        },
        uses: ask.uses,
        expires: now + Duration::from_secs(ask.seconds),
        made: now,
        made_by: who,
    };
    center
        .store
        .add_token(&token)
        .map_err(|error| match error {
            NotAdded::Failed(failed) => store_failed(failed),
            NotAdded::Exists | NotAdded::TooMany => Failure::plain(error),
        })?;
    let text = JoinToken {
        fingerprint: told.fingerprint().0,
        trust_domain: told.domain,
        id,
        secret,
        address: center.address.clone(),
    };
    Ok(TokenMade {
        status: status(center),
        token: token_told(&token),
        text: text.to_string(),
    })
}

fn drop_token(center: &Center, id: &str) -> Result<Forgotten, Failure> {
    let was_there = center.store.drop_token(id).map_err(store_failed)?;
    Ok(Forgotten {
        status: status(center),
        was_there,
    })
}

fn tokens(center: &Center) -> Result<Tokens, Failure> {
    let tokens = center.store.tokens().map_err(store_failed)?;
    let others =
        center.accounts.held().is_some() || !center.edition().mesh.token_issuers.is_empty();
    let mesh = center.mesh_address().filter(|_| others);
    Ok(Tokens {
        status: status(center),
        tokens: tokens.iter().map(token_told).collect(),
        mesh: mesh.map(|mesh| mesh.to_string()),
    })
}

fn token_told(token: &leno_store::Token) -> Token {
    let Grant {
        namespace,
        service_account,
    } = &token.grant;
    Token {
        id: token.id.to_string(),
        grants: match service_account {
            Some(account) => format!("{namespace}/{account}"),
            None => format!("node of {namespace}"),
        },
        uses: token.uses,
        expires: token.expires.to_string(),
        made_by: token.made_by.to_string(),
    }
}

fn trust(center: &Center) -> Result<Trust, Failure> {
    let told = center.authority.told();
    let told = told.ok_or_else(|| rotate::not_founded(center))?;
    let revoked = center.store.revoked().map_err(store_failed)?;
    let active = *told.rotation.active();
    let members = center.fleet.members();
    let members: Vec<_> = members.into_iter().map(|(_, member)| member).collect();
    Ok(Trust {
        status: status(center),
        certificates: certificates(&members),
        trust_domain: told.domain.to_string(),
        root: active.root.to_string(),
        root_begins: active.validity.begins.to_string(),
        root_ends: active.validity.ends.to_string(),
        roots: rotate::roots(&told.rotation),
        next_root: rotate::next_by_itself(center, &told, center.clocks.now().wall),
        intermediate_source: told.source.clone(),
        failing_ca: center
            .outside
            .troubled()
            .as_ref()
            .map(|it| Box::new(outside::told(it))),
        intermediate_begins: told.intermediate_validity.begins.to_string(),
        intermediate_ends: told.intermediate_validity.ends.to_string(),
        lifetime_seconds: center.edition().mesh.lifetimes.leaf.as_secs(),
        revoked: revoked
            .into_iter()
            .map(|revocation| RevokedIdentity {
                identity: revocation.identity.to_string(),
                at: revocation.at.to_string(),
                who: revocation.who.to_string(),
                reason: revocation.reason.to_string(),
            })
            .collect(),
        peers: center
            .peers
            .standings()
            .iter()
            .map(Standing::told)
            .collect(),
    })
}

fn own_bundle(center: &Center) -> Result<OwnBundle, Failure> {
    let told = center.authority.told();
    let told = told.ok_or_else(|| rotate::not_founded(center))?;
    let bundle = published::bundle(center).map_err(store_failed)?;
    let bundle = bundle.ok_or_else(|| rotate::not_founded(center))?;
    // A URL has one host.
    let first = center.address.split(',').next().unwrap_or_default();
    Ok(OwnBundle {
        status: status(center),
        identity: control_plane(&told.domain).to_string(),
        trust_domain: told.domain.to_string(),
        bundle,
        endpoint: format!("https://{first}{}", published::PATH),
        is_served: !center.edition().mesh.peers.is_empty(),
    })
}

fn certificates(members: &[Member]) -> Vec<CertificateState> {
    let mut by_id = BTreeMap::<_, Vec<_>>::new();
    for (id, certificate) in members.iter().flat_map(|member| &member.certificates) {
        by_id.entry(id).or_default().push(certificate);
    }
    let told = by_id.into_iter().map(|(id, held)| {
        let first = held.iter().filter(|one| one.ends.is_some());
        let first = first.min_by_key(|one| one.ends);
        let failures = held.iter().find_map(|one| one.failures.as_ref());
        CertificateState {
            identity: id.to_string(),
            proxies: u64::try_from(held.len()).unwrap_or(u64::MAX),
            renewed: first.and_then(|one| one.renewed).map(|at| at.to_string()),
            ends: first.and_then(|one| one.ends).map(|ends| ends.to_string()),
            failed: failures.map(|failures| failures.why.clone()),
            failing: failures.map(|failures| FailingRenewal {
                code: Code::T007.as_str().to_owned(),
                slug: Code::T007.slug().to_owned(),
                count: failures.count,
                since: failures.since.to_string(),
            }),
        }
    });
    told.collect()
}

/// A SPIFFE ID, or `namespace/account` of our own trust domain.
pub(crate) fn identity(center: &Center, text: &str) -> Result<SpiffeId, Failure> {
    if text.starts_with("spiffe://") {
        return SpiffeId::parse(text).map_err(Failure::plain);
    }
    let bad = || {
        let message = format!("{text:?} is no identity: write namespace/account or a SPIFFE ID");
        Failure::plain(message)
    };
    let (namespace, account) = text.split_once('/').ok_or_else(bad)?;
    let domain = center.authority.told().map(|told| told.domain);
    Ok(SpiffeId {
        trust_domain: domain.unwrap_or_else(|| center.edition().mesh.settings.trust_domain.clone()),
        namespace: Namespace::new(namespace).map_err(|_| bad())?,
        service_account: Name::new(account).map_err(|_| bad())?,
    })
}

/// Whom the mesh trusts the default control plane says: what one beside it said its proxies alone would go by.
pub(crate) fn decided_here(center: &Center) -> Result<(), Failure> {
    let Some(name) = center.name() else {
        return Ok(());
    };
    let message =
        format!("{name} stands beside the default control plane, which says who is trusted");
    Err(Failure {
        advice: Some(format!(
            "kubectl exec -n {SYSTEM} deploy/{CONTROL_PLANE} -- /leno certs .."
        )),
        ..Failure::coded(Code::T027, message)
    })
}

/// Takes an identity back from whoever has it.
fn revoke(center: &Center, who: Label, ask: &Revoke) -> Result<Revoked, Failure> {
    decided_here(center)?;
    let identity = identity(center, &ask.identity)?;
    let changed = center.store.revoke(&Revocation {
        identity: identity.clone(),
        at: clock::wall(),
        who,
        reason: message(&ask.reason)?,
    });
    revoked(center, &identity, changed.map_err(store_failed)?)
}

/// What has changed of an identity, which is in force here when this returns.
fn revoked(center: &Center, identity: &SpiffeId, changed: bool) -> Result<Revoked, Failure> {
    center.renew().map_err(not_read)?;
    Ok(Revoked {
        status: status(center),
        identity: identity.to_string(),
        changed,
    })
}
