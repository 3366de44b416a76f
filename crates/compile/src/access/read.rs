//! From an `AccessPolicy` as it was written to its rules. What cannot be read denies.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_condition::Condition;
use leno_model::near::did_you_mean;
use leno_model::view::{
    AccessRule, CallerMatch, ClaimMatch, Effect, Except, FieldMatch, FieldValue, HostMatch,
    PathMatch, RequestMatch,
};
use leno_model::{Code, Notes, PathTemplate, Pattern, TrustDomain};
use leno_resources::policy::{
    self, AccessAction, AccessGrpc, AccessHeader, AccessHeaderType, AccessPath, AccessPathType,
    AccessPolicySpec, Caller, Identity, Request, TargetKind,
};
use leno_resources::{List, Object, Part};

use super::{Policy, Rule, Taken, external, jwt, outbound};
use crate::everywhere;
use crate::finding::{self, Complete};
use crate::peers::Peer;
use crate::rules::Surroundings;
use crate::targets::{self, Scope, Target};

/// By what it is known what a policy means.
pub(crate) struct Means<'a> {
    /// That of short identities.
    pub(crate) trust_domain: &'a TrustDomain,
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) taken: &'a Taken<'a>,
    /// Whom it may refer to.
    pub(crate) surroundings: Surroundings<'a>,
}

/// What a policy means. One that cannot be read denies over its targets; if one of these cannot be read,
/// over all it can be about.
pub(crate) fn read<'a>(
    object: &'a Object<AccessPolicySpec>,
    means: &Means<'_>,
    notes: &mut Notes,
) -> Policy<'a> {
    let Means {
        trust_domain,
        scope,
        taken,
        ..
    } = *means;
    let written = object
        .spec
        .partly()
        .and_then(|spec| spec.target_refs.as_ref());
    let is_flawed = |written: &List<_>| written.is_empty() || written.sound().is_none();
    let has_flawed_target = written.is_some_and(is_flawed);
    let mut policy = Policy {
        object,
        targets: targets::targets(object, written, scope, notes),
        within: BTreeMap::new(),
        mtls: None,
        stance: None,
        jwt: None,
        external: None,
        rules: Vec::new(),
        calls: None,
    };
    policy.calls = outbound::read(object, &policy.targets, has_flawed_target, scope, notes);
    let is_told_apart = find_routes(&mut policy, taken, notes);
    if has_flawed_target || !is_told_apart {
        policy.targets = [Target::Namespace(finding::namespace(object))].into();
        policy.within.clear();
    }
    let readable = object.spec.sound();
    let Some(spec) = readable.filter(|_| !has_flawed_target && is_told_apart) else {
        policy.rules.push(denies_all(object));
        return policy;
    };
    let origin = |field: &str| object.origin(&format!("/spec/{field}"));
    policy.mtls = spec
        .mtls
        .map(|mode| (everywhere::mtls(mode), origin("mtls")));
    policy.stance = spec
        .default
        .map(|stance| (everywhere::stance(stance), origin("default")));
    if let Some(written) = &spec.jwt {
        policy.jwt = jwt::read(object, written, notes);
        if policy.jwt.is_none() {
            policy.rules.push(denies_all(object));
        }
    }
    if let Some(written) = &spec.external_auth {
        policy.external = external::read(object, written, means, notes);
        if policy.external.is_none() {
            policy.rules.push(denies_all(object));
        }
    }
    let Some(rules) = &spec.rules else {
        return policy;
    };
    if rules.is_empty() {
        notes.push(
            finding::error(
                object,
                "/spec/rules",
                Code::C132,
                "a list of no rules can mean all or nobody".to_string(),
            )
            .suggest(Some("write default: Deny, or leave rules out".to_string()))
            .in_force("calls to its targets are denied"),
        );
        policy.rules.push(denies_all(object));
    }
    for (index, rule) in rules.iter().enumerate() {
        let pointer = format!("/spec/rules/{index}");
        let peers = scope.peers;
        let mut reader = Reader::new(object, trust_domain, peers, notes);
        policy.rules.push(reader.rule(rule, pointer));
    }
    policy
}

