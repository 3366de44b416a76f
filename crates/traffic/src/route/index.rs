//! Finds the first route that matches without asking all of them: by host, then by path.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use leno_model::view::{HostMatch, Route, Routes};
use leno_protocol::Request;

use crate::index::{First, Index, Key};
use crate::matching::{route_mismatch, stream_matches};
use crate::paths::{Filing, Group, PathIndex};
use crate::route::asks::Asks;

/// The routes of one port for one group of callers, with an index over them.
#[derive(Debug)]
pub(crate) struct RouteIndex {
    routes: Arc<Routes>,
    asks: Asks,
    /// Positions in `groups`, by host; a suffix without regard to what stands before it.
    hosts: Index,
    /// How long the suffixes are, each length once.
    suffixes: Vec<usize>,
    /// Whether there is a group for every host: it is the first one.
    any: bool,
    /// One for each host match.
    groups: Vec<Group>,
    /// The first route of each group.
    firsts: Vec<u32>,
    paths: PathIndex,
}

impl RouteIndex {
    pub(crate) fn new(routes: Arc<Routes>) -> Self {
        let mut by_host = BTreeMap::<&HostMatch, Vec<(u32, &Route)>>::new();
        for (position, route) in (0..).zip(&routes.routes) {
            by_host
                .entry(&route.host)
                .or_default()
                .push((position, route));
        }
        let mut filing = Filing::default();
        let (mut groups, mut hosts, mut suffixes) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut firsts = Vec::new();
        let any = by_host.contains_key(&HostMatch::Any);
        // `Any` comes first in the order of host matches, so that its group does.
        for ((place, host), routes) in (0..).zip(by_host.keys()).zip(by_host.values()) {
            let seed = match host {
                HostMatch::Any => Key::START,
                HostMatch::Exact(name) => exact(name),
                HostMatch::Suffix(suffix) => {
                    suffixes.push(suffix.len());
                    self::suffix(suffix.as_bytes())
                }
            };
            if **host != HostMatch::Any {
                hosts.entry(seed).or_insert_with(Vec::new).push(place);
            }
            let mut group = Group::new(seed);
            for (position, route) in routes {
                group.file(&mut filing, &route.matches.path, *position);
            }
            groups.push(group);
            firsts.extend(routes.first().map(|(position, _)| *position));
        }
        suffixes.sort_unstable();
        suffixes.dedup();
        Self {
            hosts: Index::new(hosts),
            suffixes,
            any,
            groups,
            firsts,
            paths: filing.finish(),
            asks: Asks::of(&routes),
            routes,
        }
    }

    /// What they ask about a request beside its method, host and path.
    pub(crate) fn asks(&self) -> &Asks {
        &self.asks
    }

    pub(crate) fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// The position of the first route that matches `request`, with its path read as `path`.
    pub(crate) fn find(&self, request: &Request<'_>, path: &str) -> Option<usize> {
        let mut first = First::new(|position: u32| {
            let route = &self.routes.routes[position as usize];
            route_mismatch(route, request, path).is_none()
        });
        self.each_group(request.host, |place| {
            self.paths.propose(&self.groups[place], path, &mut first);
        });
        first.found()
    }

    /// The position of the first route of a stream that asks for `server_name`; the paths of its routes
    /// say nothing.
    pub(crate) fn find_stream(&self, server_name: Option<&str>) -> Option<usize> {
        let mut first = First::new(|position: u32| {
            let route = &self.routes.routes[position as usize];
            stream_matches(route, server_name)
        });
        self.each_group(server_name.unwrap_or_default(), |place| {
            first.try_all(&self.firsts[place..=place]);
        });
        first.found()
    }

    /// The same by asking every route in order.
    pub(crate) fn scan_stream(&self, server_name: Option<&str>) -> Option<usize> {
        let mut routes = self.routes.routes.iter();
        routes.position(|route| stream_matches(route, server_name))
    }

    /// Whether some route is about some hosts only.
    pub(crate) fn asks_host(&self) -> bool {
        self.groups.len() > usize::from(self.any)
    }

    /// The same by asking every route in order.
    pub(crate) fn scan(&self, request: &Request<'_>, path: &str) -> Option<usize> {
        let mut routes = self.routes.routes.iter();
        routes.position(|route| route_mismatch(route, request, path).is_none())
    }

    /// The places of the groups that `host` may be of.
    fn each_group(&self, host: &str, mut propose: impl FnMut(usize)) {
        if self.any {
            propose(0);
        }
        let mut filed = |key: Key| {
            for place in self.hosts.get(key) {
                propose(*place as usize);
            }
        };
        if self.asks_host() {
            filed(exact(host));
        }
        let host = host.as_bytes();
        for length in &self.suffixes {
            let Some((_, suffix)) = host.len().checked_sub(*length).map(|at| host.split_at(at))
            else {
                break;
            };
            if suffix.starts_with(b".") {
                filed(self::suffix(suffix));
            }
        }
    }
}

fn exact(host: &str) -> Key {
    Key::START.then_in_any_case(host.as_bytes())
}

fn suffix(suffix: &[u8]) -> Key {
    Key::OTHER.then_in_any_case(suffix)
}
