//! CPU time per call at saturation.

use crate::bench::{
    Measured, Options,
    load::{Call, Load},
    report::Figures,
    setting::{LENO, Setting},
    turns::{Aim, Column, Turns},
};
use crate::rig::{
    contestant::Contestant,
    course::{Course, Spoken, Way},
    make::{ENVOY, HAPROXY, Make},
    process::Core,
};

/// What a call costs that goes through one proxy.
pub(super) fn hop(setting: &Setting, options: &Options) -> Measured {
    let saturation = Saturation {
        file: "bench-hop",
        course: Course::new(Spoken::Http1, Way::Hop),
        peers: &[Make::HaProxy, Make::Nginx, setting.envoy()],
        load: SMALL,
        measure: HAPROXY,
        aims: &[Aim {
            what: "CPU per request, plain HTTP/1.1 hop",
            column: 0,
            over: HAPROXY,
            most: 0.95,
        }],
    };
    saturation.figures(setting, options)
}

/// What a call costs that goes through two, with mutual TLS between them.
pub(super) fn pair(setting: &Setting, options: &Options) -> Measured {
    let saturation = Saturation {
        file: "bench-pair",
        course: Course::new(Spoken::Http1, Way::Pair(Spoken::Http2)),
        peers: &[Make::HaProxy, setting.envoy()],
        load: SMALL,
        measure: HAPROXY,
        aims: &[Aim {
            what: "CPU per request, mutual TLS pair",
            column: 0,
            over: HAPROXY,
            most: 0.95,
        }],
    };
    saturation.figures(setting, options)
}

/// The same with answers of 64 KB.
pub(super) fn large(setting: &Setting, options: &Options) -> Measured {
    let saturation = Saturation {
        file: "bench-large",
        course: Course::new(Spoken::Http1, Way::Pair(Spoken::Http2)),
        peers: &[Make::HaProxy, setting.envoy()],
        load: Load::Http1 {
            connections: 64,
            path: "/64k",
        },
        measure: HAPROXY,
        aims: &[Aim {
            what: "CPU per request of 64 KB, mutual TLS pair",
            column: 0,
            over: HAPROXY,
            most: 0.9,
        }],
    };
    saturation.figures(setting, options)
}

/// What a call of HTTP/2 costs that goes through one proxy.
pub(super) fn http2(setting: &Setting, options: &Options) -> Measured {
    let aim = |over, most| Aim {
        what: "CPU per request, HTTP/2 hop",
        column: 0,
        over,
        most,
    };
    let saturation = Saturation {
        file: "bench-http2",
        course: Course::new(Spoken::Http2, Way::Hop),
        peers: &[Make::HaProxy, setting.envoy()],
        load: Load::Http2 {
            connections: 4,
            streams: 100,
            call: Call::Get,
        },
        measure: HAPROXY,
        aims: &[aim(ENVOY, 0.5), aim(HAPROXY, 1.0)],
    };
    saturation.figures(setting, options)
}

/// What a unary call of gRPC costs that goes through two proxies.
pub(super) fn grpc(setting: &Setting, options: &Options) -> Measured {
    let saturation = Saturation {
        file: "bench-grpc",
        course: Course::new(Spoken::Grpc, Way::Pair(Spoken::Http2)),
        peers: &[Make::HaProxy, setting.envoy()],
        load: Load::Http2 {
            connections: 64,
            streams: 1,
            call: Call::Grpc,
        },
        measure: ENVOY,
        aims: &[Aim {
            what: "CPU per call, gRPC through the mutual TLS pair",
            column: 0,
            over: ENVOY,
            most: 0.4,
        }],
    };
    saturation.figures(setting, options)
}

/// A comparison of what a call costs while there is always another.
struct Saturation<'a> {
    /// The name of its picture.
    file: &'a str,
    course: Course,
    peers: &'a [Make],
    load: Load,
    /// With whom all are compared.
    measure: &'a str,
    aims: &'a [Aim],
}

impl Saturation<'_> {
    fn figures(&self, setting: &Setting, options: &Options) -> Measured {
        let contestants = setting.start(&self.course, Core::Proxy, self.peers)?;
        let turns = measure(setting, self.load, &contestants, options)?;
        Ok(Figures {
            rows: self
                .aims
                .iter()
                .filter_map(|aim| turns.row(LENO, aim))
                .collect(),
            table: turns.table(self.measure),
            plots: turns.plot(self.file, 0).into_iter().collect(),
        })
    }
}

/// Measures what a call costs all `contestants`, in one column.
pub(super) fn measure(
    setting: &Setting,
    load: Load,
    contestants: &[Contestant],
    options: &Options,
) -> Result<Turns, Box<dyn std::error::Error>> {
    for contestant in contestants {
        let begun = load.begin(setting.folder(), contestant.address);
        begun.map_err(|error| format!("{}: {error}", contestant.name))?;
    }
    Turns::take(COST, contestants, options.rounds, |contestant| {
        let before = contestant.cpu()?;
        let calls = load.calls(setting.folder(), contestant.address, options.seconds)?;
        let used = contestant.cpu()? - before;
        Ok([used.as_secs_f64() * 1e6 / calls as f64])
    })
}

/// The column of [`measure`].
pub(super) const COST: &[Column; 1] = &[Column {
    what: "µs of CPU per request",
    digits: 1,
}];

/// 64 connections, answers of 1 KB.
pub(super) const SMALL: Load = Load::Http1 {
    connections: 64,
    path: "/",
};
