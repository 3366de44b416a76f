//! The codes: one letter and three digits for everything that can go wrong where a person sees it.
//!
//! R is a request, C configuration, T trust, S the store, D distribution, H the host and capture,
//! U the workloads of `leno up`, K Leno in a cluster of Kubernetes, X what leaves the mesh for others to read. A code never changes its meaning; each has a page in `docs/errors/`.

use core::{fmt, str::FromStr};

/// Whose move it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    /// Whoever made the call or typed the command.
    Caller,
    /// The service that was called.
    Service,
    /// What was written in configuration.
    Configuration,
    /// Leno, or the machine it runs on.
    Mesh,
}

impl Fault {
    /// The word in headers, metrics and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Service => "service",
            Self::Configuration => "configuration",
            Self::Mesh => "mesh",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Declares the codes from their table.
macro_rules! codes {
    ($($code:ident $slug:literal $fault:ident $title:literal;)+) => {
        /// One kind of thing that can go wrong. The slug says it in words.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Code {
            $(#[doc = $title] $code,)+
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The letter and digits.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)+ }
            }

            /// The words that always stand beside the letter and digits.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$code => $slug,)+ }
            }

            /// Whose move it is.
            pub fn fault(self) -> Fault {
                match self { $(Self::$code => Fault::$fault,)+ }
            }

            /// What it means, in one sentence.
            pub fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)+ }
            }
        }

        /// Calls the macro `$with` once with every code, separated by commas.
        #[macro_export]
        macro_rules! for_every_code {
            ($with:ident) => { $with! { $($code),+ } };
        }
    };
}