/// Replaces targets that are routes by what these send to services; `false`, with notes, if what a route
/// takes cannot be told apart where it arrives, or if the policy says what holds for whole ports.
fn find_routes(policy: &mut Policy<'_>, taken: &Taken<'_>, notes: &mut Notes) -> bool {
    let is_route = |target: &Target| match target.kind() {
        TargetKind::HttpRoute | TargetKind::GrpcRoute => true,
        TargetKind::Mesh
        | TargetKind::Namespace
        | TargetKind::Service
        | TargetKind::MeshWorkload => false,
    };
    let object = policy.object;
    let (routes, targets) = policy.targets.drain(..).partition::<Vec<_>, _>(is_route);
    policy.targets = targets;
    let mut all = true;
    let refused = |pointer: &str, message: String, suggestion: &str| {
        finding::error(object, pointer, Code::C114, message)
            .suggest(Some(suggestion.to_string()))
            .in_force("calls to every workload of its namespace are denied")
    };
    let spec = object.spec.partly();
    let whole_ports = [
        ("mtls", spec.is_some_and(|spec| spec.mtls.is_some())),
        ("jwt", spec.is_some_and(|spec| spec.jwt.is_some())),
        ("default", spec.is_some_and(|spec| spec.default.is_some())),
    ];
    for (field, _) in whole_ports
        .iter()
        .filter(|(_, is_said)| *is_said && !routes.is_empty())
    {
        let message = format!("{field} holds for a port as a whole, and a route takes some of it");
        let suggestion = "say it in a policy about the Service";
        notes.push(refused(&format!("/spec/{field}"), message, suggestion));
        all = false;
    }
    for route in &routes {
        match taken.sent_by(route) {
            Ok(sent) => {
                if sent.is_empty() {
                    let message = "the route sends nothing to services of this namespace";
                    let note = finding::warning(
                        object,
                        "/spec/targetRefs",
                        Code::C150,
                        message.to_string(),
                    );
                    notes.push(note.in_force("nothing: the policy is about no call there"));
                }
                for (port, requests) in sent {
                    policy.within.entry(port).or_default().extend(requests);
                }
            }
            Err(why) => {
                let suggestion = "name the Service, and the paths in a rule";
                notes.push(refused("/spec/targetRefs", why, suggestion));
                all = false;
            }
        }
    }
    all
}

fn denies_all(object: &Object<AccessPolicySpec>) -> Rule {
    Rule {
        pointer: "/spec".to_string(),
        rule: Arc::new(AccessRule {
            origin: object.origin("/spec"),
            effect: Effect::NotUnderstood,
            callers: Vec::new(),
            within: Vec::new(),
            requests: Vec::new(),
            except: Except::default(),
            when: None,
        }),
        closes: false,
    }
}

