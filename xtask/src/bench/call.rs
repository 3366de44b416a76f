//! CPU time per call at saturation: each contestant has its turn in each round, in an order that is
//! turned around from round to round, so that what else the machine does falls on all alike.

use std::{net::SocketAddr, path::Path};

use crate::bench::{
    Options,
    contestant::{Contestant, MEASURE},
    process::Core,
    series::Series,
};

/// What the calls of one contestant cost.
pub(super) struct Cost {
    /// Who.
    pub(super) name: String,
    /// Microseconds of CPU per call, of all its processes.
    pub(super) micros: Series,
    /// The same over the measure's of the same round.
    pub(super) ratio: Series,
}

/// Measures all `contestants`, in their order.
pub(super) fn measure(
    contestants: Vec<Contestant>,
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
        .position(|contestant| contestant.name == MEASURE);
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
