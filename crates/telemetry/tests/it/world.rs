//! Events as people would tell them.

use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;
use std::time::Duration;

use leno_model::flow::Kind;
use leno_model::view::{LogFields, PortRef};
use leno_model::{CallId, Code, Name, Namespace, ObjectRef, Origin, Place, ServiceName, Wall};
use leno_telemetry::prometheus::Format;
use leno_telemetry::{
    Accept, Bytes, Call, Consent, Consulted, Decided, Edge, Event, Flow, Handshake, Line, Logged,
    Party, Recorder, Reporter, Security, Settings, Stream, Telemetry, Traced,
};

/// What a process knows after these stories.
pub(crate) fn observe(stories: &[impl AsRef<str>]) -> Telemetry {
    let telemetry = Telemetry::new(Settings::default());
    tell(&mut telemetry.recorder(), stories);
    telemetry
}

/// A scrape as text.
pub(crate) fn scrape(telemetry: &Telemetry) -> String {
    String::from_utf8(telemetry.scrape(Format::Text)).unwrap()
}

pub(crate) fn tell(recorder: &mut Recorder, stories: &[impl AsRef<str>]) {
    let stories: Vec<_> = stories.iter().map(|story| call(story.as_ref())).collect();
    record(recorder, &stories);
}

pub(crate) fn record(recorder: &mut Recorder, stories: &[Story]) {
    stories
        .iter()
        .for_each(|story| recorder.record(&story.event()));
}

/// An event that owns its words.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) reporter: Reporter,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) security: Security,
    pub(crate) what: What,
    pub(crate) route: Option<Origin>,
    pub(crate) id: CallId,
    pub(crate) began: Wall,
    pub(crate) took: Duration,
    pub(crate) refused: Option<Code>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) opened: bool,
    pub(crate) counted: Bytes,
    pub(crate) tries: u8,
    pub(crate) copy_of: Option<CallId>,
    pub(crate) grpc: Option<u16>,
    pub(crate) traced: Option<Traced>,
    pub(crate) logged: Option<Logged>,
    pub(crate) audited: Vec<Origin>,
    pub(crate) consulted: Vec<Consulted>,
}

/// What it tells of.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Call {
        method: String,
        host: String,
        path: String,
        status: u16,
    },
    Opened,
    Stream,
    Handshake {
        why: String,
    },
    Accept {
        why: String,
    },
}

/// Reads a story:
///
/// ```text
/// shop/web -> shop/cart GET cart/items 200 3ms rule=2 R014 sent=10 received=20
/// shop/web -> shop/redis opened 0s
/// shop/web -> shop/redis tcp 2s sent=10 live counted=4/0
/// shop/web -> shop/cart-v2 GET cart/items 200 3ms copy
/// handshake T005 "web was revoked"
/// accept H004 "too many open files"
/// ```
///
/// The access log has no line for one that is `unlogged`, has one for one that is `unfiltered` because
/// its filter failed, tells `only=path+status`, a path as `shown=/***`, the header `agent=curl`,
/// that of the answer `server=nginx`.
/// A call that is `traced` is the root of a trace, or in the span that it names: `traced=a1`.
/// A stream that ends `live` was told of when it opened. Rules of access that only tell of it are
/// `audited=2`, `asked=denied`.
///
/// The caller's proxy tells it unless it says `inbound`, over mTLS unless it says `plain=WHY`.
pub(crate) fn call(text: &str) -> Story {
    let mut words = text.split(' ');
    let mut next = || {
        words
            .next()
            .unwrap_or_else(|| panic!("{text:?} ends too early"))
    };
    let mut story = Story {
        reporter: Reporter::Source,
        source: "unknown".to_owned(),
        destination: "unknown".to_owned(),
        security: Security::Mtls,
        what: What::Stream,
        route: None,
        id: CallId::parse(b"7c1e4b02d41e8a7710aa3c9e0f52b6d8").unwrap(),
        began: Wall::since_epoch(Duration::from_millis(1_795_170_718_250)),
        took: Duration::ZERO,
        refused: None,
        sent: 0,
        received: 0,
        opened: false,
        counted: Bytes::default(),
        tries: 1,
        copy_of: None,
        grpc: None,
        traced: None,
        logged: None,
        audited: Vec::new(),
        consulted: Vec::new(),
    };
    match next() {
        first @ ("handshake" | "accept") => {
            story.refused = Some(next().parse().unwrap());
            let why = text.split('"').nth(1).unwrap_or_default().to_owned();
            story.what = match first {
                "accept" => What::Accept { why },
                _ => What::Handshake { why },
            };
            return story;
        }
        source => story.source = source.to_owned(),
    }
    assert_eq!(next(), "->", "{text:?}");
    story.destination = next().to_owned();
    match next() {
        "tcp" => {}
        "opened" => story.what = What::Opened,
        method => {
            let (host, path) = next().split_once('/').unwrap();
            story.what = What::Call {
                method: method.to_owned(),
                host: host.to_owned(),
                path: format!("/{path}"),
                status: next().parse().unwrap(),
            };
        }
    }
    story.took = duration(next());
    words.for_each(|word| story.add(word));
    story
}

