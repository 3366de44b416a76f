//! What one decision takes: the benchmark of `leno-traffic`, run and read.

use std::path::Path;

use crate::bench::process::Core;

/// What one decision takes among so many routes: admit by 100 rules, route, pick one of 100 endpoints.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Decision {
    /// How many routes there are.
    pub(super) routes: u32,
    /// The median, in nanoseconds, of all three together.
    pub(super) nanos: f64,
}

/// The words that make cargo run the benchmark, with `more` of them.
pub(super) fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let words = "bench --locked --profile dist --package leno-traffic --bench decisions";
    words.split(' ').chain(more.iter().copied()).collect()
}

/// Runs the benchmark, which has been built.
pub(super) fn measure() -> Result<Vec<Decision>, Box<dyn std::error::Error>> {
    let mut command = Core::Proxy.command(Path::new("cargo"));
    let said = command
        .args(with(&["--offline"]))
        .current_dir(crate::shell::root())
        .output()?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into_owned().into());
    }
    let said = String::from_utf8(said.stdout)?;
    print!("{said}");
    Ok(read(&said))
}

/// Reads its table: the first column counts routes, the one that is headed `all` is all together.
fn read(said: &str) -> Vec<Decision> {
    let mut lines = said.lines();
    let column = lines.find_map(|line| line.split_whitespace().position(|word| word == "all"));
    let rows = lines.filter_map(|line| {
        let mut figures = line.split_whitespace();
        let routes = figures.clone().next()?.parse().ok()?;
        let nanos = figures.nth(column?)?.parse().ok()?;
        Some(Decision { routes, nanos })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let said = "medians, in nanoseconds\n routes  admit  route  pick  all make table\n   1000    314    235   151  766        507\n";
        let expected = Decision {
            routes: 1000,
            nanos: 766.0,
        };
        assert_eq!(read(said), [expected]);
        assert_eq!(read("no table\n"), []);
    }
}
