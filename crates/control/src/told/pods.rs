//! Pods, as they are told to whoever works out what is in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use leno_admin::{RunningPod, TakesCalls};
use leno_model::view::{Check, Locality, State};
use leno_model::{Name, Namespace};
use leno_resources::pod::{Pod, PodProbe};

use super::{NotTold, named};

pub(super) fn told(pod: &Pod) -> RunningPod {
    let namespace = pod.meta.namespace.as_ref().map(Namespace::as_str);
    let text = |text: &Arc<str>| text.to_string();
    let texts = |all: &BTreeMap<Arc<str>, Arc<str>>| {
        let all = all.iter();
        all.map(|(key, value)| (text(key), text(value))).collect()
    };
    let port =
        |(number, names): (&u16, &Vec<Arc<str>>)| (*number, names.iter().map(text).collect());
    let probe = |probe: &PodProbe| (probe.port, asks(&probe.check), text(&probe.pointer));
    let Locality { region, zone, node } = &pod.locality;
    RunningPod {
        pod: format!("{}/{}", namespace.unwrap_or_default(), pod.meta.name),
        of: pod.workload.to_string(),
        labels: texts(&pod.meta.labels),
        annotations: texts(&pod.meta.annotations),
        service_account: pod.service_account.to_string(),
        ports: pod.ports.iter().map(port).collect(),
        has_proxy: pod.has_proxy,
        unfit: pod.unfit.as_ref().map(text),
        served: pod.is_served,
        on_host: pod.is_on_host,
        probes: pod.probes.iter().map(probe).collect(),
        hosts: pod.hosts.iter().map(ToString::to_string).collect(),
        addresses: pod.addresses.iter().map(ToString::to_string).collect(),
        locality: [region, zone, node].map(|part| part.as_ref().map(text)),
        takes_calls: pod.state.map(calls),
    }
}

pub(super) fn read(told: &RunningPod) -> Result<((Namespace, Name), Arc<Pod>), NotTold> {
    let (namespace, name) = named(&told.pod)?;
    let text = |text: &String| Arc::from(text.as_str());
    let port = |(number, names): (&u16, &Vec<String>)| (*number, names.iter().map(text).collect());
    let addresses = told.addresses.iter().map(|address| address.parse());
    let hosts = told.hosts.iter().map(|host| host.parse());
    let probe = |(port, asks, pointer): &(u16, String, String)| PodProbe {
        port: *port,
        check: check(asks),
        pointer: text(pointer),
    };
    let [region, zone, node] = told.locality.each_ref().map(|it| it.as_ref().map(text));
    let texts = |all: &BTreeMap<String, String>| {
        let all = all.iter();
        all.map(|(key, value)| (text(key), text(value))).collect()
    };
    let mut pod = Pod {
        workload: Name::new(&told.of)?,
        service_account: Name::new(&told.service_account)?,
        ports: told.ports.iter().map(port).collect(),
        has_proxy: told.has_proxy,
        unfit: told.unfit.as_ref().map(text),
        is_served: told.served,
        is_on_host: told.on_host,
        probes: told.probes.iter().map(probe).collect(),
        hosts: hosts.collect::<Result<_, _>>()?,
        addresses: addresses.collect::<Result<_, _>>()?,
        locality: Locality { region, zone, node },
        state: told.takes_calls.map(state),
        ..Pod::named(namespace.clone(), name.clone())
    };
    pod.meta.labels = texts(&told.labels);
    pod.meta.annotations = texts(&told.annotations);
    Ok(((namespace, name), Arc::new(pod)))
}

fn calls(state: State) -> TakesCalls {
    match state {
        State::Ready => TakesCalls::Yes,
        State::Draining | State::Unknown => TakesCalls::IfNobodyElse,
    }
}

fn state(calls: TakesCalls) -> State {
    match calls {
        TakesCalls::Yes => State::Ready,
        TakesCalls::IfNobodyElse => State::Unknown,
    }
}

/// How a health check asks: a path begins with `/`, and the words for others do not.
fn asks(check: &Check) -> String {
    match check {
        Check::Request(path) => path.to_string(),
        Check::Tls => TLS.to_owned(),
        Check::Connection => CONNECTION.to_owned(),
    }
}

fn check(asks: &str) -> Check {
    match asks {
        TLS => Check::Tls,
        CONNECTION => Check::Connection,
        path => Check::Request(path.into()),
    }
}

const TLS: &str = "tls";
const CONNECTION: &str = "tcp";
