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
    HANDSHAKE_FAILURES,
    ACCEPT_FAILURES,
    SERIES_FOLDED,
    ACCESS_LOG_DROPPED,
    TAP_DROPPED,
    BUILD_INFO,
];

pub(crate) const REQUESTS: Metric = Metric {
    name: "leno_requests_total",
    kind: Kind::Counter,
    labels: TRAFFIC,
    help: "Requests that were answered, or could not be.",
};
pub(crate) const REQUEST_DURATION: Metric = Metric {
    name: "leno_request_duration_seconds",
    kind: Kind::Histogram,
    labels: TRAFFIC,
    help: "Time from a request's first byte to the last of its answer.",
};
pub(crate) const RETRIES: Metric = Metric {
    name: "leno_retries_total",
    kind: Kind::Counter,
    labels: TRAFFIC,
    help: "Tries of requests that followed a first one that failed.",
};
pub(crate) const COPIES: Metric = Metric {
    name: "leno_copies_total",
    kind: Kind::Counter,
    labels: TRAFFIC,
    help: "Copies of requests that mirrors got, or could not get; they count nowhere else.",
};
pub(crate) const CONNECTIONS: Metric = Metric {
    name: "leno_connections_total",
    kind: Kind::Counter,
    labels: TRAFFIC,
    help: "Streams of bytes other than HTTP that ended, or could not be opened.",
};
pub(crate) const CONNECTIONS_OPEN: Metric = Metric {
    name: "leno_connections_open",
    kind: Kind::Gauge,
    labels: TRAFFIC,
    help: "Streams of bytes other than HTTP that are open.",
};
pub(crate) const BYTES: Metric = Metric {
    name: "leno_bytes_total",
    kind: Kind::Counter,
    labels: &with(DIRECTION),
    help: "Bytes in the bodies of requests and answers, and in streams of bytes, as they flow.",
};
pub(crate) const REFUSED: Metric = Metric {
    name: "leno_refused_total",
    kind: Kind::Counter,
    labels: BY_CODE,
    help: "Requests and streams that this proxy refused or cut short, by code.",
};
pub(crate) const HANDSHAKE_FAILURES: Metric = Metric {
    name: "leno_handshake_failures_total",
    kind: Kind::Counter,
    labels: BY_CODE,
    help: "Handshakes between proxies that came to nothing, by code.",
};
pub(crate) const ACCEPT_FAILURES: Metric = Metric {
    name: "leno_accept_failures_total",
    kind: Kind::Counter,
    labels: BY_CODE,
    help: "Times at which connections waited and could not be taken, at most one a minute, by code.",
};
pub(crate) const SERIES_FOLDED: Metric = Metric {
    name: "leno_series_folded_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Requests and streams counted under `other`, because the budget of series is spent.",
};
pub(crate) const ACCESS_LOG_DROPPED: Metric = Metric {
    name: "leno_access_log_dropped_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Lines that the access log had no room for, or could not write.",
};
pub(crate) const TAP_DROPPED: Metric = Metric {
    name: "leno_tap_dropped_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Events that a tap asked for and did not get, because of its limit or because it is slow.",
};
pub(crate) const BUILD_INFO: Metric = Metric {
    name: "leno_build_info",
    kind: Kind::Gauge,
    labels: &[Label {
        name: "version",
        help: "The version of Leno.",
    }],
    help: "Always 1: which Leno this is.",
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
const DIRECTION: Label = Label {
    name: "direction",
    help: "Which way they went: sent by the caller, or received by it.",
};
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
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            let name = metric.name;
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{name}"
            );
            assert!(metric.help.ends_with('.'), "{name}");
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
