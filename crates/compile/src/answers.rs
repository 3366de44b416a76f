//! Who answers: the instances behind each service port.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};

use leno_model::view::{PortRef, State, WorkloadId};
use leno_model::{Code, Namespace, Notes, ServiceName, near};
use leno_resources::Object;
use leno_resources::service::{ServiceSpec, TargetPort};

use crate::finding::{self, Complete};
use crate::mesh::{Answer, Mesh};
use crate::services::{Form, Port, Selects, Service};
use crate::workloads::Workload;

/// Workloads by namespace and label, so that a selector looks only at those that have one of its
/// labels.
pub(crate) struct Labelled<'a>(BTreeMap<Label<'a>, Vec<&'a Workload<'a>>>);

type Label<'a> = (&'a Namespace, &'a str, &'a str);

impl<'a> Labelled<'a> {
    pub(crate) fn new(workloads: &'a [Workload<'a>]) -> Self {
        let mut labelled = BTreeMap::<_, Vec<_>>::new();
        for workload in workloads {
            for (key, value) in &workload.outline.meta.labels {
                let label = (&workload.namespace, &**key, &**value);
                labelled.entry(label).or_default().push(workload);
            }
        }
        Self(labelled)
    }

    /// The workloads of `namespace` that have all of these labels, of which there is at least one.
    fn with_all(
        &self,
        namespace: &Namespace,
        labels: &BTreeMap<Arc<str>, Arc<str>>,
    ) -> Vec<&'a Workload<'a>> {
        let with_one = labels
            .iter()
            .map(|(key, value)| self.0.get(&(namespace, &**key, &**value)));
        let rarest = with_one
            .map(|found| found.map_or(&[][..], Vec::as_slice))
            .min_by_key(|all| all.len());
        let has_all = |workload: &&Workload<'_>| {
            let has = |(key, value)| workload.outline.meta.labels.get(key) == Some(value);
            labels.iter().all(has)
        };
        rarest
            .unwrap_or_default()
            .iter()
            .copied()
            .filter(has_all)
            .collect()
    }

    /// The label of `namespace` that is nearest to the one nobody has: `app=cart`.
    fn nearest(&self, namespace: &Namespace, key: &str, value: &str) -> Option<String> {
        let here = self.0.keys().filter(|(other, _, _)| *other == namespace);
        let labels = here
            .map(|(_, key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>();
        near::did_you_mean(&format!("{key}={value}"), labels.iter().map(String::as_str))
    }
}

/// The instances that answer for each port of `service`.
pub(crate) fn answers(
    service: &Service<'_>,
    labelled: &Labelled<'_>,
    notes: &mut Notes,
) -> BTreeMap<PortRef, Vec<Answer>> {
    let selected = match &service.selects {
        _ if service.form == Form::External => return BTreeMap::new(),
        Selects::Nobody => return BTreeMap::new(),
        Selects::Workload(workload) => [*workload].into(),
        Selects::Labels(labels) => labelled.with_all(&service.name.namespace, labels),
    };
    if let (Some(object), Selects::Labels(labels), []) =
        (service.object, &service.selects, &*selected)
        && !service.name.is_control_plane()
    {
        notes.push(selects_nothing(object, service, labels, labelled));
    }
    let mut answers = BTreeMap::new();
    for (number, port) in &service.ports {
        let behind = behind(port, &selected);
        if let Some(object) = service.object {
            note_target(object, port, &selected, notes);
        }
        if !behind.is_empty() {
            answers.insert(
                PortRef {
                    service: service.name.clone(),
                    port: *number,
                },
                behind,
            );
        }
    }
    answers
}

/// Who is not ready, and which services do not mind. What policies say of a service holds at all who
/// are behind it; calls go to those that are ready, and where there is none to those that may be.
pub(crate) struct Unready {
    instances: BTreeMap<WorkloadId, Option<State>>,
    unminded: BTreeSet<ServiceName>,
}

impl Unready {
    pub(crate) fn of<'a>(
        workloads: impl Iterator<Item = &'a Workload<'a>>,
        services: impl Iterator<Item = &'a Service<'a>>,
    ) -> Self {
        let instances = workloads.flat_map(|workload| &workload.instances);
        let instances = instances.filter(|instance| instance.state != Some(State::Ready));
        let unminded = services.filter(|service| service.takes_unready);
        Self {
            instances: instances
                .map(|instance| (instance.id.clone(), instance.state))
                .collect(),
            unminded: unminded.map(|service| service.name.clone()).collect(),
        }
    }

    /// Takes them out of what calls come to.
    pub(crate) fn leave(&self, mesh: &mut Mesh) {
        if self.instances.is_empty() {
            return;
        }
        Arc::make_mut(&mut mesh.answers).retain(|port, answers| {
            self.leave_one(&port.service, answers);
            !answers.is_empty()
        });
    }

    /// Takes them out of what calls to a port of one service come to.
    pub(crate) fn leave_one(&self, service: &ServiceName, answers: &mut Vec<Answer>) {
        if !self.unminded.contains(service) {
            answers.retain_mut(|answer| match self.instances.get(&answer.instance) {
                Some(None) => false,
                Some(Some(state)) => {
                    answer.state = *state;
                    true
                }
                None => true,
            });
        }
    }
}

