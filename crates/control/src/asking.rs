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
    let members = center.fleet.members().into_iter();
    let mut those = members.filter(|(_, member)| {
        let mut workloads = member.workloads.iter();
        workloads.any(|one| one.to_string() == workload)
    });
    let first = those.next().map(|member| asked(center, member));
    first.ok_or_else(|| Failure {
        advice: Some("leno proxies".to_owned()),
        ..Failure::plain(format_args!(
            "no connected proxy stands in front of {workload}"
        ))
    })
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