fn traced(span: u64, parent: Option<NonZeroU64>) -> Traced {
    Traced {
        trace: NonZeroU128::new(0x4bf92f3577b34da6a3ce929d0e0e4736).unwrap(),
        span: NonZeroU64::new(span).unwrap(),
        parent,
        state: Box::default(),
    }
}

impl Story {
    fn add(&mut self, word: &str) {
        match word.split_once('=') {
            None if word == "inbound" => self.reporter = Reporter::Destination,
            None if word == "live" => self.opened = true,
            None if word == "copy" => {
                self.copy_of = CallId::parse(b"91f0c2aa000000000000000000000001");
            }
            Some(("grpc", status)) => self.grpc = Some(status.parse().unwrap()),
            Some(("tries", number)) => self.tries = number.parse().unwrap(),
            None if word == "traced" => self.traced = Some(traced(0xa1, None)),
            Some(("traced", parent)) => {
                let parent = u64::from_str_radix(parent, 16).unwrap();
                self.traced = Some(traced(0xb2, NonZeroU64::new(parent)));
            }
            None if word == "unlogged" => self.logged().line = Line::No,
            None if word == "unfiltered" => self.logged().line = Line::Unfiltered,
            Some(("only", names)) => {
                self.logged().fields = Some(LogFields::of(names.split('+')));
            }
            Some(("shown", path)) => self.logged().path = Some(path.into()),
            Some(("agent", value)) => {
                self.logged().headers = [("user-agent".into(), value.into())].into();
            }
            Some(("server", value)) => {
                self.logged().response_headers = [("server".into(), value.into())].into();
            }
            None if word == "unsecured" => self.security = Security::None,
            None => self.refused = Some(word.parse().unwrap()),
            Some(("plain", why)) => self.security = Security::Plain(why.to_owned().leak()),
            Some(("sent", bytes)) => self.sent = bytes.parse().unwrap(),
            Some(("received", bytes)) => self.received = bytes.parse().unwrap(),
            Some(("counted", bytes)) => {
                let (sent, received) = bytes.split_once('/').unwrap();
                self.counted = Bytes {
                    sent: sent.parse().unwrap(),
                    received: received.parse().unwrap(),
                };
            }
            Some(("rule", number)) => {
                self.route = Some(rule("HTTPRoute", &self.destination, number));
            }
            Some(("asked", said)) => {
                let service =
                    ServiceName::new(Namespace::new("shop").unwrap(), Name::new("authz").unwrap());
                self.consulted.push(Consulted {
                    by: rule("AccessPolicy", &self.destination, "1"),
                    to: PortRef {
                        service,
                        port: 9000,
                    },
                    said: match said {
                        "allowed" => Consent::Allowed,
                        "denied" => Consent::Denied,
                        "silent" => Consent::Silent,
                        other => panic!("{other}?"),
                    },
                    took: Duration::from_millis(2),
                    why: "".into(),
                });
            }
            Some(("audited", number)) => {
                let rule = rule("AccessPolicy", &self.destination, number);
                self.audited.push(rule);
            }
            Some((name, _)) => panic!("{name}?"),
        }
    }

