//! `cargo xtask bench`: what Leno costs and how soon it does what it is told, beside HAProxy, Envoy and
//! nginx where that says more, written to `docs/benchmarks.md`. Everything runs in a network
//! namespace of its own; what is compared is measured in turns of one run.

mod attack;
mod beside;
mod call;
mod clean;
mod client;
mod decision;
mod demo;
mod document;
mod fleet;
mod flows;
mod growth;
mod idle;
mod instructions;
mod load;
mod origin;
mod page;
mod plot;
mod preview;
mod profile;
mod rate;
mod recovery;
mod relay;
mod report;
mod revocation;
mod scale;
mod seeing;
mod series;
mod setting;
mod signing;
mod strangers;
mod turns;
mod weight;
mod workers;

use std::{error::Error, path::PathBuf, process::Command};

use crate::{
    Outcome,
    bench::{document::Section, report::Figures, setting::Setting},
    dashboard,
    packages::{self, Purpose},
    rig::{namespace, process},
    shell,
};

/// Measures everything, or with `--only CASE` that, and writes its part of the document. With a `leno`
/// that is not of this commit (`--leno`, `--against`) it prints what it measures, and no more.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let options = Options::parse(arguments)?;
    if namespace::is_inside() {
        return measure(&options);
    }
    packages::install(Purpose::Bench)?;
    packages::install_envoy(&shell::target()?)?;
    if options.cases().any(|case| case.build == Some(page::BUILD)) {
        dashboard::install_modules()?;
    }
    for build in options.builds() {
        shell::run("cargo", &build.split(' ').collect::<Vec<_>>(), &[])?;
    }
    namespace::enter("bench", arguments)
}

/// What a case gives.
type Measured = Result<Figures, Box<dyn Error>>;

/// Something that is measured, by itself or with all others.
struct Case {
    /// How one asks for it.
    name: &'static str,
    /// The heading of its section.
    title: &'static str,
    /// How it is taken, and how the cost grows: two sentences.
    how: &'static str,
    /// What cargo has to build before, beside the `leno` of profile `dist` where that is measured.
    build: Option<&'static str>,
    measure: Of,
}

/// What is measured.
#[derive(Clone, Copy)]
enum Of {
    /// `leno`, as it runs.
    Program(fn(&Setting, &Options) -> Measured),
    /// The code of a crate, by the benchmark that stands beside it.
    Crate(fn() -> Measured),
}

