//! The metrics: the one place where their names, labels and meanings are written.

/// One metric, as the reference and a scrape describe it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// What it is called.
    pub name: &'static str,
    /// How its numbers are to be read.
    pub kind: Kind,
    /// The labels that each of its samples has, in order.
    pub labels: &'static [Label],
    /// What it counts, in one sentence.
    pub help: &'static str,
    /// What it is called where OpenTelemetry's words are spoken: translated as OpenTelemetry says,
    /// it has the name of [`Self::name`] again.
    pub otel: &'static str,
    /// Its unit there, as UCUM spells it; empty for what has none.
    pub unit: &'static str,
    /// What comes nearest to it elsewhere.
    pub elsewhere: Elsewhere,
}

/// What others call what a metric tells, where they tell it; else empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elsewhere {
    /// OpenTelemetry's semantic conventions.
    pub conventions: &'static str,
    /// Istio, or the proxy it uses.
    pub istio: &'static str,
    /// Linkerd.
    pub linkerd: &'static str,
}

/// How the numbers of a metric are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A number that only grows while the process lives.
    Counter,
    /// A number that may go either way.
    Gauge,
    /// Counters of what was at most so much, their count and sum.
    Histogram,
}

impl Kind {
    /// The word in the text format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One label, and what stands in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    /// What it is called.
    pub name: &'static str,
    /// What stands in it, in one sentence.
    pub help: &'static str,
}

/// Every metric, in the order of a scrape.
pub const METRICS: &[Metric] = &[
    REQUESTS,
    REQUEST_DURATION,
    RETRIES,
    COPIES,
    CONNECTIONS,
    CONNECTIONS_OPEN,
    BYTES,
    REFUSED,
    AUDITED,
    HANDSHAKE_FAILURES,
    ACCEPT_FAILURES,
    CERTIFICATE_ENDS,
    CERTIFICATE_RENEWALS_FAILED,
    CAPTURE_PROVEN,
    CAPTURE_LOSSES,
    CAPTURE_REPAIRS,
    POD_PROCESS_ENDS,
    LIMITS,
    SERIES_FOLDED,
    ACCESS_LOG_DROPPED,
    TAP_DROPPED,
    ACCESS_LOG_UNFILTERED,
    EXPORT_TAKEN,
    EXPORT_LOST,
    EXPORT_FAILURES,
    BUILD_INFO,
];

/// Every metric of a control plane, in the order of a scrape.
pub const CONTROL_METRICS: &[Metric] = &[
    CONTROL_REVISION,
    CONTROL_PROXIES,
    CONTROL_CERTIFICATE_ENDS,
    CONTROL_PEER_KEYS_END,
    CONTROL_FINDINGS,
    CONTROL_PODS_WITHOUT_PROXY,
    CONTROL_TROUBLES,
    CONTROL_FILE_BYTES,
    CONTROL_ACTING,
    CONTROL_LOG_ENTRY,
    CONTROL_LOG_BEHIND,
    EXPORT_TAKEN,
    EXPORT_LOST,
    EXPORT_FAILURES,
    BUILD_INFO,
];