/// Reads parts of a policy.
pub(super) struct Reader<'a> {
    object: &'a Object<AccessPolicySpec>,
    trust_domain: &'a TrustDomain,
    peers: &'a BTreeMap<TrustDomain, Peer>,
    notes: &'a mut Notes,
    /// What holds where something of the rule cannot be read.
    in_force: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        object: &'a Object<AccessPolicySpec>,
        trust_domain: &'a TrustDomain,
        peers: &'a BTreeMap<TrustDomain, Peer>,
        notes: &'a mut Notes,
    ) -> Self {
        Self {
            object,
            trust_domain,
            peers,
            notes,
            in_force: DENIED,
        }
    }

    fn rule(&mut self, part: &Part<policy::AccessRule>, pointer: String) -> Rule {
        let Some(written) = part.partly() else {
            let rule = AccessRule {
                origin: self.object.origin(&pointer),
                effect: Effect::NotUnderstood,
                callers: Vec::new(),
                within: Vec::new(),
                requests: Vec::new(),
                except: Except::default(),
                when: None,
            };
            return Rule {
                pointer,
                rule: Arc::new(rule),
                closes: true,
            };
        };
        if written.action == AccessAction::Audit {
            self.in_force = TOLD;
        }
        let mut understood = !part.is_flawed();
        let callers = self.callers(&written.callers, &pointer, &mut understood);
        let requests = self.requests(&written.requests, &pointer, &mut understood);
        let mut except = Except::default();
        if let Some(written) = &written.except {
            let pointer = format!("{pointer}/except");
            except = Except {
                callers: self.callers(&written.callers, &pointer, &mut understood),
                requests: self.requests(&written.requests, &pointer, &mut understood),
            };
        }
        let when = written.when.as_ref();
        let when = when.filter(|when| {
            let sound = self.condition(when, &format!("{pointer}/when"));
            understood &= sound;
            sound
        });
        let effect = match written.action {
            // It denies nobody who was not to be denied.
            AccessAction::Audit => Effect::Audit,
            _ if !understood => Effect::NotUnderstood,
            AccessAction::Allow => Effect::Allow,
            AccessAction::Deny => Effect::Deny,
        };
        let rule = AccessRule {
            origin: self.object.origin(&pointer),
            effect,
            callers,
            // What routes take is known for each port.
            within: Vec::new(),
            requests,
            // Who cannot tell what is excepted must take nothing for it.
            except: if understood {
                except
            } else {
                Except::default()
            },
            when: when.filter(|_| understood).cloned(),
        };
        let closes = !understood && written.action == AccessAction::Allow;
        Rule {
            pointer,
            rule: Arc::new(rule),
            closes,
        }
    }

    /// Everybody whom the readable part of each entry covers.
    fn callers(
        &mut self,
        written: &List<Caller>,
        pointer: &str,
        understood: &mut bool,
    ) -> Vec<CallerMatch> {
        let mut callers = Vec::new();
        for (index, part) in written.iter().enumerate() {
            *understood &= !part.is_flawed();
            let pointer = format!("{pointer}/callers/{index}");
            let caller = part
                .partly()
                .map(|caller| self.caller(caller, &pointer, understood));
            callers.push(caller.unwrap_or_default());
        }
        callers
    }

    fn caller(&mut self, written: &Caller, pointer: &str, understood: &mut bool) -> CallerMatch {
        let Caller {
            identity,
            namespace,
            trust_domain,
            ip_block,
        } = written;
        let mut caller = CallerMatch {
            trust_domain: trust_domain.clone(),
            namespace: namespace.clone(),
            service_account: None,
            block: *ip_block,
        };
        if let Some(identity) = identity {
            let (domain, space, account) = match identity {
                Identity::Short(namespace, account) => (self.trust_domain, namespace, account),
                Identity::Spiffe(id) => (&id.trust_domain, &id.namespace, &id.service_account),
            };
            let differs = namespace.as_ref().is_some_and(|other| other != space)
                || trust_domain.as_ref().is_some_and(|other| other != domain);
            if differs {
                *understood = false;
                let message =
                    "identity and the rest of this caller are never both true".to_string();
                self.denied(&format!("{pointer}/identity"), message);
            }
            caller.trust_domain = Some(domain.clone());
            caller.namespace = Some(space.clone());
            caller.service_account = Some(account.clone());
        } else if namespace.is_some() && trust_domain.is_none() {
            caller.trust_domain = Some(self.trust_domain.clone());
        }
        self.check_known(&caller, pointer);
        caller
    }

    /// Notes that nobody can prove to be of a caller's trust domain.
    fn check_known(&mut self, caller: &CallerMatch, pointer: &str) {
        let named = caller.trust_domain.as_ref();
        let unknown = named.filter(|it| *it != self.trust_domain && !self.peers.contains_key(*it));
        let Some(domain) = unknown else {
            return;
        };
        let mut known = self
            .peers
            .keys()
            .map(TrustDomain::as_str)
            .collect::<Vec<_>>();
        known.push(self.trust_domain.as_str());
        let meant = did_you_mean(domain.as_str(), known);
        self.notes.push(
            finding::warning(
                self.object,
                pointer,
                Code::C180,
                format!("no MeshPeer lets identities of {domain} be believed"),
            )
            .suggest(meant)
            .in_force("it matches nobody; the rule holds for its other callers"),
        );
    }

    pub(super) fn requests(
        &mut self,
        written: &List<Request>,
        pointer: &str,
        understood: &mut bool,
    ) -> Vec<RequestMatch> {
        let mut requests = Vec::new();
        for (index, part) in written.iter().enumerate() {
            *understood &= !part.is_flawed();
            let pointer = format!("{pointer}/requests/{index}");
            let request = part
                .partly()
                .map(|request| self.request(request, &pointer, understood));
            requests.push(request.unwrap_or_default());
        }
        requests
    }

    fn request(&mut self, written: &Request, pointer: &str, understood: &mut bool) -> RequestMatch {
        let Request {
            ports,
            methods,
            hosts,
            paths,
            headers,
            grpc,
            claims,
        } = written;
        self.tell_lower_case(methods, pointer);
        let mut paths = all_or_any(paths, understood, |index, path| {
            self.path(path, &format!("{pointer}/paths/{index}/value"))
        });
        paths.extend(all_or_any(grpc, understood, |_, called| grpc_path(called)));
        RequestMatch {
            paths,
            // All must match: one that cannot be read asks for nothing.
            headers: all_or_any(headers, understood, |index, header| {
                self.header(header, &format!("{pointer}/headers/{index}"))
            }),
            claims: all_or_any(claims, understood, |index, claim| {
                let pointer = format!("{pointer}/claims/{index}");
                let value = self.value(claim.type_, claim.value.as_ref(), &pointer)?;
                let name = claim.name.clone();
                Some(ClaimMatch { name, value })
            }),
            ports: all_or_any(ports, understood, |_, port| Some(*port)),
            methods: all_or_any(methods, understood, |_, method| Some(method.clone())),
            hosts: all_or_any(hosts, understood, |_, host| Some(host_match(host))),
        }
    }

    /// Notes methods that no request has: those that differ from a known one by case are refused
    /// before anything is asked.
    fn tell_lower_case(&mut self, methods: &List<Arc<str>>, pointer: &str) {
        for (index, method) in methods.iter().enumerate() {
            let Some(method) = method.sound() else {
                continue;
            };
            if !method.bytes().any(|byte| byte.is_ascii_lowercase()) {
                continue;
            }
            let message = format!("no request that is let in has the method {method}");
            let meant = format!("did you mean {}?", method.to_ascii_uppercase());
            self.never(&format!("{pointer}/methods/{index}"), message, Some(meant));
        }
    }

    /// Notes a part of a rule that can never match.
    fn never(&mut self, pointer: &str, message: String, suggestion: Option<String>) {
        self.notes.push(
            finding::warning(self.object, pointer, Code::C150, message)
                .suggest(suggestion)
                .in_force("it matches nothing; the rule holds for what else it asks for"),
        );
    }

    fn header(&mut self, written: &AccessHeader, pointer: &str) -> Option<FieldMatch> {
        let name = written.name.to_ascii_lowercase();
        if let Some(why) = why_not_asked(&name) {
            self.denied(&format!("{pointer}/name"), format!("{name} {why}"));
            return None;
        }
        let value = self.value(written.type_, written.value.as_ref(), pointer)?;
        Some(FieldMatch {
            name: name.into(),
            value,
        })
    }

    fn value(
        &mut self,
        type_: AccessHeaderType,
        value: Option<&Arc<str>>,
        pointer: &str,
    ) -> Option<FieldValue> {
        let value = value.cloned().unwrap_or_default();
        Some(match type_ {
            AccessHeaderType::Present => FieldValue::Present,
            AccessHeaderType::Exact => FieldValue::Exact(value),
            AccessHeaderType::Prefix => FieldValue::Prefix(value),
            AccessHeaderType::RegularExpression => match Pattern::new(&value) {
                Ok(pattern) => FieldValue::Regex(pattern),
                Err(bad) => {
                    self.denied(&format!("{pointer}/value"), bad.to_string());
                    return None;
                }
            },
        })
    }

    /// Whether a condition can be asked of a call that is not let in yet.
    fn condition(&mut self, written: &str, pointer: &str) -> bool {
        let condition = match Condition::new(written) {
            Ok(condition) => condition,
            Err(flaw) => {
                let note = finding::not_cel(self.object, pointer, written, flaw);
                self.notes.push(note.in_force(self.in_force));
                return false;
            }
        };
        let reads = condition.reads();
        let late = reads.facts.iter().find(|fact| !fact.is_known_first());
        let mut headers = reads.headers.iter();
        let not_asked = headers.find_map(|name| Some((name, why_not_asked(name)?)));
        let message = match (late, not_asked) {
            (Some(late), _) => format!("{} is not known before a call is let in", late.name()),
            (None, Some((name, why))) => format!("{name} {why}"),
            (None, None) if reads.any_header => {
                "the name of a header is to be written out".to_string()
            }
            (None, None) => return true,
        };
        self.denied(pointer, message);
        false
    }

    fn path(&mut self, written: &AccessPath, pointer: &str) -> Option<PathMatch> {
        let value = &written.value;
        match written.type_ {
            AccessPathType::Exact => Some(PathMatch::Exact(value.clone())),
            AccessPathType::PathPrefix => {
                Some(PathMatch::Prefix(value.trim_end_matches('/').into()))
            }
            AccessPathType::RegularExpression => match Pattern::new(value) {
                Ok(pattern) => Some(PathMatch::Regex(pattern)),
                Err(bad) => {
                    self.denied(pointer, bad.to_string());
                    None
                }
            },
            AccessPathType::Template => match PathTemplate::new(value) {
                Ok(template) => Some(PathMatch::Template(template)),
                Err(bad) => {
                    self.denied(pointer, bad.to_string());
                    None
                }
            },
        }
    }

    fn denied(&mut self, pointer: &str, message: String) {
        self.notes.push(
            finding::error(self.object, pointer, Code::C007, message).in_force(self.in_force),
        );
    }
}

