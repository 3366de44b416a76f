//! From where calls of the mesh come to which ports: what `NetworkPolicy` says, of which the network of a cluster sees
//! one port alone.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use leno_model::TrustDomain;
use leno_model::view::{At, Ingress, Isolation, Peers};

use crate::caller::{Claim, Fact, Missing};
use crate::policy::meets::Call;
use crate::policy::{Denied, Target, Verdict};
use crate::story::{Detail, first_details, numbered};

/// What stands before all ports of a workload says of a call: `None` where it lets it in, or is not asked.
pub(super) fn judge<'t>(target: Target<'_>, call: Call<'_>) -> Option<Verdict<'t>> {
    let isolation = target.isolation.filter(|_| is_asked(call))?;
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

/// Whether a rule lets a call in, or what would have to be known to tell.
//= NetworkPolicyIngressRule: "A NetworkPolicyIngressRule is matched if and only if the traffic matches both ports AND from."
fn lets_in(rule: &Ingress, call: Call<'_>) -> Result<bool, Missing> {
    match &rule.from {
        _ if !is_about(rule, call.port) => Ok(false),
        None => Ok(true),
        Some(peers) => is_among(peers, call.claim, call.own),
    }
}

/// Whether a rule is about this port.
fn is_about(rule: &Ingress, port: u16) -> bool {
    rule.ports.is_empty() || rule.ports.iter().any(|ports| ports.contains(port))
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
                (Some(At::Addresses(_)), Fact::Unknown) => Err(Missing::CallerAddress),
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
    let isolation = target.isolation.filter(|_| is_asked(call));
    let rules = isolation.into_iter().flat_map(|it| &it.rules);
    first_details(rules.map(|rule| {
        let said = match lets_in(rule, call) {
            Ok(true) => "lets it in".to_owned(),
            Ok(false) if !is_about(rule, call.port) => {
                format!("no: it is not about port {}", call.port)
            }
            Ok(false) => "no: it does not name the caller".to_owned(),
            Err(missing) => format!("depends on {missing}"),
        };
        let origin = &rule.origin;
        Detail {
            text: format!("{} {} {said}", origin.object, numbered(origin, None)),
            origin: Some(origin.clone()),
        }
    }))
}

/// Whether it is asked about a call at all. Who proves nothing came by no tunnel, and the network of the cluster has
/// seen for which port.
fn is_asked(call: Call<'_>) -> bool {
    !matches!(call.claim.caller, Fact::Known(None))
}

/// `NetworkPolicy shop/cart`, or that and how many others.
pub(super) fn named(isolation: &Isolation) -> String {
    let mut by = isolation.by.iter();
    match (by.next(), by.count()) {
        (None, _) => "nobody".into(),
        (Some(first), 0) => format!("{}", first.object),
        (Some(first), more) => format!("{} and {more} more", first.object),
    }
}
