//! Asks the connected proxies on behalf of people.

use std::sync::Arc;

use leno_admin::several::{self, Asked};
use leno_admin::{KeptCalls, KeptOf, TapOf, Tapped};
use tokio::sync::mpsc;

use crate::center::Center;

/// What the connected proxies keep of calls that are over; those that are away are named, too.
pub(crate) async fn kept(center: &Center, ask: KeptOf) -> KeptCalls {
    several::kept(proxies(center), ask).await
}

/// Calls as they happen at all connected proxies.
pub(crate) fn tap(center: Arc<Center>, ask: TapOf) -> mpsc::Receiver<Tapped> {
    several::tap(move || proxies(&center), ask)
}

/// Why a proxy that is connected cannot be asked.
const NO_WAY: &str = "it is connected and holds no line open on which it could be asked";

fn proxies(center: &Center) -> Vec<Asked> {
    let members = center.fleet.members().into_iter();
    let asked = members.map(|(number, member)| Asked {
        number,
        way: center
            .fleet
            .way(member.peer)
            .ok_or_else(|| NO_WAY.to_owned()),
        name: member.name,
    });
    asked.collect()
}
