//! How soon the dashboard's map is there and how smoothly it moves: a page about a made-up mesh, in a
//! browser without a window, over two cores.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
};

use serde_json::Value;

use crate::{
    bench::{
        Measured, Options,
        report::{Figures, Row, Table},
        series::Series,
        setting::Setting,
    },
    dashboard::SOURCES,
    rig::process::{Core, said},
    shell,
};

/// How cargo builds the mesh that is made up.
pub(super) const BUILD: &str = "build --locked --release --package leno-dashboard --example crowd";

/// Has the page opened and moved, once in each round.
pub(super) fn measure(setting: &Setting, options: &Options) -> Measured {
    let (mut first, mut first_work) = (Series::default(), Series::default());
    let (mut all, mut near) = (Moves::default(), Moves::default());
    for _ in 0..options.rounds {
        let told = visit(setting)?;
        first.push(number(&told["first_ms"]));
        first_work.push(number(&told["first_cpu_ms"]));
        all.push(&told["all"]);
        near.push(&told["near"]);
    }
    let mut table = Table::new(&["", "measured"]);
    let mut line = |what: &str, measured: String| table.line(&[what.to_owned(), measured]);
    line("first picture, CPU", format!("{first_work:.0} ms"));
    for (
        part,
        Moves {
            rate,
            slowest,
            work,
        },
    ) in [
        ("all of it in the window", &all),
        ("a part of it, with words", &near),
    ] {
        line(&format!("{part}: frames a second"), format!("{rate:.0}"));
        line(
            &format!("{part}: 99 of 100 frames within"),
            format!("{slowest:.0} ms"),
        );
        line(&format!("{part}: CPU for a frame"), format!("{work:.1} ms"));
    }
    let rows = vec![
        Row {
            what: "first picture of 300 services and 1,500 edges",
            target: "under 1 s".to_owned(),
            measured: format!("{first:.0} ms"),
            reached: first.median() < 1000.0,
        },
        Row {
            what: "frames a second while that map moves",
            target: "60".to_owned(),
            measured: format!("{:.0}", all.rate),
            // A browser's clock and ours part by a frame or so.
            reached: all.rate.median() > 59.0,
        },
    ];
    Ok(Figures {
        rows,
        table,
        plots: Vec::new(),
    })
}

/// What is told of frames while the map moves.
#[derive(Default)]
struct Moves {
    rate: Series,
    slowest: Series,
    work: Series,
}

impl Moves {
    fn push(&mut self, told: &Value) {
        self.rate.push(number(&told["fps"]));
        self.slowest.push(number(&told["p99_ms"]));
        self.work.push(number(&told["cpu_ms_per_frame"]));
    }
}

fn number(told: &Value) -> f64 {
    told.as_f64().unwrap_or(f64::NAN)
}

/// What `pace.mjs` tells of one visit.
fn visit(setting: &Setting) -> Result<Value, Box<dyn std::error::Error>> {
    let mut crowd = Core::Both
        .command(&setting.target().join("release/examples/crowd"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut link = String::new();
    let out = crowd.stdout.take().ok_or("its output is piped")?;
    let read = BufReader::new(out).read_line(&mut link);
    let script = shell::root().join(SOURCES).join("tests/pace.mjs");
    let told = said(
        Core::Both
            .command(Path::new("node"))
            .arg(script)
            .arg(link.trim()),
    );
    crowd.kill()?;
    crowd.wait()?;
    read?;
    Ok(serde_json::from_str(&told?)?)
}