fn behind(port: &Port, selected: &[&Workload<'_>]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for workload in selected {
        let Some(port) = target(port, workload) else {
            continue;
        };
        let instances = workload.instances.iter();
        answers.extend(instances.map(|instance| Answer {
            instance: instance.id.clone(),
            port,
            state: State::Ready,
        }));
    }
    answers
}

/// The workload's port behind a service's.
pub(crate) fn target(port: &Port, workload: &Workload<'_>) -> Option<u16> {
    match &port.target {
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(name) => workload.port_named(name),
    }
}

fn selects_nothing(
    object: &Object<ServiceSpec>,
    service: &Service<'_>,
    labels: &BTreeMap<Arc<str>, Arc<str>>,
    labelled: &Labelled<'_>,
) -> leno_model::Note {
    let namespace = &service.name.namespace;
    let written = labels.iter().map(|(key, value)| format!("{key}={value}"));
    let written = written.collect::<Vec<_>>().join(",");
    let unknown = labels
        .iter()
        .find(|(key, value)| !labelled.0.contains_key(&(namespace, &**key, &**value)));
    let suggestion = unknown.and_then(|(key, value)| labelled.nearest(namespace, key, value));
    let message = format!("no workload in {namespace} has {written}");
    finding::warning(object, "/spec/selector", Code::C120, message)
        .suggest(suggestion)
        .in_force(format!(
            "calls to {} answer 503: nobody is behind it",
            service.name.name
        ))
}

fn note_target(
    object: &Object<ServiceSpec>,
    port: &Port,
    selected: &[&Workload<'_>],
    notes: &mut Notes,
) {
    let declared = || selected.iter().flat_map(|workload| &workload.ports);
    let pointer = &port.target_pointer;
    match &port.target {
        TargetPort::Name(name) => {
            if selected.is_empty()
                || selected
                    .iter()
                    .any(|workload| workload.port_named(name).is_some())
            {
                return;
            }
            let names = declared().flat_map(|(_, port)| &port.names);
            let names = names.map(AsRef::as_ref);
            notes.push(
                finding::error(
                    object,
                    pointer,
                    Code::C121,
                    format!("no workload behind it has a port {name}"),
                )
                .suggest(near::did_you_mean(name, names))
                .in_force("calls to this port answer 503: nobody is behind it"),
            );
        }
        TargetPort::Number(number) => {
            let is_open = |workload: &&Workload<'_>| {
                workload.ports.is_empty() || workload.ports.contains_key(number)
            };
            if selected.is_empty() || selected.iter().any(is_open) {
                return;
            }
            let numbers = declared()
                .map(|(number, _)| format!("{number}"))
                .collect::<Vec<_>>();
            let message = format!("no workload behind it declares port {number}");
            notes.push(
                finding::warning(object, pointer, Code::C121, message)
                    .suggest(near::did_you_mean(
                        &format!("{number}"),
                        numbers.iter().map(String::as_str),
                    ))
                    .in_force(format!("calls go to port {number} nevertheless")),
            );
        }
    }
}
