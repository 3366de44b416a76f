//! `Mesh`: what holds everywhere. `MeshWorkload`: something that runs.

use alloc::{collections::BTreeMap, format, sync::Arc, vec::Vec};
use core::net::IpAddr;
use core::time::Duration;

use leno_model::view::OwnProcess;
use leno_model::view::access::IpBlock;
use leno_model::{Code, Name, Namespace, Network, TrustDomain};

use crate::decode::{Decode, Reader, Rules, choice, object};
use crate::form;
use crate::part::{List, Part};
use crate::policy::Identity;
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
        /// Health checks from outside the mesh, such as those of a load balancer or a kubelet. They are let in
        /// although they come in plain, whatever `mtls` and policies say.
        pub probes: List<Probe> = "probes" [items(0, 64)];
        /// How certificates are issued.
        pub certificates: Option<Certificates> = "certificates";
        /// Those whose tokens prove who a proxy is that joins, where a MeshWorkload says so
        /// (`spec.attestation.tokens`).
        pub token_issuers: List<TokenIssuer> = "tokenIssuers" [items(0, 16), unique("name")];
        /// Who signs what signs certificates. Without it, the control plane itself, by roots that it makes.
        pub ca: Option<Part<MeshCa>> = "ca";
        /// Where telemetry goes; what is told of which calls, TelemetryPolicies say.
        pub telemetry: Option<Part<MeshTelemetry>> = "telemetry";
        /// What is said of pods of Kubernetes.
        pub kubernetes: Option<Part<MeshKubernetes>> = "kubernetes";
        /// Who may administer the mesh from another host. Only an `Admin` of the whole mesh may change
        /// the `Mesh`, and with it this.
        pub administration: List<Administrator> = "administration" [items(0, 256)];
    }

    /// Somebody who administers the mesh from another host.
    pub struct Administrator checked by names_one
        where "has(self.person) != has(self.identity)" else "one of person and identity is expected" {
        /// A person, by the name in the certificate: `leno token create --person`.
        pub person: Option<Name> = "person";
        /// A program: `namespace/account` in our own trust domain, or a whole SPIFFE ID.
        pub identity: Option<Identity> = "identity";
        /// What they may do.
        pub role: AdministratorRole = "role";
        /// With what is in these namespaces. Without it, with the whole mesh.
        pub namespaces: List<Namespace> = "namespaces" [items(1, 256), unique("")];
        /// Whether they are shown headers of calls, as an `Admin` always is.
        pub headers: bool = "headers" or false, as "false";
    }

    /// A health check from outside the mesh: GET or HEAD, or a check of gRPC by its own path.
    pub struct Probe {
        /// Where it comes from: addresses that share their first bits, `10.0.0.0/16`.
        pub from: List<IpBlock> = "from" [items(1, 64)];
        /// The port that it asks, as the workload listens on it.
        pub port: u16 = "port" [range(1, 65_535)];
        /// The path that it asks, exactly; what follows a `?` is free. gRPC is asked at
        /// `/grpc.health.v1.Health/Check`.
        pub path: Arc<str> = "path" [length(1, 1024), form(form::plain_path)];
    }

    /// Somebody whose tokens prove who a proxy is that joins: a CI system, a cloud, a cluster.
    pub struct TokenIssuer checked by keys_have_one_source
        where "!has(self.keysUrl) || !has(self.keysFile)" else "keysUrl and keysFile cannot both be said"
        where "has(self.keysUrl) || has(self.keysFile) || isURL(self.issuer)" else "an issuer that is no URL cannot be asked for its keys: say keysUrl or keysFile" {
        /// What workloads call it.
        pub name: Name = "name";
        /// What its tokens say of it (`iss`).
        pub issuer: Arc<str> = "issuer" [length(1, 2048)];
        /// For whom its tokens must be (`aud`): one of these.
        pub audiences: List<Arc<str>> = "audiences" [items(1, 16), length(1, 1024), required()];
        /// Where its keys are asked for. Without it, and without a file, where the issuer itself says
        /// (OpenID Connect Discovery).
        pub keys_url: Option<Arc<str>> = "keysUrl" [length(1, 2048), form(form::http_url)];
        /// A file beside the control plane with its keys, a JWK Set.
        pub keys_file: Option<Arc<str>> = "keysFile" [length(1, 4096)];
        /// A file beside the control plane with the roots, in PEM, that prove who answers. Without it,
        /// those that its host trusts.
        pub roots_file: Option<Arc<str>> = "rootsFile" [length(1, 4096)];
    }

    /// Who signs the intermediate by which the control plane signs certificates: one of these.
    pub struct MeshCa checked by one_signs
        where "[has(self.files), has(self.vault), has(self.certManager), has(self.kubernetes)].filter(it, it).size() == 1" else "one of files, vault, certManager and kubernetes is expected" {
        /// An intermediate in files beside the control plane. Whoever puts newer ones in their place
        /// need tell nobody.
        pub files: Option<CaFiles> = "files";
        /// A secrets engine `pki` of Vault or OpenBao, which is asked for intermediates.
        pub vault: Option<Vault> = "vault";
        /// An issuer of cert-manager in the cluster that is followed, which is asked for intermediates.
        pub cert_manager: Option<CertManager> = "certManager";
        /// A signer of the cluster that is followed, which is asked for intermediates by its API `certificates.k8s.io`.
        pub kubernetes: Option<CaSigner> = "kubernetes";
    }

    /// An issuer of cert-manager. It is asked by a `CertificateRequest` in `leno-system`.
    pub struct CertManager {
        /// Its name.
        pub issuer: Arc<str> = "issuer" [length(1, 253)];
        /// Its kind: `ClusterIssuer`, or `Issuer` for one in `leno-system`.
        pub kind: Arc<str> = "kind" [length(1, 63)] or "ClusterIssuer".into(), as "ClusterIssuer";
        /// The API group of its kind.
        pub group: Arc<str> = "group" [length(1, 253)] or "cert-manager.io".into(), as "cert-manager.io";
        /// A file beside the control plane with the root in PEM, for an issuer that does not tell it.
        pub root_file: Option<Arc<str>> = "rootFile" [length(2, 4096), form(form::absolute_path)];
    }

    /// A signer of `certificates.k8s.io`.
    pub struct CaSigner {
        /// Its name: `shop.example/mesh`. Kubernetes' own sign no authorities.
        pub signer: Arc<str> = "signer" [length(3, 571)];
        /// A file beside the control plane with the root in PEM: signers do not tell it.
        pub root_file: Arc<str> = "rootFile" [length(2, 4096), form(form::absolute_path)];
    }

    /// An intermediate in files beside the control plane.
    pub struct CaFiles {
        /// Its certificate in PEM, then those above it, the root last: the root is whom proxies trust.
        pub chain: Arc<str> = "chain" [length(2, 4096), form(form::absolute_path)];
        /// Its private key in PEM: P-256, P-384 or Ed25519.
        pub key: Arc<str> = "key" [length(2, 4096), form(form::absolute_path)];
    }

    /// A secrets engine `pki`, and how it is asked.
    pub struct Vault checked by vault_is_asked_well
        where "has(self.tokenFile) != has(self.kubernetes)" else "one of tokenFile and kubernetes is expected"
        where "!has(self.rootsFile) || self.address.startsWith('https://')" else "rootsFile means nothing where the address is not https" {
        /// The server, as the control plane reaches it: `https://vault:8200`. Plain http is for the
        /// control plane's own host alone.
        pub address: Arc<str> = "address" [length(1, 2048), form(form::http_url)];
        /// Where the engine is mounted.
        pub mount: Arc<str> = "mount" [length(1, 255), form(form::plain_words)] or "pki".into(), as "pki";
        /// A file beside the control plane with the roots, in PEM, that prove the server. Without it,
        /// those that the host trusts.
        pub roots_file: Option<Arc<str>> = "rootsFile" [length(2, 4096), form(form::absolute_path)];
        /// A file beside the control plane with the token that it shows, read anew each time.
        pub token_file: Option<Arc<str>> = "tokenFile" [length(2, 4096), form(form::absolute_path)];
        /// How it logs in by its service account, in the place of a token.
        pub kubernetes: Option<VaultKubernetes> = "kubernetes";
    }

    /// How the control plane logs in at Vault by its service account.
    pub struct VaultKubernetes {
        /// The role that it asks for.
        pub role: Arc<str> = "role" [length(1, 255)];
        /// Where the auth method is mounted.
        pub mount: Arc<str> = "mount" [length(1, 255), form(form::plain_words)]
            or "kubernetes".into(), as "kubernetes";
        /// The file with the account's token, read anew each time.
        pub token_file: Arc<str> = "tokenFile" [length(2, 4096), form(form::absolute_path)]
            or ACCOUNT_TOKEN.into(), as "/var/run/secrets/kubernetes.io/serviceaccount/token";
    }

    /// Where telemetry goes.
    pub struct MeshTelemetry {
        /// A collector that understands OTLP. Without it, nothing is sent anywhere.
        pub collector: Option<Collector> = "collector";
    }

    /// What is said of pods of Kubernetes.
    pub struct MeshKubernetes {
        /// What becomes of a pod that is to be in the mesh while nobody answers what it gets: neither the control
        /// plane, which the API server asks about it, nor the proxy of its node, which the node's runtime asks.
        pub while_away: WhileAway = "whileAway" or WhileAway::Closed, as "Closed";
        /// Namespaces whose pods start before the proxy of their node was asked about them, so that a node can come up:
        /// these beside `kube-system` and `leno-system`. Those among them that are to be served are served once they run.
        pub exclude_namespaces: List<Namespace> = "excludeNamespaces" [items(0, 64), unique("")];
        /// Whether the pods that the proxy of a node serves share one process, or each has one of its own. A pod may
        /// ask for one by itself, with the annotation `leno.dev/isolation: Pod`.
        pub isolation: PodIsolation = "isolation" or PodIsolation::Shared, as "Shared";
        /// What a process may use that carries the calls of one pod alone.
        pub pod_process: Option<PodProcess> = "podProcess";
    }

    /// What a process may use that carries the calls of one pod alone.
    pub struct PodProcess {
        /// The most memory, in MiB. A process that needs more is ended, and started again.
        pub memory_mib: u32 = "memoryMiB" [range(32, 65_536)] or OwnProcess::MEMORY_MIB, as "128";
        /// The most time of processors, in thousandths of one. Without it, as much as there is.
        pub cpu_milli: Option<u32> = "cpuMilli" [range(10, 256_000)];
    }

    /// A collector that understands OTLP, and what it gets.
    pub struct Collector checked by roots_are_for_https
        where "!has(self.rootsFile) || self.endpoint.startsWith('https://')" else "rootsFile means nothing where the endpoint is not https" {
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
    pub struct Certificates checked by lifetimes_nest
        where "!has(self.intermediateLifetime) || duration(self.intermediateLifetime) - (has(self.lifetime) ? duration(self.lifetime) : duration('24h')) >= (has(self.lifetime) ? duration(self.lifetime) : duration('24h'))" else "intermediateLifetime must be at least 2 times lifetime"
        where "!has(self.rootLifetime) || duration(self.rootLifetime) - (has(self.lifetime) ? duration(self.lifetime) : duration('24h')) - (has(self.lifetime) ? duration(self.lifetime) : duration('24h')) - (has(self.lifetime) ? duration(self.lifetime) : duration('24h')) - (has(self.lifetime) ? duration(self.lifetime) : duration('24h')) >= (has(self.lifetime) ? duration(self.lifetime) : duration('24h'))" else "rootLifetime must be at least 5 times lifetime" {
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
    /// What somebody may do; each may do all that those before it may.
    pub enum AdministratorRole {
        /// Look at the mesh.
        Viewer = "Viewer",
        /// Change its configuration.
        Editor = "Editor",
        /// Let others in, revoke, change the `Mesh`.
        Admin = "Admin",
    }

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

    /// What becomes of a pod that is to be in the mesh while nobody answers what it gets.
    pub enum WhileAway {
        /// It is not made, or does not start, until somebody answers.
        Closed = "Closed",
        /// It runs without a part in the mesh: nothing of it is captured, and no policy holds there. It is named
        /// until it is made anew.
        Open = "Open",
    }

    /// Which process carries the calls of a pod that the proxy of its node serves.
    pub enum PodIsolation {
        /// One for all pods of the node.
        Shared = "Shared",
        /// One for each pod.
        Pod = "Pod",
    }

    /// What happens where nothing more special is said.
    pub enum Stance {
        /// It is let through.
        Allow = "Allow",
        /// It is refused.
        Deny = "Deny",
    }
}

/// An entry is about one of the two.
fn names_one(administrator: &Administrator, reader: &mut Reader<'_>) {
    if administrator.person.is_some() == administrator.identity.is_some() {
        let message = "one of person and identity is expected";
        reader.contradiction(Code::C005, "", message.into());
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

fn keys_have_one_source(issuer: &TokenIssuer, reader: &mut Reader<'_>) {
    if issuer.keys_url.is_some() && issuer.keys_file.is_some() {
        let message = "keysUrl and keysFile cannot both be said".into();
        reader.contradiction(Code::C007, "/keysFile", message);
    }
    let is_asked = issuer.keys_url.is_none() && issuer.keys_file.is_none();
    if is_asked && form::http_url(&issuer.issuer).is_err() {
        let message =
            "an issuer that is no URL cannot be asked for its keys: say keysUrl or keysFile";
        reader.contradiction(Code::C007, "/issuer", message.into());
    }
}

/// Whoever may start a program makes it do what he wants (`LD_PRELOAD`), or asks first and becomes it then.
fn somebody_is_meant(process: &Process, reader: &mut Reader<'_>) {
    if process.user.is_none() && process.group.is_none() {
        let message = "say user or group: whoever may start a program can make it do anything, so that a \
                       path or a hash alone lets every user of the host in";
        reader.contradiction(Code::C007, "", message.into());
    }
}

/// What runs in another mesh is not started here, and nobody joins as it; what runs here says itself where its
/// proxy takes calls.
fn runs_here_or_there(spec: &MeshWorkloadSpec, reader: &mut Reader<'_>) {
    let mut contradicts = |below: &str, message: &str| {
        reader.contradiction(Code::C007, below, message.into());
    };
    let instances = || spec.instances.iter().filter_map(Part::sound);
    let Some(identity) = &spec.identity else {
        if instances().any(|instance| instance.tunnel.is_some()) {
            let message = "tunnel is for what runs in another mesh (identity): a proxy of this one tells by itself";
            contradicts("/instances", message);
        }
        return;
    };
    if let Identity::Short(..) = identity {
        contradicts(
            "/identity",
            "what runs in another mesh is named by its whole SPIFFE ID",
        );
    }
    let elsewhere = "this means nothing for what runs in another mesh (identity)";
    if spec.run.is_some() {
        contradicts("/run", elsewhere);
    }
    if spec.service_account.is_some() {
        contradicts("/serviceAccount", elsewhere);
    }
    if spec.attestation.is_some() {
        contradicts("/attestation", elsewhere);
    }
    if spec.instances.is_empty() || instances().any(|instance| instance.tunnel.is_none()) {
        let message = "what runs in another mesh is called through its proxy: say instances, each with a tunnel";
        contradicts("/instances", message);
    }
}

/// Where a cluster puts the token of a pod's service account.
const ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

fn one_signs(ca: &MeshCa, reader: &mut Reader<'_>) {
    let named = [
        ca.files.is_some(),
        ca.vault.is_some(),
        ca.cert_manager.is_some(),
        ca.kubernetes.is_some(),
    ];
    let message = match named.into_iter().filter(|is_named| *is_named).count() {
        1 => return,
        0 => "one of files, vault, certManager and kubernetes is expected",
        _ => "only one of files, vault, certManager and kubernetes can sign",
    };
    reader.contradiction(Code::C007, "", message.into());
}

fn vault_is_asked_well(vault: &Vault, reader: &mut Reader<'_>) {
    let is_https = vault.address.starts_with("https://");
    if !is_https && vault.roots_file.is_some() {
        let message = "rootsFile means nothing where the address is not https".into();
        reader.contradiction(Code::C007, "/rootsFile", message);
    }
    let message = match (&vault.token_file, &vault.kubernetes) {
        (Some(_), None) | (None, Some(_)) => return,
        (None, None) => "one of tokenFile and kubernetes is expected",
        (Some(_), Some(_)) => "only one of tokenFile and kubernetes can be shown",
    };
    reader.contradiction(Code::C007, "", message.into());
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
    pub struct MeshWorkloadSpec checked by runs_here_or_there
        where "!has(self.identity) || !has(self.run) && !has(self.serviceAccount) && !has(self.attestation)" else "run, serviceAccount and attestation mean nothing for what runs in another mesh (identity)"
        where "!has(self.identity) || self.identity.startsWith('spiffe://')" else "what runs in another mesh is named by its whole SPIFFE ID" {
        /// The command that `leno up` starts.
        pub run: Option<Run> = "run";
        /// Whom it acts as, in its namespace. Without it, an account of its own name.
        pub service_account: Option<Name> = "serviceAccount";
        /// Who answers for it where it runs in another mesh: a whole SPIFFE ID of the trust domain of a MeshPeer.
        pub identity: Option<Identity> = "identity";
        /// The ports on which it takes calls.
        pub ports: List<WorkloadPort> = "ports" [items(0, 256)];
        /// Where it runs, if nothing else knows.
        pub instances: List<Instance> = "instances" [items(0, 10_000)];
        /// Where all its instances are.
        pub locality: Option<Locality> = "locality";
        /// What proves, without a join token, that somebody is it.
        pub attestation: Option<Attestation> = "attestation";
    }

    /// What proves, without a join token, that somebody is a workload.
    pub struct Attestation {
        /// Processes that act as it: of a proxy's host, for what they ask of the SPIFFE Workload API; of
        /// the control plane's host, for joining.
        pub processes: List<Process> = "processes" [items(0, 64)];
        /// Tokens of others whose bearers may join as it.
        pub tokens: List<TokenDemand> = "tokens" [items(0, 64)];
    }

    /// A token, by what is demanded of it.
    pub struct TokenDemand {
        /// Who must have issued it: a name of `Mesh.spec.tokenIssuers`.
        pub issuer: Name = "issuer";
        /// What it must say: all of this.
        pub claims: List<ClaimDemand> = "claims" [items(1, 16), required()];
    }

    /// What a token must say.
    pub struct ClaimDemand {
        /// The claim, or a JSON pointer to what is inside one: `sub`, `/kubernetes.io/namespace`.
        pub name: Arc<str> = "name" [length(1, 256)];
        /// What it must be, or list: one of these.
        pub values: List<Arc<str>> = "values" [items(1, 64), length(1, 1024), required()];
    }

    /// A process, by what is demanded of it.
    pub struct Process checked by somebody_is_meant
        where "has(self.user) || has(self.group)" else "say user or group: whoever may start a program can make it do anything, so that a path or a hash alone lets every user of the host in" {
        /// The user it runs as, by number.
        pub user: Option<u32> = "user";
        /// The group it runs as, by number.
        pub group: Option<u32> = "group";
        /// The file of its program.
        pub path: Option<Arc<str>> = "path" [length(2, 4096), form(form::absolute_path)];
        /// The SHA-256 of its program, in hexadecimal digits.
        pub sha256: Option<Arc<str>> = "sha256" [length(64, 64), form(form::hexadecimal)];
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
        /// The port at that address where the proxy of another mesh takes calls of meshes, if it runs there.
        pub tunnel: Option<u16> = "tunnel" [range(1, 65_535)];
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