const CASES: &[Case] = &[
    Case {
        name: "hop",
        title: "One plain hop",
        how: "wrk keeps 64 connections busy through one proxy on a core of its own; what is compared is the CPU time that the kernel \
              accounts to the proxy, per call. It grows with the calls and with the bytes that they carry, hardly with the routes (see the decisions).",
        build: None,
        measure: Of::Program(call::hop),
    },
    Case {
        name: "pair",
        title: "A pair with mutual TLS 1.3 between",
        how: "The same through two proxies, whose CPU time is added. A call costs two hops and two passes of AES over its bytes; \
              handshakes are per connection between the two, of which there is one for many calls.",
        build: None,
        measure: Of::Program(call::pair),
    },
    Case {
        name: "rate",
        title: "A pair that has little to do",
        how: "1,000 calls a second over 64 connections through a pair with HTTP/1.1 in its TLS where a proxy leaves the choice, begun when it is time, \
              answered or not: what a call waits behind another counts as its own. A call costs more than at saturation, since nearly each wakes up both proxies.",
        build: None,
        measure: Of::Program(rate::measure),
    },
    Case {
        name: "http2",
        title: "One plain hop of HTTP/2",
        how: "h2load keeps 100 streams busy on each of 4 connections; the origin speaks HTTP/2 too. It grows with the calls, and with the bytes of their heads \
              where HPACK has not seen them before.",
        build: None,
        measure: Of::Program(call::http2),
    },
    Case {
        name: "grpc",
        title: "gRPC through a pair",
        how: "h2load makes unary calls, one after the other on each of 64 connections, whose answers of 1 KB end with trailers; between the two proxies HTTP/2 in mutual TLS 1.3. \
              It costs more than the pair of HTTP/1.1 what HTTP/2 costs more at both ends, and grows alike.",
        build: None,
        measure: Of::Program(call::grpc),
    },
    Case {
        name: "large",
        title: "Answers of 64 KB through a pair",
        how: "As the pair above, but each answer is 64 KB. What is compared is mostly AES and copying: it grows with the bytes.",
        build: None,
        measure: Of::Program(call::large),
    },
    Case {
        name: "relay",
        title: "TCP in plain",
        how: "One connection, on a port of which nothing is known, brings a file of 64 MB again and again. It grows with the bytes; \
              what is moved inside the kernel (splice) costs least.",
        build: None,
        measure: Of::Program(relay::plain),
    },
    Case {
        name: "relay-pair",
        title: "TCP through a pair",
        how: "The same through two proxies with mutual TLS 1.3 between. Each byte is encrypted once, decrypted once, and copied on the way.",
        build: None,
        measure: Of::Program(relay::pair),
    },
    Case {
        name: "seeing",
        title: "What seeing costs",
        how: "The plain hop of a proxy that follows a control plane, between one that counts, keeps and tells nothing (`leno proxy --joined --blind`) and one \
              that writes a line for each call. It grows with the calls, and hardly with the services, the routes and the kinds of call.",
        build: None,
        measure: Of::Program(seeing::measure),
    },
    Case {
        name: "strangers",
        title: "A client that asks for ever other hosts and paths",
        how: "One connection through a proxy that follows a control plane, a host and a path for each request that nobody asked for before. \
              What a proxy holds grows with the kinds of call that its view knows, up to 10,000 series and 4 MiB of kept calls, and not with what clients write.",
        build: None,
        measure: Of::Program(strangers::measure),
    },
    Case {
        name: "idle",
        title: "Idle",
        how: "A proxy of the pair is left alone for ten seconds after its start, and again with ten thousand connections that have served one call each. \
              Private memory is what one more proxy on a host costs; the rest of RSS is code and read-only data, which all proxies of a host share, and PSS divides it among them.",
        build: None,
        measure: Of::Program(idle::measure),
    },
    Case {
        name: "workers",
        title: "One worker and two",
        how: "The plain hop with both cores for the proxies, where client and origin keep one of them busy too, so that calls per second would tell of these. \
              What is compared is the CPU time of a call: as long as two workers need as much for one as a single worker does, two cores carry twice as much.",
        build: None,
        measure: Of::Program(workers::measure),
    },
    Case {
        name: "attack",
        title: "An honest client beside an attack",
        how: "500 calls a second through a plain hop, begun when it is time: alone, beside 1,000 connections whose heads come an octet a second, and beside \
              20,000 streams of HTTP/2 a second that are opened and reset on connections that are opened anew when the proxy closes them. The attacker shares the client's core.",
        build: None,
        measure: Of::Program(attack::measure),
    },
    Case {
        name: "instructions",
        title: "Instructions",
        how: "Callgrind counts the instructions of the proxies, without the kernel's, from start to end with 500 and with 1,500 calls over one connection; \
              the difference is of a thousand calls. The figures repeat to a few in a thousand, whatever else the machine does.",
        build: None,
        measure: Of::Program(instructions::measure),
    },
    Case {
        name: "profile",
        title: "Where the time goes",
        how: "perf looks at our proxies a thousand times a second while they do what was measured above, and tells in which functions it found them. \
              What the kernel does for a proxy is nearly all sending and receiving, and where there is little to do waking up.",
        build: None,
        measure: Of::Program(profile::measure),
    },
    Case {
        name: "decision",
        title: "Decisions",
        how: "The benchmark of `leno-traffic` decides calls among so many routes, with 100 policies and 100 endpoints. An index proposes the routes \
              that can match, so that it grows with the rules that share a host and a path prefix, not with all.",
        build: Some(decision::BUILD),
        measure: Of::Crate(decision::measure),
    },
    Case {
        name: "weight",
        title: "A changed weight in a hundred proxies",
        how: "A control plane and a hundred proxies, each a process, share two cores and a mesh of 200 services; the time is from the start of `leno apply` \
              until a call through each proxy, one after the other, was answered by the version that the weight gives it to. \
              It grows with the proxies, and for each with the parts of its view that changed.",
        build: None,
        measure: Of::Program(weight::measure),
    },
    Case {
        name: "revocation",
        title: "A revoked identity",
        how: "A control plane, a caller with a live stream of bytes through each of a hundred proxies, and these, each a process, share two cores; the time is from the \
              start of `leno certs revoke` until the last stream is cut. It grows with the proxies, each of which judges anew whom it is connected with.",
        build: None,
        measure: Of::Program(revocation::measure),
    },
    Case {
        name: "growth",
        title: "How the cost of a change grows",
        how: "The benchmark of `leno-control` changes a weight for proxies that follow without carrying calls, all in one process; CPU is of all its threads. \
              Reading the configuration grows with the mesh, once for each change; everything after it with the proxies.",
        build: Some(growth::BUILD),
        measure: Of::Crate(growth::measure),
    },
    Case {
        name: "scale",
        title: "A large cluster",
        how: "The benchmark of `leno-control` makes up a cluster and the API server that tells of it; the control plane is a process of its own. Then endpoints are replaced, each pod by \
              another at another address, for 20 seconds, while proxies that know 20 services each follow without carrying calls, beside one that takes no byte any more; \
              the time is from the API server's word until a proxy that knows the service has adopted the change. \
              Memory and start grow with the pods and the objects. A change costs the proxies that know what changed, and once for all that change meanwhile a copy of the mesh's lists.",
        build: Some(scale::BUILD),
        measure: Of::Crate(scale::measure),
    },
    Case {
        name: "signing",
        title: "Certificates signed",
        how: "The benchmark of `leno-control` asks for certificates over one connection of mutual TLS, 64 at a time; control plane and asker share one core. Each request's own \
              signature is checked, and each certificate is on disk before it is given away. Time grows with the certificates; what is written waits for the disk together.",
        build: Some(signing::BUILD),
        measure: Of::Crate(signing::measure),
    },
    Case {
        name: "flows",
        title: "A day of calls between services",
        how: "The benchmark of `leno-control` writes 24 hours of flows into the file beside the store, five kinds of call on each edge, told by both proxies and \
              as finely as is kept, and asks for all of it over the socket. Size and time grow with the kinds of call, and with the steps that are kept, not with the calls.",
        build: Some(flows::BUILD),
        measure: Of::Crate(flows::measure),
    },
    Case {
        name: "plan",
        title: "A change judged by what was recorded",
        how: "The benchmark of `leno-preview` makes two configurations of 200 services, each with a route of two rules and a policy of ten, of which the second takes a caller \
              from every policy and lets every tenth ask for a header that nobody recorded; each service is called by 50 others, and no two calls are of one kind. \
              Time grows with the kinds of call, and for each with the routes and the rules that may speak of its caller.",
        build: Some(preview::BUILD),
        measure: Of::Crate(preview::measure),
    },
    Case {
        name: "recovery",
        title: "After kill -9",
        how: "Eight clients call without a pause while a process is killed and started again at once; a proxy has recovered when each of them was answered, \
              a control plane when a change that is asked for from then on is in force. A proxy reads its last view from disk, which grows with what it has subscribed to.",
        build: None,
        measure: Of::Program(recovery::measure),
    },
    Case {
        name: "demo",
        title: "The demo, from start to end",
        how: "`leno demo`, built as the README does it, is started until it tells of the first call, then ended by Ctrl-C and by `kill -9` in turns, until no process, \
              socket, mount or rule is there that was not before. Both grow with the number of workloads.",
        build: Some(demo::BUILD),
        measure: Of::Program(demo::measure),
    },
    Case {
        name: "page",
        title: "The map of a large mesh",
        how: "Chromium without a window, and thus without a graphics card, opens the page about a made-up mesh and moves the map for 300 frames, a little in each. \
              The first picture is there two frames after the first service stands in the document; it grows with the edges, a frame with what is in the window.",
        build: Some(page::BUILD),
        measure: Of::Program(page::measure),
    },
    Case {
        name: "build",
        title: "A clean build",
        how: "`cargo build` into an empty folder, on two cores, with all sources downloaded. CPU is of the compiler and all else that it starts.",
        build: None,
        measure: Of::Program(clean::measure),
    },
];