    fn logged(&mut self) -> &mut Logged {
        self.logged.get_or_insert(Logged {
            line: Line::Yes,
            fields: None,
            path: None,
            headers: Box::default(),
            response_headers: Box::default(),
        })
    }

    /// The event that it tells.
    pub(crate) fn event(&self) -> Event<'_> {
        let edge = self.edge();
        let (peer, endpoint) = (address("10.2.0.3:41234"), Some(address("10.2.1.7:8080")));
        match &self.what {
            What::Call {
                method,
                host,
                path,
                status,
            } => Event::Call(Call {
                id: self.id,
                edge,
                route: self.route.as_ref(),
                peer,
                endpoint: endpoint.filter(|_| self.security != Security::None),
                began: self.began,
                took: self.took,
                method,
                host,
                path,
                status: *status,
                refused: self.refused,
                tries: self.tries,
                copy_of: self.copy_of,
                grpc: self.grpc,
                sent: self.sent,
                received: self.received,
                counted: self.counted,
                traced: self.traced.as_ref(),
                logged: self.logged.as_ref(),
                decided: self.decided(),
            }),
            What::Opened => Event::Opened(self.stream(edge)),
            What::Stream => Event::Stream(self.stream(edge)),
            What::Handshake { why } => Event::Handshake(Handshake {
                id: self.id,
                edge: Edge {
                    security: Security::None,
                    ..edge
                },
                peer,
                at: self.began,
                code: self.refused.unwrap(),
                why,
            }),
            What::Accept { why } => Event::Accept(Accept {
                id: self.id,
                reporter: self.reporter,
                listener: address("10.2.1.7:15008"),
                at: self.began,
                code: self.refused.unwrap(),
                why,
            }),
        }
    }

    fn stream<'a>(&'a self, edge: Edge<'a>) -> Stream<'a> {
        Stream {
            id: self.id,
            edge,
            route: self.route.as_ref(),
            peer: address("10.2.0.3:41234"),
            endpoint: Some(address("10.2.1.7:8080")),
            began: self.began,
            took: self.took,
            opened: self.opened,
            refused: self.refused,
            sent: self.sent,
            received: self.received,
            counted: self.counted,
            logged: self.logged.as_ref(),
            decided: self.decided(),
        }
    }

    fn decided(&self) -> Decided<'_> {
        Decided {
            audited: &self.audited,
            consulted: &self.consulted,
            ..Decided::default()
        }
    }

    /// Its bytes as they are counted while it goes on: those that it says were counted.
    pub(crate) fn flow(&self) -> Flow<'_> {
        let status = match &self.what {
            What::Call { status, .. } => Some(*status),
            _ => None,
        };
        Flow {
            edge: self.edge(),
            route: self.route.as_ref(),
            status,
            bytes: self.counted,
        }
    }

    fn edge(&self) -> Edge<'_> {
        Edge {
            reporter: self.reporter,
            source: party(&self.source),
            destination: party(&self.destination),
            security: self.security,
        }
    }
}

fn party(text: &str) -> Party<'_> {
    match text.split_once('/') {
        Some((namespace, name)) => Party::Known { namespace, name },
        None if text == Kind::PROBE => Party::Probe,
        None => Party::Unknown,
    }
}

/// The rule of the route that has its service's name, counted from 1.
fn rule(kind: &str, service: &str, number: &str) -> Origin {
    let (namespace, name) = service.split_once('/').unwrap();
    let number: u32 = number.parse().unwrap();
    Origin {
        object: Arc::new(ObjectRef {
            kind: kind.into(),
            namespace: Some(Namespace::new(namespace).unwrap()),
            name: Name::new(name).unwrap(),
        }),
        pointer: format!("/spec/rules/{}", number - 1).into(),
        place: Some(Place {
            file: "routes.yaml".into(),
            line: number * 10,
            column: 5,
        }),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn duration(text: &str) -> Duration {
    let unit = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap();
    let (number, unit) = text.split_at(unit);
    let one = match unit {
        "us" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        unit => panic!("{unit}?"),
    };
    one.mul_f64(number.parse().unwrap())
}
