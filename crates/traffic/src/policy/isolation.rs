//! From where calls of the mesh come to which ports: what `NetworkPolicy` says, of which the network of a cluster sees
//! one port alone.

use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};
use core::net::IpAddr;

use leno_model::view::{At, Egress, Ingress, Isolation, Peers, Workload};
use leno_model::{Origin, Ports, TrustDomain};

use crate::caller::{Claim, Fact, Missing};
use crate::policy::meets::Call;
use crate::policy::{Denied, Target, Verdict};
use crate::story::{Detail, first_details, numbered};

/// What stands before all ports of a workload says of a call: `None` where it lets it in, or is not asked.
//= Kubernetes Network Policies: "Other pods that are allowed (exception: a pod cannot block access to itself)"
pub(super) fn judge<'t>(target: Target<'_>, call: Call<'_>) -> Option<Verdict<'t>> {
    let isolation = target.of.isolation.as_ref().filter(|_| is_asked(call))?;
    let verdict = match judge_ingress(isolation, call) {
        Some(Verdict::Deny(denied)) => Some(Verdict::Deny(denied)),
        ingress => match judge_egress(isolation, call) {
            Some(Verdict::Deny(denied)) => Some(Verdict::Deny(denied)),
            egress => ingress.or(egress),
        },
    };
    match is_itself(target.of, call.claim) {
        Ok(true) => None,
        Err(missing) => verdict.map(|_| Verdict::Undecided(missing)),
        Ok(false) => verdict,
    }
}

/// Whether a workload calls itself: who acts as it does, and comes from where it is.
fn is_itself(workload: &Workload, claim: &Claim<'_>) -> Result<bool, Missing> {
    let is_there = |address: IpAddr| {
        let mut own = workload.addresses.iter();
        own.any(|it| it.to_canonical() == address.to_canonical())
    };
    match (claim.caller, claim.address) {
        (Fact::Unknown, _) => Err(Missing::CallerIdentity),
        (Fact::Known(caller), _) if caller != Some(&workload.identity) => Ok(false),
        (Fact::Known(_), Fact::Known(address)) => Ok(is_there(address)),
        (Fact::Known(_), Fact::Unknown) => Err(Missing::CallerAddress),
    }
}

fn judge_ingress<'t>(isolation: &Arc<Isolation>, call: Call<'_>) -> Option<Verdict<'t>> {
    if isolation.by.is_empty() {
        return None;
    }
    let mut missing = None;
    for rule in &isolation.rules {
        match lets_in(rule, call) {
            Ok(true) => return None,
            Ok(false) => {}
            Err(lacks) => missing = missing.or(Some(lacks)),
        }
    }
    // Whoever may have come in plain may not have to be asked about.
    let caller = matches!(call.claim.caller, Fact::Unknown);
    let missing = missing.or(caller.then_some(Missing::CallerIdentity));
    Some(missing.map_or_else(
        || Verdict::Deny(Denied::Isolated(isolation.clone())),
        Verdict::Undecided,
    ))
}

/// What is said of the call by all who select its caller.
//= NetworkPolicySpec egress: "Outgoing traffic is allowed if there are no NetworkPolicies selecting the pod (and cluster
//= policy otherwise allows the traffic), OR if the traffic matches at least one egress rule across all of the NetworkPolicy
//= objects whose podSelector matches the pod."
fn judge_egress<'t>(isolation: &Isolation, call: Call<'_>) -> Option<Verdict<'t>> {
    let mut missing = None;
    for (egress, lacks) in about_caller(isolation, call) {
        match lacks {
            _ if lets_out(egress, call) => {}
            None => return Some(Verdict::Deny(Denied::KeptIn(egress.clone()))),
            Some(lacks) => missing = missing.or(Some(lacks)),
        }
    }
    missing.map(Verdict::Undecided)
}

/// What is about the caller, and what may be, with what would have to be known to tell.
fn about_caller<'i>(
    isolation: &'i Isolation,
    call: Call<'i>,
) -> impl Iterator<Item = (&'i Arc<Egress>, Option<Missing>)> {
    let (mut is_named, mut unsure) = (false, None);
    isolation.egress.iter().filter_map(move |egress| {
        if egress.is_rest && is_named {
            return None;
        }
        let lacks = match is_among(&egress.callers, call.claim, call.own) {
            Ok(false) => return None,
            Ok(true) => None,
            Err(lacks) => Some(lacks),
        };
        is_named |= lacks.is_none();
        let before = unsure.clone().filter(|_| egress.is_rest);
        unsure = unsure.take().or_else(|| lacks.clone());
        let lacks = lacks.or(before);
        Some((egress, lacks))
    })
}

/// Whether one of the rules lets its callers out to the port of a call.
fn lets_out(egress: &Egress, call: Call<'_>) -> bool {
    let mut rules = egress.rules.iter();
    rules.any(|rule| is_about(&rule.ports, call.port))
}

