//! Overrides: measures that people take in an emergency, and that end by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leno_admin::{AddOverride, DropOverride, Failure, OverrideChanged, OverrideTold, Overrides};
use leno_model::view::{Action, Backend, Routes};
use leno_model::{
    Code, Measure, Name, Note, Notes, ObjectRef, Override, RequestFact, ServiceName, Severity,
};
use leno_resources::Resources;
use leno_store::{KeptOverride, Label, Revision};

use crate::administer::{message, not_read, status, store_failed};
use crate::center::Center;
use crate::clock;
use crate::event::Event;
use crate::sight::Sight;

/// How long one may hold: what is needed longer is written.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The most time between two looks: timers stand still while the machine sleeps.
const LOOK: Duration = Duration::from_secs(5);

/// Ends each when its time is over, for as long as it is polled.
pub(crate) async fn run(center: Arc<Center>) {
    let mut editions = center.editions.subscribe();
    loop {
        let now = center.clocks.now();
        let ends = center.overrides().iter().map(|kept| kept.until).min();
        let due = ends.map_or(LOOK, |ends| ends.since(now.wall)).min(LOOK);
        tokio::select! {
            changed = editions.changed() => {
                if changed.is_err() {
                    return;
                }
                editions.borrow_and_update();
                continue;
            }
            () = tokio::time::sleep_until(center.clocks.instant(now.mono + due)) => {}
        }
        let shared = Arc::clone(&center);
        let ended = tokio::task::spawn_blocking(move || end(&shared)).await;
        if ended.is_err() {
            return;
        }
    }
}

fn end(center: &Center) {
    let now = clock::wall();
    let over = center.overrides();
    let over = over.iter().filter(|kept| kept.until <= now);
    let over = over.map(|kept| kept.over.clone()).collect::<Vec<_>>();
    if over.is_empty() {
        return;
    }
    match center.store.end_overrides(now) {
        Ok(_) => {
            for it in over {
                center.tell(&Event::OverrideEnded(it));
            }
        }
        Err(failed) => center.trouble(failed.code(), failed),
    }
}

/// Lets a measure hold from here on; it is in force when this returns.
pub(crate) fn add(
    center: &Center,
    sight: &Sight,
    who: Label,
    ask: &AddOverride,
) -> Result<OverrideChanged, Failure> {
    let (measure, lasts) = may_add(center, sight, ask)?;
    let now = clock::wall();
    let kept = KeptOverride {
        over: Override { id: id(), measure },
        at: now,
        until: now + lasts,
        who,
        reason: message(&ask.message)?,
    };
    center
        .store
        .add_override(&kept)
        .map_err(|why| match why.code() {
            Some(code) => Failure::coded(code, why),
            None => Failure::plain(why),
        })?;
    center.renew().map_err(not_read)?;
    center.tell(&Event::Overridden(kept.over.clone(), kept.until));
    Ok(OverrideChanged {
        status: status(center),
        changed: true,
        told: Some(told(&kept)),
    })
}

/// Whether a measure may be taken, by whoever asks and as things are; which that is, and for how long.
pub(crate) fn may_add(
    center: &Center,
    sight: &Sight,
    ask: &AddOverride,
) -> Result<(Measure, Duration), Failure> {
    let (measure, lasts) = may_ask(sight, ask)?;
    if let (Some(warning), false) = (unexpected(center, &measure)?, ask.force) {
        return Err(Failure {
            advice: Some("add --force if that is meant".to_owned()),
            ..Failure::plain(warning)
        });
    }
    Ok((measure, lasts))
}

/// What is asked for, and for how long, if whoever asks may have it at all.
pub(crate) fn may_ask(sight: &Sight, ask: &AddOverride) -> Result<(Measure, Duration), Failure> {
    let measure: Measure = ask.measure.parse().map_err(Failure::plain)?;
    may_take(sight, &measure)?;
    let lasts = Duration::from_secs(ask.seconds);
    if lasts < SHORTEST || lasts > LONGEST {
        let message = "an override holds for 10 s to 24 h: what is needed longer is to be written";
        return Err(Failure::plain(message));
    }
    Ok((measure, lasts))
}