codes! {
    // Requests: the destination
    R001 "unknown-destination" Caller "The destination is not in the mesh, and the mesh does not let unknown destinations pass.";
    R015 "name-not-known-yet" Mesh "The proxy has not yet been told about this destination, and could not ask.";
    R016 "no-such-port" Caller "The service has no such port.";
    R017 "destination-not-named" Caller "The request does not say where it goes in the way that this listener reads it.";
    R018 "loop" Caller "The destination is the proxy's own listener, to which the call would come again.";
    R019 "name-not-resolved" Caller "The destination's name is not one of the mesh, and the host's resolver has no address for it.";
    // Requests: access
    R002 "caller-not-in-mesh" Caller "The caller came in plain, and this workload only takes proven callers.";
    R003 "no-allow-rule" Caller "No access policy allows the call, and the default is to deny.";
    R004 "denied-by-rule" Caller "An access policy denies the call.";
    R005 "policy-not-understood" Mesh "A policy needs a feature that this proxy lacks, so it denies what the policy covers.";
    R006 "permit-withdrawn" Configuration "A live stream was cut because the policy no longer permits it.";
    R060 "rule-undecided" Caller "It cannot be told whether an access policy speaks of the call, so it is denied.";
    R061 "jwt-refused" Caller "The token of the request is not accepted.";
    R062 "jwt-missing" Caller "The call needs a token, and comes without one.";
    R063 "jwt-keys-missing" Configuration "There are no keys by which the token could be proven.";
    R064 "denied-by-authorizer" Caller "The external authorizer that an access policy asks denies the call.";
    R065 "authorizer-silent" Service "The external authorizer that an access policy asks gave no answer that counts.";
    R066 "peer-not-named" Caller "The caller is of another trust domain, and no access policy lets it in.";
    R067 "host-not-allowed" Caller "The caller may not call this host outside the mesh.";
    R068 "host-not-proven" Caller "The connection names a host that does not have the address it goes to.";
    R069 "hosts-not-told-apart" Caller "Several hosts have the address, and nothing tells which of them is called.";
    R070 "asked-in-a-ring" Configuration "An external authorizer is asked about the call, and about questions to that, in the end, the one that is called.";
    R007 "origin-not-allowed" Caller "The CORS filter of the rule does not let pages of that site call.";
    // Requests: routing
    R010 "no-route-matches" Caller "The service has routes, and none of them matches the request.";
    R011 "route-not-usable" Configuration "The rule that matches cannot be carried out as written.";
    R012 "backend-not-usable" Configuration "The request fell to a backend reference that is not valid.";
    R013 "no-endpoint" Configuration "The service has no endpoint at all.";
    R014 "no-endpoint-usable" Mesh "The service has endpoints, and none of them can be used at the moment.";
    // Requests: the far side
    R020 "connect-refused" Service "The endpoint refused the connection.";
    R021 "connect-timeout" Service "The endpoint did not accept a connection in time.";
    R022 "reset-before-response" Service "The endpoint closed the connection before it answered.";
    R023 "response-timeout" Service "The answer did not come within the time the route allows.";
    R024 "malformed-response" Service "The endpoint answered with something that is not HTTP.";
    R025 "tunnel-failed" Mesh "The proxy of the endpoint could not be reached or proven.";
    R026 "reset-during-body" Service "The endpoint closed the connection in the middle of its answer.";
    R027 "unreachable" Mesh "There is no way to the endpoint's network.";
    R056 "upgrade-failed" Service "The endpoint did not switch to the protocol that the request asks for.";
    // Requests: what the client sent
    R030 "malformed-head" Caller "The request's head is not valid HTTP.";
    R031 "ambiguous-framing" Caller "Where the request's body ends can be read in two ways.";
    R032 "bad-host" Caller "The request has no Host, more than one, or one that is not valid.";
    R033 "head-too-large" Caller "The request's head is larger than the limit.";
    R034 "head-too-slow" Caller "The request's head did not arrive in time.";
    R035 "ambiguous-path" Caller "The path can be read in two ways, and policy or route would differ.";
    R036 "version-not-supported" Caller "The request's HTTP version is not one Leno speaks.";
    R037 "malformed-body" Caller "The request's body is not framed as its head says.";
    R038 "method-not-supported" Caller "The method, or the upgrade it asks for, is not carried here.";
    R046 "protocol-differs" Caller "The client does not speak what is declared for the port.";
    R047 "proxy-head-missing" Configuration "A peer that is to say for whom it connects, by the PROXY protocol, did not.";
    // Requests: limits
    R040 "too-many-connections" Mesh "The proxy holds as many connections as it may.";
    R041 "draining" Mesh "The proxy is shutting down and takes no new calls.";
    R042 "udp-not-carried" Mesh "Captured UDP other than DNS is not carried.";
    R043 "too-many-waiting" Mesh "Too many requests wait for the same answer from the control plane.";
    R045 "copy-dropped" Mesh "A mirror did not get a copy of a request, or not all of it.";
    R050 "too-many-of-peer" Caller "One peer holds as many connections as a single one may.";
    R051 "buffers-full" Mesh "The proxy holds as many bytes as it may, and takes nothing new.";
    R052 "too-many-resets" Caller "A peer has had more streams reset than one may.";
    R053 "answer-not-taken" Caller "The caller took nothing of its answer for too long.";
    R054 "request-not-taken" Service "The endpoint took nothing of the request for too long.";
    R055 "peer-silent" Mesh "The other end of a connection of HTTP/2 does not answer any more.";
    R057 "streams-full" Caller "A connection of HTTP/2 has as many streams open as it may.";
    R044 "proxy-bug" Mesh "The proxy met a bug of its own and closed the connection.";

    // Trust
    T001 "certificate-expired" Mesh "The certificate's time has ended.";
    T002 "certificate-not-yet-valid" Mesh "The certificate's time has not begun, or a clock is wrong.";
    T003 "foreign-trust-domain" Caller "The certificate belongs to a trust domain that is not trusted here.";
    T004 "unknown-authority" Caller "The certificate does not chain to a root that is trusted here.";
    T005 "identity-revoked" Caller "The identity has been revoked.";
    T006 "unexpected-peer" Mesh "The peer proved to be somebody else than the endpoint should be.";
    T007 "certificate-not-renewing" Configuration "The certificate should have been renewed and was not.";
    T008 "no-certificate" Caller "The peer showed no certificate.";
    T009 "malformed-identity" Caller "The certificate does not hold exactly one identity in the form Leno gives.";
    T010 "certificate-not-fit" Caller "The certificate is not made for this use, or its key is too weak.";
    T011 "handshake-failed" Caller "The TLS handshake failed.";
    T012 "token-refused" Caller "The join token is unknown, spent, expired or not for this.";
    T013 "clock-wrong" Mesh "A clock differs from mesh time by more than five seconds.";
    T014 "kept-view-not-proven" Mesh "The view that the proxy kept on disk was not signed for it by the control plane.";
    T015 "root-not-confirmed" Mesh "The next root waits for somebody who is not known to hold it.";
    T016 "readmission-awaited" Mesh "A proxy whose certificate has ended waits to be let in again.";
    T017 "keys-sealed" Configuration "The CA's keys are sealed, and cannot be unsealed.";
    T018 "ca-not-usable" Configuration "What is written of the mesh's CA, or what it gave, cannot be used.";
    T019 "ca-awaited" Configuration "The mesh's CA has not given anything yet by which certificates could be signed.";
    T021 "not-attested" Caller "What somebody shows does not prove it to be anybody of the mesh.";
    T022 "issuer-keys-missing" Configuration "The keys that would prove a token of a CI system, a cloud or a cluster cannot be had.";
    T023 "peer-keys-not-had" Configuration "The keys of another trust domain cannot be had from where the mesh looks for them.";
    T024 "peer-keys-refused" Configuration "What another trust domain says of its keys is not taken.";
    T026 "default-control-plane-away" Mesh "A control plane beside the default one does not reach that one.";
    T027 "default-decides" Caller "What was asked for is the default control plane's to do.";
    T028 "person-in-tunnel" Caller "The certificate is a person's, and only workloads call and are called.";
    T029 "machine-stood-still" Mesh "The machine of a proxy slept, was paused, or was set back to a snapshot.";

    // Configuration: reading
    C001 "not-yaml" Configuration "The document is not valid YAML.";
    C002 "unknown-kind" Configuration "The document is of a kind that Leno does not read.";
    C003 "unknown-field" Configuration "The kind has no field of that name.";
    C004 "wrong-type" Configuration "The field holds another type than it takes.";
    C005 "missing-field" Configuration "A field that must be there is missing.";
    C006 "duplicate-key" Configuration "A key stands twice in one mapping.";
    C007 "invalid-value" Configuration "The value is not one the field takes.";
    C008 "duplicate-object" Configuration "The same object is written twice.";
    C009 "document-too-large" Configuration "The document is larger or nested deeper than Leno reads.";
    C010 "file-not-readable" Configuration "The file could not be read.";
    // Configuration: meaning
    C101 "parent-not-found" Configuration "The route's parent does not exist.";
    C102 "parent-not-usable" Configuration "The route cannot attach to that parent.";
    C103 "reference-not-permitted" Configuration "A reference into another namespace lacks a ReferenceGrant.";
    C104 "backend-kind-not-usable" Configuration "The backend is of a kind that cannot take traffic.";
    C105 "backend-port-not-found" Configuration "The backend's Service has no such port.";
    C106 "rule-never-matches" Configuration "Other rules take every request that this one could match.";
    C107 "no-traffic-share" Configuration "All weights of the rule are zero.";
    C108 "order-unknown" Configuration "Two routes tie, and neither says when it was created.";
    C109 "name-repeated" Configuration "The same header or parameter is named twice; the first one counts.";
    C110 "protocol-not-usable" Configuration "What is spoken on the Service's port is not what the route routes.";
    C113 "backend-not-found" Configuration "The backend's Service does not exist.";
    C114 "not-enforced" Configuration "The field is part of the API, and Leno does not enforce it yet, so it is refused.";
    C115 "filters-conflict" Configuration "Two filters of one rule contradict each other.";
    C116 "route-kinds-conflict" Configuration "Routes of two kinds are attached to one port; the more special kind holds.";
    C120 "selector-matches-nothing" Configuration "The Service selects no workload.";
    C121 "target-port-not-found" Configuration "The Service's target port is not a port of the workloads it selects.";
    C122 "address-taken" Configuration "Two objects claim the same address.";
    C130 "target-not-found" Configuration "The policy's target does not exist.";
    C131 "target-not-permitted" Configuration "The policy's target is not its namespace's to govern.";
    C132 "empty-rules" Configuration "An empty list of rules can be read in two ways.";
    C133 "policies-overlap" Configuration "Two policies set the same field for the same target.";
    C134 "second-mesh" Configuration "There is more than one Mesh object.";
    C135 "needs-http" Configuration "A rule speaks of requests, on a port that is not known to be HTTP.";
    C150 "never-matches" Configuration "A part of a rule can never match.";
    C159 "token-issuer-unknown" Configuration "A workload takes tokens of an issuer that the mesh does not name.";
    C160 "namespace-of-people" Configuration "Something is to run in the namespace whose identities are those of people.";
    C151 "keys-not-usable" Configuration "Keys that are to prove tokens cannot be used.";
    C152 "claims-without-jwt" Configuration "A rule asks for claims, and its policy believes nobody's tokens.";
    C171 "identity-reserved" Configuration "A workload would act as the control plane.";
    C172 "bytes-not-asked" Configuration "An external authorizer is to be asked about a port on which no requests are seen.";
    C173 "authorizers-in-a-ring" Configuration "External authorizers would be asked about questions to each other, without an end.";
    C178 "trust-domain-taken" Configuration "Two speak for one trust domain.";
    C179 "peer-bundle-not-usable" Configuration "A bundle that is written for another trust domain cannot be used.";
    C180 "trust-domain-unknown" Configuration "A policy speaks of a trust domain of which nobody can be believed.";
    C170 "override-holds" Configuration "A measure of an emergency holds over what is written.";
    C175 "outbound-changes-nothing" Configuration "Rules allow calls to hosts outside the mesh that are let out anyway.";
    C176 "host-in-mesh" Configuration "A rule about hosts outside the mesh names a service of it.";
    C177 "outbound-without-caller" Configuration "Rules about calls that workloads make stand in a policy about something that makes none.";
    C190 "outbound-opened" Configuration "A policy opens to its workloads what is closed for the whole mesh.";
    C191 "address-of-others" Configuration "What stands at an address of no private network is that for callers of its own namespace alone.";
    C192 "endpoint-of-others" Configuration "An EndpointSlice names the address of a workload of another namespace.";
    C193 "slice-not-used" Configuration "An EndpointSlice says who is behind no Service that would ask it.";
    C194 "endpoint-nowhere" Configuration "An EndpointSlice names an address at which nobody else can be called.";
    C195 "pod-without-proxy" Configuration "A pod is to have a proxy beside it and has none.";
    C196 "pod-unfit" Configuration "A pod that runs is of another mesh too, or can get around its proxy.";
    C197 "pod-still-served" Configuration "A pod goes on with the proxy of its node, and something else is said of its next start.";
    C200 "bad-annotation" Configuration "An annotation of a pod cannot be read, and leaves nothing out of its capture.";
    C205 "network-shuts-tunnel" Configuration "A NetworkPolicy is about pods of the mesh, and does not let calls of the mesh through.";
    C206 "outbound-ports-not-held" Configuration "A NetworkPolicy names ports that pods of the mesh may call, and nobody holds it in another mesh.";
    C140 "test-malformed" Configuration "The test cannot be read.";

    // Store
    S001 "store-newer" Mesh "The store was written by a newer Leno.";
    S002 "store-damaged" Mesh "The store is truncated or damaged.";
    S003 "store-not-writable" Mesh "The store cannot be written.";
    S004 "revision-moved-on" Caller "The configuration has changed since the revision that was named.";
    S005 "revision-has-errors" Configuration "The revision would have errors that its predecessor lacks.";
    S006 "object-owned-elsewhere" Caller "The object belongs to another set or source.";
    S007 "revision-not-found" Caller "There is no such revision.";
    S008 "store-in-use" Caller "Another process has the store open.";
    S009 "change-too-large" Caller "The change, or the configuration it would make, is larger than the store takes.";
    S010 "flows-not-kept" Mesh "What goes between services cannot be kept.";
    S011 "flows-damaged" Mesh "What was kept of past calls was damaged, and is begun anew.";
    S012 "change-watched" Caller "A change is watched, and what it changed stands still meanwhile.";
    S013 "change-went-back" Configuration "A change that was watched went back by itself.";
    S014 "not-watched" Mesh "A change could not be watched.";
    S015 "standing-by" Caller "Another control plane acts; the one that was asked stands by.";
    S019 "etcd-away" Mesh "etcd does not answer, without which nothing can be changed.";
    S020 "acts-no-more" Mesh "The control plane that was asked acts no more, or may not.";
    S021 "entry-not-understood" Mesh "What etcd holds was not put there by a control plane of this mesh, or by one of another release.";
    S022 "log-of-another-store" Configuration "The log in etcd is not the one that this store has followed.";

    // Administration
    S016 "no-administrator" Caller "Whoever asks has no role in this mesh, or proves nothing.";
    S017 "role-too-small" Caller "The role of whoever asks does not reach so far.";
    S018 "not-audited" Mesh "What is asked, or was done, cannot be written into the audit log.";

    // Distribution
    D001 "control-plane-away" Mesh "The control plane cannot be reached.";
    D002 "view-refused" Mesh "The proxy could not understand a part of its new view, and keeps the one it has.";
    D003 "view-stale" Mesh "The proxy is behind the control plane.";
    D004 "store-behind" Mesh "The control plane's store is older than what proxies were told before.";
    D005 "proxy-away" Mesh "A proxy that took mesh calls is not connected to the control plane.";
    D006 "workload-not-told" Configuration "A proxy stands in front of a workload that does not exist or acts as somebody else.";
    D007 "feature-missing" Mesh "A proxy is older than a part of its view, and refuses what it does not understand.";
    D008 "flow-refused" Caller "A proxy reported calls that it is no party of.";
    D009 "flows-lost" Mesh "What a proxy counted of its calls was lost before it was kept.";
    D010 "names-forgotten" Caller "A workload asked for more names of hosts outside the mesh than are remembered.";
    D011 "change-not-taken-back" Configuration "A watched change should have gone back, and what stood before is refused.";
    D012 "cluster-away" Mesh "The cluster does not tell what its objects say.";
    D013 "status-not-written" Mesh "What holds of an object could not be written into its status.";
    D014 "webhook-not-proven" Mesh "The cluster is not told who answers for what pods get.";
    D015 "event-not-written" Mesh "What is wrong with a pod could not be told beside it in the cluster.";
    D025 "pod-without-node-proxy" Mesh "A pod is to be served by the proxy of its node, and is not.";
    D026 "no-such-control-plane" Configuration "A pod names a control plane that is not there.";

    // Host and capture
    H001 "namespaces-forbidden" Mesh "This host does not let Leno make the namespaces that capture without root needs.";
    H002 "port-taken" Caller "Another program listens on the port.";
    H003 "capture-failed" Mesh "Capture was set up and then failed.";
    H004 "file-limit" Mesh "The process may not open as many files as it needs.";
    H005 "not-captured" Mesh "The packet rules of a network namespace are not those that lead its traffic through the proxy.";
    H006 "rules-refused" Mesh "The kernel does not let Leno see or load packet rules.";
    H007 "capture-lost" Mesh "What a workload sends does not come to its proxy.";
    H013 "node-proxy-away" Mesh "The node's proxy does not answer for a pod that is to start.";
    H014 "plugin-misused" Configuration "A container runtime calls the network plugin in a way that it cannot answer.";
    H015 "plugin-not-in-place" Configuration "The network plugin is not in the node's network configuration.";
    H016 "plugin-put-back" Configuration "Somebody wrote a node's network configuration anew, without the network plugin in it.";
    H017 "pod-not-placed" Mesh "A pod is to start on a node, and nobody says whether the node's proxy is to serve it.";
    H018 "pod-not-served" Mesh "The proxy of a node cannot serve a pod that it should.";
    H019 "rules-put-back" Mesh "Somebody changed the packet rules of a pod, and its node's proxy put them back.";
    H020 "pod-not-guarded" Mesh "What goes past the proxy of a pod's node could not be kept on the node's side.";
    H024 "pod-process-ended" Mesh "The process that carries the calls of one pod alone ended by itself, and is started again.";
    H025 "pod-process-not-bounded" Mesh "The process that carries the calls of one pod alone runs without a control group of its own.";
    H026 "isolation-not-read" Configuration "A pod asks for a process of its own by an annotation that cannot be read.";
    H027 "state-not-lasting" Mesh "What the proxy of a node needs while the control plane is away is kept for as long as its pod is there, and no longer.";

    // Workloads of `leno up`
    U001 "command-not-found" Configuration "The workload's command does not exist.";
    U002 "workload-exited" Service "The workload ended.";
    U003 "nothing-to-run" Caller "There is no leno.yaml and no Procfile here.";
    U004 "not-a-process" Configuration "A line of the Procfile names no process.";

    // Leno in a cluster of Kubernetes
    K001 "cluster-not-reached" Caller "The cluster does not answer whoever wants to change it.";
    K002 "kubernetes-too-old" Configuration "The cluster's Kubernetes is older than Leno needs.";
    K003 "rights-missing" Caller "Whoever asks may not do in the cluster what has to be done.";
    K004 "no-storage" Configuration "The cluster has no volume for the control plane's state.";
    K005 "field-set-elsewhere" Caller "Somebody else has set a field of an object to something else.";
    K006 "gateway-api-missing" Configuration "The cluster does not have all kinds of Gateway API that Leno reads.";
    K007 "other-mesh" Configuration "Another mesh puts its proxies into pods of the cluster.";
    K008 "not-ready" Mesh "The control plane in the cluster does not become ready.";
    K009 "mesh-of-another-domain" Caller "The cluster has a mesh of another trust domain than the one that was named.";
    K010 "object-refused" Configuration "The cluster does not take an object.";
    K011 "objects-remain" Caller "Objects that people have written keep their kinds in the cluster.";
    K012 "proxies-remain" Configuration "Pods have proxies of a mesh that was taken away.";
    K013 "tunnel-shut" Configuration "A NetworkPolicy does not let calls of the mesh through.";
    K014 "capture-forbidden" Configuration "A namespace forbids what captures the calls of its pods.";
    K017 "node-forbidden" Configuration "Leno's namespace does not take the pods of nodes' proxies.";
    K018 "nodes-not-ready" Mesh "The proxies of the cluster's nodes do not become ready.";
    K019 "mesh-not-told" Mesh "The proxies of nodes are not told where the mesh is.";
    K020 "nodes-not-cleared" Mesh "Nodes still hold what the proxies that were taken away have put there.";
    K021 "change-not-looked-at" Mesh "A change of an object was made without a look at what it would mean.";
    K022 "control-name-unfit" Caller "A control plane beside the default one cannot be called so.";
    K023 "nodes-of-another" Caller "The proxies of nodes are the default control plane's, and no other brings them.";
    K024 "no-default-control-plane" Caller "There is no default control plane for another one to stand beside.";
    K025 "others-remain" Caller "Other control planes are there, or pods that name one that is not.";
    K026 "changed-in-the-cluster" Caller "The mesh is what a cluster says, and is changed there.";
    K027 "another-cluster" Caller "The kubeconfig leads to another cluster than the control plane follows.";
    K028 "partly-changed" Caller "A cluster has taken a part of a change, and not the rest.";
    K029 "change-not-seen" Mesh "The control plane has not seen in time what was changed in its cluster.";

    // What leaves the mesh
    X001 "collector-away" Service "The collector of telemetry cannot be reached, or does not answer.";
    X002 "collector-refuses" Configuration "The collector of telemetry answers, and does not take what is sent.";
    X003 "collector-not-usable" Configuration "The collector of telemetry is described in a way that cannot be used.";
    X004 "export-bug" Mesh "Sending telemetry met a bug of its own, and begins anew.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Takes the letter and digits (either case) or the slug.
impl FromStr for Code {
    type Err = NoSuchCode;

    fn from_str(text: &str) -> Result<Self, NoSuchCode> {
        let named = |code: &&Self| code.as_str().eq_ignore_ascii_case(text) || code.slug() == text;
        Self::ALL.iter().find(named).copied().ok_or(NoSuchCode)
    }
}

/// The text names no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such code")]
pub struct NoSuchCode;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_and_slugs_are_unique_and_found_again() {
        let slugs: BTreeSet<_> = Code::ALL.iter().map(|code| code.slug()).collect();
        assert_eq!(slugs.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert_eq!(code.as_str().to_lowercase().parse(), Ok(*code));
            assert_eq!(code.slug().parse(), Ok(*code));
            assert!(code.title().ends_with('.'), "{code}");
        }
        assert_eq!("R999".parse::<Code>(), Err(NoSuchCode));
    }
}
