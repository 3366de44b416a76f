//! What it costs a proxy that follows a control plane to see its calls: beside one that is blind.

use crate::bench::{
    Measured, Options,
    call::{self, SMALL},
    fleet::{self, Fleet},
    report::Figures,
    setting::Setting,
    turns::Aim,
};
use crate::rig::contestant::Contestant;

/// Lets the same calls go through proxies that see more and more of them.
pub(super) fn measure(setting: &Setting, options: &Options) -> Measured {
    let mut fleet = Fleet::start_told(setting, "seeing", KINDS.len(), TOLD, COLLECTOR)?;
    fleet.apply("traced", TRACED)?;
    let contestants = KINDS.iter().zip(fleet.proxies.drain(..)).enumerate();
    let contestants = contestants.map(|(number, (name, proxy))| Contestant {
        name: (*name).to_owned(),
        address: match *name {
            TRACING => fleet::address_of_another(number),
            _ => fleet::address(number),
        },
        proxies: vec![proxy],
    });
    let contestants: Vec<_> = contestants.collect();
    let turns = call::measure(setting, SMALL, &contestants, options)?;
    let aims = [
        Aim {
            what: "CPU per request of a proxy that sees, plain hop",
            column: 0,
            over: BLIND,
            most: 1.05,
        },
        Aim {
            what: "the same with 1 % of the calls traced",
            column: 0,
            over: BLIND,
            most: 1.07,
        },
    ];
    let rows = [SEEING, TRACING].into_iter().zip(&aims);
    Ok(Figures {
        rows: rows
            .filter_map(|(name, aim)| turns.row(name, aim))
            .collect(),
        table: turns.table(BLIND),
        plots: Vec::new(),
    })
}

const BLIND: &str = "blind";
const SEEING: &str = "metrics, kept calls, flows to the control plane";
const TRACING: &str = "the same, and 1 % of the calls traced";
const LOGGING: &str = "the same without traces, and a line of JSON for each call";

const KINDS: [&str; 4] = [BLIND, SEEING, TRACING, LOGGING];

/// What each of them is told on its command line.
const TOLD: &[&[&str]] = &[&["--blind"], &[], &[], &["--access-log", "json"]];

/// The origin takes spans too.
const COLLECTOR: &str = "\
spec:
  telemetry:
    collector: {endpoint: 'http://127.0.0.1:4318', protocol: HTTP, send: [Traces]}
";

/// Calls of one service are traced.
const TRACED: &str = "\
apiVersion: leno.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: traced}
spec:
  targetRefs: [{kind: Service, name: service-1}]
  tracing: {sample: 1%}
";
