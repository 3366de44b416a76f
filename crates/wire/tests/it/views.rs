//! Made-up views, from dice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use leno_model::view::access::{
    AuthProtocol, ClaimHeader, ExternalAuth, IpBlock, IssuerKeys, Jwt, JwtIssuer, KeyPlace,
    KeySource, OnFailure, TokenPlace,
};
use leno_model::view::route::Part;
use leno_model::view::*;
use leno_model::{
    Code, Dice, Name, Namespace, Network, ObjectRef, Origin, PathTemplate, Pattern, Place,
    ProcessMatch, ServiceName, SpiffeId, TrustDomain, Wall,
};

const PROTOCOLS: [Protocol; 7] = [
    Protocol::Http,
    Protocol::Http1,
    Protocol::Http2,
    Protocol::Grpc,
    Protocol::Tls,
    Protocol::Tcp,
    Protocol::Detect,
];

/// Rolls values of the model.
pub(crate) struct Maker(pub(crate) Dice);

impl Maker {
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.0.roll(NonZeroU32::new(limit).unwrap()).value
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u32) as usize].clone()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.coin().then(|| make(self))
    }

    fn some<T>(&mut self, most: u32, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    fn text(&mut self) -> Arc<str> {
        self.one(&["", "a", "/x/y", "käse", "x-user", "a b\t\u{1b}"])
            .into()
    }

    fn pattern(&mut self) -> Pattern {
        Pattern::new(self.one(&["/v[0-9]+", "a|b", ".*"])).unwrap()
    }

    fn namespace(&mut self) -> Namespace {
        Namespace::new(self.one(&["shop", "ops", "default"])).unwrap()
    }

    fn name(&mut self) -> Name {
        Name::new(self.one(&["cart", "web", "payments", "redis", "mail.v2"])).unwrap()
    }

    fn network(&mut self) -> Network {
        Network::new(self.one(&["default", "laptop"])).unwrap()
    }

    fn identity(&mut self) -> SpiffeId {
        SpiffeId {
            trust_domain: TrustDomain::new(self.one(&["shop.local", "other"])).unwrap(),
            namespace: self.namespace(),
            service_account: self.name(),
        }
    }

    fn service_name(&mut self) -> ServiceName {
        ServiceName::new(self.namespace(), self.name())
    }

    fn port_ref(&mut self) -> PortRef {
        PortRef {
            service: self.service_name(),
            port: self.port(),
        }
    }

    fn port(&mut self) -> u16 {
        self.one(&[80, 8080, 65535])
    }

    fn ip(&mut self) -> IpAddr {
        let bits = self.below(9);
        if self.coin() {
            Ipv4Addr::from(bits).into()
        } else {
            Ipv6Addr::from(u128::from(bits)).into()
        }
    }

    fn socket(&mut self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port())
    }

    fn span(&mut self) -> Duration {
        Duration::new(u64::from(self.below(100)), self.below(1_000_000_000))
    }

    fn origin(&mut self) -> Origin {
        Origin {
            object: Arc::new(ObjectRef {
                kind: "HTTPRoute".into(),
                namespace: self.maybe(Self::namespace),
                name: self.name(),
            }),
            pointer: self.text(),
            place: self.maybe(|maker| Place {
                file: maker.text(),
                line: maker.below(100),
                column: maker.below(100),
            }),
        }
    }

    fn host(&mut self) -> HostMatch {
        let text = self.text();
        self.one(&[
            HostMatch::Any,
            HostMatch::Exact(text.clone()),
            HostMatch::Suffix(text),
        ])
    }

    fn path(&mut self) -> PathMatch {
        let (text, pattern) = (self.text(), self.pattern());
        self.one(&[
            PathMatch::Exact(text.clone()),
            PathMatch::Prefix(text),
            PathMatch::Regex(pattern),
        ])
    }

    fn header(&mut self) -> HeaderMatch {
        let text = self.text();
        let pattern = self.pattern();
        let value = self.one(&[TextMatch::Exact(text), TextMatch::Regex(pattern)]);
        HeaderMatch {
            name: self.text(),
            value,
        }
    }

    fn path_rewrite(&mut self) -> PathRewrite {
        let text = self.text();
        self.one(&[PathRewrite::Full(text.clone()), PathRewrite::Prefix(text)])
    }

    fn changes(&mut self) -> HeaderChanges {
        HeaderChanges {
            set: self.some(2, |maker| (maker.text(), maker.text())),
            add: self.some(2, |maker| (maker.text(), maker.text())),
            remove: self.some(2, Self::text),
        }
    }

    fn part(&mut self) -> Part {
        Part {
            backend: if self.coin() {
                Backend::Service(self.port_ref())
            } else {
                Backend::Invalid(Code::C113)
            },
            weight: self.below(100),
            origin: self.maybe(Self::origin),
            request_headers: self.changes(),
            response_headers: self.changes(),
            rewrite: self.maybe(Self::rewrite),
            mirrors: self.some(2, Self::mirror),
        }
    }

    fn rewrite(&mut self) -> Rewrite {
        Rewrite {
            host: self.maybe(Self::text),
            path: self.maybe(Self::path_rewrite),
        }
    }

    fn mirror(&mut self) -> Mirror {
        Mirror {
            to: self.port_ref(),
            share: self.below(100),
            of: NonZeroU32::new(1 + self.below(100)).unwrap(),
            origin: self.origin(),
        }
    }

    fn cors(&mut self) -> Cors {
        Cors {
            origin: self.origin(),
            sites: self.some(3, |maker| match maker.coin() {
                true => SiteMatch::Any,
                false => SiteMatch::At {
                    secure: maker.coin(),
                    host: maker.host(),
                    port: maker.port(),
                },
            }),
            credentials: self.coin(),
            methods: self.named(),
            headers: self.named(),
            exposed: self.named(),
            max_age: self.span(),
        }
    }

    fn named(&mut self) -> Named {
        match self.coin() {
            true => Named::Any,
            false => Named::These(self.some(3, Self::text)),
        }
    }

    fn retry(&mut self) -> Retry {
        Retry {
            attempts: self.below(11) as u8,
            codes: self.some(3, |maker| 400 + maker.below(200) as u16),
            unanswered: self.coin(),
            backoff: self.span(),
        }
    }

    fn rule(&mut self) -> Rule {
        let origin = self.origin();
        let redirect = Redirect {
            scheme: self.maybe(Self::text),
            host: self.maybe(Self::text),
            port: self.maybe(Self::port),
            path: self.maybe(Self::path_rewrite),
            status: self.one(&[301, 302, 303, 307, 308]),
        };
        let action = match Split::new(self.some(3, Self::part)) {
            Some(split) => Action::Forward(split),
            None if self.coin() => Action::Redirect(redirect),
            None => Action::Refuse(Code::C114, origin.clone()),
        };
        Rule {
            origin,
            name: self.maybe(Self::text),
            action,
            request_headers: self.changes(),
            response_headers: self.changes(),
            rewrite: self.maybe(Self::rewrite),
            mirrors: self.some(2, Self::mirror),
            cors: self.maybe(Self::cors),
            request_timeout: self.maybe(Self::span),
            attempt_timeout: self.maybe(Self::span),
            retry: self.maybe(Self::retry),
        }
    }

    fn routes(&mut self) -> Arc<Routes> {
        let rules = self.some(3, |maker| Arc::new(maker.rule()));
        let most = rules.len() as u32;
        let routes = if most == 0 {
            Vec::new()
        } else {
            self.some(4, |maker| Route {
                host: maker.host(),
                matches: HttpMatch {
                    path: maker.path(),
                    method: maker.maybe(Self::text),
                    headers: maker.some(2, Self::header),
                    query: maker.some(2, Self::header),
                },
                rule: maker.below(most) as usize,
                origin: maker.origin(),
            })
        };
        let telemetry = self.some(2, Self::telemetry);
        Arc::new(Routes {
            telemetry: telemetry.into_iter().enumerate().collect(),
            routes,
            rules,
        })
    }

    fn service_port(&mut self) -> ServicePort {
        let origins = self.some(2, |maker| (maker.text(), maker.origin()));
        ServicePort {
            name: self.maybe(Self::text),
            protocol: self.one(&PROTOCOLS),
            producer: self.maybe(Self::routes),
            consumers: self
                .some(2, |maker| (maker.namespace(), maker.routes()))
                .into_iter()
                .collect(),
            telemetry: self.telemetry(),
            tuning: Arc::new(Tuning {
                connect_timeout: self.span(),
                request_timeout: self.maybe(Self::span),
                retry: self.retry(),
                budget: Budget {
                    percent: self.below(101) as u8,
                    at_least_per_second: self.below(100),
                },
                origins: origins.into_iter().collect(),
            }),
        }
    }

    fn service(&mut self) -> Service {
        Service {
            name: self.service_name(),
            origin: self.maybe(Self::origin),
            addresses: self.some(2, |maker| (maker.network(), maker.ip())),
            ports: self
                .some(2, |maker| (maker.port(), maker.service_port()))
                .into_iter()
                .collect(),
        }
    }

    fn endpoint(&mut self) -> Endpoint {
        let identity = self.identity();
        Endpoint {
            workload: WorkloadId {
                namespace: self.namespace(),
                name: self.name(),
            },
            cluster: self.name(),
            network: self.network(),
            address: self.socket(),
            tunnel: self.maybe(Self::socket),
            identities: vec![identity],
            locality: Locality {
                region: self.maybe(Self::text),
                zone: self.maybe(Self::text),
                node: self.maybe(Self::text),
            },
            weight: NonZeroU32::new(self.below(9) + 1).unwrap(),
            state: self.one(&[State::Ready, State::Draining, State::Unknown]),
        }
    }

    fn access(&mut self) -> Arc<Access> {
        Arc::new(Access {
            mtls: self.one(&[Mtls::Strict, Mtls::Permissive]),
            mtls_origin: self.maybe(Self::origin),
            jwt: self.maybe(|maker| Arc::new(maker.jwt())),
            external: self.some(2, |maker| Arc::new(maker.external())),
            rules: self.some(3, |maker| {
                let effect = maker.one(&[
                    Effect::Allow,
                    Effect::Deny,
                    Effect::NotUnderstood,
                    Effect::Ring,
                ]);
                maker.access_rule(effect)
            }),
            audits: self.some(2, |maker| maker.access_rule(Effect::Audit)),
            stance: self.one(&[Stance::Allow, Stance::Deny]),
            stance_origin: self.maybe(Self::origin),
        })
    }

    fn outbound(&mut self) -> Outbound {
        let effects = [
            Effect::Allow,
            Effect::AllowAlso,
            Effect::Deny,
            Effect::NotUnderstood,
        ];
        Outbound {
            rules: self.some(2, |maker| {
                let effect = maker.one(&effects);
                maker.outbound_rule(effect)
            }),
            audits: self.some(2, |maker| maker.outbound_rule(Effect::Audit)),
            default: self.maybe(|maker| {
                let stance = maker.one(&[Stance::Allow, Stance::Deny]);
                (stance, maker.origin())
            }),
        }
    }

    fn outbound_rule(&mut self, effect: Effect) -> Arc<OutboundRule> {
        Arc::new(OutboundRule {
            origin: self.origin(),
            effect,
            hosts: self.some(2, Self::host),
            blocks: self.some(2, |maker| IpBlock::new(maker.ip(), 8).unwrap()),
            ports: self.some(2, Self::port),
        })
    }

    fn access_rule(&mut self, effect: Effect) -> Arc<AccessRule> {
        Arc::new(AccessRule {
            origin: self.origin(),
            effect,
            callers: self.some(2, Self::caller),
            within: self.some(2, |maker| Within {
                takes: maker.request(),
                leaves: maker.some(2, Self::request),
            }),
            requests: self.some(2, Self::request),
            except: Except {
                callers: self.some(2, Self::caller),
                requests: self.some(2, Self::request),
            },
            when: self.maybe(Self::text),
        })
    }

    fn caller(&mut self) -> CallerMatch {
        CallerMatch {
            trust_domain: self.maybe(|maker| maker.identity().trust_domain),
            namespace: self.maybe(Self::namespace),
            service_account: self.maybe(Self::name),
            block: self.maybe(|maker| IpBlock::new(maker.ip(), 8).unwrap()),
        }
    }

    fn probe(&mut self) -> Probe {
        Probe {
            origin: self.origin(),
            from: self.some(2, |maker| IpBlock::new(maker.ip(), 8).unwrap()),
            port: self.port(),
            check: match self.below(3) {
                0 => Check::Tls,
                1 => Check::Connection,
                _ => Check::Request(self.text()),
            },
        }
    }

    fn request(&mut self) -> RequestMatch {
        RequestMatch {
            ports: self.some(2, Self::port),
            methods: self.some(2, Self::text),
            hosts: self.some(2, Self::host),
            paths: self.some(2, |maker| match maker.below(4) {
                0 => PathMatch::Template(PathTemplate::new("/items/{id}/**").unwrap()),
                _ => maker.path(),
            }),
            headers: self.some(2, |maker| FieldMatch {
                name: maker.text(),
                value: maker.field_value(),
            }),
            claims: self.some(2, |maker| ClaimMatch {
                name: maker.text(),
                value: maker.field_value(),
            }),
        }
    }

    fn field_value(&mut self) -> FieldValue {
        match self.below(4) {
            0 => FieldValue::Present,
            1 => FieldValue::Exact(self.text()),
            2 => FieldValue::Prefix(self.text()),
            _ => FieldValue::Regex(Pattern::new("[a-z]+").unwrap()),
        }
    }

    fn external(&mut self) -> ExternalAuth {
        ExternalAuth {
            origin: self.origin(),
            within: self.some(2, |maker| Within {
                takes: maker.request(),
                leaves: maker.some(2, Self::request),
            }),
            requests: self.some(2, Self::request),
            except: self.some(2, Self::request),
            to: self.port_ref(),
            protocol: match self.below(2) {
                0 => AuthProtocol::Grpc,
                _ => AuthProtocol::Http(self.text()),
            },
            timeout: self.span(),
            on_failure: self.one(&[OnFailure::Deny, OnFailure::Allow]),
            tells: self.maybe(|maker| maker.some(2, Self::text)),
            sets: self.some(2, Self::text),
            body: NonZeroU16::new(self.below(3) as u16),
        }
    }

    fn jwt(&mut self) -> Jwt {
        Jwt {
            required: self.some(2, Self::origin),
            issuers: self.some(2, |maker| JwtIssuer {
                origin: maker.origin(),
                issuer: maker.text(),
                audiences: maker.maybe(|maker| maker.some(2, |it| it.text().to_string())),
                from: maker.some(2, |maker| match maker.below(2) {
                    0 => TokenPlace::Cookie(maker.text()),
                    _ => TokenPlace::Header {
                        name: maker.text(),
                        prefix: maker.text(),
                    },
                }),
                forward: maker.below(2) == 1,
                claims: maker.some(2, |maker| ClaimHeader {
                    claim: maker.text(),
                    header: maker.text(),
                }),
                keys: IssuerKeys {
                    source: maker.maybe(|maker| KeySource {
                        place: match maker.below(2) {
                            0 => KeyPlace::File(maker.text()),
                            _ => KeyPlace::Url(maker.text()),
                        },
                        every: Duration::from_secs(u64::from(maker.below(1000))),
                        keep: Duration::from_secs(u64::from(maker.below(1000))),
                    }),
                    jwks: maker.maybe(Self::text),
                    until: maker.maybe(|maker| {
                        Wall::since_epoch(Duration::from_secs(u64::from(maker.below(1000))))
                    }),
                },
            }),
        }
    }

    fn workload(&mut self) -> Workload {
        let port = |maker: &mut Self| WorkloadPort {
            protocol: maker.one(&PROTOCOLS),
            access: maker.access(),
            telemetry: maker.telemetry(),
            proxied: Arc::new(Proxied {
                from: maker.some(2, |maker| IpBlock::new(maker.ip(), 8).unwrap()),
                send: maker.maybe(|maker| maker.one(&[ProxyVersion::V1, ProxyVersion::V2])),
                origin: maker.maybe(Self::origin),
            }),
        };
        Workload {
            id: WorkloadId {
                namespace: self.namespace(),
                name: self.name(),
            },
            identity: self.identity(),
            network: self.network(),
            addresses: self.some(2, Self::ip),
            ports: self
                .some(2, |maker| (maker.port(), port(maker)))
                .into_iter()
                .collect(),
            other_ports: self.access(),
            isolation: self.maybe(|maker| Arc::new(maker.isolation())),
            outbound: Arc::new(self.outbound()),
            telemetry: self.telemetry(),
            probes: self.some(2, Self::probe).into(),
            pod: self.maybe(|maker| Arc::new(maker.pod())),
            processes: self
                .some(2, |maker| ProcessMatch {
                    user: maker.maybe(|maker| maker.one(&[0, 1001])),
                    group: maker.maybe(|maker| maker.one(&[0, 100])),
                    path: maker.maybe(Self::text),
                    sha256: maker.maybe(|maker| maker.one(&[[0; 32], [7; 32]])),
                })
                .into(),
        }
    }

    fn isolation(&mut self) -> Isolation {
        let block = |maker: &mut Self| IpBlock::new(maker.ip(), 8).unwrap();
        let from = |maker: &mut Self| Peers {
            blocks: maker.some(2, |maker| AddressBlock {
                block: block(maker),
                except: maker.some(2, block),
            }),
            namespaces: maker.some(2, Self::namespace).into_iter().collect(),
            accounts: maker
                .some(2, |maker| {
                    let addresses: BTreeSet<_> = maker.some(2, Self::ip).into_iter().collect();
                    let at = [
                        At::Anywhere,
                        At::Addresses(addresses.clone()),
                        At::Others(addresses),
                    ];
                    let at = maker.one(&at);
                    ((maker.namespace(), maker.name()), at)
                })
                .into_iter()
                .collect(),
        };
        let ports = |maker: &mut Self| {
            maker.some(2, |maker| maker.one(&["22", "8000-8010"]).parse().unwrap())
        };
        let by = |maker: &mut Self| [vec![maker.origin()], maker.some(2, Self::origin)].concat();
        Isolation {
            by: by(self),
            rules: self.some(2, |maker| Ingress {
                origin: maker.origin(),
                ports: ports(maker),
                from: maker.maybe(|maker| Arc::new(from(maker))),
            }),
            egress: self.some(2, |maker| {
                Arc::new(Egress {
                    by: by(maker),
                    have_others: maker.one(&[false, true]),
                    callers: Arc::new(from(maker)),
                    rules: maker.some(2, |maker| Leave {
                        origin: maker.origin(),
                        ports: ports(maker),
                        alike: maker.one(&[0, 7]),
                    }),
                    is_rest: maker.one(&[false, true]),
                })
            }),
        }
    }

    fn pod(&mut self) -> Pod {
        let ports = |maker: &mut Self| maker.one(&["22", "8000-8010"]).parse().unwrap();
        Pod {
            uid: self.text(),
            left_out: LeftOut {
                inbound: self.some(2, ports),
                outbound: self.some(2, ports),
                outbound_blocks: self.some(2, |maker| IpBlock::new(maker.ip(), 8).unwrap()),
            },
            own_process: self.maybe(|maker| OwnProcess {
                memory_mib: maker.one(&[32, 128]),
                cpu_milli: maker.maybe(|maker| maker.one(&[10, 500])),
                origin: maker.origin(),
            }),
            resolver: self.maybe(|maker| Resolver {
                first: maker.one(&[NameServers::Cluster, NameServers::Node, NameServers::Nobody]),
                more: maker.some(2, Self::ip),
            }),
        }
    }

    fn telemetry(&mut self) -> Arc<Telemetry> {
        let bools = [true, false];
        Arc::new(Telemetry {
            access_log: AccessLog {
                is_on: self.one(&bools),
                when: self.maybe(Self::text),
                fields: self.maybe(|maker| LogFields::of([maker.one(&LogFields::ALL)])),
                request_headers: self.some(2, Self::text),
                response_headers: self.some(2, Self::text),
            },
            tracing: Tracing {
                sample: self.one(&[0, 1, Tracing::EVERY]),
                errors: self.one(&bools),
            },
            redaction: Redaction {
                all: self.one(&bools),
                patterns: self.some(2, |_| Pattern::new("[0-9]+").unwrap()),
            },
            records: self
                .some(2, |maker| {
                    let facts = ["host", "header:x-role", "query:v", "claim:/a/b"];
                    let fact = maker.one(&facts).parse().unwrap();
                    (fact, maker.origin())
                })
                .into_iter()
                .collect(),
            origins: self
                .some(2, |maker| (maker.text(), maker.origin()))
                .into_iter()
                .collect(),
        })
    }

    fn collector(&mut self) -> Collector {
        Collector {
            endpoint: self.text(),
            protocol: self.one(&[OtlpProtocol::Grpc, OtlpProtocol::Http]),
            headers_file: self.maybe(Self::text),
            roots_file: self.maybe(Self::text),
            signals: Signals {
                metrics: self.one(&[true, false]),
                traces: self.one(&[true, false]),
                logs: self.one(&[true, false]),
            },
            interval: self.span(),
        }
    }

    /// A view at a position of the source `store`.
    pub(crate) fn view(&mut self, position: u64) -> View {
        let services = self.some(6, |maker| Arc::new(maker.service()));
        let workloads = self.some(2, |maker| Arc::new(maker.workload()));
        let slice =
            |maker: &mut Self| Arc::new(EndpointSlice::new(maker.some(5, Self::endpoint)).unwrap());
        let endpoints = self.some(3, |maker| {
            let first = slice(maker);
            (maker.port_ref(), vec![first, slice(maker)])
        });
        let origins = self.some(2, |maker| (maker.text(), maker.origin()));
        let unknown = self.one(&[Unknown::Pass, Unknown::Refuse]);
        View {
            generation: Generation {
                epoch: 1,
                positions: BTreeMap::from([("store".into(), position)]),
            },
            settings: Arc::new(Settings {
                trust_domain: self.identity().trust_domain,
                unknown_destinations: unknown,
                outbound_is_ruled: self.maybe(|_| ()).is_some(),
                probes: self.some(2, |maker| Arc::new(maker.probe())),
                collector: Some(Arc::new(self.collector())),
                telemetry: self.telemetry(),
                while_away: self.one(&[WhileAway::Closed, WhileAway::Open]),
                unasked: self.some(2, Self::namespace).into_iter().collect(),
                taking_part: self.maybe(|maker| {
                    let namespaces = maker.some(2, Self::namespace);
                    Arc::new(namespaces.into_iter().collect())
                }),
                origins: origins.into_iter().collect(),
            }),
            workloads: workloads
                .into_iter()
                .map(|part| (part.id.clone(), part))
                .collect(),
            sidecars: self
                .some(2, |maker| (maker.workload().id, Arc::new(maker.pod())))
                .into_iter()
                .collect(),
            services: services
                .into_iter()
                .map(|part| (part.name.clone(), part))
                .collect(),
            endpoints: endpoints.into_iter().collect(),
            revoked: Arc::new(
                self.some(2, Self::identity)
                    .into_iter()
                    .collect::<BTreeSet<_>>(),
            ),
            token_keys: BTreeMap::from([(TrustDomain::new("shop.local").unwrap(), self.text())]),
            bundles: BTreeMap::from([(
                self.identity().trust_domain,
                Arc::new(vec![vec![1, 2, 3]]),
            )]),
        }
    }
}
