//! What is told of calls: each `TelemetryPolicy` checked, and merged field by field.

use alloc::{collections::BTreeMap, format, string::ToString, sync::Arc, vec::Vec};

use leno_condition::{Condition, Fact, Flaw};
use leno_model::view::{AccessLog, LogFields, PortRef, Redaction, Routes, Telemetry, Tracing};
use leno_model::{Code, Namespace, Notes, Origin, Pattern, RequestFact, ServiceName, near};
use leno_resources::policy::{self, LogMode, TargetKind, TargetRef, TelemetryPolicySpec};
use leno_resources::{List, Object, Objects, Part};

use crate::finding::{self, Complete};
use crate::layers::{Layered, Layers};
use crate::measures::Measures;
use crate::route::Kind;
use crate::routes::Attached;
use crate::targets::{Scope, Target};

impl Layered for TelemetryPolicySpec {
    const FIELDS: &'static [&'static str] = &[ACCESS_LOG, TRACING, REDACT];

    fn says(&self, field: &str) -> bool {
        match field {
            ACCESS_LOG => self.access_log.is_some(),
            TRACING => self.tracing.is_some(),
            REDACT => self.redact.is_some(),
            _ => false,
        }
    }

    fn targets(&self) -> Option<&List<TargetRef>> {
        self.target_refs.as_ref()
    }

    fn refuses(kind: TargetKind) -> Option<&'static str> {
        match kind {
            TargetKind::MeshWorkload => {
                Some("a TelemetryPolicy is about calls to Services, not to a MeshWorkload")
            }
            TargetKind::Mesh
            | TargetKind::Namespace
            | TargetKind::Service
            | TargetKind::HttpRoute
            | TargetKind::GrpcRoute => None,
        }
    }
}

const ACCESS_LOG: &str = "accessLog";
const TRACING: &str = "tracing";
const REDACT: &str = "redact";

/// All policies, by what they are about. Equal values are one value.
pub(crate) struct Policies<'a> {
    layers: Layers<'a, TelemetryPolicySpec>,
    measures: Measures<'a>,
    default: Arc<Telemetry>,
}

/// Checks all policies.
pub(crate) fn read<'a>(
    policies: &'a Objects<TelemetryPolicySpec>,
    scope: &Scope<'_>,
    measures: Measures<'a>,
    notes: &mut Notes,
) -> Policies<'a> {
    for policy in policies.iter() {
        check(policy, notes);
    }
    Policies {
        layers: Layers::read(policies.iter(), scope, notes),
        measures,
        default: Arc::default(),
    }
}

impl Policies<'_> {
    /// What is told where nothing more special is known.
    pub(crate) fn everywhere(&self) -> Arc<Telemetry> {
        self.over(&[Target::Mesh], BTreeMap::new())
    }

    /// What callers' proxies tell of calls to a service.
    pub(crate) fn of_service(&self, service: &ServiceName) -> Arc<Telemetry> {
        self.over(
            &Target::over_service(service),
            self.measures.records([service]),
        )
    }

    /// What the proxy of a workload of this namespace tells of calls to a port to which these services
    /// lead: of two that say different things, the first by name counts.
    pub(crate) fn of_port<'s>(
        &self,
        namespace: &Namespace,
        services: impl IntoIterator<Item = &'s ServiceName> + Clone,
    ) -> Arc<Telemetry> {
        let records = self.measures.records(services.clone());
        let services = services.into_iter().cloned().map(Target::Service);
        let general = [Target::Namespace(namespace.clone()), Target::Mesh];
        self.over(&services.chain(general).collect::<Vec<_>>(), records)
    }

    /// Adds what is told of the calls that routes take of which a policy speaks.
    pub(crate) fn say_in(&self, attached: &mut Attached) {
        for (port, by_callers) in attached {
            for routes in by_callers.values_mut() {
                self.say_of(port, routes);
            }
        }
    }

    fn say_of(&self, port: &PortRef, routes: &mut Arc<Routes>) {
        let mut told = Vec::new();
        for (index, rule) in routes.rules.iter().enumerate() {
            let route = &rule.origin.object;
            let Some(namespace) = route.namespace.clone() else {
                continue;
            };
            let name = route.name.clone();
            let target = match Kind::named(&route.kind) {
                Some(Kind::Http) => Target::HttpRoute(namespace, name),
                Some(Kind::Grpc) => Target::GrpcRoute(namespace, name),
                Some(Kind::Tls | Kind::Tcp) | None => continue,
            };
            if self.layers.is_about(&target) {
                let [service, namespace, mesh] = Target::over_service(&port.service);
                let records = self.measures.records([&port.service]);
                let over = self.over(&[target, service, namespace, mesh], records);
                told.push((index, over));
            }
        }
        if !told.is_empty() {
            Arc::make_mut(routes).telemetry.extend(told);
        }
    }

    fn over(
        &self,
        most_special_first: &[Target],
        records: BTreeMap<RequestFact, Origin>,
    ) -> Arc<Telemetry> {
        let sayings = self.layers.sayings(most_special_first);
        if sayings.is_empty() && records.is_empty() {
            return self.default.clone();
        }
        let mut telemetry = Telemetry {
            records,
            ..Telemetry::default()
        };
        for (field, policy) in sayings {
            apply(field, policy, &mut telemetry);
        }
        Arc::new(telemetry)
    }
}

