//! From an `AccessPolicy` as it was written to its rules. What cannot be read denies.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_model::view::{AccessRule, CallerMatch, Effect, HostMatch, PathMatch, RequestMatch};
use leno_model::{Code, Notes, Pattern, TrustDomain};
use leno_resources::policy::{
    self, AccessAction, AccessPath, AccessPathType, AccessPolicySpec, Caller, Identity, Request,
    TargetKind, TargetRef,
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
        }),
        closes: false,
    }
}

struct Reader<'a> {
    object: &'a Object<AccessPolicySpec>,
    trust_domain: &'a TrustDomain,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    fn rule(&mut self, part: &Part<policy::AccessRule>, pointer: String) -> Rule {
        let Some(written) = part.partly() else {
            let rule = AccessRule {
                origin: self.object.origin(&pointer),
                effect: Effect::NotUnderstood,
                callers: Vec::new(),
                requests: Vec::new(),
            };
            return Rule {
                pointer,
                rule: Arc::new(rule),
                closes: true,
            };
        };
        let mut understood = !part.is_flawed();
        let callers = self.callers(&written.callers, &pointer, &mut understood);
        let requests = self.requests(&written.requests, &pointer, &mut understood);
        let effect = match written.action {
            _ if !understood => Effect::NotUnderstood,
            AccessAction::Allow => Effect::Allow,
            AccessAction::Deny => Effect::Deny,
        };
        let rule = AccessRule {
            origin: self.object.origin(&pointer),
            effect,
            callers,
            requests,
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
        } = written;
        RequestMatch {
            ports: all_or_any(ports, understood, |_, port| Some(*port)),
            methods: all_or_any(methods, understood, |_, method| Some(method.clone())),
            hosts: all_or_any(hosts, understood, |_, host| Some(host_match(host))),
            paths: all_or_any(paths, understood, |index, path| {
                self.path(path, &format!("{pointer}/paths/{index}/value"))
            }),
        }
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
        }
    }

    fn denied(&mut self, pointer: &str, message: String) {
        self.notes.push(
            finding::error(self.object, pointer, Code::C007, message)
                .in_force("whatever the readable parts of this rule cover is denied"),
        );
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
