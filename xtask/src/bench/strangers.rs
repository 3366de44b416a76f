//! What a client that asks for ever other hosts and paths makes a proxy hold that follows a control
//! plane.

use std::{
    error::Error,
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    ops::Range,
};

use crate::bench::{
    Measured, Options,
    client::{connect, length},
    fleet::{self, Fleet},
    report::{Figures, Row, Table, megabytes},
    setting::Setting,
};
use crate::rig::process::{Memory, Running, local};

/// Asks a million times, and looks at what the proxy holds after some of that.
pub(super) fn measure(setting: &Setting, _options: &Options) -> Measured {
    let fleet = Fleet::start_told(setting, "strangers", 1, TOLD, "")?;
    let proxy = fleet.proxies.first().ok_or("there is one proxy")?;
    let mut connection = connect(fleet::address(0))?;
    let mut looks = Vec::new();
    let mut asked = 0;
    for until in LOOKS {
        ask(&mut connection, asked..until)?;
        asked = until;
        looks.push(Look::at(proxy, asked)?);
    }
    figures(&looks)
}

fn figures(looks: &[Look]) -> Measured {
    let mut table = Table::new(&["requests", "counted", "series", "RSS", "private"]);
    for look in looks {
        table.line(&[
            look.asked.to_string(),
            look.counted.to_string(),
            look.series.to_string(),
            megabytes(look.memory.resident),
            megabytes(look.memory.private),
        ]);
    }
    let (Some(before), Some(last)) = (looks.get(1), looks.last()) else {
        return Err("there are looks before and after".into());
    };
    let grown = last.memory.resident.saturating_sub(before.memory.resident);
    let missed = last.asked.abs_diff(last.counted);
    let rows = vec![
        Row {
            what: "1,000,000 hosts and paths: RSS, from the 100,000th on",
            target: format!("at most {} more", megabytes(MOST_GROWTH)),
            measured: megabytes(grown),
            reached: grown <= MOST_GROWTH,
        },
        Row {
            what: "the same: requests that are not counted",
            target: "none".to_owned(),
            measured: missed.to_string(),
            reached: missed == 0,
        },
        Row {
            what: "the same: series",
            target: format!("at most {MOST_SERIES}"),
            measured: last.series.to_string(),
            reached: last.series <= MOST_SERIES,
        },
    ];
    Ok(Figures {
        rows,
        table,
        plots: Vec::new(),
    })
}

/// What a proxy holds and tells after so many requests.
struct Look {
    asked: usize,
    memory: Memory,
    /// How many requests it has counted.
    counted: usize,
    /// How many series it tells.
    series: usize,
}

impl Look {
    fn at(proxy: &Running, asked: usize) -> Result<Self, Box<dyn Error>> {
        let told = metrics(local(METRICS))?;
        let (counted, series) = read(&told);
        Ok(Self {
            asked,
            memory: proxy.memory()?,
            counted,
            series,
        })
    }
}

/// How many requests were counted at the caller's side, and how many series there are.
fn read(told: &str) -> (usize, usize) {
    let series = told.lines().filter(|line| line.starts_with("leno_"));
    let counted = told.lines().filter_map(|line| {
        line.starts_with("leno_requests_total{").then_some(())?;
        line.rsplit(' ').next()?.parse::<usize>().ok()
    });
    (counted.sum(), series.count())
}

fn metrics(from: SocketAddr) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(from)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: leno\r\nconnection: close\r\n\r\n")?;
    let mut told = String::new();
    stream.read_to_string(&mut told)?;
    Ok(told)
}

/// Asks for hosts and paths that nobody asked for before, some at once.
fn ask(connection: &mut TcpStream, numbers: Range<usize>) -> Result<(), Box<dyn Error>> {
    for first in numbers.clone().step_by(AT_ONCE) {
        let some = first..numbers.end.min(first + AT_ONCE);
        let mut requests = String::new();
        for number in some.clone() {
            write!(
                requests,
                "GET /{number}/of-{number} HTTP/1.1\r\nhost: h{number}.example\r\n\r\n"
            )?;
        }
        connection.write_all(requests.as_bytes())?;
        let mut told = Vec::new();
        let mut piece = [0; 16 << 10];
        for _ in some {
            let whole = loop {
                if let Some((head, body)) = length(&told)
                    && told.len() >= head + body
                {
                    break head + body;
                }
                match connection.read(&mut piece)? {
                    0 => return Err("the proxy closed the connection".into()),
                    count => told.extend_from_slice(piece.get(..count).unwrap_or_default()),
                }
            };
            told.drain(..whole);
        }
    }
    Ok(())
}

/// After how many requests it is looked; flat is what does not grow from the second on.
const LOOKS: [usize; 4] = [1_000, 100_000, 500_000, 1_000_000];

/// How many requests go out before answers are read.
const AT_ONCE: usize = 100;

/// In bytes.
const MOST_GROWTH: u64 = 2 << 20;

/// Of a process.
const MOST_SERIES: usize = 10_000;

/// What the proxy is told on its command line.
const TOLD: &[&[&str]] = &[&["--metrics", "127.0.0.1:15021"]];

/// Where it tells its metrics.
const METRICS: u16 = 15021;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_tells_is_read() {
        let told = "# TYPE leno_requests_total counter\nleno_requests_total{a=\"b\"} 7\n\
                    leno_requests_total{a=\"c\"} 3\nleno_build_info{} 1\n";
        assert_eq!(read(told), (10, 3));
    }
}
