//! A snapshot in the text format of Prometheus, version 0.0.4.

use std::borrow::Cow;
use std::time::Duration;

use leno_model::Fault;

use crate::metric::{self, Metric};
use crate::registry::{CodeCounts, Total};
use crate::series::{Labels, NONE, What};
use crate::snapshot::Snapshot;
use leno_model::Histogram;

/// What a response that carries the text says of itself.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The limits that the text tells durations by. Each is the edge of a bucket.
const LIMITS: [(&str, Duration); 14] = [
    ("0.0005", Duration::from_micros(500)),
    ("0.001", Duration::from_millis(1)),
    ("0.0025", Duration::from_micros(2_500)),
    ("0.005", Duration::from_millis(5)),
    ("0.01", Duration::from_millis(10)),
    ("0.025", Duration::from_millis(25)),
    ("0.05", Duration::from_millis(50)),
    ("0.1", Duration::from_millis(100)),
    ("0.25", Duration::from_millis(250)),
    ("0.5", Duration::from_millis(500)),
    ("1", Duration::from_secs(1)),
    ("2.5", Duration::from_millis(2_500)),
    ("5", Duration::from_secs(5)),
    ("10", Duration::from_secs(10)),
];

impl Snapshot {
    /// The text of a scrape: every metric with its help, also those that counted nothing.
    pub fn prometheus(&self) -> String {
        let series: Vec<_> = self
            .series
            .iter()
            .map(|total| (of_traffic(&total.labels), total))
            .collect();
        let those = |is: fn(What) -> bool| {
            let mut those = series.iter().collect::<Vec<_>>();
            those.retain(|(_, total)| is(total.labels.traits.what));
            those
        };
        let calls = those(|what| matches!(what, What::Calls(_)));
        let copies = those(|what| matches!(what, What::Copies(_)));
        let streams = those(|what| what == What::Streams);

        let mut text = Text::default();
        text.head(&metric::REQUESTS);
        for (labels, total) in &calls {
            text.sample(&metric::REQUESTS, "", labels, "", total.count);
        }
        text.head(&metric::REQUEST_DURATION);
        for (labels, total) in &calls {
            text.durations(&metric::REQUEST_DURATION, labels, &total.took);
        }
        text.head(&metric::RETRIES);
        for (labels, total) in calls.iter().filter(|(_, total)| total.retries > 0) {
            text.sample(&metric::RETRIES, "", labels, "", total.retries);
        }
        text.head(&metric::COPIES);
        for (labels, total) in &copies {
            text.sample(&metric::COPIES, "", labels, "", total.count);
        }
        text.head(&metric::CONNECTIONS);
        for (labels, total) in &streams {
            text.sample(&metric::CONNECTIONS, "", labels, "", total.count);
        }
        text.head(&metric::CONNECTIONS_OPEN);
        // Whose fault its end will be is not known of one that is open.
        let no_fault = |total: &Total| total.labels.traits.fault.is_none();
        for (labels, total) in streams.iter().filter(|(_, total)| no_fault(total)) {
            text.sample(&metric::CONNECTIONS_OPEN, "", labels, "", total.open);
        }
        text.head(&metric::BYTES);
        for (labels, total) in those(|what| !matches!(what, What::Copies(_))) {
            for (direction, bytes) in [
                (",direction=\"sent\"", total.sent),
                (",direction=\"received\"", total.received),
            ] {
                text.sample(&metric::BYTES, "", labels, direction, bytes);
            }
        }
        text.codes(&metric::REFUSED, &self.refused);
        text.codes(&metric::HANDSHAKE_FAILURES, &self.handshakes);
        text.codes(&metric::ACCEPT_FAILURES, &self.accepts);
        text.alone(&metric::SERIES_FOLDED, self.folded);
        text.alone(&metric::ACCESS_LOG_DROPPED, self.log_dropped);
        text.alone(&metric::TAP_DROPPED, self.tap_dropped);
        text.head(&metric::BUILD_INFO);
        let version = pairs(&metric::BUILD_INFO, [env!("CARGO_PKG_VERSION")]);
        text.sample(&metric::BUILD_INFO, "", &version, "", 1);
        text.0
    }
}

