//! What holds while a part of an object cannot be understood: the table that notes quote and that
//! `compile` carries out.

use alloc::vec::Vec;

/// What holds while the field at `pointer` of an object of this kind is not understood.
pub(crate) fn sentence(kind: &str, pointer: &str) -> &'static str {
    let steps = pointer.split('/').skip(1).collect::<Vec<_>>();
    match (kind, steps.as_slice()) {
        ("Case", _) => "the test does not run",
        (_, ["metadata", ..]) => "the object holds without it",
        ("HTTPRoute", ["spec", "rules", _, "backendRefs", _, ..]) => {
            "this backend's share of the rule's requests answers 500"
        }
        ("HTTPRoute", ["spec", "rules", _, "matches", _, ..]) => {
            "the requests that the readable parts of this match take answer 500"
        }
        ("HTTPRoute", ["spec", "rules", _, ..]) => "the requests that this rule matches answer 500",
        ("HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute", ["spec", "parentRefs", _, ..]) => {
            "the route does not attach to this parent"
        }
        ("HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute", ["spec", "hostnames", _]) => {
            "the route does not take this host"
        }
        (
            "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute",
            [] | ["spec"] | ["spec", "parentRefs"],
        ) => "the route is attached nowhere",
        ("HTTPRoute", _) => "the requests that this route's rules match answer 500",
        ("GRPCRoute", ["spec", "rules", _, "backendRefs", _, ..]) => {
            "this backend's share of the rule's calls ends with UNAVAILABLE"
        }
        ("GRPCRoute", ["spec", "rules", _, "matches", _, ..]) => {
            "the calls that the readable parts of this match take end with UNAVAILABLE"
        }
        ("GRPCRoute", ["spec", "rules", _, ..]) => {
            "the calls that this rule matches end with UNAVAILABLE"
        }
        ("GRPCRoute", _) => "the calls that this route's rules match end with UNAVAILABLE",
        ("TLSRoute" | "TCPRoute", ["spec", "rules", _, "backendRefs", _, ..]) => {
            "this backend's share of the connections is refused"
        }
        ("TLSRoute" | "TCPRoute", _) => "the connections that this route takes are refused",
        ("ReferenceGrant", ["spec", "from" | "to", _, ..]) => "this entry grants nothing",
        ("ReferenceGrant", _) => "it grants nothing",
        ("AccessPolicy", ["spec", "rules", _, ..]) => {
            "whatever the readable parts of this rule cover is denied"
        }
        ("AccessPolicy", ["spec"] | ["spec", "targetRefs", ..]) => {
            "calls to every workload of its namespace are denied"
        }
        ("AccessPolicy", ["spec", "outbound", "rules", _, ..]) => {
            "whatever the readable parts of this rule cover is not let out"
        }
        ("AccessPolicy", ["spec", "outbound", ..]) => {
            "calls of its targets to hosts outside the mesh are denied"
        }
        ("AccessPolicy", _) => "calls to its targets are denied",
        ("Mesh", ["spec", "telemetry", ..]) => {
            "what of it is readable; without a collector that can be reached and proven nothing is sent"
        }
        ("Mesh", ["spec", "tokenIssuers", _, ..]) => "no token of this issuer lets anybody in",
        ("Mesh", ["spec", "ca", ..]) => "whatever signs certificates goes on, and is not renewed",
        ("Mesh", ["spec", "kubernetes", ..]) => {
            "while nobody answers what pods get, none is made that is to be in the mesh"
        }
        ("Mesh", _) => "every setting that it does not readably say takes its strict form",
        ("MeshPeer", _) => "no identity of its trust domain is believed",
        ("TelemetryPolicy", ["spec", "redact", ..]) => {
            "of paths and headers nothing is told in the access log and in spans"
        }
        ("TelemetryPolicy", ["spec", "accessLog", ..]) => {
            "the rest of accessLog holds without it; without a mode, calls have their lines"
        }
        ("EndpointSlice", ["endpoints", _, "addresses", ..]) => "nobody is called there",
        ("EndpointSlice", ["ports", _, "port"]) => "this port does not exist",
        ("NetworkPolicy", ["spec", "ingress", _, "from" | "ports", _, ..]) => {
            "this entry lets nobody in"
        }
        ("NetworkPolicy", ["spec", "ingress", _, ..]) => "this rule lets nobody in",
        ("NetworkPolicy", ["spec", "egress", _, "to" | "ports", _, ..]) => {
            "this entry lets nobody out by the mesh"
        }
        ("NetworkPolicy", ["spec", "egress", _, ..]) => "this rule lets nobody out by the mesh",
        ("NetworkPolicy", ["spec", "policyTypes", ..]) => {
            "it counts as one about calls that come in and about those that go out"
        }
        ("NetworkPolicy", _) => {
            "it lets nobody by the mesh in to the pods that it readably selects, or out of them: without a selector, all of its namespace"
        }
        ("Service", ["spec", "selector", ..]) => "the Service selects nothing",
        ("Service" | "MeshWorkload", ["spec", "ports", _, ..]) => "this port does not exist",
        ("MeshWorkload", ["spec", "instances", _, ..]) => "this instance takes no calls",
        ("MeshWorkload", ["spec", "serviceAccount" | "identity"]) => {
            "it acts as nobody: none of its instances takes or makes calls"
        }
        ("MeshWorkload", ["spec", "run", ..]) => "it is not started",
        ("MeshWorkload", ["spec", "attestation", ..]) => "this entry lets nobody in",
        ("MeshWorkload" | "Service" | "TelemetryPolicy" | "TrafficPolicy", ["spec"]) => {
            "nothing of its spec holds"
        }
        _ => "the rest holds without it",
    }
}
