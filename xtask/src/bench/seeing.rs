//! What it costs a proxy that follows a control plane to see its calls: beside one that is blind.

use crate::bench::{
    Measured, Options,
    call::{self, Cost},
    contestant::Contestant,
    fleet::{self, Fleet},
    report::{Figures, Row, Table},
    setting::Setting,
};

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
    let costs = call::measure(contestants.collect(), BLIND, options)?;
    let mut table = Table::new(&["", "µs of CPU per request", "x blind of the same round"]);
    for cost in &costs {
        let Cost {
            name,
            micros,
            ratio,
        } = cost;
        table.line(&[name.clone(), format!("{micros:.1}"), format!("{ratio:.3}")]);
    }
    let row = |what, name, most: f64| {
        let Cost { ratio, .. } = costs.iter().find(|cost| cost.name == name)?;
        Some(Row {
            what,
            target: format!("at most {most:.2} x"),
            measured: format!("{ratio:.3} x"),
            reached: ratio.median() <= most,
        })
    };
    let rows = [
        row(
            "CPU per request of a proxy that sees, plain hop",
            SEEING,
            1.05,
        ),
        row("the same with 1 % of the calls traced", TRACING, 1.07),
    ];
    Ok(Figures {
        rows: rows.into_iter().flatten().collect(),
        table,
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