/// What was asked for.
struct Options {
    /// Nothing means all.
    only: Vec<&'static str>,
    /// How often each contestant has its turn.
    rounds: usize,
    /// How long one turn lasts.
    seconds: u32,
    /// Another `leno` than the one that is built.
    leno: Option<PathBuf>,
    /// A second `leno` that takes part in hops, pairs and idleness.
    against: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            only: Vec::new(),
            rounds: 7,
            seconds: 2,
            leno: None,
            against: None,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{word} needs a value"))?;
            let number = || format!("{word} {value}: a number is needed");
            match word.as_str() {
                "--only" => {
                    let case = CASES.iter().find(|case| case.name == value);
                    let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
                    let case = case.ok_or_else(|| {
                        format!("--only {value}: {} are measured", names.join(", "))
                    })?;
                    options.only.push(case.name);
                }
                "--rounds" => options.rounds = value.parse().map_err(|_| number())?,
                "--seconds" => options.seconds = value.parse().map_err(|_| number())?,
                "--leno" => options.leno = Some(value.into()),
                "--against" => options.against = Some(value.into()),
                _ => {
                    return Err(format!(
                        "{word} is not known: --only --rounds --seconds --leno --against are"
                    ));
                }
            }
        }
        if options.rounds == 0 || options.seconds == 0 {
            return Err("at least one round of one second is needed".to_owned());
        }
        Ok(options)
    }

    /// The cases that are wanted, in the order of the document.
    fn cases(&self) -> impl Iterator<Item = &'static Case> {
        let wanted = |case: &&Case| self.only.is_empty() || self.only.contains(&case.name);
        CASES.iter().filter(wanted)
    }

    /// What cargo has to build.
    fn builds(&self) -> Vec<&'static str> {
        let is_of_program = |case: &Case| matches!(case.measure, Of::Program(_));
        let needs_leno = self.leno.is_none() && self.cases().any(is_of_program);
        let leno = needs_leno.then_some(LENO);
        leno.into_iter()
            .chain(self.cases().filter_map(|case| case.build))
            .collect()
    }

    /// Whether the figures are of what is built here, and belong into the document.
    fn is_of_this_commit(&self) -> bool {
        self.leno.is_none() && self.against.is_none()
    }
}

