//! CPU time per call at saturation: each contestant has its turn in each round, in an order that is
//! turned around from round to round, so that what else the machine does falls on all alike.

use std::{net::SocketAddr, path::Path};

use crate::bench::{
    Measured, Options,
    contestant::{Contestant, MEASURE},
    process::Core,
    report::{Figures, Row, Table},
    series::Series,
    setting::Setting,
};

/// What a call costs that goes through one proxy.
pub(super) fn hop(setting: &Setting, options: &Options) -> Measured {
    let costs = measure(setting.hop()?, MEASURE, options)?;
    Ok(figures("CPU per request, plain HTTP/1.1 hop", 1.1, &costs))
}

/// What a call costs that goes through two, with mutual TLS between them.
pub(super) fn pair(setting: &Setting, options: &Options) -> Measured {
    let costs = measure(setting.pair()?, MEASURE, options)?;
    Ok(figures("CPU per request, mutual TLS pair", 1.2, &costs))
}

fn figures(what: &'static str, target: f64, costs: &[Cost]) -> Figures {
    let ratio = format!("x {MEASURE} of the same round");
    let mut table = Table::new(&["", "µs of CPU per request", &ratio]);
    for cost in costs {
        let Cost {
            name,
            micros,
            ratio,
        } = cost;
        table.line(&[name.clone(), format!("{micros:.1}"), format!("{ratio:.2}")]);
    }
    let row = costs.first().map(|Cost { ratio, .. }| Row {
        what,
        target: format!("at most {target:.1} x HAProxy"),
        measured: format!("{ratio:.2} x"),
        reached: ratio.median() <= target,
    });
    Figures {
        rows: row.into_iter().collect(),
        table,
    }
}

/// What the calls of one contestant cost.
pub(super) struct Cost {
    /// Who.
    pub(super) name: String,
    /// Microseconds of CPU per call, of all its processes.
    pub(super) micros: Series,
    /// The same over the measure's of the same round.
    pub(super) ratio: Series,
}

/// Measures all `contestants`, in their order, and compares them with the `measure` among them.
pub(super) fn measure(
    contestants: Vec<Contestant>,
    measure: &str,
    options: &Options,
) -> Result<Vec<Cost>, Box<dyn std::error::Error>> {
    let mut micros = vec![Series::default(); contestants.len()];
    for contestant in &contestants {
        load(contestant.address, 1)?;
    }
    for round in 0..options.rounds {
        let mut turns: Vec<_> = contestants.iter().zip(&mut micros).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (contestant, series) in turns {
            let before = contestant.cpu()?;
            let calls = load(contestant.address, options.seconds)?;
            let used = contestant.cpu()? - before;
            let figure = used.as_secs_f64() * 1e6 / calls as f64;
            println!(
                "round {round}  {}  {figure:.1} us of CPU per call, {calls} calls",
                contestant.name
            );
            series.push(figure);
        }
    }
    let measure = contestants
        .iter()
        .position(|contestant| contestant.name == measure);
    let measure = measure
        .and_then(|place| micros.get(place))
        .cloned()
        .unwrap_or_default();
    let named = contestants.into_iter().zip(micros);
    Ok(named
        .map(|(contestant, micros)| Cost {
            ratio: micros.over(&measure),
            name: contestant.name,
            micros,
        })
        .collect())
}

/// Calls for so many seconds over 32 connections; how many calls were answered.
fn load(address: SocketAddr, seconds: u32) -> Result<u64, Box<dyn std::error::Error>> {
    let mut command = Core::Other.command(Path::new("wrk"));
    command.args([
        "-t1",
        "-c32",
        &format!("-d{seconds}s"),
        &format!("http://{address}/"),
    ]);
    let said = String::from_utf8(command.output()?.stdout)?;
    Ok(answered(&said)
        .ok_or_else(|| format!("not every call to {address} was answered well: {said}"))?)
}

/// Reads what wrk says: `  51234 requests in 2.00s, 65.90MB read`, and nothing of errors.
fn answered(said: &str) -> Option<u64> {
    let flawed = |line: &str| line.contains("Non-2xx") || line.contains("Socket errors");
    if said.lines().any(flawed) {
        return None;
    }
    let line = said.lines().find(|line| line.contains(" requests in "))?;
    let calls = line.split_whitespace().next()?.parse().ok()?;
    (calls > 0).then_some(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_flawless_runs_count() {
        let fine = "Running 2s test\n  51234 requests in 2.00s, 65.90MB read\n";
        assert_eq!(answered(fine), Some(51234));
        assert_eq!(
            answered(&format!("{fine}  Non-2xx or 3xx responses: 1\n")),
            None
        );
        assert_eq!(answered("  0 requests in 2.00s, 0B read\n"), None);
        assert_eq!(answered("unable to connect"), None);
    }
}
