//! `Mesh`: what holds everywhere. `MeshWorkload`: something that runs.

use alloc::{collections::BTreeMap, format, sync::Arc, vec::Vec};
use core::net::IpAddr;
use core::time::Duration;

use leno_model::{Code, Name, Network, TrustDomain};

use crate::decode::{Decode, Reader, Rules, choice, object};
use crate::form;
use crate::part::{List, Part};
use crate::schema::Shape;
use crate::yaml::{Node, Value};

object! {
    /// What holds everywhere in the mesh.
    pub struct MeshSpec {
        /// Whose certificates prove an identity here. Without it, the mesh's name and `.local`.
        pub trust_domain: Option<TrustDomain> = "trustDomain";
        /// Whether workloads refuse callers that come in plain, where no policy says otherwise.
        pub mtls: Option<MtlsMode> = "mtls";
        /// What happens to calls that no policy speaks of.
        pub default: Option<Stance> = "default";
        /// What happens to calls to destinations that are not in the mesh.
        pub unknown_destinations: Option<Stance> = "unknownDestinations";
        /// How certificates are issued.
        pub certificates: Option<Certificates> = "certificates";
        /// Where telemetry goes; what is told of which calls, TelemetryPolicies say.
        pub telemetry: Option<Part<MeshTelemetry>> = "telemetry";
    }

    /// Where telemetry goes.
    pub struct MeshTelemetry {
        /// A collector that understands OTLP. Without it, nothing is sent anywhere.
        pub collector: Option<Collector> = "collector";
    }

    /// A collector that understands OTLP, and what it gets.
    pub struct Collector checked by roots_are_for_https {
        /// Its URL, as each proxy reaches it: `http://otel:4317`.
        pub endpoint: Arc<str> = "endpoint" [length(1, 2048), form(form::http_url)];
        /// What is spoken to it.
        pub protocol: OtlpProtocol = "protocol" or OtlpProtocol::Grpc, as "GRPC";
        /// A file beside each proxy; each of its lines, `name: value`, is sent as a header.
        pub headers_file: Option<Arc<str>> = "headersFile" [length(1, 4096)];
        /// A file beside each proxy with the roots, in PEM, that prove an https endpoint. Without it,
        /// those that the proxy's host trusts.
        pub roots_file: Option<Arc<str>> = "rootsFile" [length(1, 4096)];
        /// What is sent. Without it, everything.
        pub send: List<Signal> = "send" [items(1, 3), unique("")];
        /// How often metrics are sent; spans and log lines wait no longer than that.
        pub interval: Duration = "interval" [range(1_000, 3_600_000)]
            or Duration::from_secs(10), as "10s";
    }

    /// How certificates are issued.
    pub struct Certificates checked by lifetimes_nest {
        /// How long a workload's certificate is valid, at least a minute; it is renewed at half of that.
        pub lifetime: Duration = "lifetime" [range(60_000, i64::MAX)]
            or Duration::from_secs(24 * 3600), as "24h";
        /// How long the certificate of a control plane is valid that signs those of workloads; it is
        /// replaced at half of that. Without it, ninety days, or more where `lifetime` asks for it.
        pub intermediate_lifetime: Option<Duration> = "intermediateLifetime" [range(120_000, i64::MAX)];
        /// How long a root is valid; the next one is announced at half of that. Without it, ten
        /// years.
        pub root_lifetime: Option<Duration> = "rootLifetime" [range(300_000, i64::MAX)];
    }
}

choice! {
    /// Whether callers that come in plain are refused.
    pub enum MtlsMode {
        /// Only callers that prove who they are get in.
        Strict = "Strict",
        /// Callers that come in plain get in too, without an identity.
        Permissive = "Permissive",
    }

    /// What is spoken to a collector.
    pub enum OtlpProtocol {
        /// OTLP over gRPC.
        Grpc = "GRPC",
        /// OTLP over HTTP/1.1, as protobuf.
        Http = "HTTP",
    }

    /// A kind of telemetry.
    pub enum Signal {
        /// Counters and histograms.
        Metrics = "Metrics",
        /// Spans of the calls that are sampled.
        Traces = "Traces",
        /// The lines of the access log.
        Logs = "Logs",
    }

    /// What happens where nothing more special is said.
    pub enum Stance {
        /// It is let through.
        Allow = "Allow",
        /// It is refused.
        Deny = "Deny",
    }
}

