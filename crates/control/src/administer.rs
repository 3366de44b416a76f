//! Answers what people ask over the Unix socket.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use leno_admin::{
    Answer, Asker, Away, CertificateState, Change as Told, Checked, CreateToken, Diff, DiffOf,
    FailingRenewal, Failure, Finding, Forgotten, History, HistoryOf, Link, Past, Proxies, Question,
    Recovered, Reply, Revoke, Revoked, RevokedIdentity, Since, Status, Token, TokenMade, Tokens,
    Trust, Verb,
};
use leno_model::view::WorkloadId;
use leno_model::{Code, Name, Namespace, Note, Severity, SpiffeId};
use leno_store::{
    Cause, Entry, Failed, Grant, Label, Message, NotAdded, NotRead, ObjectChange, Revision,
    Revocation,
};
use leno_wire::JoinToken;
use leno_wire::certificates::NODE;

use crate::center::Center;
use crate::condition::{self, Judged, Seen};
use crate::desk::Desk;
use crate::edition::Edition;
use crate::event::Event;
use crate::fleet::Member;
use crate::meaning::{Gist, Meaning};
use crate::{
    apply, asking, clock, flows, overview, readmit, renew, rotate, served, told, troubled, viewed,
};

/// Answers a question; a refusal says how the control plane is, too.
pub(crate) async fn answer(
    center: Arc<Center>,
    asker: Asker,
    question: Question,
) -> Result<Reply, Failure> {
    let answered = decide(Arc::clone(&center), asker, question).await;
    answered.map_err(|failure| Failure {
        status: Some(Box::new(status(&center))),
        ..failure
    })
}