/// Samples, one a line.
#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, metric: &Metric) {
        let help = escaped(metric.help, &[]);
        self.add(["# HELP ", metric.name, " ", &help]);
        self.add(["\n# TYPE ", metric.name, " ", metric.kind.as_str()]);
        self.0.push('\n');
    }

    fn sample(&mut self, metric: &Metric, suffix: &str, labels: &str, more: &str, value: u64) {
        self.add([metric.name, suffix, "{", labels, more, "} "]);
        self.value(value);
    }

    fn alone(&mut self, metric: &Metric, value: u64) {
        self.head(metric);
        self.add([metric.name, " "]);
        self.value(value);
    }

    fn durations(&mut self, metric: &Metric, labels: &str, took: &Histogram) {
        let mut bucket = |limit, count| {
            self.add([metric.name, "_bucket{", labels, ",le=\"", limit, "\"} "]);
            self.value(count);
        };
        for (limit, duration) in LIMITS {
            bucket(limit, took.at_most(duration));
        }
        // Of the histogram, not of the series: a worker may be between the two.
        let count = took.count();
        bucket("+Inf", count);
        self.add([metric.name, "_sum{", labels, "} "]);
        self.0 += &took.sum().as_secs_f64().to_string();
        self.0.push('\n');
        self.sample(metric, "_count", labels, "", count);
    }

    fn codes(&mut self, metric: &Metric, counts: &CodeCounts) {
        self.head(metric);
        for (reporter, code, count) in counts {
            let fault = code.fault().as_str();
            let values = [reporter.as_str(), code.as_str(), code.slug(), fault];
            self.sample(metric, "", &pairs(metric, values), "", *count);
        }
    }

    fn value(&mut self, value: u64) {
        self.0 += itoa::Buffer::new().format(value);
        self.0.push('\n');
    }

    fn add<const N: usize>(&mut self, parts: [&str; N]) {
        parts.into_iter().for_each(|part| self.0 += part);
    }
}

fn of_traffic(labels: &Labels) -> String {
    let traits = labels.traits;
    let class = match traits.what {
        What::Calls(class) | What::Copies(class) => class.as_str(),
        What::Streams => NONE,
    };
    let values = [
        traits.reporter.as_str(),
        &labels.source,
        &labels.destination,
        &labels.route,
        class,
        traits.security.as_str(),
        traits.fault.map_or(NONE, Fault::as_str),
    ];
    pairs(&metric::REQUESTS, values)
}

/// The labels of a metric with their values.
fn pairs<const N: usize>(metric: &Metric, values: [&str; N]) -> String {
    let mut text = String::new();
    for (label, value) in metric.labels.iter().zip(values) {
        let comma = if text.is_empty() { "" } else { "," };
        let value = escaped(value, &['"']);
        for part in [comma, label.name, "=\"", &value, "\""] {
            text += part;
        }
    }
    text
}

/// A text in which backslash, line feed and `more` are escaped.
fn escaped<'a>(text: &'a str, more: &[char]) -> Cow<'a, str> {
    if !text.contains(['\n', '\\']) && !text.contains(more) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\n' => escaped += "\\n",
            _ => {
                if letter == '\\' || more.contains(&letter) {
                    escaped.push('\\');
                }
                escaped.push(letter);
            }
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    #[test]
    fn values_and_helps_are_escaped_each_in_its_way() {
        assert_eq!(escaped("a\"b\\c\nd", &['"']), r#"a\"b\\c\nd"#);
        assert_eq!(escaped("a\"b\\c\nd", &[]), r#"a"b\\c\nd"#);
    }

    #[test]
    fn every_limit_is_the_edge_of_a_bucket() {
        for (text, limit) in LIMITS {
            assert_eq!(text.parse(), Ok(limit.as_secs_f64()));
            let tally = Tally::new();
            tally.record(limit);
            tally.record(limit + Duration::from_nanos(1));
            let mut histogram = Histogram::default();
            tally.add_to(&mut histogram);
            assert_eq!(histogram.at_most(limit), 1, "{limit:?}");
        }
    }
}
