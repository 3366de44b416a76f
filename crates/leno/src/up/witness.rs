//! Who answers questions about the proxy of a mesh that is up, and about the calls that it carries.

use leno_admin::{Follows, Holding};
use leno_control::Desk;
use leno_proxy::{Clocks, Witness};
use leno_telemetry::Telemetry;

/// The witness of the proxy that the desk knows by `name`.
pub(super) fn witness(name: &str, desk: &Desk, clocks: &Clocks, telemetry: &Telemetry) -> Witness {
    let (known, desk, now) = (name.to_owned(), desk.clone(), clocks.clone());
    let holding = move || holding(&known, &desk, &now);
    Witness::new(name.to_owned(), clocks.clone(), telemetry.clone(), holding)
}

/// What its control plane, in the same process, knows that it holds.
fn holding(name: &str, desk: &Desk, clocks: &Clocks) -> Holding {
    let proxies = desk.proxies().proxies;
    let known = proxies.into_iter().find(|proxy| proxy.name == name);
    let holding = Holding {
        proxy: name.to_owned(),
        identity: String::new(),
        now: clocks.now().wall.to_string(),
        workloads: Vec::new(),
        generation: None,
        follows: match &known {
            Some(_) => Follows::ControlPlane,
            None => Follows::Away("it has not started yet".to_owned()),
        },
        since: String::new(),
        certificates: Vec::new(),
        peers: Vec::new(),
        clock: None,
    };
    match known {
        Some(known) => Holding {
            identity: known.identity,
            workloads: known.workloads,
            generation: Some(known.generation),
            since: known.since,
            ..holding
        },
        None => holding,
    }
}