/// How the `leno` is built that is measured.
const LENO: &str = "build --locked --profile dist --package leno";

/// Runs inside the namespace.
fn measure(options: &Options) -> Outcome {
    namespace::set_up()?;
    let place = document::place(&shell::target()?, options.leno.as_deref());
    let mut setting = None;
    let mut sections = Vec::new();
    let mut failed = Vec::new();
    for case in options.cases() {
        println!("==> {}", case.name);
        let of = document::of(options);
        let begin = process::now();
        let measured = match case.measure {
            Of::Crate(measure) => measure(),
            Of::Program(measure) => {
                ready(&mut setting, options).and_then(|setting| measure(setting, options))
            }
        };
        let figures = match measured {
            Ok(figures) => figures,
            Err(error) => {
                println!("{} has failed: {error}", case.name);
                failed.push(case.name);
                continue;
            }
        };
        sections.push(Section {
            case: case.name,
            title: case.title,
            how: case.how,
            of,
            figures,
        });
        println!("{} took {:.0?}", case.name, begin.elapsed());
        // What is measured stays measured, even if the next case fails.
        if options.is_of_this_commit() {
            document::write(&shell::root().join("docs/benchmarks.md"), &place, &sections)?;
        }
    }
    println!("\n{}", document::renewed("", &place, &sections));
    if !failed.is_empty() {
        return Err(format!("not measured: {}", failed.join(", ")).into());
    }
    Ok(())
}

/// The setting, which is made for the first one that needs it.
fn ready<'s>(
    setting: &'s mut Option<Setting>,
    options: &Options,
) -> Result<&'s Setting, Box<dyn Error>> {
    match setting {
        Some(setting) => Ok(setting),
        none => {
            let target = shell::target()?;
            let leno = options.leno.clone();
            let leno = leno.unwrap_or_else(|| target.join("dist/leno"));
            Ok(none.insert(Setting::new(&target, leno, options.against.clone())?))
        }
    }
}

/// What `program` prints when asked with `words`, its first line that says something.
fn first_line(program: &str, words: &[&str]) -> String {
    let said = Command::new(program)
        .args(words)
        .current_dir(shell::root())
        .output();
    let said = said
        .map(|said| [said.stdout, said.stderr].concat())
        .unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let mut lines = said.lines().filter(|line| !line.trim().is_empty());
    lines.next().unwrap_or("unknown").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn everything_is_measured_unless_one_says_what() {
        let all = parse("").unwrap();
        assert!(all.is_of_this_commit() && all.cases().count() == CASES.len());
        let some = parse("--only idle --only hop --rounds 3").unwrap();
        let names: Vec<_> = some.cases().map(|case| case.name).collect();
        assert_eq!(names, ["hop", "idle"]);
        assert_eq!((some.is_of_this_commit(), some.rounds), (true, 3));
        assert_eq!(some.builds(), [LENO]);
        assert!(!parse("--leno other").unwrap().is_of_this_commit());
    }

    #[test]
    fn what_measures_a_crate_builds_no_program() {
        let some = parse("--only signing --only decision").unwrap();
        assert_eq!(some.builds(), [decision::BUILD, signing::BUILD]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in [
            "--only hops",
            "--rounds many",
            "--rounds 0",
            "--rounds",
            "--fast 1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
