//! What a control plane tells of itself.

use std::borrow::Cow;

use leno_model::{Code, Severity, Wall};

use crate::export::Exported;
use crate::exposition::{Exposition, Family, Sample, build_info, of_export};
use crate::metric;

/// What a control plane tells of itself at one moment.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct ControlPlane {
    /// The newest revision.
    pub revision: u64,
    /// How many proxies hold what is in force.
    pub current: u64,
    /// How many are connected and do not.
    pub behind: u64,
    /// How many workloads took mesh calls and have no proxy that is connected.
    pub away: u64,
    /// When the first of each kind of certificate ends: `workload`, `intermediate`, `root`.
    pub certificates: Vec<(&'static str, Wall)>,
    /// When the last root ends that is held of each other trust domain.
    pub peers: Vec<(String, Wall)>,
    /// How many findings there are.
    pub findings: Vec<(Severity, u64)>,
    /// How many pods are to be in the mesh and have no proxy, by the code of what they lack.
    pub without_proxy: Vec<(Code, u64)>,
    /// How often something went wrong, by code.
    pub troubles: Vec<(Code, u64)>,
    /// How large its files are, in bytes, with their logs: `store`, `flows`.
    pub files: Vec<(&'static str, u64)>,
    /// What became of what it sent to a collector.
    pub exported: Vec<Exported>,
    /// How it follows the log that it shares with others, if it is one of several.
    pub following: Option<Following>,
}

/// How one of several control planes follows the log that they share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Following {
    /// Whether it is the one that acts.
    pub acts: bool,
    /// The number of the last entry that it holds.
    pub number: u64,
    /// How many entries it lacks.
    pub behind: u64,
}

impl ControlPlane {
    /// All of it.
    pub fn exposition(&self) -> Exposition<'_> {
        let proxies = [
            ("current", self.current),
            ("behind", self.behind),
            ("away", self.away),
        ];
        let certificates = self.certificates.iter();
        let certificates =
            certificates.map(|(of, ends)| (*of, ends.elapsed_since_epoch().as_secs()));
        let peers = self.peers.iter().map(|(domain, ends)| {
            let ends = ends.elapsed_since_epoch().as_secs();
            Sample::new([Cow::Borrowed(domain.as_str())], ends)
        });
        let findings = self.findings.iter();
        let findings = findings.map(|(severity, count)| (word(*severity), *count));
        let without_proxy = self.without_proxy.iter().map(|(code, count)| {
            let labels = [code.as_str(), code.slug()];
            Sample::new(labels.map(Cow::Borrowed), *count)
        });
        let troubles = self.troubles.iter().map(|(code, count)| {
            let labels = [code.as_str(), code.slug(), code.fault().as_str()];
            Sample::new(labels.map(Cow::Borrowed), *count)
        });
        let of_log = |value: fn(&Following) -> u64| {
            let value = self.following.as_ref().map(value);
            value.map(|value| Sample::new([], value))
        };
        Exposition(
            [
                Family::alone(&metric::CONTROL_REVISION, self.revision),
                by_word(&metric::CONTROL_PROXIES, proxies),
                by_word(&metric::CONTROL_CERTIFICATE_ENDS, certificates),
                Family::new(&metric::CONTROL_PEER_KEYS_END, peers),
                by_word(&metric::CONTROL_FINDINGS, findings),
                Family::new(&metric::CONTROL_PODS_WITHOUT_PROXY, without_proxy),
                Family::new(&metric::CONTROL_TROUBLES, troubles),
                by_word(&metric::CONTROL_FILE_BYTES, self.files.iter().copied()),
                Family::new(&metric::CONTROL_ACTING, of_log(|it| it.acts.into())),
                Family::new(&metric::CONTROL_LOG_ENTRY, of_log(|it| it.number)),
                Family::new(&metric::CONTROL_LOG_BEHIND, of_log(|it| it.behind)),
            ]
            .into_iter()
            .chain(of_export(&self.exported))
            .chain([build_info()])
            .collect(),
        )
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

fn by_word(
    metric: &'static metric::Metric,
    values: impl IntoIterator<Item = (&'static str, u64)>,
) -> Family<'static> {
    let values = values.into_iter();
    Family::new(
        metric,
        values.map(|(word, value)| Sample::new([Cow::Borrowed(word)], value)),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metric::CONTROL_METRICS;
    use crate::prometheus::Format;

    #[test]
    fn every_metric_of_the_table_is_told_with_its_labels() {
        let told = ControlPlane {
            revision: 7,
            current: 3,
            certificates: vec![("root", Wall::since_epoch(Duration::from_secs(9)))],
            peers: vec![(
                "bank.example".to_owned(),
                Wall::since_epoch(Duration::from_secs(8)),
            )],
            findings: vec![(Severity::Error, 2)],
            without_proxy: vec![(Code::C195, 2)],
            troubles: vec![(Code::T007, 4)],
            files: vec![("store", 4096)],
            following: Some(Following {
                acts: true,
                number: 12,
                behind: 0,
            }),
            ..ControlPlane::default()
        };
        let exposition = told.exposition();
        let metrics: Vec<_> = exposition.0.iter().map(|family| family.metric).collect();
        assert_eq!(metrics, CONTROL_METRICS.iter().collect::<Vec<_>>());
        let text = String::from_utf8(Format::Text.write(&exposition)).unwrap();
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples.join("\n"),
            format!(
                r#"leno_control_revision 7
leno_control_proxies{{state="current"}} 3
leno_control_proxies{{state="behind"}} 0
leno_control_proxies{{state="away"}} 0
leno_control_certificate_ends_seconds{{of="root"}} 9
leno_control_peer_keys_end_seconds{{trust_domain="bank.example"}} 8
leno_control_findings{{severity="error"}} 2
leno_control_pods_without_proxy{{code="C195",slug="pod-without-proxy"}} 2
leno_control_troubles_total{{code="T007",slug="certificate-not-renewing",fault="configuration"}} 4
leno_control_file_bytes{{file="store"}} 4096
leno_control_acting 1
leno_control_log_entry 12
leno_control_log_behind 0
leno_build_info{{version="{}"}} 1"#,
                env!("CARGO_PKG_VERSION")
            )
        );
    }
}