/// What holds while a rule that decides is not understood.
const DENIED: &str = "whatever the readable parts of this rule cover is denied";

/// What holds while a rule that only tells is not understood.
const TOLD: &str = "it tells of whatever its readable parts cover";

/// The name of a header, in lower case, by which more is told than it was sent; `None`, with a note, for
/// one that is not free for that.
pub(super) fn carried(
    object: &Object<AccessPolicySpec>,
    pointer: &str,
    name: &str,
    notes: &mut Notes,
) -> Option<Arc<str>> {
    let name = name.to_ascii_lowercase();
    let why = match &*name {
        "content-length" | "content-encoding" => Some("says how the body is read"),
        name => why_not_asked(name),
    };
    let Some(why) = why else {
        return Some(name.into());
    };
    let note = finding::error(object, pointer, Code::C007, format!("{name} {why}"));
    notes.push(note.in_force("calls to its targets are denied"));
    None
}

/// Why rules cannot ask for a header, in any case; one of which servers cannot tell that it is another
/// counts as that.
pub(super) fn why_not_asked(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let known = NOT_ASKED.iter().find(|(other, _)| *other == name);
    match (known, name.split('-').next()) {
        (Some((_, why)), _) => Some(why),
        (None, Some("proxy")) => Some(ENDS_HERE),
        (None, Some("leno")) => Some("is what proxies tell each other"),
        (None, _) => None,
    }
}

