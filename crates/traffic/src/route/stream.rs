//! Where a stream of bytes goes: by the name of the server that it asks for, if routes speak of that, and
//! to one of a rule's backends.

use alloc::boxed::Box;

use leno_model::view::Action;
use leno_model::{Dice, Mono, Namespace};

use super::{Forward, telling};
use crate::attempts::Attempts;
use crate::policy::AdmittedStream;
use crate::refusal::Refusal;
use crate::story::Story;
use crate::table::{Port, RouteSet, Table};

impl Table {
    /// Says where a stream to `port` goes. `server_name` is what its first bytes ask for, if it is TLS
    /// and says one (RFC 6066 section 3): it need only be known where [`Port::asks_server_name`].
    pub fn route_stream<'a>(
        &'a self,
        admitted: AdmittedStream<'a>,
        port: &'a Port,
        server_name: Option<&str>,
        dice: &mut Dice,
        mut story: Option<&mut Story>,
    ) -> Result<ForwardStream<'a>, Refusal> {
        let Some(set) = port.stream_routes(admitted.namespace()) else {
            if let Some(story) = story {
                telling::no_stream_routes(story, port);
            }
            return Ok(Forward::unrouted(admitted, port));
        };
        let found = set.index.find_stream(server_name);
        if let Some(story) = story.as_deref_mut() {
            telling::stream(story, port, set, server_name, found);
        }
        let Some(place) = found else {
            return Err(Refusal::NoStreamRoute {
                port: port.name().clone(),
                server_name: server_name.map(Box::from),
            });
        };
        let (route, rule) = set.at(place);
        match &rule.action {
            Action::Forward(split) => {
                let roll = dice.roll(split.total());
                let place = split.place_at(roll.value);
                let part = &split.parts()[place];
                if let Some(story) = story {
                    telling::split(story, split, part);
                }
                Ok(Forward {
                    admitted,
                    called: port,
                    to: self.backend(rule, part, set.backends[route.rule][place])?,
                    route: Some((route, rule)),
                    part: Some((part, roll)),
                    copied: 0,
                })
            }
            Action::Refuse(code, origin) => Err(Refusal::RouteNotUsable {
                code: *code,
                origin: origin.clone(),
                rule: rule.origin.clone(),
            }),
            Action::Redirect(_) => unreachable!("bytes cannot be told to go elsewhere"),
        }
    }
}

impl Port {
    /// Whether the routes that a caller of `namespace` meets choose by the name of the server: then it is
    /// worth to read the first bytes of a stream before [`Table::route_stream`].
    pub fn asks_server_name(&self, namespace: Option<&Namespace>) -> bool {
        let set = self.stream_routes(namespace);
        set.is_some_and(|set| set.index.asks_host())
    }

    /// Whether routes are made for the streams of a caller of `namespace`.
    pub fn routes_streams(&self, namespace: Option<&Namespace>) -> bool {
        self.stream_routes(namespace).is_some()
    }

    /// The routes that a stream meets. Those of requests are no streams'.
    fn stream_routes(&self, namespace: Option<&Namespace>) -> Option<&RouteSet> {
        let set = self.routes_for(namespace);
        set.filter(|_| !self.protocol().is_http())
    }
}

/// An admitted stream of bytes that goes on, and where.
pub type ForwardStream<'a> = Forward<'a, AdmittedStream<'a>>;

impl<'a> ForwardStream<'a> {
    /// Begins the first attempt to connect, and counts the stream in the budget of the service that was
    /// called.
    pub fn attempts(&self, now: Mono) -> Attempts<'a> {
        let Self { called, .. } = self;
        Attempts::start(&called.tuning().retry, called.budget(), None, now)
    }
}