/// What signs lives longer than what it signs, by enough for one to follow the other.
fn lifetimes_nest(certificates: &Certificates, reader: &mut Reader<'_>) {
    let leaf = certificates.lifetime;
    let mut nests = |said: Option<Duration>, times: u32, field: &str| {
        if said.is_some_and(|said| said < leaf.saturating_mul(times)) {
            let message = format!("{field} must be at least {times} times lifetime");
            reader.contradiction(Code::C007, &format!("/{field}"), message);
        }
    };
    nests(
        certificates.intermediate_lifetime,
        2,
        "intermediateLifetime",
    );
    nests(certificates.root_lifetime, 5, "rootLifetime");
}

fn roots_are_for_https(collector: &Collector, reader: &mut Reader<'_>) {
    let is_https = collector.endpoint.starts_with("https://");
    if !is_https && collector.roots_file.is_some() {
        let message = "rootsFile means nothing where the endpoint is not https".into();
        reader.contradiction(Code::C007, "/rootsFile", message);
    }
}

object! {
    /// Something that runs: instances that answer calls, or a command that starts one.
    pub struct MeshWorkloadSpec {
        /// The command that `leno up` starts.
        pub run: Option<Run> = "run";
        /// Whom it acts as, in its namespace. Without it, an account of its own name.
        pub service_account: Option<Name> = "serviceAccount";
        /// The ports on which it takes calls.
        pub ports: List<WorkloadPort> = "ports" [items(0, 256)];
        /// Where it runs, if nothing else knows.
        pub instances: List<Instance> = "instances" [items(0, 10_000)];
        /// Where all its instances are.
        pub locality: Option<Locality> = "locality";
    }

    /// A command that `leno up` starts.
    pub struct Run {
        /// The program and its arguments, or one line for the shell.
        pub command: Command = "command";
        /// The folder it starts in. Without it, the folder of the file.
        pub working_directory: Option<Arc<str>> = "workingDirectory" [length(1, 4096)];
        /// Variables it gets beside those of `leno up`.
        pub env: BTreeMap<Arc<str>, Loose> = "env";
    }

    /// A port on which a workload takes calls.
    pub struct WorkloadPort {
        /// What Services call it.
        pub name: Option<Arc<str>> = "name" [length(1, 15), form(form::label)];
        /// Its number.
        pub port: u16 = "port" [range(1, 65_535)];
        /// What is spoken on it. Without it, what the name begins with (`http`, `grpc`, `tcp`), else what
        /// Services and routes say.
        pub protocol: Option<WorkloadProtocol> = "protocol";
    }

    /// One place where a workload runs.
    pub struct Instance {
        /// What it is called. Without it, its address.
        pub name: Option<Name> = "name";
        /// Where it is reached.
        pub address: IpAddr = "address";
        /// The network in which the address means it.
        pub network: Network = "network" or Network::new("default").expect("a label"), as "default";
    }

    /// Where something is.
    pub struct Locality {
        /// The region.
        pub region: Option<Arc<str>> = "region" [length(1, 253)];
        /// The zone in the region.
        pub zone: Option<Arc<str>> = "zone" [length(1, 253)];
        /// The machine in the zone.
        pub node: Option<Arc<str>> = "node" [length(1, 253)];
    }
}

choice! {
    /// What is spoken on a workload's port.
    pub enum WorkloadProtocol {
        /// HTTP: the workload is spoken to as its client speaks, in HTTP/1.1 or HTTP/2.
        Http = "HTTP",
        /// HTTP/1.1 and nothing later.
        Http1 = "HTTP1",
        /// HTTP/2 with prior knowledge.
        Http2 = "HTTP2",
        /// gRPC.
        Grpc = "GRPC",
        /// TLS that the workload itself ends.
        Tls = "TLS",
        /// Bytes that are carried and not read.
        Tcp = "TCP",
    }
}

/// What to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// A program and its arguments, at least one word in all.
    Words(Vec<Arc<str>>),
    /// A line that `/bin/sh -c` runs.
    Shell(Arc<str>),
}

impl Decode for Command {
    const SHAPE: Shape = Shape::Value("text, or a list of text");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        const LINE: &Rules = &Rules::NONE.length(1, 65_536);
        if node.as_list().is_none() {
            return reader.value(node, LINE).map(Self::Shell);
        }
        let words = reader.value::<List<Loose>>(node, &Rules::NONE.items(1, 1024))?;
        let words = words
            .sound()?
            .into_iter()
            .map(|word| word.0.clone())
            .collect::<Vec<_>>();
        (!words.is_empty()).then_some(Self::Words(words))
    }
}

/// A text that may be written as a number or a boolean: its meaning is the reader's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loose(pub Arc<str>);

impl Decode for Loose {
    const SHAPE: Shape = Shape::Value("text");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Scalar(text, _) = &node.value else {
            reader.wrong_type(node, "text");
            return None;
        };
        Some(Self(text.clone()))
    }
}
