//! The two formats that are text.

use std::borrow::Cow;
use std::fmt::Write;

use leno_model::Histogram;

use crate::exposition::{Exemplar, Exposition, Family, LIMITS, Sample, Value, in_buckets};
use crate::metric::{Kind, Metric};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dialect {
    Prometheus,
    OpenMetrics,
}

pub(super) fn write(exposition: &Exposition<'_>, dialect: Dialect) -> Vec<u8> {
    let mut text = Text {
        text: String::new(),
        dialect,
    };
    for family in &exposition.0 {
        text.family(family);
    }
    if dialect == Dialect::OpenMetrics {
        text.add(["# EOF\n"]);
    }
    text.text.into_bytes()
}

/// Samples, one a line.
struct Text {
    text: String,
    dialect: Dialect,
}

impl Text {
    fn family(&mut self, family: &Family<'_>) {
        let metric = family.metric;
        // In OpenMetrics what only grows is named without the end that its samples have.
        let name = match (self.dialect, metric.kind) {
            (Dialect::OpenMetrics, Kind::Counter) => metric.name.trim_end_matches("_total"),
            _ => metric.name,
        };
        let help = match self.dialect {
            Dialect::Prometheus => escaped(metric.help, &[]),
            Dialect::OpenMetrics => escaped(metric.help, &['"']),
        };
        self.add(["# HELP ", name, " ", &help]);
        self.add(["\n# TYPE ", name, " ", metric.kind.as_str(), "\n"]);
        for sample in &family.samples {
            self.sample(metric, sample);
        }
    }

    fn sample(&mut self, metric: &Metric, sample: &Sample<'_>) {
        let labels = pairs(metric, sample);
        match &sample.value {
            Value::Number(value) => self.number(metric, "", &labels, *value),
            Value::Durations(took, exemplars) => self.durations(metric, &labels, took, exemplars),
        }
    }

    fn number(&mut self, metric: &Metric, suffix: &str, labels: &str, value: u64) {
        self.add([metric.name, suffix]);
        if !labels.is_empty() {
            self.add(["{", labels, "}"]);
        }
        self.add([" "]);
        self.value(value);
        self.add(["\n"]);
    }

    fn durations(
        &mut self,
        metric: &Metric,
        labels: &str,
        took: &Histogram,
        exemplars: &[Exemplar],
    ) {
        let named = match self.dialect {
            Dialect::Prometheus => in_buckets(&[]),
            Dialect::OpenMetrics => in_buckets(exemplars),
        };
        // Of the histogram, not of the series: a worker may be between the two.
        let count = took.count();
        let limits = LIMITS.map(|(limit, duration)| (limit, took.at_most(duration)));
        let buckets = limits.into_iter().chain([("+Inf", count)]);
        for ((limit, count), exemplar) in buckets.zip(named) {
            self.add([metric.name, "_bucket{", labels, ",le=\"", limit, "\"} "]);
            self.value(count);
            if let Some(exemplar) = exemplar {
                self.exemplar(exemplar);
            }
            self.add(["\n"]);
        }
        self.add([metric.name, "_sum{", labels, "} "]);
        self.show(took.sum().as_secs_f64());
        self.add(["\n"]);
        self.number(metric, "_count", labels, count);
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        self.add([" # {"]);
        for (index, (name, value)) in exemplar.labels().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            self.add([comma, name, "=\"", &value, "\""]);
        }
        self.add(["} "]);
        self.show(exemplar.took.as_secs_f64());
        self.add([" "]);
        self.show(exemplar.ended.elapsed_since_epoch().as_secs_f64());
    }

    fn value(&mut self, value: u64) {
        self.text += itoa::Buffer::new().format(value);
    }

    fn show(&mut self, value: f64) {
        write!(self.text, "{value}").expect("a String takes every letter");
    }

    fn add<const N: usize>(&mut self, parts: [&str; N]) {
        parts.into_iter().for_each(|part| self.text += part);
    }
}

/// The labels of a sample with their values.
fn pairs(metric: &Metric, sample: &Sample<'_>) -> String {
    let mut text = String::new();
    for (label, value) in metric.labels.iter().zip(sample.labels()) {
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

    #[test]
    fn values_and_helps_are_escaped_each_in_its_way() {
        assert_eq!(escaped("a\"b\\c\nd", &['"']), r#"a\"b\\c\nd"#);
        assert_eq!(escaped("a\"b\\c\nd", &[]), r#"a"b\\c\nd"#);
    }
}
