//! What Prometheus reads, in the three formats that it asks for: its text, OpenMetrics, and protobuf,
//! the only one that carries native histograms. All three give the same series.

mod protobuf;
mod text;

use crate::exposition::Exposition;

/// How a scrape is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.0: the text with exemplars.
    OpenMetrics,
    /// `io.prometheus.client.MetricFamily`, each behind its length: with exemplars and native
    /// histograms.
    Protobuf,
}

impl Format {
    /// The one that an `Accept` header asks for most, of those that are spoken here; text for who
    /// asks for none of them.
    pub fn asked(accept: &str) -> Self {
        let mut best = (0.0, Self::Text);
        for range in accept.split(',') {
            let Some((weight, format)) = asked(range) else {
                continue;
            };
            // Of equals the first.
            if weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }

    /// What a response that carries it says of itself.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited"
            }
        }
    }

    /// The body of a scrape.
    pub fn write(self, exposition: &Exposition<'_>) -> Vec<u8> {
        match self {
            Self::Text => text::write(exposition, text::Dialect::Prometheus),
            Self::OpenMetrics => text::write(exposition, text::Dialect::OpenMetrics),
            Self::Protobuf => protobuf::write(exposition),
        }
    }
}

/// One range of an `Accept` header, if it is of what is spoken here, and its weight.
fn asked(range: &str) -> Option<(f32, Format)> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next()?.to_ascii_lowercase();
    let (mut weight, mut version, mut proto, mut encoding) = (1.0, None, None, None);
    for part in parts {
        let (name, value) = part.split_once('=')?;
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "q" => weight = value.parse().ok()?,
            "version" => version = Some(value),
            "proto" => proto = Some(value),
            "encoding" => encoding = Some(value),
            _ => {}
        }
    }
    let format = match kind.as_str() {
        "application/vnd.google.protobuf" => {
            let spoken = proto? == "io.prometheus.client.MetricFamily" && encoding? == "delimited";
            spoken.then_some(Format::Protobuf)?
        }
        "application/openmetrics-text" => {
            let spoken = version.is_none_or(|version| version == "1.0.0");
            spoken.then_some(Format::OpenMetrics)?
        }
        "text/plain" | "text/*" | "*/*" => Format::Text,
        _ => return None,
    };
    Some((weight, format))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_wanted_most() {
        let check = |accept: &str, expect| assert_eq!(Format::asked(accept), expect, "{accept}");
        let native = "application/vnd.google.protobuf;\
            proto=io.prometheus.client.MetricFamily;encoding=delimited";
        let open = "application/openmetrics-text;version=1.0.0";
        let rest = "text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        check("", Format::Text);
        check("*/*", Format::Text);
        check(rest, Format::Text);
        check(&format!("{open},{rest}"), Format::OpenMetrics);
        check(&format!("{native},{open};q=0.6,{rest}"), Format::Protobuf);
        check(&format!("{native};q=0.2,{open};q=0.6"), Format::OpenMetrics);
        check("application/openmetrics-text; version=0.0.1", Format::Text);
        check("Application/OpenMetrics-Text", Format::OpenMetrics);
        check(
            "application/vnd.google.protobuf;proto=a.B;encoding=delimited",
            Format::Text,
        );
        check("application/openmetrics-text;q=0", Format::Text);
        check("text/html,;;q=,=", Format::Text);
    }
}