/// Takes one back; it is out of force when this returns.
pub(crate) fn take_back(
    center: &Center,
    sight: &Sight,
    ask: &DropOverride,
) -> Result<OverrideChanged, Failure> {
    let known = center.overrides();
    let known = known.iter().find(|kept| kept.over.id.as_str() == ask.id);
    let Some(kept) = known.filter(|kept| is_seen(sight, &kept.over.measure)) else {
        return Err(Failure {
            advice: Some("leno override list".to_owned()),
            ..Failure::plain(format_args!("no override {} holds", ask.id))
        });
    };
    may_take(sight, &kept.over.measure)?;
    let changed = center
        .store
        .drop_override(&kept.over.id)
        .map_err(store_failed)?;
    center.renew().map_err(not_read)?;
    center.tell(&Event::OverrideEnded(kept.over.clone()));
    Ok(OverrideChanged {
        status: status(center),
        changed,
        told: Some(told(kept)),
    })
}

/// Those that hold, as far as they may be seen.
pub(crate) fn list(center: &Center, sight: &Sight) -> Overrides {
    let all = center.overrides();
    let seen = all.iter().filter(|kept| is_seen(sight, &kept.over.measure));
    Overrides {
        status: status(center),
        overrides: seen.map(told).collect(),
    }
}

/// Those by which something is recorded, as far as they may be seen.
pub(crate) fn recording(center: &Center, sight: &Sight) -> Vec<OverrideTold> {
    let all = center.overrides();
    let recording = all.iter().filter(|kept| match &kept.over.measure {
        Measure::Record { .. } => is_seen(sight, &kept.over.measure),
        Measure::Audit(..) | Measure::Eject(_) | Measure::AllTo { .. } | Measure::Hold(_) => false,
    });
    recording.map(told).collect()
}

/// All that hold.
pub(crate) fn all(center: &Center) -> Vec<OverrideTold> {
    center.overrides().iter().map(told).collect()
}

fn told(kept: &KeptOverride) -> OverrideTold {
    OverrideTold {
        id: kept.over.id.to_string(),
        measure: kept.over.measure.to_string(),
        at: kept.at.to_string(),
        until: kept.until.to_string(),
        who: kept.who.to_string(),
        reason: kept.reason.to_string(),
    }
}

/// Three bytes by chance, in hex: people type it.
fn id() -> Name {
    let digits = clock::dice().next_u64() & 0x00ff_ffff;
    Name::new(&format!("{digits:06x}")).expect("digits are a name")
}

/// Whether it may be taken, and taken back, by whoever asks.
fn may_take(sight: &Sight, measure: &Measure) -> Result<(), Failure> {
    // It may bring back whom the mesh trusted, and who administered it.
    let all = || ObjectRef {
        kind: "Mesh".into(),
        namespace: None,
        name: Name::new("mesh").expect("a word is a name"),
    };
    sight.may_change(&object(measure).unwrap_or_else(all))
}

/// The object that it changes; `None` if that is all of them.
fn object(measure: &Measure) -> Option<ObjectRef> {
    let (kind, namespace, name) = match measure {
        Measure::Audit(namespace, name) => ("AccessPolicy", namespace, name),
        Measure::Eject(instance) => ("MeshWorkload", &instance.namespace, &instance.name),
        Measure::AllTo { service, .. } | Measure::Record { service, .. } => {
            ("Service", &service.namespace, &service.name)
        }
        Measure::Hold(_) => return None,
    };
    Some(ObjectRef {
        kind: kind.into(),
        namespace: Some(namespace.clone()),
        name: name.clone(),
    })
}

fn is_seen(sight: &Sight, measure: &Measure) -> bool {
    let namespace = measure.namespace();
    namespace.is_none_or(|namespace| sight.sees(&format!("{namespace}/x")))
}