/// The headers that rules cannot ask for, and why.
const NOT_ASKED: [(&str, &str); 7] = [
    ("connection", ENDS_HERE),
    ("host", "is asked for by hosts"),
    ("keep-alive", ENDS_HERE),
    ("te", ENDS_HERE),
    ("transfer-encoding", ENDS_HERE),
    ("upgrade", ENDS_HERE),
    (
        "x-forwarded-client-cert",
        "is what proxies tell of the caller: ask by callers",
    ),
];

const ENDS_HERE: &str = "concerns one connection, and is not part of a request";

/// The path of a call of gRPC.
fn grpc_path(called: &AccessGrpc) -> Option<PathMatch> {
    let AccessGrpc { service, method } = called;
    match (service, method) {
        (Some(service), Some(method)) => {
            Some(PathMatch::Exact(format!("/{service}/{method}").into()))
        }
        (Some(service), None) => Some(PathMatch::Prefix(format!("/{service}").into())),
        (None, Some(method)) => PathTemplate::new(&format!("/*/{method}"))
            .ok()
            .map(PathMatch::Template),
        (None, None) => None,
    }
}

/// The entries, or none, which is any, if one of them cannot be read: who cannot tell which are
/// meant must take all of them for meant.
pub(super) fn all_or_any<T, U>(
    written: &List<T>,
    understood: &mut bool,
    mut read: impl FnMut(usize, &T) -> Option<U>,
) -> Vec<U> {
    let mut all = Some(Vec::new());
    for (index, part) in written.iter().enumerate() {
        let one = part.sound().and_then(|one| read(index, one));
        all = all.zip(one).map(|(mut all, one)| {
            all.push(one);
            all
        });
    }
    *understood &= all.is_some();
    all.unwrap_or_default()
}

pub(super) fn host_match(host: &str) -> HostMatch {
    match host.strip_prefix('*') {
        Some(suffix) => HostMatch::Suffix(suffix.into()),
        None => HostMatch::Exact(host.into()),
    }
}