/// Answers a question: what others have to say by asking them, the rest on a thread that may wait.
async fn decide(center: Arc<Center>, asker: Asker, question: Question) -> Result<Reply, Failure> {
    match question {
        Question::Tap(ask) => Ok(Reply::Tap(asking::tap(center, ask))),
        Question::Kept(ask) => Ok(Answer::Kept(asking::kept(&center, ask).await).into()),
        Question::Story(ask) => {
            let Some(tell) = center.stories.get() else {
                return Err(Failure::plain("this control plane tells no stories"));
            };
            let told = tell(Desk::of(Arc::clone(&center)), ask).await;
            told.map(|story| Answer::Story(Box::new(story)).into())
        }
        Question::Probe(ask) => {
            let probed = asking::probe(&center, ask).await;
            probed.map(|probed| Answer::Probed(probed).into())
        }
        Question::Reach(ask) => {
            let reached = asking::reach(&center, ask).await;
            reached.map(|reached| Answer::Reached(reached).into())
        }
        Question::Renew(ask) => {
            let renewed = renew::renew(center, ask).await;
            renewed.map(|renewed| Answer::Renewed(renewed).into())
        }
        Question::Overview(_) => {
            let looking = center.look.get().and_then(|look| look());
            let told = match looking {
                Some(looking) => looking.await,
                None => on_a_thread(move || overview::overview(&center)).await,
            };
            told.map(|told| Answer::Overview(Box::new(told)).into())
        }
        question => {
            let answered = on_a_thread(move || know(&center, who(asker), question)).await;
            answered.map(Reply::from)
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
fn know(center: &Center, who: Label, question: Question) -> Result<Answer, Failure> {
    match question {
        Question::Status(_) => Ok(Answer::Status(status(center))),
        Question::Apply(ask) => apply::apply(center, who, ask).map(Answer::Applied),
        Question::Delete(ask) => apply::delete(center, who, ask).map(Answer::Applied),
        Question::Rollback(ask) => apply::rollback(center, who, ask).map(Answer::Applied),
        Question::History(ask) => history(center, &ask).map(Answer::History),
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
        Question::CreateToken(ask) => create_token(center, who, &ask).map(Answer::TokenMade),
        Question::Tokens(_) => tokens(center).map(Answer::Tokens),
        Question::DropToken(ask) => drop_token(center, &ask.id).map(Answer::Forgotten),
        Question::OpenDashboard(_) => open_dashboard(center).map(Answer::Link),
        Question::Trust(_) => trust(center).map(Answer::Trust),
        Question::Readmit(ask) => readmit::open(center, &ask).map(Answer::Readmitting),
        Question::RotateRoot(ask) => rotate::rotate(center, &ask).map(Answer::Rotated),
        Question::Revoke(ask) => revoke(center, who, &ask).map(Answer::Revoked),
        Question::Reinstate(ask) => {
            let identity = identity(center, &ask.identity)?;
            let changed = center.store.reinstate(&identity).map_err(store_failed)?;
            Ok(Answer::Revoked(revoked(center, &identity, changed)))
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
        let text = object.map(|object| object.text.to_string());
        text.filter(|_| texts)
    };
    Told {
        verb,
        object: change.key().to_string(),
        place: object
            .and_then(|object| object.place.as_ref())
            .map(ToString::to_string),
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

/// The name of the user who asks, as the host knows it.
pub(crate) fn who(asker: Asker) -> Label {
    let number = asker.user.to_string();
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
    Ok(History {
        status: status(center),
        revisions: entries.iter().map(past).collect(),
    })
}

pub(crate) fn past(entry: &Entry) -> Past {
    Past {
        revision: entry.revision.0,
        at: entry.at.to_string(),
        who: entry.who.to_string(),
        what: match &entry.cause {
            Cause::Apply(set) => format!("apply {set}"),
            Cause::Delete => "delete".to_owned(),
            Cause::Rollback(to) => format!("rollback to {to}"),
        },
        message: entry.message.to_string(),
        added: entry.tally.added,
        changed: entry.tally.changed,
        removed: entry.tally.removed,
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
    let judged = Judged::of(&Seen {
        now: clock::wall(),
        members: &members,
        away: &away(center, &members),
        newest: &edition.generation,
        newest_since: edition.made,
        lifetime: edition.mesh.lifetimes.leaf,
        authority: center
            .authority
            .told()
            .map(|told| [told.rotation.active().validity, told.intermediate_validity]),
        waits: waits.as_ref(),
        knocking: &center.readmission.waiting(clock::wall()),
        folders: &center.folders(),
        not_exported: &troubled::not_exported(center),
        withheld: center.withheld().as_ref(),
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
        let brought = brought.get(&Gist::of(note));
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

/// Workloads whose proxy has reported where it takes calls, and is not connected.
pub(crate) fn away(center: &Center, members: &[Member]) -> Vec<condition::Away> {
    let edition = center.edition();
    let revoked = |id: &WorkloadId| {
        let identity = &edition.mesh.instances.get(id)?.workload.identity;
        edition.trusted.revoked.get(identity).cloned()
    };
    let reported = center.tunnels.reported().tunnels.into_keys();
    let is_here = |id: &WorkloadId| members.iter().any(|member| member.workloads.contains(id));
    reported
        .filter(|id| !is_here(id))
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
    let reported = center.tunnels.reported().tunnels;
    let away = away(center, &members).into_iter().map(|away| Away {
        tunnel: reported
            .get(&away.workload)
            .map(ToString::to_string)
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

fn create_token(center: &Center, who: Label, ask: &CreateToken) -> Result<TokenMade, Failure> {
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
    if ask.uses == 0 || ask.seconds == 0 || ask.seconds > LONGEST_TOKEN {
        let message = "a token is good for at least one use and second, and at most thirty days";
        return Err(Failure::plain(message));
    }
    let domain = center.edition().mesh.settings.trust_domain.clone();
    let founded = center.found(&domain);
    founded.map_err(|error| Failure::coded(Code::T007, error))?;
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
    Ok(Tokens {
        status: status(center),
        tokens: tokens.iter().map(token_told).collect(),
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
    let told = told.ok_or_else(|| {
        Failure::plain("there is no CA yet: apply a Mesh, or create a token, and it is founded")
    })?;
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
        next_root: Some(rotate::next(center, &told, center.clocks.now().wall)),
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

fn revoke(center: &Center, who: Label, ask: &Revoke) -> Result<Revoked, Failure> {
    let identity = identity(center, &ask.identity)?;
    let changed = center.store.revoke(&Revocation {
        identity: identity.clone(),
        at: clock::wall(),
        who,
        reason: message(&ask.reason)?,
    });
    let changed = changed.map_err(store_failed)?;
    Ok(revoked(center, &identity, changed))
}

fn revoked(center: &Center, identity: &SpiffeId, changed: bool) -> Revoked {
    Revoked {
        status: status(center),
        identity: identity.to_string(),
        changed,
    }
}
