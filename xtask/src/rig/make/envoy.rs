//! Envoy as a bare connection manager and router, or a bare TCP proxy: no access log, no tracing,
//! no filter beside what carries the call. Its limits on connections and calls are out of the way.

use serde_json::{Value, json};

use crate::rig::course::{Post, Side, Spoken};

/// What stands in its file, which may be JSON.
pub(crate) fn text(post: &Post) -> String {
    let mut chain = json!({"filters": [filter(post.takes)]});
    if post.takes.secured {
        let mut context = tls(post.takes, "cart");
        context["@type"] = kind("transport_sockets.tls.v3.DownstreamTlsContext");
        context["require_client_certificate"] = json!(true);
        chain["transport_socket"] = socket(context);
    }
    let listener = json!({"address": address(post.listen), "filter_chains": [chain]});
    let place = json!({"endpoint": {"address": address(post.next)}});
    let limits = json!({
        "max_connections": MANY, "max_pending_requests": MANY, "max_requests": MANY, "max_retries": MANY,
    });
    let mut cluster = json!({
        "name": "next",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": "next", "endpoints": [{"lb_endpoints": [place]}]},
    });
    if let Some(protocol) = protocol(post.gives.spoken) {
        cluster["typed_extension_protocol_options"] = protocol;
    }
    if post.gives.secured {
        let mut context = tls(post.gives, "web");
        context["@type"] = kind("transport_sockets.tls.v3.UpstreamTlsContext");
        cluster["transport_socket"] = socket(context);
    }
    json!({"static_resources": {"listeners": [listener], "clusters": [cluster]}}).to_string()
}

/// What carries the calls of a listener.
fn filter(takes: Side) -> Value {
    if takes.spoken == Spoken::Tcp {
        return json!({
            "name": "tcp",
            "typed_config": {
                "@type": kind("filters.network.tcp_proxy.v3.TcpProxy"),
                "stat_prefix": "in",
                "cluster": "next",
            },
        });
    }
    let added = json!({"header": {"key": "x-request-id", "value": "1234567890abcdef"}});
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": "next", "timeout": "0s"}});
    let router = json!({"@type": kind("filters.http.router.v3.Router")});
    json!({
        "name": "http",
        "typed_config": {
            "@type": kind("filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "in",
            "use_remote_address": true,
            "generate_request_id": false,
            "route_config": {
                "request_headers_to_add": [added],
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
            },
            "http_filters": [{"name": "router", "typed_config": router}],
        },
    })
}

/// What is spoken to the next, if it is HTTP.
fn protocol(gives: Spoken) -> Option<Value> {
    let version = match gives {
        Spoken::Http1 => "http_protocol_options",
        Spoken::Http2 | Spoken::Grpc => "http2_protocol_options",
        Spoken::Tcp => return None,
    };
    let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    Some(json!({name: {
        "@type": format!("type.googleapis.com/{name}"),
        "explicit_http_config": {version: {}},
    }}))
}

/// Mutual TLS 1.3 in which `who` proves itself.
fn tls(side: Side, who: &str) -> Value {
    let file = |name: String| json!({"filename": name});
    let mut common = json!({
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "tls_certificates": [{
            "certificate_chain": file(format!("certs/{who}.pem")),
            "private_key": file(format!("certs/{who}.key")),
        }],
        "validation_context": {"trusted_ca": file("certs/roots.pem".to_owned())},
    });
    match side.spoken {
        Spoken::Http1 => common["alpn_protocols"] = json!(["http/1.1"]),
        Spoken::Http2 | Spoken::Grpc => common["alpn_protocols"] = json!(["h2"]),
        Spoken::Tcp => {}
    }
    json!({"common_tls_context": common})
}

fn socket(context: Value) -> Value {
    json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn kind(name: &str) -> Value {
    json!(format!("type.googleapis.com/envoy.extensions.{name}"))
}

/// More than any case asks for.
const MANY: u32 = 100_000;
