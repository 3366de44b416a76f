//! Asks the connected proxies on behalf of people.

use std::sync::Arc;

use leno_admin::several::{self, Asked, TRYING};
use leno_admin::{Failure, KeptCalls, KeptOf, ProbeOf, Probed, ReachOf, Reached, TapOf, Tapped};
use tokio::sync::mpsc;

use crate::center::Center;
use crate::fleet::Member;
use crate::sight::Sight;

/// What the connected proxies keep of calls that are over; those that are away are named, too.
pub(crate) async fn kept(center: &Center, ask: KeptOf) -> KeptCalls {
    several::kept(proxies(center), ask).await
}

/// Calls as they happen at all connected proxies, as far as `sight` reaches. Needs a runtime around it.
pub(crate) fn tap(center: Arc<Center>, sight: Sight, ask: TapOf) -> mpsc::Receiver<Tapped> {
    let mut told = several::tap(move || proxies(&center), ask);
    let (sender, seen) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        loop {
            let told = tokio::select! {
                told = told.recv() => told,
                () = sender.closed() => return,
            };
            let Some(told) = told else {
                return;
            };
            if let Some(told) = sight.tapped(told)
                && sender.send(told).await.is_err()
            {
                return;
            }
        }
    });
    seen
}

/// How many things of a tap wait at most to be taken.
const QUEUE: usize = 64;

/// How far a call of a workload gets, by the proxy in front of it.
pub(crate) async fn probe(center: &Center, ask: ProbeOf) -> Result<Probed, Failure> {
    let proxy = in_front_of(center, &ask.workload)?;
    several::one(&proxy, ask, TRYING).await
}

/// Whether the proxy in front of a workload can reach an endpoint.
pub(crate) async fn reach(center: &Center, ask: ReachOf) -> Result<Reached, Failure> {
    let proxy = in_front_of(center, &ask.workload)?;
    several::one(&proxy, ask, TRYING).await
}

fn in_front_of(center: &Center, workload: &str) -> Result<Asked, Failure> {
    let proxy = carrying(center.fleet.members(), workload);
    let proxy = proxy.map(|member| asked(center, member));
    proxy.ok_or_else(|| Failure {
        advice: Some("leno proxies".to_owned()),
        ..Failure::plain(format_args!(
            "no connected proxy stands in front of {workload}"
        ))
    })
}

/// The one of these that carries the calls of a workload. The proxy of a node stands in front of all of its pods, and
/// carries none of those that have a process of their own.
fn carrying(members: Vec<(u64, Member)>, workload: &str) -> Option<(u64, Member)> {
    let members = members.into_iter();
    let those = members.filter(|(_, member)| {
        let mut workloads = member.workloads.iter();
        workloads.any(|one| one.to_string() == workload)
    });
    those.min_by_key(|(_, member)| member.node.is_some())
}

/// Why a proxy that is connected cannot be asked.
const NO_WAY: &str = "it is connected and holds no line open on which it could be asked";

fn proxies(center: &Center) -> Vec<Asked> {
    let members = center.fleet.members().into_iter();
    members.map(|member| asked(center, member)).collect()
}

fn asked(center: &Center, (number, member): (u64, Member)) -> Asked {
    Asked {
        number,
        way: center
            .fleet
            .way(member.peer)
            .ok_or_else(|| NO_WAY.to_owned()),
        name: member.name,
    }
}

#[cfg(test)]
mod tests {
    use leno_model::view::WorkloadId;
    use leno_model::{Name, Namespace, SpiffeId};

    use super::*;

    fn proxy(name: &str, node: Option<&str>, workloads: &[&str]) -> (u64, Member) {
        let identity = SpiffeId::parse("spiffe://shop.local/ns/shop/sa/web").unwrap();
        let (peer, renew) = ("10.0.0.1:4000".parse().unwrap(), mpsc::channel(1).0);
        let id = |name: &&str| WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new(name).unwrap(),
        };
        let member = Member {
            node: node.map(Into::into),
            workloads: workloads.iter().map(id).collect(),
            ..Member::new(name.to_owned(), identity, peer, renew)
        };
        (0, member)
    }

    #[test]
    fn a_pods_own_process_is_asked_before_the_proxy_of_its_node() {
        let members = || {
            vec![
                proxy("node/one", Some("one"), &["cart-1", "web-1"]),
                proxy("shop/web-1", None, &["web-1"]),
            ]
        };
        for (workload, expect) in [
            ("shop/web-1", Some("shop/web-1")),
            ("shop/cart-1", Some("node/one")),
            ("shop/mail-1", None),
        ] {
            let found = carrying(members(), workload);
            let found = found.map(|(_, member)| member.name);
            assert_eq!(found.as_deref(), expect, "{workload}");
        }
    }
}