fn apply(field: &str, policy: &Object<TelemetryPolicySpec>, telemetry: &mut Telemetry) {
    let Some(spec) = policy.spec.partly() else {
        return;
    };
    let origin = policy.origin(&format!("/spec/{field}"));
    telemetry.origins.insert(field.into(), origin);
    match field {
        ACCESS_LOG => telemetry.access_log = spec.access_log.as_ref().map(log).unwrap_or_default(),
        TRACING => {
            let tracing = spec.tracing.as_ref();
            telemetry.tracing = Tracing {
                sample: tracing.and_then(|it| it.sample).map_or(0, |share| share.0),
                errors: tracing.and_then(|it| it.errors).unwrap_or(false),
            };
        }
        REDACT => telemetry.redaction = spec.redact.as_ref().map(redaction).unwrap_or_default(),
        _ => {}
    }
}

fn log(written: &policy::AccessLog) -> AccessLog {
    let fields = written.fields.iter().filter_map(Part::sound);
    let headers = |written: &List<Arc<str>>| {
        let names = written.iter().filter_map(Part::sound);
        names.map(|name| name.to_ascii_lowercase().into()).collect()
    };
    AccessLog {
        is_on: written.mode != Some(LogMode::Disabled),
        when: written.when.clone().filter(|when| filter(when).is_ok()),
        fields: (!written.fields.is_empty()).then(|| LogFields::of(fields.map(|field| &**field))),
        request_headers: headers(&written.request_headers),
        response_headers: headers(&written.response_headers),
    }
}

/// What decides which calls have lines. Claims of tokens do not: nobody reads them there.
fn filter(written: &str) -> Result<Condition, Flaw> {
    let condition = Condition::new(written)?;
    match condition.reads().facts.contains(&Fact::Claims) {
        false => Ok(condition),
        true => Err(Flaw {
            at: (0, written.chars().count()),
            message: "only access rules look into the claims of tokens".to_string(),
            suggestion: None,
        }),
    }
}

/// What is to be hidden. Where that cannot be read, everything is.
fn redaction(written: &List<Arc<str>>) -> Redaction {
    let patterns = written
        .iter()
        .map(|pattern| Pattern::new(pattern.sound()?).ok())
        .collect::<Option<Vec<_>>>();
    Redaction {
        all: patterns.is_none(),
        patterns: patterns.unwrap_or_default(),
    }
}

/// Notes what a policy says that cannot hold.
fn check(policy: &Object<TelemetryPolicySpec>, notes: &mut Notes) {
    let Some(spec) = policy.spec.partly() else {
        return;
    };
    if spec.metrics.is_some() {
        let message = "all metrics have the same labels, so that the number of series is bounded";
        notes.push(
            finding::error(policy, "/spec/metrics", Code::C114, message.to_string())
                .suggest(Some(
                    "what else is told of a call is in the access log and in spans".into(),
                ))
                .in_force("metrics as they are"),
        );
    }
    if let Some(log) = &spec.access_log {
        if let Some(when) = &log.when
            && let Err(flaw) = filter(when)
        {
            notes.push(
                finding::not_cel(policy, "/spec/accessLog/when", when, flaw)
                    .in_force("calls have their lines without it"),
            );
        }
        for (index, field) in log.fields.iter().enumerate() {
            let Some(field) = field.sound() else { continue };
            if LogFields::ALL.contains(&&**field) {
                continue;
            }
            let pointer = format!("/spec/accessLog/fields/{index}");
            let message = format!("the access log has no field {field}");
            let meant = near::did_you_mean(field, LogFields::ALL);
            notes.push(
                finding::error(policy, &pointer, Code::C007, message)
                    .suggest(meant)
                    .in_force("lines have the other fields"),
            );
        }
    }
    let patterns = spec.redact.iter().flat_map(List::iter).enumerate();
    for (index, pattern) in patterns {
        if let Some(pattern) = pattern.sound()
            && let Err(bad) = Pattern::new(pattern)
        {
            let pointer = format!("/spec/redact/{index}");
            notes.push(
                finding::error(policy, &pointer, Code::C007, bad.to_string()).in_force(
                    "of paths and headers nothing is told in the access log and in spans",
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_field_is_said_that_nobody_knows() {
        for field in TelemetryPolicySpec::FIELDS {
            let known = TelemetryPolicySpec::SCHEMA
                .field(field)
                .map(|field| field.key);
            assert_eq!(known, Some(*field));
        }
        let unique: BTreeSet<_> = LogFields::ALL.iter().collect();
        assert_eq!(unique.len(), LogFields::ALL.len());
    }
}
