//! What bytes cost that no proxy reads: one connection that brings a file again and again.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    thread,
    time::Duration,
};

use crate::bench::{
    Measured, Options,
    client::{connect, length},
    report::Figures,
    setting::{LENO, Setting},
    turns::{Aim, Column, Turns},
};
use crate::rig::{
    course::{Course, Spoken, Way},
    make::{ENVOY, Make},
    process::{Core, now},
};

/// Through one proxy.
pub(super) fn plain(setting: &Setting, options: &Options) -> Measured {
    let aim = Aim {
        what: "CPU per GiB, TCP in plain",
        column: 0,
        over: ENVOY,
        most: 0.5,
    };
    measure(setting, options, "bench-relay", Way::Hop, &aim)
}

/// Through two, with mutual TLS between them.
pub(super) fn pair(setting: &Setting, options: &Options) -> Measured {
    let aim = Aim {
        what: "CPU per GiB, TCP through the mutual TLS pair",
        column: 0,
        over: ENVOY,
        most: 0.9,
    };
    measure(
        setting,
        options,
        "bench-relay-pair",
        Way::Pair(Spoken::Tcp),
        &aim,
    )
}

fn measure(setting: &Setting, options: &Options, file: &str, way: Way, aim: &Aim) -> Measured {
    let course = Course::new(Spoken::Tcp, way);
    let peers = [Make::HaProxy, setting.envoy()];
    let contestants = setting.start(&course, Core::Proxy, &peers)?;
    let time = Duration::from_secs(options.seconds.into());
    let turns = Turns::take(COLUMNS, &contestants, options.rounds, |contestant| {
        let before = contestant.cpu()?;
        let begin = now();
        let gib = fetch(contestant.address, time)? as f64 / f64::from(1 << 30);
        let (took, used) = (begin.elapsed(), contestant.cpu()? - before);
        Ok([used.as_secs_f64() * 1e3 / gib, gib / took.as_secs_f64()])
    })?;
    Ok(Figures {
        rows: turns.row(LENO, aim).into_iter().collect(),
        table: turns.table(ENVOY),
        plots: turns.plot(file, 0).into_iter().collect(),
    })
}

/// Asks for the large file again and again until the time is over, on the core of clients; how many
/// bytes came.
pub(super) fn fetch(address: SocketAddr, time: Duration) -> Result<usize, Box<dyn Error>> {
    let client = thread::spawn(move || {
        Core::Other.pin()?;
        bring(address, time)
    });
    Ok(client.join().map_err(|_| "the client has panicked")??)
}

fn bring(address: SocketAddr, time: Duration) -> io::Result<usize> {
    let mut connection = connect(address)?;
    let mut room = vec![0; 256 * 1024];
    let mut all = 0;
    let begin = now();
    while begin.elapsed() < time {
        connection.write_all(b"GET /large HTTP/1.1\r\nhost: cart\r\n\r\n")?;
        // nginx sends its heads in one piece.
        let first = connection.read(&mut room)?;
        let (head, body) = length(room.get(..first).unwrap_or_default())
            .ok_or_else(|| io::Error::other("no head of an answer"))?;
        let mut come = first;
        while come < head + body {
            let count = connection.read(&mut room)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            come += count;
        }
        all += come;
    }
    Ok(all)
}

const COLUMNS: &[Column; 2] = &[
    Column {
        what: "ms of CPU per GiB",
        digits: 0,
    },
    Column {
        what: "GiB/s",
        digits: 2,
    },
];
