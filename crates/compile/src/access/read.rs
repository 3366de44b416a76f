//! From an `AccessPolicy` as it was written to its rules. What cannot be read denies.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_condition::Condition;
use leno_model::view::{
    AccessRule, CallerMatch, Effect, Except, FieldMatch, FieldValue, HostMatch, PathMatch,
    RequestMatch,
};
use leno_model::{Code, Notes, PathTemplate, Pattern, TrustDomain};
use leno_resources::policy::{
    self, AccessAction, AccessGrpc, AccessHeader, AccessHeaderType, AccessPath, AccessPathType,
    AccessPolicySpec, Caller, Identity, Request, TargetKind, TargetRef,
};
use leno_resources::{List, Object, Part};

use super::{Policy, Rule};
use crate::everywhere;
use crate::finding::{self, Complete};
use crate::targets::{self, Scope, Target};

/// What a policy means, whose short identities are of `trust_domain`. One that cannot be read denies
/// over its targets; if one of these cannot be read, over all it can be about.
pub(crate) fn read<'a>(
    object: &'a Object<AccessPolicySpec>,
    trust_domain: &TrustDomain,
    scope: &Scope<'_>,
    notes: &mut Notes,
) -> Policy<'a> {
    let written = object
        .spec
        .partly()
        .and_then(|spec| spec.target_refs.as_ref());
    let is_flawed = |written: &List<_>| written.is_empty() || written.sound().is_none();
    let names_routes = note_routes(object, written, notes);
    let has_flawed_target = names_routes || written.is_some_and(is_flawed);
    let mut policy = Policy {
        object,
        targets: if names_routes {
            Vec::new()
        } else {
            targets::targets(object, written, scope, notes)
        },
        mtls: None,
        stance: None,
        rules: Vec::new(),
    };
    if has_flawed_target {
        policy.targets = [Target::Namespace(finding::namespace(object))].into();
    }
    let Some(spec) = object.spec.sound().filter(|_| !has_flawed_target) else {
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
        policy.rules.push(
            Reader {
                object,
                trust_domain,
                notes,
                in_force: DENIED,
            }
            .rule(rule, pointer),
        );
    }
    policy
}

/// Notes targets that are routes, and says whether there are any. Who may call is asked where a
/// call arrives, and no route is known there.
fn note_routes(
    object: &Object<AccessPolicySpec>,
    written: Option<&List<TargetRef>>,
    notes: &mut Notes,
) -> bool {
    let mut any = false;
    let references = written.into_iter().flat_map(List::iter).enumerate();
    for (index, reference) in references {
        let is_route = |reference: &&TargetRef| match reference.kind {
            TargetKind::HttpRoute | TargetKind::GrpcRoute => true,
            TargetKind::Mesh
            | TargetKind::Namespace
            | TargetKind::Service
            | TargetKind::MeshWorkload => false,
        };
        if reference.sound().filter(is_route).is_none() {
            continue;
        }
        any = true;
        let pointer = format!("/spec/targetRefs/{index}/kind");
        let message = "an AccessPolicy is asked where a call arrives, and knows no routes there";
        notes.push(
            finding::error(object, &pointer, Code::C114, message.to_string())
                .suggest(Some(
                    "name the Service, and the paths in a rule".to_string(),
                ))
                .in_force("calls to every workload of its namespace are denied"),
        );
    }
    any
}

fn denies_all(object: &Object<AccessPolicySpec>) -> Rule {
    Rule {
        pointer: "/spec".to_string(),
        rule: Arc::new(AccessRule {
            origin: object.origin("/spec"),
            effect: Effect::NotUnderstood,
            callers: Vec::new(),
            requests: Vec::new(),
            except: Except::default(),
            when: None,
        }),
        closes: false,
    }
}

struct Reader<'a> {
    object: &'a Object<AccessPolicySpec>,
    trust_domain: &'a TrustDomain,
    notes: &'a mut Notes,
    /// What holds where something of the rule cannot be read.
    in_force: &'static str,
}

impl Reader<'_> {
    fn rule(&mut self, part: &Part<policy::AccessRule>, pointer: String) -> Rule {
        let Some(written) = part.partly() else {
            let rule = AccessRule {
                origin: self.object.origin(&pointer),
                effect: Effect::NotUnderstood,
                callers: Vec::new(),
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
        caller
    }

    fn requests(
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
        let value = written.value.clone().unwrap_or_default();
        Some(FieldMatch {
            name: name.into(),
            value: match written.type_ {
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

/// Why rules cannot ask for a header, in any case; one of which servers cannot tell that it is another
/// counts as that.
fn why_not_asked(name: &str) -> Option<&'static str> {
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
fn all_or_any<T, U>(
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

fn host_match(host: &str) -> HostMatch {
    match host.strip_prefix('*') {
        Some(suffix) => HostMatch::Suffix(suffix.into()),
        None => HostMatch::Exact(host.into()),
    }
}