pub(crate) const REQUESTS: Metric = Metric {
    name: "leno_requests_total",
    kind: Kind::Counter,
    labels: TRAFFIC,
    help: "Requests that were answered, or could not be.",
    otel: "leno.requests",
    unit: "{request}",
    elsewhere: Elsewhere {
        conventions: "http.client.request.duration, http.server.request.duration (count)",
        istio: "istio_requests_total",
        linkerd: "response_total",
    },
};
pub(crate) const REQUEST_DURATION: Metric = Metric {
    name: "leno_request_duration_seconds",
    kind: Kind::Histogram,
    labels: TRAFFIC,
    help: "Time from a request's first byte to the last of its answer.",
    otel: "leno.request.duration",
    unit: "s",
    elsewhere: Elsewhere {
        conventions: "http.client.request.duration, http.server.request.duration",
        istio: "istio_request_duration_milliseconds",
        linkerd: "response_latency_ms",
    },
};
pub(crate) const RETRIES: Metric = Metric {
    name: "leno_retries_total",
    kind: Kind::Counter,
    labels: TRAFFIC,
    help: "Tries of requests that followed a first one that failed.",
    otel: "leno.retries",
    unit: "{retry}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "envoy_cluster_upstream_rq_retry",
        linkerd: "outbound_http_route_retry_requests_total",
    },
};
pub(crate) const COPIES: Metric = Metric {
    name: "leno_copies_total",
    kind: Kind::Counter,
    labels: TRAFFIC,
    help: "Copies of requests that mirrors got, or could not get; they count nowhere else.",
    otel: "leno.copies",
    unit: "{request}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const CONNECTIONS: Metric = Metric {
    name: "leno_connections_total",
    kind: Kind::Counter,
    labels: TRAFFIC,
    help: "Streams of bytes other than HTTP that ended, or could not be opened.",
    otel: "leno.connections",
    unit: "{connection}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "istio_tcp_connections_closed_total",
        linkerd: "tcp_close_total",
    },
};
pub(crate) const CONNECTIONS_OPEN: Metric = Metric {
    name: "leno_connections_open",
    kind: Kind::Gauge,
    labels: TRAFFIC,
    help: "Streams of bytes other than HTTP that are open.",
    otel: "leno.connections.open",
    unit: "{connection}",
    elsewhere: Elsewhere {
        conventions: "http.client.open_connections",
        istio: "istio_tcp_connections_opened_total less istio_tcp_connections_closed_total",
        linkerd: "tcp_open_connections",
    },
};
pub(crate) const BYTES: Metric = Metric {
    name: "leno_bytes_total",
    kind: Kind::Counter,
    labels: &with(DIRECTION),
    help: "Bytes in the bodies of requests and answers, and in streams of bytes, as they flow.",
    otel: "leno.bytes",
    unit: "By",
    elsewhere: Elsewhere {
        conventions: "http.client.request.body.size, http.client.response.body.size (sum)",
        istio: "istio_request_bytes_sum, istio_response_bytes_sum, istio_tcp_sent_bytes_total, istio_tcp_received_bytes_total",
        linkerd: "tcp_write_bytes_total, tcp_read_bytes_total",
    },
};
pub(crate) const REFUSED: Metric = Metric {
    name: "leno_refused_total",
    kind: Kind::Counter,
    labels: BY_CODE,
    help: "Requests and streams that this proxy refused or cut short, by code.",
    otel: "leno.refused",
    unit: "{call}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "istio_requests_total by response_flags",
        linkerd: "inbound_http_errors_total, outbound_http_errors_total, inbound_http_authz_deny_total",
    },
};
pub(crate) const HANDSHAKE_FAILURES: Metric = Metric {
    name: "leno_handshake_failures_total",
    kind: Kind::Counter,
    labels: BY_CODE,
    help: "Handshakes between proxies that came to nothing, by code.",
    otel: "leno.handshake.failures",
    unit: "{handshake}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "envoy_cluster_ssl_connection_error, envoy_listener_ssl_connection_error",
        linkerd: "inbound_tcp_errors_total, outbound_tcp_errors_total",
    },
};
pub(crate) const ACCEPT_FAILURES: Metric = Metric {
    name: "leno_accept_failures_total",
    kind: Kind::Counter,
    labels: BY_CODE,
    help: "Times at which connections waited and could not be taken, at most one a minute, by code.",
    otel: "leno.accept.failures",
    unit: "{time}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "envoy_listener_downstream_cx_overflow",
        linkerd: "",
    },
};
pub(crate) const CERTIFICATE_ENDS: Metric = Metric {
    name: "leno_certificate_ends_seconds",
    kind: Kind::Gauge,
    labels: OF_CERTIFICATE,
    help: "When each certificate that this proxy holds ends, in seconds since 1970.",
    otel: "leno.certificate.ends",
    unit: "s",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "envoy_cluster_ssl_certificate_expiration_unix_time_seconds",
        linkerd: "identity_cert_expiration_timestamp_seconds",
    },
};
pub(crate) const CERTIFICATE_RENEWALS_FAILED: Metric = Metric {
    name: "leno_certificate_renewals_failed",
    kind: Kind::Gauge,
    labels: OF_CERTIFICATE,
    help: "How many times in a row this proxy asked for a certificate in vain; 0 as soon as one comes.",
    otel: "leno.certificate.renewals.failed",
    unit: "{renewal}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const CAPTURE_PROVEN: Metric = Metric {
    name: "leno_capture_proven",
    kind: Kind::Gauge,
    labels: OF_WORKLOAD,
    help: "Whether what the workload sends came to this proxy when that was tried last: 1 if it did. Of workloads that are to be captured.",
    otel: "leno.capture.proven",
    unit: "{proof}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const CAPTURE_LOSSES: Metric = Metric {
    name: "leno_capture_losses_total",
    kind: Kind::Counter,
    labels: OF_WORKLOAD,
    help: "Times at which what the workload sends came to this proxy no longer.",
    otel: "leno.capture.losses",
    unit: "{time}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const CAPTURE_REPAIRS: Metric = Metric {
    name: "leno_capture_repairs_total",
    kind: Kind::Counter,
    labels: OF_WORKLOAD,
    help: "Times at which the proxy of a node put packet rules of a pod back that somebody had changed.",
    otel: "leno.capture.repairs",
    unit: "{time}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const POD_PROCESS_ENDS: Metric = Metric {
    name: "leno_pod_process_ends_total",
    kind: Kind::Counter,
    labels: OF_WORKLOAD,
    help: "Times at which the process that carries the calls of one pod alone ended by itself, and was started again. Told by the proxy of the node.",
    otel: "leno.pod_process.ends",
    unit: "{time}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const LIMITS: Metric = Metric {
    name: "leno_limits_total",
    kind: Kind::Counter,
    labels: &[Label {
        name: "limit",
        help: "Which limit: connections, connections-of-peer, buffered-bytes, files, head-bytes, head-time, connect-time, response-time, resets, untaken-answers, untaken-requests, silence, streams, waiting, copies.",
    }],
    help: "Times at which a limit of the proxy bit, by limit.",
    otel: "leno.limits",
    unit: "{time}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "envoy_listener_downstream_cx_overflow, envoy_http_downstream_flow_control_paused_reading_total",
        linkerd: "",
    },
};
pub(crate) const SERIES_FOLDED: Metric = Metric {
    name: "leno_series_folded_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Requests and streams counted under `other`, because the budget of series is spent.",
    otel: "leno.series.folded",
    unit: "{call}",
    elsewhere: Elsewhere {
        conventions: "otel.metric.overflow (attribute)",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const ACCESS_LOG_DROPPED: Metric = Metric {
    name: "leno_access_log_dropped_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Lines that the access log had no room for, or could not write.",
    otel: "leno.access_log.dropped",
    unit: "{line}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "envoy_access_logs_grpc_access_log_logs_dropped",
        linkerd: "",
    },
};
pub(crate) const TAP_DROPPED: Metric = Metric {
    name: "leno_tap_dropped_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Events that a tap asked for and did not get, because of its limit or because it is slow.",
    otel: "leno.tap.dropped",
    unit: "{event}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const EXPORT_TAKEN: Metric = Metric {
    name: "leno_export_taken_total",
    kind: Kind::Counter,
    labels: &[SIGNAL],
    help: "Points, spans and lines that the collector took.",
    otel: "leno.export.taken",
    unit: "{item}",
    elsewhere: Elsewhere {
        conventions: "otel.sdk.exporter.span.exported, .metric_data_point.exported, .log.exported",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const EXPORT_LOST: Metric = Metric {
    name: "leno_export_lost_total",
    kind: Kind::Counter,
    labels: &[
        SIGNAL,
        Label {
            name: "reason",
            help: "Why it does not reach the collector: no-room, tried-long, refused, rejected.",
        },
    ],
    help: "Points, spans and lines that the collector will not get.",
    otel: "leno.export.lost",
    unit: "{item}",
    elsewhere: Elsewhere {
        conventions: "otel.sdk.processor.span.processed (error.type=queue_full)",
        istio: "envoy_tracing_opentelemetry_spans_dropped",
        linkerd: "",
    },
};
pub(crate) const EXPORT_FAILURES: Metric = Metric {
    name: "leno_export_failures_total",
    kind: Kind::Counter,
    labels: &[SIGNAL],
    help: "Tries to send something to the collector that failed.",
    otel: "leno.export.failures",
    unit: "{try}",
    elsewhere: Elsewhere {
        conventions: "otel.sdk.exporter.operation.duration (count, by error.type)",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const AUDITED: Metric = Metric {
    name: "leno_audited_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Times that a rule of an AccessPolicy matched, or may have matched, whose action is Audit. Which rule and which call, the access log and leno tap say.",
    otel: "leno.audited",
    unit: "{match}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const ACCESS_LOG_UNFILTERED: Metric = Metric {
    name: "leno_access_log_unfiltered_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Lines of the access log that stand there because the filter of the TelemetryPolicy failed on the call.",
    otel: "leno.access_log.unfiltered",
    unit: "{line}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const BUILD_INFO: Metric = Metric {
    name: "leno_build_info",
    kind: Kind::Gauge,
    labels: &[Label {
        name: "version",
        help: "The version of Leno.",
    }],
    help: "Always 1: which Leno this is.",
    otel: "leno.build.info",
    unit: "",
    elsewhere: Elsewhere {
        conventions: "service.version (attribute)",
        istio: "istio_build",
        linkerd: "proxy_build_info",
    },
};

pub(crate) const CONTROL_REVISION: Metric = Metric {
    name: "leno_control_revision",
    kind: Kind::Gauge,
    labels: &[],
    help: "The newest revision of the configuration.",
    otel: "leno.control.revision",
    unit: "",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "galley_validation_config_updates, pilot_xds_config_version (label)",
        linkerd: "",
    },
};
pub(crate) const CONTROL_PROXIES: Metric = Metric {
    name: "leno_control_proxies",
    kind: Kind::Gauge,
    labels: &[Label {
        name: "state",
        help: "Whether they hold what is in force: current, behind; away: connected no more.",
    }],
    help: "Proxies that follow the control plane, by whether they hold what is in force.",
    otel: "leno.control.proxies",
    unit: "{proxy}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "pilot_xds, pilot_proxy_queue_time",
        linkerd: "destination_endpoint_views",
    },
};
pub(crate) const CONTROL_CERTIFICATE_ENDS: Metric = Metric {
    name: "leno_control_certificate_ends_seconds",
    kind: Kind::Gauge,
    labels: &[Label {
        name: "of",
        help: "Whose: workload (of all proxies that are connected), intermediate, root.",
    }],
    help: "When the first certificate of each kind ends, in seconds since 1970.",
    otel: "leno.control.certificate.ends",
    unit: "s",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "citadel_server_root_cert_expiry_timestamp, citadel_server_cert_chain_expiry_timestamp",
        linkerd: "identity_cert_expiration_timestamp_seconds",
    },
};
pub(crate) const CONTROL_PEER_KEYS_END: Metric = Metric {
    name: "leno_control_peer_keys_end_seconds",
    kind: Kind::Gauge,
    labels: &[Label {
        name: "trust_domain",
        help: "Which trust domain, of those that a MeshPeer names.",
    }],
    help: "When the last root ends that proves identities of another trust domain, in seconds since 1970; 0 while there is none.",
    otel: "leno.control.peer_keys.end",
    unit: "s",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const CONTROL_FINDINGS: Metric = Metric {
    name: "leno_control_findings",
    kind: Kind::Gauge,
    labels: &[Label {
        name: "severity",
        help: "How bad: error, warning, info.",
    }],
    help: "What leno check finds: in what is written, and in what runs.",
    otel: "leno.control.findings",
    unit: "{finding}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "pilot_total_xds_rejects, galley_validation_failed",
        linkerd: "",
    },
};
pub(crate) const CONTROL_PODS_WITHOUT_PROXY: Metric = Metric {
    name: "leno_control_pods_without_proxy",
    kind: Kind::Gauge,
    labels: &[
        Label {
            name: "code",
            help: "What they lack: a proxy beside them (C195), the one of their node (D025), which does not take up some (C196).",
        },
        Label {
            name: "slug",
            help: "The code in words.",
        },
    ],
    help: "Pods of the cluster that are to be in the mesh and have no proxy.",
    otel: "leno.control.pods_without_proxy",
    unit: "{pod}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};
pub(crate) const CONTROL_TROUBLES: Metric = Metric {
    name: "leno_control_troubles_total",
    kind: Kind::Counter,
    labels: &[
        Label {
            name: "code",
            help: "The code: see leno explain.",
        },
        Label {
            name: "slug",
            help: "The code in words.",
        },
        Label {
            name: "fault",
            help: "Whose fault it was: caller, service, configuration, mesh.",
        },
    ],
    help: "Times at which something went wrong that the control plane told of: renewals, the store, views that were refused.",
    otel: "leno.control.troubles",
    unit: "{time}",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "pilot_total_xds_internal_errors, citadel_server_csr_sign_err_count",
        linkerd: "identity_cert_refresh_count",
    },
};
pub(crate) const CONTROL_FILE_BYTES: Metric = Metric {
    name: "leno_control_file_bytes",
    kind: Kind::Gauge,
    labels: &[Label {
        name: "file",
        help: "Which: store (revisions and the CA), flows (what went between services).",
    }],
    help: "How large the files of the control plane are, with their logs.",
    otel: "leno.control.file",
    unit: "By",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};

pub(crate) const CONTROL_ACTING: Metric = Metric {
    name: "leno_control_acting",
    kind: Kind::Gauge,
    labels: &[],
    help: "Whether it is the one of several control planes that acts.",
    otel: "leno.control.acting",
    unit: "",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};

pub(crate) const CONTROL_LOG_ENTRY: Metric = Metric {
    name: "leno_control_log_entry",
    kind: Kind::Gauge,
    labels: &[],
    help: "The last entry that it holds of the log that several control planes share.",
    otel: "leno.control.log.entry",
    unit: "",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};

pub(crate) const CONTROL_LOG_BEHIND: Metric = Metric {
    name: "leno_control_log_behind",
    kind: Kind::Gauge,
    labels: &[],
    help: "How many entries it lacks of the log that several control planes share.",
    otel: "leno.control.log.behind",
    unit: "",
    elsewhere: Elsewhere {
        conventions: "",
        istio: "",
        linkerd: "",
    },
};

const REPORTER: Label = Label {
    name: "reporter",
    help: "Which proxy of the two counted: source or destination.",
};
const TRAFFIC: &[Label] = &[
    REPORTER,
    Label {
        name: "source",
        help: "Who called: namespace/service account, unknown, or other.",
    },
    Label {
        name: "destination",
        help: "What was called: namespace/service, unknown, or other.",
    },
    Label {
        name: "route",
        help: "The route and rule that took the request, none, or other.",
    },
    Label {
        name: "status_class",
        help: "The first digit of the status: 2xx; none where there is no status.",
    },
    Label {
        name: "security",
        help: "How the two proxies were connected: mtls, why it was plain, or none if they were not.",
    },
    Label {
        name: "fault",
        help: "Whose fault it was: caller, service, configuration, mesh; none if nothing failed.",
    },
];
const SIGNAL: Label = Label {
    name: "signal",
    help: "What was sent: metrics, traces, logs.",
};
const DIRECTION: Label = Label {
    name: "direction",
    help: "Which way they went: sent by the caller, or received by it.",
};
const OF_CERTIFICATE: &[Label] = &[Label {
    name: "identity",
    help: "Whose: namespace/service account, of the proxy and of the workloads it stands in front of.",
}];
const OF_WORKLOAD: &[Label] = &[Label {
    name: "workload",
    help: "Which workload: namespace/name.",
}];
const BY_CODE: &[Label] = &[
    REPORTER,
    Label {
        name: "code",
        help: "The code: see leno explain.",
    },
    Label {
        name: "slug",
        help: "The code in words.",
    },
    Label {
        name: "fault",
        help: "Whose fault it was: caller, service, configuration, mesh.",
    },
];

/// The labels of traffic and one more.
const fn with(last: Label) -> [Label; TRAFFIC.len() + 1] {
    let mut labels = [last; TRAFFIC.len() + 1];
    labels
        .split_at_mut(TRAFFIC.len())
        .0
        .copy_from_slice(TRAFFIC);
    labels
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::series::{NONE, OTHER};

    #[test]
    fn names_are_pinned() {
        let traffic: Vec<_> = TRAFFIC.iter().map(|label| label.name).collect();
        assert_eq!(
            traffic.join(", "),
            "reporter, source, destination, route, status_class, security, fault"
        );
        for name in [
            "leno_requests_total",
            "leno_request_duration_seconds",
            "leno_connections_total",
            "leno_bytes_total",
            "leno_series_folded_total",
        ] {
            assert!(METRICS.iter().any(|metric| metric.name == name), "{name}");
        }
    }

    #[test]
    fn names_keep_the_rules_of_prometheus() {
        for metrics in [METRICS, CONTROL_METRICS] {
            let names: BTreeSet<_> = metrics.iter().map(|metric| metric.name).collect();
            assert_eq!(names.len(), metrics.len());
        }
        for metric in METRICS.iter().chain(CONTROL_METRICS) {
            let name = metric.name;
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{name}"
            );
            assert!(metric.help.ends_with('.'), "{name}");
        }
    }

    /// As OpenTelemetry's compatibility page has it: dots and units become words, and what only grows
    /// ends in `_total`.
    #[test]
    fn names_survive_their_translation() {
        for metric in METRICS.iter().chain(CONTROL_METRICS) {
            let mut words: Vec<_> = metric.otel.split(['.', '_']).collect();
            let unit = match metric.unit {
                "s" => "seconds",
                "By" => "bytes",
                _ => "",
            };
            if !unit.is_empty() && !words.contains(&unit) {
                words.push(unit);
            }
            if metric.kind == Kind::Counter {
                words.push("total");
            }
            assert_eq!(words.join("_"), metric.name);
        }
    }

    #[test]
    fn words_for_absence_are_those_of_the_help() {
        for label in TRAFFIC {
            if ["source", "destination", "route"].contains(&label.name) {
                assert!(label.help.contains(OTHER), "{}", label.name);
            }
        }
        assert!(
            TRAFFIC
                .iter()
                .filter(|label| label.help.contains(NONE))
                .count()
                == 4
        );
    }
}
