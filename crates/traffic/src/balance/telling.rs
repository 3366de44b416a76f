//! The step endpoint, told after the pick.

use alloc::{format, string::String, vec::Vec};

use leno_model::view::Endpoint;

use crate::balance::pool::Pool;
use crate::balance::{Candidate, Draw, Picked};
use crate::refusal::Refusal;
use crate::story::{Detail, Known, Outcome, Step, StepKind, first_details};
use crate::table::Port;

pub(super) fn step(port: &Port, pool: Option<&Pool>, picked: &Result<Picked, Refusal>) -> Step {
    let (outcome, text, details) = match picked {
        Ok(picked) => (Outcome::Yes, chosen(picked), passed_over(picked)),
        Err(_) => (Outcome::No, nobody(port, pool), unusable(pool)),
    };
    // An endpoint that is alone is what would be picked at any time.
    let known = match picked {
        Ok(Picked {
            draw: Draw { usable: 2.., .. },
            ..
        }) => Known::Assumed,
        Ok(_) | Err(_) => Known::Replayed,
    };
    Step {
        kind: StepKind::Endpoint,
        outcome,
        known,
        text,
        origin: None,
        details,
    }
}

fn chosen(picked: &Picked) -> String {
    let Draw { known, usable, .. } = picked.draw;
    let Endpoint {
        address,
        workload,
        tunnel,
        ..
    } = picked.endpoint();
    let security = tunnel.map_or("plain", |_| "mTLS");
    format!("{address} ({workload}), {security}, {usable} of {known} usable")
}

fn nobody(port: &Port, pool: Option<&Pool>) -> String {
    match pool {
        Some(pool) if !pool.members().is_empty() => format!("0 of {} usable", pool.members().len()),
        Some(_) | None => format!("{} has none", port.name()),
    }
}

fn passed_over(picked: &Picked) -> Vec<Detail> {
    let detail = |candidate: &Candidate, how: &str| {
        let member = picked.pool.member(candidate.index);
        Detail {
            text: format!("{} {how}: {candidate}", member.endpoint().address),
            origin: None,
        }
    };
    let chosen = detail(&picked.draw.chosen, "taken");
    let other = picked.draw.other.as_ref();
    [chosen]
        .into_iter()
        .chain(other.map(|other| detail(other, "not taken")))
        .collect()
}

/// Were one of them ready, or of unknown state, it would have been picked.
fn unusable(pool: Option<&Pool>) -> Vec<Detail> {
    let members = pool.map_or(&[][..], Pool::members);
    first_details(members.iter().map(|member| Detail {
        text: format!("{} draining", member.endpoint().address),
        origin: None,
    }))
}