/// Whether a rule lets a call in, or what would have to be known to tell.
//= NetworkPolicyIngressRule: "A NetworkPolicyIngressRule is matched if and only if the traffic matches both ports AND from."
fn lets_in(rule: &Ingress, call: Call<'_>) -> Result<bool, Missing> {
    match &rule.from {
        _ if !is_about(&rule.ports, call.port) => Ok(false),
        None => Ok(true),
        Some(peers) => is_among(peers, call.claim, call.own),
    }
}

/// Whether the ports of a rule have this one.
fn is_about(ports: &[Ports], port: u16) -> bool {
    ports.is_empty() || ports.iter().any(|ports| ports.contains(port))
}

fn is_among(peers: &Peers, claim: &Claim<'_>, own: &TrustDomain) -> Result<bool, Missing> {
    let by_address = match claim.address {
        _ if peers.blocks.is_empty() => Ok(false),
        Fact::Known(address) => Ok(peers.blocks.iter().any(|block| block.contains(address))),
        Fact::Unknown => Err(Missing::CallerAddress),
    };
    let by_identity = match claim.caller {
        Fact::Known(Some(id)) if id.trust_domain == *own => {
            let account = (id.namespace.clone(), id.service_account.clone());
            match (peers.accounts.get(&account), claim.address) {
                _ if peers.namespaces.contains(&id.namespace) => Ok(true),
                (None, _) => Ok(false),
                (Some(At::Anywhere), _) => Ok(true),
                (Some(At::Addresses(some)), Fact::Known(it)) => {
                    Ok(some.contains(&it.to_canonical()))
                }
                (Some(At::Others(some)), Fact::Known(it)) => Ok(!some.contains(&it.to_canonical())),
                (Some(At::Addresses(_) | At::Others(_)), Fact::Unknown) => {
                    Err(Missing::CallerAddress)
                }
            }
        }
        Fact::Known(_) => Ok(false),
        Fact::Unknown => Err(Missing::CallerIdentity),
    };
    match (by_address, by_identity) {
        (Ok(true), _) | (_, Ok(true)) => Ok(true),
        (Err(missing), _) | (_, Err(missing)) => Err(missing),
        (Ok(false), Ok(false)) => Ok(false),
    }
}

/// What each rule says of a call.
pub(super) fn told(target: Target<'_>, call: Call<'_>) -> Vec<Detail> {
    let isolation = target.of.isolation.as_ref();
    let Some(isolation) = isolation.filter(|_| is_asked(call)) else {
        return Vec::new();
    };
    if is_itself(target.of, call.claim) == Ok(true) {
        let text = "no NetworkPolicy holds it: it calls itself".to_owned();
        return [Detail { text, origin: None }].into();
    }
    let not_about = || format!("no: it is not about port {}", call.port);
    let ingress = isolation.rules.iter().map(|rule| {
        let said = match lets_in(rule, call) {
            Ok(true) => "lets it in".to_owned(),
            Ok(false) if !is_about(&rule.ports, call.port) => not_about(),
            Ok(false) => "no: it does not name the caller".to_owned(),
            Err(missing) => format!("depends on {missing}"),
        };
        detail(&rule.origin, &said)
    });
    let egress = about_caller(isolation, call).map(|(egress, lacks)| {
        let depends = lacks.map_or_else(String::new, |missing| {
            format!(", if it is about the caller, which depends on {missing}")
        });
        egress.rules.iter().map(move |rule| {
            let said = match is_about(&rule.ports, call.port) {
                true => format!("lets it out{depends}"),
                false => not_about(),
            };
            let said = match rule.alike {
                0 => said,
                alike => format!("(and {alike} alike) {said}"),
            };
            detail(&rule.origin, &said)
        })
    });
    first_details(ingress.chain(egress.flatten()))
}

fn detail(origin: &Origin, said: &str) -> Detail {
    Detail {
        text: format!("{} {} {said}", origin.object, numbered(origin, None)),
        origin: Some(origin.clone()),
    }
}

/// Whether it is asked about a call at all. Who proves nothing came by no tunnel, and the network of the cluster has
/// seen for which port.
fn is_asked(call: Call<'_>) -> bool {
    !matches!(call.claim.caller, Fact::Known(None))
}

/// The same of whoever selects callers; of one who may select others of them alone, `policies like NetworkPolicy shop/cart
/// let`.
pub(super) fn who_lets_out(egress: &Egress) -> String {
    match egress.by.first() {
        Some(example) if egress.have_others => format!("policies like {} let", example.object),
        _ => who_lets(&egress.by),
    }
}

/// `NetworkPolicy shop/cart lets`, or `NetworkPolicy shop/cart and 2 more let`.
pub(super) fn who_lets(by: &[Origin]) -> String {
    let mut by = by.iter();
    match (by.next(), by.count()) {
        (None, _) => "nobody lets".into(),
        (Some(first), 0) => format!("{} lets", first.object),
        (Some(first), more) => format!("{} and {more} more let", first.object),
    }
}