/// What would not be expected of a measure; fails if there is nothing that it could change.
fn unexpected(center: &Center, measure: &Measure) -> Result<Option<String>, Failure> {
    let edition = center.edition();
    Ok(match measure {
        Measure::Hold(to) => {
            if let Some(held) = center
                .overrides()
                .iter()
                .find(|it| it.over.measure.held().is_some())
            {
                let Override { id, measure } = &held.over;
                return Err(Failure {
                    advice: Some(format!("leno override drop {id}")),
                    ..Failure::plain(format_args!("override {id} says {measure} already"))
                });
            }
            if center.not_own(Revision(*to)).map_err(not_read)?.is_empty() {
                return Err(Failure::plain(format_args!(
                    "what others own is as it was in revision {to}: there is nothing to hold"
                )));
            }
            None
        }
        Measure::Audit(namespace, name) => {
            let policies = edition.written().access_policies.iter();
            let mut named = policies.map(|policy| policy.reference());
            let is_it =
                |it: &Arc<ObjectRef>| it.name == *name && it.namespace.as_ref() == Some(namespace);
            if !named.any(is_it) {
                return Err(nothing(format_args!("AccessPolicy {namespace}/{name}")));
            }
            None
        }
        Measure::Eject(instance) => {
            if !edition.mesh.instances.contains_key(instance) {
                return Err(nothing(format_args!("instance {instance}")));
            }
            let alone = edition.mesh.answers.iter().find(|(_, answers)| {
                !answers.is_empty() && answers.iter().all(|answer| answer.instance == *instance)
            });
            alone.map(|(port, _)| {
                format!("{instance} is the last that answers for {port}: nobody would")
            })
        }
        Measure::AllTo { service, backend } => {
            let Some(found) = edition.mesh.services.get(service) else {
                return Err(nothing(format_args!("Service {service}")));
            };
            let ports = found.ports.values();
            let mut routes = ports.flat_map(|it| it.producer.iter().chain(it.consumers.values()));
            if !routes.any(|routes| can_send(routes, backend)) {
                let message = format!("no route of {service} can send calls to {backend}");
                return Err(Failure::plain(message));
            }
            None
        }
        Measure::Record { service, facts } => {
            let Some(found) = edition.mesh.services.get(service) else {
                return Err(nothing(format_args!("Service {service}")));
            };
            if !found.ports.values().any(|port| port.protocol.is_http()) {
                let message = format!("no port of {service} carries requests: it has none of that");
                return Err(Failure::plain(message));
            }
            let secret = facts.iter().find(|fact| names_secret(fact));
            if let Some(secret) = secret {
                let message = format!("{secret} names a secret: what it says is never kept");
                return Err(Failure::plain(message));
            }
            None
        }
    })
}

/// Whether what stands there is never kept, because it lets its reader act as somebody else.
pub(crate) fn names_secret(fact: &RequestFact) -> bool {
    fact.name().is_some_and(leno_telemetry::is_secret)
}

fn can_send(routes: &Routes, backend: &ServiceName) -> bool {
    routes.rules.iter().any(|rule| match &rule.action {
        Action::Forward(split) => split.parts().iter().any(|part| match &part.backend {
            Backend::Service(port) => port.service == *backend,
            Backend::Invalid(_) => false,
        }),
        Action::Redirect(_) | Action::Refuse(..) => false,
    })
}

fn nothing(what: std::fmt::Arguments<'_>) -> Failure {
    Failure::plain(format_args!("there is no {what}"))
}

/// That they hold, as findings about what they are over.
pub(crate) fn notes(overrides: &[KeptOverride], resources: &Resources) -> Notes {
    let policies = resources.access_policies.iter();
    let policies = policies.map(|policy| (policy.reference().clone(), policy.span("")));
    let policies = policies.collect::<BTreeMap<_, _>>();
    let note = |kept: &KeptOverride| {
        let Override { id, measure } = &kept.over;
        let object = object(measure).map_or_else(|| kept.over.origin().object, Arc::new);
        let in_force = match measure {
            Measure::Audit(..) => {
                "it refuses nobody; what its rules with Deny match is told, whom it leaves out is not"
                    .to_owned()
            }
            Measure::Eject(_) => "it answers for no service".to_owned(),
            Measure::AllTo { backend, .. } => {
                format!(
                    "wherever its routes can send calls to {backend}, they send all of them there"
                )
            }
            Measure::Record { facts, .. } => {
                let facts = facts.iter().map(ToString::to_string);
                let facts = facts.collect::<Vec<_>>().join(", ");
                format!("of calls to it {facts} is kept, whether a rule asks for it or not")
            }
            Measure::Hold(to) => {
                format!("what others own is served as it was in revision {to}, whatever they say by now")
            }
        };
        let why = match kept.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        Note {
            code: Code::C170,
            severity: Severity::Warning,
            span: policies.get(&object).cloned(),
            origin: Some(leno_model::Origin {
                object,
                ..kept.over.origin()
            }),
            message: format!(
                "override {id} of {} holds until {}{why}",
                kept.who, kept.until
            ),
            suggestion: Some(format!("leno override drop {id} ends it")),
            in_force,
        }
    };
    let mut notes = Notes::default();
    overrides.iter().map(note).for_each(|note| notes.push(note));
    notes
}
